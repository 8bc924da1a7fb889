/*
 * rows_text.c: a column's JSON text as the bytes of a cell, and back.
 *
 *     365.30              365.30            as it is: it looks like a number
 *     "paid \"now\""      paid "now"        a string's text: it looks like none of JSON's others
 *     "365.30"            365.30            a string's text, named "text"
 *     "null"              null              a string's text: a NULL has no cell, so this is no NULL
 *     "\ud83d"            "\ud83d"          half a character: the token itself, named "json"
 *
 * So that whoever looks at HBase sees what the database has. Half of a surrogate pair (MySQL never
 * holds one, but a JSON escape can) has no UTF-8; such a string keeps its token.
 *
 * Writing and reading ask the same question, text_looks_json(), so whatever its answer is, the way
 * there and back ends where it began; only a string's escapes become the canonical ones.
 *
 * What this does not do: know columns. Cells that were not written by weir are checked as any
 * input: text must be UTF-8, and JSON with line breaks between its tokens loses the white space
 * there, as in documents that are read back.
 */
#include "drivers/hbase/rows_internal.h"

#include "dataplane/base/json.h"
#include "dataplane/base/json_scan.h"

static bool is_container(struct slice text)
{
    struct json json;
    struct json_value value;

    if (text.data[text.len - 1] != (text.data[0] == '{' ? '}' : ']'))
        return false;
    json_open(&json, text);
    return json_value(&json, &value) && value.raw.len == text.len;
}

bool text_looks_json(struct slice text)
{
    if (text.len == 0)
        return false;
    switch (text.data[0]) {
    case 't':
        return slice_equal(text, SLICE("true"));
    case 'f':
        return slice_equal(text, SLICE("false"));
    case '{':
    case '[':
        return is_container(text);
    default:
        return (text.data[0] == '-' || (text.data[0] >= '0' && text.data[0] <= '9')) &&
               json_is_number(text);
    }
}

/* Is half of a surrogate pair escaped in the token? */
static bool has_lone_surrogate(struct slice token)
{
    const char *at = token.data, *end = token.data + token.len;

    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        uint32_t unit;

        if (at[1] != 'u') {
            at += 2;
            continue;
        }
        unit = json_hex4(at + 2);
        at += 6;
        if (unit < 0xd800 || unit > 0xdfff)
            continue;
        if (unit > 0xdbff || end - at < 7 || at[0] != '\\' || at[1] != 'u')
            return true;
        unit = json_hex4(at + 2);
        if (unit < 0xdc00 || unit > 0xdfff)
            return true;
        at += 6;
    }
    return false;
}

enum text_kind text_to_cell(struct slice json, char *out, size_t *len)
{
    bool is_string = json.data[0] == '"';

    if (is_string) {
        *len = json_unescape(json, out);
        if (*len == json.len - 2 || !has_lone_surrogate(json))
            return text_looks_json((struct slice){ out, *len }) ? TEXT_STRING : TEXT_PLAIN;
    }
    memcpy(out, json.data, json.len);
    *len = json.len;
    return is_string ? TEXT_TOKEN : TEXT_PLAIN;
}

/* ---- back ---- */

static int string_from(struct slice bytes, struct arena *arena, struct slice *json)
{
    const char *end = bytes.data + bytes.len;
    bool plain = bytes.len == 0 || json_run(bytes.data, end, JSON_RUN_ESCAPE) == end;
    size_t bound = (plain ? bytes.len : 6 * bytes.len) + 2;
    struct buf out = { .bound = bound };

    if (!utf8_valid(bytes))
        return -1;
    out.data = arena_take(arena, bound);
    if (out.data == NULL)
        return -2;
    buf_put_json_string(&out, bytes);
    ASSERT(!out.overflow);
    *json = buf_slice(&out);
    arena->used = ((size_t)(out.data + out.len - arena->base) + 7) & ~(size_t)7;
    return 0;
}

static int on_one_line(struct slice raw, struct arena *arena, struct slice *json)
{
    char *to;

    *json = raw;
    if (!json_has_breaks(raw))
        return 0;
    to = arena_take(arena, raw.len);
    if (to == NULL)
        return -2;
    *json = (struct slice){ to, json_join_lines(raw, to) };
    return 0;
}

static int token_from(struct slice bytes, struct arena *arena, struct slice *json)
{
    struct json scan;
    struct json_value value;

    json_open(&scan, bytes);
    if (!json_value(&scan, &value) || !json_end(&scan))
        return -1;
    return on_one_line(value.raw, arena, json);
}

int text_from_cell(enum text_kind kind, struct slice bytes, struct arena *arena, struct slice *json)
{
    switch (kind) {
    case TEXT_NULL:
        *json = SLICE("null");
        return 0;
    case TEXT_TOKEN:
        return token_from(bytes, arena, json);
    case TEXT_STRING:
        return string_from(bytes, arena, json);
    case TEXT_PLAIN:
        break;
    }
    return text_looks_json(bytes) ? on_one_line(bytes, arena, json)
                                  : string_from(bytes, arena, json);
}
