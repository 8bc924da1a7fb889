/*
 * assign.c: what happens when the group deals out its partitions.
 *
 *     rebalance: assign -> pending -> committed? -> marks of each? -> how many in all? do they fit?
 *                                        '-- every service(): one more try, bounded --'
 *                       -> queues taken out -> events.assigned -> rd_kafka_assign, explicit offsets
 *     rebalance: revoke -> events.revoking (drains, commits) -> rd_kafka_unassign
 *
 * - The callback that brings an assignment does not answer it: asking the brokers for commits and
 * marks may take any number of tries, and the control thread must stay able to stop. librdkafka
 * waits for the answer as long as it is polled.
 * - A partition's queue is taken out of the consumer's before it is fetched from, so no message
 * ever arrives on the consumer's own queue.
 * - After a cooperative revoke the member joins anew, and until it has, a commit would be refused
 * and librdkafka (2.0) would then take the partitions that it keeps for lost. So commits are held
 * back until the next assignment.
 * - Whatever arrives meanwhile (a revoke, the end) drops the pending assignment first: control
 * never heard of it.
 *
 * What this does not do: choose a shard for a partition. Control does, in assigned().
 */
#include "drivers/kafka/internal.h"

#include "dataplane/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK_MS_MAX    2000
#define ASK_AGAIN_US  UINT64_C(500000)
#define REJOIN_US_MAX UINT64_C(30000000)
#define LEFT_LOOKS    40
#define LEFT_LOOK_NS  5000000

void kafka_partition_let_go(struct kafka_partition *partition)
{
    if (atomic_fetch_sub(&partition->holders, 1) != 1)
        return;
    rd_kafka_queue_destroy(partition->queue);
    free(partition->topic);
    free(partition);
}

/* Hands the answer to the group: these as well, or (eager) exactly these. */
static void answer(struct kafka_source *source, const rd_kafka_topic_partition_list_t *partitions,
                   bool assign)
{
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_error_t *why = NULL;

    if (!source->cooperative)
        error = rd_kafka_assign(source->consumer, assign ? partitions : NULL);
    else if (assign)
        why = rd_kafka_incremental_assign(source->consumer, partitions);
    else
        why = rd_kafka_incremental_unassign(source->consumer, partitions);
    if (why || error != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_line(LOG_ERROR, "kafka", "cannot %s partitions: %s", assign ? "take" : "give up",
                 why ? rd_kafka_error_string(why) : rd_kafka_err2str(error));
    if (why)
        rd_kafka_error_destroy(why);
}

static void drop_pending(struct kafka_source *source)
{
    if (source->pending.partitions)
        rd_kafka_topic_partition_list_destroy(source->pending.partitions);
    free(source->pending.told);
    source->pending = (struct kafka_pending){ 0 };
}

static void hold_assignment(struct kafka_source *source,
                            const rd_kafka_topic_partition_list_t *partitions)
{
    struct kafka_pending *pending = &source->pending;

    drop_pending(source);
    pending->partitions = rd_kafka_topic_partition_list_copy(partitions);
    pending->told = calloc((size_t)partitions->cnt + 1, sizeof(*pending->told));
    ASSERT(pending->told);
}

static void retry_later(struct kafka_source *source, const char *what, rd_kafka_resp_err_t error)
{
    uint64_t held;

    if (log_limit_pass(&source->limit_retry, kafka_now_us(), &held))
        log_line(LOG_WARN, "kafka", "cannot learn %s of an assignment: %s; trying again", what,
                 rd_kafka_err2str(error));
}

/* The offsets and clocks of the group's commits. True once they are known. */
static bool ask_committed(struct kafka_source *source, int timeout_ms)
{
    struct kafka_pending *pending = &source->pending;
    rd_kafka_topic_partition_list_t *list = pending->partitions;
    rd_kafka_resp_err_t error = rd_kafka_committed(source->consumer, list, timeout_ms);

    for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        error = list->elems[i].err;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        retry_later(source, "the commits", error);
        return false;
    }
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *from = &list->elems[i];
        struct slice text = { from->metadata, from->metadata ? from->metadata_size : 0 };
        struct source_partition *told = &pending->told[i];

        *told = (struct source_partition){ .topic = from->topic,
                                           .number = from->partition,
                                           .offset = from->offset,
                                           .clock = SEQNO_EPOCH };
        if (text.len == 0 || clock_from_text(text, &told->clock))
            continue;
        told->clock = SEQNO_EPOCH;
        if (from->offset >= 0)
            log_line(LOG_WARN, "kafka",
                     "%s [%d]: the commit at offset %lld is not weir's: its order starts anew",
                     from->topic, (int)from->partition, (long long)from->offset);
    }
    return true;
}

