/* The slab by random take and give, its limits, and the pools. */
#include "tests/unit/unit.h"

#include "dataplane/base/slab.h"

#include <stdlib.h>

#define SPAN ((size_t)65536)

static uint64_t random_state = 1;

static uint64_t any(uint64_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (random_state >> 33) % below;
}

struct held {
    unsigned char *block;
    size_t bytes;
    unsigned char pattern;
};

static void fill(struct held *held, unsigned char pattern)
{
    held->pattern = pattern;
    memset(held->block, pattern, held->bytes);
}

/* Nobody else wrote to it: so no two blocks overlap. */
static void assert_untouched(const struct held *held)
{
    for (size_t i = 0; i < held->bytes; i++)
        if (held->block[i] != held->pattern)
            fail_msg("byte %zu of %zu was overwritten", i, held->bytes);
}

/* Mostly small, sometimes a run. */
static size_t any_size(void)
{
    static const size_t below[] = { 16, 64, 200, 1000, 5000, 16500, 70000, 300000 };
    return any(below[any(8)]);
}

static void random_takes_and_gives_never_overlap(void **state)
{
    /* 400 holders, each by turns empty or holding; at the end all is given back, and the slab is
     * empty. */
    static struct held held[400];
    struct slab *slab = slab_open((size_t)4 << 20, "a test");
    size_t live = 0;
    unsigned refused = 0;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        struct held *one = &held[any(400)];

        if (any(300) == 0)
            slab_drain(slab, any(8 * SPAN));
        if (any(300) == 0)
            slab_drain_end(slab);
        assert_int_equal(slab_live_bytes(slab), live);
        if (one->block) {
            assert_untouched(one);
            live -= slab_block_bytes(slab, one->block);
            slab_give(slab, one->block);
            one->block = NULL;
            continue;
        }
        one->bytes = any_size();
        one->block = slab_take(slab, one->bytes);
        if (!one->block) {
            refused++;
            continue;
        }
        assert_int_equal((uintptr_t)one->block % 8, 0);
        fill(one, (unsigned char)any(256));
        live += slab_block_bytes(slab, one->block);
        assert_true(slab_block_bytes(slab, one->block) >= one->bytes);
        assert_true(live <= slab_used_bytes(slab));
        assert_true(slab_used_bytes(slab) <= slab_bound_bytes(slab));
    }
    for (size_t i = 0; i < 400; i++) {
        if (!held[i].block)
            continue;
        assert_untouched(&held[i]);
        slab_give(slab, held[i].block);
    }
    assert_true(refused > 0); /* The slab was small enough to be full at times. */
    slab_drain(slab, 0);      /* It may hold a run back for one of those; */
    slab_drain(slab, 0);      /* the next pick lets it go. */
    assert_int_equal(slab_used_bytes(slab), 0);
    assert_non_null(slab_take(slab, slab_bound_bytes(slab))); /* Nothing is left behind anywhere. */
}

/* Takes blocks of one size until the slab is full; how many there were. */
static unsigned take_all(struct slab *slab, size_t bytes, void **blocks, unsigned bound)
{
    unsigned count = 0;

    while (count < bound && (blocks[count] = slab_take(slab, bytes)) != NULL)
        count++;
    assert_true(count < bound);
    return count;
}

static void full_slab_says_no_and_works_again_after_a_give(void **state)
{
    static const size_t sizes[] = { 0,    1,     8,     9,     100,   128,   129,
                                    4000, 16384, 16385, 65536, 65537, 200000 };
    const unsigned bound = 600000;
    void **blocks = malloc(bound * sizeof(*blocks));
    struct slab *slab = slab_open((size_t)4 << 20, "a test");

    (void)state;
    assert_non_null(blocks);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned count = take_all(slab, sizes[i], blocks, bound);

        assert_null(slab_take(slab, sizes[i]));
        slab_give(slab, blocks[count / 2]);
        blocks[count / 2] = slab_take(slab, sizes[i]);
        assert_non_null(blocks[count / 2]);
        assert_null(slab_take(slab, sizes[i]));
        while (count > 0)
            slab_give(slab, blocks[--count]);
        assert_int_equal(slab_used_bytes(slab), 0);
    }
    free(blocks);
}

