/* Calls to HBase servers: bytes, order, large ones, exceptions. The server is the test itself. */
#include "hbase_rpc_rig.h"

#include "drivers/hbase/resolve.h"

static void first_bytes_are_those_that_hbase_expects(void **state)
{
    /* As captured from a client that a real server understood; the timeout is ours. */
    static const char expected[] = "HBas\x00\x50"
                                   "\x00\x00\x00\x48"
                                   "\x0a\x06\x0a\x04"
                                   "weir"
                                   "\x12\x11"
                                   "ClientMetaService"
                                   "\x1a\x2b"
                                   "org.apache.hadoop.hbase.codec.KeyValueCodec"
                                   "\x00\x00\x00\x22"
                                   "\x20\x08\x01\x1a\x16"
                                   "GetMetaRegionLocations"
                                   "\x20\x01\x38\xe0\xd4\x03"
                                   "\x00"
                                   /* The second call has a param and cells, and no greeting. */
                                   "\x00\x00\x00\x20"
                                   "\x13\x08\x02\x1a\x05"
                                   "Multi"
                                   "\x20\x01\x2a\x02\x08\x05\x38\xe0\xd4\x03"
                                   "\x06"
                                   "param!"
                                   "cells";
    char got[sizeof(expected) - 1];
    struct asked first, second;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig.target.service = RPC_CLIENT_META;
    ask(&rig, &first, "GetMetaRegionLocations");
    second = (struct asked){ .call = { .done = on_done,
                                       .method = SLICE("Multi"),
                                       .param = SLICE("param!"),
                                       .cells = SLICE("cells") } };
    rpc_start(rig.rpc, &rig.target, &second.call);
    peer_accept(&rig.peer);
    peer_read(&rig.peer, got, sizeof(got));
    assert_memory_equal(got, expected, sizeof(got));
    assert_int_equal(rpc_traffic(rig.rpc).sent_bytes, sizeof(got));
    assert_int_equal(rpc_running(rig.rpc), 2);
    rig_close(&rig);
}

static void calls_in_flight_are_answered_in_any_order(void **state)
{
    /* Four on one connection; the second and the fourth answer come together. */
    struct asked asked[4];
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (unsigned i = 0; i < 4; i++)
        ask(&rig, &asked[i], "Get");
    accept_requests(&rig, 4);
    answer(&rig, &asked[2], "two");
    wait_done(&rig, &asked[2], 1);
    put_answer(&rig.out, asked[3].call.id, "three", NULL);
    put_answer(&rig.out, asked[0].call.id, "zero", NULL);
    flush(&rig);
    wait_done(&rig, &asked[0], 1);
    wait_done(&rig, &asked[3], 1);
    assert_int_equal(asked[1].done, 0);
    answer(&rig, &asked[1], "one");
    wait_done(&rig, &asked[1], 1);
    assert_string_equal(asked[0].answer, "zero");
    assert_string_equal(asked[1].answer, "one");
    assert_string_equal(asked[2].answer, "two");
    assert_string_equal(asked[3].answer, "three");
    assert_int_equal(asked[1].call.result, RPC_ANSWERED);
    assert_int_equal(rpc_running(rig.rpc), 0);
    rig_close(&rig);
}

static void answer_may_come_byte_by_byte(void **state)
{
    struct asked asked;
    struct rig rig;
    size_t len;

    (void)state;
    rig_open(&rig);
    ask(&rig, &asked, "Get");
    accept_requests(&rig, 1);
    put_answer(&rig.out, asked.call.id, "an answer", "its cells");
    len = rig.out.len;
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(asked.done, 0);
        peer_write(&rig.peer, (struct slice){ rig.out.data + i, 1 });
        while (rpc_traffic(rig.rpc).received_bytes < i + 1)
            turn(&rig);
    }
    wait_done(&rig, &asked, 1);
    assert_string_equal(asked.answer, "an answer");
    assert_string_equal(asked.cells, "its cells");
    rig_close(&rig);
}

static void answer_and_a_half_are_taken_apart(void **state)
{
    /* Cut at every byte: what is whole is run, the rest waits for its end. */
    struct asked asked[2];
    struct rig rig;
    size_t cut = 0, len;

    (void)state;
    rig_open(&rig);
    do {
        uint64_t before;

        ask(&rig, &asked[0], "Get");
        ask(&rig, &asked[1], "Get");
        if (cut == 0)
            accept_requests(&rig, 0);
        read_request(&rig);
        read_request(&rig);
        put_answer(&rig.out, asked[1].call.id, "first answer", NULL);
        put_answer(&rig.out, asked[0].call.id, "second answer", NULL);
        len = rig.out.len;
        before = rpc_traffic(rig.rpc).received_bytes;
        peer_write(&rig.peer, (struct slice){ rig.out.data, cut });
        while (rpc_traffic(rig.rpc).received_bytes < before + cut)
            turn(&rig);
        peer_write(&rig.peer, (struct slice){ rig.out.data + cut, len - cut });
        buf_reset(&rig.out);
        wait_done(&rig, &asked[0], 1);
        wait_done(&rig, &asked[1], 1);
        assert_string_equal(asked[1].answer, "first answer");
        assert_string_equal(asked[0].answer, "second answer");
    } while (cut++ < len);
    rig_close(&rig);
}

