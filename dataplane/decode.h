/*
 * decode.h: the contract of a decoder: a record's bytes become row changes in a frame.
 *
 * A message may hold more rows than a frame has room for, so decoding stops and goes on:
 * decode_begin() checks the whole message once (grammar, UTF-8, shape), decode_rows() then fills
 * frame after frame.
 *
 * What a decoder rejects it never drops: the job says how many rows were rejected and why, and the
 * caller sends the whole message to the dead letters, once, when it is finished. Rows that were
 * good are applied all the same.
 *
 * One decoder belongs to one shard and one task; it remembers what it learned (column order,
 * schemas), bounded.
 */
#ifndef WEIR_DECODE_H
#define WEIR_DECODE_H

#include "dataplane/clock.h"
#include "dataplane/dead_letter.h"
#include "dataplane/frame.h"
#include "dataplane/plan.h"

enum event_kind {
    EVENT_ROWS,      /* row changes, mapped or not */
    EVENT_DDL,       /* CREATE, ALTER, ...: counted and logged at info, changes nothing here */
    EVENT_TRUNCATE,  /* a table was emptied without row events: alert; `detail` names it */
    EVENT_TOMBSTONE, /* null payload, for Kafka's compaction: the delete came before it */
    EVENT_OTHER,     /* transaction marks, heartbeats, annotations */
    EVENT_REJECTED,  /* the whole message: reason and detail say why */
};

struct decode_job {
    /* Set by the caller before decode_begin(). */
    const struct record *record;
    struct clock *clock; /* the partition's: ticks once for each row, mapped or not */
    uint64_t wall_us;    /* now, for the clamp */
    uint64_t skew_max_us;

    /* Set by the decoder. */
    enum event_kind kind;
    enum reason reason; /* EVENT_REJECTED, or the first rejected row's */
    unsigned rows;      /* row changes seen so far; a key change counts one */
    unsigned unmapped;  /* of those: rows of tables that are not mapped */
    unsigned rejected;  /* of those: rows that went wrong */
    unsigned clamped;   /* capture times that were cut */
    char detail[240];   /* for people: where and what */
};

struct decoder;

struct decoder_options {
    const struct plan *plan;
    struct slice seqno_field; /* empty: the clock gives seqnos */
    size_t event_bytes_max;
};

struct decoder_ops {
    const char *name; /* "canal-json" */

    /* Start-up only: reserves all it will need. */
    struct decoder *(*open)(const struct decoder_options *options);

    /* Looks at the record: sets kind, reason, detail. For EVENT_ROWS decode_rows() follows, else
     * nothing does. */
    void (*begin)(struct decoder *decoder, struct decode_job *job);

    /* Appends changes until the message is done (true) or the frame has no room for the next row
     * (false: call again with another frame; the record's bytes stay where they are meanwhile). A
     * row whose fields do not fit the arena of an empty frame is rejected as REASON_TOO_LARGE. */
    bool (*rows)(struct decoder *decoder, struct decode_job *job, struct frame *frame);
};

struct decoder {
    const struct decoder_ops *ops;
};

/* By the config's `format`: NULL where there is none of that name. */
const struct decoder_ops *decoder_find(const char *format);

extern const struct decoder_ops canal_json_ops;
extern const struct decoder_ops debezium_json_ops;

#endif
