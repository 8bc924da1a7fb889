/*
 * lookup.h: states read back (R3): one _mget for many keys, each asked of the index and of its side
 * index. Internal to drivers/elasticsearch. The shard's thread, unless it says start-up.
 */
#ifndef WEIR_ELASTICSEARCH_LOOKUP_H
#define WEIR_ELASTICSEARCH_LOOKUP_H

#include "drivers/elasticsearch/http.h"

#define LOOKUP_KEYS_MAX 2000u

enum lookup_state { LOOKUP_FREE, LOOKUP_FILLING, LOOKUP_SENT, LOOKUP_DONE, LOOKUP_REAPED };

/* What the lookups of a port share. */
struct lookup_shared {
    const char *path; /* "/orders/_mget" */
    const char *side_index;
    const struct plan *plan;
    unsigned keys_max; /* of a lookup, now: halved where an answer does not fit, doubled again where
                          it does */
    uint64_t foreign;  /* documents met that weir did not write */
    size_t answer_bytes_max, arena_bytes_max;
};

struct lookup {
    struct sink_lookup lookup; /* first: a lookup pointer is a pointer to this */
    enum lookup_state state;
    struct slice *keys; /* the caller's bytes */
    struct buf request;
    struct buf reasons;
    struct arena arena; /* what the states are made of; they point into the answer, too */
    struct http_call call;
    struct lookup_shared *shared;
};

/* Start-up. The usual bounds. */
void lookup_shared_open(struct lookup_shared *shared, const char *path, const char *side_index,
                        const struct plan *plan);

/* Start-up. 0, or -1 with *err. Closed by http_call_close(&lookup->call). */
MUST_CHECK int lookup_open(struct lookup *lookup, struct http *http, struct lookup_shared *shared,
                           struct err *err);

void lookup_begin(struct lookup *lookup);

/* As sink.h's lookup_add(). */
bool lookup_add(struct lookup *lookup, struct slice key);

/* Sends it. It is done when http_step() has set lookup->state to LOOKUP_DONE. */
void lookup_submit(struct lookup *lookup);

#endif
