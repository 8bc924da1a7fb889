/*
 * bulk_fuzz.c: what Elasticsearch answers to a batch (drivers/elasticsearch/bulk.h, answer.h): two
 * documents that are shown and one that is deleted, so both passes run.
 *
 * - The batch comes to an end, and every item has a verdict; a dead one has a reason, in UTF-8.
 * - A first answer that was believed says nothing once it is cut: every item is to be tried again.
 * - It failed whole only where every item is to be tried again.
 */
#include "es_fake.h"

#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "drivers/elasticsearch/answer.h"
#include "drivers/elasticsearch/bulk.h"

#define ITEMS 3u

static struct bulk bulk;
static struct plan *plan;
static struct row *rows[ITEMS];
static char blocks[ITEMS][512] __attribute__((aligned(8)));

static void make_row(unsigned i, bool deleted)
{
    struct field field = { .value = SLICE("\"x\"") };
    const struct change change = { .seqno = SEQNO_EPOCH + 1 + i,
                                   .op = deleted ? CHANGE_DELETE : CHANGE_UPSERT,
                                   .n_fields = deleted ? 0 : 1,
                                   .fields = &field };

    field.column = columns_intern(plan->tables[0].columns, SLICE("id"));
    rows[i] = (struct row *)(void *)blocks[i];
    assert_true(row_bytes(&change) <= sizeof(blocks[i]));
    row_write(&change, IMAGES_FULL, rows[i]);
}

void fuzz_setup(void)
{
    static const struct sink_limits limits = {
        .docs = 8, .in_flight = 1, .bytes = 1 << 16, .document_bytes_max = 1 << 14
    };
    const struct bulk_options options = { .path = "/orders/_bulk",
                                          .side_index = "orders-weir",
                                          .limits = &limits };
    struct bulk_options all = options;
    struct err err;

    plan = plan_open(SLICE("orders"), SLICE("id"), IMAGES_FULL, EMIT_ALWAYS);
    plan_add_table(plan, &(struct plan_table){ .name = SLICE("shop.orders") }, NULL, 0);
    all.plan = plan;
    assert_int_equal(bulk_open(&bulk, &fake_es_http, &all, &err), 0);
    for (unsigned i = 0; i < ITEMS; i++)
        make_row(i, i == 2);
}

static void check_items(void)
{
    unsigned again = 0;

    for (unsigned i = 0; i < bulk.batch.n; i++) {
        const struct sink_item *item = &bulk.batch.items[i];

        assert_true(item->verdict <= SINK_DEAD);
        again += item->verdict == SINK_RETRY;
        if (item->verdict == SINK_DEAD) {
            assert_true(item->reason.len > 0 && utf8_valid(item->reason));
            assert_true(item->reason.len <= ANSWER_REASON_BYTES_MAX + 64);
        }
    }
    assert_true(!bulk.batch.failed_whole || again == bulk.batch.n);
}

static void play(struct slice input)
{
    static const char *const keys[ITEMS] = { "a", "b", "c" };

    bulk.state = BULK_FREE;
    bulk_begin(&bulk);
    for (unsigned i = 0; i < ITEMS; i++) {
        const struct document document = { .key = slice_of(keys[i]),
                                           .version = 1 + i,
                                           .n_rows = 1,
                                           .rows = &rows[i],
                                           .partition = -1 };

        assert_int_equal(bulk_add(&bulk, &document), SINK_ADDED);
    }
    bulk_submit(&bulk);
    fake_es_play(input);
    assert_int_equal(bulk.state, BULK_DONE);
    check_items();
}

void fuzz_input(struct slice input)
{
    struct slice text = fuzz_exact(input), cut;
    struct dice dice = dice_of(input);

    play(text);
    if (fake_es.believed == 0)
        return;
    cut = fake_es_cut(text, &dice);
    if (cut.len == 0 || cut.data[0] == '!')
        return;
    play(fuzz_exact(cut));
    for (unsigned i = 0; i < ITEMS; i++)
        assert_int_equal(bulk.batch.items[i].verdict, SINK_RETRY);
    assert_true(bulk.batch.failed_whole && fake_es.believed == 0 && fake_es.distrusted == 1);
}
