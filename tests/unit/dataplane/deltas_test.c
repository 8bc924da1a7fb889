/*
 * deltas_test.c: what a sink lacks of a document: row->unsent, field.changed, store_fly() and
 * store_landed().
 */
#include "dataplane/base/memory.h"
#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define S(n) (SEQNO_EPOCH + (n))

enum { A = 1, B = 2 }; /* bits of two sinks */

static struct store *stores[2];
static struct plan *plans[2];
static uint16_t names[3]; /* of columns a, b, c */
static unsigned n_keys;

static struct entity *entity_new(enum images images)
{
    static char keys[1000][8];
    struct slice key = { keys[n_keys], (size_t)snprintf(keys[n_keys], 8, "k%u", n_keys) };
    n_keys++;
    struct entity *entity = store_add(stores[images], key_hash(key), key);
    assert_non_null(entity);
    return entity;
}

/* "a1c3": column a gets 1, c gets 3. NULL: a delete. */
static enum merge_verdict put(enum images images, struct entity *entity, uint64_t seqno,
                              const char *cells, uint8_t holder)
{
    struct field fields[8];
    struct change change = { .seqno = S(seqno), .key = entity_key(entity), .fields = fields };
    change.op = cells != NULL ? CHANGE_UPSERT : CHANGE_DELETE;
    for (const char *at = cells; at != NULL && *at != '\0'; at += 2)
        fields[change.n_fields++] =
            (struct field){ .column = names[at[0] - 'a'], .value = { at + 1, 1 } };
    return store_apply(stores[images], entity, &change, holder);
}

static struct row *the_row(const struct entity *entity)
{
    assert_int_equal(entity->rows->n, 1);
    return entity->rows->rows[0];
}

/* The columns that are marked, as letters in alphabetical order. */
static const char *marked(const struct entity *entity)
{
    static char text[4];
    struct row_cursor cursor;
    struct field field;
    bool is[3] = { false };
    unsigned n = 0;
    row_fields(the_row(entity), &cursor);
    while (row_next(&cursor, &field))
        for (unsigned i = 0; i < 3; i++)
            is[i] = is[i] || (field.column == names[i] && field.changed);
    for (unsigned i = 0; i < 3; i++)
        if (is[i])
            text[n++] = (char)('a' + i);
    text[n] = '\0';
    return text;
}

static void land(struct entity *entity, uint8_t sink)
{
    store_fly(entity, sink);
    store_landed(entity, sink, true);
}

/* What comes from the log is in no sink; what has landed in one is still missing in the other. */
static void a_row_is_unsent_to_each_sink_until_it_landed_there(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_FULL);
    assert_int_equal(put(IMAGES_FULL, entity, 1, "a1", 0), MERGE_INSERT);
    assert_int_equal(the_row(entity)->unsent & (A | B), A | B);
    land(entity, A);
    assert_int_equal(the_row(entity)->unsent & (A | B), B);
    land(entity, B);
    assert_int_equal(the_row(entity)->unsent & (A | B), 0);
}

/* A write that failed leaves everything to be sent again. */
static void a_write_that_failed_leaves_its_rows_unsent(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_FULL);
    assert_int_equal(put(IMAGES_FULL, entity, 1, "a1", 0), MERGE_INSERT);
    store_fly(entity, A);
    store_landed(entity, A, false);
    assert_int_equal(the_row(entity)->unsent & A, A);
    assert_int_equal(the_row(entity)->flying, 0);
}

/* The row was replaced while its old image was on its way: the new one is not there. */
static void a_row_replaced_in_flight_stays_unsent(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_FULL);
    assert_int_equal(put(IMAGES_FULL, entity, 1, "a1", 0), MERGE_INSERT);
    store_fly(entity, A);
    assert_int_equal(put(IMAGES_FULL, entity, 2, "a2", 0), MERGE_UPDATE);
    store_landed(entity, A, true);
    assert_int_equal(the_row(entity)->unsent & A, A);
}

/* A state that was read back is in the sink that it came from, and not known to be in another; a
 * newer one that the log brought is in neither. */
static void what_was_read_back_is_held_by_its_sink_alone(void **state)
{
    (void)state;
    for (enum images images = IMAGES_FULL; images <= IMAGES_PARTIAL; images++) {
        struct entity *entity = entity_new(images);
        assert_int_equal(put(images, entity, 5, "a1", A), MERGE_INSERT);
        assert_int_equal(the_row(entity)->unsent & (A | B), B);
        assert_int_equal(put(images, entity, 5, "a1", B), MERGE_STALE);
        assert_int_equal(the_row(entity)->unsent & (A | B), 0);

        entity = entity_new(images);
        assert_int_equal(put(images, entity, 7, "a2", 0), MERGE_INSERT);
        assert_int_equal(put(images, entity, 5, "a1", A), MERGE_STALE);
        assert_int_equal(the_row(entity)->unsent & (A | B), A | B);
    }
}

