/* debezium_json_test.c: Debezium's events become changes, with and without schema. */
#include "decode_unit.h"

#include "dataplane/debezium_schema.h"

static struct decode_unit unit;

#define SOURCE(table) "\"source\":{\"db\":\"trade\",\"table\":\"" table "\",\"ts_ms\":5}"
#define EVENT(op, table, images) \
    "{" images "," SOURCE(table) ",\"op\":\"" op "\",\"ts_ms\":0,\"ts_us\":0}"
#define CHECK(cases) decode_cases(&unit, cases, sizeof(cases) / sizeof(cases[0]))

static void operations_become_changes(void **state)
{
    static const struct decode_case cases[] = {
        { EVENT("c", "tc_order", "\"before\":null,\"after\":{\"order_no\":42,\"a\":\"AeII\"}"),
          "+ trade.tc_order 42/ @1 {\"order_no\":42,\"a\":\"AeII\"}\n" },
        { EVENT("r", "tc_order_item", "\"after\":{\"order_no\":42,\"id\":7}"),
          "+ trade.tc_order_item 42/7 @1 {\"order_no\":42,\"id\":7}\n" },
        { EVENT("u", "tc_order",
                "\"before\":{\"order_no\":42,\"a\":1},\"after\":{\"order_no\":42,"
                "\"a\":2}"),
          "+ trade.tc_order 42/ @1 {\"order_no\":42,\"a\":2}\n" },
        { EVENT("u", "tc_order", "\"before\":{\"order_no\":41},\"after\":{\"order_no\":42}"),
          "- trade.tc_order 41/ @1\n+ trade.tc_order 42/ @1 {\"order_no\":42}\n" },
        { EVENT("u", "tc_order_item",
                "\"before\":{\"order_no\":42,\"id\":7},\"after\":{\"order_no\":42,"
                "\"id\":8}"),
          "- trade.tc_order_item 42/7 @1\n"
          "+ trade.tc_order_item 42/8 @1 {\"order_no\":42,\"id\":8}\n" },
        { EVENT("u", "tc_order", "\"before\":null,\"after\":{\"order_no\":42}"),
          "+ trade.tc_order 42/ @1 {\"order_no\":42}\n" },
        /* A replica identity of the primary key alone: other columns of `before` are NULL. */
        { EVENT("u", "tc_order_item",
                "\"before\":{\"order_no\":null,\"id\":7},\"after\":{\"order_no\":42,"
                "\"id\":7}"),
          "+ trade.tc_order_item 42/7 @1 {\"order_no\":42,\"id\":7}\n" },
        { EVENT("d", "tc_order_item", "\"before\":{\"order_no\":42,\"id\":7},\"after\":null"),
          "- trade.tc_order_item 42/7 @1\n" },
        { EVENT("c", "tc_other", "\"after\":null"), "1 unmapped\n" },
        { "{\"schema\":null,\"payload\":" EVENT("c", "tc_order",
                                                "\"after\":{\"order_no\":\"a\"}") "}",
          "+ trade.tc_order a/ @1 {\"order_no\":\"a\"}\n" },
        { "{\"after\":{\"order_no\":1},\"source\":{\"db\":\"pg\",\"schema\":\"trade\",\"table\":"
          "\"tc_order\"},\"op\":\"c\",\"ts_ms\":1704067200001}",
          "+ trade.tc_order 1/ @1000 {\"order_no\":1}\n" },
        { "{\"after\":{\"order_no\":1},\"source\":{\"db\":\"trade\",\"schema\":null,\"table\":"
          "\"tc_order\"},\"op\":\"c\",\"ts_us\":1704067200000009,\"ts_ms\":1}",
          "+ trade.tc_order 1/ @9 {\"order_no\":1}\n" },
    };

    (void)state;
    CHECK(cases);
}

static void a_missing_value_is_not_in_the_image(void **state)
{
    static const struct decode_case cases[] = {
        { EVENT("u", "tc_order",
                "\"after\":{\"order_no\":42,\"a\":\"__debezium_unavailable_value\",\"b\":"
                "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\",\"c\":1}"),
          "+ trade.tc_order 42/ @1 {\"order_no\":42,\"c\":1}\n" },
        { EVENT("u", "tc_order", "\"after\":{\"order_no\":\"__debezium_unavailable_value\"}"),
          "rejected 1 no_key: *" },
    };

    (void)state;
    CHECK(cases);
}

