/*
 * kafka.c: the topic that dead letters are produced to.
 *
 *     put:      lock -> render -> rd_kafka_producev (copies) -> unlock       shards
 *     reports:  rd_kafka_poll in put, rd_kafka_flush in sync                 whoever calls
 *
 * The producer is idempotent, so a retried letter is not doubled by librdkafka; a restart may still
 * write one again, as every dead letter of an event that was not committed. A delivery report with
 * an error sets `failed`, which is never cleared.
 *
 * What this does not do: make the topic, or choose its partitions (librdkafka's partitioner does,
 * by key).
 */
#include "drivers/dead_letter/kafka.h"

#include "dataplane/base/log.h"
#include "drivers/dead_letter/letter.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS_MAX 10000
#define WAIT_MS     100
#define SYNC_MS     1000 /* control waits meanwhile, for all tasks */

#define KEY_PART 64 /* a message's key is this part of its letter at most */

struct letter_topic {
    struct dead_letters letters;
    pthread_mutex_t lock; /* over buf */
    char *task, *topic;
    rd_kafka_t *producer;
    struct buf buf;
    size_t message_bytes_max;     /* of the producer */
    pthread_mutex_t failure_lock; /* over what is below; taken inside librdkafka's callbacks */
    bool failed;
    struct err failure;
};

static struct letter_topic *topic_of(struct dead_letters *letters)
{
    return (struct letter_topic *)letters;
}

static int fail(struct letter_topic *topic, const char *why, struct err *err)
{
    pthread_mutex_lock(&topic->failure_lock);
    if (!topic->failed)
        (void)err_set(&topic->failure, EXIT_IO,
                      "cannot write dead letters to the Kafka topic %s: %s; the task stops rather "
                      "than lose them",
                      topic->topic, why);
    topic->failed = true;
    if (err)
        *err = topic->failure;
    pthread_mutex_unlock(&topic->failure_lock);
    return -1;
}

/* 0, or -1 with the failure in *err. */
static int look(struct letter_topic *topic, struct err *err)
{
    int result = 0;

    pthread_mutex_lock(&topic->failure_lock);
    if (topic->failed) {
        *err = topic->failure;
        result = -1;
    }
    pthread_mutex_unlock(&topic->failure_lock);
    return result;
}

static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)fail(opaque, rd_kafka_err2str(message->err), NULL);
}

static void logged(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
    (void)producer;
    log_line(level <= 4 ? LOG_WARN : LOG_DEBUG, "dead letters", "%s: %s", facility, text);
}

/* Hands the rendered letter over; waits where the queue is full. */
static int produce(struct letter_topic *topic, struct slice key, struct err *err)
{
    for (int waited_ms = 0;; waited_ms += WAIT_MS) {
        rd_kafka_resp_err_t error = rd_kafka_producev(
            topic->producer, RD_KAFKA_V_TOPIC(topic->topic),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.data, key.len),
            RD_KAFKA_V_VALUE(topic->buf.data, topic->buf.len), RD_KAFKA_V_END);

        if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
            return 0;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL || waited_ms >= WAIT_MS_MAX)
            return fail(topic, rd_kafka_err2str(error), err);
        rd_kafka_poll(topic->producer, WAIT_MS);
    }
}

static int put(struct dead_letters *letters, const struct dead_letter *letter, struct err *err)
{
    struct letter_topic *topic = topic_of(letters);
    struct slice key = letter->key;
    int result;

    rd_kafka_poll(topic->producer, 0);
    result = look(topic, err);
    if (result != 0)
        return result;
    pthread_mutex_lock(&topic->lock);
    letter_render(&topic->buf, topic->task, letter);
    if (key.data != NULL && key.len > topic->buf.bound / KEY_PART)
        key.len = topic->buf.bound / KEY_PART;
    result = produce(topic, key, err);
    pthread_mutex_unlock(&topic->lock);
    return result;
}

