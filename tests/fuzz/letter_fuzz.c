/*
 * letter_fuzz.c: a dead letter (drivers/dead_letter/letter.h) of a message that may be anything.
 *
 *     input: numbers | header lengths and bytes... | key, detail, document's key | how often the
 *     payload is repeated | the payload
 *
 * The line is JSON, has no raw newline, and gives the payload, the key and the headers back byte
 * for byte, from text or from base64; the beginning of them where it says that it is cut.
 */
#include "fuzz.h"

#include "dataplane/base/json.h"
#include "drivers/dead_letter/letter.h"

#define HEADERS_MAX 4u

static struct buf large, small;
static char text[1 << 20];

void fuzz_setup(void)
{
    buf_open(&large, LETTER_BYTES(1 << 16), "a letter");
    buf_open(&small, LETTER_BYTES_LEAST, "a letter that may be cut");
}

/* NULL: a byte that base64 has not. */
static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    assert_non_null(at);
    return (int)(at - digits);
}

static size_t from_base64(struct slice digits, char *to)
{
    size_t len = 0;

    assert_int_equal(digits.len % 4, 0);
    for (size_t i = 0; i < digits.len; i += 4) {
        const char *at = digits.data + i;
        int bits = digit_of(at[0]) << 18 | digit_of(at[1]) << 12;
        int bytes = at[2] == '=' ? 1 : at[3] == '=' ? 2 : 3;

        bits |= bytes > 1 ? digit_of(at[2]) << 6 : 0;
        bits |= bytes > 2 ? digit_of(at[3]) : 0;
        for (int b = 0; b < bytes; b++)
            to[len++] = (char)(bits >> (16 - 8 * b));
    }
    return len;
}

/* The member holds these bytes, or their beginning. */
static void check_member(struct slice object, bool cut, const char *name, struct slice wanted)
{
    char in_base64[64];
    struct json json;
    struct json_value value;
    struct slice member;
    bool escaped, found = false;

    snprintf(in_base64, sizeof(in_base64), "%s_base64", name);
    json_open(&json, object);
    assert_true(json_enter(&json, JSON_OBJECT));
    while (json_member(&json, &member, &escaped, &value)) {
        bool packed = slice_equal(member, slice_of(in_base64));
        size_t len;

        if (!packed && !slice_equal(member, slice_of(name)))
            continue;
        assert_false(found);
        found = true;
        if (value.type == JSON_NULL) {
            assert_null(wanted.data);
            continue;
        }
        assert_int_equal(value.type, JSON_STRING);
        assert_true(value.raw.len <= sizeof(text));
        len = packed ? from_base64((struct slice){ value.raw.data + 1, value.raw.len - 2 }, text)
                     : json_unescape(value.raw, text);
        if (cut && len > 0 && len < wanted.len)
            wanted.len = len;
        fuzz_same((struct slice){ text, len }, wanted, name);
    }
    assert_true(json_end(&json));
    assert_true(found || wanted.len == 0);
}

/* What a cut letter says of its payload's bytes; -1: the letter is whole. */
static int64_t bytes_before_the_cut(struct slice object)
{
    struct json json;
    struct json_value value;
    struct slice member;
    bool escaped, cut = false;
    int64_t bytes = -1;

    json_open(&json, object);
    assert_true(json_enter(&json, JSON_OBJECT));
    while (json_member(&json, &member, &escaped, &value)) {
        if (slice_equal(member, SLICE("cut")))
            cut = value.type == JSON_TRUE;
        if (slice_equal(member, SLICE("payload_bytes")))
            bytes = strtoll(value.raw.data, NULL, 10); /* a comma ends it */
    }
    assert_int_equal(cut, bytes >= 0);
    return bytes;
}

static struct slice repeated(struct slice bytes, unsigned times)
{
    static char room[1 << 17];
    struct buf all = { .data = room, .bound = sizeof(room) };

    for (unsigned i = 0; i < times; i++)
        if (all.len + bytes.len <= sizeof(room))
            buf_put_slice(&all, bytes);
    return fuzz_exact(buf_slice(&all));
}

static struct slice take(struct fuzz *fuzz)
{
    unsigned len = fuzz_u8(fuzz);

    return len == 0 ? (struct slice){ NULL, 0 } : fuzz_exact(fuzz_bytes(fuzz, len - 1));
}

static void check_letter(const struct buf *out, const struct dead_letter *letter)
{
    struct slice line = buf_slice(out);
    int64_t bytes = bytes_before_the_cut(line);
    bool cut = bytes >= 0;

    assert_null(memchr(line.data, '\n', line.len));
    assert_true(!cut || (out == &small && (uint64_t)bytes == letter->payload.len));
    check_member(line, cut, "payload", letter->payload);
    check_member(line, cut, "key", letter->key);
    check_member(line, cut, "detail", letter->detail);
    check_member(line, cut, "document_key", letter->document_key);
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };
    struct header headers[HEADERS_MAX];
    struct dead_letter letter = { .topic = "orders", .sink = "search", .headers = headers };
    struct buf *out;
    unsigned times;

    letter.reason = (enum reason)(fuzz_u8(&fuzz) % REASON_COUNT);
    letter.wall_us = fuzz_u64(&fuzz) % (UINT64_C(1) << 58);
    letter.offset = (int64_t)fuzz_u64(&fuzz);
    letter.partition = (int32_t)fuzz_u16(&fuzz);
    letter.n_headers = fuzz_u8(&fuzz) % (HEADERS_MAX + 1);
    for (unsigned i = 0; i < letter.n_headers; i++) {
        headers[i].name = take(&fuzz);
        headers[i].value = take(&fuzz);
    }
    letter.key = take(&fuzz);
    letter.detail = take(&fuzz);
    letter.document_key = take(&fuzz);
    times = fuzz_u8(&fuzz) % 64;
    out = times < 32 ? &small : &large;
    if (times != 0)
        letter.payload = repeated(fuzz_bytes(&fuzz, SIZE_MAX), times % 32);
    letter_render(out, "task", &letter);
    check_letter(out, &letter);
}
