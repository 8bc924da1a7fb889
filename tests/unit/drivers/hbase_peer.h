/*
 * hbase_peer.h: the other end of a connection, played by the test itself, step by step.
 *
 *     test ─► turn(): a step of what is tested ─► 127.0.0.1 ─► peer_read(), peer_write(): the test
 *
 * There is no thread: whatever the peer waits for, it lets the tested code take its turns
 * meanwhile. What never comes is ended by the runner's limit.
 */
#ifndef WEIR_TESTS_HBASE_PEER_H
#define WEIR_TESTS_HBASE_PEER_H

#include "tests/unit/unit.h"

#include "dataplane/base/env.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct peer {
    void (*turn)(void *tested); /* lets it look at the world once */
    void *tested;
    int listener, fd; /* fd: the connection that was accepted last; -1: none */
    uint16_t port;
};

static inline void peer_open(struct peer *peer, void (*turn)(void *tested), void *tested)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t bytes = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *peer = (struct peer){ .turn = turn, .tested = tested, .fd = -1 };
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(listen(peer->listener, 16), 0);
    peer->port = ntohs(address.sin_port);
}

static inline void peer_accept(struct peer *peer)
{
    while ((peer->fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
        assert_int_equal(errno, EAGAIN);
        peer->turn(peer->tested);
    }
}

/* Nobody has connected. */
static inline void peer_is_alone(struct peer *peer)
{
    for (int i = 0; i < 5; i++)
        peer->turn(peer->tested);
    assert_int_equal(accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Exactly `len` bytes. */
static inline void peer_read(struct peer *peer, char *to, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = recv(peer->fd, to + done, len - done, 0);

        if (got < 0)
            assert_int_equal(errno, EAGAIN);
        assert_int_not_equal(got, 0);
        if (got > 0)
            done += (size_t)got;
        else
            peer->turn(peer->tested);
    }
}

/* The tested side ended the stream; what it had sent before is dropped. */
static inline void peer_sees_the_end(struct peer *peer)
{
    char bytes[65536];
    ssize_t got;

    while ((got = recv(peer->fd, bytes, sizeof(bytes), 0)) != 0) {
        if (got < 0 && errno == ECONNRESET)
            return;
        if (got < 0) {
            assert_int_equal(errno, EAGAIN);
            peer->turn(peer->tested);
        }
    }
}

static inline void peer_write(struct peer *peer, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(peer->fd, bytes.data, bytes.len, MSG_NOSIGNAL);

        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            peer->turn(peer->tested);
            continue;
        }
        bytes.data += sent;
        bytes.len -= (size_t)sent;
    }
}

static inline void peer_hang_up(struct peer *peer)
{
    assert_int_equal(close(peer->fd), 0);
    peer->fd = -1;
}

/* A reset instead of an orderly end. */
static inline void peer_reset(struct peer *peer)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    peer_hang_up(peer);
}

static inline void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    close(peer->listener);
}

/* An environment whose monotonic clock can be set forward, so that a time-out needs no waiting. */
static uint64_t skipped_us;
static uint64_t (*true_mono_us)(struct env *env);

static inline uint64_t skipping_mono_us(struct env *env)
{
    return true_mono_us(env) + skipped_us;
}

static inline struct env *skipping_env(void)
{
    static struct env_ops ops;
    struct err err = { .text = "" };
    struct env *env;

    if (env_linux_open(&env, &err) != 0)
        fail_msg("%s", err.text);
    ops = *env->ops;
    true_mono_us = ops.mono_us;
    ops.mono_us = skipping_mono_us;
    env->ops = &ops;
    skipped_us = 0;
    return env;
}

static inline void skip_seconds(unsigned s)
{
    skipped_us += s * UINT64_C(1000000);
}

/* How many descriptors this process has. */
static inline unsigned open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

#endif
