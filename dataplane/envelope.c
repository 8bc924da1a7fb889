/*
 * envelope.c: the outer objects of a message.
 *
 *     {"type":"INSERT", "ts":1795245419098, "\u0064ata":[...], "unknown":...}
 *        known            known              known, escaped     skipped
 *
 * Names are compared as what they mean, so an escaped name is the same name, and the same name
 * twice is found whatever its spelling. Known names are short: a member whose name is long as it
 * stands is none of them, and is not unescaped. Details are one line for people: they show texts as
 * the event spells them, escapes and all, so that no control character gets out, and are cut
 * between characters.
 */
#include "dataplane/envelope.h"

#include "dataplane/value.h"

#include <stdarg.h>
#include <stdio.h>

static enum reason json_reason(enum json_error error)
{
    switch (error) {
    case JSON_UTF8:
        return REASON_UTF8;
    case JSON_CONTROL:
        return REASON_CONTROL;
    case JSON_DEPTH:
        return REASON_DEPTH;
    case JSON_OK:
    case JSON_SYNTAX:
    case JSON_TRUNCATED:
        break;
    }
    return REASON_JSON;
}

bool envelope_scan(struct decode_job *job, struct json_value *value)
{
    struct json json;
    bool good;

    json_open(&json, job->record->payload);
    good = json_value(&json, value);
    if (good && json_end(&json))
        return true;
    envelope_reject(job, json_reason(json.error), "%s at byte %zu of %zu",
                    json_error_text(json.error), (size_t)(json.at - json.start),
                    job->record->payload.len);
    return false;
}

struct slice envelope_name(struct slice name, bool escaped, char *buffer, size_t bytes)
{
    if (!escaped || name.len > bytes)
        return name;
    /* The quotes around it are there: it is a token of a scanned text. */
    return (struct slice){ buffer,
                           json_unescape((struct slice){ name.data - 1, name.len + 2 }, buffer) };
}

int envelope_members(struct slice object, const char *const *names, unsigned n,
                     struct json_value *values)
{
    char buffer[ENVELOPE_NAME_BYTES_MAX];
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    memset(values, 0, n * sizeof(*values));
    json_open_scanned(&json, object);
    if (!json_enter(&json, JSON_OBJECT))
        return -1;
    while (json_member(&json, &name, &escaped, &value)) {
        name = envelope_name(name, escaped, buffer, sizeof(buffer));
        for (unsigned i = 0; i < n; i++) {
            if (!slice_equal(name, slice_of(names[i])))
                continue;
            if (values[i].raw.data)
                return (int)i;
            values[i] = value;
            break;
        }
    }
    return -1;
}

bool envelope_member(struct slice object, struct slice wanted, struct json_value *found)
{
    char buffer[6 * ENVELOPE_NAME_BYTES_MAX];
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    *found = (struct json_value){ .type = JSON_NULL };
    json_open_scanned(&json, object);
    if (!json_enter(&json, JSON_OBJECT))
        return true;
    while (json_member(&json, &name, &escaped, &value)) {
        if (!slice_equal(envelope_name(name, escaped, buffer, sizeof(buffer)), wanted))
            continue;
        if (found->raw.data)
            return false;
        *found = value;
    }
    return true;
}

bool envelope_says(const struct json_value *value, const char *text)
{
    size_t len = strlen(text);

    return envelope_is(value, JSON_STRING) && value->raw.len == len + 2 &&
           memcmp(value->raw.data + 1, text, len) == 0;
}

bool envelope_text(const struct json_value *value, char buffer[ENVELOPE_NAME_BYTES_MAX],
                   struct slice *text)
{
    if (!envelope_is(value, JSON_STRING) || value->raw.len - 2 > ENVELOPE_NAME_BYTES_MAX)
        return false;
    *text = envelope_name((struct slice){ value->raw.data + 1, value->raw.len - 2 }, value->escaped,
                          buffer, ENVELOPE_NAME_BYTES_MAX);
    return true;
}

bool envelope_micros(const struct json_value *value, uint64_t unit_us, uint64_t *micros)
{
    int64_t number;

    if (!envelope_is(value, JSON_NUMBER) || !value_integer(value->raw, &number))
        return false;
    if ((uint64_t)number > SEQNO_MAX / unit_us) /* A negative one is greater still. */
        return false;
    *micros = (uint64_t)number * unit_us;
    return true;
}

int envelope_shown(struct slice text, size_t max)
{
    size_t len = text.len < max ? text.len : max;

    while (len > 0 && len < text.len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len--;
    return (int)len;
}

__attribute__((format(printf, 2, 0))) static void detail_write(struct decode_job *job,
                                                               const char *format, va_list args)
{
    /* One byte more than there is room for, so that a cut shows and can be moved back to a
     * character's start. */
    char text[sizeof(job->detail) + 4];
    int len = vsnprintf(text, sizeof(text), format, args), shown;

    ASSERT(len >= 0);
    if ((size_t)len >= sizeof(text))
        len = (int)sizeof(text) - 1;
    shown = envelope_shown((struct slice){ text, (size_t)len }, sizeof(job->detail) - 1);
    memcpy(job->detail, text, (size_t)shown);
    job->detail[shown] = '\0';
}

void envelope_detail(struct decode_job *job, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    detail_write(job, format, args);
    va_end(args);
}

void envelope_reject(struct decode_job *job, enum reason reason, const char *format, ...)
{
    va_list args;

    job->kind = EVENT_REJECTED;
    job->reason = reason;
    va_start(args, format);
    detail_write(job, format, args);
    va_end(args);
}

void envelope_reject_row(struct decode_job *job, enum reason reason, const char *format, ...)
{
    va_list args;

    if (job->rejected++ > 0)
        return;
    job->reason = reason;
    va_start(args, format);
    detail_write(job, format, args);
    va_end(args);
}

bool envelope_begin(struct decode_job *job)
{
    const struct record *record = job->record;

    job->kind = EVENT_OTHER;
    job->reason = REASON_COUNT;
    job->rows = job->unmapped = job->rejected = job->clamped = 0;
    job->detail[0] = '\0';
    if (record->kind == RECORD_OVERSIZED) {
        envelope_reject(job, REASON_TOO_LARGE, "%.*s", envelope_shown(record->detail, 200),
                        record->detail.len > 0 ? record->detail.data : "");
        return true;
    }
    if (record->kind == RECORD_EVENT && record->payload.data)
        return false;
    if (record->kind == RECORD_EVENT)
        job->kind = EVENT_TOMBSTONE;
    return true;
}

bool envelope_find_table(const struct plan *plan, const struct json_value *database,
                         const struct json_value *name, int *table)
{
    char database_text[ENVELOPE_NAME_BYTES_MAX], table_text[ENVELOPE_NAME_BYTES_MAX];
    struct slice database_name, table_name;

    *table = -1;
    if (!envelope_is(database, JSON_STRING) || !envelope_is(name, JSON_STRING))
        return false;
    if (envelope_text(database, database_text, &database_name) &&
        envelope_text(name, table_text, &table_name))
        *table = plan_find(plan, database_name, table_name);
    return true;
}
