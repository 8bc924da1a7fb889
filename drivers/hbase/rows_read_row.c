/*
 * rows_read_row.c: the cells of one row as a change.
 *
 *     item::4          d        @20     marker
 *     _cell:item::4    partial  @20
 *     _tomb:item::4    d        @20     its tombstone
 *     _cell:item:a:4   hidden   @18
 *     item:b:4         7        @19     an old put that a compaction uncovered
 *
 *     -> a hidden @18, b hidden @19, tombstone 20
 *
 * Full images: what stands at the marker's timestamp is the row, the rest is remains; the `_weir`
 * cell says which columns are NULL. Partial ones: a column is the newest of its cell and the note
 * beside it, as merge.c would join them, and hidden below the tombstone.
 *
 * A row that was written with full images and is read for partial ones has its marker's seqno in
 * each field; once it is written again it is partial, and its old `_weir` cell still tells of the
 * columns at its timestamp. The other way round nothing is read (out->other_images).
 *
 * rows->place finds a column's field without a search; it is all zero again when the row is done.
 */
#include "drivers/hbase/rows_internal.h"

#include "dataplane/columns.h"
#include "dataplane/partition.h"

/* A row in the making. */
struct draft {
    const struct piece *marker;
    bool alive;         /* the marker's letter */
    bool partial;       /* as it was written */
    uint64_t tombstone; /* partial */
    uint64_t told_at;   /* of the `_weir` cell; 0: there is none that counts */
    struct told told;
    struct field *fields;
    uint32_t n;
};

/* The newest cell and note of one column; one of them may be NULL. */
struct column_run {
    const struct piece *any, *cell, *note;
};

static const struct piece *piece_at(const struct piece_group *group, size_t i)
{
    return &group->pieces[group->order[i]];
}

/* The columns of the group one by one; *at begins behind what has none. */
static bool next_run(const struct piece_group *group, size_t *at, struct column_run *run)
{
    while (*at < group->n && piece_at(group, *at)->column_len == 0)
        (*at)++;
    if (*at == group->n)
        return false;
    *run = (struct column_run){ .any = piece_at(group, *at) };
    for (; *at < group->n; (*at)++) {
        const struct piece *piece = piece_at(group, *at);

        if (!slice_equal(piece_column(piece), piece_column(run->any)))
            break;
        if (piece->kind == PIECE_COLUMN && run->cell == NULL)
            run->cell = piece;
        if (piece->kind == PIECE_NOTE && run->note == NULL)
            run->note = piece;
    }
    return true;
}

/* Is the note newer than the cell, which so is none any more? */
static bool note_wins(const struct column_run *run)
{
    return run->note != NULL && (run->cell == NULL || run->note->timestamp > run->cell->timestamp);
}

static uint64_t run_seqno(const struct column_run *run)
{
    return note_wins(run) ? run->note->timestamp : run->cell->timestamp;
}

/* ---- what is left out ---- */

/* The terms of a row whose table is not mapped. */
static int leave_out_row(struct rows_reader *reader, const struct piece_group *group,
                         const struct draft *draft)
{
    struct slice name = piece_table(draft->marker);
    struct column_run run;
    size_t at = 0;

    if (!draft->partial)
        return told_leave_out(reader, name, draft->marker->timestamp);
    while (next_run(group, &at, &run))
        if (told_leave_out(reader, name, run_seqno(&run)) < 0)
            return -1;
    return draft->tombstone == 0 ? 0 : told_leave_out(reader, name, draft->tombstone);
}

/* The term of a column that is not mapped; a full row has none but its own. */
static int leave_out_run(struct rows_reader *reader, const struct draft *draft,
                         const struct column_run *run)
{
    struct slice name = { run->any->table, run->any->table_len + 1 + run->any->column_len };

    return draft->partial ? told_leave_out(reader, name, run_seqno(run)) : 0;
}

/* ---- fields ---- */

/* The id of a column, COLUMN_SKIP where none is mapped. */
static uint16_t find_column(const struct rows_reader *reader, const struct draft *draft,
                            struct slice name)
{
    struct columns *columns = reader->rows->plan->tables[draft->marker->index].columns;
    uint16_t column = columns_intern_target(columns, name);

