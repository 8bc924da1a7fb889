/*
 * store_evict_test.c: what is dropped from a full store, and what never is.
 *
 * A store of 32 MiB is filled with entities of two rows each; the test plays what a pipeline does
 * each step: merge, evict, reclaim. An entity is pending as long as its `pending` points anywhere.
 */
#include "tests/unit/unit.h"

#include "dataplane/base/memory.h"
#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/store.h"

#define STORE_BYTES ((size_t)16 << 20)
#define TURNS_MAX   1000 /* of eviction until a change must have found its room */

static struct plan *plan;
static char values[4 << 20];
static uint64_t random_state = 7;

/* A store, and what it dropped so far. */
struct rig {
    struct store *store;
    uint64_t evicted, seqno;
};

static unsigned roll(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static int setup(void **state)
{
    (void)state;
    memory_setup(HUGEPAGES_OFF);
    memset(values, '1', sizeof(values));
    plan = plan_open(SLICE("test"), SLICE("key"), IMAGES_FULL, EMIT_ALWAYS);
    plan_add_table(plan, &(struct plan_table){ .name = SLICE("t.root") }, NULL, 0);
    plan_add_table(plan,
                   &(struct plan_table){
                       .name = SLICE("t.item"), .into = SLICE("items"), .many = SLICE("id") },
                   NULL, 0);
    return 0;
}

static struct rig rig_open(void)
{
    return (struct rig){ .store = store_open(plan, STORE_BYTES) };
}

static struct slice key_of(unsigned number, char text[16])
{
    int len = snprintf(text, 16, "k%u", number);
    return (struct slice){ text, (size_t)len };
}

static struct entity *find(const struct rig *rig, unsigned number)
{
    char text[16];
    struct slice key = key_of(number, text);
    return store_find(rig->store, key_hash(key), key);
}

/* One change of the entity's row of that table; false: the store has no room now. */
static bool merge(struct rig *rig, unsigned number, uint16_t table, size_t value_bytes)
{
    char text[16];
    struct slice key = key_of(number, text);
    struct entity *entity = find(rig, number);
    struct field field = { .column = 0, .value = { values, value_bytes } };
    struct change change = { .seqno = SEQNO_EPOCH + ++rig->seqno,
                             .key = key,
                             .row_id = table > 0 ? SLICE("1") : SLICE(""),
                             .table = table,
                             .op = CHANGE_UPSERT,
                             .n_fields = 1,
                             .fields = &field };
    assert_true(value_bytes <= sizeof(values));
    if (!store_has_room(rig->store))
        return false;
    if (entity == NULL)
        entity = store_add(rig->store, key_hash(key), key);
    return entity != NULL && store_apply(rig->store, entity, &change, 0) != MERGE_FULL;
}

static void turn(struct rig *rig)
{
    (void)store_evict(rig->store, &rig->evicted);
    store_reclaim(rig->store);
}

/* Merges both rows; whatever is in the store, room must be found. */
static void must_merge(struct rig *rig, unsigned number, size_t value_bytes)
{
    for (uint16_t table = 0; table < 2; table++) {
        unsigned turns = 0;
        while (!merge(rig, number, table, value_bytes)) {
            turn(rig);
            assert_true(turns++ < TURNS_MAX);
        }
    }
}

/* Entities numbered from `from` on, a turn of eviction for each few. */
static void must_merge_many(struct rig *rig, unsigned from, unsigned n, size_t value_bytes)
{
    for (unsigned i = from; i < from + n; i++) {
        must_merge(rig, i, value_bytes);
        if (i % 64 == 0)
            turn(rig);
    }
}

static uint64_t entities(const struct rig *rig)
{
    return store_facts(rig->store).entities;
}

/* More and more entities: the last ones are there, nothing waits, at least two thirds of the store
 * are in use. */
static void full_store_goes_on_with_what_came_last(void **state)
{
    struct rig rig = rig_open();
    (void)state;
    assert_true(store_is_whole(rig.store));
    must_merge_many(&rig, 0, 100000, 200);
    assert_false(store_is_whole(rig.store));
    assert_int_equal(entities(&rig) + rig.evicted, 100000);
    assert_true(entities(&rig) * (2 * 280 + 100) > STORE_BYTES * 2 / 3);
    for (unsigned i = 99900; i < 100000; i++)
        assert_non_null(find(&rig, i));
}

/* A store with room drops nothing, however often it is asked. */
static void store_with_room_keeps_everything(void **state)
{
    struct rig rig = rig_open();
    (void)state;
    must_merge_many(&rig, 0, 10000, 200);
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(store_evict(rig.store, &rig.evicted));
        store_reclaim(rig.store);
    }
    assert_int_equal(rig.evicted, 0);
    assert_true(store_is_whole(rig.store));
}

