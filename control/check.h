/* check.h: `weir check`, and reading the config for `weir run`. One thread, start-up only. */
#ifndef WEIR_CONTROL_CHECK_H
#define WEIR_CONTROL_CHECK_H

#include "config/config.h"

/* The config, to be freed with config_free(); NULL: every error of it is on stderr. */
struct config *check_load(const char *path);

struct check_options {
    bool print; /* the config with its defaults, on stdout */
    bool live;  /* the real servers are asked (live.h); never with print */
    bool json;  /* what is found there as JSON */
};

/* The whole command: says on stdout that the config is good, prints it there, or what the servers
 * say. Returns the exit code. */
int check_run(const char *path, const struct check_options *options);

#endif
