/*
 * rows_write.c: what a sink lacks of a document, as cells: puts and delete markers.
 *
 *     | 12 lengths | row key, family, table: | column | :rowid | timestamp | type | value |
 *                    └─ once a document and table     └─ once a row
 *
 * A row of 15 columns is 16 cells with nearly the same key, so a cell here is four copies, and a
 * string's escapes are taken out on the way into the buffer. Columns' escaped names are kept by
 * their id. While the fields go by, the columns that the `_weir` cell must name are noted; with
 * full images that is mostly none, and then there is no such cell.
 *
 * With full images a row that lacks a column which the table is known to have needs a delete marker
 * for it: the older row may have had it. `seen` is what this process knows of the table's columns;
 * a column that it never saw may stay behind, and readers know it by its timestamp.
 *
 * Puts and deletes of one write never name the same column at one timestamp: a delete marker hides
 * puts at its own timestamp too, whichever comes first.
 *
 * What this does not do: decide what the sink lacks (row->unsent), which tombstones are purged
 * (document_purges()), or look at the buffer's bound after a cell did not fit.
 */
#include "drivers/hbase/rows_internal.h"

#include "dataplane/columns.h"

#define RESIDUAL_QUALIFIER "_weir:residual"

/* Long.MAX_VALUE means "now" to HBase. */
#define TIMESTAMP_MAX ((uint64_t)INT64_MAX - 1)

/* ---- cells ---- */

struct writer {
    struct rows *rows;
    struct buf *out;
    unsigned n_cells;
    enum images images;
    size_t base_len; /* of the row key and the family: how all heads begin */
    struct rows_table *table;
    const struct columns *columns;
    const struct row *row;
    struct slice heads[HEADS], tail;
};

/* A cell's key but for the row id, which is the writer's. */
struct cell_key {
    struct slice head, column;
    uint64_t timestamp;
    uint8_t type; /* enum cell_type */
};

/* Begins a cell: where its value goes, with room for value_max bytes; NULL where there is none. */
static char *cell_begin(const struct writer *writer, struct buf *out, const struct cell_key *key,
                        size_t value_max)
{
    size_t key_len = key->head.len + key->column.len + writer->tail.len + 9;
    char *at = out->data + out->len;

    if (12 + key_len + value_max > out->bound - out->len) {
        out->overflow = true;
        return NULL;
    }
    bytes_from_u32(at + 4, (uint32_t)key_len);
    at += 12;
    memcpy(at, key->head.data, key->head.len);
    at += key->head.len;
    memcpy(at, key->column.data, key->column.len);
    at += key->column.len;
    memcpy(at, writer->tail.data, writer->tail.len);
    at += writer->tail.len;
    bytes_from_u64(at, key->timestamp);
    at[8] = (char)key->type;
    return at + 9;
}

/* Ends the cell that began at out->len: its value ends at `end`. */
static void cell_end(struct buf *out, const char *value, const char *end)
{
    char *start = out->data + out->len;

    bytes_from_u32(start, (uint32_t)(end - start - 4));
    bytes_from_u32(start + 8, (uint32_t)(end - value));
    out->len = (size_t)(end - out->data);
}

static void put_bytes(struct writer *writer, enum rows_head head, struct slice column,
                      uint64_t timestamp, struct slice value)
{
    struct cell_key key = { writer->heads[head], column, timestamp, CELL_PUT };
    char *at = cell_begin(writer, writer->out, &key, value.len);

    writer->n_cells++;
    if (at == NULL)
        return;
    memcpy(at, value.data, value.len);
    cell_end(writer->out, at, at + value.len);
}

static void put_delete(struct writer *writer, enum rows_head head, struct slice column,
                       uint64_t timestamp)
{
    struct cell_key key = { writer->heads[head], column, timestamp, CELL_DELETE_COLUMN };
    char *at = cell_begin(writer, writer->out, &key, 0);

    writer->n_cells++;
    if (at != NULL)
        cell_end(writer->out, at, at);
}

