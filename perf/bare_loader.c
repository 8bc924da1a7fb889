/*
 * bare_loader URL BODIES IN_FLIGHT: posts prepared bulk bodies and looks at nothing but the status.
 *
 * The reference for what any writer through libcurl must pay: the bytes are ready in memory,
 * connections are kept alive, IN_FLIGHT requests are under way at a time. BODIES is a file of
 * bodies, each after a line with its length. Prints {"requests":N,"bytes":N}; the caller measures
 * time and CPU.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { IN_FLIGHT_MAX = 64 };

struct bodies {
    const char *next, *end;
    uint64_t requests, bytes;
};

static size_t discard(char *data, size_t size, size_t n, void *context)
{
    (void)data;
    (void)context;
    return size * n;
}

static bool bodies_open(struct bodies *bodies, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_size == 0)
        return false;
    size_t length = (size_t)status.st_size;
    char *data = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED)
        return false;
    *bodies = (struct bodies){ .next = data, .end = data + length };
    return true;
}

/* The next body becomes the handle's request; false at the end of the file. */
static bool bodies_next(struct bodies *bodies, CURL *easy)
{
    const char *line_end = bodies->next == bodies->end
                               ? NULL
                               : memchr(bodies->next, '\n', (size_t)(bodies->end - bodies->next));
    if (line_end == NULL)
        return false;
    long length = strtol(bodies->next, NULL, 10);
    if (length <= 0 || length > bodies->end - line_end - 1) {
        fprintf(stderr, "bare_loader: the file of bodies is broken\n");
        exit(65);
    }
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, line_end + 1);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, length);
    bodies->next = line_end + 1 + length;
    bodies->requests++;
    bodies->bytes += (uint64_t)length;
    return true;
}

static CURL *handle_new(const char *url, struct curl_slist *headers)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    return easy;
}

/* Gives each finished handle its next body. Returns how many are still under way. */
static int refill(CURLM *multi, struct bodies *bodies, int under_way)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;) {
        CURL *easy = message->easy_handle;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (message->data.result != CURLE_OK || status != 200) {
            fprintf(stderr, "bare_loader: %s, status %ld\n",
                    curl_easy_strerror(message->data.result), status);
            exit(69);
        }
        curl_multi_remove_handle(multi, easy);
        if (bodies_next(bodies, easy))
            curl_multi_add_handle(multi, easy);
        else
            under_way--;
    }
    return under_way;
}

int main(int argc, char **argv)
{
    struct bodies bodies;
    int in_flight = argc == 4 ? atoi(argv[3]) : 0;
    if (in_flight < 1 || in_flight > IN_FLIGHT_MAX) {
        fprintf(stderr, "usage: bare_loader URL BODIES IN_FLIGHT\n");
        return 64;
    }
    if (!bodies_open(&bodies, argv[2])) {
        fprintf(stderr, "bare_loader: %s: %s\n", argv[2], strerror(errno));
        return 66;
    }
    curl_global_init(CURL_GLOBAL_ALL);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    headers = curl_slist_append(headers, "Expect:");
    CURLM *multi = curl_multi_init();
    int under_way = 0;
    for (; under_way < in_flight; under_way++) {
        CURL *easy = handle_new(argv[1], headers);
        if (!bodies_next(&bodies, easy))
            break;
        curl_multi_add_handle(multi, easy);
    }
    while (under_way > 0) {
        int running;
        curl_multi_perform(multi, &running);
        under_way = refill(multi, &bodies, under_way);
        if (under_way > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    printf("{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", bodies.requests, bodies.bytes);
    return 0;
}
