/*
 * get.c: states read back: one Multi with gets for each server that has some of the keys.
 *
 *     answer   { 0: 3 cells }, { 1: none }, { 2: exception }, { 3: 2 cells }
 *     cells    a a a d d       in the order of the answer's entries
 *              └─ copied into the lookup's arena as they are, states point into them
 *
 * Each cell's row is compared with the one that was asked for: a state merged into the wrong entity
 * could never be taken out again.
 *
 * A key whose region, server or action did not answer is LOOKUP_AGAIN, the others are not held up
 * by it. Answers are as large as the rows are, so how many keys fit is not known beforehand: where
 * a call brings nothing back, or what it brings does not fit, the next lookups take half as many
 * keys; when they fit easily, twice as many again. At one key alone it is that row's fault:
 * LOOKUP_BROKEN.
 *
 * What this does not do: decide when to ask again, or merge states.
 *
 * Source: Client.proto (MultiRequest with Get, MultiResponse, Result).
 */
#include "drivers/hbase/get.h"

#include "dataplane/base/counter.h"
#include "dataplane/base/memory.h"
#include "drivers/hbase/cell.h"
#include "drivers/hbase/exception.h"
#include "drivers/hbase/proto.h"

#include <inttypes.h>

#define ACTION_BYTES_MAX \
    (ROWS_KEY_BYTES_MAX + 256u + 64u) /* a row, a family, what is around them */
#define GROUP_BYTES_MAX  (LOCATE_NAME_BYTES_MAX + 64u)
#define REASON_BYTES_MAX 640u

static void call_done(struct rpc_call *call);

void get_open(struct get *get, struct get_shared *shared)
{
    ASSERT(shared->family.len < 256);
    *get = (struct get){ .state = GET_FREE, .shared = shared };
    buf_open(&get->rows, (size_t)GET_KEYS_MAX * ROWS_KEY_BYTES_MAX, "row keys of a lookup");
    get->rows_at = memory_reserve((GET_KEYS_MAX + 1) * sizeof(*get->rows_at), "keys of a lookup");
    get->regions = memory_reserve(GET_KEYS_MAX * sizeof(*get->regions), "routes");
    get->lookup.items =
        memory_reserve(GET_KEYS_MAX * sizeof(*get->lookup.items), "items of a lookup");
    route_open(&get->route, GET_KEYS_MAX);
    get->calls = memory_reserve_virtual(get->route.calls_max * sizeof(*get->calls), "lookups");
    buf_open(&get->params, (size_t)GET_KEYS_MAX * (ACTION_BYTES_MAX + GROUP_BYTES_MAX), "lookups");
    arena_open(&get->arena, shared->arena_bytes_max, "states read back");
    buf_open(&get->reasons, (size_t)GET_KEYS_MAX * REASON_BYTES_MAX, "broken states");
}

void get_begin(struct get *get)
{
    ASSERT(get->state == GET_FREE);
    get->state = GET_FILLING;
    get->lookup.n = 0;
    get->lookup.failed_whole = false;
    get->rows_at[0] = 0;
    buf_reset(&get->rows);
    buf_reset(&get->reasons);
    arena_reset(&get->arena);
}

bool get_add(struct get *get, struct slice key)
{
    ASSERT(get->state == GET_FILLING);
    ASSERT(key.len > 0 && key.len <= KEY_BYTES_MAX);
    if (get->lookup.n >= get->shared->keys_max)
        return false;
    rows_key(key, &get->rows);
    ASSERT(!get->rows.overflow);
    get->rows_at[++get->lookup.n] = (uint32_t)get->rows.len;
    return true;
}

static struct slice row_of(const struct get *get, uint32_t i)
{
    return (struct slice){ get->rows.data + get->rows_at[i],
                           get->rows_at[i + 1] - get->rows_at[i] };
}

/* ---- asking ---- */

/* RegionAction { region = 1, action = 3 { index = 1, get = 3 { row = 1, column = 2 { family = 1 }
 * } } ... }; one version of each cell is the default. */
