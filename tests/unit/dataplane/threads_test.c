/*
 * threads_test.c: what goes from one thread to another, with real threads: frames between shards,
 * commands between control and shards, documents to a reader. What is checked holds in any build;
 * that nothing holds by luck is for ThreadSanitizer to say (`./test tsan`), which plays this
 * program too, and each of the orders that it should see broken (tests/tsan/canaries).
 */
#include "../unit.h"
#include "tests/unit/dataplane/threads_rig.h"

#include "dataplane/base/check.h"

#include <ck_ring.h>
#include <pthread.h>
#include <sched.h>

/* ---- the ring alone ---- */

enum { RING_SLOTS = 16, PARCELS = 8, PARCEL_NUMBERS = 32 };

struct parcel {
    uint32_t taken; /* atomic: 1 while the other has it */
    unsigned n;
    uint64_t numbers[PARCEL_NUMBERS];
};

struct belt {
    ck_ring_t ring;
    ck_ring_buffer_t buffer[RING_SLOTS];
    struct parcel parcels[PARCELS];
    uint64_t seed, rounds;
};

static uint64_t next(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *random >> 33;
}

/* Takes what comes, compares it with what the seed says, and gives it back. */
static void *take_parcels(void *belt_of)
{
    struct belt *belt = belt_of;
    uint64_t random = belt->seed;

    for (uint64_t round = 0; round < belt->rounds; round++) {
        void *parcel_of;
        while (!ck_ring_dequeue_spsc(&belt->ring, belt->buffer, &parcel_of))
            sched_yield();
        struct parcel *parcel = parcel_of;
        ASSERT(parcel == &belt->parcels[round % PARCELS]);
        ASSERT(parcel->n == 1 + next(&random) % PARCEL_NUMBERS);
        for (unsigned i = 0; i < parcel->n; i++)
            ASSERT(parcel->numbers[i] == next(&random));
        __atomic_store_n(&parcel->taken, 0, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* As frames go: the ring carries pointers one way, a counter in each brings it back, and it is used
 * again. Order and contents are the seed's. */
static void ring_between_two_threads_keeps_order_and_contents(void **state)
{
    static struct belt belt;
    pthread_t taker;

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        uint64_t random = seed;

        belt.seed = seed;
        belt.rounds = 5000;
        ck_ring_init(&belt.ring, RING_SLOTS);
        assert_int_equal(pthread_create(&taker, NULL, take_parcels, &belt), 0);
        for (uint64_t round = 0; round < belt.rounds; round++) {
            struct parcel *parcel = &belt.parcels[round % PARCELS];
            while (__atomic_load_n(&parcel->taken, __ATOMIC_ACQUIRE))
                sched_yield();
            parcel->n = 1 + (unsigned)(next(&random) % PARCEL_NUMBERS);
            for (unsigned i = 0; i < parcel->n; i++)
                parcel->numbers[i] = next(&random);
            __atomic_store_n(&parcel->taken, 1, __ATOMIC_RELAXED);
            assert_true(ck_ring_enqueue_spsc(&belt.ring, belt.buffer, parcel));
        }
        assert_int_equal(pthread_join(taker, NULL), 0);
    }
}

/* ---- shards ---- */

static struct threads_facts play(uint64_t seed, bool commands, bool reads)
{
    struct threads_options options = {
        .seed = seed, .records = 20000, .commands = commands, .reads = reads
    };
    struct threads_facts facts = threads_play(&options);

    assert_int_equal(facts.wrong, 0);
    assert_int_equal(facts.applied, 2 * options.records);
    assert_int_equal(facts.stale, 0); /* or a frame overtook another of its log */
    assert_true(facts.commits > 0);
    return facts;
}

/* Each shard reads a log whose rows belong to both: every row arrives once, in its log's order, and
 * whole; and whenever an offset may be committed, the sinks have everything before it. */
static void frames_between_two_shards_keep_their_order_and_contents(void **state)
{
    (void)state;
    (void)play(1, false, false);
    (void)play(2, false, false);
}

/* The same while control pauses and flushes the shards, and asks for their positions. */
static void commands_between_control_and_shards_are_obeyed_one_by_one(void **state)
{
    (void)state;
    (void)play(3, true, false);
}

/* The same while a third thread looks at documents and at what the sinks hold of them: what it sees
 * is whole, and never older than what it saw before. */
static void documents_that_another_thread_looks_at_are_whole(void **state)
{
    struct threads_facts facts = play(4, true, true);

    (void)state;
    assert_true(facts.looks > 0);
    print_message("# %llu looks, %llu of them at pending documents\n",
                  (unsigned long long)facts.looks, (unsigned long long)facts.pending_looks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_between_two_threads_keeps_order_and_contents),
        cmocka_unit_test(frames_between_two_shards_keep_their_order_and_contents),
        cmocka_unit_test(commands_between_control_and_shards_are_obeyed_one_by_one),
        cmocka_unit_test(documents_that_another_thread_looks_at_are_whole),
    };

    return UNIT_RUN(tests);
}