static void messages_without_rows_are_told_apart(void **state)
{
    static const struct decode_case cases[] = {
        { "null", "TOMBSTONE: \n" },
        { "{\"schema\":null,\"payload\":null}", "TOMBSTONE: \n" },
        { EVENT("t", "tc_order", "\"after\":null"), "TRUNCATE: trade.tc_order: truncated\n" },
        { EVENT("m", "", "\"message\":{}"), "OTHER: \n" },
        { "{\"source\":{\"db\":\"trade\",\"table\":\"t\"},\"ts_ms\":1,\"databaseName\":\"trade\","
          "\"schemaName\":null,\"ddl\":\"ALTER TABLE t\\nADD a INT\",\"tableChanges\":[]}",
          "DDL: trade.t: ALTER TABLE t\\nADD a INT\n" },
        { "{\"source\":{\"db\":\"trade\",\"table\":\"t\"},\"databaseName\":\"trade\","
          "\"ddl\":\"\\n Truncate TABLE t\"}",
          "TRUNCATE: trade.t: *" },
        { "{\"status\":\"BEGIN\",\"id\":\"0-1-2\",\"event_count\":null,\"data_collections\":null,"
          "\"ts_ms\":1}",
          "OTHER: \n" },
        { "{\"ts_ms\":1795245074150}", "OTHER: \n" },
    };
    struct record record = { .kind = RECORD_EVENT };

    (void)state;
    CHECK(cases);
    assert_string_equal(decode_record(&unit, &record), "TOMBSTONE: \n");
}

static void bad_messages_are_rejected(void **state)
{
    static const struct decode_case cases[] = {
        { "", "REJECTED bad_json: *" },
        { "{\"payload\":{\"op\":\"c\"", "REJECTED bad_json: *" },
        { "7", "REJECTED bad_shape: *" },
        { "{}", "REJECTED bad_shape: *" },
        { "{\"payload\":\"x\"}", "REJECTED bad_shape: *" },
        /* Flattened rows are no envelopes, whatever their columns are called. */
        { "{\"order_no\":1,\"ts_ms\":5}", "REJECTED bad_shape: no `op`*" },
        { "{\"id\":1,\"status\":\"BEGIN\"}", "REJECTED bad_shape: no `op`*" },
        { EVENT("x", "tc_order", "\"after\":{}"), "REJECTED bad_shape: `op` is \"x\"*" },
        { "{\"op\":\"c\",\"after\":{\"order_no\":1},\"ts_ms\":1}", "REJECTED bad_shape: *" },
        { "{\"op\":\"c\",\"source\":{\"db\":\"trade\",\"table\":null},\"ts_ms\":1}",
          "REJECTED bad_shape: *" },
        { EVENT("c", "tc_order", "\"after\":{},\"after\":{}"), "REJECTED duplicate_key: `after`*" },
        { "{\"payload\":null,\"payl\\u006fad\":{}}", "REJECTED duplicate_key: `payload`*" },
        { "{\"op\":\"c\",\"source\":{\"db\":\"trade\",\"table\":\"a\",\"table\":\"b\"}}",
          "REJECTED duplicate_key: `table` stands twice in `source`\n" },
    };

    (void)state;
    CHECK(cases);
}

