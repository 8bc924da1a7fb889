/* The messages of an HBase master: what weir asks, what it reads, and what it takes for none. */
#include "tests/unit/unit.h"

#include "drivers/hbase/admin.h"
#include "drivers/hbase/proto.h"

#include <stdlib.h>

static struct buf opened(void)
{
    struct buf buf;
    buf_open(&buf, 1 << 20, "a test");
    return buf;
}

static void assert_slice(struct slice got, const char *want)
{
    if (!slice_equal(got, slice_of(want)))
        fail_msg("got \"%.*s\", want \"%s\"", (int)got.len, got.data, want);
}

static void a_table_without_a_namespace_is_in_the_default_one(void **state)
{
    (void)state;
    struct admin_name plain = admin_name("orders"), spaced = admin_name("shop:orders");
    assert_slice(plain.space, "default");
    assert_slice(plain.table, "orders");
    assert_slice(spaced.space, "shop");
    assert_slice(spaced.table, "orders");
}

/* The bytes of CreateTableRequest for one region: TableSchema { TableName, ColumnFamilySchema }. */
static void a_table_is_created_with_one_version_of_each_cell(void **state)
{
    static const char want[] = "\x0a\x24"
                               "\x0a\x0c\x0a\x07"
                               "default"
                               "\x12\x01t"
                               "\x1a\x14\x0a\x03"
                               "cfx"
                               "\x12\x0d\x0a\x08"
                               "VERSIONS"
                               "\x12\x01"
                               "1";
    struct buf buf = opened();
    struct admin_name name = admin_name("t");
    struct admin_table table;
    (void)state;
    admin_put_create(&buf, &name, SLICE("cfx"), 1);
    assert_slice(buf_slice(&buf), want);
    /* What is written is read as a descriptor: both are TableSchema in field 1. */
    assert_int_equal(admin_read_descriptors(buf_slice(&buf), SLICE("cfx"), &table), 1);
    assert_true(table.has_family);
    assert_slice(table.versions, "1");
    assert_int_equal(table.ttl.len, 0);
    assert_int_equal(table.durability.len, 0);
    assert_int_equal(admin_read_descriptors(buf_slice(&buf), SLICE("d"), &table), 1);
    assert_false(table.has_family);
}

/* N regions have N-1 bounds, evenly over eight hex digits, which row keys begin with. */
static void split_keys_are_spread_evenly(void **state)
{
    static const struct {
        unsigned regions;
        const char *splits[4];
    } cases[] = {
        { 1, { NULL } },
        { 2, { "80000000", NULL } },
        { 3, { "55555555", "aaaaaaaa", NULL } },
        { 4, { "40000000", "80000000", "c0000000", NULL } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf buf = opened();
        struct admin_name name = admin_name("t");
        struct proto proto;
        struct proto_field field;
        unsigned n = 0;
        admin_put_create(&buf, &name, SLICE("d"), cases[i].regions);
        proto_open(&proto, buf_slice(&buf));
        while (proto_next(&proto, &field)) {
            if (field.number != 2)
                continue;
            assert_non_null(cases[i].splits[n]);
            assert_slice(field.bytes, cases[i].splits[n++]);
        }
        assert_false(proto.broken);
        assert_null(cases[i].splits[n]);
    }
}

static void put_pair(struct buf *buf, const char *name, const char *value)
{
    size_t begun = proto_begin(buf, 2);
    proto_put_bytes(buf, 1, slice_of(name));
    proto_put_bytes(buf, 2, slice_of(value));
    proto_end(buf, begun);
}

/* A descriptor as a server sends it: attributes of the table and of two families, and fields that
 * weir does not know. */
static void put_descriptors(struct buf *buf)
{
    size_t table = proto_begin(buf, 1);
    proto_put_bytes(buf, 1, SLICE("\x0a\x01n\x12\x01t"));
    put_pair(buf, "DURABILITY", "ASYNC_WAL");
    put_pair(buf, "READONLY", "true");
    put_pair(buf, "IS_META", "false");
    size_t other = proto_begin(buf, 3);
    proto_put_bytes(buf, 1, SLICE("other"));
    put_pair(buf, "TTL", "60");
    proto_end(buf, other);
    size_t family = proto_begin(buf, 3);
    proto_put_bytes(buf, 1, SLICE("d"));
    put_pair(buf, "TTL", "FOREVER");
    put_pair(buf, "VERSIONS", "3");
    put_pair(buf, "MIN_VERSIONS", "1");
    put_pair(buf, "KEEP_DELETED_CELLS", "TRUE");
    put_pair(buf, "NEW_VERSION_BEHAVIOR", "true");
    proto_put_bytes(buf, 77, SLICE("newer"));
    proto_end(buf, family);
    proto_put_number(buf, 78, 1);
    proto_end(buf, table);
}

static void a_descriptor_tells_what_guarantees_rest_on(void **state)
{
    struct buf buf = opened();
    struct admin_table table;
    (void)state;
    put_descriptors(&buf);
    assert_int_equal(admin_read_descriptors(buf_slice(&buf), SLICE("d"), &table), 1);
    assert_true(table.has_family);
    assert_slice(table.durability, "ASYNC_WAL");
    assert_slice(table.read_only, "true");
    assert_slice(table.ttl, "FOREVER");
    assert_slice(table.versions, "3");
    assert_slice(table.min_versions, "1");
    assert_slice(table.keep_deleted, "TRUE");
    assert_slice(table.new_version_behavior, "true");
    assert_int_equal(admin_read_descriptors(SLICE(""), SLICE("d"), &table), 0);
}

/* Cut anywhere, a message is none, or a shorter one where the cut is between two fields; nothing is
 * read beyond the cut (the sanitizers watch). */
static void a_message_that_was_cut_is_none(void **state)
{
    struct buf buf = opened();
    (void)state;
    put_descriptors(&buf);
    for (size_t len = 1; len < buf.len; len++) {
        char *copy = malloc(len);
        struct admin_table table;
        memcpy(copy, buf.data, len);
        assert_int_equal(admin_read_descriptors((struct slice){ copy, len }, SLICE("d"), &table),
                         -1);
        free(copy);
    }
}

/* A family or an attribute that is no message makes the whole answer none: it must not look like a
 * table without that family, or one without a TTL. */
static void a_descriptor_with_nonsense_in_it_is_none(void **state)
{
    static const uint32_t fields[] = { 3, 2 };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buf buf = opened();
        struct admin_table table;
        size_t schema = proto_begin(&buf, 1), family = 0;
        if (i == 2) { /* an attribute of the family */
            family = proto_begin(&buf, 3);
            proto_put_bytes(&buf, 1, SLICE("d"));
        }
        proto_put_bytes(&buf, fields[i > 0], SLICE("\x0a\x05no"));
        if (i == 2)
            proto_end(&buf, family);
        proto_end(&buf, schema);
        assert_int_equal(admin_read_descriptors(buf_slice(&buf), SLICE("d"), &table), -1);
    }
}

