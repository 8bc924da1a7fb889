/*
 * put.c: one batch of documents: its Multi calls, and a verdict for each item.
 *
 *     filling ─ submit ─► held, until regions are known ─► sent: a call a server ─► done
 *                                                           ▲    │
 *                                                           └────┘ refused together: each alone
 *
 *     a call   regionAction { region A, action 0, 1, 2 ... }, regionAction { region B ... }
 *     cells    those of the actions, in their order
 *     answer   regionActionResult of A, of B: { index, result or exception }..., or one exception
 *
 * A document is one action: a Put whose cells are puts and delete markers. HBase takes a mutation's
 * cells as they are, so both are done or none is, under one lock and in one entry of its log; a Put
 * and a Delete of their own could be torn by a crash between them.
 *
 * Where one cell is too large, the server refuses every action that came for that region in the
 * same call with the same words, and does none of them. So such words are only believed of a
 * document that was alone in its regionAction: the doubtful ones are sent again like that, a few
 * megabytes at a time. (A call that is refused because of its size is halved, down to one
 * document.)
 *
 * Invariants: every item is SINK_RETRY from put_submit() until an answer that is whole and fits the
 * call has said otherwise; an answer that does not fit says nothing about any of its actions.
 * Sending twice is harmless: a cell's timestamp is its seqno.
 *
 * What this does not do: wait before trying again, or choose what is written when.
 *
 * Source: Client.proto (MultiRequest, MultiResponse); HBase's RSRpcServices.multi and doBatchOp.
 */
#include "drivers/hbase/put.h"

#include "dataplane/base/counter.h"
#include "dataplane/base/memory.h"
#include "drivers/hbase/exception.h"
#include "drivers/hbase/proto.h"

#include <inttypes.h>

#define ACTION_BYTES_MAX 32u
#define GROUP_BYTES_MAX  (LOCATE_NAME_BYTES_MAX + 64u)
#define ALONE_BYTES_MAX  ((size_t)16 << 20)

/* A cell's row, of any document's first one: lengths, then the row's. */
#define CELL_ROW_AT 12u

static void call_done(struct rpc_call *call);
static void send_round(struct put *put);

void put_open(struct put *put, struct put_shared *shared)
{
    const struct sink_limits *limits = &shared->limits;
    size_t largest = limits->document_bytes_max;
    size_t body = limits->bytes > largest ? limits->bytes : largest;

    *put = (struct put){ .state = PUT_FREE, .shared = shared };
    /* A document may pass limits->bytes before it is seen to, and is taken back then; and a value
     * has up to six times its bytes before its escapes are taken out. */
    buf_open(&put->taken, body + 6 * largest, "cells");
    buf_open(&put->cells, body, "cells of calls");
    buf_open(&put->params, limits->docs * (size_t)(ACTION_BYTES_MAX + GROUP_BYTES_MAX), "calls");
    buf_open(&put->reasons, (size_t)limits->docs * EXCEPTION_LINE_BYTES_MAX, "refusals");
    put->items = memory_reserve((limits->docs + 1) * sizeof(*put->items), "documents of a batch");
    put->regions = memory_reserve(limits->docs * sizeof(*put->regions), "routes");
    put->batch.items = memory_reserve(limits->docs * sizeof(*put->batch.items), "items of a batch");
    route_open(&put->route, limits->docs);
    put->calls = memory_reserve_virtual(put->route.calls_max * sizeof(*put->calls), "calls");
}

void put_begin(struct put *put)
{
    ASSERT(put->state == PUT_FREE);
    put->state = PUT_FILLING;
    put->batch.n = 0;
    put->batch.failed_whole = false;
    put->batch.bytes = 0;
    buf_reset(&put->taken);
    buf_reset(&put->reasons);
}

