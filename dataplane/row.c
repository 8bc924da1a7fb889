/*
 * A row is one block: a fixed head, the row id, then the fields one behind the other.
 *
 *     varint column | varint (length << 3 | changed << 2 | own seqno << 1 | hidden)
 *                   | [8 bytes seqno] | JSON text
 *
 * Most fields of most rows share the row's seqno and have short texts, so a field usually costs two
 * bytes beside its text. Varints are little-endian base 128 (the top bit says that another byte
 * follows).
 *
 * Invariants:
 *   - A block is never changed after row_write(): readers on other cores may be in it.
 *   - A field's own seqno stands there only where it differs from the row's.
 *   - A hidden field has no text. JSON texts are never empty, so "no text" cannot be mistaken.
 *   - row_order() is total: no two different names of rows compare equal, whatever bytes they are.
 *
 * Blocks are written here and nowhere else, so reading trusts them. What this does not do: merge
 * (merge.c), or check bytes from outside (document_parse.c, the decoders).
 */
#include "dataplane/row.h"

#include "dataplane/base/check.h"
#include "dataplane/clock.h"

enum { FIELD_HIDDEN = 1, FIELD_OWN_SEQNO = 2, FIELD_CHANGED = 4, FIELD_FLAG_BITS = 3 };

/* What a document's version may not reach (R2). A term is cut here, so that adding it to a version
 * never wraps. */
#define TERM_MAX (UINT64_C(1) << 63)

static size_t varint_bytes(uint64_t number)
{
    size_t bytes = 1;

    for (; number >= 0x80; number >>= 7)
        bytes++;
    return bytes;
}

static char *varint_write(char *to, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *to++ = (char)(0x80 | (number & 0x7f));
    *to++ = (char)number;
    return to;
}

static const char *varint_read(const char *at, uint64_t *number)
{
    unsigned shift = 0;

    *number = 0;
    for (; (unsigned char)*at & 0x80; at++, shift += 7)
        *number |= (uint64_t)((unsigned char)*at & 0x7f) << shift;
    *number |= (uint64_t)(unsigned char)*at << shift;
    return at + 1;
}

static bool has_own_seqno(const struct change *change, const struct field *field)
{
    return field->seqno != 0 && field->seqno != change->seqno;
}

static uint64_t field_head(const struct change *change, const struct field *field)
{
    uint64_t flags = (field->value.data == NULL ? FIELD_HIDDEN : 0) |
                     (has_own_seqno(change, field) ? FIELD_OWN_SEQNO : 0) |
                     (field->changed ? FIELD_CHANGED : 0);

    return (uint64_t)field->value.len << FIELD_FLAG_BITS | flags;
}

size_t row_bytes(const struct change *change)
{
    size_t bytes = sizeof(struct row) + change->row_id.len;

    for (uint32_t i = 0; i < change->n_fields; i++) {
        const struct field *field = &change->fields[i];

        bytes += varint_bytes(field->column) + varint_bytes(field_head(change, field)) +
                 field->value.len + (has_own_seqno(change, field) ? sizeof(uint64_t) : 0);
    }
    return bytes;
}

static char *field_write(const struct change *change, const struct field *field, char *to)
{
    to = varint_write(to, field->column);
    to = varint_write(to, field_head(change, field));
    if (has_own_seqno(change, field)) {
        memcpy(to, &field->seqno, sizeof(uint64_t));
        to += sizeof(uint64_t);
    }
    if (field->value.len > 0)
        memcpy(to, field->value.data, field->value.len);
    return to + field->value.len;
}

/* A delete that comes from the log is its own tombstone; a state that was read back says which it
 * has. */
static uint64_t change_tombstone(const struct change *change, enum images images)
{
    bool deleted = change->op == CHANGE_DELETE;

    if (images == IMAGES_PARTIAL && change->tombstone != 0)
        return change->tombstone;
    return deleted ? change->seqno : 0;
}

void row_write(const struct change *change, enum images images, struct row *block)
{
    char *to = block->body;

    ASSERT(change->seqno > SEQNO_EPOCH && change->row_id.len <= ROW_ID_BYTES_MAX);
    ASSERT(change->n_fields <= COLUMNS_MAX);
    ASSERT(images == IMAGES_PARTIAL || change->op == CHANGE_UPSERT || change->n_fields == 0);
    *block = (struct row){
        .seqno = change->seqno,
        .tombstone = change_tombstone(change, images),
        .n_fields = (uint16_t)change->n_fields,
        .table = change->table,
        .row_id_len = (uint16_t)change->row_id.len,
    };
    if (change->row_id.len > 0)
        memcpy(to, change->row_id.data, change->row_id.len);
    to += change->row_id.len;
    for (uint32_t i = 0; i < change->n_fields; i++) {
        const struct field *field = &change->fields[i];

        DASSERT(images == IMAGES_PARTIAL || field->value.data != NULL);
        to = field_write(change, field, to);
        block->value_bytes += (uint32_t)field->value.len;
    }
    ASSERT((size_t)(to - (char *)block) <= UINT32_MAX);
    block->bytes = (uint32_t)(to - (char *)block);
    DASSERT(block->bytes == row_bytes(change));
}

void row_fields(const struct row *row, struct row_cursor *cursor)
{
    *cursor = (struct row_cursor){
        .at = row->body + row->row_id_len,
        .left = row->n_fields,
        .row_seqno = row->seqno,
    };
}

