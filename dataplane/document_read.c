/*
 * One row of a document that is read back: its line in `rows`, and the object that shows it.
 *
 *     "4":[20,15,{"b":18,"c":9}]    line: the row's seqno, its tombstone, cells with seqnos apart
 *     {"id":4,"a":1,"b":2}          object: id and a are of 20, b of 18; c is hidden (9 < 15)
 *
 * What comes out keeps the promises that rows make (row.h): no column twice, seqnos within bounds,
 * shown cells not older than their tombstone and hidden ones not newer. reader->place finds a
 * column's field without a search; it is all zero again when the row is done. Names of columns that
 * are not mapped any more are left out, and so that the version does not fall their terms are
 * counted: each named cell's, and for the others as many times the row's seqno as the object has
 * members that no cell names.
 *
 * The essay in document_parse.c tells the whole.
 */
#include "dataplane/document_read.h"

#include "dataplane/base/check.h"
#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/partition.h"

#define DIGITS_MAX 19 /* of a number below 2^63 */

/* For messages: a name may be as long as its sender likes. */
#define SHOWN(slice) (int)((slice).len < 80 ? (slice).len : 80), (slice).data

int reader_fail(struct reader *reader, const char *what, struct slice name)
{
    return err_set(reader->err, EXIT_SOFTWARE, "state: %s \"%.*s\"", what, SHOWN(name));
}

int reader_fail_plain(struct reader *reader, const char *what)
{
    return err_set(reader->err, EXIT_SOFTWARE, "state: %s", what);
}

int reader_fail_syntax(struct reader *reader, const char *what, const struct json *json)
{
    return err_set(reader->err, EXIT_SOFTWARE, "%s: %s at byte %zu", what,
                   json_error_text(json->error), (size_t)(json->at - json->start));
}

int reader_fail_arena(struct reader *reader)
{
    return reader_fail_plain(reader, "it needs more memory than is set aside for reading it");
}

/* A member's name as it means. */
int reader_name(struct reader *reader, struct slice *name, bool escaped)
{
    struct slice raw = { name->data - 1, name->len + 2 };
    char *text;

    if (!escaped)
        return 0;
    text = arena_take(reader->arena, raw.len);
    if (text == NULL)
        return reader_fail_arena(reader);
    *name = (struct slice){ text, json_unescape(raw, text) };
    return 0;
}

/* The next member of an object that was scanned: 1, 0 at its end, -1 with the error. */
int reader_member(struct reader *reader, struct json *json, struct slice *name,
                  struct json_value *value)
{
    bool escaped;

    if (json_member(json, name, &escaped, value))
        return reader_name(reader, name, escaped) == 0 ? 1 : -1;
    return json->error == JSON_OK ? 0 : reader_fail_syntax(reader, "state", json);
}

void reader_enter(struct json *json, struct slice text, enum json_type container)
{
    json_open_scanned(json, text);
    (void)json_enter(
        json, container); /* The caller knows the type; a wrong one fails at the next member. */
}

/* How many members an object that was scanned has. */
static size_t count_members(struct slice object)
{
    struct json json;
    struct slice name;
    struct json_value value;
    size_t n = 0;
    bool escaped;

    if (object.len == 0)
        return 0;
    reader_enter(&json, object, JSON_OBJECT);
    while (json_member(&json, &name, &escaped, &value))
        n++;
    return n;
}

/* A whole number without sign, less than 2^63. */
bool reader_number(struct slice digits, uint64_t *number)
{
    *number = 0;
    if (digits.len == 0 || digits.len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(digits.data[i] - '0');
    }
    return *number <= INT64_MAX;
}

/* A seqno, or with a minus a tombstone's. */
static bool seqno_of(const struct json_value *value, uint64_t *seqno, bool *negative)
{
    struct slice digits = value->raw;

    *negative = digits.len > 0 && digits.data[0] == '-';
    if (*negative) {
        digits.data++;
        digits.len--;
    }
    return reader_number(digits, seqno) && *seqno > SEQNO_EPOCH && *seqno <= SEQNO_MAX;
}

/* The terms of what is left out. */
static int residual_add(struct reader *reader, uint64_t seqno, uint64_t times)
{
    uint64_t term = seqno - SEQNO_EPOCH, left = INT64_MAX - reader->out->residual;

    if (times > 0 && term > left / times)
        return reader_fail_plain(reader, "its version would pass 2^63");
    reader->out->residual += term * times;
    return 0;
}

/* ---- lines of `rows` ---- */

