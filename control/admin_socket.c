/*
 * admin_socket.c: see admin_socket.h.
 *
 * A node that was killed leaves its socket file behind. Whether a file is such a one is found out
 * by connecting: refused means that nobody listens, and only then is it removed. The mode is set on
 * the socket before bind() makes the file, so there is no moment in which others could connect; the
 * peer is asked for its ids all the same, because a folder may be shared and modes get changed.
 */
#include "control/admin_socket.h"

#include "dataplane/base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG    64
#define GROUPS_MAX 1024

int admin_socket_group(const char *name, gid_t *gid, struct err *err)
{
    *gid = NO_GROUP;
    if (name == NULL)
        return 0;
    errno = 0;
    const struct group *group = getgrnam(name);
    if (group == NULL)
        return err_set(err, EXIT_CONFIG, "node.admin_group: the group %s %s%s", name,
                       errno != 0 ? "cannot be looked up: " : "does not exist",
                       errno != 0 ? strerror(errno) : "");
    *gid = group->gr_gid;
    return 0;
}

/* ---- the Unix socket ---- */

static int make_folders(const char *path, struct err *err)
{
    char folder[PATH_MAX] = "";
    int made = folder_make_above(path, 0755, folder, sizeof(folder));

    if (made == 0)
        return 0;
    return err_set(err, EXIT_IO, "node.admin: the folder %s cannot be made: %s", folder,
                   strerror(-made));
}

/* 0 if nobody answers there, else an errno; EISCONN if somebody does. */
static int try_peer(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = EISCONN;

    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        result = errno == ECONNREFUSED ? 0 : errno == EAGAIN ? EISCONN : errno;
    close(fd);
    return result;
}

static int remove_stale(const struct sockaddr_un *address, struct err *err)
{
    const char *path = address->sun_path;
    struct stat is;

    if (lstat(path, &is) != 0)
        return errno == ENOENT ? 0 : err_set(err, EXIT_IO, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(is.st_mode))
        return err_set(err, EXIT_IO,
                       "%s is there and is no socket: remove it, or name another "
                       "node.admin",
                       path);
    int error = try_peer(address);
    if (error == EISCONN)
        return err_set(err, EXIT_IO,
                       "another node answers on %s: stop it, or name another "
                       "node.admin",
                       path);
    if (error != 0)
        return err_set(err, EXIT_IO, "%s: %s", path, strerror(error));
    if (unlink(path) != 0 && errno != ENOENT)
        return err_set(err, EXIT_IO, "%s is a dead node's socket and cannot be removed: %s", path,
                       strerror(errno));
    return 0;
}

static int listen_at(int fd, const struct sockaddr_un *address, gid_t group, struct err *err)
{
    const char *path = address->sun_path;

    if (fchmod(fd, 0660) != 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return err_set(err, EXIT_IO, "%s: %s", path, strerror(errno));
    if ((group != NO_GROUP && chown(path, (uid_t)-1, group) != 0) || chmod(path, 0660) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int error = errno;
        (void)unlink(path);
        return err_set(err, EXIT_IO, "%s: %s", path, strerror(error));
    }
    return 0;
}

int admin_socket_unix(const char *path, gid_t group, struct err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, EXIT_IO, "node.admin: %s is too long for a socket", path);
    strcpy(address.sun_path, path);
    if (make_folders(path, err) != 0 || remove_stale(&address, err) != 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, EXIT_IO, "a Unix socket: %s", strerror(errno));
    if (listen_at(fd, &address, group, err) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- TCP ---- */

/* HOST:PORT in two; the config has checked its form. */
static bool split(const char *address, char host[256], char port[8])
{
    const char *colon = strrchr(address, ':');

    if (colon == NULL || colon == address || strlen(colon + 1) >= 8)
        return false;
    bool bracketed = address[0] == '[' && colon[-1] == ']';
    const char *start = address + bracketed, *end = colon - bracketed;
    if (end <= start || end - start >= 256)
        return false;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    strcpy(port, colon + 1);
    return true;
}

static int listen_tcp(const struct addrinfo *at)
{
    const int yes = 1;
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int admin_socket_tcp(const char *address, struct err *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char host[256], port[8];
    int fd = -1;

    if (!split(address, host, port))
        return err_set(err, EXIT_IO, "node.http: %s is not HOST:PORT", address);
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0)
        return err_set(err, EXIT_IO, "node.http: %s: %s", address, gai_strerror(error));
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = listen_tcp(at);
    error = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return err_set(err, EXIT_IO, "node.http: cannot listen on %s: %s", address,
                       strerror(error));
    return fd;
}

/* ---- who is there ---- */

/* Is the peer in the group by one of its other groups? */
static bool in_group(int connection, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t bytes = sizeof(groups);

    if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) != 0)
        return false;
    for (size_t i = 0; i < bytes / sizeof(groups[0]); i++)
        if (groups[i] == group)
            return true;
    return false;
}

bool admin_socket_trusts(int connection, gid_t group)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);

    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    return group != NO_GROUP && (peer.gid == group || in_group(connection, group));
}
