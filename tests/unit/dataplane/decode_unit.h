/*
 * decode_unit.h: one event in, one text out: what the decoders' tests compare.
 *
 *     "+ trade.tc_order 42/ @1 {\"order_no\":42}\n"      an upsert: table, key/row id,
 *                                                      seqno - EPOCH, fields
 *     "- trade.tc_order_item 42/7 @2\n"                  a delete
 *     "2 unmapped\n" "rejected 1 no_key: ...\n" "DDL: ...\n"
 *
 * Payloads are copied to blocks of their exact size, so that a sanitizer sees a read past the end.
 */
#ifndef WEIR_TESTS_DECODE_UNIT_H
#define WEIR_TESTS_DECODE_UNIT_H

#include "dataplane/base/json.h"
#include "dataplane/columns.h"
#include "dataplane/decode.h"

#include "tests/unit/unit.h"

#include <stdlib.h>

struct decode_unit {
    const struct plan *plan;
    struct decoder *decoder;
    struct clock clock;
    struct decode_job job;
    struct frame frame;
    unsigned frames;     /* that the last event took */
    unsigned frame_room; /* changes a frame takes: fewer than its own bound to see messages cut */
    struct buf out;
    uint64_t wall_us;
    bool quiet; /* the text is not wanted: only checks */
};

static inline const struct plan *decode_unit_plan(void)
{
    static const struct plan_rename pay[] = {
        { { "channel", 7 }, { "channel", 7 } },
        { { "amount", 6 }, { "paid_amount", 11 } },
    };
    struct plan *plan = plan_open(SLICE("t"), SLICE("order_no"), IMAGES_FULL, EMIT_ALWAYS);
    struct plan_table root = { .name = SLICE("trade.tc_order") };
    struct plan_table item = { .name = SLICE("trade.tc_order_item"),
                               .into = SLICE("items"),
                               .many = SLICE("id") };
    struct plan_table paid = { .name = SLICE("trade.tc_order_pay"), .into = SLICE("pay") };

    plan_add_table(plan, &root, NULL, 0);
    plan_add_table(plan, &item, NULL, 0);
    plan_add_table(plan, &paid, pay, 2);
    return plan;
}

static inline void decode_unit_open(struct decode_unit *unit, const struct decoder_ops *ops,
                                    const char *seqno_field, size_t arena_bytes)
{
    struct decoder_options options = { .seqno_field = slice_of(seqno_field),
                                       .event_bytes_max = 1 << 20 };

    memset(unit, 0, sizeof(*unit));
    unit->plan = options.plan = decode_unit_plan();
    unit->decoder = ops->open(&options);
    unit->clock.seqno = SEQNO_EPOCH;
    unit->frame_room = FRAME_CHANGES_MAX;
    unit->wall_us = UINT64_MAX / 2;
    arena_open(&unit->frame.arena, arena_bytes, "frame");
    buf_open(&unit->out, 64 << 20, "text");
}

/* What must be true of every change, whatever was in the event. */
static inline void check_change(const struct decode_unit *unit, const struct change *change)
{
    assert_true(change->key.len >= 1 && change->key.len <= KEY_BYTES_MAX);
    assert_true(utf8_valid(change->key) && utf8_valid(change->row_id));
    assert_true(change->row_id.len <= ROW_ID_BYTES_MAX);
    assert_true((change->row_id.len > 0) == (unit->plan->tables[change->table].many.len > 0));
    assert_true(change->seqno > SEQNO_EPOCH && change->seqno <= SEQNO_MAX);
    assert_int_equal(change->hash, key_hash(change->key));
    for (uint32_t i = 0; i < change->n_fields; i++) {
        struct slice text = change->fields[i].value;
        struct json_value value;
        struct json json;

        assert_true(change->fields[i].column < COLUMNS_MAX);
        json_open(&json, text);
        assert_true(json_value(&json, &value));
        assert_true(json_end(&json));
        assert_null(memchr(text.data, '\n', text.len));
    }
}

static inline void put_change(struct decode_unit *unit, const struct change *change)
{
    const struct plan_table *table = &unit->plan->tables[change->table];

    buf_printf(&unit->out, "%c %.*s %.*s/%.*s @%llu", change->op == CHANGE_DELETE ? '-' : '+',
               (int)table->name.len, table->name.data, (int)change->key.len, change->key.data,
               (int)change->row_id.len, change->row_id.data ? change->row_id.data : "",
               (unsigned long long)(change->seqno - SEQNO_EPOCH));
    for (uint32_t i = 0; i < change->n_fields; i++) {
        buf_put(&unit->out, i == 0 ? " {" : ",", i == 0 ? 2 : 1);
        buf_put_slice(&unit->out, columns_label(table->columns, change->fields[i].column));
        buf_put_slice(&unit->out, change->fields[i].value);
    }
    if (change->n_fields > 0)
        buf_put_char(&unit->out, '}');
    buf_put_char(&unit->out, '\n');
}

static inline void decode_unit_rows(struct decode_unit *unit)
{
    uint64_t before = unit->clock.seqno;
    bool done = false;

    for (unit->frames = 0; !done; unit->frames++) {
        unsigned reserved = FRAME_CHANGES_MAX - unit->frame_room;

        unit->frame.n = reserved;
        arena_reset(&unit->frame.arena);
        done = unit->decoder->ops->rows(unit->decoder, &unit->job, &unit->frame);
        assert_true(done || unit->frame.n > reserved); /* it gets on */
        for (unsigned i = reserved; i < unit->frame.n; i++) {
            check_change(unit, &unit->frame.changes[i]);
            assert_int_equal(unit->frame.changes[i].clock_before, before);
            assert_int_equal(unit->frame.changes[i].offset, unit->job.record->offset);
            if (!unit->quiet)
                put_change(unit, &unit->frame.changes[i]);
        }
    }
    assert_true(unit->job.unmapped + unit->job.rejected <= unit->job.rows);
    if (unit->job.unmapped > 0)
        buf_printf(&unit->out, "%u unmapped\n", unit->job.unmapped);
    if (unit->job.rejected > 0)
        buf_printf(&unit->out, "rejected %u %s: %s\n", unit->job.rejected,
                   reason_label(unit->job.reason), unit->job.detail);
}

