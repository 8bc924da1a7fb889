/*
 * store_fuzz.c: the store (dataplane/store.h) against a plain array of rows.
 *
 * The input is a list of operations on a few documents of a few rows: a change from the log, a
 * state that was kept and comes back, what is not wanted any more is dropped or evicted, tombstones
 * are folded. What a change says follows from its row and its seqno alone, as in a log; so the
 * array need remember no values: the least it must know are the seqnos of each row's cells.
 *
 *     plain:  [document][row]  tombstone, the seqno of each column; 0: nothing
 *
 * After each operation the documents of the store are those of the array, row by row and cell by
 * cell, and the version is the sum of what they hold. Where tombstones are purged (the other half
 * of the inputs) the array cannot say which rows are gone; then only what always holds is looked
 * at: versions never fall, and they are the sums of their rows.
 */
#include "state_fuzz.h"

#define DOCUMENTS 4u
#define ROWS      6u /* the root, the buyer, and items 0 to 3 */
#define COLUMNS   3u
#define KEPT      4u /* states that were kept, of each document */
#define BIG_BYTES 24000u

struct plain_row {
    uint64_t tombstone, cells[COLUMNS]; /* full images: all of them, or the tombstone alone */
};

struct plain {
    bool known;
    struct plain_row rows[ROWS];
    uint64_t version; /* the last one that was seen */
};

struct kept {
    bool used;
    struct slice text;
    struct plain plain;
};

static struct {
    struct plan *plan;
    struct store *store;
    struct store_reader *reader;
    bool purges;
    struct plain plains[DOCUMENTS];
    struct kept kept[DOCUMENTS][KEPT];
    uint16_t columns[4][COLUMNS]; /* by table */
} world;

static struct arena arena;
static char big[BIG_BYTES];
static const char *const keys[DOCUMENTS] = { "a", "b", "c", "d" };

void fuzz_setup(void)
{
    state_setup();
    arena_open(&arena, 4 << 20, "a state");
    memset(big, '7', sizeof(big));
}

/* ---- what a change says ---- */

static uint64_t mixed(unsigned row, uint64_t seqno)
{
    uint64_t z = seqno * UINT64_C(0x9e3779b97f4a7c15) + row;

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ z >> 31;
}

static bool deletes(unsigned row, uint64_t seqno)
{
    return mixed(row, seqno) % 4 == 0;
}

/* Which columns an upsert has: all with full images, else some. */
static bool has_column(unsigned row, uint64_t seqno, unsigned column)
{
    return world.plan->images == IMAGES_FULL || (mixed(row, seqno) >> (8 + column)) % 2 == 0;
}

static struct slice value_of(unsigned row, uint64_t seqno, unsigned column, char text[40])
{
    if (column == 0 && mixed(row, seqno) % 16 == 1)
        return (struct slice){ big, sizeof(big) };
    return (struct slice){ text, (size_t)snprintf(text, 40, "\"%u.%llu\"", column,
                                                  (unsigned long long)(seqno - SEQNO_EPOCH)) };
}

static unsigned table_of(unsigned row)
{
    return row < 2 ? row : 2;
}

static struct slice id_of(unsigned row)
{
    static const char *const ids[ROWS] = { "", "", "0", "1", "10", "x" };

    return slice_of(ids[row]);
}

/* ---- the array ---- */

static void plain_apply(struct plain_row *plain, unsigned row, uint64_t seqno)
{
    uint64_t newest = plain->tombstone;

    for (unsigned c = 0; c < COLUMNS; c++)
        newest = plain->cells[c] > newest ? plain->cells[c] : newest;
    if (world.plan->images == IMAGES_FULL) {
        if (seqno <= newest)
            return;
        *plain = (struct plain_row){ .tombstone = deletes(row, seqno) ? seqno : 0 };
        for (unsigned c = 0; c < COLUMNS; c++)
            plain->cells[c] = deletes(row, seqno) ? 0 : seqno;
    } else if (deletes(row, seqno)) {
        plain->tombstone = seqno > plain->tombstone ? seqno : plain->tombstone;
    } else {
        for (unsigned c = 0; c < COLUMNS; c++)
            if (has_column(row, seqno, c) && seqno > plain->cells[c])
                plain->cells[c] = seqno;
    }
}