enum sink_add put_add(struct put *put, const struct document *document)
{
    const struct sink_limits *limits = &put->shared->limits;
    struct put_item *item = &put->items[put->batch.n];
    char key_bytes[ROWS_KEY_BYTES_MAX];
    struct buf key = { .data = key_bytes, .bound = sizeof(key_bytes) };

    ASSERT(put->state == PUT_FILLING);
    ASSERT(document->key.len > 0 && document->key.len <= KEY_BYTES_MAX);
    if (put->batch.n == limits->docs || (put->batch.n > 0 && put->batch.bytes >= limits->bytes))
        return SINK_FULL;
    *item = (struct put_item){ .from = put->taken.len };
    rows_key(document->key, &key);
    ASSERT(!key.overflow);
    item->n_cells = rows_write(put->shared->rows, document, buf_slice(&key), &put->taken);

    size_t bytes = put->taken.len - item->from;
    bool too_large = put->taken.overflow || bytes > limits->document_bytes_max;
    if (too_large || (put->batch.n > 0 && put->batch.bytes + bytes > limits->bytes)) {
        buf_rewind(&put->taken, item->from);
        return too_large ? SINK_TOO_LARGE : SINK_FULL;
    }
    item[1].from = put->taken.len;
    put->batch.bytes += bytes;
    put->batch.n++;
    return SINK_ADDED;
}

/* ---- items ---- */

static struct slice item_cells(const struct put *put, uint32_t i)
{
    const struct put_item *item = &put->items[i];
    return (struct slice){ put->taken.data + item->from, item[1].from - item->from };
}

/* The row that all the item's cells are of. */
static struct slice item_row(const struct put *put, uint32_t i)
{
    struct slice cells = item_cells(put, i);
    const unsigned char *at = (const unsigned char *)cells.data + CELL_ROW_AT;

    DASSERT(cells.len > CELL_ROW_AT + 2);
    return (struct slice){ cells.data + CELL_ROW_AT + 2, (size_t)(at[0] << 8 | at[1]) };
}

static void tell(struct put *put, struct slice class, struct slice text)
{
    char line[EXCEPTION_LINE_BYTES_MAX];
    struct buf reason = { .data = line, .bound = sizeof(line) };
    uint64_t more;

    if (!log_limit_pass(&put->shared->telling, env_mono_us(put->shared->env), &more))
        return;
    exception_line(class, text, &reason);
    log_line(LOG_WARN, "hbase",
             "table %s refuses documents: %.*s; trying again until it takes them, nothing is "
             "dropped (%" PRIu64 " more like it)",
             put->shared->table, (int)reason.len, line, more);
}

static void tell_failed(struct put *put, struct slice reason)
{
    uint64_t more;

    if (log_limit_pass(&put->shared->telling_failed, env_mono_us(put->shared->env), &more))
        log_line(LOG_WARN, "hbase",
                 "table %s: a write got no answer: %.*s; it is sent again (%" PRIu64
                 " more like it)",
                 put->shared->table, (int)reason.len, reason.data, more);
}

static void bury(struct put *put, uint32_t i, struct slice class, struct slice text)
{
    size_t from = put->reasons.len;

    exception_line(class, text, &put->reasons);
    ASSERT(!put->reasons.overflow);
    put->batch.items[i].reason =
        (struct slice){ put->reasons.data + from, put->reasons.len - from };
}

/* ---- sending ---- */

/* Action { index = 1, mutation = 2 { mutate_type = 2: PUT, associated_cell_count = 8 } } */
static void write_action(struct put *put, uint32_t index, unsigned n_cells)
{
    char bytes[ACTION_BYTES_MAX], count[8];
    struct buf action = { .data = bytes, .bound = sizeof(bytes) };
    struct buf cells = { .data = count, .bound = sizeof(count) };

    proto_put_varint(&cells, n_cells);
    proto_put_number(&action, 1, index);
    buf_put_char(&action, 2 << 3 | PROTO_BYTES);
    buf_put_char(&action, (char)(3 + cells.len));
    buf_put_char(&action, 2 << 3 | PROTO_VARINT);
    buf_put_char(&action, 2);
    buf_put_char(&action, 8 << 3 | PROTO_VARINT);
    buf_put_slice(&action, buf_slice(&cells));
    buf_put_char(&put->params, 3 << 3 | PROTO_BYTES);
    buf_put_char(&put->params, (char)action.len);
    buf_put_slice(&put->params, buf_slice(&action));
}

