/*
 * file.c: control's half of the source `file`: opens the files and says which kind each one is.
 *
 * A regular file is opened, looked into up to the end of its first line, and put back to its
 * beginning, all at the start: a missing or unreadable file is said before anything runs. A pipe
 * cannot be put back, so its kind is learnt by the port that reads it.
 *
 *     files[]:  kcat, pipes   -> port 0, in the order given
 *               plain         -> claimed one by one by the ports (`claimed`, an index, only grows)
 *
 * What this does not do: follow a file that grows. Its end is what read(2) says when the reader
 * gets there.
 */
#include "drivers/file/internal.h"

#include "drivers/file/kcat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PEEK_BYTES ((size_t)64 << 10) /* what one look takes */

static const struct source_ops file_ops;

static struct file_source *source_of(struct source *source)
{
    return (struct file_source *)source;
}

void file_close(struct file *file)
{
    if (file->fd > STDIN_FILENO)
        (void)close(file->fd); /* It was only read. */
    file->fd = -1;
}

/* The texts of all files that cannot be opened, in one line. */
struct complaints {
    unsigned count;
    char text[512];
};

static void complain(struct complaints *complaints, const char *path, const char *why)
{
    size_t len = strlen(complaints->text);

    complaints->count++;
    snprintf(complaints->text + len, sizeof(complaints->text) - len, "%s%s: %s",
             len > 0 ? "; " : "", path, why);
}

/* Opens one file and learns its size. NULL, or why it cannot be read. */
static const char *open_one(struct file_source *source, struct file *file)
{
    struct stat stat;
    bool standard = strcmp(file->path, "-") == 0;

    if (strlen(file->path) >= TOPIC_BYTES_MAX)
        return strerror(ENAMETOOLONG);
    file->fd = standard ? STDIN_FILENO : open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 || fstat(file->fd, &stat) != 0)
        return strerror(errno);
    if (S_ISDIR(stat.st_mode))
        return strerror(EISDIR);
    file->codec = stream_codec(file->path);
    file->waits = !S_ISREG(stat.st_mode);
    if (file->waits)
        source->total_known = false;
    else
        source->total_bytes += (uint64_t)stat.st_size;
    return NULL;
}

/* The beginning of a stream up to its first line's end, in memory that grows. */
struct peek {
    char *bytes;
    size_t len, room;
    const char *why; /* what kept it from being read, where the reader would not meet that again */
};

static bool peek_more(struct peek *peek, struct stream *stream)
{
    int64_t got;

    if (peek->room - peek->len < PEEK_BYTES) {
        char *wider = realloc(peek->bytes, 2 * peek->room + PEEK_BYTES);

        if (!wider) {
            peek->why = strerror(ENOMEM);
            return false;
        }
        peek->bytes = wider;
        peek->room = 2 * peek->room + PEEK_BYTES;
    }
    got = stream_read(stream, peek->bytes + peek->len, PEEK_BYTES);
    if (got < 0 && stream->codec == CODEC_NONE)
        peek->why = strerror(EIO); /* It may pass, and the file would be taken for another kind. */
    if (got <= 0)
        return false; /* The end, or damage: the reader will meet it again and say so. */
    peek->len += (size_t)got;
    return true;
}

/* The first line that is not empty, or as much of it as `most` and the file allow. */
static struct slice peek_line(struct peek *peek, struct stream *stream, size_t most)
{
    size_t start = 0;
    const char *end = NULL;

    while (!end && peek_more(peek, stream)) {
        while (start < peek->len && (peek->bytes[start] == '\n' || peek->bytes[start] == '\r'))
            start++;
        end = memchr(peek->bytes + start, '\n', peek->len - start);
        if (start == peek->len)
            start = peek->len = 0;
        else if (peek->len - start > most)
            break;
    }
    if (!peek->bytes)
        return SLICE("");
    return (struct slice){ peek->bytes + start,
                           end ? (size_t)(end - peek->bytes) - start : peek->len - start };
}

/* NULL, or why it cannot be read. */
static const char *learn_kind(struct file *file, char *in, size_t event_bytes_max)
{
    struct stream stream;
    struct peek peek = { 0 };
    struct err err;

    off_t from;

    if (file->waits) {
        file->kind = FILE_UNKNOWN;
        return NULL;
    }
    from = lseek(file->fd, 0, SEEK_CUR); /* Not 0 where standard input was read before. */
    if (stream_open(&stream, file->fd, file->codec, in, &err) != 0)
        return "no memory for a decompressor";
    file->kind =
        kcat_looks_like(peek_line(&peek, &stream, event_bytes_max)) ? FILE_KCAT : FILE_PLAIN;
    free(peek.bytes);
    stream_close(&stream);
    if (peek.why)
        return peek.why;
    return lseek(file->fd, from, SEEK_SET) < 0 ? strerror(errno) : NULL;
}

