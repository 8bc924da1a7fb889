/* client_print_test.c: answers as people read them. */
#include "../unit.h"

#include "control/client_document.h"
#include "control/client_print.h"
#include "control/text_table.h"

#include <stdlib.h>

struct printed {
    char *out, *notes;
    int result;
};

static struct printed printed_by(int (*print)(FILE *out, struct slice answer), const char *answer)
{
    struct printed printed = { 0 };
    size_t len;
    FILE *out = open_memstream(&printed.out, &len);

    printed.result = print(out, slice_of(answer));
    fclose(out);
    return printed;
}

static struct printed printed_document(const char *answer)
{
    struct printed printed = { 0 };
    size_t len, notes_len;
    FILE *out = open_memstream(&printed.out, &len);
    FILE *notes = open_memstream(&printed.notes, &notes_len);

    printed.result = client_print_document(out, notes, slice_of(answer));
    fclose(out);
    fclose(notes);
    return printed;
}

static void forget(struct printed *printed)
{
    free(printed->out);
    free(printed->notes);
}

/* Indented, empty containers in one piece, digits and escapes as they were; nothing that a terminal
 * would obey. */
static void document_is_indented_and_not_changed(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        { "{}", "{}\n" },
        { "null", "null\n" },
        { "[ ]", "[]\n" },
        { "{\"a\":[]}", "{\n  \"a\": []\n}\n" },
        { "{\"a\":365.30,\"b\":12345678901234567890}",
          "{\n  \"a\": 365.30,\n  \"b\": 12345678901234567890\n}\n" },
        { "[{\"a\":\"x,{\\\"}\"},1.0E15]", "[\n  {\n    \"a\": \"x,{\\\"}\"\n  },\n  1.0E15\n]\n" },
        { "\"\x7f\xc2\x9b\xc2\xa0\"", "\"\\u007f\\u009b\xc2\xa0\"\n" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);
        client_document_print(out, slice_of(rows[i].json));
        fclose(out);
        assert_string_equal(text, rows[i].text);
        free(text);
    }
}

/* The document alone is the result, so that it can be piped on; the rest are notes. */
static void document_goes_apart_from_its_notes(void **state)
{
    struct printed printed = printed_document(
        "{\"task\":\"orders\",\"key\":\"1\",\"version\":42,\"shard\":0,\"document\":{\"a\":1e400},"
        "\"rows\":[{\"table\":\"t\",\"row_id\":\"7\",\"seqno\":1795248000123456,"
        "\"time\":\"2026-11-21T08:00:00.123456Z\",\"deleted\":true}],\"reading_back\":true,"
        "\"sinks\":[{\"name\":\"local\",\"version\":41,\"state\":\"being written\"}]}");

    (void)state;
    assert_int_equal(printed.result, 0);
    assert_string_equal(printed.out, "{\n  \"a\": 1e400\n}\n");
    assert_non_null(
        strstr(printed.notes, "task orders, version 42; its older rows are being read back"));
    assert_non_null(strstr(printed.notes,
                           "t      7    1795248000123456  2026-11-21T08:00:00.123456Z  "
                           "deleted"));
    assert_non_null(strstr(printed.notes, "local       41  being written"));
    forget(&printed);
}

/* A key whose document is deleted has no document, and its notes say why. */
static void state_without_document_says_so(void **state)
{
    struct printed printed = printed_document(
        "{\"task\":\"orders\",\"version\":42,\"document\":null,\"rows\":[],\"sinks\":[]}");

    (void)state;
    assert_int_equal(printed.result, 0);
    assert_string_equal(printed.out, "null\n");
    assert_non_null(strstr(printed.notes, "deleted"));
    forget(&printed);
}

#define TASK \
    "{\"name\":\"orders\",\"state\":\"failed\",\"failure\":\"no " \
    "room\",\"partitions\":3,\"lag\":null," \
    "\"events\":1000,\"changes\":2000,\"applied\":1900,\"changes_stale\":11,\"unmapped\":12," \
    "\"dead_letters\":13,\"documents\":845,\"pending\":14," \
    "\"store\":{\"used_bytes\":1536,\"bound_bytes\":1073741824}," \
    "\"tables\":[{\"name\":\"t\",\"into\":\"\",\"applied\":1,\"stale\":2,\"dead\":3}]," \
    "\"sinks\":[{\"name\":\"local\",\"kind\":\"sqlite\",\"written\":21,\"stale\":22,\"retried\":" \
    "23," \
    "\"dead\":24,\"in_flight\":1}]}"

