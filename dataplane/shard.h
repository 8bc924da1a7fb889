/*
 * shard.h: one core: its thread's loop, the pipelines of all tasks on it, and how control speaks to
 * it.
 */
#ifndef WEIR_SHARD_H
#define WEIR_SHARD_H

#include "dataplane/pipeline.h"

#define TASKS_MAX 64

enum shard_order {
    SHARD_ATTACH, /* partition, offset, clock, handle: read it from there */
    SHARD_DETACH, /* partition: poll it no more; what was polled goes on its way */
    SHARD_FORGET, /* partition: it was taken away: its holds go, documents that came by it and are
                     clean too */
    SHARD_POSITIONS, /* fills marks[slot]: what this shard has read to the end, for the partitions
                        it reads */
    SHARD_LOWS,      /* fills marks[slot]: the least offset that is held here */
    SHARD_FLUSH,     /* flag: write without lingering (a drain) from now on, or linger again */
    SHARD_PAUSE,     /* flag: read nothing more, or go on */
};

struct shard_mark {
    bool known;
    int64_t offset;
    uint64_t clock;
    int64_t read_offset; /* SHARD_POSITIONS: what was polled already */
};

struct shard_command {
    enum shard_order order;
    unsigned task;
    uint16_t partition;
    int64_t offset;
    uint64_t clock;
    void *handle;
    bool flag;
    struct shard_mark *marks; /* [n_marks], the caller's until it is obeyed */
    unsigned n_marks;
};

struct shard {
    unsigned id;
    struct env *env;
    unsigned n_pipelines;
    struct pipeline *pipelines[TASKS_MAX];
    struct shard_command command;
    uint32_t posted, obeyed;             /* atomic: command numbers */
    int stop;                            /* atomic: shard_run() returns */
    uint64_t steps, idle_steps, busy_us; /* counters */
};

/* One turn of everything on this core; returns how much was done. Production loops over it in
 * shard_run(), the simulator calls it in a seeded order. */
unsigned shard_step(struct shard *shard, uint64_t now_us);

/* The shard's thread: steps, sleeps when there is nothing to do, until shard->stop. */
void shard_run(struct shard *shard);

/* Control thread, one command at a time: hands it over and wakes the shard. shard_obeyed(): it is
 * done, and what it filled in can be read. */
void shard_post(struct shard *shard, const struct shard_command *command);
bool shard_obeyed(const struct shard *shard);

#endif
