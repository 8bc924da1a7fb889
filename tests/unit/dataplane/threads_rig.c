/*
 * threads_rig.c: see threads_rig.h.
 *
 * What goes from thread to thread here goes by weir's own means, or it would be this file's order
 * that ThreadSanitizer sees: frames and their return (intake.c, apply.c), commands and what they
 * fill in (shard.c), documents (store.c) and their records (pending.c). The exception is `kept`,
 * what the sinks hold, which control compares with a commit: relaxed atomics, so that it is the
 * mailbox that must have made them visible.
 */
#include "tests/unit/dataplane/threads_rig.h"

#include "dataplane/base/memory.h"
#include "dataplane/shard.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

enum { SHARDS = 2, KEYS = 64, ROWS = 4, FLIGHTS = 2, DOCS = 16, VALUE_BYTES = 96 };

struct made {
    unsigned key, row; /* row 0 is the root's */
};

struct core {
    struct rig *rig;
    struct source_port source;
    struct sink_port sink;
    struct env *env;
    struct pipeline *pipeline;
    struct shard shard;
    struct store_reader *reader;
    pthread_t thread;
    sem_t built, go;
    int64_t position; /* of the log that it reads */
    bool attached;
    uint64_t random;
    uint64_t version[KEYS]; /* the newest that the sink was sent */
    struct flight_of {
        struct sink_batch batch;
        struct sink_item items[DOCS];
        enum { FREE, OUT } state;
        unsigned keys[DOCS];
        int64_t rows[DOCS][ROWS]; /* offsets; -1: not in the document */
    } flights[FLIGHTS];
};

struct rig {
    struct threads_options options;
    struct plan *plan;
    struct task_partitions *partitions;
    uint32_t epochs[PARTITIONS_MAX], epoch;
    bool knows_all;
    struct pipeline *pipelines[SHARDS];
    struct core cores[SHARDS];
    int64_t kept[KEYS][ROWS]; /* atomic: offset of the row that the sink holds, -1: none */
    int64_t committed[SHARDS];
    pthread_t reader;
    int stop_reading; /* atomic */
    uint64_t looks, pending_looks;
};

/* ---- the log ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static unsigned below(uint64_t *random, unsigned n)
{
    return (unsigned)(mix(*random += UINT64_C(0x9e3779b97f4a7c15)) % n);
}

/* Even keys are in log 0, odd ones in log 1. */
static struct made made_of(const struct rig *rig, unsigned log, int64_t offset)
{
    uint64_t x = mix(rig->options.seed * 2 + log + mix((uint64_t)offset));
    return (struct made){ (unsigned)(x % (KEYS / 2)) * 2 + log, (unsigned)(x >> 32) % ROWS };
}

/* Of any length: blocks of several classes come and go. */
static struct slice value_of(const struct made *made, int64_t offset, char text[VALUE_BYTES])
{
    uint64_t x = mix(mix((uint64_t)offset) + made->key * ROWS + made->row);
    int len = (int)(x % 60) + 18;
    (void)snprintf(text, VALUE_BYTES, "\"%0*llx\"", len, (unsigned long long)x);
    return (struct slice){ text, (size_t)len + 2 };
}

static struct made made_by(struct slice key, const struct row *row)
{
    struct made made = { 0, 0 };
    struct slice id = row_id(row);
    ASSERT(key.len == 3 && key.data[0] == 'k' && id.len == (row->table != 0));
    made.key = (unsigned)(key.data[1] - '0') * 10 + (unsigned)(key.data[2] - '0');
    made.row = row->table == 0 ? 0 : (unsigned)(id.data[0] - '0');
    ASSERT(made.key < KEYS && made.row < ROWS);
    return made;
}

/* The offset that the row is of; the row must be just what that record says. */
static int64_t offset_of(const struct rig *rig, struct slice key, const struct row *row)
{
    struct made made = made_by(key, row), want;
    int64_t offset = (int64_t)(row->seqno - SEQNO_EPOCH) - 1;
    struct row_cursor cursor;
    struct field field;
    char text[VALUE_BYTES];

    ASSERT(offset >= 0 && offset < rig->options.records);
    want = made_of(rig, made.key % 2, offset);
    ASSERT(want.key == made.key && want.row == made.row);
    row_fields(row, &cursor);
    ASSERT(row_next(&cursor, &field) && slice_equal(field.value, value_of(&made, offset, text)));
    ASSERT(!row_next(&cursor, &field));
    return offset;
}

