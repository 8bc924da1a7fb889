/*
 * table_multi.c: a region server does a Multi.
 *
 *     regionAction { region A: action 0, 1, 2 }   regionAction { region B: action 0 } ...
 *     ├─ not served here: one exception for all of A
 *     ├─ a document that is refused for good: its words for all of A, none is done
 *     ├─ too busy: an exception for some; or for all, though the first ones are done
 *     └─ else each is done by itself, a row at once; out of A's range: an exception
 *
 * The answers of a region come in any order, only that the cells of gets are in the order of their
 * answers.
 *
 * Whether a document is refused hangs on its bytes and the history's salt: sent again, it is
 * refused again, until something of it changes (or faults have stopped).
 *
 * Source: Client.proto (MultiRequest, MultiResponse, Result); RSRpcServices.multi and doBatchOp.
 */
#include "drivers/hbase/cell.h"
#include "tests/sim/table_internal.h"

#include <stdlib.h>

#define HADOOP      "org.apache.hadoop.hbase."
#define ACTIONS_MAX 8192u

struct action {
    uint64_t index;
    bool is_get;
    struct slice row, cells; /* cells: of a mutation */
};

struct group {
    struct slice region;
    struct action actions[ACTIONS_MAX];
    unsigned n;
};

/* The next n cells of the block, which must be of one row. */
static struct slice take_cells(struct slice *block, uint64_t n, struct slice *row)
{
    struct slice all = *block;
    struct cell cell = { 0 };

    for (uint64_t i = 0; i < n; i++) {
        bool good = cell_next(block, &cell) == 1 && (i == 0 || slice_equal(cell.row, *row)) &&
                    slice_equal(cell.family, SLICE(TABLE_FAMILY));
        if (!good)
            sim_blame("hbase: a mutation is whole", "cell %u of %u, of row %s", (unsigned)i,
                      (unsigned)n, table_shown(cell.row));
        *row = cell.row;
    }
    return (struct slice){ all.data, all.len - block->len };
}

/* Get { row = 1 }, MutationProto { mutate_type = 2, associated_cell_count = 8 } */
static struct slice inner_bytes(struct slice message, uint32_t number, uint64_t *value)
{
    struct slice bytes = { NULL, 0 };
    struct proto_field field;
    struct proto proto;

    *value = 0;
    proto_open(&proto, message);
    while (proto_next(&proto, &field))
        if (field.number == number) {
            bytes = field.bytes;
            *value = field.value;
        }
    ASSERT(!proto.broken);
    return bytes;
}

/* Action { index = 1, mutation = 2, get = 3 } */
static struct action read_action(struct slice message, struct slice *block)
{
    struct action action = { .is_get = true };
    struct proto_field field;
    struct proto proto;
    uint64_t number;

    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1)
            action.index = field.value;
        if (field.number == 3)
            action.row = inner_bytes(field.bytes, 1, &number);
        if (field.number != 2)
            continue;
        action.is_get = false;
        (void)inner_bytes(field.bytes, 2, &number);
        ASSERT(number == 2); /* PUT */
        (void)inner_bytes(field.bytes, 8, &number);
        ASSERT(number > 0);
        action.cells = take_cells(block, number, &action.row);
    }
    ASSERT(!proto.broken && action.row.len > 0);
    return action;
}

/* RegionAction { region = 1 { value = 2 }, action = 3 ... }. Cells are taken whether the region is
 * served or not. */
static void read_group(struct slice message, struct slice *block, struct group *group)
{
    struct proto_field field;
    struct proto proto;
    uint64_t number;

    group->n = 0;
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1)
            group->region = inner_bytes(field.bytes, 2, &number);
        if (field.number != 3)
            continue;
        ASSERT(group->n < ACTIONS_MAX);
        group->actions[group->n++] = read_action(field.bytes, block);
    }
    ASSERT(!proto.broken && group->n > 0);
}

/* ---- refusals ---- */

