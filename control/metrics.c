/*
 * metrics.c: see metrics.h.
 *
 *     # HELP weir_coalesced_total row changes that joined a document that was pending already
 *     # TYPE weir_coalesced_total counter
 *     weir_coalesced_total{task="orders",shard="0"} 17
 *
 * A family stands once, with all its samples below it. Most families come from counters.def: a line
 * there is a metric here; lines with the same metric are one family, told apart by their labels. A
 * counter of microseconds is shown in seconds, as Prometheus' names have base units. What a task
 * counts on a shard has the labels task and shard; tables and sinks are summed over shards.
 *
 * docs/OPERATIONS.md has a row for each family; a test compares.
 */
#include "control/metrics.h"

#include "control/view.h"
#include "dataplane/base/memory.h"

#include <inttypes.h>
#include <string.h>

struct counter_row {
    size_t offset; /* in struct counters */
    const char *metric, *labels, *help;
};

static const struct counter_row counter_rows[] = {
#define COUNTER(field, metric, labels, help) \
    { offsetof(struct counters, field), metric, labels, help },
#include "dataplane/counters.def"
#undef COUNTER
};

enum { COUNTER_ROWS = sizeof(counter_rows) / sizeof(counter_rows[0]) };

/* ---- the format ---- */

static void put_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: \, " and line breaks are escaped. */
static void put_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '\\' || c == '"')
            buf_put_char(out, '\\');
        if (c == '\n')
            buf_put_literal(out, "\\n");
        else
            buf_put_char(out, c);
    }
}

/* Up to three labels; a NULL name ends them. */
struct label {
    const char *name;
    struct slice value;
};

static void put_head(struct buf *out, const char *name, const struct label labels[3])
{
    bool first = true;

    buf_put_slice(out, slice_of(name));
    for (unsigned i = 0; i < 3 && labels[i].name != NULL; i++) {
        buf_printf(out, "%s%s=\"", first ? "{" : ",", labels[i].name);
        put_escaped(out, labels[i].value);
        buf_put_char(out, '"');
        first = false;
    }
    if (!first)
        buf_put_char(out, '}');
    buf_put_char(out, ' ');
}

static void put_sample(struct buf *out, const char *name, const struct label labels[3],
                       uint64_t value)
{
    put_head(out, name, labels);
    buf_put_u64(out, value);
    buf_put_char(out, '\n');
}

static void put_seconds(struct buf *out, const char *name, const struct label labels[3],
                        uint64_t value_us)
{
    put_head(out, name, labels);
    buf_printf(out, "%" PRIu64 ".%06" PRIu64 "\n", value_us / 1000000, value_us % 1000000);
}

static struct slice task_name(const struct task *task)
{
    return slice_of(task->config->name);
}

#define LABELS(...) ((const struct label[3]){ __VA_ARGS__ })

/* ---- the node ---- */

static void put_node(struct buf *out, const struct node *node)
{
    char why[8];

    put_family(out, "weir_build_info", "gauge", "always 1; the label says which weir this is");
    put_sample(out, "weir_build_info", LABELS({ "version", SLICE(WEIR_VERSION) }), 1);
    put_family(out, "weir_start_time_seconds", "gauge", "when the node started, since 1970");
    put_seconds(out, "weir_start_time_seconds", LABELS({ 0 }), node->started_wall_us);
    put_family(out, "weir_ready", "gauge", "1 while /readyz says so");
    put_sample(out, "weir_ready", LABELS({ 0 }), view_ready(node, why, sizeof(why)));
    put_family(out, "weir_memory_reserved_bytes", "gauge",
               "memory of the data path, reserved at start");
    put_sample(out, "weir_memory_reserved_bytes", LABELS({ 0 }), memory_reserved_bytes());
}

