/*
 * cell.h: cells as KeyValueCodec writes them, without tags.
 *
 *     u32 len (8 + klen + vlen) | u32 klen | u32 vlen | key | value
 *     key: u16 row length | row | u8 family length | family | qualifier | u64 timestamp | u8 type
 *
 * Source: hbase-rpc.md; HBase's org.apache.hadoop.hbase.KeyValue. Any thread.
 */
#ifndef WEIR_HBASE_CELL_H
#define WEIR_HBASE_CELL_H

#include "dataplane/base/arena.h"

#include <stdbool.h>

enum cell_type { CELL_PUT = 4, CELL_DELETE = 8, CELL_DELETE_COLUMN = 12, CELL_DELETE_FAMILY = 14 };

struct cell {
    struct slice row, family, qualifier, value;
    uint64_t timestamp;
    uint8_t type; /* enum cell_type, or another that a server sends */
};

/* Appends one cell. */
void cell_put(struct buf *out, const struct cell *cell);

/* Steps through a block of cells: 1 = a cell whose slices point into the block, 0 = the end, -1 =
 * what is left is no cell (lengths that do not fit each other or the block). *block moves on. */
MUST_CHECK int cell_next(struct slice *block, struct cell *cell);

#endif
