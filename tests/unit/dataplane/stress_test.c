/*
 * stress_test.c: the promises of docs/ORDERING.md at every single commit, on small frames, several
 * shards and sinks of different speed.
 *
 * The data plane is built with frames of five changes, three of them, for this program alone: so a
 * record ends in another frame than it began in, and a pipeline runs out of frames all the time.
 * The histories are seeded: a failure names its seed, and what was wrong.
 */
#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"
#include "tests/unit/dataplane/histories.h"
#include "tests/unit/dataplane/stress_world.h"

static bool play(uint64_t seed, const void *rules)
{
    return stress_ends_right(seed, rules);
}

/* Every history has sinks that fail and records with several rows. */
static void converge(struct stress_rules rules, unsigned n)
{
    rules.fails = rules.many = true;
    histories_all_right(play, &rules, n);
}

/* Partitions move between two nodes that are killed and whose sinks lose writes and answers. */
static void keyed_log_converges_over_failures_and_crashes(void **state)
{
    (void)state;
    struct stress_rules rules = { .nodes = 2, .shards = 2, .sinks = 2, .layout = LAYOUT_KEYED };
    rules.pending_max = 16;
    rules.late = rules.crashes = true;
    converge(rules, 60);
    rules.evicts = true;
    converge(rules, 60);
}

/* A sink refuses some documents for good. That must not let go of what another sink still lacks,
 * nor of what other documents hold. */
static void burials_keep_every_sink_right(void **state)
{
    (void)state;
    struct stress_rules rules = { .nodes = 1, .shards = 1, .sinks = 2, .layout = LAYOUT_SPREAD };
    rules.pending_max = 4;
    rules.buries = rules.restless = true;
    converge(rules, 80);
}

/* With next to no room a record is half decoded most of the time. Its partition is taken away and
 * comes back meanwhile: the rest of the record must not tick the new clock. */
static void partition_that_comes_back_amid_a_record_keeps_its_clock(void **state)
{
    (void)state;
    struct stress_rules rules = { .nodes = 1, .shards = 1, .sinks = 2, .layout = LAYOUT_KEYED };
    rules.pending_max = 2;
    rules.restless = true;
    converge(rules, 80);
}

/* A document's rows come by two topics; the partitions of one number move together. */
static void co_partitioned_topics_converge(void **state)
{
    (void)state;
    struct stress_rules rules = { .nodes = 2, .shards = 2, .sinks = 2, .layout = LAYOUT_TOPICS };
    rules.pending_max = 16;
    rules.crashes = true;
    converge(rules, 60);
    rules.evicts = true;
    converge(rules, 40);
}

/* Rows of one record go to three shards; the record is done when all have merged theirs. */
static void spread_rows_converge_on_three_shards(void **state)
{
    (void)state;
    struct stress_rules rules = { .nodes = 1, .shards = 3, .sinks = 2, .layout = LAYOUT_SPREAD };
    rules.pending_max = 16;
    rules.crashes = true;
    converge(rules, 60);
}

/* Each event says one column of two, so a lost write cannot be made good by the next one; and few
 * documents may be pending, so merging waits for the slow sink. */
static void partial_images_converge_with_few_pending_documents(void **state)
{
    (void)state;
    struct stress_rules rules = { .nodes = 2, .shards = 2, .sinks = 2, .layout = LAYOUT_KEYED };
    rules.pending_max = 4;
    rules.images = IMAGES_PARTIAL;
    rules.late = rules.crashes = true;
    converge(rules, 60);
    rules.evicts = true;
    converge(rules, 80);
}

/* ---- a sink that merges, as HBase does ---- */

static struct stress_rules merging(enum images images, unsigned sinks, unsigned which)
{
    return (struct stress_rules){ .nodes = 2,
                                  .shards = 2,
                                  .sinks = sinks,
                                  .layout = LAYOUT_KEYED,
                                  .pending_max = 16,
                                  .images = images,
                                  .late = true,
                                  .crashes = true,
                                  .evicts = true,
                                  .merging = which };
}

/* It is sent only what it lacks; alone, as the sink that states are read back from, and as the
 * second one. */
static void merging_sinks_converge(void **state)
{
    (void)state;
    for (enum images images = IMAGES_FULL; images <= IMAGES_PARTIAL; images++) {
        converge(merging(images, 1, 1), 40);
        for (unsigned which = 1; which <= 3; which++)
            converge(merging(images, 2, which), 30);
    }
}

static void merging_sinks_converge_where_tombstones_are_purged(void **state)
{
    (void)state;
    for (enum images images = IMAGES_FULL; images <= IMAGES_PARTIAL; images++)
        for (unsigned which = 1; which <= 3; which++) {
            struct stress_rules rules = merging(images, 2, which);
            rules.retention_us = 60;
            converge(rules, 40);
        }
}

/* Many writers of one document: in such a sink they do no harm. */
static void merging_sink_takes_any_number_of_writers(void **state)
{
    (void)state;
    for (enum images images = IMAGES_FULL; images <= IMAGES_PARTIAL; images++) {
        struct stress_rules rules = merging(images, 1, 1);
        rules.layout = LAYOUT_SPREAD;
        converge(rules, 40);
    }
}

/* What it refused for good goes with what it is sent next of that document. */
static void merging_sink_gets_what_it_refused_with_the_next_write(void **state)
{
    (void)state;
    for (enum images images = IMAGES_FULL; images <= IMAGES_PARTIAL; images++) {
        struct stress_rules rules = {
            .nodes = 1, .shards = 1, .sinks = 2, .layout = LAYOUT_SPREAD, .merging = 3
        };
        rules.images = images;
        rules.pending_max = 8;
        rules.buries = rules.steady = true;
        converge(rules, 40);
    }
}

static void broken_rules_of_what_a_merging_sink_lacks_are_caught(void **state)
{
    (void)state;
    static const enum stress_break breaks[] = { BREAK_RETRY, BREAK_REPLACED, BREAK_HOLDER };
    for (unsigned i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        struct stress_rules rules = merging(IMAGES_FULL, 1, 1);
        rules.fails = rules.many = true;
        rules.breaks = breaks[i];
        histories_some_wrong(play, &rules, 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keyed_log_converges_over_failures_and_crashes),
        cmocka_unit_test(burials_keep_every_sink_right),
        cmocka_unit_test(partition_that_comes_back_amid_a_record_keeps_its_clock),
        cmocka_unit_test(co_partitioned_topics_converge),
        cmocka_unit_test(spread_rows_converge_on_three_shards),
        cmocka_unit_test(partial_images_converge_with_few_pending_documents),
        cmocka_unit_test(merging_sinks_converge),
        cmocka_unit_test(merging_sinks_converge_where_tombstones_are_purged),
        cmocka_unit_test(merging_sink_takes_any_number_of_writers),
        cmocka_unit_test(merging_sink_gets_what_it_refused_with_the_next_write),
        cmocka_unit_test(broken_rules_of_what_a_merging_sink_lacks_are_caught),
    };
    log_setup(LOG_TEXT, LOG_ALERT); /* a sink that fails is no news here */
    memory_setup(HUGEPAGES_OFF);    /* thousands of small stores */
    return UNIT_RUN(tests);
}
