/*
 * threads.h: the shards' threads. Control thread. boot.c's; a simulator has its own in its place.
 */
#ifndef WEIR_CONTROL_THREADS_H
#define WEIR_CONTROL_THREADS_H

#include "control/node.h"

/* A pinned thread a shard, which builds the shard (boot_shard()) and waits. 0, or -1 with *err. */
MUST_CHECK int threads_open(struct node *node, struct err *err);

/* Lets them run. */
void threads_start(struct node *node);

/* Tells them to end, and waits until they have. */
void threads_close(struct node *node);

/* After threads_close(): their envs too. */
void threads_free(struct node *node);

#endif