static int partial_line(struct reader *reader, struct slice raw, struct row_line *line)
{
    struct json json;
    struct json_value value;
    bool negative;

    reader_enter(&json, raw, JSON_ARRAY);
    if (!json_element(&json, &value) || !seqno_of(&value, &line->seqno, &negative) || negative)
        return reader_fail(reader, "no seqno, or one out of bounds, in `rows` of", line->id);
    line->alive = true;
    if (!json_element(&json, &value))
        return reader_fail(reader, "no tombstone in `rows` of", line->id);
    if (!slice_equal(value.raw, SLICE("0"))) {
        if (!seqno_of(&value, &line->tombstone, &negative))
            return reader_fail(reader, "a tombstone out of bounds in `rows` of", line->id);
        line->alive = !negative;
    }
    if (!json_element(&json, &value))
        return 0;
    line->cells = value.raw;
    if (value.type != JSON_OBJECT || json_element(&json, &value))
        return reader_fail(reader, "something else than cells in `rows` of", line->id);
    return 0;
}

int reader_line(struct reader *reader, struct slice id, const struct json_value *value,
                struct row_line *line)
{
    bool negative;

    *line = (struct row_line){ .id = id };
    if (id.len > ROW_ID_BYTES_MAX)
        return reader_fail(reader, "a row id that is too long:", id);
    if (reader->written == IMAGES_PARTIAL) {
        if (value->type != JSON_ARRAY)
            return reader_fail(reader, "`rows` is not of partial images at row", id);
        return partial_line(reader, value->raw, line);
    }
    if (!seqno_of(value, &line->seqno, &negative))
        return reader_fail(reader, "no seqno, or one out of bounds, in `rows` of", id);
    line->alive = !negative;
    line->tombstone = negative ? line->seqno : 0;
    return 0;
}

/* ---- one row ---- */

/* A row in the making: its fields, and what is left out of it. */
struct row_draft {
    const struct row_line *line;
    struct columns *columns; /* NULL: its table is not mapped any more */
    struct field *fields;
    uint32_t n;
    uint64_t left_out;       /* members of the document that no column is mapped to */
    uint64_t left_out_cells; /* those of them whose seqno was in the line's cells */
};

/* The column of a name in the document; COLUMN_SKIP where it is to be left out. */
static int find_column(struct reader *reader, const struct row_draft *draft, struct slice name,
                       uint16_t *column)
{
    const struct plan *plan = reader->plan;

    *column = COLUMN_SKIP;
    if (draft->columns == NULL)
        return 0;
    if (draft->columns == plan->tables[plan->root].columns)
        for (unsigned i = 0; i < plan->n_tables; i++)
            if (i != plan->root && slice_equal(name, plan->tables[i].into))
                return 0; /* A root column once; now the name is another table's. */
    *column = columns_intern_target(draft->columns, name);
    if (*column == COLUMN_NONE)
        return reader_fail(reader, "the document holds a column that cannot be taken:", name);
    ASSERT(*column == COLUMN_SKIP || *column < COLUMNS_MAX);
    return 0;
}

/* A value as the store may hold it: on one line. */
static int copy_value(struct reader *reader, const struct json_value *value, struct slice *copy)
{
    struct slice raw = value->raw;
    char *to;

    *copy = raw;
    if (!json_has_breaks(raw))
        return 0;
    to = arena_take(reader->arena, raw.len);
    if (to == NULL)
        return reader_fail_arena(reader);
    *copy = (struct slice){ to, json_join_lines(raw, to) };
    return 0;
}

static int take_member(struct reader *reader, struct row_draft *draft, struct slice name,
                       const struct json_value *value)
{
    struct field *field;
    uint16_t column;

    if (find_column(reader, draft, name, &column) < 0)
        return -1;
    if (column == COLUMN_SKIP) {
        draft->left_out++;
        return 0;
    }
    if (reader->place[column] != 0)
        return reader_fail(reader, "the document holds a column twice:", name);
    field = &draft->fields[draft->n];
    reader->place[column] = (uint16_t)++draft->n;
    *field = (struct field){ .column = column };
    return copy_value(reader, value, &field->value);
}

/* A cell's own seqno: of a column that the document shows, or else of a hidden one. */
static int take_cell(struct reader *reader, struct row_draft *draft, struct slice name,
                     const struct json_value *value)
{
    uint64_t seqno, tombstone = draft->line->tombstone;
    uint16_t column;
    bool negative;

    if (!seqno_of(value, &seqno, &negative) || negative)
        return reader_fail(reader, "no seqno, or one out of bounds, at cell", name);
    if (find_column(reader, draft, name, &column) < 0)
        return -1;
    if (column == COLUMN_SKIP) {
        draft->left_out_cells += seqno >= tombstone;
        return residual_add(reader, seqno, 1);
    }
    if (reader->place[column] == 0) {
        if (seqno > tombstone)
            return reader_fail(reader, "`rows` names a cell that the document lacks:", name);
        reader->place[column] = (uint16_t)(draft->n + 1);
        draft->fields[draft->n++] = (struct field){ .column = column, .seqno = seqno };
        return 0;
    }
    struct field *field = &draft->fields[reader->place[column] - 1];
    if (field->seqno != 0)
        return reader_fail(reader, "`rows` names a cell twice:", name);
    if (seqno < tombstone)
        return reader_fail(reader,
                           "the document shows a cell that its row's tombstone hides:", name);
    field->seqno = seqno;
    return 0;
}

