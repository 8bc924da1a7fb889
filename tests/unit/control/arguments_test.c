/* arguments_test.c: what a command line means, and what is said about one that means nothing. */
#include "../unit.h"

#include "control/arguments.h"
#include "control/help.h"

#include <stdlib.h>

#define WORDS_MAX 12

/* Cuts a command line at its spaces. */
static int parse(const char *line, struct arguments *arguments, struct err *err)
{
    static char text[512];
    char *words[WORDS_MAX + 1] = { NULL };
    int n = 0;

    snprintf(text, sizeof(text), "%s", line);
    for (char *word = strtok(text, " "); word != NULL && n < WORDS_MAX; word = strtok(NULL, " "))
        words[n++] = word;
    return arguments_parse(n, words, arguments, err);
}

/* All options of `run`, before and after the operand, with a space and with an equals sign. */
static void run_takes_its_options_anywhere(void **state)
{
    static const char *const lines[] = {
        "weir run --until-end --wait 5min --log-format json --log-level warn a.yaml",
        "weir run a.yaml --until-end --wait=5min --log-format=json --log-level=warn",
    };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct arguments arguments;
        struct err err;
        assert_int_equal(parse(lines[i], &arguments, &err), 0);
        assert_int_equal(arguments.command, COMMAND_RUN);
        assert_string_equal(arguments.operand, "a.yaml");
        assert_true(arguments.until_end);
        assert_int_equal(arguments.wait_us, 300000000);
        assert_int_equal(arguments.log_format, LOG_JSON);
        assert_int_equal(arguments.log_level, LOG_WARN);
    }
}

/* Nothing but the config: a minute of patience, lines for people. */
static void defaults_are_those_of_the_help(void **state)
{
    struct arguments arguments;
    struct err err;

    (void)state;
    assert_int_equal(parse("weir run a.yaml", &arguments, &err), 0);
    assert_false(arguments.until_end || arguments.json || arguments.print || arguments.help);
    assert_int_equal(arguments.wait_us, 60000000);
    assert_int_equal(arguments.log_format, LOG_TEXT);
    assert_int_equal(arguments.log_level, LOG_INFO);
    assert_null(arguments.socket);
    assert_null(arguments.task);
}

static void check_asks_the_servers_only_where_it_is_told_to(void **state)
{
    struct arguments arguments;
    struct err err;

    (void)state;
    assert_int_equal(parse("weir check a.yaml", &arguments, &err), 0);
    assert_false(arguments.live);
    assert_int_equal(parse("weir check --json a.yaml --live", &arguments, &err), 0);
    assert_int_equal(arguments.command, COMMAND_CHECK);
    assert_true(arguments.live && arguments.json);
}

static void questions_take_socket_task_and_json(void **state)
{
    static const struct {
        const char *line;
        enum command command;
    } rows[] = {
        { "weir status --socket /s --task t --json", COMMAND_STATUS },
        { "weir get --socket=/s 1001 --task=t --json", COMMAND_GET },
        { "weir lag --json --task t --socket /s", COMMAND_LAG },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arguments arguments;
        struct err err;
        assert_int_equal(parse(rows[i].line, &arguments, &err), 0);
        assert_int_equal(arguments.command, rows[i].command);
        assert_string_equal(arguments.socket, "/s");
        assert_string_equal(arguments.task, "t");
        assert_true(arguments.json);
    }
}

/* A key may look like an option: two dashes end the options; a single dash is no option. */
static void key_that_begins_with_a_dash_comes_after_two(void **state)
{
    struct arguments arguments;
    struct err err;

    (void)state;
    assert_int_equal(parse("weir get --json -- --json", &arguments, &err), 0);
    assert_string_equal(arguments.operand, "--json");
    assert_int_equal(parse("weir get -", &arguments, &err), 0);
    assert_string_equal(arguments.operand, "-");
}