/* Partial images: the sink has b, the log brought a: the sink lacks the joined row, of it a. */
static void a_partial_row_joined_with_what_a_sink_holds_is_unsent_to_it(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_PARTIAL);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 7, "a2", 0), MERGE_INSERT);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 5, "a1b1", A), MERGE_UPDATE);
    assert_int_equal(the_row(entity)->unsent & (A | B), A | B);
    assert_string_equal(marked(entity), "ab");
}

/* Everybody holds the row; then one column changes: it alone is marked. */
static void of_a_partial_row_that_all_hold_only_what_changes_is_marked(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_PARTIAL);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 1, "a1b1c1", 0), MERGE_INSERT);
    assert_string_equal(marked(entity), "abc");
    for (unsigned sink = 0; sink < 8; sink++)
        land(entity, sink_bit(sink));
    assert_int_equal(put(IMAGES_PARTIAL, entity, 2, "b2", 0), MERGE_UPDATE);
    assert_string_equal(marked(entity), "b");
    assert_int_equal(put(IMAGES_PARTIAL, entity, 3, "c2", 0), MERGE_UPDATE);
    assert_string_equal(marked(entity), "bc");
}

/* Sinks that are sent whole documents, and those that there are none of, lack nothing: a row that
 * the others hold is not sent to them again with each cell that changes. */
static void only_sinks_that_are_sent_what_they_lack_count(void **state)
{
    (void)state;
    store_track(stores[IMAGES_PARTIAL], B);
    struct entity *entity = entity_new(IMAGES_PARTIAL);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 1, "a1b1c1", 0), MERGE_INSERT);
    assert_int_equal(the_row(entity)->unsent, B);
    land(entity, B);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 2, "b2", 0), MERGE_UPDATE);
    assert_string_equal(marked(entity), "b");
    assert_int_equal(the_row(entity)->unsent, B);
    store_track(stores[IMAGES_PARTIAL], UINT8_MAX);
}

/* A sink that is down for long still finds all it lacks among the marked cells. */
static void cells_stay_marked_while_one_sink_lacks_them(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_PARTIAL);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 1, "a1", 0), MERGE_INSERT);
    land(entity, A);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 2, "b1", 0), MERGE_UPDATE);
    land(entity, A);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 3, "c1", 0), MERGE_UPDATE);
    assert_string_equal(marked(entity), "abc");
}

/* A deletion hides cells: the sink must be told of each. */
static void cells_that_a_tombstone_hides_are_marked(void **state)
{
    (void)state;
    struct entity *entity = entity_new(IMAGES_PARTIAL);
    assert_int_equal(put(IMAGES_PARTIAL, entity, 1, "a1b1", 0), MERGE_INSERT);
    for (unsigned sink = 0; sink < 8; sink++)
        land(entity, sink_bit(sink));
    assert_int_equal(put(IMAGES_PARTIAL, entity, 4, "c1", 0), MERGE_UPDATE);
    for (unsigned sink = 0; sink < 8; sink++)
        land(entity, sink_bit(sink));
    assert_int_equal(put(IMAGES_PARTIAL, entity, 3, NULL, 0), MERGE_UPDATE);
    assert_string_equal(marked(entity), "ab");
    assert_int_equal(row_seqno_max(the_row(entity)), S(4));
}

static int setup(void **state)
{
    (void)state;
    for (enum images images = IMAGES_FULL; images <= IMAGES_PARTIAL; images++) {
        const struct plan_table table = { .name = SLICE("shop.orders") };
        plans[images] = plan_open(SLICE("t"), SLICE("k"), images, EMIT_ALWAYS);
        plan_add_table(plans[images], &table, NULL, 0);
        stores[images] = store_open(plans[images], 1 << 20);
    }
    for (unsigned i = 0; i < 3; i++)
        names[i] = columns_intern(plans[0]->tables[0].columns,
                                  (struct slice){ (char[]){ (char)('a' + i) }, 1 });
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_unsent_to_each_sink_until_it_landed_there),
        cmocka_unit_test(a_write_that_failed_leaves_its_rows_unsent),
        cmocka_unit_test(a_row_replaced_in_flight_stays_unsent),
        cmocka_unit_test(what_was_read_back_is_held_by_its_sink_alone),
        cmocka_unit_test(a_partial_row_joined_with_what_a_sink_holds_is_unsent_to_it),
        cmocka_unit_test(of_a_partial_row_that_all_hold_only_what_changes_is_marked),
        cmocka_unit_test(only_sinks_that_are_sent_what_they_lack_count),
        cmocka_unit_test(cells_stay_marked_while_one_sink_lacks_them),
        cmocka_unit_test(cells_that_a_tombstone_hides_are_marked),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, NULL);
}
