/* The JSON scanner, by tables. Every text lies in memory of exactly its length, so a read behind it
 * is seen. */
#include "tests/unit/unit.h"

#include "dataplane/base/json.h"

#include <stdlib.h>

#define TEXT(literal) \
    { \
        (literal), sizeof(literal) - 1 \
    }
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* The text in heap memory of its own size. */
static char *exact(struct slice text)
{
    char *copy = malloc(text.len > 0 ? text.len : 1);

    assert_non_null(copy);
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    return copy;
}

static enum json_error scan(struct slice text, size_t *at)
{
    char *copy = exact(text);
    struct json_value value;
    struct json json;

    json_open(&json, (struct slice){ copy, text.len });
    if (json_value(&json, &value))
        json_end(&json);
    assert_true(json.at >= json.start && json.at <= json.end);
    *at = (size_t)(json.at - json.start);
    free(copy);
    return json.error;
}

static const struct slice valid[] = {
    TEXT("null"),
    TEXT("true"),
    TEXT("false"),
    TEXT("0"),
    TEXT("-0"),
    TEXT("10"),
    TEXT("-1.5"),
    TEXT("1e5"),
    TEXT("1E+05"),
    TEXT("1.25e-300"),
    TEXT("0.0"),
    TEXT("0e0"),
    TEXT("123456789012345678901234567890"),
    TEXT("\"\""),
    TEXT("\"a\""),
    TEXT("\"\\\"\""),
    TEXT("\"\\\\\""),
    TEXT("\"\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\""),
    TEXT("\"\\ud800\""),
    TEXT("\"\\u0000\""),
    TEXT("\"\x7f\""),
    TEXT("\"\xc3\xa9\""),
    TEXT("\"\xe4\xbd\xa0\xe5\xa5\xbd\""),
    TEXT("\"\xf0\x9f\x98\x80\""),
    TEXT("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\""),
    TEXT("\"\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    TEXT("\"sixteen bytes of plain ASCII, then \xc3\xa9, then sixteen more of them\""),
    TEXT("[]"),
    TEXT("[ ]"),
    TEXT("{}"),
    TEXT("{ \n}"),
    TEXT("[[],{},[{}]]"),
    TEXT("[1,2]"),
    TEXT(" [ 1 , \"a\" , null ] "),
    TEXT("{\"a\":1}"),
    TEXT("{\"a\":{\"b\":[{\"c\":[]}]},\"d\":{}}"),
    TEXT("{\"\":\"\",\"\":1}"),
    TEXT("\t\r\n 1 \t\r\n"),
    TEXT("[\"a\\\\\",\"]\"]"),
};

static void valid_texts_pass(void **state)
{
    /* Everything that RFC 8259 allows, at the edges of each rule. */
    (void)state;
    for (size_t i = 0; i < ROWS(valid); i++) {
        size_t at;
        enum json_error error = scan(valid[i], &at);

        if (error != JSON_OK)
            print_message("# %s: %s at %zu\n", valid[i].data, json_error_text(error), at);
        assert_int_equal(error, JSON_OK);
        assert_int_equal(at, valid[i].len);
    }
}