/* RegionAction { region = 1 { type = 1, value = 2 }, action = 3 ... } */
static void write_group(struct put *put, const struct route_group *group)
{
    struct slice name = locate_region(put->shared->locate, group->region)->name;
    size_t whole = proto_begin(&put->params, 1), region = proto_begin(&put->params, 1);

    proto_put_number(&put->params, 1, 1);
    proto_put_bytes(&put->params, 2, name);
    proto_end(&put->params, region);
    for (uint32_t k = 0; k < group->n; k++) {
        uint32_t i = put->route.order[group->first + k];
        write_action(put, k, put->items[i].n_cells);
        buf_put_slice(&put->cells, item_cells(put, i));
    }
    proto_end(&put->params, whole);
}

static void write_call(struct put *put, uint32_t c)
{
    const struct route_call *route = &put->route.calls[c];
    size_t param = put->params.len, cells = put->cells.len;

    for (uint32_t g = route->first; g < route->first + route->n; g++)
        write_group(put, &put->route.groups[g]);
    ASSERT(!put->params.overflow && !put->cells.overflow);
    put->calls[c] = (struct put_call){ .put = put, .route = route };
    put->calls[c].call = (struct rpc_call){
        .done = call_done,
        .owner = &put->calls[c],
        .method = SLICE("Multi"),
        .param = { put->params.data + param, put->params.len - param },
        .cells = { put->cells.data + cells, put->cells.len - cells },
    };
}

/* Which items go now, and where their rows are: in the first round all, then those in doubt. */
static void find_regions(struct put *put)
{
    size_t bytes = 0;
    bool suspect = false;

    for (uint32_t i = 0; i < put->batch.n; i++) {
        struct put_item *item = &put->items[i];
        size_t mine = item_cells(put, i).len;
        put->regions[i] = LOCATE_NONE;
        if (item->n_cells == 0 || (put->alone && item->outcome != PUT_OUTCOME_DOUBT))
            continue;
        if (put->alone && bytes > 0 && bytes + mine > put->alone_bytes_max)
            continue; /* in a later round */
        bytes += mine;
        item->outcome = PUT_OUTCOME_NONE;
        put->regions[i] = locate_find(put->shared->locate, item_row(put, i));
        suspect |= put->regions[i] == LOCATE_NONE;
    }
    if (suspect)
        locate_suspect(put->shared->locate);
}

static void finish(struct put *put)
{
    bool sent = false, settled = false;

    for (uint32_t i = 0; i < put->batch.n; i++) {
        struct sink_item *item = &put->batch.items[i];
        if (put->items[i].n_cells == 0) {
            item->verdict = SINK_WRITTEN;
            continue;
        }
        sent = true;
        switch (put->items[i].outcome) {
        case PUT_OUTCOME_WRITTEN:
            item->verdict = SINK_WRITTEN;
            break;
        case PUT_OUTCOME_DEAD:
            item->verdict = SINK_DEAD;
            break;
        case PUT_OUTCOME_NONE:
        case PUT_OUTCOME_AGAIN:
        case PUT_OUTCOME_DOUBT:
            item->verdict = SINK_RETRY;
            break;
        }
        settled |= item->verdict != SINK_RETRY;
    }
    put->batch.failed_whole = sent && !settled;
    put->state = PUT_DONE;
}

/* The next round, or the end. */
static void end_round(struct put *put)
{
    bool doubts = false;

    for (uint32_t i = 0; i < put->batch.n && !doubts; i++)
        doubts = put->items[i].outcome == PUT_OUTCOME_DOUBT;
    if (!doubts) {
        finish(put);
        return;
    }
    put->alone = true;
    send_round(put);
}

