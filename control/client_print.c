/*
 * client_print.c: see client_print.h.
 *
 * What is about tasks, rows and sinks is weir's own and goes through jansson into tables. A
 * document is not, and does not: client_document.c cuts it out of the answer and indents it as it
 * stands.
 *
 * A number that is not known is null in the answer and `?` in a table.
 */
#include "control/client_print.h"

#include "control/client_document.h"
#include "control/text_table.h"

#include <inttypes.h>
#include <jansson.h>

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* `?` where the number is null: not known. */
static void cell_number(struct text_table *table, const json_t *object, const char *name)
{
    if (json_is_integer(json_object_get(object, name)))
        text_table_number(table, number_of(object, name));
    else
        text_table_text(table, "?");
}

#define CELLS(table, object, ...) \
    cell_numbers(table, object, (const char *const[]){ __VA_ARGS__, NULL })

/* A cell for each of the names, which a NULL ends. */
static void cell_numbers(struct text_table *table, const json_t *object, const char *const *names)
{
    for (; *names != NULL; names++)
        cell_number(table, object, *names);
}

static json_t *parse(struct slice answer)
{
    json_error_t error;

    return json_loadb(answer.data, answer.len, JSON_REJECT_DUPLICATES, &error);
}

/* ---- status ---- */

static void print_duration(FILE *out, int64_t seconds)
{
    if (seconds >= 86400)
        fprintf(out, "%" PRId64 "d%" PRId64 "h", seconds / 86400, seconds / 3600 % 24);
    else if (seconds >= 3600)
        fprintf(out, "%" PRId64 "h%" PRId64 "min", seconds / 3600, seconds / 60 % 60);
    else if (seconds >= 60)
        fprintf(out, "%" PRId64 "min%" PRId64 "s", seconds / 60, seconds % 60);
    else
        fprintf(out, "%" PRId64 "s", seconds);
}

