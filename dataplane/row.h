/*
 * row.h: one row of a document as the store holds it: an immutable block, swapped whole.
 *
 *     | seqno | bytes | table | ... | row id | column, length, [seqno,] JSON text | column, ... |
 *
 * Full images: the row's seqno covers all its fields, a deleted row has none. Partial images: seqno
 * is the one that most cells share (a row without cells: its tombstone), other cells carry their
 * own; `tombstone` hides cells with a smaller seqno (they stay, without value, because their seqno
 * is a term of the document's version).
 *
 * A block is never changed while readers may see it, but for `unsent` and `flying`, which readers
 * leave alone.
 */
#ifndef WEIR_ROW_H
#define WEIR_ROW_H

#include "dataplane/change.h"
#include "dataplane/plan.h"

#include <stdbool.h>

struct row {
    uint64_t seqno;
    uint64_t tombstone; /* partial: 0 = never deleted. full: seqno where deleted, else 0 */
    uint32_t bytes;     /* of the whole block */
    uint16_t n_fields;
    uint8_t unsent; /* a bit a sink: not known to hold this block. The store's thread alone uses */
    uint8_t flying; /* these two: the write under way to that sink carries it */
    uint16_t table;
    uint16_t row_id_len;
    uint32_t value_bytes; /* sum of the values: what the document will take, about */
    char body[];
};

struct row_cursor {
    const char *at;
    uint32_t left;
    uint64_t row_seqno;
};

static inline struct slice row_id(const struct row *row)
{
    return (struct slice){ row->body, row->row_id_len };
}

/* The bytes that a row of this change takes. */
size_t row_bytes(const struct change *change);

/* Writes the change as a row into `block` (row_bytes() long, aligned to 8). Partial changes that
 * were read back or merged keep their cells' seqnos and their tombstone; a delete without one is
 * its own tombstone. The row's seqno is the change's: who merges cells says which seqno most of
 * them share. */
void row_write(const struct change *change, enum images images, struct row *block);

/* Steps through a row's fields; field->value points into the row. field->seqno is always set (the
 * row's or its own); value.data NULL = hidden cell. */
void row_fields(const struct row *row, struct row_cursor *cursor);
bool row_next(struct row_cursor *cursor, struct field *field);

/* The greatest seqno in it. */
uint64_t row_seqno_max(const struct row *row);

/* Has it anything to show? Full: not deleted. Partial: a cell that the tombstone does not hide, or
 * no tombstone. */
bool row_alive(const struct row *row);

/* The row's term in the version sum (R2). Cut at 2^63, which no version may reach: adding it to one
 * never wraps. */
uint64_t row_term(const struct row *row, enum images images);

/* The term of a row that the change alone would make. */
uint64_t change_term(const struct change *change, enum images images);

/* The order of rows in an entity, <0, 0 or >0: by table, then by row id. Numbers (optional minus,
 * digits, optional fraction, any length) stand first, by value; then everything else, bytewise. The
 * order is total: numbers of one value ("1", "01", "1.0") are told apart bytewise, so 0 means the
 * same table and the same bytes. */
int row_order(uint16_t table_a, struct slice id_a, uint16_t table_b, struct slice id_b);

/* Where the row of that name is among `n` rows in their order, or where it would stand; true if it
 * is there. */
bool rows_search(struct row *const *rows, uint32_t n, uint16_t table, struct slice id,
                 uint32_t *place);

#endif
