/* hbase_put_test.c: batches on their way into a table whose servers are scripted. */
#include "hbase_fake.h"

#include "drivers/hbase/put.h"

#define HADOOP "org.apache.hadoop.hbase."
#define SEQNO  (SEQNO_EPOCH + 5)

static struct put_shared shared;
static struct route_scratch scratch;
static struct put put;

static void open_put(struct locate *locate, struct sink_limits limits)
{
    static struct rows *rows;

    if (rows == NULL)
        rows = rows_open(fake_plan(), SLICE("d"));
    route_scratch_open(&scratch, limits.docs);
    shared = (struct put_shared){ .env = &fake_env,
                                  .locate = locate,
                                  .rows = rows,
                                  .scratch = &scratch,
                                  .table = "orders",
                                  .limits = limits };
    put_open(&put, &shared);
    put_begin(&put);
}

static const struct sink_limits usual = {
    .docs = 100, .in_flight = 1, .bytes = 1 << 20, .document_bytes_max = 1 << 20
};

static enum sink_add add_row(struct slice key, struct row *row)
{
    const struct document document = {
        .key = key, .version = 5, .n_rows = 1, .rows = &row, .partition = -1, .sink = 1
    };

    return put_add(&put, &document);
}

/* One document with {"a":value}, and, where it says so, with a NULL, which is a delete marker. */
static void add(struct slice key, const char *value)
{
    assert_int_equal(add_row(key, fake_row(value, "1", SEQNO)), SINK_ADDED);
}

static void add_with_delete(struct slice key)
{
    assert_int_equal(add_row(key, fake_row("\"x\"", "null", SEQNO)), SINK_ADDED);
}

static void assert_verdicts(const char *expected)
{
    static const char letters[] = {
        [SINK_WRITTEN] = 'w', [SINK_STALE] = 's', [SINK_RETRY] = 'r', [SINK_DEAD] = 'd'
    };

    assert_int_equal(put.state, PUT_DONE);
    assert_int_equal(put.batch.n, strlen(expected));
    for (unsigned i = 0; i < put.batch.n; i++)
        if (letters[put.batch.items[i].verdict] != expected[i])
            fail_msg("item %u is %c, not %c", i, letters[put.batch.items[i].verdict], expected[i]);
}

static void check_action(struct slice action, unsigned index, struct slice *block,
                         struct slice region)
{
    struct slice mutation = fake_inner(action, 2, 0), row = { NULL, 0 };
    uint64_t type = fake_number(mutation, 2), n = fake_number(mutation, 8);
    struct cell cell;

    assert_int_equal(fake_number(action, 1), index);
    assert_int_equal(type, 2);
    assert_true(n > 0);
    while (n-- > 0) {
        assert_int_equal(cell_next(block, &cell), 1);
        assert_true(row.len == 0 || slice_equal(row, cell.row));
        row = cell.row;
    }
    uint32_t found = locate_find(shared.locate, row);
    assert_true(slice_equal(locate_region(shared.locate, found)->name, region));
}

/* Is the i-th call whole: each action has its cells in the block, in order, of one row that lies in
 * the region? Gives how many actions it has. */
static unsigned check_call(unsigned i)
{
    struct slice param = fake.calls[i].call->param, block = fake.calls[i].call->cells;
    unsigned actions = 0;
    struct proto proto;
    struct proto_field field;

    assert_true(slice_equal(fake.calls[i].call->method, SLICE("Multi")));
    for (unsigned g = 0, n = fake_count(param, 1); g < n; g++) {
        struct slice group = fake_inner(param, 1, g);
        struct slice name = fake_inner(fake_inner(group, 1, 0), 2, 0);
        unsigned index = 0;
        proto_open(&proto, group);
        while (proto_next(&proto, &field))
            if (field.number == 3)
                check_action(field.bytes, index++, &block, name);
        actions += index;
    }
    assert_int_equal(block.len, 0);
    return actions;
}

/* ---- what is sent ---- */

/* Documents of three regions on two servers: two calls, each with its regions, whatever the order
 * in which they came. */
