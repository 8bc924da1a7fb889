/* Protocol buffers on the wire: what is written, what is read, what is refused. */
#include "tests/unit/unit.h"

#include "drivers/hbase/proto.h"

#include <stdlib.h>

static struct buf opened(size_t bound)
{
    struct buf buf;

    buf_open(&buf, bound, "a test");
    return buf;
}

static void assert_bytes(struct slice got, const char *bytes, size_t len)
{
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, bytes, len);
}

#define VARINT(literal, value_) \
    { \
        { (literal), sizeof(literal) - 1 }, true, (value_) \
    }
#define NO_VARINT(literal) \
    { \
        { (literal), sizeof(literal) - 1 }, false, 0 \
    }

static void varints_have_up_to_ten_bytes(void **state)
{
    /* Written and read back; what is cut short or does not fit 64 bits is none. */
    static const struct {
        struct slice bytes;
        bool good;
        uint64_t value;
    } cases[] = {
        VARINT("\x00", 0),
        VARINT("\x7f", 127),
        VARINT("\x80\x01", 128),
        VARINT("\xac\x02", 300),
        VARINT("\xff\xff\xff\xff\x0f", UINT32_MAX),
        VARINT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", UINT64_MAX),
        VARINT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", UINT64_C(1) << 63),
        NO_VARINT(""),
        NO_VARINT("\x80"),
        NO_VARINT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        NO_VARINT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    };
    struct buf buf = opened(64);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *at = cases[i].bytes.data, *end = at + cases[i].bytes.len;
        uint64_t value = 0;

        assert_int_equal(proto_varint(&at, end, &value), cases[i].good);
        assert_ptr_equal(at, cases[i].good ? end : cases[i].bytes.data);
        assert_true(value == cases[i].value);
        buf_reset(&buf);
        proto_put_varint(&buf, cases[i].value);
        if (cases[i].good)
            assert_bytes(buf_slice(&buf), cases[i].bytes.data, cases[i].bytes.len);
    }
}

static void fields_are_read_in_their_order(void **state)
{
    /* One of each type; the last has a number that takes two bytes. */
    static const char bytes[] = "\x08\x96\x01"
                                "\x12\x03"
                                "abc"
                                "\x1d\x04\x03\x02\x01"
                                "\x21\x08\x07\x06\x05\x04\x03\x02\x01"
                                "\x82\x01\x00";
    struct proto_field field;
    struct proto proto;

    (void)state;
    proto_open(&proto, (struct slice){ bytes, sizeof(bytes) - 1 });
    assert_true(proto_next(&proto, &field));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.type, PROTO_VARINT);
    assert_int_equal(field.value, 150);
    assert_true(proto_next(&proto, &field));
    assert_int_equal(field.number, 2);
    assert_int_equal(field.type, PROTO_BYTES);
    assert_bytes(field.bytes, "abc", 3);
    assert_true(proto_next(&proto, &field));
    assert_int_equal(field.type, PROTO_FIXED32);
    assert_int_equal(field.value, 0x01020304);
    assert_true(proto_next(&proto, &field));
    assert_int_equal(field.type, PROTO_FIXED64);
    assert_true(field.value == UINT64_C(0x0102030405060708));
    assert_true(proto_next(&proto, &field));
    assert_int_equal(field.number, 16);
    assert_int_equal(field.bytes.len, 0);
    assert_false(proto_next(&proto, &field));
    assert_false(proto.broken);
}

static void empty_message_has_no_fields_and_is_none_that_is_broken(void **state)
{
    struct proto_field field;
    struct proto proto;

    (void)state;
    proto_open(&proto, (struct slice){ NULL, 0 });
    assert_false(proto_next(&proto, &field));
    assert_false(proto.broken);
}