/* Decodes a record; the text is valid until the next one. */
static inline const char *decode_record(struct decode_unit *unit, const struct record *record)
{
    static const char *const kinds[] = {
        "rows", "DDL", "TRUNCATE", "TOMBSTONE", "OTHER", "REJECTED"
    };

    buf_reset(&unit->out);
    unit->job =
        (struct decode_job){ .record = record, .clock = &unit->clock, .wall_us = unit->wall_us };
    unit->decoder->ops->begin(unit->decoder, &unit->job);
    assert_true(memchr(unit->job.detail, '\0', sizeof(unit->job.detail)) != NULL);
    if (unit->job.kind == EVENT_ROWS)
        decode_unit_rows(unit);
    else if (unit->job.kind == EVENT_REJECTED)
        buf_printf(&unit->out, "REJECTED %s: %s\n", reason_label(unit->job.reason),
                   unit->job.detail);
    else
        buf_printf(&unit->out, "%s: %s\n", kinds[unit->job.kind], unit->job.detail);
    assert_true(utf8_valid(slice_of(unit->job.detail)));
    for (const char *at = unit->job.detail; *at; at++)
        assert_true((unsigned char)*at >= 0x20);
    buf_put_char(&unit->out, '\0');
    return unit->out.data;
}

static inline const char *decode_bytes(struct decode_unit *unit, struct slice payload)
{
    char *copy = malloc(payload.len + 1); /* one more: an empty payload is not a null one */
    struct record record = { .kind = RECORD_EVENT, .offset = 7 };
    const char *text;

    assert_non_null(copy);
    memcpy(copy + 1, payload.data, payload.len);
    record.payload = (struct slice){ copy + 1, payload.len };
    text = decode_record(unit, &record);
    free(copy);
    return text;
}

static inline const char *decode_text(struct decode_unit *unit, const char *payload)
{
    return decode_bytes(unit, slice_of(payload));
}

/* One case of a table: an event, after which the clock starts at EPOCH again, and its text. A
 * `text` that ends in
 * '*' is the beginning. */
struct decode_case {
    const char *event, *text;
};

static inline void decode_cases(struct decode_unit *unit, const struct decode_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(cases[i].text);
        const char *got;

        unit->clock.seqno = SEQNO_EPOCH;
        got = decode_text(unit, cases[i].event);
        if (len > 0 && cases[i].text[len - 1] == '*') {
            if (strncmp(got, cases[i].text, len - 1) != 0)
                assert_string_equal(got, cases[i].text);
        } else {
            assert_string_equal(got, cases[i].text);
        }
    }
}

/* splitmix64: the same numbers on every machine. */
static inline uint64_t decode_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Events with bytes changed, cut out and cut off: never a crash, and what comes out is checked as
 * any change is. */
static inline void decode_mutants(struct decode_unit *unit, const char *const *events, size_t n,
                                  unsigned rounds)
{
    static const char bytes[] = "\"\\{}[],:0129-.eEu \n\xc3\xff\x01nulltrue";
    uint64_t seed = 20261121;

    unit->quiet = true;
    for (unsigned round = 0; round < rounds; round++) {
        const char *event = events[decode_random(&seed) % n];
        size_t len = strlen(event);
        char *mutant = malloc(len);

        assert_non_null(mutant);
        memcpy(mutant, event, len);
        for (uint64_t k = decode_random(&seed) % 4 + 1; k > 0; k--) {
            size_t at = decode_random(&seed) % len;

            mutant[at] = decode_random(&seed) % 4 == 0
                             ? (char)decode_random(&seed)
                             : bytes[decode_random(&seed) % (sizeof(bytes) - 1)];
        }
        if (decode_random(&seed) % 8 == 0)
            len = decode_random(&seed) % len;
        unit->clock.seqno = SEQNO_EPOCH;
        decode_bytes(unit, (struct slice){ mutant, len });
        free(mutant);
    }
    unit->quiet = false;
}

/* A whole capture, as `kcat -J` writes it. Returns the sum of rows and counts kinds. */
static inline unsigned decode_capture(struct decode_unit *unit, const char *path,
                                      unsigned kinds[EVENT_REJECTED + 1])
{
    static char line[1 << 20], payload[1 << 20];
    struct clock clocks[8];
    unsigned rows = 0;
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    for (unsigned i = 0; i < 8; i++)
        clocks[i].seqno = SEQNO_EPOCH;
    while (fgets(line, sizeof(line), file)) {
        const char *number = strstr(line, "\"partition\":"), *text = strstr(line, "\"payload\":");
        struct record record = { .kind = RECORD_EVENT, .offset = 7 };
        struct json_value value;
        struct json json;

        assert_non_null(number);
        assert_non_null(text);
        json_open(&json, slice_of(text + 10));
        assert_true(json_value(&json, &value));
        if (value.type == JSON_STRING)
            record.payload = (struct slice){ payload, json_unescape(value.raw, payload) };
        record.partition = (uint16_t)atoi(number + 12);
        unit->clock = clocks[record.partition];
        decode_record(unit, &record);
        clocks[record.partition] = unit->clock;
        kinds[unit->job.kind]++;
        rows += unit->job.rows;
        assert_int_equal(unit->job.rejected, 0);
    }
    fclose(file);
    return rows;
}

#endif
