/*
 * prepare.c: before the first document: is anybody there, and are both indexes as weir needs them?
 *
 *     for each server, until one answers:
 *         side index   missing ─► create: nothing in it is indexed, it only keeps states
 *         index        missing ─► create: `_weir` is kept and not indexed
 *                      there   ─► `_weir` is not mapped ─► add it
 *                                 `_weir` is indexed    ─► an error: that cannot be changed
 *
 * Both are created with index.gc_deletes of an hour: for so long a deleted document's version is
 * remembered, which must be longer than any request can be late. The side index comes first, so
 * that an index that weir created never stands without it. Shards and replicas are the server's
 * defaults or its templates'.
 *
 * Asked first and created only where missing: whoever runs weir may well have the right to write an
 * index and none to create one. Another node may create it in between; "already exists" is as good
 * as created, but not by us.
 *
 * A server that cannot be reached, is too busy or knows us not is EXIT_UNAVAILABLE: it may be
 * mended while we wait. What this does not do: the health of the cluster. A bulk will tell.
 */
#include "drivers/elasticsearch/prepare.h"

#include "dataplane/base/log.h"
#include "drivers/elasticsearch/answer.h"

#include <stdio.h>

#define PATH_BYTES_MAX 2048

static const char where[] = "elasticsearch";

static const char index_body[] =
    "{\"settings\":{\"index.gc_deletes\":\"1h\"},"
    "\"mappings\":{\"properties\":{\"_weir\":{\"type\":\"object\",\"enabled\":false}}}}";
static const char side_index_body[] =
    "{\"settings\":{\"index.gc_deletes\":\"1h\"},\"mappings\":{\"enabled\":false}}";
static const char mapping_body[] =
    "{\"properties\":{\"_weir\":{\"type\":\"object\",\"enabled\":false}}}";

struct prepare {
    struct servers *servers;
    unsigned server;
    CURL *easy;
    struct curl_slist *headers;
    struct buf *answer;
    struct err *err;
    bool try_next; /* the error is this server's own; another may do better */
    char error[CURL_ERROR_SIZE];
};

static size_t answer_arrives(char *bytes, size_t size, size_t n, void *answer_of)
{
    struct buf *answer = answer_of;

    buf_put(answer, bytes, size * n);
    return answer->overflow ? 0 : size * n;
}

/* The error of a status that nobody expects here. Always -1. */
static int refuse(struct prepare *prepare, long status, const char *doing)
{
    struct answer_error error = answer_error(buf_slice(prepare->answer));
    const char *url = prepare->servers->server[prepare->server].url;
    bool ours = status >= 400 && status <= 499 && status != 401 && status != 403 && status != 408 &&
                status != 429;
    char text[ANSWER_REASON_BYTES_MAX + 64];
    struct buf reason = { .data = text, .bound = sizeof(text) };
    const char *hint = "";

    if (status == 401 || status == 403)
        hint = "; check `username` and `password` or `api_key`, and what they may do to the index";
    else if (!ours)
        prepare->try_next = true;
    answer_error_text(&error, "no reason given", &reason);
    return err_set(prepare->err, ours ? EXIT_CONFIG : EXIT_UNAVAILABLE, "%s: %s: %ld: %.*s%s", url,
                   doing, status, (int)(reason.len < 350 ? reason.len : 350), text, hint);
}

/* One request, waited for. Its status, or -1 with *err. `body` NULL: a GET, else a PUT. */
static long request(struct prepare *prepare, const char *path, const char *body)
{
    const char *server = prepare->servers->server[prepare->server].url;
    CURL *easy = prepare->easy;
    char url[PATH_BYTES_MAX];
    bool good = true;
    long status = 0;
    CURLcode code;
    int len = snprintf(url, sizeof(url), "%s%s", server, path);

    ASSERT(len > 0 && (size_t)len < sizeof(url));
    buf_reset(prepare->answer);
    prepare->error[0] = '\0';
    good &= curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK;
    good &= curl_easy_setopt(easy, body != NULL ? CURLOPT_POST : CURLOPT_HTTPGET, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, body != NULL ? "PUT" : NULL) == CURLE_OK;
    if (body != NULL) {
        good &= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) == CURLE_OK;
        good &= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body)) == CURLE_OK;
    }
    code = good ? curl_easy_perform(easy) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        prepare->try_next = true;
        return err_set(prepare->err, EXIT_UNAVAILABLE, "%s: %s", server,
                       prepare->error[0] != '\0' ? prepare->error : curl_easy_strerror(code));
    }
    good = curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK;
    ASSERT(good);
    return status;
}

/* 1: created. 0: somebody else was faster. -1 with *err. */
static int create(struct prepare *prepare, const char *index, const char *body)
{
    char path[PATH_BYTES_MAX / 2];
    struct answer_error error;
    long status;

    snprintf(path, sizeof(path), "/%s", index);
    status = request(prepare, path, body);
    if (status < 0)
        return -1;
    if (status == 200) {
        log_line(LOG_NOTICE, where, "created the index %s", index);
        return 1;
    }
    error = answer_error(buf_slice(prepare->answer));
    if (status == 400 && (answer_error_is(&error, "resource_already_exists_exception") ||
                          answer_error_is(&error, "index_already_exists_exception")))
        return 0;
    return refuse(prepare, status, "the index cannot be created");
}

/* The member `name` of an object that was scanned; empty where it has none. */
static struct slice member_of(struct slice object, const char *name)
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

