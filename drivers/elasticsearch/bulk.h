/*
 * bulk.h: one batch of documents on its way to the index: its _bulk requests, and a verdict for
 * each item. Internal to drivers/elasticsearch. The shard's thread, unless it says start-up.
 */
#ifndef WEIR_ELASTICSEARCH_BULK_H
#define WEIR_ELASTICSEARCH_BULK_H

#include "drivers/elasticsearch/http.h"

#define BULK_RANGES_MAX 40 /* halving 2^32 items leaves at most one half waiting a level */

enum bulk_state { BULK_FREE, BULK_FILLING, BULK_SENT, BULK_DONE, BULK_REAPED };

/* One operation; its bytes run up to the next one's `from`. */
struct bulk_op {
    size_t from;
    uint32_t item;
    uint32_t then; /* the delete that waits for this operation; BULK_NO_OP: none */
    bool ready;    /* of a delete: what it waited for was acknowledged */
};
#define BULK_NO_OP UINT32_MAX

/* Operations of one kind, which go into the same requests. */
struct bulk_pass {
    struct buf text;
    struct bulk_op *ops; /* n of them, and one more for where the last one ends */
    uint32_t n;
};

struct bulk_range {
    uint32_t from, to;
};

struct bulk {
    struct sink_batch batch; /* first: a batch pointer is a pointer to this */
    enum bulk_state state;

    /* What came in, and how the answers name it. */
    struct bulk_pass index, delete;

    /* What is being sent: ranges of one pass, the next one last. */
    struct bulk_pass *pass;
    struct bulk_range ranges[BULK_RANGES_MAX], sent;
    unsigned n_ranges;
    bool failed; /* a request as a whole was of no use */

    struct http_call call;
    struct buf reasons;
    struct slice side_index;
    const struct plan *plan;
    const struct sink_limits *limits;
    struct log_limit telling;
};

/* What the bulks of a sink have in common; must outlive them. */
struct bulk_options {
    const char *path; /* "/orders/_bulk?..." */
    const char *side_index;
    const struct plan *plan;
    const struct sink_limits *limits;
};

/* Start-up. 0, or -1 with *err. Closed by http_call_close(&bulk->call). */
MUST_CHECK int bulk_open(struct bulk *bulk, struct http *http, const struct bulk_options *options,
                         struct err *err);

/* From free to filling: empty. */
void bulk_begin(struct bulk *bulk);

/* As sink.h's add(). */
enum sink_add bulk_add(struct bulk *bulk, const struct document *document);

/* Sends it. It is done when http_step() has set bulk->state to BULK_DONE, with a verdict for each
 * item. */
void bulk_submit(struct bulk *bulk);

#endif
