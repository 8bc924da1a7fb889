/*
 * env_linux.c: a shard's window on the world: one io_uring, some clocks, a wake-up.
 *
 *     env_watch() ─► slot ─► to_arm ──(env_wait: one submission)──► poll in the kernel
 *                              ▲                                            │ completion
 *                              └── armed again at the next wait ◄── ready() ◄
 *
 * Polls are one-shot and armed again at the wait after they fired. io_uring's multishot poll
 * reports edges: data that a callback left unread would not be reported again. A one-shot poll that
 * is armed on a descriptor that is still ready completes at once, which is exactly
 * "level-triggered", and all polls of one wait go to the kernel in the same system call as the wait
 * itself.
 *
 * A completion carries slot and generation. A slot's generation changes when its poll is withdrawn,
 * so a completion that was on its way when its watch was removed finds nobody: that also holds for
 * two watches that became ready in the same wait, of which one removes the other. Completions are
 * copied out one at a time, and only as many as were there at the start, so callbacks may watch and
 * unwatch freely and cannot keep a wait from ending.
 *
 * The wake-up is an eventfd with a watch of its own, slot 0. A flag lets only the first of many
 * wakes pay for the write. The owner empties the eventfd before it clears the flag: a wake in
 * between writes nothing, and is seen because this wait returns after the clearing.
 *
 * A wait may return early with nothing run (a signal, a withdrawn poll). Shards loop, so nobody
 * cares.
 *
 * Sockets are plain non-blocking ones: what goes now goes, and a watch tells when more would. What
 * this does not do: send and receive through the ring; files are read by their drivers themselves.
 */
#include "dataplane/base/env.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum {
    WATCHES_MAX = 1024,
    SLOTS = WATCHES_MAX + 1, /* slot 0 is the wake-up's */
    RING_ENTRIES = 256,
    COMPLETIONS = 4096,
    SEND_SLICES_MAX = 64, /* of one system call; the caller comes again with the rest */
};

#define NO_USER_DATA UINT64_MAX
#define SECOND_US    UINT64_C(1000000)
#define WAIT_US_MAX  (3600 * SECOND_US) /* far from where the kernel's sum of times overflows */

struct slot {
    struct watch *watch; /* NULL: unused */
    uint32_t generation;
    bool armed;  /* a poll of this generation is in the kernel or on its way there */
    bool listed; /* it is in to_arm */
};

struct env_linux {
    struct env env; /* first: an env pointer is a pointer to this */
    struct io_uring ring;
    struct watch wake_watch;
    atomic_bool wake_pending;
    uint64_t random_state;
    struct slot slots[SLOTS];
    uint16_t free_slots[SLOTS], to_arm[SLOTS];
    unsigned free_count, to_arm_count;
};

static struct env_linux *self(struct env *env)
{
    return (struct env_linux *)env;
}

