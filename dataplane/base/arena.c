/*
 * arena.c: memory that grows by a pointer and dies as a whole: a frame's arena, a request's body.
 *
 *     | taken | taken | ... untouched ... |     arena: `used` only grows, until arena_reset()
 *     | bytes appended | .. untouched ... |     buf: `len` grows, and goes back by buf_rewind()
 *
 * The bound is generous because it is only address space. After an unusual peak the pages beyond a
 * keep limit go back to the kernel, so one huge event does not stay paid for. Below the limit
 * nothing is given back: the next frame would fault the same pages in again.
 *
 * A buf has one byte more than its bound, for the NUL that vsnprintf() insists on.
 */
#include "dataplane/base/arena.h"

#include "dataplane/base/json_scan.h"
#include "dataplane/base/memory.h"
#include "dataplane/base/poison.h"

#include <stdarg.h>
#include <stdio.h>

#define POISON_BYTES ((size_t)64 << 10)

void arena_open(struct arena *arena, size_t bound_bytes, const char *what)
{
    *arena =
        (struct arena){ .base = memory_reserve_virtual(bound_bytes, what), .bound = bound_bytes };
    /* The beginning is enough to catch a use before the take; the whole bound would cost its
     * shadow. */
    poison(arena->base, bound_bytes < POISON_BYTES ? bound_bytes : POISON_BYTES);
}

void *arena_take(struct arena *arena, size_t bytes)
{
    size_t room = arena->bound - arena->used;
    size_t whole = (bytes + 7) & ~(size_t)7;
    void *at;

    if (bytes > room || whole > room)
        return NULL;
    at = arena->base + arena->used;
    arena->used += whole;
    unpoison(at, bytes);
    return at;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
    char *copy = arena_take(arena, bytes.len);

    if (copy && bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return (struct slice){ copy, copy ? bytes.len : 0 };
}

void arena_reset(struct arena *arena)
{
    poison(arena->base, arena->used);
    if (arena->used > memory_keep_bytes() / 2)
        memory_trim(arena->base, arena->used, memory_keep_bytes() / 2);
    arena->used = 0;
}

void buf_open(struct buf *buf, size_t bound_bytes, const char *what)
{
    ASSERT(bound_bytes < SIZE_MAX);
    *buf =
        (struct buf){ .data = memory_reserve_virtual(bound_bytes + 1, what), .bound = bound_bytes };
}

/* Where the next `len` bytes go; NULL, and the overflow is noted, where there is no room. */
static inline char *buf_room(struct buf *buf, size_t len)
{
    char *at = buf->data + buf->len;

    if (len > buf->bound - buf->len) {
        buf->overflow = true;
        return NULL;
    }
    buf->len += len;
    return at;
}

void buf_put(struct buf *buf, const void *bytes, size_t len)
{
    char *at = buf_room(buf, len);

    if (at && len > 0)
        memcpy(at, bytes, len);
}

void buf_put_slice(struct buf *buf, struct slice slice)
{
    buf_put(buf, slice.data, slice.len);
}

void buf_put_char(struct buf *buf, char c)
{
    char *at = buf_room(buf, 1);

    if (at)
        *at = c;
}

/* Writes the digits so that they end before `end`; returns where they start. */
static char *digits(char *end, uint64_t number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return end;
}

void buf_put_u64(struct buf *buf, uint64_t number)
{
    char text[20], *end = text + sizeof(text), *start = digits(end, number);

    buf_put(buf, start, (size_t)(end - start));
}

void buf_put_i64(struct buf *buf, int64_t number)
{
    char text[21], *end = text + sizeof(text);
    /* Negated as unsigned, because -INT64_MIN does not fit an int64_t. */
    char *start = digits(end, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);

    if (number < 0)
        *--start = '-';
    buf_put(buf, start, (size_t)(end - start));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    size_t room = buf->bound - buf->len;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(buf->data + buf->len, room + 1, format, args);
    va_end(args);
    if (len < 0 || (size_t)len > room) {
        buf->overflow = true;
        /* What did not fit was written up to the bound, though it is not kept. */
        buf->peak = buf->bound;
        return;
    }
    buf->len += (size_t)len;
}

static void put_json_escape(struct buf *buf, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

    switch (c) {
    case '"':
    case '\\':
        text[1] = (char)c;
        break;
    case '\b':
        text[1] = 'b';
        break;
    case '\f':
        text[1] = 'f';
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    default:
        buf_put(buf, text, 6);
        return;
    }
    buf_put(buf, text, 2);
}

void buf_put_json_string(struct buf *buf, struct slice text)
{
    const char *at = text.len > 0 ? text.data : "", *end = at + text.len;

    buf_put_char(buf, '"');
    while (at < end) {
        const char *stop = json_run(at, end, JSON_RUN_ESCAPE);

        buf_put(buf, at, (size_t)(stop - at));
        if (stop < end)
            put_json_escape(buf, (unsigned char)*stop++);
        at = stop;
    }
    buf_put_char(buf, '"');
}

void buf_put_base64(struct buf *buf, struct slice bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = (const unsigned char *)bytes.data;
    char *to;

    if (bytes.len > buf->bound) { /* Keeps the multiplication below from wrapping, too. */
        buf->overflow = true;
        return;
    }
    to = buf_room(buf, (bytes.len + 2) / 3 * 4);
    for (size_t i = 0; to && i < bytes.len; i += 3, to += 4) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                         (left > 2 ? from[i + 2] : 0);

        to[0] = letters[group >> 18];
        to[1] = letters[group >> 12 & 63];
        to[2] = left > 1 ? letters[group >> 6 & 63] : '=';
        to[3] = left > 2 ? letters[group & 63] : '=';
    }
}

static void note_peak(struct buf *buf)
{
    if (buf->len > buf->peak)
        buf->peak = buf->len;
}

void buf_reset(struct buf *buf)
{
    note_peak(buf);
    if (buf->peak > memory_keep_bytes()) {
        memory_trim(buf->data, buf->peak, memory_keep_bytes());
        buf->peak = 0;
    }
    buf->len = 0;
    buf->overflow = false;
}

void buf_rewind(struct buf *buf, size_t len)
{
    ASSERT(len <= buf->len);
    note_peak(buf);
    buf->len = len;
    buf->overflow = false;
}
