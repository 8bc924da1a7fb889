/*
 * value.c: which rule a value follows, and the rules that are short enough to stand together.
 *
 *     canal      "00042" as INT           42               digits untouched, leading zeros dropped
 *                "{\"a\": 1}" as JSON     {"a":1}          on one line
 *                "\u0000ÿ" as BLOB        "AP8="           each code point is a byte
 *     Debezium   "AeII" as Decimal(4)     12.3400          value_decimal.c
 *                20512 as Date            "2026-02-28"     value_time.c
 *
 * Invariants: what comes out is valid JSON on one line, whatever comes in (a token that was
 * scanned). Whatever is not what its type promises (a word in a number column, base64 that is none)
 * stays the token that it was.
 *
 * Work in the arena is done at its end and cut back to what is used, so a failed try costs nothing.
 */
#include "dataplane/value.h"

/* The arena's end moves back (or forth, within what was taken) to `end`. */
static void arena_cut(struct arena *arena, const char *end)
{
    arena->used = ((size_t)(end - arena->base) + 7) & ~(size_t)7;
}

static struct slice inner(struct slice raw)
{
    return (struct slice){ raw.data + 1, raw.len - 2 };
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool value_integer(struct slice digits, int64_t *number)
{
    bool negative = digits.len > 0 && digits.data[0] == '-';
    uint64_t size = 0, limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;

    if (digits.len == negative)
        return false;
    for (size_t i = negative; i < digits.len; i++) {
        uint64_t digit = (uint64_t)(digits.data[i] - '0');

        if (!is_digit(digits.data[i]) || size > (limit - digit) / 10)
            return false;
        size = size * 10 + digit;
    }
    *number = (int64_t)(negative ? 0 - size : size);
    return true;
}

bool value_unavailable(const struct json_value *value)
{
    return value->type == JSON_STRING &&
           (slice_equal(value->raw, SLICE("\"__debezium_unavailable_value\"")) ||
            slice_equal(value->raw, SLICE("\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"")));
}

/* Copies JSON without the white space outside its strings (`out` may be the text itself, or NULL:
 * only look). Returns the bytes that stay; *depth is how deep its containers go. */
static size_t compact(struct slice text, char *out, unsigned *depth)
{
    bool in_string = false;
    unsigned open = 0;
    size_t n = 0;

    *depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (in_string && c == '\\') {
            if (out)
                out[n] = c;
            n++;
            c = text.data[++i]; /* There is one: the text was scanned. */
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
            continue;
        } else if (!in_string && (c == '{' || c == '[')) {
            open++;
            *depth = open > *depth ? open : *depth;
        } else if (!in_string && (c == '}' || c == ']')) {
            open--;
        }
        if (out)
            out[n] = c;
        n++;
    }
    return n;
}

/* A token that no rule changes. Only containers can nest, or be laid out over lines. */
static enum value_result as_is(const struct json_value *value, struct arena *arena,
                               struct slice *text)
{
    unsigned depth;
    char *out;

    *text = value->raw;
    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT)
        return VALUE_OK;
    if (compact(value->raw, NULL, &depth) == value->raw.len)
        return depth > VALUE_DEPTH_MAX ? VALUE_TOO_DEEP : VALUE_OK;
    if (depth > VALUE_DEPTH_MAX)
        return VALUE_TOO_DEEP;
    out = arena_take(arena, value->raw.len);
    if (!out)
        return VALUE_NO_ROOM;
    *text = (struct slice){ out, compact(value->raw, out, &depth) };
    arena_cut(arena, out + text->len);
    return VALUE_OK;
}

/* "-007" to "-7": JSON forbids leading zeros, databases print them (ZEROFILL). In place. */
static struct slice drop_zeros(char *digits, size_t len)
{
    size_t sign = len > 0 && digits[0] == '-', zeros = 0;

    while (sign + zeros + 1 < len && digits[sign + zeros] == '0' &&
           is_digit(digits[sign + zeros + 1]))
        zeros++;
    if (sign)
        digits[zeros] = '-';
    return (struct slice){ digits + zeros, len - zeros };
}

static enum value_result number_text(const struct json_value *value, struct arena *arena,
                                     struct slice *text)
{
    struct slice digits = inner(value->raw);
    char *copy;

    if (!value->escaped && json_is_number(digits)) {
        *text = digits;
        return VALUE_OK;
    }
    copy = arena_take(arena, value->raw.len);
    if (!copy)
        return VALUE_NO_ROOM;
    *text = drop_zeros(copy, json_unescape(value->raw, copy));
    if (json_is_number(*text)) {
        arena_cut(arena, text->data + text->len);
    } else {
        *text = value->raw;
        arena_cut(arena, copy);
    }
    return VALUE_OK;
}

static enum value_result json_text(const struct json_value *value, struct arena *arena,
                                   struct slice *text)
{
    char *copy = arena_take(arena, value->raw.len);
    struct json_value parsed;
    unsigned depth;
    struct json json;
    bool good;

    if (!copy)
        return VALUE_NO_ROOM;
    json_open(&json, (struct slice){ copy, json_unescape(value->raw, copy) });
    good = json_value(&json, &parsed);
    if (good && json_end(&json)) {
        *text = (struct slice){ copy, compact(parsed.raw, copy, &depth) };
        arena_cut(arena, copy + text->len);
        if (depth <= VALUE_DEPTH_MAX)
            return VALUE_OK;
    }
    *text = value->raw;
    arena_cut(arena, copy);
    return VALUE_OK;
}

/* UTF-8 whose code points are bytes, made into those bytes, in place. False: a code point is
 * greater. */
static bool latin1_bytes(char *text, size_t *len)
{
    size_t to = 0;

    for (size_t from = 0; from < *len; from++) {
        unsigned char c = (unsigned char)text[from];

        if (c >= 0x80) {
            if (c > 0xc3) /* The leads 0xc2 and 0xc3 make U+0080 to U+00FF. */
                return false;
            c = (unsigned char)(c << 6 | (text[++from] & 0x3f));
        }
        text[to++] = (char)c;
    }
    *len = to;
    return true;
}

static enum value_result latin1_text(const struct json_value *value, struct arena *arena,
                                     struct slice *text)
{
    size_t bound = (value->raw.len + 2) / 3 * 4 + 2, len;
    char *out = arena_take(arena, bound), *bytes = arena_take(arena, value->raw.len);
    struct buf buf = { .data = out, .bound = bound };

    if (!out || !bytes)
        return VALUE_NO_ROOM;
    len = json_unescape(value->raw, bytes);
    if (!latin1_bytes(bytes, &len)) {
        *text = value->raw;
        arena_cut(arena, out);
        return VALUE_OK;
    }
    buf_put_char(&buf, '"');
    buf_put_base64(&buf, (struct slice){ bytes, len });
    buf_put_char(&buf, '"');
    ASSERT(!buf.overflow);
    *text = buf_slice(&buf);
    arena_cut(arena, out + buf.len);
    return VALUE_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes base64 of at most VALUE_DECIMAL_BYTES_MAX bytes. Their count, 0 where it is none or too
 * long. */
static size_t base64_bytes(struct slice text, unsigned char out[VALUE_DECIMAL_BYTES_MAX])
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;

    while (text.len > 0 && text.data[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.data[i]);

        if (digit < 0 || n == VALUE_DECIMAL_BYTES_MAX)
            return 0;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (unsigned char)(bits >> held);
        }
    }
    return n;
}

/* The bytes of a base64 string token; 0 where it is something else. */
static size_t token_bytes(const struct json_value *value,
                          unsigned char out[VALUE_DECIMAL_BYTES_MAX])
{
    char plain[2 * VALUE_DECIMAL_BYTES_MAX];

    if (value->type != JSON_STRING)
        return 0;
    if (!value->escaped)
        return base64_bytes(inner(value->raw), out);
    if (value->raw.len > sizeof(plain)) /* Nobody escapes more than a slash here. */
        return 0;
    return base64_bytes((struct slice){ plain, json_unescape(value->raw, plain) }, out);
}

/* Hands out what a converter wrote, or, where it wrote nothing, the token. */
static enum value_result converted(const char *out, size_t len, const struct json_value *value,
                                   struct arena *arena, struct slice *text)
{
    if (len == 0)
        return as_is(value, arena, text);
    *text = arena_copy(arena, (struct slice){ out, len });
    return text->data ? VALUE_OK : VALUE_NO_ROOM;
}

static enum value_result decimal_text(const struct json_value *token, int scale,
                                      const struct json_value *whole, struct arena *arena,
                                      struct slice *text)
{
    unsigned char bytes[VALUE_DECIMAL_BYTES_MAX];
    char out[VALUE_DECIMAL_TEXT_BYTES];
    size_t len = token_bytes(token, bytes);

