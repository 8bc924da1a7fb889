/*
 * http.h: one shard's requests to the servers of one sink: libcurl's multi interface on the shard's
 * env. Internal to drivers/elasticsearch. All functions: the shard's thread, unless they say
 * start-up or control thread.
 *
 *     http_start(call, body) ─► sockets and http_step() drive it ─► done(call): see call->result
 *
 * A call is a slot for one request at a time; it may be started again in its own done().
 */
#ifndef WEIR_ELASTICSEARCH_HTTP_H
#define WEIR_ELASTICSEARCH_HTTP_H

#include "dataplane/base/log.h"
#include "drivers/elasticsearch/servers.h"

#include <zlib.h>

#define HTTP_WATCHES_MAX    128 /* sockets that libcurl waits for: a few for each call */
#define HTTP_PATH_BYTES_MAX 1024

struct http;

/* A socket that libcurl waits for. */
struct http_watch {
    struct watch watch; /* first: a watch pointer is a pointer to this */
    struct http *http;
    bool used;
};

struct http {
    struct servers *servers;
    struct env *env;
    CURLM *multi;
    z_stream deflate;         /* of request bodies, where the options say gzip */
    unsigned server;          /* where requests go, until it fails */
    unsigned running;         /* calls that were started and are not done */
    struct http_call *unsent; /* those of them that libcurl had no memory for */
    uint64_t due_us;          /* when libcurl wants to look at its time-outs; UINT64_MAX: never */
    bool closing;             /* the env may be gone */
    struct log_limit no_watch;
    struct http_watch watches[HTTP_WATCHES_MAX];
};

enum http_result {
    HTTP_OK,          /* 200: call->answer is complete, as far as HTTP can tell */
    HTTP_TOO_LARGE,   /* 413: the body is too large */
    HTTP_BAD_REQUEST, /* 400: something in the body is refused; call->answer says what */
    HTTP_TOO_LONG,    /* the answer does not fit call->answer */
    HTTP_BUSY,        /* 429: as it is, but later */
    HTTP_FAILED, /* all else: no answer, 5xx, 401; logged, and the next request goes elsewhere */
};

struct http_call {
    void (*done)(struct http_call *call); /* from http_step() */
    void *owner;                          /* for done() */
    struct buf answer;                    /* stays until the next http_start() */
    enum http_result result;              /* in done() and after */

    /* http.c's own. */
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    const char *path;  /* "/orders/_bulk?..." */
    struct buf packed; /* the body, compressed */
    unsigned server;   /* where the request went */
    bool running;
    struct http_call *next_unsent;
    char error[CURL_ERROR_SIZE];
};

/* Start-up. 0, or -1 with *err. `shard` spreads the ports over the servers. */
MUST_CHECK int http_open(struct http *http, struct servers *servers, unsigned shard,
                         struct env *env, struct err *err);

/* What a call's requests have in common. `path` must outlive the call. */
struct http_call_options {
    const char *path, *content_type;
    size_t body_bytes_max, answer_bytes_max;
};

/* Start-up. 0, or -1 with *err. `done` and `owner` are set by the caller afterwards. */
MUST_CHECK int http_call_open(struct http_call *call, struct http *http,
                              const struct http_call_options *options, struct err *err);

/* Control thread, after the shard ended: the calls first, then their http. Both take what an open
 * that failed left. */
void http_call_close(struct http_call *call);
void http_close(struct http *http);

/* POSTs the body, whose bytes must stay until done(). The call must not be running. Where memory is
 * short it is not sent and fails at the next step. */
void http_start(struct http_call *call, struct slice body);

/* Looks at time-outs and runs done() of what is finished. Cheap when nothing is. */
void http_step(struct http *http);

/* The answer was good for something. */
void http_worked(struct http_call *call);

/* The answer cannot be believed, or says that the server is of no use: why, for people. The next
 * request goes to the next server. */
void http_distrust(struct http_call *call, const char *why);

#endif