static void write_group(struct get *get, const struct route_group *group)
{
    struct buf *out = &get->params;
    size_t whole = proto_begin(out, 1), region = proto_begin(out, 1);

    proto_put_number(out, 1, 1);
    proto_put_bytes(out, 2, locate_region(get->shared->locate, group->region)->name);
    proto_end(out, region);
    for (uint32_t k = 0; k < group->n; k++) {
        size_t action = proto_begin(out, 3);
        proto_put_number(out, 1, k);
        size_t query = proto_begin(out, 3);
        proto_put_bytes(out, 1, row_of(get, get->route.order[group->first + k]));
        size_t column = proto_begin(out, 2);
        proto_put_bytes(out, 1, get->shared->family);
        proto_end(out, column);
        proto_end(out, query);
        proto_end(out, action);
    }
    proto_end(out, whole);
}

static void write_call(struct get *get, uint32_t c)
{
    const struct route_call *route = &get->route.calls[c];
    size_t from = get->params.len;

    for (uint32_t g = route->first; g < route->first + route->n; g++)
        write_group(get, &get->route.groups[g]);
    ASSERT(!get->params.overflow);
    get->calls[c] = (struct get_call){ .get = get, .route = route };
    get->calls[c].call =
        (struct rpc_call){ .done = call_done,
                           .owner = &get->calls[c],
                           .method = SLICE("Multi"),
                           .param = { get->params.data + from, get->params.len - from } };
}

static void finish(struct get *get)
{
    struct sink_lookup *lookup = &get->lookup;

    lookup->failed_whole = lookup->n > 0;
    for (uint32_t i = 0; i < lookup->n && lookup->failed_whole; i++)
        lookup->failed_whole = lookup->items[i].found == LOOKUP_AGAIN;
    get->state = GET_DONE;
}

static void send_calls(struct get *get)
{
    struct locate *locate = get->shared->locate;
    bool suspect = false;

    get->state = GET_SENT;
    for (uint32_t i = 0; i < get->lookup.n; i++) {
        get->regions[i] = locate_find(locate, row_of(get, i));
        suspect |= get->regions[i] == LOCATE_NONE;
    }
    if (suspect)
        locate_suspect(locate);
    route_make(&get->route, get->shared->scratch, locate,
               &(struct route_items){ get->regions, get->lookup.n, false });
    buf_reset(&get->params);
    for (uint32_t c = 0; c < get->route.n_calls; c++)
        write_call(get, c);
    get->n_running = get->route.n_calls;
    for (uint32_t c = 0; c < get->route.n_calls; c++)
        rpc_start(get->shared->rpc, locate_server(locate, get->route.calls[c].server),
                  &get->calls[c].call);
    if (get->n_running == 0)
        finish(get);
}

void get_step(struct get *get)
{
    if (get->state != GET_HELD)
        return;
    switch (locate_wait_ends(get->shared->locate, &get->held)) {
    case LOCATE_WAIT:
        return;
    case LOCATE_GIVE_UP:
        finish(get);
        return;
    case LOCATE_GO:
        send_calls(get);
        return;
    }
}

void get_submit(struct get *get)
{
    ASSERT(get->state == GET_FILLING);
    for (uint32_t i = 0; i < get->lookup.n; i++)
        get->lookup.items[i] = (struct lookup_item){ .found = LOOKUP_AGAIN };
    get->state = GET_HELD;
    locate_wait_begin(get->shared->locate, &get->held);
    get_step(get);
}

/* ---- answers ---- */

static void tell(struct get *get, struct slice class, struct slice text)
{
    char line[EXCEPTION_LINE_BYTES_MAX];
    struct buf reason = { .data = line, .bound = sizeof(line) };
    uint64_t more;

    if (!log_limit_pass(&get->shared->telling, env_mono_us(get->shared->env), &more))
        return;
    exception_line(class, text, &reason);
    log_line(LOG_WARN, "hbase",
             "table %s refuses to be read: %.*s; asking again until it answers (%" PRIu64
             " more like it)",
             get->shared->table, (int)reason.len, line, more);
}

