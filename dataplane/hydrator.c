/*
 * hydrator.c: states are read back before they are written on (docs/ORDERING.md, R3 and R4).
 *
 *     pending, WAITING ─► queue ─► lookup (thousands of keys) ─► joined into the entity
 *                                                             ─► READY, or at rest
 *
 * While a document waits, its changes are merged as they come: the join does not care in which
 * order states meet. What waits cannot be evicted; so only so much may, or all of the store would
 * wait for states that find no room in it. Other documents go on meanwhile. A lookup that gets no
 * answer is asked again, with backoff, for ever.
 *
 * What is not found is an empty state. What is found raises `acked` of the sink that was asked to
 * the version of the document there, so that a document which is already right is not written
 * again.
 */
#include "dataplane/pipeline.h"

#include "dataplane/base/memory.h"

#include <inttypes.h>

#define LOOKUP_KEYS_MAX 8192
#define STATE_BYTES     ((uint64_t)16 << 10) /* taken for a state's size before any was seen */
#define STEP_OVER_US    100000
/* Of the store; a row over 16 KiB takes up to four times its bytes there. */
#define WAITING_PART 8

void hydrator_open(struct pipeline *pipeline)
{
    if (pipeline->options.hydrate < 0)
        return;
    for (unsigned i = 0; i < pipeline->options.n_outlets * LOOKUPS_MAX; i++)
        pipeline->hydrator.asked[i].pendings =
            memory_reserve(LOOKUP_KEYS_MAX * sizeof(struct pending *), "lookup keys");
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        pipeline->hydrator.queues[sink].state_bytes = STATE_BYTES;
}

static void queue(struct pipeline *pipeline, unsigned sink, struct pending *pending)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    pending_set_hydrate(&pending->sinks[sink], HYDRATE_QUEUED);
    pending->sinks[sink].hydrate_next = NULL;
    if (hydrator->queues[sink].tail != NULL)
        hydrator->queues[sink].tail->sinks[sink].hydrate_next = pending;
    else
        hydrator->queues[sink].head = pending;
    hydrator->queues[sink].tail = pending;
}

void hydrator_weigh(struct pipeline *pipeline, struct pending *pending)
{
    bool waits = false;
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        waits = waits || pending->sinks[sink].hydrate != HYDRATE_NOT;
    pipeline->hydrator.waiting_bytes -= pending->waiting_bytes;
    pending->waiting_bytes = waits ? pending->entity->value_bytes : 0;
    pipeline->hydrator.waiting_bytes += pending->waiting_bytes;
}

bool hydrator_is_full(const struct pipeline *pipeline)
{
    return pipeline->hydrator.waiting_bytes > pipeline->options.store_bytes / WAITING_PART;
}

void hydrator_want(struct pipeline *pipeline, unsigned sink, struct pending *pending)
{
    if (pending->sinks[sink].hydrate != HYDRATE_NOT)
        return; /* one that is asked already is asked again, if its answer is too old */
    pendings_want_state(pipeline->pendings, sink, pending);
    queue(pipeline, sink, pending);
    hydrator_weigh(pipeline, pending);
}

void hydrator_want_all(struct pipeline *pipeline, struct pending *pending, uint32_t epoch)
{
    pending->wanted = epoch;
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        if (pipeline->outlets[sink].port->ops->lookup_begin != NULL)
            hydrator_want(pipeline, sink, pending);
}

static struct pending *queue_pop(struct hydrator *hydrator, unsigned sink)
{
    struct pending *pending = hydrator->queues[sink].head;
    hydrator->queues[sink].head = pending->sinks[sink].hydrate_next;
    if (hydrator->queues[sink].head == NULL)
        hydrator->queues[sink].tail = NULL;
    return pending;
}

/* ---- asking ---- */

/* False: the sink has as many lookups under way as may be. */
static bool free_slot(const struct hydrator *hydrator, unsigned sink, unsigned *slot)
{
    unsigned end = (sink + 1) * LOOKUPS_MAX;
    *slot = sink * LOOKUPS_MAX;
    while (*slot < end && hydrator->asked[*slot].lookup != NULL)
        (*slot)++;
    return *slot < end;
}

/* An answer is in the server's memory and in ours as a whole: of large documents fewer are asked
 * for, so that it fits what buffers keep. */
static uint32_t keys_max(const struct hydrator *hydrator, unsigned sink)
{
    uint64_t keys = memory_keep_bytes() / (hydrator->queues[sink].state_bytes + 1);
    return keys < 1 ? 1 : keys < LOOKUP_KEYS_MAX ? (uint32_t)keys : LOOKUP_KEYS_MAX;
}

