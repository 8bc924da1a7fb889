/*
 * kafka.h: dead letters as messages of a Kafka topic: the message's own key, and letter.h's object
 * as the payload.
 *
 * Shards may put at the same time. A letter is durable when every in-sync replica has it (acks=all)
 * and sync() has seen that. A letter that the broker refuses for good (too large for the topic, not
 * authorised, too late) is lost to us: from then on every put() and sync() fails, and the task must
 * stop.
 */
#ifndef WEIR_DEAD_LETTER_KAFKA_H
#define WEIR_DEAD_LETTER_KAFKA_H

#include "dataplane/dead_letter.h"

#include <stddef.h>

struct dead_letter_setting {
    const char *name, *value;
};

struct dead_letter_kafka_options {
    const char *brokers; /* host:port, comma-separated */
    const char *topic;
    const struct dead_letter_setting *options; /* for librdkafka, as they are */
    unsigned n_options;
    size_t event_bytes_max;
};

/*
 * Start-up only; nothing is sent yet, and a broker that is not there is not an error here. Strings
 * are copied. NULL with *err (EXIT_CONFIG) where librdkafka does not take an option.
 *
 * put() waits up to 10 s where librdkafka's queue is full; sync() up to 10 s for what is under way.
 * Where that was too short, sync() returns -1 with EXIT_UNAVAILABLE in *err: nothing is lost, call
 * it again before you commit. Any other code is for good.
 */
MUST_CHECK struct dead_letters *
dead_letter_kafka_open(const struct dead_letter_kafka_options *options, const char *task,
                       struct err *err);

#endif
