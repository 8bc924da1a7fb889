/*
 * lines.c: the rotation of chunks, and the search for the line's end.
 *
 *     raw   |........held lines........|line being cut......|          free          |
 *           0                        start       scan      fill   LINES_CHUNK_BYTES
 *
 * - Bytes are read only where no whole line is left between start and fill.
 * - A chunk that is full moves on: the unfinished line is copied to the front of a free one. A line
 * that has a chunk for itself and is still not whole lets it grow, up to the bound of a line.
 * - A line over the bound keeps its first bytes; what follows is read over the same room again and
 * again until its end is found, so that memory stays bounded whatever the file holds.
 * - No new chunk is taken while the held ones are larger than one greatest line and a rotation of
 * usual chunks.
 *
 * What this does not do: know what is in a line.
 */
#include "drivers/file/lines.h"

#include "dataplane/base/memory.h"

#define SLACK_BYTES ((size_t)8 << 10)
#define TRIM_BYTES  ((size_t)4 << 20)

void lines_open(struct lines *lines, size_t line_bytes_max)
{
    if (line_bytes_max < LINES_BYTES_LEAST)
        line_bytes_max = LINES_BYTES_LEAST;
    *lines = (struct lines){ .line_bytes_max = line_bytes_max, .ended = STREAM_END };
    lines->chunk_bytes = line_bytes_max + 2 * LINES_CHUNK_BYTES + LINES_KEPT_BYTES + SLACK_BYTES;
    for (unsigned i = 0; i < LINES_CHUNKS; i++) {
        struct chunk *chunk = &lines->chunks[i];

        chunk->raw = memory_reserve_virtual(lines->chunk_bytes, "lines of files");
        chunk->text = memory_reserve_virtual(lines->chunk_bytes, "text of files");
    }
    lines->now = &lines->chunks[0];
}

void lines_begin(struct lines *lines, struct stream *stream)
{
    ASSERT(lines->now->start == lines->now->fill);
    lines->stream = stream;
    lines->number = 0;
    lines->from = 0;
    lines->cut_bytes = 0;
    lines->ended = 1;
}

/* Gives back what a long line has touched, but for the first `keep` bytes that are still wanted. */
static void chunk_trim(const struct lines *lines, struct chunk *chunk, size_t keep)
{
    if (chunk->peak <= TRIM_BYTES)
        return;
    memory_trim(chunk->raw, lines->chunk_bytes, keep);
    memory_trim(chunk->text, lines->chunk_bytes, 0);
    chunk->peak = keep;
}

static struct chunk *chunk_free(struct lines *lines)
{
    size_t held_bytes = 0;
    struct chunk *found = NULL;

    for (unsigned i = 0; i < LINES_CHUNKS; i++) {
        struct chunk *chunk = &lines->chunks[i];

        if (chunk->held > 0)
            held_bytes += chunk->fill;
        else if (chunk != lines->now)
            found = chunk;
    }
    if (held_bytes > lines->line_bytes_max + LINES_CHUNKS * LINES_CHUNK_BYTES)
        return NULL;
    return found;
}

/* Makes room behind the unfinished line. False where that needs a chunk and all are held. */
static bool make_room(struct lines *lines)
{
    struct chunk *old = lines->now, *fresh = old;
    size_t start = old->start, scan = old->scan, len = old->fill - old->start;

    if (old->fill < LINES_CHUNK_BYTES || (start == 0 && old->held == 0))
        return true;
    if (old->held > 0 && !(fresh = chunk_free(lines)))
        return false;
    if (fresh != old)
        chunk_trim(lines, fresh, 0);
    memmove(fresh->raw, old->raw + start, len);
    fresh->start = 0;
    fresh->scan = scan - start;
    fresh->fill = len;
    chunk_trim(lines, fresh, len);
    if (fresh != old)
        old->fill = old->scan = start; /* What was copied is no longer this chunk's. */
    lines->now = fresh;
    return true;
}

