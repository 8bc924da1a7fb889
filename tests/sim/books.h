/*
 * books.h: what must hold of a living node's own books. Blames whoever breaks it (sim_blame()):
 *
 *     counters conserve   between any two steps: what was read was merged or is on its way, what
 *                         was sent was answered or flies, what is held is somebody's, and so on
 *     all comes back      at rest: every frame, batch, lookup, pending record, hold and record is
 *                         where it was at the start; and every block of the store, when its
 *                         documents are dropped
 */
#ifndef WEIR_SIM_BOOKS_H
#define WEIR_SIM_BOOKS_H

#include "control/node.h"

/* The node has just booted. */
void books_open(unsigned number, const struct node *node);

/* Between any two steps. `keys` are all that a document may have. */
struct books_keys {
    unsigned n;
    void (*name)(unsigned key, char text[8]);
};
void books_check(unsigned number, const struct node *node, const struct books_keys *keys);

/* Has nothing to do any more, as far as it knows. */
bool books_rest(const struct node *node);

/* At rest. */
void books_check_rest(unsigned number, const struct node *node);

/* Every document of its stores was dropped, and its shards had some turns after. */
void books_check_empty(unsigned number, const struct node *node);

#endif
