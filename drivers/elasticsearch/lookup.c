/*
 * lookup.c: states read back: one _mget for many keys.
 *
 *     POST /orders/_mget  {"docs":[{"_id":"a"},{"_index":"orders-weir","_id":"a"}, ...]}
 *                                   └─ what is shown   └─ what was deleted (R6); both may be there
 *
 * The answer holds the documents in the order asked; each `_id` is compared all the same, because a
 * state merged into the wrong entity could never be taken out again. `_source` is parsed in place,
 * so the answer stays until the lookup is recycled.
 *
 * Answers are as large as the documents are, so how many keys fit is not known beforehand. Where an
 * answer (or what is made of it) does not fit, or the server finds something to refuse, the lookup
 * says "ask again" and the next ones take half as many keys; when they fit easily, twice as many
 * again. At one key alone it is that key's fault: LOOKUP_BROKEN. So no request is ever split here,
 * and no answer is copied.
 *
 * A document without `_weir` is somebody else's. It counts as found, with its version and without a
 * state.
 *
 * What this does not do: decide when to ask again, or merge the two states.
 */
#include "drivers/elasticsearch/lookup.h"

#include "dataplane/base/counter.h"
#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"
#include "drivers/elasticsearch/answer.h"

#include <stdio.h>

#define REASON_BYTES_MAX      640
#define KEY_REQUEST_BYTES_MAX (2 * (6 * (KEY_BYTES_MAX + 256) + 64))

static const char where[] = "elasticsearch";

static void request_done(struct http_call *call);

void lookup_shared_open(struct lookup_shared *shared, const char *path, const char *side_index,
                        const struct plan *plan)
{
    *shared = (struct lookup_shared){ .path = path,
                                      .side_index = side_index,
                                      .plan = plan,
                                      .keys_max = LOOKUP_KEYS_MAX,
                                      .answer_bytes_max = (size_t)256 << 20,
                                      .arena_bytes_max = (size_t)256 << 20 };
}

int lookup_open(struct lookup *lookup, struct http *http, struct lookup_shared *shared,
                struct err *err)
{
    size_t request_bytes = LOOKUP_KEYS_MAX * KEY_REQUEST_BYTES_MAX;

    *lookup = (struct lookup){ .state = LOOKUP_FREE, .shared = shared };
    buf_open(&lookup->request, request_bytes, "lookups");
    buf_open(&lookup->reasons, LOOKUP_KEYS_MAX * REASON_BYTES_MAX, "broken states");
    arena_open(&lookup->arena, shared->arena_bytes_max, "states read back");
    lookup->keys = memory_reserve(LOOKUP_KEYS_MAX * sizeof(*lookup->keys), "keys of a lookup");
    lookup->lookup.items =
        memory_reserve(LOOKUP_KEYS_MAX * sizeof(*lookup->lookup.items), "items of a lookup");
    if (http_call_open(&lookup->call, http,
                       &(struct http_call_options){ .path = shared->path,
                                                    .content_type = "application/json",
                                                    .body_bytes_max = request_bytes,
                                                    .answer_bytes_max = shared->answer_bytes_max },
                       err) != 0)
        return -1;
    lookup->call.owner = lookup;
    lookup->call.done = request_done;
    return 0;
}

void lookup_begin(struct lookup *lookup)
{
    ASSERT(lookup->state == LOOKUP_FREE);
    lookup->state = LOOKUP_FILLING;
    lookup->lookup.n = 0;
    lookup->lookup.failed_whole = false;
    buf_reset(&lookup->request);
    buf_reset(&lookup->reasons);
    arena_reset(&lookup->arena);
    buf_put_literal(&lookup->request, "{\"docs\":[");
}

bool lookup_add(struct lookup *lookup, struct slice key)
{
    struct buf *request = &lookup->request;

    ASSERT(lookup->state == LOOKUP_FILLING);
    ASSERT(key.len > 0 && key.len <= KEY_BYTES_MAX);
    if (lookup->lookup.n >= lookup->shared->keys_max)
        return false;
    if (lookup->lookup.n > 0)
        buf_put_char(request, ',');
    buf_put_literal(request, "{\"_id\":");
    buf_put_json_string(request, key);
    buf_put_literal(request, "},{\"_index\":");
    buf_put_json_string(request, slice_of(lookup->shared->side_index));
    buf_put_literal(request, ",\"_id\":");
    buf_put_json_string(request, key);
    buf_put_char(request, '}');
    lookup->keys[lookup->lookup.n++] = key;
    return true;
}

void lookup_submit(struct lookup *lookup)
{
    ASSERT(lookup->state == LOOKUP_FILLING);
    if (lookup->lookup.n == 0) {
        lookup->state = LOOKUP_DONE;
        return;
    }
    buf_put_literal(&lookup->request, "]}");
    ASSERT(!lookup->request.overflow);
    lookup->state = LOOKUP_SENT;
    http_start(&lookup->call, buf_slice(&lookup->request));
}

static struct slice reason_text(struct lookup *lookup, const char *text)
{
    size_t from = lookup->reasons.len, len = strlen(text);

    if (len > REASON_BYTES_MAX)
        len = REASON_BYTES_MAX;

    buf_put(&lookup->reasons, text, len);
    ASSERT(!lookup->reasons.overflow);
    return (struct slice){ lookup->reasons.data + from, len };
}

/* The lookup was too much for the server or for us: fewer keys next time, or this one key is to
 * blame. */
static void too_much(struct lookup *lookup, const char *why)
{
    struct sink_lookup *out = &lookup->lookup;

    buf_reset(&lookup->reasons);
    if (out->n > 1) {
        lookup->shared->keys_max = out->n / 2;
        out->failed_whole = true;
        return;
    }
    out->items[0] = (struct lookup_item){ .found = LOOKUP_BROKEN };
    out->items[0].reason = reason_text(lookup, why);
}

