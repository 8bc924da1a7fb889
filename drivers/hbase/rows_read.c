/*
 * rows_read.c: the cells of one HBase row as the state that they make.
 *
 *     1. take    each cell once: which table, column and row its qualifier names; _weir:residual
 *     2. sort    cells of one row together: marker, what stands beside it, columns
 *     3. rows    each group with a marker is a row (rows_read_row.c)
 *     4. end     the rows in the store's order, and the version
 *
 * HBase sorts by the qualifier's bytes, table:column:rowid, so the cells of one row of a 1:n table
 * are far apart: as many runs as the table has columns. Merging runs takes about log2(columns)
 * passes then, and never more than n log n comparisons, whatever comes.
 *
 * The cells come from outside. The memory is the arena's, bounded by the cells' own bytes. What
 * comes out keeps the promises that rows make (row.h): no row twice, no column twice, seqnos within
 * bounds. Of several versions of one cell the newest counts.
 *
 * Terms of what the plan does not map any more go into the residual, and stay in HBase as well, so
 * the next reading would count them again. Therefore the residual's cell names what its number
 * holds (struct rows, left_out), and what it names is not counted.
 *
 * The order of fields within a row is that of their names' bytes, NULLs of full images last: not
 * what the log had, but the same whoever reads.
 */
#include "drivers/hbase/rows_internal.h"

#include "dataplane/base/err.h"
#include "dataplane/merge.h"

#define DIGITS_MAX 19 /* of a number below 2^63 */

int rows_fail(struct rows_reader *reader, const char *what, struct slice name)
{
    int len = (int)(name.len < 80 ? name.len : 80); /* It may be as long as its writer liked. */

    return err_set(reader->err, EXIT_SOFTWARE, "hbase cells: %s \"%.*s\"", what, len, name.data);
}

int rows_fail_arena(struct rows_reader *reader)
{
    return err_set(reader->err, EXIT_SOFTWARE,
                   "hbase cells: they need more memory than is set aside for reading them");
}

/* ---- cells ---- */

/* What the qualifier's prefix says, and the qualifier without it. */
static enum piece_kind take_prefix(struct slice *qualifier)
{
    static const struct {
        struct slice prefix;
        enum piece_kind kind;
    } prefixes[] = { { SLICE(STATE_PREFIX), PIECE_STATE },
                     { SLICE(NOTE_PREFIX), PIECE_NOTE },
                     { SLICE(TOMBSTONE_PREFIX), PIECE_TOMBSTONE } };

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (qualifier->len >= PREFIX_BYTES &&
            memcmp(qualifier->data, prefixes[i].prefix.data, PREFIX_BYTES) == 0) {
            qualifier->data += PREFIX_BYTES;
            qualifier->len -= PREFIX_BYTES;
            return prefixes[i].kind;
        }
    return PIECE_COLUMN;
}

/* Takes the qualifier apart: table:column[:rowid], with or without a prefix. False: it is none of
 * weir's. */
static bool take_qualifier(struct slice qualifier, struct piece *piece)
{
    enum piece_kind kind = take_prefix(&qualifier);
    const char *end = qualifier.data + qualifier.len, *colon, *column;

    colon = qualifier.len > 0 ? memchr(qualifier.data, ':', qualifier.len) : NULL;
    if (colon == NULL)
        return false;
    piece->table = qualifier.data;
    piece->table_len = (uint32_t)(colon - piece->table);
    column = colon + 1;
    colon = memchr(column, ':', (size_t)(end - column));
    piece->many = colon != NULL;
    piece->column_len = (uint32_t)((colon != NULL ? colon : end) - column);
    piece->row_len = colon != NULL ? (uint32_t)(end - colon - 1) : 0;
    if (piece->column_len == 0 && kind == PIECE_COLUMN)
        kind = PIECE_MARKER;
    if (piece->column_len == 0 && kind == PIECE_NOTE)
        kind = PIECE_FLAG;
    piece->kind = (uint8_t)kind;
    return piece->table_len > 0 &&
           (kind == PIECE_COLUMN || kind == PIECE_NOTE) == (piece->column_len > 0);
}

/* The table's place in the plan; `last` is where the cell before it was. */
static uint8_t find_table(const struct rows *rows, struct slice name, uint8_t last)
{
    for (unsigned i = 0, n = rows->plan->n_tables; i < n; i++) {
        unsigned index = last < n ? (last + i) % n : i;
        struct slice prefix = rows->tables[index].prefix;

        if (prefix.len == name.len + 1 && memcmp(prefix.data, name.data, name.len) == 0)
            return (uint8_t)index;
    }
    return PLAN_TABLES_MAX;
}