/* One end of a partition's log: RD_KAFKA_OFFSET_BEGINNING or _END.
 * rd_kafka_query_watermark_offsets() would tell both, but minds no timeout where the connection
 * breaks meanwhile: librdkafka 2.0 stays in it for minutes. */
static rd_kafka_resp_err_t ask_end(struct kafka_source *source, const struct source_partition *of,
                                   int64_t end, int timeout_ms, int64_t *offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, of->topic, of->number);
    rd_kafka_resp_err_t error;

    at->offset = end;
    error = rd_kafka_offsets_for_times(source->consumer, list, timeout_ms);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        error = at->err;
    *offset = at->offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && *offset < 0)
        error = RD_KAFKA_RESP_ERR__FAIL;
    return error;
}

/* Where the next partition's log starts and ends, and so where reading starts. True once it is
 * known. */
static bool ask_marks(struct kafka_source *source, int timeout_ms)
{
    struct kafka_pending *pending = &source->pending;
    struct source_partition *told = &pending->told[pending->at];
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t error = ask_end(source, told, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, &low);

    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        error = ask_end(source, told, RD_KAFKA_OFFSET_END, timeout_ms, &high);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        retry_later(source, "the ends of the logs", error);
        return false;
    }
    told->end_offset = high;
    if (told->offset < 0) {
        told->offset = source->start_latest ? high : low;
        told->fresh = true;
    } else if (told->offset < low || told->offset > high) {
        log_line(LOG_WARN, "kafka",
                 "%s [%d]: the commit at offset %lld is outside the log (%lld to %lld): reading "
                 "from %lld",
                 told->topic, (int)told->number, (long long)told->offset, (long long)low,
                 (long long)high, (long long)low);
        told->offset = low;
        told->fresh = true;
    }
    return true;
}

/* How many partitions our topics have in all. True once it is known. */
static bool ask_total(struct kafka_source *source, int timeout_ms, unsigned *total)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(source->consumer, 1, NULL, &metadata, timeout_ms);

    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        retry_later(source, "all partitions", error);
        return false;
    }
    *total = kafka_topics_count(source, metadata);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* The partition with its queue taken out of the consumer's. */
static struct kafka_partition *own(struct kafka_source *source, const struct source_partition *told)
{
    struct kafka_partition *partition = calloc(1, sizeof(*partition));

    ASSERT(partition);
    atomic_init(&partition->holders, 1);
    partition->topic = strdup(told->topic);
    partition->number = told->number;
    partition->queue = rd_kafka_queue_get_partition(source->consumer, told->topic, told->number);
    ASSERT(partition->topic && partition->queue);
    rd_kafka_queue_forward(partition->queue, NULL);
    if (source->n_owned == source->room_owned) {
        source->room_owned = 2 * source->room_owned + 16;
        source->owned = realloc(source->owned, source->room_owned * sizeof(*source->owned));
        ASSERT(source->owned);
    }
    source->owned[source->n_owned++] = partition;
    return partition;
}

/* Everything is known: control is told, and the group is answered. */
static void finish_assignment(struct kafka_source *source, unsigned total)
{
    struct kafka_pending *pending = &source->pending;
    rd_kafka_topic_partition_list_t *list = pending->partitions;
    unsigned before = source->n_owned;

    for (int i = 0; i < list->cnt; i++) {
        struct kafka_partition *partition = own(source, &pending->told[i]);

        pending->told[i].topic = partition->topic;
        pending->told[i].handle = partition;
        list->elems[i].offset = pending->told[i].offset;
    }
    source->events->assigned(source->events->context, pending->told, (unsigned)list->cnt, total);
    for (int i = 0; i < list->cnt; i++)
        source->owned[before + (unsigned)i]->told = pending->told[i]; /* With its slot. */
    answer(source, list, true);
    drop_pending(source);
}