/* A moving average over the last states that were read back. */
static void note_size(struct hydrator *hydrator, unsigned sink, uint32_t bytes)
{
    uint64_t *average = &hydrator->queues[sink].state_bytes;
    *average = *average - *average / 64 + bytes / 64;
}

static unsigned ask(struct pipeline *pipeline, unsigned sink)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    struct sink_port *port = pipeline->outlets[sink].port;
    uint32_t most = keys_max(hydrator, sink);
    unsigned asked = 0, i;
    while (hydrator->queues[sink].head != NULL && free_slot(hydrator, sink, &i)) {
        struct sink_lookup *lookup = port->ops->lookup_begin(port);
        if (lookup == NULL)
            break;
        uint32_t n = 0;
        while (
            hydrator->queues[sink].head != NULL && n < most &&
            port->ops->lookup_add(port, lookup, entity_key(hydrator->queues[sink].head->entity))) {
            struct pending *pending = queue_pop(hydrator, sink);
            pending_set_hydrate(&pending->sinks[sink], HYDRATE_ASKED);
            hydrator->asked[i].pendings[n++] = pending;
        }
        ASSERT(n > 0); /* an empty lookup takes any key */
        hydrator->asked[i].lookup = lookup;
        hydrator->queues[sink].n_asked++;
        hydrator->asked[i].n = n;
        hydrator->asked[i].sink = sink;
        hydrator->asked[i].epoch = __atomic_load_n(pipeline->options.epoch, __ATOMIC_ACQUIRE);
        port->ops->lookup_submit(port, lookup);
        counter_add(&pipeline->counters.lookups, 1);
        asked += n;
    }
    return asked;
}

/* ---- answers ---- */

/* False: the task ends; the reason is remembered. */
static bool images_agree(struct pipeline *pipeline, const struct document_state *state)
{
    if (!state->other_images || pipeline->options.plan->images == IMAGES_PARTIAL)
        return true;
    struct err err;
    (void)err_set(
        &err, EXIT_CONFIG,
        "sink %s holds documents written with `images: partial`; going back to `full` "
        "would lower their versions: set `images: partial` again, or write to a new index",
        pipeline->outlets[pipeline->options.hydrate].name);
    pipeline_fail(pipeline, &err);
    return false;
}

enum joined { JOINED, JOIN_LATER, JOIN_NEVER };

/* Joins what was read back. JOIN_LATER: the store has no room now (a state that was joined already
 * does no harm twice), or the task ends. JOIN_NEVER: the sum of both would pass the greatest
 * version. */
static enum joined join_states(struct pipeline *pipeline, const struct pending *pending,
                               const struct lookup_item *item, unsigned sink, uint64_t now_us)
{
    struct entity *entity = pending->entity;
    bool complete = entity->epoch != 0 && entity->epoch >= pending->epoch;
    struct document_state states[2];
    unsigned late = 0;
    for (unsigned i = 0; i < item->n_states; i++)
        if (!images_agree(pipeline, &item->states[i]))
            return JOIN_LATER;
    if (item->n_states == 2)
        document_states_order(pipeline->options.plan, item->states, states);
    else if (item->n_states == 1)
        states[0] = item->states[0];
    for (unsigned i = 0; i < item->n_states; i++) {
        struct document document = store_document(entity);
        if (complete)
            document_state_after(pipeline->options.plan, &document, &states[i]);
        enum merge_verdict verdict =
            store_join(pipeline->store, entity, &states[i], sink_bit(sink), &late);
        if (verdict == MERGE_REJECT)
            return JOIN_NEVER;
        if (verdict == MERGE_FULL) {
            counter_add(&pipeline->counters.store_full, 1);
            return JOIN_LATER;
        }
    }
    if (late > 0)
        apply_late(pipeline, entity_key(entity), late, now_us);
    return JOINED;
}

/* The partition that the document came by when its state was written, by whichever node (R7). */
static void watch_partition(struct pipeline *pipeline, const struct entity *entity,
                            const struct lookup_item *item, uint64_t now_us)
{
    if (!pipeline->options.by_key || entity->partition == UINT16_MAX)
        return;
    int32_t is = partitions_number(pipeline->options.partitions, entity->partition);
    for (unsigned i = 0; i < item->n_states; i++)
        if (item->states[i].partition >= 0 && item->states[i].partition != is) {
            apply_two_partitions(pipeline, entity_key(entity), item->states[i].partition, is,
                                 now_us);
            return;
        }
}