static const struct {
    struct slice text;
    enum json_error error;
    size_t at;
} invalid[] = {
    /* Nothing, or the end too early. */
    { TEXT(""), JSON_TRUNCATED, 0 },
    { TEXT("  "), JSON_TRUNCATED, 2 },
    { TEXT("tru"), JSON_TRUNCATED, 3 },
    { TEXT("-"), JSON_TRUNCATED, 1 },
    { TEXT("1."), JSON_TRUNCATED, 2 },
    { TEXT("1e"), JSON_TRUNCATED, 2 },
    { TEXT("1e+"), JSON_TRUNCATED, 3 },
    { TEXT("\""), JSON_TRUNCATED, 1 },
    { TEXT("\"abc"), JSON_TRUNCATED, 4 },
    { TEXT("\"abc\\"), JSON_TRUNCATED, 5 },
    { TEXT("\"\\u12"), JSON_TRUNCATED, 5 },
    { TEXT("\"\xe4\xbd"), JSON_TRUNCATED, 3 },
    { TEXT("\"\xf0\x9f\x98"), JSON_TRUNCATED, 4 },
    { TEXT("["), JSON_TRUNCATED, 1 },
    { TEXT("[1"), JSON_TRUNCATED, 2 },
    { TEXT("[1,"), JSON_TRUNCATED, 3 },
    { TEXT("{"), JSON_TRUNCATED, 1 },
    { TEXT("{\"a\""), JSON_TRUNCATED, 4 },
    { TEXT("{\"a\":"), JSON_TRUNCATED, 5 },
    { TEXT("{\"a\":1"), JSON_TRUNCATED, 6 },
    { TEXT("{\"a\":1,"), JSON_TRUNCATED, 7 },
    { TEXT("[[1,{\"a\":[]"), JSON_TRUNCATED, 11 },
    /* Grammar. */
    { TEXT("nul1"), JSON_SYNTAX, 3 },
    { TEXT("True"), JSON_SYNTAX, 0 },
    { TEXT("truex"), JSON_SYNTAX, 4 },
    { TEXT("NaN"), JSON_SYNTAX, 0 },
    { TEXT("Infinity"), JSON_SYNTAX, 0 },
    { TEXT("+1"), JSON_SYNTAX, 0 },
    { TEXT("01"), JSON_SYNTAX, 1 },
    { TEXT("-01"), JSON_SYNTAX, 2 },
    { TEXT("-a"), JSON_SYNTAX, 1 },
    { TEXT(".5"), JSON_SYNTAX, 0 },
    { TEXT("1.e5"), JSON_SYNTAX, 2 },
    { TEXT("1e5.5"), JSON_SYNTAX, 3 },
    { TEXT("1ee5"), JSON_SYNTAX, 2 },
    { TEXT("0x10"), JSON_SYNTAX, 1 },
    { TEXT("1 2"), JSON_SYNTAX, 2 },
    { TEXT("[1 2]"), JSON_SYNTAX, 3 },
    { TEXT("[,1]"), JSON_SYNTAX, 1 },
    { TEXT("[,]"), JSON_SYNTAX, 1 },
    { TEXT("[1,]"), JSON_SYNTAX, 3 },
    { TEXT("[1}"), JSON_SYNTAX, 2 },
    { TEXT("[}"), JSON_SYNTAX, 1 },
    { TEXT("{]"), JSON_SYNTAX, 1 },
    { TEXT("]"), JSON_SYNTAX, 0 },
    { TEXT("[]]"), JSON_SYNTAX, 2 },
    { TEXT("{,}"), JSON_SYNTAX, 1 },
    { TEXT("{\"a\":1,}"), JSON_SYNTAX, 7 },
    { TEXT("{\"a\"}"), JSON_SYNTAX, 4 },
    { TEXT("{\"a\":}"), JSON_SYNTAX, 5 },
    { TEXT("{\"a\":{\"b\":}}"), JSON_SYNTAX, 10 },
    { TEXT("{\"a\" 1}"), JSON_SYNTAX, 5 },
    { TEXT("{a:1}"), JSON_SYNTAX, 1 },
    { TEXT("{1:1}"), JSON_SYNTAX, 1 },
    { TEXT("{\"a\":1]"), JSON_SYNTAX, 6 },
    { TEXT("{\"a\":1 \"b\":2}"), JSON_SYNTAX, 7 },
    { TEXT("{\"a\":1,,\"b\":2}"), JSON_SYNTAX, 7 },
    { TEXT("[1]/**/"), JSON_SYNTAX, 3 },
    { TEXT("'a'"), JSON_SYNTAX, 0 },
    { TEXT("\"\\x41\""), JSON_SYNTAX, 2 },
    { TEXT("\"\\u12g4\""), JSON_SYNTAX, 5 },
    { TEXT("\"\\U0041\""), JSON_SYNTAX, 2 },
    { TEXT("\xef\xbb\xbf"
           "1"),
      JSON_SYNTAX, 0 }, /* a byte order mark */
    { TEXT("\xa0"
           "1"),
      JSON_SYNTAX, 0 },
    { TEXT("1\f"), JSON_CONTROL, 1 },
    /* Control characters, NUL among them. */
    { TEXT("\0"), JSON_CONTROL, 0 },
    { TEXT("1\0"), JSON_CONTROL, 1 },
    { TEXT("[1\0]"), JSON_CONTROL, 2 },
    { TEXT("\"a\0b\""), JSON_CONTROL, 2 },
    { TEXT("\"a\nb\""), JSON_CONTROL, 2 },
    { TEXT("\"a\tb\""), JSON_CONTROL, 2 },
    { TEXT("\"\x1f\""), JSON_CONTROL, 1 },
    { TEXT("{\"a\x01\":1}"), JSON_CONTROL, 3 },
    { TEXT("\"plain text of more than sixteen bytes \x02\""), JSON_CONTROL, 39 },
    /* UTF-8. */
    { TEXT("\"\x80\""), JSON_UTF8, 1 },
    { TEXT("\"\xbf\""), JSON_UTF8, 1 },
    { TEXT("\"\xc0\xaf\""), JSON_UTF8, 1 }, /* overlong */
    { TEXT("\"\xc1\xbf\""), JSON_UTF8, 1 },
    { TEXT("\"\xe0\x9f\xbf\""), JSON_UTF8, 1 },
    { TEXT("\"\xf0\x8f\xbf\xbf\""), JSON_UTF8, 1 },
    { TEXT("\"\xed\xa0\x80\""), JSON_UTF8, 1 }, /* a surrogate */
    { TEXT("\"\xed\xbf\xbf\""), JSON_UTF8, 1 },
    { TEXT("\"\xf4\x90\x80\x80\""), JSON_UTF8, 1 }, /* above U+10FFFF */
    { TEXT("\"\xf5\x80\x80\x80\""), JSON_UTF8, 1 },
    { TEXT("\"\xff\""), JSON_UTF8, 1 },
    { TEXT("\"\xc3\""), JSON_UTF8, 1 }, /* cut by the quote */
    { TEXT("\"\xe4\xbd\""), JSON_UTF8, 1 },
    { TEXT("\"\xf0\x9f\x98\""), JSON_UTF8, 1 },
    { TEXT("\"\xc3\xa9\xa9\""), JSON_UTF8, 3 },
    { TEXT("{\"\xff\":1}"), JSON_UTF8, 2 },
};

