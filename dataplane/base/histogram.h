/*
 * histogram.h: times in powers of two, one writing thread, any number of readers.
 *
 * Bucket i counts what took less than 2^(i+4) microseconds (16 us, 32 us, ... about 134 s), the
 * last one all the rest. That is coarse, and enough to see where time goes; percentiles for a
 * promise are measured from outside.
 */
#ifndef WEIR_BASE_HISTOGRAM_H
#define WEIR_BASE_HISTOGRAM_H

#include "dataplane/base/counter.h"

#define HISTOGRAM_BUCKETS 24

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1];
    uint64_t sum_us;
};

/* The bound of bucket i in microseconds, i < HISTOGRAM_BUCKETS. */
static inline uint64_t histogram_bound_us(unsigned i)
{
    return UINT64_C(16) << i;
}

/* The owner's thread. */
static inline void histogram_add(struct histogram *histogram, uint64_t us)
{
    unsigned bits = us < 16 ? 0 : (unsigned)(60 - __builtin_clzll(us));
    counter_add(&histogram->counts[bits < HISTOGRAM_BUCKETS ? bits : HISTOGRAM_BUCKETS], 1);
    counter_add(&histogram->sum_us, us);
}

#endif
