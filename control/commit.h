/*
 * commit.h: what may be committed, and committing it (docs/ORDERING.md, R5). Control thread.
 */
#ifndef WEIR_CONTROL_COMMIT_H
#define WEIR_CONTROL_COMMIT_H

#include "control/node.h"

/* Asks the shards how far each partition is durable in every sink; fills assignments[].durable and
 * .read. */
void commit_look(struct task *task);

/* source_events.uncommitted of a task (its context). */
void commit_lost(void *context);

/* commit_look(), then makes the dead letters durable, then commits. `wait`: returns when the commit
 * is stored. 0, or -1 where it could not be (it is tried again; a task whose dead letters can't be
 * kept has failed). */
int commit_round(struct task *task, bool wait);

#endif
