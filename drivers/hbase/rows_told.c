/*
 * rows_told.c: what the `_weir` cell beside a full row's marker says, and what is left out of a
 * state.
 *
 *     {"null":["remark"],"text":["order_no"],"json":["half"]}
 *
 * The cell is scanned once as a whole, so what is handed out are slices of good JSON; names are the
 * document's. Members that nobody here knows are left alone.
 *
 * What the plan does not map any more keeps its terms, in the residual. It stays in HBase too, so
 * its names are noted (struct rows, left_out) for the residual's cell to carry, and those that came
 * with the residual (reader->counted) are not counted again.
 */
#include "drivers/hbase/rows_internal.h"

#include "dataplane/clock.h"
#include "dataplane/merge.h"

static int told_member(struct rows_reader *reader, struct told *told, struct slice name,
                       const struct json_value *value)
{
    struct slice *list = NULL;

    if (slice_equal(name, SLICE("null")))
        list = &told->null;
    else if (slice_equal(name, SLICE("text")))
        list = &told->text;
    else if (slice_equal(name, SLICE("json")))
        list = &told->json;
    if (list == NULL)
        return 0;
    *list = value->raw;
    return value->type == JSON_ARRAY
               ? 0
               : rows_fail(reader, "a `_weir` cell that holds no list under", name);
}

int told_read(struct rows_reader *reader, struct slice text, struct told *told)
{
    struct json json;
    struct slice name;
    struct json_value value;
    bool escaped;

    json_open(&json, text);
    if (json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &name, &escaped, &value))
            if (told_member(reader, told, name, &value) < 0)
                return -1;
    return json_end(&json) ? 0 : rows_fail(reader, "a `_weir` cell that is no JSON object:", text);
}

int told_next(struct rows_reader *reader, struct json *list, struct slice *name)
{
    struct json_value value;
    char *text;

    if (!json_element(list, &value))
        return 0;
    if (value.type != JSON_STRING)
        return rows_fail(reader, "a `_weir` cell whose list holds no name:", value.raw);
    *name = (struct slice){ value.raw.data + 1, value.raw.len - 2 };
    if (!value.escaped)
        return 1;
    text = arena_take(reader->arena, value.raw.len);
    if (text == NULL)
        return rows_fail_arena(reader);
    *name = (struct slice){ text, json_unescape(value.raw, text) };
    return 1;
}

/* ---- what is left out ---- */

bool told_seqno_good(uint64_t seqno)
{
    return seqno > SEQNO_EPOCH && seqno <= SEQNO_MAX;
}

static bool is_named(const struct slice *names, unsigned n, struct slice name)
{
    for (unsigned i = 0; i < n; i++)
        if (slice_equal(names[i], name))
            return true;
    return false;
}

/* Keeps the name, if it fits. One that does not is counted again by each reading: the version is
 * higher then, never lower. */
static void keep_name(struct rows *rows, struct slice name)
{
    struct slice copy;

    if (rows->n_left_out == LEFT_OUT_MAX || name.len > LEFT_OUT_BYTES_MAX - 8 ||
        is_named(rows->left_out, rows->n_left_out, name) || !utf8_valid(name))
        return;
    copy = arena_copy(&rows->names, name);
    ASSERT(copy.data != NULL);
    rows->left_out[rows->n_left_out++] = copy;
}

int told_leave_out(struct rows_reader *reader, struct slice name, uint64_t seqno)
{
    if (!told_seqno_good(seqno))
        return rows_fail(reader, "a timestamp out of bounds at", name);
    keep_name(reader->rows, name);
    if (is_named(reader->counted, reader->n_counted, name))
        return 0;
    if (seqno - SEQNO_EPOCH > VERSION_MAX - reader->out->residual)
        return rows_fail(reader, "the version would pass 2^63 at", name);
    reader->out->residual += seqno - SEQNO_EPOCH;
    return 0;
}
