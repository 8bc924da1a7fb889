/* Reading one znode: the session's bytes, what a server may answer, the next server. */
#include "hbase_peer.h"

#include "drivers/hbase/zookeeper.h"

#include <stdlib.h>

#define TIMEOUT_US UINT64_C(60000000) /* never, unless a test skips it */
#define PATH       "/hbase/meta-region-server"

struct rig {
    struct env *env;
    struct zookeeper *zookeeper;
    struct peer peers[2];
    struct peer *peer;        /* the one that was connected to */
    struct zookeeper_get get; /* get.owner is the rig */
    unsigned done, again;
    char *data, reason[512];
    size_t data_bytes;
    unsigned descriptors;
    char names[2][96];
};

static void turn(void *tested)
{
    struct rig *rig = tested;

    zookeeper_step(rig->zookeeper);
    env_wait(rig->env, 200);
}

static void on_done(struct zookeeper_get *get)
{
    struct rig *rig = get->owner;

    rig->done++;
    rig->data_bytes = get->data.len;
    if (get->data.len > 0)
        memcpy(rig->data, get->data.data, get->data.len);
    assert_true(get->reason.len < sizeof(rig->reason));
    memcpy(rig->reason, get->reason.data, get->reason.len);
    rig->reason[get->reason.len] = '\0';
    if (rig->again > 0) {
        rig->again--;
        zookeeper_start(rig->zookeeper, get);
    }
}

/* With the first `n` of two servers, all called `host`. */
static void rig_open_with(struct rig *rig, unsigned n, const char *host)
{
    const char *servers[2] = { rig->names[0], rig->names[1] };
    struct zookeeper_options options = { .servers = servers,
                                         .n_servers = n,
                                         .timeout_us = TIMEOUT_US };
    struct err err = { .text = "" };

    *rig = (struct rig){ .descriptors = open_descriptors() };
    rig->data = malloc(ZOOKEEPER_NODE_BYTES_MAX);
    assert_non_null(rig->data);
    rig->env = skipping_env();
    for (unsigned i = 0; i < 2; i++) {
        peer_open(&rig->peers[i], turn, rig);
        snprintf(rig->names[i], sizeof(rig->names[i]), "%s:%u", host, (unsigned)rig->peers[i].port);
    }
    options.env = rig->env;
    assert_int_equal(zookeeper_open(&rig->zookeeper, &options, &err), 0);
    rig->get = (struct zookeeper_get){ .done = on_done, .owner = rig, .path = PATH };
}

static void rig_open(struct rig *rig, unsigned n)
{
    rig_open_with(rig, n, "127.0.0.1");
}

static void rig_close(struct rig *rig)
{
    zookeeper_close(rig->zookeeper);
    peer_close(&rig->peers[0]);
    peer_close(&rig->peers[1]);
    env_linux_close(rig->env);
    free(rig->data);
    assert_int_equal(open_descriptors(), rig->descriptors);
}

