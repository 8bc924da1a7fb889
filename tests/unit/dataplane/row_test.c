/* row_test.c: rows as blocks, their term in the version, and the order of row ids. */
#include "../unit.h"

#include "dataplane/clock.h"
#include "dataplane/row.h"

#define S(n) (SEQNO_EPOCH + (n))

static _Alignas(8) char block_bytes[1 << 20];

static struct row *written(const struct change *change, enum images images)
{
    struct row *row = (struct row *)(void *)block_bytes;

    assert_true(row_bytes(change) <= sizeof(block_bytes));
    memset(block_bytes, 0x55, sizeof(block_bytes));
    row_write(change, images, row);
    assert_int_equal(row->bytes, row_bytes(change));
    assert_int_equal(block_bytes[row->bytes], 0x55); /* Not a byte more. */
    return row;
}

static void assert_field(struct row_cursor *cursor, uint16_t column, uint64_t seqno,
                         struct slice value)
{
    struct field field;

    assert_true(row_next(cursor, &field));
    assert_int_equal(field.column, column);
    assert_int_equal(field.seqno, seqno);
    assert_true(slice_equal(field.value, value));
    assert_true((field.value.data == NULL) == (value.data == NULL));
}

/* An upsert of full images comes out as it went in; its only term is the row's. */
static void full_row_keeps_fields_in_order(void **state)
{
    struct field fields[] = { { .column = 3, .value = SLICE("null") },
                              { .column = 4095, .value = SLICE("\"x\"") },
                              { .column = 0, .value = SLICE("365.30") } };
    struct change change = { .seqno = S(77),
                             .row_id = SLICE("a\"b"),
                             .table = 5,
                             .op = CHANGE_UPSERT,
                             .n_fields = 3,
                             .fields = fields };
    struct row *row = written(&change, IMAGES_FULL);
    struct row_cursor cursor;
    struct field field;

    (void)state;
    assert_int_equal(row->table, 5);
    assert_int_equal(row->value_bytes, 13);
    assert_true(slice_equal(row_id(row), SLICE("a\"b")));
    assert_true(row_alive(row));
    assert_int_equal(row_term(row, IMAGES_FULL), 77);
    row_fields(row, &cursor);
    assert_field(&cursor, 3, S(77), SLICE("null"));
    assert_field(&cursor, 4095, S(77), SLICE("\"x\""));
    assert_field(&cursor, 0, S(77), SLICE("365.30"));
    assert_false(row_next(&cursor, &field));
}

/* A deleted row has nothing to show, and its term stays. */
static void deleted_row_keeps_its_term(void **state)
{
    struct change change = { .seqno = S(9), .op = CHANGE_DELETE };

    (void)state;
    for (int images = IMAGES_FULL; images <= IMAGES_PARTIAL; images++) {
        struct row *row = written(&change, (enum images)images);

        assert_int_equal(row->tombstone, S(9));
        assert_false(row_alive(row));
        assert_int_equal(row_term(row, (enum images)images), 9);
    }
}

/* Each cell of partial images is a term, hidden ones and the tombstone too. */
static void partial_row_sums_cells_and_tombstone(void **state)
{
    struct field fields[] = { { .column = 1, .value = SLICE("1") },
                              { .column = 2, .seqno = S(20), .value = SLICE("2") },
                              { .column = 200, .seqno = S(4) },
                              { .column = 4, .seqno = S(30), .value = SLICE("4") } };
    struct change change = {
        .seqno = S(20), .tombstone = S(10), .op = CHANGE_UPSERT, .n_fields = 4, .fields = fields
    };
    struct row *row = written(&change, IMAGES_PARTIAL);
    struct row_cursor cursor;

    (void)state;
    assert_int_equal(row_term(row, IMAGES_PARTIAL), 20 + 20 + 4 + 30 + 10);
    assert_true(row_alive(row));
    row_fields(row, &cursor);
    assert_field(&cursor, 1, S(20), SLICE("1"));
    assert_field(&cursor, 2, S(20), SLICE("2"));
    assert_field(&cursor, 200, S(4), (struct slice){ NULL, 0 });
    assert_field(&cursor, 4, S(30), SLICE("4"));
}

