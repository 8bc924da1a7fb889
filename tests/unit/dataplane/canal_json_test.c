/* canal_json_test.c: canal's flat messages become changes; what is wrong with one is said, and
 * nothing else suffers. */
#include "decode_unit.h"

static struct decode_unit unit;

#define HEAD(type) \
    "{\"database\":\"trade\",\"isDdl\":false,\"ts\":0,\"es\":3,\"type\":\"" type "\","
#define CHECK(cases) decode_cases(&unit, cases, sizeof(cases) / sizeof(cases[0]))

static void rows_become_changes(void **state)
{
    static const struct decode_case cases[] = {
        { HEAD("INSERT") "\"table\":\"tc_order\",\"mysqlType\":{\"order_no\":\"BIGINT unsigned\","
                         "\"total\":\"DECIMAL(10,2)\"},\"data\":[{\"order_no\":\"42\",\"total\":"
                         "\"365.30\",\"note\":\"a\\u0041\"}],\"old\":null}",
          "+ trade.tc_order 42/ @1 {\"order_no\":42,\"total\":365.30,\"note\":\"a\\u0041\"}\n" },
        { HEAD("DELETE") "\"table\":\"tc_order_item\",\"data\":[{\"id\":\"1\",\"order_no\":\"42\"},"
                         "{\"id\":\"2\",\"order_no\":\"43\"}]}",
          "- trade.tc_order_item 42/1 @1\n- trade.tc_order_item 43/2 @2\n" },
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"42\",\"a\":null}],"
                         "\"old\":[{\"a\":\"1\"}]}",
          "+ trade.tc_order 42/ @1 {\"order_no\":\"42\",\"a\":null}\n" },
        { HEAD("INSERT") "\"table\":\"tc_other\",\"data\":[{},7]}", "2 unmapped\n" },
        { HEAD("INSERT") "\"table\":\"tc_order\",\"data\":[]}", "" },
        { "{\"d\\u0061tabase\":\"tr\\u0061de\",\"table\":\"tc_order\",\"ts\":0,\"type\":\"INSERT\","
          "\"data\":[{\"order\\u005fno\":\"4\\u0032\"}]}",
          "+ trade.tc_order 42/ @1 {\"order_no\":\"4\\u0032\"}\n" },
        /* Tokens that are no strings stay. */
        { HEAD("INSERT") "\"table\":\"tc_order\",\"mysqlType\":{\"a\":\"INT\",\"b\":\"JSON\"},"
                         "\"data\":[{\"order_no\":42,\"a\":true,\"b\":{ \"x\" :\n1}}]}",
          "+ trade.tc_order 42/ @1 {\"order_no\":42,\"a\":true,\"b\":{\"x\":1}}\n" },
        /* A zerofill key is its text, its column a number. */
        { HEAD("INSERT") "\"table\":\"tc_order\",\"mysqlType\":{\"order_no\":\"int(5) unsigned "
                         "zerofill\"},\"data\":[{\"order_no\":\"00042\"}]}",
          "+ trade.tc_order 00042/ @1 {\"order_no\":42}\n" },
    };

    (void)state;
    CHECK(cases);
}

