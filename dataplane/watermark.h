/*
 * watermark.h: which offsets are held back, by which documents, for which sink (docs/ORDERING.md,
 * R5).
 *
 * A hold says: this document is not yet in this sink, and of this partition it needs everything
 * from `offset` on. Holds of one sink and partition stand in a list in the order of their offsets,
 * because they are appended as the log is read; so the least offset that is not durable is at the
 * list's head.
 *
 *     sink 0, partition 3:   [101] -> [104] -> [110]        low watermark 101
 *
 * One shard's thread owns it. The pool of holds is a static limit: when it is empty, merging stops.
 */
#ifndef WEIR_WATERMARK_H
#define WEIR_WATERMARK_H

#include "dataplane/base/check.h"
#include "dataplane/change.h"

#include <stdbool.h>

struct hold {
    int64_t offset;
    uint64_t clock;           /* the partition's clock before `offset` */
    struct hold *prev, *next; /* its list */
    struct hold *sibling;     /* the same document's next hold for the same sink */
    struct hold **chain;      /* where the document keeps its holds */
    uint16_t partition;
    uint8_t sink;
};

struct watermark;

/* Start-up only. */
struct watermark *watermark_open(unsigned n_sinks, uint32_t holds_max);

/* Are there `n` holds left? */
bool watermark_room(const struct watermark *watermark, unsigned n);

/* Holds the change's offset for `sink` in the chain, unless the chain holds an earlier one of its
 * partition. */
void watermark_hold(struct watermark *watermark, unsigned sink, struct hold **chain,
                    const struct change *change);

/* Releases all holds of the chain. */
void watermark_release(struct watermark *watermark, struct hold **chain);

/* Moves all holds of `from` to `to`; of two for one partition the earlier stays. */
void watermark_move(struct watermark *watermark, struct hold **from, struct hold **to);

/* The first hold of a sink and partition, NULL: none. And out of its list and chain with it. */
struct hold *watermark_first(const struct watermark *watermark, unsigned sink, uint16_t partition);
void watermark_drop(struct watermark *watermark, struct hold *hold);

/* The least held offset of a partition over all sinks, and the clock before it. False: nothing is
 * held. */
bool watermark_low(const struct watermark *watermark, uint16_t partition, int64_t *offset,
                   uint64_t *clock);

/* Holds that are in use. */
uint32_t watermark_count(const struct watermark *watermark);

#endif
