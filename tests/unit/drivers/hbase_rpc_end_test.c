/* Calls to HBase servers: what ends a connection, or keeps it from beginning. */
#include "hbase_rpc_rig.h"

/* ---- what ends a connection ---- */

static void nonsense_ends_the_connection(void **state)
{
    static const struct {
        struct slice bytes;
        const char *why;
    } cases[] = {
        { SLICE("\x00\x40\x00\x01"), "an answer of 4194305 bytes" },
        { SLICE("\xff\xff\xff\xff"), "an answer of 4294967295 bytes" },
        { SLICE("\x15\x03\x01\x00\x02\x02\x0a"), "TLS" },
        { SLICE("\x00\x00\x00\x00"), "no answer" },                  /* not even a header */
        { SLICE("\x00\x00\x00\x01\x05"), "no answer" },              /* a header cut short */
        { SLICE("\x00\x00\x00\x03\x02\x08\x80"), "no answer" },      /* a field cut short */
        { SLICE("\x00\x00\x00\x01\x00"), "no answer" },              /* a header without an id */
        { SLICE("\x00\x00\x00\x04\x02\x08\x01\x05"), "no answer" },  /* a result cut short */
        { SLICE("\x00\x00\x00\x05\x02\x08\x01\x00z"), "no answer" }, /* cells not announced */
        { SLICE("\x00\x00\x00\x08\x06\x08\x01\x1a\x02\x08\x05\x00"), "no answer" }, /* or lacking */
        { SLICE("\x00\x00\x00\x06\x05\x08\x01\x12\x01\x0a"), "no answer" }, /* a bad exception */
    };
    struct asked asked, other;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&rig, &asked, "Get");
        ask(&rig, &other, "Get");
        accept_requests(&rig, 2);
        peer_write(&rig.peer, cases[i].bytes);
        wait_failed(&rig, &asked, cases[i].why);
        wait_failed(&rig, &other, cases[i].why);
        peer_sees_the_end(&rig.peer);
        peer_hang_up(&rig.peer);
    }
    rig_close(&rig);
}

static void reset_fails_what_was_asked_and_the_next_call_connects_again(void **state)
{
    /* One answer was whole, one half. What was not asked yet cannot be told from what was. */
    struct asked whole, half, third, later;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    ask(&rig, &whole, "Get");
    ask(&rig, &half, "Get");
    ask(&rig, &third, "Get");
    accept_requests(&rig, 3);
    answer(&rig, &whole, "whole");
    wait_done(&rig, &whole, 1);
    put_answer(&rig.out, half.call.id, "half of this", NULL);
    rig.out.len /= 2;
    flush(&rig);
    while (rpc_traffic(rig.rpc).received_bytes < 12 + 8)
        turn(&rig);
    peer_reset(&rig.peer);
    wait_failed(&rig, &half, "Connection reset by peer");
    wait_failed(&rig, &third, "Connection reset by peer");
    assert_null(strstr(half.reason, "first answer"));
    assert_int_equal(whole.call.result, RPC_ANSWERED);
    peer_is_alone(&rig.peer);
    ask(&rig, &later, "Get");
    accept_requests(&rig, 1);
    answer(&rig, &later, "again");
    wait_done(&rig, &later, 1);
    assert_int_equal(later.call.result, RPC_ANSWERED);
    rig_close(&rig);
}

static void connection_that_idles_may_end_without_a_word(void **state)
{
    /* Servers close what is not used. */
    struct asked asked;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    ask(&rig, &asked, "Get");
    accept_requests(&rig, 1);
    answer(&rig, &asked, "first");
    wait_done(&rig, &asked, 1);
    peer_hang_up(&rig.peer);
    peer_is_alone(&rig.peer);
    ask(&rig, &asked, "Get");
    accept_requests(&rig, 1);
    answer(&rig, &asked, "second");
    wait_done(&rig, &asked, 1);
    assert_string_equal(asked.answer, "second");
    rig_close(&rig);
}