static void a_changed_name_is_a_delete_and_an_upsert(void **state)
{
    static const struct decode_case cases[] = {
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"43\"}],"
                         "\"old\":[{\"order_no\":\"42\"}]}",
          "- trade.tc_order 42/ @1\n+ trade.tc_order 43/ @1 {\"order_no\":\"43\"}\n" },
        { HEAD(
              "UPDATE") "\"table\":\"tc_order_item\",\"data\":[{\"id\":\"8\",\"order_no\":\"42\"}],"
                        "\"old\":[{\"id\":\"7\"}]}",
          "- trade.tc_order_item 42/7 @1\n"
          "+ trade.tc_order_item 42/8 @1 {\"id\":\"8\",\"order_no\":\"42\"}\n" },
        { HEAD("UPDATE") "\"table\":\"tc_order_item\",\"data\":[{\"id\":\"8\",\"order_no\":\"42\"},"
                         "{\"id\":\"9\",\"order_no\":\"42\"}],\"old\":[{\"id\":\"7\",\"order_no\":"
                         "\"41\"},null]}",
          "- trade.tc_order_item 41/7 @1\n"
          "+ trade.tc_order_item 42/8 @1 {\"id\":\"8\",\"order_no\":\"42\"}\n"
          "+ trade.tc_order_item 42/9 @2 {\"id\":\"9\",\"order_no\":\"42\"}\n" },
        /* `old` may be the shorter one: nothing is known of the rest. */
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"42\"},{\"order_no\":"
                         "\"43\"}],\"old\":[{\"order_no\":\"41\"}]}",
          "- trade.tc_order 41/ @1\n+ trade.tc_order 42/ @1 {\"order_no\":\"42\"}\n"
          "+ trade.tc_order 43/ @2 {\"order_no\":\"43\"}\n" },
        /* The same value, once escaped, is no change; nor is a name that was never applied. */
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"42\"}],"
                         "\"old\":[{\"order_no\":\"\\u0034\\u0032\"}]}",
          "+ trade.tc_order 42/ @1 {\"order_no\":\"42\"}\n" },
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"42\"}],"
                         "\"old\":[{\"order_no\":null}]}",
          "+ trade.tc_order 42/ @1 {\"order_no\":\"42\"}\n" },
        /* The row left its document for none: the old one must not keep it. */
        { HEAD("UPDATE") "\"table\":\"tc_order_item\",\"data\":[{\"id\":\"7\",\"order_no\":null}],"
                         "\"old\":[{\"order_no\":\"42\"}]}",
          "- trade.tc_order_item 42/7 @1\nrejected 1 no_key: trade.tc_order_item: row 1 of 1, byte "
          "96: column order_no is NULL\n" },
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"42\"}],\"old\":[]}",
          "+ trade.tc_order 42/ @1 {\"order_no\":\"42\"}\n" },
    };

    (void)state;
    CHECK(cases);
}

/* Only what `columns` selects is in the fields; the key is found all the same. */
static void unselected_columns_are_left_out(void **state)
{
    static const struct decode_case cases[] = {
        { HEAD("INSERT") "\"table\":\"tc_order_pay\",\"mysqlType\":{\"amount\":\"DECIMAL(10,2)\"},"
                         "\"data\":[{\"order_no\":\"42\",\"amount\":\"1.50\",\"_weir\":\"x\"}]}",
          "+ trade.tc_order_pay 42/ @1 {\"paid_amount\":1.50}\n" },
        { HEAD("INSERT") "\"table\":\"tc_order_pay\",\"data\":[{\"order_no\":\"42\",\"x\":\"1\","
                         "\"order_no\":\"43\"}]}",
          "rejected 1 duplicate_key: *" },
    };

    (void)state;
    CHECK(cases);
}

static void messages_without_rows_are_told_apart(void **state)
{
    static const struct decode_case cases[] = {
        { HEAD("QUERY") "\"table\":\"\",\"data\":null}", "OTHER: *" },
        { "{\"type\":\"CREATE\",\"isDdl\":true,\"database\":\"trade\",\"table\":\"t\",\"data\":"
          "null,"
          "\"sql\":\"CREATE TABLE t (\\n a INT)\"}",
          "DDL: trade.t: CREATE TABLE t (\\n a INT)\n" },
        { "{\"type\":\"TRUNCATE\",\"isDdl\":true,\"database\":\"trade\",\"table\":\"tc_order\","
          "\"sql\":\"TRUNCATE TABLE tc_order\"}",
          "TRUNCATE: trade.tc_order: TRUNCATE TABLE tc_order\n" },
        { "{\"type\":\"INSERT\",\"isDdl\":true,\"sql\":7}", "DDL: .: \n" },
        { "{\"type\":\"RENAME\"}", "OTHER: .: \n" },
    };
    struct record record = { .kind = RECORD_EVENT };

    (void)state;
    CHECK(cases);
    assert_string_equal(decode_record(&unit, &record), "TOMBSTONE: \n");
    record.kind = RECORD_OVERSIZED;
    record.detail = SLICE("104857600 bytes, file events.ndjson line 3");
    assert_string_equal(decode_record(&unit, &record),
                        "REJECTED too_large: 104857600 bytes, file events.ndjson line 3\n");
}

