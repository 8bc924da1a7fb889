/*
 * columns.h: a table's dictionary of column names, shared by all shards, append-only, lock-free.
 *
 * A name gets its id (less than COLUMNS_MAX) when it is first seen and keeps it. Any thread may
 * look up and add; readers never wait (a slot is published by one compare-and-swap).
 */
#ifndef WEIR_COLUMNS_H
#define WEIR_COLUMNS_H

#include "dataplane/plan.h"

/* Start-up only. Reserved names: `_weir`, and for the root table every `into` (given with
 * columns_reserve()). */
struct columns *columns_open(const struct plan_rename *renames, unsigned n_renames);
void columns_reserve(struct columns *columns, struct slice target);

/* The id of a column by the name it has in the database (unescaped UTF-8), added if it is new;
 * COLUMN_SKIP or COLUMN_NONE where it has none. Any thread. */
uint16_t columns_intern(struct columns *columns, struct slice name);

/* The id by the name it has in the document (for states that are read back); as columns_intern().
 */
uint16_t columns_intern_target(struct columns *columns, struct slice target);

/* The name in the database, the name in the document, and that name as a JSON member's head:
 * `"name":`. */
struct slice columns_name(const struct columns *columns, uint16_t id);
struct slice columns_target(const struct columns *columns, uint16_t id);
struct slice columns_label(const struct columns *columns, uint16_t id);

#endif