static void invalid_texts_fail_where_they_are_wrong(void **state)
{
    /* Kind and place of the error: the place goes into the dead letter's reason. */
    (void)state;
    for (size_t i = 0; i < ROWS(invalid); i++) {
        size_t at;
        enum json_error error = scan(invalid[i].text, &at);

        if (error != invalid[i].error || at != invalid[i].at)
            print_message("# row %zu: %s: %s at %zu\n", i, invalid[i].text.data,
                          json_error_text(error), at);
        assert_int_equal(error, invalid[i].error);
        assert_int_equal(at, invalid[i].at);
    }
}

static void every_prefix_of_a_valid_text_is_truncated(void **state)
{
    /* What a cut-off record looks like; a prefix that is a value by itself does not occur in a
     * container. */
    static const struct slice text =
        TEXT("{\"id\":-12.5e+3,\"s\":\"a\\u00e9\xe4\xbd\xa0\xf0\x9f\x98\x80\\n\",\"l\":[true,false,"
             "null,{}]}");

    (void)state;
    for (size_t len = 0; len < text.len; len++) {
        size_t at;

        assert_int_equal(scan((struct slice){ text.data, len }, &at), JSON_TRUNCATED);
        assert_int_equal(at, len);
    }
}

static void control_characters_are_errors_everywhere_in_a_string(void **state)
{
    (void)state;
    for (size_t place = 1; place < 50; place++) {
        for (int c = 0; c < 0x20; c++) {
            char text[51];
            size_t at;

            memset(text, 'x', sizeof(text));
            text[0] = text[50] = '"';
            text[place] = (char)c;
            assert_int_equal(scan((struct slice){ text, sizeof(text) }, &at), JSON_CONTROL);
            assert_int_equal(at, place);
        }
    }
}

