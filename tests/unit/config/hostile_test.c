/* hostile_test.c: files that want to hurt: each ends in an error, in bounded time and memory,
 * without a crash. */
#include "config_unit.h"

static void expect_error(const void *bytes, size_t len, const char *wanted)
{
    char *errors = errors_of_bytes(bytes, len);
    if (strstr(errors, wanted) == NULL)
        print_message("# wanted: %s\n# got: %s\n", wanted, errors);
    assert_non_null(strstr(errors, wanted));
    free(errors);
}

#define EXPECT_ERROR(literal, wanted) expect_error((literal), sizeof(literal) - 1, (wanted))

static char *repeated(const char *piece, size_t times, size_t *len)
{
    size_t size = strlen(piece);
    char *text = malloc(size * times + 1);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * size, piece, size);
    *len = size * times;
    return text;
}

static void expect_error_of_repeated(const char *piece, size_t times, const char *wanted)
{
    size_t len;
    char *text = repeated(piece, times, &len);
    expect_error(text, len, wanted);
    free(text);
}

static void deep_nesting_ends_at_a_bound(void **state)
{
    (void)state;
    expect_error_of_repeated("[", 100 * 1000, "1:33: nested deeper than 32 levels");
    expect_error_of_repeated("{a: ", 100 * 1000, "1:129: nested deeper than 32 levels");
    expect_error_of_repeated("- ", 100 * 1000, "nested deeper than 32 levels");
}

/* A thousandfold from a few lines: the anchors and aliases that it needs are not there. */
static void aliases_are_refused(void **state)
{
    (void)state;
    EXPECT_ERROR("a: &a [x, x, x, x, x, x, x, x, x]\n"
                 "b: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n"
                 "c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n"
                 "tasks: *c\n",
                 "1:4: an anchor (&); allowed: the value without it");
    EXPECT_ERROR("tasks: *c\n", "1:8: an alias (*); allowed: the value itself, written out");
}

static void a_large_file_is_refused(void **state)
{
    (void)state;
    expect_error_of_repeated("# ten bytes", 1024 * 1024, "0:0: is larger than 1024KiB");
}

static void many_values_end_at_a_bound(void **state)
{
    (void)state;
    size_t len;
    char *text = repeated("x,", 200 * 1000, &len);
    memcpy(text, "[x", 2);
    expect_error(text, len, "more than 100000 values");
    free(text);
}

/* A hundred thousand wrong keys are a thousand errors and a count, soon. */
static void many_errors_are_counted(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (unsigned i = 0; i < 90 * 1000; i++)
        fprintf(out, "k%u:\n", i);
    fclose(out);
    struct config *config;
    struct config_errors errors = { 0 };
    assert_int_equal(load_bytes(text, size, &config, &errors), -1);
    assert_int_equal(errors.n, CONFIG_ERRORS_MAX);
    assert_int_equal(errors.n + errors.omitted, 90 * 1000 + 1);
    config_errors_free(&errors);
    free(text);
}

static void many_equal_keys_are_found(void **state)
{
    (void)state;
    expect_error_of_repeated("a:\n", 90 * 1000, "2:1: the key \"a\" is here twice");
}

static void bytes_that_are_no_text_have_a_place(void **state)
{
    (void)state;
    EXPECT_ERROR("a: 1\nb: x\0y\n", "2:5: YAML: control characters are not allowed");
    EXPECT_ERROR("a: 1\nb: \xff\n", "2:4: YAML: invalid leading UTF-8 octet (byte 0xff)");
    EXPECT_ERROR("\xc3\xa4: \xe4\xb8\n", "1:5: YAML: invalid trailing UTF-8 octet");
    EXPECT_ERROR("a: \xed\xa0\x80\n", "1:4: YAML: ");
    EXPECT_ERROR("\xff\xfe"
                 "a\0",
                 "1:1: YAML: ");
    EXPECT_ERROR("a: \x1b[31m\n", "1:4: YAML: control characters are not allowed");
}

