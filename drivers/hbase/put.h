/*
 * put.h: one batch of documents on its way into the table: its Multi calls, and a verdict for each
 * item. Internal to drivers/hbase. The shard's thread, unless it says start-up.
 */
#ifndef WEIR_HBASE_PUT_H
#define WEIR_HBASE_PUT_H

#include "dataplane/base/log.h"
#include "dataplane/sink.h"
#include "drivers/hbase/route.h"
#include "drivers/hbase/rows.h"

enum put_state { PUT_FREE, PUT_FILLING, PUT_HELD, PUT_SENT, PUT_DONE, PUT_REAPED };

/* What the batches of a port have in common; must outlive them. */
struct put_shared {
    struct env *env;
    struct rpc *rpc;
    struct locate *locate;
    struct rows *rows;
    struct route_scratch *scratch;
    const char *table;
    struct sink_limits limits;
    struct log_limit telling, telling_failed;
    uint64_t broken; /* answers that were none */
};

/* What became of a document. */
enum put_outcome {
    PUT_OUTCOME_NONE, /* not sent, or no answer: AGAIN */
    PUT_OUTCOME_WRITTEN,
    PUT_OUTCOME_AGAIN,
    PUT_OUTCOME_DOUBT, /* refused together with others: to be sent alone */
    PUT_OUTCOME_DEAD,
};

/* A document's cells; their bytes run up to the next one's `from`. */
struct put_item {
    size_t from;
    unsigned n_cells; /* 0: the sink lacks nothing of it */
    enum put_outcome outcome;
};

struct put_call {
    struct rpc_call call;
    struct put *put;
    const struct route_call *route;
};

struct put {
    struct sink_batch batch; /* first: a batch pointer is a pointer to this */
    enum put_state state;
    struct put_shared *shared;

    /* What came in. */
    struct buf taken;
    struct put_item *items; /* n of them, and one more for where the last one ends */

    /* The round that is under way: all items at first, then some of them alone. */
    struct locate_wait held;
    uint32_t *regions; /* by item, as route_make() takes them */
    struct route route;
    struct put_call *calls;
    unsigned n_running;
    struct buf params, cells;
    bool alone;
    size_t alone_bytes_max;

    struct buf reasons;
};

/* Start-up. */
void put_open(struct put *put, struct put_shared *shared);

/* From free to filling: empty. */
void put_begin(struct put *put);

/* As sink.h's add(). */
enum sink_add put_add(struct put *put, const struct document *document);

/* Sends it, as soon as it is known where to. It is done when put->state is PUT_DONE, with a verdict
 * for each item: after rpc_step(), env_wait(), put_step() or this. */
void put_submit(struct put *put);
void put_step(struct put *put);

#endif
