/*
 * port.h: what sqlite.c (the queue and its worker) and port.c (the shards' side) share; nobody else
 * includes it.
 */
#ifndef WEIR_SQLITE_PORT_H
#define WEIR_SQLITE_PORT_H

#include "drivers/sqlite/database.h"
#include "drivers/sqlite/sqlite.h"

#include "dataplane/base/log.h"

#include <pthread.h>

/* A batch or a lookup on its way: one of the two pointers is set, for good. */
struct job {
    struct job *next;
    struct port *port;
    struct batch *batch;
    struct lookup *lookup;
    bool out; /* begun and not yet recycled; the shard's */
};

struct job_list {
    struct job *head, *tail; /* the head is read without the lock, to see that there is nothing */
};

/* One document of a batch; its bytes are in the batch's text. */
struct entry {
    struct slice key;
    struct database_row row;
    bool shown;
};

struct batch {
    struct sink_batch base;
    struct job job;
    struct buf text;
    struct entry *entries; /* limits.docs */
};

/* What the worker found for a key; bytes in the lookup's texts. */
struct found {
    struct database_row row;
    struct slice side; /* the state in the side table */
    bool in_main, in_side;
    bool too_large; /* more than the buffer takes */
};

struct lookup {
    struct sink_lookup base;
    struct job job;
    struct slice *keys; /* keys_max, as the items and what was found */
    struct found *found;
    struct buf texts;
    struct arena arena; /* the parsed states */
    bool overflow;      /* failed because the texts of so many keys did not fit */
};

struct sqlite_sink {
    struct sink base;
    struct sqlite_options options;
    struct database *database; /* the worker's, once it runs; NULL before prepare() */
    pthread_t worker;
    struct log_limit limit; /* the worker's */
    pthread_mutex_t lock;   /* the queue, the done lists, stopping */
    pthread_cond_t work;
    struct job_list queue;
    bool stopping;
};

struct port {
    struct sink_port base;
    struct sqlite_sink *sink;
    struct env *env;
    struct batch *batches;  /* limits.in_flight */
    struct lookup *lookups; /* LOOKUPS */
    unsigned keys_max;      /* a lookup's arrays */
    unsigned keys; /* how many a lookup takes now: less after one whose texts did not fit */
    struct job_list batches_done, lookups_done;
};

/* The shard's thread. The job is the worker's until sqlite_job_reap() gives it back; NULL where
 * none is done. */
void sqlite_job_submit(struct sqlite_sink *sink, struct job *job);
struct job *sqlite_job_reap(struct sqlite_sink *sink, struct job_list *done);

/* sink_ops.port */
struct sink_port *sqlite_port_open(struct sink *base, unsigned shard, struct env *env,
                                   struct err *err);

#endif
