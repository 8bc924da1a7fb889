/*
 * canal_json.c: canal's flat messages.
 *
 *     {"database":"trade", "table":"tc_order", "type":"UPDATE", "isDdl":false,
 *      "ts":1795245419098, "es":1795245418000,           read from the log, and committed
 *      "data":[{"order_no":"42", "price":"1.50"}, ...],  one object a row, all columns
 *      "old":[{"price":"1.40"}, ...],                    what changed, as it was; others: null
 *      "mysqlType":{"order_no":"BIGINT unsigned", "price":"DECIMAL(10,2)"},
 *      "pkNames":["order_no"], "sql":""}
 *
 * Values are text; mysqlType says what they were. One message may hold thousands of rows, so two
 * cursors walk `data` and `old` in step and stay where they are while the caller empties its frame.
 *
 * Not used: pkNames (the config's `key` and `many` name rows), sqlType, id, gtid. The key is the
 * column's text as it came, before mysqlType: what canal writes for one value is the same in every
 * table.
 */
#include "dataplane/base/memory.h"
#include "dataplane/columns.h"
#include "dataplane/envelope.h"
#include "dataplane/event_row.h"

enum { DATA, OLD, TYPE, IS_DDL, DATABASE, TABLE, MYSQL_TYPE, TS, ES, SQL, MEMBERS };

static const char *const member_names[MEMBERS] = {
    [DATA] = "data",
    [OLD] = "old",
    [TYPE] = "type",
    [IS_DDL] = "isDdl",
    [TABLE] = "table",
    [DATABASE] = "database",
    [MYSQL_TYPE] = "mysqlType",
    [TS] = "ts",
    [ES] = "es",
    [SQL] = "sql",
};

struct canal {
    struct decoder decoder;
    const struct plan *plan;
    struct slice seqno_field;
    struct event_rows *rows;

    /* The message. */
    struct json_value members[MEMBERS];
    struct json data, old;
    struct event_row row;
    bool held; /* `row` waits for a frame with room */

    /* Types of the message's columns, and which of them were set, to clear them again. */
    struct event_types types;
    unsigned n_typed;
    uint16_t typed[COLUMNS_MAX];
    struct value_type column_types[COLUMNS_MAX];
};

static struct decoder *canal_open(const struct decoder_options *options)
{
    struct canal *canal = memory_reserve_virtual(sizeof(*canal), "canal decoder");

    canal->decoder.ops = &canal_json_ops;
    canal->plan = options->plan;
    canal->seqno_field = options->seqno_field;
    canal->rows = event_rows_open(options);
    canal->types.columns = canal->column_types;
    return &canal->decoder;
}

/* Learns the columns' types from `mysqlType`; a column that it lacks is text. */
static void learn_types(struct canal *canal, struct columns *columns)
{
    char buffer[6 * COLUMN_NAME_BYTES_MAX];
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    while (canal->n_typed > 0)
        canal->column_types[canal->typed[--canal->n_typed]].kind = VALUE_AS_IS;
    if (!envelope_is(&canal->members[MYSQL_TYPE], JSON_OBJECT))
        return;
    json_open_scanned(&json, canal->members[MYSQL_TYPE].raw);
    if (!json_enter(&json, JSON_OBJECT))
        return;
    while (json_member(&json, &name, &escaped, &value)) {
        struct value_type type;
        uint16_t id;

        if (value.type != JSON_STRING)
            continue;
        type = value_type_mysql((struct slice){ value.raw.data + 1, value.raw.len - 2 });
        id = columns_intern(columns, envelope_name(name, escaped, buffer, sizeof(buffer)));
        if (type.kind == VALUE_AS_IS || id >= COLUMNS_MAX)
            continue;
        if (canal->column_types[id].kind == VALUE_AS_IS)
            canal->typed[canal->n_typed++] = id;
        canal->column_types[id] = type;
    }
}

/* A message that is no rows: what it is, and what to say of it. */
static void begin_other(const struct canal *canal, struct decode_job *job)
{
    const struct json_value *database = &canal->members[DATABASE], *table = &canal->members[TABLE];
    const struct json_value *sql = &canal->members[SQL];
    struct slice nothing = SLICE("\"\""), database_name, table_name, text;

    if (envelope_says(&canal->members[TYPE], "TRUNCATE"))
        job->kind = EVENT_TRUNCATE;
    else if (envelope_is(&canal->members[IS_DDL], JSON_TRUE))
        job->kind = EVENT_DDL;
    else
        job->kind = EVENT_OTHER;
    database_name = envelope_is(database, JSON_STRING) ? database->raw : nothing;
    table_name = envelope_is(table, JSON_STRING) ? table->raw : nothing;
    text = envelope_is(sql, JSON_STRING) ? sql->raw : nothing;
    envelope_detail(
        job, "%.*s.%.*s: %.*s",
        envelope_shown((struct slice){ database_name.data + 1, database_name.len - 2 }, 40),
        database_name.data + 1,
        envelope_shown((struct slice){ table_name.data + 1, table_name.len - 2 }, 40),
        table_name.data + 1, envelope_shown((struct slice){ text.data + 1, text.len - 2 }, 140),
        text.data + 1);
}

