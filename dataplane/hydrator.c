/*
 * hydrator.c: states are read back before they are written on (docs/ORDERING.md, R3 and R4).
 *
 *     pending, WAITING ─► queue ─► lookup (thousands of keys) ─► joined into the entity ─► READY,
 * or at rest
 *
 * While a document waits, its changes are merged as they come: the join does not care in which
 * order states meet. Other documents go on meanwhile. A lookup that gets no answer is asked again,
 * with backoff, for ever.
 *
 * What is not found is an empty state. What is found raises `acked` of the sink that was asked to
 * the version of the document there, so that a document which is already right is not written
 * again.
 */
#include "dataplane/pipeline.h"

#include "dataplane/base/memory.h"

#include <inttypes.h>

#define LOOKUP_KEYS_MAX 8192

void hydrator_open(struct pipeline *pipeline)
{
    if (pipeline->options.hydrate < 0)
        return;
    for (unsigned i = 0; i < LOOKUPS_MAX; i++)
        pipeline->hydrator.asked[i].pendings =
            memory_reserve(LOOKUP_KEYS_MAX * sizeof(struct pending *), "lookup keys");
}

void hydrator_queue(struct pipeline *pipeline, struct pending *pending)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    pending->hydrate = HYDRATE_QUEUED;
    pending->hydrate_next = NULL;
    if (hydrator->tail != NULL)
        hydrator->tail->hydrate_next = pending;
    else
        hydrator->head = pending;
    hydrator->tail = pending;
}

static struct pending *queue_pop(struct hydrator *hydrator)
{
    struct pending *pending = hydrator->head;
    hydrator->head = pending->hydrate_next;
    if (hydrator->head == NULL)
        hydrator->tail = NULL;
    return pending;
}

/* ---- asking ---- */