/* `depth` containers in each other. */
static char *nested(size_t depth, bool objects, size_t *len)
{
    size_t unit = objects ? 5 : 1;
    char *text = malloc(depth * (unit + 1) + 1);

    assert_non_null(text);
    for (size_t i = 0; i < depth; i++)
        memcpy(text + i * unit, objects ? "{\"a\":" : "[", unit);
    if (objects)
        text[depth * unit] = '1';
    memset(text + depth * unit + objects, objects ? '}' : ']', depth);
    *len = depth * (unit + 1) + objects;
    return text;
}

static void nesting_is_bounded_and_never_recursive(void **state)
{
    /* JSON_DEPTH_MAX passes, one more does not, and ten thousand cost no stack. */
    static const size_t depths[] = { 1, 63, 64, 65, JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1, 10000 };

    (void)state;
    for (size_t i = 0; i < ROWS(depths) * 2; i++) {
        size_t depth = depths[i / 2], len, at;
        char *text = nested(depth, i % 2, &len);
        enum json_error error = scan((struct slice){ text, len }, &at);

        assert_int_equal(error, depth <= JSON_DEPTH_MAX ? JSON_OK : JSON_DEPTH);
        if (error == JSON_DEPTH)
            assert_int_equal(at, JSON_DEPTH_MAX * (i % 2 ? 5 : 1));
        free(text);
    }
}

static void entered_container_counts_as_a_level(void **state)
{
    /* The same text must not pass or fail depending on whether its outer container was entered. */
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        bool objects = i % 2, fits = i / 2, escaped;
        struct json_value value;
        struct slice name;
        struct json json;
        size_t len;
        char *text = nested(fits ? JSON_DEPTH_MAX : JSON_DEPTH_MAX + 1, objects, &len);

        json_open(&json, (struct slice){ text, len });
        assert_true(json_enter(&json, objects ? JSON_OBJECT : JSON_ARRAY));
        assert_int_equal(objects ? json_member(&json, &name, &escaped, &value)
                                 : json_element(&json, &value),
                         fits);
        assert_int_equal(json.error, fits ? JSON_OK : JSON_DEPTH);
        free(text);
    }
}

static void alternating_containers_close_with_their_own_bracket(void **state)
{
    /* The bit stack across its word border: 100 levels, objects and arrays by turns; then one
     * bracket swapped. */
    char text[1024];
    size_t len = 0, at;

    (void)state;
    for (int i = 0; i < 100; i++)
        len += (size_t)sprintf(text + len, i % 3 ? "[0," : "{\"k\":");
    len += (size_t)sprintf(text + len, "0");
    for (int i = 99; i >= 0; i--)
        text[len++] = i % 3 ? ']' : '}';
    assert_int_equal(scan((struct slice){ text, len }, &at), JSON_OK);
    for (size_t back = 1; back <= 100; back++) {
        char *bracket = &text[len - back];

        *bracket ^= '}' ^ ']';
        assert_int_equal(scan((struct slice){ text, len }, &at), JSON_SYNTAX);
        assert_int_equal(at, len - back);
        *bracket ^= '}' ^ ']';
    }
}

static const struct {
    const char *name, *raw;
    enum json_type type;
    bool name_escaped, escaped;
} members[] = {
    { "id", "7", JSON_NUMBER, false, false },
    { "s", "\"a b\"", JSON_STRING, false, false },
    { "e\\n", "\"\\\"}\"", JSON_STRING, true, true },
    { "o", "{\"x\":[1, \"}\"]}", JSON_OBJECT, false, false },
    { "a", "[{\"y\":\"]\\\\\"}, []]", JSON_ARRAY, false, false },
    { "", "null", JSON_NULL, false, false },
    { "t", "true", JSON_TRUE, false, false },
    { "f", "false", JSON_FALSE, false, false },
};

