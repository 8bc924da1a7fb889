/* elasticsearch_answer_test.c: the server's JSON answers, read as hostile bytes. */
#include "../unit.h"

#include "drivers/elasticsearch/answer.h"

static const char items[] =
    "{\"took\":3,\"errors\":true,\"items\":[{\"index\":{\"_id\":\"a\",\"status\":201}},"
    "{\"delete\":{\"status\":404}}, {\"index\":{\"error\":{\"type\":\"t\",\"reason\":\"r\","
    "\"caused_by\":{\"type\":\"x\"}},\"status\":400}}]}";

/* Members that were not asked for are passed over; the error is the item's own and not its cause.
 */
static void items_are_read_in_order(void **state)
{
    struct answer_list list;
    struct answer_item item;

    (void)state;
    assert_true(answer_list_open(&list, SLICE(items), "items"));
    assert_true(answer_next_item(&list, &item));
    assert_int_equal(item.status, 201);
    assert_true(slice_equal(item.op, SLICE("index")));
    assert_false(item.error.there);
    assert_true(answer_next_item(&list, &item));
    assert_int_equal(item.status, 404);
    assert_true(slice_equal(item.op, SLICE("delete")));
    assert_true(answer_next_item(&list, &item));
    assert_int_equal(item.status, 400);
    assert_true(answer_error_is(&item.error, "t"));
    assert_false(answer_error_is(&item.error, "tt"));
    assert_false(answer_next_item(&list, &item));
    assert_null(list.broken);
}

/* What is cut anywhere is refused as a whole: no item of it is ever seen. */
static void every_prefix_is_refused(void **state)
{
    struct answer_list list;

    (void)state;
    for (size_t len = 0; len < sizeof(items) - 1; len++) {
        assert_false(answer_list_open(&list, (struct slice){ items, len }, "items"));
        assert_non_null(list.broken);
    }
}

/* One byte of the answer is another: it may be refused or still be JSON, but it never reads beyond
 * its items. */
static void every_garbled_byte_is_survived(void **state)
{
    static const char others[] = {
        '"', '\\', '{', '}', '[', ']', ',', ':', '0', '\0', '\n', '\x80'
    };
    char text[sizeof(items)];
    struct answer_list list;
    struct answer_item item;

    (void)state;
    for (size_t at = 0; at < sizeof(items) - 1; at++)
        for (size_t other = 0; other < sizeof(others); other++) {
            unsigned n = 0;

            memcpy(text, items, sizeof(items));
            text[at] = others[other];
            if (!answer_list_open(&list, (struct slice){ text, sizeof(items) - 1 }, "items"))
                continue;
            while (answer_next_item(&list, &item))
                n++;
            assert_in_range(n, 0, 3);
        }
}

/* Nesting of any depth ends in a refusal, not in a deep stack. */
static void deep_answer_is_refused(void **state)
{
    static char text[200000];
    struct answer_list list;

    (void)state;
    memset(text, '[', sizeof(text));
    memcpy(text, "{\"items\":", 9);
    assert_false(answer_list_open(&list, (struct slice){ text, sizeof(text) }, "items"));
    assert_false(answer_error((struct slice){ text, sizeof(text) }).there);
}

/* What people get to read of an error. */
static void errors_are_told_for_people(void **state)
{
    static const struct {
        const char *answer, *text;
    } rows[] = {
        { "{\"error\":{\"type\":\"t\",\"reason\":\"r\"},\"status\":400}", "t: r" },
        { "{\"error\":{\"reason\":\"r \\\"x\\\"\\n\\u00e9\"}}", "r \"x\" \xc3\xa9" },
        { "{\"error\":{\"type\":\"t\"}}", "t" },
        { "{\"error\":{\"type\":7,\"reason\":null}}", "otherwise" },
        { "{\"error\":{\"type\":\"\",\"reason\":\"\"}}", "otherwise" },
        { "{\"error\":\"no handler\"}", "no handler" },
        { "{\"error\":{}}", "otherwise" },
        { "{\"error\":[1]}", "otherwise" },
        { "{\"error\":{\"type\":\"t\",\"reason\":\"r\"}", "otherwise" },
        { "{}", "otherwise" },
        { "<html>", "otherwise" },
        { "", "otherwise" },
    };
    char text[2048];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer_error error = answer_error(slice_of(rows[i].answer));
        struct buf out = { .data = text, .bound = sizeof(text) - 1 };

        answer_error_text(&error, "otherwise", &out);
        text[out.len] = '\0';
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_read_in_order),        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(every_garbled_byte_is_survived), cmocka_unit_test(deep_answer_is_refused),
        cmocka_unit_test(errors_are_told_for_people),
    };

    return UNIT_RUN(tests);
}
