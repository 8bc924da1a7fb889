/*
 * drivers.c: see drivers.h.
 *
 *     config_task ─► plan
 *     config_sink ─► elasticsearch_options | hbase_options | sqlite_options ─► sink
 *     config_source ─► kafka_options | file_options ─► source, or a look at it
 *     config_dead_letter ─► a file's path | dead_letter_kafka_options ─► dead letters
 *
 * Nothing is decided here: which values are right and what is left out is the config's to settle,
 * what they mean is the drivers'.
 */
#include "control/drivers.h"

#include "dataplane/base/folder.h"
#include "drivers/dead_letter/file.h"
#include "drivers/dead_letter/kafka.h"
#include "drivers/elasticsearch/elasticsearch.h"
#include "drivers/file/file.h"
#include "drivers/hbase/hbase.h"
#include "drivers/kafka/inspect.h"
#include "drivers/sqlite/sqlite.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DOCUMENT_BYTES_MAX (100u << 20) /* Elasticsearch takes no request over 100 MB */

static void *reserve_array(unsigned n, size_t bytes)
{
    void *array = calloc(n, bytes);
    if (array == NULL)
        fatal(EXIT_SOFTWARE, "node: out of memory at the start");
    return array;
}

struct slice drivers_text(const char *text)
{
    return text != NULL ? slice_of(text) : (struct slice){ NULL, 0 };
}

struct plan *drivers_plan(const struct config_task *config)
{
    const struct config_document *document = &config->document;
    enum images images =
        config->source.images == CONFIG_IMAGES_PARTIAL ? IMAGES_PARTIAL : IMAGES_FULL;
    enum emit emit = document->emit == CONFIG_EMIT_ON_ROOT ? EMIT_ON_ROOT : EMIT_ALWAYS;
    struct plan *plan = plan_open(slice_of(config->name), slice_of(document->key), images, emit);
    plan->tombstone_retention_us = config->tombstone_retention_us;
    for (unsigned i = 0; i < document->n_tables; i++) {
        const struct config_table *from = &document->tables[i];
        struct plan_table table = { .name = drivers_text(from->name),
                                    .into = drivers_text(from->into),
                                    .many = drivers_text(from->many) };
        struct plan_rename *renames = reserve_array(from->columns.n + 1, sizeof(*renames));
        for (unsigned c = 0; c < from->columns.n; c++)
            renames[c] = (struct plan_rename){ drivers_text(from->columns.items[c].name),
                                               drivers_text(from->columns.items[c].value) };
        plan_add_table(plan, &table, renames, from->columns.n);
        free(renames);
    }
    return plan;
}

/* Where a path of the config really is, with the folders above it made. *out is the caller's to
 * free. */
static int resolve(const struct drivers *drivers, const char *path, char **out, struct err *err)
{
    const char *task = drivers->task->name;
    char buffer[PATH_MAX];
    if (config_resolve_path(drivers->node, path, buffer, sizeof(buffer)) != 0)
        return err_set(err, EXIT_CONFIG, "task %s: the path %s is too long", task, path);
    char folder[PATH_MAX] = "";
    int made = drivers->looks ? 0 : folder_make_above(buffer, 0750, folder, sizeof(folder));
    if (made != 0)
        return err_set(err, EXIT_IO, "task %s: the folder %s, above %s, cannot be made: %s", task,
                       folder, path, strerror(-made));
    *out = strdup(buffer);
    return *out != NULL ? 0 : err_set(err, EXIT_SOFTWARE, "task %s: out of memory", task);
}

/* ---- sinks ---- */

struct sink_limits drivers_limits(const struct config_sink *sink)
{
    return (struct sink_limits){ .docs = sink->batch.docs,
                                 .in_flight = sink->batch.in_flight,
                                 .bytes = sink->batch.bytes,
                                 .document_bytes_max = DOCUMENT_BYTES_MAX };
}

static struct sink *open_elasticsearch(const struct drivers *drivers,
                                       const struct config_sink *config, struct err *err)
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
        .limits = drivers_limits(config),
        .plan = drivers->plan,
    };
    return elasticsearch_sink_open(&options, err);
}

static struct sink *open_hbase(const struct drivers *drivers, const struct config_sink *config,
                               struct err *err)
{
    const struct config_hbase *from = &config->hbase;
    struct hbase_options options = {
        .zookeeper = from->zookeeper.items,
        .n_zookeeper = from->zookeeper.n,
        .masters = from->masters.items,
        .n_masters = from->masters.n,
        .znode_parent = from->znode_parent,
        .table = from->table,
        .family = from->family,
        .user = from->user,
        .create_regions = from->create.regions,
        .timeout_us = from->timeout_us,
        .limits = drivers_limits(config),
        .plan = drivers->plan,
    };
    return hbase_sink_open(&options, err);
}

static struct sink *open_sqlite(const struct drivers *drivers, const struct config_sink *config,
                                char **path, struct err *err)
{
    if (resolve(drivers, config->sqlite.path, path, err) != 0)
        return NULL;
    struct sqlite_options options = { .path = *path,
                                      .table = config->sqlite.table,
                                      .plan = drivers->plan,
                                      .limits = drivers_limits(config) };
    return sqlite_sink_open(&options, err);
}

