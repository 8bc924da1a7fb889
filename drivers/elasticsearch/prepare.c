/*
 * prepare.c: before the first document: is anybody there, and are both indexes as weir needs them?
 *
 *     for each server, until one answers:
 *         side index   missing ─► create: nothing in it is indexed, it only keeps states
 *         index        missing ─► create: `_weir` is kept and not indexed
 *                      there   ─► `_weir` is not mapped ─► add it
 *                                 `_weir` is indexed    ─► an error: that cannot be changed
 *
 * Both are created with index.gc_deletes of an hour: for so long a deleted document's version is
 * remembered, which must be longer than any request can be late. The side index comes first, so
 * that an index that weir created never stands without it. Shards and replicas are the server's
 * defaults or its templates'.
 *
 * Asked first and created only where missing: whoever runs weir may well have the right to write an
 * index and none to create one. Another node may create it in between; "already exists" is as good
 * as created, but not by us.
 *
 * A server that cannot be reached, is too busy or knows us not is EXIT_UNAVAILABLE: it may be
 * mended while we wait. What this does not do: the health of the cluster. A bulk will tell.
 */
#include "drivers/elasticsearch/prepare.h"

#include "dataplane/base/log.h"
#include "drivers/elasticsearch/answer.h"
#include "drivers/elasticsearch/ask.h"

#include <stdio.h>

#define PATH_BYTES_MAX (ASK_PATH_BYTES_MAX / 2)

static const char where[] = "elasticsearch";

static const char index_body[] =
    "{\"settings\":{\"index.gc_deletes\":\"1h\"},"
    "\"mappings\":{\"properties\":{\"_weir\":{\"type\":\"object\",\"enabled\":false}}}}";
static const char side_index_body[] =
    "{\"settings\":{\"index.gc_deletes\":\"1h\"},\"mappings\":{\"enabled\":false}}";
static const char mapping_body[] =
    "{\"properties\":{\"_weir\":{\"type\":\"object\",\"enabled\":false}}}";

/* 1: created. 0: somebody else was faster. -1 with *err. */
static int create(struct ask *ask, const char *index, const char *body)
{
    char path[PATH_BYTES_MAX];
    struct answer_error error;
    long status;

    snprintf(path, sizeof(path), "/%s", index);
    status = ask_request(ask, path, body);
    if (status < 0)
        return -1;
    if (status == 200) {
        log_line(LOG_NOTICE, where, "created the index %s", index);
        return 1;
    }
    error = answer_error(buf_slice(ask->answer));
    if (status == 400 && (answer_error_is(&error, "resource_already_exists_exception") ||
                          answer_error_is(&error, "index_already_exists_exception")))
        return 0;
    return ask_refuse(ask, status, "the index cannot be created");
}

static bool disabled(struct slice mapping)
{
    return slice_equal(ask_member(mapping, "enabled"), SLICE("false"));
}

enum weir_field prepare_field(struct slice text)
{
    enum weir_field field = FIELD_MISSING;
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    json_open(&json, text);
    if (!json_enter(&json, JSON_OBJECT))
        return FIELD_UNREADABLE;
    while (json_member(&json, &name, &escaped, &value)) {
        struct slice mappings = ask_member(value.raw, "mappings");
        struct slice weir = ask_member(ask_member(mappings, "properties"), "_weir");

        if (disabled(ask_member(mappings, "_source")))
            return FIELD_NO_SOURCE;
        if (weir.len > 0 && !disabled(weir))
            return FIELD_INDEXED;
        if (weir.len > 0)
            field = FIELD_GOOD;
    }
    return json_end(&json) ? field : FIELD_UNREADABLE;
}

static int add_field(struct ask *ask, const char *index)
{
    char path[PATH_BYTES_MAX];
    long status;

    snprintf(path, sizeof(path), "/%s/_mapping", index);
    status = ask_request(ask, path, mapping_body);
    if (status < 0)
        return -1;
    if (status != 200)
        return ask_refuse(ask, status, "`_weir` cannot be added to the index's mapping");
    log_line(LOG_NOTICE, where, "added `_weir` to the mapping of the index %s", index);
    return 0;
}

/* The index is there, and ask->answer is its mapping. */
static int check_field(struct ask *ask, const char *index)
{
    switch (prepare_field(buf_slice(ask->answer))) {
    case FIELD_MISSING:
        return add_field(ask, index);
    case FIELD_GOOD:
        return 0;
    case FIELD_INDEXED:
        return err_set(
            ask->err, EXIT_CONFIG,
            "the index %s maps `_weir` as a field that is indexed, and that cannot be changed: "
            "use another index, or reindex into one that weir created",
            index);
    case FIELD_NO_SOURCE:
        return err_set(ask->err, EXIT_CONFIG,
                       "the index %s keeps no `_source`, so weir cannot read its states back",
                       index);
    case FIELD_UNREADABLE:
        ask->try_next = true;
        return err_set(ask->err, EXIT_UNAVAILABLE, "%s: its answer is no JSON object",
                       ask->servers->server[ask->server].url);
    }
    return -1;
}

/* 1: created. 0: it was there. -1 with *err. */
static int ensure(struct ask *ask, const char *index, const char *body, bool has_field)
{
    char path[PATH_BYTES_MAX];
    int created = 0;
    long status;

    snprintf(path, sizeof(path), "/%s" PREPARE_FIELD_QUERY, index);
    status = ask_request(ask, path, NULL);
    if (status == 404) {
        created = create(ask, index, body);
        if (created != 0 || !has_field)
            return created;
        status = ask_request(ask, path, NULL); /* Somebody else created it, who knows how. */
    }
    if (status < 0)
        return -1;
    if (status != 200)
        return ask_refuse(ask, status, "the index cannot be looked at");
    return has_field ? check_field(ask, index) : 0;
}

static int prepare_at(struct ask *ask, const void *names_of)
{
    const struct prepare_names *names = names_of;
    int side = ensure(ask, names->side_index, side_index_body, false);
    int main = side < 0 ? -1 : ensure(ask, names->index, index_body, true);

    return main < 0 ? -1 : side == 1 && main == 1;
}

int prepare_run(struct servers *servers, const struct prepare_names *names, struct buf *answer,
                struct err *err)
{
    return ask_run(servers, answer, prepare_at, names, err);
}
