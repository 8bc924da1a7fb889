/*
 * source_port.c: a shard's half of the modelled source, as drivers/kafka/port.c has it: polls the
 * queues of its partitions, one of them a call.
 *
 *     fetch.h's queue ──► copies of key and payload, each in memory of its own ──► release: freed
 *
 * So a sanitizer sees whoever reads past a record's end or after its release.
 *
 * Dial `rewind`: the partition steps back to one of the last records that it handed out, or to
 * where reading began: no further, because weir promises the same numbers no further
 * (dataplane/intake.c).
 */
#include "drivers/kafka/kafka.h"
#include "tests/sim/source_model.h"

#include <inttypes.h>
#include <stdlib.h>

enum { BATCH_MAX = 256, HISTORY = 16 };

struct attached {
    struct fetch *fetch;
    uint16_t slot;
    int64_t last;             /* the last offset handed out, -1 = none */
    int64_t history[HISTORY]; /* a ring of the last ones */
    unsigned n_history;
};

struct sim_port {
    struct source_port port;
    struct sim_port *next;
    struct env *env;
    struct attached attached[BROKER_LOGS_MAX];
    unsigned n_attached, turn;
    unsigned out; /* records that were not released yet */
    size_t event_bytes_max;
};

/* What a record's handle is. */
struct handed {
    char *key, *payload;
};

static struct sim_port *port_of(struct source_port *port)
{
    return (struct sim_port *)port;
}

static void port_attach(struct source_port *base, uint16_t partition, void *handle)
{
    struct sim_port *port = port_of(base);
    struct fetch *fetch = handle;
    ASSERT(port->n_attached < BROKER_LOGS_MAX && fetch->env == NULL);
    fetch_hold(fetch);
    fetch->env = port->env;
    port->attached[port->n_attached++] =
        (struct attached){ .fetch = fetch, .slot = partition, .last = -1 };
}

static void port_detach(struct source_port *base, uint16_t partition)
{
    struct sim_port *port = port_of(base);
    for (unsigned i = 0; i < port->n_attached; i++) {
        struct fetch *fetch = port->attached[i].fetch;
        if (port->attached[i].slot != partition)
            continue;
        fetch->env = NULL;
        port->attached[i] = port->attached[--port->n_attached];
        fetch_let_go(fetch);
        return;
    }
}

/* ---- records ---- */

static char *copy(struct slice from, struct slice *to)
{
    if (from.data == NULL)
        return NULL;
    char *bytes = malloc(from.len);
    ASSERT(bytes != NULL);
    memcpy(bytes, from.data, from.len);
    *to = (struct slice){ bytes, from.len };
    return bytes;
}

static void fill(const struct sim_port *port, struct attached *from, const struct fetched *fetched,
                 struct record *record)
{
    *record = (struct record){ .kind = RECORD_POSITION,
                               .partition = from->slot,
                               .offset = fetched->offset,
                               .timestamp_ms = -1 };
    if (fetched->record == NULL)
        return;
    struct handed *handed = malloc(sizeof(*handed));
    ASSERT(handed != NULL);
    record->kind = RECORD_EVENT;
    record->timestamp_ms = fetched->record->timestamp_ms;
    record->rewind = fetched->offset <= from->last;
    record->handle = handed;
    handed->key = copy(fetched->record->key, &record->key);
    handed->payload = copy(fetched->record->payload, &record->payload);
    if (record->payload.len > port->event_bytes_max) {
        record->kind = RECORD_OVERSIZED;
        record->payload.len = port->event_bytes_max;
        record->detail = SLICE(KAFKA_OVERSIZED);
    }
    from->last = fetched->offset;
    from->history[from->n_history++ % HISTORY] = fetched->offset;
}

/* Where it may step back to; -1: nowhere. */
static int64_t earlier(const struct attached *from)
{
    const struct broker_log *log = from->fetch->log;
    unsigned n = from->n_history < HISTORY ? from->n_history : HISTORY;
    int64_t first = from->fetch->told.offset, to = -1;
    if (sim_below(8) == 0) {
        unsigned place = broker_place(log, first);
        if (place < log->n && log->records[place]->offset == first)
            to = first;
    } else {
        to = from->history[sim_below(n)];
    }
    return to >= log->low ? to : -1;
}

static void step_back(struct attached *from)
{
    int64_t to = from->n_history > 0 ? earlier(from) : -1;
    if (to < 0)
        return;
    sim_trace("kafka: %s [%d] steps back to %" PRId64, from->fetch->topic, (int)from->fetch->number,
              to);
    fetch_from(from->fetch, to);
}

static unsigned poll_queue(struct sim_port *port, struct attached *from, struct record *records,
                           unsigned max)
{
    struct fetched fetched;
    unsigned n = 0;
    if (from->fetch->n > 0 && sim_chance(sim_dials()->rewind))
        step_back(from);
    while (n < max && n < BATCH_MAX && fetch_take(from->fetch, &fetched)) {
        fill(port, from, &fetched, &records[n]);
        port->out += records[n++].handle != NULL;
    }
    return n;
}

static int port_poll(struct source_port *base, struct record *records, unsigned max,
                     struct err *err)
{
    struct sim_port *port = port_of(base);
    unsigned n = 0;
    (void)err;
    for (unsigned looked = 0; looked < port->n_attached && n < max; looked++)
        n += poll_queue(port, &port->attached[++port->turn % port->n_attached], records + n,
                        max - n);
    return (int)n;
}

static void port_release(struct source_port *base, struct record *records, unsigned n)
{
    struct sim_port *port = port_of(base);
    for (unsigned i = 0; i < n; i++) {
        struct handed *handed = records[i].handle;
        if (handed == NULL)
            continue;
        free(handed->key);
        free(handed->payload);
        free(handed);
        records[i].handle = NULL;
        ASSERT(port->out > 0);
        port->out--;
    }
}

static unsigned port_headers(struct source_port *base, const struct record *record,
                             struct header *headers, unsigned max)
{
    (void)base;
    (void)record;
    (void)headers;
    (void)max;
    return 0;
}

static bool port_ended(struct source_port *base)
{
    (void)base;
    return false;
}

static const struct source_port_ops port_ops = {
    .attach = port_attach,
    .detach = port_detach,
    .poll = port_poll,
    .release = port_release,
    .headers = port_headers,
    .ended = port_ended,
};

struct source_port *sim_port_open(struct sim_source *source, struct env *env)
{
    struct sim_port *port = calloc(1, sizeof(*port));
    ASSERT(port != NULL);
    port->port.ops = &port_ops;
    port->env = env;
    port->event_bytes_max = source->event_bytes_max;
    port->next = source->ports;
    source->ports = port;
    return &port->port;
}

unsigned sim_port_out(const struct sim_port *port)
{
    return port->out;
}

struct sim_port *sim_port_close(struct sim_port *port)
{
    while (port->n_attached > 0)
        port_detach(&port->port, port->attached[0].slot);
    return port->next;
}
