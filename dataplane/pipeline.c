/*
 * pipeline.c: see pipeline.h: the parts put together, and what they share: the dead letters and the
 * end of a task.
 *
 * The order of a step is the order of the picture, sinks first: what was acknowledged frees room
 * for what is merged next, and what was merged frees frames for what is read next. A step never
 * waits; it returns how much it did.
 */
#include "dataplane/pipeline.h"

#include "dataplane/base/memory.h"

#define DOCUMENT_BYTES_MAX (256u << 20)

/* All frames of one shard fit its inbox on another; a ring of n slots, a power of two, holds n - 1.
 */
#define INBOX_SLOTS 16
_Static_assert(INBOX_SLOTS > FRAMES && (INBOX_SLOTS & (INBOX_SLOTS - 1)) == 0, "inbox ring");

struct pipeline *pipeline_open(const struct pipeline_options *options)
{
    struct pipeline *pipeline = memory_reserve(sizeof(*pipeline), "pipeline");
    unsigned n_outlets = options->n_outlets;
    uint8_t deltas = 0;
    ASSERT(n_outlets > 0 && n_outlets <= SINKS_MAX && options->n_shards <= SHARDS_MAX);
    pipeline->options = *options;
    pipeline->store = store_open(options->plan, options->store_bytes);
    pipeline->watermark = watermark_open(n_outlets, 2 * options->pending_max * n_outlets);
    pipeline->pendings =
        pendings_open(n_outlets, options->hydrate, options->pending_max, pipeline->watermark);
    pipeline->tables =
        memory_reserve(sizeof(*pipeline->tables) * PLAN_TABLES_MAX, "table counters");
    pipeline->sweep_partition = PARTITION_NONE;
    buf_open(&pipeline->scratch, DOCUMENT_BYTES_MAX, "letters");
    intake_open(pipeline);
    hydrator_open(pipeline);
    for (unsigned sink = 0; sink < n_outlets; sink++) {
        outlet_open(pipeline, sink);
        if (options->outlets[sink].port->deltas)
            deltas |= sink_bit(sink);
    }
    store_track(pipeline->store, deltas);

    pipeline->inboxes = memory_reserve(sizeof(*pipeline->inboxes) * options->n_shards, "inboxes");
    for (unsigned s = 0; s < options->n_shards; s++) {
        pipeline->inboxes[s].buffer =
            memory_reserve(sizeof(ck_ring_buffer_t) * INBOX_SLOTS, "inbox ring");
        ck_ring_init(&pipeline->inboxes[s].ring, INBOX_SLOTS);
    }
    return pipeline;
}

void pipeline_join(struct pipeline *pipeline, struct pipeline **peers)
{
    pipeline->peers = peers;
}

static unsigned sweep_step(struct pipeline *pipeline)
{
    if (pipeline->sweep_partition == PARTITION_NONE)
        return 0;
    if (store_sweep(pipeline->store, pipeline->sweep_partition, &pipeline->sweep_place))
        pipeline->sweep_partition = PARTITION_NONE;
    return 1;
}

/* What control watches to know when all is done. `source_ended` is set only after the port had
 * nothing more and all that came of it was merged everywhere, and stays set; so once it is set on
 * all shards, `n_pending` only falls. */
static void publish(struct pipeline *pipeline)
{
    struct source_port *source = pipeline->options.source;
    bool quiet = intake_idle(pipeline);
    counter_set(&pipeline->n_pending, pendings_count(pipeline->pendings));
    __atomic_store_n(&pipeline->quiet, quiet, __ATOMIC_RELEASE);
    if (quiet && pipeline->source_ended == 0 && !pipeline->paused && source->ops->ended(source))
        __atomic_store_n(&pipeline->source_ended, 1, __ATOMIC_RELEASE);
}

unsigned pipeline_step(struct pipeline *pipeline, uint64_t now_us)
{
    unsigned done = 0;
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        done += outlet_reap(pipeline, sink, now_us);
    done += hydrator_step(pipeline, now_us);
    done += apply_step(pipeline, now_us);
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++)
        done += outlet_flush(pipeline, sink, now_us);
    done += intake_release(pipeline, now_us);
    done += intake_step(pipeline, now_us);
    done += sweep_step(pipeline);
    done += store_evict(pipeline->store, &pipeline->counters.evicted);
    store_reclaim(pipeline->store);
    publish(pipeline);
    return done;
}

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
    if (a_us == 0 || b_us == 0)
        return a_us | b_us;
    return a_us < b_us ? a_us : b_us;
}

