/* admin_route.h: from a method and a path to an answer. Knows nothing of sockets. */
#ifndef WEIR_CONTROL_ADMIN_ROUTE_H
#define WEIR_CONTROL_ADMIN_ROUTE_H

#include "control/node.h"

struct admin_request {
    const char *method;
    const char *path; /* as it came: percent escapes and all */
    bool open;        /* came over TCP from anybody: health and metrics only */
    uint64_t now_us;  /* monotonic */
};

/* What was asked for is appended to `out` (which is empty); returns the HTTP status. *type is the
 * body's media type, *allow the methods that the path has, or NULL. One thread a `readers`:
 * requests that are not `open` come from the admin thread alone. */
unsigned admin_route(const struct node *node, const struct admin_request *request, struct buf *out,
                     const char **type, const char **allow);

#endif
