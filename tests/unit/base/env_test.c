/* The Linux environment with real descriptors: readiness, removal, wakes, appends. */
#include "tests/unit/unit.h"

#include "dataplane/base/env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* A wait that ends by its condition; if it does not, the runner's limit ends the test. */
#define LONG_US UINT64_C(60000000)

/* A watch that counts, and that may do something to the next one. */
struct probe {
    struct watch watch; /* first */
    struct env *env;
    unsigned calls, events;
    struct probe *victim;      /* is unwatched by this one's callback */
    struct probe *replacement; /* is watched after that */
};

static void on_ready(struct watch *watch, unsigned events)
{
    struct probe *probe = (struct probe *)watch;

    probe->calls++;
    probe->events = events;
    if (probe->victim) {
        env_unwatch(probe->env, &probe->victim->watch);
        probe->victim->victim = NULL; /* Whoever is first removes the other. */
        probe->victim = NULL;
        if (probe->replacement)
            assert_int_equal(env_watch(probe->env, &probe->replacement->watch), 0);
    }
}

static struct probe probe_of(struct env *env, int fd, unsigned events)
{
    return (struct probe){ .watch = { .ready = on_ready, .fd = fd, .events = events }, .env = env };
}

static struct env *opened(void)
{
    struct err err = { .text = "" };
    struct env *env = NULL;

    if (env_linux_open(&env, &err) != 0)
        fail_msg("%s", err.text);
    return env;
}

