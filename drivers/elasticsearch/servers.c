/*
 * servers.c: the servers of one cluster, and the options that all requests to them share.
 *
 * A port keeps to one server until that one fails, then goes on with the next, round and round; who
 * comes back is found again when the round reaches it. Ports choose on their own (one shard's
 * broken connection is not another's), but news is told once for all of them: `down` is exchanged
 * atomically and only the change makes a log line.
 *
 *     works ──failed: "X cannot be used: why; going on with Y"──► down
 *     down  ──worked: "X works again"──► works
 *
 * Credentials are checked for control characters, because a line break in a header would be a
 * header of its own. What this does not do: choose the server of a request (http.c), or ask the
 * cluster for its other nodes.
 */
#include "drivers/elasticsearch/servers.h"

#include "dataplane/base/log.h"

#include <stdio.h>

static const char where[] = "elasticsearch";

static bool printable(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static const char *url_problem(const char *url)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return "must start with http:// or https://";
    if (!printable(url) || strpbrk(url, " ?#") != NULL)
        return "must be scheme, host, port and path only";
    if (strchr(url, '@') != NULL)
        return "must not hold a user: use `username` and `password`";
    if (url[strlen(url) - 1] == '/')
        return "must not end with a slash";
    return strlen(url) > 1000 ? "is too long" : NULL;
}

int servers_open(struct servers *servers, const struct elasticsearch_options *options,
                 struct err *err)
{
    const char *secrets[] = { options->username, options->password, options->api_key };

    if (options->n_urls == 0 || options->n_urls > ELASTICSEARCH_URLS_MAX)
        return err_set(err, EXIT_CONFIG, "elasticsearch: %u urls: 1 to %u are allowed",
                       options->n_urls, ELASTICSEARCH_URLS_MAX);
    for (unsigned i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
        if (secrets[i] != NULL && !printable(secrets[i]))
            return err_set(err, EXIT_CONFIG,
                           "elasticsearch: username, password or api_key holds a line break or "
                           "another control character");
    servers->options = options;
    servers->n = options->n_urls;
    for (unsigned i = 0; i < servers->n; i++) {
        const char *problem = url_problem(options->urls[i]);

        if (problem != NULL)
            return err_set(err, EXIT_CONFIG, "elasticsearch: the url %.200s %s", options->urls[i],
                           problem);
        servers->server[i].url = options->urls[i];
        atomic_init(&servers->server[i].down, false);
    }
    return 0;
}

static bool apply_tls(const struct elasticsearch_options *options, CURL *easy)
{
    bool good = true;

    good &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, options->verify ? 1L : 0L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, options->verify ? 2L : 0L) == CURLE_OK;
    if (options->ca_file != NULL)
        good &= curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file) == CURLE_OK;
    if (options->cert_file != NULL)
        good &= curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file) == CURLE_OK;
    if (options->key_file != NULL)
        good &= curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key_file) == CURLE_OK;
    return good;
}

static bool apply_basic(const struct elasticsearch_options *options, CURL *easy)
{
    bool good = true;

    if (options->username == NULL)
        return true;
    good &= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_USERNAME, options->username) == CURLE_OK;
    if (options->password != NULL)
        good &= curl_easy_setopt(easy, CURLOPT_PASSWORD, options->password) == CURLE_OK;
    return good;
}

bool servers_apply(const struct servers *servers, CURL *easy)
{
    const struct elasticsearch_options *options = servers->options;
    long timeout_ms = (long)(options->timeout_us / 1000);
    bool good = apply_tls(options, easy) && apply_basic(options, easy);

    good &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    /* Two bulks side by side want two connections, not two streams of one. */
    good &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, SERVERS_CONNECT_MS) == CURLE_OK;
    good &=
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms > 0 ? timeout_ms : 1L) == CURLE_OK;
    if (options->gzip)
        good &= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip") == CURLE_OK;
    return good;
}

/* Appends one line; on failure frees the list, so that a chain of these needs one check. */
static struct curl_slist *append(struct curl_slist *list, const char *head, const char *value)
{
    char line[8192];
    struct curl_slist *longer;
    int len = snprintf(line, sizeof(line), "%s%s", head, value);

    longer = len > 0 && (size_t)len < sizeof(line) ? curl_slist_append(list, line) : NULL;
    if (longer == NULL)
        curl_slist_free_all(list);
    return longer;
}

struct curl_slist *servers_headers(const struct servers *servers, const char *content_type,
                                   bool gzip_body)
{
    struct curl_slist *list = append(NULL, "Content-Type: ", content_type);

    /* Waiting for "100 Continue" would cost a round trip for every large body. */
    if (list != NULL)
        list = append(list, "Expect:", "");
    if (list != NULL && gzip_body)
        list = append(list, "Content-Encoding: ", "gzip");
    if (list != NULL && servers->options->api_key != NULL)
        list = append(list, "Authorization: ApiKey ", servers->options->api_key);
    return list;
}

void servers_failed(struct servers *servers, unsigned i, unsigned next, const char *why)
{
    ASSERT(i < servers->n && next < servers->n);
    if (atomic_exchange(&servers->server[i].down, true))
        return;
    if (next == i)
        log_line(LOG_WARN, where,
                 "%s cannot be used: %s; trying again until it can, nothing is dropped",
                 servers->server[i].url, why);
    else
        log_line(LOG_WARN, where, "%s cannot be used: %s; going on with %s", servers->server[i].url,
                 why, servers->server[next].url);
}

void servers_worked(struct servers *servers, unsigned i)
{
    ASSERT(i < servers->n);
    if (atomic_load_explicit(&servers->server[i].down, memory_order_relaxed) &&
        atomic_exchange(&servers->server[i].down, false))
        log_line(LOG_NOTICE, where, "%s works again", servers->server[i].url);
}