static void put_shards(struct buf *out, const struct node *node)
{
    static const struct {
        const char *name, *help;
        size_t offset;
        bool seconds;
    } rows[] = {
        { "weir_shard_steps_total", "turns of a shard's loop", offsetof(struct shard, steps),
          false },
        { "weir_shard_idle_steps_total", "turns in which there was nothing to do",
          offsetof(struct shard, idle_steps), false },
        { "weir_shard_busy_seconds_total", "time in which a shard had something to do",
          offsetof(struct shard, busy_us), true },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_family(out, rows[i].name, "counter", rows[i].help);
        for (unsigned s = 0; s < node->n_shards; s++) {
            char id[12];
            int len = snprintf(id, sizeof(id), "%u", s);
            const char *at = (const char *)&node->shards[s] + rows[i].offset;
            uint64_t value = counter_read((const uint64_t *)(const void *)at);
            const struct label labels[3] = { { "shard", { id, (size_t)len } } };
            if (rows[i].seconds)
                put_seconds(out, rows[i].name, labels, value);
            else
                put_sample(out, rows[i].name, labels, value);
        }
    }
}

/* ---- tasks and their logs ---- */

static void put_states(struct buf *out, const struct node *node)
{
    put_family(out, "weir_task_state", "gauge",
               "1 for the state that the task is in, 0 for the others");
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        enum task_state now = view_state(task);
        for (int state = TASK_STARTING; state <= TASK_FAILED; state++) {
            struct slice name = slice_of(view_state_name((enum task_state)state));
            put_sample(out, "weir_task_state",
                       LABELS({ "task", task_name(task) }, { "state", name }), (int)now == state);
        }
    }
    put_family(out, "weir_source_partitions", "gauge", "partitions that this node reads");
    for (unsigned i = 0; i < node->n_tasks; i++)
        put_sample(out, "weir_source_partitions", LABELS({ "task", task_name(&node->tasks[i]) }),
                   view_lag(&node->tasks[i]).partitions);
    put_family(out, "weir_standstills_total", "counter",
               "times that the node stood still for longer than half a session of the group");
    for (unsigned i = 0; i < node->n_tasks; i++)
        put_sample(out, "weir_standstills_total", LABELS({ "task", task_name(&node->tasks[i]) }),
                   counter_read(&node->tasks[i].standstills));
}

static void put_lags(struct buf *out, const struct node *node)
{
    put_family(out, "weir_source_lag_records", "gauge",
               "records of a partition that are not durable in every sink yet");
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        struct view_partition partition;
        for (unsigned slot = 0; view_partition_next(task, &slot, &partition);) {
            char number[12];
            int len = snprintf(number, sizeof(number), "%d",
                               partitions_number(task->partitions, partition.slot));
            struct slice topic = slice_of(partitions_topic(task->partitions, partition.slot));
            if (partition.lag < 0)
                continue;
            put_sample(out, "weir_source_lag_records",
                       LABELS({ "task", task_name(task) }, { "topic", topic },
                              { "partition", { number, (size_t)len } }),
                       (uint64_t)partition.lag);
        }
    }
}

/* ---- counters.def ---- */

#define MICROSECONDS "_microseconds_total"

/* The name that is shown; true where the value is in microseconds. */
static bool shown_name(const char *metric, char name[128])
{
    const char *at = strstr(metric, MICROSECONDS);

    (void)snprintf(name, 128, "%.*s%s", at != NULL ? (int)(at - metric) : (int)strlen(metric),
                   metric, at != NULL ? "_seconds_total" : "");
    return at != NULL;
}

static void put_counter_help(struct buf *out, unsigned first, const char *name)
{
    bool several = false;

    buf_printf(out, "# HELP %s ", name);
    for (unsigned i = first; i < COUNTER_ROWS; i++) {
        const struct counter_row *row = &counter_rows[i];
        if (strcmp(row->metric, counter_rows[first].metric) != 0)
            continue;
        buf_printf(out, "%s%s%s%s", several ? "; " : "", row->labels,
                   row->labels[0] != '\0' ? ": " : "", row->help);
        several = true;
    }
    buf_printf(out, "\n# TYPE %s counter\n", name);
}

