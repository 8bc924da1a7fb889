/*
 * assign.h: which partitions are ours, and what follows: slots, epochs, shards, drains
 * (docs/ORDERING.md, R4, R7). Control thread.
 */
#ifndef WEIR_CONTROL_ASSIGN_H
#define WEIR_CONTROL_ASSIGN_H

#include "control/node.h"

/* source_events of a task (its context). */
void assign_assigned(void *context, struct source_partition *partitions, unsigned n,
                     unsigned total);
void assign_revoking(void *context, struct source_partition *partitions, unsigned n, bool lost);

/* A source that owns its log alone and finds its partitions while reading: one assignment that
 * never ends. */
void assign_files(struct task *task);

/* R7: fails a task that is one of several on a log that is not keyed, after some grace; pauses it
 * meanwhile. */
void assign_check_alone(struct task *task, uint64_t now_us);

/* Pauses or resumes reading on all shards. */
void assign_pause(struct task *task, bool paused);

/* Posts a command to one shard and waits until it is obeyed. */
void assign_tell(struct node *node, unsigned shard, const struct shard_command *command);

#endif
