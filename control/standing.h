/*
 * standing.h: notices that this process stood still, and keeps the fences (dataplane/fence.h).
 * Control thread.
 */
#ifndef WEIR_CONTROL_STANDING_H
#define WEIR_CONTROL_STANDING_H

#include "control/node.h"

/* When the task's source is open: nothing was missed so far. */
void standing_open(struct task *task);

/* The control thread is here: call it before, between and after whatever may take long. */
void standing_tick(struct node *node);

/* The same; and where a task's membership is in doubt, asks for it, which may take as long as a
 * commit. Not from within that commit. */
void standing_serve(struct task *task);

#endif
