/*
 * letter.c: renders a dead letter.
 *
 * Everything but the names may hold hostile bytes: a topic can be a path, a sink's words can be cut
 * in the middle of a character. So each text goes through one function, which looks whether it is
 * UTF-8 and chooses the form.
 *
 * What this does not do: write anything anywhere.
 */
#include "drivers/dead_letter/letter.h"

#include "dataplane/base/check.h"
#include "dataplane/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define HEADERS_MAX 32 /* of a letter that is cut */

enum form { FORM_TEXT, FORM_BASE64 };

static enum form form_of(struct slice bytes)
{
    return utf8_valid(bytes) ? FORM_TEXT : FORM_BASE64;
}

/* "name":"bytes" or "name_base64":"...", without a comma. */
static void put_member(struct buf *buf, const char *name, struct slice bytes, enum form form)
{
    buf_put_char(buf, '"');
    buf_put_slice(buf, slice_of(name));
    if (form == FORM_BASE64) {
        buf_put_literal(buf, "_base64\":\"");
        buf_put_base64(buf, bytes);
        buf_put_char(buf, '"');
        return;
    }
    buf_put_literal(buf, "\":");
    buf_put_json_string(buf, bytes);
}

static void put_text(struct buf *buf, const char *name, struct slice bytes)
{
    buf_put_char(buf, ',');
    put_member(buf, name, bytes, form_of(bytes));
}

static void put_optional(struct buf *buf, const char *name, struct slice bytes)
{
    if (bytes.data && bytes.len > 0)
        put_text(buf, name, bytes);
}

static void put_nullable(struct buf *buf, const char *name, struct slice bytes, enum form form)
{
    buf_put_char(buf, ',');
    if (bytes.data)
        put_member(buf, name, bytes, form);
    else
        buf_printf(buf, "\"%s\":null", name);
}

/* RFC 3339, UTC, microseconds. */
static void put_time(struct buf *buf, uint64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    char text[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(buf, "\"time\":\"%s.%06uZ\"", text, (unsigned)(wall_us % 1000000));
}

static void put_headers(struct buf *buf, const struct header *headers, unsigned n)
{
    if (n == 0)
        return;
    buf_put_literal(buf, ",\"headers\":[");
    for (unsigned i = 0; i < n; i++) {
        buf_put_slice(buf, i == 0 ? SLICE("{") : SLICE(",{"));
        put_member(buf, "name", headers[i].name, form_of(headers[i].name));
        put_nullable(buf, "value", headers[i].value, form_of(headers[i].value));
        buf_put_char(buf, '}');
    }
    buf_put_char(buf, ']');
}

/* `whole`: what the letter was cut from; NULL: it is not. */
static void render(struct buf *buf, const char *task, const struct dead_letter *letter,
                   enum form payload_form, const struct dead_letter *whole)
{
    buf_reset(buf);
    buf_put_char(buf, '{');
    put_time(buf, letter->wall_us);
    put_text(buf, "task", slice_of(task));
    put_text(buf, "topic", slice_of(letter->topic));
    buf_printf(buf, ",\"partition\":%" PRId32 ",\"offset\":%" PRId64, letter->partition,
               letter->offset);
    put_text(buf, "reason", slice_of(reason_label(letter->reason)));
    put_optional(buf, "detail", letter->detail);
    if (letter->sink)
        put_text(buf, "sink", slice_of(letter->sink));
    put_optional(buf, "document_key", letter->document_key);
    put_nullable(buf, "key", letter->key, form_of(letter->key));
    put_headers(buf, letter->headers, letter->n_headers);
    if (whole != NULL)
        buf_printf(buf, ",\"cut\":true,\"payload_bytes\":%zu", whole->payload.len);
    put_nullable(buf, "payload", letter->payload, payload_form);
    buf_put_char(buf, '}');
}

static struct slice beginning(struct slice bytes, size_t most)
{
    return (struct slice){ bytes.data, bytes.len < most ? bytes.len : most };
}

/* Text grows sixfold at most, base64 by a third: 18/64 for key, detail and headers, a half for the
 * payload. */
static void render_cut(struct buf *buf, const char *task, const struct dead_letter *whole)
{
    struct dead_letter letter = *whole;
    struct header headers[HEADERS_MAX];
    size_t part = buf->bound / 64;

    letter.n_headers = whole->n_headers < HEADERS_MAX ? whole->n_headers : HEADERS_MAX;
    for (unsigned i = 0; i < letter.n_headers; i++) {
        headers[i].name = beginning(whole->headers[i].name, part / (2 * HEADERS_MAX));
        headers[i].value = beginning(whole->headers[i].value, part / (2 * HEADERS_MAX));
    }
    letter.headers = headers;
    letter.key = beginning(whole->key, part);
    letter.detail = beginning(whole->detail, part);
    letter.payload = beginning(whole->payload, buf->bound * 3 / 8);
    render(buf, task, &letter, FORM_BASE64, whole);
    ASSERT(!buf->overflow);
}

void letter_render(struct buf *buf, const char *task, const struct dead_letter *letter)
{
    render(buf, task, letter, form_of(letter->payload), NULL);
    if (buf->overflow)
        render(buf, task, letter, FORM_BASE64, NULL);
    if (buf->overflow)
        render_cut(buf, task, letter);
}