    return column < COLUMNS_MAX ? column : COLUMN_SKIP;
}

/* A qualifier's part without escapes: 1; 0 where it has a percent sign that no escape explains, so
 * that it is none of weir's; -1. */
static int unescape(struct rows_reader *reader, struct slice *name)
{
    struct slice raw = *name;
    char *to;

    if (memchr(raw.data, '%', raw.len) == NULL)
        return 1;
    to = arena_take(reader->arena, raw.len);
    if (to == NULL)
        return rows_fail_arena(reader);
    *name = (struct slice){ to, 0 };
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];

        if (c == '%') {
            struct slice escape = { raw.data + i, raw.len - i < 3 ? raw.len - i : 3 };

            if (slice_equal(escape, SLICE("%3A")))
                c = ':';
            else if (!slice_equal(escape, SLICE("%25")))
                return 0;
            i += 2;
        }
        *to++ = c;
    }
    name->len = (size_t)(to - name->data);
    return 1;
}

static void add_field(struct rows_reader *reader, struct draft *draft, const struct field *field,
                      enum text_kind kind)
{
    ASSERT(reader->rows->place[field->column] == 0);
    reader->rows->kinds[draft->n] = (uint8_t)kind;
    draft->fields[draft->n++] = *field;
    reader->rows->place[field->column] = (uint16_t)draft->n;
}

/* How the cell beside the note is to be read. */
static enum text_kind note_kind(const struct column_run *run)
{
    if (run->note == NULL || run->note->timestamp != run->cell->timestamp)
        return TEXT_PLAIN;
    if (slice_equal(piece_value(run->note), SLICE("text")))
        return TEXT_STRING;
    return slice_equal(piece_value(run->note), SLICE("json")) ? TEXT_TOKEN : TEXT_PLAIN;
}

static int take_partial(struct rows_reader *reader, struct draft *draft,
                        const struct column_run *run, uint16_t column)
{
    struct field field = { .column = column, .seqno = run_seqno(run) };

    if (!told_seqno_good(field.seqno))
        return rows_fail(reader, "a timestamp out of bounds at", piece_column(run->any));
    if (!note_wins(run)) {
        field.value = piece_value(run->cell);
        add_field(reader, draft, &field, note_kind(run));
        return 0;
    }
    if (slice_equal(piece_value(run->note), SLICE("null")))
        field.value = SLICE("null");
    else if (field.seqno > draft->tombstone)
        return rows_fail(reader, "a cell is gone that no tombstone hides:", piece_column(run->any));
    add_field(reader, draft, &field, TEXT_NULL);
    return 0;
}

static int take_run(struct rows_reader *reader, struct draft *draft, const struct column_run *run)
{
    struct slice name = piece_column(run->any);
    int known = unescape(reader, &name);
    uint16_t column;

    if (known <= 0)
        return known;
    column = find_column(reader, draft, name);
    if (column == COLUMN_SKIP)
        return leave_out_run(reader, draft, run);
    (void)rows_see(reader->rows, draft->marker->index, column);
    if (draft->partial)
        return take_partial(reader, draft, run, column);
    if (draft->alive && run->cell != NULL && run->cell->timestamp == draft->marker->timestamp)
        add_field(reader, draft,
                  &(struct field){ .column = column, .value = piece_value(run->cell) }, TEXT_PLAIN);
    return 0;
}

/* ---- the `_weir` cell ---- */

static uint64_t field_seqno(const struct draft *draft, const struct field *field)
{
    return field->seqno != 0 ? field->seqno : draft->marker->timestamp;
}

static int take_nulls(struct rows_reader *reader, struct draft *draft)
{
    struct slice name;
    struct json list;
    int more;

    json_open_scanned(&list, draft->told.null);
    (void)json_enter(&list, JSON_ARRAY);
    while ((more = told_next(reader, &list, &name)) == 1) {
        struct field field = { .column = find_column(reader, draft, name),
                               .seqno = draft->partial ? draft->told_at : 0,
                               .value = SLICE("null") };

        if (field.column == COLUMN_SKIP)
            continue;
        (void)rows_see(reader->rows, draft->marker->index, field.column);
        if (reader->rows->place[field.column] == 0)
            add_field(reader, draft, &field, TEXT_NULL);
    }
    return more;
}

