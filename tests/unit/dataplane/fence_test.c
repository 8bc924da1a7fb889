/* fence_test.c: outlets of a node that stood still send nothing until its partitions are known to
 * be its own. */
#include "tests/unit/unit.h"

#include "dataplane/base/memory.h"
#include "tests/unit/dataplane/model.h"

#define SECOND_US UINT64_C(1000000)
#define LIMIT_US  (5 * SECOND_US)

/* One pipeline on one partition. Its time is `steps` seconds. */
struct rig {
    struct source_port source;
    uint64_t random, steps;
    struct model_env env;
    struct model_server server;
    struct model_port sink;
    struct fence fence;
    struct pipeline *pipeline;
    const struct message *message; /* to be polled next; NULL: none */
    int64_t offset;
};

static int poll_one(struct source_port *port, struct record *records, unsigned max, struct err *err)
{
    struct rig *rig = (struct rig *)port;

    (void)err;
    if (rig->message == NULL || max == 0)
        return 0;
    records[0] =
        (struct record){ .kind = RECORD_EVENT,
                         .offset = rig->offset++,
                         .payload = { (const char *)rig->message, sizeof(*rig->message) } };
    rig->message = NULL;
    return 1;
}

static void detach(struct source_port *port, uint16_t partition)
{
    (void)port;
    (void)partition;
}

static const struct source_port_ops source_ops = { .attach = model_source_attach,
                                                   .detach = detach,
                                                   .poll = poll_one,
                                                   .release = model_source_release,
                                                   .ended = model_source_ended };

static struct rig *rig_open(uint64_t limit_us)
{
    static const uint32_t epochs[PARTITIONS_MAX] = { 1 }, epoch = 1;
    static const bool knows_all = true;
    struct rig *rig = memory_reserve(sizeof(*rig), "rig");
    struct plan *plan = model_plan(IMAGES_FULL);
    struct pipeline_options options = {
        .task = "test",
        .plan = plan,
        .format = &model_decoder_ops,
        .skew_max_us = UINT64_C(100000000) * SECOND_US,
        .event_bytes_max = 4096,
        .store_bytes = 1 << 20,
        .pending_max = 64,
        .n_shards = 1,
        .n_outlets = 1,
        .source = &rig->source,
        .partitions = partitions_open(),
        .epochs = epochs,
        .epoch = &epoch,
        .knows_all = &knows_all,
        .fence = &rig->fence,
        .env = &rig->env.env,
    };

    rig->source.ops = &source_ops;
    rig->random = 1;
    rig->steps = 100;
    rig->env = (struct model_env){ { &model_env_ops }, &rig->random, &rig->steps, SECOND_US };
    rig->server = (struct model_server){ .plan = plan, .random = &rig->random, .now = &rig->steps };
    rig->fence = (struct fence){ model_env_now(&rig->env), limit_us };
    model_port_start(&rig->sink, &rig->server);
    assert_int_equal(partitions_slot(options.partitions, "log", 0), 0);
    options.outlets[0] = (struct outlet_options){ .name = "sink",
                                                  .port = &rig->sink.port,
                                                  .limits = model_limits() };
    rig->pipeline = pipeline_open(&options);
    rig->sink.scratch = &rig->pipeline->scratch;
    pipeline_join(rig->pipeline, &rig->pipeline);
    intake_attach(rig->pipeline, 0, 0, SEQNO_EPOCH, NULL);
    return rig;
}

static unsigned batches_out(const struct rig *rig)
{
    unsigned n = 0;

    for (unsigned i = 0; i < FLIGHTS; i++)
        n += rig->sink.flights[i].state == OUT;
    return n;
}

/* Turns of a shard that took its time at the beginning of each, until nothing is left to do. */
static void turn(struct rig *rig, uint64_t now_us)
{
    for (unsigned i = 0; i < 20; i++)
        (void)pipeline_step(rig->pipeline, now_us);
}

static void read_event(struct rig *rig, unsigned key)
{
    static struct event events[KEYS_MAX];
    static struct message messages[KEYS_MAX];

    events[key] = (struct event){ .stamp = SEQNO_EPOCH + 1000 + key, .key = key, .value = 1 };
    messages[key] = (struct message){ .n = 1, .rows = { &events[key] } };
    rig->message = &messages[key];
}

/* A node is stopped for longer than half of its session: what it has ready is not sent, however
 * often it looks, and does not keep the shard busy; when its membership is confirmed, it is. */
static void nothing_is_sent_after_a_standstill_until_it_is_confirmed(void **state)
{
    struct rig *rig = rig_open(LIMIT_US);

    (void)state;
    rig->steps += 5; /* as long as is believed */
    read_event(rig, 0);
    turn(rig, model_env_now(&rig->env));
    assert_int_equal(batches_out(rig), 1);

    rig->steps += 1;
    read_event(rig, 1);
    turn(rig, model_env_now(&rig->env));
    assert_int_equal(batches_out(rig), 1);
    assert_int_equal(pipeline_due_us(rig->pipeline), 0);

    fence_move(&rig->fence, model_env_now(&rig->env));
    turn(rig, model_env_now(&rig->env));
    assert_int_equal(batches_out(rig), 2);
}

/* It is stopped in the middle of a turn: the turn's time is from before, the clock is not. */
static void a_standstill_within_a_turn_is_noticed(void **state)
{
    struct rig *rig = rig_open(LIMIT_US);
    uint64_t before_us = model_env_now(&rig->env);

    (void)state;
    read_event(rig, 0);
    rig->steps += 6;
    turn(rig, before_us);
    assert_int_equal(batches_out(rig), 0);
}

/* Nobody takes a file's partitions: a standstill means nothing. */
static void a_source_without_sessions_has_no_fence(void **state)
{
    struct rig *rig = rig_open(0);

    (void)state;
    rig->steps += 1000000;
    read_event(rig, 0);
    turn(rig, model_env_now(&rig->env));
    assert_int_equal(batches_out(rig), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_sent_after_a_standstill_until_it_is_confirmed),
        cmocka_unit_test(a_standstill_within_a_turn_is_noticed),
        cmocka_unit_test(a_source_without_sessions_has_no_fence),
    };

    return UNIT_RUN(tests);
}
