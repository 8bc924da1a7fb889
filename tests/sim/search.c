/*
 * search.c: the modelled search cluster: its door, what goes wrong there, and what checks may see.
 *
 *     request ─► dice: is it busy? ─► route ─► _bulk      search_bulk.c ──┐
 *                                        ├───► _mget      search_read.c ──┼─► search_index.c:
 *                                        └───► indexes    search_admin.c  ┘   keys and versions
 *
 * A write is done when it is served, durable from then on, and seen by all that is served later.
 * What may be done or not where the answer is an error: see search.h.
 *
 * What this does not do: shards and copies of them (a read never meets a copy that lags, deletes
 * are not forgotten when a shard moves), masters, authentication, anything that the driver does not
 * ask for.
 */
#include "dataplane/base/json.h"
#include "tests/sim/search_model.h"

#include <stdlib.h>

#define BODY_BYTES_MAX ((size_t)100 << 20) /* http.max_content_length */
#define RED_US_MIN     UINT64_C(500000)
#define RED_US_MAX     UINT64_C(10000000)
#define RED_PAUSE_US   UINT64_C(30000000)

/* ---- errors ---- */

void search_put_error(struct buf *answer, const char *type, const char *reason)
{
    buf_put_literal(answer, "{\"type\":");
    buf_put_json_string(answer, slice_of(type));
    buf_put_literal(answer, ",\"reason\":");
    buf_put_json_string(answer, slice_of(reason));
    buf_put_char(answer, '}');
}

void search_refuse(struct buf *answer, unsigned status, const char *type, const char *reason)
{
    sim_trace("search: a request is refused: %u %s: %s", status, type, reason);
    buf_printf(answer, "%u\n{\"error\":", status);
    search_put_error(answer, type, reason);
    buf_printf(answer, ",\"status\":%u}", status);
}

/* ---- JSON ---- */

struct slice search_member(struct slice object, const char *wanted)
{
    struct slice found = { NULL, 0 }, name;
    struct json_value value;
    struct json json;
    bool escaped;

    json_open_scanned(&json, object);
    if (object.len > 0 && *object.data == '{' && json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &name, &escaped, &value))
            if (slice_equal(name, slice_of(wanted)))
                found = value.raw;
    return found;
}

bool search_is_object(struct slice text)
{
    struct json_value value;
    struct json json;

    json_open(&json, text);
    return json_value(&json, &value) && value.type == JSON_OBJECT && json_end(&json);
}

/* ---- indexes ---- */

struct search_index *search_index_named(struct search *search, struct slice name)
{
    for (unsigned i = 0; i < search->n_indexes; i++)
        if (slice_equal(slice_of(search->indexes[i].name), name))
            return &search->indexes[i];
    return NULL;
}

bool search_index_is_red(const struct search_index *index)
{
    return !sim_calm() && sim_now_us() < index->red_until_us;
}

/* ---- the door ---- */

static bool cut(struct slice *text, char at, struct slice *head)
{
    const char *end = text->len == 0 ? NULL : memchr(text->data, at, text->len);

    if (end == NULL)
        return false;
    *head = (struct slice){ text->data, (size_t)(end - text->data) };
    text->len -= head->len + 1;
    text->data = end + 1;
    return true;
}

static bool read_request(struct slice text, struct search_request *request)
{
    struct slice line, path;

    if (!cut(&text, '\n', &line) || !cut(&line, ' ', &request->method) || line.len == 0 ||
        *line.data != '/')
        return false;
    request->body = text;
    if (cut(&line, '?', &path))
        line = path;
    line.data++;
    line.len--;
    if (cut(&line, '/', &request->index)) {
        request->rest = line;
    } else {
        request->index = line;
        request->rest = (struct slice){ line.data, 0 };
    }
    return true;
}

bool search_request_is(const struct search_request *request, const char *method, const char *rest)
{
    return slice_equal(request->method, slice_of(method)) &&
           slice_equal(request->rest, slice_of(rest));
}

static void route(struct search *search, const struct search_request *request, bool done_whole,
                  struct buf *answer)
{
    if (search_request_is(request, "POST", "_bulk"))
        search_bulk(search, request, done_whole, answer);
    else if (search_request_is(request, "POST", "_mget"))
        search_mget(search, request, answer);
    else if (search_request_is(request, "GET", "") && request->index.len == 0)
        buf_put_literal(answer, "200\n{\"version\":{\"number\":\"8.19.0\"}}");
    else if (!search_admin(search, request, answer))
        search_refuse(answer, 405, "illegal_argument_exception", "Incorrect HTTP method");
}

