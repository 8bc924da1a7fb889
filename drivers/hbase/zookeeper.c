/*
 * zookeeper.c: one znode, read by a session that lives for it alone.
 *
 *     IDLE ──start──► RESOLVING ─► CONNECTING ─► GREETING ─► ASKING ─► done() ─► IDLE
 *       ▲                 └────────────┴─ what goes wrong ─┴──────┘
 *       └── every server was tried ◄─────── the next server
 *
 *     all:             i32 length of what follows | ...
 *     ConnectRequest:  i32 protocol 0 | i64 last zxid 0 | i32 timeout ms | i64 session 0
 *                      | i32 16 | 16 zero bytes of password | u8 read only 0
 *     ConnectResponse: i32 protocol | i32 timeout ms (0: refused) | ...
 *     getData:         i32 xid | i32 4 | i32 length | path | u8 watch 0
 *     its answer:      i32 xid | i64 zxid | i32 error | i32 length | data | stat
 *     closeSession:    i32 xid | i32 -11
 *
 * Requests are small enough for any socket's buffer, so one that does not go out whole at once
 * counts as a server that cannot be used. The session's end is said and not waited for: a session
 * that is only abandoned would stay in the ensemble for its timeout.
 *
 * Where a server says that there is no such znode, that is the answer; other servers have the same.
 * What this does not do: watches, authentication, TLS.
 */
#include "drivers/hbase/zookeeper.h"

#include "dataplane/base/memory.h"
#include "drivers/hbase/resolve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    SERVERS_MAX = 32,
    PATH_BYTES_MAX = 1024,
    INPUT_BYTES = ZOOKEEPER_NODE_BYTES_MAX + 1024, /* an answer's other parts are far below 1 KiB */
    SESSION_MS = 30000,
    XID_GET = 1,
    XID_CLOSE = 2,
    TYPE_GET_DATA = 4,
    TYPE_CLOSE = -11,
    ERROR_NO_NODE = -101,
    ERROR_NO_AUTH = -102,
};

enum state { IDLE, RESOLVING, CONNECTING, GREETING, ASKING };

struct server {
    char host[RPC_HOST_BYTES_MAX];
    uint16_t port;
    struct resolve resolve;
};

struct zookeeper {
    struct watch watch; /* first: a watch pointer is a pointer to this */
    struct env *env;
    uint64_t timeout_us;
    struct zookeeper_get *get;
    enum state state;
    uint64_t give_up_us;       /* the server that is tried */
    unsigned n, server, tried; /* tried: servers of this read that were of no use */
    unsigned address;          /* of the server's, which is tried */
    char reason[512];          /* why the last one was of no use */
    struct server servers[SERVERS_MAX];
    size_t input_bytes;
    char input[INPUT_BYTES];
};

int zookeeper_open(struct zookeeper **zookeeper_out, const struct zookeeper_options *options,
                   struct err *err)
{
    struct zookeeper *zookeeper;

    if (options->n_servers == 0 || options->n_servers > SERVERS_MAX)
        return err_set(err, EXIT_CONFIG, "zookeeper: %u servers: 1 to %d are allowed",
                       options->n_servers, SERVERS_MAX);
    zookeeper = memory_reserve(sizeof(*zookeeper), "ZooKeeper client");
    zookeeper->env = options->env;
    zookeeper->timeout_us = options->timeout_us;
    zookeeper->n = options->n_servers;
    for (unsigned i = 0; i < zookeeper->n; i++) {
        struct server *server = &zookeeper->servers[i];

        if (!resolve_split(options->servers[i], server->host, &server->port))
            return err_set(err, EXIT_CONFIG, "zookeeper: %.200s is not host:port",
                           options->servers[i]);
    }
    *zookeeper_out = zookeeper;
    return 0;
}

