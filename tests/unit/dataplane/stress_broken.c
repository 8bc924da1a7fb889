/*
 * stress_broken.c: see stress_model.h: rules of row->unsent, broken before the store's functions.
 */
#include "tests/unit/dataplane/stress_model.h"

static enum stress_break broken;

void break_rule(enum stress_break rule)
{
    broken = rule;
}

void __real_store_landed(struct entity *entity, uint8_t sink, bool written);
void __wrap_store_landed(struct entity *entity, uint8_t sink, bool written);
void __wrap_store_landed(struct entity *entity, uint8_t sink, bool written)
{
    __real_store_landed(entity, sink, written || broken == BREAK_RETRY);
}

enum merge_verdict __real_store_apply(struct store *store, struct entity *entity,
                                      const struct change *change, uint8_t holder);
enum merge_verdict __wrap_store_apply(struct store *store, struct entity *entity,
                                      const struct change *change, uint8_t holder);
enum merge_verdict __wrap_store_apply(struct store *store, struct entity *entity,
                                      const struct change *change, uint8_t holder)
{
    uint32_t at;
    bool was = entity->rows != NULL &&
               rows_search(entity->rows->rows, entity->rows->n, change->table, change->row_id, &at);
    uint8_t flying = was ? entity->rows->rows[at]->flying : 0;
    enum merge_verdict verdict = __real_store_apply(store, entity, change, holder);
    if (was && broken == BREAK_REPLACED)
        entity->rows->rows[at]->flying = flying;
    return verdict;
}

enum merge_verdict __real_store_join(struct store *store, struct entity *entity,
                                     const struct document_state *state, uint8_t holder,
                                     unsigned *late);
enum merge_verdict __wrap_store_join(struct store *store, struct entity *entity,
                                     const struct document_state *state, uint8_t holder,
                                     unsigned *late);
enum merge_verdict __wrap_store_join(struct store *store, struct entity *entity,
                                     const struct document_state *state, uint8_t holder,
                                     unsigned *late)
{
    enum merge_verdict verdict = __real_store_join(store, entity, state, holder, late);
    for (unsigned i = 0; broken == BREAK_HOLDER && entity->rows != NULL && i < entity->rows->n; i++)
        entity->rows->rows[i]->unsent &= (uint8_t)~holder;
    return verdict;
}