static void one_call_goes_to_each_server(void **state)
{
    (void)state;
    open_put(fake_located(), usual);
    add(KEY_OF_B(0), "1");
    add(KEY_OF_A(0), "1");
    add_with_delete(KEY_OF_C(0));
    add(KEY_OF_A(1), "1");
    add_with_delete(KEY_OF_B(1));
    put_submit(&put);
    assert_int_equal(fake.n, 2);
    assert_string_equal(fake.calls[0].target.host, "rs1");
    assert_string_equal(fake.calls[1].target.host, "rs2");
    assert_int_equal(fake_count(fake.calls[0].call->param, 1), 2);
    assert_int_equal(fake_count(fake.calls[1].call->param, 1), 1);
    assert_int_equal(check_call(0), 3);
    assert_int_equal(check_call(1), 2);
    fake_answer_all(1);
    assert_int_equal(put.state, PUT_SENT);
    fake_answer_all(0);
    assert_verdicts("wwwww");
    assert_false(put.batch.failed_whole);
}

/* The bytes are those that a real server was seen to take. */
static void request_is_as_servers_want_it(void **state)
{
    static const char expected[] = "\x0a\x1d\x0a\x11\x08\x01\x12\x0dorders,,1.a.x"
                                   "\x1a\x08\x08\x00\x12\x04\x10\x02\x40\x02";
    static const struct fake_region all = {
        .name = "orders,,1.a.x", .start = "", .end = "", .server = "rs1:16020", .id = 1
    };
    struct locate *locate = fake_locate();

    (void)state;
    locate_step(locate);
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(&all, 1);
    open_put(locate, usual);
    assert_int_equal(add_row(SLICE("k"), fake_row("1", "null", SEQNO)), SINK_ADDED);
    put_submit(&put);
    struct slice param = fake.calls[0].call->param;
    assert_int_equal(param.len, sizeof(expected) - 1);
    char bytes[sizeof(expected)];
    memcpy(bytes, expected, sizeof(bytes));
    bytes[30] = (char)put.items[0].n_cells; /* how many cells a row takes is rows.h's */
    assert_memory_equal(param.data, bytes, param.len);
    fake_answer_all(0);
    assert_verdicts("w");
}

/* A server warns of calls with more than 5,000 actions, and may refuse them: they are cut. */
static void calls_are_cut_at_5000_actions(void **state)
{
    struct sink_limits limits = usual;
    unsigned actions = 0;

    (void)state;
    limits.docs = 12000;
    limits.bytes = 64 << 20;
    open_put(fake_located(), limits);
    struct row *row = fake_row("1", "1", SEQNO);
    for (unsigned i = 0; i < 12000; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(add_row((struct slice){ key, (size_t)len }, row), SINK_ADDED);
    }
    put_submit(&put);
    assert_true(fake.n >= 3);
    while (fake.n > 0) {
        unsigned n = check_call(0);
        assert_true(n <= 5000);
        actions += n;
        fake_answer_all(0);
    }
    assert_int_equal(actions, 12000);
    assert_int_equal(put.state, PUT_DONE);
    for (unsigned i = 0; i < 12000; i++)
        assert_int_equal(put.batch.items[i].verdict, SINK_WRITTEN);
}

/* The sink lacks nothing of a document: it counts as written, and nothing is sent for it. */
static void nothing_to_send_is_written(void **state)
{
    struct row *row = fake_row("1", "1", SEQNO);

    (void)state;
    open_put(fake_located(), usual);
    row->unsent = 0;
    assert_int_equal(add_row(KEY_OF_A(0), row), SINK_ADDED);
    put_submit(&put);
    assert_int_equal(fake.started, 0);
    assert_verdicts("w");
    put.state = PUT_FREE;
    put_begin(&put);
    assert_int_equal(add_row(KEY_OF_A(0), row), SINK_ADDED);
    add(KEY_OF_A(1), "1");
    put_submit(&put);
    assert_int_equal(check_call(0), 1);
    fake_fail(0);
    assert_verdicts("wr");
    assert_true(put.batch.failed_whole); /* of what was sent */
}

/* Puts and delete markers of a document go together: a crash between them would leave a marker that
 * does not tell the truth, or take a purged row's term away before the residual has it. */
