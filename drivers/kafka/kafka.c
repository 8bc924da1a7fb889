/*
 * kafka.c: control's half of the source `kafka`: the consumer, what it says, and its end.
 *
 *     service: consumer_poll (rebalances, errors) -> answers to commits
 *                                                 -> a pending assignment's next step
 *                                                 -> can a broker be reached?
 *
 * librdkafka says that a broker went away, again and again, and never that one is back. So trouble
 * is noted, and as long as it lasts a broker is asked for its metadata about once a second: the
 * first refusal is one line in the log, the first answer another. A single broker of many that is
 * gone is not an outage; it is said once a minute.
 *
 * Errors that librdkafka calls fatal end the source; everything else it tries again by itself.
 */
#include "drivers/kafka/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROBE_US   UINT64_C(1000000)
#define TROUBLE_US UINT64_C(60000000)
#define LEAVE_US   UINT64_C(30000000)

#define LEAVE_LOOK_MS 100

#define VERSION_STICKY_MENDED 0x02030000 /* librdkafka 2.3.0 */

static struct kafka_source *source_of(struct source *source)
{
    return (struct kafka_source *)source;
}

uint64_t kafka_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void kafka_waits(const struct kafka_source *source)
{
    if (source->events->waiting)
        source->events->waiting(source->events->context);
}

/* librdkafka's own lines. What the error callback tells as well is kept for debugging. */
static void logged(const rd_kafka_t *consumer, int level, const char *facility, const char *text)
{
    bool told = strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0;
    enum log_level as = level <= 3 ? LOG_ERROR : level == 4 ? LOG_WARN : LOG_INFO;

    (void)consumer;
    log_line(told || level > 6 ? LOG_DEBUG : as, "kafka", "%s: %s", facility, text);
}

static void note_why(struct kafka_source *source, const char *why)
{
    /* "All brokers are down" says less than the reason that came just before it. */
    snprintf(source->why, sizeof(source->why), "%s", why);
}

static void errored(rd_kafka_t *consumer, int error, const char *why, void *opaque)
{
    struct kafka_source *source = opaque;

    (void)consumer;
    source->trouble = true;
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && source->why[0] != '\0')
        return;
    note_why(source, why);
}

/* A message on the consumer's own queue can only be an error of the group or of a topic. */
static void consumer_error(struct kafka_source *source, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : NULL;
    uint64_t held;

    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
        !log_limit_pass(&source->limit_topic, kafka_now_us(), &held))
        return;
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        log_line(LOG_WARN, "kafka", "topic %s does not exist: waiting for it to be made",
                 topic ? topic : "?");
    else
        log_line(LOG_WARN, "kafka", "%s%s%s", topic ? topic : "", topic ? ": " : "",
                 rd_kafka_message_errstr(message));
}

/* Where there was trouble, or nobody was reached yet: asks whether a broker answers now. */
static void probe(struct kafka_source *source, unsigned timeout_ms)
{
    const struct rd_kafka_metadata *metadata;
    uint64_t now = kafka_now_us();

    if ((source->reached && !source->trouble) || now < source->probe_us)
        return;
    source->probe_us = now + PROBE_US;
    if (rd_kafka_metadata(source->consumer, 0, NULL, &metadata,
                          timeout_ms > 10 ? (int)timeout_ms : 10) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (source->trouble && !source->down)
            log_line(LOG_ERROR, "kafka", "cannot reach %s: %s; trying again", source->brokers,
                     source->why);
        source->down |= source->trouble;
        return;
    }
    rd_kafka_metadata_destroy(metadata);
    if (source->down)
        log_line(LOG_NOTICE, "kafka", "%s answers again", source->brokers);
    else if (source->trouble && source->reached && now >= source->quiet_us) {
        log_line(LOG_WARN, "kafka", "%s; other brokers answer", source->why);
        source->quiet_us = now + TROUBLE_US;
    }
    source->reached = true;
    source->trouble = source->down = false;
    source->why[0] = '\0';
}

