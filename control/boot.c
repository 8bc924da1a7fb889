/*
 * boot.c: see boot.h.
 *
 *     config ─► plan, partitions, dead letters, sinks, source      (per task, this thread)
 *            ─► env, ports, pipelines                               (per shard, that shard's
 * thread, one by one) ─► pipelines joined to their peers ─► memory sealed ─► go
 *
 * A shard builds itself on its own thread, pinned already, because its ring belongs to the thread
 * that opened it and because memory comes from the node of the core that touches it first.
 *
 * Drivers do not know the config: here its structs become theirs.
 */
#include "control/boot.h"

#include "control/assign.h"
#include "dataplane/base/folder.h"
#include "dataplane/base/log.h"
#include "drivers/dead_letter/file.h"
#include "drivers/dead_letter/kafka.h"
#include "drivers/elasticsearch/elasticsearch.h"
#include "drivers/file/file.h"
#include "drivers/kafka/kafka.h"
#include "drivers/sqlite/sqlite.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES_PER_PENDING  4096
#define DOCUMENT_BYTES_MAX (100u << 20) /* Elasticsearch takes no request over 100 MB */

/* What a shard's thread is told, and tells. */
struct shard_thread {
    struct node *node;
    struct shard *shard;
    sem_t built, go;
    int result;
    struct err err;
};

static void *reserve_array(unsigned n, size_t bytes)
{
    void *array = calloc(n, bytes);
    ASSERT(array != NULL);
    return array;
}

/* ---- a task's parts ---- */

static struct slice text(const char *string)
{
    return string != NULL ? slice_of(string) : (struct slice){ NULL, 0 };
}

static void open_plan(struct task *task)
{
    const struct config_task *config = task->config;
    const struct config_document *document = &config->document;
    enum images images =
        config->source.images == CONFIG_IMAGES_PARTIAL ? IMAGES_PARTIAL : IMAGES_FULL;
    enum emit emit = document->emit == CONFIG_EMIT_ON_ROOT ? EMIT_ON_ROOT : EMIT_ALWAYS;
    task->plan = plan_open(slice_of(config->name), slice_of(document->key), images, emit);
    for (unsigned i = 0; i < document->n_tables; i++) {
        const struct config_table *from = &document->tables[i];
        struct plan_table table = { .name = text(from->name),
                                    .into = text(from->into),
                                    .many = text(from->many) };
        struct plan_rename *renames = reserve_array(from->columns.n + 1, sizeof(*renames));
        for (unsigned c = 0; c < from->columns.n; c++)
            renames[c] = (struct plan_rename){ text(from->columns.items[c].name),
                                               text(from->columns.items[c].value) };
        plan_add_table(task->plan, &table, renames, from->columns.n);
        free(renames);
    }
}

/* Where a path of the config really is, with the folders above it made. *out is the caller's to
 * free. */
static int resolve(const struct task *task, const char *path, char **out, struct err *err)
{
    char buffer[PATH_MAX];
    if (config_resolve_path(&task->node->config->node, path, buffer, sizeof(buffer)) != 0)
        return err_set(err, EXIT_CONFIG, "task %s: the path %s is too long", task->config->name,
                       path);
    char folder[PATH_MAX] = "";
    int made = folder_make_above(buffer, 0750, folder, sizeof(folder));
    if (made != 0)
        return err_set(err, EXIT_IO, "task %s: the folder %s, above %s, cannot be made: %s",
                       task->config->name, folder, path, strerror(-made));
    *out = strdup(buffer);
    ASSERT(*out != NULL);
    return 0;
}

/* "a,b,c" */
static char *join_text(const struct config_strings *strings)
{
    char *joined = NULL;
    size_t bytes;
    FILE *out = open_memstream(&joined, &bytes);
    ASSERT(out != NULL);
    for (unsigned i = 0; i < strings->n; i++)
        (void)fprintf(out, "%s%s", i > 0 ? "," : "", strings->items[i]);
    ASSERT(fclose(out) == 0 && joined != NULL);
    return joined;
}