static struct core *core_of_source(struct source_port *port)
{
    return (struct core *)((char *)port - offsetof(struct core, source));
}

static void source_attach(struct source_port *port, uint16_t partition, void *handle)
{
    ASSERT(partition == core_of_source(port)->shard.id && handle == core_of_source(port)->rig);
    core_of_source(port)->attached = true;
}

static void source_detach(struct source_port *port, uint16_t partition)
{
    (void)partition;
    core_of_source(port)->attached = false;
}

static int source_poll(struct source_port *port, struct record *records, unsigned max,
                       struct err *err)
{
    struct core *core = core_of_source(port);
    unsigned n = 0, most = 1 + below(&core->random, max);
    (void)err;
    for (; core->attached && n < most && core->position < core->rig->options.records; n++)
        records[n] = (struct record){ .kind = RECORD_EVENT,
                                      .partition = (uint16_t)core->shard.id,
                                      .offset = core->position++ };
    return (int)n;
}

static void source_release(struct source_port *port, struct record *records, unsigned n)
{
    (void)port, (void)records, (void)n;
}

static bool source_ended(struct source_port *port)
{
    (void)port;
    return false;
}

static const struct source_port_ops source_ops = { .attach = source_attach,
                                                   .detach = source_detach,
                                                   .poll = source_poll,
                                                   .release = source_release,
                                                   .ended = source_ended };

/* ---- the decoder: an offset is all that it needs ---- */

static struct rig *decoder_rig; /* set before the threads begin */

static struct decoder *decoder_open(const struct decoder_options *options);

static void decoder_begin(struct decoder *decoder, struct decode_job *job)
{
    (void)decoder;
    job->kind = EVENT_ROWS;
}

static void fill_change(const struct decode_job *job, struct frame *frame, struct change *change)
{
    const struct record *record = job->record;
    struct made made = made_of(decoder_rig, record->partition, record->offset);
    struct field *field = arena_take(&frame->arena, sizeof(*field));
    char key[4], id = (char)('0' + made.row), text[VALUE_BYTES];

    (void)snprintf(key, sizeof(key), "k%02u", made.key % 100);
    *field =
        (struct field){ .column = columns_intern(decoder_rig->plan->tables[made.row != 0].columns,
                                                 SLICE("v")),
                        .value = arena_copy(&frame->arena, value_of(&made, record->offset, text)) };
    *change = (struct change){
        .clock_before = job->clock->seqno,
        .seqno = clock_next(job->clock, SEQNO_EPOCH + 1 + (uint64_t)record->offset),
        .key = arena_copy(&frame->arena, (struct slice){ key, 3 }),
        .row_id = arena_copy(&frame->arena, (struct slice){ &id, made.row != 0 }),
        .table = made.row != 0,
        .partition = record->partition,
        .offset = record->offset,
        .op = CHANGE_UPSERT,
        .n_fields = 1,
        .fields = field,
    };
    change->hash = key_hash(change->key);
}

static bool decoder_rows(struct decoder *decoder, struct decode_job *job, struct frame *frame)
{
    struct change *change = frame_slot(frame);
    (void)decoder;
    if (change == NULL)
        return false;
    fill_change(job, frame, change);
    job->rows++;
    frame->n++;
    return true;
}

static const struct decoder_ops decoder_ops = {
    .name = "offsets", .open = decoder_open, .begin = decoder_begin, .rows = decoder_rows
};

static struct decoder *decoder_open(const struct decoder_options *options)
{
    static struct decoder decoder = { &decoder_ops };
    (void)options;
    return &decoder;
}

/* ---- the sink ---- */

static struct core *core_of_sink(struct sink_port *port)
{
    return (struct core *)((char *)port - offsetof(struct core, sink));
}