static int check_fatal(struct kafka_source *source, struct err *err)
{
    char why[400];
    rd_kafka_resp_err_t error = rd_kafka_fatal_error(source->consumer, why, sizeof(why));

    if (source->refusal.code != 0) {
        *err = source->refusal;
        return -1;
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    if (error == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return err_set(err, EXIT_CONFIG,
                       "kafka: another process took our place in group %s: it has the same "
                       "group.instance.id `%s`; give each node one of its own",
                       source->group, source->instance);
    return err_set(err, EXIT_UNAVAILABLE, "kafka: %s: %s", rd_kafka_err2name(error), why);
}

static int service(struct source *base, unsigned timeout_ms, struct err *err)
{
    struct kafka_source *source = source_of(base);
    int wait_ms = (int)timeout_ms;
    rd_kafka_message_t *message;

    if (source->pending.partitions)
        wait_ms = 0;
    while ((message = rd_kafka_consumer_poll(source->consumer, wait_ms))) {
        consumer_error(source, message);
        rd_kafka_message_destroy(message);
        wait_ms = 0;
    }
    kafka_commit_answers(source);
    kafka_waits(source);
    kafka_assign_step(source, timeout_ms);
    kafka_waits(source);
    probe(source, timeout_ms);
    return check_fatal(source, err);
}

static struct source_port *open_port(struct source *source, unsigned shard, struct env *env,
                                     struct task_partitions *names)
{
    (void)shard;
    (void)names; /* Slots are given by control, in assigned(). */
    return kafka_port_open(source_of(source), env);
}

static int commit(struct source *source, const struct source_commit *commits, unsigned n, bool wait,
                  struct err *err)
{
    return kafka_commit(source_of(source), commits, n, wait, err);
}

static bool marks(struct source *source, const char *topic, int32_t number,
                  struct source_marks *marks)
{
    int64_t low = -1, high = -1;

    if (rd_kafka_get_watermark_offsets(source_of(source)->consumer, topic, number, &low, &high) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        low = high = -1;
    *marks = (struct source_marks){ low >= 0 ? low : -1, high >= 0 ? high : -1 };
    return marks->low >= 0 || marks->high >= 0;
}

static bool reached(struct source *base, char *why, size_t why_bytes)
{
    struct kafka_source *source = source_of(base);

    if (source->reached)
        snprintf(why, why_bytes, "%s", "");
    else
        snprintf(why, why_bytes, "kafka: cannot reach %s: %s", source->brokers,
                 source->why[0] != '\0' ? source->why : "no answer yet");
    return source->reached;
}

static void free_source(struct kafka_source *source)
{
    for (unsigned i = 0; source->topics && i < source->n_topics; i++) {
        if (source->topics[i] && source->topics[i][0] == '^')
            regfree(&source->expressions[i]);
        free(source->topics[i]);
    }
    free(source->topics);
    free(source->expressions);
    kafka_topics_free(source);
    free(source->brokers);
    free(source->group);
    free(source->instance);
    free(source->owned);
    free(source);
}

/* Leaves the group: a pending assignment is answered first, because librdkafka waits for that. It
 * also waits for answers of the group's coordinator, and may do so for ever: false, then. */
static bool leave(struct kafka_source *source)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(source->consumer);
    uint64_t until = kafka_now_us() + LEAVE_US;
    rd_kafka_error_t *error;
    bool left;

    source->closing = true;
    kafka_assign_abandon(source);
    /* A cooperative member without partitions would end without a word to the group
     * (librdkafka 2.0), and all others would wait for its session to run out; unsubscribing says
     * it. */
    if (source->n_owned == 0)
        (void)rd_kafka_unsubscribe(source->consumer);
    error = rd_kafka_consumer_close_queue(source->consumer, queue);
    left = error != NULL;
    if (error != NULL)
        log_line(LOG_WARN, "kafka", "leaving the group: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    while (!left && kafka_now_us() < until) {
        (void)rd_kafka_queue_poll_callback(queue, LEAVE_LOOK_MS); /* Revokes by the callback. */
        kafka_waits(source);
        left = rd_kafka_consumer_closed(source->consumer);
    }
    kafka_commit_answers(source);
    rd_kafka_queue_destroy(queue);
    return left;
}

/* librdkafka before 2.3 frees the state of its sticky assignor without a look: the process ends by
 * an assertion where the group never dealt anything to this member, because there is none yet
 * (confluentinc/librdkafka#4312). Such a consumer has left its group, and stays. */
static struct kafka_source *left_behind;

static bool may_free_consumer(const struct kafka_source *source)
{
    return !source->sticky || source->dealt || rd_kafka_version() >= VERSION_STICKY_MENDED;
}

static void close_source(struct source *base)
{
    struct kafka_source *source = source_of(base);
    unsigned out = 0;

    if (!leave(source)) {
        log_line(LOG_WARN, "kafka",
                 "the group did not answer a farewell in %u s: its members wait until the session "
                 "of this one has run out",
                 (unsigned)(LEAVE_US / 1000000));
        return;
    }
    for (struct kafka_port *port = source->ports; port;) {
        out += kafka_port_out(port);
        port = kafka_port_close(port);
    }
    /* A message that outlives its consumer points into freed memory. A task that stopped on an
     * error may not have given all of them back, and then the process is about to end anyway. */
    if (out > 0) {
        log_line(LOG_WARN, "kafka", "%u records were not given back: the consumer stays", out);
        return;
    }
    for (unsigned i = 0; i < source->n_owned; i++)
        kafka_partition_let_go(source->owned[i]);
    rd_kafka_queue_destroy(source->commits);
    if (!may_free_consumer(source)) {
        source->next_left = left_behind;
        left_behind = source;
        return;
    }
    rd_kafka_destroy(source->consumer);
    free_source(source);
}

static const struct source_ops kafka_ops = {
    .name = "kafka",
    .port = open_port,
    .service = service,
    .commit = commit,
    .marks = marks,
    .reached = reached,
    .close = close_source,
};

/* Keeps what the options point at. 0, or -1 with *err. */
static int keep_options(struct kafka_source *source, const struct kafka_options *options,
                        struct err *err)
{
    source->start_latest = options->start_latest;
    source->partitioned_by_key = options->partitioned_by_key;
    source->event_bytes_max = options->event_bytes_max;
    source->brokers = strdup(options->n_brokers > 0 ? options->brokers[0] : "");
    source->group = strdup(options->group);
    source->topics = calloc(options->n_topics + 1, sizeof(char *));
    source->expressions = calloc(options->n_topics + 1, sizeof(*source->expressions));
    if (!source->brokers || !source->group || !source->topics || !source->expressions)
        return err_set(err, EXIT_SOFTWARE, "no memory for the source kafka");
    for (unsigned i = 0; i < options->n_topics; i++) {
        const char *topic = options->topics[i];

        if (topic[0] == '^' &&
            regcomp(&source->expressions[i], topic, REG_EXTENDED | REG_NOSUB) != 0)
            return err_set(err, EXIT_CONFIG, "kafka: %s is not a regular expression", topic);
        source->topics[i] = strdup(topic);
        source->n_topics = i + 1;
        if (!source->topics[i])
            return err_set(err, EXIT_SOFTWARE, "no memory for the source kafka");
    }
    return 0;
}

/* What the consumer's configuration, once the user's part is in it, means for control. */
static void keep_conf(struct kafka_source *source, const rd_kafka_conf_t *conf)
{
    char value[300];

    kafka_conf_get(conf, "session.timeout.ms", value, sizeof(value));
    source->source.session_us = strtoull(value, NULL, 10) * 1000;
    kafka_conf_get(conf, "group.instance.id", value, sizeof(value));
    source->instance = strdup(value);
    ASSERT(source->instance);
    kafka_conf_get(conf, "partition.assignment.strategy", value, sizeof(value));
    source->sticky = strstr(value, "sticky") != NULL;
    source->cooperative = strstr(value, "cooperative") != NULL; /* all of them, or none */
}

static int open_consumer(struct kafka_source *source, const struct kafka_options *options,
                         struct err *err)
{
    rd_kafka_conf_t *conf = kafka_conf(options, err);
    char why[400];

    if (!conf)
        return -1;
    keep_conf(source, conf);
    kafka_conf_count(conf);
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_log_cb(conf, logged);
    rd_kafka_conf_set_error_cb(conf, errored);
    rd_kafka_conf_set_rebalance_cb(conf, kafka_rebalance);
    source->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!source->consumer) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, EXIT_CONFIG, "kafka: %s", why);
    }
    rd_kafka_poll_set_consumer(source->consumer);
    source->commits = rd_kafka_queue_new(source->consumer);
    return 0;
}

static int subscribe(struct kafka_source *source, struct err *err)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)source->n_topics);
    rd_kafka_resp_err_t error;

    for (unsigned i = 0; i < source->n_topics; i++)
        rd_kafka_topic_partition_list_add(list, source->topics[i], RD_KAFKA_PARTITION_UA);
    error = rd_kafka_subscribe(source->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return err_set(err, EXIT_CONFIG, "kafka: cannot subscribe: %s", rd_kafka_err2str(error));
}

struct source *kafka_source_open(const struct kafka_options *options,
                                 const struct source_events *events, struct err *err)
{
    struct kafka_source *source = calloc(1, sizeof(*source));

    if (!source) {
        (void)err_set(err, EXIT_SOFTWARE, "no memory for the source kafka");
        return NULL;
    }
    source->source.ops = &kafka_ops;
    source->events = events;
    if (keep_options(source, options, err) == 0 && open_consumer(source, options, err) == 0) {
        if (subscribe(source, err) == 0)
            return &source->source;
        rd_kafka_queue_destroy(source->commits);
        rd_kafka_destroy(source->consumer);
    }
    free_source(source);
    return NULL;
}
