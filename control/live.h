/* live.h: `weir check --live`: a look at the real servers. One thread; no node is started. */
#ifndef WEIR_CONTROL_LIVE_H
#define WEIR_CONTROL_LIVE_H

#include "config/config.h"

/* Asks every server that the config names and prints one line a finding to stdout, or with `json`
 * one object. Creates and changes nothing, joins no group. The exit code: EXIT_CONFIG where a
 * finding is an error, else EXIT_UNAVAILABLE where a server could not be asked, else EXIT_DONE. */
int live_run(const struct config *config, bool json);

#endif
