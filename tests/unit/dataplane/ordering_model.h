/*
 * ordering_model.h: what the parts of the modelled world share: the log's events, what the sink
 * keeps, the nodes. For ordering_*.c only; tests see ordering_world.h.
 *
 *     ordering_world.c   nodes, the log, faults, and the order of steps
 *     ordering_sink.c    a sink with external versions, deletes that it forgets, a side index
 *     ordering_truth.c   what every document must be in the end, from the log alone
 */
#ifndef WEIR_TESTS_ORDERING_MODEL_H
#define WEIR_TESTS_ORDERING_MODEL_H

#include "dataplane/pipeline.h"
#include "tests/unit/dataplane/ordering_world.h"

enum {
    PARTS = 3,
    KEYS = 4,
    ROWS = 5,
    EVENTS_MAX = 160,
    NODES_MAX = 3,
    GC_STEPS = 20,
    FLIGHTS = 2,
    DOCS = 3,
    LATE_MAX = 64
};

#define TEXT_BYTES 8192

/* One row change as the log holds it. */
struct event {
    uint64_t stamp;
    unsigned key, row;
    bool deletes;
    unsigned value;
};

/* What the sink keeps for one key. */
struct kept {
    uint64_t version;
    bool there, deleted;
    uint64_t at;
    char text[TEXT_BYTES]; /* document with state */
};

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
    struct sink_port sink;
    struct env env;
    struct flying { /* a batch under way */
        struct sink_batch batch;
        struct sink_item items[DOCS];
        enum { FREE, OUT, LANDED } state;
        struct written {
            unsigned key;
            uint64_t version, sent_at;
            bool shown;
            char text[TEXT_BYTES];
        } writes[DOCS];
    } flights[FLIGHTS];
    struct asked { /* the one lookup */
        struct sink_lookup lookup;
        struct lookup_item items[KEYS];
        unsigned keys[KEYS];
        bool out;
        struct arena arena;
    } asked;
};

/* A history: what was written, what the sink keeps, what was committed, and who reads what. */
struct world {
    struct world_rules rules;
    uint64_t random;
    uint64_t now;
    struct event events[EVENTS_MAX];
    unsigned n_events;
    const struct event *log[PARTS][EVENTS_MAX];
    unsigned log_n[PARTS];
    struct kept docs[KEYS], side[KEYS];
    int64_t committed[PARTS];
    uint64_t committed_clock[PARTS];
    uint32_t assignments;
    struct node nodes[NODES_MAX];
    struct written late[LATE_MAX]; /* requests of killed nodes that have not arrived yet */
    unsigned n_late;
    struct plan *plan;
    struct task_partitions *partitions;
};

/* A seeded number below n. */
unsigned world_below(struct world *world, unsigned n);

/* A node's sink port: begin() to lookup_recycle() on node->flights and node->asked. */
extern const struct sink_port_ops model_sink_ops;

/* A write arrives at the sink's server. `cut`: the node died between the two writes of a delete.
 * Returns false for a version conflict. */
bool model_sink_write(struct world *world, const struct written *write, bool cut);

/* True if every document that the sink keeps is what the log says. */
bool truth_holds(const struct world *world);

#endif
