/*
 * purge_test.c: tombstones that are old enough are purged, and no version shows it
 * (document_purge.c, store_join.c): in one state, and where two states of one document meet.
 */
#include "purge_rig.h"

#include "dataplane/columns.h"

/* ---- one state ---- */

static void tombstones_behind_the_horizon_leave_the_state_and_no_version_falls(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum images images = (enum images)i;
        struct entity *entity = two_deleted(images);
        const char *json = rendered(images, entity, true);
        assert_null(strstr(json, "\"1\":"));
        assert_non_null(strstr(json, "\"2\":")); /* at the horizon, not behind it */
        assert_non_null(strstr(json, "\"residual\":"));
        struct document_state read = parsed(images, json);
        assert_true(version_of(images, &read) == entity->version);
        drop(images, entity);
    }
}

/* A table that is left without rows leaves no empty object either. */
static void purged_table_is_not_named(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_FULL);
    erase(IMAGES_FULL, entity, 1, 1), upsert(IMAGES_FULL, entity, 0, 1000);
    assert_non_null(strstr(rendered(IMAGES_FULL, entity, true),
                           "\"residual\":1,\"rows\":{\"t.root\":{\"\":1704067200001000}}}"));
    drop(IMAGES_FULL, entity);
}

/* People see everything that is remembered, dead letters hold it. */
static void without_purge_before_every_tombstone_is_shown(void **state)
{
    (void)state;
    struct entity *entity = two_deleted(IMAGES_FULL);
    const char *json = rendered(IMAGES_FULL, entity, false);
    assert_non_null(strstr(json, "\"1\":-"));
    assert_null(strstr(json, "residual"));
    drop(IMAGES_FULL, entity);
}

/* It is what keeps the document deleted. */
static void tombstone_of_the_root_is_never_purged(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum images images = (enum images)i;
        struct entity *entity = entity_new(images);
        erase(images, entity, 0, 10), upsert(images, entity, 1, 100000);
        assert_non_null(strstr(rendered(images, entity, true), "\"t.root\":{\"\":"));
        store_fold(stores[images], entity);
        assert_true(has_row(entity, 0) && !shows_row(entity, 0));
        drop(images, entity);
    }
}

/* Partial images: a row that came back after its deletion shows something, and keeps its tombstone,
 * which hides the cells of before. */
static void row_that_came_back_keeps_its_tombstone(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_PARTIAL);
    struct event x = { .seqno = 1, .row = 1, .column = 0, .value = '1' };
    struct event y = { .seqno = 9, .row = 1, .column = 1, .value = '2' };
    assert_int_equal(put(IMAGES_PARTIAL, entity, &x), MERGE_INSERT);
    erase(IMAGES_PARTIAL, entity, 1, 5);
    assert_int_equal(put(IMAGES_PARTIAL, entity, &y), MERGE_INSERT);
    upsert(IMAGES_PARTIAL, entity, 0, 100000);
    assert_non_null(strstr(rendered(IMAGES_PARTIAL, entity, true), "\"c\":[{\"y\":2}]"));
    store_fold(stores[IMAGES_PARTIAL], entity);
    assert_int_equal(put(IMAGES_PARTIAL, entity, &x), MERGE_STALE);
    drop(IMAGES_PARTIAL, entity);
}

/* Partial images: a dead row whose cells are all hidden has the terms of the cells too. */
static void dead_partial_row_leaves_all_its_terms(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_PARTIAL);
    upsert(IMAGES_PARTIAL, entity, 1, 3), erase(IMAGES_PARTIAL, entity, 1, 5);
    upsert(IMAGES_PARTIAL, entity, 0, 100000);
    uint64_t version = entity->version;
    store_fold(stores[IMAGES_PARTIAL], entity);
    assert_true(!has_row(entity, 1) && entity->residual == 8 && entity->version == version);
    drop(IMAGES_PARTIAL, entity);
}

/* 0: tombstones are kept for ever. */
static void no_retention_purges_nothing(void **state)
{
    (void)state;
    struct entity *entity = two_deleted(IMAGES_FULL);
    plans[IMAGES_FULL]->tombstone_retention_us = 0;
    assert_null(strstr(rendered(IMAGES_FULL, entity, true), "residual"));
    store_fold(stores[IMAGES_FULL], entity);
    assert_int_equal(entity->rows->n, 3);
    plans[IMAGES_FULL]->tombstone_retention_us = RETENTION;
    drop(IMAGES_FULL, entity);
}

