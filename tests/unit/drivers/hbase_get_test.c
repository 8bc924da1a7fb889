/* hbase_get_test.c: states read back from a table whose servers are scripted. */
#include "hbase_fake.h"

#include "drivers/hbase/get.h"

#define HADOOP "org.apache.hadoop.hbase."
#define SEQNO  (SEQNO_EPOCH + 5)

static struct get_shared shared;
static struct route_scratch scratch;
static struct get get;

static struct rows *rows(void)
{
    static struct rows *opened;

    if (opened == NULL)
        opened = rows_open(fake_plan(), SLICE("d"));
    return opened;
}

static void open_get(struct locate *locate, size_t arena_bytes_max)
{
    route_scratch_open(&scratch, GET_KEYS_MAX);
    shared = (struct get_shared){ .env = &fake_env,
                                  .locate = locate,
                                  .rows = rows(),
                                  .scratch = &scratch,
                                  .table = "orders",
                                  .family = SLICE("d"),
                                  .arena_bytes_max = arena_bytes_max,
                                  .keys_max = GET_KEYS_MAX };
    get_open(&get, &shared);
    get_begin(&get);
}

/* Appends the cells of a document {"a":value}, as the server holds them; how many they are. */
static unsigned put_cells(struct buf *cells, struct slice key, const char *value, uint64_t seqno)
{
    char bytes[ROWS_KEY_BYTES_MAX];
    struct buf row_key = { .data = bytes, .bound = sizeof(bytes) };
    struct row *row = fake_row(value, "1", seqno);
    const struct document document = {
        .key = key, .version = 5, .n_rows = 1, .rows = &row, .partition = -1, .sink = 1
    };

    rows_key(key, &row_key);
    return rows_write(rows(), &document, buf_slice(&row_key), cells);
}

static void assert_found(const char *expected)
{
    static const char letters[] = {
        [LOOKUP_ABSENT] = '-', [LOOKUP_FOUND] = 'f', [LOOKUP_BROKEN] = 'b', [LOOKUP_AGAIN] = 'a'
    };

    assert_int_equal(get.state, GET_DONE);
    assert_int_equal(get.lookup.n, strlen(expected));
    for (unsigned i = 0; i < get.lookup.n; i++)
        if (letters[get.lookup.items[i].found] != expected[i])
            fail_msg("item %u is %c, not %c: %.*s", i, letters[get.lookup.items[i].found],
                     expected[i], (int)get.lookup.items[i].reason.len,
                     get.lookup.items[i].reason.data);
}

/* The state of an item has one row, with this value of `a` and seqno. */
static void assert_state(unsigned i, const char *a, uint64_t seqno)
{
    const struct lookup_item *item = &get.lookup.items[i];

    assert_int_equal(item->n_states, 1);
    assert_int_equal(item->version, seqno - SEQNO_EPOCH);
    assert_int_equal(item->states[0].n_changes, 1);
    const struct change *change = &item->states[0].changes[0];
    assert_int_equal(change->seqno, seqno);
    assert_int_equal(change->n_fields, 2);
    assert_true(slice_equal(change->fields[0].value, slice_of(a)));
}

/* What is asked: a get of the family for each key, a call a server, a group a region. */
static void one_call_asks_each_server(void **state)
{
    (void)state;
    open_get(fake_located(), 1 << 20);
    assert_true(get_add(&get, KEY_OF_B(0)));
    assert_true(get_add(&get, KEY_OF_A(0)));
    assert_true(get_add(&get, KEY_OF_C(0)));
    get_submit(&get);
    assert_int_equal(fake.n, 2);
    assert_string_equal(fake.calls[0].target.host, "rs1");
    assert_int_equal(fake_count(fake.calls[0].call->param, 1), 2);
    assert_int_equal(fake.calls[0].call->cells.len, 0);
    assert_string_equal(fake.calls[1].target.host, "rs2");
    struct slice group = fake_inner(fake.calls[1].call->param, 1, 0);
    assert_true(slice_equal(fake_inner(fake_inner(group, 1, 0), 2, 0), SLICE("orders,5,1.b.")));
    struct slice query = fake_inner(fake_inner(group, 3, 0), 3, 0);
    char bytes[ROWS_KEY_BYTES_MAX];
    struct buf row = { .data = bytes, .bound = sizeof(bytes) };
    rows_key(KEY_OF_B(0), &row);
    assert_true(slice_equal(fake_inner(query, 1, 0), buf_slice(&row)));
    assert_true(slice_equal(fake_inner(fake_inner(query, 2, 0), 1, 0), SLICE("d")));
    fake_answer_all(0);
    fake_answer_all(0);
    assert_found("---");
    assert_false(get.lookup.failed_whole);
}

