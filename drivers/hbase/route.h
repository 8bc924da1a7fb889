/*
 * route.h: the items of one request in the order of regions and servers. Internal to
 * drivers/hbase. The shard's thread.
 *
 *     items 0 1 2 3 4 5    order  0 3 5 | 1 4 | 2        (each | is a group: one region)
 *     regions A B C A B A  calls  └─ server 1 ─┘└ 2 ┘
 */
#ifndef WEIR_HBASE_ROUTE_H
#define WEIR_HBASE_ROUTE_H

#include "drivers/hbase/locate.h"

/* The server warns of more actions in one call, and can be told to refuse them. */
#define ROUTE_CALL_ACTIONS_MAX 5000u

struct route_items {
    const uint32_t *regions; /* of each item; LOCATE_NONE: it is not to be sent */
    uint32_t n;
    bool alone;
};

/* Items of one region: order[first], n of them. */
struct route_group {
    uint32_t first, n;
    uint32_t region;
};

/* Groups of one server: groups[first], n of them. */
struct route_call {
    uint32_t first, n;
    uint32_t server;
};

struct route {
    uint32_t *order;
    struct route_group *groups;
    struct route_call *calls;
    uint32_t n_items, n_groups, n_calls; /* n_items: in `order` */
    uint32_t items_max, calls_max;
};

/* What all routes of a port need while one is made. */
struct route_scratch {
    uint32_t *slots;  /* by region: 1 + its place in `used`; all 0 between two uses */
    uint32_t *starts; /* by server: where its groups begin in `sorted` */
    struct route_group *used, *sorted;
};

/* Start-up. */
void route_scratch_open(struct route_scratch *scratch, uint32_t items_max);
void route_open(struct route *route, uint32_t items_max);

/* Fills the route. `alone`: each item is a group of its own. All regions in the items are of what
 * `locate` knows now. Items keep their order within a group; a group or a call that would have too
 * many actions is cut. */
void route_make(struct route *route, struct route_scratch *scratch, const struct locate *locate,
                const struct route_items *items);

#endif
