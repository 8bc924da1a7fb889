/*
 * json.c: the pull scanner: where a value ends, and whether everything up to there is fit to be
 * passed on.
 *
 *     {"id": 7, "tags": ["a", {"b": null}]}
 *      ^^^^  ^  ^^^^^^  ^~~~~~~~~~~~~~~~~~     json_member() returns a name and a whole value; what
 * is in it is checked with one bit a level of nesting
 *
 * A first scan (check_*) looks at every byte once: grammar, UTF-8, control characters, depth. It is
 * a loop with a stack of JSON_DEPTH_MAX bits (object or array), so hostile nesting costs nothing.
 * Within a string most bytes go by sixteen at a time (json_scan.h). A second scan (skip_*) of text
 * that passed once only looks for ends: brackets and quotes. It still never leaves the text, even
 * where the caller's promise is wrong.
 *
 * Invariants: start <= at <= end. After an error `at` is the byte that is wrong (or the end of the
 * text, for JSON_TRUNCATED), and everything returns false until the next json_open().
 *
 * What a string token means is json_text.c's. What this does not do: build a tree, convert numbers,
 * or detect duplicate names. Names are compared by who asks.
 */
#include "dataplane/base/json.h"

#include "dataplane/base/check.h"
#include "dataplane/base/json_scan.h"
#include "dataplane/base/utf8.h"

#include <stdint.h>

_Static_assert(JSON_DEPTH_MAX <= 128, "the bit stack has two words");

/* The open containers, outermost first. `depth` counts from the text's own start, so that what was
 * entered by json_enter() counts too; only levels from `floor` on are ours to close. */
struct nest {
    uint64_t object[2];
    unsigned depth, floor;
};

static bool fail(struct json *json, enum json_error error)
{
    json->error = error;
    return false;
}

/* The byte here cannot stand here. */
static bool fail_here(struct json *json)
{
    if (json->at == json->end)
        return fail(json, JSON_TRUNCATED);
    return fail(json, (unsigned char)*json->at < 0x20 ? JSON_CONTROL : JSON_SYNTAX);
}

static inline void skip_space(struct json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\t' || *json->at == '\r'))
        json->at++;
}

/* Takes white space, then `c`. */
static bool take_char(struct json *json, char c)
{
    skip_space(json);
    if (json->at == json->end || *json->at != c)
        return fail_here(json);
    json->at++;
    return true;
}

static bool hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What follows a backslash. */
static bool check_escape(struct json *json)
{
    if (json->at == json->end)
        return fail(json, JSON_TRUNCATED);
    switch (*json->at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        json->at++;
        return true;
    case 'u':
        json->at++;
        for (int i = 0; i < 4; i++, json->at++)
            if (json->at == json->end || !hex_digit(*json->at))
                return fail_here(json);
        return true;
    default:
        return fail_here(json);
    }
}

/* Well-formed sequences up to the next ASCII byte: text in most scripts stays here for long. */
static bool check_utf8(struct json *json)
{
    do {
        unsigned len = utf8_sequence(json->at, (size_t)(json->end - json->at));

        if (len == UTF8_BAD)
            return fail(json, JSON_UTF8);
        if (len == UTF8_CUT) {
            json->at = json->end;
            return fail(json, JSON_TRUNCATED);
        }
        json->at += len;
    } while (json->at < json->end && (unsigned char)*json->at >= 0x80);
    return true;
}

/* From the opening quote past the closing one. */
static bool check_string(struct json *json, bool *escaped)
{
    *escaped = false;
    json->at++;
    for (;;) {
        unsigned char c;

        json->at = json_run(json->at, json->end, JSON_RUN_STRICT);
        if (json->at == json->end)
            return fail(json, JSON_TRUNCATED);
        c = (unsigned char)*json->at;
        if (c == '"') {
            json->at++;
            return true;
        }
        if (c == '\\') {
            *escaped = true;
            json->at++;
            if (!check_escape(json))
                return false;
        } else if (c < 0x20) {
            return fail(json, JSON_CONTROL);
        } else if (!check_utf8(json)) {
            return false;
        }
    }
}