static int ready_eventfd(void)
{
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void drain(int fd)
{
    uint64_t count;

    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

static void signal_fd(int fd)
{
    uint64_t one = 1;

    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* Waits until the probe was called `calls` times. */
static void wait_for(struct env *env, const struct probe *probe, unsigned calls)
{
    while (probe->calls < calls)
        env_wait(env, LONG_US);
}

/* Looks often enough that anything that is ready would have been seen. */
static unsigned look(struct env *env)
{
    unsigned run = 0;

    for (int i = 0; i < 10; i++)
        run += env_wait(env, 0);
    return run;
}

static void ready_descriptor_is_called_until_it_is_drained(void **state)
{
    /* Level-triggered: what the callback leaves unread is reported at every wait. */
    struct env *env = opened();
    struct probe probe = probe_of(env, ready_eventfd(), WATCH_READ);

    (void)state;
    assert_int_equal(env_watch(env, &probe.watch), 0);
    for (unsigned i = 1; i <= 50; i++) {
        wait_for(env, &probe, i);
        assert_int_equal(probe.calls, i);
        assert_int_equal(probe.events, WATCH_READ);
    }
    drain(probe.watch.fd);
    look(env); /* A report that was on its way may still come once. */
    probe.calls = 0;
    assert_int_equal(look(env), 0);
    assert_int_equal(probe.calls, 0);
    signal_fd(probe.watch.fd);
    wait_for(env, &probe, 1);
    env_unwatch(env, &probe.watch);
    close(probe.watch.fd);
    env_linux_close(env);
}

static void look_without_a_wait_sees_what_became_ready(void **state)
{
    /* A busy shard never waits. The poll is armed by the first look, and no later one submits
     * anything: it must ask the kernel for completions by itself. */
    struct env *env = opened();
    struct probe probe = probe_of(env, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), WATCH_READ);

    (void)state;
    assert_int_equal(env_watch(env, &probe.watch), 0);
    assert_int_equal(look(env), 0);
    signal_fd(probe.watch.fd);
    while (probe.calls == 0)
        env_wait(env, 0);
    env_unwatch(env, &probe.watch);
    close(probe.watch.fd);
    env_linux_close(env);
}

static void wait_counts_the_callbacks_that_ran(void **state)
{
    struct env *env = opened();
    struct probe probes[5];

    (void)state;
    for (int i = 0; i < 5; i++) {
        probes[i] = probe_of(env, ready_eventfd(), WATCH_READ);
        assert_int_equal(env_watch(env, &probes[i].watch), 0);
    }
    for (unsigned run = 0; run < 5;)
        run += env_wait(env, LONG_US);
    for (int i = 0; i < 5; i++) {
        wait_for(env, &probes[i], 1);
        env_unwatch(env, &probes[i].watch);
        close(probes[i].watch.fd);
    }
    env_linux_close(env);
}

static void pipe_reports_room_data_and_the_other_end_gone(void **state)
{
    struct env *env = opened();
    struct probe reader, writer;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    reader = probe_of(env, ends[0], WATCH_READ);
    writer = probe_of(env, ends[1], WATCH_WRITE);
    assert_int_equal(env_watch(env, &reader.watch), 0);
    assert_int_equal(env_watch(env, &writer.watch), 0);
    wait_for(env, &writer, 1);
    assert_int_equal(writer.events, WATCH_WRITE);
    assert_int_equal(reader.calls, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    wait_for(env, &reader, 1);
    assert_int_equal(reader.events, WATCH_READ);
    env_unwatch(env, &reader.watch);
    close(ends[0]);
    writer.events = 0;
    while (writer.events != (WATCH_READ | WATCH_WRITE)) /* An error counts as both. */
        env_wait(env, LONG_US);
    env_unwatch(env, &writer.watch);
    close(ends[1]);
    env_linux_close(env);
}

static void rewatch_changes_what_is_waited_for(void **state)
{
    struct env *env = opened();
    struct probe probe;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    probe = probe_of(env, ends[0], WATCH_READ);
    assert_int_equal(env_watch(env, &probe.watch), 0);
    assert_int_equal(look(env), 0);
    probe.watch.events = WATCH_READ | WATCH_WRITE;
    assert_int_equal(env_rewatch(env, &probe.watch), 0);
    wait_for(env, &probe, 1);
    assert_int_equal(probe.events, WATCH_WRITE);
    assert_int_equal(write(ends[1], "x", 1), 1);
    while (probe.events != (WATCH_READ | WATCH_WRITE))
        env_wait(env, LONG_US);
    assert_int_equal(read(ends[0], (char[1]){ 0 }, 1), 1);
    probe.watch.events = WATCH_READ;
    assert_int_equal(env_rewatch(env, &probe.watch), 0);
    look(env);
    probe.calls = 0;
    assert_int_equal(look(env), 0);
    env_unwatch(env, &probe.watch);
    close(ends[0]);
    close(ends[1]);
    env_linux_close(env);
}

static void removed_watch_is_never_called(void **state)
{
    /* Removed before it was armed, and after it was armed and became ready. */
    struct env *env = opened();
    struct probe never = probe_of(env, ready_eventfd(), WATCH_READ);
    struct probe late = probe_of(env, ready_eventfd(), WATCH_READ);

    (void)state;
    assert_int_equal(env_watch(env, &never.watch), 0);
    env_unwatch(env, &never.watch);
    drain(late.watch.fd);
    assert_int_equal(env_watch(env, &late.watch), 0);
    assert_int_equal(look(env), 0);
    signal_fd(late.watch.fd);
    env_unwatch(env, &late.watch);
    assert_int_equal(look(env), 0);
    assert_int_equal(never.calls + late.calls, 0);
    close(never.watch.fd);
    close(late.watch.fd);
    env_linux_close(env);
}

static void callback_may_remove_another_that_is_ready_too(void **state)
{
    /* Two watches ready in one wait, each removing the other and freeing its memory's right to be
     * used: only one is ever called. A third takes the freed slot at once and must get its own
     * events, not the removed one's. */
    struct env *env = opened();
    struct probe quiet = probe_of(env, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), WATCH_READ);

    (void)state;
    for (int round = 0; round < 100; round++) {
        struct probe a = probe_of(env, ready_eventfd(), WATCH_READ);
        struct probe b = probe_of(env, ready_eventfd(), WATCH_READ);

        a.victim = &b;
        b.victim = &a;
        a.replacement = b.replacement = &quiet;
        assert_int_equal(env_watch(env, &a.watch), 0);
        assert_int_equal(env_watch(env, &b.watch), 0);
        while (a.calls + b.calls == 0)
            env_wait(env, LONG_US);
        look(env);
        assert_true((a.calls == 0) != (b.calls == 0));
        assert_int_equal(quiet.calls, 0);
        env_unwatch(env, a.calls > 0 ? &a.watch : &b.watch);
        env_unwatch(env, &quiet.watch);
        close(a.watch.fd);
        close(b.watch.fd);
    }
    close(quiet.watch.fd);
    env_linux_close(env);
}

static void callback_may_remove_itself(void **state)
{
    struct env *env = opened();
    struct probe probe = probe_of(env, ready_eventfd(), WATCH_READ);

    (void)state;
    probe.victim = &probe;
    assert_int_equal(env_watch(env, &probe.watch), 0);
    wait_for(env, &probe, 1);
    assert_int_equal(look(env), 0);
    assert_int_equal(probe.calls, 1);
    close(probe.watch.fd);
    env_linux_close(env);
}

static void peer_sees_a_close_right_after_unwatch(void **state)
{
    /* The poll must not hold the socket open behind its owner's back. */
    struct env *env = opened();
    struct probe probe;
    int ends[2];
    char byte;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    probe = probe_of(env, ends[0], WATCH_READ);
    assert_int_equal(env_watch(env, &probe.watch), 0);
    assert_int_equal(look(env), 0);
    env_unwatch(env, &probe.watch);
    close(ends[0]);
    assert_int_equal(read(ends[1], &byte, 1), 0); /* Blocks until the other end is really closed. */
    close(ends[1]);
    env_linux_close(env);
}

static void table_holds_1024_watches_and_no_more(void **state)
{
    static struct probe probes[1025];
    struct env *env = opened();
    int fd = ready_eventfd();

    (void)state;
    for (int i = 0; i < 1025; i++) {
        probes[i] = probe_of(env, fd, WATCH_READ);
        assert_int_equal(env_watch(env, &probes[i].watch), i < 1024 ? 0 : -ENOSPC);
    }
    for (int i = 0; i < 1024; i++)
        wait_for(env, &probes[i], 2);
    for (int i = 0; i < 1024; i++)
        env_unwatch(env, &probes[i].watch);
    assert_int_equal(env_watch(env, &probes[1024].watch), 0);
    wait_for(env, &probes[1024], 1);
    env_unwatch(env, &probes[1024].watch);
    close(fd);
    env_linux_close(env);
}

static void closed_descriptor_cannot_be_watched(void **state)
{
    struct env *env = opened();
    int fd = ready_eventfd();
    struct probe probe = probe_of(env, fd, WATCH_READ);

    (void)state;
    close(fd);
    assert_int_equal(env_watch(env, &probe.watch), -EBADF);
    env_linux_close(env);
}

static void *wake_it(void *env)
{
    env_wake(env);
    return NULL;
}

static void wake_from_another_thread_ends_a_wait(void **state)
{
    /* Without the wake this would last longer than the runner allows. Every round must be woken
     * anew. */
    struct env *env = opened();

    (void)state;
    for (int round = 0; round < 100; round++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, wake_it, env), 0);
        assert_int_equal(env_wait(env, LONG_US * 60), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    env_linux_close(env);
}

struct ping {
    struct env *env;
    unsigned asked, answered; /* atomic */
};

static void *ping_all(void *argument)
{
    struct ping *ping = argument;

    for (unsigned i = 1; i <= 20000; i++) {
        __atomic_store_n(&ping->asked, i, __ATOMIC_RELEASE);
        env_wake(ping->env);
        while (i % 16 == 0 && __atomic_load_n(&ping->answered, __ATOMIC_ACQUIRE) < i)
            sched_yield();
    }
    return NULL;
}

static void no_wake_is_ever_lost(void **state)
{
    /* Each wake announces a number. One that was swallowed between drain and flag would leave both
     * sides waiting. */
    struct ping ping = { .env = opened() };
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, ping_all, &ping), 0);
    while (ping.answered < 20000) {
        env_wait(ping.env, LONG_US * 60);
        __atomic_store_n(&ping.answered, __atomic_load_n(&ping.asked, __ATOMIC_ACQUIRE),
                         __ATOMIC_RELEASE);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    env_linux_close(ping.env);
}

static void wake_before_the_wait_counts_too(void **state)
{
    struct env *env = opened();

    (void)state;
    env_wake(env);
    env_wake(env);
    assert_int_equal(env_wait(env, LONG_US * 60), 0);
    env_linux_close(env);
}

/* Where an eventfd of this process is, from `from` on; -1: nowhere. */
static int next_eventfd(int from)
{
    for (int fd = from; fd < 256; fd++) {
        char path[32], name[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, name, sizeof(name) - 1) > 0 && strstr(name, "[eventfd]"))
            return fd;
    }
    return -1;
}

