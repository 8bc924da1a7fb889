/*
 * port.c: a shard's half of the source `file`: takes the next file, cuts its lines, makes records
 * of them.
 *
 *     claim -> stream -> lines -> record: plain, or kcat's message, or (path, 0) for what is broken
 *                 ^                  |
 *                 '--- chunk <-- release
 *
 * Each record that is out has an entry in `outs`, which says whose chunk it lies in and where its
 * headers are. Both the entries and the chunks are bounded: where either runs out, poll() stops
 * short and goes on after a release.
 *
 * A pipe is read only where poll(2) says that bytes are there. Where none are, the port asks its
 * env to watch the descriptor, once: a watch on a pipe that is ready and not read would wake the
 * shard again and again.
 *
 * What this does not do: know a partition's clock (`rewind` is all that it can say), or judge an
 * event.
 */
#include "drivers/file/internal.h"

#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"
#include "dataplane/base/slab.h"
#include "drivers/file/kcat.h"
#include "drivers/file/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define OUT_MAX     4096 /* records that are out at once */
#define PLACES      1024 /* of the cache (topic, number) -> slot; a power of two */
#define ORDERED_OWN 0    /* the shard that reads what must be read in the order given */

struct out {
    struct chunk *chunk;
    struct slice headers; /* the array as it stands in the line; data NULL: none */
};

struct place {
    struct slice topic; /* the partition table's text; data NULL: empty */
    int32_t number;
    uint16_t slot;
};

struct file_port {
    struct source_port port;
    struct file_source *source;
    struct file_port *next;
    struct env *env;
    struct task_partitions *names;
    bool orders;         /* reads the kcat files and the pipes */
    uint32_t ordered_at; /* of those: where to look for the next */
    bool started;        /* poll() was called */
    struct file *file;   /* being read, NULL = none */
    enum file_kind
        kind; /* its kind; a pipe's is learnt here, and never written where other ports look */
    uint16_t file_slot; /* of (its path, 0) */
    uint64_t counted;   /* of its bytes, in source->done_bytes */
    struct stream stream;
    char *in;
    struct lines lines;
    struct pool outs;
    struct place *places;
    int64_t *last; /* by slot: the last offset handed out, -1 = none */
    struct watch watch;
    bool watching, woken;
};

static struct file_port *port_of(struct source_port *port)
{
    return (struct file_port *)port;
}

static void woken(struct watch *watch, unsigned events)
{
    struct file_port *port =
        (struct file_port *)((char *)watch - offsetof(struct file_port, watch));

    (void)events;
    port->woken = true;
}

/* The next file for this port, or NULL where none is left. */
static struct file *claim(struct file_port *port)
{
    struct file_source *source = port->source;

    if (port->file && port->file->next_same != FILE_NONE)
        return &source->files[port->file->next_same];
    while (port->orders && port->ordered_at < source->n_files) {
        struct file *file = &source->files[port->ordered_at++];

        if (file->kind != FILE_PLAIN)
            return file;
    }
    for (;;) {
        uint_fast32_t next = atomic_fetch_add(&source->claimed, 1);

        if (next >= source->n_files) {
            atomic_store(&source->claimed, source->n_files); /* So that it never wraps. */
            return NULL;
        }
        if (source->files[next].kind == FILE_PLAIN && !source->files[next].repeated)
            return &source->files[next];
    }
}

static void count_progress(struct file_port *port)
{
    atomic_fetch_add_explicit(&port->source->done_bytes, port->stream.taken - port->counted,
                              memory_order_relaxed);
    port->counted = port->stream.taken;
}

static void end_file(struct file_port *port)
{
    count_progress(port);
    if (port->watching)
        env_unwatch(port->env, &port->watch);
    port->watching = false;
    stream_close(&port->stream);
    file_close(port->file);
    port->file = claim(port);
}

/* Starts on port->file. 0, or -1 with *err. */
static int begin_file(struct file_port *port, struct err *err)
{
    struct file *file = port->file;

    port->file_slot = partitions_slot(port->names, file->path, 0);
    if (port->file_slot == PARTITION_NONE)
        return err_set(err, EXIT_CONFIG, "%s: no slot is left for it: more than %d partitions",
                       file->path, PARTITIONS_MAX);
    if (stream_open(&port->stream, file->fd, file->codec, port->in, err) != 0)
        return -1;
    port->stream.waits = file->waits;
    port->kind = file->kind;
    port->counted = 0;
    lines_begin(&port->lines, &port->stream);
    return 0;
}