static void plain_join(struct plain_row *to, const struct plain_row *from)
{
    for (unsigned c = 0; c < COLUMNS; c++) {
        bool full = world.plan->images == IMAGES_FULL;

        if (from->cells[c] > to->cells[c] && !(full && to->tombstone > from->cells[c]))
            to->cells[c] = from->cells[c];
    }
    if (from->tombstone > to->tombstone)
        to->tombstone = from->tombstone;
    if (world.plan->images == IMAGES_PARTIAL)
        return;
    if (to->tombstone < to->cells[0])
        to->tombstone = 0;
    if (to->tombstone != 0)
        memset(to->cells, 0, sizeof(to->cells));
}

static bool plain_is_there(const struct plain_row *row)
{
    bool there = row->tombstone != 0;

    for (unsigned c = 0; c < COLUMNS; c++)
        there |= row->cells[c] != 0;
    return there;
}

/* ---- comparing ---- */

static const struct row *row_in(const struct document *document, unsigned row)
{
    uint32_t place;

    if (!rows_search(document->rows, document->n_rows, (uint16_t)table_of(row), id_of(row), &place))
        return NULL;
    return document->rows[place];
}

static unsigned place_of(unsigned table, uint16_t column)
{
    for (unsigned c = 0; c < COLUMNS; c++)
        if (world.columns[table][c] == column)
            return c;
    fail_msg("a column that no change had");
    return 0;
}

static void compare_row(const struct row *got, const struct plain_row *wanted, unsigned row)
{
    uint64_t cells[COLUMNS] = { 0 };
    struct row_cursor cursor;
    struct field field;
    bool alive = false;

    row_fields(got, &cursor);
    while (row_next(&cursor, &field)) {
        unsigned column = place_of(table_of(row), field.column);
        bool hidden = field.seqno < wanted->tombstone;
        char text[40];

        cells[column] = field.seqno;
        assert_int_equal(field.value.data == NULL, hidden);
        if (!hidden)
            fuzz_same(field.value, value_of(row, field.seqno, column, text), "a value");
        alive |= !hidden;
    }
    assert_memory_equal(cells, wanted->cells, sizeof(cells));
    assert_true(got->tombstone == wanted->tombstone);
    assert_int_equal(row_alive(got), alive);
}

static struct entity *find(unsigned document)
{
    struct slice key = slice_of(keys[document]);

    return store_find(world.store, key_hash(key), key);
}

static void compare_documents(const struct document *document, struct plain *plain)
{
    unsigned n = 0;

    for (unsigned row = 0; row < ROWS; row++) {
        const struct row *got = row_in(document, row);

        n += got != NULL;
        if (world.purges)
            continue;
        assert_int_equal(got != NULL, plain_is_there(&plain->rows[row]));
        if (got != NULL)
            compare_row(got, &plain->rows[row], row);
    }
    assert_int_equal(n, document->n_rows);
    assert_true(document->version >= plain->version);
}

static void compare_all(void)
{
    uint64_t known = 0;

    for (unsigned d = 0; d < DOCUMENTS; d++) {
        const struct entity *entity = find(d), *seen = NULL;
        struct document document;

        assert_int_equal(entity != NULL, world.plains[d].known);
        assert_int_equal(store_read_begin(world.reader, slice_of(keys[d]), &document, &seen),
                         entity != NULL);
        if (entity == NULL)
            continue;
        known++;
        assert_ptr_equal(seen, entity);
        assert_true(document.version == entity->version);
        state_check_entity(world.plan, entity);
        compare_documents(&document, &world.plains[d]);
        store_read_end(world.reader);
        world.plains[d].version = entity->version;
    }
    assert_true(store_facts(world.store).entities == known);
}

/* ---- operations ---- */

static void forget(unsigned document)
{
    world.plains[document] = (struct plain){ .known = false };
}

static struct entity *find_or_add(unsigned document)
{
    struct slice key = slice_of(keys[document]);
    struct entity *entity = find(document);

    if (entity == NULL)
        entity = store_add(world.store, key_hash(key), key);
    world.plains[document].known = entity != NULL;
    return entity;
}