static bool is_null(struct slice value)
{
    return value.len == 4 && memcmp(value.data, "null", 4) == 0;
}

/* What a column's cell does not tell: kept for the `_weir` cell, or with partial images a cell of
 * its own beside it. */
static void note(struct writer *writer, struct slice name, const struct field *field,
                 enum text_kind kind)
{
    static const struct slice texts[] = {
        [TEXT_STRING] = { "text", 4 }, [TEXT_TOKEN] = { "json", 4 }, [TEXT_NULL] = { "null", 4 }
    };
    struct rows *rows = writer->rows;

    if (kind == TEXT_PLAIN)
        return;
    if (writer->images == IMAGES_PARTIAL) {
        put_bytes(writer, HEAD_NOTE, name, field->seqno, texts[kind]);
        return;
    }
    ASSERT(rows->n_notes < COLUMNS_MAX);
    rows->notes[rows->n_notes++] = (struct rows_note){ field->column, (uint8_t)kind };
}

/* A column as it stands: its text, or the delete marker that is a NULL. */
static void put_column(struct writer *writer, const struct field *field)
{
    struct slice name = rows_see(writer->rows, writer->row->table, field->column)->name;
    struct cell_key key = { writer->heads[HEAD_ROW], name, field->seqno, CELL_PUT };
    enum text_kind kind;
    size_t len;
    char *at;

    if (is_null(field->value)) {
        put_delete(writer, HEAD_ROW, name, field->seqno);
        note(writer, name, field, TEXT_NULL);
        return;
    }
    at = cell_begin(writer, writer->out, &key, field->value.len);
    writer->n_cells++;
    if (at == NULL)
        return;
    kind = text_to_cell(field->value, at, &len);
    cell_end(writer->out, at, at + len);
    note(writer, name, field, kind);
}

/* ---- the `_weir` cell ---- */

/* "text":["a","b"]: the noted columns of one kind; nothing where there are none. */
static void put_names(const struct writer *writer, enum text_kind kind, struct slice head,
                      struct buf *out)
{
    const struct rows *rows = writer->rows;
    bool first = true;

    for (unsigned i = 0; i < rows->n_notes; i++) {
        struct slice label = columns_label(writer->columns, rows->notes[i].column);

        if (rows->notes[i].kind != kind)
            continue;
        if (!first || out->data[out->len - 1] != '{')
            buf_put_char(out, ',');
        if (first)
            buf_put_slice(out, head);
        buf_put(out, label.data, label.len - 1); /* Without its colon. */
        first = false;
    }
    if (!first)
        buf_put_char(out, ']');
}

static void put_state(struct writer *writer)
{
    struct cell_key key = { writer->heads[HEAD_STATE], SLICE(""), writer->row->seqno, CELL_PUT };
    struct buf *out = writer->out;
    size_t start = out->len;
    char *at = cell_begin(writer, out, &key, 1);

    writer->n_cells++;
    if (at == NULL)
        return;
    out->len = (size_t)(at - out->data);
    buf_put_char(out, '{');
    put_names(writer, TEXT_NULL, SLICE("\"null\":["), out);
    put_names(writer, TEXT_STRING, SLICE("\"text\":["), out);
    put_names(writer, TEXT_TOKEN, SLICE("\"json\":["), out);
    buf_put_char(out, '}');

    const char *end = out->data + out->len;
    out->len = start;
    cell_end(out, at, end);
}

/* ---- rows ---- */

static void put_marker(struct writer *writer, bool alive, uint64_t timestamp)
{
    put_bytes(writer, HEAD_ROW, SLICE(""), timestamp, alive ? SLICE("u") : SLICE("d"));
}

