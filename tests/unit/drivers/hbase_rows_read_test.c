/* hbase_rows_read_test.c: cells as states, one rule after the other. */
#include "hbase_rows_rig.h"

#include <stdlib.h>

static struct world full, partial;
static struct model model;

/* ---- what is read ---- */

static int read_model(struct world *world, struct document_state *out)
{
    struct err err = { 0 };
    uint64_t version;

    return read_back(world, &model, out, &version, &err);
}

/* The state's only value of one column. */
static struct slice only_value(const struct document_state *out)
{
    assert_int_equal(out->n_changes, 1);
    assert_int_equal(out->changes[0].n_fields, 1);
    return out->changes[0].fields[0].value;
}

/* Cells that weir did not write, or whose writer did not come to the marker, are no state. */
static void without_a_marker_there_is_no_state(void **state)
{
    (void)state;
    struct document_state out;

    model_reset(&model);
    assert_int_equal(read_model(&full, &out), 0);
    assert_false(out.has_state);
    model_put(&model, "shop.order:a", "1", S(1));
    model_put(&model, "_weir:shop.order:", "{", S(1));
    model_put(&model, "nonsense", "1", S(1));
    model_put(&model, "_weir:", "1", S(1));
    model_put(&model, ":", "1", S(1));
    assert_int_equal(read_model(&full, &out), 0);
    assert_false(out.has_state);
    assert_int_equal(out.n_changes, 0);
    model_put(&model, "shop.order:", "u", S(1));
    model_delete(&model, "_weir:shop.order:", S(1));
    assert_int_equal(read_model(&full, &out), 0);
    assert_true(out.has_state);
    assert_true(slice_equal(only_value(&out), SLICE("1")));
}

/* What a state of changes promises to whoever joins it. */
static void changes_are_as_document_parse_makes_them(void **state)
{
    (void)state;
    struct document_state out;

    model_reset(&model);
    model_put(&model, "shop.item::4", "d", S(4));
    model_put(&model, "shop.item::10", "u", S(5));
    model_put(&model, "shop.item:a:10", "1", S(5));
    assert_int_equal(read_model(&full, &out), 0);
    assert_int_equal(out.n_changes, 2);
    assert_int_equal(out.partition, -1);
    assert_true(slice_equal(out.changes[0].row_id, SLICE("4"))); /* in the order of rows */
    assert_int_equal(out.changes[0].op, CHANGE_DELETE);
    assert_int_equal(out.changes[0].tombstone, S(4));
    assert_int_equal(out.changes[1].op, CHANGE_UPSERT);
    assert_int_equal(out.changes[1].offset, -1);
    assert_int_equal(out.changes[1].partition, 0xffff);
    assert_int_equal(out.changes[1].fields[0].seqno, 0);
}

/* An older put that a compaction uncovered, or a column that nobody deleted. */
static void cells_beside_the_marker_of_a_full_row_are_remains(void **state)
{
    (void)state;
    struct document_state out;

    model_reset(&model);
    model_put(&model, "shop.order:", "u", S(5));
    model_put(&model, "shop.order:a", "1", S(5));
    model_put(&model, "shop.order:b", "1", S(4));
    model_put(&model, "_weir:shop.order:", "{\"null\":[\"c\"],\"text\":[\"a\"]}", S(4));
    assert_int_equal(read_model(&full, &out), 0);
    assert_true(slice_equal(only_value(&out), SLICE("1")));
}

/* HBase gives one version; who asks for more still gets the newest. */
static void the_newest_version_counts(void **state)
{
    (void)state;
    struct document_state out;
    struct err err = { 0 };
    uint64_t version;
    static const struct {
        const char *qualifier, *value;
        uint64_t timestamp;
    } given[] = { { "shop.order:a", "1", S(1) }, { "shop.order:", "u", S(1) },
                  { "shop.order:", "u", S(2) },  { "shop.order:a", "2", S(2) },
                  { "shop.order:a", "0", S(0) }, { "_weir:residual", "5", 5 },
                  { "_weir:residual", "4", 4 } };

    buf_reset(&cells);
    arena_reset(&arena);
    for (int i = 0; i < 7; i++)
        cell_put(&cells, &(struct cell){ SLICE("r"), SLICE("d"), slice_of(given[i].qualifier),
                                         slice_of(given[i].value), given[i].timestamp, CELL_PUT });
    assert_int_equal(rows_read(full.rows, buf_slice(&cells), 7, &arena, &out, &version, &err), 0);
    assert_true(slice_equal(only_value(&out), SLICE("2")));
    assert_int_equal(version, 2 + 5);
}

