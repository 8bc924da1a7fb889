/*
 * intake.c: from the source's port to frames: poll, decode, number, reject, hand over, release.
 *
 *     port.poll ─► records ─► decoder ─► frame ─► rings of the shards that own its keys
 *                     ▲                     │ all shards have merged it
 *                     └──── port.release ◄──┘ oldest first: this is what moves `done_offset`
 *
 * Back-pressure is the number of frames: while none is free nothing is polled, the source's own
 * prefetch fills and it stops fetching. A message with more rows than a frame has room for goes on
 * in the next one; a record belongs to the frame that holds its last change.
 *
 * A rejected message goes to the dead letters here, before the frame that carries its record is
 * handed over, so that its offset can only be committed after its letter.
 */
#include "dataplane/pipeline.h"

#include "dataplane/base/memory.h"

#include <inttypes.h>
#include <stdio.h>

void intake_open(struct pipeline *pipeline)
{
    struct intake *intake = &pipeline->intake;
    const struct pipeline_options *options = &pipeline->options;
    struct decoder_options decoder = { .plan = options->plan,
                                       .seqno_field = options->seqno_field,
                                       .event_bytes_max = options->event_bytes_max };
    intake->decoder = options->format->open(&decoder);
    intake->readings = memory_reserve(sizeof(*intake->readings) * PARTITIONS_MAX, "partitions");
    intake->frames = memory_reserve(sizeof(*intake->frames) * FRAMES, "frames");
    for (unsigned i = 0; i < FRAMES; i++) {
        arena_open(&intake->frames[i].arena, 2 * options->event_bytes_max + (16u << 20),
                   "frame arena");
        intake->frames[i].next = intake->free_frames;
        intake->free_frames = &intake->frames[i];
    }
}

/* ---- partitions ---- */

void intake_attach(struct pipeline *pipeline, uint16_t partition, int64_t offset, uint64_t clock,
                   void *handle)
{
    struct reading *reading = &pipeline->intake.readings[partition];
    ASSERT(!reading->attached);
    *reading = (struct reading){
        .attached = true,
        .epoch = __atomic_load_n(&pipeline->options.epochs[partition], __ATOMIC_RELAXED),
        .clock = { clock },
        .done_offset = offset,
        .done_clock = clock,
        .read_offset = offset,
        .first_offset = offset,
        .first_clock = clock,
    };
    if (handle != NULL)
        pipeline->options.source->ops->attach(pipeline->options.source, partition, handle);
}

void intake_detach(struct pipeline *pipeline, uint16_t partition)
{
    struct reading *reading = &pipeline->intake.readings[partition];
    if (!reading->attached)
        return;
    pipeline->options.source->ops->detach(pipeline->options.source, partition);
    reading->attached = false;
}

/* A source that finds its partitions while it reads (files) attaches them by their first record. */
static struct reading *reading_of(struct pipeline *pipeline, const struct record *record)
{
    struct reading *reading = &pipeline->intake.readings[record->partition];
    if (!reading->attached && reading->epoch == 0)
        intake_attach(pipeline, record->partition, record->offset, SEQNO_EPOCH, NULL);
    return reading;
}

/* The log stepped back: the same numbers must be given again, so the clock steps back too, if it is
 * remembered. */
static void clock_rewind(struct pipeline *pipeline, struct reading *reading, int64_t offset)
{
    for (unsigned i = 0; i < CLOCK_HISTORY && i < reading->n_history; i++) {
        unsigned at = (reading->n_history - 1 - i) % CLOCK_HISTORY;
        if (reading->history[at].offset == offset) {
            reading->clock.seqno = reading->history[at].clock;
            return;
        }
    }
    if (offset == reading->first_offset) {
        reading->clock.seqno = reading->first_clock;
    } else { /* then by the capture time alone, as most numbers are */
        counter_add(&pipeline->counters.clock_unknown, 1);
        reading->clock.seqno = SEQNO_EPOCH;
    }
}

static void clock_remember(struct reading *reading, int64_t offset)
{
    unsigned at = reading->n_history++ % CLOCK_HISTORY;
    reading->history[at].offset = offset;
    reading->history[at].clock = reading->clock.seqno;
}

