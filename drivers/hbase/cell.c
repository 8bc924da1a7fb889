/*
 * cell.c: one cell to bytes and back.
 *
 *     | len | klen | vlen | rl | row | f | family | qualifier | timestamp | type | value |
 *       4 B   4      4      2          1                        8           1
 *
 * All integers are big-endian. Nothing says how long the qualifier is: it is what the key has left.
 * So every other length is checked against what is around it before it is believed, and a cell that
 * is good by its lengths is good: its bytes mean nothing here.
 *
 * The writer of rows (rows_write.c) has a shorter way of its own, because there all but the column
 * and the value stays the same from cell to cell; its test compares the two.
 *
 * What this does not do: tags (another codec), or judge types and timestamps.
 */
#include "drivers/hbase/cell.h"

#include "drivers/hbase/rows_internal.h"

#define KEY_BYTES_MIN 12 /* of a key with nothing in it: 2 + 1 + 8 + 1 */

static void put_u32(struct buf *out, uint64_t number)
{
    char bytes[4];

    bytes_from_u32(bytes, (uint32_t)number);
    buf_put(out, bytes, sizeof(bytes));
}

void cell_put(struct buf *out, const struct cell *cell)
{
    size_t key = KEY_BYTES_MIN + cell->row.len + cell->family.len + cell->qualifier.len;
    char timestamp[8];

    ASSERT(cell->row.len <= UINT16_MAX && cell->family.len <= UINT8_MAX);
    ASSERT(8 + key + cell->value.len <= UINT32_MAX);
    put_u32(out, 8 + key + cell->value.len);
    put_u32(out, key);
    put_u32(out, cell->value.len);
    buf_put_char(out, (char)(cell->row.len >> 8));
    buf_put_char(out, (char)cell->row.len);
    buf_put_slice(out, cell->row);
    buf_put_char(out, (char)cell->family.len);
    buf_put_slice(out, cell->family);
    buf_put_slice(out, cell->qualifier);
    bytes_from_u64(timestamp, cell->timestamp);
    buf_put(out, timestamp, sizeof(timestamp));
    buf_put_char(out, (char)cell->type);
    buf_put_slice(out, cell->value);
}

static uint64_t number_at(const char *at, unsigned bytes)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < bytes; i++)
        number = number << 8 | (unsigned char)at[i];
    return number;
}

/* Takes the key apart; false where its lengths do not fit. */
static bool take_key(struct slice key, struct cell *cell)
{
    const char *end = key.data + key.len;
    size_t row_len, family_len, left = key.len;

    if (left < KEY_BYTES_MIN)
        return false;
    left -= KEY_BYTES_MIN;
    row_len = number_at(key.data, 2);
    if (row_len > left)
        return false;
    left -= row_len;
    cell->row = (struct slice){ key.data + 2, row_len };
    family_len = (unsigned char)key.data[2 + row_len];
    if (family_len > left)
        return false;
    left -= family_len;
    cell->family = (struct slice){ key.data + 3 + row_len, family_len };
    cell->qualifier = (struct slice){ cell->family.data + family_len, left };
    cell->timestamp = number_at(end - 9, 8);
    cell->type = (uint8_t)end[-1];
    return true;
}

int cell_next(struct slice *block, struct cell *cell)
{
    uint64_t len, key_len, value_len;

    if (block->len == 0)
        return 0;
    if (block->len < CELL_BYTES_MIN)
        return -1;
    len = number_at(block->data, 4);
    key_len = number_at(block->data + 4, 4);
    value_len = number_at(block->data + 8, 4);
    if (len != 8 + key_len + value_len || len > block->len - 4)
        return -1;
    if (!take_key((struct slice){ block->data + 12, key_len }, cell))
        return -1;
    cell->value = (struct slice){ block->data + 12 + key_len, value_len };
    block->data += 4 + len;
    block->len -= 4 + len;
    return 1;
}