static struct sink_batch *sink_begin(struct sink_port *port)
{
    struct core *core = core_of_sink(port);
    for (unsigned i = 0; i < FLIGHTS; i++)
        if (core->flights[i].state == FREE) {
            core->flights[i].batch = (struct sink_batch){ .items = core->flights[i].items };
            return &core->flights[i].batch;
        }
    return NULL;
}

static enum sink_add sink_add(struct sink_port *port, struct sink_batch *batch,
                              const struct document *document)
{
    struct core *core = core_of_sink(port);
    struct flight_of *flight = (struct flight_of *)batch;
    int64_t *offsets = flight->rows[batch->n];
    unsigned key = 0;

    if (batch->n == DOCS)
        return SINK_FULL;
    for (unsigned row = 0; row < ROWS; row++)
        offsets[row] = -1;
    ASSERT(document->n_rows > 0);
    for (unsigned i = 0; i < document->n_rows; i++) {
        struct made made = made_by(document->key, document->rows[i]);
        offsets[made.row] = offset_of(core->rig, document->key, document->rows[i]);
        key = made.key;
    }
    ASSERT(document->version > core->version[key]);
    core->version[key] = document->version;
    flight->keys[batch->n++] = key;
    return SINK_ADDED;
}

static void sink_submit(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    ((struct flight_of *)batch)->state = OUT;
}

/* Its answer takes a while: documents change meanwhile. */
static struct sink_batch *sink_reap(struct sink_port *port)
{
    struct core *core = core_of_sink(port);
    struct flight_of *flight = &core->flights[below(&core->random, FLIGHTS)];
    if (flight->state != OUT || below(&core->random, 3) != 0)
        return NULL;
    for (unsigned i = 0; i < flight->batch.n; i++) {
        flight->items[i].verdict = SINK_WRITTEN;
        for (unsigned row = 0; row < ROWS; row++)
            if (flight->rows[i][row] >= 0)
                __atomic_store_n(&core->rig->kept[flight->keys[i]][row], flight->rows[i][row],
                                 __ATOMIC_RELAXED);
    }
    return &flight->batch;
}

static void sink_recycle(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    ((struct flight_of *)batch)->state = FREE;
}

static const struct sink_port_ops sink_ops = { .begin = sink_begin,
                                               .add = sink_add,
                                               .submit = sink_submit,
                                               .reap = sink_reap,
                                               .recycle = sink_recycle };

/* ---- the shards' threads ---- */

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        continue;
}

static void core_build(struct core *core)
{
    struct rig *rig = core->rig;
    struct sink_limits limits = {
        .docs = DOCS, .in_flight = FLIGHTS, .bytes = 1 << 20, .document_bytes_max = 1 << 20
    };
    struct err err;

    ASSERT(env_linux_open(&core->env, &err) == 0);
    core->source.ops = &source_ops;
    core->sink.ops = &sink_ops;
    core->pipeline = pipeline_open(&(struct pipeline_options){
        .task = "threads",
        .plan = rig->plan,
        .format = &decoder_ops,
        .skew_max_us = 600000000,
        .event_bytes_max = 4096,
        .store_bytes = 32 << 20, /* all that both logs ever make: nothing is evicted */
        .pending_max = KEYS,
        .shard = core->shard.id,
        .n_shards = SHARDS,
        .hydrate = -1,
        .n_outlets = 1,
        .outlets = { { .name = "sink", .port = &core->sink, .limits = limits } },
        .source = &core->source,
        .partitions = rig->partitions,
        .epochs = rig->epochs,
        .epoch = &rig->epoch,
        .knows_all = &rig->knows_all,
        .env = core->env,
    });
    core->reader = store_reader_open(core->pipeline->store);
    core->shard.env = core->env;
    core->shard.n_pipelines = 1;
    core->shard.pipelines[0] = core->pipeline;
}

static void *core_main(void *core_of)
{
    struct core *core = core_of;
    core_build(core);
    sem_post(&core->built);
    wait_for(&core->go);
    shard_run(&core->shard);
    env_linux_close(core->env);
    return NULL;
}

