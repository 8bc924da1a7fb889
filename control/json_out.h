/*
 * json_out.h: JSON into a buf, without counting commas by hand. Inline; whoever owns the buf.
 *
 *     json_out_open(&out, NULL, '{');  json_out_u64(&out, "n", 3);  json_out_close(&out, '}');
 *
 * `name` is the member's name (a literal that needs no escaping), NULL within an array.
 */
#ifndef WEIR_CONTROL_JSON_OUT_H
#define WEIR_CONTROL_JSON_OUT_H

#include "dataplane/base/arena.h"
#include "dataplane/base/json.h"

struct json_out {
    struct buf *buf;
    bool after; /* something stands before the next member: a comma is due */
};

static inline void json_out_name(struct json_out *out, const char *name)
{
    if (out->after)
        buf_put_char(out->buf, ',');
    out->after = true;
    if (name != NULL)
        buf_printf(out->buf, "\"%s\":", name);
}

static inline void json_out_open(struct json_out *out, const char *name, char bracket)
{
    json_out_name(out, name);
    buf_put_char(out->buf, bracket);
    out->after = false;
}

static inline void json_out_close(struct json_out *out, char bracket)
{
    buf_put_char(out->buf, bracket);
    out->after = true;
}

static inline void json_out_u64(struct json_out *out, const char *name, uint64_t number)
{
    json_out_name(out, name);
    buf_put_u64(out->buf, number);
}

/* A negative number means that it is not known: null. */
static inline void json_out_known(struct json_out *out, const char *name, int64_t number)
{
    json_out_name(out, name);
    if (number < 0)
        buf_put_literal(out->buf, "null");
    else
        buf_put_i64(out->buf, number);
}

static inline void json_out_bool(struct json_out *out, const char *name, bool value)
{
    json_out_name(out, name);
    if (value)
        buf_put_literal(out->buf, "true");
    else
        buf_put_literal(out->buf, "false");
}

/* A text that is not UTF-8 (a server's words, cut somewhere) is shown up to where it is. */
static inline void json_out_slice(struct json_out *out, const char *name, struct slice text)
{
    json_out_name(out, name);
    while (!utf8_valid(text))
        text.len--;
    buf_put_json_string(out->buf, text);
}

/* NULL becomes null. */
static inline void json_out_text(struct json_out *out, const char *name, const char *text)
{
    if (text != NULL) {
        json_out_slice(out, name, slice_of(text));
        return;
    }
    json_out_name(out, name);
    buf_put_literal(out->buf, "null");
}

#endif