/* Cells are dealt out in the order of the answer's entries, and stay when the answer is gone. */
static void states_are_dealt_out_in_the_answers_order(void **state)
{
    struct buf *answer, *cells;

    (void)state;
    open_get(fake_located(), 1 << 20);
    for (unsigned i = 0; i < 5; i++)
        assert_true(get_add(&get, KEY_OF_A(i)));
    get_submit(&get);
    answer = fake_buf();
    cells = fake_buf();
    size_t group = proto_begin(answer, 1);
    fake_put_result(answer, 4, put_cells(cells, KEY_OF_A(4), "\"four\"", SEQNO + 4));
    fake_put_result(answer, 1, 0);
    fake_put_failure(answer, 2, HADOOP "NotServingRegionException", "moved");
    fake_put_result(answer, 0, put_cells(cells, KEY_OF_A(0), "\"zero\"", SEQNO));
    proto_end(answer, group); /* nothing is said of 3 */
    fake_answer(0, answer, cells);
    assert_found("f-aaf");
    assert_state(0, "\"zero\"", SEQNO);
    assert_state(4, "\"four\"", SEQNO + 4);
    assert_false(get.lookup.failed_whole);
}

/* Cells that weir did not write: they are found, and there is no state in them. */
static void foreign_cells_have_no_state(void **state)
{
    struct buf *answer, *cells;
    char bytes[ROWS_KEY_BYTES_MAX];
    struct buf row = { .data = bytes, .bound = sizeof(bytes) };

    (void)state;
    open_get(fake_located(), 1 << 20);
    assert_true(get_add(&get, KEY_OF_A(0)));
    get_submit(&get);
    answer = fake_buf();
    cells = fake_buf();
    rows_key(KEY_OF_A(0), &row);
    cell_put(cells, &(struct cell){ .row = buf_slice(&row),
                                    .family = SLICE("d"),
                                    .qualifier = SLICE("something"),
                                    .value = SLICE("else"),
                                    .timestamp = 7,
                                    .type = CELL_PUT });
    size_t group = proto_begin(answer, 1);
    fake_put_result(answer, 0, 1);
    proto_end(answer, group);
    fake_answer(0, answer, cells);
    assert_found("f");
    assert_int_equal(get.lookup.items[0].n_states, 0);
    assert_int_equal(get.lookup.items[0].version, 0);
}

/* A region that moved, a server that is gone: their keys are asked again, the others are there. */
static void failures_hold_up_their_own_keys_only(void **state)
{
    struct locate *locate = fake_located();
    struct buf *answer;

    (void)state;
    open_get(locate, 1 << 20);
    assert_true(get_add(&get, KEY_OF_A(0)));
    assert_true(get_add(&get, KEY_OF_B(0)));
    assert_true(get_add(&get, KEY_OF_C(0)));
    get_submit(&get);
    fake_fail(1);
    answer = fake_buf();
    size_t group = proto_begin(answer, 1);
    fake_put_exception(answer, 2, HADOOP "exceptions.RegionMovedException", "moved");
    proto_end(answer, group);
    group = proto_begin(answer, 1);
    fake_put_result(answer, 0, 0);
    proto_end(answer, group);
    fake_answer(0, answer, NULL);
    assert_found("aa-");
    assert_false(get.lookup.failed_whole);
    fake.now_us += 1000000;
    locate_step(locate);
    assert_true(locate_looking(locate));
}

/* Nobody answers: the lookup failed whole, and takes half as many keys the next time; when it works
 * again, twice as many. */
static void lookups_that_fail_ask_for_less(void **state)
{
    (void)state;
    open_get(fake_located(), 1 << 20);
    for (unsigned i = 0; i < 8; i++)
        assert_true(get_add(&get, KEY_OF_A(i)));
    get_submit(&get);
    fake_fail(0);
    assert_found("aaaaaaaa");
    assert_true(get.lookup.failed_whole);
    assert_int_equal(shared.keys_max, 4);
    get.state = GET_FREE;
    get_begin(&get);
    for (unsigned i = 0; i < 4; i++)
        assert_true(get_add(&get, KEY_OF_A(i)));
    assert_false(get_add(&get, KEY_OF_A(4)));
    get_submit(&get);
    fake_answer_all(0);
    assert_found("----");
    assert_int_equal(shared.keys_max, 8);
}

/* States that do not fit together are asked for in smaller lookups; one that does not fit alone is
 * broken, and its key is not asked again for ever. */