static void cells_and_delete_markers_are_one_mutation(void **state)
{
    (void)state;
    open_put(fake_located(), usual);
    add_with_delete(KEY_OF_A(0));
    put_submit(&put);
    assert_int_equal(check_call(0), 1);
    struct slice block = fake.calls[0].call->cells;
    struct cell cell;
    unsigned puts = 0, deletes = 0;
    while (cell_next(&block, &cell) == 1) {
        puts += cell.type == CELL_PUT;
        deletes += cell.type == CELL_DELETE_COLUMN;
    }
    assert_true(puts > 0 && deletes > 0);
    fake_answer_all(0);
    assert_verdicts("w");
}

/* ---- what fits into a batch ---- */

static void batch_is_full_by_documents_and_bytes(void **state)
{
    static char large[3000];
    struct sink_limits limits = {
        .docs = 3, .in_flight = 1, .bytes = 4000, .document_bytes_max = 5000
    };

    (void)state;
    memset(large, '1', sizeof(large) - 1);
    open_put(fake_located(), limits);
    add(KEY_OF_A(0), "1");
    add(KEY_OF_A(1), large);
    size_t bytes = put.batch.bytes;
    assert_int_equal(add_row(KEY_OF_A(2), fake_row(large, "1", SEQNO)), SINK_FULL);
    assert_int_equal(put.batch.bytes, bytes);
    add(KEY_OF_A(2), "1");
    assert_int_equal(add_row(KEY_OF_A(3), fake_row("1", "1", SEQNO)), SINK_FULL);
    put_submit(&put);
    assert_int_equal(check_call(0), 3);
    fake_answer_all(0);
    assert_verdicts("www");
}

/* A document over the batch's bytes goes alone; one over its own limit never does. */
static void large_document_goes_alone_or_never(void **state)
{
    static char large[4500], too_large[6000];
    struct sink_limits limits = {
        .docs = 3, .in_flight = 1, .bytes = 1000, .document_bytes_max = 5000
    };

    (void)state;
    memset(large, '1', sizeof(large) - 1);
    memset(too_large, '1', sizeof(too_large) - 1);
    open_put(fake_located(), limits);
    assert_int_equal(add_row(KEY_OF_A(0), fake_row(too_large, "1", SEQNO)), SINK_TOO_LARGE);
    assert_int_equal(put.batch.n, 0);
    add(KEY_OF_A(0), large);
    assert_int_equal(add_row(KEY_OF_A(1), fake_row("1", "1", SEQNO)), SINK_FULL);
    put_submit(&put);
    assert_int_equal(check_call(0), 1);
    fake_answer_all(0);
    assert_verdicts("w");
}

/* ---- verdicts ---- */

/* Results come in any order: the index says whose they are. */
static void results_are_matched_by_index(void **state)
{
    struct buf *answer;

    (void)state;
    open_put(fake_located(), usual);
    for (unsigned i = 0; i < 4; i++)
        add(KEY_OF_A(i), "1");
    put_submit(&put);
    answer = fake_buf();
    size_t group = proto_begin(answer, 1);
    fake_put_failure(answer, 3, HADOOP "RegionTooBusyException", "busy");
    fake_put_result(answer, 1, 0);
    fake_put_failure(answer, 0, "java.io.IOException", "disk full");
    fake_put_result(answer, 2, 0);
    proto_end(answer, group);
    fake_answer(0, answer, NULL);
    assert_verdicts("rwwr");
    assert_false(put.batch.failed_whole);
}

/* What the server says of one action is that document's alone; of one it is silent about, nothing
 * is known. */
static void each_document_is_judged_by_its_own_action(void **state)
{
    struct buf *answer;

    (void)state;
    open_put(fake_located(), usual);
    for (unsigned i = 0; i < 3; i++)
        add_with_delete(KEY_OF_A(i));
    put_submit(&put);
    answer = fake_buf();
    size_t group = proto_begin(answer, 1);
    fake_put_failure(answer, 0, HADOOP "RegionTooBusyException", "busy");
    fake_put_result(answer, 1, 0); /* 2 is not said */
    proto_end(answer, group);
    fake_answer(0, answer, NULL);
    assert_verdicts("rwr");
}

/* A region that was moved away: its documents are asked to come again, the others are written, and
 * the next look at hbase:meta is on its way. */
