/*
 * room_test.c: a store that is much too small for the documents that wait for their states, and one
 * that still has a document whose partition was somebody else's meanwhile.
 *
 * A store of eight spans is small in an unusual way: each row here is of a size class of its own,
 * and takes a span with it. So two and a half documents of two rows fill it, and a document that
 * leaves makes room for one that is like no other.
 *
 * The clock stands still, unless a test moves it: what happens meanwhile waits for no time.
 */
#include "tests/unit/unit.h"

#include "dataplane/base/memory.h"
#include "dataplane/columns.h"
#include "tests/unit/dataplane/model.h"

#define SMALL_STORE ((size_t)8 << 16)
#define LARGE_STORE ((size_t)64 << 16)
#define HOUR_US     (UINT64_C(3600) * 1000000)
#define TURNS_MAX   20000 /* what is not done by then never will be */
#define KEYS        5

/* A row change of one column. Its value is one letter, over and over. */
struct written_row {
    unsigned key;
    const char *table;
    uint64_t stamp;
    size_t bytes; /* 0: the row is deleted */
    char letter;
};

/* The log, the server, the time. */
struct world {
    uint64_t random, now_us;
    struct model_server server;
    struct task_partitions *partitions;
    struct written_row log[32];
    unsigned log_n;
};

struct node {
    struct source_port source;
    struct world *world;
    struct model_env env;
    struct model_port sink;
    uint32_t epochs[PARTITIONS_MAX], epoch;
    struct pipeline *pipeline;
    unsigned position; /* in the log */
};

/* ---- the log ---- */

static void write_row(struct world *world, const struct written_row *row)
{
    assert_true(world->log_n < sizeof(world->log) / sizeof(world->log[0]));
    world->log[world->log_n++] = *row;
}

static int poll_log(struct source_port *port, struct record *records, unsigned max, struct err *err)
{
    struct node *node = (struct node *)port;
    unsigned n = 0;

    (void)err;
    for (; n < max && node->position < node->world->log_n; n++, node->position++)
        records[n] = (struct record){ .kind = RECORD_EVENT,
                                      .offset = node->position,
                                      .payload = { (const char *)&node->world->log[node->position],
                                                   sizeof(struct written_row) } };
    return (int)n;
}

static void detach(struct source_port *port, uint16_t partition)
{
    (void)port;
    (void)partition;
}

static const struct source_port_ops source_ops = { .attach = model_source_attach,
                                                   .detach = detach,
                                                   .poll = poll_log,
                                                   .release = model_source_release,
                                                   .ended = model_source_ended };

struct row_decoder {
    struct decoder decoder;
    const struct plan *plan;
};

static const struct decoder_ops row_decoder_ops;

static struct decoder *decoder_open(const struct decoder_options *options)
{
    struct row_decoder *decoder = memory_reserve(sizeof(*decoder), "decoder");

    decoder->decoder.ops = &row_decoder_ops;
    decoder->plan = options->plan;
    return &decoder->decoder;
}

static void decoder_begin(struct decoder *decoder, struct decode_job *job)
{
    (void)decoder;
    job->kind = EVENT_ROWS;
}

static void fill_field(const struct written_row *row, struct columns *columns, struct frame *frame,
                       struct change *change)
{
    struct field *field = arena_take(&frame->arena, sizeof(*field));
    char *text = arena_take(&frame->arena, row->bytes + 2);

    memset(text, row->letter, row->bytes + 2);
    text[0] = text[row->bytes + 1] = '"';
    *field = (struct field){ .column = columns_intern(columns, SLICE("x")),
                             .value = { text, row->bytes + 2 } };
    change->fields = field;
    change->n_fields = 1;
}

static bool decoder_rows(struct decoder *decoder, struct decode_job *job, struct frame *frame)
{
    const struct plan *plan = ((struct row_decoder *)decoder)->plan;
    const struct written_row *row = (const void *)job->record->payload.data;
    struct change *change = frame_slot(frame);
    char key[] = { 'k', (char)('0' + row->key) };

    if (change == NULL)
        return false;
    *change = (struct change){
        .clock_before = job->clock->seqno,
        .seqno = clock_next(job->clock, SEQNO_EPOCH + row->stamp),
        .key = arena_copy(&frame->arena, (struct slice){ key, sizeof(key) }),
        .row_id = SLICE(""),
        .table = (uint16_t)plan_find(plan, SLICE("t"), slice_of(row->table)),
        .partition = job->record->partition,
        .offset = job->record->offset,
        .op = row->bytes > 0 ? CHANGE_UPSERT : CHANGE_DELETE,
    };
    change->hash = key_hash(change->key);
    if (row->bytes > 0)
        fill_field(row, plan->tables[change->table].columns, frame, change);
    job->rows++;
    frame->n++;
    return true;
}

