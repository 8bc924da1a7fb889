/*
 * slab.h: the store's memory: blocks of any size out of one reservation, and pools of one size.
 *
 * A slab cuts its reservation into spans of 64 KiB. A span serves one size class (classes grow by
 * eight bytes up to 128, then by an eighth: 12.5 % of a larger block is lost at most); blocks over
 * 16 KiB take a run of spans of their own. The class is found from the block's address, so a block
 * carries no header. Spans that become empty can serve any class again.
 *
 *     | span: class 48 | span: class 224 | run: one block of 180 KiB ... | free | free |
 *
 * Small blocks that are given back leave holes that only their class can use. So that memory can go
 * from one class to another, or to a run, the owner of the blocks can have spans emptied:
 * slab_drain() picks the cheapest, nothing more is put there, and the owner gives back what
 * slab_drains() says lies there.
 *
 * One owner thread. Never returns memory to the kernel.
 */
#ifndef WEIR_BASE_SLAB_H
#define WEIR_BASE_SLAB_H

#include "check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab;

/* Start-up only: reserves `bytes` (rounded up to spans) and its tables. */
struct slab *slab_open(size_t bytes, const char *what);

/* A block of at least `bytes`, aligned to 8, not zeroed; NULL where there is no room for it. */
MUST_CHECK void *slab_take(struct slab *slab, size_t bytes);

/* Gives a block back. It must be one that slab_take() returned and that is still taken (ASSERTs
 * what it can see). */
void slab_give(struct slab *slab, void *block);

/* Bytes in spans that hold anything, and the bytes of all spans. */
size_t slab_used_bytes(const struct slab *slab);
size_t slab_bound_bytes(const struct slab *slab);

/* Bytes in blocks that are taken, each with its part of what is lost at its span's end; and of one
 * block. */
size_t slab_live_bytes(const struct slab *slab);
size_t slab_block_bytes(const struct slab *slab, const void *block);

/* Picks spans to be emptied, in place of those picked before: about `bytes` of those that are
 * cheapest to empty; and where slab_take() found no run for a large block since the last pick,
 * besides those that would make one. What becomes empty is free as usual, but for such a run: it is
 * kept for the large block until the next pick. */
void slab_drain(struct slab *slab, size_t bytes);

/* Puts spans that could not be emptied back to use; how many that were. */
unsigned slab_drain_end(struct slab *slab);

/* Does the block lie in a span to be emptied? */
bool slab_drains(const struct slab *slab, const void *block);

/* Bytes of the run that slab_take() did not find since the last pick; 0: none. */
size_t slab_missing_bytes(const struct slab *slab);

/* A pool: `count` objects of one size, by pointer or by index (POOL_NONE = no object). */
#define POOL_NONE UINT32_MAX

struct pool {
    char *base;
    uint32_t *free; /* a stack of free indexes */
    uint32_t free_count, count;
    size_t object_bytes;
};

void pool_open(struct pool *pool, size_t object_bytes, uint32_t count,
               const char *what);              /* start-up only */
MUST_CHECK void *pool_take(struct pool *pool); /* NULL where the pool is empty; not zeroed */
void pool_give(struct pool *pool, void *object);

static inline uint32_t pool_index(const struct pool *pool, const void *object)
{
    return (uint32_t)((size_t)((const char *)object - pool->base) / pool->object_bytes);
}

static inline void *pool_at(const struct pool *pool, uint32_t index)
{
    return pool->base + (size_t)index * pool->object_bytes;
}

static inline uint32_t pool_taken(const struct pool *pool)
{
    return pool->count - pool->free_count;
}

#endif
