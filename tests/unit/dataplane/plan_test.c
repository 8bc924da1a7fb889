/* plan_test.c: the tables of a task, and with them the small lists that stand beside: partitions,
 * reasons, formats. */
#include "dataplane/columns.h"
#include "dataplane/decode.h"
#include "dataplane/partition.h"
#include "dataplane/plan.h"

#include "tests/unit/unit.h"

static void add(struct plan *plan, const char *name, const char *into)
{
    const struct plan_table table = { .name = slice_of(name), .into = slice_of(into) };

    plan_add_table(plan, &table, NULL, 0);
}

static struct plan *open_plan(void)
{
    struct plan *plan = plan_open(SLICE("t"), SLICE("order_no"), IMAGES_FULL, EMIT_ALWAYS);

    add(plan, "trade.tc_order_buyer", "buyer");
    add(plan, "trade.tc_order", "");
    add(plan, "trade.tc_order_item", "items");
    return plan;
}

static void a_table_is_found_by_database_and_name(void **state)
{
    static const struct {
        const char *database, *table;
        int index;
    } cases[] = {
        { "trade", "tc_order", 1 },
        { "trade", "tc_order_item", 2 },
        { "trade", "tc_orde", -1 },
        { "trade", "tc_orders", -1 },
        { "Trade", "tc_order", -1 },
        { "", "trade.tc_order", -1 },
        { "", "", -1 },
        { "trade", "", -1 },
        { "trade.tc_order", "", -1 },
    };
    struct plan *plan = open_plan();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(plan_find(plan, slice_of(cases[i].database), slice_of(cases[i].table)),
                         cases[i].index);
}

/* A column of the root must not stand where another table's rows do, whichever was added first. */
static void the_root_reserves_where_other_tables_stand(void **state)
{
    struct plan *plan = open_plan();

    (void)state;
    assert_int_equal(plan->root, 1);
    assert_int_equal(columns_intern(plan->tables[1].columns, SLICE("buyer")), COLUMN_NONE);
    assert_int_equal(columns_intern(plan->tables[1].columns, SLICE("items")), COLUMN_NONE);
    assert_true(columns_intern(plan->tables[0].columns, SLICE("items")) < COLUMNS_MAX);
}

static void a_partition_keeps_its_slot(void **state)
{
    struct task_partitions *partitions = partitions_open();
    uint16_t a = partitions_slot(partitions, "trade", 0),
             b = partitions_slot(partitions, "trade", 1);
    uint16_t c = partitions_slot(partitions, "refund", 0);
    char topic[TOPIC_BYTES_MAX + 2];

    (void)state;
    memset(topic, 't', sizeof(topic));
    topic[TOPIC_BYTES_MAX + 1] = '\0';
    assert_int_equal(partitions_count(partitions), 3);
    assert_true(a != b && b != c && a != c);
    assert_int_equal(partitions_slot(partitions, "trade", 1), b);
    assert_string_equal(partitions_topic(partitions, c), "refund");
    assert_int_equal(partitions_number(partitions, b), 1);
    assert_int_equal(partitions_slot(partitions, topic, 0), PARTITION_NONE);
    assert_int_equal(partitions_slot(partitions, topic + 1, -1), 3);
}

static void slots_run_out(void **state)
{
    struct task_partitions *partitions = partitions_open();

    (void)state;
    for (int i = 0; i < PARTITIONS_MAX; i++)
        assert_int_equal(partitions_slot(partitions, "t", i), i);
    assert_int_equal(partitions_slot(partitions, "t", PARTITIONS_MAX), PARTITION_NONE);
    assert_int_equal(partitions_slot(partitions, "t", 77), 77);
}

static void every_reason_has_a_label_and_a_text(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        assert_true(strlen(reason_label((enum reason)i)) > 0);
        assert_true(strlen(reason_text((enum reason)i)) > 0);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(reason_label((enum reason)i), reason_label((enum reason)k));
    }
    assert_string_equal(reason_label(REASON_JSON), "bad_json");
}

static void formats_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(decoder_find("canal-json"), &canal_json_ops);
    assert_ptr_equal(decoder_find("debezium-json"), &debezium_json_ops);
    assert_null(decoder_find("canal"));
    assert_null(decoder_find(""));
}

static void the_key_hash_is_the_published_one(void **state)
{
    (void)state;
    assert_int_equal(key_hash(SLICE("")), UINT64_C(0x2d06800538d394c2)); /* XXH3-64 of nothing */
    assert_true(key_hash(SLICE("1")) != key_hash(SLICE("2")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_found_by_database_and_name),
        cmocka_unit_test(the_root_reserves_where_other_tables_stand),
        cmocka_unit_test(a_partition_keeps_its_slot),
        cmocka_unit_test(slots_run_out),
        cmocka_unit_test(every_reason_has_a_label_and_a_text),
        cmocka_unit_test(formats_are_found_by_name),
        cmocka_unit_test(the_key_hash_is_the_published_one),
    };

    return UNIT_RUN(tests);
}
