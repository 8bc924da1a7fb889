/*
 * plan.h: what a task makes of events: which tables it maps, and where their rows stand in the
 * document.
 *
 * Made once at start from the config, then read by every shard. The one thing in it that grows is
 * each table's dictionary of columns: names come with the events, ids are what changes and rows
 * carry.
 */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include "dataplane/base/check.h"
#include "dataplane/base/slice.h"

#include <stdint.h>

#define PLAN_TABLES_MAX  64
#define KEY_BYTES_MAX    512 /* Elasticsearch's limit for _id */
#define ROW_ID_BYTES_MAX 1024

enum images { IMAGES_FULL, IMAGES_PARTIAL };
enum emit { EMIT_ALWAYS, EMIT_ON_ROOT };

#define COLUMNS_MAX           4096 /* MySQL's limit for a table */
#define COLUMN_NAME_BYTES_MAX 256
#define COLUMN_SKIP           0xfffe /* the config's `columns` does not select it */
#define COLUMN_NONE \
    0xffff /* the name cannot be taken: too long, reserved, or the dictionary is full */

struct columns; /* columns.h */

struct plan_table {
    struct slice name; /* as events name it: "trade.tc_order" */
    struct slice into; /* where its rows stand in the document; empty: the root table */
    struct slice many; /* the column that is the row id; empty: 1:1 */
    struct columns *columns;
};

struct plan {
    struct slice task;
    struct slice key; /* the key column's name */
    enum images images;
    enum emit emit;
    uint64_t tombstone_retention_us; /* how far behind its document's newest seqno a tombstone is
                                        kept; 0: for ever. Set at start, after plan_open() */
    unsigned n_tables;
    unsigned root; /* index of the root table */
    struct plan_table tables[PLAN_TABLES_MAX];
};

/* One `source: target` pair of a table's `columns`. */
struct plan_rename {
    struct slice source, target;
};

/* Start-up only. The slices must outlive the plan. Returns an empty plan; tables are added next. */
struct plan *plan_open(struct slice task, struct slice key, enum images images, enum emit emit);

/* Start-up only. n_renames = 0 takes every column under its own name. */
void plan_add_table(struct plan *plan, const struct plan_table *table,
                    const struct plan_rename *renames, unsigned n_renames);

/* The mapped table of that name ("database" "." "table"), or -1: unmapped. Any thread. */
int plan_find(const struct plan *plan, struct slice database, struct slice table);

#endif
