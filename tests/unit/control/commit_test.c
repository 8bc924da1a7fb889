/* commit_test.c: which offsets a commit round hands over. */
#include "tests/unit/unit.h"

#include "control/commit.h"

#include <stdlib.h>

/* A task on a node without shards: what is durable is what its assignments say. */
struct rig {
    struct source source;
    struct env env;
    struct dead_letters letters;
    struct node node;
    struct task task;
    bool refuses;
    unsigned rounds, n_commits;
    int64_t offsets[4];
    struct source_commit commits[PARTITIONS_MAX];
    uint16_t slots[PARTITIONS_MAX];
};

static int fake_commit(struct source *source, const struct source_commit *commits, unsigned n,
                       bool wait, struct err *err)
{
    struct rig *rig = (struct rig *)source;

    (void)wait;
    rig->rounds++;
    rig->n_commits = n;
    for (unsigned i = 0; i < n; i++)
        rig->offsets[i] = commits[i].offset;
    return rig->refuses ? err_set(err, EXIT_UNAVAILABLE, "the group is rebalancing") : 0;
}

static int fake_sync(struct dead_letters *letters, struct err *err)
{
    (void)letters;
    (void)err;
    return 0;
}

static uint64_t fake_mono_us(struct env *env)
{
    (void)env;
    return 1000000;
}

static const struct source_ops fake_source_ops = { .name = "fake", .commit = fake_commit };
static const struct dead_letters_ops fake_letters_ops = { .sync = fake_sync };
static const struct env_ops fake_env_ops = { .mono_us = fake_mono_us };

/* Two partitions, durable up to 65 and 75, and committed so far. */
static struct rig *rig_open(void)
{
    static const struct config_task config = { .name = "orders" };
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    rig->source.ops = &fake_source_ops;
    rig->letters.ops = &fake_letters_ops;
    rig->env.ops = &fake_env_ops;
    rig->node = (struct node){ .env = &rig->env, .n_tasks = 1, .tasks = &rig->task };
    rig->task.node = &rig->node;
    rig->task.config = &config;
    rig->task.source = &rig->source;
    rig->task.letters = &rig->letters;
    rig->task.partitions = partitions_open();
    rig->task.commits = rig->commits;
    rig->task.commit_slots = rig->slots;
    for (int32_t number = 0; number < 2; number++) {
        uint16_t slot = partitions_slot(rig->task.partitions, "log", number);

        rig->task.assignments[slot] =
            (struct assignment){ .owned = 1, .durable = 65 + 10 * number, .committed = -1 };
    }
    assert_int_equal(commit_round(&rig->task, false), 0);
    assert_int_equal(rig->n_commits, 2);
    rig->rounds = 0;
    return rig;
}

static void what_is_committed_is_not_committed_again(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    assert_int_equal(commit_round(&rig->task, false), 0);
    assert_int_equal(rig->rounds, 0);
    rig->task.assignments[1].durable = 80;
    assert_int_equal(commit_round(&rig->task, false), 0);
    assert_int_equal(rig->n_commits, 1);
    assert_int_equal(rig->offsets[0], 80);
    free(rig);
}

/* Nothing new comes: the group would be told of a lag for ever, and the next member read it again.
 */
static void commit_that_was_lost_is_made_again_although_nothing_is_new(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    commit_lost(&rig->task);
    assert_int_equal(commit_round(&rig->task, false), 0);
    assert_int_equal(rig->n_commits, 2);
    assert_int_equal(rig->offsets[0], 65);
    assert_int_equal(rig->offsets[1], 75);
    assert_int_equal(commit_round(&rig->task, false), 0);
    assert_int_equal(rig->rounds, 1);
    free(rig);
}

static void lost_commit_that_is_refused_once_more_is_made_again(void **state)
{
    struct rig *rig = rig_open();

    (void)state;
    commit_lost(&rig->task);
    rig->refuses = true;
    assert_int_equal(commit_round(&rig->task, false), -1);
    rig->refuses = false;
    assert_int_equal(commit_round(&rig->task, false), 0);
    assert_int_equal(rig->n_commits, 2);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_committed_is_not_committed_again),
        cmocka_unit_test(commit_that_was_lost_is_made_again_although_nothing_is_new),
        cmocka_unit_test(lost_commit_that_is_refused_once_more_is_made_again),
    };

    return cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, NULL, NULL);
}
