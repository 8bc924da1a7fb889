/*
 * node.h: a running weir: its shards and its tasks, as the control side sees them.
 *
 * Everything here is made by boot.c before the shards run and belongs to the control thread (the
 * one that called node_run()). Other threads may read what is marked atomic, the data plane's
 * counters, and documents through the readers below. No event passes here.
 */
#ifndef WEIR_CONTROL_NODE_H
#define WEIR_CONTROL_NODE_H

#include "config/config.h"
#include "dataplane/base/log.h"
#include "dataplane/shard.h"

enum task_state {
    TASK_STARTING, /* its sinks are not prepared yet, or no partition was assigned yet */
    TASK_RUNNING,
    TASK_PAUSED,
    TASK_DRAINING,
    TASK_ENDED,
    TASK_FAILED, /* task->failure says why */
};

/* A partition as control knows it; the slot is its index. Atomic fields may be read by any thread.
 */
struct assignment {
    int owned;          /* atomic bool */
    unsigned shard;     /* that reads it */
    int64_t end_offset; /* the log's end when it was assigned, -1 = unknown */
    int64_t read;       /* atomic: polled up to here */
    int64_t durable;    /* atomic: in every sink up to here */
    uint64_t durable_clock;
    int64_t known; /* what the group knows: the last commit, else where reading began */
    uint64_t known_clock;
    uint64_t held_since_us; /* counter: since when `durable` stands behind `read`; 0: it does not */
    int64_t committed;      /* atomic: what was committed last; -1: nothing yet */
    int64_t high;           /* atomic: the log's end as last heard, -1 = unknown */
};

struct task {
    struct node *node;
    unsigned index;
    const struct config_task *config;
    struct plan *plan;
    struct task_partitions *partitions;
    struct source *source;
    struct source_events events; /* what the source calls */
    struct sink *sinks[SINKS_MAX];
    char *paths[SINKS_MAX]; /* of the embedded ones */
    struct dead_letters *letters;
    struct pipeline **pipelines;   /* [n_shards] */
    struct store_reader **readers; /* [n_shards], the admin thread's */

    int state; /* atomic: enum task_state */
    struct err failure;
    struct assignment assignments[PARTITIONS_MAX];
    unsigned n_owned, n_total; /* partitions of ours, of the topics */
    bool assigned_once, held_all;
    uint64_t unowned_us; /* since when none was ours, while none is */
    uint64_t
        alone_deadline_us; /* R7: refuse to go on as one of several from then on; 0: no question */
    uint32_t epochs[PARTITIONS_MAX], epoch;
    bool knows_all;       /* R3's shortcut */
    struct fence fence;   /* standing.c: are the partitions known to be ours? */
    bool in_doubt;        /* it stood still; membership is not confirmed yet */
    uint64_t ask_us;      /* in doubt: when to ask again */
    uint64_t standstills; /* counter */

    unsigned damaged_files; /* that were cut short or corrupt so far */
    bool all_created;       /* the sinks prepared so far were created empty in this run */
    bool source_closed;
    unsigned n_prepared; /* sinks that are */
    uint64_t prepare_us; /* when to try the next one */
    unsigned prepare_attempts;
    uint64_t commit_us; /* when the next commit round is due */
    bool commit_again;  /* a commit was lost: the next one is of all partitions */
    struct log_limit limit_letters;
    uint64_t unkept_us;                  /* since when what is done can't be committed, 0: it is */
    uint64_t keep_us;                    /* when to try that again */
    uint64_t marks_us;                   /* when to ask for the logs' ends again */
    struct shard_mark *positions, *lows; /* [n_shards][PARTITIONS_MAX], for commit rounds */
    struct source_commit *commits;       /* [PARTITIONS_MAX], likewise */
    uint16_t *commit_slots;
};

struct node_options {
    bool until_end;
    uint64_t wait_us; /* with until_end: how long a server may be away */
};

struct node {
    const struct config *config;
    struct node_options options;
    struct env *env;     /* the control thread's */
    int stop;            /* how often a signal asked it to end: 1 drains, 2 ends at once */
    uint64_t started_us; /* monotonic */
    uint64_t started_wall_us;
    unsigned n_shards;
    struct shard *shards;
    struct shard_thread *threads; /* threads.c's */
    unsigned n_tasks;
    struct task *tasks;
    int exit_code;
    struct admin *admin;
};

/* What all shards of a task counted so far. Any thread. */
struct task_totals {
    struct counters counters;
    struct outlet_counters outlets[SINKS_MAX];
    uint64_t events; /* of every kind */
    uint64_t entities, store_used_bytes, store_bound_bytes, pending;
};
void task_totals(const struct task *task, struct task_totals *totals);

/* Control thread: its clock (monotonic), and its way to wait: for about that long, or until a
 * signal. */
static inline uint64_t node_now_us(const struct node *node)
{
    return env_mono_us(node->env);
}

static inline void node_doze(const struct node *node, uint64_t us)
{
    (void)env_wait(node->env, us);
}

/* A second signal asked to stop at once. */
static inline bool node_hurries(const struct node *node)
{
    return __atomic_load_n(&node->stop, __ATOMIC_RELAXED) > 1;
}

/* Control thread, between boot_start() and boot_close(): serves the tasks until all have ended or
 * node->stop says so, then drains them. Sets node->exit_code. */
void node_serve(struct node *node);

/* Runs the config until it ends or a signal ends it; returns the exit code. Prints what it does. */
int node_run(const struct config *config, const struct node_options *options);

#endif
