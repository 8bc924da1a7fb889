/*
 * bare_multi HOST PORT FRAMES IN_FLIGHT: sends prepared multi-puts to one HBase region server and
 * looks only for exceptions in the answers.
 *
 * The reference for what any writer in HBase's native RPC must pay: the bytes are ready in memory,
 * one connection, IN_FLIGHT calls under way at a time. FRAMES is a file of whole request frames,
 * each after a line with its length. Prints {"requests":N,"bytes":N}; the caller measures time and
 * CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 64, ANSWER_BYTES_MAX = 16 << 20 };

struct frames {
    const char *next, *end;
    uint64_t requests, bytes;
};

static void fail(const char *what)
{
    fprintf(stderr, "bare_multi: %s: %s\n", what, strerror(errno));
    exit(69);
}

static bool frames_open(struct frames *frames, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_size == 0)
        return false;
    size_t length = (size_t)status.st_size;
    char *data = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED)
        return false;
    *frames = (struct frames){ .next = data, .end = data + length };
    return true;
}

static int server_connect(const char *host, const char *port)
{
    struct addrinfo *found, hints = { .ai_socktype = SOCK_STREAM };
    int yes = 1;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        fail(host);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        fail(host);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    freeaddrinfo(found);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            fail("send");
        bytes += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

static void receive_all(int fd, char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, to, n, 0);
        if (got == 0 || (got < 0 && errno != EINTR))
            fail("receive");
        to += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
}

/* "HBas", version 0, simple authentication; then the connection's header: the user (who is `perf`),
 * the service, the cells' codec. */
static void greet(int fd)
{
    static const char codec[] = "org.apache.hadoop.hbase.codec.KeyValueCodec";
    static const char service[] = "ClientService";
    char greeting[256] = "HBas\0\x50";
    char *at = greeting + 10;
    *at++ = '\x0a'; /* user_info { effective_user } */
    *at++ = 6;
    memcpy(at, "\x0a\x04perf\x12", 7);
    at += 7;
    *at++ = (char)(sizeof(service) - 1);
    at = mempcpy(at, service, sizeof(service) - 1);
    *at++ = '\x1a';
    *at++ = (char)(sizeof(codec) - 1);
    at = mempcpy(at, codec, sizeof(codec) - 1);
    greeting[9] = (char)(at - (greeting + 10)); /* the length's last byte; it is under 128 */
    send_all(fd, greeting, (size_t)(at - greeting));
}

static bool frames_send(struct frames *frames, int fd)
{
    const char *line_end = frames->next == frames->end
                               ? NULL
                               : memchr(frames->next, '\n', (size_t)(frames->end - frames->next));
    if (line_end == NULL)
        return false;
    long length = strtol(frames->next, NULL, 10);
    if (length <= 0 || length > frames->end - line_end - 1) {
        fprintf(stderr, "bare_multi: the file of frames is broken\n");
        exit(65);
    }
    send_all(fd, line_end + 1, (size_t)length);
    frames->next = line_end + 1 + length;
    frames->requests++;
    frames->bytes += (uint64_t)length;
    return true;
}

static void answer_take(int fd)
{
    static char answer[ANSWER_BYTES_MAX];
    unsigned char head[4];
    receive_all(fd, (char *)head, sizeof(head));
    size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (length > sizeof(answer)) {
        fprintf(stderr, "bare_multi: an answer of %zu bytes\n", length);
        exit(69);
    }
    receive_all(fd, answer, length);
    const char *exception = memmem(answer, length, "Exception", 9);
    if (exception != NULL) {
        fprintf(stderr, "bare_multi: refused: %.*s\n",
                (int)(answer + length - exception < 300 ? answer + length - exception : 300),
                exception);
        exit(69);
    }
}

int main(int argc, char **argv)
{
    struct frames frames;
    int in_flight = argc == 5 ? atoi(argv[4]) : 0, under_way = 0;
    if (in_flight < 1 || in_flight > IN_FLIGHT_MAX) {
        fprintf(stderr, "usage: bare_multi HOST PORT FRAMES IN_FLIGHT\n");
        return 64;
    }
    if (!frames_open(&frames, argv[3])) {
        fprintf(stderr, "bare_multi: %s: %s\n", argv[3], strerror(errno));
        return 66;
    }
    int fd = server_connect(argv[1], argv[2]);
    greet(fd);
    for (;;) {
        while (under_way < in_flight && frames_send(&frames, fd))
            under_way++;
        if (under_way == 0)
            break;
        answer_take(fd);
        under_way--;
    }
    close(fd);
    printf("{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", frames.requests, frames.bytes);
    return 0;
}
