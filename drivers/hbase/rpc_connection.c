/*
 * rpc_connection.c: one connection: opening it, sending on it, what makes it fail.
 *
 *     CLOSED ──a call──► RESOLVING ──► CONNECTING ──► OPEN ──► ...
 *        ▲                   │ fails       │ fails: next address  │ reset, silence, nonsense
 *        └───────────────────┴─── its calls fail ◄────────────────┘
 *
 *     calls ─► sent ─► sent ─► unsent (partly sent) ─► waiting ◄─ last
 *
 * All calls are one list in the order they were started, which is also the order of their
 * deadlines: the timeout is the same for all. So the first is the one to look at.
 *
 * A call whose time is out is taken off the list, and its answer, should it come, is nobody's. Two
 * cases end the connection with it: nothing at all was heard for a whole timeout (the server or the
 * way to it is dead), and a call that is half sent (the rest cannot be left out).
 *
 * Sending that fails is only noted, because the server may have said why before it closed: what
 * came is read first (at the next step, or when the watch reports it), then the calls fail. A write
 * is watched only while something is unsent.
 */
#include "drivers/hbase/rpc_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static bool has_socket(const struct rpc_connection *connection)
{
    return connection->state == RPC_CONNECTING || connection->state == RPC_OPEN;
}

static void close_socket(struct rpc_connection *connection)
{
    if (has_socket(connection)) {
        env_unwatch(connection->rpc->env, &connection->watch);
        env_close(connection->rpc->env, connection->watch.fd);
    }
    connection->state = RPC_CLOSED;
}

void rpc_connection_drop(struct rpc_connection *connection)
{
    close_socket(connection);
    connection->calls = connection->last = connection->unsent = NULL;
    connection->head_bytes = connection->sent_bytes = 0;
    connection->input_bytes = 0;
    connection->broken = 0;
    connection->reading = false;
}

bool rpc_connection_is_idle(struct rpc_connection *connection)
{
    /* A name that the C library still works on would be overwritten. */
    return !connection->calls && !connection->reading &&
           resolve_poll(&connection->resolve) != RESOLVE_PENDING;
}

/* Drops the connection and tells its calls, who all have the same to say. */
static void fail_calls(struct rpc_connection *connection, const struct wire_answer *answer)
{
    struct rpc *rpc = connection->rpc;
    struct rpc_call *call = connection->calls;

    rpc_connection_drop(connection);
    while (call) {
        struct rpc_call *next = call->next;

        rpc_set_failed(call, rpc->reason);
        if (answer) {
            call->exception = answer->exception;
            call->do_not_retry = answer->do_not_retry;
            call->overloaded = answer->overloaded;
        }
        rpc_finish(rpc, call);
        call = next;
    }
    rpc_connection_trim(connection); /* Only now: the exception was in there. */
}

static void set_reason(struct rpc_connection *connection, const char *format, va_list args)
{
    struct rpc *rpc = connection->rpc;
    int len = snprintf(rpc->reason, sizeof(rpc->reason), "%s:%u: ", connection->target.host,
                       (unsigned)connection->target.port);

    ASSERT(len > 0 && (size_t)len < sizeof(rpc->reason));
    (void)vsnprintf(rpc->reason + len, sizeof(rpc->reason) - (size_t)len, format, args);
}

void rpc_connection_fail(struct rpc_connection *connection, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_reason(connection, format, args);
    va_end(args);
    fail_calls(connection, NULL);
}

__attribute__((format(printf, 2, 3))) static void say(struct rpc_connection *connection,
                                                      const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_reason(connection, format, args);
    va_end(args);
}

static bool holds(struct slice text, const char *part)
{
    return text.len > 0 && memmem(text.data, text.len, part, strlen(part)) != NULL;
}

/* A secure HBase answers our greeting with an AccessDeniedException that says "Authentication is
 * required"; one whose ways to authenticate do not include the simple one, with a
 * BadAuthException. An AccessDeniedException may also mean that the user may not use the service.
 */
static bool wants_authentication(const struct wire_answer *answer)
{
    return holds(answer->stack, "Authentication is required") ||
           holds(answer->exception, "BadAuthException") || holds(answer->stack, "KERBEROS") ||
           holds(answer->stack, "Kerberos") || holds(answer->stack, "SASL");
}

void rpc_connection_refused(struct rpc_connection *connection, const struct wire_answer *answer)
{
    const char *line =
        answer->stack.len > 0 ? memchr(answer->stack.data, '\n', answer->stack.len) : NULL;
    size_t line_bytes = line ? (size_t)(line - answer->stack.data) : answer->stack.len;

    say(connection, "%s (%.*s: %.*s)",
        wants_authentication(answer)
            ? "the cluster demands Kerberos (SASL) authentication, which weir does not speak"
            : "the server refused the connection",
        answer->exception.len < 200 ? (int)answer->exception.len : 200,
        answer->exception.len > 0 ? answer->exception.data : "",
        line_bytes < 300 ? (int)line_bytes : 300, line_bytes > 0 ? answer->stack.data : "");
    fail_calls(connection, answer);
}

