/*
 * commit.c: commits with the partition's clock as their metadata.
 *
 * Answers arrive on a queue of our own. Who does not wait lets them be looked at by the next
 * service(), which says what failed; who waits takes answers until its own has come. So a rebalance
 * that is being answered (control commits from within revoking()) never waits on the consumer's own
 * queue, where it would meet itself.
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

static rd_kafka_resp_err_t wait_for(struct kafka_source *source, uint64_t number)
{
    uint64_t until = kafka_now_us() + ANSWER_MS_MAX * 1000;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;

    while (kafka_now_us() < until) {
        rd_kafka_event_t *answer = rd_kafka_queue_poll(source->commits, LOOK_MS);

        kafka_waits(source);
        if (answer && take_answer(source, answer, number, &error))
            break;
    }
    return error;
}

int kafka_commit(struct kafka_source *source, const struct source_commit *commits, unsigned n,
                 bool wait, struct err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t error;
    uint64_t number = ++source->commit_number;

    if (n == 0)
        return 0;
    if (source->rejoin_assigns > 0 && kafka_now_us() < source->rejoin_until_us)
        return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: the group is rebalancing");
    list = list_of(commits, n);
    error = rd_kafka_commit_queue(source->consumer, list, source->commits, NULL,
                                  (void *)(uintptr_t)number);
    rd_kafka_topic_partition_list_destroy(list);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && wait)
        error = wait_for(source, number);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: %s", rd_kafka_err2str(error));
}
