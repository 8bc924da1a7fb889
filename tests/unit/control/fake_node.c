/*
 * fake_node.c: see fake_node.h. Stores, plans and pending records are the real ones; only who would
 * run them is missing.
 */
#include "fake_node.h"

#include "dataplane/base/memory.h"
#include "dataplane/columns.h"

/* Memory that lives as long as the process: pages, which no leak checker asks for. */
static void *forever(size_t n, size_t bytes)
{
    return memory_reserve(n * bytes, "fake node");
}

/* ---- config ---- */

static struct config *fake_config(const char *admin, const char *http)
{
    static struct config_sink sinks[FAKE_SINKS] = {
        { .name = "search", .kind = CONFIG_SINK_ELASTICSEARCH },
        { .name = "local", .kind = CONFIG_SINK_SQLITE },
    };
    static struct config_task task = { .name = "orders", .n_sinks = FAKE_SINKS, .sinks = sinks };
    struct config *config = forever(1, sizeof(*config));

    config->node.name = "node-a";
    config->node.admin = admin;
    config->node.admin_explicit = true;
    config->node.http = http;
    config->n_tasks = 1;
    config->tasks = &task;
    return config;
}

static struct plan *fake_plan(void)
{
    struct plan *plan = plan_open(SLICE("orders"), SLICE("order_no"), IMAGES_FULL, EMIT_ALWAYS);
    struct plan_table tables[] = {
        { .name = SLICE("shop.tc_order") },
        { .name = SLICE("shop.tc_order_buyer"), .into = SLICE("buyer") },
        { .name = SLICE("shop.tc_order_item"), .into = SLICE("items"), .many = SLICE("id") },
    };

    for (unsigned i = 0; i < 3; i++)
        plan_add_table(plan, &tables[i], NULL, 0);
    return plan;
}

/* ---- documents ---- */

struct cell {
    const char *column, *json;
};

static void put_row(struct task *task, unsigned shard, const char *key, unsigned table,
                    const char *row_id, uint64_t seqno, const struct cell *cells, unsigned n_cells)
{
    struct store *store = task->pipelines[shard]->store;
    struct slice name = slice_of(key);
    struct entity *entity = store_find(store, key_hash(name), name);
    struct field fields[4];

    if (entity == NULL)
        entity = store_add(store, key_hash(name), name);
    ASSERT(entity != NULL);
    for (unsigned i = 0; i < n_cells; i++)
        fields[i] = (struct field){
            .column = columns_intern(task->plan->tables[table].columns, slice_of(cells[i].column)),
            .value = slice_of(cells[i].json),
        };
    struct change change = { .seqno = seqno,
                             .hash = key_hash(name),
                             .key = name,
                             .row_id = slice_of(row_id),
                             .table = (uint16_t)table,
                             .op = n_cells > 0 ? CHANGE_UPSERT : CHANGE_DELETE,
                             .n_fields = n_cells,
                             .fields = fields };
    ASSERT(store_apply(store, entity, &change, 0) != MERGE_FULL);
}

static void put_documents(struct task *task)
{
    const struct cell root[] = { { "order_no", "\"1001\"" }, { "amount", "365.30" } };
    const struct cell buyer[] = { { "name", "\"A\\\"b\"" } };
    const struct cell other[] = { { "order_no", "\"a/b c\"" } };

    put_row(task, 0, "1001", 0, "", FAKE_SEQNO, root, 2);
    put_row(task, 0, "1001", 1, "", FAKE_SEQNO + 1, buyer, 1);
    put_row(task, 0, "1001", 2, "10", FAKE_SEQNO + 2, &(struct cell){ "id", "10" }, 1);
    put_row(task, 0, "1001", 2, "4", FAKE_SEQNO + 3, &(struct cell){ "id", "4" }, 1);
    put_row(task, 0, "1001", 2, "5", FAKE_SEQNO + 4, NULL, 0);
    put_row(task, 1, "a/b c", 0, "", FAKE_SEQNO + 5, other, 1);
    put_row(task, 1, "gone", 0, "", FAKE_SEQNO + 6, NULL, 0);
}