static void apply(unsigned document, unsigned row, uint64_t seqno)
{
    struct entity *entity = find_or_add(document);
    struct field fields[COLUMNS];
    char texts[COLUMNS][40];
    struct change change = { .seqno = seqno,
                             .row_id = id_of(row),
                             .table = (uint16_t)table_of(row),
                             .op = deletes(row, seqno) ? CHANGE_DELETE : CHANGE_UPSERT,
                             .fields = fields };
    struct plain_row before, *plain = &world.plains[document].rows[row];
    enum merge_verdict verdict;

    if (entity == NULL)
        return;
    for (unsigned c = 0; c < COLUMNS && change.op == CHANGE_UPSERT; c++)
        if (has_column(row, seqno, c))
            fields[change.n_fields++] =
                (struct field){ .column = world.columns[table_of(row)][c],
                                .value = value_of(row, seqno, c, texts[c]) };
    if (change.op == CHANGE_UPSERT && change.n_fields == 0)
        return;
    verdict = store_apply(world.store, entity, &change, 0);
    assert_true(verdict != MERGE_REJECT);
    if (verdict == MERGE_FULL)
        return;
    before = *plain;
    plain_apply(plain, row, seqno);
    if (!world.purges)
        assert_int_equal(verdict == MERGE_STALE, memcmp(&before, plain, sizeof(before)) == 0);
}

static void keep(unsigned document, unsigned slot)
{
    struct entity *entity = find(document);
    struct document look;

    if (entity == NULL)
        return;
    look = store_document(entity);
    if (world.purges)
        look.purge_before = document_horizon(world.plan, &look);
    buf_reset(&state_text);
    document_render(world.plan, &look, true, &state_text);
    assert_false(state_text.overflow);
    world.kept[document][slot] =
        (struct kept){ true, fuzz_exact(buf_slice(&state_text)), world.plains[document] };
}

static void join(unsigned document, unsigned slot)
{
    const struct kept *kept = &world.kept[document][slot];
    struct document_state state;
    struct entity *entity;
    unsigned late = 0;
    struct err err;

    if (!kept->used || (entity = find_or_add(document)) == NULL)
        return;
    arena_reset(&arena);
    if (document_parse(world.plan, kept->text, (struct slice){ NULL, 0 }, &arena, &state, &err) !=
        0)
        fail_msg("%s: %.*s", err.text, (int)kept->text.len, kept->text.data);
    if (store_join(world.store, entity, &state, 0, &late) == MERGE_FULL)
        return;
    for (unsigned row = 0; row < ROWS; row++)
        plain_join(&world.plains[document].rows[row], &kept->plain.rows[row]);
    assert_true(world.purges || late == 0);
}

static void drop(unsigned document)
{
    struct entity *entity = find(document);

    if (entity == NULL)
        return;
    store_drop(world.store, entity);
    forget(document);
}

static void evict(void)
{
    uint64_t evicted = 0;

    (void)store_evict(world.store, &evicted);
    store_reclaim(world.store);
    for (unsigned d = 0; d < DOCUMENTS; d++)
        if (world.plains[d].known && find(d) == NULL)
            forget(d);
}

static void fold(unsigned document)
{
    struct entity *entity = find(document);

    if (entity != NULL && world.purges)
        store_fold(world.store, entity);
}

static void open_world(unsigned kind)
{
    static const char *const names[COLUMNS] = { "id", "name", "n" };

    memset(&world, 0, sizeof(world));
    world.plan = captures_plan(kind % 2 == 0 ? IMAGES_FULL : IMAGES_PARTIAL);
    world.purges = kind / 2 % 2 == 1;
    world.plan->tombstone_retention_us = world.purges ? 50 : 0;
    world.store = store_open(world.plan, 1 << 20);
    world.reader = store_reader_open(world.store);
    for (unsigned t = 0; t < 4; t++)
        for (unsigned c = 0; c < COLUMNS; c++)
            world.columns[t][c] = columns_intern(world.plan->tables[t].columns, slice_of(names[c]));
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };

    open_world(fuzz_u8(&fuzz));
    while (fuzz.left.len > 0) {
        unsigned what = fuzz_u8(&fuzz), where = fuzz_u8(&fuzz);
        unsigned document = where % DOCUMENTS, other = where / DOCUMENTS;

        if (what % 16 < 9)
            apply(document, other % ROWS, SEQNO_EPOCH + 1 + fuzz_u8(&fuzz));
        else if (what % 16 < 11)
            keep(document, other % KEPT);
        else if (what % 16 < 13)
            join(document, other % KEPT);
        else if (what % 16 == 13)
            drop(document);
        else if (what % 16 == 14)
            evict();
        else
            fold(document);
        compare_all();
    }
    store_reclaim(world.store);
}
