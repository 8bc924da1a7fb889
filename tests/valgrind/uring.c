/*
 * uring.c: how a shard sleeps in a build for valgrind.
 *
 *     shard ── io_uring_submit_and_wait_timeout ──► submit, look; none: poll() the ring; look again
 *
 * valgrind runs one thread at a time and hands over where a system call may block. It knows that of
 * poll(), but not of io_uring_enter(): who waits there keeps all other threads from running, and
 * what it waits for never comes. So the wait is made of calls that valgrind knows, by a function
 * that stands before liburing's of the same name. All else is liburing and the kernel as ever.
 *
 * The ring tells poll() of completions; but as kernels differ in when they do, no poll is long.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <time.h>

enum { SLICE_MS = 5 };

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     unsigned wanted, struct __kernel_timespec *timeout,
                                     sigset_t *mask)
{
    int64_t end_ns = now_ns() + timeout->tv_sec * 1000000000 + timeout->tv_nsec;
    struct pollfd fd = { .fd = ring->ring_fd, .events = POLLIN };

    (void)wanted, (void)mask; /* One, and none: nobody asks otherwise. */
    for (;;) {
        int submitted = io_uring_submit_and_get_events(ring);
        int64_t left_ms;

        if (submitted < 0)
            return submitted;
        if (io_uring_peek_cqe(ring, cqe) == 0)
            return 0;
        left_ms = (end_ns - now_ns() + 999999) / 1000000;
        if (left_ms <= 0)
            return -ETIME;
        if (poll(&fd, 1, (int)(left_ms < SLICE_MS ? left_ms : SLICE_MS)) < 0)
            return -errno;
    }
}