static void fold_drops_what_is_purged_and_keeps_the_version(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum images images = (enum images)i;
        struct entity *entity = two_deleted(images);
        uint64_t version = entity->version;
        store_fold(stores[images], entity);
        assert_int_equal(entity->rows->n, 2);
        assert_true(!has_row(entity, 1) && has_row(entity, 2) && entity->version == version);
        store_fold(stores[images], entity);
        assert_int_equal(entity->rows->n, 2);
        assert_true(entity->has_tombstones); /* row 2's turn comes */
        upsert(images, entity, 0, 100000);
        version = entity->version;
        store_fold(stores[images], entity);
        assert_int_equal(entity->rows->n, 1);
        assert_true(entity->version == version && !entity->has_tombstones);
        drop(images, entity);
    }
}

/* A reader that is in the old set goes on in it; the next one finds the new one and the same
 * version. */
static void readers_see_the_set_before_or_after_the_fold(void **state)
{
    (void)state;
    struct store_reader *reader = store_reader_open(stores[IMAGES_FULL]);
    struct entity *entity = two_deleted(IMAGES_FULL);
    struct document document;
    const struct entity *found;
    assert_true(store_read_begin(reader, entity_key(entity), &document, &found));
    store_fold(stores[IMAGES_FULL], entity);
    store_reclaim(stores[IMAGES_FULL]);
    assert_int_equal(document.n_rows, 3);
    for (unsigned i = 0; i < document.n_rows; i++)
        assert_true(document.rows[i]->seqno > SEQNO_EPOCH);
    store_read_end(reader);
    assert_true(store_read_begin(reader, entity_key(entity), &document, &found));
    assert_int_equal(document.n_rows, 2);
    assert_true(document.version == entity->version);
    store_read_end(reader);
    drop(IMAGES_FULL, entity);
}

/* ---- two states ---- */

/* Memory got a deletion, and later changes, before the older state came that still shows the row: a
 * tombstone that is behind the horizon already must hide it all the same. */
static void tombstone_behind_the_horizon_hides_the_row_that_is_read_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum images images = (enum images)i;
        struct entity *before = entity_new(images), *entity = entity_new(images);
        upsert(images, before, 0, 2), upsert(images, before, 1, 3);
        erase(images, entity, 1, 5), upsert(images, entity, 0, 100000);
        struct document_state read = parsed(images, rendered(images, before, true));
        join(images, entity, &read);
        assert_false(shows_row(entity, 1));
        assert_true(entity->version > version_of(images, &read));
        drop(images, before), drop(images, entity);
    }
}

/* And the other way round: the state that is read back says that the row was deleted. */
static void tombstone_that_is_read_back_hides_the_row_in_memory(void **state)
{
    (void)state;
    struct entity *after = entity_new(IMAGES_FULL), *entity = entity_new(IMAGES_FULL);
    upsert(IMAGES_FULL, entity, 1, 3);
    upsert(IMAGES_FULL, after, 1, 3), erase(IMAGES_FULL, after, 1, 5);
    upsert(IMAGES_FULL, after, 0, 100000);
    struct document_state read = parsed(IMAGES_FULL, rendered(IMAGES_FULL, after, false));
    join(IMAGES_FULL, entity, &read);
    assert_false(shows_row(entity, 1));
    assert_true(entity->version == after->version);
    drop(IMAGES_FULL, after), drop(IMAGES_FULL, entity);
}

/* The document was deleted once, with row 1; it came back, row 1 was deleted, and purged. The side
 * index still holds the state of then. */