/* At least one digit. */
static bool check_digits(struct json *json)
{
    if (json->at == json->end || *json->at < '0' || *json->at > '9')
        return fail_here(json);
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
        json->at++;
    return true;
}

static bool check_number(struct json *json)
{
    if (*json->at == '-')
        json->at++;
    if (json->at < json->end && *json->at == '0')
        json->at++; /* A digit behind it is then no part of the number, and fails as that. */
    else if (!check_digits(json))
        return false;
    if (json->at < json->end && *json->at == '.') {
        json->at++;
        if (!check_digits(json))
            return false;
    }
    if (json->at < json->end && (*json->at == 'e' || *json->at == 'E')) {
        json->at++;
        if (json->at < json->end && (*json->at == '+' || *json->at == '-'))
            json->at++;
        return check_digits(json);
    }
    return true;
}

static bool check_word(struct json *json, const char *word)
{
    for (; *word != '\0'; word++, json->at++)
        if (json->at == json->end || *json->at != *word)
            return fail_here(json);
    return true;
}

static bool check_scalar(struct json *json)
{
    bool escaped;

    switch (*json->at) {
    case '"':
        return check_string(json, &escaped);
    case 't':
        return check_word(json, "true");
    case 'f':
        return check_word(json, "false");
    case 'n':
        return check_word(json, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return check_number(json);
    default:
        return fail_here(json);
    }
}

static bool check_name(struct json *json)
{
    bool escaped;

    skip_space(json);
    if (json->at == json->end || *json->at != '"')
        return fail_here(json);
    return check_string(json, &escaped) && take_char(json, ':');
}

static inline bool nest_is_object(const struct nest *nest)
{
    unsigned level = nest->depth - 1;

    return (nest->object[level / 64] >> (level % 64) & 1) != 0;
}

/* Takes an opening bracket and, in an object, the first name; or finds the container empty, and
 * then leaves the closing bracket to nest_close(). */
static bool nest_open(struct json *json, struct nest *nest, bool *empty)
{
    bool object = *json->at == '{';
    uint64_t bit;

    if (nest->depth == JSON_DEPTH_MAX)
        return fail(json, JSON_DEPTH);
    bit = UINT64_C(1) << (nest->depth % 64);
    if (object)
        nest->object[nest->depth / 64] |= bit;
    else
        nest->object[nest->depth / 64] &= ~bit;
    nest->depth++;
    json->at++;
    skip_space(json);
    *empty = json->at < json->end && *json->at == (object ? '}' : ']');
    return *empty || !object || check_name(json);
}

/* Behind a value: takes closing brackets until a comma says that another value follows, or until
 * all is closed. */
static bool nest_close(struct json *json, struct nest *nest)
{
    while (nest->depth > nest->floor) {
        bool object = nest_is_object(nest);

        skip_space(json);
        if (json->at == json->end)
            return fail(json, JSON_TRUNCATED);
        if (*json->at == ',') {
            json->at++;
            return !object || check_name(json);
        }
        if (*json->at != (object ? '}' : ']'))
            return fail_here(json);
        json->at++;
        nest->depth--;
    }
    return true;
}

/* One whole value, containers included. `floor`: how many containers are open around it. */
static bool check_value(struct json *json, unsigned floor)
{
    struct nest nest = { { 0, 0 }, floor, floor };

    do {
        bool closed = true; /* A value ended here: commas and closing brackets may follow. */

        skip_space(json);
        if (json->at == json->end)
            return fail(json, JSON_TRUNCATED);
        if (*json->at == '{' || *json->at == '[') {
            if (!nest_open(json, &nest, &closed))
                return false;
        } else if (!check_scalar(json)) {
            return false;
        }
        if (closed && !nest_close(json, &nest))
            return false;
    } while (nest.depth > nest.floor);
    return true;
}

/* As check_string(), for text that passed it. */
static bool skip_string(struct json *json, bool *escaped)
{
    *escaped = false;
    json->at++;
    for (;;) {
        json->at = json_run(json->at, json->end, JSON_RUN_SKIP);
        if (json->at == json->end)
            return fail(json, JSON_TRUNCATED);
        if (*json->at == '"') {
            json->at++;
            return true;
        }
        *escaped = true;
        if (json->end - json->at < 2) {
            json->at = json->end;
            return fail(json, JSON_TRUNCATED);
        }
        json->at += 2;
    }
}

/* From an opening bracket past the one that closes it. */
static bool skip_container(struct json *json)
{
    size_t depth = 0;
    bool escaped;

    while (json->at < json->end) {
        switch (*json->at) {
        case '"':
            if (!skip_string(json, &escaped))
                return false;
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            depth--;
            break;
        default:
            break;
        }
        json->at++;
        if (depth == 0)
            return true;
    }
    return fail(json, JSON_TRUNCATED);
}

static bool type_of(struct json *json, enum json_type *type)
{
    skip_space(json);
    if (json->at == json->end)
        return fail(json, JSON_TRUNCATED);
    switch (*json->at) {
    case '{':
        *type = JSON_OBJECT;
        return true;
    case '[':
        *type = JSON_ARRAY;
        return true;
    case '"':
        *type = JSON_STRING;
        return true;
    case 't':
        *type = JSON_TRUE;
        return true;
    case 'f':
        *type = JSON_FALSE;
        return true;
    case 'n':
        *type = JSON_NULL;
        return true;
    default:
        *type = JSON_NUMBER; /* Or nothing at all, which check_scalar() finds out. */
        return true;
    }
}

/* The value here, within `floor` open containers. */
static bool take_value(struct json *json, struct json_value *value, unsigned floor)
{
    const char *from;
    bool good;

    if (!type_of(json, &value->type))
        return false;
    from = json->at;
    value->escaped = false;
    if (value->type == JSON_STRING)
        good = json->scanned ? skip_string(json, &value->escaped)
                             : check_string(json, &value->escaped);
    else if (value->type == JSON_OBJECT || value->type == JSON_ARRAY)
        good = json->scanned ? skip_container(json) : check_value(json, floor);
    else
        good = check_scalar(json);
    value->raw = (struct slice){ from, (size_t)(json->at - from) };
    return good;
}

/* Between members or elements: takes the comma, or the closing bracket (then false). */
static bool take_separator(struct json *json, char closing)
{
    if (json->error != JSON_OK)
        return false;
    skip_space(json);
    if (json->at == json->end)
        return fail(json, JSON_TRUNCATED);
    if (*json->at == closing) {
        json->at++;
        return false;
    }
    if (json->first) {
        json->first = false;
        return true;
    }
    return take_char(json, ',');
}

void json_open(struct json *json, struct slice text)
{
    /* Arithmetic on NULL is not defined, and an empty slice may have it. */
    const char *data = text.data ? text.data : "";

    *json = (struct json){ .start = data, .at = data, .end = data + text.len, .error = JSON_OK };
}

void json_open_scanned(struct json *json, struct slice text)
{
    json_open(json, text);
    json->scanned = true;
}

bool json_enter(struct json *json, enum json_type container)
{
    ASSERT(container == JSON_OBJECT || container == JSON_ARRAY);
    if (json->error != JSON_OK)
        return false;
    json->first = true;
    return take_char(json, container == JSON_OBJECT ? '{' : '[');
}

bool json_member(struct json *json, struct slice *name, bool *name_escaped,
                 struct json_value *value)
{
    const char *from;

    if (!take_separator(json, '}'))
        return false;
    skip_space(json);
    if (json->at == json->end || *json->at != '"')
        return fail_here(json);
    from = json->at + 1;
    if (!(json->scanned ? skip_string(json, name_escaped) : check_string(json, name_escaped)))
        return false;
    *name = (struct slice){ from, (size_t)(json->at - from) - 1 };
    return take_char(json, ':') && take_value(json, value, 1);
}

bool json_element(struct json *json, struct json_value *value)
{
    return take_separator(json, ']') && take_value(json, value, 1);
}

bool json_value(struct json *json, struct json_value *value)
{
    return json->error == JSON_OK && take_value(json, value, 0);
}

bool json_end(struct json *json)
{
    if (json->error != JSON_OK)
        return false;
    skip_space(json);
    return json->at == json->end || fail_here(json);
}

bool json_is_number(struct slice text)
{
    struct json json;

    json_open(&json, text);
    return text.len > 0 && check_number(&json) && json.at == json.end;
}
