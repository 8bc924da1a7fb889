/*
 * store_inside.h: what store.c and store_join.c share; nobody else includes it. The shard's thread.
 */
#ifndef WEIR_STORE_INSIDE_H
#define WEIR_STORE_INSIDE_H

#include "dataplane/store.h"

const struct plan *store_plan(const struct store *store);

/* A block of the store, NULL where it is full; given back at once, or, where readers may see it,
 * retired: freed when they have left. */
MUST_CHECK void *store_take(struct store *store, size_t bytes);
void store_give(struct store *store, void *block);
void store_retire(struct store *store, void *block); /* NULL: nothing */

/* The row that `old` (NULL: none) and the change make, a block that nobody sees yet; `holder` as in
 * store_apply(). NULL with *verdict MERGE_STALE (`old` is it) or MERGE_FULL. */
struct row *store_make_row(struct store *store, struct row *old, const struct change *change,
                           uint8_t holder, enum merge_verdict *verdict);

/* After the row became the entity's: is there something for store_fold()? */
static inline void store_note_tombstone(const struct store *store, struct entity *entity,
                                        const struct row *row)
{
    if (row->tombstone != 0 && row->table != store_plan(store)->root)
        entity->has_tombstones = true;
}

#endif
