/* fuzz_env.c: see fuzz_env.h. */
#include "fuzz_env.h"

#include <errno.h>

#define WATCHES_MAX 16u
#define TURNS_MAX   1000000u
#define NEVER_FD    (-1)

static struct {
    struct env env;
    struct slice left;
    struct fuzz_pieces pieces;
    uint64_t now_us;
    bool given; /* a piece was given in this turn */
    bool over;  /* the end of the stream was told */
    int talks;  /* the descriptor that hears the bytes */
    int last;
    unsigned n_open, n;
    struct watch *watches[WATCHES_MAX];
} peer;

static uint64_t mono_us(struct env *env)
{
    (void)env;
    return peer.now_us;
}

static uint64_t wall_us(struct env *env)
{
    (void)env;
    return UINT64_C(1795248000000000);
}

static uint64_t random_bits(struct env *env)
{
    (void)env;
    return 0;
}

static int watch(struct env *env, struct watch *watch)
{
    (void)env;
    assert_true(peer.n < WATCHES_MAX);
    peer.watches[peer.n++] = watch;
    return 0;
}

static unsigned place_of(const struct watch *watch)
{
    unsigned i = 0;

    while (i < peer.n && peer.watches[i] != watch)
        i++;
    return i;
}

static int rewatch(struct env *env, struct watch *watch)
{
    (void)env;
    assert_true(place_of(watch) < peer.n);
    return 0;
}

static void unwatch(struct env *env, struct watch *watch)
{
    unsigned i = place_of(watch);

    (void)env;
    assert_true(i < peer.n);
    peer.watches[i] = peer.watches[--peer.n];
}

static bool has_news(const struct watch *watch)
{
    return (watch->events & WATCH_WRITE) != 0 || (watch->fd == peer.talks && !peer.over);
}

static unsigned wait_once(struct env *env, uint64_t timeout_us)
{
    (void)env;
    (void)timeout_us;
    for (unsigned i = 0; i < peer.n; i++) {
        struct watch *at = peer.watches[i];
        bool reads = at->fd == peer.talks && !peer.over;

        if (!has_news(at))
            continue;
        peer.given = false;
        at->ready(at, (at->events & WATCH_WRITE) |
                          (reads && (at->events & WATCH_READ) != 0 ? WATCH_READ : 0u));
        return 1; /* The list may be another by now. */
    }
    return 0;
}

static void wake(struct env *env)
{
    (void)env;
}

static int connect_to(struct env *env, const struct sockaddr *address, socklen_t bytes, int *fd)
{
    (void)env;
    (void)address;
    (void)bytes;
    *fd = ++peer.last;
    if (peer.talks == NEVER_FD)
        peer.talks = *fd;
    peer.n_open++;
    return 0;
}

static int connected(struct env *env, int fd)
{
    (void)env;
    (void)fd;
    return 0;
}

static int64_t send_to(struct env *env, int fd, const struct slice *slices, unsigned n)
{
    int64_t sum = 0;

    (void)env;
    (void)fd;
    for (unsigned i = 0; i < n; i++)
        sum += (int64_t)slices[i].len;
    return sum;
}

static int64_t receive(struct env *env, int fd, char *to, size_t room)
{
    size_t len = peer.left.len;

    (void)env;
    if (fd != peer.talks || (peer.given && peer.pieces.most > 0))
        return -EAGAIN;
    if (len == 0) {
        peer.over = true;
        return 0;
    }
    if (peer.pieces.most > 0 && len > peer.pieces.most)
        len = 1 + dice_throw(&peer.pieces.dice, peer.pieces.most);
    if (len > room)
        len = room;
    memcpy(to, peer.left.data, len);
    peer.left.data += len;
    peer.left.len -= len;
    peer.given = true;
    return (int64_t)len;
}

static void close_fd(struct env *env, int fd)
{
    (void)env;
    assert_true(peer.n_open > 0);
    for (unsigned i = 0; i < peer.n; i++)
        assert_int_not_equal(peer.watches[i]->fd, fd);
    peer.n_open--;
    if (fd == peer.talks)
        peer.over = true;
}

static const struct env_ops ops = { .mono_us = mono_us,
                                    .wall_us = wall_us,
                                    .random = random_bits,
                                    .watch = watch,
                                    .rewatch = rewatch,
                                    .unwatch = unwatch,
                                    .wait = wait_once,
                                    .wake = wake,
                                    .connect = connect_to,
                                    .connected = connected,
                                    .send = send_to,
                                    .receive = receive,
                                    .close = close_fd };

struct env *fuzz_env(struct slice bytes, const struct fuzz_pieces *pieces)
{
    memset(&peer, 0, sizeof(peer));
    peer.env.ops = &ops;
    peer.left = bytes;
    peer.pieces = *pieces;
    peer.now_us = 1000000;
    peer.talks = NEVER_FD;
    peer.last = 1000; /* no descriptor of the process */
    return &peer.env;
}

void fuzz_env_run(struct env *env)
{
    unsigned turns = 0;

    while (env_wait(env, 0) > 0)
        assert_true(turns++ < TURNS_MAX);
}

void fuzz_env_skip(struct env *env, uint64_t us)
{
    (void)env;
    peer.now_us += us;
}

unsigned fuzz_env_open(const struct env *env)
{
    (void)env;
    return peer.n_open + peer.n;
}