/* Waits for a connection to any of the servers. */
static void accept_any(struct rig *rig)
{
    for (unsigned i = 0;; i = 1 - i) {
        rig->peer = &rig->peers[i];
        rig->peer->fd = accept4(rig->peer->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (rig->peer->fd >= 0)
            return;
        turn(rig);
    }
}

static void expect(struct rig *rig, const char *bytes, size_t len)
{
    char got[256];

    assert_true(len <= sizeof(got));
    peer_read(rig->peer, got, len);
    assert_memory_equal(got, bytes, len);
}

#define EXPECT(rig, literal) expect((rig), (literal), sizeof(literal) - 1)
#define SEND(rig, literal)   peer_write((rig)->peer, SLICE(literal))

static void expect_connect(struct rig *rig)
{
    EXPECT(rig, "\x00\x00\x00\x2d"
                "\x00\x00\x00\x00"
                "\x00\x00\x00\x00\x00\x00\x00\x00"
                "\x00\x00\x75\x30"
                "\x00\x00\x00\x00\x00\x00\x00\x00"
                "\x00\x00\x00\x10"
                "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                "\x00");
}

static void send_session(struct rig *rig)
{
    SEND(rig, "\x00\x00\x00\x25"
              "\x00\x00\x00\x00"
              "\x00\x00\x75\x30"
              "\x01\x00\x00\x00\x00\x00\x00\x07"
              "\x00\x00\x00\x10"
              "0123456789abcdef"
              "\x00");
}

static void expect_get(struct rig *rig)
{
    EXPECT(rig, "\x00\x00\x00\x26"
                "\x00\x00\x00\x01"
                "\x00\x00\x00\x04"
                "\x00\x00\x00\x19" PATH "\x00");
}

/* Up to the question. */
static void serve_session(struct rig *rig)
{
    accept_any(rig);
    expect_connect(rig);
    send_session(rig);
    expect_get(rig);
}

static void expect_close(struct rig *rig)
{
    EXPECT(rig, "\x00\x00\x00\x08"
                "\x00\x00\x00\x02"
                "\xff\xff\xff\xf5");
    peer_sees_the_end(rig->peer);
    peer_hang_up(rig->peer);
}

/* An answer: xid, error and all that follows. */
static void send_answer(struct rig *rig, uint32_t xid, int32_t error, struct slice rest)
{
    char head[20] = { 0 };
    uint32_t number = htonl((uint32_t)(16 + rest.len));

    memcpy(head, &number, 4);
    number = htonl(xid);
    memcpy(head + 4, &number, 4);
    number = htonl((uint32_t)error);
    memcpy(head + 16, &number, 4);
    peer_write(rig->peer, (struct slice){ head, sizeof(head) });
    peer_write(rig->peer, rest);
}

static void wait_done(struct rig *rig, enum zookeeper_result result)
{
    while (rig->done == 0)
        turn(rig);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->get.result, result);
    rig->done = 0;
}

static void wait_failed(struct rig *rig, const char *why)
{
    wait_done(rig, ZOOKEEPER_FAILED);
    if (!strstr(rig->reason, why))
        fail_msg("'%s' lacks '%s'", rig->reason, why);
}

static void znode_is_read_by_a_session_of_its_own(void **state)
{
    /* Two reads: each opens a session, asks, and says goodbye. The znode's stat is not looked at.
     */
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    for (int i = 0; i < 2; i++) {
        zookeeper_start(rig.zookeeper, &rig.get);
        serve_session(&rig);
        send_answer(&rig, 1, 0,
                    SLICE("\x00\x00\x00\x04"
                          "data"
                          "stat stat"));
        wait_done(&rig, ZOOKEEPER_FOUND);
        assert_int_equal(rig.data_bytes, 4);
        assert_memory_equal(rig.data, "data", 4);
        expect_close(&rig);
    }
    rig_close(&rig);
}

static void answer_may_come_byte_by_byte(void **state)
{
    static const char answer[] = "\x00\x00\x00\x16"
                                 "\x00\x00\x00\x01"
                                 "\x00\x00\x00\x00\x00\x00\x00\x09"
                                 "\x00\x00\x00\x00"
                                 "\x00\x00\x00\x02"
                                 "ab";
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    for (size_t i = 0; i < sizeof(answer) - 1; i++) {
        assert_int_equal(rig.done, 0);
        peer_write(rig.peer, (struct slice){ answer + i, 1 });
        turn(&rig);
    }
    wait_done(&rig, ZOOKEEPER_FOUND);
    assert_memory_equal(rig.data, "ab", 2);
    rig_close(&rig);
}

static void largest_znode_is_taken_whole_and_a_larger_one_not_at_all(void **state)
{
    static char rest[4 + ZOOKEEPER_NODE_BYTES_MAX + 68];
    struct rig rig;

    (void)state;
    for (size_t i = 0; i < sizeof(rest); i++)
        rest[i] = (char)(i * 13 >> 2);
    rig_open(&rig, 1);
    for (unsigned more = 0; more < 2; more++) {
        zookeeper_start(rig.zookeeper, &rig.get);
        serve_session(&rig);
        memcpy(rest, more ? "\x00\x01\x00\x01" : "\x00\x01\x00\x00", 4);
        send_answer(&rig, 1, 0, (struct slice){ rest, sizeof(rest) });
        if (more) {
            wait_failed(&rig, "no answer");
            break;
        }
        wait_done(&rig, ZOOKEEPER_FOUND);
        assert_int_equal(rig.data_bytes, ZOOKEEPER_NODE_BYTES_MAX);
        assert_memory_equal(rig.data, rest + 4, ZOOKEEPER_NODE_BYTES_MAX);
        peer_hang_up(rig.peer);
    }
    rig_close(&rig);
}

static void absent_znode_is_an_answer(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 2);
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    send_answer(&rig, 1, -101, (struct slice){ NULL, 0 });
    wait_done(&rig, ZOOKEEPER_ABSENT);
    assert_int_equal(rig.data_bytes, 0);
    expect_close(&rig);
    rig_close(&rig);
}

