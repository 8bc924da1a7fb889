/*
 * rows_fuzz.c: the cells of one HBase row, read as a document's state (drivers/hbase/rows.h).
 *
 *     input: u8 images | cells (cells_fuzz.h)
 *
 * - What is taken is a state that a store can hold, of the version that rows_read() said.
 * - Its document, written as cells and read again, is the same document of the same version.
 */
#include "cells_fuzz.h"
#include "state_fuzz.h"

#include "tests/unit/drivers/hbase_rows_rig.h"

#define ROW "01234567:k"

static struct buf given, rewritten;
static struct arena arena_again;

void fuzz_setup(void)
{
    struct world world;

    state_setup();
    rig_open();
    buf_open(&given, 4 << 20, "cells");
    buf_open(&rewritten, 16 << 20, "cells");
    arena_open(&arena_again, 16 << 20, "a state");
    /* The rig opens what it needs when it is first asked. */
    world = world_open(IMAGES_FULL);
    assert_same(entity_new(&world), entity_new(&world), IMAGES_FULL);
}

static void check_again(struct world *world, const struct document_state *state, uint64_t version,
                        enum images images)
{
    struct entity *entity = state_join(world->store, world->plan, "k", state), *again;
    struct document_state read;
    struct document document;
    uint64_t version_again = 0;
    struct err err;
    unsigned n;

    if (entity == NULL)
        return;
    assert_true(entity->version == version);
    document = store_document(entity);
    if (document.n_rows == 0)
        return; /* Nothing is written of a residual alone. */
    document.sink = 1;
    buf_reset(&rewritten);
    n = rows_write(world->rows, &document, SLICE(ROW), &rewritten);
    assert_false(rewritten.overflow);
    arena_reset(&arena_again);
    if (rows_read(world->rows, fuzz_exact(buf_slice(&rewritten)), n, &arena_again, &read,
                  &version_again, &err) != 0)
        fail_msg("%s: %s", err.text, listed(buf_slice(&rewritten)));
    again = state_join(world->store, world->plan, "again", &read);
    assert_non_null(again);
    assert_same(again, entity, images);
    assert_true(version_again == version);
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };
    enum images images = fuzz_u8(&fuzz) % 2 == 0 ? IMAGES_FULL : IMAGES_PARTIAL;
    struct world world = world_open(images);
    const struct slice row = SLICE(ROW);
    struct document_state state;
    uint64_t version = 0;
    struct err err = { .text = "" };
    unsigned n;

    buf_reset(&given);
    n = fuzz_cells(&fuzz, &row, 1, &given);
    arena_reset(&arena);
    if (rows_read(world.rows, fuzz_exact(buf_slice(&given)), n, &arena, &state, &version, &err) !=
        0) {
        assert_true(err.text[0] != '\0');
        return;
    }
    state_check(world.plan, &state);
    if (state.has_state && !state.other_images)
        check_again(&world, &state, version, images);
}