static void put_counter(struct buf *out, const struct node *node, const struct counter_row *row)
{
    char name[128];
    bool seconds = shown_name(row->metric, name);

    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        for (unsigned s = 0; s < node->n_shards; s++) {
            const char *at = (const char *)&task->pipelines[s]->counters + row->offset;
            uint64_t value = counter_read((const uint64_t *)(const void *)at);
            buf_printf(out, "%s{task=\"%s\",shard=\"%u\"%s%s} ", name, task->config->name, s,
                       row->labels[0] != '\0' ? "," : "", row->labels);
            if (seconds)
                buf_printf(out, "%" PRIu64 ".%06" PRIu64 "\n", value / 1000000, value % 1000000);
            else
                buf_printf(out, "%" PRIu64 "\n", value);
        }
    }
}

static bool is_first_of_family(unsigned row)
{
    for (unsigned i = 0; i < row; i++)
        if (strcmp(counter_rows[i].metric, counter_rows[row].metric) == 0)
            return false;
    return true;
}

static void put_counters(struct buf *out, const struct node *node)
{
    for (unsigned first = 0; first < COUNTER_ROWS; first++) {
        char name[128];
        if (!is_first_of_family(first))
            continue;
        (void)shown_name(counter_rows[first].metric, name);
        put_counter_help(out, first, name);
        for (unsigned i = first; i < COUNTER_ROWS; i++)
            if (strcmp(counter_rows[i].metric, counter_rows[first].metric) == 0)
                put_counter(out, node, &counter_rows[i]);
    }
}

/* ---- tables and stores ---- */

static void put_changes(struct buf *out, const struct task *task, struct slice table,
                        const char *result, uint64_t value)
{
    put_sample(
        out, "weir_changes_total",
        LABELS({ "task", task_name(task) }, { "table", table }, { "result", slice_of(result) }),
        value);
}

static void put_tables(struct buf *out, const struct node *node)
{
    put_family(out, "weir_changes_total", "counter",
               "row changes by table and what became of them; unmapped ones have no table");
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        struct task_totals totals;
        for (unsigned t = 0; t < task->plan->n_tables; t++) {
            struct slice table = task->plan->tables[t].name;
            struct table_counters counters = view_table(task, t);
            put_changes(out, task, table, "applied", counters.applied);
            put_changes(out, task, table, "stale", counters.stale);
            put_changes(out, task, table, "dead", counters.dead);
        }
        task_totals(task, &totals);
        put_changes(out, task, SLICE(""), "unmapped", totals.counters.changes_unmapped);
    }
}

static uint64_t entities_of(const struct pipeline *pipeline)
{
    return store_facts(pipeline->store).entities;
}

static uint64_t used_of(const struct pipeline *pipeline)
{
    return store_facts(pipeline->store).used_bytes;
}

static uint64_t bound_of(const struct pipeline *pipeline)
{
    return store_facts(pipeline->store).bound_bytes;
}

static uint64_t pending_of(const struct pipeline *pipeline)
{
    return counter_read(&pipeline->n_pending);
}

static void put_stores(struct buf *out, const struct node *node)
{
    static const struct {
        const char *name, *help;
        uint64_t (*value)(const struct pipeline *pipeline);
    } rows[] = {
        { "weir_store_entities", "documents whose state is in memory", entities_of },
        { "weir_store_bytes", "bytes of the store that are in use", used_of },
        { "weir_store_bound_bytes", "bytes that the store may use", bound_of },
        { "weir_pending_documents", "documents that some sink does not have yet", pending_of },
    };

    for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        put_family(out, rows[r].name, "gauge", rows[r].help);
        for (unsigned i = 0; i < node->n_tasks; i++)
            for (unsigned s = 0; s < node->n_shards; s++)
                buf_printf(out, "%s{task=\"%s\",shard=\"%u\"} %" PRIu64 "\n", rows[r].name,
                           node->tasks[i].config->name, s,
                           rows[r].value(node->tasks[i].pipelines[s]));
    }
}

