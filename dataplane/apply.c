/*
 * apply.c: frames into the store: each change is merged, and what it leaves behind somewhere
 * becomes pending.
 *
 * A change is taken whole or not at all: before it is merged there must be room for a pending
 * record and its holds, and the store must take the row. Where there is no room the stage stops in
 * mid-frame and goes on at the next step; the frame is not released, its shard runs out of frames,
 * its source is polled no more.
 *
 * Three cheap passes over a frame ask the cache for buckets and entities before they are needed:
 * with millions of entities each of these is a cache miss, and 256 of them overlap.
 */
#include "dataplane/pipeline.h"

#include "dataplane/base/memory.h"

#include <inttypes.h>

#define TELL_FULL_US 5000000

void apply_two_partitions(struct pipeline *pipeline, struct slice key, int32_t was, int32_t is,
                          uint64_t now_us)
{
    counter_add(&pipeline->counters.two_partitions, 1);
    uint64_t more;
    if (log_limit_pass(&pipeline->log_two_partitions, now_us, &more))
        log_line(LOG_ALERT, pipeline->options.task,
                 "document %.*s came by partitions %d and %d, but the config says "
                 "partitioned_by_key: true; with several nodes such documents can lose rows: "
                 "partition the log by the "
                 "key, or set it to false and run one node (%" PRIu64
                 " more since the last such line)",
                 (int)key.len, key.data, was, is, more);
}

/* Rows in documents of a log declared partitioned by key must come by one partition number (R7). */
static void watch_partition(struct pipeline *pipeline, struct entity *entity,
                            const struct change *change, uint64_t now_us)
{
    const struct task_partitions *partitions = pipeline->options.partitions;
    uint16_t before = entity->partition;
    entity->partition = change->partition;
    if (!pipeline->options.by_key || before == UINT16_MAX || before == change->partition)
        return;
    int32_t was = partitions_number(partitions, before),
            is = partitions_number(partitions, change->partition);
    if (was != is)
        apply_two_partitions(pipeline, entity_key(entity), was, is, now_us);
}

void apply_late(struct pipeline *pipeline, struct slice key, unsigned n, uint64_t now_us)
{
    counter_add(&pipeline->counters.late, n);
    uint64_t more;
    if (log_limit_pass(&pipeline->log_late, now_us, &more))
        log_line(LOG_ALERT, pipeline->options.task,
                 "document %.*s: a row came that is older than tombstone_retention before the "
                 "document's newest: if it was deleted since, it is back; see that the document is "
                 "right, and set tombstone_retention to at least what the log keeps (%" PRIu64
                 " more since the last such line)",
                 (int)key.len, key.data, more);
}

/* Could the row that just came have been deleted, and its tombstone been purged? While nothing was
 * purged of the document there is nothing to ask. */
static void watch_late(struct pipeline *pipeline, const struct entity *entity,
                       const struct change *change, enum merge_verdict verdict, uint64_t now_us)
{
    if (verdict != MERGE_INSERT || entity->residual == 0 ||
        change->table == pipeline->options.plan->root)
        return;
    struct document document = store_document(entity);
    if (change->seqno < document_horizon(pipeline->options.plan, &document))
        apply_late(pipeline, change->key, 1, now_us);
}

static void count_verdict(struct pipeline *pipeline, const struct change *change,
                          enum merge_verdict verdict)
{
    struct table_counters *table = &pipeline->tables[change->table];
    switch (verdict) {
    case MERGE_INSERT:
    case MERGE_UPDATE:
    case MERGE_DELETE:
        counter_add(&pipeline->counters.applied, 1);
        counter_add(&table->applied, 1);
        break;
    case MERGE_STALE:
        counter_add(&pipeline->counters.stale, 1);
        counter_add(&table->stale, 1);
        break;
    case MERGE_REJECT:
        counter_add(&pipeline->counters.overflowed, 1);
        counter_add(&table->dead, 1);
        break;
    case MERGE_FULL:
        break;
    }
}

