/*
 * books.c: see books.h. A step of a shard is whole when another one runs, so between two steps all
 * of these laws hold to the last item. A pipeline that has failed stands in the middle of
 * something, for good: its task ends, and its books are not looked at.
 *
 *     frames:  changes filled = applied + stale + dead + in inboxes
 *     sinks:   documents sent = written + stale + retried + dead + flying; flying = in flights
 *     letters: = events rejected + documents dead + rows dead + states broken (and at most one
 *              more for each row that was rejected alone)
 *     holds:   in use = in the chains of pending documents
 *     store:   documents = those that can be found
 */
#include "tests/sim/books.h"

#include "tests/sim/sim.h"
#include "tests/sim/source_model.h"

#include <string.h>

enum { NODES_MAX = 8, SIM_SHARDS_MAX = 4, OUT_MAX = 64 };

#define LAW  "counters conserve"
#define REST "all comes back"

static struct {
    struct counters counters[SIM_SHARDS_MAX]; /* as they were seen last */
    struct {
        unsigned batches, lookups;
    } ports[SIM_SHARDS_MAX][SINKS_MAX]; /* that could be taken at the start */
    uint64_t store_bytes[SIM_SHARDS_MAX];
} books[NODES_MAX];

static const struct task *task_of(const struct node *node)
{
    return &node->tasks[0];
}

static bool has_failed(const struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++)
        if (task_of(node)->pipelines[s]->failed)
            return true;
    return false;
}

static void same(unsigned number, const char *invariant, const char *what, uint64_t is,
                 uint64_t should)
{
    if (is != should)
        sim_blame(invariant, "node %u: %s: %llu, not %llu", number, what, (unsigned long long)is,
                  (unsigned long long)should);
}

/* ---- counters ---- */

static void check_frames(unsigned number, const struct node *node)
{
    const struct task *task = task_of(node);
    uint64_t filled = 0, merged = 0, waiting = 0;
    for (unsigned s = 0; s < node->n_shards; s++) {
        const struct pipeline *pipeline = task->pipelines[s];
        const struct counters *counters = &pipeline->counters;
        filled += counters->frame_changes;
        merged += counters->applied + counters->stale + counters->overflowed;
        for (unsigned from = 0; from < node->n_shards; from++) {
            const struct inbox *inbox = &pipeline->inboxes[from];
            const ck_ring_t *ring = &inbox->ring;
            if (inbox->frame != NULL)
                waiting += inbox->frame->start[s + 1] - inbox->at;
            for (unsigned at = ring->c_head; at != ring->p_tail; at++) {
                const struct frame *frame = inbox->buffer[at & ring->mask].value;
                waiting += frame->start[s + 1] - frame->start[s];
            }
        }
    }
    same(number, LAW, "changes merged and in inboxes, by those filled", merged + waiting, filled);
}

static void check_tables(unsigned number, const struct pipeline *pipeline)
{
    struct table_counters sum = { 0 };
    for (unsigned t = 0; t < pipeline->options.plan->n_tables; t++) {
        sum.applied += pipeline->tables[t].applied;
        sum.stale += pipeline->tables[t].stale;
        sum.dead += pipeline->tables[t].dead;
    }
    same(number, LAW, "applied, by table", sum.applied, pipeline->counters.applied);
    same(number, LAW, "stale, by table", sum.stale, pipeline->counters.stale);
    same(number, LAW, "dead, by table", sum.dead, pipeline->counters.overflowed);
}

static void check_letters(unsigned number, const struct pipeline *pipeline)
{
    const struct counters *counters = &pipeline->counters;
    uint64_t least = counters->events_rejected + counters->overflowed + counters->lookup_broken;
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        least += pipeline->outlets[sink].counters.dead;
    if (counters->letters < least || counters->letters > least + counters->changes_rejected)
        sim_blame(LAW, "node %u: %llu letters, but %llu events, rows, documents, states, %llu rows",
                  number, (unsigned long long)counters->letters, (unsigned long long)least,
                  (unsigned long long)counters->changes_rejected);
}

