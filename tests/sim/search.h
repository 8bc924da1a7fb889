/*
 * search.h: the modelled search cluster: what drivers/elasticsearch may expect of Elasticsearch,
 * and nothing more. In memory, one copy of each document, no shards. Any thread, one at a time.
 *
 *     request:  METHOD PATH\n BODY        "POST
 * /orders/_bulk?filter_path=...\n{\"index\":...}\n..." answer:   STATUS\n BODY
 * "200\n{\"items\":[...]}"
 *
 *     POST /INDEX/_bulk                   index and delete with external versions
 *     POST /INDEX/_mget                   _source byte for byte as it was written
 *     PUT /INDEX                          its settings and mappings: index.gc_deletes, `_weir`
 *     GET, PUT /INDEX/_mapping            what of it concerns `_weir`
 *     GET /INDEX/_settings/...            index.gc_deletes, index.translog.durability
 *     GET /                               the version
 *
 * Answers are as they come with the driver's own `filter_path`, whatever the request says of it.
 *
 * Faults, by the dials: `busy_whole`: 429, 503, a bulk of which only the first items are done and
 * then 502, an index whose documents are all away for some seconds (503 for each item);
 * `busy_item`: 429 or 503 for an item of a bulk (a 503 may have been done all the same), an error
 * for a document of an _mget. `refuse`: so many of a thousand documents are refused with 400, for
 * good: it depends on key and version alone, so that a document that was taken once is taken again,
 * and the same one is refused again by whomever it is sent, until sim_calm(). Only documents that
 * are shown are refused: the side index maps nothing, and a delete has no body.
 */
#ifndef WEIR_SIM_SEARCH_H
#define WEIR_SIM_SEARCH_H

#include "tests/sim/net.h"

struct search;

/* An empty cluster. Draws one random number. Lives until the process ends. */
struct search *search_open(void);

struct net_server *search_door(struct search *search);

/* The front door without a network: one request, its answer. */
void search_ask(struct search *search, struct slice request, struct buf *answer);

/* A larger body is a 413. 100 MiB, unless set. */
void search_set_body_bytes_max(struct search *search, size_t bytes);

/* The index forgets the versions of documents that were deleted SEARCH_REMEMBERED_US ago or
 * earlier: from then on any version is taken. That long is promised by default; less than the hour
 * that weir asks for when it creates an index. Returns how many were forgotten. */
#define SEARCH_REMEMBERED_US UINT64_C(60000000)
unsigned search_forget(struct search *search);

/* ---- for checks ---- */

struct search_document {
    const char *index;
    bool side;            /* the index's name ends in -weir */
    bool there;           /* false: it was deleted, or refused before it was ever taken */
    bool forgotten;       /* deleted, and its version is not remembered any more */
    struct slice key;     /* `_id`, unescaped */
    struct slice source;  /* the bytes that were written; empty where it is not there */
    uint64_t version;     /* of the last write or delete, forgotten or not; 0: there was none */
    uint64_t refused_max; /* the greatest version that was refused for good; 0: none */
};

/* All that there is and was, index by index as they were created, by key. `see` may not write. */
void search_walk(const struct search *search,
                 void (*see)(void *context, const struct search_document *document), void *context);

/* One of them; false where nothing of that key was ever written or refused. */
bool search_find(const struct search *search, const char *index, struct slice key,
                 struct search_document *document);

/* A write that is done now: documents and deletes, and a delete of what is not there. */
struct search_write {
    const char *index;
    bool side;
    struct slice key;
    uint64_t version_before; /* of the last write, forgotten or not; 0: there was none */
    uint64_t version_after;
    bool there_before;   /* the document was there */
    bool deleted;        /* it is not there now */
    struct slice source; /* empty where it is deleted */
};

/* Calls `seen` for each write from now on; everything in it is valid within the call. */
void search_watch(struct search *search,
                  void (*seen)(void *context, const struct search_write *write), void *context);

struct search_counts {
    uint64_t bulks, lookups;                  /* requests */
    uint64_t written, deleted, stale;         /* items: 2xx, 404 of a delete, 409 */
    uint64_t refused, busy_items, busy_whole; /* items, items, requests */
};
const struct search_counts *search_counts(const struct search *search);

#endif
