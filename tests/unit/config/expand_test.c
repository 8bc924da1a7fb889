/* expand_test.c: the environment in scalars, by itself and in a config. */
#include "config_unit.h"

#include "config/expand.h"

static void expect_expanded(const char *text, const char *wanted)
{
    struct config_chunk *memory = NULL;
    struct expanded expanded = { 0 };
    int result = expand_text(&memory, text, strlen(text), &expanded);
    if (result != 0)
        print_message("# %s: %s\n", text, expanded.reason);
    assert_int_equal(result, 0);
    assert_string_equal(expanded.text, wanted);
    assert_int_equal(expanded.len, strlen(wanted));
    chunk_free_all(memory);
}

static void variables_and_defaults_are_put_in(void **state)
{
    (void)state;
    setenv("WEIR_TEST_HOST", "es1", 1);
    setenv("WEIR_TEST_EMPTY", "", 1);
    setenv("WEIR_TEST_TRICKY", "${WEIR_TEST_HOST}: [a, #b]", 1);
    unsetenv("WEIR_TEST_UNSET");
    expect_expanded("plain $ text", "plain $ text");
    expect_expanded("${WEIR_TEST_HOST}", "es1");
    expect_expanded("http://${WEIR_TEST_HOST}:9200/${WEIR_TEST_HOST}", "http://es1:9200/es1");
    expect_expanded("${WEIR_TEST_UNSET:http://x:1}", "http://x:1");
    expect_expanded("${WEIR_TEST_UNSET:}", "");
    expect_expanded("${WEIR_TEST_HOST:other}", "es1");
    expect_expanded("a${WEIR_TEST_EMPTY:not this}b", "ab");
    expect_expanded("${WEIR_TEST_TRICKY}", "${WEIR_TEST_HOST}: [a, #b]");
    expect_expanded("pa$$word$", "pa$$word$");
    expect_expanded("$${WEIR_TEST_HOST}", "${WEIR_TEST_HOST}");
    expect_expanded("$$${x", "$${x");
}

static void what_cannot_be_put_in_says_why(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "${WEIR_TEST_UNSET}", "WEIR_TEST_UNSET is not set" },
        { "${WEIR_TEST_HOST", "without its }" },
        { "${}", "not the name of a variable" },
        { "${1A}", "\"1A\" is not the name" },
        { "${A B:x}", "\"A B\" is not the name" },
        { "${:x}", "not the name of a variable" },
    };
    unsetenv("WEIR_TEST_UNSET");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_chunk *memory = NULL;
        struct expanded expanded = { 0 };
        assert_int_equal(expand_text(&memory, cases[i][0], strlen(cases[i][0]), &expanded), -1);
        assert_non_null(strstr(expanded.reason, cases[i][1]));
        chunk_free_all(memory);
    }
}

/* A value is bounded before memory is taken for it, however often a large variable is named. */
static void expansion_is_bounded(void **state)
{
    (void)state;
    enum { LARGE = 100 * 1000 };
    char *large = malloc(LARGE + 1);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
    setenv("WEIR_TEST_LARGE", large, 1);
    char text[20 * 20 + 1] = "";
    for (int i = 0; i < 20; i++)
        strcat(text, "${WEIR_TEST_LARGE}");
    struct config_chunk *memory = NULL;
    struct expanded expanded = { 0 };
    assert_int_equal(expand_text(&memory, text, strlen(text), &expanded), -1);
    assert_non_null(strstr(expanded.reason, "longer than 1MiB"));
    assert_null(memory);
    unsetenv("WEIR_TEST_LARGE");
    free(large);
}

/* The environment gives values of every kind, and never structure. */
static void a_config_takes_values_from_the_environment(void **state)
{
    (void)state;
    setenv("WEIR_TEST_MEMORY", "128MiB", 1);
    setenv("WEIR_TEST_KEY", "k: { evil: true }", 1);
    struct config *config =
        load_right("node: { memory: '${WEIR_TEST_MEMORY}', cores: ['${C:3}'] }\n"
                   "tasks:\n"
                   "  t:\n"
                   "    source: { file: { paths: [a] }, format: '${F:canal-json}' }\n"
                   "    document: { key: \"${WEIR_TEST_KEY}\", tables: { d.t: {} } }\n"
                   "    sinks: { s: { sqlite: { path: p, table: '${T:t}' } } }\n");
    assert_int_equal(config->node.memory_bytes, 128 << 20);
    assert_int_equal(config->node.cores.items[0], 3);
    assert_string_equal(config->tasks[0].document.key, "k: { evil: true }");
    assert_string_equal(config->tasks[0].sinks[0].sqlite.table, "t");
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_and_defaults_are_put_in),
        cmocka_unit_test(what_cannot_be_put_in_says_why),
        cmocka_unit_test(expansion_is_bounded),
        cmocka_unit_test(a_config_takes_values_from_the_environment),
    };
    return UNIT_RUN(tests);
}
