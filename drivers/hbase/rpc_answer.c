/*
 * rpc_answer.c: what comes back on a connection.
 *
 *     input: | answer | answer | part of one |  + room: what that one lacks, and at least 64 KiB
 *                └ done(call): slices into the input; moved away when all whole ones were run
 *
 * Bytes from a server are hostile: a length beyond the bound, a header that is no message, lengths
 * that do not add up: all end the connection, because nothing behind them can be found any more. An
 * answer to a call that nobody waits for (its time was out) is passed over.
 *
 * An answer to a call that is only half sent is what a server gives to a request that is too large
 * for it. It is delivered, and then the connection ends: the rest of the call will not be sent.
 */
#include "drivers/hbase/rpc_internal.h"

#include "dataplane/base/memory.h"

#include <errno.h>

#define READS_MAX 16 /* in a row; others on this thread want to go on too */

static uint32_t load_u32(const char *from)
{
    const unsigned char *bytes = (const unsigned char *)from;

    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void rpc_connection_trim(struct rpc_connection *connection)
{
    size_t keep = connection->input_bytes > RPC_INPUT_KEEP_BYTES ? connection->input_bytes
                                                                 : RPC_INPUT_KEEP_BYTES;

    if (connection->input_peak <= keep)
        return;
    memory_trim(connection->input, connection->input_peak, keep);
    connection->input_peak = keep;
}

/* Takes the call off the list; NULL: nobody waits for it. */
static struct rpc_call *take_call(struct rpc_connection *connection, uint32_t id)
{
    struct rpc_call *before = NULL, *call = connection->calls;

    while (call && call != connection->unsent && call->id != id) {
        before = call;
        call = call->next;
    }
    if (!call || call->id != id)
        return NULL;
    if (call == connection->unsent) {
        if (connection->sent_bytes == 0) /* The server cannot know of it. */
            return NULL;
        connection->broken = -EPROTO;
        connection->unsent = call->next;
    }
    if (before)
        before->next = call->next;
    else
        connection->calls = call->next;
    if (connection->last == call)
        connection->last = before;
    return call;
}

static struct slice first_line(struct slice text)
{
    size_t len = 0;

    while (len < text.len && text.data[len] != '\n' && text.data[len] != '\r')
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
    rpc_finish(rpc, call);
}

/* One answer, whole. False: the connection failed. */
static bool run_answer(struct rpc_connection *connection, struct slice bytes)
{
    struct wire_answer answer;
    struct rpc_call *call;

    if (!wire_read(bytes, &answer)) {
        rpc_connection_fail(connection, "the server sent what is no answer of HBase's protocol");
        return false;
    }
    if (answer.call_id == WIRE_NO_CALL) {
        rpc_connection_refused(connection, &answer);
        return false;
    }
    call = take_call(connection, answer.call_id);
    if (call)
        deliver(connection->rpc, call, &answer);
    if (connection->broken == -EPROTO) {
        rpc_connection_fail(connection, "the server did not want to read a request to its end");
        return false;
    }
    return true;
}

/* A length that cannot be. Who speaks TLS answers our greeting with an alert (0x15, version 3.x).
 */
static bool bad_length(struct rpc_connection *connection, uint32_t length)
{
    if (length >> 16 == 0x1503)
        rpc_connection_fail(connection, "the server speaks TLS, which weir does not");
    else
        rpc_connection_fail(connection,
                            "an answer of %u bytes is announced, and %zu are taken at most", length,
                            connection->rpc->answer_bytes_max);
    return false;
}

/* The answers that are whole. False: the connection failed. */
static bool run_answers(struct rpc_connection *connection)
{
    size_t at = 0;

    connection->reading = true;
    while (connection->input_bytes - at >= 4) {
        uint32_t length = load_u32(connection->input + at);

        if (length > connection->rpc->answer_bytes_max)
            return bad_length(connection, length);
        if (connection->input_bytes - at - 4 < length)
            break;
        if (!run_answer(connection, (struct slice){ connection->input + at + 4, length }))
            return false;
        at += 4 + length;
    }
    connection->reading = false;
    if (at > 0) {
        connection->input_bytes -= at;
        memmove(connection->input, connection->input + at, connection->input_bytes);
        rpc_connection_trim(connection);
    }
    return true;
}

/* How much to read: to the end of the answer that has begun, and as far ahead as there is room for.
 */
static size_t room_for(const struct rpc_connection *connection)
{
    size_t missing = 0;

    if (connection->input_bytes >= 4)
        missing = 4 + (size_t)load_u32(connection->input) - connection->input_bytes;
    return missing > RPC_READ_AHEAD_BYTES ? missing : RPC_READ_AHEAD_BYTES;
}

/* `got` is 0 or -errno. */
static void ended(struct rpc_connection *connection, int64_t got)
{
    const char *what = got == 0 ? "the server closed the connection" : strerror((int)-got);

    if (connection->heard)
        rpc_connection_fail(connection, "%s", what);
    else
        rpc_connection_fail(connection,
                            "%s before its first answer: it may be starting or stopping, not have "
                            "%s, or demand an authentication that weir does not speak",
                            what, wire_service_name(connection->target.service));
}

bool rpc_connection_receive(struct rpc_connection *connection)
{
    struct rpc *rpc = connection->rpc;

    for (unsigned reads = 0; reads < READS_MAX; reads++) {
        size_t room = room_for(connection);
        int64_t got = env_receive(rpc->env, connection->watch.fd,
                                  connection->input + connection->input_bytes, room);

        if (got == -EAGAIN)
            return true;
        if (got <= 0) {
            ended(connection, got);
            return false;
        }
        rpc->traffic.received_bytes += (uint64_t)got;
        connection->input_bytes += (size_t)got;
        if (connection->input_bytes > connection->input_peak)
            connection->input_peak = connection->input_bytes;
        connection->heard = true;
        connection->heard_us = env_mono_us(rpc->env);
        if (!run_answers(connection))
            return false;
        if ((size_t)got < room)
            return true;
    }
    return true;
}