static int open_letters(struct task *task, struct err *err)
{
    const struct config_dead_letter *config = &task->config->dead_letter;
    size_t event_bytes = task->config->source.max_event_bytes;
    if (config->kind == CONFIG_DEAD_LETTER_FILE) {
        char *path;
        if (resolve(task, config->file, &path, err) != 0)
            return -1;
        task->letters = dead_letter_file_open(path, task->config->name, event_bytes, err);
        free(path);
    } else {
        struct dead_letter_setting *settings =
            reserve_array(config->kafka.options.n + 1, sizeof(*settings));
        for (unsigned i = 0; i < config->kafka.options.n; i++)
            settings[i] = (struct dead_letter_setting){ config->kafka.options.items[i].name,
                                                        config->kafka.options.items[i].value };
        char *brokers = join_text(&config->kafka.brokers);
        struct dead_letter_kafka_options options = { .brokers = brokers,
                                                     .topic = config->kafka.topic,
                                                     .options = settings,
                                                     .n_options = config->kafka.options.n,
                                                     .event_bytes_max = event_bytes };
        task->letters = dead_letter_kafka_open(&options, task->config->name, err);
        free(brokers);
        free(settings);
    }
    return task->letters != NULL ? 0 : -1;
}

static struct sink_limits limits_of(const struct config_sink *sink)
{
    return (struct sink_limits){ .docs = sink->batch.docs,
                                 .in_flight = sink->batch.in_flight,
                                 .bytes = sink->batch.bytes,
                                 .document_bytes_max = DOCUMENT_BYTES_MAX };
}

static struct sink *open_elasticsearch(struct task *task, const struct config_sink *config,
                                       struct err *err)
{
    const struct config_elasticsearch *from = &config->elasticsearch;
    struct elasticsearch_options options = {
        .urls = from->urls.items,
        .n_urls = from->urls.n,
        .index = from->index,
        .username = from->username,
        .password = from->password,
        .api_key = from->api_key,
        .ca_file = from->tls.ca,
        .cert_file = from->tls.cert,
        .key_file = from->tls.key,
        .verify = from->tls.verify,
        .gzip = from->compression == CONFIG_COMPRESSION_GZIP,
        .timeout_us = from->timeout_us,
        .limits = limits_of(config),
        .plan = task->plan,
    };
    return elasticsearch_sink_open(&options, err);
}

static struct sink *open_sqlite(struct task *task, const struct config_sink *config, char **path,
                                struct err *err)
{
    if (resolve(task, config->sqlite.path, path, err) != 0)
        return NULL;
    struct sqlite_options options = { .path = *path,
                                      .table = config->sqlite.table,
                                      .plan = task->plan,
                                      .limits = limits_of(config) };
    return sqlite_sink_open(&options, err);
}

static int open_sinks(struct task *task, struct err *err)
{
    for (unsigned i = 0; i < task->config->n_sinks; i++) {
        const struct config_sink *config = &task->config->sinks[i];
        task->sinks[i] = config->kind == CONFIG_SINK_SQLITE
                             ? open_sqlite(task, config, &task->paths[i], err)
                             : open_elasticsearch(task, config, err);
        if (task->sinks[i] == NULL)
            return -1;
    }
    return 0;
}

