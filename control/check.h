/* check.h: `weir check`, and reading the config for `weir run`. One thread, start-up only. */
#ifndef WEIR_CONTROL_CHECK_H
#define WEIR_CONTROL_CHECK_H

#include "config/config.h"

/* The config, to be freed with config_free(); NULL: every error of it is on stderr. */
struct config *check_load(const char *path);

/* The whole command: says on stdout that the config is good, or prints it there with its defaults.
 * Returns the exit code. */
int check_run(const char *path, bool print);

#endif
