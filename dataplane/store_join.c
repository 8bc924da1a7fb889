/*
 * store_join.c: whole states at once: joined when one was read back, folded when all sinks have it.
 *
 *     join    rows of the entity | rows of the state ─► a new set, its new rows ─► published whole
 *     fold    rows of the entity ─► a new set without the purged tombstones     ─► published whole
 *
 * A join is made aside and then put in the entity's place by one release store. So it is all or
 * nothing, whatever it meets in the middle (no room, a version that would pass VERSION_MAX): a part
 * of a state would have a version that is neither's, and what is counted twice could not be told
 * any more when the join is tried again. A state that brings nothing takes no memory, because the
 * store may be full of documents that wait for just that answer.
 *
 * What was purged where, and what the version of a joined state is, document_purge.c knows.
 *
 * Readers see the old set or the new one. They read the residual beside it, so while a set is
 * changed here the version that they compute may be off for that moment.
 */
#include "dataplane/store_inside.h"

/* A join in the making. */
struct making {
    struct store *store;
    struct entity *entity;
    const struct document_state *state;
    struct row_set *set; /* NULL: nothing new so far */
    uint32_t n_new;      /* room for as many rows more than the entity has */
    uint64_t terms;      /* of all rows */
    uint32_t value_bytes;
};

static uint32_t n_rows(const struct entity *entity)
{
    return entity->rows != NULL ? entity->rows->n : 0;
}

/* A copy of the entity's set that nobody sees; false where the store is full. */
static bool begin_set(struct making *making)
{
    uint32_t n = n_rows(making->entity);
    struct row_set *set =
        store_take(making->store, sizeof(*set) + (n + making->n_new) * sizeof(*set->rows));

    if (set == NULL)
        return false;
    set->n = n;
    if (n > 0)
        memcpy(set->rows, making->entity->rows->rows, n * sizeof(*set->rows));
    making->set = set;
    return true;
}

/* Is it a row of the entity as readers see it, not one that is being made? */
static bool is_published(const struct entity *entity, const struct row *row)
{
    uint32_t place;

    return entity->rows != NULL &&
           rows_search(entity->rows->rows, entity->rows->n, row->table, row_id(row), &place) &&
           entity->rows->rows[place] == row;
}

/* Gives back what was made. */
static void abandon(struct making *making)
{
    if (making->set == NULL)
        return;
    for (uint32_t i = 0; i < making->set->n; i++)
        if (!is_published(making->entity, making->set->rows[i]))
            store_give(making->store, making->set->rows[i]);
    store_give(making->store, making->set);
}

/* Puts the row in its place, instead of `old` or (NULL) before what stands there. */
static void place_row(struct making *making, uint32_t place, struct row *old, struct row *row)
{
    enum images images = store_plan(making->store)->images;
    struct row_set *set = making->set;

    if (old == NULL) {
        ASSERT(set->n < n_rows(making->entity) + making->n_new);
        memmove(set->rows + place + 1, set->rows + place, (set->n - place) * sizeof(*set->rows));
        set->n++;
    } else {
        making->terms -= row_term(old, images);
        making->value_bytes -= old->value_bytes;
        if (!is_published(making->entity, old))
            store_give(making->store, old);
    }
    set->rows[place] = row;
    making->value_bytes += row->value_bytes;
}

/* Joins one row. Anything but MERGE_FULL and MERGE_REJECT: done. */
static enum merge_verdict join_row(struct making *making, const struct change *change,
                                   uint8_t holder)
{
    struct row_set *set = making->set != NULL ? making->set : making->entity->rows;
    uint32_t place = 0;
    bool known =
        set != NULL && rows_search(set->rows, set->n, change->table, change->row_id, &place);
    struct row *old = known ? set->rows[place] : NULL;
    enum merge_verdict verdict;

    if (document_join_skips(store_plan(making->store), making->state, change))
        return MERGE_STALE;
    struct row *row = store_make_row(making->store, old, change, holder, &verdict);
    if (row == NULL)
        return verdict;
    if (making->set == NULL && !begin_set(making)) {
        store_give(making->store, row);
        return MERGE_FULL;
    }
    uint64_t term = row_term(row, store_plan(making->store)->images);
    place_row(making, place, old, row);
    if (term > VERSION_MAX || making->terms > VERSION_MAX - term)
        return MERGE_REJECT;
    making->terms += term;
    return verdict;
}

