/*
 * merge_test.c: the algebra of merge and version (docs/ORDERING.md), on the store that is shipped.
 *
 * The oracle below knows nothing of rows or stores: a state is a table of numbers, and it is
 * computed from a set of events at once, not by joining.
 */
#include "tests/unit/unit.h"

#include "dataplane/base/memory.h"
#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/store.h"

enum { KEYS = 2, ROWS = 2, COLUMNS = 2, EVENTS_MAX = 6 };

struct event {
    unsigned key, row;
    uint64_t seqno; /* after SEQNO_EPOCH; 0: not there */
    bool deletes;
    bool has[COLUMNS];
    char value[COLUMNS]; /* a digit */
};

static struct plan *plans[2];
static struct store *stores[2];
static uint64_t random_state = 20261121;

static unsigned roll(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static int open_stores(void **state)
{
    (void)state;
    memory_setup(HUGEPAGES_OFF);
    for (unsigned images = 0; images < 2; images++) {
        plans[images] = plan_open(SLICE("test"), SLICE("key"), (enum images)images, EMIT_ALWAYS);
        plan_add_table(plans[images], &(struct plan_table){ .name = SLICE("t.root") }, NULL, 0);
        plan_add_table(
            plans[images],
            &(struct plan_table){ .name = SLICE("t.c"), .into = SLICE("c"), .many = SLICE("id") },
            NULL, 0);
        stores[images] = store_open(plans[images], 16 << 20);
    }
    return 0;
}

/* ---- the oracle ---- */

struct cell {
    uint64_t seqno;
    char value;
};

struct truth_row {
    uint64_t seqno, tombstone;
    bool there;
    struct cell cells[COLUMNS];
};

/* Events with one seqno are the same event here, so the greatest one is unique. */
static struct truth_row truth_of(enum images images, const struct event *events, unsigned n,
                                 unsigned key, unsigned row)
{
    struct truth_row truth = { 0 };
    for (unsigned i = 0; i < n; i++) {
        const struct event *event = &events[i];
        if (event->key != key || event->row != row)
            continue;
        truth.there = true;
        if (event->deletes && event->seqno > truth.tombstone)
            truth.tombstone = event->seqno;
        for (unsigned c = 0; c < COLUMNS && !event->deletes; c++)
            if (event->has[c] && event->seqno > truth.cells[c].seqno)
                truth.cells[c] = (struct cell){ event->seqno, event->value[c] };
        if (event->seqno > truth.seqno)
            truth.seqno = event->seqno;
    }
    for (unsigned c = 0; c < COLUMNS && images == IMAGES_FULL; c++)
        if (truth.cells[c].seqno < truth.seqno)
            truth.cells[c].seqno = 0; /* the newest image says everything */
    return truth;
}

static uint64_t truth_term(enum images images, const struct truth_row *truth)
{
    uint64_t sum = truth->tombstone;
    if (images == IMAGES_FULL)
        return truth->seqno;
    for (unsigned c = 0; c < COLUMNS; c++)
        sum += truth->cells[c].seqno;
    return sum;
}

/* ---- the store ---- */

static const char *const row_names[ROWS] = { "", "7" };

static enum merge_verdict apply(enum images images, struct entity *entity,
                                const struct event *event)
{
    struct field fields[COLUMNS];
    struct change change = { .seqno = SEQNO_EPOCH + event->seqno,
                             .key = entity_key(entity),
                             .row_id = slice_of(row_names[event->row]),
                             .table = (uint16_t)event->row,
                             .op = event->deletes ? CHANGE_DELETE : CHANGE_UPSERT,
                             .fields = fields };
    struct columns *columns = plans[images]->tables[event->row].columns;
    for (unsigned c = 0; c < COLUMNS && !event->deletes; c++)
        if (event->has[c])
            fields[change.n_fields++] =
                (struct field){ .column = columns_intern(columns, c == 0 ? SLICE("x") : SLICE("y")),
                                .value = { &event->value[c], 1 } };
    return store_apply(stores[images], entity, &change, 0);
}

static struct entity *new_entity(enum images images, unsigned key)
{
    char name = (char)('a' + key);
    struct slice slice = { &name, 1 };
    struct entity *entity = store_add(stores[images], key_hash(slice), slice);
    assert_non_null(entity);
    return entity;
}

static void drop(enum images images, struct entity *entity)
{
    store_drop(stores[images], entity);
    store_reclaim(stores[images]);
}

static const struct row *find_row(const struct entity *entity, unsigned row)
{
    struct document document = store_document(entity);
    for (unsigned i = 0; i < document.n_rows; i++)
        if (document.rows[i]->table == row)
            return document.rows[i];
    return NULL;
}

static bool cell_is(enum images images, const struct row *row, unsigned c,
                    const struct truth_row *truth)
{
    struct columns *columns = plans[images]->tables[row->table].columns;
    uint16_t column = columns_intern(columns, c == 0 ? SLICE("x") : SLICE("y"));
    uint64_t deleted_at = images == IMAGES_PARTIAL ? truth->tombstone : 0;
    struct row_cursor cursor;
    struct field field;
    row_fields(row, &cursor);
    while (row_next(&cursor, &field))
        if (field.column == column) {
            bool hidden = truth->cells[c].seqno < deleted_at;
            return field.seqno == SEQNO_EPOCH + truth->cells[c].seqno &&
                   (hidden ? field.value.data == NULL
                           : field.value.len == 1 && *field.value.data == truth->cells[c].value);
        }
    return truth->cells[c].seqno == 0;
}

static bool row_is(enum images images, const struct entity *entity, unsigned row,
                   const struct truth_row *truth)
{
    const struct row *have = find_row(entity, row);
    if (have == NULL)
        return !truth->there;
    if (!truth->there || row_term(have, images) != truth_term(images, truth))
        return false;
    for (unsigned c = 0; c < COLUMNS; c++)
        if (!cell_is(images, have, c, truth))
            return false;
    bool alive = images == IMAGES_FULL ? truth->tombstone != truth->seqno : truth->tombstone == 0;
    for (unsigned c = 0; c < COLUMNS; c++)
        alive = alive || truth->cells[c].seqno > truth->tombstone;
    return row_alive(have) == alive;
}

/* Applies the events in the given order to fresh entities; every acceptance must raise the version,
 * nothing else may. */
static bool order_is_right(enum images images, const struct event *events, const unsigned *order,
                           unsigned n)
{
    struct entity *entities[KEYS];
    bool right = true;
    for (unsigned key = 0; key < KEYS; key++)
        entities[key] = new_entity(images, key);
    for (unsigned i = 0; i < n; i++) {
        const struct event *event = &events[order[i]];
        uint64_t before = entities[event->key]->version;
        enum merge_verdict verdict = apply(images, entities[event->key], event);
        uint64_t after = entities[event->key]->version;
        right = right && (verdict == MERGE_STALE ? after == before : after > before);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        uint64_t version = 0;
        for (unsigned row = 0; row < ROWS; row++) {
            struct truth_row truth = truth_of(images, events, n, key, row);
            version += truth_term(images, &truth);
            right = right && row_is(images, entities[key], row, &truth);
        }
        right = right && entities[key]->version == version;
        drop(images, entities[key]);
    }
    return right;
}

static void random_events(struct event *events, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        events[i] = (struct event){ .key = roll(KEYS),
                                    .row = roll(ROWS),
                                    .seqno = 1 + i * 3 + roll(3),
                                    .deletes = roll(4) == 0 };
        unsigned shown = 1 + roll(3);
        for (unsigned c = 0; c < COLUMNS; c++) {
            events[i].has[c] = shown >> c & 1;
            events[i].value[c] = (char)('0' + roll(10));
        }
    }
}

