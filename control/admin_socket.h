/* admin_socket.h: where the admin server listens, and who may speak there. Start-up only, except
 * for admin_socket_trusts(). */
#ifndef WEIR_CONTROL_ADMIN_SOCKET_H
#define WEIR_CONTROL_ADMIN_SOCKET_H

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

#define NO_GROUP ((gid_t)-1)

/* The group of that name in *gid; NULL: NO_GROUP. 0, or -1 with *err (EXIT_CONFIG). */
MUST_CHECK int admin_socket_group(const char *name, gid_t *gid, struct err *err);

/* A listening Unix socket at `path`, mode 0660, of that group; makes its folder (0755) if it is
 * missing and replaces the file of a node that is dead. The descriptor, or -1 with *err (EXIT_IO).
 */
MUST_CHECK int admin_socket_unix(const char *path, gid_t group, struct err *err);

/* A listening TCP socket at HOST:PORT ([::1]:PORT). The descriptor, or -1 with *err (EXIT_IO). */
MUST_CHECK int admin_socket_tcp(const char *address, struct err *err);

/* May this peer of the Unix socket ask? Root, our own user, and members of the group. Any thread.
 */
bool admin_socket_trusts(int connection, gid_t group);

#endif