/* Gives back what lies in the picked spans; how many that were. */
static unsigned give_drained(struct slab *slab, void **blocks, unsigned count)
{
    unsigned given = 0;

    for (unsigned i = 0; i < count; i++) {
        if (blocks[i] == NULL || !slab_drains(slab, blocks[i]))
            continue;
        slab_give(slab, blocks[i]);
        blocks[i] = NULL;
        given++;
    }
    return given;
}

/* A slab of 64 spans, full of blocks of 320 bytes (204 a span), of which each `hole`th was given
 * back, so that no span is empty. */
static struct slab *holed_slab(void **blocks, unsigned *count, unsigned hole)
{
    struct slab *slab = slab_open(64 * SPAN, "a test");

    *count = take_all(slab, 320, blocks, 20000);
    for (unsigned i = 0; i < *count; i += hole) {
        slab_give(slab, blocks[i]);
        blocks[i] = NULL;
    }
    return slab;
}

static void drained_spans_serve_another_class(void **state)
{
    /* Room for 163 blocks more a span than is taken, but all of it in holes of the wrong size. Four
     * spans are to become free: that may cost what four spans hold, not more. */
    static void *blocks[20000];
    unsigned count;
    struct slab *slab = holed_slab(blocks, &count, 5);

    (void)state;
    assert_null(slab_take(slab, 1000));
    slab_drain(slab, 4 * SPAN);
    assert_in_range(give_drained(slab, blocks, count), 1, 4 * 204);
    assert_int_equal(slab_bound_bytes(slab) - slab_used_bytes(slab), 4 * SPAN);
    slab_drain_end(slab);
    for (unsigned i = 0; i < 4 * (SPAN / 1024); i++)
        assert_non_null(slab_take(slab, 1000));
    assert_null(slab_take(slab, 1000));
}

static void cheapest_spans_are_drained_first(void **state)
{
    /* One span holds 3 blocks, the others 163: it is the one. */
    static void *blocks[20000];
    unsigned count;
    struct slab *slab = holed_slab(blocks, &count, 5);

    (void)state;
    for (unsigned i = 30 * 204; i < 31 * 204; i++) {
        if (blocks[i] == NULL || i % 68 == 1)
            continue;
        slab_give(slab, blocks[i]);
        blocks[i] = NULL;
    }
    slab_drain(slab, SPAN);
    assert_in_range(give_drained(slab, blocks, count), 1, 3);
    assert_int_equal(slab_bound_bytes(slab) - slab_used_bytes(slab), SPAN);
}

static void draining_span_takes_nothing_more(void **state)
{
    /* Each block that is taken while spans drain lies elsewhere; those put back to use take again.
     */
    static void *blocks[20000];
    unsigned count, taken = 0;
    struct slab *slab = holed_slab(blocks, &count, 5);
    void *block;

    (void)state;
    slab_drain(slab, 10 * SPAN);
    for (; (block = slab_take(slab, 320)) != NULL; taken++)
        assert_false(slab_drains(slab, block));
    slab_drain_end(slab);
    assert_non_null(block = slab_take(slab, 320));
    for (taken++; slab_take(slab, 320) != NULL; taken++)
        assert_false(slab_drains(slab, block));
    assert_int_equal(taken, (count + 4) / 5);
}

static void large_block_gets_neighbours_emptied(void **state)
{
    /* 200,000 bytes take a run of four spans. Nobody else may have what was emptied for it. */
    static void *blocks[20000];
    unsigned count;
    struct slab *slab = holed_slab(blocks, &count, 5);

    (void)state;
    assert_int_equal(slab_missing_bytes(slab), 0);
    assert_null(slab_take(slab, 200000));
    assert_int_equal(slab_missing_bytes(slab), 4 * SPAN);
    slab_drain(slab, 0);
    assert_int_equal(slab_missing_bytes(slab), 0);
    assert_in_range(give_drained(slab, blocks, count), 1, 4 * 204);
    slab_drain_end(slab);
    assert_null(slab_take(slab, 1000));
    assert_non_null(slab_take(slab, 200000));
    assert_null(slab_take(slab, 1000));
}