static void delete_markers_and_other_families_are_left_out(void **state)
{
    (void)state;
    struct document_state out;
    struct err err = { 0 };
    uint64_t version;
    struct cell marker = { SLICE("r"), SLICE("d"), SLICE("shop.order:"),
                           SLICE("u"), S(1),       CELL_DELETE_COLUMN };

    buf_reset(&cells);
    arena_reset(&arena);
    cell_put(&cells, &marker);
    marker.type = CELL_PUT;
    marker.family = SLICE("e");
    cell_put(&cells, &marker);
    assert_int_equal(rows_read(full.rows, buf_slice(&cells), 2, &arena, &out, &version, &err), 0);
    assert_false(out.has_state);
}

/* What another program laid out over lines must not break a body of lines. */
static void json_over_several_lines_is_read_as_one(void **state)
{
    (void)state;
    struct document_state out;

    model_reset(&model);
    model_put(&model, "shop.order:", "u", S(1));
    model_put(&model, "shop.order:a", "{\"a b\": [1,\r\n\t2, \"\\\" \\n\"]\n}", S(1));
    assert_int_equal(read_model(&full, &out), 0);
    assert_true(slice_equal(only_value(&out), SLICE("{\"a b\":[1,2,\"\\\" \\n\"]}")));
    model_put(&model, "shop.order:a", "[1\n", S(1));
    assert_int_equal(read_model(&full, &out), 0);
    assert_true(slice_equal(only_value(&out), SLICE("\"[1\\n\"")));
}

