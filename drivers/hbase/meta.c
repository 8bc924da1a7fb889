/*
 * meta.c: hbase:meta, the table that says where all other tables' regions are.
 *
 *     row                              info:regioninfo          info:server
 *     orders,,1795...0.9fc...          "PBUF" RegionInfo        "rs1:16020"
 *     orders,40000000,1795...0.1d2...  "PBUF" RegionInfo        "rs2:16020"
 *     └─ table, start key, id: the region's name
 *
 * A page is asked for as a scan that is closed with its first answer, so the server keeps nothing
 * of us. The next page begins behind the last row of this one.
 *
 * Everything here comes from a server: lengths and numbers are checked, and what is no region is
 * said to be none. What this does not do: ask (locate.c), or keep anything.
 *
 * Source: HBase.proto (RegionInfo, RegionLocation, ServerName), Client.proto (ScanRequest,
 * ScanResponse), ZooKeeper.proto (MetaRegionServer).
 */
#include "drivers/hbase/meta.h"

#include "drivers/hbase/cell.h"
#include "drivers/hbase/proto.h"

#define REGION_STATE_OPEN 3

bool meta_target(struct slice host_port, struct rpc_target *target)
{
    size_t colon = host_port.len;
    unsigned port = 0;

    while (colon > 0 && host_port.data[colon - 1] != ':')
        colon--;
    if (colon < 2 || host_port.len - colon < 1 || host_port.len - colon > 5)
        return false;
    for (size_t i = colon; i < host_port.len; i++) {
        if (host_port.data[i] < '0' || host_port.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(host_port.data[i] - '0');
    }
    struct slice host = { host_port.data, colon - 1 };
    if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = (struct slice){ host.data + 1, host.len - 2 };
    if (port == 0 || port > UINT16_MAX || host.len >= sizeof(target->host) ||
        memchr(host.data, '\0', host.len) != NULL)
        return false;
    memcpy(target->host, host.data, host.len);
    target->host[host.len] = '\0';
    target->port = (uint16_t)port;
    return true;
}

/* ServerName { host_name = 1, port = 2 } */
static bool server_name(struct slice message, struct rpc_target *target)
{
    struct slice host = { NULL, 0 };
    uint64_t port = 0;
    struct proto proto;
    struct proto_field field;

    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_BYTES)
            host = field.bytes;
        else if (field.number == 2 && field.type == PROTO_VARINT)
            port = field.value;
    }
    if (proto.broken || host.len == 0 || host.len >= sizeof(target->host) || port == 0 ||
        port > UINT16_MAX || memchr(host.data, '\0', host.len) != NULL)
        return false;
    memcpy(target->host, host.data, host.len);
    target->host[host.len] = '\0';
    target->port = (uint16_t)port;
    return true;
}

/* Behind "PBUF", which stands before every message that HBase stores. */
static bool stored_message(struct slice *bytes)
{
    if (bytes->len < 4 || memcmp(bytes->data, "PBUF", 4) != 0)
        return false;
    bytes->data += 4;
    bytes->len -= 4;
    return true;
}

/* 0xff, the length of an id, the id: what HBase writes before a znode's content. */
static bool skip_znode_id(struct slice *data)
{
    const unsigned char *at = (const unsigned char *)data->data;

    if (data->len == 0 || at[0] != 0xff)
        return true;
    if (data->len < 5)
        return false;
    size_t id = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
    if (id > data->len - 5)
        return false;
    data->data += 5 + id;
    data->len -= 5 + id;
    return true;
}

const char *meta_from_znode(struct slice data, struct rpc_target *target)
{
    uint64_t state = REGION_STATE_OPEN;
    bool found = false;
    struct proto proto;
    struct proto_field field;

    if (!skip_znode_id(&data) || !stored_message(&data))
        return "the znode of hbase:meta's server holds something else";
    target->service = RPC_CLIENT;
    proto_open(&proto, data);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_BYTES)
            found = server_name(field.bytes, target);
        else if (field.number == 3 && field.type == PROTO_VARINT)
            state = field.value;
    }
    if (proto.broken || !found)
        return "the znode of hbase:meta's server names none";
    return state == REGION_STATE_OPEN ? NULL : "hbase:meta is being moved";
}

/* RegionInfo { region_id = 1, start_key = 3, end_key = 4, offline = 5, split = 6, replica_id = 7 }.
 * False: it is none. region->serves tells whether it can be used at all. */
