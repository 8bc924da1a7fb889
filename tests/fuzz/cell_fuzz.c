/*
 * cell_fuzz.c: a block of HBase cells (drivers/hbase/cell.h), and the regions that a page of
 * hbase:meta makes of it (meta.h).
 *
 * - Cells written anew from what was read are the bytes that were read.
 * - A block that is cut gives the cells that are whole, and says that it is broken.
 */
#include "fuzz.h"

#include "drivers/hbase/cell.h"
#include "drivers/hbase/meta.h"

static struct buf out;

void fuzz_setup(void)
{
    buf_open(&out, 16 << 20, "cells");
}

static void check_regions(struct slice block)
{
    struct meta_region region;
    size_t before = block.len;
    int more;

    while ((more = meta_next(&block, &region)) == 1) {
        assert_true(block.len < before); /* it gets on */
        before = block.len;
        if (region.serves)
            assert_non_null(memchr(region.target.host, '\0', sizeof(region.target.host)));
    }
    assert_true(more == 0 || more == -1);
}

void fuzz_input(struct slice input)
{
    struct slice whole = fuzz_exact(input), block = whole, part;
    struct dice dice = dice_of(input);
    unsigned n = 0, of_part = 0;
    struct cell cell;
    size_t good, len;
    int more;

    buf_reset(&out);
    while ((more = cell_next(&block, &cell)) == 1) {
        assert_true(slice_within(cell.row, whole) && slice_within(cell.family, whole));
        assert_true(slice_within(cell.qualifier, whole) && slice_within(cell.value, whole));
        cell_put(&out, &cell);
        n++;
    }
    good = whole.len - block.len;
    fuzz_same(buf_slice(&out), (struct slice){ whole.data, good }, "the cells written again");
    check_regions(whole);
    if (n == 0)
        return;
    len = dice_throw(&dice, good);
    part = fuzz_exact((struct slice){ whole.data, len });
    while ((more = cell_next(&part, &cell)) == 1)
        of_part++;
    assert_true(of_part < n && (more == -1 || part.len == 0));
}
