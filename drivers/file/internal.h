/* internal.h: what the two halves of the source `file` share: file.c (control's) and port.c (a
 * shard's). */
#ifndef WEIR_FILE_INTERNAL_H
#define WEIR_FILE_INTERNAL_H

#include "drivers/file/file.h"
#include "drivers/file/stream.h"

#include <stdatomic.h>

enum file_kind {
    FILE_PLAIN,
    FILE_KCAT,
    FILE_UNKNOWN, /* not to be known before its first line is there: a pipe */
};

#define FILE_NONE UINT32_MAX

/* Written in file_source_open(), but for fd: the one port that reads the file closes it. */
struct file {
    const char *path;
    int fd; /* -1 once closed */
    enum codec codec;
    enum file_kind kind;
    bool waits;    /* a pipe, a terminal, a socket */
    bool repeated; /* a plain path that was given before: read after that one, by the same port */
    uint32_t next_same; /* the next file of the same path, FILE_NONE = none */
};

struct file_source {
    struct source source;
    struct file *files;
    uint32_t n_files;
    size_t event_bytes_max;
    uint64_t total_bytes;
    bool total_known;
    atomic_uint_fast32_t claimed; /* plain files before this index have a reader */
    atomic_uint_fast32_t damaged;
    atomic_uint_fast64_t done_bytes;
    struct file_port *ports; /* a list */
};

struct file_port;

/* Start-up only. */
struct source_port *file_port_open(struct file_source *source, unsigned shard, struct env *env,
                                   struct task_partitions *names);
/* Control thread, when the shards have ended. Gives back what a library allocated. Returns the next
 * of the list. */
struct file_port *file_port_close(struct file_port *port);

/* Closes a file once; standard input stays open. */
void file_close(struct file *file);

#endif
