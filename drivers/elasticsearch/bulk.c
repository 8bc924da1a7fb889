/*
 * bulk.c: one batch of documents: its _bulk requests, and a verdict for each item.
 *
 *     pass 1, a document to show:     {"index":{"_id":K,"version":N,...}}\n DOCUMENT \n
 *             a state to keep (R6):   {"index":{"_index":"orders-weir","_id":K,...}}\n STATE \n
 *     pass 2, each STATE acknowledged:  {"delete":{"_id":K,"version":N,...}}\n
 *
 * A delete is only sent after its state was acknowledged by the side index; otherwise a crash
 * between the two would leave a hole that an old event could refill. Its item gets its verdict from
 * the delete alone.
 *
 *     ranges: [0,n) ─ 413 or 400 ─► [0,n/2) [n/2,n) ─► ... ─► the one item that is refused
 *
 * Operations lie in one text in the order of the items, so a range of them is a slice of it and
 * splitting copies nothing. A range that is split waits on a stack; halves go out one after
 * another.
 *
 * Invariants: every item is SINK_RETRY from bulk_submit() until the server itself has said
 * otherwise, so whatever is truncated, garbled or lost leaves RETRY behind. Sending twice is
 * harmless (external versions).
 *
 * Some refusals are about the index and not about the document: it was closed, made read-only or
 * deleted, or we lost the right to write it. Somebody will mend that, so these are RETRY with a
 * line in the log, not dead letters.
 *
 * What this does not do: wait before trying again, or choose what is written when.
 */
#include "drivers/elasticsearch/bulk.h"

#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"
#include "drivers/elasticsearch/answer.h"

#include <stdio.h>

/* Action line, at most: the key and the side index's name, each byte as \u00XX, and the words
 * around them. */
#define ACTION_BYTES_MAX (6 * (KEY_BYTES_MAX + 256) + 256)

/* An item's answer without its error's text, and room for errors that quote large values. */
#define ANSWER_BYTES_MAX ((size_t)256 << 20)

static const char where[] = "elasticsearch";

static void request_done(struct http_call *call);

static void pass_open(struct bulk_pass *pass, size_t bytes, unsigned docs)
{
    buf_open(&pass->text, bytes, "bulk bodies");
    pass->ops = memory_reserve((docs + 1) * sizeof(*pass->ops), "bulk operations");
}

int bulk_open(struct bulk *bulk, struct http *http, const struct bulk_options *options,
              struct err *err)
{
    const struct sink_limits *limits = options->limits;
    size_t largest = limits->document_bytes_max + ACTION_BYTES_MAX + 1;
    size_t body = limits->bytes > largest ? limits->bytes : largest;
    size_t deletes = (size_t)limits->docs * ACTION_BYTES_MAX;

    *bulk = (struct bulk){ .state = BULK_FREE, .plan = options->plan, .limits = limits };
    bulk->side_index = slice_of(options->side_index);
    /* A document may pass limits->bytes before it is seen to, and is taken back then. */
    pass_open(&bulk->index, body + largest, limits->docs);
    pass_open(&bulk->delete, deletes, limits->docs);
    buf_open(&bulk->reasons, (size_t)limits->docs * (ANSWER_REASON_BYTES_MAX + 64), "refusals");
    bulk->batch.items =
        memory_reserve(limits->docs * sizeof(*bulk->batch.items), "items of a batch");
    if (http_call_open(
            &bulk->call, http,
            &(struct http_call_options){ .path = options->path,
                                         .content_type = "application/x-ndjson",
                                         .body_bytes_max = body > deletes ? body : deletes,
                                         .answer_bytes_max = ANSWER_BYTES_MAX },
            err) != 0)
        return -1;
    bulk->call.owner = bulk;
    bulk->call.done = request_done;
    return 0;
}

void bulk_begin(struct bulk *bulk)
{
    ASSERT(bulk->state == BULK_FREE);
    bulk->state = BULK_FILLING;
    bulk->batch.n = 0;
    bulk->batch.failed_whole = false;
    bulk->batch.bytes = 0;
    bulk->index.n = bulk->delete.n = 0;
    buf_reset(&bulk->index.text);
    buf_reset(&bulk->delete.text);
    buf_reset(&bulk->reasons);
}

