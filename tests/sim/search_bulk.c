/*
 * search_bulk.c: _bulk of the modelled search cluster.
 *
 *     lines ──parse──► ops ──one by one──► {"items":[{"index":{"status":201}},...]}
 *        └ one that cannot be read: 400 for all, nothing is done
 *
 * As the real one: the whole body is read before anything is done; then operations are done in
 * their order, each with a status of its own. An index that is not there is created, also by a
 * delete with an external version. A document's body is looked at before its version is, so what is
 * refused is refused however old it is.
 *
 * What this does not do: other operations than index and delete, other versions than external ones,
 * mappings (what is refused is for dice to say), the parts of an answer that the driver filters
 * out.
 */
#include "dataplane/base/json.h"
#include "tests/sim/search_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define REASON_BYTES_MAX 1024

/* ---- reading ---- */

struct reader {
    struct slice left; /* of the body */
    unsigned line;
    char *names; /* where unescaped names and keys go: as many bytes as the body has suffice */
    const char *type;
    char reason[REASON_BYTES_MAX]; /* why the body cannot be read */
    struct search_op *ops;
    unsigned n, room;
};

static bool malformed(struct reader *reader, const char *type, const char *why)
{
    reader->type = type;
    snprintf(reader->reason, sizeof(reader->reason), "Malformed action/metadata line [%u], %s",
             reader->line, why);
    return false;
}

/* False where no line is left. The last one ends in a newline as all others, so it is whole. */
static bool next_line(struct reader *reader, struct slice *line)
{
    const char *end;

    if (reader->left.len == 0)
        return false;
    end = memchr(reader->left.data, '\n', reader->left.len);
    ASSERT(end != NULL);
    *line = (struct slice){ reader->left.data, (size_t)(end - reader->left.data) };
    reader->left.data += line->len + 1;
    reader->left.len -= line->len + 1;
    reader->line++;
    return true;
}

static struct slice unescape(struct reader *reader, struct slice token)
{
    struct slice text = { reader->names, json_unescape(token, reader->names) };

    reader->names += text.len;
    return text;
}

/* What is no version stays UINT64_MAX. */
static void read_version(struct slice digits, uint64_t *version)
{
    char text[24], *end;
    uint64_t number;

    if (digits.len == 0 || digits.len > 19 || *digits.data == '-')
        return;
    memcpy(text, digits.data, digits.len);
    text[digits.len] = '\0';
    number = strtoull(text, &end, 10);
    if (*end == '\0' && number <= INT64_MAX)
        *version = number;
}

/* One member of {"_index":...,"_id":...,"version":...,"version_type":"external"}. */
static bool read_meta(struct reader *reader, struct search_op *op, struct slice name,
                      const struct json_value *value)
{
    bool text = value->type == JSON_STRING;

    if (slice_equal(name, SLICE("_index")) && text)
        op->index = unescape(reader, value->raw);
    else if (slice_equal(name, SLICE("_id")) && text)
        op->key = unescape(reader, value->raw);
    else if (slice_equal(name, SLICE("version")) && value->type == JSON_NUMBER)
        read_version(value->raw, &op->version);
    else
        return slice_equal(name, SLICE("version_type")) &&
               slice_equal(value->raw, SLICE("\"external\""));
    return true;
}

static bool read_action(struct reader *reader, struct slice line, struct search_op *op)
{
    struct json_value meta, value;
    struct slice action, name;
    struct json json;
    bool escaped, external = false;

    json_open(&json, line);
    if (!json_enter(&json, JSON_OBJECT) || !json_member(&json, &action, &escaped, &meta) ||
        json_member(&json, &name, &escaped, &value) || !json_end(&json) || meta.type != JSON_OBJECT)
        return malformed(reader, "illegal_argument_exception", "expected one action");
    op->is_delete = slice_equal(action, SLICE("delete"));
    if (!op->is_delete && !slice_equal(action, SLICE("index")))
        return malformed(reader, "illegal_argument_exception", "expected index or delete");
    json_open_scanned(&json, meta.raw);
    if (!json_enter(&json, JSON_OBJECT))
        return malformed(reader, "illegal_argument_exception", "expected an object");
    while (json_member(&json, &name, &escaped, &value)) {
        if (!read_meta(reader, op, name, &value))
            return malformed(reader, "illegal_argument_exception", "an unexpected parameter");
        external |= slice_equal(name, SLICE("version_type"));
    }
    if (!external || op->key.len == 0 || op->key.len > SEARCH_ID_BYTES_MAX ||
        op->version > INT64_MAX)
        return malformed(reader, "action_request_validation_exception",
                         "an id of 1 to 512 bytes and an external version are needed");
    return true;
}

