/*
 * admin_json.c: see admin_json.h.
 *
 * Reads counters and atomics (view.h), and for a document the store itself, through the task's
 * reader of that shard: an epoch keeps what is read alive, so the shard is neither stopped nor
 * slowed. What a sink holds of it is in its pending record, which pendings_look() copies.
 */
#include "control/admin_json.h"

#include "control/json_out.h"
#include "control/view.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

void admin_json_error(struct buf *buf, const char *error, const char *hint)
{
    struct json_out out = { .buf = buf };

    json_out_open(&out, NULL, '{');
    json_out_text(&out, "error", error);
    json_out_text(&out, "hint", hint);
    json_out_close(&out, '}');
}

/* ---- tasks ---- */

static void put_sinks(struct json_out *out, const struct task *task,
                      const struct task_totals *totals)
{
    json_out_open(out, "sinks", '[');
    for (unsigned i = 0; i < task->config->n_sinks; i++) {
        const struct outlet_counters *counters = &totals->outlets[i];
        json_out_open(out, NULL, '{');
        json_out_text(out, "name", task->config->sinks[i].name);
        json_out_text(out, "kind", view_sink_kind(task->config->sinks[i].kind));
        json_out_u64(out, "written", counters->written);
        json_out_u64(out, "stale", counters->stale);
        json_out_u64(out, "retried", counters->retried);
        json_out_u64(out, "dead", counters->dead);
        json_out_u64(out, "batches", counters->batches);
        json_out_u64(out, "bytes", counters->bytes);
        json_out_u64(out, "failures", counters->failures);
        json_out_u64(out, "in_flight", counters->in_flight);
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static void put_tables(struct json_out *out, const struct task *task)
{
    json_out_open(out, "tables", '[');
    for (unsigned i = 0; i < task->plan->n_tables; i++) {
        const struct plan_table *table = &task->plan->tables[i];
        struct table_counters counters = view_table(task, i);
        json_out_open(out, NULL, '{');
        json_out_slice(out, "name", table->name);
        json_out_slice(out, "into", table->into);
        json_out_u64(out, "applied", counters.applied);
        json_out_u64(out, "stale", counters.stale);
        json_out_u64(out, "dead", counters.dead);
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static void put_task(struct json_out *out, const struct task *task, bool with_tables)
{
    const struct config_task *config = task->config;
    struct view_lag lag = view_lag(task);
    struct task_totals totals;

    task_totals(task, &totals);
    json_out_open(out, NULL, '{');
    json_out_text(out, "name", config->name);
    json_out_text(out, "state", view_state_name(view_state(task)));
    json_out_text(out, "failure", view_failure(task));
    json_out_text(out, "priority", config_priority_name(config->priority));
    json_out_text(out, "format", config_format_name(config->source.format));
    json_out_text(out, "images", config_images_name(config->source.images));
    json_out_u64(out, "partitions", lag.partitions);
    json_out_known(out, "lag", lag.lag);
    json_out_u64(out, "events", totals.events);
    json_out_u64(out, "changes", totals.counters.changes_in);
    json_out_u64(out, "applied", totals.counters.applied);
    json_out_u64(out, "changes_stale", totals.counters.stale);
    json_out_u64(out, "unmapped", totals.counters.changes_unmapped);
    json_out_u64(out, "dead_letters", totals.counters.letters);
    json_out_u64(out, "documents", totals.entities);
    json_out_u64(out, "pending", totals.pending);
    json_out_open(out, "store", '{');
    json_out_u64(out, "used_bytes", totals.store_used_bytes);
    json_out_u64(out, "bound_bytes", totals.store_bound_bytes);
    json_out_close(out, '}');
    put_sinks(out, task, &totals);
    if (with_tables)
        put_tables(out, task);
    json_out_close(out, '}');
}

static void put_tasks(struct json_out *out, const struct node *node)
{
    json_out_open(out, "tasks", '[');
    for (unsigned i = 0; i < node->n_tasks; i++)
        put_task(out, &node->tasks[i], false);
    json_out_close(out, ']');
}

void admin_json_status(struct buf *buf, const struct node *node, uint64_t now_us)
{
    struct json_out out = { .buf = buf };
    char why[700];
    bool ready = view_ready(node, why, sizeof(why));

    json_out_open(&out, NULL, '{');
    json_out_text(&out, "node", node->config->node.name);
    json_out_text(&out, "version", WEIR_VERSION);
    json_out_u64(&out, "pid", (uint64_t)getpid());
    json_out_u64(&out, "uptime_seconds", (now_us - node->started_us) / 1000000);
    json_out_bool(&out, "ready", ready);
    json_out_text(&out, "reason", ready ? NULL : why);
    json_out_u64(&out, "shards", node->n_shards);
    put_tasks(&out, node);
    json_out_close(&out, '}');
}

void admin_json_tasks(struct buf *buf, const struct node *node)
{
    struct json_out out = { .buf = buf };

    json_out_open(&out, NULL, '{');
    put_tasks(&out, node);
    json_out_close(&out, '}');
}

void admin_json_task(struct buf *buf, const struct task *task)
{
    struct json_out out = { .buf = buf };

    put_task(&out, task, true);
}

/* ---- lag ---- */

static void put_lag(struct json_out *out, const struct task *task)
{
    struct view_partition partition;

    json_out_open(out, NULL, '{');
    json_out_text(out, "task", task->config->name);
    json_out_known(out, "lag", view_lag(task).lag);
    json_out_open(out, "partitions", '[');
    for (unsigned slot = 0; view_partition_next(task, &slot, &partition);) {
        json_out_open(out, NULL, '{');
        json_out_text(out, "topic", partitions_topic(task->partitions, partition.slot));
        json_out_known(out, "partition", partitions_number(task->partitions, partition.slot));
        json_out_u64(out, "shard", partition.shard);
        json_out_known(out, "read", partition.read);
        json_out_known(out, "durable", partition.durable);
        json_out_known(out, "committed", partition.committed);
        json_out_known(out, "high", partition.high);
        json_out_known(out, "lag", partition.lag);
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
    json_out_close(out, '}');
}

void admin_json_lag(struct buf *buf, const struct task *task)
{
    struct json_out out = { .buf = buf };

    put_lag(&out, task);
}

void admin_json_lags(struct buf *buf, const struct node *node)
{
    struct json_out out = { .buf = buf };

    json_out_open(&out, NULL, '{');
    json_out_open(&out, "tasks", '[');
    for (unsigned i = 0; i < node->n_tasks; i++)
        put_lag(&out, &node->tasks[i]);
    json_out_close(&out, ']');
    json_out_close(&out, '}');
}

/* ---- a document ---- */

/* Sequence numbers are microseconds since 1970: the time at which the change was captured, or a
 * little after. */
static void put_time(struct json_out *out, const char *name, uint64_t seqno)
{
    time_t seconds = (time_t)(seqno / 1000000);
    struct tm tm;
    char text[64], whole[96];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        json_out_text(out, name, NULL);
        return;
    }
    (void)snprintf(whole, sizeof(whole), "%s.%06" PRIu64 "Z", text, seqno % 1000000);
    json_out_text(out, name, whole);
}

static void put_rows(struct json_out *out, const struct task *task, const struct document *document)
{
    json_out_open(out, "rows", '[');
    for (unsigned i = 0; i < document->n_rows; i++) {
        const struct row *row = document->rows[i];
        json_out_open(out, NULL, '{');
        json_out_slice(out, "table", task->plan->tables[row->table].name);
        json_out_slice(out, "row_id", row_id(row));
        json_out_u64(out, "seqno", row->seqno);
        put_time(out, "time", row->seqno);
        json_out_bool(out, "deleted", !row_alive(row));
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static const char *holding_text(uint8_t state)
{
    switch ((enum pending_state)state) {
    case PENDING_REST:
        return "current";
    case PENDING_WAITING:
        return "waiting for its state";
    case PENDING_READY:
        return "next to be written";
    case PENDING_FLYING:
        return "being written";
    case PENDING_DELAYED:
        return "to be tried again";
    }
    return "unknown";
}

static void put_holders(struct json_out *out, const struct task *task,
                        const struct document *document, const struct entity *entity)
{
    struct pending_look look = { 0 };
    bool pending = pendings_look(entity, task->config->n_sinks, &look);

    json_out_bool(out, "reading_back", pending && look.reading_back);
    json_out_open(out, "sinks", '[');
    for (unsigned i = 0; i < task->config->n_sinks; i++) {
        json_out_open(out, NULL, '{');
        json_out_text(out, "name", task->config->sinks[i].name);
        json_out_u64(out, "version", pending ? look.acked[i] : document->version);
        json_out_text(out, "state", pending ? holding_text(look.state[i]) : "current");
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static void put_document(struct json_out *out, const struct task *task, unsigned shard,
                         const struct document *document, const struct entity *entity)
{
    json_out_open(out, NULL, '{');
    json_out_text(out, "task", task->config->name);
    json_out_slice(out, "key", document->key);
    json_out_u64(out, "version", document->version);
    json_out_u64(out, "shard", shard);
    json_out_name(out, "document");
    if (document_shown(task->plan, document))
        document_render(task->plan, document, false, out->buf);
    else
        buf_put_literal(out->buf, "null");
    put_rows(out, task, document);
    put_holders(out, task, document, entity);
    json_out_close(out, '}');
}

bool admin_json_document(struct buf *buf, const struct task *task, struct slice key)
{
    struct json_out out = { .buf = buf };
    const struct entity *entity;
    struct document document;

    for (unsigned s = 0; s < task->node->n_shards; s++) {
        if (!store_read_begin(task->readers[s], key, &document, &entity))
            continue;
        put_document(&out, task, s, &document, entity);
        store_read_end(task->readers[s]);
        return true;
    }
    return false;
}
