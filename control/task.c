/*
 * task.c: see task.h.
 *
 *     STARTING ── sinks prepared ──► RUNNING ⇄ PAUSED ──► DRAINING ──► ENDED
 *         └──────────── any of these, when it can't go on ───────────► FAILED
 *
 * Servers that are away are waited for, with backoff, for ever; with --until-end for `wait`, then
 * the task fails with EXIT_UNAVAILABLE.
 */
#include "control/task.h"

#include "control/assign.h"
#include "control/commit.h"
#include "control/standing.h"
#include "drivers/file/file.h"

#include <inttypes.h>

#define PREPARE_RETRY_US_MAX 10000000
#define FILE_COMMIT_US       1000000
#define MARKS_US             1000000
#define KEEP_US              500000

enum task_state task_state(const struct task *task)
{
    return (enum task_state)__atomic_load_n(&task->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct task *task, enum task_state state)
{
    __atomic_store_n(&task->state, (int)state, __ATOMIC_RELEASE);
}

void task_fail(struct task *task, const struct err *err)
{
    if (task_state(task) == TASK_FAILED)
        return;
    task->failure = *err;
    set_state(task, TASK_FAILED);
    assign_pause(task, true);
    log_line(LOG_ERROR, task->config->name, "the task ends: %s", err->text);
}

static bool waited_out(const struct task *task, uint64_t since_us, uint64_t now_us)
{
    const struct node_options *options = &task->node->options;
    return options->until_end && now_us > since_us && now_us - since_us > options->wait_us;
}

/* ---- start ---- */

static void prepare_failed(struct task *task, const struct err *err, uint64_t now_us)
{
    const char *sink = task->config->sinks[task->n_prepared].name;
    if (err->code != EXIT_UNAVAILABLE) {
        task_fail(task, err);
        return;
    }
    if (waited_out(task, task->node->started_us, now_us)) {
        struct err waited;
        (void)err_set(&waited, EXIT_UNAVAILABLE,
                      "sink %s did not answer within the time of --wait: %s: see that it runs "
                      "there, or correct its address in the config, and run again",
                      sink, err->text);
        task_fail(task, &waited);
        return;
    }
    uint64_t delay_us = UINT64_C(250000)
                        << (task->prepare_attempts < 6 ? task->prepare_attempts : 6);
    if (delay_us > PREPARE_RETRY_US_MAX)
        delay_us = PREPARE_RETRY_US_MAX;
    if (task->prepare_attempts++ == 0)
        log_line(LOG_WARN, task->config->name, "sink %s: %s: trying again until it answers", sink,
                 err->text);
    task->prepare_us = now_us + delay_us;
}

/* Prepares one sink; when all are, the source may be read. */
static void prepare(struct task *task, uint64_t now_us)
{
    struct err err;
    if (now_us < task->prepare_us)
        return;
    struct sink *sink = task->sinks[task->n_prepared];
    int prepared = sink->ops->prepare(sink, &err);
    if (prepared < 0) {
        prepare_failed(task, &err, now_us);
        return;
    }
    if (task->prepare_attempts > 0)
        log_line(LOG_NOTICE, task->config->name, "sink %s answers",
                 task->config->sinks[task->n_prepared].name);
    bool by_key = task->pipelines[0]->options.by_key;
    task->all_created = (task->n_prepared == 0 || task->all_created) && prepared == 1;
    task->prepare_attempts = 0;
    if (++task->n_prepared == task->config->n_sinks) {
        task->knows_all =
            task->all_created && (!by_key || task->node->n_shards == 1); /* R3's shortcut */
        set_state(task, TASK_RUNNING);
        assign_pause(task, false);
    }
}

/* ---- running ---- */

static void check_pipelines(struct task *task)
{
    for (unsigned s = 0; s < task->node->n_shards; s++) {
        const struct pipeline *pipeline = task->pipelines[s];
        if (__atomic_load_n(&pipeline->failed, __ATOMIC_ACQUIRE)) {
            task_fail(task, &pipeline->failure);
            return;
        }
    }
}

/* With --until-end, a server that stays away ends the task. */
static void check_reached(struct task *task, uint64_t now_us)
{
    struct err err;
    char why[300] = "";
    if (!task->node->options.until_end)
        return;
    if (task->n_owned == 0 && task->config->source.kind == CONFIG_SOURCE_KAFKA) {
        bool reached = task->source->ops->reached(task->source, why, sizeof(why));
        if (waited_out(task, task->unowned_us, now_us)) {
            if (reached)
                (void)err_set(&err, EXIT_UNAVAILABLE,
                              "no partition was assigned within the time of --wait: does the "
                              "topic exist, is another member of the group alive?");
            else
                (void)err_set(&err, EXIT_UNAVAILABLE, "Kafka can't be reached: %s", why);
            task_fail(task, &err);
            return;
        }
    }
    for (unsigned s = 0; s < task->node->n_shards; s++)
        for (unsigned sink = 0; sink < task->config->n_sinks; sink++) {
            uint64_t since_us = counter_read(&task->pipelines[s]->outlets[sink].failing_since_us);
            if (since_us == 0 || !waited_out(task, since_us, now_us))
                continue;
            (void)err_set(&err, EXIT_UNAVAILABLE,
                          "sink %s took nothing for longer than --wait; what it took before is "
                          "kept, run again to go on",
                          task->config->sinks[sink].name);
            task_fail(task, &err);
            return;
        }
}

static void ask_marks(struct task *task)
{
    for (unsigned slot = 0; slot < partitions_count(task->partitions); slot++) {
        struct source_marks marks;
        struct assignment *at = &task->assignments[slot];
        if (at->owned && task->source->ops->marks != NULL &&
            task->source->ops->marks(task->source,
                                     partitions_topic(task->partitions, (uint16_t)slot),
                                     partitions_number(task->partitions, (uint16_t)slot), &marks))
            __atomic_store_n(&at->high, marks.high, __ATOMIC_RELAXED);
    }
}

static void count_damage(struct task *task)
{
    if (task->config->source.kind == CONFIG_SOURCE_FILE)
        task->damaged_files = file_source_damaged(task->source);
}

static void do_due(struct task *task, uint64_t now_us)
{
    const struct config_source *source = &task->config->source;
    uint64_t interval_us =
        source->kind == CONFIG_SOURCE_KAFKA ? source->kafka.commit_interval_us : FILE_COMMIT_US;
    if (now_us >= task->marks_us) {
        ask_marks(task);
        task->marks_us = now_us + MARKS_US;
    }
    if (now_us >= task->commit_us) {
        (void)commit_round(task, false);
        task->commit_us = now_us + interval_us;
    }
}

void task_tick(struct task *task, unsigned timeout_ms)
{
    struct err err;
    uint64_t now_us = node_now_us(task->node);
    standing_tick(task->node);
    switch (task_state(task)) {
    case TASK_STARTING:
        prepare(task, now_us);
        if (task_state(task) == TASK_STARTING)
            node_doze(task->node, timeout_ms * UINT64_C(1000));
        return;
    case TASK_RUNNING:
    case TASK_PAUSED:
    case TASK_DRAINING:
        if (task->source->ops->service(task->source, timeout_ms, &err) != 0) {
            task_fail(task, &err);
            return;
        }
        standing_serve(task); /* after what Kafka had to say of a lost assignment */
        assign_check_alone(task, now_us);
        check_pipelines(task);
        check_reached(task, now_us);
        if (task_state(task) != TASK_FAILED)
            do_due(task, now_us);
        return;
    case TASK_FAILED:
        task_close_source(task); /* others of the group may have its partitions */
        /* fall through */
    case TASK_ENDED:
        node_doze(task->node, timeout_ms * UINT64_C(1000));
        return;
    }
}

/* ---- end ---- */

void task_close_source(struct task *task)
{
    if (!task->source_closed)
        task->source->ops->close(task->source);
    task->source_closed = true;
}

static bool pipelines_idle(const struct task *task)
{
    for (unsigned s = 0; s < task->node->n_shards; s++)
        if (!__atomic_load_n(&task->pipelines[s]->quiet, __ATOMIC_ACQUIRE))
            return false;
    for (unsigned s = 0; s < task->node->n_shards; s++)
        if (counter_read(&task->pipelines[s]->n_pending) > 0)
            return false;
    return true;
}

static bool files_ended(const struct task *task)
{
    for (unsigned s = 0; s < task->node->n_shards; s++)
        if (!__atomic_load_n(&task->pipelines[s]->source_ended, __ATOMIC_ACQUIRE))
            return false;
    return pipelines_idle(task);
}

/* Kafka: every partition is durable up to the end that it had when it was assigned. */
static bool ends_reached(struct task *task)
{
    if (!task->assigned_once || task->n_owned == 0)
        return false;
    commit_look(task);
    for (unsigned slot = 0; slot < partitions_count(task->partitions); slot++) {
        const struct assignment *at = &task->assignments[slot];
        if (at->owned && at->durable < at->end_offset)
            return false;
    }
    return true;
}

/* With --until-end: what is done is committed, and the dead letters are durable. A group that lost
 * us, or is busy, takes no commit: then the task goes on, joins anew, and reads again what it must.
 */
static bool kept(struct task *task)
{
    struct err err;
    uint64_t now_us = node_now_us(task->node);
    if (task->unkept_us != 0 && now_us < task->keep_us)
        return false;
    bool kept = commit_round(task, true) == 0;
    task->keep_us = now_us + KEEP_US;
    if (kept || task->unkept_us == 0)
        task->unkept_us = kept ? 0 : now_us;
    if (!kept && waited_out(task, task->unkept_us, now_us)) {
        (void)err_set(&err, EXIT_UNAVAILABLE,
                      "what is done could not be committed, or its dead letters not be kept, for "
                      "longer than --wait; run again");
        task_fail(task, &err);
    }
    return kept;
}

bool task_done(struct task *task)
{
    bool file = task->config->source.kind == CONFIG_SOURCE_FILE;
    if (task_state(task) != TASK_RUNNING)
        return false;
    return (file ? files_ended(task) : ends_reached(task)) && kept(task);
}

/* A drain does not serve the source, so nothing new is assigned. But where this node stood still,
 * only the source can say that its partitions are somebody else's, and until then nothing is
 * written. */
static void serve_doubt(struct task *task)
{
    struct err err;
    if (task->in_doubt && task->source->ops->service(task->source, 0, &err) != 0)
        task_fail(task, &err);
    else
        standing_serve(task);
}

bool task_drain(struct task *task, uint64_t bound_us)
{
    uint64_t until_us = node_now_us(task->node) + bound_us;
    set_state(task, TASK_DRAINING);
    assign_pause(task, true);
    for (unsigned s = 0; s < task->node->n_shards; s++) {
        struct shard_command flush = { .order = SHARD_FLUSH, .task = task->index, .flag = true };
        assign_tell(task->node, s, &flush);
    }
    while (!pipelines_idle(task) && node_now_us(task->node) < until_us &&
           !node_hurries(task->node)) {
        serve_doubt(task);
        check_pipelines(task);
        if (task_state(task) == TASK_FAILED)
            return false;
        node_doze(task->node, 2000);
    }
    bool clean = pipelines_idle(task);
    if (commit_round(task, true) != 0)
        clean = false;
    count_damage(task);
    if (task_state(task) != TASK_FAILED)
        set_state(task, TASK_ENDED);
    return clean;
}
