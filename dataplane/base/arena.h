/*
 * arena.h: allocations that all die together, and a buffer that grows.
 *
 * Both lie on a virtual reservation: the bound is address space, the cost is what is touched. One
 * owner thread each.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include "check.h"
#include "slice.h"

#include <stdint.h>

struct arena {
    char *base;
    size_t used, bound;
};

/* Start-up only (it reserves). */
void arena_open(struct arena *arena, size_t bound_bytes, const char *what);

/* `bytes` aligned to 8, not zeroed; NULL where the bound is reached. Lives until the next
 * arena_reset(). */
MUST_CHECK void *arena_take(struct arena *arena, size_t bytes);

/* A copy of the slice in the arena; data is NULL where the bound is reached. */
MUST_CHECK struct slice arena_copy(struct arena *arena, struct slice bytes);

/* Frees everything; pages beyond half of memory_keep_bytes() go back to the kernel if they were
 * touched. */
void arena_reset(struct arena *arena);

/* Bytes appended in order. An append past the bound is dropped whole and sets `overflow`, which
 * stays set until buf_reset(): check it once, at the end of what must be written whole. */
struct buf {
    char *data;
    size_t len, bound;
    size_t peak; /* the most that was ever touched since the last trim */
    bool overflow;
};

/* Start-up only (it reserves). */
void buf_open(struct buf *buf, size_t bound_bytes, const char *what);

void buf_put(struct buf *buf, const void *bytes, size_t len);
void buf_put_slice(struct buf *buf, struct slice slice);
void buf_put_char(struct buf *buf, char c);
void buf_put_u64(struct buf *buf, uint64_t number);
void buf_put_i64(struct buf *buf, int64_t number);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define buf_put_literal(buf, literal) buf_put((buf), (literal), sizeof(literal) - 1)

/* `text` as a JSON string with its quotes; escapes what RFC 8259 demands and nothing else. `text`
 * must be UTF-8. */
void buf_put_json_string(struct buf *buf, struct slice text);

/* RFC 4648 base64, padded, without quotes. */
void buf_put_base64(struct buf *buf, struct slice bytes);

/* Empty again; pages beyond the first memory_keep_bytes() go back to the kernel if they were
 * touched. */
void buf_reset(struct buf *buf);

/* Back to an earlier length (to drop what was half written); clears overflow. */
void buf_rewind(struct buf *buf, size_t len);

static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){ buf->data, buf->len };
}

#endif
