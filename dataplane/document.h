/*
 * document.h: the rows of an entity as one JSON document, and back.
 *
 * The document is what users see; `_weir` is the state to merge on: per row its seqno and
 * tombstone, the residual, `images`. A sink may keep both in one text (Elasticsearch) or apart
 * (SQLite).
 *
 *     {"order_no":1,"buyer":{...},"items":[{...},{...}],"_weir":{"images":"full","rows":{
 *         "shop.tc_order":{"":1795...},"shop.tc_order_item":{"4":1795...,"5":-1795...}}}}
 *
 * `residual` stands there only when it is not 0, `p` (the partition's number) only when it is
 * tracked. In `rows` a negative number is the seqno of a deleted row. Partial images: [seqno,
 * tombstone, {column: seqno, ...}]; the tombstone is 0 where the row was never deleted and negative
 * while nothing of the row is to be shown; the last part holds the cells whose seqno is not the
 * row's and all hidden ones, and is left out where there are none.
 */
#ifndef WEIR_DOCUMENT_H
#define WEIR_DOCUMENT_H

#include "dataplane/base/arena.h"
#include "dataplane/base/err.h"
#include "dataplane/plan.h"
#include "dataplane/row.h"

/* The bit of a sink in row->unsent and document->sink. */
static inline uint8_t sink_bit(unsigned sink)
{
    return (uint8_t)(1u << sink);
}

/* A look at an entity: its rows in order. Valid as long as the rows are (the store's thread, or an
 * epoch section). */
struct document {
    struct slice key;
    uint64_t version;
    uint64_t residual;
    unsigned n_rows;
    struct row *const *rows;
    uint8_t sink; /* the bit of the sink that it goes to: row->unsent says what that lacks */
    uint64_t purge_before; /* tombstones whose seqnos are all below it are purged (R6); 0: none */
    int32_t partition;     /* the number of the partition that it came by last, -1: not tracked (R7,
                              state `p`) */
};

/* Is there a document to show, or only a state to remember? False: the root row is deleted, no row
 * is alive, or `emit: on_root` still waits for the root row (ordering.md, R6: such a state goes to
 * the side index). */
bool document_shown(const struct plan *plan, const struct document *document);

/* Where the tombstones begin that are kept: the greatest seqno of all rows, less the plan's
 * tombstone_retention_us. It follows from the state alone, no clock is asked. 0: none is purged. */
uint64_t document_horizon(const struct plan *plan, const struct document *document);

/* Is the row left out of what is written, its term in the residual instead? Tombstones are that
 * are older than purge_before; the root row's stays, as it is what keeps a document deleted. */
bool document_purges(const struct plan *plan, const struct document *document,
                     const struct row *row);

/* The residual to be written: the document's, and the terms of the rows that are purged. */
uint64_t document_residual(const struct plan *plan, const struct document *document);

/* Appends the document's JSON, without (`with_state` false) or with its `_weir` member. */
void document_render(const struct plan *plan, const struct document *document, bool with_state,
                     struct buf *out);

/* Appends only the `_weir` object. */
void document_render_state(const struct plan *plan, const struct document *document,
                           struct buf *out);

/* A state that was read back: its rows as changes, everything in the arena or pointing into the
 * texts. */
struct document_state {
    struct change *changes;
    unsigned n_changes;
    uint64_t residual;
    uint64_t purged_before; /* older rows are not taken: what a newer state lacks of them, it has
                               purged (document_states_order()). 0: all are taken */
    int32_t partition;      /* -1: not in the state */
    bool has_state;         /* false: the text holds no `_weir`; it was not written by weir */
    bool other_images; /* it was written with the other `images`: R2 refuses partial -> full, no
                          changes then */
};

/* What joining a state that was read back into the document comes to (document_purge.c). */
struct document_join {
    uint64_t residual; /* of the joined state: with the terms of all rows of both it makes the
                          version */
    unsigned n_new;    /* rows of the state that the document lacks */
    unsigned n_late;   /* rows alive on one side alone that are older than the other side's horizon,
                          which has purged something: they may have been deleted there */
};
struct document_join document_join(const struct plan *plan, const struct document *document,
                                   const struct document_state *state);

/* Is the row of the state one that purged_before keeps out? */
bool document_join_skips(const struct plan *plan, const struct document_state *state,
                         const struct change *change);

/* Two states of one document that a sink keeps, of the document itself and of the time when it was
 * deleted last: newest first, in the order in which they are to be joined. The older one gets its
 * purged_before, because what it still shows may have been deleted since. */
void document_states_order(const struct plan *plan, const struct document_state states[2],
                           struct document_state ordered[2]);

/* The document is complete (all that the sinks had is in it): where it is the newer of the two, the
 * state gets its purged_before likewise. */
void document_state_after(const struct plan *plan, const struct document *document,
                          struct document_state *state);

/*
 * Parses what document_render() made. `state` is the `_weir` object where it is kept apart, else
 * empty. Any thread.
 *
 * The changes lack what a state does not hold: key and hash (the caller's), partition
 * (PARTITION_NONE), offset (-1). A partial row with cells is an upsert with a tombstone, hidden
 * cells and cells' seqnos; without, a delete. The terms of tables and columns that the plan does
 * not map any more go into the residual: no version may fall.
 *
 * The texts are checked as any input: 0, or -1 with *err where they cannot be a state of this plan
 * (syntax, a row that `rows` names and the document lacks or the other way round, a seqno out of
 * bounds, arena full).
 */
MUST_CHECK int document_parse(const struct plan *plan, struct slice document, struct slice state,
                              struct arena *arena, struct document_state *out, struct err *err);

#endif