static int sync_letters(struct dead_letters *letters, struct err *err)
{
    struct letter_topic *topic = topic_of(letters);
    rd_kafka_resp_err_t error = rd_kafka_flush(topic->producer, SYNC_MS);

    if (look(topic, err) != 0)
        return -1;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return err_set(err, EXIT_UNAVAILABLE,
                   "%d dead letters are not in the Kafka topic %s yet: %s; trying again",
                   rd_kafka_outq_len(topic->producer), topic->topic, rd_kafka_err2str(error));
}

static void free_topic(struct letter_topic *topic)
{
    if (topic->producer)
        rd_kafka_destroy(topic->producer);
    pthread_mutex_destroy(&topic->lock);
    pthread_mutex_destroy(&topic->failure_lock);
    free(topic->task);
    free(topic->topic);
    free(topic);
}

static void close_letters(struct dead_letters *letters)
{
    free_topic(topic_of(letters));
}

static const struct dead_letters_ops ops = { .put = put,
                                             .sync = sync_letters,
                                             .close = close_letters };

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char why[400];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return err_set(err, EXIT_CONFIG, "dead letters: option %s: %s", name, why);
}

static int configure(rd_kafka_conf_t *conf, const struct dead_letter_kafka_options *options,
                     struct err *err)
{
    /* The broker's own limit decides what is too large; librdkafka's default would refuse at 1 MB.
     */
    if (set(conf, "bootstrap.servers", options->brokers, err) != 0 ||
        set(conf, "message.max.bytes", "1000000000", err) != 0 ||
        set(conf, "enable.idempotence", "true", err) != 0)
        return -1;
    for (unsigned i = 0; i < options->n_options; i++)
        if (set(conf, options->options[i].name, options->options[i].value, err) != 0)
            return -1;
    return 0;
}

static size_t message_bytes_max(const rd_kafka_conf_t *conf)
{
    char value[32] = "";
    size_t bytes = sizeof(value);

    (void)rd_kafka_conf_get(conf, "message.max.bytes", value, &bytes);
    return strtoull(value, NULL, 10);
}

/* A longer letter is cut: what the producer takes, less the key and Kafka's own frame. */
static size_t letter_bytes(const struct letter_topic *topic,
                           const struct dead_letter_kafka_options *options)
{
    size_t most = topic->message_bytes_max - topic->message_bytes_max / (KEY_PART / 2);
    size_t bytes = LETTER_BYTES(options->event_bytes_max);

    bytes = bytes < most ? bytes : most;
    return bytes > LETTER_BYTES_LEAST ? bytes : LETTER_BYTES_LEAST;
}

/* 0, or -1 with *err. */
static int open_producer(struct letter_topic *topic,
                         const struct dead_letter_kafka_options *options, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[400];

    if (configure(conf, options, err) != 0) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    topic->message_bytes_max = message_bytes_max(conf);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_log_cb(conf, logged);
    rd_kafka_conf_set_opaque(conf, topic);
    topic->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (topic->producer)
        return 0;
    rd_kafka_conf_destroy(conf);
    return err_set(err, EXIT_CONFIG, "dead letters: %s", why);
}

struct dead_letters *dead_letter_kafka_open(const struct dead_letter_kafka_options *options,
                                            const char *task, struct err *err)
{
    struct letter_topic *topic = calloc(1, sizeof(*topic));

    if (!topic) {
        (void)err_set(err, EXIT_SOFTWARE, "no memory for the dead letters of %s", task);
        return NULL;
    }
    topic->letters.ops = &ops;
    pthread_mutex_init(&topic->lock, NULL);
    pthread_mutex_init(&topic->failure_lock, NULL);
    topic->task = strdup(task);
    topic->topic = strdup(options->topic);
    if (!topic->task || !topic->topic) {
        (void)err_set(err, EXIT_SOFTWARE, "no memory for the dead letters of %s", task);
        free_topic(topic);
        return NULL;
    }
    if (open_producer(topic, options, err) != 0) {
        free_topic(topic);
        return NULL;
    }
    buf_open(&topic->buf, letter_bytes(topic, options), "dead letters");
    return &topic->letters;
}
