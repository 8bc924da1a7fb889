/*
 * event_image.c: from a JSON object of columns to fields, and to the row's name.
 *
 *     {"id":"7", "order_no":"42", "price":"1.50"}       column ids by name
 *        |            |              |
 *      row id        key         fields[]: (id, "7") (order_no, 42) (price, 1.50)
 *
 * Events of a table name their columns in one order, so the column that came next the last time is
 * tried first: one comparison instead of a hash. Fields gather in a list of the reader's own, which
 * needs no bound guessed in advance: a column stands at most once, and there are at most
 * COLUMNS_MAX.
 *
 * That a column stands once is checked by a generation: `seen` holds the number of the last image
 * that had it. Columns that the config leaves out have no id; of those only the ones that name the
 * row are checked, the others do not matter.
 */
#include "dataplane/event_image.h"

#include "dataplane/columns.h"
#include "dataplane/envelope.h"

static const struct plan_table *table_of(const struct image_reader *reader)
{
    return &reader->plan->tables[reader->table];
}

enum row_status event_image_fault(struct image_reader *reader, enum reason reason,
                                  struct slice column, const char *text)
{
    reader->fault = (struct row_fault){ reason, column, text };
    return ROW_BAD;
}

/* The id of a column; *after is the id before it, and moves on. */
static uint16_t column_id(struct image_reader *reader, struct slice name, uint16_t *after,
                          bool learn)
{
    struct columns *columns = table_of(reader)->columns;
    uint16_t *next = &reader->next[reader->table][*after];
    uint16_t id = *next;

    if (name.len == 0 || !slice_equal(columns_name(columns, id), name)) {
        id = columns_intern(columns, name);
        if (id >= COLUMNS_MAX)
            return id;
        if (learn)
            *next = id;
    }
    *after = id;
    return id;
}

/* Keeps the token of a column that names the row. */
static enum row_status name_take(struct image_reader *reader, enum event_name which,
                                 const struct json_value *value, struct arena *arena,
                                 struct event_image *image)
{
    switch (value_text(reader->types->names[which], value, arena, &image->tokens[which])) {
    case VALUE_OK:
        return ROW_GOOD;
    case VALUE_NO_ROOM:
        return ROW_FULL;
    case VALUE_TOO_DEEP:
        break;
    }
    image->tokens[which] = value->raw;
    return ROW_GOOD; /* No name is an array: that is said when it is asked for. */
}

static struct slice name_column(const struct image_reader *reader, enum event_name which)
{
    switch (which) {
    case EVENT_KEY:
        return reader->plan->key;
    case EVENT_ROW_ID:
        return table_of(reader)->many;
    case EVENT_SEQNO:
    case EVENT_NAMES:
        break;
    }
    return reader->seqno_field;
}

static enum row_status names_take(struct image_reader *reader, struct slice column,
                                  const struct json_value *value, struct arena *arena,
                                  struct event_image *image)
{
    for (enum event_name which = EVENT_KEY; which < EVENT_NAMES; which++) {
        struct slice name = name_column(reader, which);
        enum row_status status;

        if (name.len == 0 || !slice_equal(name, column))
            continue;
        /* A column that `columns` leaves out has no id to be seen by. */
        if (image->tokens[which].data)
            return event_image_fault(reader, REASON_DUPLICATE, name, "stands twice");
        status = name_take(reader, which, value, arena, image);
        if (status != ROW_GOOD)
            return status;
    }
    return ROW_GOOD;
}

static enum row_status field_add(struct image_reader *reader, uint16_t id,
                                 const struct json_value *value, struct arena *arena,
                                 struct event_image *image)
{
    const struct event_types *types = reader->types;
    struct value_type type =
        types->columns ? types->columns[id] : (struct value_type){ .kind = VALUE_AS_IS };
    struct field *field = &reader->fields[image->n_fields];

    *field = (struct field){ .column = id };
    switch (value_text(type, value, arena, &field->value)) {
    case VALUE_OK:
        image->n_fields++;
        return ROW_GOOD;
    case VALUE_NO_ROOM:
        return ROW_FULL;
    case VALUE_TOO_DEEP:
        break;
    }
    return event_image_fault(reader, REASON_DEPTH, columns_name(table_of(reader)->columns, id),
                             "nests too deep");
}