/* YAML's escapes can write what a file cannot hold: it is refused where it stands. */
static void escaped_controls_are_refused(void **state)
{
    (void)state;
    EXPECT_ERROR("node: { name: \"a\\0b\" }\n",
                 "1:15: node.name: found \"a\\x00b\"; allowed: a text");
    EXPECT_ERROR("node: { name: \"a\\nb\" }\n", "text without control characters");
    EXPECT_ERROR("node: { hugepages: \"off\\0\" }\n", "1:20: node.hugepages: found \"off\\x00\"");
    EXPECT_ERROR("node: { \"na\\0me\": x }\n", "1:9: a NUL byte in a key");
}

static void what_is_no_map_of_keys_is_refused(void **state)
{
    (void)state;
    EXPECT_ERROR("", "1:1: the file is empty");
    EXPECT_ERROR("# only a comment\n", "the file is empty");
    EXPECT_ERROR("~\n", "1:1: the key \"tasks\" is missing");
    EXPECT_ERROR("[tasks]\n", "1:1: found a list; allowed: a map");
    EXPECT_ERROR("tasks\n", "1:1: found \"tasks\"; allowed: a map");
    EXPECT_ERROR("? [a]\n: b\n", "1:3: a key that is no text");
    EXPECT_ERROR("a: 1\n---\nb: 2\n", "2:1: a second document");
    EXPECT_ERROR("tasks: !!binary eA==\n", "1:8: a tag (!)");
    EXPECT_ERROR("<<: { a: b }\n", "1:1: <<: unknown key");
}

static void a_file_that_cannot_be_read_is_one_error(void **state)
{
    (void)state;
    struct config *config;
    struct config_errors errors = { 0 };
    char *text = NULL;
    size_t size;
    assert_int_equal(config_load("/nonexistent/weir.yaml", &config, &errors), -1);
    FILE *out = open_memstream(&text, &size);
    config_errors_print(out, &errors);
    fclose(out);
    assert_string_equal(text,
                        "/nonexistent/weir.yaml: cannot be opened: No such file or directory\n");
    config_errors_free(&errors);
    free(text);
    assert_int_equal(config_load("/tmp", &config, &errors), -1);
    config_errors_free(&errors);
}

/* Every prefix of a right file is an error or a config, and nothing else. */
static void a_truncated_file_never_crashes(void **state)
{
    (void)state;
    static const char text[] =
        "node: { name: \"a\\\"b\", cores: [0] }\n"
        "tasks:\n"
        "  t:\n"
        "    source: { file: { paths: [a] }, format: \"${F:canal-json}\" }\n"
        "    document: { key: k, tables: { d.t: { columns: { a: 'b' } } } }\n"
        "    sinks: { s: { sqlite: { path: p, table: t } } }\n";
    unsigned right = 0;
    for (size_t len = 0; len < sizeof(text); len++) {
        struct config *config;
        struct config_errors errors = { 0 };
        if (load_bytes(text, len, &config, &errors) == 0)
            right++;
        else
            assert_true(errors.n > 0);
        config_free(config);
        config_errors_free(&errors);
    }
    assert_int_equal(right, 2); /* whole, with and without its last line break */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_nesting_ends_at_a_bound),
        cmocka_unit_test(aliases_are_refused),
        cmocka_unit_test(a_large_file_is_refused),
        cmocka_unit_test(many_values_end_at_a_bound),
        cmocka_unit_test(many_errors_are_counted),
        cmocka_unit_test(many_equal_keys_are_found),
        cmocka_unit_test(bytes_that_are_no_text_have_a_place),
        cmocka_unit_test(escaped_controls_are_refused),
        cmocka_unit_test(what_is_no_map_of_keys_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_one_error),
        cmocka_unit_test(a_truncated_file_never_crashes),
    };
    return UNIT_RUN(tests);
}
