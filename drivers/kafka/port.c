/*
 * port.c: a shard's half of the source `kafka`: polls the queues of its partitions.
 *
 *     librdkafka's threads -> partition queue -> rd_kafka_consume_batch_queue -> records
 *                                  |                                -> release: destroy
 *                                  '-> eventfd -> the shard's env
 *
 * A queue writes to the eventfd when it becomes non-empty. So a queue that was seen empty is left
 * alone (`quiet`) until the eventfd speaks, which makes all of them worth a look again: seeing it
 * empty, marking it and hearing the eventfd all happen in this thread, so no message falls between.
 * attach() takes a queue for non-empty, because messages may have come before the eventfd was tied
 * to it.
 *
 * One poll() empties one queue into the frame as far as it goes, and the next poll() starts with
 * the next queue, so that a full partition cannot starve the others.
 *
 * A message over `max_event` goes on as its beginning: no part of what follows has room for more.
 *
 * Errors of a partition are said, and librdkafka tries again; but what it cannot read as messages
 * it leaves out, and goes on behind it. Whoever took what follows would commit what was never read,
 * so nothing is taken any more, and the task ends.
 *
 * What this does not do: copy a message.
 */
#include "drivers/kafka/internal.h"

#include "dataplane/base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH_MAX 256

struct attached {
    struct kafka_partition *partition;
    uint16_t slot;
    bool quiet;
    int64_t last; /* the last offset handed out, -1 = none */
};

struct kafka_port {
    struct source_port port;
    struct kafka_port *next;
    struct env *env;
    struct watch watch;
    bool watched;
    struct attached *attached; /* PARTITIONS_MAX of room */
    unsigned n_attached, turn;
    unsigned out; /* records that were not released yet */
    size_t event_bytes_max;
    struct log_limit limit;
    struct err gap; /* code: messages were left out, nothing is handed out any more */
};

static struct kafka_port *port_of(struct source_port *port)
{
    return (struct kafka_port *)port;
}