static bool read_op(struct reader *reader, struct slice line, struct slice index)
{
    struct search_op *op;

    if (reader->n == reader->room) {
        reader->room = reader->room == 0 ? 64 : reader->room * 2;
        reader->ops = realloc(reader->ops, reader->room * sizeof(*reader->ops));
        ASSERT(reader->ops != NULL);
    }
    op = &reader->ops[reader->n];
    *op = (struct search_op){ .index = index, .version = UINT64_MAX };
    if (!read_action(reader, line, op))
        return false;
    if (op->is_delete || next_line(reader, &op->source))
        reader
            ->n++; /* The last one is passed over where its document is missing, as it is there. */
    return true;
}

static bool read_body(struct reader *reader, const struct search_request *request)
{
    struct slice line;

    reader->left = request->body;
    if (request->body.len == 0)
        return malformed(reader, "parse_exception", "request body is required");
    if (request->body.data[request->body.len - 1] != '\n')
        return malformed(reader, "illegal_argument_exception",
                         "The bulk request must be terminated by a newline [\\n]");
    while (next_line(reader, &line))
        if (!read_op(reader, line, request->index))
            return false;
    return true;
}

/* ---- doing ---- */

struct item {
    unsigned status;
    const char *type; /* NULL: no error */
    char reason[REASON_BYTES_MAX];
};

static void item_error(struct item *item, unsigned status, const char *type)
{
    item->status = status;
    item->type = type;
}

/* A question of key and version alone. */
static bool is_refused(const struct search *search, const struct search_op *op)
{
    uint64_t hash = XXH64(op->key.data, op->key.len, search->salt ^ op->version);

    return hash % 1000 < sim_dials()->refuse;
}

/* True where the document is refused. */
static bool refuse_document(struct search *search, struct search_index *index,
                            const struct search_op *op, struct item *item)
{
    if (op->is_delete || (search_is_object(op->source) && (index->side || !is_refused(search, op))))
        return false;
    search_index_note_refused(index, op);
    search->counts.refused++;
    item_error(item, 400, "document_parsing_exception");
    snprintf(item->reason, sizeof(item->reason), "failed to parse the document [%.*s]",
             (int)op->key.len, op->key.data);
    sim_trace("search: %s/%.*s %" PRIu64 " is refused for good", index->name, (int)op->key.len,
              op->key.data, op->version);
    return true;
}

static void conflict(struct search *search, const struct search_write *write, struct item *item)
{
    search->counts.stale++;
    item_error(item, 409, "version_conflict_engine_exception");
    snprintf(item->reason, sizeof(item->reason),
             "[%.*s]: version conflict, current version [%" PRIu64
             "] is higher or equal to the one provided [%" PRIu64 "]",
             (int)write->key.len, write->key.data, write->version_before, write->version_after);
    sim_trace("search: %s/%.*s %" PRIu64 " is stale, it has %" PRIu64, write->index,
              (int)write->key.len, write->key.data, write->version_after, write->version_before);
}

static void apply(struct search *search, struct search_index *index, const struct search_op *op,
                  struct item *item)
{
    static const unsigned status[] = {
        [SEARCH_CREATED] = 201,   [SEARCH_UPDATED] = 200,  [SEARCH_DELETED] = 200,
        [SEARCH_NOT_FOUND] = 404, [SEARCH_CONFLICT] = 409,
    };
    struct search_write write;
    enum search_outcome outcome;