static uint64_t measured(const struct histogram *histogram)
{
    uint64_t n = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
        n += histogram->counts[i];
    return n;
}

static void check_outlet(unsigned number, const struct pipeline *pipeline, unsigned sink)
{
    const struct outlet *outlet = &pipeline->outlets[sink];
    const struct outlet_counters *counters = &outlet->counters;
    uint64_t flights = 0, flying = 0;
    for (unsigned i = 0; i < outlet->limits.in_flight; i++) {
        const struct flight *flight = &outlet->flights[i];
        if (flight->batch == NULL)
            continue;
        flights++;
        flying += flight->n;
        same(number, LAW, "documents of a batch", flight->batch->n, flight->n);
        for (unsigned p = 0; p < flight->n; p++)
            if (flight->pendings[p]->sinks[sink].state != PENDING_FLYING)
                sim_blame(LAW, "node %u: %.*s is in a batch, and does not fly", number,
                          (int)flight->pendings[p]->entity->key_len,
                          flight->pendings[p]->entity->key);
    }
    same(number, LAW, "batches in flight", flights, counters->in_flight);
    same(number, LAW, "batches in flight, by the outlet", outlet->n_flying, counters->in_flight);
    same(number, LAW, "documents sent",
         counters->written + counters->stale + counters->retried + counters->dead + flying,
         measured(&outlet->queued));
    same(number, LAW, "documents acknowledged", counters->written + counters->stale,
         measured(&outlet->acknowledged));
}

static void check_growth(unsigned number, unsigned shard, const struct pipeline *pipeline)
{
    const uint64_t *is = (const uint64_t *)&pipeline->counters;
    const uint64_t *was = (const uint64_t *)&books[number].counters[shard];
    for (unsigned i = 0; i < sizeof(struct counters) / sizeof(uint64_t); i++)
        if (is[i] < was[i])
            sim_blame(LAW, "node %u: counter %u falls from %llu to %llu", number, i,
                      (unsigned long long)was[i], (unsigned long long)is[i]);
    books[number].counters[shard] = pipeline->counters;
}

/* ---- what waits ---- */

struct waits {
    uint64_t entities, pendings, holds, flying, waiting_bytes;
};

static uint64_t chain_length(const struct hold *hold)
{
    uint64_t n = 0;
    for (; hold != NULL; hold = hold->sibling)
        n++;
    return n;
}

static void add_waits(const struct pipeline *pipeline, const struct pending *pending,
                      struct waits *waits)
{
    waits->pendings++;
    waits->waiting_bytes += pending->waiting_bytes;
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++) {
        const struct pending_sink *at = &pending->sinks[sink];
        waits->holds += chain_length(at->holds) + chain_length(at->flying_holds);
        waits->flying += at->state == PENDING_FLYING;
    }
}

static void check_waits(unsigned number, const struct pipeline *pipeline,
                        const struct books_keys *keys)
{
    struct waits waits = { 0 };
    uint64_t flying = 0;
    for (unsigned key = 0; key < keys->n; key++) {
        char text[8];
        keys->name(key, text);
        struct slice name = slice_of(text);
        const struct entity *entity = store_find(pipeline->store, key_hash(name), name);
        waits.entities += entity != NULL;
        if (entity != NULL && entity->pending != NULL)
            add_waits(pipeline, entity->pending, &waits);
    }
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        for (unsigned i = 0; i < pipeline->outlets[sink].limits.in_flight; i++)
            if (pipeline->outlets[sink].flights[i].batch != NULL)
                flying += pipeline->outlets[sink].flights[i].n;
    same(number, LAW, "documents in a store", waits.entities,
         store_facts(pipeline->store).entities);
    same(number, LAW, "pending documents", waits.pendings, pendings_count(pipeline->pendings));
    same(number, LAW, "holds", waits.holds, watermark_count(pipeline->watermark));
    same(number, LAW, "flying documents", waits.flying, flying);
    same(number, LAW, "bytes that wait for states", waits.waiting_bytes,
         pipeline->hydrator.waiting_bytes);
}