/* --help needs nothing else to be right; -h, and --help without a command, are known too. */
static void help_is_asked_for_in_every_way(void **state)
{
    static const struct {
        const char *line;
        enum command command;
        bool option;
    } rows[] = {
        { "weir help", COMMAND_HELP, false },       { "weir --help", COMMAND_HELP, false },
        { "weir -h", COMMAND_HELP, false },         { "weir run --help", COMMAND_RUN, true },
        { "weir get -h", COMMAND_GET, true },       { "weir --version", COMMAND_VERSION, false },
        { "weir version", COMMAND_VERSION, false },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arguments arguments;
        struct err err;
        assert_int_equal(parse(rows[i].line, &arguments, &err), 0);
        assert_int_equal(arguments.command, rows[i].command);
        assert_int_equal(arguments.help, rows[i].option);
    }
}

/* Each wrong line is a usage error whose text holds the word that helps. */
static void wrong_usage_says_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *says;
    } rows[] = {
        { "weir", "weir help" },
        { "weir rnu a.yaml", "did you mean \"weir run\"" },
        { "weir frobnicate", "is no command" },
        { "weir --json status", "the command comes first" },
        { "weir run", "needs a CONFIG" },
        { "weir get", "needs a KEY" },
        { "weir run a.yaml b.yaml", "b.yaml" },
        { "weir status x", "takes no argument" },
        { "weir run --no-such-option a.yaml", "has no option --no-such-option" },
        { "weir run --until-and a.yaml", "did you mean --until-end" },
        { "weir run a.yaml --json", "has no option --json" },
        { "weir run --live a.yaml", "has no option --live" },
        { "weir check a.yaml --json", "--json is for --live" },
        { "weir check a.yaml --live --print", "do not go together" },
        { "weir check a.yaml --until-end", "has no option --until-end" },
        { "weir run a.yaml --until-end=yes", "takes no value" },
        { "weir run a.yaml --until-end --wait", "--wait DURATION" },
        { "weir run a.yaml --until-end --wait 10", "a duration with its unit" },
        { "weir run a.yaml --until-end --wait=", "is empty" },
        { "weir run a.yaml --wait 10s", "is for --until-end" },
        { "weir run a.yaml --log-format xml", "text or json" },
        { "weir run a.yaml --log-level loud", "debug, info" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arguments arguments;
        struct err err = { 0 };
        assert_int_equal(parse(rows[i].line, &arguments, &err), -1);
        assert_int_equal(err.code, EXIT_USAGE);
        if (strstr(err.text, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].line, err.text);
    }
}

/* Whoever adds an option must explain it: each command's page names all that it takes. */
static void help_names_every_command_and_its_options(void **state)
{
    static const struct {
        enum command command;
        const char *words;
    } rows[] = {
        { COMMAND_RUN, "weir run CONFIG|--until-end|--wait|--log-format|--log-level" },
        { COMMAND_CHECK, "weir check CONFIG|--print|--live|--json" },
        { COMMAND_STATUS, "weir status|--task|--socket|--json|WEIR_SOCKET" },
        { COMMAND_GET, "weir get KEY|--task|--socket|--json|WEIR_SOCKET" },
        { COMMAND_LAG, "weir lag|--task|--socket|--json|WEIR_SOCKET" },
        { COMMAND_VERSION, "weir version" },
        { COMMAND_HELP, "weir help" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *page = NULL, words[200];
        size_t len = 0;
        FILE *out = open_memstream(&page, &len);
        help_print_command(out, rows[i].command);
        fclose(out);
        snprintf(words, sizeof(words), "%s", rows[i].words);
        for (char *word = strtok(words, "|"); word != NULL; word = strtok(NULL, "|"))
            assert_non_null(strstr(page, word));
        free(page);
    }
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), COMMANDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_takes_its_options_anywhere),
        cmocka_unit_test(defaults_are_those_of_the_help),
        cmocka_unit_test(check_asks_the_servers_only_where_it_is_told_to),
        cmocka_unit_test(questions_take_socket_task_and_json),
        cmocka_unit_test(key_that_begins_with_a_dash_comes_after_two),
        cmocka_unit_test(help_is_asked_for_in_every_way),
        cmocka_unit_test(wrong_usage_says_what_is_wrong),
        cmocka_unit_test(help_names_every_command_and_its_options),
    };

    return UNIT_RUN(tests);
}