static int open_source(struct task *task, struct err *err)
{
    const struct config_source *config = &task->config->source;
    if (config->kind == CONFIG_SOURCE_FILE) {
        struct file_options options = { .paths = config->file.paths.items,
                                        .n_paths = config->file.paths.n,
                                        .event_bytes_max = config->max_event_bytes };
        task->source = file_source_open(&options, err);
        assign_files(task);
    } else {
        struct kafka_setting *settings =
            reserve_array(config->kafka.options.n + 1, sizeof(*settings));
        for (unsigned i = 0; i < config->kafka.options.n; i++)
            settings[i] = (struct kafka_setting){ config->kafka.options.items[i].name,
                                                  config->kafka.options.items[i].value };
        task->events = (struct source_events){ .context = task,
                                               .assigned = assign_assigned,
                                               .revoking = assign_revoking };
        struct kafka_options options = {
            .brokers = config->kafka.brokers.items,
            .n_brokers = config->kafka.brokers.n,
            .topics = config->kafka.topics.items,
            .n_topics = config->kafka.topics.n,
            .group = config->kafka.group,
            .client_id = task->node->config->node.name,
            .partitioned_by_key = config->kafka.partitioned_by_key,
            .start_latest = config->kafka.start == CONFIG_START_LATEST,
            .options = settings,
            .n_options = config->kafka.options.n,
            .event_bytes_max = config->max_event_bytes,
        };
        task->source = kafka_source_open(&options, &task->events, err);
        free(settings);
    }
    return task->source != NULL ? 0 : -1;
}

static int open_task(struct node *node, unsigned index, struct err *err)
{
    struct task *task = &node->tasks[index];
    task->node = node;
    task->index = index;
    task->config = &node->config->tasks[index];
    task->partitions = partitions_open();
    task->pipelines = reserve_array(node->n_shards, sizeof(struct pipeline *));
    task->readers = reserve_array(node->n_shards, sizeof(struct store_reader *));
    task->positions = reserve_array(node->n_shards * PARTITIONS_MAX, sizeof(struct shard_mark));
    task->lows = reserve_array(node->n_shards * PARTITIONS_MAX, sizeof(struct shard_mark));
    open_plan(task);
    if (open_letters(task, err) != 0 || open_sinks(task, err) != 0 || open_source(task, err) != 0)
        return -1;
    return 0;
}

/* ---- a shard ---- */

static int build_pipeline(struct shard_thread *thread, struct task *task, struct err *err)
{
    struct node *node = thread->node;
    struct shard *shard = thread->shard;
    const struct config_source *source = &task->config->source;
    size_t store_bytes = node->config->node.memory_bytes / node->n_shards / node->n_tasks;
    size_t event_bytes =
        source->max_event_bytes < store_bytes / 8 ? source->max_event_bytes : store_bytes / 8;
    struct pipeline_options options = {
        .task = task->config->name,
        .plan = task->plan,
        .format = decoder_find(config_format_name(source->format)),
        .seqno_field = text(source->seqno.field),
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
                                                      .limits = limits_of(sink),
                                                      .linger_us = sink->batch.linger_us };
    }
    struct pipeline *pipeline = pipeline_open(&options);
    pipeline->paused = true; /* until the task's sinks are prepared */
    shard->pipelines[task->index] = pipeline;
    task->pipelines[shard->id] = pipeline;
    task->readers[shard->id] = store_reader_open(pipeline->store);
    return 0;
}

static void pin(const struct node *node, unsigned shard)
{
    unsigned core = node->config->node.cores.items[shard];
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    int error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    if (error != 0)
        log_line(LOG_WARN, "node",
                 "shard %u can't be pinned to core %u: %s: it runs where the kernel puts it", shard,
                 core, strerror(error));
}

static int build_shard(struct shard_thread *thread)
{
    struct node *node = thread->node;
    pin(node, thread->shard->id);
    if (env_linux_open(&thread->shard->env, &thread->err) != 0)
        return -1;
    thread->shard->n_pipelines = node->n_tasks;
    for (unsigned i = 0; i < node->n_tasks; i++)
        if (build_pipeline(thread, &node->tasks[i], &thread->err) != 0)
            return -1;
    return 0;
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        ASSERT(errno == EINTR);
}

static void *shard_main(void *argument)
{
    struct shard_thread *thread = argument;
    thread->result = build_shard(thread);
    sem_post(&thread->built);
    if (thread->result != 0)
        return NULL;
    wait_for(&thread->go);
    shard_run(thread->shard);
    return NULL;
}