/* ---- sinks ---- */

struct sink_row {
    const char *name, *type, *result, *help; /* result: a label, or NULL */
    size_t offset;                           /* in struct outlet_counters */
};

static const struct sink_row sink_rows[] = {
#define ROW(name, type, result, field, help) \
    { \
        name, type, result, help, offsetof(struct outlet_counters, field) \
    }
    ROW("weir_sink_documents_total", "counter", "written", written,
        "documents that a sink was given: written; stale: it had that version or a newer one; "
        "retried: given again later; dead: refused for good, a dead letter"),
    ROW("weir_sink_documents_total", "counter", "stale", stale, NULL),
    ROW("weir_sink_documents_total", "counter", "retried", retried, NULL),
    ROW("weir_sink_documents_total", "counter", "dead", dead, NULL),
    ROW("weir_sink_batches_total", "counter", NULL, batches, "batches that were answered"),
    ROW("weir_sink_bytes_total", "counter", NULL, bytes, "bytes of their bodies"),
    ROW("weir_sink_failures_total", "counter", NULL, failures,
        "batches that failed as a whole: the server is down or busy"),
    ROW("weir_sink_in_flight", "gauge", NULL, in_flight, "batches under way"),
#undef ROW
};

static void put_sinks(struct buf *out, const struct node *node)
{
    for (unsigned r = 0; r < sizeof(sink_rows) / sizeof(sink_rows[0]); r++) {
        const struct sink_row *row = &sink_rows[r];
        if (row->help != NULL)
            put_family(out, row->name, row->type, row->help);
        for (unsigned i = 0; i < node->n_tasks; i++) {
            const struct task *task = &node->tasks[i];
            struct task_totals totals;
            task_totals(task, &totals);
            for (unsigned k = 0; k < task->config->n_sinks; k++) {
                const char *at = (const char *)&totals.outlets[k] + row->offset;
                struct label labels[3] = { { "task", task_name(task) },
                                           { "sink", slice_of(task->config->sinks[k].name) } };
                if (row->result != NULL)
                    labels[2] = (struct label){ "result", slice_of(row->result) };
                put_sample(out, row->name, labels, *(const uint64_t *)(const void *)at);
            }
        }
    }
}

/* How long the sink has taken nothing, on the shard where it is worst. */
static uint64_t failing_us(const struct task *task, unsigned sink, uint64_t now_us)
{
    uint64_t longest_us = 0;

    for (unsigned s = 0; s < task->node->n_shards; s++) {
        uint64_t since_us = counter_read(&task->pipelines[s]->outlets[sink].failing_since_us);
        if (since_us != 0 && since_us < now_us && now_us - since_us > longest_us)
            longest_us = now_us - since_us;
    }
    return longest_us;
}

static void put_failing(struct buf *out, const struct node *node, uint64_t now_us)
{
    put_family(out, "weir_sink_failing_seconds", "gauge",
               "since when a sink takes nothing at all; 0: it does");
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        for (unsigned k = 0; k < task->config->n_sinks; k++)
            put_seconds(out, "weir_sink_failing_seconds",
                        LABELS({ "task", task_name(task) },
                               { "sink", slice_of(task->config->sinks[k].name) }),
                        failing_us(task, k, now_us));
    }
}

/* ---- times ---- */

/* Cumulative buckets, sum and count, as Prometheus wants them. `labels` without braces, ends in a
 * comma. */
