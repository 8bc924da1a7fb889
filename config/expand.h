/* expand.h: ${VAR} and ${VAR:default} in a scalar. */
#ifndef WEIR_CONFIG_EXPAND_H
#define WEIR_CONFIG_EXPAND_H

#include "config/chunk.h"
#include "dataplane/base/check.h"

struct expanded {
    const char *text; /* NUL-terminated, in the given chunks */
    size_t len;
    char reason[200]; /* of a failure, for people */
};

enum { EXPAND_BYTES_MAX = 1 << 20 }; /* one scalar after expansion */

/*
 * Replaces every ${VAR} by the variable's value and every ${VAR:default} by the value or, where the
 * variable is not set, by the default; `$${` stands for a plain `${`. What was put in is not looked
 * at again. 0, or -1 with a reason: unset without a default, a bad name, a brace that is not
 * closed, too long.
 */
MUST_CHECK int expand_text(struct config_chunk **memory, const char *text, size_t len,
                           struct expanded *expanded);

#endif