    if (refuse_document(search, index, op, item))
        return;
    outcome = search_index_apply(index, op, &write);
    item->status = status[outcome];
    if (outcome == SEARCH_CONFLICT) {
        conflict(search, &write, item);
        return;
    }
    *(op->is_delete ? &search->counts.deleted : &search->counts.written) += 1;
    sim_trace("search: %s/%.*s %" PRIu64 " -> %" PRIu64 "%s", index->name, (int)op->key.len,
              op->key.data, write.version_before, write.version_after,
              op->is_delete ? " deleted" : "");
    if (search->seen != NULL)
        search->seen(search->seen_context, &write);
}

/* Somebody has too much to do, or a copy of the shard goes away while the operation is under way:
 * then it may be done or not. */
static void busy(struct search *search, struct search_index *index, const struct search_op *op,
                 struct item *item)
{
    unsigned kind = sim_below(4);

    search->counts.busy_items++;
    sim_trace("search: %s/%.*s %" PRIu64 " is answered %s%s", index->name, (int)op->key.len,
              op->key.data, op->version, kind < 2 ? "429" : "503", kind == 3 ? ", but tried" : "");
    if (kind == 3) {
        apply(search, index, op, item);
        *item = (struct item){ .status = 503 };
    }
    if (kind < 2)
        item_error(item, 429, "es_rejected_execution_exception");
    else
        item_error(item, 503, "unavailable_shards_exception");
    snprintf(item->reason, sizeof(item->reason), "the operation was not completed");
}

static void do_op(struct search *search, const struct search_op *op, struct item *item)
{
    struct search_index *index = search_index_named(search, op->index);

    *item = (struct item){ .status = 200 };
    if (index == NULL && (index = search_index_create(search, op->index)) != NULL)
        index->weir = SEARCH_INDEXED; /* as a first document's members all are */
    if (index == NULL) {
        item_error(item, 400, "invalid_index_name_exception");
        snprintf(item->reason, sizeof(item->reason), "the index cannot be created");
    } else if (search_index_is_red(index)) {
        search->counts.busy_items++;
        item_error(item, 503, "unavailable_shards_exception");
        snprintf(item->reason, sizeof(item->reason), "[%s][0] primary shard is not active",
                 index->name);
    } else if (sim_chance(sim_dials()->busy_item)) {
        busy(search, index, op, item);
    } else {
        apply(search, index, op, item);
    }
}

static void put_item(struct buf *answer, const struct search_op *op, const struct item *item)
{
    buf_printf(answer, "{\"%s\":{\"status\":%u", op->is_delete ? "delete" : "index", item->status);
    if (item->type != NULL) {
        buf_put_literal(answer, ",\"error\":");
        search_put_error(answer, item->type, item->reason);
    }
    buf_put_literal(answer, "}}");
}

static void do_ops(struct search *search, const struct reader *reader, bool done_whole,
                   struct buf *answer)
{
    unsigned n = done_whole ? reader->n : sim_below(reader->n + 1);
    size_t from = answer->len;
    struct item item;

    buf_put_literal(answer, "200\n{\"items\":[");
    for (unsigned i = 0; i < n; i++) {
        do_op(search, &reader->ops[i], &item);
        if (i > 0)
            buf_put_char(answer, ',');
        put_item(answer, &reader->ops[i], &item);
    }
    buf_put_literal(answer, "]}");
    if (done_whole)
        return;
    sim_trace("search: a bulk breaks off after %u of %u items", n, reader->n);
    buf_rewind(answer, from);
    buf_put_literal(answer, "502\n<html><body>502 Bad Gateway</body></html>");
}

void search_bulk(struct search *search, const struct search_request *request, bool done_whole,
                 struct buf *answer)
{
    char *names = malloc(request->body.len + 1);
    struct reader reader = { .names = names };

    ASSERT(names != NULL);
    search->counts.bulks++;
    if (read_body(&reader, request))
        do_ops(search, &reader, done_whole, answer);
    else
        search_refuse(answer, 400, reader.type, reader.reason);
    free(reader.ops);
    free(names);
}