static void report_damage(struct file_port *port)
{
    const char *path = port->file->path;

    atomic_fetch_add_explicit(&port->source->damaged, 1, memory_order_relaxed);
    log_line(LOG_ERROR, "file",
             "%s is damaged at byte %" PRIu64 " (byte %" PRIu64 " of its contents, line %" PRId64
             "): %s; what came before was read",
             path, port->stream.taken, port->lines.from, port->lines.number + 1,
             port->stream.fault);
}

static struct place *place_of(struct file_port *port, struct slice topic, int32_t number)
{
    uint64_t hash = XXH3_64bits_withSeed(topic.data, topic.len, (XXH64_hash_t)number);

    return &port->places[hash % PLACES];
}

/* The slot of a kcat line's partition; PARTITION_NONE where all are taken. */
static uint16_t slot_of(struct file_port *port, const struct kcat *kcat)
{
    struct place *place = place_of(port, kcat->topic, kcat->number);
    char topic[TOPIC_BYTES_MAX];
    uint16_t slot;

    if (place->topic.data && place->number == kcat->number &&
        slice_equal(place->topic, kcat->topic))
        return place->slot;
    ASSERT(kcat->topic.len < sizeof(topic));
    memcpy(topic, kcat->topic.data, kcat->topic.len);
    topic[kcat->topic.len] = '\0';
    slot = partitions_slot(port->names, topic, kcat->number);
    if (slot != PARTITION_NONE)
        *place =
            (struct place){ slice_of(partitions_topic(port->names, slot)), kcat->number, slot };
    return slot;
}

static ptrdiff_t mirror_of(const struct chunk *chunk)
{
    return (ptrdiff_t)((uintptr_t)chunk->text - (uintptr_t)chunk->raw);
}

/* The line as an event of (path, 0). */
static void fill_plain(struct file_port *port, const struct line *line, struct record *record)
{
    *record = (struct record){ .kind = RECORD_EVENT,
                               .partition = port->file_slot,
                               .offset = line->number,
                               .timestamp_ms = -1,
                               .payload = line->bytes };
}

/* The message of a kcat line; where there is none to be had, the line itself. */
static void fill_kcat(struct file_port *port, const struct line *line, struct record *record,
                      struct slice *headers)
{
    struct kcat kcat;
    uint16_t slot;

    fill_plain(port, line, record);
    if (!kcat_read(line->bytes, mirror_of(line->chunk), &kcat))
        return;
    slot = slot_of(port, &kcat);
    if (slot == PARTITION_NONE)
        return;
    record->partition = slot;
    record->offset = kcat.offset;
    record->timestamp_ms = kcat.timestamp_ms;
    record->key = kcat.key;
    record->payload = kcat.payload;
    *headers = kcat.headers;
}

/* A line over the bound: its beginning, and where the whole of it lies. */
static void fill_oversized(struct file_port *port, const struct line *line, struct record *record)
{
    char *text = line->chunk->text + (line->bytes.data - line->chunk->raw);
    struct kcat kcat;
    int len;

    fill_plain(port, line, record);
    record->kind = RECORD_OVERSIZED;
    /* It breaks off, so it is never read whole; but its place often stands before what is so long.
     */
    if (port->kind == FILE_KCAT && !kcat_read(line->bytes, mirror_of(line->chunk), &kcat) &&
        kcat.placed) {
        uint16_t slot = slot_of(port, &kcat);

        if (slot != PARTITION_NONE) {
            record->partition = slot;
            record->offset = kcat.offset;
        }
    }
    /* The mirror of the kept bytes is free for it: 4 KiB at least, and the path is under 1 KiB. */
    len = snprintf(text, LINES_BYTES_LEAST, "line %" PRId64 " of %s: bytes %" PRIu64 "..%" PRIu64,
                   line->number + 1, port->file->path, line->from, line->to);
    record->detail = (struct slice){ text, len > 0 ? (size_t)len : 0 };
}

static void fill_record(struct file_port *port, const struct line *line, enum lines_verdict verdict,
                        struct record *record)
{
    struct out *out = pool_take(&port->outs);

    ASSERT(out); /* poll() looked before it took the line. */
    *out = (struct out){ .chunk = line->chunk };
    if (port->kind == FILE_UNKNOWN)
        port->kind = kcat_looks_like(line->bytes) ? FILE_KCAT : FILE_PLAIN;
    if (verdict == LINES_OVERSIZED)
        fill_oversized(port, line, record);
    else if (port->kind == FILE_KCAT)
        fill_kcat(port, line, record, &out->headers);
    else
        fill_plain(port, line, record);
    record->handle = out;
    record->rewind = record->offset <= port->last[record->partition];
    port->last[record->partition] = record->offset;
    lines_hold(line);
}

