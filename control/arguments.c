/*
 * arguments.c: see arguments.h.
 *
 *     weir COMMAND [OPERAND] [--option [VALUE]] ...
 *
 * One table says which option belongs to which command. Options may stand before or after the
 * operand, as `--name VALUE` or `--name=VALUE`; after `--` everything is an operand (a document's
 * key may begin with a dash). `weir --help`, `weir -h` and `weir --version` are the two commands.
 * An unknown word is an error that names the nearest known one: nothing is ever ignored, because an
 * ignored `--until-end` would run for ever.
 *
 * What this does not do: look at the environment or at files.
 */
#include "control/arguments.h"

#include "config/errors.h"
#include "config/units.h"

#include <string.h>

enum option {
    OPTION_UNTIL_END,
    OPTION_WAIT,
    OPTION_PRINT,
    OPTION_LIVE,
    OPTION_SOCKET,
    OPTION_TASK,
    OPTION_JSON,
    OPTION_LOG_FORMAT,
    OPTION_LOG_LEVEL,
    OPTION_HELP,
    OPTIONS,
};

#define FOR(command) (1u << COMMAND_##command)
#define FOR_ASKING   (FOR(STATUS) | FOR(GET) | FOR(LAG))
#define FOR_ALL      ((1u << COMMANDS) - 1)

static const struct {
    const char *name;
    const char *value; /* what its value is called; NULL: it takes none */
    unsigned commands;
} options[OPTIONS] = {
    [OPTION_UNTIL_END] = { "--until-end", NULL, FOR(RUN) },
    [OPTION_WAIT] = { "--wait", "DURATION", FOR(RUN) },
    [OPTION_PRINT] = { "--print", NULL, FOR(CHECK) },
    [OPTION_LIVE] = { "--live", NULL, FOR(CHECK) },
    [OPTION_SOCKET] = { "--socket", "PATH", FOR_ASKING },
    [OPTION_TASK] = { "--task", "TASK", FOR_ASKING },
    [OPTION_JSON] = { "--json", NULL, FOR_ASKING | FOR(CHECK) },
    [OPTION_LOG_FORMAT] = { "--log-format", "text|json", FOR(RUN) | FOR(CHECK) },
    [OPTION_LOG_LEVEL] = { "--log-level", "LEVEL", FOR(RUN) | FOR(CHECK) },
    [OPTION_HELP] = { "--help", NULL, FOR_ALL },
};

enum need { OPERAND_NEVER, OPERAND_MAYBE, OPERAND_NEEDED };

static const struct {
    const char *name, *operand;
    enum need need;
} commands[COMMANDS] = {
    [COMMAND_RUN] = { "run", "CONFIG", OPERAND_NEEDED },
    [COMMAND_CHECK] = { "check", "CONFIG", OPERAND_NEEDED },
    [COMMAND_STATUS] = { "status", "", OPERAND_NEVER },
    [COMMAND_GET] = { "get", "KEY", OPERAND_NEEDED },
    [COMMAND_LAG] = { "lag", "", OPERAND_NEVER },
    [COMMAND_VERSION] = { "version", "", OPERAND_NEVER },
    [COMMAND_HELP] = { "help", "COMMAND", OPERAND_MAYBE },
};

/* ---- words ---- */

const char *command_name(enum command command)
{
    return commands[command].name;
}

bool command_find(const char *name, enum command *command)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            *command = (enum command)i;
            return true;
        }
    }
    return false;
}

const char *command_nearest(const char *name)
{
    const char *names[COMMANDS + 1] = { NULL };

    for (unsigned i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    return errors_nearest(name, names);
}

static int wrong_command(const char *word, struct err *err)
{
    const char *nearest = command_nearest(word);

    if (nearest != NULL)
        return err_set(err, EXIT_USAGE, "\"%.100s\" is no command; did you mean \"weir %s\"?", word,
                       nearest);
    return err_set(err, EXIT_USAGE, "\"%.100s\" is no command; \"weir help\" lists them", word);
}

static int wrong_option(const struct arguments *arguments, const char *word, struct err *err)
{
    const char *names[OPTIONS + 1] = { NULL };
    const char *command = command_name(arguments->command);
    unsigned n = 0;

    for (unsigned i = 0; i < OPTIONS; i++)
        if (options[i].commands & (1u << arguments->command))
            names[n++] = options[i].name;
    const char *nearest = errors_nearest(word, names);
    if (nearest != NULL)
        return err_set(err, EXIT_USAGE, "\"weir %s\" has no option %.100s; did you mean %s?",
                       command, word, nearest);
    return err_set(err, EXIT_USAGE, "\"weir %s\" has no option %.100s; \"weir help %s\" lists them",
                   command, word, command);
}

/* ---- values ---- */

/* The place of `value` in the NULL-terminated list; -1: it is none of them. */
static int choice(const char *const *names, const char *value)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], value) == 0)
            return i;
    return -1;
}

static int set_log_format(struct arguments *arguments, const char *value, struct err *err)
{
    static const char *const names[] = { [LOG_TEXT] = "text", [LOG_JSON] = "json", NULL };
    int at = choice(names, value);

    if (at < 0)
        return err_set(err, EXIT_USAGE, "--log-format is text or json, not \"%.100s\"", value);
    arguments->log_format = (enum log_format)at;
    return 0;
}

static int set_log_level(struct arguments *arguments, const char *value, struct err *err)
{
    static const char *const names[] = { [LOG_DEBUG] = "debug",
                                         [LOG_INFO] = "info",
                                         [LOG_NOTICE] = "notice",
                                         [LOG_WARN] = "warn",
                                         [LOG_ERROR] = "error",
                                         [LOG_ALERT] = "alert",
                                         NULL };
    int at = choice(names, value);

    if (at < 0)
        return err_set(err, EXIT_USAGE,
                       "--log-level is debug, info, notice, warn, error or alert, not \"%.100s\"",
                       value);
    arguments->log_level = (enum log_level)at;
    return 0;
}