void kafka_assign_step(struct kafka_source *source, unsigned timeout_ms)
{
    struct kafka_pending *pending = &source->pending;
    uint64_t until = kafka_now_us() + timeout_ms * UINT64_C(1000);
    unsigned total = 0;

    if (!pending->partitions || kafka_now_us() < pending->ask_us)
        return;
    if (!pending->committed_known && !ask_committed(source, ASK_MS_MAX))
        return;
    pending->committed_known = true;
    while (pending->at < pending->partitions->cnt) {
        kafka_waits(source);
        if (!ask_marks(source, ASK_MS_MAX))
            return;
        pending->at++;
        if (kafka_now_us() > until)
            return; /* The rest in the next service(): the control thread has other work too. */
    }
    kafka_waits(source);
    if (!ask_total(source, ASK_MS_MAX, &total))
        return;
    if (kafka_topics_fit(source))
        finish_assignment(source, total);
    else
        pending->ask_us = kafka_now_us() + ASK_AGAIN_US;
}

/* Takes the partitions of the list out of those we own. Returns how many that were; told[] is
 * filled. */
static unsigned disown(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list,
                       struct kafka_partition **gone, struct source_partition *told)
{
    unsigned n = 0, kept = 0;

    for (unsigned i = 0; i < source->n_owned; i++) {
        struct kafka_partition *partition = source->owned[i];

        if (rd_kafka_topic_partition_list_find(list, partition->topic, partition->number)) {
            told[n] = partition->told;
            gone[n++] = partition;
        } else {
            source->owned[kept++] = partition;
        }
    }
    source->n_owned = kept;
    return n;
}

static void revoke(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list)
{
    struct kafka_partition **gone = calloc(source->n_owned + 1, sizeof(struct kafka_partition *));
    struct source_partition *told = calloc(source->n_owned + 1, sizeof(*told));
    bool lost = rd_kafka_assignment_lost(source->consumer) != 0 || /* or given to our namesake */
                rd_kafka_fatal_error(source->consumer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
    unsigned n;

    ASSERT(gone && told);
    source->rejoin_assigns = 0; /* What control commits while it drains is of a valid generation. */
    n = disown(source, list, gone, told);
    if (n > 0)
        source->events->revoking(source->events->context, told, n, lost);
    answer(source, list, false);
    if (source->cooperative && !lost) { /* The rest of this generation, and the next one. */
        source->rejoin_assigns = 2;
        source->rejoin_until_us = kafka_now_us() + REJOIN_US_MAX;
    }
    for (unsigned i = 0; i < n; i++)
        kafka_partition_let_go(gone[i]);
    free(gone);
    free(told);
}

/* Answers an assignment that control never heard of, so that librdkafka can take it back in order.
 */
void kafka_assign_abandon(struct kafka_source *source)
{
    if (source->pending.partitions)
        answer(source, source->pending.partitions, true);
    drop_pending(source);
}

/* A member that owns nothing may have left before it answers. librdkafka 2.0 throws away what waits
 * for it as it leaves, an answer too, whose caller then waits for ever: so it is given time. */
static bool has_left(const struct kafka_source *source)
{
    const struct timespec pause = { .tv_nsec = LEFT_LOOK_NS };

    for (unsigned i = 0; source->closing && source->n_owned == 0 && i < LEFT_LOOKS; i++) {
        if (rd_kafka_consumer_closed(source->consumer))
            return true;
        (void)nanosleep(&pause, NULL); /* A signal makes it shorter. */
    }
    return false;
}

void kafka_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t error,
                     rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct kafka_source *source = opaque;

    (void)consumer;
    drop_pending(source);
    if (has_left(source))
        return;
    if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        source->dealt = true;
        source->rejoin_assigns -= source->rejoin_assigns > 0;
        if (source->closing)
            answer(source, partitions, true); /* So that it can be taken back in order. */
        else
            hold_assignment(source, partitions);
        return;
    }
    if (error != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        log_line(LOG_WARN, "kafka", "the group's rebalance failed: %s", rd_kafka_err2str(error));
    revoke(source, partitions);
}
