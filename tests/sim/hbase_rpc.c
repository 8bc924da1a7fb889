/*
 * hbase_rpc.c: drivers/hbase/rpc.h over the simulator's network, in the place of rpc*.c.
 *
 *     rpc_start ─► way: net_send ─(net.c)─► table.c ─► done() ─► wire_read ─► call->done()
 *                   └ no door, no way left: homeless, fails in the next rpc_step
 *
 * A call is framed and its answer read as the real one does (wire.c). A connection is what the ways
 * to one door of one shard have in common: where one fails, all of them do, since the socket is
 * gone; whether they were done, nobody knows. A call whose time is out fails alone.
 *
 * Ways that fail together are taken off first and told afterwards: done() may start calls.
 *
 * The thread that prepares opens an env of its own (master.c). An actor has one already, and rests
 * in no other: it is given that, by env_linux_open() here.
 */
#include "dataplane/base/memory.h"
#include "drivers/hbase/wire.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define WAYS_MAX 512u

/* One call that is under way. */
struct way {
    struct net_call net; /* first: a net_call pointer is a pointer to this */
    struct rpc *rpc;
    struct rpc_call *call; /* NULL: free */
    struct net_server *server;
};

struct rpc {
    struct env *env;
    uint64_t timeout_us;
    size_t answer_bytes_max;
    struct rpc_traffic traffic;
    unsigned running, n; /* n: ways that ever were used */
    uint32_t last_id;
    struct rpc_call *homeless;
    char reason[300];
    struct way ways[WAYS_MAX];
};

int env_linux_open(struct env **env, struct err *err)
{
    (void)err;
    *env = sim_env_here();
    ASSERT(*env != NULL);
    return 0;
}

void env_linux_close(struct env *env)
{
    (void)env;
}

int rpc_open(struct rpc **rpc_out, const struct rpc_options *options, struct err *err)
{
    struct rpc *rpc = memory_reserve(sizeof(*rpc), "HBase connections");

    (void)err;
    *rpc = (struct rpc){ .env = options->env,
                         .timeout_us = options->timeout_us,
                         .answer_bytes_max = options->answer_bytes_max };
    *rpc_out = rpc;
    return 0;
}

/* ---- ends ---- */

static void finish(struct rpc *rpc, struct rpc_call *call)
{
    ASSERT(call->running && rpc->running > 0);
    call->running = false;
    call->next = NULL;
    rpc->running--;
    call->done(call);
}

static void fail(struct rpc *rpc, struct rpc_call *call, const char *reason)
{
    call->result = RPC_FAILED;
    call->answer = call->answer_cells = call->exception = (struct slice){ NULL, 0 };
    call->reason = slice_of(reason);
    call->do_not_retry = call->overloaded = false;
    finish(rpc, call);
}

static void fail_list(struct rpc *rpc, struct rpc_call *call, const char *reason)
{
    while (call != NULL) {
        struct rpc_call *next = call->next;

        fail(rpc, call, reason);
        call = next;
    }
}

/* The way's connection broke: fails all that are on it. The others may still arrive. */
static void fail_connection(struct rpc *rpc, const struct way *broken)
{
    const struct net_server *server = broken->server;
    struct rpc_call *failed = NULL, **last = &failed;

    for (unsigned i = 0; i < rpc->n; i++) {
        struct way *way = &rpc->ways[i];

        if (way->call == NULL || way->server != server)
            continue;
        if (way != broken)
            net_abandon(&way->net);
        *last = way->call;
        last = &way->call->next;
        way->call = NULL;
    }
    *last = NULL;
    (void)snprintf(rpc->reason, sizeof(rpc->reason), "%s: the connection broke", server->name);
    fail_list(rpc, failed, rpc->reason);
}

static struct slice first_line(struct slice text)
{
    size_t len = 0;

    while (len < text.len && text.data[len] != '\n')
        len++;
    return (struct slice){ text.data, len };
}

