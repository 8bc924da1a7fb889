/*
 * file_read.c: the config file and the files of secrets, whole.
 *
 * Both are small and may come from anywhere (a pipe, /dev/stdin, a mounted secret), so the size is
 * not asked for but found out: one buffer with room for one byte more than is allowed, filled until
 * the end. Other modules decide what the bytes mean.
 */
#include "config/file_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The bytes read, at most `size`, or -1 with errno. */
static ssize_t read_until(int fd, char *out, size_t size)
{
    size_t at = 0;
    while (at < size) {
        ssize_t got = read(fd, out + at, size - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        at += (size_t)got;
    }
    return (ssize_t)at;
}

int file_read(struct config_chunk **memory, const char *path, size_t most, struct slice *bytes,
              char reason[200])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(reason, 200, "cannot be opened: %s", strerror(errno));
        return -1;
    }
    char *out = chunk_take(memory, most + 2);
    ssize_t got = read_until(fd, out, most + 1);
    int problem = errno;
    close(fd);
    if (got < 0) {
        snprintf(reason, 200, "cannot be read: %s", strerror(problem));
        return -1;
    }
    if ((size_t)got > most) {
        snprintf(reason, 200, "is larger than %zuKiB; allowed: at most that", most / 1024);
        return -1;
    }
    *bytes = (struct slice){ out, (size_t)got };
    return 0;
}
