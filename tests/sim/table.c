/*
 * table.c: the modelled cluster's doors: a call's bytes are taken apart, done, and answered.
 *
 *     request:  u8 service | what wire.c makes of a call: u32 | RequestHeader | param | cells
 *     answer:   ResponseHeader | result | cells      what wire_read() takes
 *
 * A server answers, or refuses the whole call with an exception (busy_whole), or dies in the middle
 * of a Multi: then what it has done by then is done, and there is no answer.
 *
 * Everything is done at one instant, the call as a whole. HBase promises that of a row's mutation
 * alone; but nobody looks in between here, except through the cells themselves, which come by row.
 *
 * What this does not do: durability (a region server that comes back has all that it acknowledged),
 * time-outs within the server, versions of cells that nobody can see.
 */
#include "drivers/hbase/rpc.h"
#include "tests/sim/table_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RESULT_BYTES_MAX ((size_t)64 << 20)

const char *const table_hosts[TABLE_DOORS] = { "rs1", "rs2", "hm1", "zk1" };

void *table_heap(size_t bytes)
{
    void *at = malloc(bytes > 0 ? bytes : 1);

    ASSERT(at != NULL);
    return at;
}

struct slice table_copy(struct slice bytes)
{
    char *at = table_heap(bytes.len);

    if (bytes.len > 0)
        memcpy(at, bytes.data, bytes.len);
    return (struct slice){ at, bytes.len };
}

const char *table_shown(struct slice bytes)
{
    static char texts[4][160];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    size_t len = bytes.len < sizeof(texts[0]) - 1 ? bytes.len : sizeof(texts[0]) - 1;

    for (size_t i = 0; i < len; i++)
        text[i] = bytes.data[i] >= ' ' && bytes.data[i] <= '~' ? bytes.data[i] : '?';
    text[len] = '\0';
    return text;
}

void table_refuse(struct refusal *refusal, const char *class, const char *format, ...)
{
    va_list args;

    refusal->class = class;
    va_start(args, format);
    (void)vsnprintf(refusal->text, sizeof(refusal->text), format, args);
    va_end(args);
}

void table_put_server(struct buf *out, uint32_t field, unsigned door)
{
    size_t begun = proto_begin(out, field);

    proto_put_bytes(out, 1, slice_of(table_hosts[door]));
    proto_put_number(out, 2, door == TABLE_HM1 ? MASTER_PORT : TABLE_PORT);
    proto_put_number(out, 3, START_CODE);
    proto_end(out, begun);
}

/* The text that comes is a stack trace, whose first line says it. */
static void stack_trace(const struct refusal *refusal, char *out, size_t size)
{
    (void)snprintf(out, size, "%s: %s\n\tat org.apache.hadoop.hbase.Somewhere(Unknown Source)\n",
                   refusal->class, refusal->text);
}

void table_put_exception(struct buf *out, uint32_t field, const struct refusal *refusal)
{
    size_t begun = proto_begin(out, field);
    char stack[600];

    stack_trace(refusal, stack, sizeof(stack));
    proto_put_bytes(out, 1, slice_of(refusal->class));
    proto_put_bytes(out, 2, slice_of(stack));
    proto_end(out, begun);
}

/* ---- calls ---- */

/* The next length and as many bytes. */
static struct slice take(const char **at, const char *end)
{
    uint64_t len;
    bool good = proto_varint(at, end, &len) && len <= (size_t)(end - *at);

    ASSERT(good); /* it is our own driver that calls */
    *at += len;
    return (struct slice){ *at - len, (size_t)len };
}

/* Returns the service. */
static enum rpc_service read_call(struct slice request, struct table_call *call)
{
    const char *at = request.data + 5, *end = request.data + request.len;
    struct proto_field field;
    struct proto proto;

    ASSERT(request.len > 5);
    proto_open(&proto, take(&at, end));
    while (proto_next(&proto, &field)) {
        if (field.number == 1)
            call->id = (uint32_t)field.value;
        else if (field.number == 3)
            call->method = field.bytes;
    }
    ASSERT(!proto.broken && call->id != 0);
    call->param = take(&at, end);
    call->cells = (struct slice){ at, (size_t)(end - at) };
    return (enum rpc_service)request.data[0];
}

static void put_answer(const struct table *table, const struct table_call *call, struct buf *out)
{
    char bytes[64];
    struct buf header = { .data = bytes, .bound = sizeof(bytes) };

    ASSERT(!table->result.overflow && !table->cells.overflow);
    proto_put_number(&header, 1, call->id);
    if (table->cells.len > 0) {
        size_t meta = proto_begin(&header, 3);
        proto_put_number(&header, 1, table->cells.len);
        proto_end(&header, meta);
    }
    proto_put_varint(out, header.len);
    buf_put_slice(out, buf_slice(&header));
    proto_put_varint(out, table->result.len);
    buf_put_slice(out, buf_slice(&table->result));
    buf_put_slice(out, buf_slice(&table->cells));
}