static void put_action(struct bulk *bulk, struct bulk_pass *pass, bool side,
                       const struct document *document)
{
    struct buf *text = &pass->text;

    if (pass == &bulk->index)
        buf_put_literal(text, "{\"index\":{");
    else
        buf_put_literal(text, "{\"delete\":{");
    if (side) {
        buf_put_literal(text, "\"_index\":");
        buf_put_json_string(text, bulk->side_index);
        buf_put_char(text, ',');
    }
    buf_put_literal(text, "\"_id\":");
    buf_put_json_string(text, document->key);
    buf_put_literal(text, ",\"version\":");
    buf_put_u64(text, document->version);
    buf_put_literal(text, ",\"version_type\":\"external\"}}\n");
}

/* Records that an operation of the item that is being added stands from `from` to the text's end.
 */
static void add_op(struct bulk *bulk, struct bulk_pass *pass, size_t from)
{
    ASSERT(pass->n < bulk->limits->docs);
    pass->ops[pass->n] =
        (struct bulk_op){ .from = from, .item = bulk->batch.n, .then = BULK_NO_OP };
    pass->ops[++pass->n].from = pass->text.len;
}

enum sink_add bulk_add(struct bulk *bulk, const struct document *document)
{
    bool shown = document_shown(bulk->plan, document);
    struct buf *text = &bulk->index.text;
    size_t from = text->len, body;

    ASSERT(bulk->state == BULK_FILLING);
    ASSERT(document->key.len > 0 && document->key.len <= KEY_BYTES_MAX);
    ASSERT(document->version <= INT64_MAX);
    if (bulk->batch.n == bulk->limits->docs || (bulk->batch.n > 0 && from >= bulk->limits->bytes))
        return SINK_FULL;
    put_action(bulk, &bulk->index, !shown, document);
    body = text->len;
    document_render(bulk->plan, document, true, text);
    if (text->overflow || text->len - body > bulk->limits->document_bytes_max) {
        buf_rewind(text, from);
        return SINK_TOO_LARGE;
    }
    buf_put_char(text, '\n');
    if (bulk->batch.n > 0 && text->len > bulk->limits->bytes) {
        buf_rewind(text, from);
        return SINK_FULL;
    }
    ASSERT(!text->overflow);
    add_op(bulk, &bulk->index, from);
    if (!shown) {
        bulk->index.ops[bulk->index.n - 1].then = bulk->delete.n;
        from = bulk->delete.text.len;
        put_action(bulk, &bulk->delete, false, document);
        ASSERT(!bulk->delete.text.overflow);
        add_op(bulk, &bulk->delete, from);
    }
    bulk->batch.n++;
    bulk->batch.bytes = text->len + bulk->delete.text.len;
    return SINK_ADDED;
}

/* The deletes that may go out now move to the front, the others are forgotten: their items are
 * judged already. */
static void keep_ready_deletes(struct bulk_pass *pass)
{
    uint32_t kept = 0;
    size_t len = 0;

    for (uint32_t i = 0; i < pass->n; i++) {
        size_t from = pass->ops[i].from, bytes = pass->ops[i + 1].from - from;

        if (!pass->ops[i].ready)
            continue;
        memmove(pass->text.data + len, pass->text.data + from, bytes);
        pass->ops[kept] = pass->ops[i];
        pass->ops[kept++].from = len;
        len += bytes;
    }
    pass->n = kept;
    pass->ops[kept].from = len;
    buf_rewind(&pass->text, len);
}

static void finish(struct bulk *bulk)
{
    bulk->batch.failed_whole = bulk->failed;
    for (unsigned i = 0; i < bulk->batch.n; i++)
        if (bulk->batch.items[i].verdict != SINK_RETRY)
            bulk->batch.failed_whole = false;
    bulk->state = BULK_DONE;
}