static void znode_without_data_is_found_empty(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    send_answer(&rig, 1, 0,
                SLICE("\xff\xff\xff\xff"
                      "stat"));
    wait_done(&rig, ZOOKEEPER_FOUND);
    assert_int_equal(rig.data_bytes, 0);
    rig_close(&rig);
}

static void notices_before_the_answer_are_passed_over(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    send_answer(&rig, (uint32_t)-1, 0, SLICE("a watch event"));
    send_answer(&rig, (uint32_t)-2, 0, (struct slice){ NULL, 0 });
    send_answer(&rig, 1, 0,
                SLICE("\x00\x00\x00\x01"
                      "x"));
    wait_done(&rig, ZOOKEEPER_FOUND);
    assert_memory_equal(rig.data, "x", 1);
    rig_close(&rig);
}

static void nonsense_fails_the_server(void **state)
{
    static const struct {
        bool greeted; /* it comes as the answer, not as the session */
        struct slice bytes;
        const char *why;
    } cases[] = {
        { false, SLICE("\x00\x00\x00\x04\x00\x00\x00\x00"), "refused a session" },
        { false, SLICE("\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00"), "refused a session" },
        { false, SLICE("\x7f\xff\xff\xff"), "an answer of 2147483647 bytes" },
        { false, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"), "bytes is announced" },
        { true, SLICE("\xff\xff\xff\xff"), "an answer of 4294967295 bytes" },
        { true, SLICE("\x00\x00\x00\x03xyz"), "no answer" },
        { true, SLICE("\x00\x00\x00\x10\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0"), "no answer" },
        { true, SLICE("\x00\x00\x00\x16\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3xy"), "no answer" },
        { true, SLICE("\x00\x00\x00\x16\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1xy"), "no answer" },
        { true, SLICE("\x00\x00\x00\x16\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xfexy"),
          "no answer" },
        { true, SLICE("\x00\x00\x00\x10\0\0\0\1\0\0\0\0\0\0\0\0\xff\xff\xff\x9a"),
          "may not be read without authentication" },
        { true, SLICE("\x00\x00\x00\x10\0\0\0\1\0\0\0\0\0\0\0\0\xff\xff\xff\x90"), "error -112" },
    };
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        zookeeper_start(rig.zookeeper, &rig.get);
        if (cases[i].greeted) {
            serve_session(&rig);
        } else {
            accept_any(&rig);
            expect_connect(&rig);
        }
        peer_write(rig.peer, cases[i].bytes);
        wait_failed(&rig, cases[i].why);
        peer_sees_the_end(rig.peer);
        peer_hang_up(rig.peer);
    }
    rig_close(&rig);
}

static void next_server_is_asked_where_one_fails(void **state)
{
    /* Whichever is first, until both were: it hangs up, and the other one answers. */
    unsigned first[2] = { 0, 0 };
    struct rig rig;

    (void)state;
    rig_open(&rig, 2);
    while (first[0] == 0 || first[1] == 0) {
        struct peer *failing;

        zookeeper_start(rig.zookeeper, &rig.get);
        serve_session(&rig);
        failing = rig.peer;
        first[failing - rig.peers]++;
        peer_hang_up(failing);
        serve_session(&rig);
        assert_ptr_not_equal(rig.peer, failing);
        send_answer(&rig, 1, 0, SLICE("\x00\x00\x00\x01y"));
        wait_done(&rig, ZOOKEEPER_FOUND);
        assert_memory_equal(rig.data, "y", 1);
        peer_hang_up(rig.peer);
    }
    rig_close(&rig);
}

