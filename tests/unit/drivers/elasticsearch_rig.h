/*
 * elasticsearch_rig.h: what the tests of the Elasticsearch sink share: a scripted HTTP server in a
 * thread of its own, and a port of the sink that talks to it.
 *
 *     test ── port ── libcurl ══ 127.0.0.1 ══ server thread ── answer(request, reply): the script
 *
 * The script decides about status, body, framing (length or chunks), and where and how the answer
 * breaks off.
 */
#ifndef WEIR_TESTS_ELASTICSEARCH_RIG_H
#define WEIR_TESTS_ELASTICSEARCH_RIG_H

#include "../unit.h"

#include "dataplane/base/log.h"
#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "drivers/elasticsearch/elasticsearch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#define SERVER_BYTES_MAX       (4u << 20)
#define SERVER_SEEN_MAX        256u
#define SERVER_CONNECTIONS_MAX 16

enum ending_kind {
    KEEP,  /* all of the answer, and the connection stays */
    HANG,  /* the first `cut` bytes of it, and nothing more */
    CLOSE, /* the first `cut` bytes of it, then the end of the stream */
    RESET, /* the first `cut` bytes of it, then a reset */
};

struct request {
    const char *path; /* with its query */
    const char *head; /* request line and headers, NUL-terminated */
    const char *body; /* NUL-terminated */
    size_t len;
};

struct reply {
    int status;
    char *body;
    size_t len;
    bool chunked;
    enum ending_kind ending;
    size_t cut;
};

struct seen {
    char *head, *body;
};

struct server {
    void (*answer)(struct server *server, const struct request *request, struct reply *reply);
    const char *needle;  /* for scripts: an operation that is special */
    const char *special; /* its answer */
    size_t limit;        /* for scripts: the largest body */
    struct reply fault;  /* for scripts: how the answer ends; by server_fails() where one may run */

    uint16_t port;
    int listener, stop[2];
    pthread_t thread;
    pthread_mutex_t lock; /* over what is seen, and held while a script runs */
    struct seen seen[SERVER_SEEN_MAX];
    unsigned n_seen;
    char *in, *out, *raw;
};

static inline void reply_text(struct reply *reply, const char *text)
{
    size_t len = strlen(text);

    ASSERT(reply->len + len <
           SERVER_BYTES_MAX); /* in the server's thread, where CMocka's would not do */
    memcpy(reply->body + reply->len, text, len + 1);
    reply->len += len;
}

/* The whole answer as bytes. */
static inline size_t server_frame(struct server *server, const struct reply *reply)
{
    size_t at = 0;

    at += (size_t)sprintf(server->raw, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n",
                          reply->status);
    if (!reply->chunked) {
        at += (size_t)sprintf(server->raw + at, "Content-Length: %zu\r\n\r\n", reply->len);
        memcpy(server->raw + at, reply->body, reply->len);
        return at + reply->len;
    }
    at += (size_t)sprintf(server->raw + at, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t from = 0; from < reply->len; from += 29) {
        size_t bytes = reply->len - from < 29 ? reply->len - from : 29;

        at += (size_t)sprintf(server->raw + at, "%zx\r\n", bytes);
        memcpy(server->raw + at, reply->body + from, bytes);
        at += bytes;
        at += (size_t)sprintf(server->raw + at, "\r\n");
    }
    at += (size_t)sprintf(server->raw + at, "0\r\n\r\n");
    return at;
}

static inline bool server_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline void server_remember(struct server *server, const struct request *request)
{
    pthread_mutex_lock(&server->lock);
    if (server->n_seen < SERVER_SEEN_MAX) {
        server->seen[server->n_seen].head = strdup(request->head);
        server->seen[server->n_seen].body = strdup(request->body);
        server->n_seen++;
    }
    pthread_mutex_unlock(&server->lock);
}

/* Reads one request; false where the peer went away. */
static inline bool server_read(struct server *server, int fd, struct request *request)
{
    size_t len = 0, body = 0, wanted = 0;
    char *end = NULL, *field;

    while (end == NULL || len < body + wanted) {
        ssize_t got = recv(fd, server->in + len, SERVER_BYTES_MAX - 1 - len, 0);

        if (got <= 0)
            return false;
        len += (size_t)got;
        server->in[len] = '\0';
        if (end == NULL && (end = strstr(server->in, "\r\n\r\n")) != NULL) {
            *end = '\0';
            body = (size_t)(end - server->in) + 4;
            field = strcasestr(server->in, "\nContent-Length:");
            wanted = field != NULL ? (size_t)strtoul(field + 16, NULL, 10) : 0;
        }
    }
    request->head = server->in;
    request->path = strchr(server->in, ' ') + 1;
    request->body = server->in + body;
    request->len = wanted;
    return true;
}

