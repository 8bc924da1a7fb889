/*
 * commit.c: see commit.h.
 *
 *     least over shards and sinks of what is held  ─┐
 *     what the reading shard has read to the end   ─┴─► least ─► dead letters synced
 *                                                             ─► offset and clock committed
 *
 * Positions are asked for before holds, see shard.c for why. The dead letters are synced after the
 * shards were asked: a letter is written before the record that it is about counts as read.
 */
#include "control/commit.h"

#include "control/assign.h"
#include "control/task.h"

#include <inttypes.h>
#include <stdlib.h>

static void ask(struct task *task, enum shard_order order, struct shard_mark *marks, unsigned n)
{
    for (unsigned s = 0; s < task->node->n_shards; s++) {
        struct shard_command command = { .order = order,
                                         .task = task->index,
                                         .marks = marks + (size_t)s * PARTITIONS_MAX,
                                         .n_marks = n };
        assign_tell(task->node, s, &command);
    }
}

/* The least held offset of a slot over all shards. */
static bool low_of(const struct task *task, unsigned slot, struct shard_mark *low)
{
    bool any = false;
    for (unsigned s = 0; s < task->node->n_shards; s++) {
        const struct shard_mark *mark = &task->lows[(size_t)s * PARTITIONS_MAX + slot];
        if (mark->known && (!any || mark->offset < low->offset)) {
            *low = *mark;
            any = true;
        }
    }
    return any;
}

/* A file's partitions are not assigned: they are ours from the first record on. */
static const struct shard_mark *position_of(struct task *task, unsigned slot)
{
    struct assignment *at = &task->assignments[slot];
    for (unsigned s = 0; s < task->node->n_shards; s++) {
        const struct shard_mark *mark = &task->positions[(size_t)s * PARTITIONS_MAX + slot];
        if (!mark->known)
            continue;
        if (!at->owned && task->config->source.kind == CONFIG_SOURCE_FILE) {
            at->shard = s;
            at->end_offset = at->high = at->committed = -1;
            __atomic_store_n(&at->owned, 1, __ATOMIC_RELEASE);
        }
        return at->owned && at->shard == s ? mark : NULL;
    }
    return NULL;
}

void commit_look(struct task *task)
{
    unsigned n = partitions_count(task->partitions);
    ask(task, SHARD_POSITIONS, task->positions, n);
    ask(task, SHARD_LOWS, task->lows, n);
    for (unsigned slot = 0; slot < n; slot++) {
        const struct shard_mark *position = position_of(task, slot);
        struct assignment *at = &task->assignments[slot];
        struct shard_mark low = { 0 };
        if (position == NULL)
            continue;
        bool held = low_of(task, slot, &low) && low.offset < position->offset;
        int64_t durable = held ? low.offset : position->offset;
        if (durable == position->read_offset)
            counter_set(&at->held_since_us, 0);
        else if (durable != at->durable || at->held_since_us == 0)
            counter_set(&at->held_since_us, node_now_us(task->node));
        __atomic_store_n(&at->read, position->read_offset, __ATOMIC_RELAXED);
        __atomic_store_n(&at->durable, durable, __ATOMIC_RELAXED);
        at->durable_clock = held ? low.clock : position->clock;
    }
}

void commit_lost(void *context)
{
    ((struct task *)context)->commit_again = true;
}

/* What is durable and not committed yet. */
static unsigned collect(struct task *task)
{
    unsigned n = 0;
    for (unsigned slot = 0; slot < partitions_count(task->partitions); slot++) {
        const struct assignment *at = &task->assignments[slot];
        if (!at->owned || at->durable < 0 ||
            (at->durable <= at->committed && !(task->commit_again && at->committed >= 0)))
            continue;
        task->commit_slots[n] = (uint16_t)slot;
        task->commits[n++] =
            (struct source_commit){ .topic = partitions_topic(task->partitions, (uint16_t)slot),
                                    .number = partitions_number(task->partitions, (uint16_t)slot),
                                    .offset = at->durable,
                                    .clock = at->durable_clock };
    }
    return n;
}

static void note_committed(struct assignment *at, const struct source_commit *commit)
{
    at->known = commit->offset;
    at->known_clock = commit->clock;
    __atomic_store_n(&at->committed, commit->offset, __ATOMIC_RELAXED);
}

int commit_round(struct task *task, bool wait)
{
    struct err err;
    uint64_t more;
    commit_look(task);
    if (task->letters->ops->sync(task->letters, &err) != 0) {
        if (err.code != EXIT_UNAVAILABLE)
            task_fail(task, &err);
        else if (log_limit_pass(&task->limit_letters, node_now_us(task->node), &more))
            log_line(LOG_WARN, task->config->name,
                     "nothing is committed yet: %s (%" PRIu64 " more like it)", err.text, more);
        return -1;
    }
    unsigned n = collect(task);
    task->commit_again = false;
    if (n == 0 && !wait)
        return 0;
    if (task->source->ops->commit(task->source, task->commits, n, wait, &err) != 0) {
        log_line(LOG_WARN, task->config->name,
                 "the commit of %u partitions failed and is tried again: %s", n, err.text);
        task->commit_again = true;
        return -1;
    }
    for (unsigned i = 0; i < n; i++)
        note_committed(&task->assignments[task->commit_slots[i]], &task->commits[i]);
    return wait && task->commit_again ? -1 : 0; /* an earlier one was lost meanwhile */
}
