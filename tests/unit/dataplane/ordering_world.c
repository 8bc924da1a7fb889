/* ordering_world.c: see ordering_world.h, and ordering_model.h for its parts. */
#include "tests/unit/dataplane/ordering_world.h"

#include "dataplane/base/memory.h"
#include "tests/unit/dataplane/ordering_model.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const tables[ROWS] = { "t.root", "t.a", "t.b", "t.c", "t.c" };
static const char *const row_ids[ROWS] = { "", "", "", "1", "2" };

static uint64_t roll(struct world *world)
{
    uint64_t x = world->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

unsigned world_below(struct world *world, unsigned n)
{
    return (unsigned)(roll(world) % n);
}

/* ---- env, decoder, letters: as little as the pipeline needs ---- */

static struct world *world_of_env(struct env *env)
{
    return ((struct node *)((char *)env - offsetof(struct node, env)))->world;
}
static uint64_t env_now(struct env *env)
{
    return 1000000 + world_of_env(env)->now * 1000000;
}
static uint64_t env_roll(struct env *env)
{
    return roll(world_of_env(env));
}
static void env_nothing(struct env *env)
{
    (void)env;
}
static const struct env_ops env_ops = {
    .mono_us = env_now, .wall_us = env_now, .random = env_roll, .wake = env_nothing
};

struct event_decoder {
    struct decoder decoder;
    const struct plan *plan;
};

static struct decoder *decoder_open(const struct decoder_options *options)
{
    extern const struct decoder_ops event_ops;
    struct event_decoder *decoder = memory_reserve(sizeof(*decoder), "decoder");
    decoder->decoder.ops = &event_ops;
    decoder->plan = options->plan;
    return &decoder->decoder;
}

static void decoder_begin(struct decoder *decoder, struct decode_job *job)
{
    (void)decoder;
    job->kind = EVENT_ROWS;
}

static struct slice arena_text(struct arena *arena, const char *format, unsigned number)
{
    char text[32];
    int n = snprintf(text, sizeof(text), format, number);
    return arena_copy(arena, (struct slice){ text, (size_t)n });
}

/* Full images carry both columns; partial ones the one that the value chooses. */
static void fill_fields(const struct plan *plan, const struct event *event, struct frame *frame,
                        struct change *change)
{
    struct columns *columns = plan->tables[change->table].columns;
    struct field *fields = arena_take(&frame->arena, 2 * sizeof(*fields));
    unsigned n = 0;
    for (unsigned c = 0; c < 2; c++) {
        if (plan->images == IMAGES_PARTIAL && event->value % 2 != c)
            continue;
        fields[n++] =
            (struct field){ .column = columns_intern(columns, c == 0 ? SLICE("x") : SLICE("y")),
                            .value = arena_text(&frame->arena, "%u", event->value * 2 + c) };
    }
    change->fields = fields;
    change->n_fields = n;
}

static bool decoder_rows(struct decoder *decoder, struct decode_job *job, struct frame *frame)
{
    const struct plan *plan = ((struct event_decoder *)decoder)->plan;
    struct change *change = frame_slot(frame);
    if (change == NULL)
        return false;
    const struct event *event;
    memcpy(&event, job->record->payload.data, sizeof(event));
    uint64_t clock_before = job->clock->seqno;
    job->rows++;
    *change = (struct change){
        .seqno = clock_next(job->clock, SEQNO_EPOCH + event->stamp),
        .clock_before = clock_before,
        .key = arena_text(&frame->arena, "k%u", event->key),
        .row_id = slice_of(row_ids[event->row]),
        .table = (uint16_t)plan_find(plan, SLICE("t"), slice_of(tables[event->row] + 2)),
        .partition = job->record->partition,
        .offset = job->record->offset,
        .op = event->deletes ? CHANGE_DELETE : CHANGE_UPSERT,
    };
    change->hash = key_hash(change->key);
    if (!event->deletes)
        fill_fields(plan, event, frame, change);
    frame->n++;
    return true;
}

extern const struct decoder_ops event_ops;
const struct decoder_ops event_ops = {
    .name = "event", .open = decoder_open, .begin = decoder_begin, .rows = decoder_rows
};

static int letters_put(struct dead_letters *letters, const struct dead_letter *letter,
                       struct err *err)
{
    (void)letters;
    return err_set(err, EXIT_SOFTWARE, "no letter is expected: %s", reason_label(letter->reason));
}
static const struct dead_letters_ops letters_ops = { .put = letters_put };
static struct dead_letters letters = { &letters_ops };

/* ---- the log ---- */

static struct node *node_of_source(struct source_port *port)
{
    return (struct node *)((char *)port - offsetof(struct node, source));
}

static void source_attach(struct source_port *port, uint16_t partition, void *handle)
{
    (void)port, (void)partition, (void)handle;
}
static void source_detach(struct source_port *port, uint16_t partition)
{
    node_of_source(port)->owns[partition] = false;
}

static int source_poll(struct source_port *port, struct record *records, unsigned max,
                       struct err *err)
{
    struct node *node = node_of_source(port);
    struct world *world = node->world;
    unsigned part = world_below(world, PARTS), n = 0, most = 1 + world_below(world, 3);
    (void)err;
    while (node->owns[part] && n < max && n < most &&
           node->position[part] < (int64_t)world->log_n[part]) {
        int64_t offset = node->position[part]++;
        records[n++] = (struct record){
            .kind = RECORD_EVENT,
            .partition = (uint16_t)part,
            .offset = offset,
            .payload = { (const char *)&world->log[part][offset], sizeof(struct event *) },
        };
    }
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

/* ---- nodes ---- */

static void node_start(struct world *world, struct node *node)
{
    struct arena arena = node->asked.arena;
    *node = (struct node){ .world = world,
                           .id = (unsigned)(node - world->nodes),
                           .source = { &source_ops },
                           .sink = { &model_sink_ops },
                           .env = { &env_ops } };
    node->asked.arena = arena;
    if (arena.base == NULL)
        arena_open(&node->asked.arena, 1 << 20, "lookups");
    struct pipeline_options options = {
        .task = "test",
        .plan = world->plan,
        .format = &event_ops,
        .skew_max_us = 600000000,
        .event_bytes_max = 4096,
        .store_bytes = 1 << 20,
        .pending_max = 64,
        .n_shards = 1,
        .by_key = world->rules.by_key,
        .hydrate = world->rules.no_hydration ? -1 : 0,
        .n_outlets = 1,
        .source = &node->source,
        .letters = &letters,
        .partitions = world->partitions,
        .epochs = node->epochs,
        .epoch = &node->epoch,
        .knows_all = &node->knows_all,
        .env = &node->env,
    };
    options.outlets[0] = (struct outlet_options){
        .name = "sink",
        .port = &node->sink,
        .limits = { .docs = DOCS,
                    .in_flight = FLIGHTS,
                    .bytes = 1 << 16,
                    .document_bytes_max = TEXT_BYTES },
    };
    node->pipeline = pipeline_open(&options);
    struct pipeline **peers = memory_reserve(sizeof(*peers), "peers");
    peers[0] = node->pipeline;
    pipeline_join(node->pipeline, peers);
}

static void node_assign(struct world *world, struct node *node, unsigned part)
{
    uint64_t clock = world->rules.forgets_clock ? SEQNO_EPOCH : world->committed_clock[part];
    node->epoch = ++world->assignments;
    if (world->rules.trusts_store)
        node->epoch = 1; /* every assignment looks like the first */
    node->epochs[part] = node->epoch;
    node->position[part] = world->committed[part];
    node->owns[part] = true;
    intake_attach(node->pipeline, (uint16_t)part, world->committed[part], clock, &node->owns[part]);
}

static void node_commit(struct world *world, struct node *node, unsigned part)
{
    const struct reading *reading = &node->pipeline->intake.readings[part];
    int64_t offset = reading->done_offset, low;
    uint64_t clock = reading->done_clock, low_clock;
    if (!world->rules.ignores_holds &&
        watermark_low(node->pipeline->watermark, (uint16_t)part, &low, &low_clock) &&
        low < offset) {
        offset = low;
        clock = low_clock;
    }
    if (offset > world->committed[part]) {
        world->committed[part] = offset;
        world->committed_clock[part] = clock;
    }
}

static void node_revoke(struct world *world, struct node *node, unsigned part)
{
    node_commit(world, node, part);
    intake_detach(node->pipeline, (uint16_t)part);
    if (!world->rules.trusts_store)
        node->epochs[part] = ++world->assignments;
    pendings_forget(node->pipeline->pendings, (uint16_t)part, env_now(&node->env));
}

static struct node *owner_of(struct world *world, unsigned part)
{
    for (unsigned i = 0; i < world->rules.nodes; i++)
        if (world->nodes[i].owns[part])
            return &world->nodes[i];
    return NULL;
}

/* A request lives no longer than deletes are remembered (index.gc_deletes is an hour, time-outs are
 * seconds). */
static bool still_valid(const struct world *world, const struct written *write)
{
    return world->now - write->sent_at < GC_STEPS;
}

static void node_land(struct world *world, struct node *node)
{
    struct flying *flying = &node->flights[world_below(world, FLIGHTS)];
    if (flying->state != OUT)
        return;
    for (unsigned i = 0; i < flying->batch.n; i++)
        if (!still_valid(world, &flying->writes[i]))
            flying->items[i].verdict = SINK_RETRY; /* it timed out and was never applied */
        else
            flying->items[i].verdict =
                model_sink_write(world, &flying->writes[i], false) ? SINK_WRITTEN : SINK_STALE;
    flying->state = LANDED;
}

/* A request whose node was killed: it arrives now, whole or cut between its two writes, later, or
 * never. Late ones are only played on keyed logs; docs/ORDERING.md says what they can do elsewhere.
 */
static void orphan(struct world *world, const struct written *write)
{
    unsigned dice = world_below(world, 3);
    if (dice == 0 && still_valid(world, write))
        (void)model_sink_write(world, write, world_below(world, 2));
    else if (dice == 1 && world->rules.by_key && world->n_late < LATE_MAX)
        world->late[world->n_late++] = *write;
}

static void late_arrives(struct world *world)
{
    if (world->n_late == 0 || world_below(world, 4) != 0)
        return;
    unsigned which = world_below(world, world->n_late);
    if (still_valid(world, &world->late[which]))
        (void)model_sink_write(world, &world->late[which], world_below(world, 3) == 0);
    world->late[which] = world->late[--world->n_late];
}

/* kill -9: some of what is under way arrives, the rest does not. */
static void node_crash(struct world *world, struct node *node)
{
    bool owned[PARTS];
    memcpy(owned, node->owns, sizeof(owned));
    for (unsigned f = 0; f < FLIGHTS; f++)
        for (unsigned i = 0; node->flights[f].state == OUT && i < node->flights[f].batch.n; i++)
            orphan(world, &node->flights[f].writes[i]);
    node_start(world, node);
    for (unsigned part = 0; part < PARTS; part++)
        if (owned[part])
            node_assign(world, &world->nodes[world_below(world, world->rules.nodes)], part);
}

/* ---- a history ---- */

static void write_log(struct world *world)
{
    unsigned n = 10 + world_below(world, 50);
    uint64_t stamp = 1000;
    for (unsigned i = 0; i < n; i++) {
        static const unsigned steps[] = { 0, 1, 1, 5, 30 }, lates[] = { 0, 0, 0, 7, 40 };
        struct event *event = &world->events[world->n_events++];
        stamp += steps[world_below(world, 5)];
        *event = (struct event){ .stamp = stamp - lates[world_below(world, 5)],
                                 .key = world_below(world, KEYS),
                                 .row = world_below(world, ROWS),
                                 .deletes = world_below(world, 5) == 0,
                                 .value = i };
        unsigned part = (world->rules.by_key ? event->key : event->key * 7 + event->row) % PARTS;
        world->log[part][world->log_n[part]++] = event;
        if (world_below(world, 7) == 0) {
            event = &world->events[world_below(world, world->n_events)];
            part = (world->rules.by_key ? event->key : event->key * 7 + event->row) % PARTS;
            world->log[part][world->log_n[part]++] = event; /* delivered again */
        }
    }
}

static void collect_deleted(struct world *world)
{
    for (unsigned key = 0; key < KEYS; key++)
        if (world->docs[key].there && world->docs[key].deleted &&
            world->now - world->docs[key].at > GC_STEPS)
            world->docs[key].there = false;
}

static void step(struct world *world, bool faults)
{
    struct node *node = &world->nodes[world_below(world, world->rules.nodes)];
    unsigned dice = world_below(world, 100);
    world->now++;
    late_arrives(world);
    if (dice < 60) {
        (void)pipeline_step(node->pipeline, env_now(&node->env));
    } else if (dice < 83) {
        node_land(world, node);
    } else if (dice < 90) {
        unsigned part = world_below(world, PARTS);
        if (node->owns[part])
            node_commit(world, node, part);
    } else if (faults && dice < 93) {
        unsigned part = world_below(world, PARTS);
        struct node *owner = owner_of(world, part);
        if (owner != NULL)
            node_revoke(world, owner, part);
        node_assign(world, node, part);
    } else if (faults && dice < 96) {
        node_crash(world, node);
    } else if (dice < 98) {
        collect_deleted(world);
    }
}

static bool drained(struct world *world)
{
    for (unsigned i = 0; i < world->rules.nodes; i++) {
        struct node *node = &world->nodes[i];
        if (!intake_idle(node->pipeline) || pendings_count(node->pipeline->pendings) > 0 ||
            node->pipeline->failed)
            return false;
        for (unsigned part = 0; part < PARTS; part++)
            if (node->owns[part] && node->position[part] < (int64_t)world->log_n[part])
                return false;
    }
    return true;
}

static void open_plan(struct world *world)
{
    world->plan = plan_open(SLICE("test"), SLICE("key"), world->rules.images, EMIT_ALWAYS);
    plan_add_table(world->plan, &(struct plan_table){ .name = SLICE("t.root") }, NULL, 0);
    plan_add_table(world->plan, &(struct plan_table){ .name = SLICE("t.a"), .into = SLICE("a") },
                   NULL, 0);
    plan_add_table(world->plan, &(struct plan_table){ .name = SLICE("t.b"), .into = SLICE("b") },
                   NULL, 0);
    plan_add_table(
        world->plan,
        &(struct plan_table){ .name = SLICE("t.c"), .into = SLICE("c"), .many = SLICE("id") }, NULL,
        0);
    world->partitions = partitions_open();
    for (int part = 0; part < PARTS; part++)
        ASSERT(partitions_slot(world->partitions, "log", part) == part);
}

bool world_ends_right(uint64_t seed, const struct world_rules *rules)
{
    struct world *world = calloc(1, sizeof(*world));
    ASSERT(world != NULL);
    world->rules = *rules;
    world->random = seed * 7919 + 1;
    for (unsigned part = 0; part < PARTS; part++)
        world->committed_clock[part] = SEQNO_EPOCH;
    open_plan(world);
    write_log(world);
    for (unsigned i = 0; i < rules->nodes; i++)
        node_start(world, &world->nodes[i]);
    for (unsigned part = 0; part < PARTS; part++)
        node_assign(world, &world->nodes[world_below(world, rules->nodes)], part);

    unsigned steps = 200 + world_below(world, 700);
    for (unsigned i = 0; i < steps; i++)
        step(world, true);
    for (unsigned i = 0; i < 20000 && !drained(world); i++)
        step(world, false);

    bool right = truth_holds(world) && drained(world);
    free(world);
    return right;
}
