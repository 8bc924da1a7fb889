/*
 * event_row.h: one row of an event becomes changes in a frame: what the decoders share.
 *
 * The decoder finds table, images and types in its envelope; here the images are read column by
 * column, the row's name (key, row id) is taken out, the seqno given, and the changes appended:
 * one, or two where the name changed.
 *
 * Belongs to one decoder, so to one thread.
 */
#ifndef WEIR_EVENT_ROW_H
#define WEIR_EVENT_ROW_H

#include "dataplane/base/json.h"
#include "dataplane/decode.h"
#include "dataplane/value.h"

/* The columns that say what a row is, selected or not. */
enum event_name { EVENT_KEY, EVENT_ROW_ID, EVENT_SEQNO, EVENT_NAMES };

/* How columns' values are converted: by column id; NULL = as they are. */
struct event_types {
    const struct value_type *columns;     /* [COLUMNS_MAX] */
    struct value_type names[EVENT_NAMES]; /* applied before a name is taken from a value */
    bool unavailable;                     /* Debezium's mark for a missing field is looked for */
};

/* A row as its event shows it. raw.data NULL: there is none. */
struct event_row {
    enum change_op op;
    struct json_value image; /* of an upsert the new one, of a delete the last one */
    struct json_value old;   /* of an update: all of the old image, or the changed columns only */
    unsigned number;         /* 1.. in `all`; 0: the message is the row */
    struct slice all;        /* the array of rows, for "row 3 of 7" */
};

struct event_rows;

/* Start-up only. */
struct event_rows *event_rows_open(const struct decoder_options *options);

/* Each message: `table` is its index or -1, `capture` microseconds or UINT64_MAX where the message
 * has no good one; `seqno` the member that options.seqno_field names (raw.data NULL: the column of
 * that name counts). Counts the clamp. `types` must live until the next message. */
struct event_message {
    int table;
    uint64_t capture_us, source_us;
    struct json_value seqno;
    const struct event_types *types;
};
void event_rows_begin(struct event_rows *rows, struct decode_job *job,
                      const struct event_message *message);

/* Appends the row's changes, or counts it as unmapped or rejected; ticks the clock once. False: the
 * frame has no room for it, nothing was done, come again with another frame. */
MUST_CHECK bool event_rows_add(struct event_rows *rows, struct decode_job *job, struct frame *frame,
                               const struct event_row *row);

#endif