static void cluster_that_wants_kerberos_is_told_apart(void **state)
{
    /* What a secure server sends to a greeting with simple authentication, HBase 1.x to 2.6; and
     * refusals that are none of that. */
    static const struct {
        struct thrown thrown;
        bool kerberos;
    } cases[] = {
        { { "org.apache.hadoop.hbase.security.AccessDeniedException", "Authentication is required",
            true, false },
          true },
        { { "org.apache.hadoop.hbase.ipc.BadAuthException",
            "serverVersion=0, clientVersion=0, authMethod=80, authName=unknown", true, false },
          true },
        { { "org.apache.hadoop.security.AccessControlException",
            "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]", false, false },
          true },
        { { "org.apache.hadoop.hbase.security.AccessDeniedException",
            "User weir is not authorized for protocol ClientService\nat x", true, false },
          false },
        { { "org.apache.hadoop.hbase.ipc.FatalConnectionException", "Expected HEADER=HBas", true,
            false },
          false },
    };
    struct asked asked, other;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&rig, &asked, "Get");
        ask(&rig, &other, "Get");
        accept_requests(&rig, 0);
        put_exception(&rig.out, UINT32_MAX, &cases[i].thrown);
        flush(&rig);
        peer_reset(&rig.peer); /* With the requests unread, as the server does it. */
        wait_failed(&rig, &asked,
                    cases[i].kerberos
                        ? "demands Kerberos (SASL) authentication, which weir does not speak"
                        : "the server refused the connection");
        wait_failed(&rig, &other, cases[i].thrown.class);
        assert_string_equal(asked.exception, cases[i].thrown.class);
        assert_int_equal(asked.call.do_not_retry, cases[i].thrown.do_not_retry);
        assert_null(strchr(asked.reason, '\n'));
    }
    rig_close(&rig);
}

static void what_a_server_said_last_is_read_though_sending_failed(void **state)
{
    /* The call goes out to a connection whose end nobody has looked at yet. The calls after it find
     * a new one. */
    struct asked asked;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (int last_words = 0; last_words < 2; last_words++) {
        ask(&rig, &asked, "Get");
        accept_requests(&rig, 1);
        answer(&rig, &asked, "fine");
        wait_done(&rig, &asked, 1);
        if (last_words)
            put_exception(&rig.out, UINT32_MAX, &(struct thrown){ "a.B", "is over", true, false });
        flush(&rig);
        peer_reset(&rig.peer);
        ask(&rig, &asked, "Get");
        assert_int_equal(asked.done, 0);
        wait_failed(&rig, &asked, last_words ? "refused the connection (a.B: is over)" : "");
    }
    rig_close(&rig);
}

static void end_before_the_first_answer_tells_what_it_may_mean(void **state)
{
    /* A server that does not know the service says nothing at all. */
    struct asked asked;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig.target.service = RPC_CLIENT_META;
    ask(&rig, &asked, "Get");
    accept_requests(&rig, 1);
    peer_hang_up(&rig.peer);
    wait_failed(&rig, &asked, "before its first answer");
    assert_non_null(strstr(asked.reason, "ClientMetaService"));
    rig_close(&rig);
}

static void request_that_is_refused_half_sent_is_refused(void **state)
{
    /* A server reads the header of a request that is too large for it, answers, and reads no more.
     * The rest of the connection's calls fail: they cannot be sent any more. */
    static char param[32 << 20];
    struct asked large = { .call.done = on_done }, small;
    struct rig rig;
    char head[64];

    (void)state;
    rig_open(&rig);
    large.call.method = SLICE("Multi");
    large.call.param = (struct slice){ param, sizeof(param) };
    rpc_start(rig.rpc, &rig.target, &large.call);
    ask(&rig, &small, "Get");
    accept_requests(&rig, 0);
    peer_read(&rig.peer, head, sizeof(head));
    put_exception(&rig.out, large.call.id,
                  &(struct thrown){ "org.apache.hadoop.hbase.exceptions.RequestTooBigException",
                                    "too large", true, false });
    flush(&rig);
    wait_done(&rig, &large, 1);
    assert_int_equal(large.call.result, RPC_REFUSED);
    assert_string_equal(large.reason, "too large");
    wait_failed(&rig, &small, "did not want to read a request");
    peer_sees_the_end(&rig.peer);
    rig_close(&rig);
}

/* ---- connecting ---- */

static void refused_connection_fails_the_call(void **state)
{
    struct asked asked;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    close(rig.peer.listener); /* The port is nobody's. */
    ask(&rig, &asked, "Get");
    assert_int_equal(asked.done, 0);
    wait_failed(&rig, &asked, "Connection refused");
    assert_int_equal(strncmp(asked.reason, "127.0.0.1:", 10), 0);
    rig.peer.listener = -1;
    rig_close(&rig);
}