/* Puts a set in the place of the entity's; rows of the old one that are not in it are retired. */
static void publish_set(struct store *store, struct entity *entity, struct row_set *set)
{
    struct row_set *old = entity->rows;
    uint32_t at = 0;

    __atomic_store_n(&entity->rows, set, __ATOMIC_RELEASE);
    for (uint32_t i = 0; old != NULL && i < old->n; i++) {
        struct row *row = old->rows[i];

        while (at < set->n &&
               row_order(set->rows[at]->table, row_id(set->rows[at]), row->table, row_id(row)) < 0)
            at++;
        if (at == set->n || set->rows[at] != row)
            store_retire(store, row);
    }
    store_retire(store, old);
}

enum merge_verdict store_join(struct store *store, struct entity *entity,
                              const struct document_state *state, uint8_t holder, unsigned *late)
{
    struct document document = store_document(entity);
    struct document_join join = document_join(store_plan(store), &document, state);
    struct making making = { .store = store,
                             .entity = entity,
                             .state = state,
                             .n_new = join.n_new,
                             .terms = entity->version - entity->residual,
                             .value_bytes = entity->value_bytes };
    enum merge_verdict verdict = MERGE_UPDATE;

    entity->touched = 1;
    for (unsigned i = 0; i < state->n_changes; i++) {
        verdict = join_row(&making, &state->changes[i], holder);
        if (verdict == MERGE_FULL || verdict == MERGE_REJECT)
            break;
    }
    if (verdict != MERGE_FULL && join.residual > VERSION_MAX - making.terms)
        verdict = MERGE_REJECT;
    if (verdict == MERGE_FULL || verdict == MERGE_REJECT) {
        abandon(&making);
        return verdict;
    }
    if (making.terms < entity->version && join.residual < entity->version - making.terms)
        join.residual =
            entity->version - making.terms; /* whatever a state says, no version falls */
    if (making.set != NULL) {
        for (unsigned i = 0; i < making.set->n; i++)
            store_note_tombstone(store, entity, making.set->rows[i]);
        publish_set(store, entity, making.set);
    }
    entity->value_bytes = making.value_bytes;
    __atomic_store_n(&entity->residual, join.residual, __ATOMIC_RELAXED);
    __atomic_store_n(&entity->version, making.terms + join.residual, __ATOMIC_RELAXED);
    *late += join.n_late;
    return MERGE_UPDATE;
}

/* ---- fold ---- */

/* The rows that stay, in a set of their own; NULL where the store is full. */
static struct row_set *rows_kept(struct store *store, const struct document *document,
                                 uint32_t n_kept)
{
    struct row_set *set = store_take(store, sizeof(*set) + n_kept * sizeof(*set->rows));

    if (set == NULL)
        return NULL;
    set->n = 0;
    for (unsigned i = 0; i < document->n_rows; i++)
        if (!document_purges(store_plan(store), document, document->rows[i]))
            set->rows[set->n++] = document->rows[i];
    ASSERT(set->n == n_kept);
    return set;
}

void store_fold(struct store *store, struct entity *entity)
{
    const struct plan *plan = store_plan(store);
    uint32_t n_kept = 0, n_tombstones = 0;

    ASSERT(entity->pending == NULL);
    if (!entity->has_tombstones || plan->tombstone_retention_us == 0)
        return;
    struct document document = store_document(entity);
    document.purge_before = document_horizon(plan, &document);
    for (unsigned i = 0; i < document.n_rows; i++) {
        const struct row *row = document.rows[i];
        bool purged = document_purges(plan, &document, row);
        n_kept += !purged;
        n_tombstones += !purged && row->tombstone != 0 && row->table != plan->root;
    }
    struct row_set *set = n_kept < document.n_rows ? rows_kept(store, &document, n_kept) : NULL;
    if (n_kept < document.n_rows && set == NULL)
        return;
    entity->has_tombstones = n_tombstones > 0;
    if (set == NULL)
        return;
    uint64_t residual = document_residual(plan, &document);
    publish_set(store, entity, set);
    __atomic_store_n(&entity->residual, residual, __ATOMIC_RELAXED);
}