/* ---- one record ---- */

static void count_event(struct pipeline *pipeline, const struct decode_job *job)
{
    struct counters *counters = &pipeline->counters;
    switch (job->kind) {
    case EVENT_ROWS:
        counter_add(&counters->events_rows, 1);
        break;
    case EVENT_DDL:
        counter_add(&counters->events_ddl, 1);
        break;
    case EVENT_TRUNCATE:
        counter_add(&counters->events_truncate, 1);
        break;
    case EVENT_TOMBSTONE:
        counter_add(&counters->events_tombstone, 1);
        break;
    case EVENT_OTHER:
        counter_add(&counters->events_other, 1);
        break;
    case EVENT_REJECTED:
        counter_add(&counters->events_rejected, 1);
        break;
    }
    counter_add(&counters->event_bytes, job->record->payload.len);
}

static void log_event(struct pipeline *pipeline, const struct decode_job *job, uint64_t now_us)
{
    const struct record *record = job->record;
    const char *topic = partitions_topic(pipeline->options.partitions, record->partition);
    int32_t number = partitions_number(pipeline->options.partitions, record->partition);
    uint64_t more;
    if (job->kind == EVENT_TRUNCATE)
        log_line(LOG_ALERT, pipeline->options.task,
                 "%s[%d]@%" PRId64
                 ": %s: a TRUNCATE has no row events, documents keep these rows until they are "
                 "compared with the database",
                 topic, number, record->offset, job->detail);
    else if (job->kind == EVENT_DDL && log_limit_pass(&pipeline->intake.log_ddl, now_us, &more))
        log_line(LOG_INFO, pipeline->options.task, "%s[%d]@%" PRId64 ": schema change: %s", topic,
                 number, record->offset, job->detail);
}

/* The message, or rows of it, went wrong: one letter with its bytes. False: it could not be
 * written. */
static bool reject(struct pipeline *pipeline, const struct decode_job *job, uint64_t now_us)
{
    const struct record *record = job->record;
    struct header headers[32];
    unsigned n_headers = 0;
    if (pipeline->options.source->ops->headers != NULL)
        n_headers =
            pipeline->options.source->ops->headers(pipeline->options.source, record, headers, 32);
    struct dead_letter letter = {
        .reason = job->reason,
        .detail = slice_of(job->detail),
        .topic = partitions_topic(pipeline->options.partitions, record->partition),
        .partition = partitions_number(pipeline->options.partitions, record->partition),
        .offset = record->offset,
        .key = record->key,
        .payload = record->payload,
        .n_headers = n_headers < 32 ? n_headers : 32,
        .headers = headers,
    };
    if (!pipeline_letter(pipeline, &letter))
        return false;
    uint64_t more;
    if (log_limit_pass(&pipeline->intake.log_reject, now_us, &more))
        log_line(LOG_WARN, pipeline->options.task,
                 "%s[%d]@%" PRId64 ": to the dead letters: %s: %s (%" PRIu64
                 " more since the last such line)",
                 letter.topic, letter.partition, record->offset, reason_label(job->reason),
                 job->detail, more);
    return true;
}

static void record_begin(struct pipeline *pipeline, uint64_t now_us)
{
    struct intake *intake = &pipeline->intake;
    const struct record *record = &intake->polled[intake->next_polled];
    struct reading *reading = reading_of(pipeline, record);

    intake->at = (struct frame_record){ .record = *record,
                                        .epoch = intake->polled_epoch[intake->next_polled],
                                        .clock_after = reading->clock.seqno,
                                        .read_us = intake->polled_us };
    intake->next_polled++;
    intake->job = (struct decode_job){ .record = &intake->at.record,
                                       .clock = &intake->clock,
                                       .wall_us = env_wall_us(pipeline->options.env),
                                       .skew_max_us = pipeline->options.skew_max_us,
                                       .kind = EVENT_OTHER };
    intake->decoding = intake->decoded = false;
    if (record->kind == RECORD_POSITION || intake->at.epoch != reading->epoch)
        return;

    if (record->rewind)
        clock_rewind(pipeline, reading, record->offset);
    clock_remember(reading, record->offset);
    intake->clock = reading->clock;
    intake->decoded = true;
    intake->decoder->ops->begin(intake->decoder, &intake->job);
    intake->decoding = intake->job.kind == EVENT_ROWS;
    count_event(pipeline, &intake->job);
    log_event(pipeline, &intake->job, now_us);
}