static void name_that_is_none_fails_the_call_and_the_port_goes_on(void **state)
{
    /* A label of 64 letters cannot be in any name server, so none is asked. Both addresses of
     * localhost are tried. */
    struct asked asked, other;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    memset(rig.target.host, 'a', 64);
    rig.target.host[64] = '\0';
    ask(&rig, &asked, "Get");
    assert_int_equal(asked.done, 0);
    wait_failed(&rig, &asked, "the name cannot be resolved");
    strcpy(rig.target.host, "localhost");
    ask(&rig, &other, "Get");
    accept_requests(&rig, 1);
    answer(&rig, &other, "here");
    wait_done(&rig, &other, 1);
    assert_int_equal(other.call.result, RPC_ANSWERED);
    rig_close(&rig);
}

static void services_have_connections_of_their_own(void **state)
{
    struct asked client, master;
    struct rig rig;
    int first;

    (void)state;
    rig_open(&rig);
    ask(&rig, &client, "Get");
    accept_requests(&rig, 1);
    first = rig.peer.fd;
    rig.target.service = RPC_MASTER;
    ask(&rig, &master, "IsMasterRunning");
    accept_requests(&rig, 1);
    answer(&rig, &master, "yes");
    wait_done(&rig, &master, 1);
    peer_hang_up(&rig.peer);
    rig.peer.fd = first;
    answer(&rig, &client, "got");
    wait_done(&rig, &client, 1);
    assert_string_equal(client.answer, "got");
    rig_close(&rig);
}

static void idle_connections_make_room_for_new_ones(void **state)
{
    /* One more server than there may be connections: the one that was used longest ago goes. While
     * all are busy the call fails. */
    static struct asked asked[RPC_SERVERS_MAX + 1];
    static int fds[RPC_SERVERS_MAX];
    struct peer peers[RPC_SERVERS_MAX / 4];
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (unsigned i = 0; i < RPC_SERVERS_MAX; i++) {
        struct peer *peer = &peers[i / 4];

        if (i % 4 == 0)
            peer_open(peer, turn, &rig);
        rig.target.port = peer->port;
        rig.target.service = (enum rpc_service)(i % 4);
        ask(&rig, &asked[i], "Get");
        peer_accept(peer);
        fds[i] = peer->fd;
    }
    rig.target.port = rig.peer.port;
    ask(&rig, &asked[RPC_SERVERS_MAX], "Get");
    assert_int_equal(asked[RPC_SERVERS_MAX].done, 0);
    wait_failed(&rig, &asked[RPC_SERVERS_MAX], "busy");
    for (unsigned i = 10; i < 20; i++) {
        rig.peer.fd = fds[i];
        read_greeting(&rig);
        read_request(&rig);
        answer(&rig, &asked[i], "done");
        wait_done(&rig, &asked[i], 1);
    }
    ask(&rig, &asked[RPC_SERVERS_MAX], "Get");
    rig.peer.fd = fds[10];
    peer_sees_the_end(&rig.peer);
    accept_requests(&rig, 1);
    answer(&rig, &asked[RPC_SERVERS_MAX], "room");
    wait_done(&rig, &asked[RPC_SERVERS_MAX], 1);
    assert_string_equal(asked[RPC_SERVERS_MAX].answer, "room");
    for (unsigned i = 0; i < RPC_SERVERS_MAX; i++)
        close(fds[i]);
    for (unsigned i = 0; i < RPC_SERVERS_MAX / 4; i++)
        close(peers[i].listener);
    rig_close(&rig);
}

/* ---- time ---- */

static void silence_ends_the_connection(void **state)
{
    /* Nothing is heard for the whole timeout: all of the connection's calls fail, also younger
     * ones. */
    struct asked asked, younger;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    ask(&rig, &asked, "Get");
    accept_requests(&rig, 1);
    skip_seconds(40);
    ask(&rig, &younger, "Get");
    read_request(&rig);
    assert_int_equal(asked.done, 0);
    skip_seconds(20);
    wait_failed(&rig, &asked, "nothing was heard within 60.0 s");
    wait_failed(&rig, &younger, "nothing was heard within 60.0 s");
    peer_sees_the_end(&rig.peer);
    rig_close(&rig);
}

