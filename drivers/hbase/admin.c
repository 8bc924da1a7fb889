/*
 * admin.c: see admin.h.
 *
 * Protocol buffers by hand: a request is a few fields, and of an answer only the fields that weir
 * asks for are looked at; whatever else a newer server says is stepped over. Messages within
 * messages are opened one at a time, never by recursion, and every length is proto.c's to bound.
 *
 *     TableSchema { table_name 1, attributes 2 { first 1, second 2 }*,
 *                   column_families 3 { name 1, attributes 2 { first 1, second 2 }* }* }
 *
 * A field that is there twice counts with its last value, as protocol buffers want it.
 */
#include "drivers/hbase/admin.h"

#include "drivers/hbase/hbase.h"
#include "drivers/hbase/proto.h"

#include <stdio.h>

struct admin_name admin_name(const char *table)
{
    const char *colon = strchr(table, ':');
    if (colon == NULL)
        return (struct admin_name){ SLICE(HBASE_NAMESPACE_DEFAULT), slice_of(table) };
    return (struct admin_name){ { table, (size_t)(colon - table) }, slice_of(colon + 1) };
}

/* ---- requests ---- */

static void put_name(struct buf *out, uint32_t field, const struct admin_name *name)
{
    size_t begun = proto_begin(out, field);
    proto_put_bytes(out, 1, name->space);
    proto_put_bytes(out, 2, name->table);
    proto_end(out, begun);
}

void admin_put_descriptors(struct buf *out, const struct admin_name *name)
{
    put_name(out, 1, name);
}

void admin_put_state(struct buf *out, const struct admin_name *name)
{
    put_name(out, 1, name);
}

static void put_family(struct buf *out, struct slice family)
{
    size_t begun = proto_begin(out, 3);
    proto_put_bytes(out, 1, family);
    size_t attribute = proto_begin(out, 2);
    proto_put_bytes(out, 1, SLICE("VERSIONS"));
    proto_put_bytes(out, 2, SLICE("1"));
    proto_end(out, attribute);
    proto_end(out, begun);
}

void admin_put_create(struct buf *out, const struct admin_name *name, struct slice family,
                      unsigned regions)
{
    size_t schema = proto_begin(out, 1);
    put_name(out, 1, name);
    put_family(out, family);
    proto_end(out, schema);
    for (unsigned i = 1; i < regions; i++) {
        char split[9];
        (void)snprintf(split, sizeof(split), "%08x", (unsigned)(((uint64_t)i << 32) / regions));
        proto_put_bytes(out, 2, slice_of(split));
    }
}

void admin_put_procedure(struct buf *out, uint64_t procedure)
{
    proto_put_number(out, 1, procedure);
}

/* ---- answers ---- */

/* The last field of that number; false (and an empty one) where there is none, or the message is
 * broken. */
static bool last_field(struct slice message, uint32_t number, struct proto_field *out)
{
    struct proto proto;
    struct proto_field field;
    bool found = false;
    *out = (struct proto_field){ 0 };
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number != number)
            continue;
        *out = field;
        found = true;
    }
    return found && !proto.broken;
}

/* The same for bytes: empty where there are none. */
static struct slice bytes_of(struct slice message, uint32_t number)
{
    struct proto_field field;
    bool found = last_field(message, number, &field) && field.type == PROTO_BYTES;
    return found ? field.bytes : (struct slice){ NULL, 0 };
}

static bool is_message(struct slice message)
{
    struct proto proto;
    struct proto_field field;
    proto_open(&proto, message);
    while (proto_next(&proto, &field))
        continue;
    return !proto.broken;
}

struct attribute {
    const char *name;
    struct slice *value;
};

/* Takes a BytesBytesPair if it is one of the wanted ones. */
static void take_attribute(struct slice pair, const struct attribute *wanted, unsigned n)
{
    struct slice name = bytes_of(pair, 1);
    for (unsigned i = 0; i < n; i++)
        if (slice_equal(name, slice_of(wanted[i].name)))
            *wanted[i].value = bytes_of(pair, 2);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int read_family(struct slice message, struct admin_table *out)
{
    const struct attribute wanted[] = { { "TTL", &out->ttl },
                                        { "VERSIONS", &out->versions },
                                        { "MIN_VERSIONS", &out->min_versions },
                                        { "KEEP_DELETED_CELLS", &out->keep_deleted },
                                        { "NEW_VERSION_BEHAVIOR", &out->new_version_behavior } };
    struct proto proto;
    struct proto_field field;
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number != 2 || field.type != PROTO_BYTES)
            continue;
        if (!is_message(field.bytes))
            return -1;
        take_attribute(field.bytes, wanted, COUNT(wanted));
    }
    out->has_family = true;
    return proto.broken ? -1 : 0;
}