/* Names behind the residual's number. */
static int take_counted(struct rows_reader *reader, struct slice text)
{
    struct json json;
    struct json_value value;
    char *name;

    json_open(&json, text);
    if (json_enter(&json, JSON_ARRAY)) {
        while (json_element(&json, &value)) {
            if (value.type != JSON_STRING || reader->n_counted == LEFT_OUT_MAX)
                continue; /* Counted twice does no more harm than a version that is higher. */
            name = arena_take(reader->arena, value.raw.len);
            if (name == NULL)
                return rows_fail_arena(reader);
            reader->counted[reader->n_counted++] =
                (struct slice){ name, json_unescape(value.raw, name) };
        }
    }
    return json_end(&json) ? 0 : rows_fail(reader, "no list behind the residual:", text);
}

static int take_residual(struct rows_reader *reader, struct slice text)
{
    uint64_t number = 0;
    size_t n = 0;

    while (n < text.len && n <= DIGITS_MAX && text.data[n] >= '0' && text.data[n] <= '9')
        number = number * 10 + (uint64_t)(text.data[n++] - '0');
    if (n == 0 || n > DIGITS_MAX || number > VERSION_MAX)
        return rows_fail(reader, "the residual is no number below 2^63:", text);
    if (number < reader->out->residual) /* An older version of the cell. */
        return 0;
    reader->out->residual = number;
    reader->n_counted = 0;
    if (n == text.len)
        return 0;
    return take_counted(reader, (struct slice){ text.data + n, text.len - n });
}

/* Fills `pieces` from the cells; *n of them. */
static int take_cells(struct rows_reader *reader, struct slice cells, unsigned n_cells,
                      struct piece *pieces, size_t *n)
{
    uint8_t index = PLAN_TABLES_MAX;
    struct slice row = { NULL, 0 };
    struct cell cell;

    *n = 0;
    for (unsigned i = 0; i < n_cells; i++) {
        struct piece *piece = &pieces[*n];

        if (cell_next(&cells, &cell) != 1)
            return rows_fail(reader, "what came is no cell, in row", row);
        if (i > 0 && !slice_equal(row, cell.row))
            return rows_fail(reader, "they are of several rows:", cell.row);
        row = cell.row;
        if (cell.type != CELL_PUT || !slice_equal(cell.family, reader->rows->family))
            continue;
        if (slice_equal(cell.qualifier, SLICE("_weir:residual"))) {
            reader->out->has_state = true;
            if (take_residual(reader, cell.value) < 0)
                return -1;
            continue;
        }
        *piece = (struct piece){ .timestamp = cell.timestamp,
                                 .value = cell.value.data,
                                 .value_len = (uint32_t)cell.value.len };
        if (!take_qualifier(cell.qualifier, piece))
            continue;
        index = find_table(reader->rows, piece_table(piece), index);
        piece->index = index;
        (*n)++;
    }
    return 0;
}

/* ---- order ---- */

/* By row alone. */
static int row_of_order(const struct piece *a, const struct piece *b)
{
    int order;

    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    if (a->index == PLAN_TABLES_MAX && (order = slice_compare(piece_table(a), piece_table(b))) != 0)
        return order;
    if (a->many != b->many)
        return a->many ? 1 : -1;
    return slice_compare(piece_row_id(a), piece_row_id(b));
}

static int piece_order(const void *items, uint32_t i, uint32_t j)
{
    const struct piece *a = (const struct piece *)items + i, *b = (const struct piece *)items + j;
    int order = row_of_order(a, b);

    if (order != 0)
        return order;
    order = slice_compare(piece_column(a), piece_column(b));
    if (order != 0)
        return order;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return (a->timestamp < b->timestamp) - (a->timestamp > b->timestamp);
}

/* As the store has its rows. */
static int change_order(const void *items, uint32_t i, uint32_t j)
{
    const struct change *a = (const struct change *)items + i;
    const struct change *b = (const struct change *)items + j;

    return row_order(a->table, a->row_id, b->table, b->row_id);
}

/* What is sorted: items, by their indices. */
struct sort {
    const void *items;
    int (*order)(const void *items, uint32_t i, uint32_t j);
    size_t n;
};

/* Where the run ends that begins at `from`. */
static size_t run_end(const struct sort *sort, const uint32_t *at, size_t from)
{
    size_t to = from < sort->n ? from + 1 : sort->n;

    while (to < sort->n && sort->order(sort->items, at[to - 1], at[to]) <= 0)
        to++;
    return to;
}