/* A tenth is touched all the time while others pass through: most of it must stay. */
static void what_is_used_stays(void **state)
{
    struct rig rig = rig_open();
    unsigned hot = 2000, there = 0;
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        must_merge(&rig, hot + i, 200);
        if (find(&rig, i % hot) == NULL)
            there++;
        must_merge(&rig, i % hot, 200);
        if (i % 64 == 0)
            turn(&rig);
    }
    assert_true(rig.evicted > 75000);
    assert_true(there - hot < 100000 / 10); /* fewer than a tenth of the looks were in vain */
}

/* Each third entity is pending for ever. All of these stay, and all others come through. */
static void pending_entities_are_never_dropped(void **state)
{
    struct rig rig = rig_open();
    struct pending *pending = (struct pending *)&rig; /* never looked into */
    (void)state;
    for (unsigned i = 0; i < 75000; i++) {
        must_merge(&rig, i, 200);
        if (i % 3 == 0 && i < 30000)
            find(&rig, i)->pending = pending;
        if (i % 64 == 0)
            turn(&rig);
    }
    for (unsigned i = 0; i < 30000; i += 3)
        assert_non_null(find(&rig, i));
    assert_true(rig.evicted > 30000);
}

/* Everything is pending: the store is full and says that it is stuck. When a sink has taken some of
 * it, merging goes on. */
static void store_full_of_pending_entities_waits_for_them(void **state)
{
    struct rig rig = rig_open();
    struct pending *pending = (struct pending *)&rig;
    unsigned n = 0;
    (void)state;
    for (; merge(&rig, n, 0, 200); n++)
        find(&rig, n)->pending = pending;
    if (find(&rig, n) != NULL)
        find(&rig, n)->pending = pending;
    for (unsigned i = 0; i < TURNS_MAX; i++)
        turn(&rig);
    assert_true(store_is_stuck(rig.store));
    assert_false(store_has_room(rig.store) && merge(&rig, n + 1, 0, 200));
    assert_int_equal(rig.evicted, 0);
    for (unsigned i = 0; i < n / 4; i++)
        find(&rig, i)->pending = NULL;
    must_merge(&rig, n + 1, 200);
    assert_true(rig.evicted > 0);
}

/* A change of a new entity finds no room for its row, again and again. What is left of it is
 * dropped, and that is no eviction: the store still says that it is stuck, and that nothing was
 * forgotten. */
static void entity_that_found_no_room_is_no_eviction(void **state)
{
    struct rig rig = rig_open();
    unsigned n = 0;
    (void)state;
    for (; merge(&rig, n, 0, 200); n++)
        find(&rig, n)->pending = (struct pending *)&rig;
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        char text[16];
        struct slice key = key_of(n + 1, text);
        if (find(&rig, n + 1) == NULL)
            assert_non_null(store_add(rig.store, key_hash(key), key));
        turn(&rig);
    }
    assert_true(store_is_stuck(rig.store));
    assert_true(store_is_whole(rig.store));
    assert_int_equal(rig.evicted, 0);
}

/* What the log may not take any more is there for states that are read back. */
static void log_leaves_room_for_states_that_are_read_back(void **state)
{
    struct rig rig = rig_open();
    struct field field = { .column = 0, .value = { values, 500 } };
    struct change change = { .seqno = SEQNO_EPOCH + 1,
                             .row_id = SLICE("2"),
                             .table = 1,
                             .op = CHANGE_UPSERT,
                             .n_fields = 1,
                             .fields = &field };
    unsigned n = 0, read_back = 0;
    (void)state;
    for (; merge(&rig, n, 0, 200); n++)
        find(&rig, n)->pending = (struct pending *)&rig;
    while (read_back < n && store_apply(rig.store, find(&rig, read_back), &change, 1) != MERGE_FULL)
        read_back++;
    assert_true(read_back * 500 > STORE_BYTES / 128);
}

/* Small rows, then larger and larger ones, then all sizes: the classes of the slab must hand their
 * memory on. Everything is found room for, and the store never falls below half full. */
static void sizes_that_shift_find_room_and_keep_half(void **state)
{
    static const size_t sizes[] = { 20, 200, 1500, 9000, 30000, 200000, 700, 60 };
    struct rig rig = rig_open();
    unsigned number = 0;
    (void)state;
    for (unsigned phase = 0; phase < sizeof(sizes) / sizeof(sizes[0]); phase++) {
        unsigned n = (unsigned)(STORE_BYTES / (2 * sizes[phase] + 200)) * 2;
        for (unsigned i = 0; i < n; i++, number++) {
            must_merge(&rig, number, sizes[phase]);
            turn(&rig);
            if (phase > 0)
                assert_true(store_facts(rig.store).used_bytes > STORE_BYTES / 2);
        }
    }
    for (unsigned i = 0; i < 20000; i++) {
        must_merge(&rig, roll(30000) + 10 * number, sizes[roll(8)]);
        turn(&rig);
    }
}

