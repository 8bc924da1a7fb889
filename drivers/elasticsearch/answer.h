/*
 * answer.h: what the server's JSON answers say. Pure functions of the text; any thread. Internal to
 * drivers/elasticsearch.
 *
 * Answers are bytes from outside: they are checked whole before a single item of them is believed.
 */
#ifndef WEIR_ELASTICSEARCH_ANSWER_H
#define WEIR_ELASTICSEARCH_ANSWER_H

#include "dataplane/base/arena.h"
#include "dataplane/base/json.h"

#include <stdint.h>

#define ANSWER_REASON_BYTES_MAX 1024u

/* `type` and `reason` are string tokens with their quotes, as they stand in the text; empty where
 * they are missing. */
struct answer_error {
    bool there;
    struct slice type, reason;
};

/* The error of a whole request: {"error":{"type":..,"reason":..},"status":..}; `there` false where
 * the text is something else. An "error" that is only a string is its reason. */
struct answer_error answer_error(struct slice text);

/* True iff the error is of this type. */
bool answer_error_is(const struct answer_error *error, const char *type);

/* Appends "type: reason" for people, unescaped, at most ANSWER_REASON_BYTES_MAX bytes, cut between
 * characters; `otherwise` where the error has neither. */
void answer_error_text(const struct answer_error *error, const char *otherwise, struct buf *out);

/* One operation of a bulk. */
struct answer_item {
    struct slice op; /* "index", "delete", between the quotes */
    unsigned status; /* 100..999 */
    struct answer_error error;
};

/* One document of an _mget. */
struct answer_doc {
    struct slice id; /* the string token, with its quotes */
    bool found;
    uint64_t version;    /* 0 where it is missing */
    struct slice source; /* the `_source` object as it stands; empty where it is missing */
    struct answer_error error;
};

/* Steps through `items` or `docs`. */
struct answer_list {
    struct json json;
    const char *broken; /* why the answer cannot be believed; NULL: it can so far */
};

/* False, with list->broken set, where the text is not one JSON object with the array `name` in it.
 */
MUST_CHECK bool answer_list_open(struct answer_list *list, struct slice text, const char *name);

/* The next one; false at the end, and where it is not what it should be (list->broken). */
MUST_CHECK bool answer_next_item(struct answer_list *list, struct answer_item *item);
MUST_CHECK bool answer_next_doc(struct answer_list *list, struct answer_doc *doc);

#endif
