/*
 * get.h: states read back: one lookup of many keys, by Multi with gets. Internal to drivers/hbase.
 * The shard's thread, unless it says start-up.
 */
#ifndef WEIR_HBASE_GET_H
#define WEIR_HBASE_GET_H

#include "dataplane/base/log.h"
#include "dataplane/sink.h"
#include "drivers/hbase/route.h"
#include "drivers/hbase/rows.h"

#define GET_KEYS_MAX 2048u

enum get_state { GET_FREE, GET_FILLING, GET_HELD, GET_SENT, GET_DONE, GET_REAPED };

/* What the lookups of a port have in common; must outlive them. */
struct get_shared {
    struct env *env;
    struct rpc *rpc;
    struct locate *locate;
    struct rows *rows;
    struct route_scratch *scratch;
    const char *table;
    struct slice family;
    size_t arena_bytes_max;
    unsigned keys_max; /* 1..GET_KEYS_MAX: of the next lookup */
    struct log_limit telling, telling_failed;
    uint64_t broken; /* answers that were none */
};

struct get_call {
    struct rpc_call call;
    struct get *get;
    const struct route_call *route;
    size_t cells_at; /* while its answer is read: what of the cells is dealt out */
};

struct get {
    struct sink_lookup lookup; /* first: a lookup pointer is a pointer to this */
    enum get_state state;
    struct get_shared *shared;

    struct buf rows;   /* row keys */
    uint32_t *rows_at; /* of each key, in `rows`; and one more for the end */

    struct locate_wait held;
    uint32_t *regions; /* by item */
    struct route route;
    struct get_call *calls;
    unsigned n_running;
    struct buf params;

    struct arena arena; /* cells and states, until it is recycled */
    struct buf reasons;
};

/* Start-up. */
void get_open(struct get *get, struct get_shared *shared);

/* From free to filling: empty. */
void get_begin(struct get *get);

/* False: it is full. The key is copied. */
bool get_add(struct get *get, struct slice key);

/* Asks, as soon as it is known whom. It is done when get->state is GET_DONE: after rpc_step(),
 * env_wait(), get_step() or this. */
void get_submit(struct get *get);
void get_step(struct get *get);

#endif
