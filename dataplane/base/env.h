/*
 * env.h: what a shard may know of the world: clocks, randomness, readiness of descriptors, TCP
 * connections, appending to files.
 *
 * The data plane and the drivers reach these only here, so that a simulator can put its own in
 * their place. The Linux one (env_linux.c) is an io_uring per shard (SINGLE_ISSUER | DEFER_TASKRUN,
 * Linux 6.1): watches are polls that are armed again after they fired, sleeping is waiting for a
 * completion, and a wake from another thread is an eventfd on the same ring.
 */
#ifndef WEIR_BASE_ENV_H
#define WEIR_BASE_ENV_H

#include "check.h"
#include "err.h"
#include "slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct env;

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

/* One descriptor that somebody waits for. The owner keeps it until env_unwatch() returned; then its
 * memory is free. */
struct watch {
    /* In the shard's thread, from env_wait(). `events`: the wanted ones that are ready; an error or
     * a hang-up counts as both. */
    void (*ready)(struct watch *watch, unsigned events);
    int fd;
    unsigned events; /* WATCH_* wanted */
    uint32_t slot;   /* the env's own */
};

struct env_ops {
    uint64_t (*mono_us)(struct env *env); /* CLOCK_MONOTONIC, microseconds */
    uint64_t (*wall_us)(struct env *env); /* CLOCK_REALTIME, microseconds since 1970 */
    uint64_t (*random)(struct env *env);  /* 64 uniform bits; not for secrets */

    /* Level-triggered: what is still ready is called again from the next wait. 0 or -errno (-EBADF;
     * -ENOSPC: 1,024 at most). Callbacks may watch, rewatch and unwatch anything, themselves
     * included. Unwatch before closing the descriptor. */
    int (*watch)(struct env *env, struct watch *watch);

    /* After `events` was changed. 0 or -errno. */
    int (*rewatch)(struct env *env, struct watch *watch);

    /* Its callback is not called after this, even if it was ready already. */
    void (*unwatch)(struct env *env, struct watch *watch);

    /* Runs callbacks, returns how many; 0 us only looks. It may return early with none (a signal, a
     * wake). */
    unsigned (*wait)(struct env *env, uint64_t timeout_us);

    /* Any thread: the next or current wait() returns. */
    void (*wake)(struct env *env);

    /* Begins a TCP connection (non-blocking, no Nagle delay); *fd is for watch() and the four
     * below. 0 or -errno. Writable means: it is decided; connected() then gives 0 or -errno. */
    int (*connect)(struct env *env, const struct sockaddr *address, socklen_t bytes, int *fd);
    int (*connected)(struct env *env, int fd);

    /* As many bytes as go now, never waiting: their count, or -errno (-EAGAIN: none now). receive()
     * gives 0 at the end of the stream. */
    int64_t (*send)(struct env *env, int fd, const struct slice *slices, unsigned n);
    int64_t (*receive)(struct env *env, int fd, char *to, size_t room);

    void (*close)(struct env *env, int fd); /* after unwatch() */

    /* The count of all bytes, or -errno, and then the file may end in a part of them; may block. */
    int64_t (*append)(struct env *env, int fd, struct slice bytes);

    int (*sync)(struct env *env, int fd); /* fdatasync; 0 or -errno */
};

struct env {
    const struct env_ops *ops;
};

/* The real thing, for the thread that calls it (SINGLE_ISSUER): only this thread may use it, but
 * for wake(). 0, or -1 with *err (an old kernel, a seccomp filter: it says which). */
MUST_CHECK int env_linux_open(struct env **env, struct err *err);
void env_linux_close(struct env *env);

static inline uint64_t env_mono_us(struct env *env)
{
    return env->ops->mono_us(env);
}

static inline uint64_t env_wall_us(struct env *env)
{
    return env->ops->wall_us(env);
}

static inline uint64_t env_random(struct env *env)
{
    return env->ops->random(env);
}

static inline int env_watch(struct env *env, struct watch *watch)
{
    return env->ops->watch(env, watch);
}

static inline int env_rewatch(struct env *env, struct watch *watch)
{
    return env->ops->rewatch(env, watch);
}

static inline void env_unwatch(struct env *env, struct watch *watch)
{
    env->ops->unwatch(env, watch);
}

static inline unsigned env_wait(struct env *env, uint64_t timeout_us)
{
    return env->ops->wait(env, timeout_us);
}

static inline void env_wake(struct env *env)
{
    env->ops->wake(env);
}

static inline int env_connect(struct env *env, const struct sockaddr *address, socklen_t bytes,
                              int *fd)
{
    return env->ops->connect(env, address, bytes, fd);
}

static inline int env_connected(struct env *env, int fd)
{
    return env->ops->connected(env, fd);
}

static inline int64_t env_send(struct env *env, int fd, const struct slice *slices, unsigned n)
{
    return env->ops->send(env, fd, slices, n);
}

static inline int64_t env_receive(struct env *env, int fd, char *to, size_t room)
{
    return env->ops->receive(env, fd, to, room);
}

static inline void env_close(struct env *env, int fd)
{
    env->ops->close(env, fd);
}

static inline int64_t env_append(struct env *env, int fd, struct slice bytes)
{
    return env->ops->append(env, fd, bytes);
}

static inline int env_sync(struct env *env, int fd)
{
    return env->ops->sync(env, fd);
}

#endif
