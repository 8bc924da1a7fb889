/*
 * watermark.c: see watermark.h.
 *
 * A document has at most two holds for one sink and partition: one that flies with the write under
 * way, one for what came since. When the write fails the two become one, the earlier.
 *
 * Invariant: offsets in a list never fall. A new one belongs at the end, but where a log stepped
 * back: then it goes before those that are held from the first reading. (A partition that comes
 * back after it was taken away finds its lists empty: pendings_forget().)
 */
#include "dataplane/watermark.h"

#include "dataplane/base/memory.h"
#include "dataplane/base/slab.h"
#include "dataplane/partition.h"

struct hold_list {
    struct hold *head, *tail;
};

struct watermark {
    unsigned n_sinks;
    struct pool holds;
    struct hold_list *lists; /* [sink][partition] */
};

struct watermark *watermark_open(unsigned n_sinks, uint32_t holds_max)
{
    struct watermark *watermark = memory_reserve(sizeof(*watermark), "watermark");
    watermark->n_sinks = n_sinks;
    watermark->lists =
        memory_reserve(sizeof(struct hold_list) * n_sinks * PARTITIONS_MAX, "watermark lists");
    pool_open(&watermark->holds, sizeof(struct hold), holds_max, "watermark holds");
    return watermark;
}

static struct hold_list *list_of(const struct watermark *watermark, unsigned sink,
                                 uint16_t partition)
{
    return &watermark->lists[(size_t)sink * PARTITIONS_MAX + partition];
}

bool watermark_room(const struct watermark *watermark, unsigned n)
{
    return watermark->holds.free_count >= n;
}

uint32_t watermark_count(const struct watermark *watermark)
{
    return pool_taken(&watermark->holds);
}

static struct hold **chain_find(struct hold **chain, uint16_t partition)
{
    while (*chain != NULL && (*chain)->partition != partition)
        chain = &(*chain)->sibling;
    return chain;
}

static void list_unlink(struct watermark *watermark, struct hold *hold)
{
    struct hold_list *list = list_of(watermark, hold->sink, hold->partition);
    if (hold->prev != NULL)
        hold->prev->next = hold->next;
    else
        list->head = hold->next;
    if (hold->next != NULL)
        hold->next->prev = hold->prev;
    else
        list->tail = hold->prev;
}

/* From the end: that is where it belongs, nearly always. */
static void list_insert(struct hold_list *list, struct hold *hold)
{
    struct hold *before = list->tail;
    while (before != NULL && before->offset > hold->offset)
        before = before->prev;
    hold->prev = before;
    hold->next = before != NULL ? before->next : list->head;
    if (hold->next != NULL)
        hold->next->prev = hold;
    else
        list->tail = hold;
    if (before != NULL)
        before->next = hold;
    else
        list->head = hold;
}

void watermark_hold(struct watermark *watermark, unsigned sink, struct hold **chain,
                    const struct change *change)
{
    if (*chain_find(chain, change->partition) != NULL)
        return;
    struct hold *hold = pool_take(&watermark->holds);
    ASSERT(hold != NULL); /* the caller asked watermark_room() */
    *hold = (struct hold){ .offset = change->offset,
                           .clock = change->clock_before,
                           .sibling = *chain,
                           .chain = chain,
                           .partition = change->partition,
                           .sink = (uint8_t)sink };
    *chain = hold;
    list_insert(list_of(watermark, sink, change->partition), hold);
}

void watermark_release(struct watermark *watermark, struct hold **chain)
{
    struct hold *next;
    for (struct hold *hold = *chain; hold != NULL; hold = next) {
        next = hold->sibling;
        list_unlink(watermark, hold);
        pool_give(&watermark->holds, hold);
    }
    *chain = NULL;
}

void watermark_move(struct watermark *watermark, struct hold **from, struct hold **to)
{
    struct hold *next;
    for (struct hold *hold = *from; hold != NULL; hold = next) {
        next = hold->sibling;
        struct hold **twin = chain_find(to, hold->partition);
        struct hold *later = *twin;
        if (later != NULL && later->offset < hold->offset) {
            list_unlink(watermark, hold);
            pool_give(&watermark->holds, hold);
            continue;
        }
        if (later != NULL) {
            *twin = later->sibling;
            list_unlink(watermark, later);
            pool_give(&watermark->holds, later);
        }
        hold->sibling = *to;
        hold->chain = to;
        *to = hold;
    }
    *from = NULL;
}

struct hold *watermark_first(const struct watermark *watermark, unsigned sink, uint16_t partition)
{
    return list_of(watermark, sink, partition)->head;
}

void watermark_drop(struct watermark *watermark, struct hold *hold)
{
    struct hold **link = chain_find(hold->chain, hold->partition);
    ASSERT(*link == hold);
    *link = hold->sibling;
    list_unlink(watermark, hold);
    pool_give(&watermark->holds, hold);
}

bool watermark_low(const struct watermark *watermark, uint16_t partition, int64_t *offset,
                   uint64_t *clock)
{
    const struct hold *low = NULL;
    for (unsigned sink = 0; sink < watermark->n_sinks; sink++) {
        const struct hold *head = list_of(watermark, sink, partition)->head;
        if (head != NULL && (low == NULL || head->offset < low->offset))
            low = head;
    }
    if (low == NULL)
        return false;
    *offset = low->offset;
    *clock = low->clock;
    return true;
}
