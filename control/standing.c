/*
 * standing.c: see standing.h.
 *
 *     tick: not long since the last one ──► the fence's time moves on
 *           too long, and we had partitions ──► in doubt: the time stays, outlets stop at the limit
 *     serve, in doubt: a commit with our generation is taken ──► the time of asking; no doubt
 *                      no partition is ours any more ──► likewise: there is nothing to write
 *
 * - A commit repeats what the group has already, so it changes nothing; whether it is taken is the
 *   answer. The coordinator takes it from members of the present generation only, and those own
 *   what they were given. A member that was expelled is refused, and librdkafka tells of the lost
 *   partitions at one of the next polls.
 * - What counts is the time *before* the question: we were a member then or later.
 * - The limit is half a session, so outlets stop before anybody else can have the partitions,
 *   however late the last heartbeat before the standstill was.
 * - A node's ticks are one: a control thread that does something for one task lives for all.
 *
 * What this does not do: notice that the group expelled a process that lives. Its heartbeats tell
 * librdkafka, which tells control (assign.c).
 */
#include "control/standing.h"

#include "control/task.h"

#include <inttypes.h>

#define ASK_US UINT64_C(500000) /* between two questions */

void standing_open(struct task *task)
{
    task->fence.limit_us = task->source->session_us / 2;
    fence_move(&task->fence, node_now_us(task->node));
}

static void doubt(struct task *task, uint64_t stood_us)
{
    task->in_doubt = true;
    task->ask_us = 0;
    counter_add(&task->standstills, 1);
    log_line(LOG_ALERT, task->config->name,
             "this node stood still for %" PRIu64 ".%" PRIu64
             " s: nothing is written until Kafka confirms that its partitions are still its own",
             stood_us / 1000000, stood_us / 100000 % 10);
}

static void tick(struct task *task, uint64_t now_us)
{
    if (task->in_doubt)
        return;
    if (fence_closed(&task->fence, now_us) && task->n_owned > 0)
        doubt(task, now_us - task->fence.since_us);
    else
        fence_move(&task->fence, now_us);
}

void standing_tick(struct node *node)
{
    uint64_t now_us = node_now_us(node);
    for (unsigned i = 0; i < node->n_tasks; i++)
        tick(&node->tasks[i], now_us);
}

/* What the group knows of our partitions, said once more. True where it was taken. */
static bool still_a_member(struct task *task)
{
    struct err err;
    unsigned n = 0;
    for (unsigned slot = 0; slot < partitions_count(task->partitions); slot++) {
        const struct assignment *at = &task->assignments[slot];
        if (at->owned)
            task->commits[n++] = (struct source_commit){
                .topic = partitions_topic(task->partitions, (uint16_t)slot),
                .number = partitions_number(task->partitions, (uint16_t)slot),
                .offset = at->known,
                .clock = at->known_clock,
            };
    }
    if (n > 0 && task->source->ops->commit(task->source, task->commits, n, true, &err) != 0) {
        log_line(LOG_INFO, task->config->name, "not confirmed yet: %s", err.text);
        return false;
    }
    return true;
}

void standing_serve(struct task *task)
{
    standing_tick(task->node);
    uint64_t asked_us = node_now_us(task->node);
    bool any = task->n_owned > 0;
    if (!task->in_doubt || (any && asked_us < task->ask_us))
        return;
    if (!still_a_member(task)) {
        task->ask_us = node_now_us(task->node) + ASK_US;
        return;
    }
    task->in_doubt = false;
    fence_move(&task->fence, asked_us);
    log_line(LOG_NOTICE, task->config->name, "%s",
             any ? "Kafka confirms that the partitions are still ours: writing goes on"
                 : "the partitions were somebody else's meanwhile: nothing of them is written any "
                   "more");
}
