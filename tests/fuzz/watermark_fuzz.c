/*
 * watermark_fuzz.c: holds (dataplane/watermark.h) against a plain array of them.
 *
 * The input is a list of operations: a document's chain holds an offset, moves its holds to
 * another chain (a write that failed), releases them, or a partition's first hold is dropped. After
 * each, the first hold of every sink and partition, the low watermarks and the count must be what
 * a look through the array says.
 */
#include "fuzz.h"

#include "dataplane/watermark.h"

#include "dataplane/clock.h"

#define SINKS      2u
#define PARTITIONS 3u
#define CHAINS     6u /* of each sink */
#define HOLDS_MAX  16u

struct plain {
    bool used;
    unsigned sink, chain;
    uint16_t partition;
    int64_t offset;
};

static struct watermark *watermark;
static struct hold *chains[SINKS][CHAINS];
static struct plain plains[HOLDS_MAX];
static int64_t ends[PARTITIONS];

void fuzz_setup(void)
{
    watermark = watermark_open(SINKS, HOLDS_MAX);
}

static struct plain *plain_of(unsigned sink, unsigned chain, uint16_t partition)
{
    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (plains[i].used && plains[i].sink == sink && plains[i].chain == chain &&
            plains[i].partition == partition)
            return &plains[i];
    return NULL;
}

static unsigned n_plains(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HOLDS_MAX; i++)
        n += plains[i].used;
    return n;
}

/* The least of a sink (SINKS: of all) and partition; NULL: none. */
static const struct plain *least(unsigned sink, uint16_t partition)
{
    const struct plain *least = NULL;

    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (plains[i].used && plains[i].partition == partition &&
            (sink == SINKS || plains[i].sink == sink) &&
            (least == NULL || plains[i].offset < least->offset))
            least = &plains[i];
    return least;
}

static void hold(unsigned sink, unsigned chain, uint16_t partition)
{
    const struct change change = { .partition = partition,
                                   .offset = ++ends[partition],
                                   .clock_before = SEQNO_EPOCH + (uint64_t)ends[partition] };

    if (!watermark_room(watermark, 1))
        return;
    watermark_hold(watermark, sink, &chains[sink][chain], &change);
    if (plain_of(sink, chain, partition) != NULL)
        return;
    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (!plains[i].used) {
            plains[i] = (struct plain){ true, sink, chain, partition, change.offset };
            return;
        }
    fail_msg("there was room");
}

static void release(unsigned sink, unsigned chain)
{
    watermark_release(watermark, &chains[sink][chain]);
    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (plains[i].sink == sink && plains[i].chain == chain)
            plains[i].used = false;
}

static void move(unsigned sink, unsigned from, unsigned to)
{
    if (from == to)
        return;
    watermark_move(watermark, &chains[sink][from], &chains[sink][to]);
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        struct plain *moved = plain_of(sink, from, p), *twin = plain_of(sink, to, p);

        if (moved == NULL)
            continue;
        moved->chain = to;
        if (twin != NULL)
            (twin->offset < moved->offset ? moved : twin)->used = false;
    }
}

static void drop_first(unsigned sink, uint16_t partition)
{
    struct hold *first = watermark_first(watermark, sink, partition);

    if (first == NULL)
        return;
    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (plains[i].sink == sink && plains[i].partition == partition &&
            plains[i].offset == first->offset)
            plains[i].used = false;
    watermark_drop(watermark, first);
}

static void check(void)
{
    assert_int_equal(watermark_count(watermark), n_plains());
    for (unsigned n = 0; n <= HOLDS_MAX; n++)
        assert_int_equal(watermark_room(watermark, n), n_plains() + n <= HOLDS_MAX);
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        const struct plain *low = least(SINKS, p);
        uint64_t clock = 0;
        int64_t offset = 0;

        for (unsigned sink = 0; sink < SINKS; sink++) {
            const struct hold *first = watermark_first(watermark, sink, p);
            const struct plain *wanted = least(sink, p);

            assert_int_equal(first != NULL, wanted != NULL);
            if (first != NULL)
                assert_int_equal(first->offset, wanted->offset);
        }
        assert_int_equal(watermark_low(watermark, p, &offset, &clock), low != NULL);
        if (low != NULL)
            assert_true(offset == low->offset && clock == SEQNO_EPOCH + (uint64_t)offset);
    }
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };

    memset(plains, 0, sizeof(plains));
    while (fuzz.left.len > 0) {
        unsigned what = fuzz_u8(&fuzz), where = fuzz_u8(&fuzz);
        unsigned sink = where % SINKS, chain = where / SINKS % CHAINS;
        uint16_t partition = (uint16_t)(what / 8 % PARTITIONS);

        if (what % 8 < 4)
            hold(sink, chain, partition);
        else if (what % 8 == 4)
            release(sink, chain);
        else if (what % 8 < 7)
            move(sink, chain, what / 8 % CHAINS);
        else
            drop_first(sink, partition);
        check();
    }
    for (unsigned sink = 0; sink < SINKS; sink++)
        for (unsigned chain = 0; chain < CHAINS; chain++)
            release(sink, chain);
    check();
}
