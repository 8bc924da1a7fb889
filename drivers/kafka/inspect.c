/*
 * inspect.c: see inspect.h.
 *
 *     metadata ─► which topics are there ─► equally many partitions, where documents are keyed (R7)
 *     commits  ─► is there a partition that would start at the log's end?
 *     settings ─► does the log keep less than an outage, or more than weir's tombstones?
 *
 * A client of the same configuration as the source's, that never subscribes: it is no member of the
 * group. What cannot be asked (an ACL) is said and endangers nothing by itself.
 */
#include "drivers/kafka/inspect.h"

#include "drivers/kafka/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS      10000
#define OUTAGE_MS    INT64_C(86400000) /* a log should outlast a night without anybody */
#define MS_US        UINT64_C(1000)
#define SETTINGS_MAX 256u /* topics whose settings are asked for */

struct inspection {
    const struct kafka_options *options;
    struct findings *findings;
    rd_kafka_t *client;
    const struct rd_kafka_metadata *metadata;
    const struct rd_kafka_metadata_topic **topics; /* those that are subscribed, once each */
    unsigned n_topics;
    char why[256];
};

static void silent(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    log_line(LOG_DEBUG, "kafka", "%s: %s", facility, text);
}

static void errored(rd_kafka_t *client, int error, const char *why, void *opaque)
{
    struct inspection *inspection = opaque;

    (void)client;
    if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || inspection->why[0] == '\0')
        snprintf(inspection->why, sizeof(inspection->why), "%s", why);
}

static int open_client(struct inspection *inspection, struct err *err)
{
    rd_kafka_conf_t *conf = kafka_conf(inspection->options, err);
    char why[400];

    if (!conf)
        return -1;
    rd_kafka_conf_set_opaque(conf, inspection);
    rd_kafka_conf_set_log_cb(conf, silent);
    rd_kafka_conf_set_error_cb(conf, errored);
    inspection->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (inspection->client)
        return 0;
    rd_kafka_conf_destroy(conf);
    return err_set(err, EXIT_CONFIG, "kafka: %s", why);
}

static int ask_metadata(struct inspection *inspection, struct err *err)
{
    rd_kafka_resp_err_t error =
        rd_kafka_metadata(inspection->client, 1, NULL, &inspection->metadata, WAIT_MS);

    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    (void)rd_kafka_poll(inspection->client, 0); /* for the error callback */
    return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot reach %s: %s",
                   inspection->options->n_brokers > 0 ? inspection->options->brokers[0]
                                                      : "a broker",
                   inspection->why[0] != '\0' ? inspection->why : rd_kafka_err2str(error));
}

/* ---- topics ---- */

static void add_topic(struct inspection *inspection, const struct rd_kafka_metadata_topic *topic)
{
    for (unsigned i = 0; i < inspection->n_topics; i++)
        if (inspection->topics[i] == topic)
            return;
    inspection->topics[inspection->n_topics++] = topic;
    finding_tell(inspection->findings, FINDING_OK, GUARANTEE_NONE, NULL,
                 "the topic %s is there, with %d %s", topic->topic, topic->partition_cnt,
                 topic->partition_cnt == 1 ? "partition" : "partitions");
}

/* How many topics there are of that name or ^regex. */
static unsigned match_topics(struct inspection *inspection, const char *wanted)
{
    bool expression = wanted[0] == '^';
    unsigned matched = 0;
    regex_t regex;

    if (expression && regcomp(&regex, wanted, REG_EXTENDED | REG_NOSUB) != 0)
        return 0;
    for (int i = 0; i < inspection->metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &inspection->metadata->topics[i];

        if (topic->partition_cnt == 0 ||
            (expression ? regexec(&regex, topic->topic, 0, NULL, 0) : strcmp(topic->topic, wanted)))
            continue;
        matched++;
        add_topic(inspection, topic);
    }
    if (expression)
        regfree(&regex);
    return matched;
}

