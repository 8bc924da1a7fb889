/*
 * merge.c: see merge.h.
 *
 * Full images: the row with the greater seqno replaces the whole row; one comparison.
 *
 * Partial images: a row is a map column -> (value, seqno) and a tombstone. The join takes the
 * greater seqno of each cell and of the tombstone; a cell older than the tombstone is hidden: it
 * loses its value (no later event can show it again, tombstones only grow) and keeps its seqno,
 * which is a term of the document's version.
 *
 *     row     a:1@10  b:2@10           tombstone 0
 *     delete              @20          a:-@10 b:-@10   tombstone 20     (not alive)
 *     upsert  a:3@30                   a:3@30 b:-@10   tombstone 20     (alive, shows a)
 *
 * A cell is marked as changed where some sink may lack it: it is new, or newly hidden, or was
 * marked in a row that some sink still lacked. So what a sink lacks of a row is always among its
 * marked cells.
 *
 * A joined row stores one seqno for all cells that share it and apart only the others; the one
 * stored is found by majority vote, in one pass.
 *
 * This does not know entities or versions: store.c does.
 */
#include "dataplane/merge.h"

#include "dataplane/base/memory.h"

struct merge {
    enum images images;
    uint32_t generation;
    uint32_t seen[COLUMNS_MAX];  /* the generation that used this column last */
    uint32_t place[COLUMNS_MAX]; /* then: where it stands in cells */
    struct field cells[COLUMNS_MAX];
};

struct merge *merge_open(enum images images)
{
    struct merge *merge = memory_reserve(sizeof(*merge), "merge scratch");
    merge->images = images;
    return merge;
}

static uint64_t field_seqno(const struct field *field, uint64_t row_seqno)
{
    return field->seqno != 0 ? field->seqno : row_seqno;
}

/* >0 if the change's fields win a tie of seqnos over the row's: any total order does, if it is the
 * same everywhere. */
static int tie_order(const struct row *row, const struct change *change)
{
    struct row_cursor cursor;
    struct field field;
    row_fields(row, &cursor);
    for (uint32_t i = 0; i < change->n_fields; i++) {
        if (!row_next(&cursor, &field))
            return 1;
        if (field.column != change->fields[i].column)
            return change->fields[i].column > field.column ? 1 : -1;
        int order = slice_compare(change->fields[i].value, field.value);
        if (order != 0)
            return order;
    }
    return row_next(&cursor, &field) ? -1 : 0;
}

static enum merge_verdict merge_full(const struct row *row, const struct change *change)
{
    bool deletes = change->op == CHANGE_DELETE;
    if (row == NULL)
        return deletes ? MERGE_DELETE : MERGE_INSERT;

    bool deleted = row->tombstone != 0;
    if (change->seqno < row->seqno)
        return MERGE_STALE;
    if (change->seqno == row->seqno) {
        if (deleted || (!deletes && tie_order(row, change) <= 0))
            return MERGE_STALE;
    }
    if (deletes)
        return MERGE_DELETE;
    return deleted ? MERGE_INSERT : MERGE_UPDATE;
}

/* Puts a cell into the scratch, or joins it with the one that is there. True if it changed
 * anything. */
static bool cell_join(struct merge *merge, uint32_t *n, const struct field *cell)
{
    uint16_t column = cell->column;
    ASSERT(column < COLUMNS_MAX);
    if (merge->seen[column] != merge->generation) {
        merge->seen[column] = merge->generation;
        merge->place[column] = *n;
        merge->cells[(*n)++] = *cell;
        return true;
    }
    struct field *have = &merge->cells[merge->place[column]];
    if (cell->seqno < have->seqno)
        return false;
    if (cell->seqno == have->seqno && (have->value.data == NULL || cell->value.data == NULL ||
                                       slice_compare(cell->value, have->value) <= 0))
        return false;
    *have = *cell;
    return true;
}

/* Boyer and Moore's vote: the seqno that more than half of the cells share, if there is one. */
static uint64_t common_seqno(const struct field *cells, uint32_t n, uint64_t otherwise)
{
    uint64_t candidate = otherwise;
    uint32_t votes = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (votes == 0)
            candidate = cells[i].seqno;
        votes = cells[i].seqno == candidate ? votes + 1 : votes - 1;
    }
    return candidate;
}

static bool cells_hide(struct field *cells, uint32_t n, uint64_t tombstone)
{
    bool any_shown = false;
    for (uint32_t i = 0; i < n; i++) {
        if (cells[i].seqno < tombstone) {
            cells[i].changed |= cells[i].value.data != NULL;
            cells[i].value = (struct slice){ NULL, 0 };
        } else if (cells[i].value.data != NULL) {
            any_shown = true;
        }
    }
    return any_shown;
}

static enum merge_verdict merge_partial(struct merge *merge, const struct row *row,
                                        const struct change *change, struct change *out)
{
    uint32_t n = 0;
    bool changed = row == NULL;
    bool was_alive = row != NULL && row_alive(row);
    uint64_t tombstone = row != NULL ? row->tombstone : 0;
    merge->generation++;

    if (row != NULL) {
        struct row_cursor cursor;
        struct field field;
        row_fields(row, &cursor);
        while (row_next(&cursor, &field)) {
            field.changed = field.changed && row->unsent != 0;
            (void)cell_join(merge, &n, &field);
        }
    }
    uint64_t deleted_at = change->op == CHANGE_DELETE ? change->seqno : 0;
    if (change->tombstone > deleted_at)
        deleted_at = change->tombstone;
    if (deleted_at > tombstone) {
        tombstone = deleted_at;
        changed = true;
    }
    for (uint32_t i = 0; i < change->n_fields; i++) {
        struct field cell = change->fields[i];
        cell.seqno = field_seqno(&cell, change->seqno);
        cell.changed = true;
        changed |= cell_join(merge, &n, &cell);
    }
    if (!changed)
        return MERGE_STALE;

    *out = *change;
    out->op = CHANGE_UPSERT;
    out->tombstone = tombstone;
    out->fields = merge->cells;
    out->n_fields = n;
    out->seqno = common_seqno(merge->cells, n, change->seqno);
    bool alive = cells_hide(merge->cells, n, tombstone) || (n == 0 && tombstone == 0);
    if (!alive)
        return MERGE_DELETE;
    return was_alive ? MERGE_UPDATE : MERGE_INSERT;
}

enum merge_verdict merge_row(struct merge *merge, const struct row *row,
                             const struct change *change, struct change *out)
{
    if (merge->images == IMAGES_PARTIAL)
        return merge_partial(merge, row, change, out);
    *out = *change;
    return merge_full(row, change);
}
