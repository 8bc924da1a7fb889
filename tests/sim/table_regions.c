/*
 * table_regions.c: who serves which keys, and hbase:meta, which says so.
 *
 *     move    rs1 ──── nowhere ────► rs2     meta says rs1 until rs2 serves it
 *     split   A ► A1 A2, on A's server       meta says: A was split; A1, A2 have no server yet
 *     merge   A, B ► AB, on A's server       meta says: AB has no server yet
 *     create  all have no server yet
 *
 * What is on its way is served by nobody for up to two seconds, then by its new server; nothing has
 * to happen for that, everybody looks at the clock. The old server says that the region moved, or
 * that it does not serve it; the new one that it is being opened.
 *
 * hbase:meta is scanned page by page. A server ends a page early when it takes long (busy_item), so
 * regions may change between two pages. It moves too, and is nowhere at no time.
 *
 * Source: Client.proto (ScanRequest, ScanResponse), HBase.proto (RegionInfo).
 */
#include "drivers/hbase/cell.h"
#include "tests/sim/table_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define REGIONS_MAX    24u /* that are served; splits end there */
#define REMAINS_MAX    8u  /* split ones that hbase:meta still lists */
#define TRANSIT_US_MAX UINT64_C(2000000)

#define HADOOP "org.apache.hadoop.hbase."

static bool is_open(const struct kept_region *region)
{
    return sim_now_us() >= region->open_us;
}

bool region_holds(const struct kept_region *region, struct slice row)
{
    return slice_compare(row, region->start) >= 0 &&
           (region->end.len == 0 || slice_compare(row, region->end) < 0);
}

static void make_name(struct kept_region *region)
{
    size_t room = sizeof(TABLE_NAME) + region->start.len + 64;
    char *text = table_heap(room);
    int head = snprintf(text, room, "%s,", TABLE_NAME);
    size_t len = (size_t)head;

    if (region->start.len > 0)
        memcpy(text + len, region->start.data, region->start.len);
    len += region->start.len;
    unsigned long long high = sim_random(), low = sim_random();
    len += (size_t)snprintf(text + len, room - len, ",%llu.%016llx%016llx.",
                            (unsigned long long)region->id, high, low);
    region->name = (struct slice){ text, len };
}

/* A new region, not served before `after_us`, put where hbase:meta has it. The keys stay its own.
 * Pointers to regions are not good any more. */
static void add(struct table *table, struct slice start, struct slice end, unsigned server,
                uint64_t open_us)
{
    struct kept_region region = { .start = start, .end = end, .server = server, .from = server };
    uint64_t now_ms = (SIM_WALL_US + sim_now_us()) / 1000;
    unsigned place = 0;

    table->last_id = now_ms > table->last_id ? now_ms : table->last_id + 1;
    region.id = table->last_id;
    region.open_us = open_us;
    region.fresh = true;
    make_name(&region);
    if (table->n_regions == table->regions_room) {
        table->regions_room = 2 * table->regions_room + 16;
        table->regions = realloc(table->regions, table->regions_room * sizeof(*table->regions));
        ASSERT(table->regions != NULL);
    }
    while (place < table->n_regions && slice_compare(table->regions[place].start, start) <= 0)
        place++; /* its id is the greatest */
    memmove(&table->regions[place + 1], &table->regions[place],
            (table->n_regions - place) * sizeof(*table->regions));
    table->regions[place] = region;
    table->n_regions++;
}

static void drop(struct table *table, unsigned place)
{
    table->n_regions--;
    memmove(&table->regions[place], &table->regions[place + 1],
            (table->n_regions - place) * sizeof(*table->regions));
}

void regions_create(struct table *table, const struct slice *starts, unsigned n)
{
    ASSERT(!table->exists && n > 0 && starts[0].len == 0);
    table->exists = true;
    for (unsigned i = 0; i < n; i++)
        add(table, starts[i], i + 1 < n ? starts[i + 1] : SLICE(""), sim_below(2),
            table->enabled_us);
}

unsigned table_n_regions(const struct table *table)
{
    unsigned n = 0;

    for (unsigned i = 0; i < table->n_regions; i++)
        n += !table->regions[i].split;
    return n;
}

const struct kept_region *regions_serve(struct table *table, unsigned server, struct slice name,
                                        struct refusal *refusal)
{
    const struct kept_region *region = NULL;
    const char *shown = table_shown(name);

