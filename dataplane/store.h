/*
 * store.h: the documents' states of one task on one shard: one writer, any number of readers that
 * never wait.
 *
 *     bucket ─► entity ─► entity        entity ─► row set ─► [ row | row | row ]   in row order,
 * immutable blocks └► pending (while a sink is behind)
 *
 * The shard's thread alone writes. A row is replaced by one release store of its pointer, a row set
 * or an entity likewise; what was replaced is freed when no reader can still see it (epochs: Fraser
 * 2004, by Concurrency Kit). All memory is one slab, reserved at start; when it is full,
 * store_apply() says so and the source is paused.
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
    char key[];
};

struct store;

/* Start-up only: everything within `bytes`. */
struct store *store_open(const struct plan *plan, size_t bytes);

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

/* Shard's thread. The terms of purged tombstones that a state which was read back brings along
 * (R2). False: the version would pass VERSION_MAX; nothing was changed. */
MUST_CHECK bool store_join_residual(struct entity *entity, uint64_t residual);

/* Shard's thread. Forgets an entity that has nothing pending. */
void store_drop(struct store *store, struct entity *entity);

/* Shard's thread: drops up to a bounded number of entities that came last by `partition` and have
 * nothing pending; true when the whole store was looked through. Call it a step at a time, *place
 * starts at 0. */
bool store_sweep(struct store *store, uint16_t partition, size_t *place);

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
