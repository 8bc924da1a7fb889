/*
 * conf.c: librdkafka's configuration: weir's own, then the user's.
 *
 * Some options are what the ordering rules stand on (who commits, what an end of a partition looks
 * like): those are weir's own, and a config that sets one is refused. All others are defaults that
 * the user may change. How partitions are dealt out may be chosen where nothing rests on it:
 * several topics that are partitioned by key need `range`, which gives partitions of one number to
 * one member.
 *
 * `auto.offset.reset` is always earliest. Where a group without commits starts is decided by weir
 * itself, with explicit offsets; what is left for librdkafka is a log that was cut while it was
 * read, and there jumping to the end would lose events without a word.
 */
#include "drivers/kafka/internal.h"

#include "dataplane/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_BYTES_USUAL ((size_t)50 << 20)
#define QUEUE_BYTES_MOST  ((size_t)16 << 20)
#define FETCH_BYTES_MOST  ((size_t)2000 << 20)

static const char *const ours[] = {
    "auto.offset.reset",    "bootstrap.servers", "enable.auto.commit",   "enable.auto.offset.store",
    "enable.partition.eof", "group.id",          "metadata.broker.list",
};

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char why[400];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return err_set(err, EXIT_CONFIG, "kafka: option %s: %s", name, why);
}

/* What librdkafka may read ahead: less where the node is to be small. */
static size_t queue_bytes_max(void)
{
    size_t bytes = 2 * memory_keep_bytes();

    return bytes < QUEUE_BYTES_MOST ? bytes : QUEUE_BYTES_MOST;
}

static int set_ours(rd_kafka_conf_t *conf, const struct kafka_options *options, struct err *err)
{
    size_t queue_bytes = queue_bytes_max();
    char queue_kbytes[32], fetch_bytes[32];
    const struct kafka_setting settings[] = {
        { "group.id", options->group },
        { "enable.auto.commit", "false" },
        { "enable.auto.offset.store", "false" },
        { "enable.partition.eof", "true" },
        { "auto.offset.reset", "earliest" },
        { "partition.assignment.strategy",
          options->partitioned_by_key ? "range" : "cooperative-sticky" },
        { "session.timeout.ms", "10000" }, /* After a crash the next member waits this long. */
        { "topic.metadata.refresh.interval.ms", "30000" }, /* New partitions are noticed. */
        { "heartbeat.interval.ms", "1000" },
        { "queued.max.messages.kbytes", queue_kbytes },
        { "fetch.max.bytes", fetch_bytes },
        { "queued.min.messages", "10000" },
        { "check.crcs", "true" }, /* What was damaged on its way must not become a document. */
        { "log.connection.close", "false" },
    };

    (void)snprintf(queue_kbytes, sizeof(queue_kbytes), "%zu", queue_bytes >> 10);
    (void)snprintf(fetch_bytes, sizeof(fetch_bytes), "%zu",
                   queue_bytes < QUEUE_BYTES_MOST ? queue_bytes : FETCH_BYTES_USUAL);
    for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (set(conf, settings[i].name, settings[i].value, err) != 0)
            return -1;
    if (options->client_id && set(conf, "client.id", options->client_id, err) != 0)
        return -1;
    return 0;
}

/* An event of the greatest size must fit into one answer. */
static int set_fetch_bytes(rd_kafka_conf_t *conf, size_t event_bytes_max, struct err *err)
{
    size_t bytes = event_bytes_max < FETCH_BYTES_MOST ? event_bytes_max : FETCH_BYTES_MOST;
    char text[32];

    if (bytes <= FETCH_BYTES_USUAL)
        return 0;
    snprintf(text, sizeof(text), "%zu", bytes + (32 << 20));
    if (set(conf, "receive.message.max.bytes", text, err) != 0)
        return -1;
    snprintf(text, sizeof(text), "%zu", bytes);
    return set(conf, "fetch.max.bytes", text, err);
}

static int set_brokers(rd_kafka_conf_t *conf, const struct kafka_options *options, struct err *err)
{
    size_t room = 1;
    char *list;
    int result;

    for (unsigned i = 0; i < options->n_brokers; i++)
        room += strlen(options->brokers[i]) + 1;
    list = calloc(1, room);
    if (!list)
        return err_set(err, EXIT_SOFTWARE, "no memory for a list of brokers");
    for (unsigned i = 0; i < options->n_brokers; i++) {
        strcat(list, i > 0 ? "," : "");
        strcat(list, options->brokers[i]);
    }
    result = set(conf, "bootstrap.servers", list, err);
    free(list);
    return result;
}

/* Rows of a document in several topics stay together only by `range`. */
static int check_strategy(const struct kafka_options *options, const struct kafka_setting *setting,
                          struct err *err)
{
    bool several = options->n_topics != 1 || options->topics[0][0] == '^';

    if (strcmp(setting->name, "partition.assignment.strategy") != 0 ||
        strcmp(setting->value, "range") == 0 || !options->partitioned_by_key || !several)
        return 0;
    return err_set(
        err, EXIT_CONFIG,
        "kafka: option %s: %s may give a document's partitions in several topics to "
        "several members, and partitioned_by_key promises that it does not: leave it out "
        "(range), or name one topic",
        setting->name, setting->value);
}

static int set_users(rd_kafka_conf_t *conf, const struct kafka_options *options, struct err *err)
{
    for (unsigned i = 0; i < options->n_options; i++) {
        const struct kafka_setting *setting = &options->options[i];

        for (unsigned k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
            if (strcmp(setting->name, ours[k]) == 0)
                return err_set(err, EXIT_CONFIG, "kafka: option %s is weir's own to set",
                               setting->name);
        if (check_strategy(options, setting, err) != 0 ||
            set(conf, setting->name, setting->value, err) != 0)
            return -1;
    }
    return 0;
}

void kafka_conf_get(const rd_kafka_conf_t *conf, const char *name, char *value, size_t value_bytes)
{
    value[0] = '\0';
    if (rd_kafka_conf_get(conf, name, value, &value_bytes) != RD_KAFKA_CONF_OK)
        value[0] = '\0';
}

void kafka_conf_count(const rd_kafka_conf_t *conf)
{
    char value[32];

    kafka_conf_get(conf, "queued.max.messages.kbytes", value, sizeof(value));
    memory_count_library((size_t)strtoull(value, NULL, 10) << 10);
    kafka_conf_get(conf, "fetch.max.bytes", value, sizeof(value));
    memory_count_library((size_t)strtoull(value, NULL, 10));
}

rd_kafka_conf_t *kafka_conf(const struct kafka_options *options, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (set_ours(conf, options, err) == 0 && set_brokers(conf, options, err) == 0 &&
        set_fetch_bytes(conf, options->event_bytes_max, err) == 0 &&
        set_users(conf, options, err) == 0)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}