static void close_socket(struct zookeeper *zookeeper)
{
    if (zookeeper->state > RESOLVING) {
        env_unwatch(zookeeper->env, &zookeeper->watch);
        env_close(zookeeper->env, zookeeper->watch.fd);
    }
    zookeeper->input_bytes = 0;
}

/* ---- the end of a read ---- */

static void finish(struct zookeeper *zookeeper, enum zookeeper_result result, struct slice data)
{
    struct zookeeper_get *get = zookeeper->get;

    close_socket(zookeeper);
    zookeeper->state = IDLE;
    zookeeper->get = NULL;
    get->result = result;
    get->data = data;
    get->reason = slice_of(result == ZOOKEEPER_FAILED ? zookeeper->reason : "");
    get->done(get);
}

/* This server is of no use; the next step goes on with the next one. */
__attribute__((format(printf, 2, 3))) static void give_up(struct zookeeper *zookeeper,
                                                          const char *format, ...)
{
    const struct server *server = &zookeeper->servers[zookeeper->server];
    int len = snprintf(zookeeper->reason, sizeof(zookeeper->reason),
                       "ZooKeeper %s:%u: ", server->host, (unsigned)server->port);
    va_list args;

    ASSERT(len > 0 && (size_t)len < sizeof(zookeeper->reason));
    va_start(args, format);
    (void)vsnprintf(zookeeper->reason + len, sizeof(zookeeper->reason) - (size_t)len, format, args);
    va_end(args);
    if (++zookeeper->tried == zookeeper->n) {
        finish(zookeeper, ZOOKEEPER_FAILED, (struct slice){ NULL, 0 });
        return;
    }
    close_socket(zookeeper);
    zookeeper->state = RESOLVING;
    zookeeper->server = (zookeeper->server + 1) % zookeeper->n;
    zookeeper->give_up_us = env_mono_us(zookeeper->env) + zookeeper->timeout_us;
}

/* ---- jute ---- */

static void put_u32(struct buf *out, uint32_t number)
{
    const unsigned char bytes[4] = { (unsigned char)(number >> 24), (unsigned char)(number >> 16),
                                     (unsigned char)(number >> 8), (unsigned char)number };

    buf_put(out, bytes, sizeof(bytes));
}

