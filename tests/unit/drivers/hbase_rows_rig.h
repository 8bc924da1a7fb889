/*
 * hbase_rows_rig.h: what the tests of documents as cells share: a model of one HBase row, and an
 * entity whose documents go there and come back.
 *
 *     change() ─► store ─► rows_write() ─► model: versions, markers ─► rows_read() ─► a store
 *
 * The model does what was seen of HBase: a put never hides a newer value, a delete marker hides all
 * that is not newer, puts that come later too, the same timestamp again replaces, and a major
 * compaction forgets the markers with what they hide.
 */
#ifndef WEIR_TESTS_HBASE_ROWS_RIG_H
#define WEIR_TESTS_HBASE_ROWS_RIG_H

#include "../unit.h"

#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/store.h"
#include "drivers/hbase/cell.h"
#include "drivers/hbase/rows.h"

#define S(n) (SEQNO_EPOCH + (n))

enum { BUYER, ORDER, ITEM, ODD, TABLES };

/* A plan, what writes and reads for it, and stores. */
struct world {
    struct plan *plan;
    struct rows *rows;
    struct store *store;
};

/* Four tables: two 1:1 (`shop.order` is the root), two with row ids, one of them with awkward
 * names. */
struct world world_open(enum images images);
struct world world_of(struct plan *plan);
struct plan *plan_make(enum images images, unsigned n_tables);

struct entity *entity_new(struct world *world);

uint16_t column(const struct world *world, unsigned table, const char *name);

/* An upsert of "name=json;name=json;...", a delete with NULL. */
enum merge_verdict change(struct world *world, struct entity *entity, unsigned table,
                          const char *id, uint64_t seqno, const char *fields);

/* ---- one HBase row ---- */

#define MODEL_CELLS_MAX 4096
#define MODEL_BYTES_MAX (1u << 20)

struct model_cell {
    struct slice qualifier, value;
    uint64_t timestamp;
};

struct model {
    struct model_cell puts[MODEL_CELLS_MAX], deletes[MODEL_CELLS_MAX];
    unsigned n_puts, n_deletes;
    size_t used;
    char bytes[MODEL_BYTES_MAX];
};

void model_reset(struct model *model);
void model_apply(struct model *model, struct slice puts, struct slice deletes);
void model_compact(struct model *model);
/* What a read gives: the newest version of each qualifier, in order. */
unsigned model_cells(const struct model *model, struct buf *out);
/* A put from elsewhere. */
void model_put(struct model *model, const char *qualifier, const char *value, uint64_t timestamp);
void model_delete(struct model *model, const char *qualifier, uint64_t timestamp);
/* The value that is shown; data NULL: none. */
struct slice model_shows(const struct model *model, const char *qualifier, uint64_t *timestamp);

/* ---- there and back ---- */

extern struct buf to_put, to_delete, cells;
extern struct arena arena;

void rig_open(void);

/* What the sink lacks, told apart into `to_put` and `to_delete`, not yet sent; how many cells. */
unsigned write_document(struct world *world, struct entity *entity, bool purge);

/* Sends them, and the entity knows it. */
void land(struct model *model, struct entity *entity);

/* write_document() and land(). */
void flush(struct world *world, struct entity *entity, struct model *model);

/* `cells` as "qualifier=value@n ..." or "-qualifier@n", timestamps less the epoch; row and family
 * are checked. */
const char *listed(struct slice block);

/* Reads the model's row; the result of rows_read(). */
int read_back(struct world *world, const struct model *model, struct document_state *state,
              uint64_t *version, struct err *err);

/* Reads the model into a new entity, in a store of its own. */
struct entity *entity_read(struct world *world, const struct model *model);

/* Same rows, fields, seqnos, tombstones, residual and version; strings as they mean. */
void assert_same(const struct entity *a, const struct entity *b, enum images images);

/* The same but for hidden cells, and so the version. */
void assert_shows_same(const struct entity *a, const struct entity *b, enum images images);

#endif
