/*
 * get_fuzz.c: what HBase answers when states are read back (drivers/hbase/get.h): three keys, two
 * of them on one server.
 *
 *     input: u16 length | answer of the first server | its cells (cells_fuzz.h), of the rows of its
 *     two keys and of another one; the second server says "absent"
 *
 * - The lookup ends, whatever comes, and what it found is a state that a store can hold, made of
 *   cells whose row is the key's.
 * - The same answer with cells that were cut gives no state at all.
 */
#include "fuzz.h"

#include "cells_fuzz.h"
#include "state_fuzz.h"

#include "tests/unit/drivers/hbase_fake.h"

#include "drivers/hbase/get.h"

#define KEYS 3u

static struct get_shared shared;
static struct get get;
static struct slice keys[KEYS], row_keys[KEYS];
static struct buf block;

void fuzz_setup(void)
{
    static struct route_scratch scratch;

    state_setup();
    fake_bufs_open();
    route_scratch_open(&scratch, GET_KEYS_MAX);
    shared = (struct get_shared){ .env = &fake_env,
                                  .rows = rows_open(fake_plan(), SLICE("d")),
                                  .scratch = &scratch,
                                  .table = "orders",
                                  .family = SLICE("d"),
                                  .arena_bytes_max = 1 << 20,
                                  .keys_max = GET_KEYS_MAX };
    get_open(&get, &shared);
    keys[0] = KEY_OF_A(0);
    keys[1] = KEY_OF_A(1);
    keys[2] = KEY_OF_B(0);
    shared.locate = fake_located();
    buf_open(&block, 1 << 20, "cells");
    for (unsigned i = 0; i < KEYS; i++) {
        static char bytes[KEYS][ROWS_KEY_BYTES_MAX];
        struct buf row = { .data = bytes[i], .bound = sizeof(bytes[i]) };

        rows_key(keys[i], &row);
        row_keys[i] = buf_slice(&row);
    }
}

/* Is there a cell of the row? */
static bool has_cell(struct slice cells, struct slice row)
{
    struct cell cell;

    while (cell_next(&cells, &cell) == 1)
        if (slice_equal(cell.row, row))
            return true;
    return false;
}

/* How many were found. */
static unsigned play(struct slice answer, struct slice cells)
{
    const struct buf answer_buf = { .data = (char *)(uintptr_t)answer.data, .len = answer.len };
    const struct buf cells_buf = { .data = (char *)(uintptr_t)cells.data, .len = cells.len };
    unsigned found = 0;

    shared.keys_max = GET_KEYS_MAX;
    shared.telling = (struct log_limit){ 0, 0 };
    get.state = GET_FREE;
    get_begin(&get);
    for (unsigned i = 0; i < KEYS; i++)
        assert_true(get_add(&get, keys[i]));
    get_submit(&get);
    assert_int_equal(fake.n, 2);
    fake_answer(0, &answer_buf, &cells_buf);
    fake_answer_all(0);
    assert_int_equal(get.state, GET_DONE);
    for (unsigned i = 0; i < KEYS; i++) {
        const struct lookup_item *item = &get.lookup.items[i];

        assert_true(item->found <= LOOKUP_AGAIN && item->n_states <= 1);
        assert_true(item->found != LOOKUP_BROKEN || item->reason.len > 0);
        if (item->found != LOOKUP_FOUND)
            continue;
        found++;
        assert_true(has_cell(cells, row_keys[i]));
        for (unsigned s = 0; s < item->n_states; s++)
            state_check(fake_plan(), &item->states[s]);
    }
    assert_int_equal(get.lookup.items[2].found, LOOKUP_ABSENT);
    fake_settle(shared.locate);
    return found;
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };
    struct dice dice = dice_of(input);
    size_t len = fuzz_u16(&fuzz);
    struct slice answer = fuzz_exact(fuzz_bytes(&fuzz, len)), cells;

    buf_reset(&block);
    (void)fuzz_cells(&fuzz, row_keys, KEYS, &block);
    cells = fuzz_exact(buf_slice(&block));
    if (play(answer, cells) > 0) {
        cells = fuzz_exact((struct slice){ cells.data, dice_throw(&dice, cells.len) });
        assert_int_equal(play(answer, cells), 0);
    }
}