/* Big-endian, anywhere in the input. */
static uint32_t load_u32(const char *from)
{
    const unsigned char *bytes = (const unsigned char *)from;

    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_connect(struct buf *out)
{
    static const char zeros[16];

    put_u32(out, 45);
    put_u32(out, 0);
    buf_put(out, zeros, 8);
    put_u32(out, SESSION_MS);
    buf_put(out, zeros, 8);
    put_u32(out, sizeof(zeros));
    buf_put(out, zeros, sizeof(zeros));
    buf_put_char(out, 0);
}

static void put_get_data(struct buf *out, struct slice path)
{
    put_u32(out, (uint32_t)(4 + 4 + 4 + path.len + 1));
    put_u32(out, XID_GET);
    put_u32(out, TYPE_GET_DATA);
    put_u32(out, (uint32_t)path.len);
    buf_put_slice(out, path);
    buf_put_char(out, 0);
}

static void put_close(struct buf *out)
{
    put_u32(out, 8);
    put_u32(out, XID_CLOSE);
    put_u32(out, (uint32_t)TYPE_CLOSE);
}

/* ---- the conversation ---- */

/* Whether all of it went. */
static bool say(struct zookeeper *zookeeper, const struct buf *request)
{
    struct slice bytes = buf_slice(request);

    ASSERT(!request->overflow);
    return env_send(zookeeper->env, zookeeper->watch.fd, &bytes, 1) == (int64_t)bytes.len;
}

/* The server's answer to the ConnectRequest: then the question can be asked. False: no use. */
static bool greeted(struct zookeeper *zookeeper, struct slice answer)
{
    char bytes[PATH_BYTES_MAX + 64];
    struct buf request = { .data = bytes, .bound = sizeof(bytes) };

    if (answer.len < 8 || (int32_t)load_u32(answer.data + 4) <= 0) {
        give_up(zookeeper, "the server refused a session");
        return false;
    }
    put_get_data(&request, slice_of(zookeeper->get->path));
    if (!say(zookeeper, &request)) {
        give_up(zookeeper, "the connection broke while the question was sent");
        return false;
    }
    zookeeper->state = ASKING;
    return true;
}

static void end_session(struct zookeeper *zookeeper)
{
    char bytes[16];
    struct buf request = { .data = bytes, .bound = sizeof(bytes) };

    put_close(&request);
    (void)say(zookeeper, &request); /* If it does not go, the session ends by itself. */
}

/* An answer's data behind its header. */
static bool read_data(struct slice answer, struct slice *data)
{
    uint32_t len;

    if (answer.len < 20)
        return false;
    len = load_u32(answer.data + 16);
    if (len == UINT32_MAX) /* a znode without data */
        len = 0;
    if (len > ZOOKEEPER_NODE_BYTES_MAX || len > answer.len - 20)
        return false;
    *data = (struct slice){ answer.data + 20, len };
    return true;
}

/* False: the read is at its end, or the server of no use. */
static bool answered(struct zookeeper *zookeeper, struct slice answer)
{
    struct slice data = { NULL, 0 };
    int32_t error;

    if (answer.len < 16) {
        give_up(zookeeper, "the server sent what is no answer of ZooKeeper's protocol");
        return false;
    }
    if (load_u32(answer.data) != XID_GET) /* a notice of some kind */
        return true;
    error = (int32_t)load_u32(answer.data + 12);
    if (error == ERROR_NO_NODE || (error == 0 && read_data(answer, &data))) {
        end_session(zookeeper);
        finish(zookeeper, error == 0 ? ZOOKEEPER_FOUND : ZOOKEEPER_ABSENT, data);
    } else if (error == 0) {
        give_up(zookeeper, "the server sent what is no answer of ZooKeeper's protocol");
    } else if (error == ERROR_NO_AUTH) {
        give_up(zookeeper, "%s may not be read without authentication", zookeeper->get->path);
    } else {
        give_up(zookeeper, "error %d for %s", (int)error, zookeeper->get->path);
    }
    return false;
}

/* Everything that is whole in the input. False: the read is at its end, or the server of no use. */
static bool run_input(struct zookeeper *zookeeper)
{
    while (zookeeper->input_bytes >= 4) {
        uint32_t length = load_u32(zookeeper->input);
        struct slice answer = { zookeeper->input + 4, length };

        if (length > INPUT_BYTES - 4) {
            give_up(zookeeper, "an answer of %u bytes is announced, and %d are taken at most",
                    length, INPUT_BYTES - 4);
            return false;
        }
        if (zookeeper->input_bytes - 4 < length)
            break;
        if (!(zookeeper->state == GREETING ? greeted : answered)(zookeeper, answer))
            return false;
        zookeeper->input_bytes -= 4 + length;
        memmove(zookeeper->input, zookeeper->input + 4 + length, zookeeper->input_bytes);
    }
    return true;
}

static void receive(struct zookeeper *zookeeper)
{
    do {
        size_t room = sizeof(zookeeper->input) - zookeeper->input_bytes;
        int64_t got = env_receive(zookeeper->env, zookeeper->watch.fd,
                                  zookeeper->input + zookeeper->input_bytes, room);

        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            give_up(zookeeper, "%s",
                    got == 0 ? "the server closed the connection" : strerror((int)-got));
            return;
        }
        zookeeper->input_bytes += (size_t)got;
    } while (run_input(zookeeper));
}

/* ---- opening ---- */

static void on_ready(struct watch *watch, unsigned events);

