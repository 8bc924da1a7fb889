/*
 * The rows of an entity, in their order, written as one JSON document.
 *
 *     rows:  root | buyer | item 4 | item 5 (deleted) | item 10
 *
 *     {"order_no":1,..., "buyer":{...}, "items":[{4},{10}], "_weir":{... {"4":s,"5":-s,"10":s}}}
 *      root's columns    1:1            the alive rows      all rows, in the same order
 *
 * document_parse.c relies on this: the root's columns stand before every `into` member; alive rows
 * stand in an array in the order in which `_weir` names them; hidden cells are named in `_weir`
 * only. A row that is deleted leaves nothing but its line in `_weir`: a 1:1 table's member, and an
 * array without alive rows, are left out. A row that is purged leaves its term in `residual`.
 *
 * Values are copied as they are: they became JSON texts without raw newlines in the decoder.
 * Nothing here can fail; where the buffer is too small it says so itself (buf.overflow).
 */
#include "dataplane/document.h"

#include "dataplane/base/check.h"
#include "dataplane/columns.h"

/* The root table has one row, with the empty row id. NULL where the entity has none (yet). */
static const struct row *find_root(const struct plan *plan, const struct document *document)
{
    for (unsigned i = 0; i < document->n_rows && document->rows[i]->table <= plan->root; i++)
        if (document->rows[i]->table == plan->root)
            return document->rows[i];
    return NULL;
}

bool document_shown(const struct plan *plan, const struct document *document)
{
    const struct row *root = find_root(plan, document);

    if (root != NULL)
        return row_alive(root);
    if (plan->emit == EMIT_ON_ROOT)
        return false;
    for (unsigned i = 0; i < document->n_rows; i++)
        if (row_alive(document->rows[i]))
            return true;
    return false;
}

/* The comma before every member but the first. */
static void separate(struct buf *out, bool *first)
{
    if (!*first)
        buf_put_char(out, ',');
    *first = false;
}

static void put_name(struct buf *out, struct slice name)
{
    buf_put_json_string(out, name);
    buf_put_char(out, ':');
}

static void put_fields(const struct columns *columns, const struct row *row, bool *first,
                       struct buf *out)
{
    struct row_cursor cursor;
    struct field field;

    row_fields(row, &cursor);
    while (row_next(&cursor, &field)) {
        if (field.value.data == NULL)
            continue;
        separate(out, first);
        buf_put_slice(out, columns_label(columns, field.column));
        buf_put_slice(out, field.value);
    }
}

static void put_row(const struct columns *columns, const struct row *row, struct buf *out)
{
    bool first = true;

    buf_put_char(out, '{');
    put_fields(columns, row, &first, out);
    buf_put_char(out, '}');
}

/* The rows of one table, at most one of which a 1:1 table has, as a member of the document. */
static void put_table(const struct plan_table *table, struct row *const *rows, unsigned n,
                      bool *first_member, struct buf *out)
{
    bool many = table->many.len > 0, first = true;

    ASSERT(many || n == 1);
    for (unsigned i = 0; i < n; i++) {
        if (!row_alive(rows[i]))
            continue;
        if (first) {
            separate(out, first_member);
            put_name(out, table->into);
            if (many)
                buf_put_char(out, '[');
        } else {
            buf_put_char(out, ',');
        }
        first = false;
        put_row(table->columns, rows[i], out);
    }
    if (many && !first)
        buf_put_char(out, ']');
}

/* How many rows from `from` on are of one table. */
static unsigned table_run(const struct document *document, unsigned from)
{
    unsigned to = from;

    while (to < document->n_rows && document->rows[to]->table == document->rows[from]->table)
        to++;
    return to - from;
}

void document_render(const struct plan *plan, const struct document *document, bool with_state,
                     struct buf *out)
{
    const struct row *root = find_root(plan, document);
    bool first = true;
    unsigned n;

    buf_put_char(out, '{');
    if (root != NULL && row_alive(root))
        put_fields(plan->tables[plan->root].columns, root, &first, out);
    for (unsigned i = 0; i < document->n_rows; i += n) {
        uint16_t table = document->rows[i]->table;

        ASSERT(table < plan->n_tables);
        n = table_run(document, i);
        if (table != plan->root)
            put_table(&plan->tables[table], document->rows + i, n, &first, out);
    }
    if (with_state) {
        separate(out, &first);
        buf_put_literal(out, "\"_weir\":");
        document_render_state(plan, document, out);
    }
    buf_put_char(out, '}');
}

/* ---- _weir ---- */

/* {"column":seqno,...}: the cells whose seqno is not the row's, and all that are hidden (the
 * document does not name them). Leaves nothing where there are none. */
static void put_cells(const struct columns *columns, const struct row *row, struct buf *out)
{
    struct row_cursor cursor;
    struct field field;
    bool first = true;

    row_fields(row, &cursor);
    while (row_next(&cursor, &field)) {
        if (field.value.data != NULL && field.seqno == row->seqno)
            continue;
        buf_put(out, first ? ",{" : ",", first ? 2 : 1);
        buf_put_slice(out, columns_label(columns, field.column));
        buf_put_u64(out, field.seqno);
        first = false;
    }
    if (!first)
        buf_put_char(out, '}');
}

static void put_row_state(const struct plan *plan, const struct row *row, struct buf *out)
{
    if (plan->images == IMAGES_FULL) {
        if (row->tombstone != 0)
            buf_put_char(out, '-');
        buf_put_u64(out, row->seqno);
        return;
    }
    buf_put_char(out, '[');
    buf_put_u64(out, row->seqno);
    buf_put_char(out, ',');
    if (!row_alive(row))
        buf_put_char(out, '-');
    buf_put_u64(out, row->tombstone);
    put_cells(plan->tables[row->table].columns, row, out);
    buf_put_char(out, ']');
}

/* The lines of one table, n rows from `from` on; purged rows have none. */
static void put_table_state(const struct plan *plan, const struct document *document, unsigned from,
                            unsigned n, bool *first_table, struct buf *out)
{
    bool first = true;

    for (unsigned i = from; i < from + n; i++) {
        const struct row *row = document->rows[i];

        if (document_purges(plan, document, row))
            continue;
        if (first) {
            separate(out, first_table);
            put_name(out, plan->tables[row->table].name);
        }
        buf_put_char(out, first ? '{' : ',');
        put_name(out, row_id(row));
        put_row_state(plan, row, out);
        first = false;
    }
    if (!first)
        buf_put_char(out, '}');
}

void document_render_state(const struct plan *plan, const struct document *document,
                           struct buf *out)
{
    uint64_t residual = document_residual(plan, document);
    bool first = true;
    unsigned n;

    buf_put_literal(out, "{\"images\":");
    buf_put_slice(out, plan->images == IMAGES_FULL ? SLICE("\"full\"") : SLICE("\"partial\""));
    if (residual != 0)
        buf_printf(out, ",\"residual\":%llu", (unsigned long long)residual);
    if (document->partition >= 0)
        buf_printf(out, ",\"p\":%d", document->partition);
    buf_put_literal(out, ",\"rows\":{");
    for (unsigned i = 0; i < document->n_rows; i += n) {
        n = table_run(document, i);
        put_table_state(plan, document, i, n, &first, out);
    }
    buf_put_literal(out, "}}");
}
