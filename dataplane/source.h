/*
 * source.h: the contract of a source: where events come from.
 *
 * Two halves. A `source` belongs to a task and is driven by the control thread: it joins, learns
 * which partitions it has, commits. A `source_port` is one shard's end of it: it hands out records
 * and takes them back.
 *
 *     control thread:  open -> service ... service -> commit ... -> close
 *     shard thread:    port: attach/detach (told by control) -> poll -> release -> poll ...
 *
 * A partition is known to the data plane by its slot, a small number that control gives it; its
 * name is in the task's partition table (partition.h).
 */
#ifndef WEIR_SOURCE_H
#define WEIR_SOURCE_H

#include "dataplane/base/env.h"
#include "dataplane/partition.h"

struct header {
    struct slice name, value;
};

enum record_kind {
    RECORD_EVENT,     /* payload.data is NULL for a null payload (a Kafka tombstone) */
    RECORD_POSITION,  /* no event: the partition was read up to (not including) `offset` */
    RECORD_OVERSIZED, /* an event over the source's bound; payload is its beginning, `detail` says
                         the rest */
};

/* An event as it came. Its bytes are the port's, valid until it is released; they are not written
 * to. */
struct record {
    enum record_kind kind;
    uint16_t partition; /* slot */
    int64_t offset;
    int64_t timestamp_ms; /* the broker's, -1 = none */
    struct slice key;     /* data NULL: none */
    struct slice payload;
    struct slice
        detail;   /* RECORD_OVERSIZED: where the whole event can be found; static or the port's */
    bool rewind;  /* the log stepped back to `offset`, which was handed out before (a redelivery) */
    void *handle; /* the port's own */
};

struct source_port;

struct source_port_ops {
    /* A partition comes to this shard, to be read from `offset` on; `handle` is what
     * source_events.assigned gave. */
    void (*attach)(struct source_port *port, uint16_t partition, void *handle);

    /* No record of the partition is handed out after this. Records that are out must still be
     * released. */
    void (*detach)(struct source_port *port, uint16_t partition);

    /* Up to `max` records, 0 where none is ready now (the port wakes the shard's env when that
     * changes). Records of one partition come in the order of its log. -1 with *err: the source is
     * broken for good, the task ends. */
    int (*poll)(struct source_port *port, struct record *records, unsigned max, struct err *err);

    /* Gives records back, oldest first, each once. */
    void (*release)(struct source_port *port, struct record *records, unsigned n);

    /* Fills up to `max` headers of an event that is not released yet; returns how many there are.
     */
    unsigned (*headers)(struct source_port *port, const struct record *record,
                        struct header *headers, unsigned max);

    /* True once nothing more will ever come (a file that ended). A live log is never at its end. */
    bool (*ended)(struct source_port *port);
};

struct source_port {
    const struct source_port_ops *ops;
};

/* One partition as a source tells of it. `offset` and `clock` are where reading starts. */
struct source_partition {
    const char *topic;
    int32_t number;
    int64_t offset;
    uint64_t clock;     /* SEQNO_EPOCH where no commit carried one */
    int64_t end_offset; /* what the log's end was at assignment, -1 = unknown: for --until-end and
                           lag */
    void *handle;       /* given on to source_port_ops.attach */
    bool fresh;    /* the group had no commit that could be used: `offset` is where it starts */
    uint16_t slot; /* filled in by control in assigned(), given back in revoking() */
};

/* What a source tells the control thread, from within service() or close(). */
struct source_events {
    void *context;
    /* These partitions are ours from now on. `total` is how many the topics have in all (R7: fewer
     * = not alone). */
    void (*assigned)(void *context, struct source_partition *partitions, unsigned n,
                     unsigned total);
    /* They will be taken away when this returns: drain (bounded), commit. `lost`: they are gone
     * already. */
    void (*revoking)(void *context, struct source_partition *partitions, unsigned n, bool lost);
    /* A commit that was handed over was not stored: what is durable is to be committed once more,
     * also where nothing new comes. From within commit() too. */
    void (*uncommitted)(void *context);
    /* NULL, or called now and then while the source waits for a server within service() or
     * commit(): the control thread lives. */
    void (*waiting)(void *context);
};

/* What may be committed for a partition: everything before `offset` is durable in every sink. */
struct source_commit {
    const char *topic;
    int32_t number;
    int64_t offset;
    uint64_t clock; /* at `offset` */
};

/* One partition's place in its log, for `lag`. -1 = unknown. */
struct source_marks {
    int64_t low, high;
};

struct source;

struct source_ops {
    const char *name;

    /* The port of shard `shard`; called once for each shard, before the shards run. `env` is that
     * shard's. */
    struct source_port *(*port)(struct source *source, unsigned shard, struct env *env,
                                struct task_partitions *names);

    /* Control thread, again and again: does what is due (joins, heartbeats, rebalances) within
     * about timeout_ms. 0, or -1 with *err where the source is broken for good. Passing trouble is
     * logged, not returned. */
    int (*service)(struct source *source, unsigned timeout_ms, struct err *err);

    /* Control thread. 0 when the commit is known to be stored (wait) or was handed over (not wait);
     * -1 with *err. With `wait` all that were handed over before are answered too (uncommitted()
     * told of those that failed), so n may be 0. A source without commits returns 0. */
    int (*commit)(struct source *source, const struct source_commit *commits, unsigned n, bool wait,
                  struct err *err);

    /* Control thread: the ends of a partition's log as last heard. False: not known. */
    bool (*marks)(struct source *source, const char *topic, int32_t number,
                  struct source_marks *marks);

    /* False until the servers were reached once: for the 69 of --until-end --wait. `why` is one
     * line for people. */
    bool (*reached)(struct source *source, char *why, size_t why_bytes);

    /* Control thread, after the last commit: leaves the group, frees everything. Ports are not
     * polled any more. */
    void (*close)(struct source *source);
};

struct source {
    const struct source_ops *ops;
    uint64_t session_us; /* a member that is silent for so long loses its partitions; 0: never */
};

#endif
