/* hbase_rows_random_test.c: documents as cells in histories that nobody thought of. */
#include "hbase_rows_rig.h"

#include <stdlib.h>

#define ROUNDS     300
#define KEPT_MAX   64
#define KEPT_BYTES 65536

static struct model model;
static uint32_t seed;

static uint32_t random_below(uint32_t bound)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed * bound) >> 32);
}

/* Writes that were sent once, to be sent again later. */
static struct kept {
    size_t puts, deletes;
    char bytes[2 * KEPT_BYTES];
} kept[KEPT_MAX];
static unsigned n_kept;

static void keep(void)
{
    struct kept *write = &kept[n_kept < KEPT_MAX ? n_kept++ : random_below(KEPT_MAX)];

    assert_true(to_put.len <= KEPT_BYTES && to_delete.len <= KEPT_BYTES);
    write->puts = to_put.len;
    write->deletes = to_delete.len;
    memcpy(write->bytes, to_put.data, to_put.len);
    memcpy(write->bytes + to_put.len, to_delete.data, to_delete.len);
}

/* A put that was held up somewhere comes late, or both come again. */
static void send_again(void)
{
    if (n_kept == 0)
        return;
    const struct kept *write = &kept[random_below(n_kept)];
    struct slice puts = { write->bytes, write->puts };
    struct slice deletes = { write->bytes + write->puts, random_below(2) * write->deletes };

    model_apply(&model, puts, deletes);
}

/* "a=1;b=null;..." of columns that are there at random. */
static const char *random_fields(void)
{
    static const char *const names[] = { "a", "b", "c:d", "e%", "f\"", "gg" };
    static const char *const values[] = {
        "null",   "1",     "\"1\"",       "true",           "\"true\"", "\"\"",  "{\"x\":[null]}",
        "\"[]\"", "\"x\"", "\"\\ud83d\"", "\"\\u4e2d\\n\"", "\"null\"", "-0.50",
    };
    static char fields[512];
    size_t len = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (random_below(2) == 0)
            len += (size_t)snprintf(fields + len, sizeof(fields) - len, "%s%s=%s",
                                    len > 0 ? ";" : "", names[i],
                                    values[random_below(sizeof(values) / sizeof(values[0]))]);
    fields[len] = '\0';
    return fields;
}

static void random_change(struct world *world, struct entity *entity, uint64_t seqno)
{
    static const char *const ids[] = { "1", "10", "x:y", "" };
    unsigned table = random_below(TABLES);
    const char *id = table == BUYER || table == ORDER ? "" : ids[random_below(4)];

    (void)change(world, entity, table, id, seqno, random_below(4) == 0 ? NULL : random_fields());
}

/* Each seqno is one change, whoever applies it and in what order. */
static void apply_nth(struct world *world, struct entity *entity, uint32_t history, uint32_t nth)
{
    uint32_t back = seed;

    seed = history * 1000003 + nth * 7919;
    random_change(world, entity, S(1 + nth));
    seed = back;
}

/* A process that starts anew: it knows no column, and what it knows of the document it read. */
static struct entity *restart(struct world *world)
{
    world->rows = rows_open(world->plan, SLICE("d"));
    return entity_read(world, &model);
}

/* One writer, any order of events, writes that come again, compactions, restarts: what is read is
 * always what was written. */
static void play(enum images images)
{
    struct world world = world_open(images);

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct entity *entity = entity_new(&world);

        seed = round;
        n_kept = 0;
        model_reset(&model);
        for (int step = 0; step < 12; step++) {
            for (uint32_t n = 1 + random_below(4); n > 0; n--)
                apply_nth(&world, entity, round, random_below(40));
            (void)write_document(&world, entity, false);
            keep();
            land(&model, entity);
            if (random_below(2) == 0)
                send_again();
            if (random_below(4) == 0)
                model_compact(&model);
            if (random_below(2) == 0)
                send_again();
            assert_same(entity_read(&world, &model), entity, images);
            if (random_below(10) == 0 && round < 40)
                entity = restart(&world);
        }
    }
}

static void full_documents_come_back(void **state)
{
    (void)state;
    play(IMAGES_FULL);
}

static void partial_documents_come_back(void **state)
{
    (void)state;
    play(IMAGES_PARTIAL);
}

/* Several writers that each saw some of the changes, and know nothing of each other: HBase joins
 * what they write to what one that saw all would show. (A tombstone of one may delete a cell of
 * another whose seqno nobody then knows.) */
