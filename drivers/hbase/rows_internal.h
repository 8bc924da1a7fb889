/*
 * rows_internal.h: what rows_*.c (and cell.c) share; nobody else includes it.
 */
#ifndef WEIR_HBASE_ROWS_INTERNAL_H
#define WEIR_HBASE_ROWS_INTERNAL_H

#include "dataplane/base/json.h"
#include "drivers/hbase/cell.h"
#include "drivers/hbase/rows.h"

/* What a qualifier begins with that is no column's and no marker's; all as long. */
#define STATE_PREFIX     "_weir:"
#define NOTE_PREFIX      "_cell:"
#define TOMBSTONE_PREFIX "_tomb:"
#define PREFIX_BYTES     6

#define CELL_BYTES_MIN 24 /* three lengths and an empty key */

/* Names of tables and columns that the plan does not map and whose terms went into a residual. */
#define LEFT_OUT_MAX       64
#define LEFT_OUT_BYTES_MAX 2048

static inline void bytes_from_u32(char *to, uint32_t number)
{
    number = __builtin_bswap32(number);
    memcpy(to, &number, sizeof(number));
}

static inline void bytes_from_u64(char *to, uint64_t number)
{
    number = __builtin_bswap64(number);
    memcpy(to, &number, sizeof(number));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bytes_from_*() swap");

/* ---- rows_text.c: a value's JSON text and a cell's bytes ---- */

/* How a cell's bytes are read back as the JSON text that they were made of. */
enum text_kind {
    TEXT_PLAIN,  /* as they look */
    TEXT_STRING, /* a string, whatever they look like: named "text" */
    TEXT_TOKEN,  /* they are JSON, quotes and escapes included: named "json" */
    TEXT_NULL,   /* no cell: named "null" */
};

/* The bytes of a JSON text, written to `out` (text.len bytes at least); *len of them. */
enum text_kind text_to_cell(struct slice json, char *out, size_t *len);

/* Is it one JSON number, object, array, true or false, with nothing around it? */
bool text_looks_json(struct slice text);

/* The JSON text of a cell's bytes: valid, on one line; in the arena or the bytes themselves.
 * 0; -1 where a string is no UTF-8 or a TEXT_TOKEN no JSON; -2 where the arena is full. */
MUST_CHECK int text_from_cell(enum text_kind kind, struct slice bytes, struct arena *arena,
                              struct slice *json);

/* ---- what a `struct rows` knows ---- */

struct rows_column {
    struct slice name;   /* escaped; data NULL: not seen yet */
    uint64_t generation; /* of the row that was written last with it */
};

struct rows_table {
    struct slice prefix;         /* the escaped name and a colon */
    struct rows_column *columns; /* COLUMNS_MAX, by id; touched where seen */
    uint16_t *seen;              /* their ids, in the order in which they were first seen */
    unsigned n_seen;
};

enum rows_head { HEAD_ROW, HEAD_STATE, HEAD_NOTE, HEAD_TOMBSTONE, HEADS };

/* A column that the `_weir` cell of a full row must name. */
struct rows_note {
    uint16_t column;
    uint8_t kind; /* enum text_kind */
};

struct rows {
    const struct plan *plan;
    struct slice family;
    struct arena names; /* of columns, escaped */
    uint64_t generation;
    struct rows_table tables[PLAN_TABLES_MAX];

    /* What rows_read() left out so far: rows_write() notes it beside the residual. */
    unsigned n_left_out;
    struct slice left_out[LEFT_OUT_MAX];

    /* rows_write(): a cell's key up to the column, of the table at hand; and behind the column, the
     * row id. */
    char *heads[HEADS];
    char tail[1 + ROW_ID_BYTES_MAX];
    unsigned n_notes;
    struct rows_note notes[COLUMNS_MAX];

    /* rows_read(): where a column's field stands in the row at hand, index + 1; all 0 between rows.
     * Its bytes' kind, by that index. */
    uint16_t place[COLUMNS_MAX];
    uint8_t kinds[COLUMNS_MAX];
};

/* `name` with %3A for a colon and %25 for a percent sign, written to `out` (3 * name.len bytes);
 * how many. */
size_t rows_escape(struct slice name, char *out);

/* The column's entry; from now on it counts as seen. */
struct rows_column *rows_see(struct rows *rows, unsigned table, uint16_t column);

/* ---- rows_read.c and rows_read_row.c ---- */

/* In the order of a row's pieces; the first four have no column. */
enum piece_kind {
    PIECE_MARKER,
    PIECE_STATE,
    PIECE_FLAG,
    PIECE_TOMBSTONE,
    PIECE_COLUMN,
    PIECE_NOTE,
};

/* A cell that belongs to a row. The qualifier's parts stand one behind the other:
 * table:column[:rowid]. */
struct piece {
    uint64_t timestamp;
    const char *table, *value;
    uint32_t table_len, column_len, row_len, value_len;
    uint8_t kind;
    uint8_t index; /* of the table in the plan; PLAN_TABLES_MAX: not mapped */
    bool many;     /* it has a row id, if an empty one */
};

/* The cells of one row: in pieces[order[0 .. n - 1]]: by column, then by kind, the newest first. */
struct piece_group {
    const struct piece *pieces;
    const uint32_t *order;
    size_t n;
};

struct rows_reader {
    struct rows *rows;
    struct arena *arena;
    struct document_state *out;
    struct err *err;
    unsigned n_counted; /* names whose terms the residual that was read holds already */
    struct slice counted[LEFT_OUT_MAX];
};

static inline struct slice piece_table(const struct piece *piece)
{
    return (struct slice){ piece->table, piece->table_len };
}

static inline struct slice piece_column(const struct piece *piece)
{
    return (struct slice){ piece->table + piece->table_len + 1, piece->column_len };
}

static inline struct slice piece_row_id(const struct piece *piece)
{
    const char *behind = piece->table + piece->table_len + 1 + piece->column_len;

    return (struct slice){ behind + piece->many, piece->row_len };
}

static inline struct slice piece_value(const struct piece *piece)
{
    return (struct slice){ piece->value, piece->value_len };
}

/* Both -1, with the reader's err. */
int rows_fail(struct rows_reader *reader, const char *what, struct slice name);
int rows_fail_arena(struct rows_reader *reader);

/* Makes the group a change of the state; a group without a marker is nothing. A row of a table that
 * is not mapped leaves its terms in the residual. 0 or -1. */
MUST_CHECK int rows_read_row(struct rows_reader *reader, const struct piece_group *group);

/* ---- rows_told.c: what a full row's `_weir` cell says, and what is left out ---- */

/* Arrays of names; data NULL where it says nothing. Scanned. */
struct told {
    struct slice null, text, json;
};

/* 0, or -1: it is broken. */
MUST_CHECK int told_read(struct rows_reader *reader, struct slice text, struct told *told);

/* The next name of an array that was entered: 1; 0 at the end; -1. */
MUST_CHECK int told_next(struct rows_reader *reader, struct json *list, struct slice *name);

/* Is it one that a row may have? */
bool told_seqno_good(uint64_t seqno);

/* `name` ("table", "table:column", escaped) is not mapped any more: its term goes into the
 * residual, if the residual that was read does not hold it already. 0 or -1. */
MUST_CHECK int told_leave_out(struct rows_reader *reader, struct slice name, uint64_t seqno);

#endif