static void bad_rows_are_rejected(void **state)
{
    static const struct decode_case cases[] = {
        { EVENT("c", "tc_order", "\"after\":null"),
          "rejected 1 bad_shape: trade.tc_order: byte *" },
        { EVENT("c", "tc_order", "\"before\":null"), "rejected 1 bad_shape: *" },
        { EVENT("d", "tc_order", "\"before\":null"), "rejected 1 bad_shape: *" },
        { EVENT("u", "tc_order", "\"before\":7,\"after\":{\"order_no\":1}"),
          "rejected 1 bad_shape: *" },
        { EVENT("c", "tc_order", "\"after\":{\"a\":1}"), "rejected 1 no_key: *" },
        { EVENT("c", "tc_order", "\"after\":{\"order_no\":false}"), "rejected 1 no_key: *" },
        { EVENT("c", "tc_order", "\"after\":{\"order_no\":\"\"}"), "rejected 1 empty_key: *" },
        { EVENT("c", "tc_order_item", "\"after\":{\"order_no\":1}"), "rejected 1 no_row_id: *" },
        { EVENT("c", "tc_order", "\"after\":{\"order_no\":1,\"a\":1,\"\\u0061\":1}"),
          "rejected 1 duplicate_key: *" },
        { EVENT("u", "tc_order", "\"before\":{\"a\":1,\"a\":1},\"after\":{\"order_no\":1}"),
          "rejected 1 duplicate_key: *" },
        { "{\"after\":{\"order_no\":1}," SOURCE("tc_order") ",\"op\":\"c\"}",
          "rejected 1 bad_seqno: *" },
        { "{\"after\":{\"order_no\":1}," SOURCE(
              "tc_order") ",\"op\":\"c\",\"ts_us\":\"x\",\"ts_ms\":1}",
          "rejected 1 bad_seqno: *" },
        { "{\"after\":{\"order_no\":1}," SOURCE("tc_other") ",\"op\":\"c\"}", "1 unmapped\n" },
    };

    (void)state;
    CHECK(cases);
    assert_int_equal(unit.clock.seqno, SEQNO_EPOCH + 1);
}

#define FIELD(name, type, semantic) \
    "{\"type\":\"" type "\",\"optional\":true,\"name\":\"" semantic \
    "\",\"version\":1,\"field\":\"" name "\"}"
#define DECIMAL(name, scale) \
    "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{" \
    "\"scale\":\"" scale "\"},\"field\":\"" name "\"}"
#define TYPED(fields, event) \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"fields\":[" fields \
    "],\"field\":\"before\"},{\"type\":\"struct\",\"fields\":[" fields \
    "],\"field\":\"after\"},{\"type\":\"string\",\"field\":\"op\"}]},\"payload\":" event "}"

/* One field a line. */
/* clang-format off */
#define ALL_TYPES \
    DECIMAL("amount", "4") "," \
    FIELD("d", "int32", "io.debezium.time.Date") "," \
    FIELD("t", "int64", "io.debezium.time.MicroTime") "," \
    FIELD("y", "int32", "io.debezium.time.Year") "," \
    FIELD("e", "string", "io.debezium.data.Enum") "," \
    FIELD("j", "string", "io.debezium.data.Json") "," \
    FIELD("b", "bytes", "io.debezium.data.Bits") "," \
    FIELD("v", "struct", "io.debezium.data.VariableScaleDecimal") "," \
    FIELD("c", "int64", "org.apache.kafka.connect.data.Timestamp")

#define MUTANT_TYPES \
    DECIMAL("order_no", "0") "," \
    DECIMAL("amount", "2") "," \
    FIELD("d", "int32", "io.debezium.time.Date") "," \
    FIELD("t", "int64", "io.debezium.time.NanoTimestamp") "," \
    FIELD("j", "string", "io.debezium.data.Json") "," \
    FIELD("b", "bytes", "io.debezium.data.Bits")
/* clang-format on */