static int read_schema(struct slice message, struct slice family, struct admin_table *out)
{
    const struct attribute wanted[] = { { "DURABILITY", &out->durability },
                                        { "READONLY", &out->read_only } };
    struct proto proto;
    struct proto_field field;
    *out = (struct admin_table){ 0 };
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.type != PROTO_BYTES)
            continue;
        /* One that cannot be read is not one that is not there: a table without its family. */
        if ((field.number == 2 || field.number == 3) && !is_message(field.bytes))
            return -1;
        if (field.number == 2)
            take_attribute(field.bytes, wanted, COUNT(wanted));
        else if (field.number == 3 && slice_equal(bytes_of(field.bytes, 1), family) &&
                 read_family(field.bytes, out) != 0)
            return -1;
    }
    return proto.broken ? -1 : 0;
}

int admin_read_descriptors(struct slice message, struct slice family, struct admin_table *out)
{
    struct proto_field field;
    if (!is_message(message))
        return -1;
    if (!last_field(message, 1, &field))
        return 0;
    if (field.type != PROTO_BYTES || read_schema(field.bytes, family, out) != 0)
        return -1;
    return 1;
}

int admin_read_state(struct slice message, enum admin_state *out)
{
    struct proto_field field;
    if (!last_field(bytes_of(message, 1), 1, &field) || field.type != PROTO_VARINT ||
        field.value > ADMIN_ENABLING)
        return -1;
    *out = (enum admin_state)field.value;
    return 0;
}

int admin_read_create(struct slice message, uint64_t *procedure)
{
    struct proto_field field;
    if (!last_field(message, 1, &field) || field.type != PROTO_VARINT)
        return -1;
    *procedure = field.value;
    return 0;
}

int admin_read_procedure(struct slice message, enum admin_procedure *out, struct slice *exception,
                         struct slice *reason)
{
    struct proto_field field;
    if (!last_field(message, 1, &field) || field.type != PROTO_VARINT ||
        field.value > ADMIN_PROCEDURE_ENDED)
        return -1;
    *out = (enum admin_procedure)field.value;
    struct slice foreign = bytes_of(message, 5); /* ForeignExceptionMessage */
    struct slice generic = bytes_of(foreign, 2); /* GenericExceptionMessage */
    *exception = bytes_of(generic, 1);
    *reason = bytes_of(generic, 2);
    if (foreign.len > 0 && exception->len == 0)
        *exception = SLICE("an exception without a name");
    return 0;
}

/* ServerName { host_name 1, port 2, start_code 3 } */
static int read_server(struct slice message, struct rpc_target *target)
{
    struct slice host = bytes_of(message, 1);
    struct proto_field port;
    if (host.len == 0 || host.len >= sizeof(target->host) || memchr(host.data, 0, host.len) ||
        !last_field(message, 2, &port) || port.type != PROTO_VARINT || port.value == 0 ||
        port.value > UINT16_MAX)
        return -1;
    memcpy(target->host, host.data, host.len);
    target->host[host.len] = '\0';
    target->port = (uint16_t)port.value;
    return 1;
}

int admin_read_active_master(struct slice message, struct rpc_target *target)
{
    struct proto_field field;
    if (!is_message(message))
        return -1;
    if (!last_field(message, 1, &field))
        return 0;
    return field.type == PROTO_BYTES ? read_server(field.bytes, target) : -1;
}

int admin_read_master_node(struct slice data, struct rpc_target *target)
{
    static const char magic[4] = { 'P', 'B', 'U', 'F' };
    const unsigned char *at = (const unsigned char *)data.data;
    if (data.len == 0)
        return 0;
    if (data.len < 5 || at[0] != 0xff)
        return -1;
    size_t skip = 5 + ((size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4]);
    if (skip + sizeof(magic) > data.len || memcmp(data.data + skip, magic, sizeof(magic)) != 0)
        return -1;
    skip += sizeof(magic);
    return admin_read_active_master((struct slice){ data.data + skip, data.len - skip }, target);
}
