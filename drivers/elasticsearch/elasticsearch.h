/*
 * elasticsearch.h: the sink that writes documents into Elasticsearch (7, 8, 9) or OpenSearch, and
 * reads states back.
 *
 * Documents go by _bulk with external versions, each item judged on its own; states come back by
 * _mget on the index and its side index `<index>-weir` (docs/ORDERING.md, R3 and R6). One port a
 * shard, all of its requests on that shard's env through libcurl. Nothing here sleeps or backs off:
 * items that may work later come back as SINK_RETRY, and who submitted them decides when to try
 * again.
 *
 * Time-outs are looked at in reap() and lookup_reap(): call one of them every 10 ms or so while
 * anything is out. The process must ignore SIGPIPE (TLS connections write without MSG_NOSIGNAL).
 */
#ifndef WEIR_ELASTICSEARCH_H
#define WEIR_ELASTICSEARCH_H

#include "dataplane/sink.h"

/* Everything pointed to must outlive the sink. */
struct elasticsearch_options {
    const char *const *urls; /* http:// or https://, no user info, no trailing slash, no query */
    unsigned n_urls;   /* 1..ELASTICSEARCH_URLS_MAX; a port keeps to one until that one fails */
    const char *index; /* the side index is "<index>-weir" */
    const char *username, *password; /* NULL: no basic authentication */
    const char *api_key;             /* NULL: none. Base64, as the server gave it out ("encoded") */
    const char *ca_file, *cert_file,
        *key_file; /* PEM files; NULL: the system's authorities, no client certificate */
    bool verify;   /* TLS: the server's certificate and host name; true unless somebody insists */
    bool gzip;     /* request bodies and answers are compressed */
    uint64_t timeout_us; /* of a whole request; connecting takes 5 s of it at most */
    struct sink_limits limits;
    const struct plan *plan;
};

#define ELASTICSEARCH_URLS_MAX 32u

/* Start-up only. NULL with *err (EXIT_CONFIG) where the options cannot be used. Closed by its ops'
 * close(), after the last use of its ports and of their batches and lookups. */
struct sink *elasticsearch_sink_open(const struct elasticsearch_options *options, struct err *err);

#endif
