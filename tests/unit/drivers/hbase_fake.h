/*
 * hbase_fake.h: HBase's servers as a test scripts them, behind rpc.h and zookeeper.h: calls are
 * kept until the test answers them, by hand and in any order; time passes when the test says so.
 *
 *     submit ─► rpc_start() ─► fake.calls[0..n) ─ fake_answer(), _refuse(), _fail() ─► done()
 *
 * Included once by each test; its functions take the places of the driver's own.
 */
#ifndef WEIR_TESTS_HBASE_FAKE_H
#define WEIR_TESTS_HBASE_FAKE_H

#include "../unit.h"

#include "dataplane/base/memory.h"
#include "dataplane/columns.h"
#include "dataplane/row.h"
#include "drivers/hbase/cell.h"
#include "drivers/hbase/locate.h"
#include "drivers/hbase/proto.h"
#include "drivers/hbase/route.h"
#include "drivers/hbase/rows.h"

#include <stdlib.h>

#define SEQNO_EPOCH    UINT64_C(1704067200000000)
#define FAKE_CALLS_MAX 64

struct fake_call {
    struct rpc_call *call;
    struct rpc_target target;
};

static struct {
    uint64_t now_us, random;
    struct fake_call calls[FAKE_CALLS_MAX];
    unsigned n, started;
    struct zookeeper_get *get;
} fake;

static uint64_t fake_mono_us(struct env *env)
{
    (void)env;
    return fake.now_us;
}

static uint64_t fake_random(struct env *env)
{
    (void)env;
    return fake.random;
}

static const struct env_ops fake_env_ops = { .mono_us = fake_mono_us, .random = fake_random };
static struct env fake_env = { &fake_env_ops };

void rpc_start(struct rpc *rpc, const struct rpc_target *target, struct rpc_call *call)
{
    (void)rpc;
    assert_true(fake.n < FAKE_CALLS_MAX);
    assert_false(call->running);
    call->running = true;
    fake.calls[fake.n++] = (struct fake_call){ call, *target };
    fake.started++;
}

void zookeeper_start(struct zookeeper *zookeeper, struct zookeeper_get *get)
{
    (void)zookeeper;
    assert_null(fake.get);
    fake.get = get;
}

/* ---- answering ---- */

static inline struct rpc_call *fake_take(unsigned i)
{
    struct rpc_call *call = fake.calls[i].call;

    assert_true(i < fake.n);
    fake.n--;
    memmove(&fake.calls[i], &fake.calls[i + 1], (fake.n - i) * sizeof(fake.calls[0]));
    call->running = false;
    return call;
}

/* The bytes are the server's, gone after the call was done: a reader that keeps them is seen. */
static inline struct slice fake_bytes(struct slice bytes)
{
    char *copy = malloc(bytes.len + 1);

    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return (struct slice){ copy, bytes.len };
}

static inline void fake_answer(unsigned i, const struct buf *answer, const struct buf *cells)
{
    struct rpc_call *call = fake_take(i);
    struct slice bytes = fake_bytes(buf_slice(answer));
    struct slice block = fake_bytes(cells != NULL ? buf_slice(cells) : SLICE(""));

    assert_false(answer->overflow);
    call->result = RPC_ANSWERED;
    call->answer = bytes;
    call->answer_cells = block;
    call->done(call);
    free((void *)(uintptr_t)bytes.data);
    free((void *)(uintptr_t)block.data);
}

static inline void fake_refuse(unsigned i, const char *class, const char *reason)
{
    struct rpc_call *call = fake_take(i);

    call->result = RPC_REFUSED;
    call->exception = slice_of(class);
    call->reason = slice_of(reason);
    call->done(call);
}

static inline void fake_fail(unsigned i)
{
    struct rpc_call *call = fake_take(i);

    call->result = RPC_FAILED;
    call->reason = SLICE("connection reset by peer");
    call->done(call);
}

#define FAKE_BUFS 8u

/* A scratch buffer, one of a few in turn. */
static inline struct buf *fake_buf(void)
{
    static struct buf bufs[FAKE_BUFS];
    static unsigned at;
    struct buf *buf = &bufs[at++ % FAKE_BUFS];

    if (buf->data == NULL)
        buf_open(buf, 16 << 20, "a test's bytes");
    buf_reset(buf);
    return buf;
}

/* Reserves them now, which is else done when they are first asked for. */
static inline void fake_bufs_open(void)
{
    for (unsigned i = 0; i < FAKE_BUFS; i++)
        (void)fake_buf();
}

/* ---- hbase:meta ---- */

struct fake_region {
    const char *name, *start, *end, *server; /* server NULL: nobody has it */
    unsigned id;
    bool split, replica;
};

static inline void fake_put_cell(struct buf *out, const char *row, const char *qualifier,
                                 struct slice value)
{
    const struct cell cell = { .row = slice_of(row),
                               .family = SLICE("info"),
                               .qualifier = slice_of(qualifier),
                               .value = value,
                               .timestamp = 1,
                               .type = CELL_PUT };
    cell_put(out, &cell);
}

