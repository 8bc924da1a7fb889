/*
 * fake_node.h: a node without threads: one task, two shards, their stores with a few documents.
 *
 *     shard 0:  order "1001": root, buyer, items 4 and 10 (5 deleted)   every sink has it
 *     shard 1:  order "a/b c": root                                     `search` has an older one
 *               order "gone": root deleted                              every sink has it
 *
 * Counters are set by hand, each to a number of its own, so that a swapped field shows.
 */
#ifndef WEIR_TESTS_FAKE_NODE_H
#define WEIR_TESTS_FAKE_NODE_H

#include "control/node.h"

enum { FAKE_SHARDS = 2, FAKE_SINKS = 2 };

#define FAKE_SEQNO UINT64_C(1795248000123456) /* 2026-11-21T08:00:00.123456Z */

/* A new node each time; `admin` is its socket's path (the caller's), `http` HOST:PORT or NULL.
 * Never freed: a test process is short. */
struct node *fake_node(const char *admin, const char *http);

/* The document's JSON as the fake holds it. */
#define FAKE_DOCUMENT \
    "{\"order_no\":\"1001\",\"amount\":365.30,\"buyer\":{\"name\":\"A\\\"b\"}," \
    "\"items\":[{\"id\":4},{\"id\":10}]}"

#endif