struct sink *drivers_sink(const struct drivers *drivers, const struct config_sink *config,
                          char **path, struct err *err)
{
    *path = NULL;
    switch (config->kind) {
    case CONFIG_SINK_ELASTICSEARCH:
        return open_elasticsearch(drivers, config, err);
    case CONFIG_SINK_HBASE:
        return open_hbase(drivers, config, err);
    case CONFIG_SINK_SQLITE:
        return open_sqlite(drivers, config, path, err);
    }
    return NULL;
}

/* ---- sources ---- */

/* *settings is the caller's to free when the options were used. */
static struct kafka_options kafka_options_of(const struct drivers *drivers,
                                             struct kafka_setting **settings)
{
    const struct config_source *config = &drivers->task->source;
    const struct config_kafka *kafka = &config->kafka;
    *settings = reserve_array(kafka->options.n + 1, sizeof(**settings));
    for (unsigned i = 0; i < kafka->options.n; i++)
        (*settings)[i] =
            (struct kafka_setting){ kafka->options.items[i].name, kafka->options.items[i].value };
    return (struct kafka_options){
        .brokers = kafka->brokers.items,
        .n_brokers = kafka->brokers.n,
        .topics = kafka->topics.items,
        .n_topics = kafka->topics.n,
        .group = kafka->group,
        .client_id = drivers->node->name,
        .partitioned_by_key = kafka->partitioned_by_key,
        .start_latest = kafka->start == CONFIG_START_LATEST,
        .options = *settings,
        .n_options = kafka->options.n,
        .event_bytes_max = config->max_event_bytes,
    };
}

struct source *drivers_source(const struct drivers *drivers, const struct source_events *events,
                              struct err *err)
{
    const struct config_source *config = &drivers->task->source;
    if (config->kind == CONFIG_SOURCE_FILE) {
        struct file_options options = { .paths = config->file.paths.items,
                                        .n_paths = config->file.paths.n,
                                        .event_bytes_max = config->max_event_bytes };
        return file_source_open(&options, err);
    }
    struct kafka_setting *settings;
    struct kafka_options options = kafka_options_of(drivers, &settings);
    struct source *source = kafka_source_open(&options, events, err);
    free(settings);
    return source;
}

static void inspect_files(const struct config_strings *paths, struct findings *findings)
{
    for (unsigned i = 0; i < paths->n; i++) {
        const char *path = paths->items[i];
        if (strcmp(path, "-") == 0)
            finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL, "standard input is read");
        else if (access(path, R_OK) == 0)
            finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL, "the file %s can be read",
                         path);
        else
            finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE,
                         "correct the path (relative to the working directory), or its rights",
                         "the file %s cannot be read: %s", path, strerror(errno));
    }
}

int drivers_inspect_source(const struct drivers *drivers, struct findings *findings,
                           struct err *err)
{
    const struct config_source *config = &drivers->task->source;
    if (config->kind == CONFIG_SOURCE_FILE) {
        inspect_files(&config->file.paths, findings);
        return 0;
    }
    struct kafka_setting *settings;
    struct kafka_options options = kafka_options_of(drivers, &settings);
    int result = kafka_inspect(&options, findings, err);
    free(settings);
    return result;
}

/* ---- dead letters ---- */

/* "a,b,c" */
static char *join_text(const struct config_strings *strings)
{
    char *joined = NULL;
    size_t bytes;
    FILE *out = open_memstream(&joined, &bytes);
    bool good = out != NULL;
    for (unsigned i = 0; good && i < strings->n; i++)
        good = fprintf(out, "%s%s", i > 0 ? "," : "", strings->items[i]) >= 0;
    if (out == NULL || fclose(out) != 0 || !good)
        fatal(EXIT_SOFTWARE, "node: out of memory at the start");
    return joined;
}

static struct dead_letters *letters_to_kafka(const struct drivers *drivers, struct err *err)
{
    const struct config_dead_letter_kafka *config = &drivers->task->dead_letter.kafka;
    struct dead_letter_setting *settings = reserve_array(config->options.n + 1, sizeof(*settings));
    for (unsigned i = 0; i < config->options.n; i++)
        settings[i] = (struct dead_letter_setting){ config->options.items[i].name,
                                                    config->options.items[i].value };
    char *brokers = join_text(&config->brokers);
    struct dead_letter_kafka_options options = { .brokers = brokers,
                                                 .topic = config->topic,
                                                 .options = settings,
                                                 .n_options = config->options.n,
                                                 .event_bytes_max =
                                                     drivers->task->source.max_event_bytes };
    struct dead_letters *letters = dead_letter_kafka_open(&options, drivers->task->name, err);
    free(brokers);
    free(settings);
    return letters;
}

struct dead_letters *drivers_letters(const struct drivers *drivers, struct err *err)
{
    const struct config_task *task = drivers->task;
    if (task->dead_letter.kind == CONFIG_DEAD_LETTER_KAFKA)
        return letters_to_kafka(drivers, err);
    char *path;
    if (resolve(drivers, task->dead_letter.file, &path, err) != 0)
        return NULL;
    struct dead_letters *letters =
        dead_letter_file_open(path, task->name, task->source.max_event_bytes, err);
    free(path);
    return letters;
}
