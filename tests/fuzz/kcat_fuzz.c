/*
 * kcat_fuzz.c: a line of `kcat -J` (drivers/file/kcat.h).
 *
 * - Whatever was read lies in the line or in its mirror, and within what the member's own text
 *   there takes.
 * - A line that is written anew from what was read says the same.
 * - A null payload is null, and nothing else is.
 * - A line that was cut is never taken whole.
 */
#include "fuzz.h"

#include "drivers/file/kcat.h"

#include "dataplane/base/json.h"

#define HEADERS_MAX 64u

static struct buf out;

void fuzz_setup(void)
{
    buf_open(&out, 16 << 20, "a line");
}

struct copied {
    struct slice line, mirror;
};

static struct copied copy(struct slice line)
{
    return (struct copied){ fuzz_exact(line), fuzz_exact(line) };
}

static ptrdiff_t distance(const struct copied *copied)
{
    return (ptrdiff_t)((uintptr_t)copied->mirror.data - (uintptr_t)copied->line.data);
}

static void check_place(const struct copied *copied, struct slice bytes)
{
    assert_true(bytes.data == NULL || slice_within(bytes, copied->line) ||
                slice_within(bytes, copied->mirror));
    assert_true(bytes.data != NULL || bytes.len == 0);
}

static void put_text(const char *name, struct slice bytes)
{
    buf_printf(&out, ",\"%s\":", name);
    if (bytes.data == NULL)
        buf_put_literal(&out, "null");
    else
        buf_put_json_string(&out, bytes);
}

static void put_line(const struct kcat *kcat, const struct header *headers, unsigned n)
{
    buf_reset(&out);
    buf_printf(&out, "{\"partition\":%d,\"offset\":%lld,\"ts\":%lld", kcat->number,
               (long long)kcat->offset, (long long)kcat->timestamp_ms);
    put_text("topic", kcat->topic);
    if (kcat->headers.data != NULL) {
        buf_put_literal(&out, ",\"headers\":[");
        for (unsigned i = 0; i < n; i++) {
            if (i > 0)
                buf_put_char(&out, ',');
            buf_put_json_string(&out, headers[i].name);
            buf_put_char(&out, ',');
            if (headers[i].value.data == NULL)
                buf_put_literal(&out, "null");
            else
                buf_put_json_string(&out, headers[i].value);
        }
        buf_put_char(&out, ']');
    }
    put_text("key", kcat->key);
    put_text("payload", kcat->payload);
    buf_put_char(&out, '}');
    assert_false(out.overflow);
}

static void check_headers(const struct header *a, const struct header *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fuzz_same(b[i].name, a[i].name, "a header's name");
        fuzz_same(b[i].value, a[i].value, "a header's value");
    }
}

static void check_again(const struct kcat *kcat, const struct header *headers, unsigned n)
{
    struct header headers_again[HEADERS_MAX];
    struct kcat again;
    struct copied copied;

    put_line(kcat, headers, n);
    copied = copy(buf_slice(&out));
    assert_true(kcat_looks_like(copied.line));
    assert_true(kcat_read(copied.line, distance(&copied), &again) && again.placed);
    assert_int_equal(again.number, kcat->number);
    assert_true(again.offset == kcat->offset && again.timestamp_ms == kcat->timestamp_ms);
    fuzz_same(again.topic, kcat->topic, "the topic");
    fuzz_same(again.key, kcat->key, "the key");
    fuzz_same(again.payload, kcat->payload, "the payload");
    assert_int_equal((kcat->payload.data == NULL), (again.payload.data == NULL));
    assert_int_equal(kcat_headers(again.headers, distance(&copied), headers_again, HEADERS_MAX), n);
    check_headers(headers, headers_again, n);
}

/* The line's own value of that name, which stands there once. */
static enum json_type type_of(struct slice line, const char *wanted)
{
    enum json_type type = JSON_OBJECT;
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    json_open(&json, line);
    assert_true(json_enter(&json, JSON_OBJECT));
    while (json_member(&json, &name, &escaped, &value))
        if (!escaped && slice_equal(name, slice_of(wanted)))
            type = value.type;
    return type;
}

static void check_cut(struct slice line, struct dice *dice)
{
    size_t len = line.len;
    struct copied copied;
    struct kcat kcat;

    while (len > 0 && strchr(" \t\r\n", line.data[len - 1]) != NULL)
        len--;
    copied = copy((struct slice){ line.data, dice_throw(dice, len) });
    assert_false(kcat_read(copied.line, distance(&copied), &kcat));
}

void fuzz_input(struct slice input)
{
    struct copied copied = copy(input);
    struct dice dice = dice_of(input);
    struct header headers[HEADERS_MAX];
    struct kcat kcat;
    bool whole = kcat_read(copied.line, distance(&copied), &kcat);
    unsigned n;

    assert_true(kcat_looks_like(copied.line) || !whole);
    check_place(&copied, kcat.topic);
    check_place(&copied, kcat.key);
    check_place(&copied, kcat.payload);
    if (!whole)
        return;
    assert_true(kcat.placed && kcat.number >= 0 && kcat.offset >= 0 && kcat.timestamp_ms >= -1);
    assert_true(kcat.topic.len > 0 && kcat.topic.len < TOPIC_BYTES_MAX);
    assert_int_equal(kcat.payload.data == NULL, type_of(copied.line, "payload") == JSON_NULL);
    n = kcat_headers(kcat.headers, distance(&copied), headers, HEADERS_MAX);
    assert_true(n <= kcat.headers.len);
    if (n <= HEADERS_MAX) {
        for (unsigned i = 0; i < n; i++) {
            check_place(&copied, headers[i].name);
            check_place(&copied, headers[i].value);
        }
        check_again(&kcat, headers, n);
    }
    check_cut(copied.line, &dice);
}