static void run_that_stays_is_sought_elsewhere(void **state)
{
    /* One block of the first window is never given back: the next window is another one. */
    static void *blocks[20000];
    unsigned count, pinned = 0;
    struct slab *slab = holed_slab(blocks, &count, 5);
    void *pin;

    (void)state;
    assert_null(slab_take(slab, 200000));
    slab_drain(slab, 0);
    while (blocks[pinned] == NULL || !slab_drains(slab, blocks[pinned]))
        pinned++;
    pin = blocks[pinned];
    blocks[pinned] = NULL;
    (void)give_drained(slab, blocks, count);
    slab_drain_end(slab);
    assert_null(slab_take(slab, 200000));
    slab_drain(slab, 0);
    assert_false(slab_drains(slab, pin));
    (void)give_drained(slab, blocks, count);
    assert_non_null(slab_take(slab, 200000));
}

static void class_loses_an_eighth_at_most(void **state)
{
    /* Counted by how many fit: of each size, a span must hold what blocks an eighth larger would
     * fill. */
    void *blocks[9000];
    struct slab *slab = slab_open(SPAN, "a test");

    (void)state;
    for (size_t bytes = 64; bytes <= 16384; bytes += bytes < 1024 ? 1 : 37) {
        unsigned count = take_all(slab, bytes, blocks, 9000);

        assert_true(count >= SPAN / (bytes + bytes / 8 + 7));
        while (count > 0)
            slab_give(slab, blocks[--count]);
    }
}

static void empty_span_serves_any_class_again(void **state)
{
    /* The whole slab in one class, then in another, then as one run. */
    static void *blocks[70000];
    struct slab *slab = slab_open(8 * SPAN, "a test");
    unsigned count = take_all(slab, 24, blocks, 70000);

    (void)state;
    assert_null(slab_take(slab, 1000));
    while (count > 0)
        slab_give(slab, blocks[--count]);
    count = take_all(slab, 1000, blocks, 70000);
    assert_true(count >= 8 * (SPAN / 1024));
    while (count > 0)
        slab_give(slab, blocks[--count]);
    assert_non_null(slab_take(slab, 8 * SPAN));
    assert_null(slab_take(slab, 1));
}

static void run_fits_between_others(void **state)
{
    /* Eight spans, one each; a gap of two takes a run of two, but no run of three. */
    struct slab *slab = slab_open(8 * SPAN, "a test");
    void *runs[8];

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_non_null(runs[i] = slab_take(slab, SPAN));
    slab_give(slab, runs[2]);
    slab_give(slab, runs[3]);
    slab_give(slab, runs[6]);
    assert_null(slab_take(slab, 3 * SPAN));
    assert_null(slab_take(slab, 3 * SPAN)); /* The second no is the remembered one. */
    assert_ptr_equal(slab_take(slab, 2 * SPAN), runs[2]);
    slab_give(slab, runs[7]);
    assert_ptr_equal(slab_take(slab, 2 * SPAN), runs[6]);
    assert_int_equal(slab_used_bytes(slab), slab_bound_bytes(slab));
}

static void impossible_sizes_are_refused(void **state)
{
    struct slab *slab = slab_open(8 * SPAN, "a test");

    (void)state;
    assert_null(slab_take(slab, 8 * SPAN + 1));
    assert_null(slab_take(slab, SIZE_MAX));
    assert_int_equal(slab_used_bytes(slab), 0);
}

static void bytes_are_rounded_up_to_spans(void **state)
{
    (void)state;
    assert_int_equal(slab_bound_bytes(slab_open(1, "a test")), SPAN);
    assert_int_equal(slab_bound_bytes(slab_open(SPAN + 1, "a test")), 2 * SPAN);
    assert_int_equal(slab_bound_bytes(slab_open(65 * SPAN, "a test")), 65 * SPAN);
}

static void give_twice(void *argument)
{
    struct slab *slab = slab_open(8 * SPAN, "a test");
    size_t bytes = *(size_t *)argument;
    void *block = slab_take(slab, bytes), *other = slab_take(slab, bytes);

    slab_give(slab, block);
    slab_give(slab, block);
    slab_give(slab, other);
}

