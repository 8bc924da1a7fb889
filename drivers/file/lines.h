/*
 * lines.h: cuts a stream into lines that stay where they are until they are released.
 *
 * One owner thread. A few chunks are used in rotation; each counts the lines of it that are held,
 * and is filled again only when none is. So no line is copied, but for the one that a chunk's end
 * cuts through.
 */
#ifndef WEIR_FILE_LINES_H
#define WEIR_FILE_LINES_H

#include "dataplane/base/slice.h"
#include "drivers/file/stream.h"

#define LINES_CHUNKS 6
#define LINES_CHUNK_BYTES \
    ((size_t)256 << 10) /* how full a chunk is made; a long line makes it longer */
#define LINES_KEPT_BYTES  ((size_t)64 << 10) /* what is kept of a line over the bound */
#define LINES_BYTES_LEAST ((size_t)4 << 10)  /* the least bound of a line */

/* `text` mirrors `raw`: what a string at raw + i means once unescaped is written at text + i. It
 * always fits, and two strings never meet. */
struct chunk {
    char *raw, *text;
    size_t start, scan,
        fill;      /* of raw: the line being cut, how far it was searched, where the bytes end */
    size_t peak;   /* the most that was ever filled since the last trim */
    unsigned held; /* lines that are out */
};

struct line {
    struct slice bytes;  /* without its end; for an oversized one its first bytes */
    struct chunk *chunk; /* for lines_hold() */
    int64_t number;      /* from 0, empty lines counted */
    uint64_t from, to;   /* where it lies in the decompressed file, without its end */
};

enum lines_verdict {
    LINES_LINE,
    LINES_OVERSIZED, /* longer than the bound; the rest of it was skipped */
    LINES_AGAIN,     /* no bytes are ready: a pipe */
    LINES_FULL,      /* too much is held: release first */
    LINES_END,
    LINES_DAMAGED, /* stream->fault says how; its last, unfinished line was handed out before */
};

struct lines {
    struct chunk chunks[LINES_CHUNKS];
    struct chunk *now;
    size_t line_bytes_max, chunk_bytes;
    struct stream *stream;
    int64_t number;     /* of the line being cut */
    uint64_t from;      /* where that line starts in the decompressed file */
    uint64_t cut_bytes; /* not 0: it is over the bound, and so long so far */
    int64_t ended;      /* STREAM_END or STREAM_DAMAGED once met, else 1 */
};

/* Start-up only (it reserves). */
void lines_open(struct lines *lines, size_t line_bytes_max);

/* Starts on a stream, which is used until END or DAMAGED was returned. Lines of the one before may
 * still be held. */
void lines_begin(struct lines *lines, struct stream *stream);

/* The next line that is not empty. Its bytes may change with the next call unless it is held. */
MUST_CHECK enum lines_verdict lines_next(struct lines *lines, struct line *line);

static inline void lines_hold(const struct line *line)
{
    line->chunk->held++;
}

static inline void lines_release(struct chunk *chunk)
{
    ASSERT(chunk->held > 0);
    chunk->held--;
}

#endif
