/*
 * message_fuzz.c: HBase's messages in protocol buffers: proto.h, and what reads them without a
 * connection (meta.h, admin.h, exception.h).
 *
 * A message that is taken apart and written again is, taken apart again, the same.
 */
#include "fuzz.h"

#include "drivers/hbase/admin.h"
#include "drivers/hbase/exception.h"
#include "drivers/hbase/meta.h"
#include "drivers/hbase/proto.h"

static struct buf out, again;

void fuzz_setup(void)
{
    buf_open(&out, 1 << 20, "a message");
    buf_open(&again, 1 << 20, "a message");
}

static void put_field(struct buf *buf, const struct proto_field *field)
{
    switch (field->type) {
    case PROTO_VARINT:
        proto_put_number(buf, field->number, field->value);
        break;
    case PROTO_BYTES:
        if (field->bytes.len % 2 == 0) {
            proto_put_bytes(buf, field->number, field->bytes);
        } else {
            size_t begun = proto_begin(buf, field->number);

            buf_put_slice(buf, field->bytes);
            proto_end(buf, begun);
        }
        break;
    case PROTO_FIXED64:
    case PROTO_FIXED32:
        break; /* never written by weir */
    }
}

/* False: it is no message. */
static bool rewrite(struct slice message, struct buf *buf)
{
    struct proto_field field;
    struct proto proto;

    buf_reset(buf);
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        assert_true(field.number > 0 && slice_within(field.bytes, message));
        put_field(buf, &field);
    }
    assert_false(buf->overflow);
    return !proto.broken;
}

static void read_as_all(struct slice message)
{
    struct rpc_target target = { .port = 0 };
    struct slice class, text;
    struct admin_table table;
    enum admin_state state;
    enum admin_procedure procedure;
    uint64_t number;
    int result;

    if (meta_from_registry(message, &target) == NULL)
        assert_non_null(memchr(target.host, '\0', sizeof(target.host)));
    assert_true(!meta_has_more(message) || message.len > 0);
    result = admin_read_descriptors(message, SLICE("d"), &table);
    assert_true(result >= -1 && result <= 1);
    if (result == 1)
        assert_true(slice_within(table.ttl, message) && slice_within(table.durability, message));
    assert_true(admin_read_state(message, &state) <= 0);
    assert_true(admin_read_create(message, &number) <= 0);
    if (admin_read_procedure(message, &procedure, &class, &text) == 0)
        assert_true(slice_within(text, message)); /* the class may be words of our own */
    assert_true(admin_read_active_master(message, &target) <= 1);
    assert_true(admin_read_master_node(message, &target) <= 1);
}

static void read_exception(struct slice message)
{
    struct slice class, text;

    if (!exception_read(message, &class, &text))
        return;
    assert_true(exception_judge(class, text) <= EXCEPTION_DEAD);
    buf_reset(&out);
    exception_line(class, text, &out);
    assert_true(out.len <= EXCEPTION_LINE_BYTES_MAX);
}

void fuzz_input(struct slice input)
{
    struct slice message = fuzz_exact(input);
    struct rpc_target target = { .port = 0 };

    if (rewrite(message, &out)) {
        struct slice first = fuzz_exact(buf_slice(&out));

        assert_true(rewrite(first, &again));
        fuzz_same(buf_slice(&again), first, "the message written twice");
    }
    read_as_all(message);
    read_exception(message);
    if (meta_target(message, &target))
        assert_non_null(memchr(target.host, '\0', sizeof(target.host)));
    if (meta_from_znode(message, &target) == NULL)
        assert_non_null(memchr(target.host, '\0', sizeof(target.host)));
}