static const struct decoder_ops row_decoder_ops = {
    .name = "rows", .open = decoder_open, .begin = decoder_begin, .rows = decoder_rows
};

/* ---- nodes ---- */

static struct world *world_open(uint64_t retention_us)
{
    struct world *world = memory_reserve(sizeof(*world), "world");
    struct plan *plan = model_plan(IMAGES_FULL);

    plan->tombstone_retention_us = retention_us;
    world->random = 1;
    world->server =
        (struct model_server){ .plan = plan, .random = &world->random, .now = &world->now_us };
    world->partitions = partitions_open();
    assert_int_equal(partitions_slot(world->partitions, "log", 0), 0);
    return world;
}

static uint32_t pending_max = 64;

static struct node *node_open(struct world *world, size_t store_bytes, uint64_t linger_us)
{
    static const bool knows_all = false;
    struct node *node = memory_reserve(sizeof(*node), "node");
    struct pipeline_options options = {
        .task = "test",
        .plan = world->server.plan,
        .format = &row_decoder_ops,
        .skew_max_us = 1000 * HOUR_US,
        .event_bytes_max = TEXT_BYTES,
        .store_bytes = store_bytes,
        .pending_max = pending_max,
        .n_shards = 1,
        .by_key = true,
        .n_outlets = 1,
        .source = &node->source,
        .partitions = world->partitions,
        .epochs = node->epochs,
        .epoch = &node->epoch,
        .knows_all = &knows_all,
        .env = &node->env.env,
    };

    node->source.ops = &source_ops;
    node->world = world;
    node->env = (struct model_env){ { &model_env_ops }, &world->random, &world->now_us, 1 };
    model_port_start(&node->sink, &world->server);
    options.outlets[0] = (struct outlet_options){
        .name = "sink", .port = &node->sink.port, .limits = model_limits(), .linger_us = linger_us
    };
    options.outlets[0].limits.docs = 1000;
    options.outlets[0].limits.bytes = 1 << 20;
    node->pipeline = pipeline_open(&options);
    node->sink.scratch = &node->pipeline->scratch;
    pipeline_join(node->pipeline, &node->pipeline);
    return node;
}

/* The log's partition becomes the node's, from that offset on. */
static void node_assign(struct node *node, uint32_t epoch, unsigned position)
{
    node->epochs[0] = node->epoch = epoch;
    node->position = position;
    intake_attach(node->pipeline, 0, position, SEQNO_EPOCH, NULL);
}

static void node_revoke(struct node *node, uint32_t epoch)
{
    intake_detach(node->pipeline, 0);
    node->epochs[0] = node->epoch = epoch;
    pendings_forget(node->pipeline->pendings, 0, model_env_now(&node->env));
}

static void turn(struct node *node)
{
    (void)pipeline_step(node->pipeline, model_env_now(&node->env));
}

static unsigned batches_out(const struct node *node)
{
    unsigned n = 0;

    for (unsigned i = 0; i < FLIGHTS; i++)
        n += node->sink.flights[i].state == OUT;
    return n;
}

static void land(struct node *node)
{
    for (struct flying *flying = node->sink.flights; flying < node->sink.flights + FLIGHTS;
         flying++) {
        if (flying->state != OUT)
            continue;
        for (unsigned i = 0; i < flying->batch.n; i++)
            flying->items[i].verdict = model_write(&node->world->server, &flying->writes[i], false)
                                           ? SINK_WRITTEN
                                           : SINK_STALE;
        flying->state = LANDED;
    }
}

static bool is_through_log(const struct node *node)
{
    return node->position == node->world->log_n && intake_idle(node->pipeline);
}

static bool is_drained(const struct node *node)
{
    return is_through_log(node) && pendings_count(node->pipeline->pendings) == 0;
}

/* All that is left may linger. */
static bool is_lingering(const struct node *node)
{
    const struct pendings *pendings = node->pipeline->pendings;

    return is_through_log(node) && pendings_load(pendings, 0).ready == pendings_count(pendings);
}

/* Plays, writes landing at once, until that is so. False: it never is. */
static bool play_until(struct node *node, bool (*condition)(const struct node *))
{
    for (unsigned i = 0; i < TURNS_MAX && !condition(node); i++) {
        turn(node);
        land(node);
    }
    return condition(node) && !node->pipeline->failed;
}

