/* metrics_test.c: Prometheus' text format, and that docs/OPERATIONS.md explains all of it. */
#include "../unit.h"
#include "fake_node.h"

#include "control/metrics.h"

#include <regex.h>
#include <stdlib.h>

#define NOW_US UINT64_C(11000000)

static char *rendered(struct node *node)
{
    static struct buf buf;

    if (buf.data == NULL)
        buf_open(&buf, 1 << 20, "test");
    buf_reset(&buf);
    metrics_render(&buf, node, NOW_US);
    assert_false(buf.overflow);
    return strndup(buf.data, buf.len);
}

static char *operations_page(void)
{
    FILE *file = fopen(WEIR_SOURCE_ROOT "/docs/OPERATIONS.md", "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

/* A row of one of the page's tables begins with the name in backquotes. */
static void assert_row(const char *page, const char *name)
{
    char row[200];

    snprintf(row, sizeof(row), "\n| `%s` |", name);
    if (strstr(page, row) == NULL)
        fail_msg("docs/OPERATIONS.md has no row for %s", name);
}

/* Every line is a comment or a sample as the format has them; label values are escaped. */
static void every_line_is_of_the_format(void **state)
{
    const char *comment = "^# (HELP [a-z_]+ [^\n]+|TYPE [a-z_]+ (counter|gauge|histogram))$";
    const char *label = "[a-z_]+=\"([^\"\\]|\\\\[\\\"n])*\"";
    char sample[300], *save = NULL, *text = rendered(fake_node("unused", NULL));
    regex_t comment_form, sample_form;

    (void)state;
    snprintf(sample, sizeof(sample), "^[a-z_]+(\\{%s(,%s)*\\})? [0-9]+(\\.[0-9]+)?$", label, label);
    assert_int_equal(regcomp(&comment_form, comment, REG_EXTENDED | REG_NOSUB), 0);
    assert_int_equal(regcomp(&sample_form, sample, REG_EXTENDED | REG_NOSUB), 0);
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        if (regexec(line[0] == '#' ? &comment_form : &sample_form, line, 0, NULL, 0) != 0)
            fail_msg("not of the format: %s", line);
    regfree(&comment_form);
    regfree(&sample_form);
    free(text);
}

struct family {
    char name[128], type[16];
};

static bool is_histogram_suffix(const char *text, size_t len)
{
    static const char *const suffixes[] = { "_bucket", "_sum", "_count" };

    for (unsigned i = 0; i < 3; i++)
        if (strlen(suffixes[i]) == len && memcmp(text, suffixes[i], len) == 0)
            return true;
    return false;
}

/* Names each family once; its samples follow it at once, counters end in _total, and nothing else
 * does. */
static void family_stands_once_with_its_samples_below(void **state)
{
    char *save = NULL, *text = rendered(fake_node("unused", NULL));
    struct family families[128];
    unsigned n = 0;

    (void)state;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            continue;
        } else if (line[0] == '#') {
            struct family *family = &families[n++];
            assert_true(n < 128);
            assert_int_equal(sscanf(line, "# TYPE %127s %15s", family->name, family->type), 2);
            for (unsigned i = 0; i + 1 < n; i++)
                assert_string_not_equal(families[i].name, family->name);
            size_t len = strlen(family->name);
            bool total = len > 6 && strcmp(family->name + len - 6, "_total") == 0;
            assert_int_equal(total, strcmp(family->type, "counter") == 0);
        } else {
            size_t len = strcspn(line, "{ "), base;
            assert_true(n > 0);
            base = strlen(families[n - 1].name);
            assert_memory_equal(line, families[n - 1].name, base);
            if (strcmp(families[n - 1].type, "histogram") == 0)
                assert_true(is_histogram_suffix(line + base, len - base));
            else
                assert_int_equal(len, base);
        }
    }
    assert_true(n > 25);
    free(text);
}

