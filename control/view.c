/*
 * view.c: see view.h.
 *
 * Every number is one that its owner may change while it is read; so numbers of one answer may be
 * some microseconds apart, and nothing here assumes that they add up.
 */
#include "control/view.h"

#include <stdio.h>

enum task_state view_state(const struct task *task)
{
    return (enum task_state)__atomic_load_n(&task->state, __ATOMIC_ACQUIRE);
}

const char *view_state_name(enum task_state state)
{
    switch (state) {
    case TASK_STARTING:
        return "starting";
    case TASK_RUNNING:
        return "running";
    case TASK_PAUSED:
        return "paused";
    case TASK_DRAINING:
        return "draining";
    case TASK_ENDED:
        return "ended";
    case TASK_FAILED:
        return "failed";
    }
    return "unknown";
}

const char *view_sink_kind(enum config_sink_kind kind)
{
    switch (kind) {
    case CONFIG_SINK_ELASTICSEARCH:
        return "elasticsearch";
    case CONFIG_SINK_SQLITE:
        return "sqlite";
    case CONFIG_SINK_HBASE:
        return "hbase";
    }
    return "unknown";
}

const char *view_failure(const struct task *task)
{
    /* The text is complete before the state says so, and is not changed after. */
    return view_state(task) == TASK_FAILED ? task->failure.text : NULL;
}

/* ---- partitions ---- */

static int64_t lag_of(int64_t high, int64_t durable)
{
    if (high < 0 || durable < 0)
        return -1;
    return high > durable ? high - durable : 0; /* the end is from an earlier moment */
}

bool view_partition_next(const struct task *task, unsigned *slot, struct view_partition *partition)
{
    unsigned n = partitions_count(task->partitions);

    for (; *slot < n; (*slot)++) {
        const struct assignment *at = &task->assignments[*slot];
        if (!__atomic_load_n(&at->owned, __ATOMIC_ACQUIRE))
            continue;
        *partition = (struct view_partition){
            .slot = (uint16_t)(*slot)++,
            .shard = at->shard,
            .read = __atomic_load_n(&at->read, __ATOMIC_RELAXED),
            .durable = __atomic_load_n(&at->durable, __ATOMIC_RELAXED),
            .committed = __atomic_load_n(&at->committed, __ATOMIC_RELAXED),
            .high = __atomic_load_n(&at->high, __ATOMIC_RELAXED),
        };
        partition->lag = lag_of(partition->high, partition->durable);
        return true;
    }
    return false;
}

struct view_lag view_lag(const struct task *task)
{
    struct view_lag all = { .lag = -1, .left = -1 };
    struct view_partition partition;
    bool all_known = true;

    for (unsigned slot = 0; view_partition_next(task, &slot, &partition);) {
        int64_t left = lag_of(task->assignments[partition.slot].end_offset, partition.durable);
        all.partitions++;
        all_known = all_known && left >= 0;
        if (partition.lag >= 0)
            all.lag = (all.lag < 0 ? 0 : all.lag) + partition.lag;
        if (left >= 0)
            all.left = (all.left < 0 ? 0 : all.left) + left;
    }
    if (!all_known)
        all.left = -1;
    return all;
}

/* ---- the whole ---- */

bool view_ready(const struct node *node, char *why, size_t why_bytes)
{
    if (why_bytes > 0)
        why[0] = '\0';
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        switch (view_state(task)) {
        case TASK_STARTING:
            (void)snprintf(why, why_bytes, "task %s is starting: not all of its sinks answer yet",
                           task->config->name);
            return false;
        case TASK_FAILED:
            (void)snprintf(why, why_bytes, "task %s failed: %s", task->config->name,
                           task->failure.text);
            return false;
        case TASK_RUNNING:
        case TASK_PAUSED:
        case TASK_DRAINING:
        case TASK_ENDED:
            break;
        }
    }
    return true;
}

struct table_counters view_table(const struct task *task, unsigned table)
{
    struct table_counters sum = { 0 };

    for (unsigned s = 0; s < task->node->n_shards; s++) {
        const struct table_counters *of = &task->pipelines[s]->tables[table];
        sum.applied += counter_read(&of->applied);
        sum.stale += counter_read(&of->stale);
        sum.dead += counter_read(&of->dead);
    }
    return sum;
}
