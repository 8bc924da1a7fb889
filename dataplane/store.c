/*
 * store.c: see store.h.
 *
 * A bucket is a pointer to a chain of entities; there are as many buckets, fixed at start, as
 * entities of 512 bytes would fill the store, so chains are short and nothing is ever rehashed
 * under a reader.
 *
 *     replace a row:  new block -> release store into its slot of the row set -> old block to the
 * limbo add a row:      new row set, the slots copied -> release store into entity->rows -> old set
 * to the limbo drop an entity: unlink by a release store -> entity, set and rows to the limbo
 *
 * The limbo: blocks wait in bags of 61. A full bag is handed to ck_epoch_call() and comes back,
 * when every reader that was inside has left, to give its blocks to the slab. So a freed block
 * costs 8 bytes while it waits and no header while it lives. When the bags run out the writer waits
 * for the readers (they hold no section across a system call, so that is microseconds).
 *
 * Invariants: entity->version == residual + sum of row_term() over its rows; rows are sorted and
 * unique by (table, row id); a failed store_apply() has changed nothing.
 */
#include "dataplane/store.h"

#include "dataplane/base/counter.h"
#include "dataplane/base/memory.h"
#include "dataplane/base/slab.h"

#include <ck_epoch.h>

#define BYTES_PER_BUCKET 512
#define SWEEP_BUCKETS    1024
#define BAG_BLOCKS       61
#define BAGS             4096
#define READ_ROWS_MAX    (1u << 20)

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
    uint64_t entities, used_bytes; /* counters */
    struct bag *bag;               /* being filled, NULL: none */
    struct pool bags;
    unsigned bags_out;
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
    pool_open(&store->bags, sizeof(struct bag), BAGS, "store limbo");
    ck_epoch_init(&store->epoch);
    ck_epoch_register(&store->epoch, &store->writer, NULL);
    return store;
}

/* ---- the limbo ---- */

static void bag_free(ck_epoch_entry_t *entry)
{
    struct bag *bag = (struct bag *)entry; /* entry is its first member */
    struct store *store = bag->store;
    for (uint32_t i = 0; i < bag->n; i++)
        slab_give(store->slab, bag->blocks[i]);
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
    struct entity *entity = slab_take(store->slab, sizeof(*entity) + key.len);
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

/* ---- rows ---- */

/* Where the row is in the set, or where it would stand; true if it is there. */
static bool row_search(const struct row_set *set, const struct change *change, uint32_t *place)
{
    uint32_t low = 0, high = set != NULL ? set->n : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct row *row = set->rows[middle];
        int order = row_order(row->table, row_id(row), change->table, change->row_id);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

/* A copy of the set with room for one row more, the new row in its place; NULL where the store is
 * full. */
static struct row_set *set_grow(struct store *store, const struct row_set *set, uint32_t place,
                                struct row *row)
{
    uint32_t n = set != NULL ? set->n : 0;
    struct row_set *grown = slab_take(store->slab, sizeof(*grown) + (n + 1) * sizeof(*grown->rows));
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

enum merge_verdict store_apply(struct store *store, struct entity *entity,
                               const struct change *change, uint8_t holder)
{
    uint32_t place;
    bool known = row_search(entity->rows, change, &place);
    struct row *old = known ? entity->rows->rows[place] : NULL;
    uint64_t old_term = old != NULL ? row_term(old, store->plan->images) : 0;
    uint32_t old_bytes = old != NULL ? old->value_bytes : 0;

    struct change joined;
    enum merge_verdict verdict = merge_row(store->merge, old, change, &joined);
    if (verdict == MERGE_STALE) {
        note_holder(store, old, change, holder);
        return verdict;
    }

    struct row *row = slab_take(store->slab, row_bytes(&joined));
    if (row == NULL)
        return MERGE_FULL;
    row_write(&joined, store->plan->images, row);
    row->unsent = UINT8_MAX;
    note_holder(store, row, change, holder);

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

bool store_join_residual(struct entity *entity, uint64_t residual)
{
    if (residual <= entity->residual)
        return true;
    uint64_t more = residual - entity->residual;
    if (more > VERSION_MAX - entity->version)
        return false;
    entity->residual = residual;
    __atomic_store_n(&entity->version, entity->version + more, __ATOMIC_RELAXED);
    return true;
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
    uint64_t version = at->residual;
    for (uint32_t i = 0; i < n; i++) {
        reader->rows[i] = __atomic_load_n(&set->rows[i], __ATOMIC_ACQUIRE);
        version += row_term(reader->rows[i], reader->store->plan->images);
    }
    *document = (struct document){ .key = entity_key(at),
                                   .version = version,
                                   .residual = at->residual,
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