static void large_request_and_large_answer_pass_whole(void **state)
{
    /* More than any socket's buffer both ways: sent in parts while the peer reads slowly, received
     * in parts, and the small answer behind it is found too. */
    const size_t param_bytes = 6u << 20, cells_bytes = 3u << 20, text_bytes = 3u << 20;
    struct asked large = { .call.done = on_done }, small;
    char *sent = malloc(param_bytes + cells_bytes), *got = malloc(param_bytes + cells_bytes);
    struct rig rig;
    char head[64];

    (void)state;
    assert_true(sent && got);
    for (size_t i = 0; i < param_bytes + cells_bytes; i++)
        sent[i] = (char)(i * 31 >> 3);
    rig_open(&rig);
    large.call.method = SLICE("Multi");
    large.call.param = (struct slice){ sent, param_bytes };
    large.call.cells = (struct slice){ sent + param_bytes, cells_bytes };
    rpc_start(rig.rpc, &rig.target, &large.call);
    ask(&rig, &small, "Get");
    peer_accept(&rig.peer);
    read_greeting(&rig);
    peer_read(&rig.peer, head, 5);
    peer_read(&rig.peer, head + 5, (size_t)head[4] + 4); /* the header, and a length of 4 bytes */
    assert_int_equal(load_u32(head), 1 + (size_t)head[4] + 4 + param_bytes + cells_bytes);
    for (size_t at = 0; at < param_bytes + cells_bytes; at += 1u << 20)
        peer_read(&rig.peer, got + at, 1u << 20);
    assert_memory_equal(got, sent, param_bytes + cells_bytes);
    read_request(&rig);

    memset(got, 'x', text_bytes);
    got[text_bytes] = '\0';
    put_answer(&rig.out, large.call.id, got, NULL);
    put_answer(&rig.out, small.call.id, "small", NULL);
    flush(&rig);
    wait_done(&rig, &small, 1);
    assert_int_equal(large.call.answer.len, text_bytes);
    assert_string_equal(small.answer, "small");
    free(sent);
    free(got);
    rig_close(&rig);
}

static void exception_refuses_its_call_alone(void **state)
{
    static const struct {
        struct thrown thrown;
        const char *reason;
    } cases[] = {
        { { "org.apache.hadoop.hbase.NotServingRegionException",
            "org.apache.hadoop.hbase.NotServingRegionException: t,,1 is not online\n\tat a.b.C\n",
            false, false },
          "org.apache.hadoop.hbase.NotServingRegionException: t,,1 is not online" },
        { { "org.apache.hadoop.hbase.DoNotRetryIOException", "one line", true, false },
          "one line" },
        { { "org.apache.hadoop.hbase.CallQueueTooBigException", "Call queue is full\r\n", false,
            true },
          "Call queue is full" },
        { { "some.Exception", "", false, false }, "some.Exception" },
    };
    struct asked asked, other;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&rig, &asked, "Get");
        ask(&rig, &other, "Get");
        if (i == 0)
            accept_requests(&rig, 0);
        read_request(&rig);
        read_request(&rig);
        put_exception(&rig.out, asked.call.id, &cases[i].thrown);
        put_answer(&rig.out, other.call.id, "fine", NULL);
        flush(&rig);
        wait_done(&rig, &asked, 1);
        wait_done(&rig, &other, 1);
        assert_int_equal(asked.call.result, RPC_REFUSED);
        assert_string_equal(asked.exception, cases[i].thrown.class);
        assert_string_equal(asked.reason, cases[i].reason);
        assert_int_equal(asked.call.do_not_retry, cases[i].thrown.do_not_retry);
        assert_int_equal(asked.call.overloaded, cases[i].thrown.overloaded);
        assert_int_equal(other.call.result, RPC_ANSWERED);
    }
    rig_close(&rig);
}

static void answer_to_an_unknown_call_is_passed_over(void **state)
{
    /* It may be one whose time was out. */
    struct asked asked;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    ask(&rig, &asked, "Get");
    accept_requests(&rig, 1);
    put_answer(&rig.out, asked.call.id + 1000, "whose?", "cells");
    put_exception(&rig.out, asked.call.id + 1001, &(struct thrown){ "x.Y", "?", true, true });
    put_answer(&rig.out, asked.call.id, "mine", NULL);
    flush(&rig);
    wait_done(&rig, &asked, 1);
    assert_string_equal(asked.answer, "mine");
    rig_close(&rig);
}

