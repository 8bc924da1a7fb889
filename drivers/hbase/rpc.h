/*
 * rpc.h: one shard's connections to HBase's servers, and the calls on them.
 *
 *     rpc_start(call) ─► name resolved ─► connected ─► sent ─► answered ─► call->done(call)
 *
 * One connection a server and service; many calls are under way on each, and are answered in any
 * order (matched by call id). What goes wrong with a connection fails all its calls; the next call
 * connects again. Simple authentication; a cluster that wants Kerberos is told apart and said so.
 *
 * Source: hbase-rpc.md's facts, checked against HBase 2.6.1; Connection and Framing there.
 *
 * Everything is reserved by rpc_open(); all other functions: the shard's thread (or the one that
 * owns the env, for control's own at start).
 */
#ifndef WEIR_HBASE_RPC_H
#define WEIR_HBASE_RPC_H

#include "dataplane/base/arena.h"
#include "dataplane/base/env.h"

#define RPC_HOST_BYTES_MAX   256
#define RPC_SERVERS_MAX      128 /* connections that are open at once; idle ones make room */
#define RPC_ANSWER_BYTES_MAX ((size_t)256 << 20) /* a longer answer is a broken server */

enum rpc_service { RPC_CLIENT, RPC_CLIENT_META, RPC_MASTER, RPC_ADMIN };

struct rpc_target {
    char host[RPC_HOST_BYTES_MAX];
    uint16_t port;
    enum rpc_service service;
};

enum rpc_result {
    RPC_ANSWERED, /* answer and cells are there; what they say is the caller's to judge */
    RPC_REFUSED,  /* the server answered the whole call with an exception */
    RPC_FAILED,   /* no answer: no connection, it broke, the time was out; was it done? who knows */
};

struct rpc_call {
    /* Set before rpc_start(). The slices' bytes must stay until done(). */
    void (*done)(struct rpc_call *call); /* from rpc_step() or env_wait(), once for each start;
                                            never from within rpc_start() */
    void *owner;
    struct slice method, param, cells;

    /* Set for done(), valid until it returns. */
    enum rpc_result result;
    struct slice answer, answer_cells;
    struct slice exception; /* REFUSED: the class's full name; FAILED: the same where the server
                               refused the whole connection (with do_not_retry), else empty */
    struct slice reason;    /* REFUSED, FAILED: for people, one line */
    bool do_not_retry, overloaded;

    /* rpc.c's own. */
    bool running;
    uint32_t id;
    uint64_t deadline_us;
    struct rpc_call *next;
};

struct rpc_options {
    struct env *env;
    const char *user; /* the name that simple authentication gives */
    uint64_t timeout_us;
    size_t answer_bytes_max; /* bound of an answer that can be taken whole */
};

struct rpc;

/* Start-up. 0, or -1 with *err. */
MUST_CHECK int rpc_open(struct rpc **rpc, const struct rpc_options *options, struct err *err);

/* Begins the call. Always ends in done(). */
void rpc_start(struct rpc *rpc, const struct rpc_target *target, struct rpc_call *call);

/* Looks at time-outs and at names that are looked up, opens connections, and runs done() of calls
 * that failed before they were sent. Before each env_wait(); cheap when there is nothing. */
void rpc_step(struct rpc *rpc);

/* Calls that were started and are not done. */
unsigned rpc_running(const struct rpc *rpc);

/* Bytes sent and received on all connections so far. */
struct rpc_traffic {
    uint64_t sent_bytes, received_bytes;
};
struct rpc_traffic rpc_traffic(const struct rpc *rpc);

/* After the shard ended: closes all connections; done() of what is under way is not called. */
void rpc_close(struct rpc *rpc);

#endif