/* Serves one request; false: the connection is over. */
static inline bool server_serve(struct server *server, int fd)
{
    struct reply reply = { .status = 200, .body = server->out, .ending = KEEP };
    struct request request;
    size_t len;

    if (!server_read(server, fd, &request))
        return false;
    server_remember(server, &request);
    server->out[0] = '\0';
    pthread_mutex_lock(&server->lock);
    server->answer(server, &request, &reply);
    pthread_mutex_unlock(&server->lock);
    len = server_frame(server, &reply);
    if (reply.ending == KEEP)
        return server_send(fd, server->raw, len);
    (void)server_send(fd, server->raw, reply.cut < len ? reply.cut : len);
    if (reply.ending == RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    return reply.ending == HANG;
}

static inline void *server_run(void *server_of)
{
    struct server *server = server_of;
    struct pollfd fds[SERVER_CONNECTIONS_MAX + 2] = { { server->stop[0], POLLIN, 0 },
                                                      { server->listener, POLLIN, 0 } };
    nfds_t n = 2;

    for (;;) {
        (void)poll(fds, n, -1);
        if (fds[0].revents != 0)
            break;
        for (nfds_t i = n - 1; i >= 2; i--)
            if (fds[i].revents != 0 && !server_serve(server, fds[i].fd)) {
                close(fds[i].fd);
                fds[i] = fds[--n];
            }
        if (fds[1].revents != 0 && n < SERVER_CONNECTIONS_MAX + 2)
            fds[n++] = (struct pollfd){ accept(server->listener, NULL, NULL), POLLIN, 0 };
    }
    while (n > 2)
        close(fds[--n].fd);
    return NULL;
}

static inline void server_open(struct server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t bytes = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &bytes), 0);
    server->port = ntohs(address.sin_port);
    server->in = malloc(SERVER_BYTES_MAX);
    server->out = malloc(SERVER_BYTES_MAX);
    server->raw = malloc(SERVER_BYTES_MAX * 3);
    assert_int_equal(pipe(server->stop), 0);
    assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
}

