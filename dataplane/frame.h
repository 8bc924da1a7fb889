/*
 * frame.h: what moves through a shard: at most 256 changes, and the records that they point into.
 *
 * A frame is filled by the shard that reads the source, merged by every shard that owns one of its
 * keys, and released, in the order of filling, when all of them are done. Slices in its changes
 * point into its records or its arena and die with it.
 */
#ifndef WEIR_FRAME_H
#define WEIR_FRAME_H

#include "dataplane/base/arena.h"
#include "dataplane/change.h"
#include "dataplane/source.h"

#ifndef FRAME_CHANGES_MAX /* tests build with less */
#define FRAME_CHANGES_MAX 256
#endif
#define SHARDS_MAX 64

struct frame_record {
    struct record record;
    uint64_t clock_after; /* the partition's clock once this record is done */
    uint32_t epoch;       /* of the assignment that it was read under */
    uint64_t read_us;     /* monotonic, when it was polled: for stage times */
};

struct frame {
    unsigned n;                     /* changes */
    unsigned n_records;             /* records whose last change is in this frame */
    uint32_t shards_left;           /* atomic: how many still must merge it */
    struct frame *next;             /* the filler's queue */
    uint16_t start[SHARDS_MAX + 1]; /* shard s merges order[start[s]] .. order[start[s + 1] - 1] */
    uint8_t order[FRAME_CHANGES_MAX]; /* indexes of changes, by shard, else as they came */
    struct change changes[FRAME_CHANGES_MAX];
    struct frame_record records[FRAME_CHANGES_MAX];
    struct arena arena;
};

/* The next free change of the frame, NULL when it is full. */
static inline struct change *frame_slot(struct frame *frame)
{
    return frame->n < FRAME_CHANGES_MAX ? &frame->changes[frame->n] : NULL;
}

#endif
