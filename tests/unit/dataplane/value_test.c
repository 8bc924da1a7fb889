/* value_test.c: database values to JSON texts, rule by rule. */
#include "dataplane/value.h"

#include "tests/unit/unit.h"

static struct arena arena;

static const char *convert(struct value_type type, struct slice token)
{
    static char out[16384];
    struct json_value value;
    struct slice text;
    struct json json;

    arena_reset(&arena);
    json_open(&json, token);
    assert_true(json_value(&json, &value));
    assert_true(json_end(&json));
    assert_int_equal(value_text(type, &value, &arena, &text), VALUE_OK);
    assert_true(text.len < sizeof(out));
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    json_open(&json, text);
    assert_true(json_value(&json, &value));
    assert_true(json_end(&json));
    assert_null(memchr(text.data, '\n', text.len));
    return out;
}

struct row {
    const char *token, *text; /* text NULL: the token stays as it is */
};

static void check(struct value_type type, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_string_equal(convert(type, slice_of(rows[i].token)),
                            rows[i].text ? rows[i].text : rows[i].token);
}

#define CHECK(kind_, rows) \
    check((struct value_type){ .kind = kind_ }, rows, sizeof(rows) / sizeof(rows[0]))

static void numbers_keep_their_digits(void **state)
{
    static const struct row rows[] = {
        { "\"365.30\"", "365.30" },
        { "\"1.0E15\"", "1.0E15" },
        { "\"-0\"", "-0" },
        { "\"00042\"", "42" },
        { "\"0000\"", "0" },
        { "\"-007\"", "-7" },
        { "\"000.50\"", "0.50" },
        { "\"-00.5\"", "-0.5" },
        { "\"\\u0031\\u0032\"", "12" },
        { "\"18446744073709551615\"", "18446744073709551615" },
        { "\"\"", NULL },
        { "\"abc\"", NULL },
        { "\"NaN\"", NULL },
        { "\"1 \"", NULL },
        { "\".5\"", NULL },
        { "\"+1\"", NULL },
        { "\"0x10\"", NULL },
        { "\"--1\"", NULL },
        { "\"-\"", NULL },
        { "\"1\\n2\"", NULL },
        { "null", NULL },
        { "true", NULL },
        { "12", NULL },
        { "[1, 2]", "[1,2]" },
        { "{\"a\": 1}", "{\"a\":1}" },
    };

    (void)state;
    CHECK(VALUE_NUMBER, rows);
}

static void json_columns_become_json_on_one_line(void **state)
{
    static const struct row rows[] = {
        { "\"{\\\"a\\\": [1, 2.50, \\\"x y\\\"]}\"", "{\"a\":[1,2.50,\"x y\"]}" },
        { "\"{\\n \\\"a\\\" :\\t\\\"b\\\\\\\" c\\\" }\"", "{\"a\":\"b\\\" c\"}" },
        { "\"null\"", "null" },
        { "\" 1.50 \"", "1.50" },
        { "\"\\\"t\\\"\"", "\"t\"" },
        { "\"[]\"", "[]" },
        { "\"\"", NULL },
        { "\"{\\\"a\\\":}\"", NULL },
        { "\"{} x\"", NULL },
        { "\"\\\"\\u0000\\\"\"", NULL }, /* a raw NUL in a string is no JSON */
        { "{\"a\" : 1}", "{\"a\":1}" },
        { "null", NULL },
    };

    (void)state;
    CHECK(VALUE_JSON, rows);
}

/* What nests deeper than the document can hold stays text; an array that came as one cannot stay at
 * all. */