    return converted(out, len > 0 ? value_decimal_text(bytes, len, scale, out) : 0, whole, arena,
                     text);
}

static enum value_result variable_decimal_text(const struct json_value *value, struct arena *arena,
                                               struct slice *text)
{
    struct json_value member, digits = { .type = JSON_NULL };
    int64_t scale = INT64_MAX;
    struct slice name;
    struct json json;
    bool escaped;

    json_open_scanned(&json, value->raw);
    if (value->type != JSON_OBJECT || !json_enter(&json, JSON_OBJECT))
        return as_is(value, arena, text);
    while (json_member(&json, &name, &escaped, &member)) {
        if (slice_equal(name, SLICE("scale")) && !value_integer(member.raw, &scale))
            scale = INT64_MAX;
        if (slice_equal(name, SLICE("value")))
            digits = member;
    }
    if (scale > VALUE_SCALE_MAX || scale < -VALUE_SCALE_MAX)
        return as_is(value, arena, text);
    return decimal_text(&digits, (int)scale, value, arena, text);
}

static enum value_result bits_text(const struct json_value *value, struct arena *arena,
                                   struct slice *text)
{
    unsigned char bytes[VALUE_DECIMAL_BYTES_MAX];
    size_t len = token_bytes(value, bytes);
    char out[24];
    struct buf buf = { .data = out, .bound = sizeof(out) };
    uint64_t number = 0;

