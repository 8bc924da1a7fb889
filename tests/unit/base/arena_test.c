/* The arena and the growing buffer. */
#include "tests/unit/unit.h"

#include "dataplane/base/arena.h"
#include "dataplane/base/json.h"

#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Opens a buffer of `bound` bytes; reservations are never given back, which a test can afford. */
static struct buf opened(size_t bound)
{
    struct buf buf;

    buf_open(&buf, bound, "a test");
    return buf;
}

static void assert_holds(const struct buf *buf, const char *text)
{
    assert_int_equal(buf->len, strlen(text));
    assert_memory_equal(buf->data, text, buf->len);
}

static void blocks_are_aligned_and_apart(void **state)
{
    struct arena arena;
    char *previous = NULL;

    (void)state;
    arena_open(&arena, 4096, "a test");
    for (size_t bytes = 1; bytes < 40; bytes++) {
        char *block = arena_take(&arena, bytes);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 8, 0);
        if (previous)
            assert_true(block >= previous + bytes - 1);
        memset(block, (int)bytes, bytes);
        previous = block;
    }
}

static void full_arena_says_no_until_it_is_reset(void **state)
{
    struct arena arena;

    (void)state;
    arena_open(&arena, 64, "a test");
    assert_null(arena_take(&arena, 65));
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX - 3));
    assert_non_null(arena_take(&arena, 64));
    assert_null(arena_take(&arena, 1));
    assert_null(arena_copy(&arena, SLICE("x")).data);
    arena_reset(&arena);
    assert_non_null(arena_take(&arena, 1));
}

static void copies_live_apart_from_their_source(void **state)
{
    char source[] = "abc";
    struct arena arena;
    struct slice copy;

    (void)state;
    arena_open(&arena, 64, "a test");
    copy = arena_copy(&arena, slice_of(source));
    source[0] = 'x';
    assert_true(slice_equal(copy, SLICE("abc")));
    copy = arena_copy(&arena, (struct slice){ NULL, 0 });
    assert_true(copy.data != NULL && copy.len == 0);
}

static void peak_beyond_the_kept_part_goes_back_to_the_kernel(void **state)
{
    /* Pages that went back read as zero; pages that were kept still hold what was written. */
    const size_t bytes = (size_t)16 << 20;
    struct buf buf = opened(bytes);
    struct arena arena;
    char *block;

    (void)state;
    arena_open(&arena, bytes, "a test");
    for (int round = 0; round < 2; round++) {
        block = arena_take(&arena, bytes);
        assert_non_null(block);
        if (round == 1)
            assert_true(block[0] == 'x' && block[bytes - 1] == 0);
        memset(block, 'x', bytes);
        arena_reset(&arena);
    }
    for (size_t i = 0; i < bytes; i++)
        buf_put_char(&buf, 'x');
    buf_rewind(&buf, 1); /* The peak is what counts, not the length at the reset. */
    buf_reset(&buf);
    assert_true(buf.data[0] == 'x' && buf.data[bytes - 1] == 0);
}

static void appends_come_in_order(void **state)
{
    struct buf buf = opened(256);

    (void)state;
    buf_put_literal(&buf, "a");
    buf_put_slice(&buf, SLICE("bc"));
    buf_put_slice(&buf, (struct slice){ NULL, 0 });
    buf_put_char(&buf, ' ');
    buf_put_u64(&buf, 0);
    buf_put_char(&buf, ' ');
    buf_put_u64(&buf, UINT64_MAX);
    buf_put_char(&buf, ' ');
    buf_put_i64(&buf, INT64_MIN);
    buf_put_char(&buf, ' ');
    buf_put_i64(&buf, INT64_MAX);
    buf_put_i64(&buf, -7);
    buf_printf(&buf, " %s=%d", "n", 5);
    assert_holds(&buf, "abc 0 18446744073709551615 -9223372036854775808 9223372036854775807-7 n=5");
    assert_false(buf.overflow);
}

static void append_past_the_bound_is_dropped_whole(void **state)
{
    /* A buffer of eight bytes that has room for three: each append wants four or more. */
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        struct buf buf = opened(8);

        buf_put_literal(&buf, "12345");
        switch (kind) {
        case 0:
            buf_put_literal(&buf, "abcd");
            break;
        case 1:
            buf_printf(&buf, "%s", "abcd");
            break;
        case 2:
            buf_put_u64(&buf, 1234);
            break;
        case 3:
            buf_put_i64(&buf, -123);
            break;
        case 4:
            buf_put_base64(&buf, SLICE("a"));
            break;
        case 5:
            buf_put(&buf, "", SIZE_MAX);
            break;
        }
        assert_holds(&buf, "12345");
        assert_true(buf.overflow);
        buf_put_literal(&buf, "678");
        assert_holds(&buf, "12345678");
        assert_true(buf.overflow); /* It stays set: what fits later does not heal the gap. */
        buf_put_char(&buf, '9');
        assert_holds(&buf, "12345678");
        buf_reset(&buf);
        assert_true(buf.len == 0 && !buf.overflow);
    }
}