static int open_socket(struct zookeeper *zookeeper, const struct resolve_address *address)
{
    int fd = -1;
    int error = env_connect(zookeeper->env, (const struct sockaddr *)&address->address,
                            address->bytes, &fd);

    if (error != 0)
        return error;
    zookeeper->watch = (struct watch){ .ready = on_ready, .fd = fd, .events = WATCH_WRITE };
    error = env_watch(zookeeper->env, &zookeeper->watch);
    if (error != 0)
        env_close(zookeeper->env, fd);
    else
        zookeeper->state = CONNECTING;
    return error;
}

/* Tries the server's addresses from the present one on; `error` is what the one before had. */
static void try_addresses(struct zookeeper *zookeeper, int error)
{
    struct resolve *resolve = &zookeeper->servers[zookeeper->server].resolve;

    for (; zookeeper->address < resolve->n; zookeeper->address++) {
        error = open_socket(zookeeper, &resolve->addresses[zookeeper->address]);
        if (error == 0)
            return;
    }
    resolve_forget(resolve);
    give_up(zookeeper, "cannot connect: %s", strerror(-error));
}

static void connected(struct zookeeper *zookeeper)
{
    int error = env_connected(zookeeper->env, zookeeper->watch.fd);
    char bytes[64];
    struct buf request = { .data = bytes, .bound = sizeof(bytes) };

    if (error != 0) {
        close_socket(zookeeper);
        zookeeper->state = RESOLVING;
        zookeeper->address++;
        try_addresses(zookeeper, error);
        return;
    }
    zookeeper->state = GREETING;
    put_connect(&request);
    if (!say(zookeeper, &request)) {
        give_up(zookeeper, "the connection broke before the greeting was sent");
        return;
    }
    zookeeper->watch.events = WATCH_READ;
    error = env_rewatch(zookeeper->env, &zookeeper->watch);
    ASSERT(error == 0);
}

static void on_ready(struct watch *watch, unsigned events)
{
    struct zookeeper *zookeeper = (struct zookeeper *)watch;

    (void)events;
    if (zookeeper->state == CONNECTING)
        connected(zookeeper);
    else
        receive(zookeeper);
}

static void go_on_with_name(struct zookeeper *zookeeper)
{
    struct server *server = &zookeeper->servers[zookeeper->server];
    enum resolve_state state = resolve_poll(&server->resolve);

    if (state == RESOLVE_NONE)
        state = resolve_start(&server->resolve, server->host, server->port);
    if (state == RESOLVE_KNOWN) {
        zookeeper->address = 0;
        try_addresses(zookeeper, -EADDRNOTAVAIL);
    } else if (state == RESOLVE_FAILED) {
        resolve_forget(&server->resolve);
        give_up(zookeeper, "the name cannot be resolved: %s", server->resolve.error);
    }
}

void zookeeper_start(struct zookeeper *zookeeper, struct zookeeper_get *get)
{
    ASSERT(zookeeper->state == IDLE && get->done);
    ASSERT(strlen(get->path) <= PATH_BYTES_MAX);
    zookeeper->get = get;
    zookeeper->state = RESOLVING;
    zookeeper->tried = 0;
    zookeeper->server = (unsigned)(env_random(zookeeper->env) % zookeeper->n);
    zookeeper->give_up_us = env_mono_us(zookeeper->env) + zookeeper->timeout_us;
}

void zookeeper_step(struct zookeeper *zookeeper)
{
    if (zookeeper->state == IDLE)
        return;
    if (env_mono_us(zookeeper->env) >= zookeeper->give_up_us)
        give_up(zookeeper, "no answer within %.1f s", (double)zookeeper->timeout_us / 1e6);
    else if (zookeeper->state == RESOLVING)
        go_on_with_name(zookeeper);
}

void zookeeper_close(struct zookeeper *zookeeper)
{
    close_socket(zookeeper);
    zookeeper->state = IDLE;
    for (unsigned i = 0; i < zookeeper->n; i++)
        resolve_close(&zookeeper->servers[i].resolve);
}