    if (len == 0 || len > 8)
        return as_is(value, arena, text);
    for (size_t i = len; i > 0; i--)
        number = number << 8 | bytes[i - 1];
    buf_put_u64(&buf, number);
    return converted(out, buf.len, value, arena, text);
}

static enum value_result time_text(enum value_kind kind, const struct json_value *value,
                                   struct arena *arena, struct slice *text)
{
    char out[VALUE_TIME_TEXT_BYTES];
    int64_t number;

    if (value->type != JSON_NUMBER || !value_integer(value->raw, &number))
        return as_is(value, arena, text);
    return converted(out, value_time_text(kind, number, out), value, arena, text);
}

enum value_result value_text(struct value_type type, const struct json_value *value,
                             struct arena *arena, struct slice *text)
{
    bool string = value->type == JSON_STRING;

    switch ((enum value_kind)type.kind) {
    case VALUE_AS_IS:
        break;
    case VALUE_NUMBER:
        return string ? number_text(value, arena, text) : as_is(value, arena, text);
    case VALUE_JSON:
        return string ? json_text(value, arena, text) : as_is(value, arena, text);
    case VALUE_LATIN1:
        return string ? latin1_text(value, arena, text) : as_is(value, arena, text);
    case VALUE_DECIMAL:
        return decimal_text(value, type.scale, value, arena, text);
    case VALUE_VARIABLE_DECIMAL:
        return variable_decimal_text(value, arena, text);
    case VALUE_BITS:
        return bits_text(value, arena, text);
    case VALUE_DATE:
    case VALUE_TIMESTAMP_MS:
    case VALUE_TIMESTAMP_US:
    case VALUE_TIMESTAMP_NS:
    case VALUE_TIME_MS:
    case VALUE_TIME_US:
    case VALUE_TIME_NS:
        return time_text((enum value_kind)type.kind, value, arena, text);
    }
    return as_is(value, arena, text);
}
