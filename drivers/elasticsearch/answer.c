/*
 * answer.c: what the server's JSON answers say.
 *
 *     {"items":[{"index":{"status":201}},{"index":{"status":400,"error":{"type":..,"reason":..}}}]}
 *     {"docs":[{"_id":"a","_version":5,"found":true,"_source":{...}},{"_id":"a","found":false}]}
 *
 * answer_list_open() scans the whole text once, so a truncated or garbled answer is refused before
 * its first item is looked at; the steps after it only search for ends. Members that we do not know
 * are passed over: the requests ask for few of them (filter_path), but a proxy or an older server
 * may ignore that.
 *
 * Reasons are cut before they are unescaped, at a character and never inside an escape sequence: a
 * server quotes the offending value in its message, and that can be as large as the document.
 */
#include "drivers/elasticsearch/answer.h"

/* Room for the longest cut of a string token: every byte of the reason as \u00XX, and quotes. */
#define TOKEN_BYTES_MAX (ANSWER_REASON_BYTES_MAX * 6 + 2)

static bool name_is(struct slice name, const char *text)
{
    return slice_equal(name, slice_of(text));
}

static bool parse_u64(struct slice digits, uint64_t *number)
{
    *number = 0;
    if (digits.len == 0)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.data[i];

        if (c < '0' || c > '9' || __builtin_mul_overflow(*number, 10u, number) ||
            __builtin_add_overflow(*number, (uint64_t)(c - '0'), number))
            return false;
    }
    return true;
}

/* The value of an "error" member, which was scanned before. */
static struct answer_error read_error(const struct json_value *value)
{
    struct answer_error error = { .there = true };
    struct json_value member;
    struct slice name;
    struct json json;
    bool escaped;

    if (value->type == JSON_STRING)
        error.reason = value->raw;
    if (value->type != JSON_OBJECT)
        return error;
    json_open_scanned(&json, value->raw);
    if (!json_enter(&json, JSON_OBJECT))
        return error;
    while (json_member(&json, &name, &escaped, &member)) {
        if (member.type == JSON_STRING && name_is(name, "type"))
            error.type = member.raw;
        else if (member.type == JSON_STRING && name_is(name, "reason"))
            error.reason = member.raw;
    }
    return error;
}

struct answer_error answer_error(struct slice text)
{
    struct answer_error error = { .there = false };
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    json_open(&json, text);
    if (!json_enter(&json, JSON_OBJECT))
        return error;
    while (json_member(&json, &name, &escaped, &value))
        if (name_is(name, "error"))
            error = read_error(&value);
    return json_end(&json) ? error : (struct answer_error){ .there = false };
}

bool answer_error_is(const struct answer_error *error, const char *type)
{
    size_t len = strlen(type);

    return error->type.len == len + 2 && memcmp(error->type.data + 1, type, len) == 0;
}

/* How many bytes the character or escape sequence at `at` takes; the token was scanned, so it is
 * whole. */
static size_t unit_bytes(const char *at)
{
    unsigned char c = (unsigned char)*at;

    if (c == '\\')
        return at[1] == 'u' ? 6 : 2;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Appends what the string token means, at most `room` bytes of it, without control characters. */
static void put_token(struct buf *out, struct slice token, size_t room)
{
    char cut[TOKEN_BYTES_MAX], text[TOKEN_BYTES_MAX];
    size_t at = 1, unescaped = 0, len;

    if (token.len < 2)
        return;
    while (at + 1 < token.len) {
        size_t bytes = unit_bytes(token.data + at);
        size_t gives =
            bytes == 6 ? 3 : bytes; /* \uXXXX is at most three bytes, a pair of them four */

        if (unescaped + gives > room || at + bytes + 1 > token.len || at + bytes >= sizeof(cut))
            break;
        unescaped += gives;
        at += bytes;
    }
    memcpy(cut, token.data, at);
    cut[at] = '"';
    len = json_unescape((struct slice){ cut, at + 1 }, text);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20)
            text[i] = ' ';
    buf_put(out, text, len);
}