/* ---- the node ---- */

static int check_cores(const struct node *node, struct err *err)
{
    if (node->n_shards > SHARDS_MAX)
        return err_set(err, EXIT_CONFIG,
                       "node.cores names %u cores; at most %d shards run in one process",
                       node->n_shards, SHARDS_MAX);
    return 0;
}

static int build_shards(struct node *node, struct err *err)
{
    for (unsigned s = 0; s < node->n_shards; s++) {
        struct shard_thread *thread = &node->shard_threads[s];
        char name[24];
        thread->node = node;
        thread->shard = &node->shards[s];
        thread->shard->id = s;
        sem_init(&thread->built, 0, 0);
        sem_init(&thread->go, 0, 0);
        int error = pthread_create(&node->threads[s], NULL, shard_main, thread);
        if (error != 0)
            return err_set(err, EXIT_SOFTWARE, "a thread for shard %u: %s", s, strerror(error));
        (void)snprintf(name, sizeof(name), "shard-%u", s);
        (void)pthread_setname_np(node->threads[s], name);
        wait_for(&thread->built);
        if (thread->result != 0) {
            *err = thread->err;
            return -1;
        }
    }
    return 0;
}

int boot_open(struct node *node, struct err *err)
{
    const struct config *config = node->config;
    node->n_shards = config->node.cores.n;
    node->n_tasks = config->n_tasks;
    if (check_cores(node, err) != 0)
        return -1;
    memory_setup(config->node.hugepages);
    node->shards = reserve_array(node->n_shards, sizeof(*node->shards));
    node->threads = reserve_array(node->n_shards, sizeof(*node->threads));
    node->shard_threads = reserve_array(node->n_shards, sizeof(*node->shard_threads));
    node->tasks = reserve_array(node->n_tasks, sizeof(*node->tasks));
    for (unsigned i = 0; i < node->n_tasks; i++)
        if (open_task(node, i, err) != 0)
            return -1;
    if (build_shards(node, err) != 0)
        return -1;
    for (unsigned s = 0; s < node->n_shards; s++)
        for (unsigned i = 0; i < node->n_tasks; i++)
            pipeline_join(node->tasks[i].pipelines[s], node->tasks[i].pipelines);
    memory_seal();
    log_line(LOG_INFO, "node", "%s: %u shards, %u tasks, %zu MiB reserved (node.memory %zu MiB)",
             config->node.name, node->n_shards, node->n_tasks, memory_reserved_bytes() >> 20,
             (size_t)config->node.memory_bytes >> 20);
    return 0;
}

void boot_start(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++)
        sem_post(&node->shard_threads[s].go);
}

void boot_close(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++) {
        __atomic_store_n(&node->shards[s].stop, 1, __ATOMIC_RELEASE);
        env_wake(node->shards[s].env);
        (void)pthread_join(node->threads[s], NULL);
    }
    for (unsigned i = 0; i < node->n_tasks; i++) {
        struct task *task = &node->tasks[i];
        for (unsigned sink = 0; sink < task->config->n_sinks; sink++)
            task->sinks[sink]->ops->close(task->sinks[sink]);
        task->letters->ops->close(task->letters);
    }
}

void boot_free(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++) {
        env_linux_close(node->shards[s].env);
        sem_destroy(&node->shard_threads[s].built);
        sem_destroy(&node->shard_threads[s].go);
    }
    for (unsigned i = 0; i < node->n_tasks; i++) {
        struct task *task = &node->tasks[i];
        for (unsigned sink = 0; sink < SINKS_MAX; sink++)
            free(task->paths[sink]);
        free(task->pipelines);
        free(task->readers);
        free(task->positions);
        free(task->lows);
    }
    free(node->tasks);
    free(node->shard_threads);
    free(node->threads);
    free(node->shards);
}
