/*
 * columns.c: a table's dictionary of column names.
 *
 *     by_name    . . [hash|at] . [hash|at] . .      COLUMNS_MAX slots, probed linearly;
 *                       |           |               a slot's index is the id
 *     text       | entry: name, target, label | entry | entry | ...
 *
 * A slot is one 64-bit word: 32 bits of the hash and the entry's place in the text. An entry is
 * written first and published by the compare-and-swap of its word; it never changes after that. Two
 * threads that add one name at once both write an entry, one of them wins the slot, the other's
 * text is lost: that costs at most a few entries, for which the text has room. A full dictionary is
 * searched to its end for an unknown name, 32 KiB in a row.
 *
 * With `columns` in the config the dictionary is made at start and closed: other names are
 * COLUMN_SKIP. Invariants: a word that is not 0 never changes; a reserved name is never in the
 * dictionary.
 */
#include "dataplane/columns.h"

#include "dataplane/base/arena.h"
#include "dataplane/base/err.h"
#include "dataplane/base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <xxhash.h>

/* A JSON string may be six times as long as what it says; quotes and the colon. */
#define LABEL_BYTES_MAX (COLUMN_NAME_BYTES_MAX * 6 + 3)
#define ENTRY_BYTES_MAX (sizeof(struct entry) + 2 * COLUMN_NAME_BYTES_MAX + LABEL_BYTES_MAX + 8)
#define TEXT_BYTES      ((COLUMNS_MAX + 256) * ENTRY_BYTES_MAX)

struct entry {
    uint16_t id;
    uint16_t name_len, target_len, label_len;
    char text[]; /* name, target, label */
};

struct columns {
    bool closed; /* the config selects: nothing is added after start */
    unsigned n_reserved;
    struct slice reserved[PLAN_TABLES_MAX + 1];
    char *text;
    _Atomic uint64_t text_used;
    _Atomic uint64_t by_name[COLUMNS_MAX];
    uint64_t by_target[COLUMNS_MAX]; /* of a closed dictionary; written at start only */
};

static uint32_t name_hash(struct slice name)
{
    return (uint32_t)XXH3_64bits(name.data, name.len);
}

static struct entry *entry_of(const struct columns *columns, uint64_t word)
{
    return (struct entry *)(void *)(columns->text + (uint32_t)word);
}

static struct slice entry_name(const struct entry *entry)
{
    return (struct slice){ entry->text, entry->name_len };
}

static struct slice entry_target(const struct entry *entry)
{
    return (struct slice){ entry->text + entry->name_len, entry->target_len };
}

static bool word_is(const struct columns *columns, uint64_t word, uint32_t hash, struct slice name)
{
    return (uint32_t)(word >> 32) == hash && slice_equal(entry_name(entry_of(columns, word)), name);
}

static bool is_reserved(const struct columns *columns, struct slice name)
{
    for (unsigned i = 0; i < columns->n_reserved; i++)
        if (slice_equal(columns->reserved[i], name))
            return true;
    return false;
}

/* Writes the entry's texts; its place in the text, or 0 where the text is full. */
static uint32_t entry_write(struct columns *columns, struct slice name, struct slice target)
{
    uint64_t at = atomic_fetch_add_explicit(&columns->text_used, ENTRY_BYTES_MAX / 8 * 8,
                                            memory_order_relaxed);
    struct entry *entry;
    struct buf label;

    if (at + ENTRY_BYTES_MAX > TEXT_BYTES)
        return 0;
    entry = entry_of(columns, at);
    entry->name_len = (uint16_t)name.len;
    entry->target_len = (uint16_t)target.len;
    memcpy(entry->text, name.data, name.len);
    memcpy(entry->text + name.len, target.data, target.len);
    label = (struct buf){ .data = entry->text + name.len + target.len, .bound = LABEL_BYTES_MAX };
    buf_put_json_string(&label, target);
    buf_put_char(&label, ':');
    ASSERT(!label.overflow);
    entry->label_len = (uint16_t)label.len;
    return (uint32_t)at;
}

/* Looks the name up from its hash's slot on; where it is not found and `target` is given, adds it
 * there. */
static uint16_t find(struct columns *columns, struct slice name, const struct slice *target)
{
    uint32_t hash = name_hash(name), written = 0;

    for (uint32_t i = 0; i < COLUMNS_MAX; i++) {
        uint32_t id = (hash + i) % COLUMNS_MAX;
        uint64_t word = atomic_load_explicit(&columns->by_name[id], memory_order_acquire);

        if (word == 0) {
            if (!target || (written == 0 && (written = entry_write(columns, name, *target)) == 0))
                return COLUMN_NONE;
            entry_of(columns, written)->id = (uint16_t)id;
            if (atomic_compare_exchange_strong_explicit(&columns->by_name[id], &word,
                                                        (uint64_t)hash << 32 | written,
                                                        memory_order_acq_rel, memory_order_acquire))
                return (uint16_t)id;
        }
        if (word_is(columns, word, hash, name))
            return (uint16_t)id;
    }
    return COLUMN_NONE;
}

