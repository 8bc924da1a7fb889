/*
 * admin_json.h: a node's state as JSON: the bodies of the admin socket's answers.
 *
 * Each appends one JSON object; where the buf is too small it says so itself (overflow). The admin
 * thread.
 */
#ifndef WEIR_CONTROL_ADMIN_JSON_H
#define WEIR_CONTROL_ADMIN_JSON_H

#include "control/node.h"

/* {"error": "...", "hint": "..."} */
void admin_json_error(struct buf *out, const char *error, const char *hint);

void admin_json_status(struct buf *out, const struct node *node, uint64_t now_us);

/* {"tasks": [...]}, each as in the status. */
void admin_json_tasks(struct buf *out, const struct node *node);

/* As in the status, with `tables`. */
void admin_json_task(struct buf *out, const struct task *task);

/* {"task", "lag", "partitions": [...]}; of all tasks: {"tasks": [...]} of those. */
void admin_json_lag(struct buf *out, const struct task *task);
void admin_json_lags(struct buf *out, const struct node *node);

/* The document of that key. False, and nothing appended: no shard has it in memory. The one user of
 * task->readers. */
MUST_CHECK bool admin_json_document(struct buf *out, const struct task *task, struct slice key);

#endif
