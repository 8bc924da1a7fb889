/*
 * task.h: a task's life as control drives it: prepare its sinks, serve its source, commit, end.
 * Control thread.
 */
#ifndef WEIR_CONTROL_TASK_H
#define WEIR_CONTROL_TASK_H

#include "control/node.h"

/* One turn of what is due; takes about timeout_ms. */
void task_tick(struct task *task, unsigned timeout_ms);

/* The task can't go on. The first reason counts; it is logged. */
void task_fail(struct task *task, const struct err *err);

enum task_state task_state(const struct task *task); /* any thread */

/* With --until-end: has it read and written all that was there? */
bool task_done(struct task *task);

/* Reading stops; what was read is written and committed, within bound_us. True when all of it was.
 */
bool task_drain(struct task *task, uint64_t bound_us);

/* Leaves the group; what was read and not committed is read again by whoever is next. Once or more.
 */
void task_close_source(struct task *task);

#endif
