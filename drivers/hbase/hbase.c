/*
 * hbase.c: the sink's and the ports' operations: which batch or lookup is where.
 *
 *     sink ── prepare (the table; an env of its own)
 *       ├─ port of shard 0 ── rpc (a connection a region server), zookeeper, locate (regions), rows
 *       │     ├─ puts[in_flight]   free ─begin─► filling ─submit─► held, sent ─► done ─recycle─►
 *       │     └─ gets[4]           the same, on the same connections
 *       └─ port of shard 1 ── ...
 *
 * Everything is reserved when a port is opened. A batch or lookup is found by walking the few that
 * there are: its state says whose turn it is.
 *
 * What this does not do: cells (rows_*.c), verdicts (put.c), states (get.c), sockets (rpc*.c), the
 * table itself (prepare.c).
 */
#include "drivers/hbase/hbase.h"

#include "dataplane/base/memory.h"
#include "drivers/hbase/get.h"
#include "drivers/hbase/prepare.h"
#include "drivers/hbase/put.h"

#define GETS             4u
#define GET_ARENA_BYTES  ((size_t)512 << 20)
#define ANSWER_BYTES_MAX ((size_t)256 << 20)
#define LIMIT_BYTES_MAX  ((size_t)512 << 20) /* a call has less than 2 GiB with all around it */
#define LIMIT_DOCS_MAX   1000000u
#define IN_FLIGHT_MAX    64u

struct port {
    struct sink_port port; /* first: a port pointer is a pointer to this */
    struct port *next;
    struct rpc *rpc;
    struct zookeeper *zookeeper;
    struct locate *locate;
    struct rows *rows;
    struct route_scratch scratch;
    struct put_shared put_shared;
    struct put *puts;
    unsigned n_puts;
    struct get_shared get_shared;
    struct get gets[GETS];
};

struct hbase {
    struct sink sink; /* first: a sink pointer is a pointer to this */
    struct hbase_options options;
    struct hbase_prepare *prepare;
    struct port *ports;
};

/* All that waits for time to pass or for a look that ended. */
static void port_step(struct port *port)
{
    rpc_step(port->rpc);
    if (port->zookeeper != NULL)
        zookeeper_step(port->zookeeper);
    locate_step(port->locate);
    for (unsigned i = 0; i < port->n_puts; i++)
        put_step(&port->puts[i]);
    for (unsigned i = 0; i < GETS; i++)
        get_step(&port->gets[i]);
}

static struct sink_batch *port_begin(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    for (unsigned i = 0; i < port->n_puts; i++)
        if (port->puts[i].state == PUT_FREE) {
            put_begin(&port->puts[i]);
            return &port->puts[i].batch;
        }
    return NULL;
}

static enum sink_add port_add(struct sink_port *port, struct sink_batch *batch,
                              const struct document *document)
{
    (void)port;
    return put_add((struct put *)(void *)batch, document);
}

static void port_submit(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    put_submit((struct put *)(void *)batch);
}

static struct sink_batch *port_reap(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    port_step(port);
    for (unsigned i = 0; i < port->n_puts; i++)
        if (port->puts[i].state == PUT_DONE) {
            port->puts[i].state = PUT_REAPED;
            return &port->puts[i].batch;
        }
    return NULL;
}

static void port_recycle(struct sink_port *sink_port, struct sink_batch *batch)
{
    struct port *port = (struct port *)(void *)sink_port;
    struct put *put = (struct put *)(void *)batch;

    ASSERT(put >= port->puts && put < port->puts + port->n_puts);
    ASSERT(put->state == PUT_REAPED || put->state == PUT_FILLING);
    put->state = PUT_FREE;
}

static struct sink_lookup *port_lookup_begin(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    for (unsigned i = 0; i < GETS; i++)
        if (port->gets[i].state == GET_FREE) {
            get_begin(&port->gets[i]);
            return &port->gets[i].lookup;
        }
    return NULL;
}

static bool port_lookup_add(struct sink_port *port, struct sink_lookup *lookup, struct slice key)
{
    (void)port;
    return get_add((struct get *)(void *)lookup, key);
}

static void port_lookup_submit(struct sink_port *port, struct sink_lookup *lookup)
{
    (void)port;
    get_submit((struct get *)(void *)lookup);
}

static struct sink_lookup *port_lookup_reap(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    port_step(port);
    for (unsigned i = 0; i < GETS; i++)
        if (port->gets[i].state == GET_DONE) {
            port->gets[i].state = GET_REAPED;
            return &port->gets[i].lookup;
        }
    return NULL;
}

static void port_lookup_recycle(struct sink_port *sink_port, struct sink_lookup *lookup)
{
    struct port *port = (struct port *)(void *)sink_port;
    struct get *get = (struct get *)(void *)lookup;

    ASSERT(get >= port->gets && get < port->gets + GETS);
    ASSERT(get->state == GET_REAPED || get->state == GET_FILLING);
    get->state = GET_FREE;
}

static const struct sink_port_ops port_ops = {
    .begin = port_begin,
    .add = port_add,
    .submit = port_submit,
    .reap = port_reap,
    .recycle = port_recycle,
    .lookup_begin = port_lookup_begin,
    .lookup_add = port_lookup_add,
    .lookup_submit = port_lookup_submit,
    .lookup_reap = port_lookup_reap,
    .lookup_recycle = port_lookup_recycle,
};

static int sink_prepare(struct sink *sink, struct err *err)
{
    return hbase_prepare_run(((struct hbase *)(void *)sink)->prepare, err);
}

