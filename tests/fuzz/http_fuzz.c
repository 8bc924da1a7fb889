/*
 * http_fuzz.c: what a server of Elasticsearch says on the wire (drivers/elasticsearch/http.h), read
 * by the real libcurl from a real socket on 127.0.0.1.
 *
 * - The call ends, once, whatever comes and wherever it ends.
 * - In pieces it comes to what it comes to in one, if its head is one: what libcurl makes of a head
 *   that is none (it takes `HTTP/` and nonsense for a 200) depends on how it came.
 * - An answer that is taken as complete is complete: as long as it said itself.
 */
#include "fuzz.h"

#include "drivers/elasticsearch/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define ANSWER_BYTES_MAX ((size_t)1 << 16)
#define TURNS_MAX        20000u
#define QUIET_TURNS      3u /* in which a piece on 127.0.0.1 has arrived */

static struct env *env;
static struct servers servers;
static struct http http;
static struct http_call call;
static int listener, peer;
static unsigned done;
static enum http_result call_result; /* of the last one */

static void on_done(struct http_call *ended)
{
    assert_ptr_equal(ended, &call);
    done++;
}

static void open_listener(char url[64])
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t bytes = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(listen(listener, 64), 0);
    snprintf(url, 64, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
}

void fuzz_setup(void)
{
    static char url[64];
    static const char *const urls[] = { url };
    static struct elasticsearch_options options = {
        .urls = urls, .n_urls = 1, .index = "orders", .gzip = true, .timeout_us = 30000000
    };
    struct err err = { .text = "" };

    signal(SIGPIPE, SIG_IGN);
    setenv("no_proxy", "*", 1);
    open_listener(url);
    assert_int_equal(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
    assert_int_equal(servers_open(&servers, &options, &err), 0);
    assert_int_equal(env_linux_open(&env, &err), 0);
}

static void turn(void)
{
    http_step(&http);
    env_wait(env, 0);
}

/* Reads what there is of the request. True: all of it is here. */
static bool request_is_here(void)
{
    static char bytes[4096];
    static size_t len;
    ssize_t got;

    if (peer < 0) {
        len = 0;
        peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        return false;
    }
    got = recv(peer, bytes + len, sizeof(bytes) - 1 - len, 0);
    if (got > 0)
        len += (size_t)got;
    bytes[len] = '\0';
    char *end = strstr(bytes, "\r\n\r\n"), *field = strcasestr(bytes, "content-length:");

    return end != NULL && field != NULL &&
           len >= (size_t)(end + 4 - bytes) + strtoul(field + 15, NULL, 10);
}

/* Sends a piece, and lets it arrive. */
static void say(struct slice bytes)
{
    while (bytes.len > 0 && done == 0) {
        ssize_t sent = send(peer, bytes.data, bytes.len, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            return; /* libcurl has hung up. */
        if (sent > 0) {
            bytes.data += sent;
            bytes.len -= (size_t)sent;
        }
        turn();
    }
    for (unsigned i = 0; i < QUIET_TURNS && done == 0; i++)
        turn();
}

static void hang_up(void)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    assert_int_equal(close(peer), 0);
    peer = -1;
}

/* `most`: of a piece; 0: all at once. */
static void serve(struct slice stream, size_t most, struct dice *dice)
{
    const int at_once = 1;
    unsigned turns = 0;

    while (!request_is_here()) {
        assert_true(turns++ < TURNS_MAX && done == 0);
        turn();
    }
    assert_int_equal(setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)), 0);
    while (stream.len > 0 && done == 0) {
        size_t len = most == 0 ? stream.len : 1 + dice_throw(dice, most);

        len = len < stream.len ? len : stream.len;
        say((struct slice){ stream.data, len });
        stream.data += len;
        stream.len -= len;
    }
    (void)shutdown(peer, SHUT_WR);
    while (done == 0) {
        assert_true(turns++ < TURNS_MAX);
        turn();
    }
}

/* What the call came to, in a block that stays until the input's end. */
static struct slice play(struct slice stream, size_t most, struct dice *dice)
{
    const struct http_call_options options = { .path = "/orders/_bulk",
                                               .content_type = "application/x-ndjson",
                                               .body_bytes_max = 4096,
                                               .answer_bytes_max = ANSWER_BYTES_MAX };
    bool tells;
    struct slice answer;
    struct err err = { .text = "" };

    done = 0;
    peer = -1;
    assert_int_equal(http_open(&http, &servers, 0, env, &err), 0);
    assert_int_equal(http_call_open(&call, &http, &options, &err), 0);
    call.done = on_done;
    http_start(&call, SLICE("{\"index\":{}}\n{}\n"));
    serve(stream, most, dice);
    assert_true(done == 1 && !call.running && call.result <= HTTP_FAILED);
    call_result = call.result;
    /* What came of an answer that failed is nobody's. */
    tells = call.result == HTTP_OK || call.result == HTTP_BAD_REQUEST;
    answer = (struct slice){ call.answer.data, tells ? call.answer.len : 0 };
    answer = fuzz_exact(answer);
    hang_up();
    http_call_close(&call);
    http_close(&http);
    return answer;
}

/* An answer that names its length, and no more than that, has it. */
static void check_length(struct slice stream, size_t len)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: ";
    char digits[8] = "";
    size_t at = sizeof(head) - 1;

    if (stream.len < at + 8 || memcmp(stream.data, head, at) != 0)
        return;
    memcpy(digits, stream.data + at, 7);
    at += strspn(digits, "0123456789");
    if (at < stream.len - 4 && memcmp(stream.data + at, "\r\n\r\n", 4) == 0)
        assert_int_equal(len, strtoul(digits, NULL, 10));
}

/* A status line of HTTP/1.1, and lines with a name and a colon, up to an empty one. */
static bool head_is_plain(struct slice stream)
{
    const char *at = stream.data, *end = stream.data + stream.len;

    if (stream.len < 13 || memcmp(at, "HTTP/1.1 ", 9) != 0)
        return false;
    for (bool first = true;; first = false) {
        const char *line = at, *colon = NULL;

        for (; at < end && *at >= 0x20 && *at < 0x7f; at++)
            if (*at == ':' && colon == NULL)
                colon = at;
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
            return false;
        if (at == line)
            return true;
        if (!first && (colon == NULL || colon == line || *line == ' '))
            return false;
        at += 2;
    }
}

void fuzz_input(struct slice input)
{
    struct dice dice = dice_of(input);
    struct slice whole = play(input, 0, &dice), pieces;
    enum http_result result = call_result;

    if (result == HTTP_OK)
        check_length(input, whole.len);
    pieces = play(input, 1 + input.len / 8, &dice);
    if (!head_is_plain(input))
        return;
    assert_int_equal(call_result, result);
    fuzz_same(pieces, whole, "the answer in pieces");
}