/* The document would pass the greatest version: the row, as JSON, goes to the dead letters. */
static bool bury_overflow(struct pipeline *pipeline, const struct change *change)
{
    const struct plan_table *table = &pipeline->options.plan->tables[change->table];
    struct buf *out = &pipeline->scratch;
    buf_reset(out);
    buf_put_literal(out, "{\"table\":");
    buf_put_json_string(out, table->name);
    buf_put_literal(out, ",\"row_id\":");
    buf_put_json_string(out, change->row_id);
    buf_put_literal(out, ",\"seqno\":");
    buf_put_u64(out, change->seqno);
    buf_put_literal(out, ",\"row\":{");
    for (uint32_t i = 0; i < change->n_fields; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        buf_put_slice(out, columns_label(table->columns, change->fields[i].column));
        buf_put_slice(out, change->fields[i].value);
    }
    buf_put_literal(out, "}}");
    struct dead_letter letter = {
        .reason = REASON_VERSION,
        .detail = SLICE("the version would pass 2^63 - 1"),
        .topic = partitions_topic(pipeline->options.partitions, change->partition),
        .partition = partitions_number(pipeline->options.partitions, change->partition),
        .offset = change->offset,
        .document_key = change->key,
        .payload = buf_slice(out),
    };
    return pipeline_letter(pipeline, &letter);
}

/* R3's shortcut: no sink knows an entity that the store does not. */
static bool knows_all(const struct pipeline *pipeline)
{
    return __atomic_load_n(pipeline->options.knows_all, __ATOMIC_RELAXED) &&
           store_is_whole(pipeline->store);
}

/* Must the entity's state be read back before it is written with this change (R3, R4)? */
static bool must_read_back(const struct pipeline *pipeline, const struct entity *entity,
                           const struct change *change)
{
    return entity->epoch < change->epoch && pipeline->options.hydrate >= 0 && !knows_all(pipeline);
}

/* The change's entity, made where there is none; NULL: the store is full. One that rests and must
 * be read back is forgotten first: the sinks have all of it, and whoever had its partition
 * meanwhile may have deleted rows of it, and purged that (R6). */
static struct entity *find_entity(struct pipeline *pipeline, const struct change *change)
{
    struct entity *entity = store_find(pipeline->store, change->hash, change->key);
    if (entity != NULL && entity->pending == NULL && entity->rows != NULL &&
        must_read_back(pipeline, entity, change)) {
        store_drop(pipeline->store, entity);
        entity = NULL;
    }
    return entity != NULL ? entity : store_add(pipeline->store, change->hash, change->key);
}

/* After the merge: does some sink lack this, must the state be read back first? */
static void make_pending(struct pipeline *pipeline, struct entity *entity,
                         const struct change *change, uint64_t known_version, bool changed,
                         uint64_t now_us)
{
    const struct pipeline_options *options = &pipeline->options;
    bool read_back = must_read_back(pipeline, entity, change);
    if (!read_back && entity->epoch < change->epoch)
        entity->epoch = __atomic_load_n(options->epoch, __ATOMIC_RELAXED);
    struct pending *pending = entity->pending;
    if (pending == NULL) {
        if (!changed && !read_back)
            return;
        pending = pendings_take(pipeline->pendings, entity, known_version);
    } else if (changed) {
        counter_add(&pipeline->counters.coalesced, 1);
    }
    if (read_back && pending->wanted < change->epoch)
        hydrator_want_all(pipeline, pending, change->epoch);
    if (pending->waiting_bytes > 0)
        hydrator_weigh(pipeline, pending);
    bool held =
        __atomic_load_n(&options->epochs[change->partition], __ATOMIC_RELAXED) == change->epoch;
    pendings_touch(pipeline->pendings, pending, change, now_us, held);
}

/* The sink that most documents wait for. */
static unsigned furthest_behind(const struct pipeline *pipeline)
{
    unsigned furthest = 0;
    for (unsigned sink = 1; sink < pipeline->options.n_outlets; sink++)
        if (pendings_behind(pipeline->pendings, sink) >
            pendings_behind(pipeline->pendings, furthest))
            furthest = sink;
    return furthest;
}

/* Nothing could be merged for a while: who is behind, and what helps. */
static void tell_full(struct pipeline *pipeline, bool store, uint64_t now_us)
{
    unsigned sink = furthest_behind(pipeline);
    const struct outlet *outlet = &pipeline->outlets[sink];
    uint32_t behind = pendings_behind(pipeline->pendings, sink);
    uint64_t since_us = outlet->failing_since_us, more;
    enum log_level level = store ? LOG_ALERT : LOG_WARN;
    const char *what = store ? "the store is full" : "as many documents wait as may";
    if (!log_limit_pass(&pipeline->log_full, now_us, &more))
        return;
    pipeline->log_full.next_us = now_us + 10000000; /* it lasts: not each second */
    if (since_us != 0 && since_us <= now_us)
        log_line(
            level, pipeline->options.task,
            "%s: reading is paused: sink %s is behind by %u documents and has taken nothing for "
            "%" PRIu64 " s: see to that server; reading goes on by itself when it is back",
            what, outlet->name, behind, (now_us - since_us) / 1000000);
    else
        log_line(level, pipeline->options.task,
                 "%s: reading is paused: sink %s is behind by %u documents: if it does take them, "
                 "give node.memory more; else see why that server is slow",
                 what, outlet->name, behind);
}

