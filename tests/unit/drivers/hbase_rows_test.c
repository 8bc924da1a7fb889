/* hbase_rows_test.c: documents as cells, one rule after the other. Reading: hbase_rows_read_test.c.
 */
#include "hbase_rows_rig.h"

#include <stdlib.h>

static struct world full, partial;
static struct model model;

/* ---- what is written ---- */

/* Eight hex digits spread the keys over regions, the key itself tells them apart. */
static void row_key_is_a_hash_and_the_key(void **state)
{
    (void)state;
    struct buf key = { .data = (char[32]){ 0 }, .bound = 31 };
    char wanted[32];

    snprintf(wanted, sizeof(wanted), "%016llx", (unsigned long long)key_hash(SLICE("42")));
    snprintf(wanted + 8, 4, ":42");
    rows_key(SLICE("42"), &key);
    assert_string_equal(key.data, wanted);
}

static void assert_written(struct world *world, struct entity *entity, const char *put,
                           const char *delete)
{
    unsigned count = write_document(world, entity, false);

    assert_string_equal(listed(buf_slice(&to_put)), put);
    assert_string_equal(listed(buf_slice(&to_delete)), delete);
    assert_int_equal(count > 0, to_put.len + to_delete.len > 0);
    land(&model, entity);
}

/* The column's text and the marker, all at the row's seqno; row ids stand behind. */
static void full_row_is_its_columns_and_a_marker(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ORDER, "", S(7), "no=1;name=\"a \\\"b\\\"\";price=365.30");
    (void)change(&world, entity, ITEM, "4:x", S(9), "j={\"a\":[1]};e=\"\"");
    assert_written(&world, entity,
                   "shop.order:no=1@7 shop.order:name=a \"b\"@7 shop.order:price=365.30@7 "
                   "shop.order:=u@7 shop.item:j:4:x={\"a\":[1]}@9 shop.item:e:4:x=@9 "
                   "shop.item::4:x=u@9",
                   "");
}

/* HBase has no NULL: the column's cell goes, and the `_weir` cell tells that it was shown. */
static void null_is_a_delete_marker_and_a_name(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ITEM, "4", S(9), "a=null;b=1;c=null");
    assert_written(&world, entity,
                   "shop.item:b:4=1@9 shop.item::4=u@9 "
                   "_weir:shop.item::4={\"null\":[\"a\",\"c\"]}@9",
                   "-shop.item:a:4@9 -shop.item:c:4@9");
}

static void strings_that_look_like_something_else_are_named(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ORDER, "", S(1),
                 "a=\"1\";b=\"null\";c=null;d=\"\\ud83d\";e=\"[]\";f=true");
    assert_written(&world, entity,
                   "shop.order:a=1@1 shop.order:b=null@1 shop.order:d=\"\\ud83d\"@1 "
                   "shop.order:e=[]@1 shop.order:f=true@1 shop.order:=u@1 "
                   "_weir:shop.order:={\"null\":[\"c\"],\"text\":[\"a\",\"e\"],\"json\":[\"d\"]}@1",
                   "-shop.order:c@1");
}

/* A newer image without the column: the older one's cell would stay. */
static void column_that_an_image_lacks_is_deleted(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ITEM, "4", S(1), "a=1;b=2");
    assert_written(&world, entity, "shop.item:a:4=1@1 shop.item:b:4=2@1 shop.item::4=u@1", "");
    (void)change(&world, entity, ITEM, "4", S(2), "a=1");
    assert_written(&world, entity, "shop.item:a:4=1@2 shop.item::4=u@2", "-shop.item:b:4@2");
}

/* A process that starts knows no columns; those that it reads back it does. */
static void column_that_was_read_and_is_lacked_is_deleted(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);

    model_reset(&model);
    model_put(&model, "shop.order:", "u", S(5));
    model_put(&model, "shop.order:a", "1", S(5));
    model_put(&model, "shop.order:dropped", "1", S(3));
    struct entity *entity = entity_read(&world, &model);
    assert_int_equal(entity->rows->rows[0]->n_fields, 1);
    (void)change(&world, entity, ORDER, "", S(6), "a=2");
    assert_written(&world, entity, "shop.order:a=2@6 shop.order:=u@6", "-shop.order:dropped@6");
}

