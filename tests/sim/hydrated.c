/*
 * hydrated.c: see hydrated.h.
 *
 *     node's store ── document ──────────────► rendered ─┐
 *                                                        ├─ equal, and of one version
 *     a sink's bytes ─► parsed ─► joined into an empty store ─► rendered
 *
 * With partial images HBase does not keep the number of a cell that a tombstone of another writer
 * deleted unseen (drivers/hbase/rows.h), so there the version read back may be lower. And it may be
 * greater where tombstones were purged: what is read back joins states of different times, and a
 * residual does not say which rows it counts (docs/ORDERING.md, the proof).
 */
#include "tests/sim/hydrated.h"

#include "control/drivers.h"
#include "drivers/hbase/rows.h"
#include "tests/sim/broker.h"
#include "tests/sim/search.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#include <jansson.h>
#include <string.h>

enum { REFUSED_MAX = 256 };

#define BOUND_BYTES ((size_t)16 << 20)
#define EQUALS      "a node that hydrated"

static struct {
    struct plan *plan;
    struct store *store;
    struct rows *rows;
    struct arena arena;
    struct buf cells, text;
    struct table_watch watch;
    char refused[REFUSED_MAX][24]; /* rows of the table */
    unsigned n_refused, n_compared;
} hydrated;

static void refused(struct table_watch *watch, struct slice row)
{
    (void)watch;
    ASSERT(row.len < sizeof(hydrated.refused[0]));
    if (hydrated.n_refused < REFUSED_MAX)
        memcpy(hydrated.refused[hydrated.n_refused++], row.data, row.len);
}

void hydrated_open(const struct config_task *task)
{
    hydrated.plan = drivers_plan(task);
    hydrated.store = store_open(hydrated.plan, BOUND_BYTES);
    hydrated.rows = rows_open(hydrated.plan, SLICE(TABLE_FAMILY));
    arena_open(&hydrated.arena, BOUND_BYTES, "hydrated");
    buf_open(&hydrated.cells, BOUND_BYTES, "hydrated");
    buf_open(&hydrated.text, BOUND_BYTES, "hydrated");
    hydrated.watch = (struct table_watch){ .refused = refused };
    if (world.table != NULL)
        table_watch(world.table, &hydrated.watch);
}

/* ---- what a sink has ---- */

struct held {
    struct document_state states[2];
    unsigned n;
    bool refused;
};

static void hold_text(struct held *held, const char *index, struct slice key)
{
    struct search_document document;
    struct err err;
    if (!search_find(world.search, index, key, &document))
        return;
    held->refused = held->refused || document.refused_max > 0;
    if (document.there && document_parse(hydrated.plan, document.source, (struct slice){ NULL, 0 },
                                         &hydrated.arena, &held->states[held->n++], &err) != 0)
        sim_blame(EQUALS, "%.*s in %s can't be read: %s", (int)key.len, key.data, index, err.text);
}

static void hold_cells(struct held *held, struct slice key)
{
    char name[32];
    struct buf row = { .data = name, .bound = sizeof(name) };
    uint64_t version;
    struct err err;
    rows_key(key, &row);
    hydrated.cells.len = 0;
    for (unsigned i = 0; i < hydrated.n_refused; i++)
        held->refused =
            held->refused || slice_equal(slice_of(hydrated.refused[i]), buf_slice(&row));
    unsigned n = table_read(world.table, buf_slice(&row), &hydrated.cells);
    if (n > 0 && rows_read(hydrated.rows, buf_slice(&hydrated.cells), n, &hydrated.arena,
                           &held->states[held->n++], &version, &err) != 0)
        sim_blame(EQUALS, "cells of %.*s can't be read: %s", (int)key.len, key.data, err.text);
}

/* ---- two stores ---- */

static struct entity *hydrate(const struct held *held, struct slice key)
{
    struct document_state states[2];
    struct entity *entity = store_add(hydrated.store, key_hash(key), key);
    unsigned late = 0;
    ASSERT(entity != NULL);
    if (held->n == 2)
        document_states_order(hydrated.plan, held->states, states);
    else
        states[0] = held->states[0];
    for (unsigned i = 0; i < held->n; i++)
        ASSERT(store_join(hydrated.store, entity, &states[i], sink_bit(0), &late) == MERGE_UPDATE);
    return entity;
}

