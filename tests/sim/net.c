/*
 * net.c: see net.h. A request and its answer are copies, so whoever dies, nobody reads his memory.
 */
#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

#define USUAL_US_LEAST 100
#define USUAL_US_MOST  5000
#define ANSWER_BYTES   ((size_t)64 << 20)
#define PATIENCE_US    10000000 /* after which a driver hears that there was no answer */

struct net_request {
    struct sim_event event;
    struct env *from;
    struct net_server *server;
    struct net_call *call; /* NULL: nobody waits for it any more */
    bool lose_answer, failed;
    size_t bytes, answer_bytes;
    char *answer;
    char data[];
};

static uint64_t latency_us(void)
{
    const struct dials *dials = sim_dials();
    if (sim_chance(dials->slow) && dials->late_us > USUAL_US_MOST)
        return sim_between(USUAL_US_MOST, dials->late_us);
    return sim_between(USUAL_US_LEAST, USUAL_US_MOST);
}

static void finish(struct net_request *request)
{
    free(request->answer);
    free(request);
}

static void come_back(struct sim_event *event)
{
    struct net_request *request = (struct net_request *)event;
    struct net_call *call = request->call;
    uint64_t frozen_us = call != NULL ? sim_frozen_us(request->from) : 0;
    if (frozen_us > 0) { /* the answer waits in its socket */
        sim_at(event, frozen_us);
        return;
    }
    if (call != NULL && sim_is_alive(request->from)) {
        call->request = NULL;
        call->done(call, request->failed,
                   (struct slice){ request->answer, request->failed ? 0 : request->answer_bytes });
        env_wake(request->from);
    }
    finish(request);
}

static void go_back(struct net_request *request, uint64_t delay_us)
{
    request->event.run = come_back;
    sim_at(&request->event, delay_us);
}

/* Answers are of one buffer, used by one at a time. */
static struct buf *answer_buffer(void)
{
    static struct buf buf;
    if (buf.data == NULL) {
        buf.data = malloc(ANSWER_BYTES);
        ASSERT(buf.data != NULL);
        buf.bound = ANSWER_BYTES;
    }
    buf.len = 0;
    buf.overflow = false;
    return &buf;
}

static void arrive(struct sim_event *event)
{
    struct net_request *request = (struct net_request *)event;
    struct buf *answer = answer_buffer();
    if (request->server->away ||
        !request->server->serve(request->server, (struct slice){ request->data, request->bytes },
                                answer)) {
        request->failed = true;
    } else if (request->lose_answer) {
        request->failed = true;
        go_back(request, PATIENCE_US);
        return;
    } else {
        ASSERT(!answer->overflow);
        request->answer = malloc(answer->len + 1);
        ASSERT(request->answer != NULL);
        if (answer->len > 0)
            memcpy(request->answer, answer->data, answer->len);
        request->answer_bytes = answer->len;
    }
    go_back(request, latency_us());
}

void net_send(struct env *from, struct net_server *server, struct net_call *call,
              struct slice request)
{
    struct net_request *sent = calloc(1, sizeof(*sent) + request.len);
    ASSERT(sent != NULL && call->request == NULL);
    sent->from = from;
    sent->server = server;
    sent->call = call;
    sent->bytes = request.len;
    if (request.len > 0)
        memcpy(sent->data, request.data, request.len);
    call->request = sent;
    if (sim_chance(sim_dials()->lose_request)) {
        sent->failed = true;
        go_back(sent, sim_below(2) ? PATIENCE_US : latency_us());
        return;
    }
    sent->lose_answer = sim_chance(sim_dials()->lose_answer);
    sent->event.run = arrive;
    sim_at(&sent->event, latency_us());
}

void net_abandon(struct net_call *call)
{
    if (call->request != NULL)
        call->request->call = NULL;
    call->request = NULL;
}

/* ---- for threads that wait ---- */

struct asked {
    struct net_call call; /* first: a call pointer is a pointer to this */
    bool through, failed;
    char *answer;
    size_t bytes;
};

static void answered(struct net_call *call, bool failed, struct slice answer)
{
    struct asked *asked = (struct asked *)call;
    asked->through = true;
    asked->failed = failed;
    if (failed)
        return;
    asked->answer = malloc(answer.len + 1);
    ASSERT(asked->answer != NULL);
    if (answer.len > 0)
        memcpy(asked->answer, answer.data, answer.len);
    asked->bytes = answer.len;
}

int net_ask(struct env *from, struct net_server *server, struct slice request, char **answer,
            size_t *bytes)
{
    struct asked asked = { .call = { .done = answered } };
    net_send(from, server, &asked.call, request);
    while (!asked.through)
        (void)env_wait(from, PATIENCE_US);
    *answer = asked.answer;
    *bytes = asked.bytes;
    return asked.failed ? -1 : 0;
}
