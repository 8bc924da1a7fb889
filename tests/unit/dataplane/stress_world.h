/*
 * stress_world.h: the real shards of several nodes between a modelled log and modelled sinks of
 * different speed, one seed a history.
 *
 * Where ordering_world.h breaks the rules of docs/ORDERING.md one by one, this world keeps them all
 * and makes everything small and slow: frames of a few changes, few pending documents, records
 * with several rows, shards that step in any order and are told things by shard_post(), sinks that
 * say RETRY, fail whole or refuse for good. What it watches is the commits: at each of them the
 * clock must be the log's, and every earlier row must be in every sink.
 */
#ifndef WEIR_TESTS_STRESS_WORLD_H
#define WEIR_TESTS_STRESS_WORLD_H

#include "dataplane/plan.h"

/* How the rows of one document lie in the log. */
enum stress_layout {
    LAYOUT_SPREAD, /* in any partition: one node only (R7) */
    LAYOUT_KEYED,  /* in one partition */
    LAYOUT_TOPICS, /* in two topics, partitions of one number, which move together */
};

/* Rules of what a merging sink is sent, each broken on purpose (stress_broken.c). */
enum stress_break {
    BREAK_NOTHING,
    BREAK_RETRY,    /* a write that failed counts as landed */
    BREAK_REPLACED, /* a row that replaces another is only missing where that one was */
    BREAK_HOLDER,   /* who was read back is taken to hold all of the document */
};

struct stress_rules {
    unsigned nodes, shards, sinks;
    uint32_t pending_max;
    enum stress_layout layout;
    enum images images;
    bool fails;       /* sinks: RETRY, whole batches and lookups without an answer */
    bool late;        /* writes without an answer arrive later. Not where rows of a document come by
                         several partitions and a process is killed: see docs/ORDERING.md, limits */
    bool buries;      /* sinks refuse documents for good */
    bool many;        /* records with several rows, some of more than a frame */
    bool evicts;      /* what is not pending is dropped from the stores at random */
    bool crashes;     /* nodes are killed */
    bool restless;    /* partitions move often, mostly amid a record */
    bool steady;      /* they never do */
    unsigned merging; /* a bit a sink: it merges, as HBase does */
    uint64_t retention_us; /* of tombstones; 0: none is purged. The log is read and committed fast
                              enough that nothing older is ever read again */
    enum stress_break breaks;
};

/* Plays one history. True if every commit was true, everything drains, is committed and held no
 * more, and every document ends as the log says. What went wrong is told on stderr. */
bool stress_ends_right(uint64_t seed, const struct stress_rules *rules);

#endif
