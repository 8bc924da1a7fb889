/* client.h: `weir status`, `weir get` and `weir lag`: questions to a running node. One thread. */
#ifndef WEIR_CONTROL_CLIENT_H
#define WEIR_CONTROL_CLIENT_H

#include <stdbool.h>

#define EXIT_NOT_FOUND       1 /* the node answers, and does not know what was asked for */
#define ADMIN_SOCKET_DEFAULT "/run/weir/admin.sock"

struct client_options {
    const char *socket; /* NULL: $WEIR_SOCKET, else ADMIN_SOCKET_DEFAULT */
    const char *task;   /* NULL: all */
    const char *key;    /* of client_get() */
    bool json;
};

/* Each prints its answer to stdout, trouble to stderr, and returns the exit code: EXIT_DONE,
 * EXIT_NOT_FOUND, EXIT_UNAVAILABLE where no node answers, EXIT_SOFTWARE where its answer makes no
 * sense, EXIT_IO where stdout breaks. */
int client_status(const struct client_options *options);
int client_get(const struct client_options *options);
int client_lag(const struct client_options *options);

#endif
