/*
 * node.h: nodes that live, are stopped, killed and frozen, and live again.
 */
#ifndef WEIR_SIM_NODE_H
#define WEIR_SIM_NODE_H

#include <stdbool.h>

/* A new process of the node: boots from the config's text and serves. Not while it lives. */
void node_begin(unsigned number, const char *config);

bool node_lives(unsigned number);

/* What it is made of; NULL: it does not live, or is not so far. */
struct node;
const struct node *node_serving(unsigned number);

/* SIGTERM: it drains, commits, and ends by itself. */
void node_stop(unsigned number);

/* SIGKILL. */
void node_kill(unsigned number);

/* Its machine loses its power, and the disk what was not synced. Dead or alive. */
void node_lose_power(unsigned number);

/* Drops a document from its stores, if nothing of it is pending: as eviction may at any time. */
void node_evict(unsigned number, const char *key);

/* What the config says of its task; never freed. */
struct config_task;
const struct config_task *node_task(const char *config);

/* The exit code of the life that ended last; -1: it was killed. */
int node_code(unsigned number);

#endif