static json_t *shown(const struct plan *plan, const struct entity *entity)
{
    struct document document = store_document(entity);
    buf_reset(&hydrated.text);
    if (!document_shown(plan, &document))
        return json_null();
    document_render(plan, &document, false, &hydrated.text);
    return json_loadb(hydrated.text.data, hydrated.text.len, JSON_DECODE_ANY, NULL);
}

/* May the version that was read back be another one? See above. */
static bool may_differ(const char *sink, const struct entity *mine, const struct entity *theirs)
{
    if (theirs->version > mine->version)
        return theirs->residual > 0;
    return strcmp(sink, "detail") == 0 && hydrated.plan->images == IMAGES_PARTIAL;
}

static void compare(unsigned number, const struct pipeline *pipeline, const struct entity *mine,
                    const char *sink, const struct held *held)
{
    const struct plan *plan = pipeline->options.plan;
    struct slice key = entity_key(mine);
    struct entity *theirs = hydrate(held, key);
    json_t *here = shown(plan, mine), *there = shown(hydrated.plan, theirs);
    if (!json_equal(here, there))
        sim_blame(EQUALS, "from %s has %s of %.*s, node %u has %s", sink,
                  json_dumps(there, JSON_ENCODE_ANY | JSON_COMPACT), (int)key.len, key.data, number,
                  json_dumps(here, JSON_ENCODE_ANY | JSON_COMPACT));
    if (theirs->version != mine->version && !may_differ(sink, mine, theirs))
        sim_blame(EQUALS,
                  "from %s has %.*s at version %llu, residual %llu, node %u at %llu, residual %llu",
                  sink, (int)key.len, key.data, (unsigned long long)theirs->version,
                  (unsigned long long)theirs->residual, number, (unsigned long long)mine->version,
                  (unsigned long long)mine->residual);
    json_decref(here);
    json_decref(there);
    store_drop(hydrated.store, theirs);
    store_reclaim(hydrated.store);
    hydrated.n_compared++;
}

/* Is the partition the node's, as it and the group know, since before the epoch? */
static bool owns(unsigned number, const struct task *task, unsigned slot, uint32_t epoch)
{
    const char *group = task->config->source.kafka.group;
    unsigned partition = (unsigned)partitions_number(task->partitions, (uint16_t)slot);
    return task->assignments[slot].owned && task->epochs[slot] <= epoch &&
           broker_owner(world.broker, group, partitions_topic(task->partitions, (uint16_t)slot),
                        partition) == (int)number;
}

/* Is what the store has of it up to date? */
static bool is_current(unsigned number, const struct task *task, const struct entity *entity)
{
    bool keyed = task->pipelines[0]->options.by_key;
    if (entity->pending != NULL || entity->epoch == 0 || entity->rows == NULL)
        return false;
    for (unsigned slot = 0; slot < partitions_count(task->partitions); slot++)
        if ((!keyed || slot == entity->partition) && !owns(number, task, slot, entity->epoch))
            return false;
    return keyed || task->n_owned == task->n_total;
}

static void check_entity(unsigned number, const struct task *task, unsigned shard,
                         const struct entity *entity)
{
    struct slice key = entity_key(entity);
    for (unsigned sink = 0; sink < task->config->n_sinks; sink++) {
        const char *name = task->config->sinks[sink].name;
        struct held held = { .n = 0 };
        arena_reset(&hydrated.arena);
        if (strcmp(name, "search") == 0) {
            hold_text(&held, "orders", key);
            hold_text(&held, "orders-weir", key);
        } else {
            hold_cells(&held, key);
        }
        if (!held.refused)
            compare(number, task->pipelines[shard], entity, name, &held);
    }
}

void hydrated_check(unsigned number, const struct node *node, struct slice key)
{
    const struct task *task = &node->tasks[0];
    for (unsigned s = 0; s < node->n_shards; s++) {
        const struct entity *entity = store_find(task->pipelines[s]->store, key_hash(key), key);
        if (entity != NULL && is_current(number, task, entity))
            check_entity(number, task, s, entity);
    }
}

unsigned hydrated_count(void)
{
    return hydrated.n_compared;
}