static void slow_call_fails_alone_while_others_are_answered(void **state)
{
    /* The server lives: only the call that it does not answer is given up, and the answer that
     * comes after all is nobody's. */
    struct asked slow, quick;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    ask(&rig, &slow, "Scan");
    accept_requests(&rig, 1);
    skip_seconds(30);
    ask(&rig, &quick, "Get");
    read_request(&rig);
    answer(&rig, &quick, "quick");
    wait_done(&rig, &quick, 1);
    ask(&rig, &quick, "Get");
    read_request(&rig);
    skip_seconds(30);
    wait_failed(&rig, &slow, "no answer within 60.0 s");
    answer(&rig, &slow, "at last");
    answer(&rig, &quick, "still here");
    wait_done(&rig, &quick, 1);
    assert_string_equal(quick.answer, "still here");
    assert_int_equal(slow.done, 1);
    rig_close(&rig);
}

static void call_that_cannot_be_sent_to_its_end_takes_the_connection_with_it(void **state)
{
    /* The server sends, so it lives, but does not read on. Its bytes may be gone after done(), so
     * the rest cannot be sent. */
    static char param[32 << 20];
    struct asked large = { .call.done = on_done }, quick;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    large.call.method = SLICE("Multi");
    large.call.param = (struct slice){ param, sizeof(param) };
    rpc_start(rig.rpc, &rig.target, &large.call);
    accept_requests(&rig, 0);
    skip_seconds(30);
    ask(&rig, &quick, "Get");
    put_answer(&rig.out, 0x7fffffff, "nobody's", NULL);
    flush(&rig);
    while (rpc_traffic(rig.rpc).received_bytes == 0)
        turn(&rig);
    skip_seconds(30);
    wait_failed(&rig, &large, "could not be sent to its end");
    wait_failed(&rig, &quick, "could not be sent to its end");
    peer_sees_the_end(&rig.peer);
    rig_close(&rig);
}

static void connecting_ends_after_ten_seconds(void **state)
{
    /* A listener whose queue is full lets the handshake of the next one hang. */
    struct asked first, second;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    assert_int_equal(listen(rig.peer.listener, 0), 0);
    ask(&rig, &first, "Get");
    while (rpc_traffic(rig.rpc).sent_bytes == 0)
        turn(&rig);
    rig.target.service = RPC_MASTER;
    ask(&rig, &second, "IsMasterRunning");
    for (int i = 0; i < 10; i++)
        turn(&rig);
    assert_int_equal(second.done, 0);
    skip_seconds(10);
    wait_failed(&rig, &second, "cannot connect: Connection timed out");
    assert_int_equal(first.done, 0);
    rig_close(&rig);
}

static void call_may_give_up_before_it_is_sent(void **state)
{
    /* Its time is out while the name is looked up, or while the connection is on its way. The next
     * one is sent, and only that. */
    struct asked early, later;
    struct rig rig;
    char head[16];

    (void)state;
    rig_open(&rig);
    strcpy(rig.target.host, "localhost");
    ask(&rig, &early, "Early");
    skip_seconds(60);
    wait_failed(&rig, &early, "no answer within 60.0 s");
    ask(&rig, &later, "Later");
    accept_requests(&rig, 0);
    peer_read(&rig.peer, head, 14);
    assert_memory_equal(head + 9, "Later", 5); /* behind two lengths, the id and its own length */
    answer(&rig, &later, "late");
    wait_done(&rig, &later, 1);
    assert_string_equal(later.answer, "late");
    assert_int_equal(early.done, 1);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_ends_the_connection),
        cmocka_unit_test(reset_fails_what_was_asked_and_the_next_call_connects_again),
        cmocka_unit_test(connection_that_idles_may_end_without_a_word),
        cmocka_unit_test(cluster_that_wants_kerberos_is_told_apart),
        cmocka_unit_test(what_a_server_said_last_is_read_though_sending_failed),
        cmocka_unit_test(end_before_the_first_answer_tells_what_it_may_mean),
        cmocka_unit_test(request_that_is_refused_half_sent_is_refused),
        cmocka_unit_test(refused_connection_fails_the_call),
        cmocka_unit_test(name_that_is_none_fails_the_call_and_the_port_goes_on),
        cmocka_unit_test(services_have_connections_of_their_own),
        cmocka_unit_test(idle_connections_make_room_for_new_ones),
        cmocka_unit_test(silence_ends_the_connection),
        cmocka_unit_test(slow_call_fails_alone_while_others_are_answered),
        cmocka_unit_test(call_that_cannot_be_sent_to_its_end_takes_the_connection_with_it),
        cmocka_unit_test(connecting_ends_after_ten_seconds),
        cmocka_unit_test(call_may_give_up_before_it_is_sent),
    };

    return UNIT_RUN(tests);
}
