/*
 * disk.h: a disk for each node, with the one file that nodes write: their dead letters.
 *
 *     write ─► the kernel's pages ── fdatasync, or by itself ──► the platter
 *                └ lost with the power                             └ what a new life reads then
 *
 * A process that is killed loses nothing, for the kernel lives. With the power go pages that were
 * not synced: none, all, the last ones, or some, so that the file may end in half a letter or hold
 * garbage; and the file's name, if its folder was never synced. A sync that fails leaves pages that
 * are not on the platter and never will be, though the next sync succeeds.
 *
 * The kernel's calls below are drivers/dead_letter/file.c's (disk_calls.h). Dials: `disk_full`
 * (until the file is opened again), `disk_error`.
 */
#ifndef WEIR_SIM_DISK_H
#define WEIR_SIM_DISK_H

#include "dataplane/base/slice.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define BLOCK_BYTES \
    128 /* less than a letter, so that one that is lost is not written with the next */

int disk_open(const char *path, int flags, ...);
ssize_t disk_write(int fd, const void *bytes, size_t n);
ssize_t disk_pread(int fd, void *bytes, size_t n, off_t at);
int disk_fstat(int fd, struct stat *stat);
int disk_fdatasync(int fd);
int disk_fsync(int fd);
int disk_close(int fd);

/* The node's process is dead, and its machine begins anew. */
void disk_lose_power(unsigned node);

/* Did a call fail since the node's file was opened last, or as it was? */
bool disk_failed(unsigned node);

/* What is on the node's platter, whatever happens. */
struct slice disk_kept(unsigned node);

#endif
