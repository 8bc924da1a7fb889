/*
 * http.c: libcurl's multi interface on a shard's env.
 *
 *     http_start ─► curl_multi ─► socket_changed() ─► env_watch()
 *                       ▲                                │ readable, writable
 *                       ├──────── socket_ready() ◄───────┘
 *                       └──────── http_step(): time-outs that are due, then done() of calls
 *
 * libcurl never waits here: it says which sockets it wants watched (socket_changed) and when it
 * wants to be called for a time-out (timer_changed); the env has no timers, so http_step() compares
 * with the clock. A time-out of 0 means "at once" and drives the next step of a request, which is
 * why due time-outs are also looked at after each event.
 *
 * Invariants: a call is running between http_start() and its done(); done() is only called from
 * http_step(), never from within libcurl, so that it may start a call; after http->closing no env
 * function is called.
 *
 * Which server: `server` until a call that went there fails, then the next one. A call that fails
 * late, on a server that was left already, changes nothing.
 *
 * What this does not do: wait before trying again, read answers (bulk.c, lookup.c), resolve names
 * by itself (libcurl does, in a thread of its own). libcurl allocates from its own heap; the bodies
 * and answers are ours.
 */
#include "drivers/elasticsearch/http.h"

#include "dataplane/base/log.h"
#include "drivers/elasticsearch/answer.h"

#include <errno.h>
#include <stdio.h>

#define NEVER             UINT64_MAX
#define STEPS_AT_ONCE_MAX 16 /* time-outs of 0 in a row, before others get their turn */
#define TRANSFER_BYTES    (512L << 10)
#define WHY_BYTES_MAX     512

static const char where[] = "elasticsearch";

/* Where memory is short, libcurl (7.88) leaves a socket's entry behind that it trips over later,
 * and a request that nothing wakes up: the process ends, and what it did not commit is read again.
 */
static void act(struct http *http, curl_socket_t fd, int bits)
{
    int running;
    CURLMcode code = curl_multi_socket_action(http->multi, fd, bits, &running);

    if (code == CURLM_OUT_OF_MEMORY)
        fatal(EXIT_SOFTWARE, "elasticsearch: out of memory");
    ASSERT(code == CURLM_OK);
}

/* Runs libcurl's time-outs that are due. */
static void run_timeouts(struct http *http)
{
    for (unsigned i = 0; i < STEPS_AT_ONCE_MAX; i++) {
        if (http->due_us == NEVER || env_mono_us(http->env) < http->due_us)
            return;
        http->due_us = NEVER; /* libcurl sets it again where it wants more. */
        act(http, CURL_SOCKET_TIMEOUT, 0);
    }
}

static void socket_ready(struct watch *watch, unsigned events)
{
    struct http *http = ((struct http_watch *)(void *)watch)->http;
    int bits = 0;

    if (http->closing)
        return;
    if (events & WATCH_READ)
        bits |= CURL_CSELECT_IN;
    if (events & WATCH_WRITE)
        bits |= CURL_CSELECT_OUT;
    act(http, watch->fd, bits);
    run_timeouts(http);
}

static struct http_watch *free_watch(struct http *http)
{
    for (unsigned i = 0; i < HTTP_WATCHES_MAX; i++)
        if (!http->watches[i].used)
            return &http->watches[i];
    return NULL;
}

/* A request whose socket cannot be watched runs into its time-out: nothing is lost, but somebody
 * should know. */
static void cannot_watch(struct http *http, int error)
{
    uint64_t held_back;

    if (log_limit_pass(&http->no_watch, env_mono_us(http->env), &held_back))
        log_line(LOG_ERROR, where, "a connection cannot be watched: %s (%llu more)",
                 strerror(-error), (unsigned long long)held_back);
}

static void watch_socket(struct http *http, struct http_watch *known, curl_socket_t fd,
                         unsigned events)
{
    struct http_watch *slot = known != NULL ? known : free_watch(http);
    int error;

    if (slot == NULL) {
        cannot_watch(http, -ENOSPC);
        return;
    }
    slot->watch.events = events;
    if (known != NULL) {
        error = env_rewatch(http->env, &slot->watch);
    } else {
        slot->watch.fd = fd;
        slot->watch.ready = socket_ready;
        slot->http = http;
        error = env_watch(http->env, &slot->watch);
        slot->used = error == 0;
        if (slot->used)
            ASSERT(curl_multi_assign(http->multi, fd, slot) == CURLM_OK);
    }
    if (error != 0)
        cannot_watch(http, error);
}