    for (unsigned i = 0; i < table->n_regions && region == NULL; i++)
        if (!table->regions[i].split && slice_equal(table->regions[i].name, name))
            region = &table->regions[i];
    if (region != NULL && region->server == server && is_open(region))
        return region;
    if (region != NULL && region->server == server)
        table_refuse(refusal, HADOOP "exceptions.RegionOpeningException",
                     "Region %.150s is opening on %s,16020,%llu", shown, table_hosts[server],
                     (unsigned long long)START_CODE);
    else if (region != NULL && region->from == server && is_open(region))
        table_refuse(
            refusal, HADOOP "exceptions.RegionMovedException",
            "Region moved to: hostname=%s port=16020 startCode=%llu. As of locationSeqNum=17.",
            table_hosts[region->server], (unsigned long long)START_CODE);
    else
        table_refuse(refusal, HADOOP "NotServingRegionException",
                     "%.150s is not online on %s,16020,%llu", shown, table_hosts[server],
                     (unsigned long long)START_CODE);
    return NULL;
}

/* ---- hbase:meta ---- */

static void put_meta_cell(struct buf *out, const struct kept_region *region, struct slice qualifier,
                          struct slice value)
{
    cell_put(out, &(struct cell){ .row = region->name,
                                  .family = SLICE("info"),
                                  .qualifier = qualifier,
                                  .value = value,
                                  .timestamp = region->id,
                                  .type = CELL_PUT });
}

/* RegionInfo { region_id = 1, table_name = 2, start_key = 3, end_key = 4, offline = 5, split = 6,
 * replica_id = 7 } */
static void put_info(struct buf *out, const struct kept_region *region)
{
    buf_put_literal(out, "PBUF");
    proto_put_number(out, 1, region->id);
    size_t name = proto_begin(out, 2);
    proto_put_bytes(out, 1, SLICE("default"));
    proto_put_bytes(out, 2, SLICE(TABLE_NAME));
    proto_end(out, name);
    proto_put_bytes(out, 3, region->start);
    proto_put_bytes(out, 4, region->end);
    proto_put_number(out, 5, region->split);
    proto_put_number(out, 6, region->split);
    proto_put_number(out, 7, 0);
}

/* The cells of its row, in order; how many. */
static unsigned put_row(struct buf *out, const struct kept_region *region)
{
    size_t room = region->start.len + region->end.len + 128;
    struct buf info = { .data = table_heap(room), .bound = room };
    unsigned server = is_open(region) ? region->server : region->from;
    bool known = is_open(region) || !region->fresh;
    char address[32];

    put_info(&info, region);
    ASSERT(!info.overflow);
    put_meta_cell(out, region, SLICE("regioninfo"), buf_slice(&info));
    free(info.data);
    if (known) {
        (void)snprintf(address, sizeof(address), "%s:%u", table_hosts[server], TABLE_PORT);
        put_meta_cell(out, region, SLICE("server"), slice_of(address));
        put_meta_cell(out, region, SLICE("serverstartcode"), SLICE("\0\0\1\x9b\x76\xd2\xc0\0"));
    }
    put_meta_cell(out, region, SLICE("state"),
                  region->split     ? SLICE("SPLIT")
                  : is_open(region) ? SLICE("OPEN")
                                    : SLICE("OPENING"));
    return known ? 4 : 2;
}

/* Which region and row a ScanRequest { region = 1 { value = 2 }, scan = 2 { start_row = 3 } } is
 * about. */
static void read_scan(struct slice param, struct slice *region, struct slice *start)
{
    struct proto_field field, inner;
    struct proto proto, nested;

    *region = *start = (struct slice){ NULL, 0 };
    proto_open(&proto, param);
    while (proto_next(&proto, &field)) {
        if (field.type != PROTO_BYTES)
            continue;
        proto_open(&nested, field.bytes);
        while (proto_next(&nested, &inner)) {
            if (field.number == 1 && inner.number == 2)
                *region = inner.bytes;
            if (field.number == 2 && inner.number == 3)
                *start = inner.bytes;
        }
        ASSERT(!nested.broken);
    }
    ASSERT(!proto.broken);
}

/* How many rows of hbase:meta lie before this one, "orders,START,ID.ENCODED.\0", and itself. The
 * region may be gone meanwhile, so it is not looked for. "orders,,": none. */
static unsigned rows_before(const struct table *table, struct slice row)
{
    size_t head = sizeof(TABLE_NAME ",") - 1, comma = row.len;
    uint64_t id = 0;
    unsigned n = 0;

    ASSERT(row.len > head && memcmp(row.data, TABLE_NAME ",", head) == 0);
    while (row.data[comma - 1] != ',')
        comma--;
    ASSERT(comma > head);
    for (size_t at = comma; at < row.len && row.data[at] >= '0' && row.data[at] <= '9'; at++)
        id = id * 10 + (unsigned)(row.data[at] - '0');
    struct slice start = { row.data + head, comma - 1 - head };
    for (; n < table->n_regions; n++) {
        int order = slice_compare(table->regions[n].start, start);
        if (order > 0 || (order == 0 && table->regions[n].id > id))
            break;
    }
    return n;
}