/* Delete markers for the columns that the table has and the row at hand has not. */
static void delete_absent(struct writer *writer, unsigned n_present)
{
    const struct rows_table *table = writer->table;

    for (unsigned i = 0; i < table->n_seen && n_present < table->n_seen; i++) {
        const struct rows_column *column = &table->columns[table->seen[i]];

        if (column->generation != writer->rows->generation)
            put_delete(writer, HEAD_ROW, column->name, writer->row->seqno);
    }
}

static void put_full_fields(struct writer *writer)
{
    struct row_cursor cursor;
    struct field field;

    row_fields(writer->row, &cursor);
    while (row_next(&cursor, &field)) {
        put_column(writer, &field);
        writer->table->columns[field.column].generation = writer->rows->generation;
    }
    delete_absent(writer, writer->row->n_fields);
}

static void put_full(struct writer *writer)
{
    const struct row *row = writer->row;

    put_full_fields(writer);
    put_marker(writer, row->tombstone == 0, row->seqno);
    if (row->tombstone != 0)
        put_delete(writer, HEAD_STATE, SLICE(""), row->seqno);
    else if (writer->rows->n_notes > 0)
        put_state(writer);
}

static void put_partial_fields(struct writer *writer)
{
    struct row_cursor cursor;
    struct field field;

    row_fields(writer->row, &cursor);
    while (row_next(&cursor, &field)) {
        if (!field.changed)
            continue;
        if (field.value.data != NULL) {
            put_column(writer, &field);
            continue;
        }
        struct slice name = rows_see(writer->rows, writer->row->table, field.column)->name;
        put_delete(writer, HEAD_ROW, name, writer->row->tombstone);
        put_bytes(writer, HEAD_NOTE, name, field.seqno, SLICE("hidden"));
    }
}

static void put_partial(struct writer *writer)
{
    const struct row *row = writer->row;
    uint64_t seqno = row_seqno_max(row);

    put_partial_fields(writer);
    put_marker(writer, row_alive(row), seqno);
    put_bytes(writer, HEAD_NOTE, SLICE(""), seqno, SLICE("partial"));
    if (row->tombstone != 0)
        put_bytes(writer, HEAD_TOMBSTONE, SLICE(""), row->tombstone, SLICE("d"));
}

/* ---- tombstones that go ---- */

/* Of each cell nothing shall be left that another row of this name could take for its own. */
static void purge_partial(struct writer *writer, bool unsent)
{
    const struct row *row = writer->row;
    uint64_t seqno = row_seqno_max(row);
    struct row_cursor cursor;
    struct field field;

    row_fields(row, &cursor);
    while (row_next(&cursor, &field)) {
        struct slice name = rows_see(writer->rows, row->table, field.column)->name;

        if (unsent && field.changed)
            put_delete(writer, HEAD_ROW, name, row->tombstone);
        put_delete(writer, HEAD_NOTE, name, field.seqno);
    }
    put_delete(writer, HEAD_ROW, SLICE(""), seqno);
    put_delete(writer, HEAD_STATE, SLICE(""), seqno);
    put_delete(writer, HEAD_NOTE, SLICE(""), seqno);
    put_delete(writer, HEAD_TOMBSTONE, SLICE(""), row->tombstone);
}

static void purge_full(struct writer *writer, bool unsent)
{
    if (unsent)
        put_full_fields(writer);
    put_delete(writer, HEAD_ROW, SLICE(""), writer->row->seqno);
    put_delete(writer, HEAD_STATE, SLICE(""), writer->row->seqno);
}

/* ---- the document ---- */

static size_t append(char *to, size_t at, struct slice bytes)
{
    memcpy(to + at, bytes.data, bytes.len);
    return at + bytes.len;
}