static bool region_info(struct slice message, struct meta_region *region)
{
    struct proto proto;
    struct proto_field field;

    region->serves = true;
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_VARINT)
            region->id = field.value;
        else if (field.number == 3 && field.type == PROTO_BYTES)
            region->start = field.bytes;
        else if (field.number == 4 && field.type == PROTO_BYTES)
            region->end = field.bytes;
        else if (field.number >= 5 && field.number <= 7 && field.type == PROTO_VARINT &&
                 field.value != 0)
            region->serves = false;
    }
    return !proto.broken;
}

/* RegionLocation { region_info = 1, server_name = 2 }: true where it is meta itself, open. */
static bool meta_location(struct slice message, struct rpc_target *target)
{
    struct meta_region region = { .serves = false };
    bool found = false;
    struct proto proto;
    struct proto_field field;

    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_BYTES && !region_info(field.bytes, &region))
            return false;
        if (field.number == 2 && field.type == PROTO_BYTES)
            found = server_name(field.bytes, target);
    }
    return !proto.broken && region.serves && found;
}

const char *meta_from_registry(struct slice answer, struct rpc_target *target)
{
    struct proto proto;
    struct proto_field field;

    target->service = RPC_CLIENT;
    proto_open(&proto, answer);
    while (proto_next(&proto, &field))
        if (field.number == 1 && field.type == PROTO_BYTES && meta_location(field.bytes, target))
            return NULL;
    return proto.broken ? "a broken answer" : "it does not know where hbase:meta is";
}

/* The row that is next behind this one has one zero byte more. */
static void put_row(struct buf *out, uint32_t field, struct slice row, struct slice tail)
{
    proto_put_varint(out, (uint64_t)field << 3 | PROTO_BYTES);
    proto_put_varint(out, row.len + tail.len);
    buf_put_slice(out, row);
    buf_put_slice(out, tail);
}

void meta_put_scan(struct slice table, struct slice after, struct buf *out)
{
    size_t region = proto_begin(out, 1);
    proto_put_number(out, 1, 1);
    proto_put_bytes(out, 2, SLICE("hbase:meta,,1"));
    proto_end(out, region);

    size_t scan = proto_begin(out, 2);
    size_t column = proto_begin(out, 1);
    proto_put_bytes(out, 1, SLICE("info"));
    proto_end(out, column);
    if (after.len > 0)
        put_row(out, 3, after, SLICE("\0"));
    else
        put_row(out, 3, table, SLICE(",,"));
    put_row(out, 4, table, SLICE("-")); /* the byte behind a comma */
    proto_end(out, scan);

    proto_put_number(out, 4, META_PAGE_ROWS);
    proto_put_number(out, 5, true);
}

/* One cell of a region's row. False: it makes the row none. */
static bool take_cell(const struct cell *cell, struct meta_region *region, bool *info, bool *server)
{
    if (cell->type != CELL_PUT || !slice_equal(cell->family, SLICE("info")))
        return true;
    if (slice_equal(cell->qualifier, SLICE("regioninfo"))) {
        struct slice message = cell->value;
        *info = stored_message(&message) && region_info(message, region);
        return *info;
    }
    if (slice_equal(cell->qualifier, SLICE("server")) && cell->value.len > 0) {
        *server = meta_target(cell->value, &region->target);
        return *server;
    }
    return true;
}

int meta_next(struct slice *cells, struct meta_region *region)
{
    struct slice rest = *cells;
    struct cell cell;
    bool info = false, server = false;
    int got = cell_next(&rest, &cell);

    if (got <= 0)
        return got;
    *region = (struct meta_region){ .name = cell.row };
    region->target.service = RPC_CLIENT;
    do {
        if (!take_cell(&cell, region, &info, &server))
            return -1;
        *cells = rest;
        got = cell_next(&rest, &cell);
    } while (got > 0 && slice_equal(cell.row, region->name));
    if (got < 0)
        return -1;
    region->serves = region->serves && info && server;
    return 1;
}

bool meta_has_more(struct slice answer)
{
    struct proto proto;
    struct proto_field field;
    bool more = false;

    proto_open(&proto, answer);
    while (proto_next(&proto, &field))
        if (field.number == 8 && field.type == PROTO_VARINT)
            more = field.value != 0;
    return more;
}
