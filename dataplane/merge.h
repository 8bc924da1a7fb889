/*
 * merge.h: the join of a row's state with a change: last writer wins (docs/ORDERING.md, Merge).
 *
 * Commutative, associative, idempotent: rows under this join form a semilattice, so the order in
 * which changes arrive, and how often, does not matter. Two different changes with one seqno have
 * no order in the log; the join still picks the same one everywhere: a tombstone before a value,
 * else the greater bytes.
 */
#ifndef WEIR_MERGE_H
#define WEIR_MERGE_H

#include "dataplane/row.h"

enum merge_verdict {
    MERGE_INSERT, /* the row was not known, or was a tombstone */
    MERGE_UPDATE,
    MERGE_DELETE,
    MERGE_STALE,  /* the state holds this change or a newer one */
    MERGE_REJECT, /* the document's version would pass VERSION_MAX */
    MERGE_FULL,   /* no memory now; nothing was changed, try again later */
};

/* External versions are non-negative 64-bit integers. */
#define VERSION_MAX ((uint64_t)INT64_MAX)

struct merge; /* scratch for the cells of partial images; one a store */

/* Start-up only. */
struct merge *merge_open(enum images images);

/*
 * Joins `change` into `row` (NULL: the row is not known). Returns the verdict; except for
 * MERGE_STALE, *out is the joined row as a change, ready for row_write(), valid until the next
 * call: its slices point into `row` and `change`.
 */
enum merge_verdict merge_row(struct merge *merge, const struct row *row,
                             const struct change *change, struct change *out);

#endif
