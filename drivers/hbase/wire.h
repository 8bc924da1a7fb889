/*
 * wire.h: the bytes that open a connection to an HBase server, and those around a call and its
 * answer. Internal to drivers/hbase; any thread; nothing is copied or kept.
 */
#ifndef WEIR_HBASE_WIRE_H
#define WEIR_HBASE_WIRE_H

#include "drivers/hbase/rpc.h"

#define WIRE_USER_BYTES_MAX   255
#define WIRE_METHOD_BYTES_MAX 128
#define WIRE_HEAD_BYTES_MAX   1024 /* a greeting and a call's head, with room to spare */

/* The call id of what a server says about the whole connection, before it closes it. */
#define WIRE_NO_CALL UINT32_MAX

/* What a new connection begins with: the preamble and the ConnectionHeader. */
void wire_put_greeting(struct buf *out, enum rpc_service service, struct slice user);

/* All that goes before a call's param: the whole's length, RequestHeader, the param's length. */
void wire_put_head(struct buf *out, const struct rpc_call *call, uint64_t timeout_us);

/* A call's bytes behind its head. */
static inline size_t wire_body_bytes(const struct rpc_call *call)
{
    return call->param.len + call->cells.len;
}

struct wire_answer {
    uint32_t call_id;
    bool refused; /* with an exception, and then without result and cells */
    struct slice exception, stack;
    bool do_not_retry, overloaded;
    struct slice result, cells; /* within what was read */
};

/* Takes apart what stood behind an answer's length. False: it is no answer. */
MUST_CHECK bool wire_read(struct slice bytes, struct wire_answer *answer);

/* A service's name as HBase knows it. */
const char *wire_service_name(enum rpc_service service);

#endif