static int set_wait(struct arguments *arguments, const char *value, struct err *err)
{
    if (!units_parse(units_durations, value, &arguments->wait_us))
        return err_set(
            err, EXIT_USAGE,
            "--wait is a duration with its unit, like 500ms, 10s or 5min, not \"%.100s\"", value);
    arguments->wait_given = true;
    return 0;
}

static int set_option(struct arguments *arguments, enum option option, const char *value,
                      struct err *err)
{
    ASSERT(option < OPTIONS);
    switch (option) {
    case OPTION_UNTIL_END:
        arguments->until_end = true;
        return 0;
    case OPTION_WAIT:
        return set_wait(arguments, value, err);
    case OPTION_PRINT:
        arguments->print = true;
        return 0;
    case OPTION_LIVE:
        arguments->live = true;
        return 0;
    case OPTION_SOCKET:
        arguments->socket = value;
        return 0;
    case OPTION_TASK:
        arguments->task = value;
        return 0;
    case OPTION_JSON:
        arguments->json = true;
        return 0;
    case OPTION_LOG_FORMAT:
        return set_log_format(arguments, value, err);
    case OPTION_LOG_LEVEL:
        return set_log_level(arguments, value, err);
    case OPTION_HELP:
        arguments->help = true;
        return 0;
    case OPTIONS:
        break;
    }
    return -1;
}

/* ---- the line ---- */

/* Takes argv[*at] and its value if it has one; *at then stands on the last word taken. */
static int take_option(struct arguments *arguments, int argc, char *const *argv, int *at,
                       struct err *err)
{
    const char *word = strcmp(argv[*at], "-h") == 0 ? "--help" : argv[*at];
    const char *equals = strchr(word, '=');
    size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);
    unsigned option = 0;

    while (option < OPTIONS &&
           (strlen(options[option].name) != len || strncmp(options[option].name, word, len) != 0))
        option++;
    if (option == OPTIONS || !(options[option].commands & (1u << arguments->command)))
        return wrong_option(arguments, word, err);
    if (options[option].value == NULL && equals != NULL)
        return err_set(err, EXIT_USAGE, "%s takes no value", options[option].name);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (options[option].value != NULL && equals == NULL) {
        if (*at + 1 >= argc)
            return err_set(err, EXIT_USAGE, "%s needs a value: %s %s", options[option].name,
                           options[option].name, options[option].value);
        value = argv[++*at];
    }
    if (value != NULL && value[0] == '\0')
        return err_set(err, EXIT_USAGE, "the value of %s is empty", options[option].name);
    return set_option(arguments, (enum option)option, value, err);
}

static int take_operand(struct arguments *arguments, const char *word, struct err *err)
{
    const char *name = command_name(arguments->command);

    if (commands[arguments->command].need == OPERAND_NEVER)
        return err_set(err, EXIT_USAGE, "\"weir %s\" takes no argument, but found \"%.100s\"", name,
                       word);
    if (arguments->operand != NULL)
        return err_set(err, EXIT_USAGE, "\"weir %s\" takes one %s, but found \"%.100s\" too", name,
                       commands[arguments->command].operand, word);
    arguments->operand = word;
    return 0;
}

static int check_whole(const struct arguments *arguments, struct err *err)
{
    const char *name = command_name(arguments->command);

    if (arguments->help)
        return 0;
    if (commands[arguments->command].need == OPERAND_NEEDED &&
        (arguments->operand == NULL || arguments->operand[0] == '\0'))
        return err_set(err, EXIT_USAGE, "\"weir %s\" needs a %s; \"weir help %s\" says more", name,
                       commands[arguments->command].operand, name);
    if (arguments->wait_given && !arguments->until_end)
        return err_set(err, EXIT_USAGE,
                       "--wait is for --until-end; without it weir waits for servers for ever");
    if (arguments->command == COMMAND_CHECK && arguments->json && !arguments->live)
        return err_set(err, EXIT_USAGE, "--json is for --live; without it no server is asked");
    if (arguments->live && arguments->print)
        return err_set(err, EXIT_USAGE, "--live and --print do not go together: run both");
    return 0;
}

static int take_command(struct arguments *arguments, const char *word, struct err *err)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    else if (strcmp(word, "--version") == 0)
        word = "version";
    if (word[0] == '-')
        return err_set(err, EXIT_USAGE, "the command comes first: \"weir COMMAND %.100s\"", word);
    return command_find(word, &arguments->command) ? 0 : wrong_command(word, err);
}

int arguments_parse(int argc, char *const *argv, struct arguments *arguments, struct err *err)
{
    bool only_operands = false;

    *arguments = (struct arguments){ .wait_us = WAIT_US_DEFAULT, .log_level = LOG_INFO };
    if (argc < 2)
        return err_set(err, EXIT_USAGE, "a command is missing; \"weir help\" lists them");
    if (take_command(arguments, argv[1], err) != 0)
        return -1;
    for (int at = 2; at < argc; at++) {
        int taken;

        if (!only_operands && strcmp(argv[at], "--") == 0) {
            only_operands = true;
            continue;
        }
        if (!only_operands && argv[at][0] == '-' && argv[at][1] != '\0')
            taken = take_option(arguments, argc, argv, &at, err);
        else
            taken = take_operand(arguments, argv[at], err);
        if (taken != 0)
            return -1;
    }
    return check_whole(arguments, err);
}
