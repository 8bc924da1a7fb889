/*
 * store.c: see store.h.
 *
 * A bucket is a pointer to a chain of entities; there are as many buckets, fixed at start, as
 * entities of 512 bytes would fill the store, so chains are short and nothing is ever rehashed
 * under a reader.
 *
 *     replace a row    new block -> release store into its slot of the row set -> old one to limbo
 *     add a row        new set, the slots copied -> release store into entity->rows -> old to limbo
 *     drop an entity   unlink by a release store -> entity, set and rows to limbo
 *
 * The limbo: blocks wait in bags of 61. A full bag is handed to ck_epoch_call() and comes back,
 * when every reader that was inside has left, to give its blocks to the slab. So a freed block
 * costs 8 bytes while it waits and no header while it lives. When the bags run out the writer waits
 * for the readers (they hold no section across a system call, so that is microseconds).
 *
 * Eviction is CLOCK: a hand goes round the buckets while more than 13/16 of the slab is live; an
 * entity that was touched since it passed loses its mark, another one without anything pending is
 * dropped. That leaves holes of all classes everywhere, which later rows of like sizes fill, but no
 * span empty. So where empty spans run short (SPARE_PART of the slab), or a large block finds no
 * run, the slab picks spans to be emptied, and one pass over all buckets drops what lies there:
 * about as much as was picked. Where that was in vain, because pending entities lie everywhere, it
 * is tried again only when the need is urgent, and then with twice as much each time.
 *
 * Below half of the spare nothing from the log is merged: the rest is for states that are read
 * back. So what waits for its state can be completed one by one, be written, and be evicted.
 *
 * Invariants: entity->version == residual + sum of row_term() over its rows; rows are sorted and
 * unique by (table, row id); a failed store_apply() has changed nothing.
 */
#include "dataplane/store.h"

#include "dataplane/base/counter.h"
#include "dataplane/base/memory.h"
#include "dataplane/base/slab.h"
#include "dataplane/store_inside.h"

#include <ck_epoch.h>

#define BYTES_PER_BUCKET  512
#define SWEEP_BUCKETS     1024
#define BAG_BLOCKS        61
#define BAGS              4096
#define READ_ROWS_MAX     (1u << 20)
#define EVICT_BUCKETS     2048 /* looked at a call */
#define SPARE_PART        32
#define SPAN_BYTES        ((size_t)65536)
#define SPARE_BYTES_LEAST (16 * SPAN_BYTES) /* an eighth in a small store */

struct bag {
    ck_epoch_entry_t entry;
    struct store *store;
    uint32_t n;
    void *blocks[BAG_BLOCKS];
};

struct store {
    const struct plan *plan;
    struct slab *slab;
    struct merge *merge;
    struct entity **buckets;
    size_t bucket_mask;
    uint8_t tracked;               /* sinks whose bits rows have in `unsent` */
    uint64_t entities, used_bytes; /* counters */
    struct bag *bag;               /* being filled, NULL: none */
    struct pool bags;
    unsigned bags_out;
    size_t limbo_bytes; /* of the blocks in bags */
    struct eviction {
        size_t hand, pass; /* buckets */
        bool passing;      /* a pass over picked spans is under way */
        size_t
            pick_bytes; /* of the one under way; or twice the last one's, if that gave too little */
        bool refused;   /* there was no block, and nothing was dropped since */
        bool vain;      /* the last pass emptied little: pending entities are everywhere */
        size_t fruitless; /* buckets looked at since something was dropped */
        bool dropped_any;
    } eviction;
    ck_epoch_t epoch;
    ck_epoch_record_t writer;
};

struct store_reader {
    struct store *store;
    ck_epoch_record_t record;
    ck_epoch_section_t section;
    struct row **rows;
};

static size_t power_of_two(size_t least)
{
    size_t n = 1024;
    while (n < least)
        n *= 2;
    return n;
}

struct store *store_open(const struct plan *plan, size_t bytes)
{
    struct store *store = memory_reserve(sizeof(*store), "store");
    size_t buckets = power_of_two(bytes / BYTES_PER_BUCKET);
    store->plan = plan;
    store->slab = slab_open(bytes, "store");
    store->merge = merge_open(plan->images);
    store->buckets = memory_reserve(buckets * sizeof(*store->buckets), "store buckets");
    store->bucket_mask = buckets - 1;
    store->tracked = UINT8_MAX;
    pool_open(&store->bags, sizeof(struct bag), BAGS, "store limbo");
    ck_epoch_init(&store->epoch);
    ck_epoch_register(&store->epoch, &store->writer, NULL);
    return store;
}

