/*
 * purge_history_test.c: random lives of documents whose tombstones are purged: versions, joins and
 * rows are those of a state that purges nothing (document_purge.c, store_join.c). And joins that
 * the store has no room for.
 */
#include "purge_rig.h"

#include "dataplane/columns.h"

enum { EVENTS = 60 };

/* ---- histories ---- */

/* A log of one document; deleted rows come back sometimes. */
static void random_log(struct event *events)
{
    uint64_t seqno = 0;
    for (unsigned i = 0; i < EVENTS; i++) {
        seqno += 1 + roll(4) * roll(20);
        events[i] = (struct event){ .seqno = seqno,
                                    .row = roll(ROWS),
                                    .deletes = roll(3) == 0,
                                    .column = roll(COLUMNS),
                                    .value = (char)('0' + roll(10)) };
    }
}

/* The state after the first n events, folded wherever it was written: after i events if
 * written[i]. */
static struct entity *state_after(enum images images, const struct event *events, unsigned n,
                                  const bool *written)
{
    struct entity *entity = entity_new(images);
    for (unsigned i = 0; i < n; i++) {
        assert_int_not_equal(put(images, entity, &events[i]), MERGE_FULL);
        if (written[i + 1])
            store_fold(stores[images], entity);
    }
    return entity;
}

static const bool nowhere[EVENTS + 1];

/* Of two states of one history the one contains the other. Joining them gives exactly the greater
 * version, and the rows of the newer; joining again changes nothing. A complete memory is purged at
 * any time, of what is read back only where memory is not behind it. */
static void join_in_a_chain_is_exactly_the_greater_version(void **state)
{
    (void)state;
    struct event events[EVENTS];
    for (unsigned round = 0; round < 4000; round++) {
        enum images images = (enum images)(round & 1);
        bool purges, written[EVENTS + 1];
        random_log(events);
        unsigned n = roll(EVENTS + 1), m = 1 + roll(EVENTS);
        purges = round & 2 && m <= n;
        for (unsigned i = 0; i <= EVENTS; i++)
            written[i] = i <= n && roll(8) == 0;
        written[m] = written[m] || (purges && m < n);
        struct entity *entity = state_after(images, events, n, written);
        struct entity *other = state_after(images, events, m, written);
        struct entity *newer = state_after(images, events, n > m ? n : m, written);
        struct document_state read = parsed(images, rendered(images, other, purges));
        struct document document = store_document(entity);
        for (unsigned again = 0; again < 2; again++) {
            document_state_after(plans[images], &document, &read);
            join(images, entity, &read);
            assert_true(entity->version == newer->version);
            assert_true(same_rows_alive(entity, newer));
            document = store_document(entity);
        }
        drop(images, entity), drop(images, other), drop(images, newer);
    }
}

/* The usual read-back: memory holds only what the log brought since the commit. The result is what
 * a node has that was there all the time, to the last bit of the version. */
static void what_came_since_the_commit_joins_as_if_it_had_come_later(void **state)
{
    (void)state;
    struct event events[EVENTS];
    for (unsigned round = 0; round < 4000; round++) {
        enum images images = (enum images)(round & 1);
        random_log(events);
        unsigned written = 1 + roll(EVENTS), end = written + roll(EVENTS + 1 - written);
        unsigned commit = written;
        while (commit > 0 && roll(4) != 0 &&
               events[commit - 1].seqno + RETENTION >= events[written - 1].seqno)
            commit--;
        struct entity *there = state_after(images, events, written, nowhere);
        struct document_state read = parsed(images, rendered(images, there, true));
        store_fold(stores[images], there);
        struct entity *entity = entity_new(images);
        for (unsigned i = written; i < end; i++)
            (void)put(images, there, &events[i]);
        for (unsigned i = commit; i < end; i++)
            (void)put(images, entity, &events[i]);
        join(images, entity, &read);
        assert_true(entity->version == there->version);
        assert_true(same_rows_alive(entity, there));
        drop(images, there), drop(images, entity);
    }
}

/* Any two states, of whatever histories: no version falls, who lacks something is behind, and again
 * changes nothing. */