static uint64_t mix(uint64_t hash, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static bool is_bad(const struct table *table, const struct action *action)
{
    uint64_t hash = mix(table->salt ^ UINT64_C(0xcbf29ce484222325), action->cells);

    hash ^= hash >> 29;
    return !action->is_get && hash % 1000 < sim_dials()->refuse;
}

/* What the whole region's actions are answered with. */
static void judge_group(struct table *table, const struct table_call *call,
                        const struct group *group, struct refusal *refusal)
{
    for (unsigned i = 0; i < group->n; i++) {
        const struct action *action = &group->actions[i];
        if (!is_bad(table, action))
            continue;
        table_refuse(refusal, HADOOP "DoNotRetryIOException",
                     "Cell with size 10485888 exceeds limit of 10485760 bytes");
        sim_trace("%s refuses %s and %u others", table_hosts[call->server],
                  table_shown(action->row), group->n - 1);
        for (struct table_watch *watch = table->watches; watch != NULL; watch = watch->next)
            if (group->n == 1 && watch->refused != NULL)
                watch->refused(watch, action->row);
        return;
    }
}

static void too_busy(const struct table_call *call, const struct group *group,
                     struct refusal *refusal)
{
    table_refuse(refusal, HADOOP "RegionTooBusyException",
                 "Over memstore limit=512.0M, regionName=%.150s, server=%s,16020",
                 table_shown(group->region), table_hosts[call->server]);
    sim_trace("%s is too busy for some of %u in %s", table_hosts[call->server], group->n,
              table_shown(group->region));
}

/* ---- doing ---- */

static void put_row(struct table *table, unsigned server, struct slice row)
{
    unsigned n = table_read(table, row, &table->cells);

    sim_trace("%s reads %s: %u cells", table_hosts[server], table_shown(row), n);
    proto_put_number(&table->result, 2, n);
}

/* ResultOrException { index = 1, result = 2 { associated_cell_count = 2 }, exception = 3 } */
static void put_entry(struct table *table, const struct table_call *call,
                      const struct action *action, const struct refusal *refusal)
{
    struct buf *out = &table->result;
    size_t entry = proto_begin(out, 1);

    proto_put_number(out, 1, action->index);
    if (refusal->class != NULL) {
        table_put_exception(out, 3, refusal);
    } else {
        size_t result = proto_begin(out, 2);
        if (action->is_get)
            put_row(table, call->server, action->row);
        proto_end(out, result);
    }
    proto_end(out, entry);
}

/* Mutations are done; gets are when they are answered. */
static void do_action(struct table *table, const struct table_call *call,
                      const struct kept_region *region, const struct group *group,
                      const struct action *action, struct refusal *refusal)
{
    if (!region_holds(region, action->row))
        table_refuse(
            refusal, HADOOP "exceptions.FailedSanityCheckException",
            "Requested row out of range for doMiniBatchMutation on HRegion %.100s, row='%.100s'",
            table_shown(group->region), table_shown(action->row));
    else if (sim_chance(sim_dials()->busy_item))
        too_busy(call, group, refusal);
    else if (!action->is_get)
        cells_apply(table, call->server, action->cells);
}

static void shuffle(unsigned *order, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        order[i] = i;
    for (unsigned i = n; i > 1; i--) {
        unsigned other = sim_below(i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

/* False: the server died in the middle. */
static bool do_group(struct table *table, const struct table_call *call,
                     const struct kept_region *region, const struct group *group)
{
    static struct refusal refusals[ACTIONS_MAX];
    static unsigned order[ACTIONS_MAX];
    struct refusal all = { .class = NULL };
    unsigned ends = group->n, dies = group->n;

    judge_group(table, call, group, &all);
    if (all.class != NULL) {
        ends = 0;
    } else if (sim_chance(sim_dials()->busy_item)) {
        too_busy(call, group, &all);
        ends = sim_below(group->n + 1);
    } else if (sim_chance(sim_dials()->lose_answer)) {
        dies = sim_below(group->n + 1);
    }
    for (unsigned i = 0; i < group->n; i++) {
        refusals[i].class = NULL;
        if (i == dies)
            return false;
        if (i < ends)
            do_action(table, call, region, group, &group->actions[i], &refusals[i]);
    }
    shuffle(order, group->n);
    for (unsigned i = 0; i < group->n; i++)
        put_entry(table, call, &group->actions[order[i]],
                  all.class != NULL ? &all : &refusals[order[i]]);
    return true;
}

bool multi_serve(struct table *table, const struct table_call *call)
{
    static struct group group; /* too large for a stack */
    struct slice block = call->cells;
    struct proto_field field;
    struct proto proto;

    proto_open(&proto, call->param);
    while (proto_next(&proto, &field)) {
        struct refusal refusal = { .class = NULL };
        const struct kept_region *region;
        if (field.number != 1)
            continue;
        read_group(field.bytes, &block, &group);
        region = regions_serve(table, call->server, group.region, &refusal);
        size_t begun = proto_begin(&table->result, 1);
        if (region == NULL) {
            sim_trace("%s: %s", table_hosts[call->server], refusal.text);
            table_put_exception(&table->result, 2, &refusal);
        } else if (!do_group(table, call, region, &group)) {
            return false;
        }
        proto_end(&table->result, begun);
    }
    ASSERT(!proto.broken && block.len == 0);
    proto_put_bytes(&table->result, 3, SLICE("")); /* regionStatistics */
    return true;
}