static void print_bytes(FILE *out, int64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double amount = (double)bytes;
    unsigned unit = 0;

    for (; amount >= 1024 && unit < 4; unit++)
        amount /= 1024;
    fprintf(out, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
}

static void print_tasks(FILE *out, const json_t *tasks)
{
    static const char *const headings[] = { "TASK",   "STATE",     ">EVENTS",
                                            ">LAG",   ">PENDING",  ">DOCUMENTS",
                                            ">STALE", ">UNMAPPED", ">DEAD LETTERS" };
    struct text_table table;
    size_t i;
    json_t *task;

    text_table_open(&table, headings, 9);
    json_array_foreach(tasks, i, task)
    {
        text_table_text(&table, text_of(task, "name"));
        text_table_text(&table, text_of(task, "state"));
        CELLS(&table, task, "events", "lag", "pending", "documents", "changes_stale", "unmapped",
              "dead_letters");
    }
    text_table_print(out, &table);
}

static void print_sinks(FILE *out, const json_t *tasks)
{
    static const char *const headings[] = { "TASK",   "SINK",     "KIND",  ">WRITTEN",
                                            ">STALE", ">RETRIED", ">DEAD", ">BATCHES UNDER WAY" };
    struct text_table table;
    size_t i, j;
    json_t *task, *sink;

    text_table_open(&table, headings, 8);
    json_array_foreach(tasks, i, task)
    {
        json_array_foreach(json_object_get(task, "sinks"), j, sink)
        {
            text_table_text(&table, text_of(task, "name"));
            text_table_text(&table, text_of(sink, "name"));
            text_table_text(&table, text_of(sink, "kind"));
            CELLS(&table, sink, "written", "stale", "retried", "dead", "in_flight");
        }
    }
    text_table_print(out, &table);
}

/* Why a task failed, and how full its store is. */
static void print_notes(FILE *out, const json_t *tasks)
{
    size_t i;
    json_t *task;

    json_array_foreach(tasks, i, task)
    {
        const json_t *store = json_object_get(task, "store");
        fprintf(out, "%s: store ", text_of(task, "name"));
        print_bytes(out, number_of(store, "used_bytes"));
        fputs(" of ", out);
        print_bytes(out, number_of(store, "bound_bytes"));
        if (text_of(task, "failure") != NULL)
            fprintf(out, "; FAILED: %s", text_of(task, "failure"));
        fputc('\n', out);
    }
}

int client_print_status(FILE *out, struct slice answer)
{
    json_t *status = parse(answer);
    const json_t *tasks = json_object_get(status, "tasks");

    if (!json_is_array(tasks) || text_of(status, "node") == NULL) {
        json_decref(status);
        return -1;
    }
    fprintf(out, "%s: weir %s, %" PRId64 " shards, up ", text_of(status, "node"),
            text_of(status, "version"), number_of(status, "shards"));
    print_duration(out, number_of(status, "uptime_seconds"));
    if (json_is_true(json_object_get(status, "ready")))
        fputs(", ready\n\n", out);
    else
        fprintf(out, ", NOT READY: %s\n\n", text_of(status, "reason"));
    print_tasks(out, tasks);
    fputc('\n', out);
    print_sinks(out, tasks);
    fputc('\n', out);
    print_notes(out, tasks);
    json_decref(status);
    return 0;
}

static void print_tables(FILE *out, const json_t *task)
{
    static const char *const headings[] = { "TABLE", "INTO", ">APPLIED", ">STALE", ">DEAD" };
    struct text_table table;
    size_t i;
    json_t *row;

    text_table_open(&table, headings, 5);
    json_array_foreach(json_object_get(task, "tables"), i, row)
    {
        text_table_text(&table, text_of(row, "name"));
        text_table_text(&table, text_of(row, "into"));
        CELLS(&table, row, "applied", "stale", "dead");
    }
    text_table_print(out, &table);
}

int client_print_task(FILE *out, struct slice answer)
{
    json_t *task = parse(answer);

    if (text_of(task, "name") == NULL) {
        json_decref(task);
        return -1;
    }
    json_t *tasks = json_array();
    json_array_append_new(tasks, task);
    print_tasks(out, tasks);
    fputc('\n', out);
    print_tables(out, task);
    fputc('\n', out);
    print_sinks(out, tasks);
    fputc('\n', out);
    print_notes(out, tasks);
    json_decref(tasks);
    return 0;
}

/* ---- lag ---- */

int client_print_lag(FILE *out, struct slice answer)
{
    static const char *const headings[] = { "TASK",       "TOPIC", ">PARTITION",
                                            ">SHARD",     ">READ", ">DURABLE",
                                            ">COMMITTED", ">END",  ">LAG" };
    json_t *lag = parse(answer), *task, *partition;
    const json_t *tasks = json_object_get(lag, "tasks");
    struct text_table table;
    size_t i, j;

    if (!json_is_array(tasks)) {
        json_decref(lag);
        return -1;
    }
    text_table_open(&table, headings, 9);
    json_array_foreach(tasks, i, task)
    {
        json_array_foreach(json_object_get(task, "partitions"), j, partition)
        {
            text_table_text(&table, text_of(task, "task"));
            text_table_text(&table, text_of(partition, "topic"));
            CELLS(&table, partition, "partition", "shard", "read", "durable", "committed", "high",
                  "lag");
        }
    }
    text_table_print(out, &table);
    json_array_foreach(tasks, i, task)
    {
        fprintf(out, "%s: ", text_of(task, "task"));
        if (json_array_size(json_object_get(task, "partitions")) == 0)
            fputs("no partition is assigned\n", out);
        else if (json_is_integer(json_object_get(task, "lag")))
            fprintf(out, "%" PRId64 " records behind\n", number_of(task, "lag"));
        else
            fputs("the end of its log is not known\n", out);
    }
    json_decref(lag);
    return 0;
}

/* ---- a document ---- */

static void print_rows(FILE *notes, const json_t *rows)
{
    static const char *const headings[] = { "TABLE", "ROW", ">SEQNO", "CHANGED", "STATE" };
    struct text_table table;
    size_t i;
    json_t *row;

    text_table_open(&table, headings, 5);
    json_array_foreach(rows, i, row)
    {
        text_table_text(&table, text_of(row, "table"));
        text_table_text(&table, text_of(row, "row_id"));
        cell_number(&table, row, "seqno");
        text_table_text(&table, text_of(row, "time"));
        text_table_text(&table,
                        json_is_true(json_object_get(row, "deleted")) ? "deleted" : "alive");
    }
    text_table_print(notes, &table);
}

static void print_holders(FILE *notes, const json_t *sinks)
{
    static const char *const headings[] = { "SINK", ">VERSION", "STATE" };
    struct text_table table;
    size_t i;
    json_t *sink;

    text_table_open(&table, headings, 3);
    json_array_foreach(sinks, i, sink)
    {
        text_table_text(&table, text_of(sink, "name"));
        cell_number(&table, sink, "version");
        text_table_text(&table, text_of(sink, "state"));
    }
    text_table_print(notes, &table);
}

/* Where it was found, and whether what is shown is all there is. The task's name needs no escapes:
 * its token is the name in quotes. */
static void print_about(FILE *notes, const struct client_document *parts)
{
    struct slice task = parts->task;

    if (task.len >= 2)
        task = (struct slice){ task.data + 1, task.len - 2 };
    fprintf(notes, "\ntask %.*s, version %.*s", (int)task.len, task.data, (int)parts->version.len,
            parts->version.data);
    if (slice_equal(parts->document, SLICE("null")))
        fputs("; it is deleted, or its root row has not come: only its state is kept", notes);
    if (slice_equal(parts->reading_back, SLICE("true")))
        fputs("; its older rows are being read back from the sinks", notes);
}

int client_print_document(FILE *out, FILE *notes, struct slice answer)
{
    struct client_document parts;

    if (!client_document_cut(answer, &parts))
        return -1;
    json_t *rows = parse(parts.rows), *sinks = parse(parts.sinks);
    int result = rows != NULL && sinks != NULL ? 0 : -1;
    if (result == 0) {
        client_document_print(out, parts.document);
        fflush(out);
        print_about(notes, &parts);
        fputs("\n\n", notes);
        print_rows(notes, rows);
        fputc('\n', notes);
        print_holders(notes, sinks);
    }
    json_decref(rows);
    json_decref(sinks);
    return result;
}