static void give_inside(void *argument)
{
    struct slab *slab = slab_open(8 * SPAN, "a test");

    slab_give(slab, (char *)slab_take(slab, *(size_t *)argument) + 8);
}

static void give_foreign(void *argument)
{
    slab_give(slab_open(8 * SPAN, "a test"), argument);
}

#ifdef WEIR_DASSERTS
static void give_twice_with_another_between(void *argument)
{
    struct slab *slab = slab_open(8 * SPAN, "a test");
    void *first = slab_take(slab, 100), *second = slab_take(slab, 100);

    (void)argument;
    (void)!slab_take(slab, 100);
    slab_give(slab, first);
    slab_give(slab, second);
    slab_give(slab, first);
}
#endif

static void wrong_gives_are_bugs(void **state)
{
    size_t small = 100, run = 100000;

    (void)state;
    assert_bug(give_twice, &small, "span->");
    assert_bug(give_twice, &run, "span->state");
    assert_bug(give_inside, &small, "offset %");
    assert_bug(give_inside, &run, "offset %");
    assert_bug(give_foreign, &small, "slab->base");
#ifdef WEIR_DASSERTS
    assert_bug(give_twice_with_another_between, NULL, "block_is_given");
#endif
}

static void pool_hands_out_each_object_once(void **state)
{
    unsigned char seen[100] = { 0 };
    struct pool pool;

    (void)state;
    pool_open(&pool, 20, 100, "a test");
    for (int i = 0; i < 100; i++) {
        char *object = pool_take(&pool);

        assert_non_null(object);
        assert_int_equal((uintptr_t)object % 8, 0);
        assert_int_equal(seen[pool_index(&pool, object)]++, 0);
        assert_ptr_equal(pool_at(&pool, pool_index(&pool, object)), object);
        memset(object, 0xff, 20);
    }
    assert_null(pool_take(&pool));
    assert_int_equal(pool_taken(&pool), 100);
    pool_give(&pool, pool_at(&pool, 42));
    assert_int_equal(pool_taken(&pool), 99);
    assert_ptr_equal(pool_take(&pool), pool_at(&pool, 42));
    assert_null(pool_take(&pool));
}

static void pool_give_twice(void *argument)
{
    struct pool pool;
    void *object;

    (void)argument;
    pool_open(&pool, 16, 4, "a test");
    object = pool_take(&pool);
    (void)!pool_take(&pool);
    pool_give(&pool, object);
    pool_give(&pool, object);
}

static void pool_give_foreign(void *argument)
{
    struct pool pool;

    pool_open(&pool, 16, 4, "a test");
    (void)!pool_take(&pool);
    pool_give(&pool, argument ? pool.base + 4 : pool.base + 64);
}

static void wrong_pool_gives_are_bugs(void **state)
{
    int inside;

    (void)state;
    assert_bug(pool_give_twice, NULL, "pool->free");
    assert_bug(pool_give_foreign, NULL, "index < pool->count");
    assert_bug(pool_give_foreign, &inside, "offset % pool->object_bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_takes_and_gives_never_overlap),
        cmocka_unit_test(full_slab_says_no_and_works_again_after_a_give),
        cmocka_unit_test(drained_spans_serve_another_class),
        cmocka_unit_test(cheapest_spans_are_drained_first),
        cmocka_unit_test(draining_span_takes_nothing_more),
        cmocka_unit_test(large_block_gets_neighbours_emptied),
        cmocka_unit_test(run_that_stays_is_sought_elsewhere),
        cmocka_unit_test(class_loses_an_eighth_at_most),
        cmocka_unit_test(empty_span_serves_any_class_again),
        cmocka_unit_test(run_fits_between_others),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(bytes_are_rounded_up_to_spans),
        cmocka_unit_test(wrong_gives_are_bugs),
        cmocka_unit_test(pool_hands_out_each_object_once),
        cmocka_unit_test(wrong_pool_gives_are_bugs),
    };

    return UNIT_RUN(tests);
}