/* ---- documents ---- */

/* What the server keeps of the document holds a value of that letter. */
static bool holds(const struct world *world, unsigned key, char letter)
{
    char value[] = { '"', 'x', '"', ':', '"', letter, '\0' };

    return strstr(world->server.docs[key].text, value) != NULL;
}

/* ---- tests ---- */

/* Batches may linger for an hour, and are larger than the store. A document lingers while there is
 * room for more; but what fills the store leaves at once, or nothing could come before it. */
static void nothing_lingers_while_the_store_is_stuck(void **state)
{
    struct world *world = world_open(0);
    struct node *node = node_open(world, SMALL_STORE, HOUR_US);

    (void)state;
    node_assign(node, 1, 0);
    write_row(world, &(struct written_row){ 0, "root", 1000, 600, 'z' });
    for (unsigned i = 0; i < 100; i++)
        turn(node);
    assert_true(is_lingering(node));
    assert_int_equal(pendings_count(node->pipeline->pendings), 1);
    assert_int_equal(batches_out(node), 0);

    for (unsigned i = 0; i < 4 * KEYS; i++)
        write_row(world, &(struct written_row){ .key = i / 2 % KEYS,
                                                .table = i % 2 ? "a" : "root",
                                                .stamp = 2000 + i,
                                                .bytes = 600 + 300 * (i % (2 * KEYS)),
                                                .letter = (char)('a' + i) });
    assert_true(play_until(node, is_lingering));
    assert_true(node->pipeline->counters.store_full > 0);

    world->now_us += HOUR_US; /* the last ones left room */
    assert_true(play_until(node, is_drained));
    for (unsigned key = 0; key < KEYS; key++) {
        assert_true(holds(world, key, (char)('a' + 2 * (KEYS + key))));
        assert_true(holds(world, key, (char)('a' + 2 * (KEYS + key) + 1)));
    }
}

/* The same where as many documents wait as may: no other can come before one of them has left. */
static void nothing_lingers_while_no_more_may_wait(void **state)
{
    struct world *world = world_open(0);
    struct node *node;

    (void)state;
    pending_max = 2;
    node = node_open(world, LARGE_STORE, HOUR_US);
    pending_max = 64;
    node_assign(node, 1, 0);
    for (unsigned key = 0; key < KEYS; key++)
        write_row(world, &(struct written_row){ key, "root", 1000 + key, 600, (char)('a' + key) });
    assert_true(play_until(node, is_lingering));
    assert_true(holds(world, 0, 'a'));
    assert_true(pendings_count(node->pipeline->pendings) < 2); /* the last one may */
}

static bool is_sending(const struct node *node)
{
    return batches_out(node) > 0;
}

/* Document 0 has a large row in the sink, for which the store has no room: documents that wait for
 * their states fill it. Document 1, of the same answer, lacks nothing: it must not wait for 0. When
 * it has left, and not before, 0 is asked for again. */
static void state_that_found_no_room_is_asked_for_again_when_there_is_some(void **state)
{
    struct world *world = world_open(0);
    struct node *before = node_open(world, LARGE_STORE, 0),
                *node = node_open(world, SMALL_STORE, 0);

    (void)state;
    node_assign(before, 1, 0);
    write_row(world, &(struct written_row){ 0, "root", 1000, 4000, 'a' });
    assert_true(play_until(before, is_drained));

    node_assign(node, 2, world->log_n);
    write_row(world, &(struct written_row){ 0, "root", 500, 100, '-' }); /* read again */
    write_row(world, &(struct written_row){ 0, "a", 2000, 300, 'b' });
    write_row(world, &(struct written_row){ 1, "root", 2001, 600, 'c' });
    write_row(world, &(struct written_row){ 1, "a", 2002, 900, 'd' });
    write_row(world, &(struct written_row){ 1, "b", 2003, 1200, 'e' });
    for (unsigned i = 0; i < TURNS_MAX && !is_sending(node); i++)
        turn(node);
    assert_true(is_sending(node));
    assert_int_equal(pendings_count(node->pipeline->pendings), 2);

    for (unsigned i = 0; i < 100; i++)
        turn(node);
    assert_int_equal(node->pipeline->counters.lookups, 1);

    assert_true(play_until(node, is_drained));
    assert_int_equal(node->pipeline->counters.lookups, 2);
    assert_true(holds(world, 0, 'a') && holds(world, 0, 'b'));
    assert_true(holds(world, 1, 'c') && holds(world, 1, 'd') && holds(world, 1, 'e'));
}

