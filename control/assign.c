/*
 * assign.c: see assign.h.
 *
 * An assignment, in order: slot and epoch first (so that whatever the shards see of this partition
 * is newer than all that is in their stores), then ATTACH at the committed offset with its clock.
 *
 * A revocation, in order: DETACH (nothing new is read), a bounded drain (what was read is written
 * and acknowledged), the last commit, a new epoch (what is still on its way holds nothing any
 * more), FORGET. When the drain runs out of time nothing is lost: what was not acknowledged was not
 * committed, and the next owner reads it again.
 */
#include "control/assign.h"

#include "control/commit.h"
#include "control/standing.h"
#include "control/task.h"

#define DRAIN_US 5000000
#define GRACE_NEWCOMER_US \
    5000000 /* rebalances take more than one round: do not refuse in the middle of one */
#define GRACE_HOLDER_US \
    60000000 /* a second node that was started by mistake refuses first, and goes */

void assign_tell(struct node *node, unsigned shard, const struct shard_command *command)
{
    shard_post(&node->shards[shard], command);
    /* Soon at first; a shard in a long step is not hurried by a control thread that eats its core.
     */
    for (uint64_t pause_us = 20; !shard_obeyed(&node->shards[shard]);) {
        node_doze(node, pause_us);
        pause_us += pause_us < 1000 ? pause_us / 2 : 0;
    }
}

static void tell_all(struct task *task, struct shard_command command)
{
    command.task = task->index;
    for (unsigned s = 0; s < task->node->n_shards; s++)
        assign_tell(task->node, s, &command);
}

void assign_pause(struct task *task, bool paused)
{
    tell_all(task, (struct shard_command){ .order = SHARD_PAUSE, .flag = paused });
}

static bool by_key(const struct task *task)
{
    return task->config->source.kind == CONFIG_SOURCE_KAFKA &&
           task->config->source.kafka.partitioned_by_key;
}

static uint32_t next_epoch(struct task *task, uint16_t slot)
{
    uint32_t epoch = task->epoch + 1;
    __atomic_store_n(&task->epochs[slot], epoch, __ATOMIC_RELAXED);
    __atomic_store_n(&task->epoch, epoch, __ATOMIC_RELEASE);
    return epoch;
}

void assign_files(struct task *task)
{
    task->epoch = 1;
    for (unsigned slot = 0; slot < PARTITIONS_MAX; slot++)
        task->epochs[slot] = 1;
    task->assigned_once = task->held_all = true;
}

static void knows_no_more(struct task *task)
{
    __atomic_store_n(&task->knows_all, false, __ATOMIC_RELAXED);
}

void assign_assigned(void *context, struct source_partition *partitions, unsigned n, unsigned total)
{
    struct task *task = context;
    task->n_total = total;
    task->n_owned += n;
    task->assigned_once = true;
    if (task->n_owned == total)
        task->held_all = true;
    else
        knows_no_more(task); /* somebody else may write entities that we have not seen */
    assign_check_alone(
        task, node_now_us(task->node)); /* pauses, where it must, before anything is read */
    for (unsigned i = 0; i < n; i++) {
        uint16_t slot =
            partitions_slot(task->partitions, partitions[i].topic, partitions[i].number);
        if (slot == PARTITION_NONE) {
            struct err err;
            (void)err_set(
                &err, EXIT_CONFIG,
                "more than %d partitions in one task: split its topics over several tasks",
                PARTITIONS_MAX);
            task_fail(task, &err);
            return;
        }
        struct assignment *at = &task->assignments[slot];
        partitions[i].slot = slot;
        at->shard = (unsigned)partitions[i].number % task->node->n_shards;
        at->end_offset = partitions[i].end_offset;
        at->read = at->durable = at->known = partitions[i].offset;
        at->durable_clock = at->known_clock = partitions[i].clock;
        at->committed = partitions[i].fresh ? -1 : partitions[i].offset;
        at->high = partitions[i].end_offset;
        if (!partitions[i].fresh)
            knows_no_more(
                task); /* somebody has read this log before: what he wrote is in the sinks */
        (void)next_epoch(task, slot);
        struct shard_command attach = { .order = SHARD_ATTACH,
                                        .task = task->index,
                                        .partition = slot,
                                        .offset = partitions[i].offset,
                                        .clock = partitions[i].clock,
                                        .handle = partitions[i].handle };
        assign_tell(task->node, at->shard, &attach);
        __atomic_store_n(&at->owned, 1, __ATOMIC_RELEASE);
    }
    log_line(LOG_INFO, task->config->name, "%u of %u partitions are ours now (%u new)",
             task->n_owned, total, n);
}