/* The message is decoded to its end: its counts, its letter, its place in the frame. */
static bool record_end(struct pipeline *pipeline, struct frame *frame, uint64_t now_us)
{
    struct intake *intake = &pipeline->intake;
    const struct decode_job *job = &intake->job;
    uint64_t more;
    counter_add(&pipeline->counters.changes_in, job->rows);
    counter_add(&pipeline->counters.changes_unmapped, job->unmapped);
    counter_add(&pipeline->counters.changes_rejected, job->rejected);
    counter_add(&pipeline->counters.clock_clamped, job->clamped);
    if (job->clamped > 0 && log_limit_pass(&intake->log_clamp, now_us, &more))
        log_line(LOG_ALERT, pipeline->options.task,
                 "%s[%d]@%" PRId64 ": the capture time is too far ahead of this "
                 "node's clock and was cut: check the clocks of the capturing host and of this one",
                 partitions_topic(pipeline->options.partitions, job->record->partition),
                 partitions_number(pipeline->options.partitions, job->record->partition),
                 job->record->offset);
    if ((job->kind == EVENT_REJECTED || job->rejected > 0) && !reject(pipeline, job, now_us))
        return false;
    struct reading *reading = &intake->readings[intake->at.record.partition];
    if (intake->decoded && reading->epoch == intake->at.epoch) {
        reading->clock = intake->clock;
        intake->at.clock_after = intake->clock.seqno;
    }
    frame->records[frame->n_records++] = intake->at;
    intake->job.record = NULL;
    return true;
}

/* ---- frames ---- */

static bool poll_records(struct pipeline *pipeline, uint64_t now_us)
{
    struct intake *intake = &pipeline->intake;
    struct source_port *port = pipeline->options.source;
    struct err err;
    if (pipeline->paused)
        return false;
    int n = port->ops->poll(port, intake->polled, FRAME_CHANGES_MAX, &err);
    if (n < 0) {
        pipeline_fail(pipeline, &err);
        return false;
    }
    intake->n_polled = (unsigned)n;
    intake->next_polled = 0;
    intake->polled_us = now_us;
    for (int i = 0; i < n; i++) {
        struct reading *reading = reading_of(pipeline, &intake->polled[i]);
        intake->polled_epoch[i] = reading->epoch;
        reading->read_offset =
            intake->polled[i].offset + (intake->polled[i].kind != RECORD_POSITION);
    }
    return n > 0;
}

/* Decodes until the frame is full or nothing is left to read now. False: the pipeline failed. */
static bool fill(struct pipeline *pipeline, struct frame *frame, uint64_t now_us)
{
    struct intake *intake = &pipeline->intake;
    while (frame->n_records < FRAME_CHANGES_MAX) {
        if (intake->job.record == NULL) {
            if (intake->next_polled == intake->n_polled && !poll_records(pipeline, now_us))
                return !pipeline->failed;
            record_begin(pipeline, now_us);
        }
        if (intake->decoding) {
            unsigned from = frame->n;
            intake->decoding = !intake->decoder->ops->rows(intake->decoder, &intake->job, frame);
            for (unsigned i = from; i < frame->n; i++)
                frame->changes[i].epoch = intake->at.epoch;
            if (intake->decoding)
                return true;
        }
        if (!record_end(pipeline, frame, now_us))
            return false;
        if (frame->arena.used >= memory_keep_bytes() / 2)
            return true; /* large events: what frames take must stay bounded */
    }
    return true;
}

static unsigned shard_of(const struct pipeline *pipeline, uint64_t hash)
{
    if (pipeline->options.by_key)
        return pipeline->options.shard;
    return (unsigned)(((hash >> 32) * pipeline->options.n_shards) >> 32);
}