/* Starts the next request, or finishes. */
static void send_next(struct bulk *bulk)
{
    struct bulk_pass *pass = bulk->pass;
    size_t from, to;

    if (bulk->n_ranges == 0 && pass == &bulk->index && !bulk->failed) {
        keep_ready_deletes(&bulk->delete);
        bulk->pass = pass = &bulk->delete;
        if (pass->n > 0)
            bulk->ranges[bulk->n_ranges++] = (struct bulk_range){ 0, pass->n };
    }
    if (bulk->n_ranges == 0) {
        finish(bulk);
        return;
    }
    bulk->sent = bulk->ranges[--bulk->n_ranges];
    from = pass->ops[bulk->sent.from].from;
    to = pass->ops[bulk->sent.to].from;
    ASSERT(bulk->sent.from < bulk->sent.to && from < to && to <= pass->text.len);
    http_start(&bulk->call, (struct slice){ pass->text.data + from, to - from });
}

void bulk_submit(struct bulk *bulk)
{
    ASSERT(bulk->state == BULK_FILLING);
    bulk->state = BULK_SENT;
    bulk->failed = false;
    bulk->pass = &bulk->index;
    bulk->n_ranges = 0;
    for (unsigned i = 0; i < bulk->batch.n; i++)
        bulk->batch.items[i] = (struct sink_item){ .verdict = SINK_RETRY };
    if (bulk->index.n > 0)
        bulk->ranges[bulk->n_ranges++] = (struct bulk_range){ 0, bulk->index.n };
    send_next(bulk);
}

/* The rest of the batch is RETRY. */
static void give_up(struct bulk *bulk)
{
    bulk->failed = true;
    bulk->n_ranges = 0;
}

static struct slice reason_text(struct bulk *bulk, const struct answer_error *error,
                                const char *otherwise)
{
    size_t from = bulk->reasons.len;

    answer_error_text(error, otherwise, &bulk->reasons);
    ASSERT(!bulk->reasons.overflow);
    return (struct slice){ bulk->reasons.data + from, bulk->reasons.len - from };
}

/* An item that is retried because the index, not the document, is in trouble. */
static void tell(struct bulk *bulk, const struct answer_item *answer)
{
    char text[ANSWER_REASON_BYTES_MAX + 64];
    struct buf reason = { .data = text, .bound = sizeof(text) };
    uint64_t held_back;

    if (!log_limit_pass(&bulk->telling, env_mono_us(bulk->call.http->env), &held_back))
        return;
    answer_error_text(&answer->error, "no reason given", &reason);
    log_line(
        LOG_ERROR, where,
        "the index refuses writes (%u: %.*s); trying again until it takes them, nothing is dropped "
        "(%llu more)",
        answer->status, (int)reason.len, text, (unsigned long long)held_back);
}

static bool about_the_index(const struct answer_error *error)
{
    static const char *const types[] = { "index_not_found_exception", "index_closed_exception",
                                         "cluster_block_exception", "security_exception" };

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (answer_error_is(error, types[i]))
            return true;
    return false;
}

/* What one operation's answer means, whichever pass it is of. */
static enum sink_verdict judge(struct bulk *bulk, const struct answer_item *answer)
{
    unsigned status = answer->status;

    if (status >= 200 && status <= 299)
        return SINK_WRITTEN;
    if (status == 409)
        return answer_error_is(&answer->error, "version_conflict_engine_exception") ? SINK_STALE
                                                                                    : SINK_RETRY;
    /* A delete of a document that is not there records its version: done. */
    if (status == 404 && bulk->pass == &bulk->delete &&!answer->error.there)
        return SINK_WRITTEN;
    if (about_the_index(&answer->error) || status == 404 || status == 401) {
        tell(bulk, answer);
        return SINK_RETRY;
    }
    if (status >= 400 && status <= 499 && status != 429 && status != 408)
        return SINK_DEAD;
    return SINK_RETRY;
}

