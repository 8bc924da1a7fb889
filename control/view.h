/*
 * view.h: a running node as others see it: the numbers that status, metrics and progress share.
 *
 * Any thread: only what node.h marks as readable is read.
 */
#ifndef WEIR_CONTROL_VIEW_H
#define WEIR_CONTROL_VIEW_H

#include "control/node.h"

enum task_state view_state(const struct task *task);
const char *view_state_name(enum task_state state); /* "running" */
const char *view_sink_kind(enum config_sink_kind kind);

/* Why the task failed; NULL where it did not. */
const char *view_failure(const struct task *task);

/* One partition of ours. -1 = not known. */
struct view_partition {
    uint16_t slot;
    unsigned shard;
    int64_t read, durable, committed, high;
    int64_t lag; /* records of the log that are not durable in every sink */
};

/* The first partition of ours at or after *slot, which is moved behind it; false: no more. */
bool view_partition_next(const struct task *task, unsigned *slot, struct view_partition *partition);

/* All of a task's partitions together. */
struct view_lag {
    unsigned partitions;
    int64_t lag;  /* of those whose end is known; -1: of none */
    int64_t left; /* records to be read until the ends of when they were assigned; -1: not known */
};
struct view_lag view_lag(const struct task *task);

/* True, or false and why not: one line for people, cut to fit. Ready: every task got to run and
 * none has failed. */
bool view_ready(const struct node *node, char *why, size_t why_bytes);

/* One table's counters over all shards. */
struct table_counters view_table(const struct task *task, unsigned table);

#endif
