/*
 * admin.h: the admin server: status, lag and documents on a Unix socket, health and metrics there
 * and over TCP.
 */
#ifndef WEIR_CONTROL_ADMIN_H
#define WEIR_CONTROL_ADMIN_H

#include "control/node.h"

/*
 * Control thread, after everything else of the node is made and before the shards run. Listens on
 * node.admin (mode 0660, its folder made if missing, its group node.admin_group) and, if it is set,
 * on node.http; answers from threads of its own, which have all signals blocked.
 *
 * A socket file that nobody answers on is a dead node's and is replaced; one that answers is an
 * error. 0, or -1 with *err (EXIT_IO; EXIT_CONFIG where the group does not exist). Where the config
 * does not name node.admin, a socket that cannot be had is a warning and the node goes on without.
 */
MUST_CHECK int admin_open(struct node *node, struct err *err);

/* Control thread, before the shards and tasks go away: ends the threads, removes the socket. */
void admin_close(struct node *node);

#endif
