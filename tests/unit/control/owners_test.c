/* owners_test.c: who may write: one member of several (R7), and one that stood still. */
#include "tests/unit/unit.h"

#include "control/assign.h"
#include "control/standing.h"
#include "control/task.h"

#include <stddef.h>
#include <stdlib.h>

/* A task on a node without shards: commands to them have nobody to go to. */
struct rig {
    struct source source;
    struct env env;
    uint64_t now_us;
    struct config_task config;
    struct node node;
    struct task task;
    struct sink sinks[2];
    bool refuses;
    unsigned asked, n_commits;
    struct source_commit commit; /* the first that was asked with */
    struct source_commit commits[PARTITIONS_MAX];
};

static int fake_commit(struct source *source, const struct source_commit *commits, unsigned n,
                       bool wait, struct err *err)
{
    struct rig *rig = (struct rig *)source;

    assert_true(wait);
    rig->asked++;
    rig->n_commits = n;
    rig->commit = commits[0];
    return rig->refuses ? err_set(err, EXIT_UNAVAILABLE, "unknown member") : 0;
}

static const struct source_ops fake_ops = { .name = "fake", .commit = fake_commit };

static uint64_t fake_mono_us(struct env *env)
{
    return ((struct rig *)((char *)env - offsetof(struct rig, env)))->now_us;
}

static const struct env_ops fake_env_ops = { .mono_us = fake_mono_us };

static struct rig *rig_open(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    rig->source = (struct source){ .ops = &fake_ops, .session_us = 10000000 };
    rig->config = (struct config_task){ .name = "orders",
                                        .n_sinks = 2,
                                        .source = { .kind = CONFIG_SOURCE_KAFKA,
                                                    .kafka = { .group = "weir" } },
                                        .document = { .key = "order_no" } };
    rig->env.ops = &fake_env_ops;
    rig->now_us = 1000000;
    rig->node = (struct node){ .env = &rig->env, .n_tasks = 1, .tasks = &rig->task };
    rig->task.node = &rig->node;
    rig->task.config = &rig->config;
    rig->task.source = &rig->source;
    rig->task.partitions = partitions_open();
    rig->task.commits = rig->commits;
    for (unsigned i = 0; i < 2; i++)
        rig->task.sinks[i] = &rig->sinks[i];
    rig->task.state = TASK_RUNNING;
    standing_open(&rig->task);
    return rig;
}

/* Two of four partitions came, the first of them read up to 70 and committed at 60. */
static void give_partitions(struct rig *rig)
{
    for (int32_t number = 0; number < 2; number++) {
        uint16_t slot = partitions_slot(rig->task.partitions, "log", number);

        rig->task.assignments[slot] = (struct assignment){
            .owned = 1, .read = 70, .durable = 65, .known = 60, .known_clock = 600
        };
    }
    rig->task.n_owned = 2;
    rig->task.n_total = 4;
}

static void stand_still(struct rig *rig, uint64_t stood_us)
{
    rig->now_us += stood_us;
}

static bool closed(const struct rig *rig)
{
    return fence_closed(&rig->task.fence, rig->now_us);
}

/* Long after any grace: what becomes of a member that is one of several on a log not keyed? */
static enum task_state later(struct rig *rig)
{
    assign_check_alone(&rig->task, 1);
    assign_check_alone(&rig->task, UINT64_C(1000000000));
    return task_state(&rig->task);
}

static void one_of_several_on_a_log_that_is_not_keyed_ends(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    give_partitions(rig);
    rig->sinks[0].merges = true; /* one sink that does not merge is enough */
    assert_int_equal(later(rig), TASK_FAILED);
    assert_int_equal(rig->task.failure.code, EXIT_CONFIG);
    assert_non_null(strstr(rig->task.failure.text, "partitioned_by_key"));
    free(rig);
}

/* Cells merge in the server by their own seqnos: there R7 is not needed. */
static void several_may_write_where_every_sink_merges(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    give_partitions(rig);
    rig->sinks[0].merges = rig->sinks[1].merges = true;
    assert_int_equal(later(rig), TASK_RUNNING);
    free(rig);
}

static void several_may_write_where_the_log_is_keyed(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    give_partitions(rig);
    rig->config.source.kafka.partitioned_by_key = true;
    assert_int_equal(later(rig), TASK_RUNNING);
    free(rig);
}

/* A member that is alive is never asked for; its fence moves with each tick. */
static void a_living_member_is_believed(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    give_partitions(rig);
    stand_still(rig, 4000000); /* less than half a session */
    standing_serve(&rig->task);
    assert_false(rig->task.in_doubt);
    assert_false(closed(rig));
    assert_int_equal(rig->task.fence.since_us, rig->now_us);
    assert_int_equal(rig->asked, 0);
    free(rig);
}

/* After a standstill ticks do not open the fence; a commit that is refused does not either; one
 * that is taken does. It says again what the group knows already. */
static void a_member_that_stood_still_writes_when_its_commit_is_taken(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    give_partitions(rig);
    stand_still(rig, 6000000);
    rig->refuses = true;
    standing_tick(&rig->node);
    standing_tick(&rig->node);
    assert_true(closed(rig));
    assert_int_equal(rig->task.standstills, 1);
    standing_serve(&rig->task);
    assert_int_equal(rig->asked, 1);
    assert_int_equal(rig->n_commits, 2);
    assert_string_equal(rig->commit.topic, "log");
    assert_int_equal(rig->commit.offset, 60);
    assert_int_equal(rig->commit.clock, 600);
    assert_true(closed(rig));

    rig->refuses = false;
    rig->task.ask_us = 0; /* the pause between two questions is over */
    standing_serve(&rig->task);
    assert_false(closed(rig));
    assert_false(rig->task.in_doubt);
    assert_int_equal(rig->task.standstills, 1);
    free(rig);
}

/* It was expelled: librdkafka tells of it, control forgets the partitions, and then there is
 * nothing left to ask for. */
static void a_member_that_lost_all_goes_on_without_asking(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    give_partitions(rig);
    stand_still(rig, 6000000);
    standing_tick(&rig->node);
    for (unsigned slot = 0; slot < 2; slot++)
        rig->task.assignments[slot].owned = 0;
    rig->task.n_owned = 0;
    standing_serve(&rig->task);
    assert_int_equal(rig->asked, 0);
    assert_false(closed(rig));
    free(rig);
}

/* Nobody takes a file's partitions away. */
static void a_source_without_sessions_is_never_in_doubt(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    rig->source.session_us = 0;
    standing_open(&rig->task);
    give_partitions(rig);
    stand_still(rig, UINT64_C(60000000));
    standing_serve(&rig->task);
    assert_false(closed(rig));
    assert_int_equal(rig->asked, 0);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_several_on_a_log_that_is_not_keyed_ends),
        cmocka_unit_test(several_may_write_where_every_sink_merges),
        cmocka_unit_test(several_may_write_where_the_log_is_keyed),
        cmocka_unit_test(a_living_member_is_believed),
        cmocka_unit_test(a_member_that_stood_still_writes_when_its_commit_is_taken),
        cmocka_unit_test(a_member_that_lost_all_goes_on_without_asking),
        cmocka_unit_test(a_source_without_sessions_is_never_in_doubt),
    };

    log_setup(LOG_TEXT, LOG_ALERT);
    return UNIT_RUN(tests);
}