/* ---- the reader ---- */

/* The document's rows are whole, and none is older than it was at the last look. */
static void look_at(struct rig *rig, struct core *core, unsigned key, int64_t seen[ROWS])
{
    const struct entity *entity;
    struct document document;
    struct pending_look look;
    char text[4];
    struct slice name = { text, 3 };

    (void)snprintf(text, sizeof(text), "k%02u", key % 100);
    if (!store_read_begin(core->reader, name, &document, &entity))
        return;
    for (unsigned i = 0; i < document.n_rows; i++) {
        struct made made = made_by(name, document.rows[i]);
        int64_t offset = offset_of(rig, name, document.rows[i]);
        ASSERT(offset >= seen[made.row]);
        seen[made.row] = offset;
    }
    rig->looks++;
    if (pendings_look(entity, 1, &look)) {
        ASSERT(look.state[0] <= PENDING_DELAYED && !look.reading_back);
        rig->pending_looks++;
    }
    store_read_end(core->reader);
}

static void *read_on(void *rig_of)
{
    static int64_t seen[KEYS][ROWS];
    struct rig *rig = rig_of;
    uint64_t random = rig->options.seed;

    memset(seen, 0xff, sizeof(seen));
    while (!__atomic_load_n(&rig->stop_reading, __ATOMIC_ACQUIRE) || rig->looks < KEYS) {
        unsigned key = below(&random, KEYS);
        for (unsigned s = 0; s < SHARDS; s++)
            look_at(rig, &rig->cores[s], key, seen[key]);
    }
    return NULL;
}

/* ---- control ---- */

static void tell(struct rig *rig, unsigned shard, struct shard_command command)
{
    shard_post(&rig->cores[shard].shard, &command);
    while (!shard_obeyed(&rig->cores[shard].shard))
        sched_yield();
}

/* What is committed is in the sinks. */
static void commit(struct rig *rig, unsigned log, int64_t offset, struct threads_facts *facts)
{
    ASSERT(offset >= rig->committed[log]);
    facts->commits += offset > rig->committed[log];
    for (; rig->committed[log] < offset; rig->committed[log]++) {
        struct made made = made_of(rig, log, rig->committed[log]);
        int64_t kept = __atomic_load_n(&rig->kept[made.key][made.row], __ATOMIC_RELAXED);
        ASSERT(kept >= rig->committed[log]);
    }
}

/* As commit.c does: first what was read to the end, then what is held anywhere. */
static bool commit_round(struct rig *rig, struct threads_facts *facts)
{
    struct shard_mark marks[SHARDS], lows[SHARDS];
    int64_t durable[SHARDS];
    bool all = true;

    for (unsigned s = 0; s < SHARDS; s++) {
        tell(rig, s, (struct shard_command){ SHARD_POSITIONS, .marks = marks, .n_marks = SHARDS });
        ASSERT(marks[s].known);
        durable[s] = marks[s].offset;
    }
    for (unsigned s = 0; s < SHARDS; s++) {
        tell(rig, s, (struct shard_command){ SHARD_LOWS, .marks = lows, .n_marks = SHARDS });
        for (unsigned log = 0; log < SHARDS; log++)
            if (lows[log].known && lows[log].offset < durable[log])
                durable[log] = lows[log].offset;
    }
    for (unsigned log = 0; log < SHARDS; log++) {
        commit(rig, log, durable[log], facts);
        all = all && durable[log] == rig->options.records;
    }
    return all;
}

static void disturb(struct rig *rig, uint64_t *random)
{
    enum shard_order order = below(random, 2) ? SHARD_PAUSE : SHARD_FLUSH;
    unsigned shard = below(random, SHARDS);
    tell(rig, shard, (struct shard_command){ order, .flag = true });
    if (below(random, 2))
        tell(rig, 1 - shard, (struct shard_command){ SHARD_FLUSH, .flag = below(random, 2) });
    tell(rig, shard, (struct shard_command){ order, .flag = false });
}