/* Documents that wait for states can't be evicted: beyond a part of the store no more may wait, or
 * their states would find no room. */
static void only_so_much_waits_for_states(void **state)
{
    struct world *world = world_open(0);
    struct node *node = node_open(world, LARGE_STORE, 0);
    uint64_t most = 0;

    (void)state;
    node->pipeline->options.store_bytes = 16000; /* an eighth may wait, and what passes it */
    node_assign(node, 1, 0);
    for (unsigned key = 0; key < KEYS; key++)
        write_row(world, &(struct written_row){ key, "root", 1000 + key, 900, 'a' });
    for (unsigned i = 0; i < TURNS_MAX && !is_drained(node); i++) {
        turn(node);
        if (node->pipeline->hydrator.waiting_bytes > most)
            most = node->pipeline->hydrator.waiting_bytes;
        assert_true(most < 2000 + 1000);
        land(node);
    }
    assert_true(is_drained(node));
    assert_true(most > 2000);
    assert_int_equal(node->pipeline->hydrator.waiting_bytes, 0);
    for (unsigned key = 0; key < KEYS; key++)
        assert_true(holds(world, key, 'a'));
}

/* A state needs two spans and one is free, which would do for any change. So the store lacks
 * nothing otherwise; it must make room for the state all the same, or say that it is stuck. */
static void state_that_needs_more_than_the_spare_room_stops_nobody(void **state)
{
    struct world *world = world_open(0);
    struct node *before = node_open(world, LARGE_STORE, 0),
                *node = node_open(world, SMALL_STORE, 0);

    (void)state;
    node_assign(before, 1, 0);
    write_row(world, &(struct written_row){ 0, "root", 1000, 4000, 'a' });
    assert_true(play_until(before, is_drained));

    node_assign(node, 2, world->log_n);
    write_row(world, &(struct written_row){ 0, "a", 2000, 300, 'b' });
    write_row(world, &(struct written_row){ 1, "root", 2001, 600, 'c' });
    write_row(world, &(struct written_row){ 1, "a", 2002, 900, 'd' });
    write_row(world, &(struct written_row){ 1, "b", 2003, 1200, 'e' });
    assert_true(play_until(node, is_drained));
    assert_true(holds(world, 0, 'a') && holds(world, 0, 'b'));
    assert_true(holds(world, 1, 'c') && holds(world, 1, 'd') && holds(world, 1, 'e'));
}

/* A node loses its partition and gets it back before its store was swept. Meanwhile the other owner
 * deleted a row, and went on until that was forgotten: the sink's state does not tell the deletion
 * any more, so the row that is still in the store must not be believed. */
static void document_at_rest_is_read_back_when_its_partition_came_anew(void **state)
{
    struct world *world = world_open(10000);
    struct node *first = node_open(world, LARGE_STORE, 0),
                *other = node_open(world, LARGE_STORE, 0);

    (void)state;
    node_assign(first, 1, 0);
    write_row(world, &(struct written_row){ 0, "root", 1000, 10, 'a' });
    write_row(world, &(struct written_row){ 0, "a", 1001, 10, 'b' });
    assert_true(play_until(first, is_drained));
    assert_true(holds(world, 0, 'b'));

    node_revoke(first, 2);
    node_assign(other, 2, world->log_n);
    write_row(world, &(struct written_row){ 0, "a", 2000, 0, ' ' });
    write_row(world, &(struct written_row){ 0, "root", 20000, 10, 'c' });
    assert_true(play_until(other, is_drained));
    assert_true(holds(world, 0, 'c') && !holds(world, 0, 'b'));
    assert_non_null(strstr(world->server.docs[0].text, "residual"));

    assert_non_null(store_find(first->pipeline->store, key_hash(SLICE("k0")), SLICE("k0")));
    node_assign(first, 3, world->log_n);
    write_row(world, &(struct written_row){ 0, "root", 20001, 10, 'd' });
    assert_true(play_until(first, is_drained));
    assert_true(holds(world, 0, 'd'));
    assert_false(holds(world, 0, 'b'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_lingers_while_the_store_is_stuck),
        cmocka_unit_test(nothing_lingers_while_no_more_may_wait),
        cmocka_unit_test(state_that_found_no_room_is_asked_for_again_when_there_is_some),
        cmocka_unit_test(only_so_much_waits_for_states),
        cmocka_unit_test(state_that_needs_more_than_the_spare_room_stops_nobody),
        cmocka_unit_test(document_at_rest_is_read_back_when_its_partition_came_anew),
    };

    return UNIT_RUN(tests);
}
