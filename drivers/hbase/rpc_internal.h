/*
 * rpc_internal.h: what rpc.c (who goes where), rpc_connection.c (one connection: opening, sending,
 * failing) and rpc_answer.c (what comes back on it) share. The env's thread.
 */
#ifndef WEIR_HBASE_RPC_INTERNAL_H
#define WEIR_HBASE_RPC_INTERNAL_H

#include "drivers/hbase/resolve.h"
#include "drivers/hbase/wire.h"

#define RPC_READ_AHEAD_BYTES ((size_t)64 << 10)
#define RPC_INPUT_KEEP_BYTES ((size_t)256 << 10) /* pages that stay after a large answer */
#define RPC_CONNECT_US_MAX   UINT64_C(10000000)  /* for one address, even with a longer timeout */

enum rpc_connection_state { RPC_CLOSED, RPC_RESOLVING, RPC_CONNECTING, RPC_OPEN };

/* A slot for a connection to one target, whatever its state. */
struct rpc_connection {
    struct watch watch; /* first: a watch pointer is a pointer to this */
    struct rpc *rpc;
    struct rpc_target target;
    enum rpc_connection_state state;
    struct resolve resolve;
    unsigned address;      /* of the resolved ones, which is tried */
    uint64_t decide_by_us; /* CONNECTING */
    uint64_t used_us;      /* when a call was last added */
    uint64_t heard_us;     /* when something came last, or it was connected */
    bool greeted;          /* the greeting is sent, at least its beginning */
    bool heard;            /* something came on this connection */
    bool reading;          /* its answers are being run: not to be given away */
    int broken;            /* sending failed: -errno */

    /* In the order they were started: first the sent ones, then from `unsent` on the rest. */
    struct rpc_call *calls, *last, *unsent;
    char head[WIRE_HEAD_BYTES_MAX]; /* what goes before unsent's param; empty: not made yet */
    size_t head_bytes, sent_bytes;  /* sent: of head, param and cells together */

    char *input; /* what came and is not taken yet, from an answer's beginning on */
    size_t input_bytes, input_peak;
};

struct rpc {
    struct env *env;
    char user[WIRE_USER_BYTES_MAX + 1];
    uint64_t timeout_us;
    size_t answer_bytes_max;
    struct rpc_traffic traffic;
    unsigned running;
    uint32_t last_id;
    bool attention;            /* a connection wants rpc_step() to look at it now */
    uint64_t look_us;          /* when to look at time-outs again */
    struct rpc_call *homeless; /* calls that no connection was left for */
    char reason[1024];         /* of the calls that fail just now */
    unsigned n;                /* slots that ever were used */
    struct rpc_connection connections[RPC_SERVERS_MAX];
};

/* ---- rpc_connection.c ---- */

/* Queues the call, and sends it if that is possible at once. Runs no done(). */
void rpc_connection_add(struct rpc_connection *connection, struct rpc_call *call);

/* Opens what has calls and is closed; looks at names and time-outs. */
void rpc_connection_step(struct rpc_connection *connection, uint64_t now_us);

/* Whether nothing would be lost if it were closed. */
bool rpc_connection_is_idle(struct rpc_connection *connection);

/* Closes it; what is queued is forgotten. */
void rpc_connection_drop(struct rpc_connection *connection);

/* Closes it, and fails all its calls. What is said of it goes behind "host:port: ". Calls may have
 * been added to it again when this returns, or it may be another's by then: the caller leaves it
 * alone. */
void rpc_connection_fail(struct rpc_connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, because of an exception that the server sent for all calls. */
void rpc_connection_refused(struct rpc_connection *connection, const struct wire_answer *answer);

/* ---- rpc_answer.c ---- */

/* Reads what is there and runs done() of the calls that it answers. False: the connection failed.
 */
MUST_CHECK bool rpc_connection_receive(struct rpc_connection *connection);

/* Gives the pages of large answers back. */
void rpc_connection_trim(struct rpc_connection *connection);

/* ---- rpc.c ---- */

/* Runs done(); result and the rest are set. */
void rpc_finish(struct rpc *rpc, struct rpc_call *call);

/* Sets what a call has that failed. */
void rpc_set_failed(struct rpc_call *call, const char *reason);

#endif