static void join_of_any_states_is_above_both(void **state)
{
    (void)state;
    struct event ours[EVENTS], theirs[EVENTS];
    for (unsigned round = 0; round < 4000; round++) {
        enum images images = (enum images)(round & 1);
        random_log(ours), random_log(theirs);
        struct entity *entity = state_after(images, ours, roll(EVENTS), nowhere);
        struct entity *other = state_after(images, theirs, 1 + roll(EVENTS - 1), nowhere);
        if (round & 2)
            store_fold(stores[images], entity);
        uint64_t before = entity->version;
        struct document_state read = parsed(images, rendered(images, other, round & 4));
        join(images, entity, &read);
        uint64_t after = entity->version;
        assert_true(after >= before && after >= other->version);
        if (!same_rows_alive(entity, other))
            assert_true(after > other->version);
        join(images, entity, &read);
        assert_true(entity->version == after);
        drop(images, entity), drop(images, other);
    }
}

/* One document's life: changes, writes, acknowledgements that fold, restarts that read back. Each
 * write of a changed state has a greater version than the one before, and in the end the rows are
 * those of a state that purges nothing. */
static void versions_written_rise_over_a_life_with_purges(void **state)
{
    (void)state;
    struct event events[EVENTS];
    for (unsigned round = 0; round < 1000; round++) {
        enum images images = (enum images)(round & 1);
        char sink[8192] = "";
        uint64_t written = 0;
        unsigned durable = 0;
        random_log(events);
        struct entity *entity = entity_new(images);
        for (unsigned i = 0; i < EVENTS; i++) {
            uint64_t before = entity->version;
            enum merge_verdict verdict = put(images, entity, &events[i]);
            assert_true(verdict == MERGE_STALE ? entity->version == before
                                               : entity->version > before);
            if (roll(3) == 0) {
                assert_true(entity->version > written);
                written = entity->version;
                strcpy(sink, rendered(images, entity, true));
                durable = i + 1;
                store_fold(stores[images], entity);
                assert_true(entity->version == written);
            } else if (durable > 0 && roll(5) == 0) {
                drop(images, entity);
                entity = entity_new(images);
                struct document_state read = parsed(images, sink);
                for (unsigned again = durable; again <= i; again++)
                    (void)put(images, entity, &events[again]);
                join(images, entity, &read);
                assert_true(entity->version > written);
            }
        }
        struct entity *whole = state_after(images, events, EVENTS, nowhere);
        assert_true(same_rows_alive(entity, whole));
        drop(images, entity), drop(images, whole);
    }
}

/* ---- what goes wrong in the middle ---- */

/* A state that would pass the greatest version is refused whole. */
static void join_that_overflows_changes_nothing(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_FULL), *other = entity_new(IMAGES_FULL);
    upsert(IMAGES_FULL, entity, 0, 10);
    upsert(IMAGES_FULL, other, 1, UINT64_C(1) << 62), upsert(IMAGES_FULL, other, 0, 20);
    struct document_state read = parsed(IMAGES_FULL, rendered(IMAGES_FULL, other, true));
    unsigned late = 0;
    read.residual = UINT64_C(1) << 62;
    assert_int_equal(store_join(stores[IMAGES_FULL], entity, &read, 1, &late), MERGE_REJECT);
    assert_true(entity->version == 10 && entity->residual == 0 && entity->rows->n == 1);
    read.residual -= 21; /* row 0's term, and one more than the greatest version */
    assert_int_equal(store_join(stores[IMAGES_FULL], entity, &read, 1, &late), MERGE_UPDATE);
    assert_true(entity->version == VERSION_MAX);
    drop(IMAGES_FULL, entity), drop(IMAGES_FULL, other);
}

/* A row that takes a span of the store by itself. */
static enum merge_verdict put_large(struct store *store, struct entity *entity, uint64_t seqno)
{
    static char value[40000];
    memset(value, '1', sizeof(value));
    struct field field = { .column =
                               columns_intern(plans[IMAGES_FULL]->tables[1].columns, SLICE("x")),
                           .value = { value, sizeof(value) } };
    struct change change = { .seqno = S(seqno),
                             .row_id = SLICE("4"),
                             .table = 1,
                             .op = CHANGE_UPSERT,
                             .n_fields = 1,
                             .fields = &field };
    return store_apply(store, entity, &change, 0);
}