static unsigned ask(struct pipeline *pipeline)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    struct sink_port *port = pipeline->outlets[pipeline->options.hydrate].port;
    unsigned asked = 0;
    for (unsigned i = 0; i < LOOKUPS_MAX && hydrator->head != NULL; i++) {
        if (hydrator->asked[i].lookup != NULL)
            continue;
        struct sink_lookup *lookup = port->ops->lookup_begin(port);
        if (lookup == NULL)
            break;
        uint32_t n = 0;
        while (hydrator->head != NULL && n < LOOKUP_KEYS_MAX &&
               port->ops->lookup_add(port, lookup, entity_key(hydrator->head->entity))) {
            struct pending *pending = queue_pop(hydrator);
            pending->hydrate = HYDRATE_ASKED;
            hydrator->asked[i].pendings[n++] = pending;
        }
        ASSERT(n > 0); /* an empty lookup takes any key */
        hydrator->asked[i].lookup = lookup;
        hydrator->n_asked++;
        hydrator->asked[i].n = n;
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

/* Joins what was read back; false: the store has no room now (what was joined already does no harm
 * twice). */
static bool join_states(struct pipeline *pipeline, struct entity *entity,
                        const struct lookup_item *item)
{
    for (unsigned i = 0; i < item->n_states; i++) {
        const struct document_state *state = &item->states[i];
        if (!images_agree(pipeline, state))
            return false;
        store_join_residual(entity, state->residual);
        for (unsigned c = 0; c < state->n_changes; c++)
            if (store_apply(pipeline->store, entity, &state->changes[c]) == MERGE_FULL) {
                counter_add(&pipeline->counters.store_full, 1);
                return false;
            }
    }
    return true;
}

static bool any_flying(const struct pipeline *pipeline, const struct pending *pending)
{
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        if (pending->sinks[sink].state == PENDING_FLYING)
            return true;
    return false;
}

/* The sink's state can't be read: nothing may be written over it, so the document is buried and
 * forgotten. */
static bool land_broken(struct pipeline *pipeline, struct pending *pending,
                        const struct lookup_item *item)
{
    struct entity *entity = pending->entity;
    if (any_flying(pipeline, pending)) {
        hydrator_queue(pipeline, pending); /* its write under way must land first */
        return true;
    }
    counter_add(&pipeline->counters.lookup_broken, 1);
    const char *sink = pipeline->outlets[pipeline->options.hydrate].name;
    if (!pipeline_bury(pipeline, pending, REASON_STATE, item->reason, sink))
        return false;
    pendings_bury(pipeline->pendings, pending);
    store_drop(pipeline->store, entity);
    return true;
}

static bool land_one(struct pipeline *pipeline, struct pending *pending,
                     const struct lookup_item *item, uint32_t epoch, uint64_t now_us)
{
    struct pending_sink *at = &pending->sinks[pipeline->options.hydrate];
    switch (item->found) {
    case LOOKUP_BROKEN:
        return land_broken(pipeline, pending, item);
    case LOOKUP_ABSENT:
        counter_add(&pipeline->counters.lookup_absent, 1);
        break;
    case LOOKUP_FOUND:
        if (!join_states(pipeline, pending->entity, item))
            return false;
        counter_add(item->n_states > 0 ? &pipeline->counters.lookup_found
                                       : &pipeline->counters.lookup_foreign,
                    1);
        break;
    }
    /* A document that weir did not write may carry any version: ours counts only against ours. */
    if (item->n_states > 0 && item->version > at->acked)
        at->acked = item->version;
    pending->entity->epoch = epoch;
    if (pending->epoch > epoch) {
        hydrator_queue(pipeline, pending); /* a partition was assigned anew since it was asked */
        return true;
    }
    pending->hydrate = HYDRATE_NOT;
    (void)pendings_settle(pipeline->pendings, pending, now_us);
    return true;
}

static void ask_again(struct pipeline *pipeline, unsigned slot, uint64_t now_us)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    for (uint32_t i = 0; i < hydrator->asked[slot].n; i++)
        hydrator_queue(pipeline, hydrator->asked[slot].pendings[i]);
    hydrator->retry_us = now_us + backoff_us(pipeline->options.env, hydrator->attempts++);
    uint64_t more;
    if (log_limit_pass(&hydrator->log_down, now_us, &more))
        log_line(LOG_WARN, pipeline->options.task,
                 "sink %s gave no answer to a read of %u states: trying again in "
                 "%" PRIu64 " ms (attempt %u)",
                 pipeline->outlets[pipeline->options.hydrate].name, hydrator->asked[slot].n,
                 (hydrator->retry_us - now_us) / 1000, hydrator->attempts);
}

/* Goes on with the answer that is being merged; true when it is through. */
static bool land(struct pipeline *pipeline, uint64_t now_us)
{
    struct hydrator *hydrator = &pipeline->hydrator;
    struct sink_port *port = pipeline->outlets[pipeline->options.hydrate].port;
    unsigned slot = 0;
    while (hydrator->asked[slot].lookup != hydrator->landing)
        slot++;
    ASSERT(slot < LOOKUPS_MAX && hydrator->landing->n == hydrator->asked[slot].n);

    if (hydrator->landing->failed_whole) {
        ask_again(pipeline, slot, now_us);
    } else {
        hydrator->attempts = 0;
        for (; hydrator->landing_at < hydrator->landing->n; hydrator->landing_at++)
            if (!land_one(pipeline, hydrator->asked[slot].pendings[hydrator->landing_at],
                          &hydrator->landing->items[hydrator->landing_at],
                          hydrator->asked[slot].epoch, now_us))
                return false;
    }
    port->ops->lookup_recycle(port, hydrator->landing);
    hydrator->asked[slot].lookup = NULL;
    hydrator->n_asked--;
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
    struct sink_port *port = pipeline->outlets[pipeline->options.hydrate].port;
    for (;;) {
        if (hydrator->landing == NULL && (hydrator->landing = port->ops->lookup_reap(port)) == NULL)
            break;
        done++;
        if (!land(pipeline, now_us))
            return done;
    }
    if (now_us >= hydrator->retry_us)
        done += ask(pipeline);
    return done;
}