/* Columns at the cell's timestamp whose bytes are not what they look like. */
static int take_kinds(struct rows_reader *reader, const struct draft *draft, struct slice names,
                      enum text_kind kind)
{
    struct rows *rows = reader->rows;
    struct slice name;
    struct json list;
    int more;

    if (names.data == NULL)
        return 0;
    json_open_scanned(&list, names);
    (void)json_enter(&list, JSON_ARRAY);
    while ((more = told_next(reader, &list, &name)) == 1) {
        uint16_t column = find_column(reader, draft, name);
        unsigned place = column == COLUMN_SKIP ? 0 : rows->place[column];

        if (place != 0 && rows->kinds[place - 1] == TEXT_PLAIN &&
            field_seqno(draft, &draft->fields[place - 1]) == draft->told_at)
            rows->kinds[place - 1] = (uint8_t)kind;
    }
    return more;
}

static int take_told(struct rows_reader *reader, struct draft *draft)
{
    if (!draft->partial && !draft->alive)
        return 0;
    if (draft->told.null.data != NULL && take_nulls(reader, draft) < 0)
        return -1;
    if (take_kinds(reader, draft, draft->told.text, TEXT_STRING) < 0)
        return -1;
    return take_kinds(reader, draft, draft->told.json, TEXT_TOKEN);
}

/* ---- the row ---- */

/* Bytes become JSON texts; what the tombstone hides loses its value. */
static int finish_fields(struct rows_reader *reader, const struct draft *draft)
{
    for (uint32_t i = 0; i < draft->n; i++) {
        struct field *field = &draft->fields[i];
        int rc;

        if (field->seqno != 0 && field->seqno < draft->tombstone)
            field->value = (struct slice){ NULL, 0 };
        if (field->value.data == NULL)
            continue;
        rc = text_from_cell((enum text_kind)reader->rows->kinds[i], field->value, reader->arena,
                            &field->value);
        if (rc == -2)
            return rows_fail_arena(reader);
        if (rc < 0)
            return rows_fail(reader, "a text that is no UTF-8, or no JSON:", field->value);
    }
    return 0;
}

/* The seqno that most of the fields share, as merge.c finds it. */
static uint64_t common_seqno(const struct draft *draft)
{
    uint64_t candidate = draft->marker->timestamp;
    uint32_t votes = 0;

    for (uint32_t i = 0; i < draft->n; i++) {
        if (votes == 0)
            candidate = draft->fields[i].seqno;
        votes = draft->fields[i].seqno == candidate ? votes + 1 : votes - 1;
    }
    return candidate;
}

static void add_change(struct rows_reader *reader, const struct draft *draft, uint64_t seqno,
                       enum change_op op)
{
    bool is_tombstone = !draft->partial && op == CHANGE_DELETE;

    reader->out->changes[reader->out->n_changes++] = (struct change){
        .seqno = seqno,
        .tombstone = is_tombstone ? seqno : draft->tombstone,
        .row_id = piece_row_id(draft->marker),
        .table = draft->marker->index,
        .partition = PARTITION_NONE,
        .op = (uint8_t)op,
        .n_fields = draft->n,
        .fields = draft->fields,
        .offset = -1,
    };
}

static int finish_full(struct rows_reader *reader, const struct draft *draft)
{
    uint64_t seqno = draft->marker->timestamp;

    add_change(reader, draft, seqno, draft->alive ? CHANGE_UPSERT : CHANGE_DELETE);
    if (reader->rows->plan->images == IMAGES_FULL || !draft->alive || draft->n > 0)
        return 0;
    /* Its one term would be lost: with partial images an empty row has none. */
    return told_leave_out(
        reader, (struct slice){ draft->marker->table, draft->marker->table_len + 1 }, seqno);
}

static int finish_partial(struct rows_reader *reader, const struct draft *draft)
{
    if (draft->n > 0)
        add_change(reader, draft, common_seqno(draft), CHANGE_UPSERT);
    else if (draft->tombstone != 0)
        add_change(reader, draft, draft->tombstone, CHANGE_DELETE);
    else if (draft->alive)
        add_change(reader, draft, draft->marker->timestamp, CHANGE_UPSERT);
    else
        return rows_fail(reader, "a deleted row without a tombstone:", piece_row_id(draft->marker));
    return 0;
}