/* Sorts the frame's changes by shard (stable: a partition's order is kept) and gives each shard its
 * part. */
static void dispatch(struct pipeline *pipeline, struct frame *frame)
{
    unsigned n_shards = pipeline->options.n_shards;
    uint8_t shard[FRAME_CHANGES_MAX];
    unsigned count[SHARDS_MAX] = { 0 }, parts = 0;
    for (unsigned i = 0; i < frame->n; i++) {
        shard[i] = (uint8_t)shard_of(pipeline, frame->changes[i].hash);
        count[shard[i]]++;
    }
    frame->start[0] = 0;
    for (unsigned s = 0; s < n_shards; s++) {
        frame->start[s + 1] = (uint16_t)(frame->start[s] + count[s]);
        parts += count[s] > 0;
        count[s] = frame->start[s];
    }
    for (unsigned i = 0; i < frame->n; i++)
        frame->order[count[shard[i]]++] = (uint8_t)i;

    __atomic_store_n(&frame->shards_left, parts, __ATOMIC_RELEASE);
    for (unsigned s = 0; s < n_shards; s++) {
        if (frame->start[s + 1] == frame->start[s])
            continue;
        struct inbox *inbox = &pipeline->peers[s]->inboxes[pipeline->options.shard];
        bool sent = ck_ring_enqueue_spsc(&inbox->ring, inbox->buffer, frame);
        ASSERT(sent); /* a ring holds more frames than a pipeline has */
        if (s != pipeline->options.shard)
            env_wake(pipeline->peers[s]->options.env);
    }
}

static void append_outstanding(struct intake *intake, struct frame *frame)
{
    frame->next = NULL;
    if (intake->newest != NULL)
        intake->newest->next = frame;
    else
        intake->oldest = frame;
    intake->newest = frame;
}

unsigned intake_step(struct pipeline *pipeline, uint64_t now_us)
{
    struct intake *intake = &pipeline->intake;
    unsigned done = 0;
    while (intake->free_frames != NULL && !pipeline->failed) {
        struct frame *frame = intake->free_frames;
        frame->n = frame->n_records = 0;
        if (!fill(pipeline, frame, now_us) || frame->n + frame->n_records == 0)
            break;
        intake->free_frames = frame->next;
        counter_add(&pipeline->counters.frames, 1);
        counter_add(&pipeline->counters.frame_changes, frame->n);
        done += frame->n + frame->n_records;
        append_outstanding(intake, frame);
        dispatch(pipeline, frame);
    }
    return done;
}

/* The record is done on every shard: its partition's position moves past it. */
static void position_advance(struct pipeline *pipeline, const struct frame_record *at)
{
    struct reading *reading = &pipeline->intake.readings[at->record.partition];
    if (at->epoch != reading->epoch)
        return;
    reading->done_offset = at->record.offset + (at->record.kind != RECORD_POSITION);
    if (at->record.kind != RECORD_POSITION)
        reading->done_clock = at->clock_after;
}

unsigned intake_release(struct pipeline *pipeline, uint64_t now_us)
{
    struct intake *intake = &pipeline->intake;
    struct source_port *port = pipeline->options.source;
    unsigned released = 0;
    struct frame *frame;
    while ((frame = intake->oldest) != NULL &&
           __atomic_load_n(&frame->shards_left, __ATOMIC_ACQUIRE) == 0) {
        for (unsigned i = 0; i < frame->n_records; i++) {
            position_advance(pipeline, &frame->records[i]);
            histogram_add(&pipeline->merged, now_us - frame->records[i].read_us);
            port->ops->release(port, &frame->records[i].record, 1);
        }
        intake->oldest = frame->next;
        if (intake->oldest == NULL)
            intake->newest = NULL;
        arena_reset(&frame->arena);
        frame->next = intake->free_frames;
        intake->free_frames = frame;
        released++;
    }
    return released;
}

bool intake_idle(const struct pipeline *pipeline)
{
    const struct intake *intake = &pipeline->intake;
    return intake->oldest == NULL && intake->next_polled == intake->n_polled &&
           intake->job.record == NULL;
}
