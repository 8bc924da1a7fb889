/*
 * bare_consumer BROKERS TOPIC: librdkafka receiving a topic from its first offset to its end and
 * dropping it all.
 *
 * The reference for what any consumer on librdkafka must pay: the same client, batches of messages
 * from one queue, nothing done with them. Prints {"messages":N,"bytes":N}; the caller measures time
 * and CPU.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

/* A batch that is not full is waited for so long; nothing for IDLE_MAX times in a row is the end of
 * patience. */
enum { BATCH = 1000, BATCH_WAIT_MS = 20, IDLE_MAX = 500, TIMEOUT_MS = 10000 };

struct totals {
    uint64_t messages, bytes;
    int partitions_left;
};

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "bare_consumer: %s\n", why);
        exit(70);
    }
}

/* All partitions of the topic, into one queue. Returns how many, 0 where the topic is not to be
 * had. */
static int consume_all(rd_kafka_t *client, const char *name, rd_kafka_queue_t *queue)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    const struct rd_kafka_metadata *metadata;
    if (topic == NULL || rd_kafka_metadata(client, 0, topic, &metadata, TIMEOUT_MS) != 0)
        return 0;
    int n = metadata->topics[0].partition_cnt;
    for (int i = 0; i < n; i++)
        if (rd_kafka_consume_start_queue(topic, i, RD_KAFKA_OFFSET_BEGINNING, queue) != 0)
            return 0;
    rd_kafka_metadata_destroy(metadata);
    return n;
}

static void drop(rd_kafka_message_t **messages, ssize_t n, struct totals *totals)
{
    for (ssize_t i = 0; i < n; i++) {
        if (messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            totals->partitions_left--;
        else if (messages[i]->err == 0) {
            totals->messages++;
            totals->bytes += messages[i]->len;
        }
        rd_kafka_message_destroy(messages[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", argv[1]);
    set(conf, "enable.partition.eof", "true");
    char why[256];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (client == NULL) {
        fprintf(stderr, "bare_consumer: %s\n", why);
        return 70;
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    struct totals totals = { .partitions_left = consume_all(client, argv[2], queue) };
    if (totals.partitions_left == 0) {
        fprintf(stderr, "bare_consumer: no topic %s at %s\n", argv[2], argv[1]);
        return 69;
    }
    static rd_kafka_message_t *messages[BATCH];
    for (int idle = 0; totals.partitions_left > 0;) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, BATCH_WAIT_MS, messages, BATCH);
        idle = n > 0 ? 0 : idle + 1;
        if (n < 0 || idle == IDLE_MAX) {
            fprintf(stderr, "bare_consumer: nothing came for %d s\n",
                    IDLE_MAX * BATCH_WAIT_MS / 1000);
            return 69;
        }
        drop(messages, n, &totals);
    }
    printf("{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", totals.messages, totals.bytes);
    /* The process ends here: taking the client apart is no part of receiving. */
    fflush(stdout);
    _Exit(0);
}
