/*
 * consumer_commit.c: commits on their way to the coordinator, and their answers.
 *
 *     SENT ──(latency; the connection is busy with a join)──► served by the group: SERVED
 *       └ lost ──────────────────────────────────────────────────┐   │ its answer is lost
 *                                                                ▼   ▼
 *                                    after up to 15 s: ANSWERED: no answer  /  what the group said
 *
 * One connection: they are served in the order in which they were sent, and before a join that is
 * sent later. A commit names the member and generation of the time at which it was sent. One that a
 * process sent before it was killed arrives, or does not.
 *
 * Dial `lose_commit`: the request or its answer is lost.
 */
#include "tests/sim/consumer_model.h"

#include <stdlib.h>

#define BUSY_US_MOST      10000
#define NO_ANSWER_US_MOST 15000000

static void serve(struct commit_call *call)
{
    struct consumer *consumer = call->consumer;
    call->code = GROUP_NO_ANSWER;
    if (!call->lost && consumer_reaches(consumer)) {
        enum group_code code = group_commit(consumer->group, &call->self, call->commits, call->n);
        call->code = call->unanswered ? GROUP_NO_ANSWER : code;
    }
    call->state = CALL_SERVED;
    sim_cancel(&call->event);
    sim_at(&call->event, call->code != GROUP_NO_ANSWER ? broker_latency_us()
                         : sim_below(2)                ? sim_between(1, BUSY_US_MOST)
                                                       : sim_between(1, NO_ANSWER_US_MOST));
}

void consumer_commits_serve(struct consumer *consumer)
{
    for (struct commit_call *call = consumer->calls; call != NULL; call = call->next)
        if (call->state == CALL_SENT)
            serve(call);
}

static void arrive(struct commit_call *call)
{
    struct consumer *consumer = call->consumer;
    bool alive = consumer_is_alive(consumer);
    if (!alive && sim_below(2))
        return;
    if (alive && consumer->waiting) {
        sim_at(&call->event, sim_between(1, BUSY_US_MOST));
        return;
    }
    for (struct commit_call *first = consumer->calls; first != call; first = first->next)
        if (first->state == CALL_SENT)
            serve(first);
    serve(call);
}

static void answer(struct commit_call *call)
{
    struct consumer *consumer = call->consumer;
    if (!consumer_is_alive(consumer))
        return;
    if (consumer_stands_still(consumer)) {
        sim_at(&call->event, sim_between(1, BUSY_US_MOST));
        return;
    }
    call->state = CALL_ANSWERED;
    if (call->self.id == consumer->self.id)
        (void)consumer_refused(consumer, call->code);
    env_wake(consumer->options.env);
}

static void go_on(struct sim_event *event)
{
    struct commit_call *call = (struct commit_call *)event;
    if (call->state == CALL_SENT)
        arrive(call);
    else
        answer(call);
}

/* It arrives after all that were sent before. */
static void dispatch(struct commit_call *call)
{
    struct consumer *consumer = call->consumer;
    struct commit_call **link = &consumer->calls;
    uint64_t now_us = sim_now_us(), at_us = now_us + broker_latency_us();
    while (*link != NULL)
        link = &(*link)->next;
    *link = call;
    if (at_us <= consumer->last_arrival_us)
        at_us = consumer->last_arrival_us + 1;
    consumer->last_arrival_us = at_us;
    sim_at(&call->event, at_us - now_us);
}

uint64_t consumer_commit(struct consumer *consumer, const struct group_commit *commits, unsigned n)
{
    struct commit_call *call = calloc(1, sizeof(*call) + n * sizeof(*commits));
    bool fails = sim_chance(sim_dials()->lose_commit);
    ASSERT(call != NULL && n <= BROKER_LOGS_MAX);
    call->event.run = go_on;
    call->consumer = consumer;
    call->number = ++consumer->last_number;
    call->self = consumer->self;
    call->lost = fails && sim_below(2);
    call->unanswered = fails;
    call->n = n;
    memcpy(call->commits, commits, n * sizeof(*commits));
    dispatch(call);
    return call->number;
}

bool consumer_commit_answer(struct consumer *consumer, uint64_t *number, enum group_code *code)
{
    struct commit_call **link = &consumer->calls;
    while (*link != NULL && (*link)->state != CALL_ANSWERED)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    struct commit_call *call = *link;
    *link = call->next;
    *number = call->number;
    *code = call->code;
    free(call);
    return true;
}

void consumer_commits_free(struct consumer *consumer)
{
    while (consumer->calls != NULL) {
        struct commit_call *call = consumer->calls;
        consumer->calls = call->next;
        sim_cancel(&call->event);
        free(call);
    }
}