static int take_fields(struct rows_reader *reader, struct draft *draft,
                       const struct piece_group *group)
{
    struct column_run run;
    size_t at = 0;

    while (next_run(group, &at, &run))
        if (take_run(reader, draft, &run) < 0)
            return -1;
    if (draft->told_at != 0 && take_told(reader, draft) < 0)
        return -1;
    return finish_fields(reader, draft);
}

static int read_mapped(struct rows_reader *reader, const struct piece_group *group,
                       struct draft *draft)
{
    const struct plan_table *table = &reader->rows->plan->tables[draft->marker->index];
    size_t n_max = group->n + draft->told.null.len / 3; /* a name takes three bytes at least */
    int rc;

    if (draft->marker->many != (table->many.len > 0))
        return rows_fail(reader, "`many` is not what it was for the table", table->name);
    if (draft->marker->row_len > ROW_ID_BYTES_MAX || !utf8_valid(piece_row_id(draft->marker)))
        return rows_fail(reader,
                         "a row id that is too long, or no UTF-8:", piece_row_id(draft->marker));
    n_max = n_max < COLUMNS_MAX ? n_max : COLUMNS_MAX;
    draft->fields = arena_take(reader->arena, n_max * sizeof(*draft->fields));
    if (draft->fields == NULL)
        return rows_fail_arena(reader);
    rc = take_fields(reader, draft, group);
    for (uint32_t i = 0; i < draft->n; i++)
        reader->rows->place[draft->fields[i].column] = 0;
    if (rc < 0)
        return -1;
    return draft->partial ? finish_partial(reader, draft) : finish_full(reader, draft);
}

/* What stands beside the marker. */
static int read_beside(struct rows_reader *reader, const struct piece_group *group,
                       struct draft *draft)
{
    const struct piece *newest[PIECE_COLUMN] = { NULL };

    for (size_t i = group->n; i-- > 0;) /* Of each kind the newest comes first. */
        if (piece_at(group, i)->kind < PIECE_COLUMN)
            newest[piece_at(group, i)->kind] = piece_at(group, i);
    const struct piece *state = newest[PIECE_STATE];

    draft->partial = newest[PIECE_FLAG] != NULL;
    if (draft->partial && newest[PIECE_TOMBSTONE] != NULL)
        draft->tombstone = newest[PIECE_TOMBSTONE]->timestamp;
    if (draft->tombstone != 0 && !told_seqno_good(draft->tombstone))
        return rows_fail(reader, "a tombstone out of bounds:", piece_table(draft->marker));
    if (state == NULL || !told_seqno_good(state->timestamp))
        return 0;
    if (!draft->partial && state->timestamp != draft->marker->timestamp)
        return 0;
    draft->told_at = state->timestamp;
    return told_read(reader, piece_value(state), &draft->told);
}

int rows_read_row(struct rows_reader *reader, const struct piece_group *group)
{
    struct draft draft = { .marker = piece_at(group, 0) };
    struct slice letter = piece_value(draft.marker);

    if (draft.marker->kind != PIECE_MARKER)
        return 0; /* Cells of no row: what a purge left behind, or not ours. */
    draft.alive = slice_equal(letter, SLICE("u"));
    if (!draft.alive && !slice_equal(letter, SLICE("d")))
        return rows_fail(reader, "a marker that is neither u nor d:", letter);
    if (!told_seqno_good(draft.marker->timestamp))
        return rows_fail(reader, "a marker's timestamp out of bounds:", piece_table(draft.marker));
    if (read_beside(reader, group, &draft) < 0)
        return -1;
    reader->out->has_state = true;
    if (draft.partial && reader->rows->plan->images == IMAGES_FULL) {
        reader->out->other_images = true;
        return 0;
    }
    if (draft.marker->index == PLAN_TABLES_MAX)
        return leave_out_row(reader, group, &draft);
    return read_mapped(reader, group, &draft);
}
