/*
 * slab.c: blocks of any size out of one reservation, and pools.
 *
 *     spans    | 0: class 5 | 1: free | 2: run of 3 spans ...... | 5: class 40 | ...   64 KiB each
 *     span 0   | taken | given back | taken | never used ....... |
 *                          ▲ `free`; the block holds the index of the next such one
 *
 * A span is free, serves one class, or belongs to a run (its first span says how long). What is
 * known of a span stands in a table beside the reservation, found by the block's address. A class
 * keeps a doubly linked list of its spans that have room; a full span is in no list. Blocks that
 * were never handed out are counted, not linked, so opening a span touches none of its pages.
 *
 * Free spans are bits. Spans for classes are taken from the low end and runs searched from a
 * rotating hint, first fit: that keeps room for runs together for as long as there is some. A run
 * that was not found is remembered by its length, so that a full slab says no at once until a span
 * comes back.
 *
 * Draining: a span that is to be emptied is in no list, so nothing more is put there; it is free
 * when its last block comes back. For a run a window of neighbours is drained, the cheapest one:
 * its free spans are held back at once and the others as they become empty; when all are held the
 * window waits for take_run(). A span that was not emptied (somebody still needs a block in it)
 * costs more next time, so that others get their turn.
 *
 * Invariants: a span in a class list has 0 < taken < capacity and does not drain; a span with taken
 * == 0 is free or held; `used_spans` is the number of clear bits; `live_bytes` is the sum of
 * slab_block_bytes() over what is taken.
 *
 * What this does not do: move blocks, or know who reads one. A store with concurrent readers defers
 * slab_give().
 */
#include "dataplane/base/slab.h"

#include "dataplane/base/memory.h"
#include "dataplane/base/poison.h"

#include <stdbool.h>
#include <string.h>

#define SPAN_BYTES  ((size_t)65536)
#define BLOCK_MAX   ((size_t)16384) /* larger ones take a run */
#define CLASS_COUNT 72              /* 16 by eights up to 128, then 8 for each of 7 doublings */
#define NO_SPAN     UINT32_MAX
#define NO_BLOCK    UINT16_MAX

#define COST_LEVELS  512
#define STUBBORN_MAX 4

enum span_state { SPAN_FREE, SPAN_CLASS, SPAN_RUN, SPAN_RUN_INSIDE, SPAN_HELD };

/* Neighbours that are emptied to make a run. */
struct window {
    uint32_t from, count; /* count 0: there is none */
    uint32_t held;        /* of them, empty */
};

struct span {
    uint32_t next,
        previous;   /* in the class list; of a run's first span, `next` is the run's length */
    uint16_t free;  /* the given-back block to take next, NO_BLOCK if none */
    uint16_t fresh; /* blocks below this index were handed out at least once */
    uint16_t taken;
    uint8_t class;
    uint8_t state; /* enum span_state */
    bool draining;
    uint8_t stubborn; /* how often it could not be emptied */
};

struct class
{
    uint32_t block_bytes;
    uint32_t capacity; /* blocks a span */
    uint32_t charge;   /* a block's part of its span, in bytes */
    uint32_t spans;    /* the first span with room, or NO_SPAN */
};

struct slab {
    char *base;
    struct span *spans;
    uint64_t *free_bits; /* a set bit: the span is free */
    uint32_t span_count, used_spans;
    uint32_t low_hint;   /* no span below this is free */
    uint32_t run_hint;   /* where the last run ended */
    uint32_t run_failed; /* no run of this length or more was found since a span came back; NO_SPAN:
                            none failed */
    uint32_t run_missing; /* the longest run that was not found since the last pick; 0: none */
    uint32_t drain_hint;  /* where the search for spans to be emptied goes on */
    size_t live_bytes, n_blocks;
    struct window window;
    struct class classes[CLASS_COUNT];
};

static uint32_t class_of(size_t bytes)
{
    unsigned top;

    if (bytes <= 128)
        return bytes == 0 ? 0 : (uint32_t)((bytes - 1) / 8);
    /* 2^top < bytes <= 2^(top + 1), in eight steps. */
    top = 63 - (unsigned)__builtin_clzll(bytes - 1);
    return (uint32_t)(16 + (top - 7) * 8 + ((bytes - 1) >> (top - 3)) - 8);
}

static uint32_t class_bytes(uint32_t class)
{
    uint32_t step = (class - 16) % 8 + 9, top = (class - 16) / 8 + 7;

    return class < 16 ? (class + 1) * 8 : step << (top - 3);
}

