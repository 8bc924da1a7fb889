/*
 * ordering_truth.c: see ordering_model.h. The oracle, written apart from the store: walk each
 * partition with the clock's rule, the last writer of a cell wins.
 */
#include "tests/unit/dataplane/ordering_model.h"

#include <stdio.h>

/* One row: its newest delete, and for each column its newest value. */
struct truth {
    uint64_t deleted, cell[2];
    unsigned value[2];
    bool known;
};

static void truth_take(const struct world *world, struct truth *row, const struct event *event,
                       uint64_t seqno)
{
    bool partial = world->rules.images == IMAGES_PARTIAL;
    row->known = true;
    if (event->deletes) {
        if (seqno > row->deleted)
            row->deleted = seqno;
        return;
    }
    for (unsigned c = 0; c < 2; c++)
        if ((!partial || event->value % 2 == c) && seqno > row->cell[c]) {
            row->cell[c] = seqno;
            row->value[c] = event->value * 2 + c;
        }
}

static void truth_of(const struct world *world, struct truth truth[KEYS][ROWS])
{
    memset(truth, 0, sizeof(struct truth) * KEYS * ROWS);
    for (unsigned part = 0; part < PARTS; part++) {
        uint64_t seqno = 0;
        for (unsigned i = 0; i < world->log_n[part]; i++) {
            const struct event *event = world->log[part][i];
            seqno = seqno + 1 > event->stamp ? seqno + 1 : event->stamp;
            truth_take(world, &truth[event->key][event->row], event, seqno);
        }
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

static bool document_right(const struct world *world, unsigned key, const struct truth rows[ROWS])
{
    const struct kept *doc = &world->docs[key];
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

bool truth_holds(const struct world *world)
{
    struct truth truth[KEYS][ROWS];
    bool right = true;
    truth_of(world, truth);
    for (unsigned key = 0; key < KEYS; key++)
        right = document_right(world, key, truth[key]) && right;
    return right;
}
