/*
 * json.h: a pull scanner over JSON text (RFC 8259), without a DOM, without recursion, without
 * allocation.
 *
 * Values are handed out as slices of the text, in their wire encoding. One pass over a value checks
 * everything that would poison a bulk request later: grammar, UTF-8, raw control characters,
 * nesting (JSON_DEPTH_MAX).
 *
 *     json_open(&json, text);
 *     if (json_enter(&json, JSON_OBJECT))
 *         while (json_member(&json, &name, &name_escaped, &value))
 *             ...;      (nested containers: json_open_scanned() on value.raw)
 *     if (!json_end(&json)) reject(json.error, json.at - json.start);
 *
 * Any thread; a struct json belongs to its caller.
 */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include "slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 128 /* MySQL's own limit for a JSON column is 100 */

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

enum json_error { JSON_OK, JSON_SYNTAX, JSON_TRUNCATED, JSON_UTF8, JSON_CONTROL, JSON_DEPTH };

/* `raw` is the whole token as it stands (strings with their quotes). `escaped`: a string with a
 * backslash in it. */
struct json_value {
    enum json_type type;
    bool escaped;
    struct slice raw;
};

struct json {
    const char *start, *at, *end;
    enum json_error error;
    bool first;   /* no member or element was taken from the open container yet */
    bool scanned; /* the text is known to be valid: strings are only searched for their end */
};

void json_open(struct json *json, struct slice text);

/* For text that lies inside a value that a scan has passed already: nothing is checked twice. */
void json_open_scanned(struct json *json, struct slice text);

/* Takes the opening bracket of an object or array; false (and JSON_SYNTAX) if something else stands
 * there. */
bool json_enter(struct json *json, enum json_type container);

/* The next member of the entered object: its name between the quotes (as it stands; *name_escaped:
 * it has a backslash, and json_unescape() of the token that starts one byte earlier tells) and its
 * value. False at the closing bracket, which it takes, and on an error: look at json->error. */
bool json_member(struct json *json, struct slice *name, bool *name_escaped,
                 struct json_value *value);

/* The next element of the entered array; as json_member(). */
bool json_element(struct json *json, struct json_value *value);

/* The value that stands here, whole, containers included. False on an error. */
bool json_value(struct json *json, struct json_value *value);

/* True iff no error was met and only white space is left. Sets JSON_SYNTAX (JSON_CONTROL for a
 * control character, NUL included) where something else is. */
bool json_end(struct json *json);

/* "syntax error", "invalid UTF-8", ...: for messages. */
const char *json_error_text(enum json_error error);

/* What a string token (quotes included) means: UTF-8 bytes, written to `out` (at least raw.len - 2
 * bytes; may not overlap). Returns their count. A lone surrogate becomes U+FFFD. The token must
 * have been scanned. */
size_t json_unescape(struct slice raw, char *out);

/* What the four digits behind a `\u` mean. The token must have been scanned. */
uint32_t json_hex4(const char *at);

/* Does the value stand on several lines? They can break between tokens only. */
bool json_has_breaks(struct slice raw);

/* The value without the white space between its tokens, written to `out` (raw.len bytes; may not
 * overlap). Returns its length. It must have been scanned. */
size_t json_join_lines(struct slice raw, char *out);

/* True iff the text is one JSON number token (RFC 8259, section 6), nothing around it. */
bool json_is_number(struct slice text);

/* True iff all bytes are well-formed UTF-8 (RFC 3629). */
bool utf8_valid(struct slice text);

#endif
