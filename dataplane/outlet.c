/*
 * outlet.c: from pending documents to a sink, in batches, and back with a verdict for each.
 *
 * A batch is not collected: documents stay READY, coalescing, until a batch is due (enough
 * documents or bytes, the oldest has lingered long enough, or nothing more can come before these
 * have left: the store is stuck, or as many documents wait as may) and the sink has a place in
 * flight.
 * Then they are rendered straight from the store into the request's body, oldest first. So load
 * makes batches fuller and changes a document cheaper.
 *
 * What fails is judged on its own (R5): an item that the sink asks to have again is delayed by
 * itself; a request that failed whole holds the sink back, not its documents' order; an item that
 * can never be taken goes to the dead letters and then counts as done. There is no last attempt.
 *
 * A node that stood still sends nothing until it knows that its partitions are its own (fence.h).
 */
#include "dataplane/pipeline.h"

#include "dataplane/base/memory.h"

#include <inttypes.h>

void outlet_open(struct pipeline *pipeline, unsigned sink)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    const struct outlet_options *options = &pipeline->options.outlets[sink];
    ASSERT(options->limits.in_flight > 0 && options->limits.in_flight <= FLIGHTS_MAX);
    outlet->name = options->name;
    outlet->port = options->port;
    outlet->limits = options->limits;
    outlet->linger_us = options->linger_us;
    for (unsigned i = 0; i < outlet->limits.in_flight; i++)
        outlet->flights[i].pendings =
            memory_reserve(outlet->limits.docs * sizeof(struct pending *), "flights");
}

static bool due(const struct pipeline *pipeline, unsigned sink, uint64_t now_us)
{
    const struct outlet *outlet = &pipeline->outlets[sink];
    struct pending_load load = pendings_load(pipeline->pendings, sink);
    if (load.ready == 0 || now_us < outlet->resume_us)
        return false;
    return pipeline->flushing || store_is_stuck(pipeline->store) ||
           !pendings_room(pipeline->pendings) || load.ready >= outlet->limits.docs ||
           load.bytes >= outlet->limits.bytes || now_us - load.since_us >= outlet->linger_us;
}

static struct flight *free_flight(struct outlet *outlet)
{
    for (unsigned i = 0; i < outlet->limits.in_flight; i++)
        if (outlet->flights[i].batch == NULL)
            return &outlet->flights[i];
    return NULL;
}

static struct document view(const struct pipeline *pipeline, unsigned sink,
                            const struct entity *entity)
{
    struct document document = store_document(entity);
    document.sink = sink_bit(sink);
    document.purge_before = document_horizon(pipeline->options.plan, &document);
    if (pipeline->options.by_key)
        document.partition = partitions_number(pipeline->options.partitions, entity->partition);
    return document;
}

/* No batch can hold the document. False: its letter could not be written. */
static bool bury_large(struct pipeline *pipeline, unsigned sink, struct pending *pending,
                       uint64_t now_us)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    if (!pipeline_bury(pipeline, pending, REASON_TOO_LARGE, SLICE("larger than one request may be"),
                       outlet->name))
        return false;
    counter_add(&outlet->counters.dead, 1);
    (void)pendings_fly(pipeline->pendings, sink, pending, now_us);
    pendings_landed(pipeline->pendings, sink, pending, now_us);
    return true;
}

/* Fills one batch from the ready list and sends it. False: there was nothing, or no place in
 * flight. */
