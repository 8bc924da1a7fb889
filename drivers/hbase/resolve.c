/*
 * resolve.c: names to addresses, by glibc's getaddrinfo_a.
 *
 *     "10.0.0.7"   inet_pton: known at once
 *     "rs7.lan"    getaddrinfo_a ─► glibc's own thread asks ─► gai_error() tells when it has
 *
 * getaddrinfo() would block the shard for as long as the name servers like. Writing a resolver of
 * our own would get /etc/hosts, search domains and nsswitch wrong for somebody. So glibc's thread
 * does it, and the shard looks at the request now and then; no signal and no callback is asked for,
 * because both would run elsewhere.
 *
 * A name has several addresses where it has both families or several machines; the first few are
 * kept, in glibc's order of preference, for the caller to try one after the other.
 *
 * What this does not do: time-outs (glibc has its own, and callers do not wait for ever) and
 * expiry: an address is good until connecting to it fails.
 */
#include "drivers/hbase/resolve.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static bool numeric(struct resolve *resolve, uint16_t port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct resolve_address *address = &resolve->addresses[0];

    if (inet_pton(AF_INET, resolve->host, &v4.sin_addr) == 1) {
        memcpy(&address->address, &v4, sizeof(v4));
        address->bytes = sizeof(v4);
    } else if (inet_pton(AF_INET6, resolve->host, &v6.sin6_addr) == 1) {
        memcpy(&address->address, &v6, sizeof(v6));
        address->bytes = sizeof(v6);
    } else {
        return false;
    }
    resolve->n = 1;
    return true;
}

static enum resolve_state failed(struct resolve *resolve, int error)
{
    resolve->error = gai_strerror(error);
    return resolve->state = RESOLVE_FAILED;
}

enum resolve_state resolve_start(struct resolve *resolve, const char *host, uint16_t port)
{
    struct gaicb *requests[1] = { &resolve->request };
    int error;

    ASSERT(resolve->state != RESOLVE_PENDING && strlen(host) < sizeof(resolve->host));
    resolve->n = 0;
    memcpy(resolve->host, host, strlen(host) + 1);
    if (numeric(resolve, port))
        return resolve->state = RESOLVE_KNOWN;
    (void)snprintf(resolve->port, sizeof(resolve->port), "%u", (unsigned)port);
    resolve->hints = (struct addrinfo){ .ai_socktype = SOCK_STREAM };
    resolve->request = (struct gaicb){ .ar_name = resolve->host,
                                       .ar_service = resolve->port,
                                       .ar_request = &resolve->hints };
    error = getaddrinfo_a(GAI_NOWAIT, requests, 1, NULL);
    if (error != 0)
        return failed(resolve, error);
    return resolve->state = RESOLVE_PENDING;
}

enum resolve_state resolve_poll(struct resolve *resolve)
{
    int error;

    if (resolve->state != RESOLVE_PENDING)
        return resolve->state;
    error = gai_error(&resolve->request);
    if (error == EAI_INPROGRESS)
        return RESOLVE_PENDING;
    if (error != 0)
        return failed(resolve, error);
    for (const struct addrinfo *info = resolve->request.ar_result; info; info = info->ai_next) {
        struct resolve_address *address = &resolve->addresses[resolve->n];

        if (resolve->n == RESOLVE_ADDRESSES_MAX || info->ai_addrlen > sizeof(address->address))
            continue;
        memcpy(&address->address, info->ai_addr, info->ai_addrlen);
        address->bytes = info->ai_addrlen;
        resolve->n++;
    }
    freeaddrinfo(resolve->request.ar_result);
    resolve->request.ar_result = NULL;
    return resolve->n > 0 ? (resolve->state = RESOLVE_KNOWN) : failed(resolve, EAI_NONAME);
}

void resolve_forget(struct resolve *resolve)
{
    ASSERT(resolve->state != RESOLVE_PENDING);
    resolve->state = RESOLVE_NONE;
    resolve->n = 0;
}

void resolve_close(struct resolve *resolve)
{
    /* A request that glibc is at cannot be withdrawn; it ends in memory that stays. */
    if (resolve->state == RESOLVE_PENDING && gai_cancel(&resolve->request) != EAI_NOTCANCELED &&
        resolve->request.ar_result)
        freeaddrinfo(resolve->request.ar_result);
}

bool resolve_split(const char *server, char host[RPC_HOST_BYTES_MAX], uint16_t *port)
{
    const char *colon = strrchr(server, ':'), *from = server;
    unsigned long number;
    char *end;
    size_t len;

    if (!colon || colon[1] < '0' || colon[1] > '9')
        return false;
    number = strtoul(colon + 1, &end, 10);
    len = (size_t)(colon - from);
    if (from[0] == '[') {
        if (len < 3 || from[len - 1] != ']')
            return false;
        from++;
        len -= 2;
    } else if (memchr(from, ':', len)) {
        return false; /* Which colon ends a bare v6 address is anybody's guess. */
    }
    if (*end != '\0' || number == 0 || number > UINT16_MAX || len == 0 || len >= RPC_HOST_BYTES_MAX)
        return false;
    memcpy(host, from, len);
    host[len] = '\0';
    *port = (uint16_t)number;
    return true;
}