static void a_schema_types_the_values(void **state)
{
    static const struct decode_case cases[] = {
        { TYPED(
              ALL_TYPES,
              EVENT("c", "tc_order",
                    "\"after\":{\"order_no\":42,\"amount\":\"AeII\",\"d\":20512,\"t\":-45000000000,"
                    "\"y\":2026,\"e\":\"new\",\"j\":\"{\\\"a\\\": "
                    "1}\",\"b\":\"pQ==\",\"v\":{\"scale\":1,"
                    "\"value\":\"Bw==\"},\"c\":0,\"unknown\":\"AeII\"}")),
          "+ trade.tc_order 42/ @1 {\"order_no\":42,\"amount\":12.3400,\"d\":\"2026-02-28\",\"t\":"
          "\"-12:30:00\",\"y\":2026,\"e\":\"new\",\"j\":{\"a\":1},\"b\":165,\"v\":0.7,\"c\":"
          "\"1970-01-01 00:00:00\",\"unknown\":\"AeII\"}\n" },
        /* Names are what the values mean, before and after. */
        { TYPED(DECIMAL("order_no", "0") "," DECIMAL("id", "0"),
                EVENT("u", "tc_order_item",
                      "\"before\":{\"order_no\":\"Bw==\",\"id\":\"AQ==\"},\"after\":{\"order_no\":"
                      "\"CA==\","
                      "\"id\":\"AQ==\"}")),
          "- trade.tc_order_item 7/1 @1\n+ trade.tc_order_item 8/1 @1 "
          "{\"order_no\":8,\"id\":1}\n" },
        { TYPED(DECIMAL("order_no", "0"),
                EVENT("d", "tc_order", "\"before\":{\"order_no\":\"Bw==\"}")),
          "- trade.tc_order 7/ @1\n" },
        { TYPED(DECIMAL("amount", "2") "," DECIMAL("x", "2"),
                EVENT("c", "tc_order_pay",
                      "\"after\":{\"order_no\":7,\"amount\":\"Bw==\",\"x\":\"Bw==\"}")),
          "+ trade.tc_order_pay 7/ @1 {\"paid_amount\":0.07}\n" },
        /* The same column, other types: the schema that comes with the event counts. */
        { TYPED(DECIMAL("amount", "2"),
                EVENT("c", "tc_order", "\"after\":{\"order_no\":1,\"amount\":\"Bw==\"}")),
          "+ trade.tc_order 1/ @1 {\"order_no\":1,\"amount\":0.07}\n" },
        { TYPED(FIELD("amount", "string", "io.debezium.data.Enum"),
                EVENT("c", "tc_order", "\"after\":{\"order_no\":1,\"amount\":\"Bw==\"}")),
          "+ trade.tc_order 1/ @1 {\"order_no\":1,\"amount\":\"Bw==\"}\n" },
        /* What makes no sense in a schema is passed over. */
        { TYPED("7,{},{\"field\":1},{\"field\":\"amount\",\"name\":null}," DECIMAL("amount", "x"),
                EVENT("c", "tc_order", "\"after\":{\"order_no\":1,\"amount\":\"Bw==\"}")),
          "+ trade.tc_order 1/ @1 {\"order_no\":1,\"amount\":\"Bw==\"}\n" },
        { "{\"schema\":{\"fields\":{}},\"payload\":" EVENT("c", "tc_order",
                                                           "\"after\":{\"order_no\":1}") "}",
          "+ trade.tc_order 1/ @1 {\"order_no\":1}\n" },
    };

    (void)state;
    CHECK(cases);
    CHECK(cases); /* now from the kept schemas */
}

/* Each schema is read once; with more than are kept, the one that was not used for longest goes. */
static void schemas_are_learned_once_and_bounded(void **state)
{
    struct debezium_schemas *schemas = debezium_schemas_open(unit.plan, SLICE(""));
    char texts[DEBEZIUM_SCHEMAS_MAX + 1][32];

    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < DEBEZIUM_SCHEMAS_MAX; i++) {
            snprintf(texts[i], sizeof(texts[i]), "{\"fields\":[%u]}", i);
            debezium_schemas_find(schemas, slice_of(texts[i]), 0);
        }
    assert_int_equal(debezium_schemas_learned(schemas), DEBEZIUM_SCHEMAS_MAX);
    debezium_schemas_find(schemas, slice_of(texts[0]), 0);
    debezium_schemas_find(schemas, SLICE("{\"fields\":[-1]}"), 0); /* in place of 1 */
    debezium_schemas_find(schemas, slice_of(texts[0]), 0);
    assert_int_equal(debezium_schemas_learned(schemas), DEBEZIUM_SCHEMAS_MAX + 1);
    debezium_schemas_find(schemas, slice_of(texts[1]), 0);
    assert_int_equal(debezium_schemas_learned(schemas), DEBEZIUM_SCHEMAS_MAX + 2);
    debezium_schemas_find(schemas, slice_of(texts[1]), 1); /* of another table */
    assert_int_equal(debezium_schemas_learned(schemas), DEBEZIUM_SCHEMAS_MAX + 3);
}

