/*
 * admin.c: see admin.h.
 *
 *     Unix socket ─► libmicrohttpd, one thread ─┐
 *                                               ├─► admin_route() ─► admin_json.c, metrics.c
 *     TCP         ─► libmicrohttpd, one thread ─┘   (TCP: health and metrics only)
 *
 * Two listeners with a thread each; only the Unix one reads documents, so each store reader has one
 * user. A thread handles one request after the other, so each listener has one buffer, and an
 * answer is copied out of it before the next request. The buffers are mapped here, after the data
 * path's memory was sealed: they cost what is touched, and are no part of it.
 *
 * Limits: 32 connections a listener, 15 s without a word, 32 KiB of headers, no request body worth
 * the name (none of the answers needs one).
 */
#include "control/admin.h"

#include "control/admin_json.h"
#include "control/admin_route.h"
#include "control/admin_socket.h"

#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX ((size_t)512 << 20)
#define BODY_BYTES_MAX   4096
#define CONNECTIONS_MAX  32u
#define IDLE_SECONDS     15u

struct listener {
    const struct node *node;
    struct MHD_Daemon *daemon; /* NULL: not listening */
    struct buf buf;
    gid_t group;
    bool open; /* TCP: anybody may ask */
};

struct admin {
    struct listener local, tcp;
    dev_t device; /* the socket file, to remove no other node's */
    ino_t inode;
};

static uint64_t mono_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- a request ---- */

static enum MHD_Result reply(struct listener *listener, struct MHD_Connection *connection,
                             unsigned status, const char *type, const char *allow)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        listener->buf.len, listener->buf.data, MHD_RESPMEM_MUST_COPY);

    if (response == NULL)
        return MHD_NO; /* no memory: the connection is closed */
    (void)MHD_add_response_header(response, "Content-Type", type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (allow != NULL)
        (void)MHD_add_response_header(response, "Allow", allow);
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static bool trusted(const struct listener *listener, struct MHD_Connection *connection)
{
    if (listener->open)
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL && admin_socket_trusts(info->connect_fd, listener->group);
}

static enum MHD_Result answer(struct listener *listener, struct MHD_Connection *connection,
                              const char *method, const char *path)
{
    struct admin_request request = {
        .method = method, .path = path, .open = listener->open, .now_us = mono_us()
    };
    const char *type = "application/json", *allow = NULL;
    unsigned status = 403;

    buf_reset(&listener->buf);
    if (trusted(listener, connection))
        status = admin_route(listener->node, &request, &listener->buf, &type, &allow);
    else
        admin_json_error(&listener->buf, "you may not ask this node",
                         "be root, weir's own user, or in the group that node.admin_group names");
    return reply(listener, connection, status, type, allow);
}

/* Called when the headers are there, for each piece of a body, and when the request is whole. How
 * much of a body came is counted in *seen itself, plus one. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_bytes, void **seen)
{
    uintptr_t so_far = (uintptr_t)*seen;

    (void)version;
    (void)body;
    if (so_far == 0) {
        *seen = (void *)(uintptr_t)1;
        return MHD_YES;
    }
    if (*body_bytes > 0) {
        if (*body_bytes > BODY_BYTES_MAX || so_far + *body_bytes > BODY_BYTES_MAX)
            return MHD_NO; /* nothing here takes a body: whoever sends a large one is cut off */
        *seen = (void *)(so_far + *body_bytes);
        *body_bytes = 0;
        return MHD_YES;
    }
    return answer(context, connection, method, path);
}

/* Paths stay as they came: admin_route() cuts them before it decodes. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static void on_library_log(void *context, const char *format, va_list arguments)
{
    char text[512];

    (void)context;
    (void)vsnprintf(text, sizeof(text), format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_DEBUG, "admin", "%s", text);
}

/* ---- start and end ---- */

static int map_buffer(struct buf *buf, struct err *err)
{
    void *bytes = mmap(NULL, ANSWER_BYTES_MAX, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (bytes == MAP_FAILED)
        return err_set(err, EXIT_IO, "the admin server's buffer: out of address space");
    *buf = (struct buf){ .data = bytes, .bound = ANSWER_BYTES_MAX - 1 }; /* a NUL fits behind it */
    return 0;
}

/* Takes the descriptor. The library's thread has all signals blocked: they are the control
 * thread's. */
static int start(struct listener *listener, int fd, struct err *err)
{
    sigset_t all, before;

    if (map_buffer(&listener->buf, err) != 0) {
        close(fd);
        return -1;
    }
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    listener->daemon = MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle,
        listener, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
        CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (listener->daemon != NULL)
        return 0;
    close(fd);
    (void)munmap(listener->buf.data, ANSWER_BYTES_MAX);
    return err_set(err, EXIT_IO, "the admin server's thread cannot start");
}

static void stop(struct listener *listener)
{
    if (listener->daemon == NULL)
        return;
    MHD_stop_daemon(listener->daemon); /* closes the descriptor */
    listener->daemon = NULL;
    (void)munmap(listener->buf.data, ANSWER_BYTES_MAX);
}

static int open_local(struct admin *admin, const struct config_node *config, struct err *err)
{
    struct listener *listener = &admin->local;
    struct stat is;

    if (admin_socket_group(config->admin_group, &listener->group, err) != 0)
        return -1;
    int fd = admin_socket_unix(config->admin, listener->group, err);
    if (fd < 0)
        return -1;
    if (stat(config->admin, &is) == 0) {
        admin->device = is.st_dev;
        admin->inode = is.st_ino;
    }
    if (start(listener, fd, err) == 0)
        return 0;
    (void)unlink(config->admin);
    return -1;
}

static int open_tcp(struct admin *admin, const struct config_node *config, struct err *err)
{
    if (config->http == NULL)
        return 0;
    int fd = admin_socket_tcp(config->http, err);
    if (fd < 0)
        return -1;
    return start(&admin->tcp, fd, err);
}

int admin_open(struct node *node, struct err *err)
{
    const struct config_node *config = &node->config->node;
    struct admin *admin = calloc(1, sizeof(*admin));
    struct err local_err;

    if (admin == NULL)
        return err_set(err, EXIT_SOFTWARE, "the admin server: out of memory");
    node->admin = admin;
    admin->local.node = admin->tcp.node = node;
    admin->tcp.open = true;
    if (open_local(admin, config, &local_err) != 0) {
        if (config->admin_explicit) {
            *err = local_err;
            admin_close(node);
            return -1;
        }
        log_line(LOG_WARN, "admin", "%s: going on without an admin socket; node.admin names one",
                 local_err.text);
    }
    if (open_tcp(admin, config, err) != 0) {
        admin_close(node);
        return -1;
    }
    if (admin->local.daemon != NULL)
        log_line(LOG_INFO, "admin", "answering on %s", config->admin);
    if (admin->tcp.daemon != NULL)
        log_line(LOG_INFO, "admin", "health and metrics on http://%s", config->http);
    return 0;
}

static void remove_file(const struct admin *admin, const char *path)
{
    struct stat is;

    if (lstat(path, &is) == 0 && is.st_dev == admin->device && is.st_ino == admin->inode)
        (void)unlink(path);
}

void admin_close(struct node *node)
{
    struct admin *admin = node->admin;

    if (admin == NULL)
        return;
    if (admin->local.daemon != NULL)
        remove_file(admin, node->config->node.admin);
    stop(&admin->local);
    stop(&admin->tcp);
    free(admin);
    node->admin = NULL;
}