/* Heap's algorithm without recursion: calls order_is_right() for every order of the events. */
static bool every_order_is_right(enum images images, const struct event *events, unsigned n)
{
    unsigned order[EVENTS_MAX], count[EVENTS_MAX] = { 0 };
    for (unsigned i = 0; i < n; i++)
        order[i] = i;
    bool right = order_is_right(images, events, order, n);
    for (unsigned i = 1; i < n;) {
        if (count[i] >= i) {
            count[i++] = 0;
            continue;
        }
        unsigned from = i % 2 == 0 ? 0 : count[i], kept = order[from];
        order[from] = order[i];
        order[i] = kept;
        right = order_is_right(images, events, order, n) && right;
        count[i]++;
        i = 1;
    }
    return right;
}

/* Up to six events on two keys, in every order there is, end in the state that the oracle computes
 * at once. */
static void every_order_of_six_events_ends_in_the_same_state(void **state)
{
    (void)state;
    struct event events[EVENTS_MAX];
    for (unsigned images = 0; images < 2; images++)
        for (unsigned i = 0; i < 60; i++) {
            unsigned n = 1 + roll(EVENTS_MAX);
            random_events(events, n);
            assert_true(every_order_is_right((enum images)images, events, n));
        }
}

/* Long random histories with repeats: the version rises with each accepted change and never falls.
 */
