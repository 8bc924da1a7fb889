/*
 * world.h: the servers that all nodes of a history share. main.c makes them.
 */
#ifndef WEIR_SIM_WORLD_H
#define WEIR_SIM_WORLD_H

#include "tests/sim/net.h"

struct broker; /* broker.h: Kafka */
struct search; /* search.h: Elasticsearch */
struct table;  /* table.h: HBase */

struct world {
    struct broker *broker;
    struct search *search; /* NULL: no such sink in this history */
    struct table *table;   /* likewise */
    unsigned n_nodes, n_shards;
    size_t share_bytes; /* of memory for documents, on each shard */
};
extern struct world world;

#endif
