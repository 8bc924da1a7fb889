/*
 * http.c: drivers/elasticsearch/http.h over the simulated network: linked in the place of the one
 * that speaks HTTP.
 *
 *     http_start ─► net_send ─► the cluster's door ─► answered(): kept ─┐
 *                                                                       ├─► http_step(): done(call)
 *                                time is over: net_abandon ─────────────┘
 *
 * The same results as from the real one: a status is what it is there, no answer and a time-out are
 * HTTP_FAILED, and then the next request goes to the next server. All servers of the options are
 * doors of one cluster. As there, done() is called from http_step() alone, and time-outs are seen
 * to there: a node that was frozen past its patience may find the answer or the time-out first.
 *
 * `easy` and `multi`, libcurl's in the real one, are a flight and the flights here. They are on the
 * heap as libcurl's are; a node that is killed leaves them there.
 *
 * What this does not do: compress (the sizes of bodies do not matter), break off in mid-answer:
 * that is no answer to libcurl, as any that is lost.
 */
#include "drivers/elasticsearch/http.h"

#include "drivers/elasticsearch/answer.h"
#include "tests/sim/search.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define WHY_BYTES_MAX  512
#define FLIGHTS_MAX    64
#define STATUS_UNKNOWN 0

struct flight {
    struct net_call net; /* first: a call pointer is a pointer to this */
    struct http_call *call;
    uint64_t due_us;
    bool arrived, failed;
    unsigned status;
};

struct flights {
    struct flight *arrived[FLIGHTS_MAX]; /* in the order of arrival */
    struct flight *all[FLIGHTS_MAX];
    unsigned n_arrived, n;
};

static struct flights *flights_of(const struct http *http)
{
    return (struct flights *)http->multi;
}

static struct flight *flight_of(const struct http_call *call)
{
    return (struct flight *)call->easy;
}

int http_open(struct http *http, struct servers *servers, unsigned shard, struct env *env,
              struct err *err)
{
    ASSERT(servers->n > 0);
    *http = (struct http){ .servers = servers, .env = env };
    http->server = shard % servers->n;
    http->multi = calloc(1, sizeof(struct flights));
    return http->multi == NULL ? err_set(err, EXIT_SOFTWARE, "elasticsearch: out of memory") : 0;
}

/* "503\n{...}" */
static unsigned status_of(struct slice *answer)
{
    unsigned status = STATUS_UNKNOWN;

    for (size_t i = 0; i < answer->len; i++) {
        char c = answer->data[i];

        if (c == '\n') {
            *answer = (struct slice){ answer->data + i + 1, answer->len - i - 1 };
            return status;
        }
        if (c < '0' || c > '9' || i == 3)
            break;
        status = status * 10 + (unsigned)(c - '0');
    }
    return STATUS_UNKNOWN;
}

static void answered(struct net_call *net, bool failed, struct slice answer)
{
    struct flight *flight = (struct flight *)(void *)net;
    struct flights *flights = flights_of(flight->call->http);

    flight->arrived = true;
    flight->failed = failed;
    if (!failed) {
        flight->status = status_of(&answer);
        ASSERT(flight->status != STATUS_UNKNOWN);
        buf_put_slice(&flight->call->answer, answer);
    }
    flights->arrived[flights->n_arrived++] = flight;
}

int http_call_open(struct http_call *call, struct http *http,
                   const struct http_call_options *options, struct err *err)
{
    struct flights *flights = flights_of(http);
    struct flight *flight = calloc(1, sizeof(*flight));

    *call = (struct http_call){ .http = http, .path = options->path };
    if (flight == NULL)
        return err_set(err, EXIT_SOFTWARE, "elasticsearch: out of memory");
    buf_open(&call->answer, options->answer_bytes_max, "Elasticsearch's answers");
    if (http->servers->options->gzip)
        buf_open(&call->packed, options->body_bytes_max, "compressed requests");
    *flight = (struct flight){ .net = { .done = answered }, .call = call };
    ASSERT(flights->n < FLIGHTS_MAX);
    flights->all[flights->n++] = flight;
    call->easy = flight;
    return 0;
}