/* ---- opening ---- */

static void set_events(struct rpc_connection *connection, unsigned events)
{
    int error;

    if (connection->watch.events == events)
        return;
    connection->watch.events = events;
    error = env_rewatch(connection->rpc->env, &connection->watch);
    ASSERT(error == 0);
}

static void on_ready(struct watch *watch, unsigned events);

/* 0: it is on its way; or -errno. */
static int open_socket(struct rpc_connection *connection)
{
    const struct resolve_address *address = &connection->resolve.addresses[connection->address];
    struct env *env = connection->rpc->env;
    uint64_t patience_us = connection->rpc->timeout_us;
    int fd = -1;
    int error = env_connect(env, (const struct sockaddr *)&address->address, address->bytes, &fd);

    if (error != 0)
        return error;
    connection->watch = (struct watch){ .ready = on_ready, .fd = fd, .events = WATCH_WRITE };
    error = env_watch(env, &connection->watch);
    if (error != 0) {
        env_close(env, fd);
        return error;
    }
    if (patience_us > RPC_CONNECT_US_MAX)
        patience_us = RPC_CONNECT_US_MAX;
    connection->decide_by_us = env_mono_us(env) + patience_us;
    connection->state = RPC_CONNECTING;
    return 0;
}

/* Tries the addresses from the present one on; `error` is what the one before had. */
static void try_addresses(struct rpc_connection *connection, int error)
{
    for (; connection->address < connection->resolve.n; connection->address++) {
        error = open_socket(connection);
        if (error == 0)
            return;
    }
    resolve_forget(&connection->resolve);
    rpc_connection_fail(connection, "cannot connect: %s", strerror(-error));
}

static void connect_failed(struct rpc_connection *connection, int error)
{
    close_socket(connection);
    connection->address++;
    try_addresses(connection, error);
}

static void go_on_with_name(struct rpc_connection *connection, enum resolve_state state)
{
    connection->state = RPC_CLOSED;
    switch (state) {
    case RESOLVE_PENDING:
        connection->state = RPC_RESOLVING;
        connection->rpc->attention = true;
        break;
    case RESOLVE_KNOWN:
        connection->address = 0;
        if (connection->calls) /* They may have given up meanwhile. */
            try_addresses(connection, -EADDRNOTAVAIL);
        break;
    case RESOLVE_NONE:
    case RESOLVE_FAILED:
        ASSERT(state == RESOLVE_FAILED);
        resolve_forget(&connection->resolve);
        rpc_connection_fail(connection, "the name cannot be resolved: %s",
                            connection->resolve.error);
        break;
    }
}

static enum resolve_state look_up(struct rpc_connection *connection)
{
    enum resolve_state state = resolve_poll(&connection->resolve);

    if (state == RESOLVE_NONE || state == RESOLVE_FAILED)
        state =
            resolve_start(&connection->resolve, connection->target.host, connection->target.port);
    return state;
}

/* Opens it where that can be done without failing any call; else the next step does. */
static void open_early(struct rpc_connection *connection)
{
    enum resolve_state state = look_up(connection);

    connection->address = 0;
    if (state == RESOLVE_PENDING)
        connection->state = RPC_RESOLVING;
    if (state != RESOLVE_KNOWN || open_socket(connection) != 0)
        connection->rpc->attention = true;
}

/* ---- sending ---- */

/* What goes before the call's param. */
static void make_head(struct rpc_connection *connection)
{
    struct rpc *rpc = connection->rpc;
    struct buf head = { .data = connection->head, .bound = sizeof(connection->head) };

    if (!connection->greeted)
        wire_put_greeting(&head, connection->target.service, slice_of(rpc->user));
    wire_put_head(&head, connection->unsent, rpc->timeout_us);
    connection->head_bytes = head.len;
    connection->sent_bytes = 0;
}

/* What is left of the call's bytes, as slices; returns how many. */
static unsigned left_to_send(const struct rpc_connection *connection, struct slice parts[3])
{
    const struct slice whole[3] = { { connection->head, connection->head_bytes },
                                    connection->unsent->param,
                                    connection->unsent->cells };
    size_t skip = connection->sent_bytes;
    unsigned n = 0;

    for (unsigned i = 0; i < 3; i++) {
        size_t from = skip < whole[i].len ? skip : whole[i].len;

        skip -= from;
        if (from < whole[i].len)
            parts[n++] = (struct slice){ whole[i].data + from, whole[i].len - from };
    }
    return n;
}