static void members_come_in_order_in_their_wire_encoding(void **state)
{
    /* The same walk twice: the second time as text that is known to be valid. */
    static const char text[] = " {\"id\":7 , \"s\" :\"a b\",\"e\\n\":\"\\\"}\",\"o\":{\"x\":[1, "
                               "\"}\"]},\"a\":[{\"y\":\"]\\\\\"}, []],"
                               "\"\": null,\"t\":true,\"f\":false } ";
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    (void)state;
    for (int scanned = 0; scanned < 2; scanned++) {
        (scanned ? json_open_scanned : json_open)(&json, slice_of(text));
        assert_true(json_enter(&json, JSON_OBJECT));
        for (size_t i = 0; i < ROWS(members); i++) {
            assert_true(json_member(&json, &name, &escaped, &value));
            assert_true(slice_equal(name, slice_of(members[i].name)));
            assert_true(slice_equal(value.raw, slice_of(members[i].raw)));
            assert_int_equal(value.type, members[i].type);
            assert_int_equal(escaped, members[i].name_escaped);
            assert_int_equal(value.escaped, members[i].escaped);
        }
        assert_false(json_member(&json, &name, &escaped, &value));
        assert_true(json_end(&json));
    }
}

static void elements_come_in_order(void **state)
{
    struct json_value value;
    struct json json;

    (void)state;
    json_open(&json, SLICE("[ 1,\"b\" ,[2]]"));
    assert_true(json_enter(&json, JSON_ARRAY));
    assert_true(json_element(&json, &value) && slice_equal(value.raw, SLICE("1")));
    assert_true(json_element(&json, &value) && slice_equal(value.raw, SLICE("\"b\"")));
    assert_true(json_element(&json, &value) && slice_equal(value.raw, SLICE("[2]")));
    assert_false(json_element(&json, &value));
    assert_true(json_end(&json));
}

static void empty_containers_have_nothing(void **state)
{
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    (void)state;
    json_open(&json, SLICE("{ }"));
    assert_true(json_enter(&json, JSON_OBJECT));
    assert_false(json_member(&json, &name, &escaped, &value));
    assert_true(json_end(&json));
    json_open(&json, SLICE("[]"));
    assert_true(json_enter(&json, JSON_ARRAY));
    assert_false(json_element(&json, &value));
    assert_true(json_end(&json));
}

/* Walks the members of the text; what error is left at the end. */
static enum json_error walk(struct slice text)
{
    char *copy = exact(text);
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    json_open(&json, (struct slice){ copy, text.len });
    if (json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &name, &escaped, &value))
            ;
    if (json.error != JSON_OK) /* Once wrong, always wrong. */
        assert_false(json_end(&json) || json_member(&json, &name, &escaped, &value) ||
                     json_value(&json, &value) || json_enter(&json, JSON_OBJECT));
    else
        json_end(&json);
    free(copy);
    return json.error;
}

