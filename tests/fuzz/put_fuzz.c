/*
 * put_fuzz.c: what HBase answers to a batch (drivers/hbase/put.h): three documents, two of them on
 * one server.
 *
 *     input: (u8 kind | u16 length | bytes)...   each call that goes out gets the next one: an
 *     answer, a refusal (`class NUL text`), no answer. What is left unanswered fails.
 *
 * - The batch comes to an end in a bounded number of calls, and every item has a verdict; a dead
 *   one has a reason.
 * - Where no server was believed once, nothing is written.
 */
#include "fuzz.h"

#include "tests/unit/drivers/hbase_fake.h"

#include "dataplane/base/json.h"
#include "drivers/hbase/put.h"

#define ITEMS     3u
#define CALLS_MAX 256u

static struct put_shared shared;
static struct put put;
static struct slice keys[ITEMS];
static struct row *rows[ITEMS];

void fuzz_setup(void)
{
    static struct route_scratch scratch;

    fake_bufs_open();
    route_scratch_open(&scratch, 16);
    shared = (struct put_shared){
        .env = &fake_env,
        .rows = rows_open(fake_plan(), SLICE("d")),
        .scratch = &scratch,
        .table = "orders",
        .limits = { .docs = 8, .in_flight = 1, .bytes = 1 << 16, .document_bytes_max = 1 << 14 },
    };
    put_open(&put, &shared);
    keys[0] = KEY_OF_A(0);
    keys[1] = KEY_OF_A(1);
    keys[2] = KEY_OF_B(0);
    shared.locate = fake_located();
    for (unsigned i = 0; i < ITEMS; i++)
        rows[i] = fake_row("\"x\"", "2", SEQNO_EPOCH + 1 + i);
}

static void refuse(struct slice bytes)
{
    const char *end = bytes.len > 0 ? memchr(bytes.data, '\0', bytes.len) : NULL;
    struct rpc_call *call = fake_take(0);

    call->result = RPC_REFUSED;
    call->exception = bytes;
    call->reason = SLICE("");
    if (end != NULL) {
        call->exception.len = (size_t)(end - bytes.data);
        call->reason = (struct slice){ end + 1, bytes.len - call->exception.len - 1 };
    }
    call->answer = call->answer_cells = (struct slice){ NULL, 0 };
    call->done(call);
}

/* Answers the oldest call. True: the server may have been believed. */
static bool answer_next(struct fuzz *fuzz)
{
    unsigned kind = fuzz_u8(fuzz);
    struct slice bytes = fuzz_exact(fuzz_bytes(fuzz, fuzz_u16(fuzz)));
    const struct buf buf = { .data = (char *)(uintptr_t)bytes.data, .len = bytes.len };

    if (fuzz->left.len == 0 && bytes.len == 0) {
        fake_fail(0);
        return false;
    }
    switch (kind % 4) {
    case 0:
        fake_answer(0, &buf, NULL);
        return true;
    case 1:
        refuse(bytes);
        return false;
    case 2:
        fake_fail(0);
        return false;
    default:
        fake_answer_all(0);
        return true;
    }
}

static void check_items(bool believed)
{
    unsigned again = 0;

    for (unsigned i = 0; i < put.batch.n; i++) {
        const struct sink_item *item = &put.batch.items[i];

        assert_true(item->verdict <= SINK_DEAD);
        again += item->verdict == SINK_RETRY;
        assert_true(believed || item->verdict != SINK_WRITTEN);
        assert_true(item->verdict != SINK_DEAD || item->reason.len > 0);
    }
    assert_true(!put.batch.failed_whole || again == put.batch.n);
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };
    bool believed = false;
    unsigned turns = 0;

    shared.telling = (struct log_limit){ 0, 0 };
    put.state = PUT_FREE;
    put_begin(&put);
    for (unsigned i = 0; i < ITEMS; i++) {
        const struct document document = { .key = keys[i],
                                           .version = 1 + i,
                                           .n_rows = 1,
                                           .rows = &rows[i],
                                           .partition = -1,
                                           .sink = 1 };

        assert_int_equal(put_add(&put, &document), SINK_ADDED);
    }
    put_submit(&put);
    while (put.state != PUT_DONE) {
        assert_true(turns++ < CALLS_MAX);
        if (fake.n > 0) {
            believed |= answer_next(&fuzz);
        } else {
            fake.now_us += 1000000;
            put_step(&put); /* the regions are known, be it as they were */
        }
    }
    check_items(believed);
    fake_settle(shared.locate);
}