static void deliver(struct rpc *rpc, struct rpc_call *call, const struct wire_answer *answer)
{
    call->result = answer->refused ? RPC_REFUSED : RPC_ANSWERED;
    call->answer = answer->result;
    call->answer_cells = answer->cells;
    call->exception = answer->exception;
    call->reason = first_line(answer->stack);
    if (call->reason.len == 0)
        call->reason = answer->exception;
    call->do_not_retry = answer->do_not_retry;
    call->overloaded = answer->overloaded;
    finish(rpc, call);
}

static void way_done(struct net_call *net, bool failed, struct slice bytes)
{
    struct way *way = (struct way *)(void *)net;
    struct rpc *rpc = way->rpc;
    struct rpc_call *call = way->call;
    struct wire_answer answer;

    ASSERT(call != NULL);
    if (failed || bytes.len > rpc->answer_bytes_max) {
        fail_connection(rpc, way);
        return;
    }
    rpc->traffic.received_bytes += bytes.len;
    bool good = wire_read(bytes, &answer);
    ASSERT(good && answer.call_id == call->id);
    way->call = NULL;
    deliver(rpc, call, &answer);
}

/* ---- beginnings ---- */

static struct way *free_way(struct rpc *rpc)
{
    for (unsigned i = 0; i < rpc->n; i++)
        if (rpc->ways[i].call == NULL)
            return &rpc->ways[i];
    return rpc->n < WAYS_MAX ? &rpc->ways[rpc->n++] : NULL;
}

static void send_call(struct rpc *rpc, struct way *way, enum rpc_service service)
{
    size_t room = 1 + WIRE_HEAD_BYTES_MAX + wire_body_bytes(way->call);
    struct buf request = { .data = malloc(room), .bound = room };

    ASSERT(request.data != NULL);
    buf_put_char(&request, (char)service);
    wire_put_head(&request, way->call, rpc->timeout_us);
    buf_put_slice(&request, way->call->param);
    buf_put_slice(&request, way->call->cells);
    ASSERT(!request.overflow);
    rpc->traffic.sent_bytes += request.len;
    net_send(rpc->env, way->server, &way->net, buf_slice(&request));
    free(request.data);
}

void rpc_start(struct rpc *rpc, const struct rpc_target *target, struct rpc_call *call)
{
    struct net_server *server = table_find(world.table, target->host, target->port);
    struct way *way = server != NULL ? free_way(rpc) : NULL;

    ASSERT(!call->running && call->done && call->method.len <= WIRE_METHOD_BYTES_MAX);
    rpc->last_id = rpc->last_id < INT32_MAX ? rpc->last_id + 1 : 1;
    call->id = rpc->last_id;
    call->deadline_us = env_mono_us(rpc->env) + rpc->timeout_us;
    call->running = true;
    call->next = NULL;
    rpc->running++;
    if (way == NULL) {
        call->next = rpc->homeless;
        rpc->homeless = call;
        return;
    }
    way->net = (struct net_call){ .done = way_done, .owner = way };
    way->rpc = rpc;
    way->call = call;
    way->server = server;
    send_call(rpc, way, target->service);
}

void rpc_step(struct rpc *rpc)
{
    uint64_t now_us = env_mono_us(rpc->env);
    struct rpc_call *failed = rpc->homeless;

    rpc->homeless = NULL;
    fail_list(rpc, failed, "no such server, or too many calls");
    for (unsigned i = 0; i < rpc->n; i++) {
        struct rpc_call *call = rpc->ways[i].call;

        if (call == NULL || now_us < call->deadline_us)
            continue;
        net_abandon(&rpc->ways[i].net);
        rpc->ways[i].call = NULL;
        (void)snprintf(rpc->reason, sizeof(rpc->reason), "%s: no answer within %.1f s",
                       rpc->ways[i].server->name, (double)rpc->timeout_us / 1e6);
        fail(rpc, call, rpc->reason);
    }
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
    for (unsigned i = 0; i < rpc->n; i++)
        if (rpc->ways[i].call != NULL)
            net_abandon(&rpc->ways[i].net);
}
