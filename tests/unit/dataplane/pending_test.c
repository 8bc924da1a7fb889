/*
 * pending_test.c: where a document stands on its way to each sink, and which offsets that holds
 * back.
 */
#include "tests/unit/unit.h"

#include "dataplane/base/memory.h"
#include "dataplane/pending.h"

enum { SINKS = 2, PENDINGS = 4 };

static struct watermark *watermark;
static struct pendings *pendings;
static struct entity entities[PENDINGS];

static int open_pendings(void **state)
{
    (void)state;
    memory_setup(HUGEPAGES_OFF);
    watermark = watermark_open(SINKS, 2 * SINKS * PENDINGS);
    pendings = pendings_open(SINKS, 0, PENDINGS, watermark);
    memset(entities, 0, sizeof(entities));
    return 0;
}

/* A change at (partition, offset) that takes the entity to `version`. */
static struct pending *touch(struct entity *entity, uint16_t partition, int64_t offset,
                             uint64_t version)
{
    struct change change = {
        .partition = partition, .offset = offset, .clock_before = (uint64_t)offset * 10, .epoch = 1
    };
    struct pending *pending = pendings_take(pendings, entity, entity->version);
    entity->version = version;
    pendings_touch(pendings, pending, &change, 1000, true);
    return pending;
}

static void assert_low(uint16_t partition, int64_t want)
{
    int64_t offset;
    uint64_t clock;
    if (want < 0) {
        assert_false(watermark_low(watermark, partition, &offset, &clock));
        return;
    }
    assert_true(watermark_low(watermark, partition, &offset, &clock));
    assert_int_equal(offset, want);
    assert_int_equal(clock, want * 10);
}

static void land(unsigned sink, struct pending *pending)
{
    (void)pendings_fly(pendings, sink, pending, 1000);
    pendings_landed(pendings, sink, pending, 1000);
}

/* Two sinks: the offset is free when the slower one has it, and the record with it. */
static void offset_is_held_until_every_sink_has_the_version(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    assert_low(3, 100);
    land(0, pending);
    assert_low(3, 100);
    land(1, pending);
    assert_low(3, -1);
    assert_null(entities[0].pending);
    assert_int_equal(pendings_count(pendings), 0);
}

/* A log that steps back holds lower offsets than those of its first reading, and they count. */
static void offset_that_is_read_again_is_the_low_one(void **state)
{
    (void)state;
    struct pending *first = touch(&entities[0], 3, 100, 5), *last = touch(&entities[1], 3, 110, 5);
    struct pending *again = touch(&entities[2], 3, 90, 5),
                   *between = touch(&entities[3], 3, 105, 5);
    struct pending *in_order[] = { again, first, between, last };
    static const int64_t lows[] = { 90, 100, 105, 110 };
    for (unsigned i = 0; i < 4; i++) {
        assert_low(3, lows[i]);
        land(0, in_order[i]);
        land(1, in_order[i]);
    }
    assert_low(3, -1);
}

/* What comes while a write is under way holds its own offset and goes with the next write. */
static void change_during_a_write_waits_for_the_next(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    land(1, pending);
    (void)pendings_fly(pendings, 0, pending, 1000);
    (void)touch(&entities[0], 3, 101, 7);
    (void)touch(&entities[0], 4, 9, 7); /* stale, but it waits with it */
    pendings_landed(pendings, 0, pending, 1000);
    assert_low(3, 101);
    assert_low(4, 9);
    assert_ptr_equal(pendings_ready(pendings, 0), pending);
    land(0, pending), land(1, pending);
    assert_low(3, -1);
    assert_low(4, -1);
}

/* A stale change of a document that waits for its sink is held too (R5): its offset may be the
 * first one that covers what a crash would lose. */
static void stale_change_of_a_pending_document_holds_its_offset(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    (void)touch(&entities[0], 7, 50, 5);
    assert_low(7, 50);
    land(0, pending), land(1, pending);
    assert_low(7, -1);
}

/* A failed write puts its offsets back: the earlier of two for one partition stays. */
static void failed_write_keeps_the_earliest_offset(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    land(1, pending);
    (void)pendings_fly(pendings, 0, pending, 1000);
    (void)touch(&entities[0], 3, 105, 6);
    (void)touch(&entities[1], 3, 106, 1);
    pendings_retry(pendings, 0, pending, 1000, 0);
    assert_low(3, 100);
    assert_ptr_equal(pendings_ready(pendings, 0), pending); /* and it is first in line again */
    land(0, pending), land(1, pending);
    assert_low(3, 106);
    land(0, entities[1].pending), land(1, entities[1].pending);
}

/* An item that is to be tried later does not keep others waiting, and comes back when its time has
 * come. */
static void delayed_document_lets_others_pass(void **state)
{
    (void)state;
    struct pending *slow = touch(&entities[0], 1, 10, 5), *other = touch(&entities[1], 1, 11, 5);
    (void)pendings_fly(pendings, 0, slow, 1000);
    pendings_retry(pendings, 0, slow, 1000, 500);
    assert_ptr_equal(pendings_ready(pendings, 0), other);
    assert_int_equal(pendings_wake(pendings, 0, 1400), 1500);
    land(0, other), land(1, other);
    assert_low(1, 10);
    assert_null(pendings_ready(pendings, 0));
    assert_int_equal(pendings_wake(pendings, 0, 1500), 0);
    assert_ptr_equal(pendings_ready(pendings, 0), slow);
    land(0, slow), land(1, slow);
}

