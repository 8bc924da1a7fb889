/*
 * search_index.c: the documents of one modelled index, and what it remembers of their versions.
 *
 *     unknown ──index──► there ──delete──► deleted, version remembered ──forget──► forgotten
 *        └────────────delete (404)──────────────────▲      │                          │
 *                           ▲──────────index───────────────┴──────────index───────────┘
 *
 * External versions: an operation is taken iff its version is greater than the one that is
 * remembered, or none is. A deleted document's version is remembered, until it is forgotten; a
 * delete of a document that is not there is taken too and leaves its version.
 *
 * Invariants: entries are sorted by key, so that a walk is the same in every run. An entry is never
 * removed: `version` of one that is forgotten is what checks compare with, not what the index
 * knows.
 */
#include "tests/sim/search_model.h"

#include <stdlib.h>

/* Where the key stands, or would. */
static unsigned place_of(const struct search_index *index, struct slice key)
{
    unsigned from = 0, to = index->n;

    while (from < to) {
        unsigned middle = from + (to - from) / 2;

        if (slice_compare(index->entries[middle].key, key) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct search_entry *search_index_find(const struct search_index *index, struct slice key)
{
    unsigned at = place_of(index, key);

    return at < index->n && slice_equal(index->entries[at].key, key) ? &index->entries[at] : NULL;
}

static struct slice copy_of(struct slice bytes)
{
    char *copy = malloc(bytes.len + 1);

    ASSERT(copy != NULL);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = '\0';
    return (struct slice){ copy, bytes.len };
}

/* The key's entry, made where there is none. */
static struct search_entry *entry_of(struct search_index *index, struct slice key)
{
    unsigned at = place_of(index, key);
    struct search_entry *entry;

    if (at < index->n && slice_equal(index->entries[at].key, key))
        return &index->entries[at];
    if (index->n == index->room) {
        index->room = index->room == 0 ? 256 : index->room * 2;
        index->entries = realloc(index->entries, index->room * sizeof(*index->entries));
        ASSERT(index->entries != NULL);
    }
    entry = &index->entries[at];
    memmove(entry + 1, entry, (index->n - at) * sizeof(*entry));
    index->n++;
    *entry = (struct search_entry){ .key = copy_of(key) };
    return entry;
}

static void set_source(struct search_entry *entry, struct slice source)
{
    free((void *)(uintptr_t)entry->source.data);
    entry->source = copy_of(source);
}

static bool conflicts(const struct search_entry *entry, uint64_t version)
{
    return (entry->state == SEARCH_THERE || entry->state == SEARCH_GONE) &&
           version <= entry->version;
}

enum search_outcome search_index_apply(struct search_index *index, const struct search_op *op,
                                       struct search_write *write)
{
    struct search_entry *entry = entry_of(index, op->key);

    *write = (struct search_write){ .index = index->name,
                                    .side = index->side,
                                    .key = entry->key,
                                    .version_before = entry->version,
                                    .version_after = op->version,
                                    .there_before = entry->state == SEARCH_THERE,
                                    .deleted = op->is_delete };
    if (conflicts(entry, op->version))
        return SEARCH_CONFLICT;
    entry->version = op->version;
    entry->seq_no = index->seq_no++;
    entry->state = op->is_delete ? SEARCH_GONE : SEARCH_THERE;
    set_source(entry, op->source);
    write->source = entry->source;
    if (!op->is_delete)
        return write->there_before ? SEARCH_UPDATED : SEARCH_CREATED;
    entry->deleted_us = sim_now_us();
    return write->there_before ? SEARCH_DELETED : SEARCH_NOT_FOUND;
}

void search_index_note_refused(struct search_index *index, const struct search_op *op)
{
    struct search_entry *entry = entry_of(index, op->key);

    if (op->version > entry->refused_max)
        entry->refused_max = op->version;
}

unsigned search_index_forget(struct search_index *index, uint64_t until_us)
{
    unsigned forgotten = 0;

    for (unsigned i = 0; i < index->n; i++) {
        struct search_entry *entry = &index->entries[i];

        if (entry->state != SEARCH_GONE || entry->deleted_us > until_us)
            continue;
        entry->state = SEARCH_FORGOTTEN;
        forgotten++;
    }
    return forgotten;
}