static void version_rises_with_every_accepted_change(void **state)
{
    (void)state;
    enum { N = 200 };
    struct event events[N];
    for (unsigned images = 0; images < 2; images++)
        for (unsigned history = 0; history < 50; history++) {
            unsigned order[N];
            random_events(events, N);
            for (unsigned i = 0; i < N; i++)
                order[i] = roll(N);
            struct event taken[N]; /* only what was drawn counts for the oracle */
            for (unsigned i = 0; i < N; i++)
                taken[i] = events[order[i]];
            for (unsigned i = 0; i < N; i++)
                order[i] = i;
            assert_true(order_is_right((enum images)images, taken, order, N));
        }
}

/* ---- the laws, on states ---- */

/* Joins the whole state of `from` into `to`, row by row, as hydration does. */
static void join(enum images images, struct entity *to, const struct entity *from)
{
    struct document document = store_document(from);
    for (unsigned i = 0; i < document.n_rows; i++) {
        const struct row *row = document.rows[i];
        struct field fields[COLUMNS];
        struct row_cursor cursor;
        struct change change = { .seqno = row->seqno,
                                 .tombstone = images == IMAGES_PARTIAL ? row->tombstone : 0,
                                 .key = entity_key(to),
                                 .row_id = row_id(row),
                                 .table = row->table,
                                 .op = images == IMAGES_FULL && row->tombstone != 0 ? CHANGE_DELETE
                                                                                    : CHANGE_UPSERT,
                                 .fields = fields };
        row_fields(row, &cursor);
        while (row_next(&cursor, &fields[change.n_fields]))
            change.n_fields++;
        assert_true(store_apply(stores[images], to, &change, 0) != MERGE_FULL);
    }
}

static bool same_state(const struct entity *a, const struct entity *b)
{
    struct document left = store_document(a), right = store_document(b);
    if (left.version != right.version || left.n_rows != right.n_rows)
        return false;
    for (unsigned i = 0; i < left.n_rows; i++) {
        struct row_cursor cursors[2];
        struct field fields[2];
        row_fields(left.rows[i], &cursors[0]);
        row_fields(right.rows[i], &cursors[1]);
        if (left.rows[i]->n_fields != right.rows[i]->n_fields ||
            left.rows[i]->tombstone != right.rows[i]->tombstone)
            return false;
        while (row_next(&cursors[0], &fields[0])) { /* cells may stand in another order */
            bool met = false;
            row_fields(right.rows[i], &cursors[1]);
            while (row_next(&cursors[1], &fields[1]))
                met = met ||
                      (fields[0].column == fields[1].column && fields[0].seqno == fields[1].seqno &&
                       (fields[0].value.data == NULL) == (fields[1].value.data == NULL) &&
                       slice_equal(fields[0].value, fields[1].value));
            if (!met)
                return false;
        }
    }
    return true;
}