static void status_shows_tasks_sinks_and_failures(void **state)
{
    struct printed printed = printed_by(
        client_print_status, "{\"node\":\"node-a\",\"version\":\"0.1.0\",\"uptime_seconds\":7260,"
                             "\"ready\":false,\"reason\":\"task orders failed\",\"shards\":2,"
                             "\"tasks\":[" TASK "]}");

    (void)state;
    assert_int_equal(printed.result, 0);
    assert_non_null(
        strstr(printed.out, "node-a: weir 0.1.0, 2 shards, up 2h1min, NOT READY: task"));
    assert_non_null(strstr(printed.out, "orders  failed    1000    ?       14        845     11"));
    assert_non_null(strstr(printed.out, "local  sqlite       21     22       23    24"));
    assert_non_null(strstr(printed.out, "store 1.5 KiB of 1.0 GiB; FAILED: no room"));
    forget(&printed);
}

static void one_task_is_shown_with_its_tables(void **state)
{
    struct printed printed = printed_by(client_print_task, TASK);

    (void)state;
    assert_int_equal(printed.result, 0);
    assert_non_null(strstr(printed.out, "TABLE  INTO  APPLIED  STALE  DEAD\n"
                                        "t                  1      2     3\n"));
    forget(&printed);
}

/* Known ends make a lag; a file has none; a task without partitions says so. */
static void lag_tells_what_is_not_known(void **state)
{
    struct printed printed = printed_by(
        client_print_lag,
        "{\"tasks\":[{\"task\":\"a\",\"lag\":300,\"partitions\":[{\"topic\":\"trade\","
        "\"partition\":0,"
        "\"shard\":1,\"read\":800,\"durable\":700,\"committed\":600,\"high\":1000,\"lag\":300}]},"
        "{\"task\":\"b\",\"lag\":null,\"partitions\":[{\"topic\":\"f\",\"partition\":0,\"shard\":0,"
        "\"read\":5,\"durable\":5,\"committed\":null,\"high\":null,\"lag\":null}]},"
        "{\"task\":\"c\",\"lag\":null,\"partitions\":[]}]}");

    (void)state;
    assert_int_equal(printed.result, 0);
    assert_non_null(
        strstr(printed.out, "a     trade          0      1   800      700        600  1000  300"));
    assert_non_null(strstr(printed.out, "a: 300 records behind\n"));
    assert_non_null(strstr(printed.out, "b: the end of its log is not known\n"));
    assert_non_null(strstr(printed.out, "c: no partition is assigned\n"));
    forget(&printed);
}

/* Another program answers on the socket, or the answer was cut: an error, no crash. */
static void nonsense_is_refused(void **state)
{
    static const char *const texts[] = { "",
                                         "{",
                                         "[]",
                                         "null",
                                         "{\"tasks\":7}",
                                         "{\"document\":{}}",
                                         "{\"document\":{},\"rows\":[],\"sinks\":[]",
                                         "\xff" };

    (void)state;
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct printed printed = printed_by(client_print_status, texts[i]);
        assert_int_equal(printed.result, -1);
        forget(&printed);
        printed = printed_by(client_print_task, texts[i]);
        assert_int_equal(printed.result, -1);
        forget(&printed);
        printed = printed_by(client_print_lag, texts[i]);
        assert_int_equal(printed.result, -1);
        forget(&printed);
        printed = printed_document(texts[i]);
        assert_int_equal(printed.result, -1);
        forget(&printed);
    }
}

/* Columns are as wide as their widest cell; what comes from outside cannot drive the terminal. */
static void table_lines_up_and_is_harmless(void **state)
{
    static const char *const headings[] = { "NAME", ">N" };
    struct text_table table;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    text_table_open(&table, headings, 2);
    text_table_text(&table, "\xc3\xa9t\xc3\xa9");
    text_table_number(&table, 12345);
    text_table_text(&table, "\x1b[2J\xc2\x9b");
    text_table_text(&table, NULL);
    text_table_print(out, &table);
    fclose(out);
    assert_string_equal(text, "NAME        N\n"
                              "\xc3\xa9t\xc3\xa9     12345\n"
                              "?[2J??      -\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_is_indented_and_not_changed),
        cmocka_unit_test(document_goes_apart_from_its_notes),
        cmocka_unit_test(state_without_document_says_so),
        cmocka_unit_test(status_shows_tasks_sinks_and_failures),
        cmocka_unit_test(one_task_is_shown_with_its_tables),
        cmocka_unit_test(lag_tells_what_is_not_known),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(table_lines_up_and_is_harmless),
    };

    return UNIT_RUN(tests);
}
