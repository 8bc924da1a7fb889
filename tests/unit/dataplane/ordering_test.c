/*
 * ordering_test.c: every guarantee of docs/ORDERING.md on the real pipelines, and each rule broken
 * on purpose.
 *
 * The histories are seeded: a failure names its seed.
 */
#include "dataplane/base/memory.h"
#include "tests/unit/dataplane/histories.h"
#include "tests/unit/dataplane/ordering_world.h"

enum { RETENTION_US = 45 }; /* a history lasts about 250, an event is late by up to 40 */

static bool play(uint64_t seed, const void *rules)
{
    return world_ends_right(seed, rules);
}

static void all_right(const struct world_rules *rules, unsigned n)
{
    histories_all_right(play, rules, n);
}

static void some_wrong(const struct world_rules *rules, unsigned n)
{
    histories_some_wrong(play, rules, n);
}

/* One node reads everything; a document's rows lie in several partitions. */
static void one_node_converges_whatever_happens(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 1 }, 120);
}

/* Two and three nodes, partitioned by key: partitions move while writes are under way. */
static void two_nodes_converge_on_a_keyed_log(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 2, .by_key = true }, 120);
}
static void three_nodes_converge_on_a_keyed_log(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 3, .by_key = true }, 80);
}

/* Minimal binlog images: each event says one column of two. */
static void partial_images_converge(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 2, .by_key = true, .images = IMAGES_PARTIAL }, 100);
}
static void partial_images_converge_on_one_node(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 1, .images = IMAGES_PARTIAL }, 80);
}

/* Tombstones are purged after a while that no event is late by. */
static void purged_tombstones_change_nothing_on_one_node(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 1, .retention_us = RETENTION_US }, 120);
}
static void purged_tombstones_change_nothing_on_a_keyed_log(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 2, .by_key = true, .retention_us = RETENTION_US },
              120);
}
static void purged_tombstones_change_nothing_for_partial_images(void **state)
{
    (void)state;
    all_right(
        &(struct world_rules){
            .nodes = 2, .by_key = true, .images = IMAGES_PARTIAL, .retention_us = RETENTION_US },
        120);
}

/* Memory that forgets documents at any time does not bring back what was purged. */
static void purged_tombstones_and_eviction_go_together(void **state)
{
    (void)state;
    all_right(
        &(struct world_rules){
            .nodes = 2, .by_key = true, .retention_us = RETENTION_US, .evicts = true },
        100);
}

/* Commits that lie further back than tombstones are kept bring deleted rows back, until the
 * deletion is read again too: here each row comes by one partition, so it is. */
static void
events_older_than_the_retention_end_right_where_a_row_comes_by_one_partition(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 1, .retention_us = RETENTION_US, .reads_late = true },
              100);
}

static void r1_broken_clock_not_carried_is_caught(void **state)
{
    (void)state;
    some_wrong(&(struct world_rules){ .nodes = 2, .by_key = true, .forgets_clock = true }, 300);
}
static void r2_broken_version_is_the_newest_seqno_is_caught(void **state)
{
    (void)state;
    some_wrong(&(struct world_rules){ .nodes = 1, .version_is_newest = true }, 100);
}
static void r3_broken_no_hydration_is_caught(void **state)
{
    (void)state;
    some_wrong(&(struct world_rules){ .nodes = 2, .by_key = true, .no_hydration = true }, 100);
}
/* Stores that lose what they may lose, at any moment: a document that comes again is read back. */
static void evicting_nodes_converge(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 1, .evicts = true }, 80);
    all_right(&(struct world_rules){ .nodes = 2, .by_key = true, .evicts = true }, 100);
    all_right(
        &(struct world_rules){
            .nodes = 2, .by_key = true, .images = IMAGES_PARTIAL, .evicts = true },
        80);
}

/* A node that created its index empty reads nothing back, until it evicts for the first time. */
static void evicting_node_that_began_empty_converges(void **state)
{
    (void)state;
    all_right(&(struct world_rules){ .nodes = 1, .begins_empty = true }, 60);
    all_right(&(struct world_rules){ .nodes = 1, .begins_empty = true, .evicts = true }, 150);
}
static void r3_broken_absence_trusted_after_eviction_is_caught(void **state)
{
    (void)state;
    some_wrong(
        &(struct world_rules){
            .nodes = 1, .begins_empty = true, .evicts = true, .trusts_absence = true },
        300);
}
static void r4_broken_store_trusted_over_assignments_is_caught(void **state)
{
    (void)state;
    some_wrong(&(struct world_rules){ .nodes = 2, .by_key = true, .trusts_store = true }, 400);
}
static void r5_broken_commit_before_acknowledgement_is_caught(void **state)
{
    (void)state;
    some_wrong(&(struct world_rules){ .nodes = 2, .by_key = true, .ignores_holds = true }, 100);
}
static void r6_broken_state_of_deleted_documents_forgotten_is_caught(void **state)
{
    (void)state;
    some_wrong(&(struct world_rules){ .nodes = 2, .by_key = true, .forgets_deleted = true }, 200);
}
static void r6_broken_terms_of_purged_tombstones_forgotten_is_caught(void **state)
{
    (void)state;
    some_wrong(
        &(struct world_rules){
            .nodes = 2, .by_key = true, .retention_us = RETENTION_US, .forgets_residual = true },
        300);
}
static void r7_broken_two_writers_of_one_document_is_caught(void **state)
{
    (void)state;
    some_wrong(&(struct world_rules){ .nodes = 2 }, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_converges_whatever_happens),
        cmocka_unit_test(two_nodes_converge_on_a_keyed_log),
        cmocka_unit_test(three_nodes_converge_on_a_keyed_log),
        cmocka_unit_test(partial_images_converge),
        cmocka_unit_test(partial_images_converge_on_one_node),
        cmocka_unit_test(purged_tombstones_change_nothing_on_one_node),
        cmocka_unit_test(purged_tombstones_change_nothing_on_a_keyed_log),
        cmocka_unit_test(purged_tombstones_change_nothing_for_partial_images),
        cmocka_unit_test(purged_tombstones_and_eviction_go_together),
        cmocka_unit_test(
            events_older_than_the_retention_end_right_where_a_row_comes_by_one_partition),
        cmocka_unit_test(evicting_nodes_converge),
        cmocka_unit_test(evicting_node_that_began_empty_converges),
        cmocka_unit_test(r1_broken_clock_not_carried_is_caught),
        cmocka_unit_test(r2_broken_version_is_the_newest_seqno_is_caught),
        cmocka_unit_test(r3_broken_no_hydration_is_caught),
        cmocka_unit_test(r3_broken_absence_trusted_after_eviction_is_caught),
        cmocka_unit_test(r4_broken_store_trusted_over_assignments_is_caught),
        cmocka_unit_test(r5_broken_commit_before_acknowledgement_is_caught),
        cmocka_unit_test(r6_broken_state_of_deleted_documents_forgotten_is_caught),
        cmocka_unit_test(r6_broken_terms_of_purged_tombstones_forgotten_is_caught),
        cmocka_unit_test(r7_broken_two_writers_of_one_document_is_caught),
    };
    memory_setup(
        HUGEPAGES_OFF); /* thousands of small stores: a huge page each would be all zeroing */
    return UNIT_RUN(tests);
}