/* Waits until everything that was read of these partitions is durable, for DRAIN_US at most. */
static void drain(struct task *task, const struct source_partition *partitions, unsigned n)
{
    uint64_t until_us = node_now_us(task->node) + DRAIN_US;
    bool clean = false;
    tell_all(task, (struct shard_command){ .order = SHARD_FLUSH, .flag = true });
    while (!clean && node_now_us(task->node) < until_us && task_state(task) != TASK_FAILED &&
           !node_hurries(task->node)) {
        clean = true;
        standing_serve(task); /* a drain lives too: it must be able to write */
        commit_look(task);
        for (unsigned i = 0; i < n; i++) {
            const struct assignment *at = &task->assignments[partitions[i].slot];
            clean = clean && at->durable == at->read;
        }
        if (!clean)
            node_doze(task->node, 2000);
    }
    tell_all(task, (struct shard_command){ .order = SHARD_FLUSH, .flag = false });
    if (!clean)
        log_line(LOG_WARN, task->config->name,
                 "a partition is taken away before all that was read of it is written; "
                 "its next owner reads that again");
}

void assign_revoking(void *context, struct source_partition *partitions, unsigned n, bool lost)
{
    struct task *task = context;
    standing_tick(task->node); /* the first thing after a standstill may be that all is lost */
    knows_no_more(task);
    for (unsigned i = 0; i < n; i++) {
        struct shard_command detach = { .order = SHARD_DETACH,
                                        .task = task->index,
                                        .partition = partitions[i].slot };
        assign_tell(task->node, task->assignments[partitions[i].slot].shard, &detach);
    }
    if (!lost) {
        drain(task, partitions, n);
        (void)commit_round(task, true);
    }
    for (unsigned i = 0; i < n; i++) {
        uint16_t slot = partitions[i].slot;
        __atomic_store_n(&task->assignments[slot].owned, 0, __ATOMIC_RELEASE);
        (void)next_epoch(task, slot);
        tell_all(task, (struct shard_command){ .order = SHARD_FORGET, .partition = slot });
        task->n_owned--;
    }
    log_line(lost ? LOG_WARN : LOG_INFO, task->config->name,
             "%u partitions are %s; %u of %u are ours", n, lost ? "lost" : "given up",
             task->n_owned, task->n_total);
    if (task->n_owned > 0)
        return;
    task->unowned_us = node_now_us(task->node);
    standing_serve(task); /* nothing is left that could be in doubt */
}

/* Where every sink keeps the newest of each value itself, several writers of one document do no
 * harm. */
static bool sinks_merge(const struct task *task)
{
    bool merge = task->config->n_sinks > 0;
    for (unsigned i = 0; i < task->config->n_sinks; i++)
        merge = merge && task->sinks[i]->merges;
    return merge;
}

void assign_check_alone(struct task *task, uint64_t now_us)
{
    bool alone = by_key(task) || task->n_owned == 0 || task->n_owned == task->n_total ||
                 task->config->source.kind == CONFIG_SOURCE_FILE || sinks_merge(task);
    if (alone) {
        if (task->alone_deadline_us != 0 && task->n_owned > 0) {
            log_line(LOG_INFO, task->config->name, "alone on the log again: going on");
            assign_pause(task, false);
        }
        if (task->n_owned > 0)
            task->alone_deadline_us = 0;
        return;
    }
    if (task->alone_deadline_us == 0) {
        task->alone_deadline_us = now_us + (task->held_all ? GRACE_HOLDER_US : GRACE_NEWCOMER_US);
        assign_pause(task, true);
        log_line(LOG_ALERT, task->config->name,
                 "another member of group %s has %u of the %u partitions: paused, "
                 "because documents whose rows come by several partitions need one writer",
                 task->config->source.kafka.group, task->n_total - task->n_owned, task->n_total);
    } else if (now_us > task->alone_deadline_us) {
        struct err err;
        (void)err_set(
            &err, EXIT_CONFIG,
            "this member has %u of %u partitions of group %s, so it is not alone, and the "
            "config does not say that all rows of a document come by one partition: set "
            "source.kafka.partitioned_by_key: true if the log is keyed by `%s`, or run one node",
            task->n_owned, task->n_total, task->config->source.kafka.group,
            task->config->document.key);
        task_fail(task, &err);
    }
}