/* libcurl: from now on `what` is wanted of the socket. Never returns -1, which would end all
 * requests for good. */
static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *http_of, void *watch_of)
{
    struct http *http = http_of;
    struct http_watch *known = watch_of;
    unsigned events = 0;

    (void)easy;
    if (http->closing)
        return 0;
    if (what == CURL_POLL_REMOVE) {
        if (known != NULL) {
            env_unwatch(http->env, &known->watch);
            known->used = false;
        }
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= WATCH_READ;
    if (what & CURL_POLL_OUT)
        events |= WATCH_WRITE;
    watch_socket(http, known, fd, events);
    return 0;
}

/* libcurl: call me in timeout_ms, -1: no need. */
static int timer_changed(CURLM *multi, long timeout_ms, void *http_of)
{
    struct http *http = http_of;

    (void)multi;
    if (timeout_ms < 0 || http->closing)
        http->due_us = NEVER;
    else
        http->due_us = env_mono_us(http->env) + (uint64_t)timeout_ms * 1000;
    return 0;
}

static size_t answer_arrives(char *bytes, size_t size, size_t n, void *call_of)
{
    struct http_call *call = call_of;

    buf_put(&call->answer, bytes, size * n);
    return call->answer.overflow ? 0 : size * n; /* 0 makes libcurl give up on the request */
}

int http_open(struct http *http, struct servers *servers, unsigned shard, struct env *env,
              struct err *err)
{
    bool good = true;

    ASSERT(servers->n > 0);
    *http = (struct http){ .servers = servers, .env = env, .due_us = NEVER };
    http->server = shard % servers->n;
    http->multi = curl_multi_init();
    if (http->multi == NULL)
        return err_set(err, EXIT_SOFTWARE,
                       "elasticsearch: libcurl cannot start, for want of memory perhaps");
    good &= curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_changed) == CURLM_OK;
    good &= curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK;
    good &= curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_changed) == CURLM_OK;
    good &= curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) == CURLM_OK;
    if (!good)
        return err_set(err, EXIT_SOFTWARE,
                       "elasticsearch: libcurl refuses our settings, or is out of memory");
    /* 15 + 16: the largest window, with gzip's header and trailer. */
    if (servers->options->gzip &&
        deflateInit2(&http->deflate, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(err, EXIT_SOFTWARE,
                       "elasticsearch: zlib cannot start, for want of memory perhaps");
    return 0;
}

static bool set_options(struct http_call *call)
{
    CURL *easy = call->easy;
    bool good = servers_apply(call->http->servers, easy);

    good &= curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_arrives) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, TRANSFER_BYTES) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BYTES) == CURLE_OK;
    return good;
}

int http_call_open(struct http_call *call, struct http *http,
                   const struct http_call_options *options, struct err *err)
{
    bool gzip = http->servers->options->gzip;

    *call = (struct http_call){ .http = http, .path = options->path };
    buf_open(&call->answer, options->answer_bytes_max, "Elasticsearch's answers");
    if (gzip) /* What cannot be compressed grows by 5 bytes in 16 KiB, and a header. */
        buf_open(&call->packed, options->body_bytes_max + options->body_bytes_max / 1024 + 4096,
                 "compressed requests");
    call->headers = servers_headers(http->servers, options->content_type, gzip);
    call->easy = curl_easy_init();
    if (call->headers == NULL || call->easy == NULL || !set_options(call))
        return err_set(err, EXIT_SOFTWARE,
                       "elasticsearch: libcurl refuses our settings, or is out of memory");
    return 0;
}