static void states_that_do_not_fit_are_asked_in_parts(void **state)
{
    static char large[8000];

    (void)state;
    memset(large, '1', sizeof(large) - 1);
    open_get(fake_located(), 2 * sizeof(large));
    for (unsigned keys = 3; keys > 0; keys /= 2) {
        unsigned size = keys == 1 ? 3 : 1;
        struct buf *answer = fake_buf(), *cells = fake_buf();
        for (unsigned i = 0; i < keys; i++)
            assert_true(get_add(&get, KEY_OF_A(i)));
        assert_true(keys == 3 || !get_add(&get, KEY_OF_A(9)));
        get_submit(&get);
        size_t group = proto_begin(answer, 1);
        for (unsigned i = 0; i < keys; i++) {
            unsigned n = 0;
            for (unsigned k = 0; k < size; k++)
                n += put_cells(cells, KEY_OF_A(i), large, SEQNO + k);
            fake_put_result(answer, i, n);
        }
        proto_end(answer, group);
        fake_answer(0, answer, cells);
        if (keys == 3) {
            assert_found("aaa");
            assert_true(get.lookup.failed_whole);
        }
        if (keys == 1)
            assert_found("b");
        get.state = GET_FREE;
        get_begin(&get);
    }
}

/* Answers that do not fit what was asked say nothing about any of it: above all no state is taken
 * from cells of another row. */
static void broken_answers_say_nothing(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 11; how++) {
        struct buf *answer = fake_buf(), *cells = fake_buf();
        open_get(fake_located(), 1 << 20);
        assert_true(get_add(&get, KEY_OF_A(0)));
        assert_true(get_add(&get, KEY_OF_A(1)));
        assert_true(get_add(&get, KEY_OF_B(0)));
        get_submit(&get);
        size_t group = proto_begin(answer, 1);
        unsigned n = put_cells(cells, KEY_OF_A(0), "1", SEQNO);
        fake_put_result(answer, 0, how == 0 ? n + 1 : how == 1 ? n - 1 : n);
        if (how == 2) /* another row's */
            fake_put_result(answer, 1, put_cells(cells, KEY_OF_A(2), "1", SEQNO));
        else if (how == 3) /* twice */
            fake_put_result(answer, 0, put_cells(cells, KEY_OF_A(0), "1", SEQNO));
        else if (how == 4)
            fake_put_result(answer, 2, 0);
        else if (how == 5) { /* cells that are cut short */
            fake_put_result(answer, 1, put_cells(cells, KEY_OF_A(1), "1", SEQNO));
            buf_rewind(cells, cells->len - 1);
        } else if (how == 9) { /* a key as long as can be */
            memset(cells->data + 4, 0xff, 4);
        } else if (how == 10) { /* a value that is a byte shorter than its cell has */
            cells->data[11]--;
        }
        proto_end(answer, group);
        if (how == 6) { /* more regions */
            group = proto_begin(answer, 1);
            proto_end(answer, group);
        } else if (how == 7) { /* fewer */
            buf_reset(answer);
        } else if (how == 8) {
            buf_rewind(answer, answer->len - 1);
        }
        fake_answer(0, answer, cells);
        fake_answer_all(0);
        assert_found("aa-");
        assert_int_equal(shared.broken, 1);
    }
}

static void lookup_waits_until_regions_are_known(void **state)
{
    struct locate *locate = fake_locate();

    (void)state;
    open_get(locate, 1 << 20);
    assert_true(get_add(&get, KEY_OF_A(0)));
    locate_step(locate);
    get_submit(&get);
    assert_int_equal(get.state, GET_HELD);
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(fake_regions, 3);
    get_step(&get);
    fake_answer_all(0);
    assert_found("-");
}

static void lookup_comes_back_when_regions_cannot_be_known(void **state)
{
    struct locate *locate = fake_locate();

    (void)state;
    open_get(locate, 1 << 20);
    assert_true(get_add(&get, KEY_OF_A(0)));
    locate_step(locate);
    get_submit(&get);
    fake_fail(0);
    fake_fail(0);
    get_step(&get);
    assert_found("a");
    assert_true(get.lookup.failed_whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_asks_each_server),
        cmocka_unit_test(states_are_dealt_out_in_the_answers_order),
        cmocka_unit_test(foreign_cells_have_no_state),
        cmocka_unit_test(failures_hold_up_their_own_keys_only),
        cmocka_unit_test(lookups_that_fail_ask_for_less),
        cmocka_unit_test(states_that_do_not_fit_are_asked_in_parts),
        cmocka_unit_test(broken_answers_say_nothing),
        cmocka_unit_test(lookup_waits_until_regions_are_known),
        cmocka_unit_test(lookup_comes_back_when_regions_cannot_be_known),
    };

    return UNIT_RUN(tests);
}