void regions_scan(struct table *table, const struct table_call *call, struct refusal *refusal)
{
    struct buf *out = &table->result;
    struct slice region, start;
    bool more = false;

    read_scan(call->param, &region, &start);
    ASSERT(slice_equal(region, SLICE("hbase:meta,,1")));
    if (call->server != table->meta_server) {
        table_refuse(refusal, HADOOP "NotServingRegionException",
                     "hbase:meta,,1 is not online on %s,16020,%llu", table_hosts[call->server],
                     (unsigned long long)START_CODE);
        return;
    }
    for (unsigned i = rows_before(table, start); i < table->n_regions && !more; i++) {
        proto_put_number(out, 1, put_row(&table->cells, &table->regions[i]));
        more = i + 1 < table->n_regions && sim_chance(sim_dials()->busy_item);
    }
    proto_put_number(out, 3, false);
    proto_put_number(out, 8, more);
}

/* ---- the balancer ---- */

static bool may_change(const struct kept_region *region)
{
    return !region->split && is_open(region);
}

static uint64_t transit(void)
{
    return sim_now_us() + sim_between(0, TRANSIT_US_MAX);
}

/* A key within the region, but not its start: of a row, or at random. False: none was found. */
static bool middle_of(const struct table *table, const struct kept_region *region,
                      struct slice *middle)
{
    char text[9];
    struct slice candidate = { text, 8 };

    (void)snprintf(text, sizeof(text), "%08x", (unsigned)(sim_random() >> 32));
    if (table->n_rows > 0 && sim_below(10) < 7)
        candidate = table->rows[sim_below((unsigned)table->n_rows)]->key;
    if (!region_holds(region, candidate) || slice_equal(candidate, region->start))
        return false;
    *middle = table_copy(candidate);
    return true;
}

static void split(struct table *table, unsigned place)
{
    struct kept_region *region = &table->regions[place];
    uint64_t open_us = transit();
    struct slice middle;

    if (table_n_regions(table) >= REGIONS_MAX || !middle_of(table, region, &middle))
        return;
    region->split = true;
    struct kept_region was = *region;
    sim_trace("%s splits at %s", table_shown(was.name), table_shown(middle));
    add(table, was.start, middle, was.server, open_us);
    add(table, middle, was.end, was.server, open_us);
}

/* With the next one, if there is one that may change. */
static void merge(struct table *table, unsigned place)
{
    struct kept_region was = table->regions[place];
    unsigned other = place + 1;

    while (other < table->n_regions && table->regions[other].split)
        other++;
    if (other == table->n_regions || !may_change(&table->regions[other]))
        return;
    struct kept_region behind = table->regions[other];
    ASSERT(slice_equal(was.end, behind.start));
    sim_trace("%s merges with %s", table_shown(was.name), table_shown(behind.name));
    drop(table, other);
    drop(table, place);
    add(table, was.start, behind.end, was.server, transit());
}

static void move(struct table *table, unsigned place)
{
    struct kept_region *region = &table->regions[place];
    unsigned to = 1 - region->server;

    if (table->doors[to].server.away)
        return;
    sim_trace("%s moves to %s", table_shown(region->name), table_hosts[to]);
    region->from = region->server;
    region->server = to;
    region->open_us = transit();
    region->fresh = false;
}

static void move_meta(struct table *table)
{
    unsigned to = 1 - table->meta_server;

    if (table->doors[to].server.away)
        return;
    sim_trace("hbase:meta moves to %s", table_hosts[to]);
    table->meta_server = to;
}

/* hbase:meta's janitor: forgets what was split, when it is much. */
static void clean(struct table *table)
{
    unsigned remains = table->n_regions - table_n_regions(table);

    for (unsigned i = table->n_regions; i-- > 0 && remains > REMAINS_MAX;)
        if (table->regions[i].split) {
            drop(table, i);
            remains--;
        }
}

void table_rearrange(struct table *table)
{
    bool meta_is_away = table->doors[table->meta_server].server.away;
    unsigned place;

    if (sim_below(100) < (meta_is_away ? 50 : 6))
        move_meta(table);
    clean(table);
    if (table->n_regions == 0)
        return;
    place = sim_below(table->n_regions);
    if (!may_change(&table->regions[place]))
        return;
    if (table->doors[table->regions[place].server].server.away) {
        move(table, place);
        return;
    }
    switch (sim_below(4)) {
    case 0:
        split(table, place);
        break;
    case 1:
        merge(table, place);
        break;
    default:
        move(table, place);
        break;
    }
}

void table_compact(struct table *table)
{
    const struct kept_region *region;

    if (table->n_regions == 0)
        return;
    region = &table->regions[sim_below(table->n_regions)];
    sim_trace("%s is compacted: %u delete markers are gone", table_shown(region->name),
              cells_compact(table, region->start, region->end));
}
