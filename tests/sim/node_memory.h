/*
 * node_memory.h: what each node takes of its machine's memory, life by life; and when it gets none.
 *
 * Stands in place of dataplane/base/memory.c, and between our code and malloc (the linker's
 * --wrap; the models' own calls go by). A life may reserve and allocate until memory_seal(); after
 * it neither anybody may reserve, nor a shard allocate.
 */
#ifndef WEIR_SIM_NODE_MEMORY_H
#define WEIR_SIM_NODE_MEMORY_H

#include <stdbool.h>

/* On the fiber of the node's control thread: a new life. By the dial `no_memory` one of its
 * allocations fails before it seals. */
void node_memory_begin(void);

/* Did one fail in the node's present life? */
bool node_memory_failed(unsigned node);

#endif
