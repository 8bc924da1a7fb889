/* help.h: texts that teach: what each command does, with examples. */
#ifndef WEIR_CONTROL_HELP_H
#define WEIR_CONTROL_HELP_H

#include "control/arguments.h"

#include <stdio.h>

/* All commands, one line each. */
void help_print(FILE *out);

/* One command's page. */
void help_print_command(FILE *out, enum command command);

/* "weir 0.1.0" and a line break. */
void help_print_version(FILE *out);

#endif