bool row_next(struct row_cursor *cursor, struct field *field)
{
    const char *at = cursor->at;
    uint64_t column, head;

    if (cursor->left == 0)
        return false;
    cursor->left--;
    at = varint_read(at, &column);
    at = varint_read(at, &head);
    field->column = (uint16_t)column;
    field->seqno = cursor->row_seqno;
    if (head & FIELD_OWN_SEQNO) {
        memcpy(&field->seqno, at, sizeof(uint64_t));
        at += sizeof(uint64_t);
    }
    field->changed = (head & FIELD_CHANGED) != 0;
    field->value = (struct slice){ head & FIELD_HIDDEN ? NULL : at, head >> FIELD_FLAG_BITS };
    cursor->at = at + field->value.len;
    return true;
}

uint64_t row_seqno_max(const struct row *row)
{
    uint64_t greatest = row->tombstone > row->seqno ? row->tombstone : row->seqno;
    struct row_cursor cursor;
    struct field field;

    row_fields(row, &cursor);
    while (row_next(&cursor, &field))
        if (field.seqno > greatest)
            greatest = field.seqno;
    return greatest;
}

bool row_alive(const struct row *row)
{
    struct row_cursor cursor;
    struct field field;

    if (row->tombstone == 0)
        return true;
    row_fields(row, &cursor);
    while (row_next(&cursor, &field))
        if (field.value.data != NULL)
            return true;
    return false;
}

static uint64_t term_add(uint64_t sum, uint64_t seqno)
{
    uint64_t term = seqno - SEQNO_EPOCH;

    DASSERT(seqno > SEQNO_EPOCH && sum <= TERM_MAX);
    return term > TERM_MAX - sum ? TERM_MAX : sum + term;
}

uint64_t row_term(const struct row *row, enum images images)
{
    struct row_cursor cursor;
    struct field field;
    uint64_t sum = 0;

    if (images == IMAGES_FULL)
        return term_add(0, row->seqno);
    row_fields(row, &cursor);
    while (row_next(&cursor, &field))
        sum = term_add(sum, field.seqno);
    return row->tombstone != 0 ? term_add(sum, row->tombstone) : sum;
}

uint64_t change_term(const struct change *change, enum images images)
{
    uint64_t tombstone = change_tombstone(change, images), sum = 0;

    if (images == IMAGES_FULL)
        return term_add(0, change->seqno);
    for (uint32_t i = 0; i < change->n_fields; i++)
        sum = term_add(sum, has_own_seqno(change, &change->fields[i]) ? change->fields[i].seqno
                                                                      : change->seqno);
    return tombstone != 0 ? term_add(sum, tombstone) : sum;
}

/* ---- order ---- */

/* A decimal number as its digits: no zeros before the whole part, none behind the fraction, no
 * minus before zero. */
struct digits {
    bool negative;
    struct slice whole, fraction;
};

static struct slice take_digits(const char **at, const char *end)
{
    const char *from = *at;

    while (*at < end && **at >= '0' && **at <= '9')
        (*at)++;
    return (struct slice){ from, (size_t)(*at - from) };
}

/* False where the text is no number: an optional minus, digits, an optional point with digits. */
static bool digits_of(struct slice text, struct digits *digits)
{
    const char *at = text.data, *end = text.data + text.len;

    if (text.len == 0)
        return false;
    digits->negative = *at == '-';
    at += digits->negative;
    digits->whole = take_digits(&at, end);
    digits->fraction = (struct slice){ at, 0 };
    if (digits->whole.len == 0)
        return false;
    if (at < end && *at == '.') {
        at++;
        digits->fraction = take_digits(&at, end);
        if (digits->fraction.len == 0)
            return false;
    }
    for (; digits->whole.len > 0 && *digits->whole.data == '0'; digits->whole.len--)
        digits->whole.data++;
    while (digits->fraction.len > 0 && digits->fraction.data[digits->fraction.len - 1] == '0')
        digits->fraction.len--;
    digits->negative = digits->negative && digits->whole.len + digits->fraction.len > 0;
    return at == end;
}

static int digits_order(const struct digits *a, const struct digits *b)
{
    int order;

    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    if (a->whole.len != b->whole.len)
        order = a->whole.len < b->whole.len ? -1 : 1;
    else
        order = slice_compare(a->whole, b->whole);
    if (order == 0)
        order = slice_compare(a->fraction, b->fraction);
    return a->negative ? -order : order;
}

int row_order(uint16_t table_a, struct slice id_a, uint16_t table_b, struct slice id_b)
{
    struct digits a = { 0 }, b = { 0 };
    bool number_a, number_b;
    int order = 0;

    if (table_a != table_b)
        return table_a < table_b ? -1 : 1;
    number_a = digits_of(id_a, &a);
    number_b = digits_of(id_b, &b);
    if (number_a && number_b)
        order = digits_order(&a, &b);
    else if (number_a != number_b)
        return number_a ? -1 : 1;
    return order != 0 ? order : slice_compare(id_a, id_b);
}

bool rows_search(struct row *const *rows, uint32_t n, uint16_t table, struct slice id,
                 uint32_t *place)
{
    uint32_t low = 0, high = n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = row_order(rows[middle]->table, row_id(rows[middle]), table, id);

        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}