static void what_is_no_message_is_broken_for_good(void **state)
{
    static const struct slice cases[] = {
        { "\x80", 1 },                                           /* half a tag */
        { "\x00\x00", 2 },                                       /* field 0 */
        { "\x80\x80\x80\x80\x10\x00", 6 },                       /* field 2^29 */
        { "\x08", 1 },                                           /* no value */
        { "\x08\x80", 2 },                                       /* half a value */
        { "\x0d\x01\x02\x03", 4 },                               /* three of four bytes */
        { "\x09\x01\x02\x03\x04\x05\x06\x07", 8 },               /* seven of eight */
        { "\x12\x02z", 3 },                                      /* one of two */
        { "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01z", 12 }, /* a length that wraps */
        { "\x0b\x0c", 2 },                                       /* a group */
        { "\x0e\x00", 2 },                                       /* type 6 */
        { "\x0f\x00", 2 },                                       /* type 7 */
    };
    struct proto_field field;
    struct proto proto;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* In memory of exactly its size, for the sanitizer to see a read beyond it. */
        char *copy = malloc(cases[i].len);

        assert_non_null(copy);
        memcpy(copy, cases[i].data, cases[i].len);
        proto_open(&proto, (struct slice){ copy, cases[i].len });
        assert_false(proto_next(&proto, &field));
        assert_true(proto.broken);
        assert_false(proto_next(&proto, &field));
        free(copy);
    }
}

static void nested_message_gets_its_length_behind_its_content(void **state)
{
    /* 0, 1, 127, 128, 16,383 and 16,384 bytes: lengths of one, two and three bytes. */
    static const size_t sizes[] = { 0, 1, 127, 128, 16383, 16384 };
    struct buf buf = opened(40000);
    char *content = malloc(16384);

    (void)state;
    assert_non_null(content);
    for (size_t i = 0; i < 16384; i++)
        content[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct proto_field field;
        struct proto proto;
        size_t begun;

        buf_reset(&buf);
        proto_put_number(&buf, 1, 5);
        begun = proto_begin(&buf, 2);
        buf_put(&buf, content, sizes[i]);
        proto_end(&buf, begun);
        proto_put_number(&buf, 3, 6);
        assert_false(buf.overflow);
        proto_open(&proto, buf_slice(&buf));
        assert_true(proto_next(&proto, &field) && field.number == 1 && field.value == 5);
        assert_true(proto_next(&proto, &field) && field.number == 2);
        assert_bytes(field.bytes, content, sizes[i]);
        assert_true(proto_next(&proto, &field) && field.number == 3 && field.value == 6);
        assert_false(proto_next(&proto, &field));
        assert_false(proto.broken);
    }
    free(content);
}

static void messages_nest_as_hbase_writes_an_action(void **state)
{
    /* action=3 { index=1: 0, mutation=2 { type=2: PUT, associated_cell_count=8: 1 } }, as captured:
     * 1a08 0800 1204 1002 4001. */
    struct buf buf = opened(64);
    size_t action = proto_begin(&buf, 3), mutation;

    (void)state;
    proto_put_number(&buf, 1, 0);
    mutation = proto_begin(&buf, 2);
    proto_put_number(&buf, 2, 2);
    proto_put_number(&buf, 8, 1);
    proto_end(&buf, mutation);
    proto_end(&buf, action);
    assert_bytes(buf_slice(&buf), "\x1a\x08\x08\x00\x12\x04\x10\x02\x40\x01", 10);
}

static void message_that_does_not_fit_is_an_overflow(void **state)
{
    /* Wherever the room ends: in a tag, in the content, or where the length grows. */
    char content[130] = { 0 };

    (void)state;
    for (size_t bound = 0; bound < 140; bound++) {
        struct buf buf = opened(bound);
        size_t begun = proto_begin(&buf, 2);

        buf_put(&buf, content, sizeof(content));
        proto_end(&buf, begun);
        assert_int_equal(buf.overflow, bound < 1 + 2 + sizeof(content));
        assert_true(buf.len <= bound);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_have_up_to_ten_bytes),
        cmocka_unit_test(fields_are_read_in_their_order),
        cmocka_unit_test(empty_message_has_no_fields_and_is_none_that_is_broken),
        cmocka_unit_test(what_is_no_message_is_broken_for_good),
        cmocka_unit_test(nested_message_gets_its_length_behind_its_content),
        cmocka_unit_test(messages_nest_as_hbase_writes_an_action),
        cmocka_unit_test(message_that_does_not_fit_is_an_overflow),
    };

    return UNIT_RUN(tests);
}
