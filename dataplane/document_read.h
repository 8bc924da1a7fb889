/*
 * document_read.h: what document_parse.c and document_read.c share; nobody else includes it.
 *
 * A reader lives on the stack of one document_parse(). Functions return 0, or -1 with the reader's
 * err, unless they say otherwise. Texts were scanned before (json.h) where not said otherwise.
 */
#ifndef WEIR_DOCUMENT_READ_H
#define WEIR_DOCUMENT_READ_H

#include "dataplane/base/json.h"
#include "dataplane/document.h"

/* What the text says of one table. */
struct part {
    int table;           /* in the plan, -1: not mapped any more */
    struct slice name;   /* as `rows` has it */
    struct slice rows;   /* its object in `rows` */
    struct slice member; /* its rows in the document; empty: none were found */
    enum json_type member_type;
    unsigned n_rows, n_alive;
};

struct reader {
    const struct plan *plan;
    struct arena *arena;
    struct document_state *out;
    struct err *err;
    enum images written; /* the images that the text says */
    struct slice document;
    unsigned n_members; /* of the document, `_weir` not counted */
    unsigned n_parts;
    struct part parts[PLAN_TABLES_MAX];
    uint16_t place[COLUMNS_MAX]; /* of a column in the row at hand: index + 1; all 0 between rows */
};

/* One line of `rows`. */
struct row_line {
    struct slice id;
    struct slice cells; /* the cells' own seqnos, an object; empty: none */
    uint64_t seqno, tombstone;
    bool alive;
};

int reader_fail(struct reader *reader, const char *what, struct slice name);
int reader_fail_plain(struct reader *reader, const char *what);
int reader_fail_syntax(struct reader *reader, const char *what, const struct json *json);
int reader_fail_arena(struct reader *reader);

/* A member's name, between its quotes, becomes what it means. */
MUST_CHECK int reader_name(struct reader *reader, struct slice *name, bool escaped);

/* Opens a container. A text of another type, or none, fails at the first member or element. */
void reader_enter(struct json *json, struct slice text, enum json_type container);

/* The next member of an entered object: 1; 0 at its end; -1. */
MUST_CHECK int reader_member(struct reader *reader, struct json *json, struct slice *name,
                             struct json_value *value);

/* A whole number without sign, below 2^63; false where the text is something else. */
MUST_CHECK bool reader_number(struct slice digits, uint64_t *number);

/* What the value behind `id` in `rows` says. */
MUST_CHECK int reader_line(struct reader *reader, struct slice id, const struct json_value *value,
                           struct row_line *line);

/* Makes the row a change of the state. `object`: what the document shows of it; empty where it is
 * not alive. A row of a table that is not mapped any more leaves its terms in the residual. */
MUST_CHECK int reader_row(struct reader *reader, const struct part *part,
                          const struct row_line *line, struct slice object);

#endif