/* Nothing is there to be read now: the env is to tell when that changes. 0, or -1 with *err. */
static int wait_for_more(struct file_port *port, struct err *err)
{
    int result;

    if (port->watching)
        return 0;
    port->woken = false;
    port->watch = (struct watch){ .ready = woken, .fd = port->file->fd, .events = WATCH_READ };
    result = env_watch(port->env, &port->watch);
    if (result != 0)
        return err_set(err, EXIT_IO, "cannot wait for %s: %s", port->file->path, strerror(-result));
    port->watching = true;
    return 0;
}

static void port_attach(struct source_port *base, uint16_t partition, void *handle)
{
    (void)base;
    (void)partition;
    (void)handle;
}

static void port_detach(struct source_port *base, uint16_t partition)
{
    (void)base;
    (void)partition;
}

/* What one step of poll() came to. */
enum progress { PROGRESS_RECORD, PROGRESS_GO_ON, PROGRESS_STOP, PROGRESS_FAILED };

static enum progress poll_one(struct file_port *port, struct record *record, struct err *err)
{
    struct line line;
    enum lines_verdict verdict = lines_next(&port->lines, &line);

    switch (verdict) {
    case LINES_LINE:
    case LINES_OVERSIZED:
        fill_record(port, &line, verdict, record);
        return PROGRESS_RECORD;
    case LINES_AGAIN:
        return wait_for_more(port, err) == 0 ? PROGRESS_STOP : PROGRESS_FAILED;
    case LINES_FULL:
        return PROGRESS_STOP;
    case LINES_DAMAGED:
        report_damage(port);
        break;
    case LINES_END:
        break;
    }
    end_file(port);
    if (port->file && begin_file(port, err) != 0)
        return PROGRESS_FAILED;
    return PROGRESS_GO_ON;
}

/* True where a watched pipe has nothing new. */
static bool still_waiting(struct file_port *port)
{
    if (!port->watching)
        return false;
    if (!port->woken)
        return true;
    env_unwatch(port->env, &port->watch);
    port->watching = false;
    return false;
}

static int port_poll(struct source_port *base, struct record *records, unsigned max,
                     struct err *err)
{
    struct file_port *port = port_of(base);
    unsigned n = 0;

    if (still_waiting(port))
        return 0;
    if (!port->started) {
        port->started = true;
        port->file = claim(port);
        if (port->file && begin_file(port, err) != 0)
            return -1;
    }
    while (port->file && n < max && pool_taken(&port->outs) < OUT_MAX) {
        enum progress progress = poll_one(port, &records[n], err);

        if (progress == PROGRESS_FAILED)
            return -1;
        if (progress == PROGRESS_STOP)
            break;
        n += progress == PROGRESS_RECORD;
    }
    if (port->file)
        count_progress(port);
    return (int)n;
}

static void port_release(struct source_port *base, struct record *records, unsigned n)
{
    struct file_port *port = port_of(base);

    for (unsigned i = 0; i < n; i++) {
        struct out *out = records[i].handle;

        ASSERT(out);
        lines_release(out->chunk);
        pool_give(&port->outs, out);
        records[i].handle = NULL;
    }
}

static unsigned port_headers(struct source_port *base, const struct record *record,
                             struct header *headers, unsigned max)
{
    const struct out *out = record->handle;

    (void)base;
    return kcat_headers(out->headers, mirror_of(out->chunk), headers, max);
}

static bool port_ended(struct source_port *base)
{
    const struct file_port *port = port_of(base);

    return port->started && !port->file && pool_taken(&port->outs) == 0;
}

static const struct source_port_ops port_ops = {
    .attach = port_attach,
    .detach = port_detach,
    .poll = port_poll,
    .release = port_release,
    .headers = port_headers,
    .ended = port_ended,
};

struct source_port *file_port_open(struct file_source *source, unsigned shard, struct env *env,
                                   struct task_partitions *names)
{
    struct file_port *port = memory_reserve(sizeof(*port), "a port of files");

    port->port.ops = &port_ops;
    port->source = source;
    port->env = env;
    port->names = names;
    port->orders = shard == ORDERED_OWN;
    port->in = memory_reserve(STREAM_IN_BYTES, "compressed bytes of files");
    lines_open(&port->lines, source->event_bytes_max);
    pool_open(&port->outs, sizeof(struct out), OUT_MAX, "records of files");
    port->places = memory_reserve(PLACES * sizeof(struct place), "partitions of files");
    port->last = memory_reserve(PARTITIONS_MAX * sizeof(int64_t), "offsets of files");
    for (unsigned i = 0; i < PARTITIONS_MAX; i++)
        port->last[i] = -1;
    port->next = source->ports;
    source->ports = port;
    return &port->port;
}

struct file_port *file_port_close(struct file_port *port)
{
    if (port->file)
        stream_close(&port->stream);
    port->file = NULL;
    return port->next;
}