enum row_status event_image_read(struct image_reader *reader, struct slice object, bool fields,
                                 struct arena *arena, struct event_image *image)
{
    uint16_t after = COLUMNS_MAX;
    enum row_status status = ROW_GOOD;
    struct json_value value;
    struct slice raw, name;
    struct json json;
    bool escaped, opened;

    *image = (struct event_image){ .n_fields = 0 };
    if (++reader->generation == 0) { /* It went round: what is marked with 1 was seen long ago. */
        memset(reader->seen, 0, sizeof(reader->seen));
        reader->generation = 1;
    }
    json_open_scanned(&json, object);
    opened = json_enter(&json, JSON_OBJECT);
    ASSERT(opened);
    while (status == ROW_GOOD && json_member(&json, &raw, &escaped, &value)) {
        uint16_t id;

        name = envelope_name(raw, escaped, reader->name, sizeof(reader->name));
        id = column_id(reader, name, &after, fields);
        if (id == COLUMN_NONE)
            return event_image_fault(reader, REASON_COLUMN, raw,
                                     "is too long, reserved, or one too many");
        if (id < COLUMNS_MAX && reader->seen[id] == reader->generation)
            return event_image_fault(reader, REASON_DUPLICATE, raw, "stands twice");
        if (id < COLUMNS_MAX)
            reader->seen[id] = reader->generation;
        if (reader->types->unavailable && value_unavailable(&value))
            continue;
        status = names_take(reader, name, &value, arena, image);
        if (status == ROW_GOOD && fields && id != COLUMN_SKIP)
            status = field_add(reader, id, &value, arena, image);
    }
    return status;
}

static const char too_long[] = "is too long", no_room[] = "does not fit the frame",
                  empty[] = "is the empty text";

/* What makes a token no name, for people; NULL: it is one, and *text is it. */
static const char *name_text(struct slice token, size_t bytes_max, struct arena *arena,
                             struct slice *text)
{
    char first = token.data ? token.data[0] : 'n', *out;

    if (!token.data)
        return "is missing";
    if (first == 'n')
        return "is NULL";
    if (first != '"' && first != '-' && (first < '0' || first > '9'))
        return "is neither a text nor a number";
    if (token.len > bytes_max * 6 + 2) /* At most six bytes make one. */
        return too_long;
    *text = token;
    if (first == '"')
        *text = (struct slice){ token.data + 1, token.len - 2 };
    if (text->len > 0 && memchr(text->data, '\\', text->len)) {
        out = arena_take(arena, token.len);
        if (!out)
            return no_room;
        *text = (struct slice){ out, json_unescape(token, out) };
    }
    return text->len == 0 ? empty : text->len > bytes_max ? too_long : NULL;
}

/* One part of a name into *text (data NULL where it is bad), which already holds what the rest of
 * the event says. */
static enum row_status name_part(struct image_reader *reader, enum event_name which,
                                 struct slice token, struct arena *arena, struct slice *text)
{
    size_t bytes_max = which == EVENT_KEY ? KEY_BYTES_MAX : ROW_ID_BYTES_MAX;
    enum reason reason = REASON_NO_ROW_ID;
    const char *why;

    if (!token.data && text->data)
        return ROW_GOOD;
    why = name_text(token, bytes_max, arena, text);
    if (!why)
        return ROW_GOOD;
    if (why == no_room)
        return ROW_FULL;
    *text = (struct slice){ NULL, 0 };
    if (which == EVENT_KEY)
        reason = why == empty      ? REASON_EMPTY_KEY
                 : why == too_long ? REASON_LONG_KEY
                                   : REASON_NO_KEY;
    return event_image_fault(reader, reason, name_column(reader, which), why);
}

enum row_status event_image_name(struct image_reader *reader, const struct event_image *image,
                                 struct arena *arena, struct row_name *name)
{
    enum row_status row_id = ROW_GOOD, key;

    if (table_of(reader)->many.len > 0)
        row_id = name_part(reader, EVENT_ROW_ID, image->tokens[EVENT_ROW_ID], arena, &name->row_id);
    key = name_part(reader, EVENT_KEY, image->tokens[EVENT_KEY], arena, &name->key);
    return key == ROW_GOOD || row_id == ROW_FULL ? row_id : key;
}