/* Is somebody else still busy with the document: a write, or another read? */
static bool any_busy(const struct pipeline *pipeline, const struct pending *pending, unsigned sink)
{
    for (unsigned i = 0; i < pipeline->options.n_outlets; i++)
        if (pending->sinks[i].state == PENDING_FLYING ||
            (i != sink && pending->sinks[i].hydrate != HYDRATE_NOT))
            return true;
    return false;
}

/* The sink's state can't be read: nothing may be written over it, so the document is buried: for
 * this sink, and where it is the hydrate sink, for all and forgotten. */
static bool land_broken(struct pipeline *pipeline, struct pending *pending,
                        const struct lookup_item *item, unsigned sink, uint64_t now_us)
{
    struct entity *entity = pending->entity;
    bool all = (int)sink == pipeline->options.hydrate;
    if (all && any_busy(pipeline, pending, sink)) {
        queue(pipeline, sink, pending); /* they must be through first */
        return true;
    }
    counter_add(&pipeline->counters.lookup_broken, 1);
    if (!pipeline_bury(pipeline, pending, REASON_STATE, item->reason, pipeline->outlets[sink].name))
        return false;
    pending_set_hydrate(&pending->sinks[sink], HYDRATE_NOT);
    hydrator_weigh(pipeline, pending);
    if (!all) {
        pending_set_acked(&pending->sinks[sink], entity->version);
        (void)pendings_settle(pipeline->pendings, pending, now_us);
        return true;
    }
    pendings_bury(pipeline->pendings, pending);
    store_drop(pipeline->store, entity);
    return true;
}

/* No answer for this one (its region moves, say): asked again with backoff, the sink's queue waits.
 */
static void put_off(struct pipeline *pipeline, unsigned sink, struct pending *pending,
                    uint64_t now_us)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    pending->sinks[sink].ask_again = false;
    queue(pipeline, sink, pending);
    if (hydrator->queues[sink].retry_us <= now_us)
        hydrator->queues[sink].retry_us =
            now_us + backoff_us(pipeline->options.env, hydrator->queues[sink].attempts++);
}

static bool land_one(struct pipeline *pipeline, struct pending *pending,
                     const struct lookup_item *item, unsigned sink, uint32_t epoch, uint64_t now_us)
{
    struct pending_sink *at = &pending->sinks[sink];
    switch (item->found) {
    case LOOKUP_BROKEN:
        return land_broken(pipeline, pending, item, sink, now_us);
    case LOOKUP_AGAIN:
        put_off(pipeline, sink, pending, now_us);
        return true;
    case LOOKUP_ABSENT:
        counter_add(&pipeline->counters.lookup_absent, 1);
        break;
    case LOOKUP_FOUND:
        switch (join_states(pipeline, pending, item, sink, now_us)) {
        case JOINED:
            note_size(&pipeline->hydrator, sink, pending->entity->value_bytes);
            watch_partition(pipeline, pending->entity, item, now_us);
            break;
        case JOIN_LATER:
            return false;
        case JOIN_NEVER: {
            struct lookup_item broken = { .found = LOOKUP_BROKEN,
                                          .reason =
                                              SLICE("its version and ours do not fit together") };
            return land_broken(pipeline, pending, &broken, sink, now_us);
        }
        }
        counter_add(item->n_states > 0 ? &pipeline->counters.lookup_found
                                       : &pipeline->counters.lookup_foreign,
                    1);
        break;
    }
    /* A document that weir did not write may carry any version: ours counts only against ours. */
    if (item->n_states > 0 && item->version > at->acked)
        pending_set_acked(at, item->version);
    if (at->ask_again) {
        at->ask_again = false;
        queue(pipeline, sink, pending);
        return true;
    }
    /* It lacks nothing of ours, and called ours stale: it holds it. */
    if (at->refused != 0 && pending->entity->version == at->refused)
        pending_set_acked(at, at->refused);
    at->refused = 0;
    if (pending->epoch > epoch) {
        queue(pipeline, sink, pending); /* a partition was assigned anew since it was asked */
        return true;
    }
    struct entity *entity = pending->entity;
    pending_set_hydrate(at, HYDRATE_NOT);
    hydrator_weigh(pipeline, pending);
    if ((int)sink == pipeline->options.hydrate && entity->epoch < pending->wanted)
        entity->epoch = pending->wanted;
    if (pendings_settle(pipeline->pendings, pending, now_us))
        pipeline_rested(pipeline, entity);
    return true;
}