static void bad_messages_are_rejected(void **state)
{
    static const struct decode_case cases[] = {
        { "", "REJECTED bad_json: text ends inside a value at byte 0 of 0\n" },
        { "{\"a\":}", "REJECTED bad_json: syntax error at byte 5 of 6\n" },
        { "{\"a\":1", "REJECTED bad_json: *" },
        { "{} {}", "REJECTED bad_json: syntax error at byte 3 of 5\n" },
        { "{\"a\":\"\xff\"}", "REJECTED bad_utf8: invalid UTF-8 at byte 6 of 9\n" },
        { "{\"a\":\"\x01\"}", "REJECTED control_character: *" },
        { "null", "REJECTED bad_shape: *" },
        { "[]", "REJECTED bad_shape: *" },
        { "{}", "REJECTED bad_shape: *" },
        { "{\"type\":\"INSERT\",\"data\":[]}", "REJECTED bad_shape: *" },
        { HEAD("INSERT") "\"table\":\"tc_order\",\"data\":null}", "REJECTED bad_shape: *" },
        { HEAD("INSERT") "\"table\":\"tc_order\",\"data\":{}}", "REJECTED bad_shape: *" },
        { HEAD("INSERT") "\"table\":null,\"data\":[]}", "REJECTED bad_shape: *" },
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[],\"old\":7}", "REJECTED bad_shape: *" },
        { "{\"type\":\"INSERT\",\"isDdl\":\"no\"}", "REJECTED bad_shape: *" },
        { "{\"type\":\"INSERT\",\"type\":\"DELETE\"}",
          "REJECTED duplicate_key: `type` stands twice in the message\n" },
        { "{\"type\":\"INSERT\",\"t\\u0079pe\":\"DELETE\"}", "REJECTED duplicate_key: *" },
    };
    char deep[1 << 14];
    struct slice nul = { "{\"type\":\"a\0b\"}", 14 };

    (void)state;
    CHECK(cases);
    assert_non_null(strstr(decode_bytes(&unit, nul), "control_character"));
    memset(deep, '[', sizeof(deep));
    assert_non_null(strstr(decode_bytes(&unit, (struct slice){ deep, sizeof(deep) }), "too_deep"));
}

/* A bad row is rejected alone: it ticks the clock, its neighbours are applied. */
static void bad_rows_are_rejected_alone(void **state)
{
#define ROW(row)  HEAD("INSERT") "\"table\":\"tc_order\",\"data\":[" row "]}"
#define ITEM(row) HEAD("INSERT") "\"table\":\"tc_order_item\",\"data\":[" row "]}"
    static const struct decode_case cases[] = {
        { ROW("{\"order_no\":\"1\"},{\"a\":\"2\"},{\"order_no\":\"3\"}"),
          "+ trade.tc_order 1/ @1 {\"order_no\":\"1\"}\n+ trade.tc_order 3/ @3 "
          "{\"order_no\":\"3\"}\n"
          "rejected 1 no_key: trade.tc_order: row 2 of 3, byte 108: column order_no is missing\n" },
        { ROW("{\"order_no\":null}"), "rejected 1 no_key: *" },
        { ROW("{\"order_no\":true}"), "rejected 1 no_key: *" },
        { ROW("{\"order_no\":[1]}"), "rejected 1 no_key: *" },
        { ROW("{\"order_no\":\"\"}"), "rejected 1 empty_key: *" },
        { ROW("7,null,[]"), "rejected 3 bad_shape: trade.tc_order: row 1 of 3, byte *" },
        { ROW("{\"order_no\":\"1\",\"a\":1,\"a\":2}"), "rejected 1 duplicate_key: *" },
        { ROW("{\"order_no\":\"1\",\"a\":1,\"\\u0061\":2}"), "rejected 1 duplicate_key: *" },
        { ROW("{\"order_no\":\"1\",\"order_no\":\"2\"}"), "rejected 1 duplicate_key: *" },
        { ROW("{\"order_no\":\"1\",\"_weir\":1}"), "rejected 1 bad_column: *" },
        { ROW("{\"order_no\":\"1\",\"items\":1}"), "rejected 1 bad_column: *" },
        { ROW("{\"order_no\":\"1\",\"\":1}"), "rejected 1 bad_column: *" },
        { ITEM("{\"order_no\":\"1\"}"), "rejected 1 no_row_id: *" },
        { ITEM("{\"order_no\":\"1\",\"id\":null}"), "rejected 1 no_row_id: *" },
        { ITEM("{\"order_no\":\"1\",\"id\":{}}"), "rejected 1 no_row_id: *" },
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"1\"}],"
                         "\"old\":[{\"a\":1,\"a\":2}]}",
          "rejected 1 duplicate_key: *" },
        { HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"1\"}],\"old\":[7]}",
          "rejected 1 bad_shape: *" },
    };

    (void)state;
    CHECK(cases);
}

