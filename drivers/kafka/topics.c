/*
 * topics.c: the topics that we read, and how many partitions each has.
 *
 *     metadata -> the subscribed ones -> counted, compared with what each had before
 *                                        '-> co-partitioned (R7): compared with each other
 *
 * A log that is keyed by the document stays so only as long as its partitions stay as many: with
 * more of them the producers send a document's changes elsewhere, while its earlier ones may still
 * be unread in another member's hands. That cannot be undone from here, so it is said.
 *
 * Rows of one document in several topics come together only where the topics have equally many
 * partitions. Others are not taken: at the first assignment at once; later after a while, because
 * whoever adds partitions does it one topic after the other.
 *
 * A topic that does not exist (yet) has no count and is compared with nothing.
 */
#include "drivers/kafka/internal.h"

#include <stdlib.h>
#include <string.h>

#define APART_US UINT64_C(15000000)

/* A topic as metadata spoke of it last. */
struct kafka_topic {
    char *name;
    int partitions;
};

static bool is_subscribed(const struct kafka_source *source, const char *topic)
{
    for (unsigned i = 0; i < source->n_topics; i++) {
        if (source->topics[i][0] != '^' ? strcmp(source->topics[i], topic) == 0
                                        : regexec(&source->expressions[i], topic, 0, NULL, 0) == 0)
            return true;
    }
    return false;
}

static struct kafka_topic *topic_of(struct kafka_source *source, const char *name)
{
    for (unsigned i = 0; i < source->n_seen; i++)
        if (strcmp(source->seen[i].name, name) == 0)
            return &source->seen[i];
    source->seen = realloc(source->seen, (source->n_seen + 1) * sizeof(*source->seen));
    ASSERT(source->seen);
    source->seen[source->n_seen] = (struct kafka_topic){ .name = strdup(name) };
    ASSERT(source->seen[source->n_seen].name);
    return &source->seen[source->n_seen++];
}

static void note_count(struct kafka_source *source, const char *name, int partitions)
{
    struct kafka_topic *topic = topic_of(source, name);
    int before = topic->partitions;

    topic->partitions = partitions;
    if (before == 0 || before == partitions)
        return;
    if (source->partitioned_by_key)
        log_line(
            LOG_ALERT, "kafka",
            "topic %s has now %d partitions, it had %d: documents move between partitions, and "
            "two members may write one document until all that was there before is read: run "
            "one node until then, and read the log again from its start if several ran "
            "(docs/ORDERING.md)",
            name, partitions, before);
    else
        log_line(LOG_WARN, "kafka",
                 "topic %s has now %d partitions, it had %d: rows move between partitions "
                 "(docs/ORDERING.md)",
                 name, partitions, before);
}

unsigned kafka_topics_count(struct kafka_source *source, const struct rd_kafka_metadata *metadata)
{
    unsigned total = 0;

    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];

        if (topic->partition_cnt == 0 || !is_subscribed(source, topic->topic))
            continue;
        note_count(source, topic->topic, topic->partition_cnt);
        total += (unsigned)topic->partition_cnt;
    }
    return total;
}

/* A topic with another count than the first has; NULL where all are equal. */
static const struct kafka_topic *odd_one(const struct kafka_source *source)
{
    for (unsigned i = 1; i < source->n_seen; i++)
        if (source->seen[i].partitions != source->seen[0].partitions)
            return &source->seen[i];
    return NULL;
}

bool kafka_topics_fit(struct kafka_source *source)
{
    const struct kafka_topic *odd = source->partitioned_by_key ? odd_one(source) : NULL;
    uint64_t now = kafka_now_us();

    if (!odd) {
        source->fitted = true;
        source->apart_until_us = 0;
        return true;
    }
    if (source->apart_until_us == 0) {
        source->apart_until_us = source->fitted ? now + APART_US : now;
        if (source->fitted)
            log_line(LOG_ALERT, "kafka",
                     "the topics have no longer equally many partitions (%s: %d, %s: %d): nothing "
                     "is read until they have",
                     source->seen[0].name, source->seen[0].partitions, odd->name, odd->partitions);
    }
    if (now >= source->apart_until_us)
        (void)err_set(&source->refusal, EXIT_CONFIG,
                      "kafka: rows of one document come by partitions of one number, so all topics "
                      "of the task need equally many, but %s has %d and %s has %d: give them the "
                      "same number, or read them by a task each",
                      source->seen[0].name, source->seen[0].partitions, odd->name, odd->partitions);
    return false;
}

void kafka_topics_free(struct kafka_source *source)
{
    for (unsigned i = 0; i < source->n_seen; i++)
        free(source->seen[i].name);
    free(source->seen);
}