static bool disabled(struct slice mapping)
{
    return slice_equal(member_of(mapping, "enabled"), SLICE("false"));
}

enum weir_field { FIELD_MISSING, FIELD_GOOD, FIELD_INDEXED, FIELD_NO_SOURCE, FIELD_UNREADABLE };

/* What a mapping's answer says of `_weir`:
 * {"orders-v2":{"mappings":{"properties":{"_weir":{...}}}}}. The name is another than we asked for
 * where that was an alias. */
static enum weir_field weir_field(struct slice text)
{
    enum weir_field field = FIELD_MISSING;
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    json_open(&json, text);
    if (!json_enter(&json, JSON_OBJECT))
        return FIELD_UNREADABLE;
    while (json_member(&json, &name, &escaped, &value)) {
        struct slice mappings = member_of(value.raw, "mappings");
        struct slice weir = member_of(member_of(mappings, "properties"), "_weir");

        if (disabled(member_of(mappings, "_source")))
            return FIELD_NO_SOURCE;
        if (weir.len > 0 && !disabled(weir))
            return FIELD_INDEXED;
        if (weir.len > 0)
            field = FIELD_GOOD;
    }
    return json_end(&json) ? field : FIELD_UNREADABLE;
}

static int add_field(struct prepare *prepare, const char *index)
{
    char path[PATH_BYTES_MAX / 2];
    long status;

    snprintf(path, sizeof(path), "/%s/_mapping", index);
    status = request(prepare, path, mapping_body);
    if (status < 0)
        return -1;
    if (status != 200)
        return refuse(prepare, status, "`_weir` cannot be added to the index's mapping");
    log_line(LOG_NOTICE, where, "added `_weir` to the mapping of the index %s", index);
    return 0;
}

/* The index is there, and prepare->answer is its mapping. */
static int check_field(struct prepare *prepare, const char *index)
{
    switch (weir_field(buf_slice(prepare->answer))) {
    case FIELD_MISSING:
        return add_field(prepare, index);
    case FIELD_GOOD:
        return 0;
    case FIELD_INDEXED:
        return err_set(
            prepare->err, EXIT_CONFIG,
            "the index %s maps `_weir` as a field that is indexed, and that cannot be changed: "
            "use another index, or reindex into one that weir created",
            index);
    case FIELD_NO_SOURCE:
        return err_set(prepare->err, EXIT_CONFIG,
                       "the index %s keeps no `_source`, so weir cannot read its states back",
                       index);
    case FIELD_UNREADABLE:
        prepare->try_next = true;
        return err_set(prepare->err, EXIT_UNAVAILABLE, "%s: its answer is no JSON object",
                       prepare->servers->server[prepare->server].url);
    }
    return -1;
}

/* 1: created. 0: it was there. -1 with *err. */
static int ensure(struct prepare *prepare, const char *index, const char *body, bool has_field)
{
    char path[PATH_BYTES_MAX / 2];
    int created = 0;
    long status;

    snprintf(path, sizeof(path),
             "/%s/_mapping?filter_path=error,*.mappings._source,*.mappings.properties._weir",
             index);
    status = request(prepare, path, NULL);
    if (status == 404) {
        created = create(prepare, index, body);
        if (created != 0 || !has_field)
            return created;
        status = request(prepare, path, NULL); /* Somebody else created it, who knows how. */
    }
    if (status < 0)
        return -1;
    if (status != 200)
        return refuse(prepare, status, "the index cannot be looked at");
    return has_field ? check_field(prepare, index) : 0;
}

static int prepare_at(struct prepare *prepare, const struct prepare_names *names)
{
    int side = ensure(prepare, names->side_index, side_index_body, false);
    int main = side < 0 ? -1 : ensure(prepare, names->index, index_body, true);

    return main < 0 ? -1 : side == 1 && main == 1;
}

static bool set_options(struct prepare *prepare)
{
    CURL *easy = prepare->easy;
    bool good = servers_apply(prepare->servers, easy);

    good &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, prepare->error) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_arrives) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, prepare->answer) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, prepare->headers) == CURLE_OK;
    return good;
}

/* Where all servers failed, *err tells what the first one said, and of how many. */
static int try_servers(struct prepare *prepare, const struct prepare_names *names)
{
    struct err first = { .code = EXIT_UNAVAILABLE };

    for (unsigned i = 0; i < prepare->servers->n; i++) {
        int got;

        prepare->server = i;
        prepare->try_next = false;
        got = prepare_at(prepare, names);
        if (got >= 0 || !prepare->try_next)
            return got;
        if (i == 0)
            first = *prepare->err;
    }
    if (prepare->servers->n == 1)
        return -1;
    return err_set(prepare->err, EXIT_UNAVAILABLE, "none of %u servers can be used; %.500s",
                   prepare->servers->n, first.text);
}

int prepare_run(struct servers *servers, const struct prepare_names *names, struct buf *answer,
                struct err *err)
{
    struct prepare prepare = { .servers = servers, .answer = answer, .err = err };
    int got = -1;

    ASSERT(err != NULL);
    prepare.easy = curl_easy_init();
    prepare.headers = servers_headers(servers, "application/json", false);
    if (prepare.easy == NULL || prepare.headers == NULL || !set_options(&prepare))
        (void)err_set(err, EXIT_SOFTWARE, "elasticsearch: libcurl refuses our settings");
    else
        got = try_servers(&prepare, names);
    curl_easy_cleanup(prepare.easy);
    curl_slist_free_all(prepare.headers);
    return got;
}
