/*
 * search_read.c: _mget of the modelled search cluster.
 *
 *     {"docs":[{"_id":"a"},{"_index":"orders-weir","_id":"a"}]} ─► {"docs":[{...},{...}]}
 *
 * Reads are of the last write, as the real one's are by id: there is no refresh to wait for. A
 * document's source is the bytes that were written. What this does not do: read from a copy that
 * lags behind, `ids`, source filters.
 */
#include "dataplane/base/json.h"
#include "tests/sim/search_model.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#define FAILING_BELOW 16 /* of the first documents of a request, one may fail */

static void put_found(struct buf *answer, const struct search_entry *entry)
{
    buf_printf(answer,
               ",\"_version\":%" PRIu64 ",\"_seq_no\":%" PRIu64
               ",\"_primary_term\":1,\"found\":true,\"_source\":",
               entry->version, entry->seq_no);
    buf_put_slice(answer, entry->source);
}

static void put_document(struct search *search, struct slice name, struct slice key, bool fails,
                         struct buf *answer)
{
    const struct search_index *index = search_index_named(search, name);
    const struct search_entry *entry = index == NULL ? NULL : search_index_find(index, key);

    buf_put_literal(answer, "{\"_index\":");
    buf_put_json_string(answer, name);
    buf_put_literal(answer, ",\"_id\":");
    buf_put_json_string(answer, key);
    if (index == NULL) {
        buf_put_literal(answer, ",\"error\":");
        search_put_error(answer, "index_not_found_exception", "no such index");
    } else if (search_index_is_red(index) || fails) {
        search->counts.busy_items++;
        buf_put_literal(answer, ",\"error\":");
        search_put_error(answer, "no_shard_available_action_exception", index->name);
    } else if (entry == NULL || entry->state != SEARCH_THERE) {
        buf_put_literal(answer, ",\"found\":false");
    } else {
        put_found(answer, entry);
    }
    buf_put_char(answer, '}');
}

/* One of the documents that are asked for, of the index `name` unless it says another; false where
 * it cannot be read. */
static bool look_up(struct search *search, struct slice name, struct slice doc, bool fails,
                    struct buf *answer)
{
    struct slice id = search_member(doc, "_id"), index = search_member(doc, "_index"), key;
    char *scratch;

    if (id.len <= 2 || *id.data != '"')
        return false;
    scratch = malloc(doc.len);
    ASSERT(scratch != NULL);
    key = (struct slice){ scratch, json_unescape(id, scratch) };
    if (index.len > 2 && *index.data == '"')
        name = (struct slice){ scratch + key.len, json_unescape(index, scratch + key.len) };
    put_document(search, name, key, fails, answer);
    free(scratch);
    return true;
}

static bool look_up_all(struct search *search, const struct search_request *request,
                        struct buf *answer)
{
    unsigned failing = sim_chance(sim_dials()->busy_item) ? sim_below(FAILING_BELOW) : UINT_MAX;
    struct json_value doc;
    struct slice docs;
    struct json json;
    unsigned n = 0;

    if (!search_is_object(request->body))
        return false;
    docs = search_member(request->body, "docs");
    json_open_scanned(&json, docs);
    if (docs.len == 0 || !json_enter(&json, JSON_ARRAY))
        return false;
    buf_put_literal(answer, "200\n{\"docs\":[");
    while (json_element(&json, &doc)) {
        if (n > 0)
            buf_put_char(answer, ',');
        if (!look_up(search, request->index, doc.raw, n++ == failing, answer))
            return false;
    }
    buf_put_literal(answer, "]}");
    return n > 0;
}

void search_mget(struct search *search, const struct search_request *request, struct buf *answer)
{
    size_t from = answer->len;

    search->counts.lookups++;
    if (!look_up_all(search, request, answer)) {
        buf_rewind(answer, from);
        search_refuse(answer, 400, "action_request_validation_exception",
                      "Validation Failed: 1: no documents to get;");
    }
}
