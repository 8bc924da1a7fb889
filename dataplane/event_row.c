/*
 * event_row.c: from a row's images to changes.
 *
 *     {"id":"7", "order_no":"42"}                             upsert (42, 7)
 *     {"id":"7", "order_no":"42"}  old {"order_no":"41"}      delete (41, 7), upsert (42, 7),
 *                                                             one seqno
 *
 * A row is read completely (event_image.c) before anything is done, and its fields are copied into
 * the frame's arena only then.
 *
 * Invariants: a row that does not fit leaves frame, clock and job as they were (the arena is cut
 * back). A row that is done, good or not, has ticked the clock exactly once, so the numbers do not
 * depend on what the config maps.
 *
 * A row whose new name is bad but whose old one is good has left its old document: the delete is
 * made, and the row is rejected all the same. What this does not do: decide what a message is, or
 * which columns a merge keeps.
 */
#include "dataplane/event_row.h"

#include "dataplane/base/memory.h"
#include "dataplane/envelope.h"
#include "dataplane/event_image.h"

#include <stdio.h>

#define SEQNO_FIELD_MAX (INT64_C(1) << 62)

struct event_rows {
    struct event_message message;
    uint64_t clock_before;
    struct image_reader reader;
};

struct event_rows *event_rows_open(const struct decoder_options *options)
{
    struct event_rows *rows = memory_reserve_virtual(sizeof(*rows), "decoder");

    rows->reader.plan = options->plan;
    rows->reader.seqno_field = options->seqno_field;
    return rows;
}

void event_rows_begin(struct event_rows *rows, struct decode_job *job,
                      const struct event_message *message)
{
    rows->message = *message;
    rows->clock_before = job->clock->seqno;
    rows->reader.table = message->table < 0 ? 0 : (unsigned)message->table;
    rows->reader.types = message->types;
    if (rows->reader.seqno_field.len == 0 && message->capture_us != UINT64_MAX)
        job->clamped += clock_clamp(&rows->message.capture_us, job->wall_us, job->skew_max_us);
}

static struct slice table_name(const struct event_rows *rows)
{
    return rows->reader.plan->tables[rows->message.table].name;
}

/* A seqno that the event carries: digits, as a number or in a string. */
static bool seqno_of(struct slice token, uint64_t *seqno)
{
    int64_t number;

    if (token.len > 2 && token.data[0] == '"')
        token = (struct slice){ token.data + 1, token.len - 2 };
    if (!token.data || !value_integer(token, &number) || number < 1 || number > SEQNO_FIELD_MAX)
        return false;
    *seqno = SEQNO_EPOCH + (uint64_t)number;
    return true;
}

/* Ticks the clock; `image` NULL: nobody asks for the seqno. False: there is none to be had. */
static bool tick(struct event_rows *rows, struct clock *clock, const struct event_image *image,
                 uint64_t *seqno)
{
    const struct event_message *message = &rows->message;
    bool good = message->capture_us != UINT64_MAX;

    if (rows->reader.seqno_field.len == 0) {
        *seqno = clock_next(clock, good ? message->capture_us : 0);
        return good;
    }
    if (!message->seqno.raw.data && !image)
        return false;
    if (!seqno_of(message->seqno.raw.data ? message->seqno.raw : image->tokens[EVENT_SEQNO], seqno))
        return false;
    if (*seqno > clock->seqno)
        clock->seqno = *seqno;
    return true;
}

static unsigned count_rows(struct slice all)
{
    struct json_value value;
    struct json json;
    unsigned n = 0;

    json_open_scanned(&json, all);
    if (json_enter(&json, JSON_ARRAY))
        while (json_element(&json, &value))
            n++;
    return n;
}

/* Counts the row as rejected for rows->reader.fault. */
static void reject(const struct event_rows *rows, struct decode_job *job,
                   const struct event_row *row)
{
    const struct row_fault *fault = &rows->reader.fault;
    struct slice table = table_name(rows);
    char where[64] = "";

    if (job->rejected == 0 && row->number > 0)
        snprintf(where, sizeof(where), "row %u of %u, ", row->number, count_rows(row->all));
    envelope_reject_row(
        job, fault->reason, "%.*s: %sbyte %zu: %s%.*s%s%s", envelope_shown(table, 60), table.data,
        where, row->image.raw.data ? (size_t)(row->image.raw.data - job->record->payload.data) : 0,
        fault->column.len > 0 ? "column " : "", envelope_shown(fault->column, 60),
        fault->column.len > 0 ? fault->column.data : "", fault->column.len > 0 ? " " : "",
        fault->text);
}

static void emit(const struct event_rows *rows, const struct decode_job *job, struct frame *frame,
                 const struct row_name *name, uint64_t seqno)
{
    struct change *change = frame_slot(frame);

    ASSERT(change != NULL);
    *change = (struct change){
        .seqno = seqno,
        .hash = key_hash(name->key),
        .key = name->key,
        .row_id = name->row_id,
        .table = (uint16_t)rows->message.table,
        .partition = job->record->partition,
        .op = CHANGE_DELETE,
        .offset = job->record->offset,
        .clock_before = rows->clock_before,
        .source_us = rows->message.source_us,
    };
    frame->n++;
}