static void read_fails_when_every_server_was_tried(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 2);
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    peer_hang_up(rig.peer);
    serve_session(&rig);
    peer_reset(rig.peer);
    wait_failed(&rig, "Connection reset by peer");
    assert_non_null(strstr(rig.reason, "ZooKeeper 127.0.0.1:"));
    rig_close(&rig);
}

static void refused_connection_fails_the_server(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    close(rig.peers[0].listener);
    zookeeper_start(rig.zookeeper, &rig.get);
    assert_int_equal(rig.done, 0);
    wait_failed(&rig, "Connection refused");
    rig.peers[0].listener = -1;
    rig_close(&rig);
}

static void name_is_resolved_or_the_server_fails(void **state)
{
    char name[65] = { 0 };
    struct rig rig;

    (void)state;
    memset(name, 'a', 64); /* longer than a label may be, so no name server is asked */
    rig_open_with(&rig, 1, name);
    zookeeper_start(rig.zookeeper, &rig.get);
    wait_failed(&rig, "the name cannot be resolved");
    rig_close(&rig);
    rig_open_with(&rig, 1, "localhost");
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    send_answer(&rig, 1, -101, (struct slice){ NULL, 0 });
    wait_done(&rig, ZOOKEEPER_ABSENT);
    rig_close(&rig);
}

static void silent_server_is_given_up(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    zookeeper_start(rig.zookeeper, &rig.get);
    accept_any(&rig);
    expect_connect(&rig);
    skip_seconds(60);
    wait_failed(&rig, "no answer within 60.0 s");
    peer_sees_the_end(rig.peer);
    rig_close(&rig);
}

static void done_may_start_the_next_read(void **state)
{
    /* From an answer and from a failure. */
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    rig.again = 2;
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    send_answer(&rig, 1, -101, (struct slice){ NULL, 0 });
    wait_done(&rig, ZOOKEEPER_ABSENT);
    peer_hang_up(rig.peer);
    serve_session(&rig);
    peer_hang_up(rig.peer);
    wait_done(&rig, ZOOKEEPER_FAILED);
    serve_session(&rig);
    send_answer(&rig, 1, 0,
                SLICE("\x00\x00\x00\x01"
                      "z"));
    wait_done(&rig, ZOOKEEPER_FOUND);
    rig_close(&rig);
}

static void close_in_the_middle_leaves_nothing_open(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    zookeeper_start(rig.zookeeper, &rig.get);
    serve_session(&rig);
    rig_close(&rig);
    assert_int_equal(rig.done, 0);
}

static void servers_must_be_host_and_port(void **state)
{
    const char *servers[] = { "127.0.0.1:2181", "zk2" };
    struct zookeeper_options options = { .servers = servers, .n_servers = 2, .timeout_us = 1 };
    struct zookeeper *zookeeper;
    struct err err;

    (void)state;
    assert_int_equal(zookeeper_open(&zookeeper, &options, &err), -1);
    assert_non_null(strstr(err.text, "zk2"));
    options.n_servers = 0;
    assert_int_equal(zookeeper_open(&zookeeper, &options, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(znode_is_read_by_a_session_of_its_own),
        cmocka_unit_test(answer_may_come_byte_by_byte),
        cmocka_unit_test(largest_znode_is_taken_whole_and_a_larger_one_not_at_all),
        cmocka_unit_test(absent_znode_is_an_answer),
        cmocka_unit_test(znode_without_data_is_found_empty),
        cmocka_unit_test(notices_before_the_answer_are_passed_over),
        cmocka_unit_test(nonsense_fails_the_server),
        cmocka_unit_test(next_server_is_asked_where_one_fails),
        cmocka_unit_test(read_fails_when_every_server_was_tried),
        cmocka_unit_test(refused_connection_fails_the_server),
        cmocka_unit_test(name_is_resolved_or_the_server_fails),
        cmocka_unit_test(silent_server_is_given_up),
        cmocka_unit_test(done_may_start_the_next_read),
        cmocka_unit_test(close_in_the_middle_leaves_nothing_open),
        cmocka_unit_test(servers_must_be_host_and_port),
    };

    return UNIT_RUN(tests);
}
