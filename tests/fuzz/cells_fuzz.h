/*
 * cells_fuzz.h: an input as a block of HBase cells, so that what is tried is what they say and not
 * how they are framed (cell_fuzz.c tries that).
 *
 *     (u8 qualifier length | u8 value length | u16 timestamp | u8 type and row | qualifier |
 *      value)...      a timestamp is so many microseconds after the epoch; from 65000 on it is bare
 */
#ifndef WEIR_TESTS_FUZZ_CELLS_H
#define WEIR_TESTS_FUZZ_CELLS_H

#include "fuzz.h"

#include "dataplane/clock.h"
#include "drivers/hbase/cell.h"

#define CELLS_MAX 512u

/* Appends the cells, of these rows; how many. */
static inline unsigned fuzz_cells(struct fuzz *fuzz, const struct slice *rows, unsigned n_rows,
                                  struct buf *out)
{
    static const uint8_t types[] = { CELL_PUT,    CELL_PUT,           CELL_PUT,
                                     CELL_DELETE, CELL_DELETE_COLUMN, CELL_DELETE_FAMILY };
    unsigned n = 0;

    while (fuzz->left.len > 0 && n < CELLS_MAX) {
        size_t qualifier = fuzz_u8(fuzz), value = fuzz_u8(fuzz);
        unsigned when = fuzz_u16(fuzz), what = fuzz_u8(fuzz);
        struct cell cell = { .row = rows[what / 6 % n_rows], .family = SLICE("d") };

        cell.type = types[what % 6];
        cell.timestamp = when < 65000 ? SEQNO_EPOCH + when : when - 65000;
        cell.qualifier = fuzz_bytes(fuzz, qualifier);
        cell.value = fuzz_bytes(fuzz, value);
        cell_put(out, &cell);
        n++;
    }
    assert_false(out->overflow);
    return n;
}

#endif