static void begin_document(struct writer *writer, struct slice row_key)
{
    static const struct slice prefixes[HEADS] = { [HEAD_ROW] = { "", 0 },
                                                  [HEAD_STATE] = { STATE_PREFIX, PREFIX_BYTES },
                                                  [HEAD_NOTE] = { NOTE_PREFIX, PREFIX_BYTES },
                                                  [HEAD_TOMBSTONE] = { TOMBSTONE_PREFIX,
                                                                       PREFIX_BYTES } };
    struct rows *rows = writer->rows;

    ASSERT(row_key.len > 0 && row_key.len <= ROWS_KEY_BYTES_MAX);
    for (int i = 0; i < HEADS; i++) {
        char *head = rows->heads[i];
        size_t len = 2;

        head[0] = (char)(row_key.len >> 8);
        head[1] = (char)row_key.len;
        len = append(head, len, row_key);
        head[len++] = (char)rows->family.len;
        len = append(head, len, rows->family);
        writer->base_len = len;
        writer->heads[i] = (struct slice){ head, append(head, len, prefixes[i]) };
    }
    writer->tail = SLICE("");
}

static void begin_row(struct writer *writer, const struct row *row)
{
    struct rows *rows = writer->rows;
    struct rows_table *table = &rows->tables[row->table];

    ASSERT(row->table < rows->plan->n_tables);
    if (table != writer->table) {
        writer->table = table;
        writer->columns = rows->plan->tables[row->table].columns;
        for (int i = 0; i < HEADS; i++)
            writer->heads[i].len =
                append(rows->heads[i], writer->base_len + (i == HEAD_ROW ? 0 : PREFIX_BYTES),
                       table->prefix);
    }
    writer->row = row;
    writer->tail = SLICE("");
    rows->n_notes = 0;
    rows->generation++;
    if (rows->plan->tables[row->table].many.len > 0) {
        rows->tail[0] = ':';
        writer->tail.data = rows->tail;
        writer->tail.len = append(rows->tail, 1, row_id(row));
    }
}

/* `N`, or, where terms of what is not mapped any more are in it, `N ["table","table:column"]`. */
static void put_residual(struct writer *writer, uint64_t residual)
{
    const struct rows *rows = writer->rows;
    struct cell_key key = { { rows->heads[HEAD_ROW], writer->base_len },
                            SLICE(RESIDUAL_QUALIFIER),
                            residual < TIMESTAMP_MAX ? residual : TIMESTAMP_MAX,
                            CELL_PUT };
    struct buf *out = writer->out;
    size_t start = out->len;
    char *at;

    writer->tail = SLICE("");
    writer->n_cells++;
    at = cell_begin(writer, out, &key, 0);
    if (at == NULL)
        return;
    out->len = (size_t)(at - out->data);
    buf_put_u64(out, residual);
    for (unsigned i = 0; i < rows->n_left_out; i++) {
        buf_put(out, i == 0 ? " [" : ",", i == 0 ? 2 : 1);
        buf_put_json_string(out, rows->left_out[i]);
    }
    if (rows->n_left_out > 0)
        buf_put_char(out, ']');

    const char *end = out->data + out->len;
    out->len = start;
    cell_end(out, at, end);
}

unsigned rows_write(struct rows *rows, const struct document *document, struct slice row_key,
                    struct buf *out)
{
    struct writer writer = { .rows = rows, .out = out, .images = rows->plan->images };
    uint64_t residual;

    begin_document(&writer, row_key);
    for (unsigned i = 0; i < document->n_rows; i++) {
        const struct row *row = document->rows[i];
        bool unsent = (row->unsent & document->sink) != 0;
        bool purged = document->purge_before != 0 && document_purges(rows->plan, document, row);

        if (!unsent && !purged)
            continue;
        begin_row(&writer, row);
        if (purged && writer.images == IMAGES_FULL)
            purge_full(&writer, unsent);
        else if (purged)
            purge_partial(&writer, unsent);
        else if (writer.images == IMAGES_FULL)
            put_full(&writer);
        else
            put_partial(&writer);
    }
    if (writer.n_cells == 0)
        return 0;
    residual = document_residual(rows->plan, document);
    if (residual != 0)
        put_residual(&writer, residual);
    return writer.n_cells;
}