static void moved_region_holds_up_its_own_documents_only(void **state)
{
    struct locate *locate = fake_located();
    struct buf *answer;

    (void)state;
    open_put(locate, usual);
    add(KEY_OF_A(0), "1");
    add(KEY_OF_C(0), "1");
    add(KEY_OF_A(1), "1");
    put_submit(&put);
    answer = fake_buf();
    size_t group = proto_begin(answer, 1);
    fake_put_exception(answer, 2, HADOOP "NotServingRegionException", "not online");
    proto_end(answer, group);
    group = proto_begin(answer, 1);
    fake_put_result(answer, 0, 0);
    proto_end(answer, group);
    fake_answer(0, answer, NULL);
    assert_verdicts("rwr");
    fake.now_us += 1000000;
    locate_step(locate);
    assert_true(locate_looking(locate));
}

/* A server that died, and a call that was refused whole: RETRY, and a look where the regions are.
 */
static void failed_calls_are_tried_again(void **state)
{
    struct locate *locate = fake_located();

    (void)state;
    open_put(locate, usual);
    add(KEY_OF_A(0), "1");
    add(KEY_OF_B(0), "1");
    put_submit(&put);
    fake_refuse(1, HADOOP "CallQueueTooBigException", "full");
    assert_int_equal(put.state, PUT_SENT);
    fake_fail(0);
    assert_verdicts("rr");
    assert_true(put.batch.failed_whole);
    fake.now_us += 1000000;
    locate_step(locate);
    assert_true(locate_looking(locate));
}

/* One cell is too large: the server says so of all that came with it. Alone, each shows who it is:
 * that one is dead, with the server's words, and the others are written. */
static void too_large_cell_is_found_among_its_neighbours(void **state)
{
    static const char text[] =
        HADOOP "DoNotRetryIOException: Cell with size 20000000 exceeds limit "
               "of 10485760 bytes\n\tat " HADOOP "regionserver.X.y(X.java:1)";
    struct buf *answer;

    (void)state;
    open_put(fake_located(), usual);
    for (unsigned i = 0; i < 3; i++)
        add(KEY_OF_A(i), "1");
    add(KEY_OF_C(0), "1");
    put_submit(&put);
    answer = fake_buf();
    size_t group = proto_begin(answer, 1);
    for (unsigned i = 0; i < 3; i++)
        fake_put_failure(answer, i, HADOOP "DoNotRetryIOException", text);
    proto_end(answer, group);
    group = proto_begin(answer, 1);
    fake_put_result(answer, 0, 0);
    proto_end(answer, group);
    fake_answer(0, answer, NULL);
    assert_int_equal(fake.n, 1);
    assert_int_equal(fake_count(fake.calls[0].call->param, 1), 3);
    assert_int_equal(check_call(0), 3);
    answer = fake_buf();
    for (unsigned i = 0; i < 3; i++) {
        group = proto_begin(answer, 1);
        if (i == 1)
            fake_put_failure(answer, 0, HADOOP "DoNotRetryIOException", text);
        else
            fake_put_result(answer, 0, 0);
        proto_end(answer, group);
    }
    fake_answer(0, answer, NULL);
    assert_verdicts("wdww");
    assert_true(slice_equal(put.batch.items[1].reason,
                            SLICE("DoNotRetryIOException: Cell with size 20000000 exceeds limit of "
                                  "10485760 bytes")));
}

/* A server takes no request of that size: halves, down to one document, which is dead. */
static void too_large_request_is_halved(void **state)
{
    unsigned calls = 0;

    (void)state;
    open_put(fake_located(), usual);
    for (unsigned i = 0; i < 8; i++)
        add(KEY_OF_A(i), i == 5 ? "111111111111111111111111111111" : "1");
    size_t most = put.items[1].from * 2 + 10;
    put_submit(&put);
    while (put.state == PUT_SENT && ++calls < 100) {
        assert_int_equal(fake.n, 1);
        (void)check_call(0);
        struct slice cells = fake.calls[0].call->cells;
        if (cells.len > most || memmem(cells.data, cells.len, "1111111111", 10) != NULL)
            fake_refuse(0, HADOOP "exceptions.RequestTooBigException", "RPC data length too large");
        else
            fake_answer_all(0);
    }
    assert_verdicts("wwwwwdww");
    assert_true(slice_equal(put.batch.items[5].reason,
                            SLICE("RequestTooBigException: RPC data length too large")));
}

