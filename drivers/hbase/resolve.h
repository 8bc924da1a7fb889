/*
 * resolve.h: the addresses of a "host" and a port, without waiting for them.
 *
 *     resolve_start() ─► RESOLVE_PENDING ─► resolve_poll(), again and again ─► KNOWN or FAILED
 *
 * Internal to drivers/hbase. What was found stays until resolve_forget(). The thread of the env.
 */
#ifndef WEIR_HBASE_RESOLVE_H
#define WEIR_HBASE_RESOLVE_H

#include "drivers/hbase/rpc.h"

#include <netdb.h>

#define RESOLVE_ADDRESSES_MAX 4 /* of one name: localhost has two, a server seldom more */

enum resolve_state { RESOLVE_NONE, RESOLVE_PENDING, RESOLVE_KNOWN, RESOLVE_FAILED };

struct resolve_address {
    struct sockaddr_storage address;
    socklen_t bytes;
};

/* Zero-initialised is RESOLVE_NONE. While PENDING the C library works on it, so it must stay, even
 * after resolve_close(): its memory is a reservation that is never given back. */
struct resolve {
    enum resolve_state state;
    const char *error; /* FAILED: why, for people */
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
    unsigned n;

    char host[RPC_HOST_BYTES_MAX], port[8];
    struct addrinfo hints;
    struct gaicb request;
};

/* `host` is a name or a numeric address, which is KNOWN at once. Not while PENDING. Returns the
 * state. */
enum resolve_state resolve_start(struct resolve *resolve, const char *host, uint16_t port);

/* Returns the state as it is now; cheap. */
enum resolve_state resolve_poll(struct resolve *resolve);

/* The next start asks again. Not while PENDING. */
void resolve_forget(struct resolve *resolve);

/* Gives up what is pending, as far as the C library lets it. */
void resolve_close(struct resolve *resolve);

/* Splits "host:port" or "[v6 address]:port". False: it is neither. */
MUST_CHECK bool resolve_split(const char *server, char host[RPC_HOST_BYTES_MAX], uint16_t *port);

#endif