static uint64_t clock_us(clockid_t clock)
{
    struct timespec now;

    ASSERT(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t linux_mono_us(struct env *env)
{
    (void)env;
    return clock_us(CLOCK_MONOTONIC);
}

static uint64_t linux_wall_us(struct env *env)
{
    (void)env;
    return clock_us(CLOCK_REALTIME);
}

/* splitmix64: a counter, well mixed. The seed is the kernel's. */
static uint64_t linux_random(struct env *env)
{
    uint64_t mixed = self(env)->random_state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static uint64_t slot_user_data(const struct env_linux *env, uint32_t slot)
{
    return (uint64_t)env->slots[slot].generation << 32 | slot;
}

/* A place for a request. Only a full queue makes this enter the kernel. */
static struct io_uring_sqe *take_sqe(struct env_linux *env)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&env->ring);

    /* EBUSY, EAGAIN, EINTR: the kernel is short of something for a moment. It cannot last: what it
     * waits for is completions to be flushed, which submit_and_get_events() does. */
    while (!sqe) {
        int got = io_uring_submit_and_get_events(&env->ring);

        ASSERT(got >= 0 || got == -EBUSY || got == -EAGAIN || got == -EINTR);
        sqe = io_uring_get_sqe(&env->ring);
    }
    return sqe;
}

static void list_to_arm(struct env_linux *env, uint32_t slot)
{
    if (env->slots[slot].listed)
        return;
    env->slots[slot].listed = true;
    env->to_arm[env->to_arm_count++] = (uint16_t)slot;
}

static unsigned poll_mask(unsigned events)
{
    return (events & WATCH_READ ? POLLIN | POLLRDHUP : 0u) | (events & WATCH_WRITE ? POLLOUT : 0u);
}

static void arm(struct env_linux *env, uint32_t slot)
{
    struct io_uring_sqe *sqe = take_sqe(env);

    io_uring_prep_poll_add(sqe, env->slots[slot].watch->fd,
                           poll_mask(env->slots[slot].watch->events));
    io_uring_sqe_set_data64(sqe, slot_user_data(env, slot));
    env->slots[slot].armed = true;
}

/* A slot that was given up, or even given to another watch, since it was listed is judged by what
 * it is now. */
static void arm_listed(struct env_linux *env)
{
    for (unsigned i = 0; i < env->to_arm_count; i++) {
        uint32_t slot = env->to_arm[i];

        env->slots[slot].listed = false;
        if (env->slots[slot].watch && !env->slots[slot].armed)
            arm(env, slot);
    }
    env->to_arm_count = 0;
}

/* Takes the slot's poll out of the kernel; a completion of it that is on its way will be ignored.
 */
static void withdraw(struct env_linux *env, uint32_t slot)
{
    if (env->slots[slot].armed) {
        struct io_uring_sqe *sqe = take_sqe(env);

        io_uring_prep_poll_remove(sqe, slot_user_data(env, slot));
        io_uring_sqe_set_data64(sqe, NO_USER_DATA);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
    env->slots[slot].armed = false;
    env->slots[slot].generation++;
}

static int linux_watch(struct env *base, struct watch *watch)
{
    struct env_linux *env = self(base);

    ASSERT(watch->ready && watch->events != 0);
    if (fcntl(watch->fd, F_GETFD) < 0)
        return -errno;
    if (env->free_count == 0)
        return -ENOSPC;
    watch->slot = env->free_slots[--env->free_count];
    ASSERT(!env->slots[watch->slot].watch);
    env->slots[watch->slot].watch = watch;
    list_to_arm(env, watch->slot);
    return 0;
}

static int linux_rewatch(struct env *base, struct watch *watch)
{
    struct env_linux *env = self(base);

    ASSERT(watch->slot < SLOTS && env->slots[watch->slot].watch == watch && watch->events != 0);
    if (fcntl(watch->fd, F_GETFD) < 0)
        return -errno;
    withdraw(env, watch->slot);
    list_to_arm(env, watch->slot);
    return 0;
}

static void linux_unwatch(struct env *base, struct watch *watch)
{
    struct env_linux *env = self(base);
    bool armed;

    ASSERT(watch->slot < SLOTS && env->slots[watch->slot].watch == watch);
    armed = env->slots[watch->slot].armed;
    withdraw(env, watch->slot);
    env->slots[watch->slot].watch = NULL;
    env->free_slots[env->free_count++] = (uint16_t)watch->slot;
    /* Now, not at the next wait: the poll holds the file open, and the owner is about to close its
     * descriptor and may expect the peer to notice, or the port to be free. What was not submitted
     * stays queued. */
    if (armed)
        (void)io_uring_submit_and_get_events(&env->ring);
}

/* The events as the owner knows them. Errors and hang-ups, the poll's own failure included, count
 * as both, so that whatever the owner tries next tells it what is wrong. */
static unsigned watch_events(const struct watch *watch, int result)
{
    unsigned events = 0;

    if (result < 0 || (result & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return WATCH_READ | WATCH_WRITE;
    if (result & (POLLIN | POLLRDHUP))
        events |= WATCH_READ;
    if (result & POLLOUT)
        events |= WATCH_WRITE;
    return events & watch->events;
}

/* Returns how many of the owners' callbacks ran: 1 or 0. */
static unsigned complete(struct env_linux *env, uint64_t user_data, int result)
{
    uint32_t slot = (uint32_t)user_data;
    struct watch *watch;

    if (user_data == NO_USER_DATA) /* A withdrawal came too late: the poll had fired already. */
        return 0;
    ASSERT(slot < SLOTS);
    if (slot_user_data(env, slot) != user_data || !env->slots[slot].watch)
        return 0;
    env->slots[slot].armed = false;
    list_to_arm(env, slot);
    watch = env->slots[slot].watch;
    watch->ready(watch, watch_events(watch, result));
    return slot != 0;
}

static unsigned run_completions(struct env_linux *env)
{
    unsigned run = 0;

    for (unsigned left = io_uring_cq_ready(&env->ring); left > 0; left--) {
        struct io_uring_cqe *cqe;
        uint64_t user_data;
        int result;

        if (io_uring_peek_cqe(&env->ring, &cqe) != 0)
            break;
        user_data = cqe->user_data;
        result = cqe->res;
        io_uring_cqe_seen(&env->ring, cqe);
        run += complete(env, user_data, result);
    }
    return run;
}

/* Whether a look at the ring needs the kernel: requests to submit, or completions that it holds
 * back. */
static bool must_enter(struct env_linux *env)
{
    unsigned flags = __atomic_load_n(env->ring.sq.kflags, __ATOMIC_RELAXED);

    return io_uring_sq_ready(&env->ring) > 0 ||
           (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static unsigned linux_wait(struct env *base, uint64_t timeout_us)
{
    struct env_linux *env = self(base);
    int got = 0;

    arm_listed(env);
    if (timeout_us > 0) {
        uint64_t us = timeout_us < WAIT_US_MAX ? timeout_us : WAIT_US_MAX;
        struct __kernel_timespec timeout = { (int64_t)(us / SECOND_US),
                                             (int64_t)(us % SECOND_US * 1000) };
        struct io_uring_cqe *cqe;

        got = io_uring_submit_and_wait_timeout(&env->ring, &cqe, 1, &timeout, NULL);
    } else if (must_enter(env)) {
        got = io_uring_submit_and_get_events(&env->ring);
    }
    /* EBUSY and EAGAIN pass as soon as completions are taken, which is what happens next. */
    ASSERT(got >= 0 || got == -ETIME || got == -EINTR || got == -EBUSY || got == -EAGAIN);
    return run_completions(env);
}

static void linux_wake(struct env *base)
{
    struct env_linux *env = self(base);
    uint64_t one = 1;
    ssize_t written;

    if (atomic_exchange(&env->wake_pending, true))
        return;
    do
        written = write(env->wake_watch.fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
    ASSERT(written == (ssize_t)sizeof(one));
}

/* wake_watch is embedded in its env, so the env is found from it. */
static void on_wake(struct watch *watch, unsigned events)
{
    struct env_linux *env =
        (struct env_linux *)(void *)((char *)watch - offsetof(struct env_linux, wake_watch));
    uint64_t count;
    ssize_t got;

    (void)events;
    do
        got = read(watch->fd, &count, sizeof(count));
    while (got < 0 && errno == EINTR);
    ASSERT(got == (ssize_t)sizeof(count) || errno == EAGAIN); /* nothing: the poll itself failed */
    atomic_exchange(&env->wake_pending, false);
}

/* A request goes out when it is written, and a peer that vanished without a word is found out. */
static int set_socket(int fd)
{
    const int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0)
        return -errno;
    return 0;
}

static int linux_connect(struct env *env, const struct sockaddr *address, socklen_t bytes,
                         int *fd_out)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    (void)env;
    if (fd < 0)
        return -errno;
    error = set_socket(fd);
    /* An interrupted connect goes on by itself, as one that takes its time does. */
    if (error == 0 && connect(fd, address, bytes) < 0 && errno != EINPROGRESS && errno != EINTR)
        error = -errno;
    if (error != 0) {
        close(fd);
        return error;
    }
    *fd_out = fd;
    return 0;
}

static int linux_connected(struct env *env, int fd)
{
    socklen_t bytes = sizeof(int);
    int error = 0;

    (void)env;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0)
        return -errno;
    return -error;
}

static int64_t linux_send(struct env *env, int fd, const struct slice *slices, unsigned n)
{
    struct iovec parts[SEND_SLICES_MAX];
    struct msghdr message = { .msg_iov = parts };
    ssize_t sent;

    (void)env;
    while (message.msg_iovlen < n && message.msg_iovlen < SEND_SLICES_MAX) {
        const struct slice *slice = &slices[message.msg_iovlen];

        parts[message.msg_iovlen++] = (struct iovec){ (void *)(uintptr_t)slice->data, slice->len };
    }
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static int64_t linux_receive(struct env *env, int fd, char *to, size_t room)
{
    ssize_t got;

    (void)env;
    ASSERT(room > 0); /* Nothing received would look like the end of the stream. */
    do
        got = recv(fd, to, room, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static void linux_close(struct env *env, int fd)
{
    (void)env;
    close(fd); /* On Linux the descriptor is gone whatever it says, and what was sent is on its way.
                */
}

static int64_t linux_append(struct env *env, int fd, struct slice bytes)
{
    size_t done = 0;

    (void)env;
    while (done < bytes.len) {
        ssize_t written = write(fd, bytes.data + done, bytes.len - done);

        if (written < 0 && errno != EINTR)
            return -errno;
        if (written == 0)
            return -EIO; /* Not an error by the letter, but asking again could go on for ever. */
        if (written > 0)
            done += (size_t)written;
    }
    return (int64_t)done;
}

static int linux_sync(struct env *env, int fd)
{
    (void)env;
    while (fdatasync(fd) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static const struct env_ops linux_ops = {
    .mono_us = linux_mono_us,
    .wall_us = linux_wall_us,
    .random = linux_random,
    .watch = linux_watch,
    .rewatch = linux_rewatch,
    .unwatch = linux_unwatch,
    .wait = linux_wait,
    .wake = linux_wake,
    .connect = linux_connect,
    .connected = linux_connected,
    .send = linux_send,
    .receive = linux_receive,
    .close = linux_close,
    .append = linux_append,
    .sync = linux_sync,
};

/* Says which of the usual reasons it was. */
static int ring_failed(struct err *err, int error)
{
    struct utsname kernel;

    if (error == EINVAL || error == ENOSYS) {
        if (uname(&kernel) < 0)
            kernel.release[0] = '\0';
        return err_set(
            err, EXIT_SOFTWARE,
            "io_uring with DEFER_TASKRUN is needed, which Linux has since 6.1; this is Linux %s",
            kernel.release);
    }
    if (error == EPERM || error == EACCES)
        return err_set(
            err, EXIT_SOFTWARE,
            "io_uring is forbidden here, by kernel.io_uring_disabled or by a seccomp filter (a "
            "container's default profile, for one)");
    return err_set(err, EXIT_SOFTWARE, "cannot set up io_uring: %s", strerror(error));
}

static int open_ring(struct env_linux *env, struct err *err)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETIONS,
    };
    int error = io_uring_queue_init_params(RING_ENTRIES, &env->ring, &params);

    return error < 0 ? ring_failed(err, -error) : 0;
}

/* The wake-up takes slot 0, as the first watch of all. */
static int open_wake(struct env_linux *env, struct err *err)
{
    int error;

    env->wake_watch = (struct watch){ .ready = on_wake, .events = WATCH_READ };
    env->wake_watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (env->wake_watch.fd < 0)
        return err_set(err, EXIT_SOFTWARE, "cannot make an eventfd: %s", strerror(errno));
    error = linux_watch(&env->env, &env->wake_watch);
    ASSERT(error == 0 && env->wake_watch.slot == 0);
    return 0;
}

int env_linux_open(struct env **env_out, struct err *err)
{
    struct env_linux *env = calloc(1, sizeof(*env)); /* start-up: not on an event's way */

    if (!env)
        return err_set(err, EXIT_SOFTWARE, "no memory for a shard's environment");
    env->env.ops = &linux_ops;
    for (unsigned i = 0; i < SLOTS; i++)
        env->free_slots[i] = (uint16_t)(SLOTS - 1 - i);
    env->free_count = SLOTS;
    if (getrandom(&env->random_state, sizeof(env->random_state), 0) < 0)
        env->random_state = clock_us(CLOCK_REALTIME); /* Not for secrets, so the time will do. */
    if (open_ring(env, err) < 0)
        goto no_ring;
    if (open_wake(env, err) < 0)
        goto no_wake;
    *env_out = &env->env;
    return 0;

no_wake:
    io_uring_queue_exit(&env->ring);
no_ring:
    free(env);
    return -1;
}

void env_linux_close(struct env *base)
{
    struct env_linux *env = self(base);

    io_uring_queue_exit(&env->ring);
    close(env->wake_watch.fd);
    free(env);
}