/* Whatever a value looks like, it comes back as it was. */
static void every_kind_of_value_comes_back(void **state)
{
    (void)state;
    static const char *const values[] = {
        "null",
        "true",
        "false",
        "0",
        "-1.5e+7",
        "12345678901234567890.10",
        "[]",
        "{}",
        "\"\"",
        "{\"a\":[1,{\"b\":null}]}",
        "\"null\"",
        "\"true\"",
        "\"false\"",
        "\"True\"",
        "\"0\"",
        "\"00\"",
        "\"-1.5e+7\"",
        "\"1.\"",
        "\" 1\"",
        "\"1 \"",
        "\"[]\"",
        "\"[1,]\"",
        "\"{}\"",
        "\"{\\\"a\\\":1}\"",
        "\"{\\\"a\\\":\\n1}\"",
        "\"\\\"a\\\"\"",
        "\"\\u0031\"",
        "\"\\u0000\"",
        "\"\\\\ \\/ \\b\\f\\n\\r\\t\"",
        "\"张三 \\u4e2d\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\ud83d\\ude00\"",
        "\"\\ud83d x\"",
        "\"\\ud83d\\n\"",
        "\"\\uD83D\\u0041\"",
        "\"\x7f\"",
        "\"2026-02-28 10:00:00\"",
        "\"\\\\ud83d\"",
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        for (int images = 0; images < 2; images++) {
            struct world *world = images == IMAGES_FULL ? &full : &partial;
            struct entity *entity = entity_new(world);
            char fields[128];

            snprintf(fields, sizeof(fields), "a=%s;b=1", values[i]);
            (void)change(world, entity, ORDER, "", S(3), fields);
            model_reset(&model);
            flush(world, entity, &model);
            assert_same(entity_read(world, &model), entity, (enum images)images);
        }
}

/* Nothing but a string's escapes may differ, down to the row's block; here there are none. */
static void row_read_back_is_the_same_block(void **state)
{
    (void)state;
    for (int images = 0; images < 2; images++) {
        struct world *world = images == IMAGES_FULL ? &full : &partial;
        struct entity *entity = entity_new(world);

        (void)change(world, entity, ITEM, "4", S(3), "a=1;b=\"x\";c=\"1\";d=[2]");
        model_reset(&model);
        flush(world, entity, &model);
        struct row *one = entity->rows->rows[0];
        struct row *other = entity_read(world, &model)->rows->rows[0];
        if (images == IMAGES_FULL)
            assert_memory_equal(one->body, other->body, one->bytes - sizeof(*one));
        assert_int_equal(one->bytes, other->bytes);
        assert_int_equal(one->seqno, other->seqno);
        assert_int_equal(one->tombstone, other->tombstone);
        assert_int_equal(one->value_bytes, other->value_bytes);
    }
}

/* ---- images that are not the plan's ---- */

static void partial_rows_are_not_read_for_full_images(void **state)
{
    (void)state;
    struct document_state out;
    struct entity *entity = entity_new(&partial);

    (void)change(&partial, entity, ORDER, "", S(3), "a=1");
    model_reset(&model);
    flush(&partial, entity, &model);
    model_put(&model, "shop.buyer:", "u", S(1));
    assert_int_equal(read_model(&full, &out), 0);
    assert_true(out.has_state && out.other_images);
    assert_int_equal(out.n_changes, 0);
}

/* All fields have the row's seqno, a deletion is a tombstone; NULLs and texts are what they were,
 * also when some of the row was written again. */
static void full_rows_are_read_for_partial_images(void **state)
{
    (void)state;
    struct world world = world_open(IMAGES_PARTIAL);
    struct entity *entity = entity_new(&full);

    (void)change(&full, entity, ITEM, "4", S(3), "a=\"1\";b=null;c=\"\\ud800\";d=4");
    (void)change(&full, entity, ITEM, "5", S(4), NULL);
    model_reset(&model);
    flush(&full, entity, &model);
    struct entity *read = entity_read(&world, &model), *wanted = entity_new(&world);
    (void)change(&world, wanted, ITEM, "4", S(3), "a=\"1\";b=null;c=\"\\ud800\";d=4");
    (void)change(&world, wanted, ITEM, "5", S(4), NULL);
    assert_same(read, wanted, IMAGES_PARTIAL);
    assert_int_equal(read->version, 3 * 4 + 4);
    (void)change(&world, read, ITEM, "4", S(2), "e=5");
    (void)change(&world, read, ITEM, "4", S(6), "a=7"); /* no text any more */
    flush(&world, read, &model);
    assert_same(entity_read(&world, &model), read, IMAGES_PARTIAL);
}

/* As merge.c has it: a tombstone hides what is older, not what is as old. */
static void cell_as_old_as_the_tombstone_is_shown(void **state)
{
    (void)state;
    struct document_state out;

    model_reset(&model);
    model_put(&model, "shop.order:", "u", S(5));
    model_put(&model, "_cell:shop.order:", "partial", S(5));
    model_put(&model, "_tomb:shop.order:", "d", S(5));
    model_put(&model, "shop.order:a", "1", S(5));
    assert_int_equal(read_model(&partial, &out), 0);
    assert_true(slice_equal(only_value(&out), SLICE("1")));
    model_put(&model, "_tomb:shop.order:", "d", S(6));
    assert_int_equal(read_model(&partial, &out), 0);
    assert_null(only_value(&out).data);
}

/* ---- what the plan does not map any more ---- */

/* No version may fall, and reading again and again must not raise it either. */
static void terms_of_an_unmapped_table_go_into_the_residual_once(void **state)
{
    (void)state;
    for (int images = 0; images < 2; images++) {
        struct world *all = images == IMAGES_FULL ? &full : &partial;
        struct world less = world_of(plan_make((enum images)images, ITEM));
        struct entity *entity = entity_new(all);

        (void)change(all, entity, ORDER, "", S(3), "a=1");
        (void)change(all, entity, ITEM, "4", S(10), "a=1;b=null");
        (void)change(all, entity, ITEM, "4", S(20), NULL);
        (void)change(all, entity, ITEM, "5", S(30), "a=1;b=\"1\"");
        model_reset(&model);
        flush(all, entity, &model);
        struct entity *read = entity_read(&less, &model);
        assert_int_equal(read->version, entity->version);
        assert_int_equal(read->residual, images == IMAGES_FULL ? 50 : 10 + 10 + 20 + 30 + 30);
        for (unsigned i = 40; i < 44; i++) {
            (void)change(&less, read, ORDER, "", S(i), "a=2");
            flush(&less, read, &model);
            assert_same(entity_read(&less, &model), read, (enum images)images);
        }
        struct world restarted = world_of(plan_make((enum images)images, ITEM));
        assert_int_equal(entity_read(&restarted, &model)->version, read->version);
    }
}

static void terms_of_an_unmapped_column_go_into_the_residual_once(void **state)
{
    (void)state;
    static const struct plan_rename names[] = { { { "a", 1 }, { "renamed", 7 } } };
    static const struct plan_table table = { .name = { "shop.order", 10 } };
    struct plan *plan = plan_make(IMAGES_PARTIAL, ORDER);
    struct entity *entity = entity_new(&partial);

    plan_add_table(plan, &table, names, 1);
    struct world less = world_of(plan);
    (void)change(&partial, entity, ORDER, "", S(3), "renamed=1;b=2;c=null");
    (void)change(&partial, entity, ORDER, "", S(5), "b=2");
    model_reset(&model);
    flush(&partial, entity, &model);
    struct entity *read = entity_read(&less, &model);
    assert_int_equal(read->rows->rows[0]->n_fields, 1);
    assert_int_equal(read->residual, 5 + 3);
    assert_int_equal(read->version, entity->version);
    (void)change(&less, read, ORDER, "", S(6), "a=2");
    flush(&less, read, &model);
    assert_same(entity_read(&less, &model), read, IMAGES_PARTIAL);
}

/* Full rows have no terms for their columns. */
static void unmapped_columns_of_a_full_row_are_left_out(void **state)
{
    (void)state;
    static const struct plan_rename names[] = { { { "a", 1 }, { "a", 1 } } };
    static const struct plan_table table = { .name = { "shop.order", 10 } };
    struct plan *plan = plan_make(IMAGES_FULL, ORDER);
    struct document_state out;

    plan_add_table(plan, &table, names, 1);
    struct world less = world_of(plan);
    model_reset(&model);
    model_put(&model, "shop.order:", "u", S(1));
    model_put(&model, "shop.order:a", "1", S(1));
    model_put(&model, "shop.order:b", "1", S(1));
    model_put(&model, "_weir:shop.order:", "{\"null\":[\"c\"],\"text\":[\"b\"]}", S(1));
    assert_int_equal(read_model(&less, &out), 0);
    assert_true(slice_equal(only_value(&out), SLICE("1")));
    assert_int_equal(out.residual, 0);
}

/* ---- what cannot be a state ---- */

struct broken {
    const char *what, *qualifier, *value;
    uint64_t timestamp;
};

static void assert_broken(struct world *world, const struct broken *broken)
{
    struct document_state out;

    model_put(&model, broken->qualifier, broken->value, broken->timestamp);
    if (read_model(world, &out) != -1)
        fail_msg("%s", broken->what);
}

static void broken_full_rows_are_refused(void **state)
{
    (void)state;
    static const struct broken table[] = {
        { "marker's letter", "shop.order:", "x", S(2) },
        { "marker too old", "shop.buyer:", "u", SEQNO_EPOCH },
        { "marker too new", "shop.order:", "u", SEQNO_MAX + 1 },
        { "`_weir` is no JSON", "_weir:shop.order:", "{", S(1) },
        { "`_weir` is no object", "_weir:shop.order:", "[]", S(1) },
        { "a list is no list", "_weir:shop.order:", "{\"null\":{\"a\":1}}", S(1) },
        { "a name is no string", "_weir:shop.order:", "{\"text\":[1]}", S(1) },
        { "JSON that is none", "_weir:shop.order:", "{\"json\":[\"a\"]}", S(1) },
        { "no UTF-8", "shop.order:a", "\xff", S(1) },
        { "residual", "_weir:residual", "9223372036854775808", 5 },
        { "residual is no number", "_weir:residual", "-1", 5 },
        { "residual's list", "_weir:residual", "5 {}", 5 },
        { "version", "_weir:residual", "9223372036854775807", 5 },
        { "row id of a 1:1 table", "shop.order::4", "u", S(1) },
        { "no row id", "shop.item:", "u", S(1) },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        model_reset(&model);
        model_put(&model, "shop.order:", "u", S(1));
        model_put(&model, "shop.order:a", "x", S(1));
        assert_broken(&full, &table[i]);
    }
}

static void broken_partial_rows_are_refused(void **state)
{
    (void)state;
    static const struct broken table[] = {
        { "gone without a tombstone", "_cell:shop.order:a", "hidden", S(2) },
        { "a note that is none", "_cell:shop.order:b", "?", S(2) },
        { "cell's timestamp", "shop.order:b", "1", SEQNO_EPOCH },
        { "tombstone's timestamp", "_tomb:shop.order:", "d", SEQNO_EPOCH - 1 },
        { "deleted without a tombstone", "shop.order:", "d", S(3) },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        model_reset(&model);
        model_put(&model, "shop.order:", "u", S(1));
        model_put(&model, "_cell:shop.order:", "partial", S(1));
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            model_put(&model, "shop.order:a", "x", S(1));
        assert_broken(&partial, &table[i]);
    }
}

static void row_id_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char qualifier[ROW_ID_BYTES_MAX + 32] = "shop.item::";
    struct broken broken = { "long row id", qualifier, "u", S(1) };

    memset(qualifier + 11, 'x', ROW_ID_BYTES_MAX + 1);
    model_reset(&model);
    assert_broken(&full, &broken);
}