static bool flush_one(struct pipeline *pipeline, unsigned sink, uint64_t now_us)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    struct flight *flight = free_flight(outlet);
    struct sink_batch *batch = flight != NULL ? outlet->port->ops->begin(outlet->port) : NULL;
    if (batch == NULL)
        return false;

    struct pending *pending;
    enum sink_add added = SINK_ADDED;
    flight->n = 0;
    while (added != SINK_FULL && flight->n < outlet->limits.docs && !pipeline->failed &&
           (pending = pendings_ready(pipeline->pendings, sink)) != NULL) {
        struct document document = view(pipeline, sink, pending->entity);
        added = outlet->port->ops->add(outlet->port, batch, &document);
        if (added == SINK_ADDED) {
            if (outlet->port->deltas)
                store_fly(pending->entity, document.sink);
            uint64_t waited_us = pendings_fly(pipeline->pendings, sink, pending, now_us);
            histogram_add(&outlet->queued, waited_us);
            flight->pendings[flight->n++] = pending;
        } else if (added == SINK_TOO_LARGE && !bury_large(pipeline, sink, pending, now_us)) {
            break;
        }
    }
    if (flight->n == 0) {
        outlet->port->ops->recycle(outlet->port, batch);
        return false;
    }
    flight->batch = batch;
    outlet->n_flying++;
    counter_add(&outlet->counters.batches, 1);
    counter_add(&outlet->counters.bytes, batch->bytes);
    counter_add(&outlet->counters.in_flight, 1);
    outlet->port->ops->submit(outlet->port, batch);
    return true;
}

unsigned outlet_flush(struct pipeline *pipeline, unsigned sink, uint64_t now_us)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    unsigned batches = 0;
    if (pipeline->failed)
        return 0;
    outlet->wake_us = pendings_wake(pipeline->pendings, sink, now_us);
    outlet->fenced = false;
    while (due(pipeline, sink, now_us)) {
        /* The clock is asked again for each batch: the standstill may have been just now. */
        outlet->fenced = fence_closed(pipeline->options.fence, env_mono_us(pipeline->options.env));
        if (outlet->fenced || !flush_one(pipeline, sink, now_us))
            break;
        batches++;
    }
    return batches;
}

/* ---- answers ---- */

static bool land_dead(struct pipeline *pipeline, unsigned sink, struct pending *pending,
                      const struct sink_item *item, uint64_t now_us)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    if (!pipeline_bury(pipeline, pending, REASON_REFUSED, item->reason, outlet->name))
        return false;
    counter_add(&outlet->counters.dead, 1);
    uint64_t more;
    if (log_limit_pass(&outlet->log_dead, now_us, &more)) {
        struct slice key = entity_key(pending->entity);
        log_line(LOG_WARN, pipeline->options.task,
                 "sink %s refuses document %.*s for good: %.*s; it is in the dead "
                 "letters (%" PRIu64 " more since the last such line)",
                 outlet->name, (int)key.len, key.data,
                 (int)(item->reason.len < 300 ? item->reason.len : 300), item->reason.data, more);
    }
    pendings_landed(pipeline->pendings, sink, pending, now_us);
    return true;
}

static void land_retry(struct pipeline *pipeline, unsigned sink, struct pending *pending,
                       bool whole, uint64_t now_us)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    counter_add(&outlet->counters.retried, 1);
    uint64_t delay = whole ? 0 : backoff_us(pipeline->options.env, pending->sinks[sink].attempts);
    pendings_retry(pipeline->pendings, sink, pending, now_us, delay);
}

/* How long the write took, and how old its oldest change is by the database's clock. */
static void measure(struct pipeline *pipeline, unsigned sink, const struct pending *pending,
                    uint64_t now_us)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    const struct pending_sink *at = &pending->sinks[sink];
    uint64_t wall_us = env_wall_us(pipeline->options.env);
    histogram_add(&outlet->acknowledged, now_us > at->since_us ? now_us - at->since_us : 0);
    if (at->flying_source_us != 0 && at->flying_source_us < wall_us)
        histogram_add(&outlet->age, wall_us - at->flying_source_us);
}

/* A version as new or newer is there. That is success if what is there lacks nothing of ours, and
 * that is not certain: a late request of a process that was killed may have put a state there that
 * no order relates to ours, and a sink that refused a document once may hold rows that the others
 * do not. So look (docs/ORDERING.md). */