/* A row in the making: what was read of it before anything is done. */
struct reading {
    struct event_image image;
    struct row_name name, old_name;
    struct field *fields;
    bool named; /* `name` is good */
    bool moved; /* `old_name` is good, and another than `name` */
};

/* Has the row another name now? Where the old image does not say, it has not. */
static enum row_status read_old(struct event_rows *rows, struct slice object, struct arena *arena,
                                struct reading *reading)
{
    struct row_fault fault = rows->reader.fault;
    struct event_image old;
    enum row_status status = event_image_read(&rows->reader, object, false, arena, &old);

    if (status != ROW_GOOD)
        return status;
    if (!old.tokens[EVENT_KEY].data && !old.tokens[EVENT_ROW_ID].data)
        return ROW_GOOD;
    reading->old_name = reading->name;
    status = event_image_name(&rows->reader, &old, arena, &reading->old_name);
    if (status == ROW_FULL)
        return status;
    rows->reader.fault =
        fault; /* A bad old name was never applied, so there is nothing to delete. */
    reading->moved =
        status == ROW_GOOD && (!slice_equal(reading->old_name.key, reading->name.key) ||
                               !slice_equal(reading->old_name.row_id, reading->name.row_id));
    return ROW_GOOD;
}

static enum row_status copy_fields(struct event_rows *rows, struct arena *arena,
                                   struct reading *reading)
{
    size_t bytes = reading->image.n_fields * sizeof(struct field);

    if (bytes == 0)
        return ROW_GOOD;
    reading->fields = arena_take(arena, bytes);
    if (!reading->fields)
        return ROW_FULL;
    memcpy(reading->fields, rows->reader.fields, bytes);
    return ROW_GOOD;
}

/* ROW_BAD: rows->reader.fault says why, or the name alone is bad (then reading->named is false and
 * moved may be true). */
static enum row_status read_row(struct event_rows *rows, const struct event_row *row,
                                struct arena *arena, struct reading *reading)
{
    enum row_status status, old_status;

    *reading = (struct reading){ .named = false };
    if (!envelope_is(&row->image, JSON_OBJECT) ||
        (!envelope_absent(&row->old) && row->old.type != JSON_OBJECT))
        return event_image_fault(&rows->reader, REASON_SHAPE, (struct slice){ NULL, 0 },
                                 "the row is not an object");
    status = event_image_read(&rows->reader, row->image.raw, row->op == CHANGE_UPSERT, arena,
                              &reading->image);
    if (status == ROW_GOOD)
        status = copy_fields(rows, arena, reading);
    if (status != ROW_GOOD)
        return status;
    status = event_image_name(&rows->reader, &reading->image, arena, &reading->name);
    reading->named = status == ROW_GOOD;
    if (status == ROW_FULL)
        return status;
    if (!envelope_absent(&row->old)) {
        old_status = read_old(rows, row->old.raw, arena, reading);
        if (old_status != ROW_GOOD) {
            reading->named = false;
            return old_status;
        }
    }
    return status;
}

/* The row is read and the frame has room: gives it its number and appends it. */
static void apply(struct event_rows *rows, struct decode_job *job, struct frame *frame,
                  const struct event_row *row, const struct reading *reading)
{
    uint64_t seqno;

    if (!tick(rows, job->clock, &reading->image, &seqno)) {
        if (reading->named)
            event_image_fault(&rows->reader, REASON_SEQNO, rows->reader.seqno_field,
                              "no capture time or seqno that is a whole number in range");
        reject(rows, job, row);
        return;
    }
    if (reading->moved)
        emit(rows, job, frame, &reading->old_name, seqno);
    if (!reading->named) {
        reject(rows, job, row);
        return;
    }
    emit(rows, job, frame, &reading->name, seqno);
    if (row->op == CHANGE_UPSERT) {
        struct change *change = &frame->changes[frame->n - 1];

        change->op = CHANGE_UPSERT;
        change->fields = reading->fields;
        change->n_fields = reading->image.n_fields;
    }
}

bool event_rows_add(struct event_rows *rows, struct decode_job *job, struct frame *frame,
                    const struct event_row *row)
{
    size_t mark = frame->arena.used;
    unsigned before = frame->n;
    struct reading reading;
    enum row_status status;
    uint64_t seqno;

    if (rows->message.table < 0) {
        (void)tick(rows, job->clock, NULL, &seqno);
        job->rows++;
        job->unmapped++;
        return true;
    }
    if (frame->n == FRAME_CHANGES_MAX)
        return false;
    status = read_row(rows, row, &frame->arena, &reading);
    if (frame->n > 0 &&
        (status == ROW_FULL || frame->n + reading.named + reading.moved > FRAME_CHANGES_MAX)) {
        frame->arena.used = mark;
        return false;
    }
    job->rows++;
    if (status == ROW_FULL)
        status = event_image_fault(&rows->reader, REASON_TOO_LARGE, (struct slice){ NULL, 0 },
                                   "the row does not fit an empty frame");
    if (status == ROW_BAD && !reading.moved) {
        (void)tick(rows, job->clock, NULL, &seqno);
        reject(rows, job, row);
    } else {
        apply(rows, job, frame, row, &reading);
    }
    if (frame->n == before) /* Nothing points there: an empty frame stays an empty one. */
        frame->arena.used = mark;
    return true;
}
