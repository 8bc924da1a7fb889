/*
 * sink.h: the contract of a sink: where documents go, and where states are read back from.
 *
 * A `sink` belongs to a task and is prepared by control before the shards run; a `sink_port` is one
 * shard's end of it, used by that shard's thread alone. Nothing here blocks: work is submitted, and
 * reaped when its answer is there (the port wakes the shard's env).
 *
 *     batch = begin(port);  while (add(port, batch, document) == SINK_ADDED) ...;
 *     submit(port, batch);
 *     ... later ...         batch = reap(port);  one verdict an item;  recycle(port, batch);
 *
 * The port owns its batches and lookups; how many can be out at once is what in_flight says.
 */
#ifndef WEIR_SINK_H
#define WEIR_SINK_H

#include "dataplane/base/arena.h"
#include "dataplane/base/env.h"
#include "dataplane/document.h"
#include "dataplane/finding.h"

enum sink_verdict {
    SINK_WRITTEN, /* durable */
    SINK_STALE,   /* the sink holds this version or a newer one, durably: success */
    SINK_RETRY,   /* not written, may work later (429, 503, 5xx, time-out, broken connection) */
    SINK_DEAD,    /* will never be taken; `reason` says why in the sink's own words */
};

struct sink_item {
    enum sink_verdict verdict;
    struct slice reason; /* SINK_DEAD only; the batch's, until it is recycled */
};

struct sink_batch {
    unsigned n;              /* items added */
    struct sink_item *items; /* in the order of add(); verdicts are set when it is reaped */
    bool failed_whole; /* the request as a whole failed (all items RETRY): the server is down or
                          busy */
    size_t bytes;      /* of the request's body so far */
};

enum sink_add {
    SINK_ADDED,
    SINK_FULL, /* the batch has its documents or bytes: submit it, put this one into the next */
    SINK_TOO_LARGE, /* no batch can ever hold this document: dead letter */
};

enum lookup_found {
    LOOKUP_ABSENT,
    LOOKUP_FOUND,
    LOOKUP_BROKEN, /* a state is there that cannot be read */
    LOOKUP_AGAIN,  /* no answer for this one: ask again later */
};

struct lookup_item {
    enum lookup_found found;
    uint64_t
        version; /* that the sink holds: the document's, or the side state's of a deleted one */
    struct document_state
        states[2]; /* the document's and the side index's; n_states of them are there */
    unsigned n_states;
    struct slice reason; /* LOOKUP_BROKEN: why; the lookup's until it is recycled */
};

struct sink_lookup {
    unsigned n;
    struct lookup_item *items; /* in the order of lookup_add() */
    bool failed_whole;         /* no answer: ask again later; items say nothing */
};

struct sink_port;

struct sink_port_ops {
    struct sink_batch *(*begin)(
        struct sink_port *port); /* an empty batch; NULL when in_flight of them are out */
    enum sink_add (*add)(struct sink_port *port, struct sink_batch *batch,
                         const struct document *document);
    void (*submit)(struct sink_port *port, struct sink_batch *batch);
    struct sink_batch *(*reap)(struct sink_port *port); /* a finished batch, NULL where none is */
    void (*recycle)(struct sink_port *port, struct sink_batch *batch);

    /* Reading states back (R3). All NULL where a sink cannot. lookup_add: false when the lookup is
     * full; the key's bytes must stay until the lookup is recycled. */
    struct sink_lookup *(*lookup_begin)(struct sink_port *port);
    bool (*lookup_add)(struct sink_port *port, struct sink_lookup *lookup, struct slice key);
    void (*lookup_submit)(struct sink_port *port, struct sink_lookup *lookup);
    struct sink_lookup *(*lookup_reap)(struct sink_port *port);
    void (*lookup_recycle)(struct sink_port *port, struct sink_lookup *lookup);
};

struct sink_port {
    const struct sink_port_ops *ops;
    bool deltas; /* add() takes only the rows that the sink lacks (document->sink, row->unsent) */
};

/* How batches close; from the config. */
struct sink_limits {
    unsigned docs, in_flight;
    size_t bytes;
    size_t document_bytes_max; /* a document over this is SINK_TOO_LARGE */
};

struct sink;

struct sink_ops {
    const char *name;

    /* Control thread, before the shards run, and again until it succeeds: reaches the server,
     * creates what is missing. 1: prepared, and everything was created empty just now (R3's
     * shortcut). 0: prepared. -1 with *err: code EXIT_UNAVAILABLE may be tried again, anything else
     * is for good. */
    int (*prepare)(struct sink *sink, struct err *err);

    /* Instead of prepare(), without ports, for `weir check --live`: looks at the server and tells
     * what is found there; creates and changes nothing. NULL where there is nothing to ask. 0, or
     * -1 with *err where it could not be asked (EXIT_UNAVAILABLE). */
    int (*inspect)(struct sink *sink, struct findings *findings, struct err *err);

    /* Start-up: the port of one shard. NULL with *err. */
    struct sink_port *(*port)(struct sink *sink, unsigned shard, struct env *env, struct err *err);

    /* Control thread, after the shards ended. */
    void (*close)(struct sink *sink);
};

struct sink {
    const struct sink_ops *ops;
    bool merges; /* the server itself keeps the newest of each value: several writers do no harm
                    (R7) */
};

#endif
