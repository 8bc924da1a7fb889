/*
 * json_fuzz.c: the scanner of JSON texts (json.h).
 *
 * What must be true besides "no crash":
 * - It takes what jansson takes, and refuses what jansson refuses (but for what their contracts
 *   tell apart: depth, the size of numbers, halves of surrogate pairs).
 * - A text that it took breaks nowhere when it is walked, and the walk without checks gives the
 *   same values as the one with them.
 * - A container or string that is cut anywhere is refused.
 * - What a string means, written as a string, means the same; a value without its line breaks is a
 *   value without line breaks.
 */
#include "fuzz.h"

#include "json_oracle.h"

#include "dataplane/base/json.h"

static struct arena arena;

void fuzz_setup(void)
{
    arena_open(&arena, 64 << 20, "texts");
}

static bool is_value(struct slice text, struct json_value *value, enum json_error *error)
{
    struct json json;
    bool good;

    json_open(&json, text);
    good = json_value(&json, value);
    good = json_end(&json) && good;
    assert_int_equal(good, json.error == JSON_OK);
    assert_true(json.at >= json.start && json.at <= json.end);
    assert_non_null(json_error_text(json.error));
    *error = json.error;
    return good;
}

/* Does jansson's contract leave it to itself? Numbers have bounds there, a \u must be one of a
 * pair, and a NUL behind the value is its end. */
static bool differs_by_contract(struct slice text)
{
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
        return true;
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.data[i] == '\\' && text.data[i + 1] == 'u')
            return true;
    for (size_t i = 0, digits = 0; i < text.len; i++) {
        char c = text.data[i];

        digits = c >= '0' && c <= '9' ? digits + 1 : 0;
        if (digits > 17 ||
            ((c == 'e' || c == 'E') && i > 0 && strchr("0123456789", text.data[i - 1])))
            return true;
    }
    return false;
}

static void compare_with_jansson(struct slice text, bool good, enum json_error why)
{
    if (good != json_oracle_takes(text) && why != JSON_DEPTH && !differs_by_contract(text)) {
        fprintf(stderr, "jansson %s what is %s\n", good ? "refuses" : "takes",
                good ? "taken" : json_error_text(why));
        abort();
    }
}

static void check_string(const struct json_value *value)
{
    char *text = arena_take(&arena, value->raw.len);
    struct buf out = { .bound = value->raw.len * 6 + 2 };
    struct json_value again;
    enum json_error error;
    size_t len;
    char *second;

    out.data = arena_take(&arena, out.bound);
    second = arena_take(&arena, out.bound);
    assert_true(text != NULL && out.data != NULL && second != NULL);
    len = json_unescape(value->raw, text);
    assert_true(len + 2 <= value->raw.len);
    assert_true(utf8_valid((struct slice){ text, len }));
    assert_true(value->escaped ||
                (len == value->raw.len - 2 && memcmp(text, value->raw.data + 1, len) == 0));
    buf_put_json_string(&out, (struct slice){ text, len });
    assert_false(out.overflow);
    assert_true(is_value(buf_slice(&out), &again, &error) && again.type == JSON_STRING);
    len = json_unescape(again.raw, second);
    fuzz_same((struct slice){ second, len }, (struct slice){ text, (size_t)len },
              "a string written and read again");
}

static void walk(struct slice raw, unsigned depth);

static void check_value(const struct json_value *value, struct slice outer, unsigned depth)
{
    assert_true(slice_within(value->raw, outer) && value->raw.len > 0);
    switch (value->type) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        break;
    case JSON_NUMBER:
        assert_true(json_is_number(value->raw));
        break;
    case JSON_STRING:
        check_string(value);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        walk(value->raw, depth + 1);
        break;
    }
}

static bool step(struct json *json, bool object, struct slice *name, struct json_value *value)
{
    bool escaped = false;

    return object ? json_member(json, name, &escaped, value) : json_element(json, value);
}

/* The values of a container, with checks and without at once; text that was scanned. */
static void walk(struct slice raw, unsigned depth)
{
    bool object = raw.data[0] == '{';
    struct json checked, trusted;

    assert_true(depth <= JSON_DEPTH_MAX);
    json_open(&checked, raw);
    json_open_scanned(&trusted, raw);
    assert_true(json_enter(&checked, object ? JSON_OBJECT : JSON_ARRAY));
    assert_true(json_enter(&trusted, object ? JSON_OBJECT : JSON_ARRAY));
    for (;;) {
        struct slice name = { NULL, 0 }, name2 = { NULL, 0 };
        struct json_value value, value2;
        bool more = step(&checked, object, &name, &value);

        assert_int_equal(step(&trusted, object, &name2, &value2), more);
        if (!more)
            break;
        assert_true(name.data == name2.data && name.len == name2.len);
        assert_true(value.raw.data == value2.raw.data && value.raw.len == value2.raw.len);
        assert_true(value.type == value2.type && value.escaped == value2.escaped);
        if (arena.used < arena.bound / 2) /* A walk looks at each depth's bytes again. */
            check_value(&value, raw, depth);
    }
    assert_true(json_end(&checked) && json_end(&trusted));
}

static void check_joined(struct slice raw)
{
    char *joined = arena_take(&arena, raw.len), *again = arena_take(&arena, raw.len);
    struct json_value value;
    enum json_error error;
    size_t len;

    assert_true(joined != NULL && again != NULL);
    len = json_join_lines(raw, joined);
    assert_true(len <= raw.len);
    assert_true(is_value((struct slice){ joined, len }, &value, &error));
    assert_int_equal(value.raw.len, len);
    assert_false(json_has_breaks(value.raw));
    assert_null(memchr(joined, '\n', len));
    fuzz_same((struct slice){ again, json_join_lines(value.raw, again) }, value.raw,
              "joined lines, joined again");
}

static void check_cut(struct slice raw, struct dice *dice)
{
    struct slice part = fuzz_exact((struct slice){ raw.data, dice_throw(dice, raw.len) });
    struct json_value value;
    enum json_error error;

    assert_false(is_value(part, &value, &error));
    if (part.len > 0)
        assert_true(error == JSON_TRUNCATED || error == JSON_UTF8);
}

void fuzz_input(struct slice input)
{
    struct slice text = fuzz_exact(input);
    struct dice dice = dice_of(input);
    struct json_value value;
    enum json_error error;
    bool good = is_value(text, &value, &error);

    arena_reset(&arena);
    (void)utf8_valid(text);
    compare_with_jansson(text, good, error);
    assert_true(json_is_number(text) ==
                (good && value.type == JSON_NUMBER && value.raw.len == text.len));
    if (!good)
        return;
    assert_true(utf8_valid(text));
    check_value(&value, text, 0);
    check_joined(value.raw);
    if (value.type >= JSON_STRING)
        for (unsigned i = 0; i < 4; i++)
            check_cut(value.raw, &dice);
}