static int sink_inspect(struct sink *sink, struct findings *findings, struct err *err)
{
    return hbase_prepare_inspect(((struct hbase *)(void *)sink)->prepare, findings, err);
}

static int open_connections(const struct hbase_options *options, struct port *port, struct env *env,
                            struct err *err)
{
    const struct rpc_options rpc_options = { .env = env,
                                             .user = options->user,
                                             .timeout_us = options->timeout_us,
                                             .answer_bytes_max = ANSWER_BYTES_MAX };
    const struct zookeeper_options zookeeper_options = { .env = env,
                                                         .servers = options->zookeeper,
                                                         .n_servers = options->n_zookeeper,
                                                         .timeout_us = options->timeout_us };

    if (rpc_open(&port->rpc, &rpc_options, err) != 0)
        return -1;
    if (options->n_zookeeper > 0 && zookeeper_open(&port->zookeeper, &zookeeper_options, err) != 0)
        return -1;
    return locate_open(&port->locate,
                       &(struct locate_options){ .env = env,
                                                 .rpc = port->rpc,
                                                 .zookeeper = port->zookeeper,
                                                 .znode_parent = options->znode_parent,
                                                 .masters = options->masters,
                                                 .n_masters = options->n_masters,
                                                 .table = options->table,
                                                 .timeout_us = options->timeout_us },
                       err);
}

static void open_requests(const struct hbase_options *options, struct port *port, struct env *env)
{
    uint32_t docs = options->limits.docs;

    port->rows = rows_open(options->plan, slice_of(options->family));
    route_scratch_open(&port->scratch, docs > GET_KEYS_MAX ? docs : GET_KEYS_MAX);
    port->put_shared = (struct put_shared){ .env = env,
                                            .rpc = port->rpc,
                                            .locate = port->locate,
                                            .rows = port->rows,
                                            .scratch = &port->scratch,
                                            .table = options->table,
                                            .limits = options->limits };
    for (unsigned i = 0; i < port->n_puts; i++)
        put_open(&port->puts[i], &port->put_shared);
    port->get_shared = (struct get_shared){ .env = env,
                                            .rpc = port->rpc,
                                            .locate = port->locate,
                                            .rows = port->rows,
                                            .scratch = &port->scratch,
                                            .table = options->table,
                                            .family = slice_of(options->family),
                                            .arena_bytes_max = GET_ARENA_BYTES,
                                            .keys_max = GET_KEYS_MAX };
    for (unsigned i = 0; i < GETS; i++)
        get_open(&port->gets[i], &port->get_shared);
}

static struct sink_port *sink_port_open(struct sink *sink, unsigned shard, struct env *env,
                                        struct err *err)
{
    struct hbase *hbase = (struct hbase *)(void *)sink;
    struct port *port = memory_reserve(sizeof(*port), "an HBase port");

    (void)shard;
    port->port.ops = &port_ops;
    port->port.deltas = true;
    port->next = hbase->ports; /* At once: close() then also closes what stays half open here. */
    hbase->ports = port;
    if (open_connections(&hbase->options, port, env, err) != 0)
        return NULL;
    port->n_puts = hbase->options.limits.in_flight;
    port->puts = memory_reserve(port->n_puts * sizeof(*port->puts), "batches");
    open_requests(&hbase->options, port, env);
    return &port->port;
}

static void sink_close(struct sink *sink)
{
    struct hbase *hbase = (struct hbase *)(void *)sink;

    for (struct port *port = hbase->ports; port != NULL; port = port->next) {
        if (port->rpc != NULL)
            rpc_close(port->rpc);
        if (port->zookeeper != NULL)
            zookeeper_close(port->zookeeper);
    }
    hbase->ports = NULL;
    hbase_prepare_close(hbase->prepare);
    hbase->prepare = NULL;
}

static const struct sink_ops sink_ops = {
    .name = "hbase",
    .prepare = sink_prepare,
    .inspect = sink_inspect,
    .port = sink_port_open,
    .close = sink_close,
};

static int check_limits(const struct sink_limits *limits, struct err *err)
{
    if (limits->docs == 0 || limits->docs > LIMIT_DOCS_MAX)
        return err_set(err, EXIT_CONFIG, "hbase: a batch can have 1 to %u documents",
                       LIMIT_DOCS_MAX);
    if (limits->in_flight == 0 || limits->in_flight > IN_FLIGHT_MAX)
        return err_set(err, EXIT_CONFIG, "hbase: 1 to %u batches can be in flight", IN_FLIGHT_MAX);
    if (limits->bytes == 0 || limits->bytes > LIMIT_BYTES_MAX || limits->document_bytes_max == 0 ||
        limits->document_bytes_max > LIMIT_BYTES_MAX)
        return err_set(err, EXIT_CONFIG, "hbase: batches and documents can have 1 byte to %zu MiB",
                       LIMIT_BYTES_MAX >> 20);
    return 0;
}

struct sink *hbase_sink_open(const struct hbase_options *options, struct err *err)
{
    struct hbase *hbase;

    if (check_limits(&options->limits, err) != 0)
        return NULL;
    hbase = memory_reserve(sizeof(*hbase), "an HBase sink");
    hbase->sink.ops = &sink_ops;
    hbase->sink.merges = true;
    hbase->options = *options;
    if (hbase_prepare_open(&hbase->prepare, &hbase->options, err) != 0)
        return NULL;
    return &hbase->sink;
}