static void something_came(struct watch *watch, unsigned events)
{
    struct kafka_port *port =
        (struct kafka_port *)((char *)watch - offsetof(struct kafka_port, watch));
    uint64_t count;

    (void)events;
    if (read(watch->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        log_line(LOG_ERROR, "kafka", "cannot read an eventfd: %s", strerror(errno));
    for (unsigned i = 0; i < port->n_attached; i++)
        port->attached[i].quiet = false;
}

static void port_attach(struct source_port *base, uint16_t partition, void *handle)
{
    struct kafka_port *port = port_of(base);
    struct kafka_partition *taken = handle;
    const uint64_t one = 1;

    ASSERT(port->n_attached < PARTITIONS_MAX);
    atomic_fetch_add(&taken->holders, 1);
    port->attached[port->n_attached++] =
        (struct attached){ .partition = taken, .slot = partition, .last = -1 };
    rd_kafka_queue_io_event_enable(taken->queue, port->watch.fd, &one, sizeof(one));
}

static void port_detach(struct source_port *base, uint16_t partition)
{
    struct kafka_port *port = port_of(base);

    for (unsigned i = 0; i < port->n_attached; i++) {
        struct kafka_partition *taken = port->attached[i].partition;

        if (port->attached[i].slot != partition)
            continue;
        rd_kafka_queue_io_event_enable(taken->queue, -1, NULL, 0);
        port->attached[i] = port->attached[--port->n_attached];
        kafka_partition_let_go(taken);
        return;
    }
}

static void note_error(struct kafka_port *port, const struct attached *from,
                       const rd_kafka_message_t *message)
{
    uint64_t held;

    if (log_limit_pass(&port->limit, env_mono_us(port->env), &held))
        log_line(LOG_WARN, "kafka", "%s [%d]: %s", from->partition->topic,
                 (int)from->partition->number, rd_kafka_message_errstr(message));
}

static void fill_event(const struct kafka_port *port, struct attached *from,
                       rd_kafka_message_t *message, struct record *record)
{
    rd_kafka_timestamp_type_t type;

    *record = (struct record){
        .kind = RECORD_EVENT,
        .partition = from->slot,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = { message->key, message->key ? message->key_len : 0 },
        .payload = { message->payload, message->payload ? message->len : 0 },
        .rewind = message->offset <= from->last,
        .handle = message,
    };
    if (record->payload.len > port->event_bytes_max) {
        record->kind = RECORD_OVERSIZED;
        record->payload.len = port->event_bytes_max;
        record->detail = SLICE(KAFKA_OVERSIZED);
    }
    from->last = message->offset;
}

/* Does librdkafka leave out what it says this of? Messages of a format that it does not know, and
 * with check.crcs those whose checksum is wrong. */
static bool is_gap(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED || error == RD_KAFKA_RESP_ERR__BAD_MSG;
}

static void note_gap(struct kafka_port *port, const struct attached *from,
                     const rd_kafka_message_t *message)
{
    (void)err_set(&port->gap, EXIT_IO,
                  "kafka: %.200s [%d]: %.300s: what follows is not taken, or this would be lost; "
                  "run again to read it again",
                  from->partition->topic, (int)from->partition->number,
                  rd_kafka_message_errstr(message));
}

/* One message, which may be none: an end of the partition, or an error. True where a record was
 * filled. */
static bool take(struct kafka_port *port, struct attached *from, rd_kafka_message_t *message,
                 struct record *record)
{
    bool filled = true;

    if (port->gap.code == 0 && is_gap(message->err))
        note_gap(port, from, message);
    if (port->gap.code != 0) {
        rd_kafka_message_destroy(message);
        return false;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        fill_event(port, from, message, record);
        port->out++;
        return true;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *record = (struct record){ .kind = RECORD_POSITION,
                                   .partition = from->slot,
                                   .offset = message->offset,
                                   .timestamp_ms = -1 };
    } else {
        note_error(port, from, message);
        filled = false;
    }
    rd_kafka_message_destroy(message);
    return filled;
}

static unsigned poll_queue(struct kafka_port *port, struct attached *from, struct record *records,
                           unsigned max)
{
    rd_kafka_message_t *messages[BATCH_MAX];
    unsigned room = max < BATCH_MAX ? max : BATCH_MAX, n = 0;
    ssize_t got = rd_kafka_consume_batch_queue(from->partition->queue, 0, messages, room);

    if (got <= 0) {
        from->quiet = true;
        return 0;
    }
    for (ssize_t i = 0; i < got; i++)
        n += take(port, from, messages[i], &records[n]);
    return n;
}

static int port_poll(struct source_port *base, struct record *records, unsigned max,
                     struct err *err)
{
    struct kafka_port *port = port_of(base);
    unsigned n = 0;

    if (!port->watched) {
        int result = env_watch(port->env, &port->watch);

        if (result != 0)
            return err_set(err, EXIT_SOFTWARE, "cannot watch an eventfd: %s", strerror(-result));
        port->watched = true;
    }
    for (unsigned looked = 0; looked < port->n_attached && n < max; looked++) {
        struct attached *from = &port->attached[++port->turn % port->n_attached];

        if (!from->quiet)
            n += poll_queue(port, from, records + n, max - n);
    }
    if (n == 0 && port->gap.code != 0) {
        *err = port->gap;
        return -1;
    }
    return (int)n;
}

static void port_release(struct source_port *base, struct record *records, unsigned n)
{
    struct kafka_port *port = port_of(base);

    for (unsigned i = 0; i < n; i++) {
        if (!records[i].handle)
            continue;
        rd_kafka_message_destroy(records[i].handle);
        records[i].handle = NULL;
        ASSERT(port->out > 0);
        port->out--;
    }
}

static unsigned port_headers(struct source_port *base, const struct record *record,
                             struct header *headers, unsigned max)
{
    rd_kafka_headers_t *list;
    unsigned n = 0;
    const char *name;
    const void *value;
    size_t len;

    (void)base;
    if (!record->handle || rd_kafka_message_headers(record->handle, &list) != 0)
        return 0;
    while (rd_kafka_header_get_all(list, n, &name, &value, &len) == 0) {
        if (n < max)
            headers[n] = (struct header){ slice_of(name), { value, value ? len : 0 } };
        n++;
    }
    return n;
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

struct source_port *kafka_port_open(struct kafka_source *source, struct env *env)
{
    struct kafka_port *port = memory_reserve(sizeof(*port), "a port of kafka");
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        fatal(EXIT_SOFTWARE, "cannot make an eventfd: %s", strerror(errno));
    port->port.ops = &port_ops;
    port->env = env;
    port->event_bytes_max = source->event_bytes_max;
    port->watch = (struct watch){ .ready = something_came, .fd = fd, .events = WATCH_READ };
    port->attached =
        memory_reserve(PARTITIONS_MAX * sizeof(struct attached), "partitions of a port");
    port->next = source->ports;
    source->ports = port;
    return &port->port;
}

unsigned kafka_port_out(const struct kafka_port *port)
{
    return port->out;
}

struct kafka_port *kafka_port_close(struct kafka_port *port)
{
    while (port->n_attached > 0)
        port_detach(&port->port, port->attached[0].slot);
    (void)close(port->watch.fd);
    return port->next;
}
