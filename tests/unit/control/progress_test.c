/* progress_test.c: the line while a run goes on, and the JSON when it ended. */
#include "../unit.h"
#include "fake_node.h"

#include "control/progress.h"

#include <jansson.h>
#include <stdlib.h>

static void line_says_what_is_known(void **state)
{
    static const struct {
        struct progress_numbers numbers;
        const char *text;
    } rows[] = {
        { { .lag = -1, .left_seconds = -1 }, "0 events, 0/s, 0 pending" },
        { { .events = 999,
            .events_per_second = 1000,
            .pending = 12,
            .lag = -1,
            .left_seconds = -1 },
          "999 events, 1,000/s, 12 pending" },
        { { .events = 1234567,
            .events_per_second = 52000,
            .pending = 300,
            .lag = 1200,
            .left_seconds = 125,
            .dead_letters = 2 },
          "1,234,567 events, 52,000/s, 1,200 behind, 300 pending, 2 dead letters, 2min5s left" },
        { { .lag = 0, .left_seconds = 7260 }, "0 events, 0/s, 0 behind, 0 pending, 2h1min left" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        progress_text(&rows[i].numbers, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

/* On a terminal of 80 columns a longer line would wrap, and could not be redrawn. */
static void line_is_cut_to_the_terminal(void **state)
{
    const struct progress_numbers numbers = { UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                              UINT64_MAX, INT64_MAX,  INT64_MAX };
    char text[80];

    (void)state;
    progress_text(&numbers, text, sizeof(text));
    assert_int_equal(strlen(text), 79);
}

static json_int_t number(const json_t *object, const char *name)
{
    assert_true(json_is_integer(json_object_get(object, name)));
    return json_integer_value(json_object_get(object, name));
}

/* Scripts read one line; each number is the sum over shards and sinks. */
static void final_line_is_one_json_object_of_sums(void **state)
{
    struct node *node = fake_node("unused", NULL);
    struct task_totals totals;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    json_error_t error;

    (void)state;
    task_totals(&node->tasks[0], &totals);
    progress_final(out, node);
    fclose(out);
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    json_t *final = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(final);
    assert_int_equal(number(final, "events"), totals.events);
    assert_int_equal(number(final, "changes"), totals.counters.changes_in);
    assert_int_equal(number(final, "documents"), 3);
    assert_int_equal(number(final, "documents_written"), 2 * (40 + 41));
    assert_int_equal(number(final, "stale"), 2 * (50 + 51));
    assert_int_equal(number(final, "retried"), 2 * (60 + 61));
    assert_int_equal(number(final, "unmapped"), totals.counters.changes_unmapped);
    assert_int_equal(number(final, "applied"), totals.counters.applied);
    assert_int_equal(number(final, "changes_stale"), totals.counters.stale);
    assert_int_equal(number(final, "dead_letters"), totals.counters.letters);
    assert_true(json_is_real(json_object_get(final, "seconds")));
    (void)number(final, "events_per_second");
    const json_t *task = json_object_get(json_object_get(final, "tasks"), "orders");
    assert_int_equal(number(task, "events"), totals.events);
    assert_int_equal(number(json_object_get(task, "written"), "search"), 80);
    assert_int_equal(number(json_object_get(task, "written"), "local"), 82);
    json_decref(final);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_says_what_is_known),
        cmocka_unit_test(line_is_cut_to_the_terminal),
        cmocka_unit_test(final_line_is_one_json_object_of_sums),
    };

    return UNIT_RUN(tests);
}
