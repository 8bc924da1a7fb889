/*
 * fetch.h: a partition that is being read by a consumer: what librdkafka keeps for it.
 *
 *     broker's log ── fetch_some(), the consumer's thread ──► queue, bounded ──► port
 * (source_port.c)
 *
 * Control's half holds it from assignment to revocation, a port from attach to detach; who lets go
 * last frees it.
 */
#ifndef WEIR_SIM_FETCH_H
#define WEIR_SIM_FETCH_H

#include "dataplane/source.h"
#include "tests/sim/broker_model.h"

enum { FETCH_QUEUE_MAX = 512 };

/* A record, or (NULL) the end of the log, which was at `offset`. */
struct fetched {
    const struct broker_record *record;
    int64_t offset;
};

struct fetch {
    unsigned holders;
    const struct broker_log *log;
    char *topic; /* a copy: control's pointers to it end with the fetch */
    int32_t number;
    struct source_partition told; /* what control was told */
    int64_t at;                   /* what to fetch next */
    int64_t end;                  /* the last end that was told, -1: none */
    int64_t low, high;            /* the log's ends at the last fetch, -1: none yet */
    struct env *env;              /* the shard that has it; NULL: none now */
    struct fetched queue[FETCH_QUEUE_MAX];
    unsigned first, n;
};

/* Held once, by the caller; nothing is fetched before fetch_from(). */
struct fetch *fetch_open(const struct broker_log *log);
void fetch_hold(struct fetch *fetch);
void fetch_let_go(struct fetch *fetch);

/* Goes on at that offset: what was fetched and not taken is forgotten. */
void fetch_from(struct fetch *fetch, int64_t offset);

/* One answer of the broker: some records more, or the end. True: there was something. */
bool fetch_some(struct fetch *fetch);

/* The oldest one is taken out. False: there is none now. */
bool fetch_take(struct fetch *fetch, struct fetched *fetched);

#endif
