/*
 * pipeline.h: one task on one shard, from the source's port to the sinks' ports.
 *
 *     intake ──frames──► (to the key's shard) ──► merge ⇄ store ──► pending ──► outlets:
 *                                                   ▲                 │         batch, submit, reap
 *                                                   │                 │ holds -> watermark
 *                                                hydrator ◄───────────┘ states to be read back
 *
 * pipeline_step() is that picture as calls. All of it belongs to the shard's thread; control speaks
 * through shard_post() (shard.h) and reads counters and, by a store_reader, documents.
 */
#ifndef WEIR_PIPELINE_H
#define WEIR_PIPELINE_H

#include "dataplane/base/arena.h"
#include "dataplane/base/counter.h"
#include "dataplane/base/histogram.h"
#include "dataplane/base/log.h"
#include "dataplane/base/slab.h"
#include "dataplane/columns.h"
#include "dataplane/decode.h"
#include "dataplane/fence.h"
#include "dataplane/pending.h"
#include "dataplane/sink.h"

#include <ck_ring.h>

#ifndef FRAMES   /* tests build with fewer */
#define FRAMES 8 /* that a pipeline fills at once: the credit that its source has */
#endif
#define LOOKUPS_MAX   4  /* of one sink under way: one that hangs takes no other's */
#define FLIGHTS_MAX   16 /* batches of one sink under way */
#define CLOCK_HISTORY 16

struct counters {
#define COUNTER(field, metric, labels, help) uint64_t field;
#include "dataplane/counters.def"
#undef COUNTER
};

/* What happened to changes, a mapped table; to documents, a sink. */
struct table_counters {
    uint64_t applied, stale, dead;
};
struct outlet_counters {
    uint64_t written, stale, retried, dead, batches, bytes, in_flight, failures;
};

/* A sink as a pipeline uses it. */
struct outlet_options {
    const char *name;
    struct sink_port *port;
    struct sink_limits limits;
    uint64_t linger_us;
};

struct pipeline_options {
    const char *task;
    const struct plan *plan;
    const struct decoder_ops *format;
    struct slice seqno_field;
    uint64_t skew_max_us;
    size_t event_bytes_max;
    size_t store_bytes;
    uint32_t pending_max;
    unsigned shard, n_shards;
    bool by_key; /* partitioned_by_key: rows of a partition stay on its shard */
    int hydrate; /* index of the outlet that states are read back from, -1: proved unneeded */
    unsigned n_outlets;
    struct outlet_options outlets[SINKS_MAX];
    struct source_port *source;
    struct dead_letters *letters;
    struct task_partitions *partitions;
    const uint32_t
        *epochs; /* [PARTITIONS_MAX], control's: the assignment that each slot is under now */
    const uint32_t *epoch; /* control's: how many assignments there were */
    const bool *knows_all; /* control's: R3's shortcut holds (this run created every index empty,
                              has all) */
    const struct fence *fence; /* control's: whether the partitions are known to be ours; NULL: they
                                  always are */
    struct env *env;
};

/* ---- parts, each owned by one .c file ---- */

/* A partition that this shard reads: intake.c. */
struct reading {
    bool attached;
    uint32_t epoch;
    struct clock clock;
    int64_t done_offset;  /* everything before it is merged (or rejected) on every shard */
    uint64_t done_clock;  /* the clock there */
    int64_t read_offset;  /* everything before it was polled */
    int64_t first_offset; /* for logs that step back: where it began, with which clock */
    uint64_t first_clock;
    struct {
        int64_t offset;
        uint64_t clock;
    } history[CLOCK_HISTORY];
    unsigned n_history;
};

struct intake {
    struct decoder *decoder;
    struct frame *frames, *free_frames, *oldest,
        *newest; /* oldest..newest: dispatched, not released */
    struct frame *filling;
    struct record polled[FRAME_CHANGES_MAX];
    uint64_t polled_us;
    uint32_t polled_epoch[FRAME_CHANGES_MAX];
    unsigned n_polled, next_polled;
    bool decoding;          /* the job's message has rows left */
    struct frame_record at; /* the record that the job is about */
    struct decode_job job;
    struct clock clock; /* of the partition that the job's record is of, until the record is done */
    bool decoded;       /* the job's record moved it */
    struct reading *readings; /* [PARTITIONS_MAX] */
    struct log_limit log_ddl, log_reject, log_clamp;
};

/* Frames from one shard, on their way into the store: apply.c. */
struct inbox {
    ck_ring_t ring;
    ck_ring_buffer_t *buffer;
    struct frame *frame; /* being merged */
    unsigned at;         /* how far */
};

struct hydrator {
    struct {
        struct pending *head, *tail; /* queued */
        uint64_t retry_us;           /* the sink did not answer: not before this */
        bool wants_room;             /* or until then there is room for what it answers */
        unsigned attempts;
        unsigned n_asked;     /* lookups under way */
        uint64_t state_bytes; /* of a state that was read back, about */
    } queues[SINKS_MAX];
    uint64_t waiting_bytes;      /* of the values of documents that wait for a state, about */
    struct sink_lookup *landing; /* an answer that is being merged: the store was full */
    uint32_t landing_at;
    struct {
        struct sink_lookup *lookup;
        struct pending **pendings;
        uint32_t n, epoch;
        unsigned sink;
    } asked[SINKS_MAX * LOOKUPS_MAX]; /* LOOKUPS_MAX a sink */
    struct log_limit log_down, log_broken;
};

struct flight {
    struct sink_batch *batch;
    struct pending **pendings;
    uint32_t n;
};