static void walk_of_a_bad_object_ends_with_the_error(void **state)
{
    static const struct {
        struct slice text;
        enum json_error error;
    } rows[] = {
        { TEXT(""), JSON_TRUNCATED },
        { TEXT("["), JSON_SYNTAX },
        { TEXT("{"), JSON_TRUNCATED },
        { TEXT("{\"a\":1"), JSON_TRUNCATED },
        { TEXT("{\"a\":1,"), JSON_TRUNCATED },
        { TEXT("{\"a\":1,}"), JSON_SYNTAX },
        { TEXT("{,\"a\":1}"), JSON_SYNTAX },
        { TEXT("{\"a\":1]"), JSON_SYNTAX },
        { TEXT("{\"a\":1 \"b\":2}"), JSON_SYNTAX },
        { TEXT("{\"a\":}"), JSON_SYNTAX },
        { TEXT("{\"a\",1}"), JSON_SYNTAX },
        { TEXT("{\"a\":1}}"), JSON_SYNTAX },
        { TEXT("{\"a\":1}\0"), JSON_CONTROL },
        { TEXT("{\"a\":[\"\xff\"]}"), JSON_UTF8 },
        { TEXT("{\"a\":01}"), JSON_SYNTAX },
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        assert_int_equal(walk(rows[i].text), rows[i].error);
}

static void broken_promise_of_scanned_text_stays_in_the_text(void **state)
{
    /* json_open_scanned() trusts its caller, but only with the result, never with memory. */
    static const struct slice text =
        TEXT("{\"a\":[\"x\\\\\\\"\",{\"b\":\"\xff\x01\"}],\"c\":\"\\u12\"}");

    (void)state;
    for (size_t from = 0; from < text.len; from++) {
        for (size_t len = 0; len <= text.len - from; len++) {
            char *copy = exact((struct slice){ text.data + from, len });
            struct json_value value;
            struct json json;

            json_open_scanned(&json, (struct slice){ copy, len });
            if (json_value(&json, &value))
                assert_true(value.raw.data >= copy && value.raw.data + value.raw.len <= copy + len);
            assert_true(json.at >= json.start && json.at <= json.end);
            free(copy);
        }
    }
}

static const struct {
    struct slice raw, text;
} unescaped[] = {
    { TEXT("\"\""), TEXT("") },
    { TEXT("\"abc\""), TEXT("abc") },
    { TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), TEXT("\"\\/\b\f\n\r\t") },
    { TEXT("\"a\\nb\\n\""), TEXT("a\nb\n") },
    { TEXT("\"\\u0041\\u00e9\\u00E9\""), TEXT("A\xc3\xa9\xc3\xa9") },
    { TEXT("\"\\u0000\""), TEXT("\0") },
    { TEXT("\"\\u4f60\xe5\xa5\xbd\""), TEXT("\xe4\xbd\xa0\xe5\xa5\xbd") },
    { TEXT("\"\\u07ff\\u0800\\uffff\""), TEXT("\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf") },
    { TEXT("\"\\ud83d\\ude00\""), TEXT("\xf0\x9f\x98\x80") },
    { TEXT("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), TEXT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") },
    { TEXT("\"\\ud800\""), TEXT("\xef\xbf\xbd") },
    { TEXT("\"\\udc00x\""), TEXT("\xef\xbf\xbdx") },
    { TEXT("\"\\ud800\\n\""), TEXT("\xef\xbf\xbd\n") },
    { TEXT("\"\\ud800\\u0041\""), TEXT("\xef\xbf\xbd"
                                       "A") },
    { TEXT("\"\\ud800\\ud83d\\ude00\""), TEXT("\xef\xbf\xbd\xf0\x9f\x98\x80") },
    { TEXT("\"\\ude00\\ud83d\""), TEXT("\xef\xbf\xbd\xef\xbf\xbd") },
};

static void strings_unescape_to_utf8(void **state)
{
    /* Into a buffer of exactly the promised size; the result is always valid UTF-8. */
    (void)state;
    for (size_t i = 0; i < ROWS(unescaped); i++) {
        struct slice raw = unescaped[i].raw;
        char *out = malloc(raw.len);
        struct slice text;

        assert_non_null(out);
        memset(out, '!', raw.len);
        text = (struct slice){ out, json_unescape(raw, out) };
        assert_true(slice_equal(text, unescaped[i].text));
        assert_true(text.len <= raw.len - 2 && utf8_valid(text));
        assert_true(out[raw.len - 2] == '!' && out[raw.len - 1] == '!');
        free(out);
    }
}

static const struct {
    struct slice raw, text;
} broken_lines[] = {
    { TEXT("1"), TEXT("1") },
    { TEXT("[1,\r\n\t2, 3 ]"), TEXT("[1,2,3]") },
    { TEXT("{\n\"a b\" : \" c\"\n}"), TEXT("{\"a b\":\" c\"}") },
    { TEXT("[\"a\\\" \\\\\",\n\" \"]"), TEXT("[\"a\\\" \\\\\",\" \"]") },
};