static void writes_of_several_join_in_the_server(enum images images)
{
    struct world world = world_open(images);

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct entity *writers[3], *all = entity_new(&world);

        seed = round;
        n_kept = 0;
        model_reset(&model);
        for (int i = 0; i < 3; i++)
            writers[i] = entity_new(&world);
        for (int step = 0; step < 20; step++) {
            uint32_t nth = random_below(60);
            struct entity *writer = writers[random_below(3)];

            apply_nth(&world, writer, round, nth);
            apply_nth(&world, all, round, nth);
            (void)write_document(&world, writer, false);
            keep();
            land(&model, writer);
            if (random_below(3) == 0)
                send_again();
        }
        assert_shows_same(entity_read(&world, &model), all, images);
    }
}

static void full_writes_of_several_writers_join(void **state)
{
    (void)state;
    writes_of_several_join_in_the_server(IMAGES_FULL);
}

static void partial_writes_of_several_writers_join(void **state)
{
    (void)state;
    writes_of_several_join_in_the_server(IMAGES_PARTIAL);
}

/* ---- hostile cells ---- */

/* A row with something of everything, as a block of cells. */
static unsigned example(struct world *world)
{
    struct entity *entity = entity_new(world);

    (void)change(world, entity, ORDER, "", S(3), "a=1;b=\"1\";c=null;d=\"\\ud83d\"");
    (void)change(world, entity, ITEM, "4", S(5), "a%=\"x\";b={\"a\":[1]}");
    (void)change(world, entity, ITEM, "5", S(4), "a=1");
    (void)change(world, entity, ITEM, "5", S(6), NULL);
    model_reset(&model);
    flush(world, entity, &model);
    model_put(&model, "_weir:residual", "5 [\"shop.old\"]", 5);
    model_put(&model, "shop.old:", "u", S(1));
    buf_reset(&cells);
    return model_cells(&model, &cells);
}

/* What was read, if it could be, must make rows. */
static void read_hostile(struct world *world, struct slice block, unsigned n)
{
    static _Alignas(8) char row[1u << 16];
    struct document_state state;
    struct err err = { 0 };
    uint64_t version, sum;

    arena_reset(&arena);
    if (rows_read(world->rows, block, n, &arena, &state, &version, &err) < 0) {
        assert_true(err.code != 0 && err.text[0] != '\0');
        return;
    }
    sum = state.residual;
    for (unsigned i = 0; i < state.n_changes; i++) {
        assert_true(row_bytes(&state.changes[i]) <= sizeof(row));
        row_write(&state.changes[i], world->plan->images, (struct row *)(void *)row);
        sum += row_term((struct row *)(void *)row, world->plan->images);
    }
    assert_int_equal(sum, version);
}

static void cut_blocks_are_survived(void **state)
{
    (void)state;
    for (int images = 0; images < 2; images++) {
        struct world world = world_open((enum images)images);
        unsigned n = example(&world);

        for (size_t len = 0; len <= cells.len; len++) {
            char *copy = malloc(len + 1); /* so that a look behind the end is seen */
            memcpy(copy, cells.data, len);
            read_hostile(&world, (struct slice){ copy, len }, n);
            free(copy);
        }
    }
}

/* Bytes changed at random, mostly where the lengths stay good. */
static void mutated_blocks_are_survived(void **state)
{
    (void)state;
    static char copy[1u << 16];
    static const char alphabet[] = "{}[]\":,%ud0159\\n\n\xff :_";

    seed = 1;
    for (int images = 0; images < 2; images++) {
        struct world world = world_open((enum images)images);
        unsigned n = example(&world);

        for (int round = 0; round < 30000; round++) {
            assert_true(cells.len <= sizeof(copy));
            memcpy(copy, cells.data, cells.len);
            for (uint32_t i = 1 + random_below(3); i > 0; i--)
                copy[random_below((uint32_t)cells.len)] =
                    random_below(4) == 0 ? (char)random_below(256)
                                         : alphabet[random_below(sizeof(alphabet) - 1)];
            read_hostile(&world, (struct slice){ copy, cells.len }, n);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    rig_open();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_documents_come_back),
        cmocka_unit_test(partial_documents_come_back),
        cmocka_unit_test(full_writes_of_several_writers_join),
        cmocka_unit_test(partial_writes_of_several_writers_join),
        cmocka_unit_test(cut_blocks_are_survived),
        cmocka_unit_test(mutated_blocks_are_survived),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, NULL);
}