/* A poll may fail, and then looks like a wake-up that is none: the wait goes on, and the next
 * wake-up is seen. Here the poll fired, and its reason is taken away before anybody looks. */
static void wake_up_without_a_wake_does_not_hold_the_wait(void **state)
{
    struct env *env = opened();
    uint64_t count;

    (void)state;
    (void)env_wait(env, 0); /* Arms the poll. */
    env_wake(env);
    for (int fd = next_eventfd(0); fd >= 0; fd = next_eventfd(fd + 1))
        (void)!read(fd, &count, sizeof(count));
    assert_int_equal(env_wait(env, LONG_US * 60), 0);
    env_wake(env);
    assert_int_equal(env_wait(env, LONG_US * 60), 0);
    env_linux_close(env);
}

static void wait_ends_at_its_timeout(void **state)
{
    /* Nothing is ready, so only the clock can end it; by the env's own clock it was not before its
     * time. */
    struct env *env = opened();
    uint64_t start = env_mono_us(env);

    (void)state;
    while (env_mono_us(env) - start < 2000)
        assert_int_equal(env_wait(env, 2000), 0);
    assert_int_equal(env_wait(env, 1), 0);
    assert_int_equal(env_wait(env, 0), 0);
    env_linux_close(env);
}

static void endless_wait_does_not_overflow(void **state)
{
    struct env *env = opened();
    struct probe probe = probe_of(env, ready_eventfd(), WATCH_READ);

    (void)state;
    assert_int_equal(env_watch(env, &probe.watch), 0);
    assert_int_equal(env_wait(env, UINT64_MAX), 1);
    env_unwatch(env, &probe.watch);
    close(probe.watch.fd);
    env_linux_close(env);
}

