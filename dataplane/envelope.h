/*
 * envelope.h: what decoders share about a message's outer objects: the scan, known members, words
 * for people.
 *
 * Everything works on the record's bytes and the decoder's own buffers; one thread, the decoder's.
 */
#ifndef WEIR_ENVELOPE_H
#define WEIR_ENVELOPE_H

#include "dataplane/base/json.h"
#include "dataplane/decode.h"

#define ENVELOPE_NAME_BYTES_MAX 256 /* a database's or table's name: MySQL's have 64 characters */

/* Checks the whole payload once. False: not JSON, and the job is rejected with the position. */
MUST_CHECK bool envelope_scan(struct decode_job *job, struct json_value *value);

/* Fills values[i] with the member names[i] of a scanned object; raw.data NULL where it is missing.
 * -1, or the index of a name that stands twice. */
MUST_CHECK int envelope_members(struct slice object, const char *const *names, unsigned n,
                                struct json_value *values);

/* One member by a name of any length; as envelope_members(): false where it stands twice. */
MUST_CHECK bool envelope_member(struct slice object, struct slice name, struct json_value *value);

/* A member's name without its escapes: the slice itself, or unescaped into `buffer`. A name that
 * cannot fit there comes back as it stands, which is longer than any name that is looked for. */
struct slice envelope_name(struct slice name, bool escaped, char *buffer, size_t bytes);

/* Present, and of that type. */
static inline bool envelope_is(const struct json_value *value, enum json_type type)
{
    return value->raw.data != NULL && value->type == type;
}

/* Missing, or null. */
static inline bool envelope_absent(const struct json_value *value)
{
    return value->raw.data == NULL || value->type == JSON_NULL;
}

/* A string token that says exactly `text`, which needs no escapes. */
bool envelope_says(const struct json_value *value, const char *text);

/* A string token's meaning, in `buffer` where it has escapes. False: not a string, or longer than a
 * name may be. */
MUST_CHECK bool envelope_text(const struct json_value *value, char buffer[ENVELOPE_NAME_BYTES_MAX],
                              struct slice *text);

/* A point in time as microseconds: a whole number of units of `unit_us`, 0 to SEQNO_MAX. False:
 * none such. */
MUST_CHECK bool envelope_micros(const struct json_value *value, uint64_t unit_us, uint64_t *micros);

/* The part of a text that a detail shows: at most `max` bytes, no torn UTF-8. For "%.*s". */
int envelope_shown(struct slice text, size_t max);

/* Sets the job's detail. */
void envelope_detail(struct decode_job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Rejects the whole message. */
void envelope_reject(struct decode_job *job, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Counts a rejected row; the first one's reason and detail stay. */
void envelope_reject_row(struct decode_job *job, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The start that all decoders share: resets what the decoder sets. True where the record is done
 * already: too large for its source, or a null payload. */
bool envelope_begin(struct decode_job *job);

/* The mapped table that a message is about, -1: it is not mapped. False: the message does not say
 * (one of the two is no string). */
MUST_CHECK bool envelope_find_table(const struct plan *plan, const struct json_value *database,
                                    const struct json_value *name, int *table);

#endif