/* Now and then, so that some work gets done in between. */
static void turn_red(struct search *search)
{
    struct search_index *index;

    if (search->n_indexes == 0)
        return;
    index = &search->indexes[sim_below(search->n_indexes)];
    if (index->red_until_us > 0 && sim_now_us() < index->red_until_us + RED_PAUSE_US)
        return;
    index->red_until_us = sim_now_us() + sim_between(RED_US_MIN, RED_US_MAX);
    sim_trace("search: the documents of %s are away", index->name);
}

void search_ask(struct search *search, struct slice text, struct buf *answer)
{
    unsigned trouble = sim_chance(sim_dials()->busy_whole) ? 1 + sim_below(4) : 0;
    bool done_whole = true;
    struct search_request request;

    if (!read_request(text, &request)) {
        search_refuse(answer, 400, "illegal_argument_exception", "not a request");
        return;
    }
    if (request.body.len > search->body_bytes_max) {
        buf_put_literal(answer, "413\n");
        return;
    }
    search->counts.busy_whole += trouble != 0;
    switch (trouble) {
    case 1:
        search_refuse(answer, 429, "es_rejected_execution_exception", "rejected execution");
        return;
    case 2:
        search_refuse(answer, 503, "cluster_block_exception",
                      "blocked by: [SERVICE_UNAVAILABLE/2/no master];");
        return;
    case 3:
        turn_red(search);
        break;
    case 4:
        done_whole = false;
        break;
    }
    route(search, &request, done_whole, answer);
}

static bool serve(struct net_server *server, struct slice request, struct buf *answer)
{
    search_ask((struct search *)(void *)server, request, answer);
    return true;
}

struct search *search_open(void)
{
    struct search *search = calloc(1, sizeof(*search));

    ASSERT(search != NULL);
    search->door = (struct net_server){ .name = "search", .serve = serve };
    search->body_bytes_max = BODY_BYTES_MAX;
    search->salt = sim_random();
    return search;
}

struct net_server *search_door(struct search *search)
{
    return &search->door;
}

void search_set_body_bytes_max(struct search *search, size_t bytes)
{
    search->body_bytes_max = bytes;
}

unsigned search_forget(struct search *search)
{
    uint64_t now = sim_now_us();
    unsigned forgotten = 0;

    if (now < SEARCH_REMEMBERED_US)
        return 0;
    for (unsigned i = 0; i < search->n_indexes; i++)
        forgotten += search_index_forget(&search->indexes[i], now - SEARCH_REMEMBERED_US);
    if (forgotten > 0)
        sim_trace("search: forgets %u deleted documents", forgotten);
    return forgotten;
}

/* ---- for checks ---- */

static struct search_document document_of(const struct search_index *index,
                                          const struct search_entry *entry)
{
    return (struct search_document){ .index = index->name,
                                     .side = index->side,
                                     .there = entry->state == SEARCH_THERE,
                                     .forgotten = entry->state == SEARCH_FORGOTTEN,
                                     .key = entry->key,
                                     .source = entry->source,
                                     .version = entry->version,
                                     .refused_max = entry->refused_max };
}

void search_walk(const struct search *search,
                 void (*see)(void *context, const struct search_document *document), void *context)
{
    for (unsigned i = 0; i < search->n_indexes; i++)
        for (unsigned k = 0; k < search->indexes[i].n; k++) {
            struct search_document document =
                document_of(&search->indexes[i], &search->indexes[i].entries[k]);

            see(context, &document);
        }
}

bool search_find(const struct search *search, const char *name, struct slice key,
                 struct search_document *document)
{
    for (unsigned i = 0; i < search->n_indexes; i++) {
        const struct search_index *index = &search->indexes[i];
        const struct search_entry *entry =
            strcmp(index->name, name) == 0 ? search_index_find(index, key) : NULL;

        if (entry != NULL) {
            *document = document_of(index, entry);
            return true;
        }
    }
    return false;
}

void search_watch(struct search *search,
                  void (*seen)(void *context, const struct search_write *write), void *context)
{
    search->seen = seen;
    search->seen_context = context;
}

const struct search_counts *search_counts(const struct search *search)
{
    return &search->counts;
}