static void land_stale(struct pipeline *pipeline, unsigned sink, struct pending *pending,
                       uint64_t now_us)
{
    const struct outlet *outlet = &pipeline->outlets[sink];
    measure(pipeline, sink, pending, now_us);
    if (pipeline->options.hydrate < 0 || outlet->port->ops->lookup_begin == NULL) {
        pendings_landed(pipeline->pendings, sink, pending, now_us);
        return;
    }
    pendings_stale(pipeline->pendings, sink, pending);
    hydrator_want(pipeline, sink, pending);
}

static bool land_item(struct pipeline *pipeline, unsigned sink, struct pending *pending,
                      const struct sink_batch *batch, const struct sink_item *item)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    uint64_t now_us = env_mono_us(pipeline->options.env);
    struct entity *entity = pending->entity;
    /* What the sink refused for good it lacks: that goes with what it is sent next of the document,
     * or rows that were refused for another row's sake would never come. */
    if (outlet->port->deltas)
        store_landed(entity, sink_bit(sink), item->verdict == SINK_WRITTEN);
    switch (item->verdict) {
    case SINK_WRITTEN:
        counter_add(&outlet->counters.written, 1);
        measure(pipeline, sink, pending, now_us);
        pendings_landed(pipeline->pendings, sink, pending, now_us);
        pipeline_rested(pipeline, entity);
        return true;
    case SINK_STALE:
        counter_add(&outlet->counters.stale, 1);
        land_stale(pipeline, sink, pending, now_us);
        return true;
    case SINK_RETRY:
        land_retry(pipeline, sink, pending, batch->failed_whole, now_us);
        return true;
    case SINK_DEAD:
        return land_dead(pipeline, sink, pending, item, now_us);
    }
    ASSERT(false); /* a verdict outside its enum */
    return false;
}

/* Newest first where the whole request is put back, so that the oldest ends in front again. */
static void land(struct pipeline *pipeline, unsigned sink, struct flight *flight)
{
    struct sink_batch *batch = flight->batch;
    ASSERT(batch->n == flight->n);
    for (uint32_t i = flight->n; i-- > 0;)
        if (!land_item(pipeline, sink, flight->pendings[i], batch, &batch->items[i]))
            return;
}

void outlet_fails(struct outlet *outlet, uint64_t now_us)
{
    if (outlet->failing_since_us == 0)
        counter_set(&outlet->failing_since_us, now_us);
}

static void sink_failed(struct pipeline *pipeline, struct outlet *outlet, uint64_t now_us)
{
    counter_add(&outlet->counters.failures, 1);
    outlet_fails(outlet, now_us);
    if (now_us < outlet->resume_us)
        return; /* It was under way beside one that failed: one trouble, one attempt. */
    outlet->resume_us = now_us + backoff_us(pipeline->options.env, outlet->attempts++);
    uint64_t more;
    if (log_limit_pass(&outlet->log_retry, now_us, &more))
        log_line(LOG_WARN, pipeline->options.task,
                 "sink %s took nothing of a batch: trying again in %" PRIu64 " ms (attempt %u)",
                 outlet->name, (outlet->resume_us - now_us) / 1000, outlet->attempts);
}

unsigned outlet_reap(struct pipeline *pipeline, unsigned sink, uint64_t now_us)
{
    struct outlet *outlet = &pipeline->outlets[sink];
    struct sink_batch *batch;
    unsigned items = 0;
    while ((batch = outlet->port->ops->reap(outlet->port)) != NULL) {
        struct flight *flight = outlet->flights;
        while (flight->batch != batch)
            flight++;
        ASSERT(flight < outlet->flights + outlet->limits.in_flight);
        items += flight->n;
        if (batch->failed_whole) {
            sink_failed(pipeline, outlet, now_us);
        } else {
            outlet->attempts = 0;
            counter_set(&outlet->failing_since_us, 0);
        }
        land(pipeline, sink, flight);
        flight->batch = NULL;
        outlet->n_flying--;
        counter_add(&outlet->counters.in_flight, (uint64_t)-1);
        outlet->port->ops->recycle(outlet->port, batch);
    }
    return items;
}