static void ask_again(struct pipeline *pipeline, unsigned slot, uint64_t now_us)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    unsigned sink = hydrator->asked[slot].sink;
    for (uint32_t i = 0; i < hydrator->asked[slot].n; i++)
        queue(pipeline, sink, hydrator->asked[slot].pendings[i]);
    hydrator->queues[sink].wants_room = false;
    if (now_us < hydrator->queues[sink].retry_us)
        return; /* It was under way beside one that failed: one trouble, one attempt. */
    hydrator->queues[sink].retry_us =
        now_us + backoff_us(pipeline->options.env, hydrator->queues[sink].attempts++);
    uint64_t more;
    if (log_limit_pass(&hydrator->log_down, now_us, &more))
        log_line(LOG_WARN, pipeline->options.task,
                 "sink %s gave no answer to a read of %u states: trying again in "
                 "%" PRIu64 " ms (attempt %u)",
                 pipeline->outlets[sink].name, hydrator->asked[slot].n,
                 (hydrator->queues[sink].retry_us - now_us) / 1000,
                 hydrator->queues[sink].attempts);
}

/* Is a document on its way to a sink, or about to be? It makes room when it is there. */
static bool any_leaves(const struct pipeline *pipeline)
{
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        if (pipeline->outlets[sink].n_flying > 0 ||
            pendings_load(pipeline->pendings, sink).ready > 0)
            return true;
    return false;
}

/* There is no room for this state, and none can be made: everything waits. Others of the same
 * answer may need less, or nothing, and make room when they are written: so it is asked for again
 * when something was evicted, or after a while. */
static bool pass_over(struct pipeline *pipeline, struct pending *pending, unsigned sink,
                      uint64_t now_us)
{
    if (pipeline->failed || !store_is_stuck(pipeline->store) || any_leaves(pipeline))
        return false;
    pending->sinks[sink].ask_again = false;
    queue(pipeline, sink, pending);
    pipeline->hydrator.queues[sink].retry_us = now_us + STEP_OVER_US;
    pipeline->hydrator.queues[sink].wants_room = true;
    return true;
}

/* Goes on with the answer that is being merged; true when it is through. */
static bool land(struct pipeline *pipeline, uint64_t now_us)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    unsigned slot = 0;
    while (hydrator->asked[slot].lookup != hydrator->landing)
        slot++;
    ASSERT(slot < SINKS_MAX * LOOKUPS_MAX && hydrator->landing->n == hydrator->asked[slot].n);

    struct outlet *outlet = &pipeline->outlets[hydrator->asked[slot].sink];
    if (hydrator->landing->failed_whole) {
        outlet_fails(outlet, now_us);
        ask_again(pipeline, slot, now_us);
    } else {
        counter_set(&outlet->failing_since_us, 0);
        hydrator->queues[hydrator->asked[slot].sink].attempts = 0;
        for (; hydrator->landing_at < hydrator->landing->n; hydrator->landing_at++) {
            struct pending *pending = hydrator->asked[slot].pendings[hydrator->landing_at];
            if (!land_one(pipeline, pending, &hydrator->landing->items[hydrator->landing_at],
                          hydrator->asked[slot].sink, hydrator->asked[slot].epoch, now_us) &&
                !pass_over(pipeline, pending, hydrator->asked[slot].sink, now_us))
                return false;
        }
    }
    outlet->port->ops->lookup_recycle(outlet->port, hydrator->landing);
    hydrator->asked[slot].lookup = NULL;
    hydrator->queues[hydrator->asked[slot].sink].n_asked--;
    hydrator->landing = NULL;
    hydrator->landing_at = 0;
    return true;
}

unsigned hydrator_step(struct pipeline *pipeline, uint64_t now_us)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    unsigned done = 0;
    if (pipeline->options.hydrate < 0 || pipeline->failed)
        return 0;
    for (;;) {
        for (unsigned sink = 0; sink < pipeline->options.n_outlets && hydrator->landing == NULL;
             sink++) {
            struct sink_port *port = pipeline->outlets[sink].port;
            if (port->ops->lookup_reap != NULL)
                hydrator->landing = port->ops->lookup_reap(port);
        }
        if (hydrator->landing == NULL)
            break;
        if (!land(pipeline, now_us))
            return done; /* no room: what waits for it will wake us */
        done++;
    }
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++) {
        bool room = hydrator->queues[sink].wants_room && !store_is_stuck(pipeline->store);
        if (room)
            hydrator->queues[sink].retry_us = now_us; /* for what is queued next, too */
        if (now_us >= hydrator->queues[sink].retry_us) {
            hydrator->queues[sink].wants_room = false;
            done += ask(pipeline, sink);
        }
    }
    return done;
}
