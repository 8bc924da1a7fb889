/* purge_rig.c: see purge_rig.h. */
#include "purge_rig.h"

#include "dataplane/base/memory.h"
#include "dataplane/columns.h"

#include <stdio.h>

struct plan *plans[2];
struct store *stores[2];
struct arena arena;
static struct buf text;
static uint64_t random_state = 7;
static unsigned n_keys;

unsigned roll(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

int open_stores(void **state)
{
    (void)state;
    memory_setup(HUGEPAGES_OFF);
    arena_open(&arena, 1 << 20, "states");
    buf_open(&text, 1 << 20, "documents");
    for (unsigned images = 0; images < 2; images++) {
        struct plan *plan =
            plan_open(SLICE("test"), SLICE("key"), (enum images)images, EMIT_ALWAYS);
        plan->tombstone_retention_us = RETENTION;
        plan_add_table(plan, &(struct plan_table){ .name = SLICE("t.root") }, NULL, 0);
        plan_add_table(
            plan,
            &(struct plan_table){ .name = SLICE("t.c"), .into = SLICE("c"), .many = SLICE("id") },
            NULL, 0);
        plans[images] = plan;
        stores[images] = store_open(plan, 16 << 20);
    }
    return 0;
}

/* ---- entities ---- */

struct entity *entity_in(struct store *store)
{
    char name[16];
    struct slice key = { name, (size_t)snprintf(name, sizeof(name), "k%u", n_keys++) };
    struct entity *entity = store_add(store, key_hash(key), key);
    assert_non_null(entity);
    return entity;
}

struct entity *entity_new(enum images images)
{
    return entity_in(stores[images]);
}

void drop(enum images images, struct entity *entity)
{
    store_drop(stores[images], entity);
    store_reclaim(stores[images]);
}

enum merge_verdict put(enum images images, struct entity *entity, const struct event *event)
{
    static const char *const ids[ROWS] = { "", "1", "2", "3", "4" };
    static const struct slice names[COLUMNS] = { SLICE("x"), SLICE("y") };
    uint16_t table = event->row > 0;
    struct field fields[COLUMNS];
    struct change change = { .seqno = S(event->seqno),
                             .row_id = slice_of(ids[event->row]),
                             .table = table,
                             .op = event->deletes ? CHANGE_DELETE : CHANGE_UPSERT,
                             .fields = fields };
    for (unsigned c = 0; c < COLUMNS && !event->deletes; c++)
        if (images == IMAGES_FULL || c == event->column)
            fields[change.n_fields++] =
                (struct field){ .column =
                                    columns_intern(plans[images]->tables[table].columns, names[c]),
                                .value = { &event->value, 1 } };
    return store_apply(stores[images], entity, &change, 0);
}

void upsert(enum images images, struct entity *entity, unsigned row, uint64_t seqno)
{
    struct event event = { .seqno = seqno, .row = row, .value = '1' };
    assert_true(put(images, entity, &event) != MERGE_FULL);
}

void erase(enum images images, struct entity *entity, unsigned row, uint64_t seqno)
{
    struct event event = { .seqno = seqno, .row = row, .deletes = true };
    assert_true(put(images, entity, &event) != MERGE_FULL);
}

/* What is written of it, or (`purges` false) shown to people. The text's, until the next call. */
const char *rendered(enum images images, const struct entity *entity, bool purges)
{
    struct document document = store_document(entity);
    if (purges)
        document.purge_before = document_horizon(plans[images], &document);
    buf_reset(&text);
    document_render(plans[images], &document, true, &text);
    buf_put_char(&text, '\0');
    assert_false(text.overflow);
    return text.data;
}

/* A text as a state; its version, which is the sum over its rows, is checked to be the writer's. */
struct document_state parsed(enum images images, const char *json)
{
    struct document_state state;
    struct err err;
    arena_reset(&arena);
    struct slice copy = arena_copy(&arena, slice_of(json));
    if (document_parse(plans[images], copy, (struct slice){ NULL, 0 }, &arena, &state, &err) != 0)
        fail_msg("%s: %s", err.text, json);
    return state;
}

uint64_t version_of(enum images images, const struct document_state *state)
{
    uint64_t version = state->residual;
    for (unsigned i = 0; i < state->n_changes; i++)
        version += change_term(&state->changes[i], images);
    return version;
}

void join(enum images images, struct entity *entity, const struct document_state *state)
{
    unsigned late = 0;
    assert_int_equal(store_join(stores[images], entity, state, 1, &late), MERGE_UPDATE);
}

bool has_row(const struct entity *entity, unsigned row)
{
    struct document document = store_document(entity);
    for (unsigned i = 0; i < document.n_rows; i++) {
        struct slice id = row_id(document.rows[i]);
        if (row == 0 ? id.len == 0 : id.len == 1 && *id.data == (char)('0' + row))
            return true;
    }
    return false;
}

bool shows_row(const struct entity *entity, unsigned row)
{
    struct document document = store_document(entity);
    for (unsigned i = 0; i < document.n_rows; i++) {
        struct slice id = row_id(document.rows[i]);
        if (row == 0 ? id.len == 0 : id.len == 1 && *id.data == (char)('0' + row))
            return row_alive(document.rows[i]);
    }
    return false;
}

/* Rows 1 and 2 are deleted; a change more than the retention later leaves the first behind. */
struct entity *two_deleted(enum images images)
{
    struct entity *entity = entity_new(images);
    upsert(images, entity, 1, 5), erase(images, entity, 1, 10);
    upsert(images, entity, 2, 15), erase(images, entity, 2, 20);
    upsert(images, entity, 0, 20 + RETENTION);
    return entity;
}

bool same_rows_alive(const struct entity *a, const struct entity *b)
{
    struct document left = store_document(a), right = store_document(b);
    unsigned j = 0;
    for (unsigned i = 0; i < left.n_rows; i++) {
        if (!row_alive(left.rows[i]))
            continue;
        while (j < right.n_rows && !row_alive(right.rows[j]))
            j++;
        if (j == right.n_rows || row_order(left.rows[i]->table, row_id(left.rows[i]),
                                           right.rows[j]->table, row_id(right.rows[j])) != 0)
            return false;
        j++;
    }
    while (j < right.n_rows && !row_alive(right.rows[j]))
        j++;
    return j == right.n_rows;
}