/* Merges the runs [from, middle) and [middle, end) of `at` into `to`. */
static void merge_runs(const struct sort *sort, const uint32_t *at, const size_t bounds[3],
                       uint32_t *to)
{
    size_t a = bounds[0], b = bounds[1], n = bounds[0];

    while (a < bounds[1] && b < bounds[2])
        to[n++] = sort->order(sort->items, at[a], at[b]) <= 0 ? at[a++] : at[b++];
    while (a < bounds[1])
        to[n++] = at[a++];
    while (b < bounds[2])
        to[n++] = at[b++];
}

/* Natural merge sort: the items' indices in order, in the arena; NULL where that is full. */
static const uint32_t *sort_run(const struct sort *sort, struct arena *arena)
{
    uint32_t *at = arena_take(arena, sort->n * sizeof(*at));
    uint32_t *to = arena_take(arena, sort->n * sizeof(*to));
    size_t pairs;

    if (at == NULL || to == NULL)
        return NULL;
    for (size_t i = 0; i < sort->n; i++)
        at[i] = (uint32_t)i;
    do {
        size_t bounds[3] = { 0, 0, 0 };

        for (pairs = 0; bounds[2] < sort->n; pairs++) {
            bounds[0] = bounds[2];
            bounds[1] = run_end(sort, at, bounds[0]);
            bounds[2] = run_end(sort, at, bounds[1]);
            merge_runs(sort, at, bounds, to);
        }
        uint32_t *sorted = to;
        to = at;
        at = sorted;
    } while (pairs > 1);
    return at;
}

/* ---- rows ---- */

static int read_groups(struct rows_reader *reader, const struct piece *pieces,
                       const uint32_t *order, size_t n)
{
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && row_of_order(&pieces[order[from]], &pieces[order[to]]) == 0;)
            to++;
        if (rows_read_row(reader, &(struct piece_group){ pieces, order + from, to - from }) < 0)
            return -1;
    }
    return 0;
}

static int read_pieces(struct rows_reader *reader, const struct piece *pieces, size_t n)
{
    const uint32_t *order = sort_run(&(struct sort){ pieces, piece_order, n }, reader->arena);
    size_t n_rows = 0;

    if (order == NULL)
        return rows_fail_arena(reader);
    for (size_t i = 0; i < n; i++)
        n_rows += pieces[i].kind == PIECE_MARKER;
    reader->out->changes = arena_take(reader->arena, n_rows * sizeof(struct change));
    if (reader->out->changes == NULL)
        return rows_fail_arena(reader);
    return read_groups(reader, pieces, order, n);
}

/* The changes in the order of rows: whoever joins them puts each behind the one before it. */
static int sort_changes(struct rows_reader *reader)
{
    struct document_state *out = reader->out;
    const struct sort sort = { out->changes, change_order, out->n_changes };
    const uint32_t *order = sort_run(&sort, reader->arena);
    struct change *sorted = arena_take(reader->arena, out->n_changes * sizeof(*sorted));

    if (order == NULL || sorted == NULL)
        return rows_fail_arena(reader);
    for (unsigned i = 0; i < out->n_changes; i++)
        sorted[i] = out->changes[order[i]];
    out->changes = sorted;
    return 0;
}

static int sum_version(struct rows_reader *reader, uint64_t *version)
{
    const struct document_state *out = reader->out;

    *version = out->residual;
    for (unsigned i = 0; i < out->n_changes; i++) {
        uint64_t term = change_term(&out->changes[i], reader->rows->plan->images);

        if (term > VERSION_MAX - *version)
            return rows_fail(reader, "the version would pass 2^63 at row", out->changes[i].row_id);
        *version += term;
    }
    return 0;
}

int rows_read(struct rows *rows, struct slice cells, unsigned n_cells, struct arena *arena,
              struct document_state *out, uint64_t *version, struct err *err)
{
    struct rows_reader reader = { .rows = rows, .arena = arena, .out = out, .err = err };
    struct piece *pieces;
    size_t n;

    *out = (struct document_state){ .partition = -1 };
    *version = 0;
    if (n_cells > cells.len / CELL_BYTES_MIN)
        return err_set(err, EXIT_SOFTWARE, "hbase cells: fewer came than were announced");
    pieces = arena_take(arena, n_cells * sizeof(*pieces));
    if (pieces == NULL)
        return rows_fail_arena(&reader);
    if (take_cells(&reader, cells, n_cells, pieces, &n) < 0 || read_pieces(&reader, pieces, n) < 0)
        return -1;
    if (out->other_images) {
        *out = (struct document_state){ .partition = -1, .has_state = true, .other_images = true };
        return 0;
    }
    if (sort_changes(&reader) < 0)
        return -1;
    return sum_version(&reader, version);
}