static void take_exception(struct get *get, struct slice class, struct slice text)
{
    switch (exception_judge(class, text)) {
    case EXCEPTION_RELOCATE:
        locate_suspect(get->shared->locate);
        break;
    case EXCEPTION_BUSY:
        break;
    case EXCEPTION_TOO_BIG:
    case EXCEPTION_RETRY:
    case EXCEPTION_DEAD:
        tell(get, class, text);
        break;
    }
}

static void tell_failed(struct get *get, struct slice reason)
{
    uint64_t more;

    if (log_limit_pass(&get->shared->telling_failed, env_mono_us(get->shared->env), &more))
        log_line(LOG_WARN, "hbase",
                 "table %s: a read got no answer: %.*s; it is asked again (%" PRIu64
                 " more like it)",
                 get->shared->table, (int)reason.len, reason.data, more);
}

static void fewer_keys(struct get *get)
{
    if (get->lookup.n > 1)
        get->shared->keys_max = get->lookup.n / 2;
}

static void break_item(struct get *get, uint32_t i, struct slice reason)
{
    struct lookup_item *item = &get->lookup.items[i];
    size_t from = get->reasons.len;

    if (reason.len > REASON_BYTES_MAX)
        reason.len = REASON_BYTES_MAX;
    buf_put_slice(&get->reasons, reason);
    ASSERT(!get->reasons.overflow);
    *item = (struct lookup_item){ .found = LOOKUP_BROKEN };
    item->reason = (struct slice){ get->reasons.data + from, reason.len };
}

/* The next n cells, which must be of that row. False: they are not there, others are, or their
 * lengths do not fit: the answer is wrong then, not what the table holds. */
static bool cells_of(struct slice all, size_t *at, uint64_t n, struct slice row)
{
    struct slice rest = { all.data + *at, all.len - *at };
    struct cell cell;

    for (; n > 0; n--)
        if (cell_next(&rest, &cell) <= 0 || !slice_equal(cell.row, row))
            return false;
    *at = all.len - rest.len;
    return true;
}

static void take_state(struct get *get, uint32_t i, struct slice cells, uint64_t n_cells)
{
    struct lookup_item *item = &get->lookup.items[i];
    struct err err;

    *item = (struct lookup_item){ .found = LOOKUP_ABSENT };
    if (n_cells == 0)
        return;
    if (rows_read(get->shared->rows, cells, (unsigned)n_cells, &get->arena, &item->states[0],
                  &item->version, &err) != 0) {
        if (get->lookup.n == 1 || get->arena.used <= get->arena.bound / 2) {
            break_item(get, i, slice_of(err.text));
            return;
        }
        *item = (struct lookup_item){ .found = LOOKUP_AGAIN }; /* perhaps because of the others */
        fewer_keys(get);
        return;
    }
    item->found = LOOKUP_FOUND;
    item->n_states = item->states[0].has_state;
    if (item->n_states == 0)
        item->version = 0;
}

/* Result { cell = 1 ..., associated_cell_count = 2 }. False: its cells are not where they belong.
 */
static bool read_result(struct slice message, uint64_t *n_cells)
{
    struct proto proto;
    struct proto_field field;

    *n_cells = 0;
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1)
            return false;
        if (field.number == 2 && field.type == PROTO_VARINT)
            *n_cells = field.value;
    }
    return !proto.broken && *n_cells <= INT32_MAX;
}

struct got {
    uint64_t index, n_cells;
    bool result, exception;
    struct slice class, text;
};

/* ResultOrException { index = 1, result = 2, exception = 3 } */
static bool read_entry(struct slice message, struct got *got)
{
    struct proto proto;
    struct proto_field field;

    *got = (struct got){ .index = UINT64_MAX };
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_VARINT) {
            got->index = field.value;
        } else if (field.number == 2 && field.type == PROTO_BYTES) {
            got->result = true;
            if (!read_result(field.bytes, &got->n_cells))
                return false;
        } else if (field.number == 3 && field.type == PROTO_BYTES) {
            got->exception = true;
            if (!exception_read(field.bytes, &got->class, &got->text))
                return false;
        }
    }
    return !proto.broken && got->result != got->exception;
}

