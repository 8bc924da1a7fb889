/*
 * table_cells.c: the cells, as HBase keeps them for who reads the newest version.
 *
 *     put 5         put 7 shows over it        put 3 changes nothing      put 7 replaces put 7
 *     marker 7      hides puts up to 7, those that come later too, until a major compaction
 *     compaction    the marker and what it hid are gone: put 6, if it comes now, shows
 *
 * A put that is older than another visible one is dropped at once: to show again the newer one
 * would have to be deleted, and a marker that hides the newer one hides it as well. (weir writes
 * no markers that delete a single version; such a one ends the history.)
 *
 * Rows and cells lie in sorted arrays: there are few, and walks are in order.
 */
#include "drivers/hbase/cell.h"
#include "tests/sim/table_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Where the row is, or where it belongs. */
static bool find_row(const struct table *table, struct slice key, size_t *place)
{
    size_t from = 0, to = table->n_rows;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = slice_compare(table->rows[middle]->key, key);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    *place = from;
    return false;
}

static struct kept_row *row_of(struct table *table, struct slice key)
{
    size_t place;

    if (find_row(table, key, &place))
        return table->rows[place];
    if (table->n_rows == table->rows_room) {
        table->rows_room = 2 * table->rows_room + 64;
        table->rows = realloc(table->rows, table->rows_room * sizeof(*table->rows));
        ASSERT(table->rows != NULL);
    }
    memmove(&table->rows[place + 1], &table->rows[place],
            (table->n_rows - place) * sizeof(*table->rows));
    table->n_rows++;
    table->rows[place] = table_heap(sizeof(*table->rows[place]));
    *table->rows[place] = (struct kept_row){ .key = table_copy(key) };
    return table->rows[place];
}

static struct kept_cell *cell_of(struct kept_row *row, struct slice qualifier)
{
    size_t place = 0;
    int order = -1;

    while (place < row->n && (order = slice_compare(row->cells[place].qualifier, qualifier)) < 0)
        place++;
    if (place < row->n && order == 0)
        return &row->cells[place];
    if (row->n == row->room) {
        row->room = 2 * row->room + 8;
        row->cells = realloc(row->cells, row->room * sizeof(*row->cells));
        ASSERT(row->cells != NULL);
    }
    memmove(&row->cells[place + 1], &row->cells[place], (row->n - place) * sizeof(*row->cells));
    row->n++;
    row->cells[place] = (struct kept_cell){ .qualifier = table_copy(qualifier) };
    return &row->cells[place];
}

static void forget_put(struct kept_cell *kept)
{
    free((void *)(uintptr_t)kept->value.data);
    kept->value = (struct slice){ NULL, 0 };
    kept->has_put = false;
}

static void apply_marker(struct kept_cell *kept, const struct cell *cell)
{
    if (!kept->has_marker || cell->timestamp > kept->deleted)
        kept->deleted = cell->timestamp;
    kept->has_marker = true;
    if (kept->has_put && kept->put <= kept->deleted)
        forget_put(kept);
}

static void apply_put(struct kept_cell *kept, const struct cell *cell)
{
    if (kept->has_marker && cell->timestamp <= kept->deleted)
        return;
    if (kept->has_put && cell->timestamp < kept->put)
        return;
    forget_put(kept);
    kept->value = table_copy(cell->value);
    kept->put = cell->timestamp;
    kept->has_put = true;
}

static void apply(struct table *table, struct kept_row *row, const struct cell *cell)
{
    struct kept_cell *kept = cell_of(row, cell->qualifier);
    bool deletes = cell->type == CELL_DELETE_COLUMN;
    struct table_change change = { .row = row->key,
                                   .qualifier = cell->qualifier,
                                   .value = cell->value,
                                   .deletes = deletes,
                                   .timestamp = cell->timestamp,
                                   .before = kept->has_put ? kept->put : 0 };

    if (!deletes && cell->type != CELL_PUT)
        sim_blame("hbase: only puts and column markers are written", "a cell of type %u in %s",
                  cell->type, table_shown(row->key));
    if (deletes)
        apply_marker(kept, cell);
    else
        apply_put(kept, cell);
    if (cell->timestamp > kept->highest)
        kept->highest = cell->timestamp;
    change.after = kept->has_put ? kept->put : 0;
    change.highest = kept->highest;
    for (struct table_watch *watch = table->watches; watch != NULL; watch = watch->next)
        if (watch->changed != NULL)
            watch->changed(watch, &change);
}

/* " +qualifier@timestamp -qualifier@timestamp ..." */
static void trace(unsigned server, struct slice row, struct slice cells)
{
    char text[900];
    size_t at = 0;
    struct cell cell;

    text[0] = '\0';
    while (at < sizeof(text) && cell_next(&cells, &cell) == 1)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %c%s@%llu",
                               cell.type == CELL_PUT ? '+' : '-', table_shown(cell.qualifier),
                               (unsigned long long)cell.timestamp);
    sim_trace("%s writes %s:%s", table_hosts[server], table_shown(row), text);
}

void cells_apply(struct table *table, unsigned server, struct slice cells)
{
    struct slice block = cells;
    struct kept_row *row = NULL;
    struct cell cell;
    int more;

    while ((more = cell_next(&block, &cell)) == 1) {
        if (row == NULL) {
            trace(server, cell.row, cells);
            row = row_of(table, cell.row);
        }
        apply(table, row, &cell);
    }
    ASSERT(more == 0);
}

unsigned cells_compact(struct table *table, struct slice start, struct slice end)
{
    unsigned markers = 0;
    size_t at;

    (void)find_row(table, start, &at);
    for (; at < table->n_rows; at++) {
        struct kept_row *row = table->rows[at];
        if (end.len > 0 && slice_compare(row->key, end) >= 0)
            break;
        for (size_t i = 0; i < row->n; i++) {
            markers += row->cells[i].has_marker;
            row->cells[i].has_marker = false;
        }
    }
    return markers;
}

/* ---- reading ---- */

bool table_next(const struct table *table, struct table_walk *walk, struct table_cell *cell)
{
    for (; walk->row < table->n_rows; walk->row++, walk->cell = 0) {
        const struct kept_row *row = table->rows[walk->row];
        while (walk->cell < row->n) {
            const struct kept_cell *kept = &row->cells[walk->cell++];
            if (!kept->has_put)
                continue;
            *cell = (struct table_cell){ row->key, kept->qualifier, kept->value, kept->put };
            return true;
        }
    }
    return false;
}

void table_seek(const struct table *table, struct table_walk *walk, struct slice row)
{
    walk->cell = 0;
    (void)find_row(table, row, &walk->row);
}

unsigned table_read(const struct table *table, struct slice row, struct buf *out)
{
    struct table_walk walk;
    struct table_cell cell;
    unsigned n = 0;

    table_seek(table, &walk, row);
    while (table_next(table, &walk, &cell) && slice_equal(cell.row, row)) {
        cell_put(out, &(struct cell){ .row = cell.row,
                                      .family = SLICE(TABLE_FAMILY),
                                      .qualifier = cell.qualifier,
                                      .value = cell.value,
                                      .timestamp = cell.timestamp,
                                      .type = CELL_PUT });
        n++;
    }
    return n;
}