static void put_refusal(const struct table_call *call, const struct refusal *refusal,
                        struct buf *out)
{
    char bytes[1400], stack[600];
    struct buf header = { .data = bytes, .bound = sizeof(bytes) };
    bool busy = strstr(refusal->class, "CallQueueTooBig") != NULL;

    stack_trace(refusal, stack, sizeof(stack));
    proto_put_number(&header, 1, call->id);
    size_t begun = proto_begin(&header, 2);
    proto_put_bytes(&header, 1, slice_of(refusal->class));
    proto_put_bytes(&header, 2, slice_of(stack));
    proto_put_number(&header, 5, strstr(refusal->class, "TableExists") != NULL);
    proto_put_number(&header, 6, busy);
    proto_end(&header, begun);
    ASSERT(!header.overflow);
    proto_put_varint(out, header.len);
    buf_put_slice(out, buf_slice(&header));
}

/* False: the server died in the middle of it. */
static bool serve_call(struct table *table, enum rpc_service service, const struct table_call *call,
                       struct refusal *refusal)
{
    bool is_master = call->server == TABLE_HM1;

    if (service == RPC_MASTER || service == RPC_CLIENT_META) {
        ASSERT(is_master || service == RPC_CLIENT_META);
        master_serve(table, call, refusal);
        return true;
    }
    ASSERT(service == RPC_CLIENT && !is_master);
    if (sim_chance(sim_dials()->busy_whole)) {
        table_refuse(refusal, "org.apache.hadoop.hbase.CallQueueTooBigException",
                     "Call queue is full on %s,16020, too many items queued ?",
                     table_hosts[call->server]);
        return true;
    }
    if (slice_equal(call->method, SLICE("Multi")))
        return multi_serve(table, call);
    ASSERT(slice_equal(call->method, SLICE("Scan")));
    regions_scan(table, call, refusal);
    return true;
}

static bool serve(struct net_server *server, struct slice request, struct buf *answer)
{
    struct door *door = (struct door *)(void *)server;
    struct table *table = door->table;
    struct table_call call = { .server = door->number };
    struct refusal refusal = { .class = NULL };

    if (door->number == TABLE_ZK1) {
        zookeeper_serve(table, request, answer);
        return true;
    }
    table->result.len = table->cells.len = 0;
    if (!serve_call(table, read_call(request, &call), &call, &refusal)) {
        sim_trace("%s dies within a call", table_hosts[door->number]);
        return false;
    }
    if (refusal.class == NULL) {
        put_answer(table, &call, answer);
        return true;
    }
    sim_trace("%s refuses %s: %s", table_hosts[door->number], table_shown(call.method),
              refusal.text);
    put_refusal(&call, &refusal, answer);
    return true;
}

/* ---- from outside ---- */

struct table *table_open(unsigned regions)
{
    struct table *table = table_heap(sizeof(*table));
    struct slice starts[SPLITS_MAX];

    *table = (struct table){ .salt = sim_random(), .meta_server = sim_below(2) };
    table->result = (struct buf){ .data = table_heap(RESULT_BYTES_MAX), .bound = RESULT_BYTES_MAX };
    table->cells = (struct buf){ .data = table_heap(RESULT_BYTES_MAX), .bound = RESULT_BYTES_MAX };
    for (unsigned i = 0; i < TABLE_DOORS; i++) {
        table->doors[i].server = (struct net_server){ .name = table_hosts[i], .serve = serve };
        table->doors[i].table = table;
        table->doors[i].number = i;
    }
    if (regions == 0)
        return table;
    ASSERT(regions <= SPLITS_MAX);
    for (unsigned i = 0; i < regions; i++) {
        char start[9];
        (void)snprintf(start, sizeof(start), "%08x", (unsigned)(((uint64_t)i << 32) / regions));
        starts[i] = i == 0 ? SLICE("") : table_copy(slice_of(start));
    }
    regions_create(table, starts, regions);
    return table;
}

struct net_server *table_door(struct table *table, unsigned door)
{
    ASSERT(door < TABLE_DOORS);
    return &table->doors[door].server;
}

struct net_server *table_find(struct table *table, const char *host, uint16_t port)
{
    ASSERT(table != NULL); /* a sink of a history that has no HBase */
    for (unsigned i = 0; i < TABLE_ZK1; i++)
        if (strcmp(host, table_hosts[i]) == 0 &&
            port == (i == TABLE_HM1 ? MASTER_PORT : TABLE_PORT))
            return &table->doors[i].server;
    return NULL;
}

void table_watch(struct table *table, struct table_watch *watch)
{
    watch->next = table->watches;
    table->watches = watch;
}