/* RegionActionResult { resultOrException = 1 ..., exception = 2 }. `cells` are the call's, in the
 * arena. False: it does not fit what was asked. */
static bool read_group(struct get_call *call, const struct route_group *group, struct slice message,
                       struct slice cells)
{
    struct get *get = call->get;
    struct got got;
    struct proto proto;
    struct proto_field field;

    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.type != PROTO_BYTES)
            continue;
        if (field.number == 2) {
            got = (struct got){ .index = 0 };
            got.exception = true;
            if (!exception_read(field.bytes, &got.class, &got.text))
                return false;
            take_exception(get, got.class, got.text);
        }
        if (field.number != 1)
            continue;
        if (!read_entry(field.bytes, &got) || got.index >= group->n)
            return false;
        uint32_t i = get->route.order[group->first + got.index];
        if (got.exception) {
            take_exception(get, got.class, got.text);
            continue;
        }
        size_t from = call->cells_at;
        if (get->lookup.items[i].found != LOOKUP_AGAIN ||
            !cells_of(cells, &call->cells_at, got.n_cells, row_of(get, i)))
            return false; /* said twice, or of another row */
        take_state(get, i, (struct slice){ cells.data + from, call->cells_at - from }, got.n_cells);
    }
    return !proto.broken;
}

static bool read_groups(struct get_call *call, struct slice cells)
{
    uint32_t g = call->route->first, end = g + call->route->n;
    struct proto proto;
    struct proto_field field;

    proto_open(&proto, call->call.answer);
    while (proto_next(&proto, &field)) {
        if (field.number != 1 || field.type != PROTO_BYTES)
            continue;
        if (g == end || !read_group(call, &call->get->route.groups[g++], field.bytes, cells))
            return false;
    }
    return !proto.broken && g == end && call->cells_at == cells.len;
}

/* Nothing of what the call asked for is known. */
static void forget_call(struct get_call *call)
{
    struct get *get = call->get;

    for (uint32_t g = call->route->first; g < call->route->first + call->route->n; g++)
        for (uint32_t k = 0; k < get->route.groups[g].n; k++)
            get->lookup.items[get->route.order[get->route.groups[g].first + k]] =
                (struct lookup_item){ .found = LOOKUP_AGAIN };
}

static void read_answer(struct get_call *call)
{
    struct get *get = call->get;
    struct get_shared *shared = get->shared;
    struct slice cells = arena_copy(&get->arena, call->call.answer_cells);

    if (cells.data == NULL && get->lookup.n == 1) {
        break_item(get, 0, SLICE("its state takes more memory than a lookup has"));
        return;
    }
    if (cells.data == NULL) {
        fewer_keys(get);
        return;
    }
    if (!read_groups(call, cells)) {
        counter_add(&shared->broken, 1);
        forget_call(call);
        tell(get, SLICE("an answer that does not fit what was asked"), SLICE(""));
        return;
    }
    if (get->lookup.n == shared->keys_max && shared->keys_max < GET_KEYS_MAX &&
        get->arena.used < get->arena.bound / 4 && get->n_running == 1)
        shared->keys_max =
            shared->keys_max > GET_KEYS_MAX / 2 ? GET_KEYS_MAX : shared->keys_max * 2;
}

static void call_done(struct rpc_call *rpc_call)
{
    struct get_call *call = rpc_call->owner;
    struct get *get = call->get;

    ASSERT(get->state == GET_SENT && get->n_running > 0);
    switch (rpc_call->result) {
    case RPC_ANSWERED:
        read_answer(call);
        break;
    case RPC_REFUSED:
        take_exception(get, rpc_call->exception, rpc_call->reason);
        break;
    case RPC_FAILED:
        tell_failed(get, rpc_call->reason);
        fewer_keys(get); /* it may have been too much */
        locate_suspect(get->shared->locate);
        break;
    }
    if (--get->n_running == 0)
        finish(get);
}
