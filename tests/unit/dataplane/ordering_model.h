/*
 * ordering_model.h: the world of ordering_world.c from inside: its log, its nodes, and on model.h
 * the sink's server. Tests see ordering_world.h.
 */
#ifndef WEIR_TESTS_ORDERING_MODEL_H
#define WEIR_TESTS_ORDERING_MODEL_H

#include "tests/unit/dataplane/model.h"
#include "tests/unit/dataplane/ordering_world.h"

enum { PARTS = 3, KEYS = 4, EVENTS_MAX = 160, NODES_MAX = 3, GC_STEPS = 20, LATE_MAX = 64 };

struct world;

/* A pipeline with what surrounds it; it forgets all but its place in the world when it dies. */
struct node {
    struct world *world;
    unsigned id;
    bool owns[PARTS];
    int64_t position[PARTS]; /* of the source port */
    uint32_t epochs[PARTITIONS_MAX], epoch;
    bool knows_all;
    struct pipeline *pipeline;
    struct source_port source;
    struct model_port sink;
    struct model_env env;
};

/* A history: what was written, what the sink keeps, what was committed, and who reads what. */
struct world {
    struct world_rules rules;
    uint64_t random;
    uint64_t now;
    struct event events[EVENTS_MAX];
    unsigned n_events;
    struct message log[PARTS][EVENTS_MAX]; /* one row each */
    unsigned log_n[PARTS];
    uint64_t log_seqno[PARTS][EVENTS_MAX]; /* what the clock gives them */
    struct model_server server;
    int64_t committed[PARTS];
    uint64_t committed_clock[PARTS];
    uint32_t assignments;
    struct node nodes[NODES_MAX];
    struct written late[LATE_MAX]; /* requests of killed nodes that have not arrived yet */
    unsigned n_late;
    struct plan *plan;
    struct task_partitions *partitions;
};

#endif
