/*
 * ordering_world.h: the real pipelines between a modelled log and a modelled sink, one seed a
 * history.
 *
 * What is real: clock, intake, merge, store, pending, watermark, hydrator, outlets. What is
 * modelled, after docs/ORDERING.md: Kafka (partitions, commits with metadata), Elasticsearch
 * (external versions, deletes that are forgotten, a side index), nodes that crash, rebalance and
 * write late. One step is one action, in seeded order.
 */
#ifndef WEIR_TESTS_ORDERING_WORLD_H
#define WEIR_TESTS_ORDERING_WORLD_H

#include "dataplane/plan.h"

#include <stdbool.h>

/* The contract is { nodes, by_key } with every rule kept; each flag breaks one. */
struct world_rules {
    unsigned nodes;
    bool by_key; /* a document's events all lie in one partition */
    enum images images;
    uint64_t retention_us;  /* of tombstones; 0: none is purged. The log is read and committed fast
                               enough that nothing older is ever read again */
    bool reads_late;        /* it is not: see the limits in docs/ORDERING.md */
    bool forgets_clock;     /* R1: commits carry no clock */
    bool version_is_newest; /* R2: the sink is given the greatest seqno instead of the sum */
    bool evicts;            /* what is not pending is dropped from the stores at random */
    bool begins_empty;     /* R3's shortcut holds until a partition moves or something is evicted */
    bool no_hydration;     /* R3 */
    bool trusts_absence;   /* R3: with `begins_empty`, eviction is no reason to read back */
    bool trusts_store;     /* R4: an assignment is no reason to read back */
    bool ignores_holds;    /* R5: what was read is committed */
    bool forgets_deleted;  /* R6: no side index */
    bool forgets_residual; /* R6: the terms of purged tombstones are not read back */
};

/* Plays one history; true if every document ends as the log says. */
bool world_ends_right(uint64_t seed, const struct world_rules *rules);

#endif