/* What waits for an answer is not due: the answer wakes us. */
static uint64_t outlet_due_us(const struct pipeline *pipeline, unsigned sink)
{
    const struct outlet *outlet = &pipeline->outlets[sink];
    struct pending_load load = pendings_load(pipeline->pendings, sink);
    if (load.ready == 0 || outlet->n_flying == outlet->limits.in_flight || outlet->fenced)
        return outlet->wake_us;
    uint64_t full_us = load.since_us + outlet->linger_us;
    return earlier(outlet->wake_us, full_us > outlet->resume_us ? full_us : outlet->resume_us);
}

uint64_t pipeline_due_us(const struct pipeline *pipeline)
{
    uint64_t due_us = 0;
    const struct hydrator *hydrator = &pipeline->hydrator;
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++) {
        due_us = earlier(due_us, outlet_due_us(pipeline, sink));
        if (hydrator->queues[sink].head != NULL && hydrator->queues[sink].n_asked == 0)
            due_us = earlier(due_us, hydrator->queues[sink].retry_us);
    }
    return due_us;
}

void pipeline_fail(struct pipeline *pipeline, const struct err *err)
{
    if (pipeline->failed)
        return;
    pipeline->failure = *err;
    __atomic_store_n(&pipeline->failed, 1, __ATOMIC_RELEASE);
}

void pipeline_rested(struct pipeline *pipeline, struct entity *entity)
{
    if (entity->pending == NULL && entity->epoch != 0) /* 0: what the sinks have is not known */
        store_fold(pipeline->store, entity);
}

/* ---- dead letters ---- */

bool pipeline_letter(struct pipeline *pipeline, struct dead_letter *letter)
{
    struct err err;
    letter->wall_us = env_wall_us(pipeline->options.env);
    if (pipeline->options.letters->ops->put(pipeline->options.letters, letter, &err) != 0) {
        pipeline_fail(pipeline, &err);
        return false;
    }
    counter_add(&pipeline->counters.letters, 1);
    return true;
}

/* The earliest offset that any sink holds for this document: where a reader of the letter can find
 * its event. */
static const struct hold *first_hold(const struct pipeline *pipeline, const struct pending *pending)
{
    const struct hold *first = NULL;
    for (unsigned sink = 0; sink < pipeline->options.n_outlets; sink++) {
        const struct hold *chains[] = { pending->sinks[sink].holds,
                                        pending->sinks[sink].flying_holds };
        for (unsigned i = 0; i < 2; i++)
            for (const struct hold *hold = chains[i]; hold != NULL; hold = hold->sibling)
                if (first == NULL || hold->offset < first->offset)
                    first = hold;
    }
    return first;
}

bool pipeline_bury(struct pipeline *pipeline, const struct pending *pending, enum reason reason,
                   struct slice detail, const char *sink)
{
    struct document document = store_document(pending->entity);
    const struct hold *hold = first_hold(pipeline, pending);
    struct task_partitions *partitions = pipeline->options.partitions;
    buf_reset(&pipeline->scratch);
    document_render(pipeline->options.plan, &document, false, &pipeline->scratch);
    struct dead_letter letter = {
        .reason = reason,
        .detail = detail,
        .topic = hold != NULL ? partitions_topic(partitions, hold->partition) : "",
        .partition = hold != NULL ? partitions_number(partitions, hold->partition) : -1,
        .offset = hold != NULL ? hold->offset : -1,
        .document_key = document.key,
        .payload = buf_slice(&pipeline->scratch),
        .sink = sink,
    };
    return pipeline_letter(pipeline, &letter);
}

uint64_t backoff_us(struct env *env, unsigned attempts)
{
    uint64_t delay_us = UINT64_C(100000) << (attempts < 9 ? attempts : 9);
    if (delay_us > 10000000)
        delay_us = 10000000;
    return delay_us / 2 + env_random(env) % (delay_us / 2 + 1);
}