struct outlet {
    const char *name;
    struct sink_port *port;
    struct sink_limits limits;
    uint64_t linger_us;
    uint64_t failing_since_us; /* counter: since when it takes nothing at all; 0: it does */
    uint64_t resume_us;        /* the sink as a whole failed: not before this */
    uint64_t wake_us;          /* when the next delayed document is due; 0: none */
    bool fenced;               /* nothing may be sent now (fence.h) */
    unsigned attempts;
    unsigned n_flying;
    struct flight flights[FLIGHTS_MAX];
    struct outlet_counters counters;
    struct histogram queued;       /* documents: ready -> sent */
    struct histogram acknowledged; /* documents: sent -> acknowledged */
    struct histogram age;          /* documents: changed in the database -> acknowledged */
    struct log_limit log_retry, log_dead;
};

struct pipeline {
    struct pipeline_options options;
    struct store *store;
    struct watermark *watermark;
    struct pendings *pendings;
    struct intake intake;
    struct inbox *inboxes;   /* [n_shards], by the shard that fills */
    struct pipeline **peers; /* [n_shards], the same task on the others */
    struct hydrator hydrator;
    struct outlet outlets[SINKS_MAX];
    struct counters counters;
    struct histogram merged;       /* events: polled -> merged on every shard */
    struct table_counters *tables; /* [n_tables] */
    struct buf scratch;
    bool paused, flushing; /* told by control */
    bool stalled;          /* merging waits for room */
    uint64_t stalled_since_us;
    uint64_t full_since_us;   /* since when there was no room for any change; 0: there was */
    uint16_t sweep_partition; /* being swept out of the store, PARTITION_NONE: none */
    size_t sweep_place;
    struct log_limit log_full, log_two_partitions, log_late;
    uint64_t source_ended; /* atomic: 1 when the source's port has nothing more, ever */
    uint64_t quiet;        /* atomic: 1 while no frame of ours is on its way anywhere */
    uint64_t n_pending;    /* counter */
    int failed;            /* atomic: 1 once `failure` says why the task must end */
    struct err failure;
};

/* Start-up only: reserves everything. The peers are joined with pipeline_join() before the first
 * step. */
struct pipeline *pipeline_open(const struct pipeline_options *options);
void pipeline_join(struct pipeline *pipeline, struct pipeline **peers);

/* One turn: does what can be done now without waiting; returns how much that was (0: idle). */
unsigned pipeline_step(struct pipeline *pipeline, uint64_t now_us);

/* When something is due that nobody will wake us for (linger, retry), in monotonic microseconds; 0:
 * nothing is. */
uint64_t pipeline_due_us(const struct pipeline *pipeline);

/* The task can't go on (a dead letter could not be kept, the source broke, ...): remembers the
 * first reason; intake stops. Control sees `failed`. */
void pipeline_fail(struct pipeline *pipeline, const struct err *err);

/* ---- what the parts call of each other ---- */

unsigned intake_step(struct pipeline *pipeline, uint64_t now_us);
unsigned intake_release(struct pipeline *pipeline, uint64_t now_us);
void intake_open(struct pipeline *pipeline);
void intake_attach(struct pipeline *pipeline, uint16_t partition, int64_t offset, uint64_t clock,
                   void *handle);
void intake_detach(struct pipeline *pipeline, uint16_t partition);
bool intake_idle(const struct pipeline *pipeline);

unsigned apply_step(struct pipeline *pipeline, uint64_t now_us);
/* A document that must come by one partition came by two (R7): counted, and said. */
void apply_two_partitions(struct pipeline *pipeline, struct slice key, int32_t was, int32_t is,
                          uint64_t now_us);

/* Rows that were changed longer before their document's newest change than tombstones are kept: if
 * they were deleted since, that may be forgotten (R6). Counted, and said. */
void apply_late(struct pipeline *pipeline, struct slice key, unsigned n, uint64_t now_us);

void hydrator_open(struct pipeline *pipeline);
void hydrator_want(struct pipeline *pipeline, unsigned sink, struct pending *pending);
void hydrator_want_all(struct pipeline *pipeline, struct pending *pending, uint32_t epoch);
/* The document has changed while it waits for a state, or begins or ends to wait. */
void hydrator_weigh(struct pipeline *pipeline, struct pending *pending);
/* As much waits for states as may: the rest of the store is for the states. */
bool hydrator_is_full(const struct pipeline *pipeline);
unsigned hydrator_step(struct pipeline *pipeline, uint64_t now_us);

void outlet_open(struct pipeline *pipeline, unsigned sink);
unsigned outlet_flush(struct pipeline *pipeline, unsigned sink, uint64_t now_us);
void outlet_fails(struct outlet *outlet, uint64_t now_us); /* it took nothing, or gave no answer */
unsigned outlet_reap(struct pipeline *pipeline, unsigned sink, uint64_t now_us);

/* Every sink has acknowledged the document: its old tombstones need not be kept any more. */
void pipeline_rested(struct pipeline *pipeline, struct entity *entity);

/* Buries what cannot be kept otherwise: a letter about a document (its JSON is the payload) or an
 * event. False: the letter could not be written and the pipeline failed. */
bool pipeline_bury(struct pipeline *pipeline, const struct pending *pending, enum reason reason,
                   struct slice detail, const char *sink);
bool pipeline_letter(struct pipeline *pipeline, struct dead_letter *letter);

/* 100 ms doubling up to 10 s, the upper half of it at random. */
uint64_t backoff_us(struct env *env, unsigned attempts);

#endif