static void done_may_start_its_call_again(void **state)
{
    /* After an answer, after a failure, and many at once. */
    struct asked asked[3];
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (unsigned i = 0; i < 3; i++) {
        ask(&rig, &asked[i], "Get");
        asked[i].again = 2;
    }
    accept_requests(&rig, 3);
    answer(&rig, &asked[1], "once");
    wait_done(&rig, &asked[1], 1);
    read_request(&rig);
    peer_hang_up(&rig.peer);
    for (unsigned i = 0; i < 3; i++)
        wait_done(&rig, &asked[i], i == 1 ? 2 : 1);
    accept_requests(&rig, 3);
    for (unsigned i = 0; i < 3; i++)
        answer(&rig, &asked[i], "twice");
    for (unsigned i = 0; i < 3; i++)
        wait_done(&rig, &asked[i], i == 1 ? 3 : 2);
    assert_int_equal(rpc_running(rig.rpc), 2);
    read_request(&rig);
    read_request(&rig);
    answer(&rig, &asked[0], "thrice");
    answer(&rig, &asked[2], "thrice");
    wait_done(&rig, &asked[2], 3);
    wait_done(&rig, &asked[0], 3);
    assert_int_equal(rpc_running(rig.rpc), 0);
    rig_close(&rig);
}

static void close_leaves_nothing_open_and_calls_nobody(void **state)
{
    /* One call is sent, one connection is not decided yet. */
    struct asked sent, unsent;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    ask(&rig, &sent, "Get");
    accept_requests(&rig, 1);
    rig.target.service = RPC_MASTER;
    ask(&rig, &unsent, "Get");
    rig_close(&rig);
    assert_int_equal(sent.done, 0);
    assert_int_equal(unsent.done, 0);
}

static void close_does_not_wait_for_a_name(void **state)
{
    /* The C library may be at it still, with files of its own open. */
    struct asked asked;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    strcpy(rig.target.host, "localhost");
    ask(&rig, &asked, "Get");
    rig_end(&rig);
    assert_int_equal(asked.done, 0);
}

static void user_must_have_a_name_that_fits(void **state)
{
    struct rpc_options options = { .user = "", .timeout_us = 1, .answer_bytes_max = 1 };
    char user[300];
    struct rpc *rpc;
    struct err err;

    (void)state;
    assert_int_equal(rpc_open(&rpc, &options, &err), -1);
    memset(user, 'u', sizeof(user));
    user[256] = '\0';
    options.user = user;
    assert_int_equal(rpc_open(&rpc, &options, &err), -1);
    assert_non_null(strstr(err.text, "255"));
    user[255] = '\0';
    assert_int_equal(rpc_open(&rpc, &options, &err), 0);
    rpc_close(rpc);
}

static void server_is_split_into_host_and_port(void **state)
{
    static const struct {
        const char *server, *host; /* NULL: it is none */
        unsigned port;
    } cases[] = {
        { "zk1.lan:2181", "zk1.lan", 2181 },
        { "10.0.0.1:1", "10.0.0.1", 1 },
        { "[::1]:65535", "::1", 65535 },
        { "zk1", NULL, 0 },
        { "zk1:", NULL, 0 },
        { ":2181", NULL, 0 },
        { "zk1:0", NULL, 0 },
        { "zk1:65536", NULL, 0 },
        { "zk1:2181x", NULL, 0 },
        { "zk1:-1", NULL, 0 },
        { "::1:2181", NULL, 0 },
        { "[]:1", NULL, 0 },
        { "zk1:99999999999999999999", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[RPC_HOST_BYTES_MAX] = "";
        uint16_t port = 0;

        assert_int_equal(resolve_split(cases[i].server, host, &port), cases[i].host != NULL);
        if (cases[i].host) {
            assert_string_equal(host, cases[i].host);
            assert_int_equal(port, cases[i].port);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_bytes_are_those_that_hbase_expects),
        cmocka_unit_test(calls_in_flight_are_answered_in_any_order),
        cmocka_unit_test(answer_may_come_byte_by_byte),
        cmocka_unit_test(answer_and_a_half_are_taken_apart),
        cmocka_unit_test(large_request_and_large_answer_pass_whole),
        cmocka_unit_test(exception_refuses_its_call_alone),
        cmocka_unit_test(answer_to_an_unknown_call_is_passed_over),
        cmocka_unit_test(done_may_start_its_call_again),
        cmocka_unit_test(close_leaves_nothing_open_and_calls_nobody),
        cmocka_unit_test(close_does_not_wait_for_a_name),
        cmocka_unit_test(user_must_have_a_name_that_fits),
        cmocka_unit_test(server_is_split_into_host_and_port),
    };

    return UNIT_RUN(tests);
}