static void older_state_of_the_side_index_brings_nothing_back(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++)
        for (unsigned i = 0; i < 2; i++) {
            enum images images = (enum images)i;
            struct entity *then = entity_new(images), *now = entity_new(images);
            upsert(images, then, 1, 3), erase(images, then, 0, 4);
            upsert(images, now, 1, 3), erase(images, now, 0, 4);
            upsert(images, now, 0, 5), erase(images, now, 1, 6), upsert(images, now, 0, 100000);
            struct document_state states[2], ordered[2];
            struct arena other;
            arena_open(&other, 1 << 16, "the other state");
            states[first] = parsed(images, rendered(images, now, true));
            struct arena kept = arena;
            arena = other;
            states[1 - first] = parsed(images, rendered(images, then, true));
            other = arena;
            arena = kept;

            struct entity *entity = entity_new(images);
            document_states_order(plans[images], states, ordered);
            join(images, entity, &ordered[0]), join(images, entity, &ordered[1]);
            assert_false(has_row(entity, 1));
            assert_true(entity->version == now->version);
            drop(images, then), drop(images, now), drop(images, entity);
        }
}

/* A row that partitions read at different places bring late is a row, and somebody is told. */
static void row_older_than_the_horizon_of_a_purged_state_is_kept_and_counted(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_FULL), *other = two_deleted(IMAGES_FULL);
    unsigned late = 0;
    upsert(IMAGES_FULL, entity, 3, 7);
    struct document_state read = parsed(IMAGES_FULL, rendered(IMAGES_FULL, other, true));
    assert_int_equal(store_join(stores[IMAGES_FULL], entity, &read, 1, &late), MERGE_UPDATE);
    assert_true(shows_row(entity, 3));
    assert_int_equal(late, 1);
    drop(IMAGES_FULL, entity), drop(IMAGES_FULL, other);
}

/* A sink that refused the document once, for good, still shows row 1; memory, complete from the
 * other sink, has forgotten that it was deleted. */
static void state_of_a_sink_that_is_behind_brings_nothing_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum images images = (enum images)i;
        struct entity *behind = entity_new(images), *entity = two_deleted(images);
        upsert(images, behind, 1, 5);
        store_fold(stores[images], entity);
        uint64_t version = entity->version;
        struct document_state read = parsed(images, rendered(images, behind, true));
        struct document document = store_document(entity);
        document_state_after(plans[images], &document, &read);
        join(images, entity, &read);
        assert_true(!has_row(entity, 1) && entity->version == version);
        drop(images, behind), drop(images, entity);
    }
}

/* The same without any lines between: tombstones purged in neither, one, the other, or both. */
static void join_of_purged_and_unpurged_counts_each_tombstone_once(void **state)
{
    (void)state;
    for (unsigned combination = 0; combination < 16; combination++) {
        enum images images = (enum images)(combination & 1);
        struct entity *memory = two_deleted(images), *other = two_deleted(images);
        upsert(images, combination & 8 ? memory : other, 3, 500);
        uint64_t greater = combination & 8 ? memory->version : other->version;
        if (combination & 2)
            store_fold(stores[images], memory);
        struct document_state read = parsed(images, rendered(images, other, combination & 4));
        join(images, memory, &read);
        assert_true(memory->version == greater);
        assert_true(shows_row(memory, 3) && !shows_row(memory, 1) && !shows_row(memory, 2));
        drop(images, memory), drop(images, other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tombstones_behind_the_horizon_leave_the_state_and_no_version_falls),
        cmocka_unit_test(purged_table_is_not_named),
        cmocka_unit_test(without_purge_before_every_tombstone_is_shown),
        cmocka_unit_test(tombstone_of_the_root_is_never_purged),
        cmocka_unit_test(row_that_came_back_keeps_its_tombstone),
        cmocka_unit_test(dead_partial_row_leaves_all_its_terms),
        cmocka_unit_test(no_retention_purges_nothing),
        cmocka_unit_test(fold_drops_what_is_purged_and_keeps_the_version),
        cmocka_unit_test(readers_see_the_set_before_or_after_the_fold),
        cmocka_unit_test(tombstone_behind_the_horizon_hides_the_row_that_is_read_back),
        cmocka_unit_test(tombstone_that_is_read_back_hides_the_row_in_memory),
        cmocka_unit_test(older_state_of_the_side_index_brings_nothing_back),
        cmocka_unit_test(row_older_than_the_horizon_of_a_purged_state_is_kept_and_counted),
        cmocka_unit_test(join_of_purged_and_unpurged_counts_each_tombstone_once),
        cmocka_unit_test(state_of_a_sink_that_is_behind_brings_nothing_back),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_stores, NULL);
}
