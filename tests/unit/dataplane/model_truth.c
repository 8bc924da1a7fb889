/*
 * model_truth.c: see model.h. The oracle, written apart from the store: the last writer of a cell
 * wins, a row shows the cells that are newer than its newest delete.
 */
#include "tests/unit/dataplane/model.h"

#include <stdio.h>

void truth_take(struct truth *row, const struct event *event, uint64_t seqno, enum images images)
{
    row->known = true;
    if (event->deletes) {
        if (seqno > row->deleted)
            row->deleted = seqno;
        return;
    }
    for (unsigned c = 0; c < 2; c++)
        if ((images != IMAGES_PARTIAL || event->value % 2 == c) && seqno > row->cell[c]) {
            row->cell[c] = seqno;
            row->value[c] = event->value * 2 + c;
        }
}

/* A row as the document shows it, "{x:1,y:2}" in JSON; empty where it has nothing to show. */
static bool truth_row(const struct truth *row, char *out, size_t size)
{
    bool shown = false;
    int n = 0;
    out[0] = '\0';
    for (unsigned c = 0; c < 2; c++)
        if (row->cell[c] > row->deleted) {
            const char *name = c == 0 ? "x" : "y";
            n += snprintf(out + n, size - (size_t)n, "%s\"%s\":%u", shown ? "," : "", name,
                          row->value[c]);
            shown = true;
        }
    return shown;
}

static bool has_part(const char *text, const char *format, const char *name, const char *fields)
{
    char part[128];
    (void)snprintf(part, sizeof(part), format, name, fields);
    return strstr(text, part) != NULL;
}

/* Partial images may hold the columns in either order: compare both. */
static bool row_right(const char *text, unsigned row, const struct truth *truth)
{
    static const char *const names[ROWS] = { "", "\"a\":{", "\"b\":{", "", "" };
    char fields[64], other[64];
    if (!truth_row(truth, fields, sizeof(fields)))
        return row == 0 || row > 2 || strstr(text, names[row]) == NULL;
    char *comma = strchr(fields, ',');
    if (comma != NULL)
        (void)snprintf(other, sizeof(other), "%s,%.*s", comma + 1, (int)(comma - fields), fields);
    else
        strcpy(other, fields);
    const char *format = row == 0 ? "%s%s" : row <= 2 ? "%s%s}" : "%s{%s}";
    const char *name = row > 2 ? "" : names[row];
    return has_part(text, format, name, fields) || has_part(text, format, name, other);
}

bool truth_holds(const struct truth rows[ROWS], const struct kept *doc)
{
    bool exists = doc->there && !doc->deleted, any = false;
    char fields[64];
    for (unsigned row = 0; row < ROWS; row++)
        any = truth_row(&rows[row], fields, sizeof(fields)) || any;
    bool root_gone = rows[0].known && !truth_row(&rows[0], fields, sizeof(fields));
    if (!any || root_gone)
        return !exists;
    if (!exists)
        return false;
    for (unsigned row = 0; row < ROWS; row++)
        if (!row_right(doc->text, row, &rows[row]))
            return false;
    return true;
}

static const struct change *find_change(const struct plan *plan, const struct document_state *state,
                                        unsigned row)
{
    for (unsigned i = 0; i < state->n_changes; i++)
        if (model_row(plan->tables[state->changes[i].table].name, state->changes[i].row_id) == row)
            return &state->changes[i];
    return NULL;
}

/* How many columns it shows, and whether each is the truth's. */
static unsigned shown_right(const struct truth *row, const struct plan *plan,
                            const struct change *change, bool *right)
{
    unsigned shown = 0;
    for (uint32_t i = 0; i < change->n_fields; i++) {
        const struct field *field = &change->fields[i];
        struct columns *columns = plan->tables[change->table].columns;
        unsigned c = columns_intern(columns, SLICE("x")) != field->column;
        char value[16];
        if (field->value.data == NULL)
            continue;
        (void)snprintf(value, sizeof(value), "%u", row->value[c]);
        shown++;
        *right = *right && slice_equal(field->value, slice_of(value)) &&
                 (field->seqno != 0 ? field->seqno : change->seqno) == row->cell[c];
    }
    return shown;
}

static bool row_holds(const struct truth *row, const struct plan *plan, const struct change *change,
                      bool forgets)
{
    unsigned alive = (row->cell[0] > row->deleted) + (row->cell[1] > row->deleted);
    bool right = true;
    if (change == NULL)
        return alive == 0 && (forgets || !row->known);
    if (plan->images == IMAGES_FULL && alive == 0 && change->seqno != row->deleted)
        return false;
    if (plan->images == IMAGES_PARTIAL && !forgets && change->tombstone != row->deleted)
        return false;
    return shown_right(row, plan, change, &right) == alive && right;
}

bool truth_holds_state(const struct truth rows[ROWS], const struct plan *plan,
                       const struct document_state *state, bool forgets)
{
    for (unsigned row = 0; row < ROWS; row++)
        if (!row_holds(&rows[row], plan, find_change(plan, state, row), forgets))
            return false;
    return true;
}