static void distrust(struct lookup *lookup, const char *why)
{
    http_distrust(&lookup->call, why);
    lookup->lookup.failed_whole = true;
}

/* Is it the document that was asked for? The server may write an id with other escapes than we did.
 */
static bool same_id(struct slice token, struct slice key)
{
    char id[KEY_BYTES_MAX * 6];

    if (token.len < 2 || token.len - 2 > sizeof(id))
        return false;
    return slice_equal((struct slice){ id, json_unescape(token, id) }, key);
}

static void tell_foreign(struct lookup *lookup, struct slice key)
{
    counter_add(&lookup->shared->foreign, 1);
    if (lookup->shared->foreign == 1)
        log_line(LOG_WARN, where,
                 "the index holds documents that weir did not write, like %.*s: a newer version "
                 "overwrites "
                 "them whole (said once)",
                 (int)key.len, key.data);
}

/* Takes one of the two documents of a key into its item. False: the arena is full (with more than
 * one key, perhaps because of the others). */
static bool take_doc(struct lookup *lookup, unsigned i, bool side, const struct answer_doc *doc)
{
    struct lookup_item *item = &lookup->lookup.items[i];
    struct document_state *state = &item->states[item->n_states];
    bool beside = item->found == LOOKUP_FOUND; /* the document, where this is the side index's */
    struct err err;

    if (!doc->found || item->found == LOOKUP_BROKEN)
        return true;
    item->found = LOOKUP_FOUND;
    if (!side)
        item->version = doc->version;
    if (doc->source.len == 0) {
        item->found = LOOKUP_BROKEN;
        item->reason = reason_text(lookup, "the index keeps no _source: its state cannot be read");
        return true;
    }
    if (document_parse(lookup->shared->plan, doc->source, (struct slice){ NULL, 0 }, &lookup->arena,
                       state, &err) != 0) {
        if (lookup->lookup.n > 1 && lookup->arena.used > lookup->arena.bound / 2)
            return false;
        item->found = LOOKUP_BROKEN;
        item->reason = reason_text(lookup, err.text);
        return true;
    }
    if (!state->has_state) {
        tell_foreign(lookup, lookup->keys[i]);
        return true;
    }
    /* The side index alone has it: deleted, with that version, and nothing is left to be done. But
     * a version that is not ours says nothing beside a state that is. */
    if (side && item->n_states == 0)
        item->version = beside ? 0 : doc->version;
    item->n_states++;
    return true;
}

/* NULL, or why the whole answer is of no use. */
static const char *take_docs(struct lookup *lookup, struct answer_list *list, bool *full)
{
    struct answer_doc doc;
    unsigned n = 0;

    while (!*full && answer_next_doc(list, &doc)) {
        unsigned i = n / 2;

        if (i == lookup->lookup.n)
            return "more documents than were asked for";
        if (!same_id(doc.id, lookup->keys[i]))
            return "another document than was asked for";
        if (doc.error.there) {
            buf_reset(&lookup->reasons); /* No item's reason is wanted any more. */
            answer_error_text(&doc.error, "an error without a text", &lookup->reasons);
            buf_put_char(&lookup->reasons, '\0');
            return lookup->reasons.data;
        }
        *full = !take_doc(lookup, i, n % 2 == 1, &doc);
        n++;
    }
    if (!*full && list->broken == NULL && n < lookup->lookup.n * 2)
        return "fewer documents than were asked for";
    return list->broken;
}

static void read_answer(struct lookup *lookup)
{
    struct lookup_shared *shared = lookup->shared;
    struct answer_list list;
    const char *problem;
    bool full = false;

    for (unsigned i = 0; i < lookup->lookup.n; i++)
        lookup->lookup.items[i] = (struct lookup_item){ .found = LOOKUP_ABSENT };
    problem = answer_list_open(&list, buf_slice(&lookup->call.answer), "docs")
                  ? take_docs(lookup, &list, &full)
                  : list.broken;
    if (problem != NULL) {
        distrust(lookup, problem);
        return;
    }
    http_worked(&lookup->call);
    if (full) {
        too_much(lookup, "its state takes more memory than a lookup has");
        return;
    }
    if (lookup->lookup.n == shared->keys_max && shared->keys_max < LOOKUP_KEYS_MAX &&
        lookup->call.answer.len < shared->answer_bytes_max / 4 &&
        lookup->arena.used < shared->arena_bytes_max / 4)
        shared->keys_max =
            shared->keys_max > LOOKUP_KEYS_MAX / 2 ? LOOKUP_KEYS_MAX : shared->keys_max * 2;
}

static void refused(struct lookup *lookup)
{
    struct answer_error error = answer_error(buf_slice(&lookup->call.answer));
    char text[ANSWER_REASON_BYTES_MAX + 64];
    struct buf reason = { .data = text, .bound = sizeof(text) - 1 };

    answer_error_text(&error, "the server refuses the lookup without a reason", &reason);
    text[reason.len] = '\0';
    too_much(lookup, text);
}

static void request_done(struct http_call *call)
{
    struct lookup *lookup = call->owner;

    ASSERT(lookup->state == LOOKUP_SENT);
    switch (call->result) {
    case HTTP_OK:
        read_answer(lookup);
        break;
    case HTTP_TOO_LARGE:
    case HTTP_TOO_LONG:
        too_much(lookup, "its document is larger than a lookup can take");
        break;
    case HTTP_BAD_REQUEST:
        refused(lookup);
        break;
    case HTTP_BUSY:
    case HTTP_FAILED:
        lookup->lookup.failed_whole = true;
        break;
    }
    lookup->state = LOOKUP_DONE;
}