void answer_error_text(const struct answer_error *error, const char *otherwise, struct buf *out)
{
    size_t from = out->len;

    if (error->type.len <= 2 && error->reason.len <= 2) {
        buf_put_slice(out, slice_of(otherwise));
        return;
    }
    put_token(out, error->type, ANSWER_REASON_BYTES_MAX / 4);
    if (error->type.len > 2 && error->reason.len > 2)
        buf_put_literal(out, ": ");
    put_token(out, error->reason, ANSWER_REASON_BYTES_MAX - (out->len - from));
}

static bool broken(struct answer_list *list, const char *why)
{
    list->broken = why;
    return false;
}

bool answer_list_open(struct answer_list *list, struct slice text, const char *name)
{
    struct slice array = { NULL, 0 }, member;
    struct json_value value;
    bool escaped;

    list->broken = NULL;
    json_open(&list->json, text);
    if (json_enter(&list->json, JSON_OBJECT))
        while (json_member(&list->json, &member, &escaped, &value))
            if (value.type == JSON_ARRAY && name_is(member, name))
                array = value.raw;
    if (!json_end(&list->json))
        return broken(list, json_error_text(list->json.error));
    if (array.data == NULL)
        return broken(list, "the list that was asked for is missing");
    json_open_scanned(&list->json, array);
    return json_enter(&list->json, JSON_ARRAY) || broken(list, "the list cannot be read");
}

/* The members of one operation's answer. */
static bool read_item(struct slice text, struct answer_item *item)
{
    struct json_value value;
    uint64_t status = 0;
    struct slice name;
    struct json json;
    bool escaped;

    json_open_scanned(&json, text);
    if (!json_enter(&json, JSON_OBJECT))
        return false;
    while (json_member(&json, &name, &escaped, &value)) {
        if (name_is(name, "status") && !parse_u64(value.raw, &status))
            return false;
        if (name_is(name, "error"))
            item->error = read_error(&value);
    }
    item->status = (unsigned)(status <= 999 ? status : 0);
    return item->status >= 100;
}

bool answer_next_item(struct answer_list *list, struct answer_item *item)
{
    struct json_value element, value;
    struct json json;
    bool escaped;

    *item = (struct answer_item){ .status = 0 };
    if (!json_element(&list->json, &element))
        return list->json.error == JSON_OK ? false : broken(list, "an item cannot be read");
    json_open_scanned(&json, element.raw);
    if (!json_enter(&json, JSON_OBJECT) || !json_member(&json, &item->op, &escaped, &value) ||
        !read_item(value.raw, item))
        return broken(list, "an item has no status");
    return true;
}

bool answer_next_doc(struct answer_list *list, struct answer_doc *doc)
{
    struct json_value element, value;
    struct slice name;
    struct json json;
    bool escaped;

    *doc = (struct answer_doc){ .found = false };
    if (!json_element(&list->json, &element))
        return list->json.error == JSON_OK ? false : broken(list, "a document cannot be read");
    json_open_scanned(&json, element.raw);
    if (!json_enter(&json, JSON_OBJECT))
        return broken(list, "a document is not an object");
    while (json_member(&json, &name, &escaped, &value)) {
        if (name_is(name, "_id") && value.type == JSON_STRING)
            doc->id = value.raw;
        else if (name_is(name, "found"))
            doc->found = value.type == JSON_TRUE;
        else if (name_is(name, "_version") && !parse_u64(value.raw, &doc->version))
            return broken(list, "a document's version is not a number");
        else if (name_is(name, "_source") && value.type == JSON_OBJECT)
            doc->source = value.raw;
        else if (name_is(name, "error"))
            doc->error = read_error(&value);
    }
    return json.error == JSON_OK || broken(list, "a document cannot be read");
}
