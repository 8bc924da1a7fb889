/*
 * model_cells.h: a server that merges, as HBase does: what it keeps for each key is cells, and of
 * each cell the newest; delete markers hide what is not newer until a compaction forgets them.
 *
 *     rows_write() ─► cells of one atomic write ─► cells_apply() ─► cells_read(): rows_read()
 *
 * The cells are those that drivers/hbase writes and reads. All is the caller's, of one thread.
 */
#ifndef WEIR_TESTS_MODEL_CELLS_H
#define WEIR_TESTS_MODEL_CELLS_H

#include "dataplane/document.h"
#include "drivers/hbase/rows.h"

enum { CELLS_MAX = 64, CELLS_KEYS_MAX = 5 };

/* All that the server has under one row key and qualifier. */
struct kept_cell {
    char qualifier[40], value[48];
    uint32_t qualifier_len, value_len;
    uint64_t put, deleted; /* timestamps; 0: none */
};

struct model_cells {
    unsigned n[CELLS_KEYS_MAX];
    struct kept_cell cells[CELLS_KEYS_MAX][CELLS_MAX];
    unsigned went_back; /* writes after which a cell's newest timestamp fell */
};

/* One write arrives. */
void cells_apply(struct model_cells *server, unsigned key, struct slice cells);

/* A major compaction: delete markers and what they hide are gone. */
void cells_compact(struct model_cells *server);

/* The state of one key. False: there is nothing. */
bool cells_read(const struct model_cells *server, unsigned key, struct rows *rows,
                struct arena *arena, struct document_state *state, uint64_t *version);

#endif
