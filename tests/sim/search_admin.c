/*
 * search_admin.c: the indexes of the modelled search cluster: created, their mappings and settings.
 *
 *     PUT /orders ─► an index: how `_weir` is mapped, its gc_deletes
 *     GET /orders/_mapping, /orders/_settings ─► the same, as the driver's filters leave it
 *
 * An index that a bulk created has the server's defaults. What this does not do: shards, replicas,
 * templates, aliases, deleting an index, any mapping but `_weir`.
 */
#include "tests/sim/search_model.h"

#include <stdio.h>

/* Stricter than the real one, so that no name is escaped anywhere. */
static bool good_name(struct slice name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

    if (name.len == 0 || name.len > SEARCH_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (memchr(letters, name.data[i], sizeof(letters) - 1) == NULL)
            return false;
    return *name.data != '_' && *name.data != '-';
}

struct search_index *search_index_create(struct search *search, struct slice name)
{
    static const char side[] = "-weir";
    struct search_index *index = &search->indexes[search->n_indexes];

    if (!good_name(name) || search->n_indexes == SEARCH_INDEXES_MAX)
        return NULL;
    search->n_indexes++;
    *index = (struct search_index){ .weir = SEARCH_UNMAPPED, .gc_deletes = "60s" };
    memcpy(index->name, name.data, name.len);
    index->side =
        name.len >= strlen(side) && strcmp(index->name + name.len - strlen(side), side) == 0;
    sim_trace("search: the index %s is created", index->name);
    return index;
}

static enum search_field weir_of(struct slice mappings)
{
    struct slice weir = search_member(search_member(mappings, "properties"), "_weir");

    if (weir.len == 0)
        return SEARCH_UNMAPPED;
    return slice_equal(search_member(weir, "enabled"), SLICE("false")) ? SEARCH_DISABLED
                                                                       : SEARCH_INDEXED;
}

static void create_index(struct search *search, const struct search_request *request,
                         struct buf *answer)
{
    struct slice gc_deletes;
    struct search_index *index;

    if (search_index_named(search, request->index) != NULL) {
        search_refuse(answer, 400, "resource_already_exists_exception", "index already exists");
        return;
    }
    if (!search_is_object(request->body)) {
        search_refuse(answer, 400, "parse_exception", "request body is required");
        return;
    }
    index = search_index_create(search, request->index);
    if (index == NULL) {
        search_refuse(answer, 400, "invalid_index_name_exception", "Invalid index name");
        return;
    }
    index->weir = weir_of(search_member(request->body, "mappings"));
    gc_deletes = search_member(search_member(request->body, "settings"), "index.gc_deletes");
    if (gc_deletes.len > 2 && gc_deletes.len - 2 < sizeof(index->gc_deletes))
        snprintf(index->gc_deletes, sizeof(index->gc_deletes), "%.*s", (int)gc_deletes.len - 2,
                 gc_deletes.data + 1);
    buf_printf(answer, "200\n{\"acknowledged\":true,\"shards_acknowledged\":true,\"index\":\"%s\"}",
               index->name);
}

static void tell_mapping(const struct search_index *index, struct buf *answer)
{
    switch (index->weir) {
    case SEARCH_UNMAPPED:
        buf_put_literal(answer, "200\n{}"); /* all of it is filtered out */
        return;
    case SEARCH_DISABLED:
        buf_printf(answer,
                   "200\n{\"%s\":{\"mappings\":{\"properties\":"
                   "{\"_weir\":{\"type\":\"object\",\"enabled\":false}}}}}",
                   index->name);
        return;
    case SEARCH_INDEXED:
        buf_printf(answer,
                   "200\n{\"%s\":{\"mappings\":{\"properties\":"
                   "{\"_weir\":{\"properties\":{\"t\":{\"type\":\"long\"}}}}}}}",
                   index->name);
        return;
    }
}

static void add_mapping(struct search_index *index, struct slice body, struct buf *answer)
{
    enum search_field weir = search_is_object(body) ? weir_of(body) : SEARCH_UNMAPPED;

    if (index->weir != SEARCH_UNMAPPED && weir != SEARCH_UNMAPPED && weir != index->weir) {
        search_refuse(answer, 500, "mapper_exception",
                      "the [enabled] parameter can't be updated for the object mapping [_weir]");
        return;
    }
    if (weir != SEARCH_UNMAPPED)
        index->weir = weir;
    buf_put_literal(answer, "200\n{\"acknowledged\":true}");
}

static void tell_settings(const struct search_index *index, struct buf *answer)
{
    buf_printf(answer,
               "200\n{\"%s\":{\"settings\":{\"index.gc_deletes\":\"%s\"},"
               "\"defaults\":{\"index.translog.durability\":\"REQUEST\"}}}",
               index->name, index->gc_deletes);
}

static void no_such_index(struct buf *answer, struct slice name)
{
    char reason[SEARCH_NAME_BYTES_MAX + 32];

    snprintf(reason, sizeof(reason), "no such index [%.*s]",
             (int)(name.len < SEARCH_NAME_BYTES_MAX ? name.len : SEARCH_NAME_BYTES_MAX), name.data);
    search_refuse(answer, 404, "index_not_found_exception", reason);
}

static bool starts_with(struct slice text, struct slice head)
{
    return text.len >= head.len && memcmp(text.data, head.data, head.len) == 0;
}

bool search_admin(struct search *search, const struct search_request *request, struct buf *answer)
{
    struct search_index *index = search_index_named(search, request->index);
    bool get = slice_equal(request->method, SLICE("GET"));
    bool settings = get && starts_with(request->rest, SLICE("_settings/"));
    bool mapping = search_request_is(request, "GET", "_mapping");
    bool add = search_request_is(request, "PUT", "_mapping");

    if (search_request_is(request, "PUT", ""))
        create_index(search, request, answer);
    else if (!settings && !mapping && !add)
        return false;
    else if (index == NULL)
        no_such_index(answer, request->index);
    else if (settings)
        tell_settings(index, answer);
    else if (mapping)
        tell_mapping(index, answer);
    else
        add_mapping(index, request->body, answer);
    return true;
}
