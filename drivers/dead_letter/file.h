/*
 * file.h: dead letters as lines of a file (letter.h says what a line holds).
 *
 * Shards may put at the same time; each letter is written whole, with one write(2) where the kernel
 * lets it. Once a write or a sync has failed, every later put() and sync() fails with the same
 * text: what the page cache holds then is not to be trusted, and the task must stop. A line that an
 * earlier process left unfinished is ended first.
 */
#ifndef WEIR_DEAD_LETTER_FILE_H
#define WEIR_DEAD_LETTER_FILE_H

#include "dataplane/dead_letter.h"

#include <stddef.h>

/* Start-up only. Opens the file to append to it and makes it (0640), and the folders above it
 * (0750), where they are missing. `path` and `task` are copied. NULL with *err (EXIT_IO) where it
 * cannot be opened. */
MUST_CHECK struct dead_letters *dead_letter_file_open(const char *path, const char *task,
                                                      size_t event_bytes_max, struct err *err);

#endif