static void settle(struct bulk *bulk, const struct bulk_op *op, const struct answer_item *answer)
{
    struct sink_item *item = &bulk->batch.items[op->item];
    enum sink_verdict verdict = judge(bulk, answer);

    if (op->then != BULK_NO_OP && (verdict == SINK_WRITTEN || verdict == SINK_STALE)) {
        bulk->delete.ops[op->then].ready =
            true; /* The item stays RETRY until the delete is through. */
        return;
    }
    item->verdict = verdict;
    if (verdict == SINK_DEAD)
        item->reason = reason_text(bulk, &answer->error, "refused without a reason");
}

/* First pass over the answer: is it one item for each operation, of the right kind? NULL, or why
 * not. */
static const char *check_answer(struct bulk *bulk)
{
    const char *kind = bulk->pass == &bulk->index ? "index" : "delete";
    uint32_t n = 0, expected = bulk->sent.to - bulk->sent.from;
    struct answer_list list;
    struct answer_item answer;

    if (!answer_list_open(&list, buf_slice(&bulk->call.answer), "items"))
        return list.broken;
    while (answer_next_item(&list, &answer)) {
        if (!slice_equal(answer.op, slice_of(kind)))
            return "an item is of another kind than what was sent";
        if (++n > expected)
            return "more items than were sent";
    }
    if (list.broken == NULL && n < expected)
        return "fewer items than were sent";
    return list.broken;
}

static void judge_answer(struct bulk *bulk)
{
    const char *problem = check_answer(bulk);
    uint32_t at = bulk->sent.from;
    struct answer_list list;
    struct answer_item answer;

    if (problem != NULL) {
        http_distrust(&bulk->call, problem);
        give_up(bulk);
        return;
    }
    http_worked(&bulk->call);
    if (answer_list_open(&list, buf_slice(&bulk->call.answer), "items"))
        while (answer_next_item(&list, &answer))
            settle(bulk, &bulk->pass->ops[at++], &answer);
    ASSERT(at == bulk->sent.to);
}

/* The server refuses the request because of something in it: one operation alone is to blame, or
 * two halves go out. The half that is sent first goes on the stack last. */
static void split(struct bulk *bulk)
{
    struct bulk_range sent = bulk->sent;
    uint32_t middle = sent.from + (sent.to - sent.from) / 2;

    ASSERT(sent.to - sent.from > 1 && bulk->n_ranges + 2 <= BULK_RANGES_MAX);
    bulk->ranges[bulk->n_ranges++] = (struct bulk_range){ middle, sent.to };
    bulk->ranges[bulk->n_ranges++] = (struct bulk_range){ sent.from, middle };
}

/* The one operation that was sent can never be taken. */
static void bury(struct bulk *bulk)
{
    const struct bulk_op *op = &bulk->pass->ops[bulk->sent.from];
    struct sink_item *item = &bulk->batch.items[op->item];
    struct answer_error error = answer_error(buf_slice(&bulk->call.answer));
    size_t bytes = op[1].from - op->from;
    char text[96];

    item->verdict = SINK_DEAD;
    if (bulk->call.result == HTTP_TOO_LARGE) {
        snprintf(text, sizeof(text), "413: request entity too large, %zu bytes", bytes);
        item->reason = reason_text(bulk, &(struct answer_error){ .there = false }, text);
    } else {
        item->reason = reason_text(bulk, &error, "400: the request is refused without a reason");
    }
}

static void request_done(struct http_call *call)
{
    struct bulk *bulk = call->owner;
    bool alone = bulk->sent.to - bulk->sent.from == 1;

    ASSERT(bulk->state == BULK_SENT);
    switch (call->result) {
    case HTTP_OK:
        judge_answer(bulk);
        break;
    case HTTP_TOO_LARGE:
    case HTTP_BAD_REQUEST:
        if (alone)
            bury(bulk);
        else
            split(bulk);
        break;
    case HTTP_TOO_LONG:
        if (alone) {
            http_distrust(call, "hundreds of megabytes for one document");
            give_up(bulk);
        } else {
            split(bulk);
        }
        break;
    case HTTP_BUSY:
    case HTTP_FAILED:
        give_up(bulk);
        break;
    }
    send_next(bulk);
}
