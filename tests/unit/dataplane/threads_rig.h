/*
 * threads_rig.h: two shards in two threads, as weir runs them, between a log that is made up and a
 * sink that looks at what it gets.
 *
 *     log 0 ─► shard 0 ─┬──frames──┬─► store 0 ─► sink 0          control: the test's thread,
 *                       ╳  (rings)  ╳                             by shard_post()
 *     log 1 ─► shard 1 ─┴──────────┴─► store 1 ─► sink 1          a reader of both stores
 *
 * Record `offset` of a log is one row of one document, both by the seed; its sequence number is its
 * offset (after SEQNO_EPOCH) and its one value follows from row and offset, so whoever sees a row
 * can tell whether it is whole. Each document comes by one log, and goes to the store of its hash.
 */
#ifndef WEIR_TESTS_THREADS_RIG_H
#define WEIR_TESTS_THREADS_RIG_H

#include <stdbool.h>
#include <stdint.h>

struct threads_options {
    uint64_t seed;
    unsigned records; /* of each log */
    bool commands;    /* the shards are asked for their positions again and again, and told to pause
                         and to flush */
    bool reads;       /* a third thread looks at documents all along */
};

/* What happened; what must hold of rows, their order and commits, the rig itself asserts. */
struct threads_facts {
    uint64_t applied, stale; /* rows that came */
    uint64_t commits;        /* rounds in which the least offset that is not durable rose */
    uint64_t looks;          /* documents that the reader found, each whole */
    uint64_t pending_looks;  /* of those: with a sink that is behind */
    unsigned wrong;          /* rows that a sink does not hold as the logs say, in the end */
};

/* Runs it until all is in the sinks, and ends the threads. Its memory is not given back. */
struct threads_facts threads_play(const struct threads_options *options);

#endif
