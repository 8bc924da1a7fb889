/*
 * model_cells.c: see model_cells.h. A put that a delete marker hides can never be seen, whichever
 * came first: a compaction drops both. So the newest put and the newest marker are all there is.
 */
#include "tests/unit/dataplane/model_cells.h"

#include "dataplane/base/check.h"
#include "drivers/hbase/cell.h"

#include <stdio.h>
#include <string.h>

static struct kept_cell *find(struct model_cells *server, unsigned key, struct slice qualifier)
{
    struct kept_cell *cells = server->cells[key];
    unsigned i = 0;
    for (; i < server->n[key]; i++)
        if (slice_equal(qualifier, (struct slice){ cells[i].qualifier, cells[i].qualifier_len }))
            return &cells[i];
    ASSERT(i < CELLS_MAX && qualifier.len <= sizeof(cells->qualifier));
    server->n[key]++;
    cells[i] = (struct kept_cell){ .qualifier_len = (uint32_t)qualifier.len };
    memcpy(cells[i].qualifier, qualifier.data, qualifier.len);
    return &cells[i];
}

static void apply_cell(struct kept_cell *kept, const struct cell *cell)
{
    if (cell->type == CELL_DELETE_COLUMN) {
        if (cell->timestamp > kept->deleted)
            kept->deleted = cell->timestamp;
        if (kept->put <= kept->deleted)
            kept->put = 0;
        return;
    }
    ASSERT(cell->type == CELL_PUT && cell->value.len <= sizeof(kept->value));
    if (cell->timestamp < kept->put || cell->timestamp <= kept->deleted)
        return;
    kept->put = cell->timestamp;
    kept->value_len = (uint32_t)cell->value.len;
    memcpy(kept->value, cell->value.data, cell->value.len);
}

void cells_apply(struct model_cells *server, unsigned key, struct slice cells)
{
    struct cell cell;
    int more;
    while ((more = cell_next(&cells, &cell)) == 1) {
        struct kept_cell *kept = find(server, key, cell.qualifier);
        uint64_t before = kept->put;
        apply_cell(kept, &cell);
        server->went_back += kept->put != 0 && kept->put < before;
    }
    ASSERT(more == 0);
}

void cells_compact(struct model_cells *server)
{
    for (unsigned key = 0; key < CELLS_KEYS_MAX; key++)
        for (unsigned i = 0; i < server->n[key]; i++)
            server->cells[key][i].deleted = 0;
}

bool cells_read(const struct model_cells *server, unsigned key, struct rows *rows,
                struct arena *arena, struct document_state *state, uint64_t *version)
{
    char *bytes = arena_take(arena, CELLS_MAX * 160);
    struct buf out = { .data = bytes, .bound = CELLS_MAX * 160 };
    unsigned n = 0;
    struct err err;
    ASSERT(bytes != NULL);
    for (unsigned i = 0; i < server->n[key]; i++) {
        const struct kept_cell *kept = &server->cells[key][i];
        if (kept->put == 0)
            continue;
        cell_put(&out, &(struct cell){ .row = SLICE("r"),
                                       .family = SLICE("d"),
                                       .qualifier = { kept->qualifier, kept->qualifier_len },
                                       .value = { kept->value, kept->value_len },
                                       .timestamp = kept->put,
                                       .type = CELL_PUT });
        n++;
    }
    ASSERT(!out.overflow);
    if (n == 0)
        return false;
    int rc = rows_read(rows, buf_slice(&out), n, arena, state, version, &err);
    if (rc != 0)
        fprintf(stderr, "# %s\n", err.text);
    ASSERT(rc == 0);
    return true;
}
