/* boot.h: from a config to a node that is ready to run, and its end. Control thread. */
#ifndef WEIR_CONTROL_BOOT_H
#define WEIR_CONTROL_BOOT_H

#include "control/node.h"

/* Builds plans, sinks, sources, dead letters, and on a thread of its own each shard with its
 * pipelines; reserves all memory and seals it. node->config, options and env are set. The shards
 * wait for threads_start(). 0, or -1 with *err; then the process is expected to end. */
MUST_CHECK int boot_open(struct node *node, struct err *err);

/* Within boot_open(), on the shard's own thread: its pipelines, which run by `env`. 0, or -1 with
 * *err. */
MUST_CHECK int boot_shard(struct node *node, unsigned id, struct env *env, struct err *err);

/* Ends the shards' threads, then closes sinks and dead letters, in this order. */
void boot_close(struct node *node);

/* After boot_close() and the last look at the node: what the heap holds of it. */
void boot_free(struct node *node);

#endif