/* Answers that do not fit the call say nothing about any of it; another call's still count. */
static void broken_answers_settle_nothing(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 9; how++) {
        open_put(fake_located(), usual);
        add(KEY_OF_A(0), "1");
        add(KEY_OF_A(1), "1");
        add(KEY_OF_B(0), "1");
        put_submit(&put);
        struct buf *answer = fake_buf();
        size_t group = proto_begin(answer, 1);
        fake_put_result(answer, 0, 0);
        if (how == 0) /* an index that was not asked */
            fake_put_result(answer, 2, 0);
        else if (how == 1)
            fake_put_result(answer, UINT32_MAX, 0);
        else if (how == 2) /* said twice */
            fake_put_result(answer, 0, 0);
        else if (how == 3) /* neither result nor exception */
            buf_put_literal(answer, "\x0a\x02\x08\x01");
        else if (how == 4) /* no index */
            buf_put_literal(answer, "\x0a\x02\x12\x00");
        else
            fake_put_result(answer, 1, 0);
        proto_end(answer, group);
        if (how == 5) { /* one region more than was asked */
            group = proto_begin(answer, 1);
            proto_end(answer, group);
        } else if (how == 6) { /* and one less */
            buf_reset(answer);
        } else if (how == 7) { /* cut short */
            buf_rewind(answer, answer->len - 1);
        } else if (how == 8) { /* no message */
            buf_reset(answer);
            buf_put_literal(answer, "\xff\xff\xff");
        }
        fake_answer(0, answer, NULL);
        fake_answer_all(0);
        assert_verdicts("rrw");
        assert_int_equal(shared.broken, 1);
    }
}

/* ---- before regions are known ---- */

static void batch_waits_until_regions_are_known(void **state)
{
    struct locate *locate = fake_locate();

    (void)state;
    open_put(locate, usual);
    add(KEY_OF_A(0), "1");
    locate_step(locate);
    put_submit(&put);
    put_step(&put);
    assert_int_equal(put.state, PUT_HELD);
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(fake_regions, 3);
    put_step(&put);
    assert_int_equal(check_call(0), 1);
    fake_answer_all(0);
    assert_verdicts("w");
}

static void batch_comes_back_when_regions_cannot_be_known(void **state)
{
    struct locate *locate = fake_locate();

    (void)state;
    open_put(locate, usual);
    add(KEY_OF_A(0), "1");
    locate_step(locate);
    put_submit(&put);
    fake_fail(0);
    fake_fail(0);
    put_step(&put);
    assert_verdicts("r");
    assert_true(put.batch.failed_whole);
}

/* A region is nowhere while it is split: its documents come back, the others are written. */
static void hole_holds_up_its_own_documents_only(void **state)
{
    struct locate *locate = fake_locate();

    (void)state;
    locate_step(locate);
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(fake_regions, 2);
    open_put(locate, usual);
    add(KEY_OF_A(0), "1");
    add(KEY_OF_C(0), "1");
    put_submit(&put);
    fake_answer_all(0);
    assert_verdicts("wr");
    assert_false(put.batch.failed_whole);
    fake.now_us += 1000000;
    locate_step(locate);
    assert_true(locate_looking(locate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_goes_to_each_server),
        cmocka_unit_test(request_is_as_servers_want_it),
        cmocka_unit_test(calls_are_cut_at_5000_actions),
        cmocka_unit_test(nothing_to_send_is_written),
        cmocka_unit_test(cells_and_delete_markers_are_one_mutation),
        cmocka_unit_test(batch_is_full_by_documents_and_bytes),
        cmocka_unit_test(large_document_goes_alone_or_never),
        cmocka_unit_test(results_are_matched_by_index),
        cmocka_unit_test(each_document_is_judged_by_its_own_action),
        cmocka_unit_test(moved_region_holds_up_its_own_documents_only),
        cmocka_unit_test(failed_calls_are_tried_again),
        cmocka_unit_test(too_large_cell_is_found_among_its_neighbours),
        cmocka_unit_test(too_large_request_is_halved),
        cmocka_unit_test(broken_answers_settle_nothing),
        cmocka_unit_test(batch_waits_until_regions_are_known),
        cmocka_unit_test(batch_comes_back_when_regions_cannot_be_known),
        cmocka_unit_test(hole_holds_up_its_own_documents_only),
    };

    return UNIT_RUN(tests);
}
