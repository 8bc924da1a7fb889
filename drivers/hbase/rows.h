/*
 * rows.h: a document's rows as the cells of one HBase row, and back.
 *
 * Row key: the first eight hex digits of XXH3-64 of the key, a colon, the key. In one family:
 *
 *     qualifier                      value                              timestamp
 *     table:column[:rowid]           the column's text                  its seqno
 *     table:[:rowid]                 `u` or `d`: the row's marker       the row's seqno; partial:
 *                                                                       the greatest of its cells'
 *     _weir:table:[:rowid]           full: what cells do not tell       the marker's
 *     _cell:table:column[:rowid]     partial: what its cell does not    the cell's seqno
 *     _cell:table:[:rowid]           `partial`                          the marker's
 *     _tomb:table:[:rowid]           partial: `d`                       the row's tombstone
 *     _weir:residual                 a number, see below                the number itself
 *
 * A NULL is a delete marker for its column, at its seqno; so is every column of a row that is
 * deleted, and every column that was seen of the table and that a full image lacks. A cell that a
 * partial row's tombstone hides is a delete marker at the tombstone. `:` and `%` in table and
 * column names are written %3A and %25, so the parts of a qualifier can be told apart; a row id is
 * the rest and stays as it is. A column's name is the document's.
 *
 * A column's text: a JSON string's text without quotes and escapes, any other value's JSON. Read
 * back, a text that is a JSON number, object, array, true or false is that, and anything else is a
 * string, unless something beside it says what it is:
 *
 *     null    no cell, but the document shows `null`
 *     text    a string that looks like something else
 *     json    its bytes are JSON, quotes and escapes included: half of a surrogate pair is in it
 *     hidden  no cell; a tombstone hides it, but its seqno is a term of the version
 *
 * With full images these stand in one cell beside the marker, which is there only where it has
 * something to say: {"null":["remark"],"text":["order_no"],"json":["half"]}. With partial images
 * each stands in a cell of its own at its column's seqno, sent when the column is. So every
 * timestamp is the seqno of just what it stands for, and writes of several writers, in any order,
 * join in HBase as merge.c would join them. One thing is lost then: the seqno of a cell that
 * another writer's tombstone deleted unseen; so the version may be lower than that of one writer
 * who saw all.
 *
 * The residual's number may be followed by a list: `12 ["shop.old","shop.item:colour"]`. These
 * names are not mapped any more, but their cells are still there, and their terms are in the
 * number.
 *
 * Whoever reads: a row is what stands at its marker, and without one there is none. With full
 * images cells of another timestamp than their row's marker are remains (a late old put that a
 * compaction uncovered, a column that was dropped), and so is a `_weir` cell. With partial images
 * every cell counts at its own timestamp; a note at a greater one says what became of it, and what
 * is below the row's tombstone is hidden.
 *
 * One shard's thread for each `struct rows`.
 */
#ifndef WEIR_HBASE_ROWS_H
#define WEIR_HBASE_ROWS_H

#include "dataplane/document.h"

struct rows;

/* Start-up. `family` and the plan must outlive it. */
struct rows *rows_open(const struct plan *plan, struct slice family);

#define ROWS_KEY_BYTES_MAX (9 + KEY_BYTES_MAX)

/* Appends the document's row key. */
void rows_key(struct slice key, struct buf *out);

/* Appends what the sink lacks of the document (document->sink), as cells: puts, and delete markers;
 * of a row that is purged (document_purges()) the delete markers for what marks it, each time.
 * Returns how many; none where the sink lacks nothing. They belong into one mutation, which HBase
 * does whole or not at all: a marker tells of cells, a residual of delete markers. Overflow of the
 * buffer is the caller's to see; then what was appended is no whole cells. */
unsigned rows_write(struct rows *rows, const struct document *document, struct slice row_key,
                    struct buf *out);

/*
 * The state that the first n_cells of the block make, all of one HBase row; in the arena or
 * pointing into the cells. Cells that are no put, of other families, without a marker, or of
 * columns that the plan does not map are left out; so are rows of tables that it does not map. The
 * terms that they had go into the residual: no version may fall. Of several versions of a cell the
 * newest counts.
 *
 * The changes are in the order of rows. Their fields are in the order of the columns' escaped
 * names, NULLs of full images last: not as the log had them, but the same whoever reads. *version
 * is what the state's version is (R2).
 *
 * 0; out->has_state is false where there is no marker at all, and no residual. -1 with *err: they
 * cannot be a state (no cells, a broken `_weir` cell, a timestamp out of bounds, a text that is no
 * UTF-8, a table that had row ids and has none, arena full). The arena needs about 60 bytes a cell
 * and 50 a field beside the strings.
 */
MUST_CHECK int rows_read(struct rows *rows, struct slice cells, unsigned n_cells,
                         struct arena *arena, struct document_state *out, uint64_t *version,
                         struct err *err);

#endif
