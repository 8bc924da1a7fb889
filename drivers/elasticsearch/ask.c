/*
 * ask.c: see ask.h.
 *
 *     ask_run ─► server 1 ─ at() ─ it cannot be used ─► server 2 ─ at() ─ ... ─► what at() says
 *
 * One easy handle, one buffer, one request at a time. What this does not do: repeat. Who calls
 * again later does.
 */
#include "drivers/elasticsearch/ask.h"

#include "dataplane/base/json.h"
#include "drivers/elasticsearch/answer.h"

#include <stdio.h>

static size_t answer_arrives(char *bytes, size_t size, size_t n, void *answer_of)
{
    struct buf *answer = answer_of;

    buf_put(answer, bytes, size * n);
    return answer->overflow ? 0 : size * n;
}

int ask_refuse(struct ask *ask, long status, const char *doing)
{
    struct answer_error error = answer_error(buf_slice(ask->answer));
    const char *url = ask->servers->server[ask->server].url;
    bool ours = status >= 400 && status <= 499 && status != 401 && status != 403 && status != 408 &&
                status != 429;
    char text[ANSWER_REASON_BYTES_MAX + 64];
    struct buf reason = { .data = text, .bound = sizeof(text) };
    const char *hint = "";

    if (status == 401 || status == 403)
        hint = "; check `username` and `password` or `api_key`, and what they may do to the index";
    else if (!ours)
        ask->try_next = true;
    answer_error_text(&error, "no reason given", &reason);
    return err_set(ask->err, ours ? EXIT_CONFIG : EXIT_UNAVAILABLE, "%s: %s: %ld: %.*s%s", url,
                   doing, status, (int)(reason.len < 350 ? reason.len : 350), text, hint);
}

long ask_request(struct ask *ask, const char *path, const char *body)
{
    const char *server = ask->servers->server[ask->server].url;
    CURL *easy = ask->easy;
    char url[ASK_PATH_BYTES_MAX];
    bool good = true;
    long status = 0;
    CURLcode code;
    int len = snprintf(url, sizeof(url), "%s%s", server, path);

    ASSERT(len > 0 && (size_t)len < sizeof(url));
    buf_reset(ask->answer);
    ask->error[0] = '\0';
    good &= curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK;
    good &= curl_easy_setopt(easy, body != NULL ? CURLOPT_POST : CURLOPT_HTTPGET, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, body != NULL ? "PUT" : NULL) == CURLE_OK;
    if (body != NULL) {
        good &= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) == CURLE_OK;
        good &= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body)) == CURLE_OK;
    }
    code = good ? curl_easy_perform(easy) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        ask->try_next = true;
        return err_set(ask->err, EXIT_UNAVAILABLE, "%s: %s", server,
                       ask->error[0] != '\0' ? ask->error : curl_easy_strerror(code));
    }
    good = curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK;
    ASSERT(good);
    return status;
}

struct slice ask_member(struct slice object, const char *name)
{
    struct slice found = { NULL, 0 }, member;
    struct json_value value;
    struct json json;
    bool escaped;

    json_open_scanned(&json, object);
    if (object.len > 0 && *object.data == '{' && json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &member, &escaped, &value))
            if (slice_equal(member, slice_of(name)))
                found = value.raw;
    return found;
}

static bool set_options(struct ask *ask)
{
    CURL *easy = ask->easy;
    bool good = servers_apply(ask->servers, easy);

    good &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, ask->error) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_arrives) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, ask->answer) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, ask->headers) == CURLE_OK;
    return good;
}

/* Where all servers failed, *err tells what the first one said, and of how many. */
static int try_servers(struct ask *ask, int (*at)(struct ask *ask, const void *context),
                       const void *context)
{
    struct err first = { .code = EXIT_UNAVAILABLE };

    for (unsigned i = 0; i < ask->servers->n; i++) {
        int got;

        ask->server = i;
        ask->try_next = false;
        got = at(ask, context);
        if (got >= 0 || !ask->try_next)
            return got;
        if (i == 0)
            first = *ask->err;
    }
    if (ask->servers->n == 1)
        return -1;
    return err_set(ask->err, EXIT_UNAVAILABLE, "none of %u servers can be used; %.500s",
                   ask->servers->n, first.text);
}

int ask_run(struct servers *servers, struct buf *answer,
            int (*at)(struct ask *ask, const void *context), const void *context, struct err *err)
{
    struct ask ask = { .servers = servers, .answer = answer, .err = err };
    int got = -1;

    ASSERT(err != NULL);
    ask.easy = curl_easy_init();
    ask.headers = servers_headers(servers, "application/json", false);
    if (ask.easy == NULL || ask.headers == NULL || !set_options(&ask))
        (void)err_set(err, EXIT_SOFTWARE,
                      "elasticsearch: libcurl refuses our settings, or is out of memory");
    else
        got = try_servers(&ask, at, context);
    curl_easy_cleanup(ask.easy);
    curl_slist_free_all(ask.headers);
    return got;
}
