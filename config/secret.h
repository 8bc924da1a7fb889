/* secret.h: a secret that lies in a file of its own. */
#ifndef WEIR_CONFIG_SECRET_H
#define WEIR_CONFIG_SECRET_H

#include "config/chunk.h"
#include "dataplane/base/check.h"

enum { SECRET_BYTES_MAX = 64 * 1024 };

/* The file's bytes without one trailing line break, in `memory`; NULL with a reason for people: it
 * cannot be read, is empty, too large, or holds a NUL byte. */
MUST_CHECK const char *secret_read(struct config_chunk **memory, const char *path,
                                   char reason[200]);

#endif
