/*
 * boot.c: see boot.h.
 *
 *     config ─► plan, partitions, dead letters, sinks, source      (per task, this thread)
 *            ─► ports, pipelines                 (per shard, on its thread: threads.c)
 *            ─► pipelines joined to their peers ─► memory sealed ─► go
 *
 * Drivers do not know the config: in drivers.c its structs become theirs.
 */
#include "control/boot.h"

#include "control/assign.h"
#include "control/commit.h"
#include "control/drivers.h"
#include "control/standing.h"
#include "control/threads.h"
#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BYTES_PER_PENDING 4096
#define EVENTS_A_SHARE    8 /* at least so many of the largest fit a store */
/* Each size of row that waits for its state keeps 64 KiB busy, and there are some 70 sizes
 * (dataplane/base/slab.h): in less, what waits could fill everything, and wait for ever. Kafka's
 * usual largest message, 1 MiB, fits too. */
#define SHARE_BYTES_LEAST ((size_t)8 << 20)
#define KEEP_BYTES_MOST   ((size_t)8 << 20)
#define HEAPS_BYTES       ((size_t)8 << 20) /* of libraries, beside what they are told to stay in */

static void *reserve_array(unsigned n, size_t bytes)
{
    void *array = calloc(n, bytes);
    if (array == NULL)
        fatal(EXIT_SOFTWARE, "node: out of memory at the start");
    return array;
}

/* What a task's store has on each shard. */
static size_t share_bytes(const struct node *node)
{
    return node->config->node.memory_bytes / node->n_shards / node->n_tasks;
}

/* ---- a task's parts ---- */

static struct drivers drivers_of(const struct task *task)
{
    return (struct drivers){ .node = &task->node->config->node,
                             .task = task->config,
                             .plan = task->plan };
}

static int open_sinks(struct task *task, struct err *err)
{
    const struct drivers drivers = drivers_of(task);
    for (unsigned i = 0; i < task->config->n_sinks; i++) {
        const struct config_sink *config = &task->config->sinks[i];
        task->sinks[i] = drivers_sink(&drivers, config, &task->paths[i], err);
        if (task->sinks[i] == NULL)
            return -1;
    }
    return 0;
}

static void source_waits(void *task_of)
{
    standing_tick(((struct task *)task_of)->node);
}

static int open_source(struct task *task, struct err *err)
{
    const struct drivers drivers = drivers_of(task);
    task->events = (struct source_events){ .context = task,
                                           .assigned = assign_assigned,
                                           .revoking = assign_revoking,
                                           .uncommitted = commit_lost,
                                           .waiting = source_waits };
    task->source = drivers_source(&drivers, &task->events, err);
    if (task->source == NULL)
        return -1;
    if (task->config->source.kind == CONFIG_SOURCE_FILE)
        assign_files(task);
    standing_open(task);
    return 0;
}

static int open_letters(struct task *task, struct err *err)
{
    const struct drivers drivers = drivers_of(task);
    task->letters = drivers_letters(&drivers, err);
    return task->letters != NULL ? 0 : -1;
}

static int open_task(struct node *node, unsigned index, struct err *err)
{
    struct task *task = &node->tasks[index];
    task->node = node;
    task->index = index;
    task->config = &node->config->tasks[index];
    task->unowned_us = node->started_us;
    task->partitions = partitions_open();
    task->pipelines = reserve_array(node->n_shards, sizeof(struct pipeline *));
    task->readers = reserve_array(node->n_shards, sizeof(struct store_reader *));
    task->positions = reserve_array(node->n_shards * PARTITIONS_MAX, sizeof(struct shard_mark));
    task->lows = reserve_array(node->n_shards * PARTITIONS_MAX, sizeof(struct shard_mark));
    task->commits = reserve_array(PARTITIONS_MAX, sizeof(*task->commits));
    task->commit_slots = reserve_array(PARTITIONS_MAX, sizeof(*task->commit_slots));
    task->plan = drivers_plan(task->config);
    if (open_letters(task, err) != 0 || open_sinks(task, err) != 0 || open_source(task, err) != 0)
        return -1;
    return 0;
}

/* ---- a shard ---- */

static int build_pipeline(struct node *node, struct shard *shard, struct task *task,
                          struct err *err)
{
    const struct config_source *source = &task->config->source;
    size_t store_bytes = share_bytes(node), event_bytes = store_bytes / EVENTS_A_SHARE;
    if (source->max_event_bytes < event_bytes)
        event_bytes = source->max_event_bytes;
    struct pipeline_options options = {
        .task = task->config->name,
        .plan = task->plan,
        .format = decoder_find(config_format_name(source->format)),
        .seqno_field = drivers_text(source->seqno.field),
        .skew_max_us = source->max_clock_skew_us,
        .event_bytes_max = event_bytes,
        .store_bytes = store_bytes,
        .pending_max = (uint32_t)(store_bytes / BYTES_PER_PENDING),
        .shard = shard->id,
        .n_shards = node->n_shards,
        .by_key = source->kind == CONFIG_SOURCE_KAFKA && source->kafka.partitioned_by_key,
        .hydrate = task->config->hydrate_sink,
        .n_outlets = task->config->n_sinks,
        .source = task->source->ops->port(task->source, shard->id, shard->env, task->partitions),
        .letters = task->letters,
        .partitions = task->partitions,
        .epochs = task->epochs,
        .epoch = &task->epoch,
        .knows_all = &task->knows_all,
        .fence = &task->fence,
        .env = shard->env,
    };
    for (unsigned i = 0; i < options.n_outlets; i++) {
        const struct config_sink *sink = &task->config->sinks[i];
        struct sink_port *port =
            task->sinks[i]->ops->port(task->sinks[i], shard->id, shard->env, err);
        if (port == NULL)
            return -1;
        options.outlets[i] = (struct outlet_options){ .name = sink->name,
                                                      .port = port,
                                                      .limits = drivers_limits(sink),
                                                      .linger_us = sink->batch.linger_us };
    }
    struct pipeline *pipeline = pipeline_open(&options);
    pipeline->paused = true; /* until the task's sinks are prepared */
    shard->pipelines[task->index] = pipeline;
    task->pipelines[shard->id] = pipeline;
    task->readers[shard->id] = store_reader_open(pipeline->store);
    return 0;
}