static void look_for_topics(struct inspection *inspection)
{
    for (unsigned i = 0; i < inspection->options->n_topics; i++) {
        const char *wanted = inspection->options->topics[i];

        if (match_topics(inspection, wanted) > 0)
            continue;
        finding_tell(inspection->findings, FINDING_ERROR, GUARANTEE_NONE,
                     "create it, or correct its name; weir would wait for it",
                     wanted[0] == '^' ? "no topic matches %s" : "there is no topic %s", wanted);
    }
}

/* Rows of one document come by partitions of one number (R7). */
static void look_at_counts(struct inspection *inspection)
{
    for (unsigned i = 1; inspection->options->partitioned_by_key && i < inspection->n_topics; i++) {
        const struct rd_kafka_metadata_topic *first = inspection->topics[0],
                                             *topic = inspection->topics[i];

        if (topic->partition_cnt == first->partition_cnt)
            continue;
        finding_tell(inspection->findings, FINDING_ERROR, GUARANTEE_RIGHT | GUARANTEE_FORWARD,
                     "give all topics of the task equally many partitions, or leave "
                     "partitioned_by_key out and run one node",
                     "with partitioned_by_key, rows of one document come by partitions of one "
                     "number, but %s has %d and %s has %d",
                     first->topic, first->partition_cnt, topic->topic, topic->partition_cnt);
        return;
    }
}

/* ---- where reading starts ---- */

/* Partitions that the group has no commit of; -1: that cannot be asked. */
static int count_fresh(struct inspection *inspection)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    int fresh = 0;

    for (unsigned i = 0; i < inspection->n_topics; i++)
        rd_kafka_topic_partition_list_add_range(list, inspection->topics[i]->topic, 0,
                                                inspection->topics[i]->partition_cnt - 1);
    if (list->cnt > 0 && rd_kafka_committed(inspection->client, list, WAIT_MS) != 0)
        fresh = -1;
    for (int i = 0; fresh >= 0 && i < list->cnt; i++)
        fresh += list->elems[i].offset < 0;
    rd_kafka_topic_partition_list_destroy(list);
    return fresh;
}

static void look_at_start(struct inspection *inspection)
{
    int fresh;

    if (!inspection->options->start_latest)
        return;
    fresh = count_fresh(inspection);
    if (fresh == 0)
        finding_tell(
            inspection->findings, FINDING_OK, GUARANTEE_NONE, NULL,
            "the group %s has commits for every partition: `start: latest` changes nothing",
            inspection->options->group);
    else
        finding_tell(inspection->findings, FINDING_WARN, GUARANTEE_RIGHT,
                     "use `start: earliest`, unless the sinks hold everything that came before",
                     fresh < 0 ? "`start: latest`: what came before the first start is never read"
                               : "`start: latest`: the group has no commit of %d partitions, and "
                                 "what came before the first start is never read there",
                     fresh);
}

/* ---- settings ---- */

static void look_at_retention(struct inspection *inspection, const char *topic, const char *text)
{
    uint64_t kept_us = inspection->findings->tombstone_retention_us;
    int64_t retention_ms = strtoll(text, NULL, 10);

    if (retention_ms >= 0 && retention_ms < OUTAGE_MS)
        finding_tell(inspection->findings, FINDING_WARN, GUARANTEE_LOST,
                     "raise it: when weir (or a sink) is away for longer, changes are gone before "
                     "they are read",
                     "the topic %s keeps its log for %" PRId64 " s only (retention.ms)", topic,
                     retention_ms / 1000);
    if (retention_ms < 0 || (uint64_t)retention_ms > kept_us / MS_US)
        finding_tell(inspection->findings, FINDING_WARN, GUARANTEE_RIGHT,
                     "raise the task's `tombstone_retention` above it, or never read the log again "
                     "from its start: that can bring deleted rows back",
                     "the topic %s reaches back further (retention.ms %s) than tombstones are kept "
                     "(%" PRIu64 " s)",
                     topic, text, kept_us / 1000000);
}