void store_track(struct store *store, uint8_t sinks)
{
    store->tracked = sinks;
}

/* ---- the limbo ---- */

static void bag_free(ck_epoch_entry_t *entry)
{
    struct bag *bag = (struct bag *)entry; /* entry is its first member */
    struct store *store = bag->store;
    for (uint32_t i = 0; i < bag->n; i++) {
        store->limbo_bytes -= slab_block_bytes(store->slab, bag->blocks[i]);
        slab_give(store->slab, bag->blocks[i]);
    }
    pool_give(&store->bags, bag);
    store->bags_out--;
}

static void bag_hand_over(struct store *store)
{
    if (store->bag == NULL)
        return;
    ck_epoch_call(&store->writer, &store->bag->entry, bag_free);
    store->bags_out++;
    store->bag = NULL;
}

static void retire(struct store *store, void *block)
{
    if (block == NULL)
        return;
    if (store->bag == NULL) {
        store->bag = pool_take(&store->bags);
        if (store->bag == NULL) {
            ck_epoch_barrier(&store->writer);
            store->bag = pool_take(&store->bags);
            ASSERT(store->bag != NULL);
        }
        store->bag->store = store;
        store->bag->n = 0;
    }
    store->bag->blocks[store->bag->n++] = block;
    store->limbo_bytes += slab_block_bytes(store->slab, block);
    if (store->bag->n == BAG_BLOCKS)
        bag_hand_over(store);
}

void store_reclaim(struct store *store)
{
    bag_hand_over(store);
    if (store->bags_out > 0)
        (void)ck_epoch_poll(&store->writer);
    counter_set(&store->used_bytes, slab_used_bytes(store->slab));
}

/* ---- what store_join.c uses ---- */

const struct plan *store_plan(const struct store *store)
{
    return store->plan;
}

void *store_take(struct store *store, size_t bytes)
{
    void *block = slab_take(store->slab, bytes);
    if (block == NULL)
        store->eviction.refused = true;
    return block;
}

void store_give(struct store *store, void *block)
{
    slab_give(store->slab, block);
}

void store_retire(struct store *store, void *block)
{
    retire(store, block);
}

/* ---- entities ---- */

static struct entity **bucket_of(const struct store *store, uint64_t hash)
{
    return &store->buckets[hash & store->bucket_mask];
}

static bool entity_is(const struct entity *entity, uint64_t hash, struct slice key)
{
    return entity->hash == hash && slice_equal(entity_key(entity), key);
}

struct entity *store_find(struct store *store, uint64_t hash, struct slice key)
{
    struct entity *entity = *bucket_of(store, hash);
    while (entity != NULL && !entity_is(entity, hash, key))
        entity = entity->next;
    return entity;
}

void store_prefetch_bucket(const struct store *store, uint64_t hash)
{
    __builtin_prefetch(bucket_of(store, hash));
}

void store_prefetch_entity(const struct store *store, uint64_t hash)
{
    const struct entity *entity = *bucket_of(store, hash);
    if (entity != NULL)
        __builtin_prefetch(entity);
}

struct entity *store_add(struct store *store, uint64_t hash, struct slice key)
{
    ASSERT(key.len > 0 && key.len <= KEY_BYTES_MAX);
    struct entity *entity = store_take(store, sizeof(*entity) + key.len);
    if (entity == NULL)
        return NULL;
    struct entity **bucket = bucket_of(store, hash);
    *entity = (struct entity){
        .next = *bucket, .hash = hash, .key_len = (uint16_t)key.len, .partition = UINT16_MAX
    };
    memcpy(entity->key, key.data, key.len);
    __atomic_store_n(bucket, entity, __ATOMIC_RELEASE);
    counter_add(&store->entities, 1);
    return entity;
}

