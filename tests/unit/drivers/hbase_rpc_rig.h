/*
 * hbase_rpc_rig.h: what the tests of calls to HBase servers share: the caller, and the server that
 * the test plays (hbase_peer.h).
 *
 *     ask() ─► rpc ══ 127.0.0.1 ══ accept_requests(), read_request(), answer() ─► wait_done()
 */
#ifndef WEIR_TESTS_HBASE_RPC_RIG_H
#define WEIR_TESTS_HBASE_RPC_RIG_H

#include "hbase_peer.h"

#include "drivers/hbase/proto.h"
#include "drivers/hbase/rpc.h"

#include <stdlib.h>

#define TIMEOUT_US       UINT64_C(60000000) /* never, unless a test skips it */
#define ANSWER_BYTES_MAX ((size_t)4 << 20)

struct rig {
    struct env *env;
    struct rpc *rpc;
    struct peer peer;
    struct rpc_target target;
    struct buf out;
    unsigned descriptors;
};

/* A call and what it ended with. */
struct asked {
    struct rpc_call call; /* first */
    unsigned done;
    struct rig *rig;
    unsigned again; /* done() starts it again as often */
    char answer[256], cells[256], exception[128], reason[600];
};

static inline void turn(void *tested)
{
    struct rig *rig = tested;

    rpc_step(rig->rpc);
    env_wait(rig->env, 200);
}

static inline void rig_open(struct rig *rig)
{
    struct err err = { .text = "" };
    struct rpc_options options = { .user = "weir",
                                   .timeout_us = TIMEOUT_US,
                                   .answer_bytes_max = ANSWER_BYTES_MAX };

    *rig = (struct rig){ .descriptors = open_descriptors() };
    rig->env = skipping_env();
    options.env = rig->env;
    assert_int_equal(rpc_open(&rig->rpc, &options, &err), 0);
    peer_open(&rig->peer, turn, rig);
    rig->target = (struct rpc_target){ "127.0.0.1", rig->peer.port, RPC_CLIENT };
    buf_open(&rig->out, ANSWER_BYTES_MAX + 4096, "a test's answer");
}

static inline void rig_end(struct rig *rig)
{
    rpc_close(rig->rpc);
    peer_close(&rig->peer);
    env_linux_close(rig->env);
}

/* Nothing may be left open. */
static inline void rig_close(struct rig *rig)
{
    rig_end(rig);
    assert_int_equal(open_descriptors(), rig->descriptors);
}

static inline void keep(char *to, size_t room, struct slice text)
{
    size_t len = text.len < room - 1 ? text.len : room - 1;

    if (len > 0)
        memcpy(to, text.data, len);
    to[len] = '\0';
}

static inline void on_done(struct rpc_call *call)
{
    struct asked *asked = (struct asked *)call;

    assert_false(call->running);
    asked->done++;
    keep(asked->answer, sizeof(asked->answer), call->answer);
    keep(asked->cells, sizeof(asked->cells), call->answer_cells);
    keep(asked->exception, sizeof(asked->exception), call->exception);
    keep(asked->reason, sizeof(asked->reason), call->reason);
    if (asked->again > 0) {
        asked->again--;
        rpc_start(asked->rig->rpc, &asked->rig->target, call);
    }
}

static inline void ask(struct rig *rig, struct asked *asked, const char *method)
{
    *asked = (struct asked){ .rig = rig };
    asked->call.done = on_done;
    asked->call.method = slice_of(method);
    rpc_start(rig->rpc, &rig->target, &asked->call);
}

static inline void wait_done(struct rig *rig, const struct asked *asked, unsigned times)
{
    while (asked->done < times)
        turn(rig);
    assert_int_equal(asked->done, times);
}

static inline void wait_failed(struct rig *rig, const struct asked *asked, const char *why)
{
    wait_done(rig, asked, 1);
    assert_int_equal(asked->call.result, RPC_FAILED);
    if (!strstr(asked->reason, why))
        fail_msg("'%s' lacks '%s'", asked->reason, why);
}

/* ---- the server's side ---- */

static inline uint32_t load_u32(const char *bytes)
{
    uint32_t number;

    memcpy(&number, bytes, sizeof(number));
    return ntohl(number);
}

static inline void read_greeting(struct rig *rig)
{
    char bytes[512];

    peer_read(&rig->peer, bytes, 10);
    assert_memory_equal(bytes, "HBas\0\x50", 6);
    peer_read(&rig->peer, bytes, load_u32(bytes + 6));
}

static inline void read_request(struct rig *rig)
{
    char bytes[4096];
    uint32_t len;

    peer_read(&rig->peer, bytes, 4);
    len = load_u32(bytes);
    assert_true(len < sizeof(bytes));
    peer_read(&rig->peer, bytes, len);
}

/* A connection with the greeting and n requests behind it. */
static inline void accept_requests(struct rig *rig, unsigned n)
{
    peer_accept(&rig->peer);
    read_greeting(rig);
    while (n-- > 0)
        read_request(rig);
}

static inline size_t begin_answer(struct buf *out)
{
    buf_put(out, "\0\0\0", 4);
    return out->len;
}

static inline void end_answer(struct buf *out, size_t begun)
{
    uint32_t len = htonl((uint32_t)(out->len - begun));

    memcpy(out->data + begun - 4, &len, 4);
}

static inline void put_answer(struct buf *out, uint32_t id, const char *answer, const char *cells)
{
    char bytes[64];
    struct buf header = { .data = bytes, .bound = sizeof(bytes) };
    size_t begun = begin_answer(out);

    proto_put_number(&header, 1, id);
    if (cells) {
        size_t meta = proto_begin(&header, 3);

        proto_put_number(&header, 1, strlen(cells));
        proto_end(&header, meta);
    }
    proto_put_varint(out, header.len);
    buf_put_slice(out, buf_slice(&header));
    proto_put_varint(out, strlen(answer));
    buf_put(out, answer, strlen(answer));
    if (cells)
        buf_put(out, cells, strlen(cells));
    end_answer(out, begun);
}

struct thrown {
    const char *class, *stack;
    bool do_not_retry, overloaded;
};

static inline void put_exception(struct buf *out, uint32_t id, const struct thrown *thrown)
{
    char bytes[2048];
    struct buf header = { .data = bytes, .bound = sizeof(bytes) };
    size_t begun = begin_answer(out), exception;

    proto_put_number(&header, 1, id);
    exception = proto_begin(&header, 2);
    proto_put_bytes(&header, 1, slice_of(thrown->class));
    proto_put_bytes(&header, 2, slice_of(thrown->stack));
    if (thrown->do_not_retry)
        proto_put_number(&header, 5, 1);
    if (thrown->overloaded)
        proto_put_number(&header, 6, 1);
    proto_end(&header, exception);
    proto_put_varint(out, header.len);
    buf_put_slice(out, buf_slice(&header));
    end_answer(out, begun);
}

/* Sends what was put. */
static inline void flush(struct rig *rig)
{
    peer_write(&rig->peer, buf_slice(&rig->out));
    buf_reset(&rig->out);
}

static inline void answer(struct rig *rig, const struct asked *asked, const char *text)
{
    put_answer(&rig->out, asked->call.id, text, NULL);
    flush(rig);
}

#endif