static void send_round(struct put *put)
{
    find_regions(put);
    route_make(&put->route, put->shared->scratch, put->shared->locate,
               &(struct route_items){ put->regions, put->batch.n, put->alone });
    buf_reset(&put->params);
    buf_reset(&put->cells);
    for (uint32_t c = 0; c < put->route.n_calls; c++)
        write_call(put, c);
    put->n_running = put->route.n_calls;
    for (uint32_t c = 0; c < put->route.n_calls; c++)
        rpc_start(put->shared->rpc, locate_server(put->shared->locate, put->route.calls[c].server),
                  &put->calls[c].call);
    if (put->n_running == 0)
        end_round(put);
}

void put_step(struct put *put)
{
    if (put->state != PUT_HELD)
        return;
    switch (locate_wait_ends(put->shared->locate, &put->held)) {
    case LOCATE_WAIT:
        return;
    case LOCATE_GIVE_UP:
        finish(put);
        return;
    case LOCATE_GO:
        put->state = PUT_SENT;
        send_round(put);
        return;
    }
}

void put_submit(struct put *put)
{
    bool any = false;

    ASSERT(put->state == PUT_FILLING);
    for (uint32_t i = 0; i < put->batch.n; i++) {
        put->batch.items[i] = (struct sink_item){ .verdict = SINK_RETRY };
        any |= put->items[i].n_cells > 0;
    }
    if (!any) {
        finish(put);
        return;
    }
    put->state = PUT_HELD;
    put->alone = false;
    put->alone_bytes_max = ALONE_BYTES_MAX;
    locate_wait_begin(put->shared->locate, &put->held);
    put_step(put);
}

/* ---- answers ---- */

/* The k-th item of a group. */
static struct put_item *group_item(struct put *put, const struct route_group *group, uint32_t k)
{
    return &put->items[put->route.order[group->first + k]];
}

static void settle_group(struct put *put, const struct route_group *group, enum put_outcome outcome)
{
    for (uint32_t k = 0; k < group->n; k++)
        group_item(put, group, k)->outcome = outcome;
}

static void settle_call(struct put_call *call, enum put_outcome outcome)
{
    const struct route_call *route = call->route;
    for (uint32_t g = route->first; g < route->first + route->n; g++)
        settle_group(call->put, &call->put->route.groups[g], outcome);
}

static enum put_outcome judge(struct put *put, const struct put_item *item, struct slice class,
                              struct slice text)
{
    switch (exception_judge(class, text)) {
    case EXCEPTION_RELOCATE:
        locate_suspect(put->shared->locate);
        return PUT_OUTCOME_AGAIN;
    case EXCEPTION_BUSY:
    case EXCEPTION_TOO_BIG:
        return PUT_OUTCOME_AGAIN;
    case EXCEPTION_RETRY:
        tell(put, class, text);
        return PUT_OUTCOME_AGAIN;
    case EXCEPTION_DEAD:
        if (!put->alone)
            return PUT_OUTCOME_DOUBT;
        bury(put, (uint32_t)(item - put->items), class, text);
        return PUT_OUTCOME_DEAD;
    }
    ASSERT(false); /* outside its enum */
    return PUT_OUTCOME_AGAIN;
}

/* ResultOrException { index = 1, result = 2, exception = 3 }. False: it fits no action. */
static bool read_result(struct put *put, const struct route_group *group, struct slice message)
{
    uint64_t index = UINT64_MAX;
    bool result = false, exception = false;
    struct slice class = { NULL, 0 }, text = { NULL, 0 };
    struct proto proto;
    struct proto_field field;

    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_VARINT)
            index = field.value;
        else if (field.number == 2 && field.type == PROTO_BYTES)
            result = true;
        else if (field.number == 3 && field.type == PROTO_BYTES)
            exception = exception_read(field.bytes, &class, &text);
    }
    if (proto.broken || index >= group->n || result == exception)
        return false;
    struct put_item *item = group_item(put, group, (uint32_t)index);
    if (item->outcome != PUT_OUTCOME_NONE)
        return false; /* said twice */
    item->outcome = result ? PUT_OUTCOME_WRITTEN : judge(put, item, class, text);
    return true;
}