static bool span_is_free(const struct slab *slab, uint32_t span)
{
    return (slab->free_bits[span / 64] >> (span % 64) & 1) != 0;
}

/* The first span at or after `from` that is free (or, `wanted` false, that is not); `end` if there
 * is none before. */
static uint32_t find_span(const struct slab *slab, uint32_t from, uint32_t end, bool wanted)
{
    while (from < end) {
        uint64_t word = slab->free_bits[from / 64];

        word = (wanted ? word : ~word) >> (from % 64);
        if (word != 0) {
            uint32_t found = from + (uint32_t)__builtin_ctzll(word);

            return found < end ? found : end;
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

static void mark_spans(struct slab *slab, uint32_t from, uint32_t count, bool free)
{
    for (uint32_t span = from; span < from + count; span++) {
        uint64_t bit = UINT64_C(1) << (span % 64);

        ASSERT(span_is_free(slab, span) != free);
        slab->free_bits[span / 64] ^= bit;
        slab->spans[span].state = SPAN_FREE;
    }
    if (!free) {
        slab->used_spans += count;
        return;
    }
    slab->used_spans -= count;
    slab->run_failed = NO_SPAN;
    if (from < slab->low_hint)
        slab->low_hint = from;
}

/* Unlinks a span from its class's list of spans with room. */
static void list_remove(struct slab *slab, struct span *span)
{
    if (span->previous == NO_SPAN)
        slab->classes[span->class].spans = span->next;
    else
        slab->spans[span->previous].next = span->next;
    if (span->next != NO_SPAN)
        slab->spans[span->next].previous = span->previous;
}

static void list_push(struct slab *slab, struct span *span)
{
    struct class *class = &slab->classes[span->class];
    uint32_t index = (uint32_t)(span - slab->spans);

    span->next = class->spans;
    span->previous = NO_SPAN;
    if (class->spans != NO_SPAN)
        slab->spans[class->spans].previous = index;
    class->spans = index;
}

/* A free span made ready for a class and put in its list; NULL where all are in use. */
static struct span *open_span(struct slab *slab, uint32_t class)
{
    uint32_t index = find_span(slab, slab->low_hint, slab->span_count, true);
    struct span *span = &slab->spans[index];

    slab->low_hint = index;
    if (index == slab->span_count)
        return NULL;
    mark_spans(slab, index, 1, false);
    *span = (struct span){ .free = NO_BLOCK, .class = (uint8_t) class, .state = SPAN_CLASS };
    list_push(slab, span);
    return span;
}

static char *span_start(const struct slab *slab, const struct span *span)
{
    return slab->base + (size_t)(span - slab->spans) * SPAN_BYTES;
}

static void *take_block(struct slab *slab, size_t bytes)
{
    struct class *class = &slab->classes[class_of(bytes)];
    struct span *span;
    uint16_t index;
    char *block;

    if (class->spans != NO_SPAN)
        span = &slab->spans[class->spans];
    else if (!(span = open_span(slab, class_of(bytes))))
        return NULL;
    index = span->free != NO_BLOCK ? span->free : span->fresh;
    ASSERT(index < class->capacity);
    block = span_start(slab, span) + (size_t)index * class->block_bytes;
    unpoison(block, bytes > sizeof(index) ? bytes : sizeof(index));
    if (span->free != NO_BLOCK)
        memcpy(&span->free, block, sizeof(span->free));
    else
        span->fresh++;
    if (++span->taken == class->capacity)
        list_remove(slab, span);
    slab->live_bytes += class->charge;
    slab->n_blocks++;
    return block;
}

/* The first run of `count` free spans that starts in [from, end) and ends by `end`; NO_SPAN if
 * there is none. */
static uint32_t find_run(const struct slab *slab, uint32_t count, uint32_t from, uint32_t end)
{
    while (end - from >= count) {
        uint32_t start = find_span(slab, from, end, true), stop;

        if (end - start < count)
            return NO_SPAN;
        stop = find_span(slab, start, start + count, false);
        if (stop == start + count)
            return start;
        from = stop;
    }
    return NO_SPAN;
}

/* Puts the window's held spans back among the free ones, and forgets it. */
static void release_window(struct slab *slab)
{
    const struct window *window = &slab->window;

    for (uint32_t i = window->from; i < window->from + window->count; i++)
        if (slab->spans[i].state == SPAN_HELD)
            mark_spans(slab, i, 1, true);
    slab->window = (struct window){ 0 };
}

/* Where a run of `count` spans is free; NO_SPAN, and that is remembered, where there is none. */
static uint32_t place_run(struct slab *slab, uint32_t count)
{
    uint32_t start = NO_SPAN;

    if (slab->window.count >= count && slab->window.held == slab->window.count) {
        start = slab->window.from;
        release_window(slab);
        return start;
    }
    if (count <= slab->span_count - slab->used_spans && count < slab->run_failed) {
        start = find_run(slab, count, slab->run_hint, slab->span_count);
        if (start == NO_SPAN)
            start = find_run(slab, count, 0, slab->span_count);
        if (start == NO_SPAN)
            slab->run_failed = count;
    }
    if (start == NO_SPAN && count > slab->run_missing)
        slab->run_missing = count;
    return start;
}

static void *take_run(struct slab *slab, size_t bytes)
{
    size_t wanted = bytes / SPAN_BYTES + (bytes % SPAN_BYTES != 0);
    uint32_t count, start;

    if (wanted > slab->span_count)
        return NULL;
    count = (uint32_t)wanted;
    start = place_run(slab, count);
    if (start == NO_SPAN)
        return NULL;
    mark_spans(slab, start, count, false);
    for (uint32_t i = 0; i < count; i++)
        slab->spans[start + i].state = i == 0 ? SPAN_RUN : SPAN_RUN_INSIDE;
    slab->spans[start].next = count;
    slab->run_hint = start + count;
    slab->live_bytes += count * SPAN_BYTES;
    slab->n_blocks++;
    unpoison(span_start(slab, &slab->spans[start]), bytes);
    return span_start(slab, &slab->spans[start]);
}

struct slab *slab_open(size_t bytes, const char *what)
{
    size_t count = bytes / SPAN_BYTES + (bytes % SPAN_BYTES != 0);
    struct slab *slab = memory_reserve(sizeof(*slab), what);

    ASSERT(count > 0 && count < UINT32_MAX);
    slab->base = memory_reserve(count * SPAN_BYTES, what);
    /* One entry more: open_span() forms the address behind the last. */
    slab->spans = memory_reserve((count + 1) * sizeof(struct span), what);
    slab->free_bits = memory_reserve((count + 63) / 64 * sizeof(uint64_t), what);
    slab->span_count = (uint32_t)count;
    slab->run_failed = NO_SPAN;
    slab->used_spans = slab->span_count;
    mark_spans(slab, 0, slab->span_count, true);
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        uint32_t block_bytes = class_bytes(i);

        slab->classes[i] =
            (struct class){ .block_bytes = block_bytes,
                            .capacity = (uint32_t)(SPAN_BYTES / block_bytes),
                            .charge = (uint32_t)(SPAN_BYTES / (SPAN_BYTES / block_bytes)),
                            .spans = NO_SPAN };
    }
    slab->low_hint = 0;
    poison(slab->base, count * SPAN_BYTES);
    return slab;
}

void *slab_take(struct slab *slab, size_t bytes)
{
    return bytes <= BLOCK_MAX ? take_block(slab, bytes) : take_run(slab, bytes);
}

#ifdef WEIR_DASSERTS
/* DASSERT only: whether the block stands early in its span's list of given-back ones. A whole list
 * may have 8,192, and looking through it at each give would make a debug build useless. */
static bool block_is_given(const struct slab *slab, const struct span *span, uint16_t block)
{
    size_t block_bytes = slab->classes[span->class].block_bytes;

    for (uint16_t i = span->free, looks = 64; i != NO_BLOCK && looks > 0; looks--) {
        const char *at = span_start(slab, span) + i * block_bytes;

        if (i == block)
            return true;
        unpoison(at, sizeof(i));
        memcpy(&i, at, sizeof(i));
        poison(at, sizeof(i));
    }
    return false;
}
#endif

/* Spans came back: those of the window are held for its run. */
static void spans_freed(struct slab *slab, uint32_t from, uint32_t count)
{
    struct window *window = &slab->window;

    mark_spans(slab, from, count, true);
    for (uint32_t i = from; i < from + count; i++) {
        slab->spans[i].draining = false;
        slab->spans[i].stubborn = 0;
        if (i - window->from >= window->count)
            continue;
        mark_spans(slab, i, 1, false);
        slab->spans[i].state = SPAN_HELD;
        window->held++;
    }
}

static void give_block(struct slab *slab, struct span *span, char *block)
{
    const struct class *class = &slab->classes[span->class];
    size_t offset = (size_t)(block - span_start(slab, span));
    uint16_t index = (uint16_t)(offset / class->block_bytes);

    ASSERT(offset % class->block_bytes == 0 && index < span->fresh);
    ASSERT(span->taken > 0 && index != span->free);
    DASSERT(!block_is_given(slab, span, index));
    if (span->taken == class->capacity && !span->draining)
        list_push(slab, span);
    unpoison(block, sizeof(span->free)); /* A block of few bytes was unpoisoned for those only. */
    memcpy(block, &span->free, sizeof(span->free));
    poison(block, class->block_bytes);
    span->free = index;
    slab->live_bytes -= class->charge;
    slab->n_blocks--;
    if (--span->taken == 0) {
        if (!span->draining)
            list_remove(slab, span);
        spans_freed(slab, (uint32_t)(span - slab->spans), 1);
    }
}

void slab_give(struct slab *slab, void *block)
{
    size_t offset = (size_t)((char *)block - slab->base);
    struct span *span = &slab->spans[offset / SPAN_BYTES];
    uint32_t length;

    ASSERT((char *)block >= slab->base && offset / SPAN_BYTES < slab->span_count);
    if (span->state == SPAN_CLASS) {
        give_block(slab, span, block);
        return;
    }
    ASSERT(span->state == SPAN_RUN && offset % SPAN_BYTES == 0);
    length = span->next;
    poison(block, (size_t)length * SPAN_BYTES);
    slab->live_bytes -= length * SPAN_BYTES;
    slab->n_blocks--;
    spans_freed(slab, (uint32_t)(span - slab->spans), length);
}

/* ---- draining ---- */

/* About how many bytes the owner gives up to have the span emptied: with a block goes what belongs
 * to it, and that is as much again as a usual block. A span of many small blocks is dear, and one
 * that could not be emptied is dearer than any like it. */
static uint64_t drain_cost(const struct slab *slab, const struct span *span)
{
    const struct class *class = &slab->classes[span->class];
    uint64_t usual = slab->n_blocks > 0 ? slab->live_bytes / slab->n_blocks : 0;

    switch ((enum span_state)span->state) {
    case SPAN_FREE:
    case SPAN_HELD:
        return 0;
    case SPAN_CLASS:
        return (span->stubborn > 0 ? class->capacity : span->taken) * (class->charge + usual)
               << 2 * span->stubborn;
    case SPAN_RUN:
        return (SPAN_BYTES + usual) << 2 * span->stubborn;
    case SPAN_RUN_INSIDE:
        return SPAN_BYTES << 2 * span->stubborn;
    }
    ASSERT(false); /* a state outside its enum */
    return 0;
}

/* Costs in steps of an eighth or less, so that sorting is counting. */
static uint32_t cost_level(uint64_t cost)
{
    unsigned top = cost < 8 ? 3 : 63 - (unsigned)__builtin_clzll(cost);

    if (cost < 8)
        return (uint32_t)cost;
    return (top - 2) * 8 + (uint32_t)(cost >> (top - 3) & 7);
}

/* How many spans become empty when this one does; 0: it cannot be picked by itself. */
static uint32_t drain_gain(const struct span *span)
{
    if (span->draining)
        return 0;
    if (span->state == SPAN_CLASS)
        return 1;
    return span->state == SPAN_RUN ? span->next : 0;
}

static void start_draining(struct slab *slab, struct span *span)
{
    if (span->state == SPAN_CLASS && span->taken < slab->classes[span->class].capacity)
        list_remove(slab, span);
    span->draining = true;
}

/* The dearest level that must be picked from to get `wanted` spans, and how many of that level. */
static uint32_t pick_level(const struct slab *slab, uint32_t wanted, uint32_t *of_level)
{
    uint32_t spans[COST_LEVELS] = { 0 }, level = 0;

    for (uint32_t i = 0; i < slab->span_count; i++)
        spans[cost_level(drain_cost(slab, &slab->spans[i]))] += drain_gain(&slab->spans[i]);
    while (level < COST_LEVELS - 1 && spans[level] < wanted)
        wanted -= spans[level++];
    *of_level = wanted;
    return level;
}

static void drain_cheapest(struct slab *slab, uint32_t wanted)
{
    uint32_t of_level, level = pick_level(slab, wanted, &of_level);

    for (uint32_t n = 0, i = slab->drain_hint; n < slab->span_count; n++, i++) {
        struct span *span = &slab->spans[i %= slab->span_count];
        uint32_t its_level = cost_level(drain_cost(slab, span)), gain = drain_gain(span);

        if (gain == 0 || its_level > level || (its_level == level && of_level == 0))
            continue;
        if (its_level == level)
            of_level -= gain < of_level ? gain : of_level;
        slab->drain_hint = i + 1;
        start_draining(slab, span);
    }
}

/* The start of the cheapest window of `count` spans. */
static uint32_t cheapest_window(const struct slab *slab, uint32_t count)
{
    uint64_t cost = 0, least = UINT64_MAX;
    uint32_t best = 0;

    for (uint32_t end = 0; end < slab->span_count; end++) {
        uint32_t from = end + 1 - count; /* of the window that ends here */

        cost += drain_cost(slab, &slab->spans[end]);
        if (end >= count)
            cost -= drain_cost(slab, &slab->spans[end - count]);
        if (end + 1 < count || cost >= least)
            continue;
        least = cost;
        best = from;
    }
    return best;
}

static void drain_window(struct slab *slab)
{
    uint32_t count = slab->run_missing, from = cheapest_window(slab, count);

    slab->window = (struct window){ .from = from, .count = count };
    /* A run that reaches into the window is emptied as a whole. */
    while (from > 0 && slab->spans[from].state == SPAN_RUN_INSIDE)
        from--;
    for (uint32_t i = from; i < slab->window.from + count; i++) {
        struct span *span = &slab->spans[i];

        if (span->state == SPAN_FREE) {
            mark_spans(slab, i, 1, false);
            span->state = SPAN_HELD;
            slab->window.held++;
        } else {
            start_draining(slab, span);
        }
    }
}

void slab_drain(struct slab *slab, size_t bytes)
{
    (void)slab_drain_end(slab);
    release_window(slab);
    if (slab->run_missing > 0)
        drain_window(slab);
    drain_cheapest(slab, (uint32_t)(bytes / SPAN_BYTES));
    slab->run_missing = 0;
}

unsigned slab_drain_end(struct slab *slab)
{
    unsigned left = 0;

    for (uint32_t i = 0; i < slab->span_count; i++) {
        struct span *span = &slab->spans[i];

        if (!span->draining)
            continue;
        left++;
        span->draining = false;
        if (span->stubborn < STUBBORN_MAX)
            span->stubborn++;
        if (span->state == SPAN_CLASS && span->taken < slab->classes[span->class].capacity)
            list_push(slab, span);
    }
    return left;
}

bool slab_drains(const struct slab *slab, const void *block)
{
    return slab->spans[(size_t)((const char *)block - slab->base) / SPAN_BYTES].draining;
}

size_t slab_missing_bytes(const struct slab *slab)
{
    return slab->run_missing * SPAN_BYTES;
}

size_t slab_live_bytes(const struct slab *slab)
{
    return slab->live_bytes;
}

size_t slab_block_bytes(const struct slab *slab, const void *block)
{
    const struct span *span = &slab->spans[(size_t)((const char *)block - slab->base) / SPAN_BYTES];

    return span->state == SPAN_CLASS ? slab->classes[span->class].charge : span->next * SPAN_BYTES;
}

size_t slab_used_bytes(const struct slab *slab)
{
    return slab->used_spans * SPAN_BYTES;
}

size_t slab_bound_bytes(const struct slab *slab)
{
    return slab->span_count * SPAN_BYTES;
}

void pool_open(struct pool *pool, size_t object_bytes, uint32_t count, const char *what)
{
    size_t whole = (object_bytes + 7) & ~(size_t)7;

    ASSERT(object_bytes > 0 && count > 0 && count < POOL_NONE && whole <= SIZE_MAX / count);
    *pool = (struct pool){ .base = memory_reserve(whole * count, what),
                           .free = memory_reserve(count * sizeof(uint32_t), what),
                           .free_count = count,
                           .count = count,
                           .object_bytes = whole };
    /* The stack's top is its end, so the first objects go first and the last may never be touched.
     */
    for (uint32_t i = 0; i < count; i++)
        pool->free[i] = count - 1 - i;
}

void *pool_take(struct pool *pool)
{
    if (pool->free_count == 0)
        return NULL;
    return pool_at(pool, pool->free[--pool->free_count]);
}

void pool_give(struct pool *pool, void *object)
{
    size_t offset = (size_t)((char *)object - pool->base);
    uint32_t index = pool_index(pool, object);

    ASSERT((char *)object >= pool->base && index < pool->count);
    ASSERT(offset % pool->object_bytes == 0 && pool->free_count < pool->count);
    ASSERT(pool->free_count == 0 || pool->free[pool->free_count - 1] != index);
    pool->free[pool->free_count++] = index;
}