static void control(struct rig *rig, struct threads_facts *facts)
{
    uint64_t random = mix(rig->options.seed);
    for (unsigned s = 0; s < SHARDS; s++)
        tell(rig, s,
             (struct shard_command){ SHARD_ATTACH, .partition = (uint16_t)s, .clock = SEQNO_EPOCH,
                                     .handle = rig });
    while (!commit_round(rig, facts)) {
        if (rig->options.commands)
            disturb(rig, &random);
        else
            sched_yield();
    }
    for (unsigned s = 0; s < SHARDS; s++)
        tell(rig, s, (struct shard_command){ SHARD_DETACH, .partition = (uint16_t)s });
}

/* ---- all of it ---- */

static void start(struct rig *rig, const struct threads_options *options)
{
    rig->options = *options;
    rig->epoch = 1;
    rig->knows_all = true;
    rig->partitions = partitions_open();
    rig->plan = plan_open(SLICE("threads"), SLICE("key"), IMAGES_FULL, EMIT_ALWAYS);
    plan_add_table(rig->plan, &(struct plan_table){ .name = SLICE("t.root") }, NULL, 0);
    plan_add_table(
        rig->plan,
        &(struct plan_table){ .name = SLICE("t.many"), .into = SLICE("many"), .many = SLICE("id") },
        NULL, 0);
    memset(rig->kept, 0xff, sizeof(rig->kept));
    decoder_rig = rig;
    for (unsigned s = 0; s < SHARDS; s++) {
        struct core *core = &rig->cores[s];
        ASSERT(partitions_slot(rig->partitions, "log", (int32_t)s) == s);
        rig->epochs[s] = 1;
        core->rig = rig;
        core->shard.id = s;
        core->random = options->seed + s;
        sem_init(&core->built, 0, 0);
        sem_init(&core->go, 0, 0);
        ASSERT(pthread_create(&core->thread, NULL, core_main, core) == 0);
        wait_for(&core->built);
        rig->pipelines[s] = core->pipeline;
    }
    for (unsigned s = 0; s < SHARDS; s++)
        pipeline_join(rig->pipelines[s], rig->pipelines);
    for (unsigned s = 0; s < SHARDS; s++)
        sem_post(&rig->cores[s].go);
    if (options->reads)
        ASSERT(pthread_create(&rig->reader, NULL, read_on, rig) == 0);
}

static void end(struct rig *rig)
{
    __atomic_store_n(&rig->stop_reading, 1, __ATOMIC_RELEASE);
    if (rig->options.reads)
        pthread_join(rig->reader, NULL);
    for (unsigned s = 0; s < SHARDS; s++) {
        struct core *core = &rig->cores[s];
        __atomic_store_n(&core->shard.stop, 1, __ATOMIC_RELEASE);
        env_wake(core->env);
        pthread_join(core->thread, NULL);
        sem_destroy(&core->built);
        sem_destroy(&core->go);
    }
}

static unsigned count_wrong(const struct rig *rig)
{
    int64_t want[KEYS][ROWS];
    unsigned wrong = 0;

    memset(want, 0xff, sizeof(want));
    for (unsigned log = 0; log < SHARDS; log++)
        for (int64_t offset = 0; offset < rig->options.records; offset++) {
            struct made made = made_of(rig, log, offset);
            want[made.key][made.row] = offset;
        }
    for (unsigned key = 0; key < KEYS; key++)
        for (unsigned row = 0; row < ROWS; row++)
            wrong += want[key][row] != rig->kept[key][row];
    return wrong;
}

struct threads_facts threads_play(const struct threads_options *options)
{
    struct rig *rig = memory_reserve(sizeof(*rig), "rig");
    struct threads_facts facts = { 0 };

    start(rig, options);
    control(rig, &facts);
    end(rig);
    for (unsigned s = 0; s < SHARDS; s++) {
        ASSERT(!rig->pipelines[s]->failed && rig->pipelines[s]->counters.evicted == 0);
        facts.applied += rig->pipelines[s]->counters.applied;
        facts.stale += rig->pipelines[s]->counters.stale;
    }
    facts.looks = rig->looks;
    facts.pending_looks = rig->pending_looks;
    facts.wrong = count_wrong(rig);
    return facts;
}