/* No room. What can be evicted, and sinks that take something, make room in a moment; that is worth
 * a line only when nothing was merged for a while. */
static void wait_for_room(struct pipeline *pipeline, bool store, uint64_t now_us)
{
    bool stuck = store && (store_is_stuck(pipeline->store) || hydrator_is_full(pipeline));
    if (pipeline->full_since_us == 0)
        pipeline->full_since_us = now_us;
    if (stuck)
        counter_add(&pipeline->counters.store_full, 1);
    if (now_us - pipeline->full_since_us >= TELL_FULL_US)
        tell_full(pipeline, stuck, now_us);
}

/* False: there is no room now; nothing was changed. */
static bool apply(struct pipeline *pipeline, const struct change *change, uint64_t now_us)
{
    bool pendings_left = pendings_room(pipeline->pendings);
    if (!pendings_left || !store_has_room(pipeline->store) || hydrator_is_full(pipeline)) {
        wait_for_room(pipeline, pendings_left, now_us);
        return false;
    }
    struct entity *entity = find_entity(pipeline, change);
    uint64_t known_version = entity != NULL && entity->epoch != 0 ? entity->version : 0;
    enum merge_verdict verdict =
        entity != NULL ? store_apply(pipeline->store, entity, change, 0) : MERGE_FULL;
    if (verdict == MERGE_FULL) {
        wait_for_room(pipeline, true, now_us);
        return false;
    }
    pipeline->full_since_us = 0;
    count_verdict(pipeline, change, verdict);
    if (verdict == MERGE_REJECT)
        return bury_overflow(pipeline, change);
    watch_partition(pipeline, entity, change, now_us);
    watch_late(pipeline, entity, change, verdict, now_us);
    make_pending(pipeline, entity, change, known_version, verdict != MERGE_STALE, now_us);
    return true;
}

/* Merges what this shard owns of the inbox's frame; true when it is through. */
static bool apply_frame(struct pipeline *pipeline, struct inbox *inbox, uint64_t now_us)
{
    const struct frame *frame = inbox->frame;
    unsigned end = frame->start[pipeline->options.shard + 1];
    for (unsigned i = inbox->at; i < end; i++)
        store_prefetch_bucket(pipeline->store, frame->changes[frame->order[i]].hash);
    for (unsigned i = inbox->at; i < end; i++)
        store_prefetch_entity(pipeline->store, frame->changes[frame->order[i]].hash);
    for (; inbox->at < end; inbox->at++)
        if (!apply(pipeline, &frame->changes[frame->order[inbox->at]], now_us))
            return false;
    return true;
}

static void mark_stalled(struct pipeline *pipeline, bool stalled, uint64_t now_us)
{
    if (pipeline->stalled)
        counter_add(&pipeline->counters.stalled_us, now_us - pipeline->stalled_since_us);
    pipeline->stalled = stalled;
    pipeline->stalled_since_us = now_us;
}

unsigned apply_step(struct pipeline *pipeline, uint64_t now_us)
{
    unsigned done = 0;
    bool stalled = false;
    for (unsigned s = 0; s < pipeline->options.n_shards && !stalled && !pipeline->failed; s++) {
        struct inbox *inbox = &pipeline->inboxes[s];
        for (;;) {
            if (inbox->frame == NULL) {
                void *frame;
                if (!ck_ring_dequeue_spsc(&inbox->ring, inbox->buffer, &frame))
                    break;
                inbox->frame = frame;
                ASSERT(__atomic_load_n(&inbox->frame->shards_left, __ATOMIC_ACQUIRE) > 0);
                inbox->at = inbox->frame->start[pipeline->options.shard];
            }
            unsigned from = inbox->at;
            stalled = !apply_frame(pipeline, inbox, now_us);
            done += inbox->at - from;
            if (stalled)
                break;
            struct frame *frame = inbox->frame;
            inbox->frame = NULL;
            counter_set(&pipeline->n_pending,
                        pendings_count(pipeline->pendings)); /* before the frame counts as done */
            if (__atomic_sub_fetch(&frame->shards_left, 1, __ATOMIC_ACQ_REL) == 0 &&
                s != pipeline->options.shard)
                env_wake(pipeline->peers[s]->options.env);
        }
    }
    mark_stalled(pipeline, stalled, now_us);
    return done;
}
