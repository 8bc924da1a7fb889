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
    unsigned refused = 0;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        struct held *one = &held[any(400)];

        if (one->block) {
            assert_untouched(one);
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
        assert_true(slab_used_bytes(slab) <= slab_bound_bytes(slab));
    }
    for (size_t i = 0; i < 400; i++) {
        if (!held[i].block)
            continue;
        assert_untouched(&held[i]);
        slab_give(slab, held[i].block);
    }
    assert_true(refused > 0); /* The slab was small enough to be full at times. */
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
