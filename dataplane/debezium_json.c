/*
 * debezium_json.c: Debezium's change events, with and without schema.
 *
 *     {"before":{...}, "after":{...}, "source":{"db":"trade","table":"tc_order","ts_us":...},
 *      "op":"u", "ts_ms":..., "ts_us":...}               the envelope
 *     {"schema":{...}, "payload":{the envelope}}         with schema: values are typed by it
 *
 *     c r u   after  -> upsert          before with another name -> delete of that, upsert of this
 *     d       before -> delete          then comes a null payload, for compaction: nothing to do
 *     t       TRUNCATE                  m  a message of the application
 *     {"ddl":...,"databaseName":...}    schema changes
 *     {"status":"BEGIN","id":...}       transaction marks
 *
 * An object that is none of these is rejected, not skipped: a topic of flattened events, say, would
 * otherwise be read to its end with nothing to show.
 *
 * A message holds one row, so there is nothing to resume but that row.
 */
#include "dataplane/base/memory.h"
#include "dataplane/debezium_schema.h"
#include "dataplane/envelope.h"

enum { OUTER_SCHEMA, OUTER_PAYLOAD, OUTER_OP, OUTERS };
enum {
    BEFORE,
    AFTER,
    SOURCE,
    OP,
    TS_US,
    TS_MS,
    DDL,
    DATABASE,
    CHANGES,
    STATUS,
    ID,
    COUNT,
    MEMBERS
};
enum { SOURCE_DB, SOURCE_SCHEMA, SOURCE_TABLE, SOURCE_TS_US, SOURCE_TS_MS, SOURCES };

static const char *const outer_names[OUTERS] = { "schema", "payload", "op" };

static const char *const member_names[MEMBERS] = {
    "before", "after",        "source",       "op",     "ts_us", "ts_ms",
    "ddl",    "databaseName", "tableChanges", "status", "id",    "event_count",
};

static const char *const source_names[SOURCES] = { "db", "schema", "table", "ts_us", "ts_ms" };

struct debezium {
    struct decoder decoder;
    const struct plan *plan;
    struct slice seqno_field;
    struct event_rows *rows;
    struct debezium_schemas *schemas;
    struct event_types untyped;

    /* The message. */
    struct slice envelope;
    struct json_value schema;
    struct json_value members[MEMBERS], source[SOURCES];
    struct event_row row;
    bool done;
};

static struct decoder *debezium_open(const struct decoder_options *options)
{
    struct debezium *debezium = memory_reserve_virtual(sizeof(*debezium), "Debezium decoder");

    debezium->decoder.ops = &debezium_json_ops;
    debezium->plan = options->plan;
    debezium->seqno_field = options->seqno_field;
    debezium->rows = event_rows_open(options);
    debezium->schemas = debezium_schemas_open(options->plan, options->seqno_field);
    debezium->untyped.unavailable = true;
    return &debezium->decoder;
}

/* Finds the envelope: the message itself, or its payload. False: there is none to look into, the
 * job says why. */
static bool open_envelope(struct debezium *debezium, struct decode_job *job,
                          struct json_value *message)
{
    struct json_value outer[OUTERS];
    int twice;

    debezium->schema = (struct json_value){ .type = JSON_NULL };
    if (message->type == JSON_OBJECT) {
        twice = envelope_members(message->raw, outer_names, OUTERS, outer);
        if (twice >= 0) {
            envelope_reject(job, REASON_DUPLICATE, "`%s` stands twice in the message",
                            outer_names[twice]);
            return false;
        }
        if (outer[OUTER_PAYLOAD].raw.data && !outer[OUTER_OP].raw.data) {
            debezium->schema = outer[OUTER_SCHEMA];
            *message = outer[OUTER_PAYLOAD];
        }
    }
    if (message->type == JSON_NULL) {
        job->kind = EVENT_TOMBSTONE;
        return false;
    }
    if (message->type != JSON_OBJECT) {
        envelope_reject(job, REASON_SHAPE, "the message or its payload is not an object");
        return false;
    }
    debezium->envelope = message->raw;
    return true;
}