static void procedures_and_states_are_read(void **state)
{
    static const struct {
        struct slice message;
        int result;
        enum admin_procedure at;
        const char *exception, *reason;
    } cases[] = {
        { SLICE("\x08\x01"), 0, ADMIN_PROCEDURE_RUNS, "", "" },
        { SLICE("\x08\x02"), 0, ADMIN_PROCEDURE_ENDED, "", "" },
        { SLICE("\x08\x00"), 0, ADMIN_PROCEDURE_UNKNOWN, "", "" },
        { SLICE("\x08\x02\x2a\x0c\x0a\x01m\x12\x07\x0a\x01X\x12\x02no"), 0, ADMIN_PROCEDURE_ENDED,
          "X", "no" },
        { SLICE("\x08\x02\x2a\x03\x0a\x01m"), 0, ADMIN_PROCEDURE_ENDED,
          "an exception without a name", "" },
        { SLICE("\x08\x03"), -1, ADMIN_PROCEDURE_UNKNOWN, "", "" },
        { SLICE(""), -1, ADMIN_PROCEDURE_UNKNOWN, "", "" },
    };
    enum admin_state table;
    uint64_t number;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum admin_procedure at;
        struct slice exception, reason;
        assert_int_equal(admin_read_procedure(cases[i].message, &at, &exception, &reason),
                         cases[i].result);
        if (cases[i].result != 0)
            continue;
        assert_int_equal(at, cases[i].at);
        assert_slice(exception, cases[i].exception);
        assert_slice(reason, cases[i].reason);
    }
    assert_int_equal(admin_read_state(SLICE("\x0a\x02\x08\x01"), &table), 0);
    assert_int_equal(table, ADMIN_DISABLED);
    assert_int_equal(admin_read_state(SLICE("\x0a\x02\x08\x04"), &table), -1);
    assert_int_equal(admin_read_state(SLICE(""), &table), -1);
    assert_int_equal(admin_read_create(SLICE("\x08\xac\x02"), &number), 0);
    assert_int_equal(number, 300);
    assert_int_equal(admin_read_create(SLICE("\x0a\x00"), &number), -1);
}

#define NODE_HEAD \
    "\xff\x00\x00\x00\x04" \
    "data" \
    "PBUF"

/* What stands in ZooKeeper: a head of any length, the magic, the message. */
static void the_master_is_read_from_its_znode(void **state)
{
    static const struct {
        struct slice data;
        int result;
    } cases[] = {
        { SLICE(NODE_HEAD "\x0a\x0a\x0a\x03m.1\x10\x80\x7d\x18\x01"), 1 },
        { SLICE(""), 0 },
        { SLICE(NODE_HEAD), 0 },
        { SLICE("\xff\x00\x00\x00\x00PBUF\x0a\x04\x0a\x00\x10\x01"), -1 }, /* no host */
        { SLICE(NODE_HEAD "\x0a\x05\x0a\x03m.1"), -1 },                    /* no port */
        { SLICE(NODE_HEAD "\x0a\x09\x0a\x03m.1\x10\xff\xff\x7f"), -1 },    /* no such port */
        { SLICE("\xff\x7f\xff\xff\xffPBUF"), -1 },
        { SLICE("\xff\x00\x00\x00\x04"
                "dataPBUX"),
          -1 },
        { SLICE("\x00\x00\x00\x00\x04"
                "dataPBUF"),
          -1 },
        { SLICE("\xff\x00\x00"), -1 },
    };
    struct rpc_target target = { .port = 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(admin_read_master_node(cases[i].data, &target), cases[i].result);
    assert_string_equal(target.host, "m.1");
    assert_int_equal(target.port, 16000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_without_a_namespace_is_in_the_default_one),
        cmocka_unit_test(a_table_is_created_with_one_version_of_each_cell),
        cmocka_unit_test(split_keys_are_spread_evenly),
        cmocka_unit_test(a_descriptor_tells_what_guarantees_rest_on),
        cmocka_unit_test(a_message_that_was_cut_is_none),
        cmocka_unit_test(a_descriptor_with_nonsense_in_it_is_none),
        cmocka_unit_test(procedures_and_states_are_read),
        cmocka_unit_test(the_master_is_read_from_its_znode),
    };
    return UNIT_RUN(tests);
}