static void clocks_and_randomness_are_alive(void **state)
{
    struct env *env = opened();
    uint64_t before = env_mono_us(env), bits = 0;

    (void)state;
    assert_true(env_mono_us(env) >= before);
    assert_true(env_wall_us(env) > UINT64_C(1700000000000000));
    for (int i = 0; i < 64; i++) {
        uint64_t number = env_random(env);

        assert_true(number != env_random(env));
        bits |= number;
    }
    assert_true(bits == UINT64_MAX); /* A bit that is never set in 64 numbers is a dead one. */
    env_linux_close(env);
}

static void *read_all(void *argument)
{
    static char buffer[4096];
    size_t *total = argument, fd = *total;
    ssize_t got;

    *total = 0;
    while ((got = read((int)fd, buffer, sizeof(buffer))) > 0)
        *total += (size_t)got;
    return NULL;
}

static void append_writes_everything_or_says_why_not(void **state)
{
    /* A pipe takes 64 KiB at a time, so a megabyte needs many partial writes. */
    const size_t bytes = 1 << 20;
    char *data = calloc(1, bytes);
    struct env *env = opened();
    pthread_t thread;
    size_t total;
    int ends[2];

    (void)state;
    assert_non_null(data);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    total = (size_t)ends[0];
    assert_int_equal(pthread_create(&thread, NULL, read_all, &total), 0);
    assert_int_equal(env_append(env, ends[1], (struct slice){ data, bytes }), bytes);
    assert_int_equal(env_append(env, ends[1], (struct slice){ NULL, 0 }), 0);
    assert_int_equal(env_append(env, ends[0], (struct slice){ data, 1 }), -EBADF);
    assert_int_equal(env_sync(env, ends[1]), -EINVAL); /* A pipe has nothing to sync. */
    close(ends[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(total, bytes);
    close(ends[0]);
    free(data);
    env_linux_close(env);
}

/* A socket on a port of its own on loopback; it listens, or refuses. */
static int bound(bool listening, struct sockaddr_in *address)
{
    socklen_t bytes = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){ .sin_family = AF_INET };
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &bytes), 0);
    if (listening)
        assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* A decided connection's descriptor, and the other end in *peer. */
static int connected_pair(struct env *env, int *peer)
{
    struct sockaddr_in address;
    int listener = bound(true, &address), fd = -1;
    struct probe probe;

    assert_int_equal(env_connect(env, (struct sockaddr *)&address, sizeof(address), &fd), 0);
    probe = probe_of(env, fd, WATCH_WRITE);
    assert_int_equal(env_watch(env, &probe.watch), 0);
    wait_for(env, &probe, 1);
    assert_int_equal(env_connected(env, fd), 0);
    env_unwatch(env, &probe.watch);
    *peer = accept(listener, NULL, NULL);
    assert_true(*peer >= 0);
    close(listener);
    return fd;
}

static int option(int fd, int level, int name)
{
    socklen_t bytes = sizeof(int);
    int value = -1;

    assert_int_equal(getsockopt(fd, level, name, &value, &bytes), 0);
    return value;
}