/* `search` holds version 7 of "a/b c" and is being given the rest; `local` has all of it. */
static void put_pending(struct task *task)
{
    struct pipeline *pipeline = task->pipelines[1];
    struct slice key = SLICE("a/b c");
    struct entity *entity = store_find(pipeline->store, key_hash(key), key);
    struct pending *pending = pendings_take(pipeline->pendings, entity, 7);

    pending->sinks[0].state = PENDING_FLYING;
    pending->sinks[1].state = PENDING_REST;
    pending->sinks[1].acked = entity->version;
    pipeline->n_pending = 1;
}

/* ---- the node ---- */

static struct pipeline *fake_pipeline(const struct plan *plan, unsigned shard)
{
    struct pipeline *pipeline = forever(1, sizeof(*pipeline));
    uint64_t *counters = (uint64_t *)&pipeline->counters;

    pipeline->store = store_open(plan, 8 << 20);
    pipeline->watermark = watermark_open(FAKE_SINKS, 64);
    pipeline->pendings = pendings_open(FAKE_SINKS, 0, 16, pipeline->watermark);
    pipeline->tables = forever(PLAN_TABLES_MAX, sizeof(*pipeline->tables));
    for (unsigned i = 0; i < sizeof(struct counters) / sizeof(uint64_t); i++)
        counters[i] = 100 * (shard + 1) + i;
    pipeline->counters.stalled_us = 1500000;
    for (unsigned t = 0; t < 3; t++)
        pipeline->tables[t] = (struct table_counters){ 10 + t, 20 + t, 30 + t };
    for (unsigned i = 0; i < FAKE_SINKS; i++)
        pipeline->outlets[i].counters = (struct outlet_counters){
            .written = 40 + i, .stale = 50 + i, .retried = 60 + i, .dead = 70 + i, .in_flight = 1
        };
    return pipeline;
}

static void put_partitions(struct task *task)
{
    task->partitions = partitions_open();
    uint16_t known = partitions_slot(task->partitions, "trade", 0);
    uint16_t lost = partitions_slot(task->partitions, "trade", 1);
    uint16_t unknown = partitions_slot(task->partitions, "trade", 2);

    ASSERT(known == 0 && lost == 1 && unknown == 2);
    task->assignments[known] = (struct assignment){ .owned = 1,
                                                    .shard = 1,
                                                    .end_offset = 900,
                                                    .read = 800,
                                                    .durable = 700,
                                                    .committed = 600,
                                                    .high = 1000 };
    task->assignments[lost] = (struct assignment){ .owned = 0, .high = 5000 };
    task->assignments[unknown] = (struct assignment){
        .owned = 1, .end_offset = -1, .read = 50, .durable = 40, .committed = -1, .high = -1
    };
}

struct node *fake_node(const char *admin, const char *http)
{
    struct node *node = forever(1, sizeof(*node));
    struct task *task = forever(1, sizeof(*task));

    node->config = fake_config(admin, http);
    node->started_us = 1000000;
    node->started_wall_us = FAKE_SEQNO;
    node->n_shards = FAKE_SHARDS;
    node->shards = forever(FAKE_SHARDS, sizeof(*node->shards));
    node->n_tasks = 1;
    node->tasks = task;
    task->node = node;
    task->config = &node->config->tasks[0];
    task->state = TASK_RUNNING;
    task->plan = fake_plan();
    task->pipelines = forever(FAKE_SHARDS, sizeof(*task->pipelines));
    task->readers = forever(FAKE_SHARDS, sizeof(struct store_reader *));
    for (unsigned s = 0; s < FAKE_SHARDS; s++) {
        task->pipelines[s] = fake_pipeline(task->plan, s);
        task->readers[s] = store_reader_open(task->pipelines[s]->store);
    }
    put_partitions(task);
    put_documents(task);
    put_pending(task);
    return node;
}
