/*
 * table_master.c: the active master, and ZooKeeper's two znodes: who is it, where is hbase:meta, is
 * there a table, make one.
 *
 *     CreateTable ─► regions at once, served and ENABLED within a second ─► its procedure has ended
 *         └ there is one already: TableExistsException
 *
 * A busy master says PleaseHoldException, and then it is asked again by a client that has looked
 * anew for who is the master.
 *
 * Source: Master.proto, HBase.proto, Procedure.proto, ZooKeeper.proto.
 */
#include "tests/sim/table_internal.h"

enum {
    PROCEDURE = 17,
    PROCEDURE_RUNS = 1,
    PROCEDURE_ENDED = 2,
    STATE_ENABLED = 0,
    STATE_ENABLING = 3
};

static void put_table_name(struct buf *out, uint32_t field)
{
    size_t begun = proto_begin(out, field);

    proto_put_bytes(out, 1, SLICE("default"));
    proto_put_bytes(out, 2, SLICE(TABLE_NAME));
    proto_end(out, begun);
}

static void put_attribute(struct buf *out, struct slice name, struct slice value)
{
    size_t begun = proto_begin(out, 2);

    proto_put_bytes(out, 1, name);
    proto_put_bytes(out, 2, value);
    proto_end(out, begun);
}

/* GetTableDescriptorsResponse { table_schema = 1 { table_name 1, attributes 2, families 3 } } */
static void put_descriptors(struct buf *out)
{
    size_t schema = proto_begin(out, 1);

    put_table_name(out, 1);
    put_attribute(out, SLICE("IS_META"), SLICE("false"));
    size_t family = proto_begin(out, 3);
    proto_put_bytes(out, 1, SLICE(TABLE_FAMILY));
    put_attribute(out, SLICE("TTL"), SLICE("2147483647"));
    put_attribute(out, SLICE("VERSIONS"), SLICE("1"));
    put_attribute(out, SLICE("KEEP_DELETED_CELLS"), SLICE("FALSE"));
    proto_end(out, family);
    proto_end(out, schema);
}

/* The last bytes field of that number in a message; empty: there is none. */
static struct slice bytes_of(struct slice message, uint32_t number)
{
    struct slice bytes = { NULL, 0 };
    struct proto_field field;
    struct proto proto;

    proto_open(&proto, message);
    while (proto_next(&proto, &field))
        if (field.number == number && field.type == PROTO_BYTES)
            bytes = field.bytes;
    ASSERT(!proto.broken);
    return bytes;
}

/* CreateTableRequest { table_schema = 1, split_keys = 2 ... } */
static void create(struct table *table, struct slice param, struct refusal *refusal)
{
    struct slice schema = bytes_of(param, 1), starts[SPLITS_MAX] = { SLICE("") };
    struct proto_field field;
    struct proto proto;
    unsigned n = 1;

    if (table->exists) {
        table_refuse(refusal, "org.apache.hadoop.hbase.TableExistsException", TABLE_NAME);
        return;
    }
    ASSERT(slice_equal(bytes_of(bytes_of(schema, 1), 2), SLICE(TABLE_NAME)));
    ASSERT(slice_equal(bytes_of(bytes_of(schema, 3), 1), SLICE(TABLE_FAMILY)));
    proto_open(&proto, param);
    while (proto_next(&proto, &field)) {
        if (field.number != 2 || field.type != PROTO_BYTES)
            continue;
        ASSERT(n < SPLITS_MAX);
        starts[n++] = table_copy(field.bytes);
    }
    table->enabled_us = sim_now_us() + sim_between(100000, 1000000);
    regions_create(table, starts, n);
    sim_trace("hm1 creates the table with %u regions", n);
    proto_put_number(&table->result, 1, PROCEDURE);
}

/* GetMetaRegionLocationsResponse { meta_locations = 1 { region_info = 1, server_name = 2 } } */
static void put_meta_location(const struct table *table, struct buf *out)
{
    size_t location = proto_begin(out, 1), info = proto_begin(out, 1);

    proto_put_number(out, 1, 1);
    size_t name = proto_begin(out, 2);
    proto_put_bytes(out, 1, SLICE("hbase"));
    proto_put_bytes(out, 2, SLICE("meta"));
    proto_end(out, name);
    proto_put_number(out, 5, false);
    proto_put_number(out, 6, false);
    proto_put_number(out, 7, 0);
    proto_end(out, info);
    table_put_server(out, 2, table->meta_server);
    proto_end(out, location);
}

void master_serve(struct table *table, const struct table_call *call, struct refusal *refusal)
{
    struct buf *out = &table->result;
    bool enabled = sim_now_us() >= table->enabled_us;

    if (sim_chance(sim_dials()->busy_whole)) {
        table_refuse(refusal, "org.apache.hadoop.hbase.PleaseHoldException",
                     "Master is initializing");
        return;
    }
    if (slice_equal(call->method, SLICE("GetMetaRegionLocations"))) {
        put_meta_location(table, out);
    } else if (slice_equal(call->method, SLICE("GetActiveMaster"))) {
        table_put_server(out, 1, TABLE_HM1);
    } else if (slice_equal(call->method, SLICE("GetTableDescriptors"))) {
        if (table->exists)
            put_descriptors(out);
    } else if (slice_equal(call->method, SLICE("GetTableState"))) {
        size_t state = proto_begin(out, 1);
        proto_put_number(out, 1, enabled ? STATE_ENABLED : STATE_ENABLING);
        proto_end(out, state);
    } else if (slice_equal(call->method, SLICE("getProcedureResult"))) {
        proto_put_number(out, 1, enabled ? PROCEDURE_ENDED : PROCEDURE_RUNS);
    } else {
        ASSERT(slice_equal(call->method, SLICE("CreateTable")));
        create(table, call->param, refusal);
    }
}

/* What stands before every message in a znode. */
static void put_znode_head(struct buf *out)
{
    static const char id[] = "regionserver:16020";

    buf_put_literal(out, "\1\xff\0\0\0");
    buf_put_char(out, (char)(sizeof(id) - 1));
    buf_put(out, id, sizeof(id) - 1);
    buf_put_literal(out, "PBUF");
}

void zookeeper_serve(struct table *table, struct slice path, struct buf *answer)
{
    if (slice_equal(path, SLICE(TABLE_ZNODE "/master"))) {
        put_znode_head(answer);
        table_put_server(answer, 1, TABLE_HM1);
    } else if (slice_equal(path, SLICE(TABLE_ZNODE "/meta-region-server"))) {
        put_znode_head(answer);
        table_put_server(answer, 1, table->meta_server);
        proto_put_number(answer, 2, 0);
        proto_put_number(answer, 3, 3);
    } else {
        buf_put_char(answer, 0);
    }
}