/* Sends as much as goes. */
static void send_calls(struct rpc_connection *connection)
{
    struct rpc *rpc = connection->rpc;

    while (connection->unsent && connection->broken == 0) {
        struct slice parts[3];
        int64_t sent;

        if (connection->head_bytes == 0)
            make_head(connection);
        sent = env_send(rpc->env, connection->watch.fd, parts, left_to_send(connection, parts));
        if (sent == -EAGAIN)
            break;
        if (sent < 0) {
            connection->broken = (int)sent;
            rpc->attention = true;
            break;
        }
        connection->greeted = true; /* At least in part, and then the rest will follow. */
        rpc->traffic.sent_bytes += (uint64_t)sent;
        connection->sent_bytes += (size_t)sent;
        if (connection->sent_bytes ==
            connection->head_bytes + wire_body_bytes(connection->unsent)) {
            connection->unsent = connection->unsent->next;
            connection->head_bytes = connection->sent_bytes = 0;
        }
    }
    set_events(connection, connection->unsent && connection->broken == 0 ? WATCH_READ | WATCH_WRITE
                                                                         : WATCH_READ);
}

void rpc_connection_add(struct rpc_connection *connection, struct rpc_call *call)
{
    struct rpc *rpc = connection->rpc;
    uint64_t now = env_mono_us(rpc->env);

    /* Never 0, and never what a server says when it means no call. */
    rpc->last_id = rpc->last_id < INT32_MAX ? rpc->last_id + 1 : 1;
    call->id = rpc->last_id;
    call->deadline_us = now + rpc->timeout_us;
    connection->used_us = now;
    if (connection->calls)
        connection->last->next = call;
    else
        connection->calls = call;
    connection->last = call;
    if (!connection->unsent)
        connection->unsent = call;
    if (connection->state == RPC_CLOSED)
        open_early(connection);
    else if (connection->state == RPC_OPEN && connection->unsent == call)
        send_calls(connection);
}

static void connected(struct rpc_connection *connection)
{
    struct env *env = connection->rpc->env;
    int error = env_connected(env, connection->watch.fd);

    if (error != 0) {
        connect_failed(connection, error);
        return;
    }
    connection->state = RPC_OPEN;
    connection->greeted = connection->heard = false;
    connection->heard_us = env_mono_us(env);
    send_calls(connection);
}

static void on_ready(struct watch *watch, unsigned events)
{
    struct rpc_connection *connection = (struct rpc_connection *)watch;

    if (connection->state == RPC_CONNECTING) {
        connected(connection);
        return;
    }
    ASSERT(connection->state == RPC_OPEN);
    if ((events & WATCH_READ) != 0 && !rpc_connection_receive(connection))
        return;
    if ((events & WATCH_WRITE) != 0)
        send_calls(connection);
}

/* ---- time ---- */

/* Why the first call, whose time is out, takes the whole connection with it; NULL: it does not. */
static const char *death(const struct rpc_connection *connection, uint64_t now_us)
{
    if (connection->state != RPC_OPEN)
        return NULL;
    if (now_us - connection->heard_us >= connection->rpc->timeout_us)
        return "nothing was heard";
    if (connection->unsent == connection->calls && connection->sent_bytes > 0)
        return "a request could not be sent to its end";
    return NULL;
}

static void expire(struct rpc_connection *connection, uint64_t now_us)
{
    struct rpc *rpc = connection->rpc;
    double patience_s = (double)rpc->timeout_us / 1e6;
    struct rpc_call *call;

    while ((call = connection->calls) != NULL && now_us >= call->deadline_us) {
        const char *why = death(connection, now_us);

        if (why) {
            rpc_connection_fail(connection, "%s within %.1f s", why, patience_s);
            return;
        }
        connection->calls = call->next;
        if (connection->last == call)
            connection->last = NULL;
        if (connection->unsent == call) {
            connection->unsent = call->next;
            connection->head_bytes = 0;
        }
        say(connection, "no answer within %.1f s", patience_s);
        rpc_set_failed(call, rpc->reason);
        rpc_finish(rpc, call);
    }
}

void rpc_connection_step(struct rpc_connection *connection, uint64_t now_us)
{
    if (connection->broken != 0) {
        int error = connection->broken;

        if (rpc_connection_receive(connection))
            rpc_connection_fail(connection, "sending failed: %s", strerror(-error));
        return;
    }
    if (connection->state == RPC_RESOLVING)
        go_on_with_name(connection, resolve_poll(&connection->resolve));
    else if (connection->state == RPC_CLOSED && connection->calls)
        go_on_with_name(connection, look_up(connection));
    else if (connection->state == RPC_CONNECTING && now_us >= connection->decide_by_us)
        connect_failed(connection, -ETIMEDOUT);
    expire(connection, now_us);
}
