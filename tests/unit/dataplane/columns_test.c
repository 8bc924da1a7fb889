/* columns_test.c: the dictionary of column names: ids that stay, selection, reserved names, many
 * threads. */
#include "dataplane/columns.h"

#include "tests/unit/unit.h"

#include <pthread.h>

static struct slice numbered(char text[16], unsigned number)
{
    return (struct slice){ text, (size_t)snprintf(text, 16, "column_%u", number) };
}

static void a_name_keeps_its_id_and_its_texts(void **state)
{
    struct columns *columns = columns_open(NULL, 0);
    uint16_t id = columns_intern(columns, SLICE("order_no"));
    uint16_t odd = columns_intern(columns, SLICE("a\"\n\xe4\xb8\xad"));

    (void)state;
    assert_true(id < COLUMNS_MAX && odd < COLUMNS_MAX && id != odd);
    assert_int_equal(columns_intern(columns, SLICE("order_no")), id);
    assert_int_equal(columns_intern_target(columns, SLICE("order_no")), id);
    assert_true(slice_equal(columns_name(columns, id), SLICE("order_no")));
    assert_true(slice_equal(columns_target(columns, id), SLICE("order_no")));
    assert_true(slice_equal(columns_label(columns, id), SLICE("\"order_no\":")));
    assert_true(slice_equal(columns_label(columns, odd), SLICE("\"a\\\"\\n\xe4\xb8\xad\":")));
}

static void an_id_that_was_not_given_has_no_name(void **state)
{
    struct columns *columns = columns_open(NULL, 0);

    (void)state;
    assert_int_equal(columns_name(columns, 0).len, 0);
    assert_int_equal(columns_label(columns, COLUMNS_MAX - 1).len, 0);
}

/* `columns: { channel: channel, amount: paid_amount }` takes these two and no other. */
static void a_selection_takes_and_renames(void **state)
{
    const struct plan_rename renames[] = {
        { SLICE("channel"), SLICE("channel") },
        { SLICE("amount"), SLICE("paid_amount") },
    };
    struct columns *columns = columns_open(renames, 2);
    uint16_t amount = columns_intern(columns, SLICE("amount"));

    (void)state;
    assert_true(amount < COLUMNS_MAX);
    assert_true(slice_equal(columns_target(columns, amount), SLICE("paid_amount")));
    assert_true(slice_equal(columns_label(columns, amount), SLICE("\"paid_amount\":")));
    assert_int_equal(columns_intern_target(columns, SLICE("paid_amount")), amount);
    assert_int_equal(columns_intern_target(columns, SLICE("amount")), COLUMN_SKIP);
    assert_int_equal(columns_intern(columns, SLICE("paid_amount")), COLUMN_SKIP);
    assert_int_equal(columns_intern(columns, SLICE("_weir")), COLUMN_SKIP);
    assert_int_equal(columns_intern(columns, SLICE("")), COLUMN_SKIP);
}

static void reserved_long_and_empty_names_get_no_id(void **state)
{
    struct columns *columns = columns_open(NULL, 0);
    char name[COLUMN_NAME_BYTES_MAX + 1];

    (void)state;
    memset(name, 'x', sizeof(name));
    columns_reserve(columns, SLICE("items"));
    assert_int_equal(columns_intern(columns, SLICE("_weir")), COLUMN_NONE);
    assert_int_equal(columns_intern(columns, SLICE("items")), COLUMN_NONE);
    assert_int_equal(columns_intern(columns, SLICE("")), COLUMN_NONE);
    assert_int_equal(columns_intern(columns, (struct slice){ name, sizeof(name) }), COLUMN_NONE);
    assert_true(columns_intern(columns, (struct slice){ name, sizeof(name) - 1 }) < COLUMNS_MAX);
}

/* Events may invent names without end; the dictionary takes COLUMNS_MAX of them and keeps those. */
static void a_full_dictionary_takes_no_more(void **state)
{
    struct columns *columns = columns_open(NULL, 0);
    uint16_t ids[COLUMNS_MAX];
    char text[16];

    (void)state;
    for (unsigned i = 0; i < COLUMNS_MAX; i++) {
        ids[i] = columns_intern(columns, numbered(text, i));
        assert_true(ids[i] < COLUMNS_MAX);
    }
    for (unsigned i = COLUMNS_MAX; i < COLUMNS_MAX + 1000; i++)
        assert_int_equal(columns_intern(columns, numbered(text, i)), COLUMN_NONE);
    for (unsigned i = 0; i < COLUMNS_MAX; i++)
        assert_int_equal(columns_intern(columns, numbered(text, i)), ids[i]);
}

#define RACE_NAMES 500

struct racer {
    struct columns *columns;
    unsigned first;
    uint16_t ids[RACE_NAMES];
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    char text[16];

    for (unsigned i = 0; i < RACE_NAMES; i++) {
        unsigned number = (racer->first + i) % RACE_NAMES;

        racer->ids[number] = columns_intern(racer->columns, numbered(text, number));
    }
    return NULL;
}

/* Shards see a new column at the same time: all get one id. */
static void threads_agree_on_ids(void **state)
{
    struct columns *columns = columns_open(NULL, 0);
    struct racer racers[4];
    pthread_t threads[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        racers[i] = (struct racer){ .columns = columns, .first = i * 3 };
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < RACE_NAMES; i++) {
        char text[16];

        assert_true(slice_equal(columns_name(columns, racers[0].ids[i]), numbered(text, i)));
        for (unsigned k = 1; k < 4; k++)
            assert_int_equal(racers[k].ids[i], racers[0].ids[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_keeps_its_id_and_its_texts),
        cmocka_unit_test(an_id_that_was_not_given_has_no_name),
        cmocka_unit_test(a_selection_takes_and_renames),
        cmocka_unit_test(reserved_long_and_empty_names_get_no_id),
        cmocka_unit_test(a_full_dictionary_takes_no_more),
        cmocka_unit_test(threads_agree_on_ids),
    };

    return UNIT_RUN(tests);
}