static void cells_of_two_rows_are_refused(void **state)
{
    (void)state;
    struct document_state out;
    struct err err = { 0 };
    uint64_t version;

    buf_reset(&cells);
    for (int i = 0; i < 2; i++)
        cell_put(&cells, &(struct cell){ i == 0 ? SLICE("r") : SLICE("s"), SLICE("d"),
                                         SLICE("shop.order:"), SLICE("u"), S(1), CELL_PUT });
    assert_int_equal(rows_read(full.rows, buf_slice(&cells), 2, &arena, &out, &version, &err), -1);
    assert_int_equal(rows_read(full.rows, buf_slice(&cells), 3, &arena, &out, &version, &err), -1);
    assert_int_equal(rows_read(full.rows, buf_slice(&cells), 1, &arena, &out, &version, &err), 0);
}

/* An arena that is too small is an error, wherever it ends. */
static void an_arena_that_is_full_says_so(void **state)
{
    (void)state;
    struct entity *entity = entity_new(&full);
    struct document_state out;
    struct err err = { 0 };
    uint64_t version;

    (void)change(&full, entity, ITEM, "4", S(1), "a=null;b=\"1\";c=\"\\ud800\";d=\"x\"");
    model_reset(&model);
    flush(&full, entity, &model);
    buf_reset(&cells);
    unsigned n = model_cells(&model, &cells);
    bool done = false;
    for (size_t bound = 0; !done; bound += 8) {
        struct arena small = { .base = malloc(bound + 1), .bound = bound };
        done = rows_read(full.rows, buf_slice(&cells), n, &small, &out, &version, &err) == 0;
        free(small.base);
    }
    assert_int_equal(entity_read(&full, &model)->version, 1);
}

