/*
 * rpc.c: which connection a call goes to, and what needs a look now and then.
 *
 *     rpc_start ─► the slot of (host, port, service) ─► rpc_connection.c ─► the server
 *                      │ none: a new one, or the idle one that was used longest ago
 *                      └ none idle: homeless, fails in the next rpc_step
 *
 * Slots are few and calls are large, so slots are found by looking at all of them.
 *
 * The rule that keeps this simple: done() is called from two places only, rpc_step() and the
 * ready() of a connection's watch, and never with an iterator open on anything that rpc_start()
 * changes. Calls that fail together are taken off first and told afterwards; rpc_start() itself
 * only queues and sends, and notes what went wrong for the next step.
 *
 * A slot keeps its name's addresses and its buffer while it is closed. What this does not do: wait
 * between attempts, or try a call again; both are the caller's.
 */
#include "drivers/hbase/rpc.h"

#include "dataplane/base/memory.h"
#include "drivers/hbase/rpc_internal.h"

#define LOOK_US UINT64_C(10000)

int rpc_open(struct rpc **rpc_out, const struct rpc_options *options, struct err *err)
{
    size_t input_bytes = 4 + options->answer_bytes_max + RPC_READ_AHEAD_BYTES;
    size_t user_bytes = strlen(options->user);
    struct rpc *rpc;
    char *inputs;

    ASSERT(options->timeout_us > 0 && options->answer_bytes_max <= RPC_ANSWER_BYTES_MAX);
    if (user_bytes == 0 || user_bytes > WIRE_USER_BYTES_MAX)
        return err_set(err, EXIT_CONFIG, "hbase: a user's name must have 1 to %d bytes",
                       WIRE_USER_BYTES_MAX);
    /* Whole pages, so that each connection can give its own back. */
    input_bytes = (input_bytes + RPC_READ_AHEAD_BYTES - 1) & ~(RPC_READ_AHEAD_BYTES - 1);
    rpc = memory_reserve(sizeof(*rpc), "HBase connections");
    inputs = memory_reserve_virtual(RPC_SERVERS_MAX * input_bytes, "answers from HBase");
    *rpc = (struct rpc){ .env = options->env,
                         .timeout_us = options->timeout_us,
                         .answer_bytes_max = options->answer_bytes_max };
    memcpy(rpc->user, options->user, user_bytes + 1);
    for (unsigned i = 0; i < RPC_SERVERS_MAX; i++) {
        rpc->connections[i].rpc = rpc;
        rpc->connections[i].input = inputs + i * input_bytes;
    }
    *rpc_out = rpc;
    return 0;
}

static bool same_target(const struct rpc_target *a, const struct rpc_target *b)
{
    return a->port == b->port && a->service == b->service && strcmp(a->host, b->host) == 0;
}

/* The idle one that was used longest ago, closed; or NULL. */
static struct rpc_connection *make_room(struct rpc *rpc)
{
    struct rpc_connection *oldest = NULL;

    for (unsigned i = 0; i < rpc->n; i++) {
        struct rpc_connection *connection = &rpc->connections[i];

        if (rpc_connection_is_idle(connection) &&
            (!oldest || connection->used_us < oldest->used_us))
            oldest = connection;
    }
    if (oldest)
        rpc_connection_drop(oldest);
    return oldest;
}

static struct rpc_connection *connection_for(struct rpc *rpc, const struct rpc_target *target)
{
    struct rpc_connection *connection;

    for (unsigned i = 0; i < rpc->n; i++)
        if (same_target(&rpc->connections[i].target, target))
            return &rpc->connections[i];
    connection = rpc->n < RPC_SERVERS_MAX ? &rpc->connections[rpc->n++] : make_room(rpc);
    if (connection) {
        connection->target = *target;
        resolve_forget(&connection->resolve);
    }
    return connection;
}

void rpc_start(struct rpc *rpc, const struct rpc_target *target, struct rpc_call *call)
{
    struct rpc_connection *connection;

    ASSERT(!call->running && call->done && call->method.len <= WIRE_METHOD_BYTES_MAX);
    ASSERT(memchr(target->host, '\0', sizeof(target->host)));
    ASSERT(wire_body_bytes(call) < INT32_MAX - WIRE_HEAD_BYTES_MAX);
    call->running = true;
    call->next = NULL;
    rpc->running++;
    connection = connection_for(rpc, target);
    if (connection) {
        rpc_connection_add(connection, call);
        return;
    }
    call->next = rpc->homeless;
    rpc->homeless = call;
    rpc->attention = true;
}

void rpc_set_failed(struct rpc_call *call, const char *reason)
{
    call->result = RPC_FAILED;
    call->answer = call->answer_cells = call->exception = (struct slice){ NULL, 0 };
    call->reason = slice_of(reason);
    call->do_not_retry = call->overloaded = false;
}

void rpc_finish(struct rpc *rpc, struct rpc_call *call)
{
    ASSERT(call->running && rpc->running > 0);
    call->running = false;
    call->next = NULL;
    rpc->running--;
    call->done(call);
}

static void fail_homeless(struct rpc *rpc)
{
    struct rpc_call *call = rpc->homeless;

    rpc->homeless = NULL;
    while (call) {
        struct rpc_call *next = call->next;

        rpc_set_failed(call, "too many connections to HBase servers are busy");
        rpc_finish(rpc, call);
        call = next;
    }
}

void rpc_step(struct rpc *rpc)
{
    uint64_t now = env_mono_us(rpc->env);

    if (!rpc->attention && now < rpc->look_us)
        return;
    rpc->attention = false;
    rpc->look_us = now + LOOK_US;
    fail_homeless(rpc);
    for (unsigned i = 0; i < rpc->n; i++)
        rpc_connection_step(&rpc->connections[i], now);
}

unsigned rpc_running(const struct rpc *rpc)
{
    return rpc->running;
}

struct rpc_traffic rpc_traffic(const struct rpc *rpc)
{
    return rpc->traffic;
}

void rpc_close(struct rpc *rpc)
{
    for (unsigned i = 0; i < rpc->n; i++) {
        rpc_connection_drop(&rpc->connections[i]);
        resolve_close(&rpc->connections[i].resolve);
    }
}