static inline void server_close(struct server *server)
{
    assert_int_equal(write(server->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->stop[0]);
    close(server->stop[1]);
    close(server->listener);
    for (unsigned i = 0; i < server->n_seen; i++) {
        free(server->seen[i].head);
        free(server->seen[i].body);
    }
    free(server->in);
    free(server->out);
    free(server->raw);
}

/* How many requests came in so far. */
static inline unsigned server_count(struct server *server)
{
    unsigned n;

    pthread_mutex_lock(&server->lock);
    n = server->n_seen;
    pthread_mutex_unlock(&server->lock);
    return n;
}

/* From the next answer on they end so. The length of the last whole one stays. */
static inline void server_fails(struct server *server, struct reply fault)
{
    pthread_mutex_lock(&server->lock);
    fault.len = server->fault.len;
    server->fault = fault;
    pthread_mutex_unlock(&server->lock);
}

/* How long the last answer would have been, whole; for scripts that note it. */
static inline size_t server_whole(struct server *server)
{
    size_t len;

    pthread_mutex_lock(&server->lock);
    len = server->fault.len;
    pthread_mutex_unlock(&server->lock);
    return len;
}

/* The answer of a _bulk: each operation 201 (a delete 200), but the one whose action line has
 * server->needle in it, which gets server->special. */
static inline void answer_bulk_items(struct server *server, const char *body, struct reply *reply)
{
    const char *line = body, *comma = "";

    reply_text(reply, "{\"items\":[");
    while (*line != '\0') {
        const char *end = strchr(line, '\n'), *found;
        bool delete = strncmp(line, "{\"delete\"", 9) == 0;

        found = server->needle != NULL ? strstr(line, server->needle) : NULL;
        reply_text(reply, comma);
        reply_text(reply, delete ? "{\"delete\":{" : "{\"index\":{");
        reply_text(reply, found != NULL && found < end ? server->special
                          : delete                     ? "\"status\":200"
                                                       : "\"status\":201");
        reply_text(reply, "}}");
        comma = ",";
        line = end + 1;
        if (!delete)
            line = strchr(line, '\n') + 1;
    }
    reply_text(reply, "]}");
}

/* The plainest script. */
static inline void answer_bulk(struct server *server, const struct request *request,
                               struct reply *reply)
{
    answer_bulk_items(server, request->body, reply);
}

/* ---- the sink's side ---- */

struct rig {
    struct server servers[2];
    unsigned n_servers;
    char urls[2][64];
    const char *url_list[2];
    struct elasticsearch_options options;
    struct env *env;
    struct sink *sink;
    struct sink_port *port;
    struct plan *plan;
    uint16_t column;
};

/* Sets up everything but the sink: what the test changes in rig->options or rig->servers comes
 * before rig_open(). */
static inline void rig_prepare(struct rig *rig, unsigned n_servers,
                               void (*answer)(struct server *, const struct request *,
                                              struct reply *))
{
    static struct plan *plan; /* one for all tests: plans are never given back */

    memset(rig, 0, sizeof(*rig));
    signal(SIGPIPE, SIG_IGN);
    setenv("no_proxy", "*", 1);
    if (plan == NULL) {
        plan = plan_open(SLICE("t"), SLICE("id"), IMAGES_FULL, EMIT_ALWAYS);
        plan_add_table(plan, &(struct plan_table){ .name = SLICE("shop.orders") }, NULL, 0);
    }
    rig->plan = plan;
    rig->column = columns_intern(plan->tables[0].columns, SLICE("a"));
    rig->n_servers = n_servers;
    for (unsigned i = 0; i < n_servers; i++) {
        rig->servers[i].answer = answer;
        server_open(&rig->servers[i]);
        snprintf(rig->urls[i], sizeof(rig->urls[i]), "http://127.0.0.1:%u", rig->servers[i].port);
        rig->url_list[i] = rig->urls[i];
    }
    rig->options = (struct elasticsearch_options){
        .urls = rig->url_list,
        .n_urls = n_servers,
        .index = "orders",
        .verify = true,
        .timeout_us = 30000000,
        .limits = { .docs = 100, .in_flight = 2, .bytes = 1 << 20, .document_bytes_max = 1 << 20 },
        .plan = plan,
    };
}

/* The sink alone, without a port. */
static inline void rig_open_sink(struct rig *rig)
{
    struct err err;

    rig->sink = elasticsearch_sink_open(&rig->options, &err);
    assert_non_null(rig->sink);
}

static inline void rig_open(struct rig *rig)
{
    struct err err;

    assert_int_equal(env_linux_open(&rig->env, &err), 0);
    rig_open_sink(rig);
    rig->port = rig->sink->ops->port(rig->sink, 0, rig->env, &err);
    assert_non_null(rig->port);
}

static inline void rig_close(struct rig *rig)
{
    if (rig->sink != NULL)
        rig->sink->ops->close(rig->sink);
    if (rig->env != NULL)
        env_linux_close(rig->env);
    for (unsigned i = 0; i < rig->n_servers; i++)
        server_close(&rig->servers[i]);
}

/* A row of the root table with the column `a`, or, where `value` is NULL, the tombstone of one. */
static inline struct row *rig_row(const struct rig *rig, const char *value)
{
    static _Alignas(8) char block[2 << 20];
    struct field field = { .column = rig->column };
    struct change change = { .seqno = SEQNO_EPOCH + 5, .op = CHANGE_DELETE };

    if (value != NULL) {
        field.value = slice_of(value);
        change.op = CHANGE_UPSERT;
        change.n_fields = 1;
        change.fields = &field;
    }
    assert_true(row_bytes(&change) <= sizeof(block));
    row_write(&change, IMAGES_FULL, (struct row *)(void *)block);
    return (struct row *)(void *)block;
}

/* Adds a document with {"a":value}, or, where `value` is NULL, one that is deleted. */
static inline enum sink_add rig_add(struct rig *rig, struct sink_batch *batch, const char *key,
                                    const char *value)
{
    struct row *row = rig_row(rig, value);
    struct document document = {
        .key = slice_of(key), .version = 5, .n_rows = 1, .rows = &row, .partition = -1
    };

    return rig->port->ops->add(rig->port, batch, &document);
}

static inline struct sink_batch *rig_begin(struct rig *rig)
{
    struct sink_batch *batch = rig->port->ops->begin(rig->port);

    assert_non_null(batch);
    assert_int_equal(batch->n, 0);
    return batch;
}

/* A batch of n documents "k0", "k1", ... */
static inline struct sink_batch *rig_fill(struct rig *rig, unsigned n)
{
    struct sink_batch *batch = rig_begin(rig);
    char key[16];

    for (unsigned i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(rig_add(rig, batch, key, "1"), SINK_ADDED);
    }
    return batch;
}

static inline struct sink_batch *rig_reap(struct rig *rig)
{
    struct sink_batch *batch;

    while ((batch = rig->port->ops->reap(rig->port)) == NULL)
        (void)env_wait(rig->env, 2000);
    return batch;
}

/* Submits the batch and waits for it. */
static inline void rig_send(struct rig *rig, struct sink_batch *batch)
{
    rig->port->ops->submit(rig->port, batch);
    assert_ptr_equal(rig_reap(rig), batch);
    assert_null(rig->port->ops->reap(rig->port));
}

static inline void rig_recycle(struct rig *rig, struct sink_batch *batch)
{
    rig->port->ops->recycle(rig->port, batch);
}

static inline void assert_verdicts(const struct sink_batch *batch, const char *expected)
{
    static const char letters[] = { 'w', 's', 'r', 'd' }; /* written, stale, retry, dead */
    char got[256] = "";

    assert_true(batch->n < sizeof(got));
    for (unsigned i = 0; i < batch->n; i++)
        got[i] = letters[batch->items[i].verdict];
    assert_string_equal(got, expected);
}

static inline void assert_text(struct slice text, const char *expected)
{
    char got[4096];

    snprintf(got, sizeof(got), "%.*s", (int)text.len, text.data);
    assert_string_equal(got, expected);
}

#endif
