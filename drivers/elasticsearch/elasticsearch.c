/*
 * elasticsearch.c: the sink's and the ports' operations: which batch or lookup is where.
 *
 *     sink ── servers (URLs, credentials)
 *       ├─ port of shard 0 ── http (libcurl multi on the shard's env)
 *       │     ├─ bulks[in_flight]   free ─begin─► filling ─submit─► sent ─► done ─recycle─► free
 *       │     └─ lookups[2]         the same, on connections of their own
 *       └─ port of shard 1 ── ...
 *
 * Everything is reserved when a port is opened. A batch or lookup is found by walking the few that
 * there are: its state says whose turn it is.
 *
 * What this does not do: bodies and verdicts (bulk.c), states (lookup.c), sockets (http.c),
 * creation (prepare.c).
 */
#include "drivers/elasticsearch/elasticsearch.h"

#include "dataplane/base/json.h"
#include "dataplane/base/memory.h"
#include "drivers/elasticsearch/bulk.h"
#include "drivers/elasticsearch/lookup.h"
#include "drivers/elasticsearch/prepare.h"

#include <stdio.h>

#define LOOKUPS              2u
#define INDEX_BYTES_MAX      250u /* Elasticsearch's 255, less "-weir" */
#define LIMIT_BYTES_MAX      ((size_t)1 << 30)
#define LIMIT_DOCS_MAX       1000000u
#define IN_FLIGHT_MAX        24u /* HTTP_WATCHES_MAX holds a few sockets for each */
#define PREPARE_ANSWER_BYTES ((size_t)16 << 20)

#define BULK_QUERY "_bulk?filter_path=error,items.*.status,items.*.error.type,items.*.error.reason"
/* No filter_path here: a filtered answer is parsed and written anew by the server, and 949.00 comes
 * back as 949.0. Unfiltered, `_source` is copied byte for byte. */
#define MGET_QUERY "_mget"

struct port {
    struct sink_port port; /* first: a port pointer is a pointer to this */
    struct port *next;
    struct http http;
    struct bulk *bulks;
    unsigned n_bulks;
    struct lookup lookups[LOOKUPS];
    struct lookup_shared shared;
};

struct elasticsearch {
    struct sink sink; /* first: a sink pointer is a pointer to this */
    struct elasticsearch_options options;
    struct servers servers;
    struct port *ports;
    struct buf answer; /* prepare()'s */
    char side_index[INDEX_BYTES_MAX + 16];
    char index_name[INDEX_BYTES_MAX * 3 + 1],
        side_index_name[INDEX_BYTES_MAX * 3 + 16]; /* in URLs */
    char bulk_path[HTTP_PATH_BYTES_MAX], mget_path[HTTP_PATH_BYTES_MAX];
};

static struct sink_batch *port_begin(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    for (unsigned i = 0; i < port->n_bulks; i++)
        if (port->bulks[i].state == BULK_FREE) {
            bulk_begin(&port->bulks[i]);
            return &port->bulks[i].batch;
        }
    return NULL;
}

static enum sink_add port_add(struct sink_port *port, struct sink_batch *batch,
                              const struct document *document)
{
    (void)port;
    return bulk_add((struct bulk *)(void *)batch, document);
}

static void port_submit(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    bulk_submit((struct bulk *)(void *)batch);
}

static struct sink_batch *port_reap(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    http_step(&port->http);
    for (unsigned i = 0; i < port->n_bulks; i++)
        if (port->bulks[i].state == BULK_DONE) {
            port->bulks[i].state = BULK_REAPED;
            return &port->bulks[i].batch;
        }
    return NULL;
}

static void port_recycle(struct sink_port *sink_port, struct sink_batch *batch)
{
    struct port *port = (struct port *)(void *)sink_port;
    struct bulk *bulk = (struct bulk *)(void *)batch;

    ASSERT(bulk >= port->bulks && bulk < port->bulks + port->n_bulks);
    ASSERT(bulk->state == BULK_REAPED || bulk->state == BULK_FILLING);
    bulk->state = BULK_FREE;
}

static struct sink_lookup *port_lookup_begin(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    for (unsigned i = 0; i < LOOKUPS; i++)
        if (port->lookups[i].state == LOOKUP_FREE) {
            lookup_begin(&port->lookups[i]);
            return &port->lookups[i].lookup;
        }
    return NULL;
}

static bool port_lookup_add(struct sink_port *port, struct sink_lookup *lookup, struct slice key)
{
    (void)port;
    return lookup_add((struct lookup *)(void *)lookup, key);
}

static void port_lookup_submit(struct sink_port *port, struct sink_lookup *lookup)
{
    (void)port;
    lookup_submit((struct lookup *)(void *)lookup);
}

static struct sink_lookup *port_lookup_reap(struct sink_port *sink_port)
{
    struct port *port = (struct port *)(void *)sink_port;

    http_step(&port->http);
    for (unsigned i = 0; i < LOOKUPS; i++)
        if (port->lookups[i].state == LOOKUP_DONE) {
            port->lookups[i].state = LOOKUP_REAPED;
            return &port->lookups[i].lookup;
        }
    return NULL;
}

static void port_lookup_recycle(struct sink_port *sink_port, struct sink_lookup *sink_lookup)
{
    struct port *port = (struct port *)(void *)sink_port;
    struct lookup *lookup = (struct lookup *)(void *)sink_lookup;

    ASSERT(lookup >= port->lookups && lookup < port->lookups + LOOKUPS);
    ASSERT(lookup->state == LOOKUP_REAPED || lookup->state == LOOKUP_FILLING);
    lookup->state = LOOKUP_FREE;
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
    struct elasticsearch *es = (struct elasticsearch *)(void *)sink;
    const struct prepare_names names = { es->index_name, es->side_index_name };

    return prepare_run(&es->servers, &names, &es->answer, err);
}