/* 10,000 rows of 15 columns: their cells come column by column. */
static void large_documents_are_read_in_order(void **state)
{
    (void)state;
    enum { N_ROWS = 10000, N_COLUMNS = 15 };
    static struct buf block;
    struct document_state out;
    struct err err = { 0 };
    uint64_t version;
    char qualifier[64], value[16];

    buf_open(&block, 64u << 20, "test");
    for (int column_at = 0; column_at <= N_COLUMNS; column_at++)
        for (int id = 0; id < N_ROWS; id++) {
            snprintf(qualifier, sizeof(qualifier), "shop.item:%.*s:%d", column_at > 0,
                     &"?abcdefghijklmno"[column_at], id);
            snprintf(value, sizeof(value), "%d", id);
            cell_put(&block, &(struct cell){ SLICE("r"), SLICE("d"), slice_of(qualifier),
                                             column_at > 0 ? slice_of(value) : SLICE("u"), S(1),
                                             CELL_PUT });
        }
    arena_reset(&arena);
    assert_int_equal(rows_read(full.rows, buf_slice(&block), N_ROWS * (N_COLUMNS + 1), &arena, &out,
                               &version, &err),
                     0);
    assert_int_equal(out.n_changes, N_ROWS);
    assert_int_equal(version, N_ROWS);
    for (int id = 0; id < N_ROWS; id++) {
        snprintf(value, sizeof(value), "%d", id);
        assert_true(slice_equal(out.changes[id].row_id, slice_of(value)));
        assert_int_equal(out.changes[id].n_fields, N_COLUMNS);
        assert_true(slice_equal(out.changes[id].fields[14].value, slice_of(value)));
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
        cmocka_unit_test(without_a_marker_there_is_no_state),
        cmocka_unit_test(changes_are_as_document_parse_makes_them),
        cmocka_unit_test(cells_beside_the_marker_of_a_full_row_are_remains),
        cmocka_unit_test(the_newest_version_counts),
        cmocka_unit_test(delete_markers_and_other_families_are_left_out),
        cmocka_unit_test(json_over_several_lines_is_read_as_one),
        cmocka_unit_test(every_kind_of_value_comes_back),
        cmocka_unit_test(row_read_back_is_the_same_block),
        cmocka_unit_test(partial_rows_are_not_read_for_full_images),
        cmocka_unit_test(full_rows_are_read_for_partial_images),
        cmocka_unit_test(cell_as_old_as_the_tombstone_is_shown),
        cmocka_unit_test(terms_of_an_unmapped_table_go_into_the_residual_once),
        cmocka_unit_test(terms_of_an_unmapped_column_go_into_the_residual_once),
        cmocka_unit_test(unmapped_columns_of_a_full_row_are_left_out),
        cmocka_unit_test(broken_full_rows_are_refused),
        cmocka_unit_test(broken_partial_rows_are_refused),
        cmocka_unit_test(row_id_that_is_too_long_is_refused),
        cmocka_unit_test(cells_of_two_rows_are_refused),
        cmocka_unit_test(an_arena_that_is_full_says_so),
        cmocka_unit_test(large_documents_are_read_in_order),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, NULL);
}