static void deleted_row_loses_its_columns_and_keeps_a_marker(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ITEM, "4", S(1), "a=1;b=null");
    (void)write_document(&world, entity, false);
    land(&model, entity);
    (void)change(&world, entity, ITEM, "4", S(2), NULL);
    assert_written(&world, entity, "shop.item::4=d@2",
                   "-shop.item:a:4@2 -shop.item:b:4@2 -_weir:shop.item::4@2");
}

/* Otherwise a qualifier's parts could not be told apart. */
static void colons_and_percent_signs_in_names_are_escaped(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ODD, ":%", S(1), "a:%b=1;%3A=null");
    assert_written(&world, entity,
                   "s%253A%3At\":a%3A%25b::%=1@1 s%253A%3At\":::%=u@1 "
                   "_weir:s%253A%3At\":::%={\"null\":[\"%3A\"]}@1",
                   "-s%253A%3At\":%253A::%@1");
    model_reset(&model);
    model_apply(&model, buf_slice(&to_put), buf_slice(&to_delete));
    assert_same(entity_read(&world, &model), entity, IMAGES_FULL);
}

static void rows_that_the_sink_has_are_not_sent(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ORDER, "", S(1), "a=1");
    (void)write_document(&world, entity, false);
    land(&model, entity);
    assert_written(&world, entity, "", "");
    (void)change(&world, entity, ITEM, "4", S(2), "b=1");
    assert_written(&world, entity, "shop.item:b:4=1@2 shop.item::4=u@2", "");
}

/* Each cell at its own seqno, and beside it what it does not tell. */
static void partial_row_sends_its_changed_cells_alone(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_PARTIAL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ITEM, "4", S(5), "a=1;b=\"2\";c=\"\\udc00\"");
    assert_written(&world, entity,
                   "shop.item:a:4=1@5 shop.item:b:4=2@5 _cell:shop.item:b:4=text@5 "
                   "shop.item:c:4=\"\\udc00\"@5 _cell:shop.item:c:4=json@5 shop.item::4=u@5 "
                   "_cell:shop.item::4=partial@5",
                   "");
    for (uint8_t sink = 2; sink != 0; sink = (uint8_t)(sink << 1)) {
        store_fly(entity, sink); /* Else the cells stay marked, for sinks that are not there. */
        store_landed(entity, sink, true);
    }
    (void)change(&world, entity, ITEM, "4", S(3), "d=null");
    assert_written(&world, entity,
                   "_cell:shop.item:d:4=null@3 shop.item::4=u@5 _cell:shop.item::4=partial@5",
                   "-shop.item:d:4@3");
}

/* Hidden cells go at the tombstone, and their seqnos, terms of the version, stay beside. */
static void partial_tombstone_hides_older_cells(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_PARTIAL);
    struct entity *entity = entity_new(&world);

    (void)change(&world, entity, ITEM, "4", S(1), "a=1");
    (void)change(&world, entity, ITEM, "4", S(9), "b=1");
    (void)change(&world, entity, ITEM, "4", S(5), NULL);
    assert_written(&world, entity,
                   "_cell:shop.item:a:4=hidden@1 shop.item:b:4=1@9 shop.item::4=u@9 "
                   "_cell:shop.item::4=partial@9 _tomb:shop.item::4=d@5",
                   "-shop.item:a:4@5");
}

/* ---- tombstones that are purged ---- */

static void purged_full_row_leaves_its_term_in_the_residual(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);
    struct entity *entity = entity_new(&world);

    world.plan->tombstone_retention_us = 100;
    model_reset(&model);
    (void)change(&world, entity, ITEM, "4", S(1), "a=null");
    flush(&world, entity, &model);
    (void)change(&world, entity, ITEM, "4", S(2), NULL);
    (void)change(&world, entity, ORDER, "", S(1000), "no=1");
    (void)write_document(&world, entity, true);
    assert_string_equal(listed(buf_slice(&to_delete)),
                        "-shop.item:a:4@2 -shop.item::4@2 -_weir:shop.item::4@2");
    land(&model, entity);
    uint64_t timestamp, version = entity->version;
    assert_true(slice_equal(model_shows(&model, "_weir:residual", &timestamp), SLICE("2")));
    assert_int_equal(timestamp, 2);
    store_fold(world.store, entity);
    struct entity *read = entity_read(&world, &model);
    assert_same(read, entity, IMAGES_FULL);
    assert_int_equal(read->version, version);
}