static void connection_carries_bytes_both_ways_until_its_end(void **state)
{
    /* Nothing waits: what is not there yet is EAGAIN, and the end of the stream is 0. */
    const struct slice parts[] = { SLICE("to "), { NULL, 0 }, SLICE("the "), SLICE("peer") };
    struct env *env = opened();
    struct probe probe;
    char bytes[64];
    int peer, fd = connected_pair(env, &peer);

    (void)state;
    assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(env_receive(env, fd, bytes, sizeof(bytes)), -EAGAIN);
    assert_int_equal(env_send(env, fd, parts, 4), 11);
    assert_int_equal(recv(peer, bytes, 11, MSG_WAITALL), 11);
    assert_memory_equal(bytes, "to the peer", 11);
    assert_int_equal(send(peer, "back", 4, 0), 4);
    close(peer);
    probe = probe_of(env, fd, WATCH_READ);
    assert_int_equal(env_watch(env, &probe.watch), 0);
    wait_for(env, &probe, 1);
    env_unwatch(env, &probe.watch);
    assert_int_equal(env_receive(env, fd, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "back", 4);
    probe = probe_of(env, fd, WATCH_READ);
    assert_int_equal(env_watch(env, &probe.watch), 0);
    wait_for(env, &probe, 1);
    env_unwatch(env, &probe.watch);
    assert_int_equal(env_receive(env, fd, bytes, sizeof(bytes)), 0);
    env_close(env, fd);
    env_linux_close(env);
}

static void sending_takes_what_goes_and_says_when_nothing_does(void **state)
{
    /* More slices than one system call takes: the first ones go. A peer that reads nothing fills
     * the buffers; one that is gone is an error and no signal. */
    static char block[65536];
    struct slice parts[100], whole = { block, sizeof(block) };
    struct env *env = opened();
    int peer, fd = connected_pair(env, &peer);
    int64_t sent;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        parts[i] = SLICE("x");
    sent = env_send(env, fd, parts, 100);
    assert_true(sent > 0 && sent <= 100);
    do
        sent = env_send(env, fd, &whole, 1);
    while (sent > 0);
    assert_int_equal(sent, -EAGAIN);
    close(peer); /* With bytes unread, so this is a reset. */
    do
        sent = env_send(env, fd, &whole, 1);
    while (sent > 0 || sent == -EAGAIN);
    assert_true(sent == -EPIPE || sent == -ECONNRESET);
    env_close(env, fd);
    env_linux_close(env);
}

static void refused_connection_says_so(void **state)
{
    /* At once or when it is decided; both are allowed. */
    struct sockaddr_in address;
    struct sockaddr nonsense = { .sa_family = AF_MAX };
    struct env *env = opened();
    int holder = bound(false, &address), fd = -1;
    int error = env_connect(env, (struct sockaddr *)&address, sizeof(address), &fd);

    (void)state;
    if (error == 0) {
        struct probe probe = probe_of(env, fd, WATCH_WRITE);

        assert_int_equal(env_watch(env, &probe.watch), 0);
        wait_for(env, &probe, 1);
        error = env_connected(env, fd);
        env_unwatch(env, &probe.watch);
        env_close(env, fd);
    }
    assert_int_equal(error, -ECONNREFUSED);
    assert_int_equal(env_connect(env, &nonsense, sizeof(nonsense), &fd), -EAFNOSUPPORT);
    close(holder);
    env_linux_close(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_descriptor_is_called_until_it_is_drained),
        cmocka_unit_test(look_without_a_wait_sees_what_became_ready),
        cmocka_unit_test(wait_counts_the_callbacks_that_ran),
        cmocka_unit_test(pipe_reports_room_data_and_the_other_end_gone),
        cmocka_unit_test(rewatch_changes_what_is_waited_for),
        cmocka_unit_test(removed_watch_is_never_called),
        cmocka_unit_test(callback_may_remove_another_that_is_ready_too),
        cmocka_unit_test(callback_may_remove_itself),
        cmocka_unit_test(peer_sees_a_close_right_after_unwatch),
        cmocka_unit_test(table_holds_1024_watches_and_no_more),
        cmocka_unit_test(closed_descriptor_cannot_be_watched),
        cmocka_unit_test(wake_from_another_thread_ends_a_wait),
        cmocka_unit_test(no_wake_is_ever_lost),
        cmocka_unit_test(wake_before_the_wait_counts_too),
        cmocka_unit_test(wake_up_without_a_wake_does_not_hold_the_wait),
        cmocka_unit_test(wait_ends_at_its_timeout),
        cmocka_unit_test(endless_wait_does_not_overflow),
        cmocka_unit_test(clocks_and_randomness_are_alive),
        cmocka_unit_test(append_writes_everything_or_says_why_not),
        cmocka_unit_test(connection_carries_bytes_both_ways_until_its_end),
        cmocka_unit_test(sending_takes_what_goes_and_says_when_nothing_does),
        cmocka_unit_test(refused_connection_says_so),
    };

    return UNIT_RUN(tests);
}