/* States made of events that share a pool, so that ties are the same event, as in a log. */
static struct entity *random_entity(enum images images, unsigned key, const struct event *pool,
                                    unsigned n)
{
    struct entity *entity = new_entity(images, key);
    for (unsigned i = 0; i < n; i++)
        if (roll(2))
            assert_true(apply(images, entity, &pool[i]) != MERGE_FULL);
    return entity;
}

static void join_is_commutative_associative_and_idempotent(void **state)
{
    (void)state;
    struct event pool[12];
    for (unsigned images = 0; images < 2; images++)
        for (unsigned i = 0; i < 2000; i++) {
            enum images mode = (enum images)images;
            random_events(pool, 12);
            struct entity *a = random_entity(mode, 0, pool, 12),
                          *b = random_entity(mode, 1, pool, 12);
            struct entity *c = random_entity(mode, 2, pool, 12);
            struct entity *ab = new_entity(mode, 3), *ba = new_entity(mode, 4);
            struct entity *bc = new_entity(mode, 5), *a_bc = new_entity(mode, 6);
            join(mode, ab, a), join(mode, ab, b);
            join(mode, ba, b), join(mode, ba, a);
            assert_true(same_state(ab, ba));

            join(mode, bc, b), join(mode, bc, c);
            join(mode, a_bc, a), join(mode, a_bc, bc);
            join(mode, ab, c);
            assert_true(same_state(ab, a_bc));

            uint64_t version = ab->version;
            join(mode, ab, a_bc), join(mode, ab, a);
            assert_true(ab->version == version && same_state(ab, a_bc));
            struct entity *all[] = { a, b, c, ab, ba, bc, a_bc };
            for (unsigned e = 0; e < 7; e++)
                drop(mode, all[e]);
        }
}

/* Two different changes with one seqno: the same one wins whatever the order, a delete first. */
static void tie_of_seqnos_has_one_winner_in_either_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        struct event pair[2];
        random_events(pair, 2);
        pair[1].key = pair[0].key = 0;
        pair[1].row = pair[0].row;
        pair[1].seqno = pair[0].seqno;
        struct entity *one = new_entity(IMAGES_FULL, 0), *other = new_entity(IMAGES_FULL, 1);
        (void)apply(IMAGES_FULL, one, &pair[0]), (void)apply(IMAGES_FULL, one, &pair[1]);
        (void)apply(IMAGES_FULL, other, &pair[1]), (void)apply(IMAGES_FULL, other, &pair[0]);
        assert_true(same_state(one, other));
        assert_int_equal(row_alive(find_row(one, pair[0].row)),
                         !pair[0].deletes && !pair[1].deletes);
        drop(IMAGES_FULL, one), drop(IMAGES_FULL, other);
    }
}

/* A document whose version would pass the greatest is refused whole and stays as it was. */
static void version_never_wraps(void **state)
{
    (void)state;
    struct entity *entity = new_entity(IMAGES_FULL, 0);
    struct event first = { .seqno = UINT64_C(1) << 62, .has = { true }, .value = "1" };
    struct event second = { .row = 1, .seqno = UINT64_C(1) << 62, .has = { true }, .value = "2" };
    assert_int_equal(apply(IMAGES_FULL, entity, &first), MERGE_INSERT);
    uint64_t version = entity->version;
    assert_int_equal(apply(IMAGES_FULL, entity, &second), MERGE_REJECT);
    assert_true(entity->version == version && entity->rows->n == 1);
    second.seqno--;
    assert_int_equal(apply(IMAGES_FULL, entity, &second), MERGE_INSERT);
    assert_true(entity->version == VERSION_MAX);
    drop(IMAGES_FULL, entity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_six_events_ends_in_the_same_state),
        cmocka_unit_test(version_rises_with_every_accepted_change),
        cmocka_unit_test(join_is_commutative_associative_and_idempotent),
        cmocka_unit_test(tie_of_seqnos_has_one_winner_in_either_order),
        cmocka_unit_test(version_never_wraps),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_stores, NULL);
}