static bool is_rows(const struct canal *canal)
{
    const struct json_value *type = &canal->members[TYPE];

    return !envelope_is(&canal->members[IS_DDL], JSON_TRUE) &&
           (envelope_says(type, "INSERT") || envelope_says(type, "UPDATE") ||
            envelope_says(type, "DELETE"));
}

/* Opens the cursors. False: the message is rejected. */
static bool open_rows(struct canal *canal, struct decode_job *job)
{
    const struct json_value *data = &canal->members[DATA], *old = &canal->members[OLD];
    bool update = envelope_says(&canal->members[TYPE], "UPDATE");

    if (!envelope_is(data, JSON_ARRAY)) {
        envelope_reject(job, REASON_SHAPE, "`data` is not an array of rows");
        return false;
    }
    if (update && !envelope_absent(old) && old->type != JSON_ARRAY) {
        envelope_reject(job, REASON_SHAPE, "`old` is neither an array nor null");
        return false;
    }
    json_open_scanned(&canal->data, data->raw);
    update = update && !envelope_absent(old);
    json_open_scanned(&canal->old, update ? old->raw : SLICE("[]"));
    canal->held = false;
    canal->row = (struct event_row){
        .op = envelope_says(&canal->members[TYPE], "DELETE") ? CHANGE_DELETE : CHANGE_UPSERT,
        .all = data->raw,
    };
    return json_enter(&canal->data, JSON_ARRAY) && json_enter(&canal->old, JSON_ARRAY);
}

static void begin_rows(struct canal *canal, struct decode_job *job)
{
    struct event_message message = { .capture_us = UINT64_MAX, .types = &canal->types };

    if (!envelope_find_table(canal->plan, &canal->members[DATABASE], &canal->members[TABLE],
                             &message.table)) {
        envelope_reject(job, REASON_SHAPE, "`database` or `table` is not a text");
        return;
    }
    if (!open_rows(canal, job))
        return;
    if (canal->seqno_field.len > 0 &&
        !envelope_member(job->record->payload, canal->seqno_field, &message.seqno)) {
        envelope_reject(job, REASON_DUPLICATE, "the seqno field stands twice in the message");
        return;
    }
    if (!envelope_micros(&canal->members[TS], 1000, &message.capture_us))
        message.capture_us = UINT64_MAX;
    if (!envelope_micros(&canal->members[ES], 1000, &message.source_us))
        message.source_us = 0;
    job->kind = EVENT_ROWS;
    if (message.table >= 0)
        learn_types(canal, canal->plan->tables[message.table].columns);
    event_rows_begin(canal->rows, job, &message);
}

static void canal_begin(struct decoder *decoder, struct decode_job *job)
{
    struct canal *canal = (struct canal *)decoder;
    struct json_value message;
    int twice;

    if (envelope_begin(job) || !envelope_scan(job, &message))
        return;
    if (message.type != JSON_OBJECT) {
        envelope_reject(job, REASON_SHAPE, "the message is not an object");
        return;
    }
    twice = envelope_members(message.raw, member_names, MEMBERS, canal->members);
    if (twice >= 0)
        envelope_reject(job, REASON_DUPLICATE, "`%s` stands twice in the message",
                        member_names[twice]);
    else if (!envelope_is(&canal->members[TYPE], JSON_STRING))
        envelope_reject(job, REASON_SHAPE, "`type` is not a text: is this a canal flat message?");
    else if (!envelope_absent(&canal->members[IS_DDL]) &&
             canal->members[IS_DDL].type != JSON_TRUE && canal->members[IS_DDL].type != JSON_FALSE)
        envelope_reject(job, REASON_SHAPE, "`isDdl` is neither true nor false");
    else if (is_rows(canal))
        begin_rows(canal, job);
    else
        begin_other(canal, job);
}

/* The next row of both arrays; `old` may be the shorter one. */
static bool next_row(struct canal *canal)
{
    if (!json_element(&canal->data, &canal->row.image))
        return false;
    if (!json_element(&canal->old, &canal->row.old))
        canal->row.old = (struct json_value){ .type = JSON_NULL };
    canal->row.number++;
    return true;
}

static bool canal_rows(struct decoder *decoder, struct decode_job *job, struct frame *frame)
{
    struct canal *canal = (struct canal *)decoder;

    ASSERT(job->kind == EVENT_ROWS);
    while (canal->held || next_row(canal)) {
        canal->held = !event_rows_add(canal->rows, job, frame, &canal->row);
        if (canal->held)
            return false;
    }
    return true;
}

const struct decoder_ops canal_json_ops = {
    .name = "canal-json",
    .open = canal_open,
    .begin = canal_begin,
    .rows = canal_rows,
};