/* One number of each kind, set by the fake: none is mixed up with another. */
static void samples_carry_their_numbers(void **state)
{
    struct node *node = fake_node("unused", NULL);
    struct counters *counters = &node->tasks[0].pipelines[1]->counters;
    char events[200], *text;

    (void)state;
    node->tasks[0].pipelines[1]->outlets[1].failing_since_us = NOW_US - 2500000;
    snprintf(events, sizeof(events),
             "weir_source_events_total{task=\"orders\",shard=\"1\",kind=\"ddl\"} %llu\n",
             (unsigned long long)counters->events_ddl);
    text = rendered(node);
    const char *const lines[] = {
        events,
        "weir_backpressure_seconds_total{task=\"orders\",shard=\"0\"} 1.500000\n",
        "weir_changes_total{task=\"orders\",table=\"shop.tc_order_item\",result=\"stale\"} 44\n",
        "weir_sink_documents_total{task=\"orders\",sink=\"local\",result=\"retried\"} 122\n",
        "weir_sink_failing_seconds{task=\"orders\",sink=\"local\"} 2.500000\n",
        "weir_sink_failing_seconds{task=\"orders\",sink=\"search\"} 0.000000\n",
        "weir_source_lag_records{task=\"orders\",topic=\"trade\",partition=\"0\"} 300\n",
        "weir_source_partitions{task=\"orders\"} 2\n",
        "weir_store_entities{task=\"orders\",shard=\"0\"} 1\n",
        "weir_store_entities{task=\"orders\",shard=\"1\"} 2\n",
        "weir_pending_documents{task=\"orders\",shard=\"1\"} 1\n",
        "weir_task_state{task=\"orders\",state=\"running\"} 1\n",
        "weir_task_state{task=\"orders\",state=\"failed\"} 0\n",
        "weir_start_time_seconds 1795248000.123456\n",
        "weir_ready 1\n",
    };
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (strstr(text, lines[i]) == NULL)
            fail_msg("not there: %s", lines[i]);
    assert_null(strstr(text, "partition=\"1\"")); /* another node's */
    assert_null(strstr(text, "partition=\"2\"")); /* its end is not known */
    assert_null(strstr(text, "microseconds"));
    free(text);
}

/* A topic may be called anything; Kafka allows little, but files have paths. */
static void label_values_are_escaped(void **state)
{
    struct node *node = fake_node("unused", NULL);
    struct task *task = &node->tasks[0];
    uint16_t slot = partitions_slot(task->partitions, "a\"b\\c", 0);
    char *text;

    (void)state;
    task->assignments[slot] = (struct assignment){ .owned = 1, .high = 9, .durable = 9 };
    text = rendered(node);
    assert_non_null(strstr(text, "topic=\"a\\\"b\\\\c\",partition=\"0\"} 0\n"));
    free(text);
}

/* Whoever adds a metric explains it to operators. */
static void every_metric_has_a_row_in_the_docs(void **state)
{
    char *save = NULL, *page = operations_page(), *text = rendered(fake_node("unused", NULL));
    unsigned n = 0;

    (void)state;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char name[128];
        if (sscanf(line, "# TYPE %127s", name) == 1) {
            assert_row(page, name);
            n++;
        }
    }
    assert_true(n > 25);
    free(text);
    free(page);
}

/* Whoever adds a reason for a dead letter says what to do about it. */
static void every_reason_has_a_row_in_the_docs(void **state)
{
    char *page = operations_page();

    (void)state;
#define REASON(name, label, text) assert_row(page, label);
#include "dataplane/reason.def"
#undef REASON
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_of_the_format),
        cmocka_unit_test(family_stands_once_with_its_samples_below),
        cmocka_unit_test(samples_carry_their_numbers),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(every_metric_has_a_row_in_the_docs),
        cmocka_unit_test(every_reason_has_a_row_in_the_docs),
    };

    return UNIT_RUN(tests);
}