static void nesting_is_bounded(void **state)
{
    char deep[2 * (VALUE_DEPTH_MAX + 1) + 3];
    struct json_value value = { .type = JSON_ARRAY };
    struct slice text;

    (void)state;
    for (int levels = VALUE_DEPTH_MAX; levels <= VALUE_DEPTH_MAX + 1; levels++) {
        deep[0] = '"';
        memset(deep + 1, '[', (size_t)levels);
        memset(deep + 1 + levels, ']', (size_t)levels);
        deep[1 + 2 * levels] = '"';
        convert((struct value_type){ .kind = VALUE_JSON },
                (struct slice){ deep, (size_t)levels * 2 + 2 });
        value.raw = (struct slice){ deep + 1, (size_t)levels * 2 };
        assert_int_equal(
            value_text((struct value_type){ .kind = VALUE_AS_IS }, &value, &arena, &text),
            levels > VALUE_DEPTH_MAX ? VALUE_TOO_DEEP : VALUE_OK);
    }
    assert_int_equal(convert((struct value_type){ .kind = VALUE_JSON },
                             (struct slice){ deep, sizeof(deep) - 1 })[0],
                     '"');
}

static void bytes_become_base64(void **state)
{
    static const struct row rows[] = {
        { "\"\"", NULL },
        { "\"\\u0000\xc3\xbf\xc2\x80\"", "\"AP+A\"" },
        { "\"\xc3\x9e\xc2\xad\xc2\xbe\xc3\xaf\\u0000\"", "\"3q2+7wA=\"" },
        { "\"ab\"", "\"YWI=\"" },
        { "\"\\u00ff\\u0001\\n\"", "\"/wEK\"" },
        { "\"\xe4\xb8\xad\"", NULL }, /* over U+00FF: no Latin-1 */
        { "\"a\\u0100\"", NULL },
        { "null", NULL },
        { "5", NULL },
    };

    (void)state;
    CHECK(VALUE_LATIN1, rows);
}