void books_check(unsigned number, const struct node *node, const struct books_keys *keys)
{
    if (has_failed(node))
        return;
    check_frames(number, node);
    for (unsigned s = 0; s < node->n_shards; s++) {
        const struct pipeline *pipeline = task_of(node)->pipelines[s];
        check_growth(number, s, pipeline);
        check_tables(number, pipeline);
        check_letters(number, pipeline);
        for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
            check_outlet(number, pipeline, sink);
        check_waits(number, pipeline, keys);
    }
}

/* ---- at rest ---- */

static unsigned batches_left(struct sink_port *port)
{
    struct sink_batch *batches[OUT_MAX];
    unsigned n = 0;
    while (n < OUT_MAX && (batches[n] = port->ops->begin(port)) != NULL)
        n++;
    for (unsigned i = 0; i < n; i++)
        port->ops->recycle(port, batches[i]);
    return n;
}

static unsigned lookups_left(struct sink_port *port)
{
    struct sink_lookup *lookups[OUT_MAX];
    unsigned n = 0;
    while (port->ops->lookup_begin != NULL && n < OUT_MAX &&
           (lookups[n] = port->ops->lookup_begin(port)) != NULL)
        n++;
    for (unsigned i = 0; i < n; i++)
        port->ops->lookup_recycle(port, lookups[i]);
    return n;
}

void books_open(unsigned number, const struct node *node)
{
    memset(&books[number], 0, sizeof(books[number]));
    ASSERT(number < NODES_MAX && node->n_shards <= SIM_SHARDS_MAX);
    for (unsigned s = 0; s < node->n_shards; s++) {
        const struct pipeline *pipeline = task_of(node)->pipelines[s];
        for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++) {
            struct sink_port *port = pipeline->outlets[sink].port;
            books[number].ports[s][sink].batches = batches_left(port);
            books[number].ports[s][sink].lookups = lookups_left(port);
        }
        books[number].store_bytes[s] = store_facts(pipeline->store).used_bytes;
    }
}

bool books_rest(const struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++) {
        const struct pipeline *pipeline = task_of(node)->pipelines[s];
        if (pipeline->n_pending > 0 || !pipeline->quiet)
            return false;
    }
    return true;
}

static void check_parts(unsigned number, unsigned shard, const struct pipeline *pipeline)
{
    const struct hydrator *hydrator = &pipeline->hydrator;
    unsigned frames = 0;
    for (const struct frame *frame = pipeline->intake.free_frames; frame != NULL;
         frame = frame->next)
        frames++;
    same(number, REST, "free frames", frames, FRAMES);
    same(number, REST, "pending documents", pendings_count(pipeline->pendings), 0);
    same(number, REST, "holds", watermark_count(pipeline->watermark), 0);
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++) {
        struct sink_port *port = pipeline->outlets[sink].port;
        same(number, REST, "batches", batches_left(port), books[number].ports[shard][sink].batches);
        same(number, REST, "lookups", lookups_left(port), books[number].ports[shard][sink].lookups);
        same(number, REST, "states asked for", hydrator->queues[sink].n_asked, 0);
        same(number, REST, "states to ask for", hydrator->queues[sink].head != NULL, 0);
    }
    same(number, REST, "records that were handed out",
         sim_port_out((const struct sim_port *)(const void *)pipeline->options.source), 0);
}

void books_check_rest(unsigned number, const struct node *node)
{
    for (unsigned s = 0; s < node->n_shards && !has_failed(node); s++)
        check_parts(number, s, task_of(node)->pipelines[s]);
}

void books_check_empty(unsigned number, const struct node *node)
{
    for (unsigned s = 0; s < node->n_shards && !has_failed(node); s++) {
        struct store_facts facts = store_facts(task_of(node)->pipelines[s]->store);
        same(number, REST, "documents of an empty store", facts.entities, 0);
        same(number, REST, "bytes of an empty store", facts.used_bytes,
             books[number].store_bytes[s]);
    }
}