static void put_histogram(struct buf *out, const char *name, const char *labels,
                          const struct histogram *histogram)
{
    uint64_t below = 0, sum_us = counter_read(&histogram->sum_us);

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t bound_us = histogram_bound_us(i);
        below += counter_read(&histogram->counts[i]);
        buf_printf(out, "%s_bucket{%sle=\"%" PRIu64 ".%06" PRIu64 "\"} %" PRIu64 "\n", name, labels,
                   bound_us / 1000000, bound_us % 1000000, below);
    }
    below += counter_read(&histogram->counts[HISTOGRAM_BUCKETS]);
    buf_printf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, below);
    int labels_len = (int)strlen(labels) - 1;
    buf_printf(out, "%s_sum{%.*s} %" PRIu64 ".%06" PRIu64 "\n%s_count{%.*s} %" PRIu64 "\n", name,
               labels_len, labels, sum_us / 1000000, sum_us % 1000000, name, labels_len, labels,
               below);
}

static void add_histogram(struct histogram *sum, const struct histogram *part)
{
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
        sum->counts[i] += counter_read(&part->counts[i]);
    sum->sum_us += counter_read(&part->sum_us);
}

/* One of a sink's histograms, over all shards; `offset` is its place in struct outlet. */
static void put_sink_times(struct buf *out, const struct task *task, const char *name,
                           const char *stage, size_t offset)
{
    for (unsigned k = 0; k < task->config->n_sinks; k++) {
        struct histogram sum = { 0 };
        char labels[256];
        for (unsigned s = 0; s < task->node->n_shards; s++) {
            const char *outlet = (const char *)&task->pipelines[s]->outlets[k];
            add_histogram(&sum, (const struct histogram *)(const void *)(outlet + offset));
        }
        (void)snprintf(labels, sizeof(labels), "task=\"%s\",sink=\"%.64s\",%s", task->config->name,
                       task->config->sinks[k].name, stage);
        put_histogram(out, name, labels, &sum);
    }
}

static void put_times(struct buf *out, const struct node *node)
{
    put_family(out, "weir_stage_seconds", "histogram",
               "time in a stage: merged (from reading an event), queued (a document, until it is "
               "sent), acknowledged (from sending it)");
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        struct histogram merged = { 0 };
        char labels[128];
        for (unsigned s = 0; s < node->n_shards; s++)
            add_histogram(&merged, &task->pipelines[s]->merged);
        (void)snprintf(labels, sizeof(labels), "task=\"%s\",stage=\"merged\",", task->config->name);
        put_histogram(out, "weir_stage_seconds", labels, &merged);
        put_sink_times(out, task, "weir_stage_seconds", "stage=\"queued\",",
                       offsetof(struct outlet, queued));
        put_sink_times(out, task, "weir_stage_seconds", "stage=\"acknowledged\",",
                       offsetof(struct outlet, acknowledged));
    }
    put_family(out, "weir_event_age_seconds", "histogram",
               "from the change in the database to the sink's acknowledgement");
    for (unsigned i = 0; i < node->n_tasks; i++)
        put_sink_times(out, &node->tasks[i], "weir_event_age_seconds", "",
                       offsetof(struct outlet, age));
}

static void put_watermark_ages(struct buf *out, const struct node *node, uint64_t now_us)
{
    put_family(out, "weir_watermark_age_seconds", "gauge",
               "how long the oldest offset that is not durable everywhere has not moved");
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        uint64_t oldest_us = now_us;
        for (unsigned slot = 0; slot < partitions_count(task->partitions); slot++) {
            const struct assignment *at = &task->assignments[slot];
            uint64_t since_us = counter_read(&at->held_since_us);
            if (__atomic_load_n(&at->owned, __ATOMIC_ACQUIRE) && since_us != 0 &&
                since_us < oldest_us)
                oldest_us = since_us;
        }
        put_seconds(out, "weir_watermark_age_seconds", LABELS({ "task", task_name(task) }),
                    now_us - oldest_us);
    }
}

void metrics_render(struct buf *out, const struct node *node, uint64_t now_us)
{
    put_node(out, node);
    put_shards(out, node);
    put_states(out, node);
    put_lags(out, node);
    put_counters(out, node);
    put_tables(out, node);
    put_stores(out, node);
    put_sinks(out, node);
    put_failing(out, node, now_us);
    put_times(out, node);
    put_watermark_ages(out, node, now_us);
}