static void decimals_become_digits(void **state)
{
    static const struct {
        int scale;
        const char *token, *text;
    } rows[] = {
        { 4, "\"AeII\"", "12.3400" },
        { 4, "\"Kj3H2Q==\"", "70869.1929" },
        { 10, "\"/nEW8Ak8jB8R8/sq6w==\"", "-12345678901234567890.0123456789" },
        { 0, "\"/av0HAE=\"", "-9999999999" },
        { 2, "\"AA==\"", "0.00" },
        { 2, "\"/w==\"", "-0.01" },
        { 2, "\"gA==\"", "-1.28" },
        { 0, "\"AIA=\"", "128" },
        { -3, "\"Bw==\"", "7000" },
        { -3, "\"AA==\"", "0" },
        { 0, "\"gAAAAAAAAAA=\"", "-9223372036854775808" },
        { 0, "\"AP//////////\"", "18446744073709551615" },
        { 0, "\"O5rKAA==\"", "1000000000" },
        { 3, "\"//8=\"", "-0.001" },
        { 4, "\"Aa\\/\\/\"", "11.0591" },
        { 4, "\"12.34\"", NULL }, /* decimal.handling.mode=string under a wrong name: no base64 */
        { 4, "\"\"", NULL },
        { 4, "12.5", NULL },
        { 4, "null", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(convert((struct value_type){ VALUE_DECIMAL, (int16_t)rows[i].scale },
                                    slice_of(rows[i].token)),
                            rows[i].text ? rows[i].text : rows[i].token);
}

/* 2^8184 - 1 in 1,024 bytes is the longest; one byte more stays as it is. */
static void long_decimals_are_bounded(void **state)
{
    char token[VALUE_DECIMAL_BYTES_MAX * 4 / 3 + 16];
    const char *text;
    size_t len = (VALUE_DECIMAL_BYTES_MAX / 3) * 4;

    (void)state;
    token[0] = '"';
    memset(token + 1, '/', len + 8);
    memcpy(token + 1, "AP//", 4);
    memcpy(token + 1 + len, "/w==\"", 6);
    text = convert((struct value_type){ .kind = VALUE_DECIMAL }, slice_of(token));
    assert_int_equal(strlen(text), 2464);
    assert_memory_equal(text + strlen(text) - 3, "815", 3);
    memcpy(token + 1 + len, "//8=\"", 6);
    text = convert((struct value_type){ .kind = VALUE_DECIMAL }, slice_of(token));
    assert_string_equal(text, token);
}

static void variable_scale_decimals_carry_their_scale(void **state)
{
    static const struct row rows[] = {
        { "{\"scale\":4,\"value\":\"AeII\"}", "12.3400" },
        { "{\"value\": \"Bw==\", \"scale\": -3}", "7000" },
        { "{\"scale\":99999999,\"value\":\"Bw==\"}", NULL },
        { "{\"scale\":\"1\",\"value\":\"Bw==\"}", NULL },
        { "{\"scale\":1}", NULL },
        { "{\"value\":\"Bw==\"}", NULL },
        { "{\"scale\":1,\"value\":7}", NULL },
        { "{}", NULL },
        { "\"Bw==\"", NULL },
        { "null", NULL },
    };

    (void)state;
    CHECK(VALUE_VARIABLE_DECIMAL, rows);
}

static void bits_are_little_endian(void **state)
{
    static const struct row rows[] = {
        { "\"pQ==\"", "165" },
        { "\"AAE=\"", "256" },
        { "\"//////////8=\"", "18446744073709551615" },
        { "\"AAAAAAAAAIA=\"", "9223372036854775808" },
        { "\"AAAAAAAAAAAA\"", NULL }, /* nine bytes */
        { "\"\"", NULL },
        { "true", NULL },
        { "\"*\"", NULL },
    };

    (void)state;
    CHECK(VALUE_BITS, rows);
}

static void dates_and_times_become_text(void **state)
{
    static const struct {
        enum value_kind kind;
        const char *token, *text;
    } rows[] = {
        { VALUE_DATE, "20512", "\"2026-02-28\"" },
        { VALUE_DATE, "0", "\"1970-01-01\"" },
        { VALUE_DATE, "-1", "\"1969-12-31\"" },
        { VALUE_DATE, "-719528", "\"0000-01-01\"" },
        { VALUE_DATE, "-719529", "\"-0001-12-31\"" },
        { VALUE_DATE, "2932896", "\"9999-12-31\"" },
        { VALUE_DATE, "2932897", "\"10000-01-01\"" },
        { VALUE_DATE, "11016", "\"2000-02-29\"" },
        { VALUE_DATE, "47540", "\"2100-02-28\"" },
        { VALUE_DATE, "47541", "\"2100-03-01\"" },
        { VALUE_DATE, "9223372036854775807", NULL },
        { VALUE_DATE, "1.5", NULL },
        { VALUE_DATE, "\"2026-01-01\"", NULL },
        { VALUE_DATE, "null", NULL },
        { VALUE_TIMESTAMP_MS, "1795305599000", "\"2026-11-21 23:59:59\"" },
        { VALUE_TIMESTAMP_MS, "1795245101007", "\"2026-11-21 07:11:41.007\"" },
        { VALUE_TIMESTAMP_MS, "-1", "\"1969-12-31 23:59:59.999\"" },
        { VALUE_TIMESTAMP_US, "1767225600000001", "\"2026-01-01 00:00:00.000001\"" },
        { VALUE_TIMESTAMP_US, "1767225600000000", "\"2026-01-01 00:00:00\"" },
        { VALUE_TIMESTAMP_US, "-30610224000000000", "\"1000-01-01 00:00:00\"" },
        { VALUE_TIMESTAMP_NS, "1767225600000000010", "\"2026-01-01 00:00:00.000000010\"" },
        { VALUE_TIMESTAMP_NS, "-9223372036854775808", "\"1677-09-21 00:12:43.145224192\"" },
        { VALUE_TIMESTAMP_MS, "9223372036854775807", "\"292278994-08-17 07:12:55.807\"" },
        { VALUE_TIMESTAMP_MS, "-9223372036854775808", "\"-292275055-05-16 16:47:04.192\"" },
        { VALUE_TIMESTAMP_MS, "9223372036854775808", NULL },
        { VALUE_TIME_MS, "45296000", "\"12:34:56\"" },
        { VALUE_TIME_US, "-45000000000", "\"-12:30:00\"" },
        { VALUE_TIME_US, "3020398999999", "\"838:59:58.999999\"" },
        { VALUE_TIME_US, "0", "\"00:00:00\"" },
        { VALUE_TIME_US, "-1", "\"-00:00:00.000001\"" },
        { VALUE_TIME_NS, "1000000001", "\"00:00:01.000000001\"" },
        { VALUE_TIME_MS, "-9223372036854775808", "\"-2562047788015:12:55.808\"" },
        { VALUE_TIME_MS, "\"x\"", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(
            convert((struct value_type){ .kind = (uint8_t)rows[i].kind }, slice_of(rows[i].token)),
            rows[i].text ? rows[i].text : rows[i].token);
}

static void types_are_known_by_name(void **state)
{
    static const struct {
        const char *name;
        enum value_kind kind;
    } mysql[] = {
        { "BIGINT unsigned", VALUE_NUMBER },
        { "int(10) unsigned zerofill", VALUE_NUMBER },
        { "DECIMAL(18,4)", VALUE_NUMBER },
        { "double", VALUE_NUMBER },
        { "Bit(1)", VALUE_NUMBER },
        { "YEAR", VALUE_NUMBER },
        { "JSON", VALUE_JSON },
        { "longblob", VALUE_LATIN1 },
        { "VARBINARY(32)", VALUE_LATIN1 },
        { "geometry", VALUE_LATIN1 },
        { "VARCHAR(300)", VALUE_AS_IS },
        { "ENUM('int','json')", VALUE_AS_IS },
        { "datetime(6)", VALUE_AS_IS },
        { "TEXT", VALUE_AS_IS },
        { "interval", VALUE_AS_IS },
        { "", VALUE_AS_IS },
        { "integerintegerintegerintegerinteger", VALUE_AS_IS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(mysql) / sizeof(mysql[0]); i++)
        assert_int_equal(value_type_mysql(slice_of(mysql[i].name)).kind, mysql[i].kind);
    assert_int_equal(value_type_connect(SLICE("io.debezium.time.NanoTime"), 0).kind, VALUE_TIME_NS);
    assert_int_equal(value_type_connect(SLICE("io.debezium.data.Enum"), 0).kind, VALUE_AS_IS);
    assert_int_equal(value_type_connect(SLICE("org.apache.kafka.connect.data.Decimal"), 4).scale,
                     4);
    assert_int_equal(
        value_type_connect(SLICE("org.apache.kafka.connect.data.Decimal"), INT64_MAX).kind,
        VALUE_AS_IS);
}

/* A full arena is said, and a second try in an empty one works: nothing is kept from the first. */
static void a_full_arena_is_said(void **state)
{
    static const enum value_kind kinds[] = { VALUE_JSON, VALUE_LATIN1, VALUE_NUMBER };
    struct json_value value = { .type = JSON_STRING, .raw = SLICE("\"007\"") };
    struct arena small;
    struct slice text;

    (void)state;
    arena_open(&small, 8, "small");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        void *all = arena_take(&small, 8);

        assert_non_null(all);
        assert_int_equal(
            value_text((struct value_type){ .kind = (uint8_t)kinds[i] }, &value, &small, &text),
            VALUE_NO_ROOM);
        arena_reset(&small);
    }
}

static void the_mark_for_missing_values_is_known(void **state)
{
    static const struct {
        const char *token;
        bool missing;
    } rows[] = {
        { "\"__debezium_unavailable_value\"", true },
        { "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"", true },
        { "\"__debezium_unavailable_value \"", false },
        { "null", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct json_value value = { .raw = slice_of(rows[i].token) };

        value.type = rows[i].token[0] == '"' ? JSON_STRING : JSON_NULL;
        assert_int_equal(value_unavailable(&value), rows[i].missing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(json_columns_become_json_on_one_line),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(bytes_become_base64),
        cmocka_unit_test(decimals_become_digits),
        cmocka_unit_test(long_decimals_are_bounded),
        cmocka_unit_test(variable_scale_decimals_carry_their_scale),
        cmocka_unit_test(bits_are_little_endian),
        cmocka_unit_test(dates_and_times_become_text),
        cmocka_unit_test(types_are_known_by_name),
        cmocka_unit_test(a_full_arena_is_said),
        cmocka_unit_test(the_mark_for_missing_values_is_known),
    };

    arena_open(&arena, 1 << 20, "arena");
    return UNIT_RUN(tests);
}