static void broken_lines_are_joined_outside_strings_only(void **state)
{
    /* White space in strings stays, an escaped quote ends none. */
    (void)state;
    for (size_t i = 0; i < ROWS(broken_lines); i++) {
        struct slice raw = broken_lines[i].raw;
        char out[64];

        assert_true(json_has_breaks(raw) == (memchr(raw.data, '\n', raw.len) != NULL));
        assert_true(
            slice_equal((struct slice){ out, json_join_lines(raw, out) }, broken_lines[i].text));
    }
}

static void numbers_follow_the_rfc(void **state)
{
    static const char *good[] = { "0",    "-0",  "1",    "-12",  "1.0",
                                  "0.10", "1e1", "1E-1", "0e+0", "9.9e99" };
    static const char *bad[] = { "",    "-",     "+1",   "01",  "-01",     "1.",  ".1",
                                 "1e",  "1e+",   "1.e1", "1 ",  " 1",      "0x1", "1,0",
                                 "NaN", "1e1.0", "--1",  "1_0", "\xd9\xa1" };

    (void)state;
    for (size_t i = 0; i < ROWS(good); i++)
        assert_true(json_is_number(slice_of(good[i])));
    for (size_t i = 0; i < ROWS(bad); i++)
        assert_false(json_is_number(slice_of(bad[i])));
    assert_false(json_is_number((struct slice){ NULL, 0 }));
    assert_false(json_is_number(SLICE("1\0")));
}

/* The UTF-8 of any 21-bit number, well-formed or not. */
static size_t encode(uint32_t point, char *out)
{
    static const unsigned char leads[] = { 0, 0xc0, 0xe0, 0xf0 };
    size_t more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;

    for (size_t i = more; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(leads[more] | point);
    return more + 1;
}

static void utf8_accepts_exactly_the_scalar_values(void **state)
{
    /* All of Unicode, the surrogates, and what lies above; behind 8 plain bytes, so that both loops
     * are used. */
    (void)state;
    for (uint32_t point = 0; point < 0x1fffff; point++) {
        char text[16] = "12345678";
        size_t len = 8 + encode(point, text + 8);
        bool scalar = point < 0xd800 || (point > 0xdfff && point <= 0x10ffff);

        if (utf8_valid((struct slice){ text, len }) != scalar)
            fail_msg("U+%X", point);
        if (len > 9 && utf8_valid((struct slice){ text, len - 1 }))
            fail_msg("U+%X without its end", point);
    }
    assert_true(utf8_valid((struct slice){ NULL, 0 }));
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    for (int error = JSON_OK; error <= JSON_DEPTH; error++)
        for (int other = JSON_OK; other < error; other++)
            assert_string_not_equal(json_error_text((enum json_error)error),
                                    json_error_text((enum json_error)other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_pass),
        cmocka_unit_test(invalid_texts_fail_where_they_are_wrong),
        cmocka_unit_test(every_prefix_of_a_valid_text_is_truncated),
        cmocka_unit_test(control_characters_are_errors_everywhere_in_a_string),
        cmocka_unit_test(nesting_is_bounded_and_never_recursive),
        cmocka_unit_test(entered_container_counts_as_a_level),
        cmocka_unit_test(alternating_containers_close_with_their_own_bracket),
        cmocka_unit_test(members_come_in_order_in_their_wire_encoding),
        cmocka_unit_test(elements_come_in_order),
        cmocka_unit_test(empty_containers_have_nothing),
        cmocka_unit_test(walk_of_a_bad_object_ends_with_the_error),
        cmocka_unit_test(broken_promise_of_scanned_text_stays_in_the_text),
        cmocka_unit_test(strings_unescape_to_utf8),
        cmocka_unit_test(broken_lines_are_joined_outside_strings_only),
        cmocka_unit_test(numbers_follow_the_rfc),
        cmocka_unit_test(utf8_accepts_exactly_the_scalar_values),
        cmocka_unit_test(every_error_has_a_text),
    };

    return UNIT_RUN(tests);
}