/* A schema that takes another's place knows nothing of its columns. */
static void a_replaced_schema_is_forgotten(void **state)
{
    struct debezium_schemas *schemas = debezium_schemas_open(unit.plan, SLICE(""));
    uint16_t id = columns_intern(unit.plan->tables[0].columns, SLICE("amount"));
    const char *typed =
        "{\"fields\":[{\"field\":\"after\",\"fields\":[" DECIMAL("amount", "1") "]}]}";
    char text[32];

    (void)state;
    assert_int_equal(debezium_schemas_find(schemas, slice_of(typed), 0)->columns[id].kind,
                     VALUE_DECIMAL);
    for (unsigned i = 0; i < DEBEZIUM_SCHEMAS_MAX; i++) {
        snprintf(text, sizeof(text), "{\"fields\":[%u]}", i);
        assert_int_equal(debezium_schemas_find(schemas, slice_of(text), 0)->columns[id].kind,
                         VALUE_AS_IS);
    }
}

/* A schema that is too long to keep types its own event and no other. */
static void a_schema_too_long_to_keep_still_counts(void **state)
{
    static char event[DEBEZIUM_SCHEMA_BYTES_MAX + 4096];
    size_t len;
    int round;

    (void)state;
    len = (size_t)sprintf(event, "{\"schema\":{\"doc\":\"");
    memset(event + len, 'x', DEBEZIUM_SCHEMA_BYTES_MAX);
    len += DEBEZIUM_SCHEMA_BYTES_MAX;
    sprintf(
        event + len, "%s",
        "\",\"fields\":[{\"field\":\"after\",\"fields\":[" DECIMAL(
            "amount",
            "1") "]}]},\"payload\":" EVENT("c", "tc_order",
                                           "\"after\":{\"order_no\":1,\"amount\":\"Bw==\"}") "}");
    for (round = 0; round < 2; round++)
        assert_non_null(strstr(decode_text(&unit, event), "\"amount\":0.7}"));
    assert_non_null(
        strstr(decode_text(
                   &unit, EVENT("c", "tc_order", "\"after\":{\"order_no\":1,\"amount\":\"Bw==\"}")),
               "\"amount\":\"Bw==\"}"));
}

static void a_seqno_field_takes_the_clocks_place(void **state)
{
#define NUMBERED(top, source, row) \
    "{\"after\":{\"order_no\":1" row \
    "},\"source\":{\"db\":\"trade\",\"table\":\"tc_order\"" source "},\"op\":\"c\"" top "}"
    static const struct decode_case cases[] = {
        { NUMBERED(",\"pos\":7", ",\"pos\":8", ",\"pos\":9"), "+ trade.tc_order 1/ @7 *" },
        { NUMBERED("", ",\"pos\":\"8\"", ",\"pos\":9"), "+ trade.tc_order 1/ @8 *" },
        { NUMBERED("", "", ",\"pos\":9"), "+ trade.tc_order 1/ @9 *" },
        { NUMBERED("", ",\"pos\":-8", ""), "rejected 1 bad_seqno: *" },
        { NUMBERED("", "", ""), "rejected 1 bad_seqno: *" },
        { NUMBERED("", ",\"pos\":1,\"pos\":1", ""), "REJECTED duplicate_key: *" },
    };
    static struct decode_unit numbered;

    (void)state;
    decode_unit_open(&numbered, &debezium_json_ops, "pos", 1 << 20);
    decode_cases(&numbered, cases, sizeof(cases) / sizeof(cases[0]));
}