static void look_at_cleanup(struct inspection *inspection, const char *topic, const char *text)
{
    if (strstr(text, "compact") == NULL)
        return;
    finding_tell(inspection->findings, FINDING_WARN, GUARANTEE_RIGHT,
                 "use cleanup.policy: delete, unless a message's key names one row and its events "
                 "are full images",
                 "the topic %s is compacted: of the events with one key only the last one stays",
                 topic);
}

static const char *entry_value(const rd_kafka_ConfigEntry_t **entries, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

static void look_at_settings_of(struct inspection *inspection,
                                const rd_kafka_ConfigResource_t *resource)
{
    const char *topic = rd_kafka_ConfigResource_name(resource);
    size_t n;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);
    const char *retention = entry_value(entries, n, "retention.ms");
    const char *cleanup = entry_value(entries, n, "cleanup.policy");

    if (rd_kafka_ConfigResource_error(resource) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        finding_tell(inspection->findings, FINDING_OK, GUARANTEE_NONE, NULL,
                     "the settings of the topic %s cannot be seen: %s", topic,
                     rd_kafka_ConfigResource_error_string(resource));
        return;
    }
    if (retention)
        look_at_retention(inspection, topic, retention);
    if (cleanup)
        look_at_cleanup(inspection, topic, cleanup);
}

/* The answer's event, NULL where none came; the caller's to destroy. */
static rd_kafka_event_t *describe(struct inspection *inspection)
{
    rd_kafka_ConfigResource_t *resources[SETTINGS_MAX];
    size_t n = inspection->n_topics < SETTINGS_MAX ? inspection->n_topics : SETTINGS_MAX;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(inspection->client);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(inspection->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_event_t *event;
    char why[200];

    if (rd_kafka_AdminOptions_set_request_timeout(options, WAIT_MS, why, sizeof(why)) != 0)
        log_line(LOG_DEBUG, "kafka", "%s", why);
    for (size_t i = 0; i < n; i++)
        resources[i] =
            rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, inspection->topics[i]->topic);
    rd_kafka_DescribeConfigs(inspection->client, resources, n, options, queue);
    event = rd_kafka_queue_poll(queue, WAIT_MS + 1000);
    rd_kafka_ConfigResource_destroy_array(resources, n);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return event;
}

static void look_at_settings(struct inspection *inspection)
{
    const rd_kafka_DescribeConfigs_result_t *result;
    const rd_kafka_ConfigResource_t **resources;
    rd_kafka_event_t *event;
    size_t n = 0;

    if (inspection->n_topics == 0)
        return;
    event = describe(inspection);
    result = event ? rd_kafka_event_DescribeConfigs_result(event) : NULL;
    if (!result || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        finding_tell(inspection->findings, FINDING_OK, GUARANTEE_NONE, NULL,
                     "the topics' settings cannot be seen: %s",
                     event ? rd_kafka_event_error_string(event) : "no answer");
    else {
        resources = rd_kafka_DescribeConfigs_result_resources(result, &n);
        for (size_t i = 0; i < n; i++)
            look_at_settings_of(inspection, resources[i]);
    }
    if (event)
        rd_kafka_event_destroy(event);
}

int kafka_inspect(const struct kafka_options *options, struct findings *findings, struct err *err)
{
    struct inspection inspection = { .options = options, .findings = findings };
    int result = open_client(&inspection, err);

    if (result == 0)
        result = ask_metadata(&inspection, err);
    if (result == 0) {
        size_t room = (size_t)inspection.metadata->topic_cnt + 1;

        inspection.topics = calloc(room, sizeof(*inspection.topics));
        ASSERT(inspection.topics);
        look_for_topics(&inspection);
        look_at_counts(&inspection);
        look_at_start(&inspection);
        look_at_settings(&inspection);
        free(inspection.topics);
        rd_kafka_metadata_destroy(inspection.metadata);
    }
    if (inspection.client)
        rd_kafka_destroy(inspection.client);
    return result;
}
