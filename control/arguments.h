/*
 * arguments.h: the command line as a struct. Pure: it reads nothing but argv and changes nothing.
 */
#ifndef WEIR_CONTROL_ARGUMENTS_H
#define WEIR_CONTROL_ARGUMENTS_H

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"
#include "dataplane/base/log.h"

#include <stdbool.h>
#include <stdint.h>

enum command {
    COMMAND_RUN,
    COMMAND_CHECK,
    COMMAND_STATUS,
    COMMAND_GET,
    COMMAND_LAG,
    COMMAND_VERSION,
    COMMAND_HELP,
    COMMANDS,
};

#define WAIT_US_DEFAULT UINT64_C(60000000)

/* Texts are argv's; what was not given is NULL, false or its default. */
struct arguments {
    enum command command;
    const char *operand; /* run, check: CONFIG; get: KEY; help: COMMAND or NULL */
    bool help;           /* --help: show the command's help and do nothing else */
    bool until_end, wait_given, print, live, json;
    uint64_t wait_us;
    enum log_format log_format;
    enum log_level log_level;
    const char *socket, *task;
};

/* 0, or -1 with *err (EXIT_USAGE; it names what is wrong, and the nearest right word). */
MUST_CHECK int arguments_parse(int argc, char *const *argv, struct arguments *arguments,
                               struct err *err);

/* The name of a command, and back: false where there is none. */
const char *command_name(enum command command);
bool command_find(const char *name, enum command *command);

/* The known command that is nearest to `name`, or NULL. */
const char *command_nearest(const char *name);

#endif
