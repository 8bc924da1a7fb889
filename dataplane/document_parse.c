/*
 * A document that was read back, as the changes that make its rows again.
 *
 *     1. scan    the whole text once: grammar, UTF-8; where `_weir` stands; count the members
 *     2. head    `_weir`: images, residual, p, and per table its rows, how many of them alive
 *     3. place   which member of the document holds which table's rows
 *     4. rows    in lockstep: a line in `rows`, and, if it is alive, the member's next object
 *
 * There is no DOM: each step walks the text again (json_open_scanned(): nothing is checked twice),
 * and what is kept are slices of the text. Only escaped names and values with raw line breaks are
 * copied, into the arena.
 *
 * The text comes from outside. Whatever it is, the work is linear in its length, the memory is the
 * arena's, and what comes out keeps the promises that rows make (row.h): no column twice, no row
 * twice, seqnos within bounds, hidden cells older than their tombstone.
 *
 * The config may have changed since the text was written. Tables and columns that are not mapped
 * any more are left out, but their terms stay, in the residual: the version of a document never
 * falls. document_render() writes the members of `into` tables last and in the order of `rows`; so
 * members are found by name, and those whose names nobody knows any more by their place.
 *
 * This does not merge, and does not know whose state it is: key and hash are the caller's.
 */
#include "dataplane/base/check.h"
#include "dataplane/document_read.h"

/* ---- one table ---- */

/* Reads a table's lines once: how many, how many alive; that their order is right, which is what
 * keeps a row from standing there twice. */
static int count_lines(struct reader *reader, struct part *part)
{
    struct json json;
    struct slice id, last = { NULL, 0 };
    struct json_value value;
    struct row_line line;
    int more;

    reader_enter(&json, part->rows, JSON_OBJECT);
    while ((more = reader_member(reader, &json, &id, &value)) == 1) {
        if (reader_line(reader, id, &value, &line) < 0)
            return -1;
        if (part->n_rows > 0 && row_order(0, last, 0, id) >= 0)
            return reader_fail(reader, "`rows` is out of order at row", id);
        last = id;
        part->n_rows++;
        part->n_alive += line.alive;
    }
    return more;
}

/* The object that shows the table's next row alive: the document, the member, or the next of its
 * elements. */
static bool next_object(const struct reader *reader, const struct part *part, struct json *array,
                        struct slice *object)
{
    struct json_value value = { .type = part->member_type, .raw = part->member };

    if (part->table == (int)reader->plan->root)
        value = (struct json_value){ .type = JSON_OBJECT, .raw = reader->document };
    else if (part->member_type == JSON_ARRAY && !json_element(array, &value))
        return false;
    *object = value.raw;
    return value.type == JSON_OBJECT;
}

/* Its lines, each with its object. */
static int take_table(struct reader *reader, const struct part *part)
{
    const struct plan_table *table = part->table < 0 ? NULL : &reader->plan->tables[part->table];
    struct json json, array;
    struct slice id, object;
    struct json_value value;
    struct row_line line;
    int more;

    reader_enter(&array, part->member, JSON_ARRAY);
    reader_enter(&json, part->rows, JSON_OBJECT);
    while ((more = reader_member(reader, &json, &id, &value)) == 1) {
        if (reader_line(reader, id, &value, &line) < 0)
            return -1;
        if (id.len > 0 && table != NULL && table->many.len == 0)
            return reader_fail(reader, "`rows` gives an id to the row of the 1:1 table",
                               part->name);
        object = (struct slice){ NULL, 0 };
        if (line.alive && !next_object(reader, part, &array, &object))
            return reader_fail(reader, "`rows` names more rows than the document shows of",
                               part->name);
        if (reader_row(reader, part, &line, object) < 0)
            return -1;
    }
    if (more == 0 && part->member_type == JSON_ARRAY && part->member.len > 0 &&
        json_element(&array, &value))
        return reader_fail(reader, "the document shows more rows than `rows` names of", part->name);
    return more;
}

