/* hbase_cell_test.c: cells as KeyValueCodec has them. */
#include "../unit.h"

#include "drivers/hbase/cell.h"

static struct buf out;

static const struct cell example = { { "r1", 2 },           { "f", 1 }, { "q", 1 }, { "VAL", 3 },
                                     0x0102030405060708ull, CELL_PUT };

/* The bytes that a real server took and gave. */
static void cell_has_the_bytes_that_the_server_knows(void **state)
{
    (void)state;
    static const char put[] = "\0\0\0\x1b\0\0\0\x10\0\0\0\x03\0\2r1\1fq\1\2\3\4\5\6\7\x8\4VAL";
    static const char delete[] = "\0\0\0\x18\0\0\0\x10\0\0\0\0\0\2r2\1fq\0\0\0\0\0\0\0d\x0c";

    buf_reset(&out);
    cell_put(&out, &example);
    assert_int_equal(out.len, sizeof(put) - 1);
    assert_memory_equal(out.data, put, out.len);
    buf_reset(&out);
    cell_put(&out, &(struct cell){ SLICE("r2"), SLICE("f"), SLICE("q"), SLICE(""), 100,
                                   CELL_DELETE_COLUMN });
    assert_int_equal(out.len, sizeof(delete) - 1);
    assert_memory_equal(out.data, delete, out.len);
}

static void assert_cell(const struct cell *a, const struct cell *b)
{
    assert_true(slice_equal(a->row, b->row) && slice_equal(a->family, b->family));
    assert_true(slice_equal(a->qualifier, b->qualifier) && slice_equal(a->value, b->value));
    assert_int_equal(a->timestamp, b->timestamp);
    assert_int_equal(a->type, b->type);
}

/* Empty parts, high timestamps and unknown types come back as they were. */
static void cells_come_back_as_they_were(void **state)
{
    (void)state;
    const struct cell cells[] = {
        example,
        { SLICE("r"), SLICE("f"), SLICE(""), SLICE(""), 0, 255 },
        { SLICE(""), SLICE(""), SLICE("q\0q"), SLICE("\0"), UINT64_MAX, CELL_DELETE_FAMILY },
    };
    struct cell cell;

    buf_reset(&out);
    for (size_t i = 0; i < 3; i++)
        cell_put(&out, &cells[i]);
    struct slice block = buf_slice(&out);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cell_next(&block, &cell), 1);
        assert_cell(&cell, &cells[i]);
    }
    assert_int_equal(cell_next(&block, &cell), 0);
}

/* A block that ends inside a cell is no block of cells. */
static void a_cut_cell_is_refused(void **state)
{
    (void)state;
    struct cell cell;

    buf_reset(&out);
    cell_put(&out, &example);
    for (size_t len = 1; len < out.len; len++) {
        struct slice block = { out.data, len };
        assert_int_equal(cell_next(&block, &cell), -1);
    }
}

/* Each length is believed only where the others and the block bear it out. */
static void lengths_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        char byte;
    } table[] = {
        { 3, 0x1a },  { 3, 0x1c },       { 0, 0x01 },  { 7, 0x0f },  { 7, 0x11 },  { 11, 0x02 },
        { 11, 0x04 }, { 4, (char)0xff }, { 12, 0x01 }, { 13, 0x05 }, { 16, 0x03 },
    };
    struct cell cell;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        buf_reset(&out);
        cell_put(&out, &example);
        out.data[table[i].at] = table[i].byte;
        struct slice block = buf_slice(&out);
        if (cell_next(&block, &cell) != -1)
            fail_msg("byte %zu", table[i].at);
    }
}

/* Whatever the bytes are, slices stay within the block, and it ends. */
static void random_bytes_never_lead_out_of_the_block(void **state)
{
    (void)state;
    uint32_t random = 1;

    for (int round = 0; round < 20000; round++) {
        struct cell cell;

        buf_reset(&out);
        for (int i = 0; i < 3; i++)
            cell_put(&out, &example);
        for (int i = 0; i < 3; i++) {
            random = random * 1664525 + 1013904223;
            out.data[(random >> 8) % out.len] = (char)(random >> 24 & 0x3f);
        }
        struct slice block = buf_slice(&out);
        while (cell_next(&block, &cell) == 1) {
            const struct slice parts[] = { cell.row, cell.family, cell.qualifier, cell.value };
            for (int i = 0; i < 4; i++)
                assert_true(parts[i].data >= out.data &&
                            parts[i].data + parts[i].len <= out.data + out.len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cell_has_the_bytes_that_the_server_knows),
        cmocka_unit_test(cells_come_back_as_they_were),
        cmocka_unit_test(a_cut_cell_is_refused),
        cmocka_unit_test(lengths_that_do_not_fit_are_refused),
        cmocka_unit_test(random_bytes_never_lead_out_of_the_block),
    };

    buf_open(&out, 1u << 20, "test");
    return UNIT_RUN(tests);
}