void store_drop(struct store *store, struct entity *entity)
{
    /* Without rows it is what a change left that found no room: dropping it makes none either. */
    bool knew_rows = entity->rows != NULL;
    ASSERT(entity->pending == NULL);
    struct entity **link = bucket_of(store, entity->hash);
    while (*link != entity) {
        ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    __atomic_store_n(link, entity->next, __ATOMIC_RELEASE);
    if (entity->rows != NULL)
        for (uint32_t i = 0; i < entity->rows->n; i++)
            retire(store, entity->rows->rows[i]);
    retire(store, entity->rows);
    retire(store, entity);
    counter_add(&store->entities, (uint64_t)-1);
    if (knew_rows) {
        store->eviction.dropped_any = true;
        store->eviction.fruitless = 0;
        store->eviction.refused = false;
    }
}

bool store_sweep(struct store *store, uint16_t partition, size_t *place)
{
    size_t end = *place + SWEEP_BUCKETS;
    for (; *place < end && *place <= store->bucket_mask; (*place)++) {
        struct entity *next, *entity = store->buckets[*place];
        for (; entity != NULL; entity = next) {
            next = entity->next;
            if (entity->partition == partition && entity->pending == NULL)
                store_drop(store, entity);
        }
    }
    return *place > store->bucket_mask;
}

/* ---- eviction ---- */

static size_t spare_bytes(const struct store *store)
{
    size_t bound = slab_bound_bytes(store->slab);
    size_t least = bound / 8 < SPARE_BYTES_LEAST ? bound / 8 : SPARE_BYTES_LEAST;
    return bound / SPARE_PART > least ? bound / SPARE_PART : least;
}

static size_t free_bytes(const struct store *store)
{
    return slab_bound_bytes(store->slab) - slab_used_bytes(store->slab);
}

bool store_has_room(const struct store *store)
{
    return free_bytes(store) >= spare_bytes(store) / 2;
}

bool store_is_whole(const struct store *store)
{
    return !store->eviction.dropped_any;
}

bool store_is_stuck(const struct store *store)
{
    return store->eviction.fruitless > 2 * (store->bucket_mask + 1) + EVICT_BUCKETS;
}

static bool is_crowded(const struct store *store)
{
    size_t bound = slab_bound_bytes(store->slab);
    return slab_live_bytes(store->slab) - store->limbo_bytes > bound / 16 * 13;
}

static unsigned pass_by(struct store *store, struct entity *entity)
{
    if (entity->pending != NULL)
        return 0;
    if (entity->touched) {
        entity->touched = 0;
        return 0;
    }
    unsigned dropped = entity->rows != NULL;
    store_drop(store, entity);
    return dropped;
}

static unsigned turn_hand(struct store *store)
{
    struct eviction *eviction = &store->eviction;
    unsigned dropped = 0;
    for (unsigned n = 0; n < EVICT_BUCKETS && is_crowded(store); n++) {
        struct entity *next, *entity = store->buckets[eviction->hand];
        eviction->fruitless++;
        for (; entity != NULL; entity = next) {
            next = entity->next;
            dropped += pass_by(store, entity);
        }
        eviction->hand = (eviction->hand + 1) & store->bucket_mask;
    }
    return dropped;
}

static bool lies_in_picked(const struct store *store, const struct entity *entity)
{
    const struct row_set *set = entity->rows;
    if (slab_drains(store->slab, entity) || (set != NULL && slab_drains(store->slab, set)))
        return true;
    for (uint32_t i = 0; set != NULL && i < set->n; i++)
        if (slab_drains(store->slab, set->rows[i]))
            return true;
    return false;
}

/* Spans are to be emptied, if they run short. */
static void begin_pass(struct store *store)
{
    struct eviction *eviction = &store->eviction;
    size_t spare = spare_bytes(store), free = free_bytes(store);
    bool missing = slab_missing_bytes(store->slab) > 0;
    /* A state of many rows, say; or of several large ones: one run more was made for it in each
     * pass, and all of them are wanted at once. */
    bool lacks = store->eviction.refused && (!missing || store_is_stuck(store));
    bool urgent = free < spare / 2 || missing || lacks;
    if (free >= spare)
        eviction->vain = false;
    if (!urgent && (free >= spare || eviction->vain))
        return;
    if ((free < spare || lacks) && (!urgent || eviction->pick_bytes < spare))
        eviction->pick_bytes = spare;
    if (eviction->pick_bytes > slab_bound_bytes(store->slab))
        eviction->pick_bytes = slab_bound_bytes(store->slab);
    slab_drain(store->slab, eviction->pick_bytes);
    eviction->passing = true;
    eviction->pass = 0;
}

static void end_pass(struct store *store)
{
    bag_hand_over(store);
    ck_epoch_barrier(&store->writer); /* what was dropped counts, for the next pass */
    struct eviction *eviction = &store->eviction;
    eviction->vain = slab_drain_end(store->slab) * SPAN_BYTES > eviction->pick_bytes / 2;
    eviction->pick_bytes = eviction->vain ? 2 * eviction->pick_bytes + SPAN_BYTES : 0;
    eviction->passing = false;
}

static unsigned go_on_passing(struct store *store)
{
    struct eviction *eviction = &store->eviction;
    unsigned dropped = 0;
    for (unsigned n = 0; n < EVICT_BUCKETS && eviction->pass <= store->bucket_mask; n++) {
        struct entity *next, *entity = store->buckets[eviction->pass++];
        eviction->fruitless++;
        for (; entity != NULL; entity = next) {
            next = entity->next;
            if (entity->pending == NULL && lies_in_picked(store, entity)) {
                dropped += entity->rows != NULL;
                store_drop(store, entity);
            }
        }
    }
    if (eviction->pass > store->bucket_mask)
        end_pass(store);
    return dropped;
}

bool store_evict(struct store *store, uint64_t *evicted)
{
    struct eviction *eviction = &store->eviction;
    unsigned dropped = 0;
    if (!eviction->passing)
        begin_pass(store);
    if (!eviction->passing && !is_crowded(store)) {
        eviction->fruitless = 0;
        return false;
    }
    if (store->bags_out < BAGS / 2) { /* else readers are behind: first let them leave */
        dropped = turn_hand(store);
        if (eviction->passing)
            dropped += go_on_passing(store);
    }
    counter_add(evicted, dropped);
    return !store_is_stuck(store);
}

/* ---- rows ---- */

/* Where the row is in the set, or where it would stand; true if it is there. */
static bool row_search(const struct row_set *set, const struct change *change, uint32_t *place)
{
    *place = 0;
    return set != NULL && rows_search(set->rows, set->n, change->table, change->row_id, place);
}

/* A copy of the set with room for one row more, the new row in its place; NULL where the store is
 * full. */
static struct row_set *set_grow(struct store *store, const struct row_set *set, uint32_t place,
                                struct row *row)
{
    uint32_t n = set != NULL ? set->n : 0;
    struct row_set *grown = store_take(store, sizeof(*grown) + (n + 1) * sizeof(*grown->rows));
    if (grown == NULL)
        return NULL;
    grown->n = n + 1;
    if (place > 0)
        memcpy(grown->rows, set->rows, place * sizeof(*grown->rows));
    grown->rows[place] = row;
    if (place < n)
        memcpy(grown->rows + place + 1, set->rows + place, (n - place) * sizeof(*grown->rows));
    return grown;
}

/* Makes the new row visible. False where the store is full. */
static bool row_publish(struct store *store, struct entity *entity, uint32_t place, struct row *row)
{
    struct row_set *set = entity->rows;
    bool known =
        set != NULL && place < set->n &&
        row_order(set->rows[place]->table, row_id(set->rows[place]), row->table, row_id(row)) == 0;
    if (known) {
        struct row *old = set->rows[place];
        __atomic_store_n(&set->rows[place], row, __ATOMIC_RELEASE);
        retire(store, old);
        return true;
    }
    struct row_set *grown = set_grow(store, set, place, row);
    if (grown == NULL)
        return false;
    __atomic_store_n(&entity->rows, grown, __ATOMIC_RELEASE);
    retire(store, set);
    return true;
}

/* After a join with what `holder` has: does it lack nothing of the row? */
static void note_holder(const struct store *store, struct row *row, const struct change *change,
                        uint8_t holder)
{
    if (holder != 0 &&
        change_term(change, store->plan->images) == row_term(row, store->plan->images))
        row->unsent &= (uint8_t)~holder;
}

struct row *store_make_row(struct store *store, struct row *old, const struct change *change,
                           uint8_t holder, enum merge_verdict *verdict)
{
    struct change joined;
    *verdict = merge_row(store->merge, old, change, &joined);
    if (*verdict == MERGE_STALE) {
        note_holder(store, old, change, holder);
        return NULL;
    }
    struct row *row = store_take(store, row_bytes(&joined));
    if (row == NULL) {
        *verdict = MERGE_FULL;
        return NULL;
    }
    row_write(&joined, store->plan->images, row);
    row->unsent = store->tracked;
    note_holder(store, row, change, holder);
    return row;
}

enum merge_verdict store_apply(struct store *store, struct entity *entity,
                               const struct change *change, uint8_t holder)
{
    uint32_t place;
    bool known = row_search(entity->rows, change, &place);
    struct row *old = known ? entity->rows->rows[place] : NULL;
    uint64_t old_term = old != NULL ? row_term(old, store->plan->images) : 0;
    uint32_t old_bytes = old != NULL ? old->value_bytes : 0;
    entity->touched = 1;

    enum merge_verdict verdict;
    struct row *row = store_make_row(store, old, change, holder, &verdict);
    if (row == NULL)
        return verdict;

    uint64_t term = row_term(row, store->plan->images);
    ASSERT(term >= old_term && entity->version >= old_term);
    uint64_t others = entity->version - old_term;
    if (term > VERSION_MAX || others > VERSION_MAX - term) {
        slab_give(store->slab, row);
        return MERGE_REJECT;
    }
    if (!row_publish(store, entity, place, row)) {
        slab_give(store->slab, row);
        return MERGE_FULL;
    }
    __atomic_store_n(&entity->version, others + term, __ATOMIC_RELAXED);
    entity->value_bytes = entity->value_bytes - old_bytes + row->value_bytes;
    store_note_tombstone(store, entity, row);
    return verdict;
}

void store_fly(struct entity *entity, uint8_t sink)
{
    for (uint32_t i = 0; entity->rows != NULL && i < entity->rows->n; i++)
        entity->rows->rows[i]->flying |= entity->rows->rows[i]->unsent & sink;
}

void store_landed(struct entity *entity, uint8_t sink, bool written)
{
    for (uint32_t i = 0; entity->rows != NULL && i < entity->rows->n; i++) {
        struct row *row = entity->rows->rows[i];
        if (written)
            row->unsent &= (uint8_t) ~(row->flying & sink);
        row->flying &= (uint8_t)~sink;
    }
}

struct document store_document(const struct entity *entity)
{
    return (struct document){
        .key = entity_key(entity),
        .version = entity->version,
        .residual = entity->residual,
        .n_rows = entity->rows != NULL ? entity->rows->n : 0,
        .rows = entity->rows != NULL ? entity->rows->rows : NULL,
        .partition = -1,
    };
}

/* ---- readers ---- */

struct store_reader *store_reader_open(struct store *store)
{
    struct store_reader *reader = memory_reserve(sizeof(*reader), "store reader");
    reader->store = store;
    reader->rows =
        memory_reserve_virtual(READ_ROWS_MAX * sizeof(*reader->rows), "store reader rows");
    ck_epoch_register(&store->epoch, &reader->record, NULL);
    return reader;
}

bool store_read_begin(struct store_reader *reader, struct slice key, struct document *document,
                      const struct entity **entity)
{
    uint64_t hash = key_hash(key);
    ck_epoch_begin(&reader->record, &reader->section);
    const struct entity *at = __atomic_load_n(bucket_of(reader->store, hash), __ATOMIC_ACQUIRE);
    while (at != NULL && !entity_is(at, hash, key))
        at = __atomic_load_n(&at->next, __ATOMIC_ACQUIRE);
    if (at == NULL) {
        store_read_end(reader);
        return false;
    }
    const struct row_set *set = __atomic_load_n(&at->rows, __ATOMIC_ACQUIRE);
    uint32_t n = set != NULL ? set->n : 0;
    if (n > READ_ROWS_MAX)
        n = READ_ROWS_MAX;
    uint64_t residual = __atomic_load_n(&at->residual, __ATOMIC_RELAXED), version = residual;
    for (uint32_t i = 0; i < n; i++) {
        reader->rows[i] = __atomic_load_n(&set->rows[i], __ATOMIC_ACQUIRE);
        version += row_term(reader->rows[i], reader->store->plan->images);
    }
    *document = (struct document){ .key = entity_key(at),
                                   .version = version,
                                   .residual = residual,
                                   .n_rows = n,
                                   .rows = reader->rows,
                                   .partition = -1 };
    *entity = at;
    return true;
}

void store_read_end(struct store_reader *reader)
{
    (void)ck_epoch_end(&reader->record, &reader->section);
}

struct store_facts store_facts(const struct store *store)
{
    return (struct store_facts){
        .entities = counter_read(&store->entities),
        .used_bytes = counter_read(&store->used_bytes),
        .bound_bytes = slab_bound_bytes(store->slab),
    };
}