/* Plain files of one path make a chain, so that one port reads them one after the other. */
static void chain_repeated(struct file_source *source)
{
    for (uint32_t i = 1; i < source->n_files; i++) {
        struct file *file = &source->files[i];

        for (uint32_t before = i; file->kind == FILE_PLAIN && before-- > 0;) {
            struct file *other = &source->files[before];

            if (other->kind != FILE_PLAIN || strcmp(other->path, file->path) != 0)
                continue;
            other->next_same = i;
            file->repeated = true;
            break;
        }
    }
}

static void open_all(struct file_source *source, const struct file_options *options,
                     struct complaints *complaints)
{
    char *in = malloc(STREAM_IN_BYTES);

    for (uint32_t i = 0; i < source->n_files; i++) {
        struct file *file = &source->files[i];
        const char *why;

        *file = (struct file){ .path = options->paths[i], .fd = -1, .next_same = FILE_NONE };
        why = in ? open_one(source, file) : strerror(ENOMEM);
        if (!why)
            why = learn_kind(file, in, source->event_bytes_max);
        if (why)
            complain(complaints, file->path, why);
    }
    free(in);
    chain_repeated(source);
}

static void free_source(struct file_source *source)
{
    for (uint32_t i = 0; source->files && i < source->n_files; i++)
        file_close(&source->files[i]);
    free(source->files);
    free(source);
}

struct source *file_source_open(const struct file_options *options, struct err *err)
{
    struct file_source *source = calloc(1, sizeof(*source));
    struct complaints complaints = { 0 };

    if (source)
        source->files = calloc(options->n_paths > 0 ? options->n_paths : 1, sizeof(struct file));
    if (!source || !source->files) {
        free(source);
        (void)err_set(err, EXIT_SOFTWARE, "no memory for a list of %u files", options->n_paths);
        return NULL;
    }
    source->source.ops = &file_ops;
    source->n_files = options->n_paths;
    source->event_bytes_max = options->event_bytes_max;
    source->total_known = true;
    open_all(source, options, &complaints);
    if (complaints.count > 0) {
        (void)err_set(err, EXIT_IO, "cannot read %u of %u files: %s", complaints.count,
                      options->n_paths, complaints.text);
        free_source(source);
        return NULL;
    }
    return &source->source;
}

unsigned file_source_damaged(const struct source *source)
{
    const struct file_source *file = (const struct file_source *)source;

    return (unsigned)atomic_load_explicit(&file->damaged, memory_order_relaxed);
}

bool file_source_progress(const struct source *source, uint64_t *done, uint64_t *total)
{
    const struct file_source *file = (const struct file_source *)source;

    *done = atomic_load_explicit(&file->done_bytes, memory_order_relaxed);
    *total = file->total_bytes;
    return file->total_known;
}

static struct source_port *open_port(struct source *source, unsigned shard, struct env *env,
                                     struct task_partitions *names)
{
    return file_port_open(source_of(source), shard, env, names);
}

/* Nothing is ever due: files have no group and no heartbeats. */
static int service(struct source *source, unsigned timeout_ms, struct err *err)
{
    struct timespec rest = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L };

    (void)source;
    (void)err;
    (void)nanosleep(&rest, NULL); /* A signal ends it early, which is what the caller wants. */
    return 0;
}

static int commit(struct source *source, const struct source_commit *commits, unsigned n, bool wait,
                  struct err *err)
{
    (void)source;
    (void)commits;
    (void)n;
    (void)wait;
    (void)err;
    return 0;
}

static bool marks(struct source *source, const char *topic, int32_t number,
                  struct source_marks *marks)
{
    (void)source;
    (void)topic;
    (void)number;
    *marks = (struct source_marks){ -1, -1 };
    return false;
}

static bool reached(struct source *source, char *why, size_t why_bytes)
{
    (void)source;
    if (why_bytes > 0)
        why[0] = '\0';
    return true;
}

static void close_source(struct source *source)
{
    struct file_source *file = source_of(source);

    for (struct file_port *port = file->ports; port;)
        port = file_port_close(port);
    free_source(file);
}

static const struct source_ops file_ops = {
    .name = "file",
    .port = open_port,
    .service = service,
    .commit = commit,
    .marks = marks,
    .reached = reached,
    .close = close_source,
};