/* Nothing is written before the state was read back; then only what is behind is. */
static void document_waits_for_its_state(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    pendings_want_state(pendings, 0, pending); /* the hydrate sink's: every sink waits */
    assert_null(pendings_ready(pendings, 0));
    assert_low(3, 100);
    pending->sinks[0].hydrate = HYDRATE_NOT;
    pending->sinks[0].acked = 9; /* sink 0 turns out to be ahead; sink 1 was not asked */
    entities[0].version = 9;
    assert_false(pendings_settle(pendings, pending, 1000));
    assert_null(pendings_ready(pendings, 0));
    assert_ptr_equal(pendings_ready(pendings, 1), pending);
    land(1, pending);
    assert_low(3, -1);
}

/* A version conflict is no proof that the sink has what we wrote:
 * offsets stay held until its state was read back. */
static void conflict_holds_its_offsets_until_the_state_was_read(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    land(1, pending);
    (void)pendings_fly(pendings, 0, pending, 1000);
    pendings_stale(pendings, 0, pending);
    pendings_want_state(pendings, 0, pending);
    assert_low(3, 100);
    assert_int_equal(pending->sinks[0].refused, 5);
    pending->sinks[0].hydrate = HYDRATE_NOT;
    pending->sinks[0].acked = 6; /* another process's state, joined: ours is ahead of both now */
    entities[0].version = 8;
    assert_false(pendings_settle(pendings, pending, 1000));
    assert_ptr_equal(pendings_ready(pendings, 0), pending);
    land(0, pending), land(1, pending);
    assert_low(3, -1);
}

/* Another sink's state is read back for that sink alone: the others go on. */
static void state_of_one_sink_keeps_no_other_waiting(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    pendings_want_state(pendings, 1, pending);
    assert_ptr_equal(pendings_ready(pendings, 0), pending);
    assert_null(pendings_ready(pendings, 1));
    land(0, pending);
    assert_low(3, 100);
    pending->sinks[1].hydrate = HYDRATE_NOT;
    assert_false(pendings_settle(pendings, pending, 1000));
    land(1, pending);
    assert_low(3, -1);
}

/* A partition that was taken away holds nothing more, whatever its documents still wait for. */
static void forgotten_partition_holds_nothing(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    (void)touch(&entities[0], 4, 7, 6);
    (void)pendings_fly(pendings, 0, pending, 1000);
    pendings_forget(pendings, 3, 1000);
    assert_low(3, -1);
    assert_low(4, 7);
    pendings_landed(pendings, 0, pending, 1000);
    land(1, pending);
    assert_low(4, -1);
    assert_int_equal(watermark_count(watermark), 0);
}

/* A document of a partition that was taken away is not written any more: by the time its write went
 * out, another node may have deleted it, and the sink may have forgotten that. What its sinks have
 * is unknown from then on. */
static void lost_document_is_not_written_any_more(void **state)
{
    (void)state;
    struct pending *pending = touch(&entities[0], 3, 100, 5);
    (void)touch(&entities[1], 3, 101, 5);
    entities[0].epoch = entities[1].epoch = 1;
    (void)pendings_fly(pendings, 0, pending, 1000);
    pendings_forget(pendings, 3, 1000);
    assert_null(pendings_ready(pendings, 0));
    assert_null(pendings_ready(pendings, 1));
    assert_null(entities[1].pending);
    pendings_retry(pendings, 0, pending, 1000, 0); /* its write failed: it is not tried again */
    assert_null(entities[0].pending);
    assert_int_equal(entities[0].epoch, 0);
    assert_int_equal(entities[1].epoch, 0);
}

/* The pools are the limit: a full one says so before anything is taken. */
static void full_pool_says_so(void **state)
{
    (void)state;
    for (int i = 0; i < PENDINGS; i++) {
        assert_true(pendings_room(pendings));
        (void)touch(&entities[i], 1, i, 1);
    }
    assert_false(pendings_room(pendings));
    land(0, entities[0].pending), land(1, entities[0].pending);
    assert_true(pendings_room(pendings));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, open_pendings)
    const struct CMUnitTest tests[] = {
        TEST(offset_is_held_until_every_sink_has_the_version),
        TEST(offset_that_is_read_again_is_the_low_one),
        TEST(change_during_a_write_waits_for_the_next),
        TEST(stale_change_of_a_pending_document_holds_its_offset),
        TEST(failed_write_keeps_the_earliest_offset),
        TEST(delayed_document_lets_others_pass),
        TEST(document_waits_for_its_state),
        TEST(conflict_holds_its_offsets_until_the_state_was_read),
        TEST(state_of_one_sink_keeps_no_other_waiting),
        TEST(forgotten_partition_holds_nothing),
        TEST(lost_document_is_not_written_any_more),
        TEST(full_pool_says_so),
    };
    return UNIT_RUN(tests);
}