enum { FILLERS_MAX = 64 };

/* Fills what spans are left; how many entities that took. */
static unsigned fill(struct store *store, struct entity *fillers[FILLERS_MAX])
{
    unsigned n = 0;
    do {
        assert_true(n < FILLERS_MAX);
        fillers[n] = entity_in(store);
    } while (put_large(store, fillers[n++], 1) != MERGE_FULL);
    return n;
}

/* The store is full when the state's last row comes: nothing of it is taken. Once there is room all
 * of it is, as if there had always been. */
static void join_in_a_full_store_is_whole_or_nothing(void **state)
{
    (void)state;
    struct store *store = store_open(plans[IMAGES_FULL], 1 << 20);
    struct entity *other = two_deleted(IMAGES_FULL), *entity = entity_in(store);
    struct entity *fillers[FILLERS_MAX];
    struct event root = { .seqno = 10, .value = '1' }, item = { .seqno = 4, .row = 2 };
    item.value = '2';
    assert_int_equal(put_large(stores[IMAGES_FULL], other, 30), MERGE_INSERT);
    struct document_state read = parsed(IMAGES_FULL, rendered(IMAGES_FULL, other, true));
    struct store *big = stores[IMAGES_FULL];
    stores[IMAGES_FULL] = store;
    assert_int_equal(put(IMAGES_FULL, entity, &root), MERGE_INSERT);
    assert_int_equal(put(IMAGES_FULL, entity, &item), MERGE_INSERT);
    stores[IMAGES_FULL] = big;

    unsigned n = fill(store, fillers), late = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(store_join(store, entity, &read, 1, &late), MERGE_FULL);
        assert_true(entity->version == 14 && entity->residual == 0 && entity->rows->n == 2);
        assert_true(shows_row(entity, 2));
    }
    while (n > 0)
        store_drop(store, fillers[--n]);
    enum merge_verdict verdict = MERGE_FULL;
    for (unsigned i = 0; i < 10 && verdict == MERGE_FULL; i++) {
        store_reclaim(store);
        verdict = store_join(store, entity, &read, 1, &late);
    }
    assert_int_equal(verdict, MERGE_UPDATE);
    assert_true(entity->version == other->version);
    assert_true(same_rows_alive(entity, other));
    drop(IMAGES_FULL, other);
}

/* A state that brings nothing needs no room: in a full store that is what lets documents go. */
static void join_of_what_is_known_needs_no_room(void **state)
{
    (void)state;
    struct store *store = store_open(plans[IMAGES_FULL], 1 << 20);
    struct store *big = stores[IMAGES_FULL];
    struct entity *fillers[FILLERS_MAX];
    stores[IMAGES_FULL] = store;
    struct entity *entity = two_deleted(IMAGES_FULL);
    uint64_t version = entity->version;
    assert_int_equal(put_large(store, entity, 30), MERGE_INSERT);
    struct document_state read = parsed(IMAGES_FULL, rendered(IMAGES_FULL, entity, true));
    stores[IMAGES_FULL] = big;
    (void)fill(store, fillers);
    unsigned late = 0;
    assert_int_equal(store_join(store, entity, &read, 1, &late), MERGE_UPDATE);
    assert_true(entity->version == version + 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_in_a_chain_is_exactly_the_greater_version),
        cmocka_unit_test(what_came_since_the_commit_joins_as_if_it_had_come_later),
        cmocka_unit_test(join_of_any_states_is_above_both),
        cmocka_unit_test(versions_written_rise_over_a_life_with_purges),
        cmocka_unit_test(join_that_overflows_changes_nothing),
        cmocka_unit_test(join_in_a_full_store_is_whole_or_nothing),
        cmocka_unit_test(join_of_what_is_known_needs_no_room),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_stores, NULL);
}