/* Reads the known members of the envelope and of its `source`. False: rejected. */
static bool read_members(struct debezium *debezium, struct decode_job *job)
{
    int twice = envelope_members(debezium->envelope, member_names, MEMBERS, debezium->members);

    if (twice >= 0) {
        envelope_reject(job, REASON_DUPLICATE, "`%s` stands twice in the message",
                        member_names[twice]);
        return false;
    }
    if (!envelope_is(&debezium->members[SOURCE], JSON_OBJECT)) {
        memset(debezium->source, 0, sizeof(debezium->source));
        return true;
    }
    twice =
        envelope_members(debezium->members[SOURCE].raw, source_names, SOURCES, debezium->source);
    if (twice >= 0)
        envelope_reject(job, REASON_DUPLICATE, "`%s` stands twice in `source`",
                        source_names[twice]);
    return twice < 0;
}

/* What a string says as it stands, without its quotes; empty where it is none. */
static struct slice shown_text(const struct json_value *value)
{
    if (!envelope_is(value, JSON_STRING))
        return SLICE("");
    return (struct slice){ value->raw.data + 1, value->raw.len - 2 };
}

static const struct json_value *schema_or_database(const struct debezium *debezium)
{
    const struct json_value *schema = &debezium->source[SOURCE_SCHEMA];

    return envelope_is(schema, JSON_STRING) ? schema : &debezium->source[SOURCE_DB];
}

static void say_table(const struct debezium *debezium, struct decode_job *job, struct slice text)
{
    struct slice database = shown_text(schema_or_database(debezium));
    struct slice table = shown_text(&debezium->source[SOURCE_TABLE]);

    envelope_detail(job, "%.*s.%.*s: %.*s", envelope_shown(database, 40), database.data,
                    envelope_shown(table, 40), table.data, envelope_shown(text, 140), text.data);
}

/* `ddl` is as the event spells it: a line break in it is two characters. */
static bool is_truncate(struct slice ddl)
{
    static const char word[] = "truncate";
    size_t at = 0;

    while (at < ddl.len && (ddl.data[at] == ' ' || ddl.data[at] == '\\'))
        at += ddl.data[at] == ' ' ? 1 : 2;
    for (size_t i = 0; i < sizeof(word) - 1; i++)
        if (at + i >= ddl.len || (ddl.data[at + i] | 0x20) != word[i])
            return false;
    return true;
}

/* A heartbeat says the time and nothing else. A table's flattened row may have a column of that
 * name. */
static bool is_heartbeat(const struct debezium *debezium)
{
    struct json_value value;
    struct slice name;
    struct json json;
    unsigned others = 0;
    bool escaped;

    json_open_scanned(&json, debezium->envelope);
    if (!json_enter(&json, JSON_OBJECT) || !debezium->members[TS_MS].raw.data)
        return false;
    while (json_member(&json, &name, &escaped, &value))
        others += name.len < 3 || memcmp(name.data, "ts_", 3) != 0;
    return others == 0;
}

static bool is_transaction_mark(const struct debezium *debezium)
{
    const struct json_value *status = &debezium->members[STATUS];

    return (envelope_says(status, "BEGIN") || envelope_says(status, "END")) &&
           debezium->members[ID].raw.data && debezium->members[COUNT].raw.data;
}

/* Without `op`: a schema change, a transaction's mark, a heartbeat, or not Debezium's. */
static void begin_without_op(const struct debezium *debezium, struct decode_job *job)
{
    const struct json_value *members = debezium->members;
    struct slice ddl = shown_text(&members[DDL]);

    if (members[DDL].raw.data || members[DATABASE].raw.data || members[CHANGES].raw.data) {
        job->kind = is_truncate(ddl) ? EVENT_TRUNCATE : EVENT_DDL;
        say_table(debezium, job, ddl);
    } else if (is_transaction_mark(debezium) || is_heartbeat(debezium)) {
        job->kind = EVENT_OTHER;
    } else {
        envelope_reject(job, REASON_SHAPE, "no `op`: is this a Debezium change event?");
    }
}