void http_call_close(struct http_call *call)
{
    struct flight *flight = flight_of(call);

    if (call->http == NULL)
        return;
    call->http->closing = true;
    if (flight != NULL)
        net_abandon(&flight->net);
    free(flight);
    *call = (struct http_call){ .http = NULL };
}

void http_close(struct http *http)
{
    http->closing = true;
    free(http->multi);
    http->multi = NULL;
}

void http_start(struct http_call *call, struct slice body)
{
    struct http *http = call->http;
    struct flight *flight = flight_of(call);
    size_t head = strlen("POST ") + strlen(call->path) + 1;
    char *text = malloc(head + body.len + 1);

    ASSERT(!call->running && text != NULL && world.search != NULL);
    call->server = http->server;
    call->running = true;
    http->running++;
    buf_reset(&call->answer);
    flight->arrived = flight->failed = false;
    flight->due_us = env_mono_us(http->env) + http->servers->options->timeout_us;
    snprintf(text, head + 1, "POST %s\n", call->path);
    memcpy(text + head, body.data, body.len);
    net_send(http->env, search_door(world.search), &flight->net,
             (struct slice){ text, head + body.len });
    free(text);
}

static void fail(struct http_call *call, const char *why)
{
    struct http *http = call->http;

    if (http->server == call->server)
        http->server = (http->server + 1) % http->servers->n;
    servers_failed(http->servers, call->server, http->server, why);
}

static void fail_by_status(struct http_call *call, unsigned status)
{
    struct answer_error error = answer_error(buf_slice(&call->answer));
    char text[WHY_BYTES_MAX + ANSWER_REASON_BYTES_MAX], why[WHY_BYTES_MAX];
    struct buf reason = { .data = text, .bound = sizeof(text) };

    answer_error_text(&error, "", &reason);
    snprintf(why, sizeof(why), "it answers %u%s%.*s", status, reason.len > 0 ? ": " : "",
             (int)(reason.len < 300 ? reason.len : 300), text);
    fail(call, why);
}

static enum http_result result_of(struct http_call *call)
{
    struct flight *flight = flight_of(call);

    if (!flight->arrived || flight->failed) {
        fail(call, flight->arrived ? "there is no answer" : "there is no answer in time");
        return HTTP_FAILED;
    }
    if (flight->status == 413)
        return HTTP_TOO_LARGE;
    if (call->answer.overflow)
        return HTTP_TOO_LONG;
    if (flight->status == 200)
        return HTTP_OK;
    if (flight->status == 400)
        return HTTP_BAD_REQUEST;
    if (flight->status == 429)
        return HTTP_BUSY;
    fail_by_status(call, flight->status);
    return HTTP_FAILED;
}

static void finish(struct flight *flight)
{
    struct http_call *call = flight->call;

    ASSERT(call->running && call->http->running > 0);
    net_abandon(&flight->net);
    call->running = false;
    call->http->running--;
    call->result = result_of(call);
    call->done(call);
}

/* Who came first is done first. done() may start a call, which cannot arrive before the next wait.
 */
static void finish_arrived(struct http *http, uint64_t now_us)
{
    struct flights *flights = flights_of(http);
    unsigned n = flights->n_arrived;

    flights->n_arrived = 0;
    for (unsigned i = 0; i < n; i++) {
        struct flight *flight = flights->arrived[i];

        if (now_us >= flight->due_us && sim_below(2))
            flight->arrived = false;
        finish(flight);
    }
}

void http_step(struct http *http)
{
    struct flights *flights = flights_of(http);
    uint64_t now_us = env_mono_us(http->env);

    if (http->running == 0)
        return;
    finish_arrived(http, now_us);
    for (unsigned i = 0; i < flights->n; i++)
        if (flights->all[i]->call->running && now_us >= flights->all[i]->due_us)
            finish(flights->all[i]);
}

void http_worked(struct http_call *call)
{
    servers_worked(call->http->servers, call->server);
}

void http_distrust(struct http_call *call, const char *why)
{
    char text[WHY_BYTES_MAX];

    snprintf(text, sizeof(text), "its answer cannot be used: %s", why);
    fail(call, text);
}