static void printf_can_fill_the_buffer_exactly(void **state)
{
    struct buf buf = opened(4);

    (void)state;
    buf_printf(&buf, "%s", "abcd");
    assert_holds(&buf, "abcd");
    assert_false(buf.overflow);
}

static void rewind_drops_what_was_half_written(void **state)
{
    struct buf buf = opened(8);

    (void)state;
    buf_put_literal(&buf, "head");
    buf_put_literal(&buf, "too long");
    assert_true(buf.overflow);
    buf_rewind(&buf, 4);
    assert_holds(&buf, "head");
    assert_false(buf.overflow);
}

static void json_strings_escape_only_what_they_must(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } rows[] = {
        { "", 0, "\"\"" },
        { "plain", 5, "\"plain\"" },
        { "\"\\/", 3, "\"\\\"\\\\/\"" },
        { "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
        { "\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"" },
        { "\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { "more than sixteen plain bytes \n and more behind them", 52,
          "\"more than sixteen plain bytes \\n and more behind them\"" },
    };
    struct buf buf = opened(256);

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        buf_put_json_string(&buf, (struct slice){ rows[i].text, rows[i].len });
        assert_holds(&buf, rows[i].json);
        buf_reset(&buf);
    }
    buf_put_json_string(&buf, (struct slice){ NULL, 0 });
    assert_holds(&buf, "\"\"");
}

static void json_string_of_any_byte_scans_back_to_itself(void **state)
{
    struct buf buf = opened(256);
    struct json_value value;
    struct json json;
    char out[256];

    (void)state;
    for (int c = 0; c < 0x80; c++) {
        char text[3] = { 'a', (char)c, 'b' };

        buf_reset(&buf);
        buf_put_json_string(&buf, (struct slice){ text, 3 });
        json_open(&json, buf_slice(&buf));
        assert_true(json_value(&json, &value) && json_end(&json));
        assert_int_equal(json_unescape(value.raw, out), 3);
        assert_memory_equal(out, text, 3);
    }
}

static void base64_follows_the_rfc(void **state)
{
    /* The vectors of RFC 4648, section 10, and the whole alphabet. */
    static const struct {
        struct slice bytes;
        const char *text;
    } rows[] = {
        { { "", 0 }, "" },
        { { "f", 1 }, "Zg==" },
        { { "fo", 2 }, "Zm8=" },
        { { "foo", 3 }, "Zm9v" },
        { { "foob", 4 }, "Zm9vYg==" },
        { { "fooba", 5 }, "Zm9vYmE=" },
        { { "foobar", 6 }, "Zm9vYmFy" },
        { { "\x00\xff\xfe", 3 }, "AP/+" },
        { { "\xfb\xff\xbf", 3 }, "+/+/" },
    };
    struct buf buf = opened(256);

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        buf_put_base64(&buf, rows[i].bytes);
        assert_holds(&buf, rows[i].text);
        buf_reset(&buf);
    }
}

static void base64_that_does_not_fit_overflows(void **state)
{
    struct buf buf = opened(7);

    (void)state;
    buf_put_base64(&buf, SLICE("four"));
    assert_true(buf.len == 0 && buf.overflow);
    buf_reset(&buf);
    buf_put_base64(&buf, (struct slice){ "", SIZE_MAX });
    assert_true(buf.len == 0 && buf.overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_apart),
        cmocka_unit_test(full_arena_says_no_until_it_is_reset),
        cmocka_unit_test(copies_live_apart_from_their_source),
        cmocka_unit_test(peak_beyond_the_kept_part_goes_back_to_the_kernel),
        cmocka_unit_test(appends_come_in_order),
        cmocka_unit_test(append_past_the_bound_is_dropped_whole),
        cmocka_unit_test(printf_can_fill_the_buffer_exactly),
        cmocka_unit_test(rewind_drops_what_was_half_written),
        cmocka_unit_test(json_strings_escape_only_what_they_must),
        cmocka_unit_test(json_string_of_any_byte_scans_back_to_itself),
        cmocka_unit_test(base64_follows_the_rfc),
        cmocka_unit_test(base64_that_does_not_fit_overflows),
    };

    return UNIT_RUN(tests);
}
