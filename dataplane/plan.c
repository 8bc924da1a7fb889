/*
 * plan.c: the tables of a task and what each makes of its columns.
 *
 *     trade.tc_order          root       columns (reserved: _weir, buyer, items)
 *     trade.tc_order_buyer    buyer      columns
 *     trade.tc_order_item     items, id  columns
 *
 * Tables come in any order, so the root's reserved names are kept up from both sides: a new root
 * reserves what the tables before it stand under, a later table reserves its own place in the root.
 *
 * Invariants: n_tables <= PLAN_TABLES_MAX; `root` is right once the root was added. What this does
 * not do: judge the config (names given twice, no root); that is done before, with positions for
 * people.
 */
#include "dataplane/plan.h"

#include "dataplane/base/memory.h"
#include "dataplane/columns.h"

struct plan *plan_open(struct slice task, struct slice key, enum images images, enum emit emit)
{
    struct plan *plan = memory_reserve(sizeof(*plan), "plan");

    ASSERT(key.len > 0);
    plan->task = task;
    plan->key = key;
    plan->images = images;
    plan->emit = emit;
    return plan;
}

void plan_add_table(struct plan *plan, const struct plan_table *table,
                    const struct plan_rename *renames, unsigned n_renames)
{
    unsigned index = plan->n_tables;
    struct plan_table *added = &plan->tables[index];

    ASSERT(index < PLAN_TABLES_MAX);
    *added = *table;
    added->columns = columns_open(renames, n_renames);
    if (table->into.len == 0) {
        plan->root = index;
        for (unsigned i = 0; i < index; i++)
            columns_reserve(added->columns, plan->tables[i].into);
    } else if (index > 0 && plan->tables[plan->root].into.len == 0) {
        columns_reserve(plan->tables[plan->root].columns, table->into);
    }
    plan->n_tables++;
}

static bool name_is(struct slice name, struct slice database, struct slice table)
{
    return name.len == database.len + 1 + table.len && name.data[database.len] == '.' &&
           memcmp(name.data, database.data, database.len) == 0 &&
           memcmp(name.data + database.len + 1, table.data, table.len) == 0;
}

int plan_find(const struct plan *plan, struct slice database, struct slice table)
{
    for (unsigned i = 0; i < plan->n_tables; i++)
        if (name_is(plan->tables[i].name, database, table))
            return (int)i;
    return -1;
}