/* Has the table the form that the plan wants? An old form is an error, never a guess. */
static int check_part(struct reader *reader, const struct part *part)
{
    const struct plan_table *table = part->table < 0 ? NULL : &reader->plan->tables[part->table];
    bool is_root = part->table == (int)reader->plan->root;
    bool many = table ? table->many.len > 0 : part->member_type == JSON_ARRAY;

    if (!is_root && part->n_alive > 0 && part->member.len == 0)
        return reader_fail(reader, "the document lacks the rows of", part->name);
    if (!is_root && part->n_alive > 0 && part->member_type != (many ? JSON_ARRAY : JSON_OBJECT))
        return reader_fail(reader,
                           "the document does not hold an object (or with `many` an array) for",
                           part->name);
    if (part->n_rows > 1 && (is_root || !many))
        return reader_fail(reader, "`rows` names several rows of the 1:1 table", part->name);
    return 0;
}

/* ---- the whole ---- */

/* The part that a member of the document belongs to; NULL: it is a column of the root. */
static struct part *claimant(struct reader *reader, struct slice name, bool is_last)
{
    for (unsigned i = 0; i < reader->n_parts; i++) {
        struct part *part = &reader->parts[i];

        if (part->table >= 0 && part->table != (int)reader->plan->root &&
            slice_equal(reader->plan->tables[part->table].into, name))
            return part;
    }
    for (unsigned i = 0; i < reader->n_parts && is_last; i++) {
        struct part *part = &reader->parts[i];

        if (part->table < 0 && part->n_alive > 0 && part->member.len == 0)
            return part;
    }
    return NULL;
}

/* How many members of the document are tables'. */
static unsigned tables_shown(const struct reader *reader, bool *root_alive)
{
    unsigned n = 0;

    *root_alive = false;
    for (unsigned i = 0; i < reader->n_parts; i++) {
        bool is_root = reader->parts[i].table == (int)reader->plan->root;

        *root_alive |= is_root && reader->parts[i].n_alive > 0;
        n += !is_root && reader->parts[i].n_alive > 0;
    }
    return n;
}

static int place_members(struct reader *reader)
{
    bool root_alive;
    unsigned n_shown = tables_shown(reader, &root_alive), at = 0;
    struct json json;
    struct slice name;
    struct json_value value;
    int more;

    reader_enter(&json, reader->document, JSON_OBJECT);
    while ((more = reader_member(reader, &json, &name, &value)) == 1) {
        if (slice_equal(name, SLICE("_weir")))
            continue;
        struct part *part = claimant(reader, name, ++at + n_shown > reader->n_members);
        if (part == NULL && root_alive)
            continue;
        if (part == NULL)
            return reader_fail(reader, "`rows` names no root row, but the document shows", name);
        if (part->n_alive == 0)
            return reader_fail(reader, "`rows` names no row that is alive, but the document shows",
                               name);
        if (part->member.len > 0)
            return reader_fail(reader, "the document holds a member twice:", name);
        part->member = value.raw;
        part->member_type = value.type;
    }
    return more;
}

static int find_table(const struct plan *plan, struct slice name)
{
    for (unsigned i = 0; i < plan->n_tables; i++)
        if (slice_equal(plan->tables[i].name, name))
            return (int)i;
    return -1;
}

/* Fills the parts from `rows`, and sums the changes that they will be. */
static int read_parts(struct reader *reader, struct slice rows, size_t *n_changes)
{
    struct json json;
    struct slice name;
    struct json_value value;
    int more;

    *n_changes = 0;
    reader_enter(&json, rows, JSON_OBJECT);
    while ((more = reader_member(reader, &json, &name, &value)) == 1) {
        struct part *part = &reader->parts[reader->n_parts];

        if (value.type != JSON_OBJECT)
            return reader_fail(reader, "`rows` holds no object for", name);
        if (reader->n_parts == PLAN_TABLES_MAX)
            return reader_fail_plain(reader, "`rows` names too many tables");
        *part = (struct part){ .table = find_table(reader->plan, name),
                               .name = name,
                               .rows = value.raw };
        for (unsigned i = 0; i < reader->n_parts; i++)
            if (slice_equal(reader->parts[i].name, name))
                return reader_fail(reader, "`rows` names a table twice:", name);
        if (count_lines(reader, part) < 0)
            return -1;
        *n_changes += part->table >= 0 ? part->n_rows : 0;
        reader->n_parts++;
    }
    return more;
}

