/*
 * file.c: the file that dead letters are appended to.
 *
 *     put:   lock -> render into one buffer, newline -> write(2) until all is out -> unlock
 *     sync:  fdatasync(2), where anything was put since the last one
 *
 * - A letter that was cut by a crash has no newline at its end. open() looks at the last byte and
 * ends that line, so that one broken letter never swallows the next.
 * - `failed` is never cleared. After a failed fdatasync the kernel may have thrown the dirty pages
 * away and would call the next one a success. The next process sees what the kernel has, not what
 * the disk has: where the file ends with a block, open() begins the next with a newline, because
 * that of the last letter may never reach the disk.
 * - sync() does not hold the lock while it waits for the disk: shards go on putting.
 *
 * What this does not do: rotate, or bound the file's size.
 */
#include "drivers/dead_letter/file.h"

#include "dataplane/base/folder.h"
#include "drivers/dead_letter/letter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef BLOCK_BYTES     /* the simulator's disk has smaller ones */
#define BLOCK_BYTES 512 /* no disk writes less at once */
#endif

struct letter_file {
    struct dead_letters letters;
    pthread_mutex_t lock; /* over all below */
    char *path, *task;
    int fd;
    struct buf buf;
    bool unsynced;
    bool failed;
    struct err failure;
};

static struct letter_file *file_of(struct dead_letters *letters)
{
    return (struct letter_file *)letters;
}

/* Remembers the first failure; returns -1 with it in *err. */
static int fail(struct letter_file *file, const char *what, int error, struct err *err)
{
    if (!file->failed)
        (void)err_set(&file->failure, EXIT_IO,
                      "cannot %s dead letters in %s: %s; the task stops rather than lose them: "
                      "make room or repair it, then start again",
                      what, file->path, strerror(error));
    file->failed = true;
    *err = file->failure;
    return -1;
}

/* The name of a new file must be as durable as its letters. 0 or errno. */
static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd, error = 0;

    if (!folder)
        return ENOMEM;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return errno == EACCES ? 0 : errno; /* A folder that may be written and not read. */
    if (fsync(fd) != 0 && errno != EINVAL)
        error = errno;
    (void)close(fd); /* It was only read. */
    return error;
}

static int write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t wrote = write(fd, bytes.data, bytes.len);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? errno : EIO;
        bytes.data += wrote;
        bytes.len -= (size_t)wrote;
    }
    return 0;
}

/* Ends a line that was left unfinished, or may be so on the disk. 0 or errno. */
static int end_last_line(int fd)
{
    struct stat stat;
    char last;

    if (fstat(fd, &stat) != 0)
        return errno;
    if (!S_ISREG(stat.st_mode) || stat.st_size == 0)
        return 0;
    if (pread(fd, &last, 1, stat.st_size - 1) != 1)
        return errno == EBADF ? 0 : EIO; /* EBADF: it may be written and not read. */
    if (last == '\n' && stat.st_size % BLOCK_BYTES != 0)
        return 0;
    return write_all(fd, SLICE("\n"));
}

/* 0 or errno; *fd. */
static int open_path(const char *path, int *fd)
{
    int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
    char folder[4096];
    int error = -folder_make_above(path, 0750, folder, sizeof(folder));

    *fd = -1;
    if (error != 0)
        return error;
    *fd = open(path, flags | O_RDWR, 0640);
    if (*fd < 0 && errno == EACCES)
        *fd = open(path, flags | O_WRONLY, 0640);
    if (*fd < 0)
        return errno;
    error = end_last_line(*fd);
    return error != 0 ? error : sync_folder(path);
}

static int put(struct dead_letters *letters, const struct dead_letter *letter, struct err *err)
{
    struct letter_file *file = file_of(letters);
    int result = -1, error;

    pthread_mutex_lock(&file->lock);
    if (file->failed) {
        *err = file->failure;
    } else {
        letter_render(&file->buf, file->task, letter);
        buf_put_char(&file->buf, '\n');
        file->unsynced = true;
        error = file->buf.overflow ? EFBIG : write_all(file->fd, buf_slice(&file->buf));
        result = error == 0 ? 0 : fail(file, "write", error, err);
    }
    pthread_mutex_unlock(&file->lock);
    return result;
}

static int sync_letters(struct dead_letters *letters, struct err *err)
{
    struct letter_file *file = file_of(letters);
    int result = 0, error = 0;
    bool unsynced;

    pthread_mutex_lock(&file->lock);
    unsynced = file->unsynced && !file->failed;
    if (unsynced)
        file->unsynced = false;
    pthread_mutex_unlock(&file->lock);

    /* EINVAL: a pipe or a device, which has nothing to be synced. */
    if (unsynced && fdatasync(file->fd) != 0 && errno != EINVAL)
        error = errno;

    pthread_mutex_lock(&file->lock);
    if (error != 0) {
        result = fail(file, "sync", error, err);
    } else if (file->failed) {
        *err = file->failure;
        result = -1;
    }
    pthread_mutex_unlock(&file->lock);
    return result;
}

static void free_file(struct letter_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd); /* sync() is what tells of errors. */
    pthread_mutex_destroy(&file->lock);
    free(file->path);
    free(file->task);
    free(file);
}

static void close_letters(struct dead_letters *letters)
{
    free_file(file_of(letters));
}

static const struct dead_letters_ops ops = { .put = put,
                                             .sync = sync_letters,
                                             .close = close_letters };

struct dead_letters *dead_letter_file_open(const char *path, const char *task,
                                           size_t event_bytes_max, struct err *err)
{
    struct letter_file *file = calloc(1, sizeof(*file));
    int error;

    if (!file) {
        (void)err_set(err, EXIT_SOFTWARE, "no memory for the dead letters of %s", task);
        return NULL;
    }
    file->letters.ops = &ops;
    file->fd = -1;
    pthread_mutex_init(&file->lock, NULL);
    file->path = strdup(path);
    file->task = strdup(task);
    error = file->path && file->task ? open_path(path, &file->fd) : ENOMEM;
    if (error != 0) {
        (void)err_set(err, EXIT_IO, "cannot open %s for dead letters: %s", path, strerror(error));
        free_file(file);
        return NULL;
    }
    buf_open(&file->buf, LETTER_BYTES(event_bytes_max), "dead letters");
    return &file->letters;
}
