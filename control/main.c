/*
 * main.c: the command line: one binary, its commands, and their exit codes.
 *
 * Everything a command needs is a module of its own; this only chooses. Results go to stdout,
 * messages for people to stderr. Exit codes follow sysexits (docs/OPERATIONS.md): 0 done, 1 not
 * found, 64 wrong usage, 69 a server cannot be reached, 70 our own fault, 74 I/O, 78 bad config.
 */
#include "control/arguments.h"
#include "control/check.h"
#include "control/client.h"
#include "control/help.h"
#include "control/node.h"

static int print_help(const char *command_text)
{
    enum command command;

    if (command_text == NULL) {
        help_print(stdout);
        return EXIT_DONE;
    }
    if (command_find(command_text, &command)) {
        help_print_command(stdout, command);
        return EXIT_DONE;
    }
    const char *nearest = command_nearest(command_text);
    fprintf(stderr, "weir: there is no help on \"%.100s\"", command_text);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean \"weir help %s\"?", nearest);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

static int run(const struct arguments *arguments)
{
    struct node_options options = { .until_end = arguments->until_end,
                                    .wait_us = arguments->wait_us };
    struct config *config = check_load(arguments->operand);

    if (config == NULL)
        return EXIT_CONFIG;
    int code = node_run(config, &options);
    config_free(config);
    return code;
}

static int check(const struct arguments *arguments)
{
    const struct check_options options = { .print = arguments->print,
                                           .live = arguments->live,
                                           .json = arguments->json };
    return check_run(arguments->operand, &options);
}

static int dispatch(const struct arguments *arguments)
{
    struct client_options asked = { .socket = arguments->socket,
                                    .task = arguments->task,
                                    .key = arguments->operand,
                                    .json = arguments->json };

    ASSERT(arguments->command < COMMANDS);
    switch (arguments->command) {
    case COMMAND_RUN:
        return run(arguments);
    case COMMAND_CHECK:
        return check(arguments);
    case COMMAND_STATUS:
        return client_status(&asked);
    case COMMAND_GET:
        return client_get(&asked);
    case COMMAND_LAG:
        return client_lag(&asked);
    case COMMAND_VERSION:
        help_print_version(stdout);
        return EXIT_DONE;
    case COMMAND_HELP:
        return print_help(arguments->operand);
    case COMMANDS:
        break;
    }
    return EXIT_SOFTWARE;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct err err;
    int code;

    if (arguments_parse(argc, argv, &arguments, &err) != 0) {
        fprintf(stderr, "weir: %s\n", err.text);
        return err.code;
    }
    if (arguments.help) {
        help_print_command(stdout, arguments.command);
        code = EXIT_DONE;
    } else {
        log_setup(arguments.log_format, arguments.log_level);
        code = dispatch(&arguments);
    }
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        perror("weir: standard output");
        code = EXIT_IO;
    }
    return code;
}