static void index_target(struct columns *columns, uint16_t id)
{
    uint64_t at = (uint32_t)columns->by_name[id];
    uint32_t hash = name_hash(entry_target(entry_of(columns, at))), slot = hash % COLUMNS_MAX;

    while (columns->by_target[slot] != 0)
        slot = (slot + 1) % COLUMNS_MAX;
    columns->by_target[slot] = (uint64_t)hash << 32 | at;
}

static void select_column(struct columns *columns, const struct plan_rename *rename)
{
    struct slice source = rename->source, target = rename->target;

    if (source.len == 0 || target.len == 0 || source.len > COLUMN_NAME_BYTES_MAX ||
        target.len > COLUMN_NAME_BYTES_MAX || is_reserved(columns, target))
        fatal(EXIT_CONFIG, "columns: %.*s cannot be mapped to %.*s: empty, too long or reserved",
              (int)source.len, source.data, (int)target.len, target.data);
    if (find(columns, source, NULL) == COLUMN_NONE)
        index_target(columns, find(columns, source, &target));
}

struct columns *columns_open(const struct plan_rename *renames, unsigned n_renames)
{
    struct columns *columns = memory_reserve(sizeof(*columns), "column names");

    ASSERT(n_renames <= COLUMNS_MAX);
    columns->text = memory_reserve_virtual(TEXT_BYTES, "column names");
    columns->text_used = 8; /* 0 says "none" */
    columns->reserved[columns->n_reserved++] = SLICE("_weir");
    columns->closed = n_renames > 0;
    for (unsigned i = 0; i < n_renames; i++)
        select_column(columns, &renames[i]);
    return columns;
}

/* In a closed dictionary: the id of a target, or COLUMN_SKIP. */
static uint16_t find_target(const struct columns *columns, struct slice target)
{
    uint32_t hash = name_hash(target);

    for (uint32_t i = 0; i < COLUMNS_MAX; i++) {
        uint64_t word = columns->by_target[(hash + i) % COLUMNS_MAX];

        if (word == 0)
            break;
        if ((uint32_t)(word >> 32) == hash &&
            slice_equal(entry_target(entry_of(columns, word)), target))
            return entry_of(columns, word)->id;
    }
    return COLUMN_SKIP;
}

void columns_reserve(struct columns *columns, struct slice target)
{
    ASSERT(columns->n_reserved <= PLAN_TABLES_MAX);
    if (columns->closed && find_target(columns, target) != COLUMN_SKIP)
        fatal(EXIT_CONFIG, "columns: the name %.*s is taken by another table's `into`",
              (int)target.len, target.data);
    columns->reserved[columns->n_reserved++] = target;
}

uint16_t columns_intern(struct columns *columns, struct slice name)
{
    uint16_t id;

    if (name.len == 0 || name.len > COLUMN_NAME_BYTES_MAX)
        return columns->closed ? COLUMN_SKIP : COLUMN_NONE;
    id = find(columns, name, NULL);
    if (id != COLUMN_NONE)
        return id;
    if (columns->closed)
        return COLUMN_SKIP;
    return is_reserved(columns, name) ? COLUMN_NONE : find(columns, name, &name);
}

uint16_t columns_intern_target(struct columns *columns, struct slice target)
{
    return columns->closed ? find_target(columns, target) : columns_intern(columns, target);
}

/* The entry of an id; NULL where the id was not given yet. */
static const struct entry *entry_at(const struct columns *columns, uint16_t id)
{
    uint64_t word;

    ASSERT(id < COLUMNS_MAX);
    word = atomic_load_explicit(&columns->by_name[id], memory_order_acquire);
    return word == 0 ? NULL : entry_of(columns, word);
}

struct slice columns_name(const struct columns *columns, uint16_t id)
{
    const struct entry *entry = entry_at(columns, id);

    return entry ? entry_name(entry) : (struct slice){ NULL, 0 };
}

struct slice columns_target(const struct columns *columns, uint16_t id)
{
    const struct entry *entry = entry_at(columns, id);

    return entry ? entry_target(entry) : (struct slice){ NULL, 0 };
}

struct slice columns_label(const struct columns *columns, uint16_t id)
{
    const struct entry *entry = entry_at(columns, id);

    if (!entry)
        return (struct slice){ NULL, 0 };
    return (struct slice){ entry->text + entry->name_len + entry->target_len, entry->label_len };
}
