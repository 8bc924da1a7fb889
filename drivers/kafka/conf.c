/*
 * conf.c: librdkafka's configuration: weir's own, then the user's.
 *
 * Some options are what the ordering rules stand on (who commits, how partitions are dealt out,
 * what an end of a partition looks like): those are weir's own, and a config that sets one is
 * refused. All others are defaults that the user may change.
 *
 * `auto.offset.reset` is always earliest. Where a group without commits starts is decided by weir
 * itself, with explicit offsets; what is left for librdkafka is a log that was cut while it was
 * read, and there jumping to the end would lose events without a word.
 */
#include "drivers/kafka/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_BYTES_USUAL ((size_t)50 << 20)
#define FETCH_BYTES_MOST  ((size_t)2000 << 20)

static const char *const ours[] = {
    "auto.offset.reset",    "bootstrap.servers",
    "enable.auto.commit",   "enable.auto.offset.store",
    "enable.partition.eof", "group.id",
    "metadata.broker.list", "partition.assignment.strategy",
};

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char why[400];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return err_set(err, EXIT_CONFIG, "kafka: option %s: %s", name, why);
}

static int set_ours(rd_kafka_conf_t *conf, const struct kafka_options *options, struct err *err)
{
    const struct kafka_setting settings[] = {
        { "group.id", options->group },
        { "enable.auto.commit", "false" },
        { "enable.auto.offset.store", "false" },
        { "enable.partition.eof", "true" },
        { "auto.offset.reset", "earliest" },
        { "partition.assignment.strategy",
          options->partitioned_by_key ? "range" : "cooperative-sticky" },
        { "session.timeout.ms", "10000" }, /* After a crash the next member waits this long. */
        { "heartbeat.interval.ms", "1000" },
        { "queued.max.messages.kbytes", "16384" },
        { "queued.min.messages", "10000" },
        { "log.connection.close", "false" },
    };

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

static int set_users(rd_kafka_conf_t *conf, const struct kafka_options *options, struct err *err)
{
    for (unsigned i = 0; i < options->n_options; i++) {
        const struct kafka_setting *setting = &options->options[i];

        for (unsigned k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
            if (strcmp(setting->name, ours[k]) == 0)
                return err_set(err, EXIT_CONFIG, "kafka: option %s is weir's own to set",
                               setting->name);
        if (set(conf, setting->name, setting->value, err) != 0)
            return -1;
    }
    return 0;
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
