/*
 * kafka.h: the source `kafka`: a member of a consumer group, through librdkafka.
 *
 * Each partition's queue is taken out of the consumer's own one and polled by the shard that has
 * the partition; the bytes of a record are librdkafka's message itself, from poll() to release().
 * Commits carry the partition's clock as their metadata. Offsets are never stored or committed by
 * librdkafka on its own.
 *
 * A process that another one with the same group.instance.id replaced ends with EXIT_CONFIG, and so
 * does one whose topics, partitioned by key, have not equally many partitions.
 *
 * A partition without a commit starts at the log's beginning or end (start_latest). A commit that
 * the log does not reach any more starts at the beginning of what is left, with a warning. A record
 * that is not after its partition's last one (a log that was cut and grew again) has `rewind` set,
 * and `clock` 0.
 *
 * Every record should have been released before close(): where one was not, the consumer has left
 * the group but its memory stays, because the record points into it.
 */
#ifndef WEIR_KAFKA_H
#define WEIR_KAFKA_H

#include "dataplane/source.h"

struct kafka_setting {
    const char *name, *value;
};

struct kafka_options {
    const char *const *brokers; /* host:port */
    unsigned n_brokers;
    const char *const *topics; /* names, or ^regular expressions */
    unsigned n_topics;
    const char *group;
    const char *client_id;   /* NULL: librdkafka's */
    bool partitioned_by_key; /* rows of a document come by partitions of one number: several topics
                                need range assignment and equally many partitions */
    bool start_latest;
    const struct kafka_setting
        *options; /* for librdkafka, as they are; not those that are weir's own */
    unsigned n_options;
    size_t event_bytes_max; /* of a longer message so many bytes are handed out, as
                               RECORD_OVERSIZED */
};

/* What a record says that is longer than event_bytes_max. */
#define KAFKA_OVERSIZED \
    "longer than source.max_event: this is its beginning, the whole message is in the log"

/* Start-up only; a broker that is not there is not an error here (source_ops.reached tells). What
 * the options point at is copied; *events must live as long as the source. NULL with *err
 * (EXIT_CONFIG) where librdkafka does not take an option, or one is weir's own. */
MUST_CHECK struct source *kafka_source_open(const struct kafka_options *options,
                                            const struct source_events *events, struct err *err);

#endif