void http_call_close(struct http_call *call)
{
    if (call->http == NULL)
        return;
    call->http->closing = true;
    if (call->running)
        (void)curl_multi_remove_handle(call->http->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    *call = (struct http_call){ .http = NULL };
}

void http_close(struct http *http)
{
    http->closing = true;
    if (http->multi != NULL)
        ASSERT(curl_multi_cleanup(http->multi) == CURLM_OK);
    if (http->deflate.state != NULL)
        (void)deflateEnd(
            &http->deflate); /* Z_DATA_ERROR only says that a stream was not finished */
    http->multi = NULL;
}

/* The body as gzip, in call->packed. */
static struct slice pack(struct http_call *call, struct slice body)
{
    z_stream *deflater = &call->http->deflate;
    Bytef chunk[16384];
    int state;

    buf_reset(&call->packed);
    ASSERT(deflateReset(deflater) == Z_OK);
    ASSERT(body.len <= UINT32_MAX);
    deflater->next_in = (Bytef *)(uintptr_t)body.data;
    deflater->avail_in = (uInt)body.len;
    do {
        deflater->next_out = chunk;
        deflater->avail_out = sizeof(chunk);
        state = deflate(deflater, Z_FINISH);
        ASSERT(state == Z_OK || state == Z_STREAM_END);
        buf_put(&call->packed, chunk, sizeof(chunk) - deflater->avail_out);
    } while (state != Z_STREAM_END);
    ASSERT(!call->packed.overflow);
    return buf_slice(&call->packed);
}

void http_start(struct http_call *call, struct slice body)
{
    struct http *http = call->http;
    char url[HTTP_PATH_BYTES_MAX * 2];
    bool good = true;
    int len;

    ASSERT(!call->running);
    if (http->servers->options->gzip)
        body = pack(call, body);
    call->server = http->server;
    call->error[0] = '\0';
    buf_reset(&call->answer);
    len = snprintf(url, sizeof(url), "%s%s", http->servers->server[call->server].url, call->path);
    ASSERT(len > 0 && (size_t)len < sizeof(url));
    good &= curl_easy_setopt(call->easy, CURLOPT_URL, url) == CURLE_OK;
    good &= curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, body.data) == CURLE_OK;
    good &=
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) == CURLE_OK;
    /* Only a heap that is exhausted makes these fail. */
    if (!good || curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
        call->next_unsent = http->unsent;
        http->unsent = call;
    }
    call->running = true;
    http->running++;
    run_timeouts(http); /* Connects, or writes into a connection that is open. */
}

static void fail(struct http_call *call, const char *why)
{
    struct http *http = call->http;

    if (http->server == call->server)
        http->server = (http->server + 1) % http->servers->n;
    servers_failed(http->servers, call->server, http->server, why);
}

/* An answer that is none of the expected ones: "503: unavailable_shards_exception: ...". */
static void fail_by_status(struct http_call *call, long status)
{
    struct answer_error error = answer_error(buf_slice(&call->answer));
    char text[WHY_BYTES_MAX + ANSWER_REASON_BYTES_MAX], why[WHY_BYTES_MAX];
    struct buf reason = { .data = text, .bound = sizeof(text) };
    const char *hint = "";

    if (status == 401 || status == 403)
        hint = "; check `username` and `password` or `api_key`, and that they may write the index";
    if (status >= 300 && status < 400)
        hint = "; this is a redirect: give the address it leads to";
    answer_error_text(&error, "", &reason);
    snprintf(why, sizeof(why), "it answers %ld%s%.*s%s", status, reason.len > 0 ? ": " : "",
             (int)(reason.len < 300 ? reason.len : 300), text, hint);
    fail(call, why);
}

static enum http_result result_of(struct http_call *call, CURLcode code)
{
    long status = 0;

    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    /* A server that finds a body too large may answer and hang up before it has read all of it. */
    if (status == 413)
        return HTTP_TOO_LARGE;
    if (call->answer.overflow)
        return HTTP_TOO_LONG;
    if (code != CURLE_OK) {
        fail(call, call->error[0] != '\0' ? call->error : curl_easy_strerror(code));
        return HTTP_FAILED;
    }
    if (status == 200)
        return HTTP_OK;
    if (status == 400)
        return HTTP_BAD_REQUEST;
    if (status == 429)
        return HTTP_BUSY;
    fail_by_status(call, status);
    return HTTP_FAILED;
}

/* One that its done() starts again and that is unsent again waits for the next step. */
static void fail_unsent(struct http *http)
{
    struct http_call *call = http->unsent, *next;

    http->unsent = NULL;
    for (; call != NULL; call = next) {
        next = call->next_unsent;
        call->running = false;
        http->running--;
        fail(call, "no memory for the request");
        call->result = HTTP_FAILED;
        call->done(call);
    }
}

void http_step(struct http *http)
{
    struct CURLMsg *message;
    struct http_call *call;
    int left;

    if (http->running == 0)
        return;
    fail_unsent(http);
    run_timeouts(http);
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        CURLcode code = message->data.result; /* the message dies with the handle's removal */
        char *private = NULL;

        ASSERT(message->msg == CURLMSG_DONE);
        ASSERT(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK);
        call = (struct http_call *)(void *)private;
        ASSERT(curl_multi_remove_handle(http->multi, call->easy) == CURLM_OK);
        ASSERT(call->running && http->running > 0);
        call->running = false;
        http->running--;
        call->result = result_of(call, code);
        call->done(call);
    }
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
