/*
 * rows.c: what is known before any document comes: names.
 *
 *     trade.tc_order_item  ->  trade.tc_order_item:          prefix of its qualifiers
 *     price%               ->  price%25                      a column, when it is first seen
 *     202611210000000001   ->  9f3c01aa:202611210000000001   a row's key
 *
 * Qualifiers are split at their colons, so names have theirs escaped, and percent signs too: then
 * each name has one escaped form, and each escaped form one name.
 *
 * Everything is reserved at start; a column's place in memory is touched when the column is seen.
 */
#include "drivers/hbase/rows_internal.h"

#include "dataplane/base/memory.h"
#include "dataplane/columns.h"

#include <xxhash.h>

#define FAMILY_BYTES_MAX 127
#define NAME_BYTES_BOUND (COLUMN_NAME_BYTES_MAX * 3 + 8)
#define HEAD_BYTES       (2 + ROWS_KEY_BYTES_MAX + 1 + FAMILY_BYTES_MAX)

size_t rows_escape(struct slice name, char *out)
{
    char *to = out;

    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        if (c == ':' || c == '%') {
            *to++ = '%';
            *to++ = c == ':' ? '3' : '2';
            *to++ = c == ':' ? 'A' : '5';
        } else {
            *to++ = c;
        }
    }
    return (size_t)(to - out);
}

static size_t table_open(struct rows_table *table, struct slice name)
{
    char *prefix = memory_reserve_virtual(3 * name.len + 1, "hbase names");
    size_t len = rows_escape(name, prefix);

    prefix[len] = ':';
    table->prefix = (struct slice){ prefix, len + 1 };
    table->columns = memory_reserve_virtual(COLUMNS_MAX * sizeof(*table->columns), "hbase columns");
    table->seen = memory_reserve_virtual(COLUMNS_MAX * sizeof(*table->seen), "hbase columns");
    return len + 1;
}

struct rows *rows_open(const struct plan *plan, struct slice family)
{
    struct rows *rows = memory_reserve(sizeof(*rows), "hbase rows");
    size_t prefix_max = 0;

    ASSERT(family.len > 0 && family.len <= FAMILY_BYTES_MAX);
    rows->plan = plan;
    rows->family = family;
    for (unsigned i = 0; i < plan->n_tables; i++) {
        size_t len = table_open(&rows->tables[i], plan->tables[i].name);

        prefix_max = len > prefix_max ? len : prefix_max;
    }
    for (int i = 0; i < HEADS; i++)
        rows->heads[i] = memory_reserve(HEAD_BYTES + PREFIX_BYTES + prefix_max, "hbase rows");
    arena_open(&rows->names,
               plan->n_tables * COLUMNS_MAX * (size_t)NAME_BYTES_BOUND +
                   LEFT_OUT_MAX * LEFT_OUT_BYTES_MAX,
               "hbase names");
    return rows;
}

struct rows_column *rows_see(struct rows *rows, unsigned table, uint16_t id)
{
    struct rows_table *of = &rows->tables[table];
    struct rows_column *column = &of->columns[id];
    char text[NAME_BYTES_BOUND];

    if (column->name.data != NULL)
        return column;
    struct slice name = columns_target(rows->plan->tables[table].columns, id);
    ASSERT(name.len > 0 && name.len <= COLUMN_NAME_BYTES_MAX);
    column->name = arena_copy(&rows->names, (struct slice){ text, rows_escape(name, text) });
    ASSERT(column->name.data != NULL);
    of->seen[of->n_seen++] = id;
    return column;
}

void rows_key(struct slice key, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = XXH3_64bits(key.data, key.len);
    char text[9];

    for (int i = 0; i < 8; i++)
        text[i] = digits[hash >> (60 - 4 * i) & 15];
    text[8] = ':';
    buf_put(out, text, sizeof(text));
    buf_put_slice(out, key);
}