/* The first of the two members that is there, in microseconds. */
static bool micros_of(const struct json_value *us, const struct json_value *ms, uint64_t *micros)
{
    return envelope_absent(us) ? envelope_micros(ms, 1000, micros) : envelope_micros(us, 1, micros);
}

/* The member that `seqno: { field: NAME }` names: the envelope's, else `source`'s. */
static bool find_seqno(const struct debezium *debezium, struct json_value *seqno)
{
    *seqno = (struct json_value){ .type = JSON_NULL };
    if (debezium->seqno_field.len == 0)
        return true;
    if (!envelope_member(debezium->envelope, debezium->seqno_field, seqno))
        return false;
    if (seqno->raw.data || !envelope_is(&debezium->members[SOURCE], JSON_OBJECT))
        return true;
    return envelope_member(debezium->members[SOURCE].raw, debezium->seqno_field, seqno);
}

static void begin_row(struct debezium *debezium, struct decode_job *job, char op)
{
    const struct json_value *members = debezium->members;
    struct event_message message = { .capture_us = UINT64_MAX, .types = &debezium->untyped };

    if (!envelope_find_table(debezium->plan, schema_or_database(debezium),
                             &debezium->source[SOURCE_TABLE], &message.table)) {
        envelope_reject(job, REASON_SHAPE, "`source` does not name a database and a table");
        return;
    }
    if (!find_seqno(debezium, &message.seqno)) {
        envelope_reject(job, REASON_DUPLICATE, "the seqno field stands twice in the message");
        return;
    }
    if (!micros_of(&members[TS_US], &members[TS_MS], &message.capture_us))
        message.capture_us = UINT64_MAX;
    if (!micros_of(&debezium->source[SOURCE_TS_US], &debezium->source[SOURCE_TS_MS],
                   &message.source_us))
        message.source_us = 0;
    if (message.table >= 0 && envelope_is(&debezium->schema, JSON_OBJECT))
        message.types =
            debezium_schemas_find(debezium->schemas, debezium->schema.raw, (unsigned)message.table);
    debezium->row = (struct event_row){
        .op = op == 'd' ? CHANGE_DELETE : CHANGE_UPSERT,
        .image = op == 'd' ? members[BEFORE] : members[AFTER],
    };
    if (op == 'u')
        debezium->row.old = members[BEFORE];
    debezium->done = false;
    job->kind = EVENT_ROWS;
    event_rows_begin(debezium->rows, job, &message);
}

static void debezium_begin(struct decoder *decoder, struct decode_job *job)
{
    struct debezium *debezium = (struct debezium *)decoder;
    const struct json_value *op = &debezium->members[OP];
    struct json_value message;

    if (envelope_begin(job) || !envelope_scan(job, &message) ||
        !open_envelope(debezium, job, &message) || !read_members(debezium, job))
        return;
    if (envelope_absent(op)) {
        begin_without_op(debezium, job);
    } else if (envelope_says(op, "c") || envelope_says(op, "r") || envelope_says(op, "u") ||
               envelope_says(op, "d")) {
        begin_row(debezium, job, op->raw.data[1]);
    } else if (envelope_says(op, "t")) {
        job->kind = EVENT_TRUNCATE;
        say_table(debezium, job, SLICE("truncated"));
    } else if (envelope_says(op, "m")) {
        job->kind = EVENT_OTHER;
    } else {
        envelope_reject(job, REASON_SHAPE, "`op` is %.*s, none of c, r, u, d, t, m",
                        envelope_shown(op->raw, 40), op->raw.data);
    }
}

static bool debezium_rows(struct decoder *decoder, struct decode_job *job, struct frame *frame)
{
    struct debezium *debezium = (struct debezium *)decoder;

    ASSERT(job->kind == EVENT_ROWS);
    if (!debezium->done)
        debezium->done = event_rows_add(debezium->rows, job, frame, &debezium->row);
    return debezium->done;
}

const struct decoder_ops debezium_json_ops = {
    .name = "debezium-json",
    .open = debezium_open,
    .begin = debezium_begin,
    .rows = debezium_rows,
};
