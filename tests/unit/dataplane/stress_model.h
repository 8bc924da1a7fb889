/*
 * stress_model.h: what the parts of the stress world share. For stress_*.c only; tests see
 * stress_world.h.
 *
 *     stress_world.c   the log, faults, the order of steps, and what must hold in the end
 *     stress_node.c    nodes: shards, the source's ports, what control tells them, landing writes
 *     stress_commit.c  commits, and what must hold at each of them
 *     stress_broken.c  rules broken on purpose
 */
#ifndef WEIR_TESTS_STRESS_MODEL_H
#define WEIR_TESTS_STRESS_MODEL_H

#include "dataplane/shard.h"
#include "tests/unit/dataplane/model.h"
#include "tests/unit/dataplane/stress_world.h"

enum {
    PARTS = 4,
    KEYS = KEYS_MAX,
    NODES_MAX = 3,
    CORES_MAX = 3,
    STRESS_SINKS = 2,
    EVENTS_MAX = 100,
    LOG_MAX = 200,
    LATE_MAX = 64,
    GC_STEPS = 600,  /* a deleted document's version is remembered for so long */
    LATE_STEPS = 480 /* a request lives no longer */
};

struct node;
struct world;

/* One shard of a node. */
struct core {
    struct node *node;
    unsigned id;
    struct model_env env;
    struct source_port source;
    struct model_port ports[STRESS_SINKS];
    struct pipeline *pipeline;
    struct shard shard;
};

struct node {
    struct world *world;
    bool owns[PARTS];
    int64_t position[PARTS]; /* of the source's ports */
    uint32_t epochs[PARTITIONS_MAX], epoch;
    bool knows_all;
    struct core cores[CORES_MAX];
    struct pipeline *pipelines[CORES_MAX];
};

/* A partition: its messages, and by the clock's rule the clock before each and each row's seqno. */
struct partition_log {
    unsigned n;
    struct message messages[LOG_MAX];
    uint64_t clock[LOG_MAX + 1];
    uint64_t seqnos[LOG_MAX][MESSAGE_ROWS];
    int64_t committed;
    uint64_t committed_clock;
};

struct world {
    struct stress_rules rules;
    uint64_t random, now, steps;
    bool calm; /* no more faults: everything must drain */
    bool wrong;
    struct event events[EVENTS_MAX];
    unsigned n_events;
    struct partition_log log[PARTS];
    struct model_server sinks[STRESS_SINKS];
    struct model_cells cells[STRESS_SINKS];
    uint64_t newest;                 /* seqno that any node has read */
    struct rows *rows;               /* to look at the cells */
    struct arena arena;              /* for what is seen there */
    bool buried[STRESS_SINKS][KEYS]; /* the sink refused the document once: it may lack rows */
    struct dead_letters letters;
    struct late {
        bool used;
        unsigned sink;
        struct written write;
    } late[LATE_MAX];
    uint32_t assignments;
    struct node nodes[NODES_MAX];
    struct plan *plan;
    struct task_partitions *partitions;
};

/* From here on stress_broken.c breaks that rule. */
void break_rule(enum stress_break rule);

/* The first seqno that is not committed. */
uint64_t world_oldest(const struct world *world);

/* Has the log gone on since the write was sent by more than tombstones are kept? A request does not
 * live so long. */
bool world_outlives(const struct world *world, const struct written *write);

/* What a merging sink has of the key; valid until the next call. */
struct document_state world_state(struct world *world, unsigned sink, unsigned key);

/* A seeded number below n. */
unsigned world_below(struct world *world, unsigned n);

/* Says what is wrong on stderr; the history ends wrong. */
void world_blame(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The partition's number within its topic. */
unsigned part_number(const struct world *world, unsigned part);

/* The node forgets everything and begins anew, without partitions. */
void node_start(struct world *world, struct node *node);

/* One turn of one of its shards, or one batch lands. */
void node_step(struct node *node);

/* One of its shards drops a document, if nothing of it is pending. */
void node_evict(struct node *node);

/* A shard is told something, and obeys while others go on. */
void node_tell(struct node *node, unsigned shard, const struct shard_command *command);

void node_assign(struct node *node, unsigned part);
void node_revoke(struct node *node, unsigned part);

/* Every write that is under way lands now. */
void node_settle(struct node *node);

/* kill -9: some of what is under way arrives, whole or cut, the rest never does. */
void node_crash(struct node *node);

bool node_drained(const struct node *node);

/* As control does it: the positions of all shards, then the lows of all; commits the least. */
void node_commit(struct node *node);

/* The shard of a node that reads the partition. */
unsigned shard_of_part(const struct world *world, unsigned part);

#endif