/* One row of an eighth of the store comes into a store full of small ones: it costs that much and
 * about as much again, not everything. */
static void one_large_row_costs_few_small_ones(void **state)
{
    struct rig rig = rig_open();
    uint64_t before;
    (void)state;
    must_merge_many(&rig, 0, 100000, 200);
    before = entities(&rig);
    must_merge(&rig, 100000, STORE_BYTES / 16);
    assert_true(entities(&rig) > before / 2);
    assert_non_null(find(&rig, 100000));
}

/* A reader that looks at a dropped entity sees it whole until it leaves. */
static void reader_keeps_what_is_dropped_under_it(void **state)
{
    struct rig rig = rig_open();
    struct store_reader *reader = store_reader_open(rig.store);
    struct document document;
    const struct entity *entity;
    char text[16];
    (void)state;
    must_merge(&rig, 1, 200);
    assert_true(store_read_begin(reader, key_of(1, text), &document, &entity));
    store_drop(rig.store, find(&rig, 1));
    store_reclaim(rig.store);
    store_reclaim(rig.store);
    for (unsigned i = 2; i < 1000; i++)
        must_merge(&rig, i, 190);
    assert_int_equal(document.n_rows, 2);
    assert_int_equal(document.rows[0]->value_bytes, 200);
    assert_int_equal(document.rows[1]->value_bytes, 200);
    store_read_end(reader);
    assert_false(store_is_whole(rig.store));
}

/* A state of many rows, none of them large: about a third of the store must make room for it. */
static void state_of_many_rows_finds_its_room(void **state)
{
    struct rig rig = rig_open();
    static struct change changes[400];
    static char ids[400][16];
    struct field field = { .column = 0, .value = { values, 12000 } };
    struct document_state read = { .changes = changes, .n_changes = 400, .partition = -1 };
    unsigned late = 0, turns = 0;
    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        changes[i] = (struct change){ .seqno = SEQNO_EPOCH + 1,
                                      .row_id = key_of(i, ids[i]),
                                      .table = 1,
                                      .op = CHANGE_UPSERT,
                                      .n_fields = 1,
                                      .fields = &field };
    }
    must_merge_many(&rig, 0, 100001, 200);
    find(&rig, 100000)->pending = (struct pending *)&rig;
    while (store_join(rig.store, find(&rig, 100000), &read, 1, &late) == MERGE_FULL) {
        turn(&rig);
        assert_true(turns++ < TURNS_MAX);
    }
}

/* A state of several rows that take two spans each, all wanted at once. There is room enough in the
 * store, in single spans between documents that rest. */
static void state_of_several_large_rows_finds_its_room(void **state)
{
    struct rig rig = rig_open();
    static struct change changes[16];
    static char ids[16][16];
    struct field field = { .column = 0, .value = { values, 100000 } };
    struct document_state read = { .changes = changes, .n_changes = 16, .partition = -1 };
    unsigned late = 0, turns = 0, n = 0;
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        changes[i] = (struct change){ .seqno = SEQNO_EPOCH + 1,
                                      .row_id = key_of(i, ids[i]),
                                      .table = 1,
                                      .op = CHANGE_UPSERT,
                                      .n_fields = 1,
                                      .fields = &field };
    }
    while (merge(&rig, n, 0, 40000))
        n++;
    for (unsigned i = 1; i < n; i += 7)
        store_drop(rig.store, find(&rig, i));
    turn(&rig);
    find(&rig, 0)->pending = (struct pending *)&rig;
    while (store_join(rig.store, find(&rig, 0), &read, 1, &late) == MERGE_FULL) {
        turn(&rig);
        assert_true(turns++ < TURNS_MAX);
    }
    assert_true(entities(&rig) > n / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_store_goes_on_with_what_came_last),
        cmocka_unit_test(store_with_room_keeps_everything),
        cmocka_unit_test(what_is_used_stays),
        cmocka_unit_test(pending_entities_are_never_dropped),
        cmocka_unit_test(store_full_of_pending_entities_waits_for_them),
        cmocka_unit_test(entity_that_found_no_room_is_no_eviction),
        cmocka_unit_test(log_leaves_room_for_states_that_are_read_back),
        cmocka_unit_test(sizes_that_shift_find_room_and_keep_half),
        cmocka_unit_test(one_large_row_costs_few_small_ones),
        cmocka_unit_test(reader_keeps_what_is_dropped_under_it),
        cmocka_unit_test(state_of_many_rows_finds_its_room),
        cmocka_unit_test(state_of_several_large_rows_finds_its_room),
    };
    return cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, setup, NULL);
}