static inline void fake_put_region(struct buf *out, const struct fake_region *region)
{
    char bytes[256];
    struct buf buf = { .data = bytes, .bound = sizeof(bytes) }, *info = &buf;

    buf_put_literal(info, "PBUF");
    proto_put_number(info, 1, region->id);
    proto_put_bytes(info, 3, slice_of(region->start));
    proto_put_bytes(info, 4, slice_of(region->end));
    proto_put_number(info, 5, region->split);
    proto_put_number(info, 6, region->split);
    proto_put_number(info, 7, region->replica);
    fake_put_cell(out, region->name, "regioninfo", buf_slice(info));
    if (region->server != NULL)
        fake_put_cell(out, region->name, "server", slice_of(region->server));
    fake_put_cell(out, region->name, "state", SLICE("OPEN"));
}

/* Answers the oldest call, which asks a master where hbase:meta is. */
static inline void fake_answer_meta(const char *host, unsigned port)
{
    struct buf *answer = fake_buf();

    assert_true(fake.n > 0 &&
                slice_equal(fake.calls[0].call->method, SLICE("GetMetaRegionLocations")));
    size_t location = proto_begin(answer, 1);
    size_t info = proto_begin(answer, 1);
    proto_put_number(answer, 1, 1);
    proto_end(answer, info);
    size_t server = proto_begin(answer, 2);
    proto_put_bytes(answer, 1, slice_of(host));
    proto_put_number(answer, 2, port);
    proto_end(answer, server);
    proto_end(answer, location);
    fake_answer(0, answer, NULL);
}

/* Answers the oldest call, a scan of hbase:meta, with these regions, the last ones. */
static inline void fake_answer_regions(const struct fake_region *regions, unsigned n)
{
    struct buf *cells = fake_buf(), *answer = fake_buf();

    assert_true(fake.n > 0 && slice_equal(fake.calls[0].call->method, SLICE("Scan")));
    for (unsigned i = 0; i < n; i++)
        fake_put_region(cells, &regions[i]);
    proto_put_number(answer, 3, false);
    proto_put_number(answer, 8, false);
    fake_answer(0, answer, cells);
}

static const char *const fake_masters[] = { "m1:16000", "m2:16000" };

static inline struct locate *fake_locate(void)
{
    const struct locate_options options = { .env = &fake_env,
                                            .masters = fake_masters,
                                            .n_masters = 2,
                                            .table = "orders",
                                            .timeout_us = 10000000 };
    struct locate *locate = NULL;
    struct err err;

    memset(&fake, 0, sizeof(fake));
    fake.now_us = 1000000;
    assert_int_equal(locate_open(&locate, &options, &err), 0);
    locate_step(locate);
    assert_int_equal(fake.n, 0); /* nobody asks yet */
    locate_suspect(locate);
    return locate;
}

/* Three regions on two servers: [, 5) and [a, ) on rs1, [5, a) on rs2. */
static const struct fake_region fake_regions[] = {
    { .name = "orders,,1.a.", .start = "", .end = "5", .server = "rs1:16020", .id = 1 },
    { .name = "orders,5,1.b.", .start = "5", .end = "a", .server = "rs2:16020", .id = 1 },
    { .name = "orders,a,1.c.", .start = "a", .end = "", .server = "rs1:16020", .id = 1 },
};

/* One that knows the three. */
static inline struct locate *fake_located(void)
{
    struct locate *locate = fake_locate();

    locate_step(locate);
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(fake_regions, 3);
    assert_true(locate_known(locate));
    fake.started = 0;
    return locate;
}

/* What the calls before said of the regions is looked up, however long that waits: it knows the
 * three again. */
static inline void fake_settle(struct locate *locate)
{
    assert_int_equal(fake.n, 0);
    fake.now_us += UINT64_C(60000000);
    locate_step(locate);
    while (fake.n > 0)
        if (slice_equal(fake.calls[0].call->method, SLICE("Scan")))
            fake_answer_regions(fake_regions, 3);
        else
            fake_answer_meta("rs9", 16020);
    assert_true(locate_known(locate) && !locate_looking(locate));
}

/* ---- documents ---- */

static inline struct plan *fake_plan(void)
{
    static struct plan *plan;

    if (plan == NULL) {
        plan = plan_open(SLICE("orders"), SLICE("id"), IMAGES_FULL, EMIT_ALWAYS);
        plan_add_table(plan, &(struct plan_table){ .name = SLICE("shop.orders") }, NULL, 0);
        plan_add_table(plan,
                       &(struct plan_table){ .name = SLICE("shop.items"),
                                             .into = SLICE("items"),
                                             .many = SLICE("no") },
                       NULL, 0);
    }
    return plan;
}

