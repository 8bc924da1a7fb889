/*
 * route.c: which items go to which region of which server, and in what order.
 *
 *     items' regions  A B C A B A          counted     A 3, B 2, C 1
 *     regions' servers  A ► 1, B ► 2, C ► 1   by server   1: A C   2: B
 *     order           0 3 5 | 2 | 1 4      placed      each item behind the ones of its region
 *
 * Two counting passes, over the items and over the regions that occur; nothing is compared. What is
 * counted per region lies in arrays that all requests of the port share.
 */
#include "drivers/hbase/route.h"

#include "dataplane/base/memory.h"

void route_scratch_open(struct route_scratch *scratch, uint32_t items_max)
{
    scratch->slots = memory_reserve_virtual(LOCATE_REGIONS_MAX * sizeof(*scratch->slots), "routes");
    scratch->starts = memory_reserve((LOCATE_SERVERS_MAX + 1) * sizeof(*scratch->starts), "routes");
    scratch->used = memory_reserve_virtual(items_max * sizeof(*scratch->used), "routes");
    scratch->sorted = memory_reserve_virtual(items_max * sizeof(*scratch->sorted), "routes");
}

void route_open(struct route *route, uint32_t items_max)
{
    *route = (struct route){ .items_max = items_max };
    /* A call is full with one action less than the most, where an item has two. */
    route->calls_max = LOCATE_SERVERS_MAX + 2 + 2 * (items_max / (ROUTE_CALL_ACTIONS_MAX - 1) + 1);
    route->order = memory_reserve_virtual(items_max * sizeof(*route->order), "routes");
    route->groups = memory_reserve_virtual(items_max * sizeof(*route->groups), "routes");
    route->calls = memory_reserve_virtual(route->calls_max * sizeof(*route->calls), "routes");
}

/* The regions that occur, and how many items each has. Returns how many regions. */
static uint32_t count_regions(struct route_scratch *scratch, const struct route_items *items)
{
    uint32_t n_used = 0;

    for (uint32_t i = 0; i < items->n; i++) {
        uint32_t region = items->regions[i];
        if (region == LOCATE_NONE)
            continue;
        if (scratch->slots[region] == 0) {
            scratch->used[n_used] = (struct route_group){ .region = region };
            scratch->slots[region] = ++n_used;
        }
        scratch->used[scratch->slots[region] - 1].n++;
    }
    return n_used;
}

/* The same regions by server, each with its place in `order`. */
static void sort_regions(struct route_scratch *scratch, const struct locate *locate,
                         uint32_t n_used)
{
    uint32_t n_servers = locate_n_servers(locate), first = 0;

    memset(scratch->starts, 0, (n_servers + 1) * sizeof(*scratch->starts));
    for (uint32_t i = 0; i < n_used; i++)
        scratch->starts[locate_region(locate, scratch->used[i].region)->server + 1]++;
    for (uint32_t i = 0; i < n_servers; i++)
        scratch->starts[i + 1] += scratch->starts[i];
    for (uint32_t i = 0; i < n_used; i++) {
        uint32_t region = scratch->used[i].region;
        uint32_t at = scratch->starts[locate_region(locate, region)->server]++;
        scratch->sorted[at] = scratch->used[i];
        scratch->slots[region] = at + 1;
    }
    for (uint32_t i = 0; i < n_used; i++) {
        scratch->sorted[i].first = first;
        first += scratch->sorted[i].n;
    }
}

/* Places the items; `first` of each region stands behind its items then. */
static void place_items(struct route *route, struct route_scratch *scratch,
                        const struct route_items *items)
{
    for (uint32_t i = 0; i < items->n; i++) {
        uint32_t region = items->regions[i];
        if (region == LOCATE_NONE)
            continue;
        route->order[scratch->sorted[scratch->slots[region] - 1].first++] = i;
        route->n_items++;
    }
}

static void begin_call(struct route *route, uint32_t server)
{
    ASSERT(route->n_calls < route->calls_max);
    route->calls[route->n_calls++] = (struct route_call){ route->n_groups, 0, server };
}

static void begin_group(struct route *route, uint32_t first, uint32_t region)
{
    ASSERT(route->n_groups < route->items_max);
    route->groups[route->n_groups++] = (struct route_group){ first, 0, region };
    route->calls[route->n_calls - 1].n++;
}

/* Makes groups and calls of the regions, cutting what is too long. */
static void cut(struct route *route, const struct route_scratch *scratch,
                const struct locate *locate, const struct route_items *items, uint32_t n_used)
{
    uint32_t actions = 0, server = LOCATE_NONE;

    for (uint32_t i = 0; i < n_used; i++) {
        const struct route_group *region = &scratch->sorted[i];
        uint32_t from = region->first - region->n;
        if (locate_region(locate, region->region)->server != server) {
            server = locate_region(locate, region->region)->server;
            begin_call(route, server);
            actions = 0;
        }
        for (uint32_t k = from; k < region->first; k++) {
            bool full = actions == ROUTE_CALL_ACTIONS_MAX;
            if (full) {
                begin_call(route, server);
                actions = 0;
            }
            if (k == from || full || items->alone)
                begin_group(route, k, region->region);
            route->groups[route->n_groups - 1].n++;
            actions++;
        }
    }
}

void route_make(struct route *route, struct route_scratch *scratch, const struct locate *locate,
                const struct route_items *items)
{
    ASSERT(items->n <= route->items_max);
    route->n_items = route->n_groups = route->n_calls = 0;
    uint32_t n_used = count_regions(scratch, items);
    sort_regions(scratch, locate, n_used);
    place_items(route, scratch, items);
    cut(route, scratch, locate, items, n_used);
    for (uint32_t i = 0; i < n_used; i++)
        scratch->slots[scratch->used[i].region] = 0;
}
