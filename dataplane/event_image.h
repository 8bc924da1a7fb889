/*
 * event_image.h: one image of a row, read into fields and a name. Internal to event_row.c.
 *
 * Belongs to one decoder, so to one thread.
 */
#ifndef WEIR_EVENT_IMAGE_H
#define WEIR_EVENT_IMAGE_H

#include "dataplane/event_row.h"

enum row_status {
    ROW_GOOD,
    ROW_FULL, /* the arena has no room for it */
    ROW_BAD,  /* the reader's fault says why */
};

/* Why a row is bad, and about which column: shown as the event spells it. */
struct row_fault {
    enum reason reason;
    struct slice column;
    const char *text;
};

/* What an image says: the tokens of its name columns (data NULL: not in it), and how many fields
 * were gathered. */
struct event_image {
    struct slice tokens[EVENT_NAMES];
    unsigned n_fields;
};

/* Both in the event's record or the arena; data NULL: none that is good. */
struct row_name {
    struct slice key, row_id;
};

struct image_reader {
    const struct plan *plan;
    struct slice seqno_field;
    unsigned table;                  /* of the images: set by the caller */
    const struct event_types *types; /* of their columns: set by the caller */

    struct row_fault fault;
    struct field fields[COLUMNS_MAX]; /* of the last image that was read with its fields */

    char name[COLUMN_NAME_BYTES_MAX * 6]; /* a name that had escapes */
    uint32_t generation;
    uint32_t seen[COLUMNS_MAX]; /* == generation: the image has this column already */
    /* [table][id]: what came after column id the last time; after COLUMNS_MAX comes the first. */
    uint16_t next[PLAN_TABLES_MAX][COLUMNS_MAX + 1];
};

/* Sets the fault; returns ROW_BAD. */
enum row_status event_image_fault(struct image_reader *reader, enum reason reason,
                                  struct slice column, const char *text);

/* Reads an object; `fields`: with its values, not its names alone. */
MUST_CHECK enum row_status event_image_read(struct image_reader *reader, struct slice object,
                                            bool fields, struct arena *arena,
                                            struct event_image *image);

/* The row's name by its image. *name holds what to take for a part that the image lacks (or
 * nothing); a part that is bad becomes empty, the other is set all the same. */
MUST_CHECK enum row_status event_image_name(struct image_reader *reader,
                                            const struct event_image *image, struct arena *arena,
                                            struct row_name *name);

#endif
