/*
 * clock.h: rule R1: the numbers that order a partition's changes (docs/ORDERING.md).
 *
 *     seqno = max(previous seqno of this partition + 1, capture time in microseconds)
 *
 * The previous seqno is carried in the metadata of the partition's commits, so that reading again
 * gives the same numbers. One clock belongs to one partition and to the shard that reads it.
 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include "dataplane/base/check.h"
#include "dataplane/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* 2024-01-01T00:00:00Z. Versions sum seqno - SEQNO_EPOCH, so no seqno may be at or below it. */
#define SEQNO_EPOCH UINT64_C(1704067200000000)
#define SEQNO_MAX   (SEQNO_EPOCH + (UINT64_C(1) << 62))

struct clock {
    uint64_t seqno; /* the last one given; SEQNO_EPOCH where none was */
};

/* The next seqno for a change captured at `capture_us`. */
uint64_t clock_next(struct clock *clock, uint64_t capture_us);

/* A capture time more than skew_max_us ahead of this node's wall clock is cut to now + skew_max_us:
 * one bad host clock must not freeze a row for years. True where it was cut: count it and raise the
 * alarm. */
bool clock_clamp(uint64_t *capture_us, uint64_t wall_us, uint64_t skew_max_us);

/* The text that a commit carries: "weir1:<seqno>", at most CLOCK_TEXT_BYTES with its NUL. */
#define CLOCK_TEXT_BYTES 32
void clock_to_text(uint64_t seqno, char text[CLOCK_TEXT_BYTES]);

/* The clock of a commit's metadata; false where it is not ours or out of bounds (start at
 * SEQNO_EPOCH then). */
MUST_CHECK bool clock_from_text(struct slice text, uint64_t *seqno);

#endif