/* The frame before it is nearly full: the row waits, whole, and ticks once. */
static void a_row_waits_for_a_frame_with_room(void **state)
{
    (void)state;
    unit.frame_room = 1;
    unit.clock.seqno = SEQNO_EPOCH;
    unit.frame.n = 0;
    assert_string_equal(decode_text(&unit, EVENT("c", "tc_order", "\"after\":{\"order_no\":1}")),
                        "+ trade.tc_order 1/ @1 {\"order_no\":1}\n");
    unit.frame_room = FRAME_CHANGES_MAX;

    unit.job.clock->seqno = SEQNO_EPOCH;
    {
        static const char event[] =
            EVENT("u", "tc_order", "\"before\":{\"order_no\":1},\"after\":{\"order_no\":2}");
        struct record record = { .kind = RECORD_EVENT, .payload = { event, sizeof(event) - 1 } };

        unit.job =
            (struct decode_job){ .record = &record, .clock = &unit.clock, .wall_us = unit.wall_us };
        unit.decoder->ops->begin(unit.decoder, &unit.job);
        unit.frame.n = FRAME_CHANGES_MAX - 1; /* a pair needs two */
        arena_reset(&unit.frame.arena);
        assert_false(unit.decoder->ops->rows(unit.decoder, &unit.job, &unit.frame));
        assert_int_equal(unit.frame.n, FRAME_CHANGES_MAX - 1);
        assert_int_equal(unit.frame.arena.used, 0);
        assert_int_equal(unit.clock.seqno, SEQNO_EPOCH);
        assert_int_equal(unit.job.rows, 0);
        unit.frame.n = FRAME_CHANGES_MAX - 2;
        assert_true(unit.decoder->ops->rows(unit.decoder, &unit.job, &unit.frame));
        assert_int_equal(unit.frame.n, FRAME_CHANGES_MAX);
        assert_int_equal(unit.clock.seqno, SEQNO_EPOCH + 1);
        assert_true(unit.decoder->ops->rows(unit.decoder, &unit.job, &unit.frame));
        assert_int_equal(unit.job.rows, 1);
    }
}

static void no_mutant_gets_through(void **state)
{
    static const char *const events[] = {
        TYPED(
            MUTANT_TYPES,
            EVENT("u", "tc_order",
                  "\"before\":{\"order_no\":\"Bw==\",\"d\":-1},\"after\":{\"order_no\":\"CA==\","
                  "\"amount\":"
                  "\"AeII\",\"d\":20512,\"t\":-1,\"j\":\"[1, {\\\"a\\\":null}]\",\"b\":\"pQ==\"}")),
        EVENT("u", "tc_order_item",
              "\"before\":{\"order_no\":42,\"id\":7},\"after\":{\"order_no\":\"4\\u0032\","
              "\"id\":\"8\",\"a\":{ \"b\" : [\n] }}"),
        EVENT("d", "tc_order", "\"before\":{\"order_no\":42}"),
        ("{\"source\":{\"db\":\"trade\",\"table\":\"t\"},\"databaseName\":\"trade\",\"ddl\":"
         "\"\xe4\xb8\xad\"}"),
    };

    (void)state;
    decode_mutants(&unit, events, sizeof(events) / sizeof(events[0]), 30000);
}

#ifdef TEST_ROOT
/* Both captures of the same workload: 157 c, 59 u, 24 d, 12 r; 24 null payloads; 159 transaction
 * marks. */
static void real_captures_are_read_whole(void **state)
{
    static const char *const paths[] = { TEST_ROOT "/tests/data/debezium-orders.ndjson",
                                         TEST_ROOT "/tests/data/debezium-orders-schema.ndjson" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        unsigned kinds[EVENT_REJECTED + 1] = { 0 };

        assert_int_equal(decode_capture(&unit, paths[i], kinds), 157 + 59 + 24 + 12);
        assert_int_equal(kinds[EVENT_TOMBSTONE], 24);
        assert_int_equal(kinds[EVENT_DDL] + kinds[EVENT_TRUNCATE], 25);
        assert_int_equal(kinds[EVENT_OTHER], 159);
        assert_int_equal(kinds[EVENT_REJECTED], 0);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_become_changes),
        cmocka_unit_test(a_missing_value_is_not_in_the_image),
        cmocka_unit_test(messages_without_rows_are_told_apart),
        cmocka_unit_test(bad_messages_are_rejected),
        cmocka_unit_test(bad_rows_are_rejected),
        cmocka_unit_test(a_schema_types_the_values),
        cmocka_unit_test(schemas_are_learned_once_and_bounded),
        cmocka_unit_test(a_replaced_schema_is_forgotten),
        cmocka_unit_test(a_schema_too_long_to_keep_still_counts),
        cmocka_unit_test(a_seqno_field_takes_the_clocks_place),
        cmocka_unit_test(a_row_waits_for_a_frame_with_room),
        cmocka_unit_test(no_mutant_gets_through),
#ifdef TEST_ROOT
        cmocka_unit_test(real_captures_are_read_whole),
#endif
    };

    decode_unit_open(&unit, &debezium_json_ops, "", 16 << 20);
    return UNIT_RUN(tests);
}