int boot_shard(struct node *node, unsigned id, struct env *env, struct err *err)
{
    struct shard *shard = &node->shards[id];
    shard->id = id;
    shard->env = env;
    shard->n_pipelines = node->n_tasks;
    for (unsigned i = 0; i < node->n_tasks; i++)
        if (build_pipeline(node, shard, &node->tasks[i], err) != 0)
            return -1;
    return 0;
}

/* ---- the node ---- */

static int check_size(const struct node *node, struct err *err)
{
    if (node->n_shards > SHARDS_MAX)
        return err_set(err, EXIT_CONFIG,
                       "node.cores names %u cores; at most %d shards run in one process",
                       node->n_shards, SHARDS_MAX);
    if (share_bytes(node) < SHARE_BYTES_LEAST)
        return err_set(err, EXIT_CONFIG,
                       "node.memory: %zu MiB for %u tasks on %u cores is too little: set it to at "
                       "least %zuMiB, or give the node fewer cores or tasks",
                       (size_t)node->config->node.memory_bytes >> 20, node->n_tasks, node->n_shards,
                       SHARE_BYTES_LEAST * node->n_shards * node->n_tasks >> 20);
    return 0;
}

/* What buffers keep of an unusual peak: little where the node is to be small. */
static size_t keep_bytes(uint64_t memory_bytes)
{
    uint64_t bytes = memory_bytes / 64;
    return bytes < KEEP_BYTES_MOST ? (size_t)bytes : KEEP_BYTES_MOST;
}

/* What the process takes now: its code, its libraries and their heaps, and what was touched already
 * of what is reserved (which then counts twice: it is a bound, not a sum). */
static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t mib(size_t bytes)
{
    return (bytes + ((size_t)1 << 20) - 1) >> 20;
}

/* What an operator can plan with: docs/OPERATIONS.md, Memory. */
static void tell_memory(const struct node *node)
{
    const struct config *config = node->config;
    size_t stores = (size_t)config->node.memory_bytes;
    size_t tables = memory_reserved_bytes() > stores ? memory_reserved_bytes() - stores : 0;
    size_t buffers = memory_buffer_bytes();
    size_t libraries = memory_library_bytes() + HEAPS_BYTES;
    size_t process = resident_bytes();
    log_line(LOG_INFO, "node",
             "%s: %u shards, %u tasks; memory: %zu MiB for documents (node.memory) and %zu MiB "
             "reserved at start (tables %zu, buffers %zu, libraries %zu, process %zu)",
             config->node.name, node->n_shards, node->n_tasks, stores >> 20,
             mib(tables) + mib(buffers) + mib(libraries) + mib(process), mib(tables), mib(buffers),
             mib(libraries), mib(process));
}

int boot_open(struct node *node, struct err *err)
{
    const struct config *config = node->config;
    node->started_us = node_now_us(node);
    node->started_wall_us = env_wall_us(node->env);
    node->n_shards = config->node.cores.n;
    node->n_tasks = config->n_tasks;
    if (check_size(node, err) != 0)
        return -1;
    memory_setup(config->node.hugepages);
    memory_keep(keep_bytes(config->node.memory_bytes));
    node->shards = reserve_array(node->n_shards, sizeof(*node->shards));
    node->tasks = reserve_array(node->n_tasks, sizeof(*node->tasks));
    for (unsigned i = 0; i < node->n_tasks; i++)
        if (open_task(node, i, err) != 0)
            return -1;
    if (threads_open(node, err) != 0)
        return -1;
    for (unsigned s = 0; s < node->n_shards; s++)
        for (unsigned i = 0; i < node->n_tasks; i++)
            pipeline_join(node->tasks[i].pipelines[s], node->tasks[i].pipelines);
    memory_seal();
    tell_memory(node);
    return 0;
}

void boot_close(struct node *node)
{
    threads_close(node);
    for (unsigned i = 0; i < node->n_tasks; i++) {
        struct task *task = &node->tasks[i];
        for (unsigned sink = 0; sink < task->config->n_sinks; sink++)
            task->sinks[sink]->ops->close(task->sinks[sink]);
        task->letters->ops->close(task->letters);
    }
}

void boot_free(struct node *node)
{
    threads_free(node);
    for (unsigned i = 0; i < node->n_tasks; i++) {
        struct task *task = &node->tasks[i];
        for (unsigned sink = 0; sink < SINKS_MAX; sink++)
            free(task->paths[sink]);
        free(task->pipelines);
        free(task->readers);
        free(task->positions);
        free(task->lows);
        free(task->commits);
        free(task->commit_slots);
    }
    free(node->tasks);
    free(node->shards);
}