/* All cells hidden: nothing to show, whatever the row's own seqno says. */
static void partial_row_of_hidden_cells_is_not_alive(void **state)
{
    struct field fields[] = { { .column = 1, .seqno = S(5) }, { .column = 2, .seqno = S(6) } };
    struct change change = {
        .seqno = S(5), .tombstone = S(10), .op = CHANGE_UPSERT, .n_fields = 2, .fields = fields
    };

    (void)state;
    assert_false(row_alive(written(&change, IMAGES_PARTIAL)));
    assert_int_equal(row_term((struct row *)(void *)block_bytes, IMAGES_PARTIAL), 21);
    change.tombstone = 0;
    assert_true(row_alive(written(&change, IMAGES_PARTIAL)));
}

/* Seqnos from a field of the event may be huge: a sum of them is cut at 2^63 and never wraps. */
static void term_is_cut_and_never_wraps(void **state)
{
    struct field fields[12];
    struct change change = {
        .seqno = SEQNO_MAX, .op = CHANGE_UPSERT, .n_fields = 12, .fields = fields
    };

    (void)state;
    for (uint16_t i = 0; i < 12; i++)
        fields[i] = (struct field){ .column = i, .value = SLICE("0") };
    assert_true(row_term(written(&change, IMAGES_PARTIAL), IMAGES_PARTIAL) == UINT64_C(1) << 63);
    change.n_fields = 1;
    assert_true(row_term(written(&change, IMAGES_PARTIAL), IMAGES_PARTIAL) == UINT64_C(1) << 62);
}

/* Lengths around the places where a varint grows by a byte, and a value of a megabyte less a bit.
 */
static void values_of_any_length_come_back(void **state)
{
    static const size_t lens[] = { 1, 31, 32, 33, 4095, 4096, 4097, 524287, 524288, 1000000 };
    static char text[1000000];

    (void)state;
    memset(text, '7', sizeof(text));
    for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
        struct field field = { .column = 128, .value = { text, lens[i] } };
        struct change change = {
            .seqno = S(1), .op = CHANGE_UPSERT, .n_fields = 1, .fields = &field
        };
        struct row *row = written(&change, IMAGES_FULL);
        struct row_cursor cursor;

        row_fields(row, &cursor);
        assert_field(&cursor, 128, S(1), field.value);
    }
}

/* Every id stands before all that follow it in this list; the order is total. */
static void ids_are_ordered_by_value_then_bytewise(void **state)
{
    static const char *const ids[] = { "-123456789012345678901234567890",
                                       "-10",
                                       "-9.5",
                                       "-9",
                                       "-0.5",
                                       "-0",
                                       "-0.00",
                                       "0",
                                       "0.0",
                                       "00",
                                       "0.05",
                                       "0.5",
                                       "0.50",
                                       "0.51",
                                       "01",
                                       "1",
                                       "1.0",
                                       "1.5",
                                       "2",
                                       "9",
                                       "10",
                                       "18446744073709551615",
                                       "18446744073709551616",
                                       "123456789012345678901234567890",
                                       "123456789012345678901234567890.1",
                                       "123456789012345678901234567891",
                                       "",
                                       "+1",
                                       "-",
                                       "-.5",
                                       ".5",
                                       "1 ",
                                       "1.",
                                       "1.2.3",
                                       "1e3",
                                       "A",
                                       "Aa",
                                       "a",
                                       "é" };
    size_t n = sizeof(ids) / sizeof(*ids);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            int order = row_order(1, slice_of(ids[i]), 1, slice_of(ids[j]));

            if ((i < j) != (order < 0) || (i == j) != (order == 0))
                fail_msg("\"%s\" and \"%s\": %d", ids[i], ids[j], order);
        }
}

/* The table comes first; a NUL in an id is a byte like any other. */
static void order_is_by_table_first(void **state)
{
    (void)state;
    assert_true(row_order(1, SLICE("9"), 2, SLICE("1")) < 0);
    assert_true(row_order(2, SLICE("1"), 1, SLICE("9")) > 0);
    assert_true(row_order(1, SLICE("a\0b"), 1, SLICE("a")) > 0);
    assert_true(row_order(1, SLICE("a\0b"), 1, SLICE("a\0c")) < 0);
    assert_int_equal(row_order(1, SLICE("a\0b"), 1, SLICE("a\0b")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_row_keeps_fields_in_order),
        cmocka_unit_test(deleted_row_keeps_its_term),
        cmocka_unit_test(partial_row_sums_cells_and_tombstone),
        cmocka_unit_test(partial_row_of_hidden_cells_is_not_alive),
        cmocka_unit_test(term_is_cut_and_never_wraps),
        cmocka_unit_test(values_of_any_length_come_back),
        cmocka_unit_test(ids_are_ordered_by_value_then_bytewise),
        cmocka_unit_test(order_is_by_table_first),
    };

    return UNIT_RUN(tests);
}
