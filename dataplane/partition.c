/*
 * partition.c: slots for partitions, given once and never taken back.
 *
 *     index (hash)   . . 2 . 0 . . 1 .        slot + 1, probed linearly; 0 = empty
 *     names          (trade, 0) (trade, 1) (refund, 0)
 *
 * A name is written before its slot is published in the index and in `count`, and never changes
 * after that: who has a slot may read its name without a lock. Only giving a new slot takes one, a
 * spinning one, because it happens once a partition and is a few hundred instructions long.
 *
 * What this does not do: know who reads a partition now, or where it stands.
 */
#include "dataplane/partition.h"

#include "dataplane/base/memory.h"
#include "dataplane/base/slice.h"

#include <stdatomic.h>
#include <xxhash.h>

#define INDEX_SLOTS (PARTITIONS_MAX * 2)

struct name {
    int32_t number;
    char topic[TOPIC_BYTES_MAX + 1];
};

struct task_partitions {
    atomic_flag adding;
    _Atomic uint32_t count;
    _Atomic uint16_t index[INDEX_SLOTS];
    struct name names[PARTITIONS_MAX];
};

struct task_partitions *partitions_open(void)
{
    struct task_partitions *partitions =
        memory_reserve_virtual(sizeof(*partitions), "partition names");

    atomic_flag_clear(&partitions->adding);
    return partitions;
}

static bool name_is(const struct name *name, const char *topic, int32_t number)
{
    return name->number == number && strcmp(name->topic, topic) == 0;
}

/* The place in the index where (topic, number) is, or the empty one where it belongs. */
static uint32_t find(const struct task_partitions *partitions, const char *topic, int32_t number)
{
    uint64_t hash = XXH3_64bits_withSeed(topic, strlen(topic), (uint64_t)(uint32_t)number);
    uint32_t at = (uint32_t)(hash % INDEX_SLOTS);

    for (;; at = (at + 1) % INDEX_SLOTS) { /* Ends: half of the index stays empty. */
        uint16_t entry = atomic_load_explicit(&partitions->index[at], memory_order_acquire);

        if (entry == 0 || name_is(&partitions->names[entry - 1], topic, number))
            return at;
    }
}

static uint16_t add(struct task_partitions *partitions, const char *topic, int32_t number)
{
    uint32_t slot = atomic_load_explicit(&partitions->count, memory_order_relaxed);
    uint32_t at = find(partitions, topic, number);
    uint16_t entry = atomic_load_explicit(&partitions->index[at], memory_order_relaxed);

    if (entry != 0) /* Somebody else was faster. */
        return (uint16_t)(entry - 1);
    if (slot == PARTITIONS_MAX)
        return PARTITION_NONE;
    partitions->names[slot].number = number;
    memcpy(partitions->names[slot].topic, topic, strlen(topic) + 1);
    atomic_store_explicit(&partitions->index[at], (uint16_t)(slot + 1), memory_order_release);
    atomic_store_explicit(&partitions->count, slot + 1, memory_order_release);
    return (uint16_t)slot;
}

uint16_t partitions_slot(struct task_partitions *partitions, const char *topic, int32_t number)
{
    uint16_t entry, slot;

    if (strlen(topic) > TOPIC_BYTES_MAX)
        return PARTITION_NONE;
    entry = atomic_load_explicit(&partitions->index[find(partitions, topic, number)],
                                 memory_order_acquire);
    if (entry != 0)
        return (uint16_t)(entry - 1);
    while (atomic_flag_test_and_set_explicit(&partitions->adding, memory_order_acquire))
        ;
    slot = add(partitions, topic, number);
    atomic_flag_clear_explicit(&partitions->adding, memory_order_release);
    return slot;
}

unsigned partitions_count(const struct task_partitions *partitions)
{
    return atomic_load_explicit(&partitions->count, memory_order_acquire);
}

const char *partitions_topic(const struct task_partitions *partitions, uint16_t slot)
{
    ASSERT(slot < partitions_count(partitions));
    return partitions->names[slot].topic;
}

int32_t partitions_number(const struct task_partitions *partitions, uint16_t slot)
{
    ASSERT(slot < partitions_count(partitions));
    return partitions->names[slot].number;
}