/* Reads behind `fill`: AGAIN, FULL, or LINE where there is something new to look at (bytes, or the
 * end). */
static enum lines_verdict read_more(struct lines *lines)
{
    struct chunk *chunk;
    size_t room = LINES_CHUNK_BYTES;
    int64_t got;

    if (!make_room(lines))
        return LINES_FULL;
    chunk = lines->now;
    if (chunk->fill < LINES_CHUNK_BYTES && lines->cut_bytes == 0)
        room -= chunk->fill;
    ASSERT(chunk->fill + room <= lines->chunk_bytes);
    got = stream_read(lines->stream, chunk->raw + chunk->fill, room);
    if (got == STREAM_AGAIN)
        return LINES_AGAIN;
    if (got > 0)
        chunk->fill += (size_t)got;
    else
        lines->ended = got;
    if (chunk->fill > chunk->peak)
        chunk->peak = chunk->fill;
    return LINES_LINE;
}

/* The line ends at `end`, the next starts at `next`, both in the chunk. True where there is
 * something to hand out. */
static bool cut_line(struct lines *lines, size_t end, size_t next, struct line *line)
{
    struct chunk *chunk = lines->now;
    uint64_t len = end - chunk->start, taken = next - chunk->start;

    if (lines->cut_bytes >
        0) { /* [start, start + kept) is its beginning, what follows was skipped. */
        len += lines->cut_bytes - LINES_KEPT_BYTES;
        taken += lines->cut_bytes - LINES_KEPT_BYTES;
    } else if (len > 0 && chunk->raw[end - 1] == '\r') {
        len--;
    }
    *line = (struct line){ .bytes = { chunk->raw + chunk->start, (size_t)len },
                           .chunk = chunk,
                           .number = lines->number++,
                           .from = lines->from,
                           .to = lines->from + len };
    lines->from += taken;
    lines->cut_bytes = 0;
    chunk->start = chunk->scan = next;
    return len > 0;
}

static enum lines_verdict judge(const struct lines *lines, struct line *line)
{
    if (line->bytes.len <= lines->line_bytes_max)
        return LINES_LINE;
    line->bytes.len =
        LINES_KEPT_BYTES < lines->line_bytes_max ? LINES_KEPT_BYTES : lines->line_bytes_max;
    return LINES_OVERSIZED;
}

/* No end was found up to `fill`. Over the bound, only the beginning is kept from now on. */
static void grow_or_skip(struct lines *lines)
{
    struct chunk *chunk = lines->now;
    size_t len = chunk->fill - chunk->start;

    chunk->scan = chunk->fill;
    if (lines->cut_bytes == 0 && len <= lines->line_bytes_max + LINES_KEPT_BYTES)
        return;
    lines->cut_bytes += lines->cut_bytes == 0 ? len : len - LINES_KEPT_BYTES;
    chunk->fill = chunk->scan = chunk->start + LINES_KEPT_BYTES;
}

enum lines_verdict lines_next(struct lines *lines, struct line *line)
{
    for (;;) {
        struct chunk *chunk = lines->now;
        size_t left = chunk->fill - chunk->scan;
        const char *end = left == 0 ? NULL : memchr(chunk->raw + chunk->scan, '\n', left);
        enum lines_verdict more;

        if (end) {
            size_t at = (size_t)(end - chunk->raw);

            if (cut_line(lines, at, at + 1, line))
                return judge(lines, line);
            continue;
        }
        grow_or_skip(lines);
        if (lines->ended > 0) {
            more = read_more(lines);
            if (more != LINES_LINE)
                return more;
            continue;
        }
        if (chunk->fill > chunk->start && cut_line(lines, chunk->fill, chunk->fill, line))
            return judge(lines, line);
        return lines->ended == STREAM_DAMAGED ? LINES_DAMAGED : LINES_END;
    }
}
