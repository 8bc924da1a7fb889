/*
 * pending.h: documents that some sink does not have yet, and where each stands on its way there.
 *
 *                         change ─► merged
 *                                     │ state must be read back first (R3, R4)
 *          ┌── WAITING ◄──────────────┤
 *          └─► hydrated ─► READY ─► FLYING ─► acknowledged ─► REST
 *                            ▲         │                      (record freed when all sinks rest)
 *                            └ DELAYED ┘ retry
 *
 * A document is pending for a sink iff its version is greater than the one that the sink has
 * acknowledged (R5), or its state is still to be read back. One write per document and sink is
 * under way; changes that come meanwhile coalesce and go with the next. While a document is pending
 * its entity stays in the store.
 *
 * One shard's thread owns it all. The pool is a static limit: when it is empty, merging stops
 * (pendings_room()).
 */
#ifndef WEIR_PENDING_H
#define WEIR_PENDING_H

#include "dataplane/store.h"
#include "dataplane/watermark.h"

#define SINKS_MAX 8

enum pending_state {
    PENDING_REST,
    PENDING_WAITING,
    PENDING_READY,
    PENDING_FLYING,
    PENDING_DELAYED
};
enum hydrate_state { HYDRATE_NOT, HYDRATE_QUEUED, HYDRATE_ASKED };

struct pending_sink {
    /* Read by pendings_look(), so written by pending_set_*() alone. */
    uint64_t acked;  /* the greatest version that the sink is known to hold */
    uint8_t hydrate; /* enum hydrate_state: of this sink's state */
    uint8_t state;   /* enum pending_state */
    /* The shard's own. */
    uint8_t attempts;
    bool ask_again;            /* a conflict came after it was asked: the answer may be too old */
    uint64_t flying;           /* the version under way; 0: none */
    struct hold *holds;        /* offsets that wait for the next write */
    struct hold *flying_holds; /* offsets that the write under way covers */
    uint64_t refused;          /* the version that the sink called stale; 0: none */
    struct pending *hydrate_next; /* QUEUED: in the sink's queue of states to read back */
    struct pending *prev, *next;  /* in the sink's ready or delayed list */
    uint64_t source_us;        /* when the database made the oldest change that waits; 0: unknown */
    uint64_t flying_source_us; /* the same of the write under way */
    uint64_t since_us;         /* READY, FLYING: since when; DELAYED: until when */
};

struct pending {
    struct entity *entity; /* read by pendings_look() */
    uint32_t epoch;  /* the newest assignment that a change of it came under: what a read-back must
                        reach (R4) */
    uint32_t wanted; /* the epoch that all sinks' states were asked for: the entity's once they are
                        there */
    uint32_t waiting_bytes; /* the hydrator's: what it counts while a state is to be read back */
    bool abandoned; /* its partition was taken away: without holds of others it is not written any
                       more */
    struct pending_sink sinks[];
};

static inline void pending_set_acked(struct pending_sink *at, uint64_t version)
{
    __atomic_store_n(&at->acked, version, __ATOMIC_RELEASE);
}

static inline void pending_set_hydrate(struct pending_sink *at, enum hydrate_state hydrate)
{
    __atomic_store_n(&at->hydrate, (uint8_t)hydrate, __ATOMIC_RELEASE);
}

struct pendings;

/* Start-up only. `hydrate`: the sink whose state any write waits for, -1: none. */
struct pendings *pendings_open(unsigned n_sinks, int hydrate, uint32_t pending_max,
                               struct watermark *watermark);

/* Is there room for one more change, whatever it is? */
bool pendings_room(const struct pendings *pendings);

/* The entity's record, made now if it has none: every sink is taken to hold version `acked`. */
struct pending *pendings_take(struct pendings *pendings, struct entity *entity, uint64_t acked);

/* A change of this entity was merged (or was stale): its offset is held where it must be, and what
 * is now behind becomes READY at `now_us`. `held` false: the change's partition is no longer ours,
 * there is nothing to hold. */
void pendings_touch(struct pendings *pendings, struct pending *pending, const struct change *change,
                    uint64_t now_us, bool held);

/* This sink's state is to be read back before the next write to it (and, of the hydrate sink,
 * before any write): READY and DELAYED become WAITING. */
void pendings_want_state(struct pendings *pendings, unsigned sink, struct pending *pending);

/* The sink holds a version as new or newer; whether that is our state is still to be seen. FLYING
 * -> WAITING, when it is read back. */
void pendings_stale(struct pendings *pendings, unsigned sink, struct pending *pending);

/* Looks at every sink again (after hydration, or when `acked` was raised): what is behind becomes
 * READY, the rest lets its holds go; a record that is needed no more is freed (true). */
bool pendings_settle(struct pendings *pendings, struct pending *pending, uint64_t now_us);

/* The sink's READY documents, oldest first; NULL: none. */
struct pending *pendings_ready(const struct pendings *pendings, unsigned sink);

/* How many are READY, about how many bytes they make, and since when the oldest is (0: none). */
struct pending_load {
    uint32_t ready;
    uint64_t bytes;
    uint64_t since_us;
};
struct pending_load pendings_load(const struct pendings *pendings, unsigned sink);

/* READY -> FLYING, with the entity's version of now; returns how long it was READY, in
 * microseconds. */
uint64_t pendings_fly(struct pendings *pendings, unsigned sink, struct pending *pending,
                      uint64_t now_us);

/* The write under way was acknowledged, or can never succeed and was buried: FLYING -> settled. */
void pendings_landed(struct pendings *pendings, unsigned sink, struct pending *pending,
                     uint64_t now_us);

/* The write failed and is to be tried again: at once and first in line (delay_us 0: the sink as a
 * whole waits), or when `delay_us` has passed. */
void pendings_retry(struct pendings *pendings, unsigned sink, struct pending *pending,
                    uint64_t now_us, uint64_t delay_us);

/* Moves what was delayed long enough back to READY. The next time that this is due, 0: never. */
uint64_t pendings_wake(struct pendings *pendings, unsigned sink, uint64_t now_us);

/* A partition was taken away: whoever has it now reads from the committed offset, so what it holds
 * here is let go, and documents that wait for nothing else are not written any more: a write that
 * went out long after the partition was lost could bring back a document that was deleted, and
 * forgotten, in between. What the sinks have of them is unknown from then on (the entity's epoch is
 * 0). */
void pendings_forget(struct pendings *pendings, uint16_t partition, uint64_t now_us);

/* A document that can't be hydrated: its holds are let go and it counts as done everywhere; frees
 * the record. No write of it may be under way. */
void pendings_bury(struct pendings *pendings, struct pending *pending);

/* Records in use. */
uint32_t pendings_count(const struct pendings *pendings);

/* How many of them this sink does not have yet. */
uint32_t pendings_behind(const struct pendings *pendings, unsigned sink);

/* What each sink holds of a document, as it was a moment ago. */
struct pending_look {
    bool reading_back;
    uint64_t acked[SINKS_MAX];
    uint8_t state[SINKS_MAX]; /* enum pending_state */
};

/* Any thread, between store_read_begin() and store_read_end(), which gave the entity. False: it has
 * no record (every sink has its version), or it lost it while we looked. */
bool pendings_look(const struct entity *entity, unsigned n_sinks, struct pending_look *look);

#endif
