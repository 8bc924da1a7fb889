/*
 * servers.h: the servers of one cluster: where they are, how we show who we are, which of them work
 * right now. Internal to drivers/elasticsearch.
 */
#ifndef WEIR_ELASTICSEARCH_SERVERS_H
#define WEIR_ELASTICSEARCH_SERVERS_H

#include "drivers/elasticsearch/elasticsearch.h"

#include <curl/curl.h>
#include <stdatomic.h>

#define SERVERS_CONNECT_MS 5000L

struct server_state {
    const char *url;  /* the options' */
    atomic_bool down; /* said once, by whoever met it first */
};

struct servers {
    const struct elasticsearch_options *options;
    unsigned n;
    struct server_state server[ELASTICSEARCH_URLS_MAX];
};

/* Start-up only. 0, or -1 with *err (EXIT_CONFIG): a URL or a secret that cannot be sent. */
MUST_CHECK int servers_open(struct servers *servers, const struct elasticsearch_options *options,
                            struct err *err);

/* Sets what all requests share: time-outs, TLS, authentication, no redirects, http and https only.
 * False: libcurl cannot do it (out of memory, or built without). Start-up, or the control thread.
 */
MUST_CHECK bool servers_apply(const struct servers *servers, CURL *easy);

/* The header lines of a request; NULL when out of memory. The caller frees them with
 * curl_slist_free_all(). */
struct curl_slist *servers_headers(const struct servers *servers, const char *content_type,
                                   bool gzip_body);

/* Any thread: server `i` cannot be used, and `next` is tried instead. Logs one line where this is
 * news. */
void servers_failed(struct servers *servers, unsigned i, unsigned next, const char *why);

/* Any thread: server `i` did what it should. Logs one line where this is news. */
void servers_worked(struct servers *servers, unsigned i);

#endif
