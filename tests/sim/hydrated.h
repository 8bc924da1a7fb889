/*
 * hydrated.h: a node that hydrated equals one that never stopped.
 *
 * What a store holds of a document at rest, merged from the log since whenever, is what a store
 * that knew nothing would have after it read the document's state back from a sink: the same rows
 * to show, the same version. Else the next start would go on from something else.
 */
#ifndef WEIR_SIM_HYDRATED_H
#define WEIR_SIM_HYDRATED_H

#include "control/node.h"

/* Before any write. `task` is the nodes'. */
void hydrated_open(const struct config_task *task);

/* At rest. Documents of the node that were refused for good by a sink are not compared with it, nor
 * those that came by a partition which is not the node's any more. */
void hydrated_check(unsigned number, const struct node *node, struct slice key);

/* How many comparisons there were so far. */
unsigned hydrated_count(void);

#endif
