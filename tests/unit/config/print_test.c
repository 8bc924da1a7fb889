/* print_test.c: scalars that are hard to write come back as they were. */
#include "config_unit.h"

#include "config/yaml_out.h"

static const char *const hard[] = {
    "plain",       "a b",
    "null",        "~",
    "true",        "12",
    "- a",         "a: b",
    "a #b",        "#a",
    "*a",          "&a",
    "!a",          "[a",
    "{a}",         "a,b",
    "\"q\"",       "it's",
    "back\\slash", "%a",
    "@a",          "`a",
    "|",           ">",
    "?",           "-",
    "...",         "---",
    " edge ",      "\xe4\xb8\xad",
    "${A}",        "$${A}",
    "$$${A",       "a${B:c}",
    "$",           "=",
    "<<",          "off",
    "12:30:45",    "0x1f",
    "a\nb",        "\tx\n",
    "\\n",         "\xf0\x9f\x98\x80",
};

/* Each text as an option's value, printed and read again; and as the name of a column. */
static void every_text_survives_print_and_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hard) / sizeof(hard[0]); i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        bool key = strpbrk(hard[i], "\n\t") == NULL;
        fputs("tasks:\n  t:\n    source: { kafka: { brokers: [a], topics: [b], group: c, options: "
              "{ x: ",
              out);
        yaml_out_text(out, hard[i]);
        fputs(" } }, format: canal-json }\n    document: { key: k, tables: { d.t: { columns: { ",
              out);
        yaml_out_key(out, key ? hard[i] : "x");
        fputs(": v } } } }\n    sinks: { s: { sqlite: { path: p, table: t } } }\n", out);
        fclose(out);
        struct config *config = load_right(text);
        for (int round = 0; round < 2; round++) {
            assert_string_equal(config->tasks[0].source.kafka.options.items[0].value, hard[i]);
            assert_string_equal(config->tasks[0].document.tables[0].columns.items[0].name,
                                key ? hard[i] : "x");
            char *again = printed(config);
            config_free(config);
            config = load_right(again);
            free(again);
        }
        config_free(config);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_text_survives_print_and_parse) };
    return UNIT_RUN(tests);
}
