/* file_read.h: a whole file of bounded size. */
#ifndef WEIR_CONFIG_FILE_READ_H
#define WEIR_CONFIG_FILE_READ_H

#include "config/chunk.h"
#include "dataplane/base/check.h"
#include "dataplane/base/slice.h"

/* The bytes of a file, with a NUL behind them, in `memory`. Pipes are read too. 0, or -1 with a
 * reason for people: it cannot be opened or read, or has more than `most` bytes. */
MUST_CHECK int file_read(struct config_chunk **memory, const char *path, size_t most,
                         struct slice *bytes, char reason[200]);

#endif