/* Nothing of the old row may be taken for a part of a new one of that name. */
static void purged_partial_row_can_come_back(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_PARTIAL);
    struct entity *entity = entity_new(&world);

    world.plan->tombstone_retention_us = 100;
    model_reset(&model);
    (void)change(&world, entity, ITEM, "4", S(1), "a=null;b=\"1\"");
    flush(&world, entity, &model);
    (void)change(&world, entity, ITEM, "4", S(2), NULL);
    (void)change(&world, entity, ORDER, "", S(1000), "no=1");
    flush(&world, entity, &model);
    (void)write_document(&world, entity, true);
    land(&model, entity);
    uint64_t version = entity->version;
    store_fold(world.store, entity);
    assert_same(entity_read(&world, &model), entity, IMAGES_PARTIAL);
    assert_int_equal(entity->version, version);
    (void)change(&world, entity, ITEM, "4", S(2000), "c=\"2\"");
    flush(&world, entity, &model);
    assert_int_equal(entity->rows->n, 2);
    assert_same(entity_read(&world, &model), entity, IMAGES_PARTIAL);
}

/* A residual that came from elsewhere goes along with the next write. */
static void residual_is_written_with_whatever_is_written(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_FULL);

    model_reset(&model);
    model_put(&model, "_weir:residual", "77", 77);
    struct entity *entity = entity_read(&world, &model);
    assert_int_equal(entity->version, 77);
    assert_written(&world, entity, "", "");
    (void)change(&world, entity, ORDER, "", S(1), "no=1");
    (void)write_document(&world, entity, false);
    model_reset(&model);
    land(&model, entity);
    assert_same(entity_read(&world, &model), entity, IMAGES_FULL);
}

/* Each buffer may end anywhere: that is noted, and nothing is written behind it. */
static void a_buffer_that_is_full_says_so(void **state)
{
    (void)state;
    for (int images = 0; images < 2; images++) {
        struct world *world = images == IMAGES_FULL ? &full : &partial;
        struct entity *entity = entity_new(world);

        (void)change(world, entity, ITEM, "4", S(1), "a=null;b=\"1\";c=\"\\ud800\";d=5");
        struct document document = store_document(entity);
        document.sink = 1;
        document.residual = 7;
        buf_reset(&to_put);
        (void)rows_write(world->rows, &document, SLICE("r"), &to_put);
        for (size_t bound = 0, whole = to_put.len; bound < whole; bound++) {
            char *bytes = malloc(bound + 1);
            struct buf small = { .data = bytes, .bound = bound };

            bytes[bound] = '!';
            (void)rows_write(world->rows, &document, SLICE("r"), &small);
            assert_true(small.overflow);
            assert_int_equal(bytes[bound], '!');
            free(bytes);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    rig_open();
    full = world_open(IMAGES_FULL);
    partial = world_open(IMAGES_PARTIAL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_key_is_a_hash_and_the_key),
        cmocka_unit_test(full_row_is_its_columns_and_a_marker),
        cmocka_unit_test(null_is_a_delete_marker_and_a_name),
        cmocka_unit_test(strings_that_look_like_something_else_are_named),
        cmocka_unit_test(column_that_an_image_lacks_is_deleted),
        cmocka_unit_test(column_that_was_read_and_is_lacked_is_deleted),
        cmocka_unit_test(deleted_row_loses_its_columns_and_keeps_a_marker),
        cmocka_unit_test(colons_and_percent_signs_in_names_are_escaped),
        cmocka_unit_test(rows_that_the_sink_has_are_not_sent),
        cmocka_unit_test(partial_row_sends_its_changed_cells_alone),
        cmocka_unit_test(partial_tombstone_hides_older_cells),
        cmocka_unit_test(purged_full_row_leaves_its_term_in_the_residual),
        cmocka_unit_test(purged_partial_row_can_come_back),
        cmocka_unit_test(residual_is_written_with_whatever_is_written),
        cmocka_unit_test(a_buffer_that_is_full_says_so),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, NULL);
}
