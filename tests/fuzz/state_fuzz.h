/*
 * state_fuzz.h: what the targets share that read a state back: a plan, a store, and what must be
 * true of a state whoever sent it.
 */
#ifndef WEIR_TESTS_FUZZ_STATE_H
#define WEIR_TESTS_FUZZ_STATE_H

#include "fuzz.h"

#include "captures_plan.h"

#include "dataplane/base/json.h"
#include "dataplane/change.h"
#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/document.h"
#include "dataplane/store.h"

#define STATE_STORE_BYTES ((size_t)2 << 20)

static struct buf state_text;

static inline void state_setup(void)
{
    buf_open(&state_text, 8 << 20, "a document");
}

static inline void state_check_value(struct slice text)
{
    struct json_value value;
    struct json json;

    json_open(&json, text);
    assert_true(json_value(&json, &value));
    assert_true(json_end(&json));
    assert_null(memchr(text.data, '\n', text.len));
}

static inline void state_check_change(const struct plan *plan, const struct change *change)
{
    assert_true(change->table < plan->n_tables);
    assert_true(change->row_id.len <= ROW_ID_BYTES_MAX && utf8_valid(change->row_id));
    assert_true(change->row_id.len == 0 || plan->tables[change->table].many.len > 0);
    assert_true(change->seqno > SEQNO_EPOCH && change->seqno <= SEQNO_MAX);
    assert_true(change->tombstone == 0 ||
                (change->tombstone > SEQNO_EPOCH && change->tombstone <= SEQNO_MAX));
    assert_true(change->n_fields <= COLUMNS_MAX);
    for (uint32_t i = 0; i < change->n_fields; i++) {
        assert_true(change->fields[i].column < COLUMNS_MAX);
        assert_true(change->fields[i].seqno <= SEQNO_MAX);
        if (change->fields[i].value.data != NULL)
            state_check_value(change->fields[i].value);
    }
}

static inline void state_check(const struct plan *plan, const struct document_state *state)
{
    for (unsigned i = 0; i < state->n_changes; i++)
        state_check_change(plan, &state->changes[i]);
    assert_true(state->n_changes == 0 || state->has_state);
    assert_true(state->partition >= -1);
}

/* What must hold of every entity. */
static inline void state_check_entity(const struct plan *plan, const struct entity *entity)
{
    const struct row_set *set = entity->rows;
    uint64_t version = entity->residual;

    for (uint32_t i = 0; set != NULL && i < set->n; i++) {
        version += row_term(set->rows[i], plan->images);
        if (i > 0)
            assert_true(row_order(set->rows[i - 1]->table, row_id(set->rows[i - 1]),
                                  set->rows[i]->table, row_id(set->rows[i])) < 0);
    }
    assert_true(version == entity->version && version <= VERSION_MAX);
}

/* The state joined into an entity of its own; NULL: its version would be too great, or it would
 * not fit. */
static inline struct entity *state_join(struct store *store, const struct plan *plan,
                                        const char *key, const struct document_state *state)
{
    struct slice name = slice_of(key);
    struct entity *entity = store_add(store, key_hash(name), name);
    unsigned late = 0;
    enum merge_verdict verdict;
    uint64_t version;

    assert_non_null(entity);
    verdict = store_join(store, entity, state, 0, &late);
    if (verdict != MERGE_UPDATE) {
        assert_true(verdict == MERGE_REJECT || verdict == MERGE_FULL);
        assert_int_equal(entity->version, 0);
        return NULL;
    }
    state_check_entity(plan, entity);
    version = entity->version;
    assert_int_equal(store_join(store, entity, state, 0, &late), MERGE_UPDATE);
    assert_true(entity->version == version); /* the same state again changes nothing */
    state_check_entity(plan, entity);
    return entity;
}

#endif