static void long_names_are_bounded(void **state)
{
    static char event[16384], name[8192];

    (void)state;
    for (unsigned len = KEY_BYTES_MAX; len <= KEY_BYTES_MAX + 1; len++) {
        memset(name, 'k', len);
        name[len] = '\0';
        snprintf(event, sizeof(event),
                 HEAD("DELETE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"%s\"}]}", name);
        assert_non_null(strstr(decode_text(&unit, event), len > KEY_BYTES_MAX
                                                              ? "rejected 1 long_key"
                                                              : "- trade.tc_order kkk"));
    }
    memset(name, '1', ROW_ID_BYTES_MAX + 1);
    name[ROW_ID_BYTES_MAX + 1] = '\0';
    snprintf(event, sizeof(event),
             HEAD("DELETE") "\"table\":\"tc_order_item\",\"data\":[{\"order_no\":1,\"id\":%s}]}",
             name);
    assert_non_null(
        strstr(decode_text(&unit, event), "no_row_id: trade.tc_order_item: row 1 of 1, "));
    memset(name, 'c', COLUMN_NAME_BYTES_MAX + 1);
    name[COLUMN_NAME_BYTES_MAX + 1] = '\0';
    snprintf(event, sizeof(event),
             HEAD("INSERT") "\"table\":\"tc_order\",\"data\":[{\"order_no\":1,\"%s\":1}]}", name);
    assert_non_null(strstr(decode_text(&unit, event), "rejected 1 bad_column"));
}

/* Rows of tables that are not mapped and rows that are bad tick too: the numbers do not depend on
 * the config. */
static void every_row_ticks_the_clock(void **state)
{
    static const char *const events[] = {
        HEAD("INSERT") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"1\"},{},{\"order_no\":"
                       "\"3\"}]}",
        HEAD("INSERT") "\"table\":\"tc_other\",\"data\":[{\"order_no\":\"1\"},{},{\"order_no\":"
                       "\"3\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        unit.clock.seqno = SEQNO_EPOCH;
        decode_text(&unit, events[i]);
        assert_int_equal(unit.clock.seqno, SEQNO_EPOCH + 3);
        assert_int_equal(unit.job.rows, 3);
    }
}

static void the_capture_time_gives_the_seqno(void **state)
{
#define AT(ts) \
    "{\"database\":\"trade\",\"table\":\"tc_order\",\"type\":\"INSERT\"" ts \
    ",\"data\":[{\"order_no\":\"1\"}]}"
    static const struct decode_case cases[] = {
        { AT(",\"ts\":1704067200001"), "+ trade.tc_order 1/ @1000 *" },
        { AT(",\"ts\":0"), "+ trade.tc_order 1/ @1 *" },
        { AT(""), "rejected 1 bad_seqno: *" },
        { AT(",\"ts\":null"), "rejected 1 bad_seqno: *" },
        { AT(",\"ts\":-1"), "rejected 1 bad_seqno: *" },
        { AT(",\"ts\":1.5"), "rejected 1 bad_seqno: *" },
        { AT(",\"ts\":\"1704067200001\""), "rejected 1 bad_seqno: *" },
        { AT(",\"ts\":9223372036854775807"), "rejected 1 bad_seqno: *" },
        { AT(",\"ts\":99999999999999999999"), "rejected 1 bad_seqno: *" },
    };

    (void)state;
    CHECK(cases);
    unit.wall_us = SEQNO_EPOCH + 500; /* a stamp that is ahead of this node is cut */
    unit.clock.seqno = SEQNO_EPOCH;
    assert_non_null(strstr(decode_text(&unit, cases[0].event), "@500 "));
    assert_int_equal(unit.job.clamped, 1);
    unit.wall_us = UINT64_MAX / 2;
}

static void a_seqno_field_takes_the_clocks_place(void **state)
{
#define NUMBERED(top, row) \
    "{\"database\":\"trade\",\"table\":\"tc_order\",\"type\":\"INSERT\"" top \
    ",\"data\":[{\"order_no\":\"1\"" row "}]}"
    static const struct decode_case cases[] = {
        { NUMBERED(",\"ver\":77", ""), "+ trade.tc_order 1/ @77 *" },
        { NUMBERED(",\"ver\":\"77\"", ",\"ver\":5"), "+ trade.tc_order 1/ @77 *" },
        { NUMBERED("", ",\"ver\":\"5\""), "+ trade.tc_order 1/ @5 *" },
        { NUMBERED("", ",\"ver\":5"), "+ trade.tc_order 1/ @5 *" },
        { NUMBERED("", ",\"ver\":4611686018427387904"),
          "+ trade.tc_order 1/ @4611686018427387904 *" },
        { NUMBERED("", ",\"ver\":4611686018427387905"), "rejected 1 bad_seqno: *" },
        { NUMBERED("", ",\"ver\":0"), "rejected 1 bad_seqno: *" },
        { NUMBERED("", ",\"ver\":-1"), "rejected 1 bad_seqno: *" },
        { NUMBERED("", ",\"ver\":null"), "rejected 1 bad_seqno: *" },
        { NUMBERED("", ""), "rejected 1 bad_seqno: *" },
        { NUMBERED(",\"ver\":\"x\"", ",\"ver\":5"), "rejected 1 bad_seqno: *" },
        { NUMBERED(",\"ver\":1,\"v\\u0065r\":2", ""), "REJECTED duplicate_key: *" },
    };
    static struct decode_unit numbered;

    (void)state;
    decode_unit_open(&numbered, &canal_json_ops, "ver", 1 << 20);
    decode_cases(&numbered, cases, sizeof(cases) / sizeof(cases[0]));
    numbered.clock.seqno = SEQNO_EPOCH + 100;
    decode_text(&numbered, NUMBERED("", ",\"ver\":5"));
    assert_int_equal(numbered.clock.seqno, SEQNO_EPOCH + 100);
    decode_text(&numbered, NUMBERED("", ",\"ver\":500"));
    assert_int_equal(numbered.clock.seqno, SEQNO_EPOCH + 500);
}

/* 700 rows, each of which changes its key, through frames of any room: the same changes, once each.
 */
static void a_long_message_goes_on_in_the_next_frame(void **state)
{
    static char event[128 << 10], whole[128 << 10];
    size_t len =
        (size_t)snprintf(event, sizeof(event), HEAD("UPDATE") "\"table\":\"tc_order\",\"data\":[");

    (void)state;
    for (unsigned i = 0; i < 700; i++)
        len += (size_t)snprintf(event + len, sizeof(event) - len, "%s{\"order_no\":\"n%u\"}",
                                i ? "," : "", i);
    len += (size_t)snprintf(event + len, sizeof(event) - len, "],\"old\":[");
    for (unsigned i = 0; i < 700; i++)
        len += (size_t)snprintf(event + len, sizeof(event) - len, "%s{\"order_no\":\"o%u\"}",
                                i ? "," : "", i);
    snprintf(event + len, sizeof(event) - len, "]}");
    unit.clock.seqno = SEQNO_EPOCH;
    snprintf(whole, sizeof(whole), "%s", decode_text(&unit, event));
    assert_non_null(strstr(whole, "- trade.tc_order o699/ @700\n+ trade.tc_order n699/ @700 "));
    assert_int_equal(unit.frames, 6);
    unit.frame_room = 255; /* odd: a pair never stands in two frames */
    unit.clock.seqno = SEQNO_EPOCH;
    assert_string_equal(decode_text(&unit, event), whole);
    assert_int_equal(unit.job.rows, 700);
    unit.frame_room = FRAME_CHANGES_MAX;
}

/* The arena is what a frame holds: rows wait for the next frame, and one that fits none is
 * rejected, alone. */
static void a_row_that_fits_no_frame_is_rejected(void **state)
{
    static struct decode_unit small;
    static char event[16384], blob[6001];
    const char *text;

    (void)state;
    memset(blob, 'b', sizeof(blob) - 1);
    decode_unit_open(&small, &canal_json_ops, "", 4096);
    snprintf(
        event, sizeof(event),
        HEAD("INSERT") "\"table\":\"tc_order\",\"mysqlType\":{\"b\":\"BLOB\"},\"data\":["
                       "{\"order_no\":\"1\",\"b\":\"%.1000s\"},{\"order_no\":\"2\",\"b\":\"%s\"},"
                       "{\"order_no\":\"3\",\"b\":\"%.1000s\"},{\"order_no\":\"4\",\"b\":\"%."
                       "1000s\"}]}",
        blob, blob, blob, blob);
    text = decode_text(&small, event);
    assert_non_null(strstr(text, "+ trade.tc_order 1/ @1 "));
    assert_null(strstr(text, "tc_order 2/"));
    assert_non_null(strstr(text, "+ trade.tc_order 3/ @3 "));
    assert_non_null(strstr(text, "+ trade.tc_order 4/ @4 "));
    assert_non_null(strstr(text, "rejected 1 too_large: trade.tc_order: row 2 of 4, "));
    assert_true(small.frames > 1);
}

static void no_mutant_gets_through(void **state)
{
    static const char *const events[] = {
        HEAD("UPDATE") "\"table\":\"tc_order_item\",\"mysqlType\":{\"id\":\"BIGINT\",\"j\":"
                       "\"JSON\",\"b\":"
                       "\"BLOB\",\"n\":\"DECIMAL(9,2)\"},\"data\":[{\"id\":\"1\",\"order_no\":"
                       "\"42\",\"j\":"
                       "\"{\\\"a\\\":[1]}\",\"b\":\"\xc3\xbf\\u0000\",\"n\":\"001.50\"},{\"id\":"
                       "\"2\","
                       "\"order_no\":\"42\",\"j\":null,\"b\":[ 1 "
                       "],\"n\":7}],\"old\":[{\"order_no\":\"41\"},"
                       "{\"id\":\"9\"}]}",
        HEAD("DELETE") "\"table\":\"tc_order\",\"data\":[{\"order_no\":\"42\",\"a\":\"b\\\\\"}]}",
        HEAD("INSERT") "\"table\":\"tc_order_pay\",\"data\":[{\"order_no\":\"4\",\"amount\":\"1\"}]"
                       "}",
        ("{\"type\":\"ALTER\",\"isDdl\":true,\"database\":\"trade\",\"table\":\"t\",\"sql\":"
         "\"\xe4\xb8\xad\"}"),
    };

    (void)state;
    decode_mutants(&unit, events, sizeof(events) / sizeof(events[0]), 40000);
}

#ifdef TEST_ROOT
/* The numbers of the capture's own description: 167 + 61 + 22 rows. */
static void a_real_capture_is_read_whole(void **state)
{
    unsigned kinds[EVENT_REJECTED + 1] = { 0 };

    (void)state;
    assert_int_equal(decode_capture(&unit, TEST_ROOT "/config/samples/canal-orders.ndjson", kinds),
                     250);
    assert_int_equal(kinds[EVENT_ROWS], 207);
    assert_int_equal(kinds[EVENT_DDL] + kinds[EVENT_TRUNCATE] + kinds[EVENT_OTHER], 206);
    assert_int_equal(kinds[EVENT_TRUNCATE], 1);
    assert_int_equal(kinds[EVENT_REJECTED], 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_changes),
        cmocka_unit_test(a_changed_name_is_a_delete_and_an_upsert),
        cmocka_unit_test(unselected_columns_are_left_out),
        cmocka_unit_test(messages_without_rows_are_told_apart),
        cmocka_unit_test(bad_messages_are_rejected),
        cmocka_unit_test(bad_rows_are_rejected_alone),
        cmocka_unit_test(long_names_are_bounded),
        cmocka_unit_test(every_row_ticks_the_clock),
        cmocka_unit_test(the_capture_time_gives_the_seqno),
        cmocka_unit_test(a_seqno_field_takes_the_clocks_place),
        cmocka_unit_test(a_long_message_goes_on_in_the_next_frame),
        cmocka_unit_test(a_row_that_fits_no_frame_is_rejected),
        cmocka_unit_test(no_mutant_gets_through),
#ifdef TEST_ROOT
        cmocka_unit_test(a_real_capture_is_read_whole),
#endif
    };

    decode_unit_open(&unit, &canal_json_ops, "", 16 << 20);
    return UNIT_RUN(tests);
}