/* Is this member of the document a table's, not a column of the root? */
static bool is_claimed(const struct reader *reader, const struct json_value *value)
{
    for (unsigned i = 0; i < reader->n_parts; i++)
        if (reader->parts[i].member.data == value->raw.data)
            return true;
    return false;
}

static int take_members(struct reader *reader, struct row_draft *draft, struct slice object,
                        bool is_root)
{
    struct json json;
    struct slice name;
    struct json_value value;
    int more;

    reader_enter(&json, object, JSON_OBJECT);
    while ((more = reader_member(reader, &json, &name, &value)) == 1) {
        if (is_root && (slice_equal(name, SLICE("_weir")) || is_claimed(reader, &value)))
            continue;
        if (take_member(reader, draft, name, &value) < 0)
            return -1;
    }
    return more;
}

static int take_cells(struct reader *reader, struct row_draft *draft)
{
    struct json json;
    struct slice name;
    struct json_value value;
    int more;

    if (draft->line->cells.len == 0)
        return 0;
    reader_enter(&json, draft->line->cells, JSON_OBJECT);
    while ((more = reader_member(reader, &json, &name, &value)) == 1)
        if (take_cell(reader, draft, name, &value) < 0)
            return -1;
    return more;
}

/* The terms of what was left out of the row. With full images a row's only term is the row's; read
 * as partial ones, a row that is left without cells would have none. */
static int keep_terms(struct reader *reader, const struct row_draft *draft)
{
    const struct row_line *line = draft->line;

    if (reader->written == IMAGES_FULL) {
        bool no_cell = reader->plan->images == IMAGES_PARTIAL && line->alive && draft->n == 0;

        return draft->columns == NULL || no_cell ? residual_add(reader, line->seqno, 1) : 0;
    }
    if (draft->left_out_cells > draft->left_out)
        return reader_fail(reader, "`rows` names cells that the document lacks, at row", line->id);
    if (draft->columns == NULL && line->tombstone != 0 &&
        residual_add(reader, line->tombstone, 1) < 0)
        return -1;
    return residual_add(reader, line->seqno, draft->left_out - draft->left_out_cells);
}

/* The row as a change, after everything of it was read. */
static int finish_row(struct reader *reader, const struct part *part, const struct row_draft *draft)
{
    const struct row_line *line = draft->line;
    bool deleted = !line->alive && draft->n == 0, hidden = true;

    for (uint32_t i = 0; i < draft->n; i++) {
        const struct field *field = &draft->fields[i];

        reader->place[field->column] = 0;
        if (field->value.data == NULL)
            continue;
        hidden = false;
        if (field->seqno == 0 && line->alive && line->seqno < line->tombstone)
            return reader_fail(reader,
                               "the document shows a row older than its tombstone:", line->id);
    }
    if (keep_terms(reader, draft) < 0)
        return -1;
    if (draft->columns == NULL)
        return 0;
    if (line->alive && line->tombstone != 0 && hidden && draft->left_out == 0)
        return reader_fail(
            reader, "`rows` says that a row is there, the document shows nothing of it:", line->id);
    reader->out->changes[reader->out->n_changes++] = (struct change){
        .seqno = deleted ? line->tombstone : line->seqno,
        .tombstone = line->tombstone,
        .row_id = line->id,
        .table = (uint16_t)part->table,
        .partition = PARTITION_NONE,
        .op = deleted ? CHANGE_DELETE : CHANGE_UPSERT,
        .n_fields = draft->n,
        .fields = draft->fields,
        .offset = -1,
    };
    return 0;
}

/* `object`: what the document shows of the row; empty where it is not alive. */
int reader_row(struct reader *reader, const struct part *part, const struct row_line *line,
               struct slice object)
{
    struct row_draft draft = { .line = line };
    size_t fields_max = count_members(object) + count_members(line->cells);

    if (part->table >= 0) {
        draft.columns = reader->plan->tables[part->table].columns;
        draft.fields = arena_take(reader->arena, fields_max * sizeof(struct field));
        if (draft.fields == NULL)
            return reader_fail_arena(reader);
    }
    if (object.len > 0 &&
        take_members(reader, &draft, object, part->table == (int)reader->plan->root) < 0)
        return -1;
    if (take_cells(reader, &draft) < 0)
        return -1;
    return finish_row(reader, part, &draft);
}