/* A row with these columns `a` and `b` (JSON; NULL: not there), in one of a few blocks. */
static inline struct row *fake_row(const char *a, const char *b, uint64_t seqno)
{
    static char blocks[64][70000] __attribute__((aligned(8)));
    static unsigned at;
    struct columns *columns = fake_plan()->tables[0].columns;
    struct field fields[2];
    uint32_t n = 0;

    if (a != NULL)
        fields[n++] =
            (struct field){ .column = columns_intern(columns, SLICE("a")), .value = slice_of(a) };
    if (b != NULL)
        fields[n++] =
            (struct field){ .column = columns_intern(columns, SLICE("b")), .value = slice_of(b) };
    const struct change change = {
        .seqno = seqno, .op = CHANGE_UPSERT, .n_fields = n, .fields = fields
    };
    struct row *row = (struct row *)(void *)blocks[at++ % 64];
    assert_true(row_bytes(&change) <= sizeof(blocks[0]));
    row_write(&change, IMAGES_FULL, row);
    row->unsent = 1;
    return row;
}

/* Keys whose row keys begin with such a digit, so that a test can choose regions: the i-th that
 * lies in [from, to). */
static inline struct slice fake_key(char from, char to, unsigned i)
{
    static char keys[64][16];
    static unsigned at;
    char row[ROWS_KEY_BYTES_MAX];

    for (unsigned k = 0;; k++) {
        struct buf out = { .data = row, .bound = sizeof(row) };
        char *key = keys[at % 64];
        int len = snprintf(key, sizeof(keys[0]), "k%u", k);
        rows_key((struct slice){ key, (size_t)len }, &out);
        if (row[0] < from || row[0] >= to || i-- > 0)
            continue;
        at++;
        return (struct slice){ key, (size_t)len };
    }
}

#define KEY_OF_A(i) fake_key('0', '5', i)     /* of "orders,,1.a.", on rs1 */
#define KEY_OF_B(i) fake_key('5', 'a', i)     /* of "orders,5,1.b.", on rs2 */
#define KEY_OF_C(i) fake_key('a', 'f' + 1, i) /* of "orders,a,1.c.", on rs1 */

/* ---- Multi: what was asked, and answers to it ---- */

/* Steps into the i-th field of that number; false: there are fewer. */
static inline bool fake_field(struct slice message, uint32_t number, unsigned i,
                              struct proto_field *out)
{
    struct proto proto;

    proto_open(&proto, message);
    while (proto_next(&proto, out))
        if (out->number == number && i-- == 0)
            return true;
    assert_false(proto.broken);
    return false;
}

static inline struct slice fake_inner(struct slice message, uint32_t number, unsigned i)
{
    struct proto_field field;

    assert_true(fake_field(message, number, i, &field));
    assert_int_equal(field.type, PROTO_BYTES);
    return field.bytes;
}

static inline uint64_t fake_number(struct slice message, uint32_t number)
{
    struct proto_field field;

    assert_true(fake_field(message, number, 0, &field));
    return field.value;
}

static inline unsigned fake_count(struct slice message, uint32_t number)
{
    struct proto proto;
    struct proto_field field;
    unsigned n = 0;

    proto_open(&proto, message);
    while (proto_next(&proto, &field))
        n += field.number == number;
    assert_false(proto.broken);
    return n;
}

/* resultOrException { index, result {} with so many cells } */
static inline void fake_put_result(struct buf *out, unsigned index, unsigned n_cells)
{
    size_t entry = proto_begin(out, 1);
    proto_put_number(out, 1, index);
    size_t result = proto_begin(out, 2);
    if (n_cells > 0)
        proto_put_number(out, 2, n_cells);
    proto_end(out, result);
    proto_end(out, entry);
}

static inline void fake_put_exception(struct buf *out, uint32_t field, const char *class,
                                      const char *text)
{
    size_t exception = proto_begin(out, field);
    proto_put_bytes(out, 1, slice_of(class));
    proto_put_bytes(out, 2, slice_of(text));
    proto_end(out, exception);
}

static inline void fake_put_failure(struct buf *out, unsigned index, const char *class,
                                    const char *text)
{
    size_t entry = proto_begin(out, 1);
    proto_put_number(out, 1, index);
    fake_put_exception(out, 3, class, text);
    proto_end(out, entry);
}

/* All actions of the i-th call are done. */
static inline void fake_answer_all(unsigned i)
{
    struct buf *answer = fake_buf();
    struct slice param = fake.calls[i].call->param;

    for (unsigned g = 0, groups = fake_count(param, 1); g < groups; g++) {
        size_t group = proto_begin(answer, 1);
        for (unsigned a = 0, n = fake_count(fake_inner(param, 1, g), 3); a < n; a++)
            fake_put_result(answer, a, 0);
        proto_end(answer, group);
    }
    fake_answer(i, answer, NULL);
}

#endif