static int read_rows(struct reader *reader, struct slice rows)
{
    size_t n_changes;

    if (read_parts(reader, rows, &n_changes) < 0)
        return -1;
    reader->out->changes = arena_take(reader->arena, n_changes * sizeof(struct change));
    if (reader->out->changes == NULL)
        return reader_fail_arena(reader);
    if (place_members(reader) < 0)
        return -1;
    for (unsigned i = 0; i < reader->n_parts; i++)
        if (check_part(reader, &reader->parts[i]) < 0 || take_table(reader, &reader->parts[i]) < 0)
            return -1;
    ASSERT(reader->out->n_changes == n_changes);
    return 0;
}

/* Everything of `_weir` but the rows, which come back as they stand. */
static int read_head(struct reader *reader, struct slice state, struct slice *rows)
{
    struct document_state *out = reader->out;
    struct slice name, images = { NULL, 0 };
    struct json json;
    struct json_value value;
    uint64_t number = 0;
    int more;

    reader_enter(&json, state, JSON_OBJECT);
    while ((more = reader_member(reader, &json, &name, &value)) == 1) {
        if (slice_equal(name, SLICE("images"))) {
            images = value.raw;
        } else if (slice_equal(name, SLICE("residual"))) {
            if (!reader_number(value.raw, &out->residual))
                return reader_fail_plain(reader, "`residual` is no number below 2^63");
        } else if (slice_equal(name, SLICE("p"))) {
            if (!reader_number(value.raw, &number) || number > INT32_MAX)
                return reader_fail_plain(reader, "`p` is no partition's number");
            out->partition = (int32_t)number;
        } else if (slice_equal(name, SLICE("rows"))) {
            if (value.type != JSON_OBJECT || rows->len > 0)
                return reader_fail_plain(reader, "`rows` is no object, or stands there twice");
            *rows = value.raw;
        }
    }
    if (more < 0)
        return -1;
    if (slice_equal(images, SLICE("\"partial\"")))
        reader->written = IMAGES_PARTIAL;
    else if (slice_equal(images, SLICE("\"full\"")))
        reader->written = IMAGES_FULL;
    else
        return reader_fail_plain(reader, "`images` is neither \"full\" nor \"partial\"");
    return rows->len > 0 ? 0 : reader_fail_plain(reader, "`rows` is missing");
}

/* Checks the whole document, and finds the state in it. */
static int scan_document(struct reader *reader, struct slice *state)
{
    struct json json;
    struct slice name;
    struct json_value value;
    bool escaped;

    json_open(&json, reader->document);
    if (json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &name, &escaped, &value)) {
            if (reader_name(reader, &name, escaped) < 0)
                return -1;
            if (!slice_equal(name, SLICE("_weir"))) {
                reader->n_members++;
                continue;
            }
            if (state->len > 0 || value.type != JSON_OBJECT)
                return reader_fail_plain(reader, "`_weir` is no object, or stands there twice");
            *state = value.raw;
        }
    return json_end(&json) ? 0 : reader_fail_syntax(reader, "document", &json);
}

/* A state that is kept apart. */
static int scan_state(struct reader *reader, struct slice *state)
{
    struct json json;
    struct json_value value;

    json_open(&json, *state);
    if (!json_value(&json, &value) || !json_end(&json))
        return reader_fail_syntax(reader, "state", &json);
    *state = value.raw;
    return value.type == JSON_OBJECT ? 0 : reader_fail_plain(reader, "it is no object");
}

int document_parse(const struct plan *plan, struct slice document, struct slice state,
                   struct arena *arena, struct document_state *out, struct err *err)
{
    struct reader reader = {
        .plan = plan, .arena = arena, .out = out, .err = err, .document = document
    };
    struct slice rows = { NULL, 0 };

    *out = (struct document_state){ .partition = -1 };
    if (state.len > 0 && scan_state(&reader, &state) < 0)
        return -1;
    if (scan_document(&reader, &state) < 0)
        return -1;
    if (state.len == 0)
        return 0;
    if (read_head(&reader, state, &rows) < 0)
        return -1;
    out->has_state = true;
    out->other_images = reader.written != plan->images;
    if (out->other_images && reader.written == IMAGES_PARTIAL)
        return 0;
    return read_rows(&reader, rows);
}
