/*
 * commit.c: commits with the partition's clock as their metadata.
 *
 * Answers arrive on a queue of our own. Who does not wait lets them be looked at by the next
 * service(), which says what failed; who waits takes answers until its own has come. So a rebalance
 * that is being answered (control commits from within revoking()) never waits on the consumer's own
 * queue, where it would meet itself.
 *
 * librdkafka repeats a commit that failed on its way, and may do so behind a newer one, which takes
 * the group back to the older place. So a commit is handed over when the one before is answered:
 * until then who does not wait is told that it is not committed, and who waits waits for both.
 *
 * A group that is rebalancing refuses commits for a while: that is a -1 with EXIT_UNAVAILABLE, to
 * be tried again.
 */
#include "drivers/kafka/internal.h"

#include "dataplane/clock.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MS_MAX 10000
#define LOOK_MS       500
#define LOST_US       UINT64_C(60000000) /* a commit without an answer for so long is forgotten */

static rd_kafka_topic_partition_list_t *list_of(const struct source_commit *commits, unsigned n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

    for (unsigned i = 0; i < n; i++) {
        rd_kafka_topic_partition_t *to =
            rd_kafka_topic_partition_list_add(list, commits[i].topic, commits[i].number);
        char text[CLOCK_TEXT_BYTES];

        clock_to_text(commits[i].clock, text);
        to->offset = commits[i].offset;
        to->metadata =
            strdup(text); /* The list frees it. Without it the commit would start at the epoch. */
        ASSERT(to->metadata);
        to->metadata_size = strlen(text);
    }
    return list;
}

/* The answer's error, or the first of its partitions'. */
static rd_kafka_resp_err_t error_of(rd_kafka_event_t *answer)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(answer);
    rd_kafka_resp_err_t error = rd_kafka_event_error(answer);

    for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && list && i < list->cnt; i++)
        error = list->elems[i].err;
    return error;
}

static void report(struct kafka_source *source, rd_kafka_resp_err_t error)
{
    uint64_t held;

    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    source->events->uncommitted(source->events->context);
    if (log_limit_pass(&source->limit_commit, kafka_now_us(), &held))
        log_line(LOG_WARN, "kafka", "a commit was not taken: %s; the next one carries it too",
                 rd_kafka_err2str(error));
}

/* Takes one answer. True where it is the one to commit `number`; *error is its result then. */
static bool take_answer(struct kafka_source *source, rd_kafka_event_t *answer, uint64_t number,
                        rd_kafka_resp_err_t *error)
{
    rd_kafka_resp_err_t result = error_of(answer);
    bool wanted = false;

    if (rd_kafka_event_type(answer) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
        source->commits_out -= source->commits_out > 0;
        wanted = (uint64_t)(uintptr_t)rd_kafka_event_opaque(answer) == number;
        if (wanted)
            *error = result;
        else
            report(source, result);
    }
    rd_kafka_event_destroy(answer);
    return wanted;
}

void kafka_commit_answers(struct kafka_source *source)
{
    rd_kafka_resp_err_t error;
    rd_kafka_event_t *answer;

    while ((answer = rd_kafka_queue_poll(source->commits, 0)))
        (void)take_answer(source, answer, 0, &error); /* No commit has the number 0. */
}

/* Until the answer to that commit; 0: until all are answered. */
static rd_kafka_resp_err_t wait_for(struct kafka_source *source, uint64_t number, uint64_t until_us)
{
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;

    while (kafka_now_us() < until_us) {
        if (number == 0 && source->commits_out == 0)
            return RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_event_t *answer = rd_kafka_queue_poll(source->commits, LOOK_MS);

        kafka_waits(source);
        if (answer && take_answer(source, answer, number, &error))
            break;
    }
    return error;
}

/* Hands a commit over, behind all that were before it. */
static rd_kafka_resp_err_t hand_over(struct kafka_source *source,
                                     const struct source_commit *commits, unsigned n)
{
    rd_kafka_topic_partition_list_t *list = list_of(commits, n);
    rd_kafka_resp_err_t error = rd_kafka_commit_queue(source->consumer, list, source->commits, NULL,
                                                      (void *)(uintptr_t)++source->commit_number);

    rd_kafka_topic_partition_list_destroy(list);
    source->commits_out += error == RD_KAFKA_RESP_ERR_NO_ERROR;
    source->commit_us = kafka_now_us();
    return error;
}

int kafka_commit(struct kafka_source *source, const struct source_commit *commits, unsigned n,
                 bool wait, struct err *err)
{
    uint64_t now_us = kafka_now_us(), until_us = now_us + ANSWER_MS_MAX * 1000;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (n == 0 && (!wait || source->commits_out == 0))
        return 0;
    if (source->commits_out > 0 && now_us - source->commit_us > LOST_US)
        source->commits_out = 0;
    if (source->rejoin_assigns > 0 && kafka_now_us() < source->rejoin_until_us)
        return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: the group is rebalancing");
    /* librdkafka has forgotten its member id then. A coordinator that has not takes a static member
     * without one for its own namesake, and librdkafka calls that fatal. */
    if (rd_kafka_assignment_lost(source->consumer))
        return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: the session is over");
    if (source->commits_out > 0 && !wait) {
        source->events->uncommitted(source->events->context);
        return 0;
    }
    if (source->commits_out > 0)
        error = wait_for(source, 0, until_us);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && n > 0)
        error = hand_over(source, commits, n);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && n > 0 && wait)
        error = wait_for(source, source->commit_number, until_us);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: %s", rd_kafka_err2str(error));
}
