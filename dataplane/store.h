/*
 * store.h: the documents' states of one task on one shard: one writer, any number of readers that
 * never wait.
 *
 *     bucket ─► entity ─► entity ─┬► row set ─► [ row | row | row ]  in row order, immutable blocks
 *                                 └► pending (while a sink is behind)
 *
 * The shard's thread alone writes. A row is replaced by one release store of its pointer, a row set
 * or an entity likewise; what was replaced is freed when no reader can still see it (epochs: Fraser
 * 2004, by Concurrency Kit). All memory is one slab, reserved at start, and bounded: what every
 * sink has may be evicted (store_evict()) and is read back when it is needed again. Where nothing
 * can be, store_apply() says that it is full and the source is paused.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include "dataplane/document.h"
#include "dataplane/merge.h"

struct pending; /* pending.h */

struct row_set {
    uint32_t n;
    struct row *rows[];
};

struct entity {
    struct entity *next;     /* in its bucket */
    struct row_set *rows;    /* NULL: no row yet */
    struct pending *pending; /* NULL: every sink has acknowledged `version` */
    uint64_t hash;
    uint64_t version; /* R2, kept incremental */
    uint64_t residual;
    uint32_t epoch;       /* of the assignment when its state was last read back (R4); 0: never */
    uint32_t value_bytes; /* about what its document will take */
    uint16_t partition;   /* slot of the last change */
    uint16_t key_len;
    uint8_t touched;     /* since store_evict() passed it last */
    bool has_tombstones; /* rows that store_fold() may once drop; true may be stale */
    char key[];
};

struct store;

/* Start-up only: everything within `bytes`. */
struct store *store_open(const struct plan *plan, size_t bytes);

/* Start-up only: the bits of the sinks that are sent what they lack (sink.h, `deltas`). Rows note
 * it for them alone; unless told, for all. */
void store_track(struct store *store, uint8_t sinks);

/* Shard's thread. The entity of that key; NULL: not known. */
struct entity *store_find(struct store *store, uint64_t hash, struct slice key);

/* Shard's thread: asks the cache for what store_find(hash) will touch: the bucket, then (a little
 * later) the entity. */
void store_prefetch_bucket(const struct store *store, uint64_t hash);
void store_prefetch_entity(const struct store *store, uint64_t hash);

/* Shard's thread. Adds an entity that is not known; NULL where the store is full. */
MUST_CHECK struct entity *store_add(struct store *store, uint64_t hash, struct slice key);

/* Shard's thread. Joins a change into the entity's state and keeps the version. `holder`: the bit
 * of the sink that the change was read back from (that sink lacks nothing of it), 0: the log. */
MUST_CHECK enum merge_verdict store_apply(struct store *store, struct entity *entity,
                                          const struct change *change, uint8_t holder);

/* Shard's thread. The write of the document to the sink of that bit carries the rows that it
 * lacks; then it has landed (they are there, unless they were replaced meanwhile), or not. Only for
 * sinks that are sent what they lack (sink.h, `deltas`). */
void store_fly(struct entity *entity, uint8_t sink);
void store_landed(struct entity *entity, uint8_t sink, bool written);

/*
 * Shard's thread. Joins a state that was read back from the sink of the bit `holder`, whole or not
 * at all: the version is never lower than before, and greater where the entity now has a row, or a
 * newer one, that it lacked. Joining the same state again changes nothing. What was purged on
 * either side is counted once (document_purge.c). Adds to *late the rows that are back, or stay,
 * though the other side may have purged their tombstones.
 *
 * MERGE_UPDATE: joined. MERGE_FULL: no room now. MERGE_REJECT: the version would pass VERSION_MAX.
 */
MUST_CHECK enum merge_verdict store_join(struct store *store, struct entity *entity,
                                         const struct document_state *state, uint8_t holder,
                                         unsigned *late);

/* Shard's thread. Drops the tombstones that are behind the document's horizon; their terms go to
 * the residual, the version stays. Only while every sink has acknowledged the version, as they may
 * then be read back without them. Does nothing where the store is full: the next time will do. */
void store_fold(struct store *store, struct entity *entity);

/* Shard's thread. Forgets an entity that has nothing pending. One without rows is not missed:
 * nothing was known of it (store_is_whole(), store_is_stuck() and evictions do not count it). */
void store_drop(struct store *store, struct entity *entity);

/* Shard's thread: drops up to a bounded number of entities that came last by `partition` and have
 * nothing pending; true when the whole store was looked through. Call it a step at a time, *place
 * starts at 0. */
bool store_sweep(struct store *store, uint16_t partition, size_t *place);

/* Shard's thread: may a change from the log be merged now? False: what room is left is for states
 * that are read back, so that documents which wait for theirs can be written, and then evicted. */
bool store_has_room(const struct store *store);

/* Shard's thread, once a step: where room runs short, drops entities that have nothing pending,
 * least used first; looks at a bounded number and adds what it dropped to *evicted. True: it is
 * still at it, so do not sleep. */
bool store_evict(struct store *store, uint64_t *evicted);

/* Shard's thread: did store_evict() look through all of the store in vain? Everything is pending.
 */
bool store_is_stuck(const struct store *store);

/* Shard's thread: was nothing dropped so far, for whatever reason? False, for ever: that an entity
 * is not here says nothing about the sinks (R3). */
bool store_is_whole(const struct store *store);

/* Shard's thread, once a step: frees what no reader can see any more. */
void store_reclaim(struct store *store);

/* A look at an entity by the shard's own thread; valid until the next store_apply(). */
struct document store_document(const struct entity *entity);

static inline struct slice entity_key(const struct entity *entity)
{
    return (struct slice){ entity->key, entity->key_len };
}

/* Readers: any thread, one at a time each; opened at start. Between begin and end the document's
 * rows stay as they are found, though each row may be newer than the one before it: what is seen is
 * a state that the writer passed through row by row. *entity is for its plain numbers only. False:
 * the key is not in the store (no end then). */
struct store_reader;
struct store_reader *store_reader_open(struct store *store);
MUST_CHECK bool store_read_begin(struct store_reader *reader, struct slice key,
                                 struct document *document, const struct entity **entity);
void store_read_end(struct store_reader *reader);

struct store_facts {
    uint64_t entities;
    uint64_t used_bytes, bound_bytes;
};
/* Any thread; numbers of about now. */
struct store_facts store_facts(const struct store *store);

#endif