static int sink_inspect(struct sink *sink, struct findings *findings, struct err *err)
{
    struct elasticsearch *es = (struct elasticsearch *)(void *)sink;
    const struct prepare_names names = { es->index_name, es->side_index_name };

    return inspect_run(&es->servers, &names, &es->answer, findings, err);
}

static int open_requests(struct elasticsearch *es, struct port *port, struct err *err)
{
    const struct bulk_options options = { es->bulk_path, es->side_index, es->options.plan,
                                          &es->options.limits };

    for (unsigned i = 0; i < port->n_bulks; i++)
        if (bulk_open(&port->bulks[i], &port->http, &options, err) != 0)
            return -1;
    lookup_shared_open(&port->shared, es->mget_path, es->side_index, es->options.plan);
    for (unsigned i = 0; i < LOOKUPS; i++)
        if (lookup_open(&port->lookups[i], &port->http, &port->shared, err) != 0)
            return -1;
    return 0;
}

static struct sink_port *sink_port_open(struct sink *sink, unsigned shard, struct env *env,
                                        struct err *err)
{
    struct elasticsearch *es = (struct elasticsearch *)(void *)sink;
    struct port *port = memory_reserve(sizeof(*port), "an Elasticsearch port");

    port->port.ops = &port_ops;
    port->next = es->ports; /* At once: close() then also closes what stays half open here. */
    es->ports = port;
    port->n_bulks = es->options.limits.in_flight;
    port->bulks = memory_reserve(port->n_bulks * sizeof(*port->bulks), "batches");
    if (http_open(&port->http, &es->servers, shard, env, err) != 0 ||
        open_requests(es, port, err) != 0)
        return NULL;
    return &port->port;
}

static void sink_close(struct sink *sink)
{
    struct elasticsearch *es = (struct elasticsearch *)(void *)sink;

    for (struct port *port = es->ports; port != NULL; port = port->next) {
        for (unsigned i = 0; i < port->n_bulks; i++)
            http_call_close(&port->bulks[i].call);
        for (unsigned i = 0; i < LOOKUPS; i++)
            http_call_close(&port->lookups[i].call);
        http_close(&port->http);
    }
    es->ports = NULL;
}

static const struct sink_ops sink_ops = {
    .name = "elasticsearch",
    .prepare = sink_prepare,
    .inspect = sink_inspect,
    .port = sink_port_open,
    .close = sink_close,
};

static int check_options(const struct elasticsearch_options *options, struct err *err)
{
    const struct sink_limits *limits = &options->limits;
    size_t len = strlen(options->index);

    if (len == 0 || len > INDEX_BYTES_MAX || !utf8_valid(slice_of(options->index)))
        return err_set(err, EXIT_CONFIG,
                       "elasticsearch: the index's name must have 1 to %u bytes of UTF-8",
                       INDEX_BYTES_MAX);
    if (limits->docs == 0 || limits->docs > LIMIT_DOCS_MAX)
        return err_set(err, EXIT_CONFIG, "elasticsearch: a batch can have 1 to %u documents",
                       LIMIT_DOCS_MAX);
    if (limits->in_flight == 0 || limits->in_flight > IN_FLIGHT_MAX)
        return err_set(err, EXIT_CONFIG, "elasticsearch: 1 to %u batches can be in flight",
                       IN_FLIGHT_MAX);
    if (limits->bytes == 0 || limits->bytes > LIMIT_BYTES_MAX || limits->document_bytes_max == 0 ||
        limits->document_bytes_max > LIMIT_BYTES_MAX)
        return err_set(err, EXIT_CONFIG,
                       "elasticsearch: batches and documents can have 1 byte to %zu MiB",
                       LIMIT_BYTES_MAX >> 20);
    return 0;
}

/* Names and paths. An index's name may hold any letters, so it is escaped for URLs. */
static int make_paths(struct elasticsearch *es, struct err *err)
{
    char *escaped = curl_easy_escape(NULL, es->options.index, (int)strlen(es->options.index));

    if (escaped == NULL)
        return err_set(err, EXIT_SOFTWARE, "elasticsearch: out of memory");
    snprintf(es->index_name, sizeof(es->index_name), "%s", escaped);
    curl_free(escaped);
    snprintf(es->side_index, sizeof(es->side_index), "%s-weir", es->options.index);
    snprintf(es->side_index_name, sizeof(es->side_index_name), "%s-weir", es->index_name);
    snprintf(es->bulk_path, sizeof(es->bulk_path), "/%s/" BULK_QUERY, es->index_name);
    snprintf(es->mget_path, sizeof(es->mget_path), "/%s/" MGET_QUERY, es->index_name);
    return 0;
}

struct sink *elasticsearch_sink_open(const struct elasticsearch_options *options, struct err *err)
{
    struct elasticsearch *es;

    if (check_options(options, err) != 0)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)err_set(err, EXIT_SOFTWARE,
                      "elasticsearch: libcurl cannot start, for want of memory perhaps");
        return NULL;
    }
    es = memory_reserve(sizeof(*es), "an Elasticsearch sink");
    es->sink.ops = &sink_ops;
    es->options = *options;
    if (servers_open(&es->servers, &es->options, err) != 0 || make_paths(es, err) != 0)
        return NULL;
    buf_open(&es->answer, PREPARE_ANSWER_BYTES, "answers at start");
    return &es->sink;
}
