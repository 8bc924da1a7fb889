/*
 * wire.c: HBase's framing, as hbase-rpc.md tells it:
 *
 *     greeting: "HBas" | 0 | 0x50 (simple) | u32 length | ConnectionHeader
 *     call:     u32 length of all | varint length | RequestHeader | varint length | param | cells
 *     answer:   u32 length of all | varint length | ResponseHeader | varint length | result | cells
 *
 * The server says nothing to a greeting that it accepts. An answer with an exception has no result.
 * How many bytes of cells there are is in the headers; they end the frame.
 *
 * Fields that we do not know are passed over: newer servers send more.
 */
#include "drivers/hbase/wire.h"

#include "drivers/hbase/proto.h"

static const char *const service_names[] = {
    [RPC_CLIENT] = "ClientService",
    [RPC_CLIENT_META] = "ClientMetaService",
    [RPC_MASTER] = "MasterService",
    [RPC_ADMIN] = "AdminService",
};

const char *wire_service_name(enum rpc_service service)
{
    return service_names[service];
}

static void store_u32(char *to, size_t number)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (char)(number >> (24 - 8 * i));
}

void wire_put_greeting(struct buf *out, enum rpc_service service, struct slice user)
{
    size_t length_at, user_info;

    buf_put(out, "HBas\0\x50\0\0\0", 10);
    length_at = out->len - 4;
    user_info = proto_begin(out, 1);
    proto_put_bytes(out, 1, user);
    proto_end(out, user_info);
    proto_put_bytes(out, 2, slice_of(service_names[service]));
    proto_put_bytes(out, 3, SLICE("org.apache.hadoop.hbase.codec.KeyValueCodec"));
    ASSERT(!out->overflow);
    store_u32(out->data + length_at, out->len - length_at - 4);
}

static void put_header(struct buf *out, const struct rpc_call *call, uint64_t timeout_us)
{
    uint64_t timeout_ms = timeout_us / 1000;

    proto_put_number(out, 1, call->id);
    proto_put_bytes(out, 3, call->method);
    proto_put_number(out, 4, true);
    if (call->cells.len > 0) {
        size_t meta = proto_begin(out, 5);

        proto_put_number(out, 1, call->cells.len);
        proto_end(out, meta);
    }
    proto_put_number(out, 7, timeout_ms < INT32_MAX ? timeout_ms : INT32_MAX);
}

void wire_put_head(struct buf *out, const struct rpc_call *call, uint64_t timeout_us)
{
    char bytes[WIRE_METHOD_BYTES_MAX + 64];
    struct buf header = { .data = bytes, .bound = sizeof(bytes) };
    size_t length_at = out->len;

    put_header(&header, call, timeout_us);
    ASSERT(!header.overflow);
    buf_put(out, "\0\0\0", 4);
    proto_put_varint(out, header.len);
    buf_put_slice(out, buf_slice(&header));
    proto_put_varint(out, call->param.len);
    ASSERT(!out->overflow);
    store_u32(out->data + length_at, out->len - length_at - 4 + wire_body_bytes(call));
}

/* ExceptionResponse. */
static bool read_exception(struct slice message, struct wire_answer *answer)
{
    struct proto_field field;
    struct proto proto;

    answer->refused = true;
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_BYTES)
            answer->exception = field.bytes;
        else if (field.number == 2 && field.type == PROTO_BYTES)
            answer->stack = field.bytes;
        else if (field.number == 5 && field.type == PROTO_VARINT)
            answer->do_not_retry = field.value != 0;
        else if (field.number == 6 && field.type == PROTO_VARINT)
            answer->overloaded = field.value != 0;
    }
    return !proto.broken;
}

/* CellBlockMeta. */
static bool read_cells_length(struct slice message, uint64_t *length)
{
    struct proto_field field;
    struct proto proto;

    proto_open(&proto, message);
    while (proto_next(&proto, &field))
        if (field.number == 1 && field.type == PROTO_VARINT)
            *length = field.value;
    return !proto.broken;
}

/* ResponseHeader. */
static bool read_header(struct slice message, struct wire_answer *answer, uint64_t *cells_length)
{
    bool has_id = false, good = true;
    struct proto_field field;
    struct proto proto;

    proto_open(&proto, message);
    while (good && proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_VARINT) {
            answer->call_id = (uint32_t)field.value;
            has_id = true;
        } else if (field.number == 2 && field.type == PROTO_BYTES) {
            good = read_exception(field.bytes, answer);
        } else if (field.number == 3 && field.type == PROTO_BYTES) {
            good = read_cells_length(field.bytes, cells_length);
        }
    }
    return good && has_id && !proto.broken;
}

/* The next length and as many bytes. */
static bool take(const char **at, const char *end, struct slice *bytes)
{
    uint64_t len;

    if (!proto_varint(at, end, &len) || len > (size_t)(end - *at))
        return false;
    *bytes = (struct slice){ *at, (size_t)len };
    *at += len;
    return true;
}

bool wire_read(struct slice bytes, struct wire_answer *answer)
{
    const char *at = bytes.data, *end = at + bytes.len;
    uint64_t cells_length = 0;
    struct slice header;

    *answer = (struct wire_answer){ 0 };
    if (!take(&at, end, &header) || !read_header(header, answer, &cells_length))
        return false;
    if (answer->refused)
        return true;
    if (at < end && !take(&at, end, &answer->result))
        return false;
    answer->cells = (struct slice){ at, (size_t)(end - at) };
    return cells_length == answer->cells.len;
}