/* RegionActionResult { resultOrException = 1 ..., exception = 2 } */
static bool read_group(struct put *put, const struct route_group *group, struct slice message)
{
    struct slice class = { NULL, 0 }, text = { NULL, 0 };
    struct proto proto;
    struct proto_field field;

    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.type != PROTO_BYTES)
            continue;
        if (field.number == 1 && !read_result(put, group, field.bytes))
            return false;
        if (field.number != 2)
            continue;
        if (!exception_read(field.bytes, &class, &text))
            return false;
        /* Of a whole region nothing is for ever. */
        enum exception exception = exception_judge(class, text);
        if (exception == EXCEPTION_RELOCATE)
            locate_suspect(put->shared->locate);
        else if (exception != EXCEPTION_BUSY)
            tell(put, class, text);
        settle_group(put, group, PUT_OUTCOME_AGAIN);
    }
    return !proto.broken;
}

/* MultiResponse { regionActionResult = 1 ... }, in the order of the groups. */
static bool read_answer(struct put_call *call)
{
    uint32_t g = call->route->first, end = g + call->route->n;
    struct proto proto;
    struct proto_field field;

    proto_open(&proto, call->call.answer);
    while (proto_next(&proto, &field)) {
        if (field.number != 1 || field.type != PROTO_BYTES)
            continue;
        if (g == end || !read_group(call->put, &call->put->route.groups[g++], field.bytes))
            return false;
    }
    return !proto.broken && g == end;
}

/* The server took none of it because of its size. */
static void too_big(struct put_call *call)
{
    struct put *put = call->put;
    const struct route_group *first = &put->route.groups[call->route->first];
    size_t bytes = call->call.cells.len;

    if (call->route->n == 1 && first->n == 1) {
        bury(put, put->route.order[first->first], call->call.exception, call->call.reason);
        settle_call(call, PUT_OUTCOME_DEAD);
        return;
    }
    /* Each round halves it at least, so it ends. */
    if (bytes / 2 < put->alone_bytes_max)
        put->alone_bytes_max = bytes / 2;
    settle_call(call, PUT_OUTCOME_DOUBT);
}

static void refused(struct put_call *call)
{
    struct put *put = call->put;

    switch (exception_judge(call->call.exception, call->call.reason)) {
    case EXCEPTION_RELOCATE:
        locate_suspect(put->shared->locate);
        break;
    case EXCEPTION_BUSY:
        break;
    case EXCEPTION_TOO_BIG:
        too_big(call);
        break;
    case EXCEPTION_RETRY:
    case EXCEPTION_DEAD:
        tell(put, call->call.exception, call->call.reason);
        break;
    }
}

static void call_done(struct rpc_call *rpc_call)
{
    struct put_call *call = rpc_call->owner;
    struct put *put = call->put;

    ASSERT(put->state == PUT_SENT && put->n_running > 0);
    switch (rpc_call->result) {
    case RPC_ANSWERED:
        if (!read_answer(call)) {
            counter_add(&put->shared->broken, 1);
            tell(put, SLICE("an answer that does not fit what was asked"), SLICE(""));
            settle_call(call, PUT_OUTCOME_AGAIN);
        }
        break;
    case RPC_REFUSED:
        refused(call);
        break;
    case RPC_FAILED:
        tell_failed(put, rpc_call->reason);
        locate_suspect(put->shared->locate); /* the server may be gone, its regions elsewhere */
        break;
    }
    if (--put->n_running == 0)
        end_round(put);
}
