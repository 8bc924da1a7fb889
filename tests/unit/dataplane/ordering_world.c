/* ordering_world.c: see ordering_world.h. */
#include "tests/unit/dataplane/ordering_world.h"

#include "dataplane/base/memory.h"
#include "dataplane/pipeline.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PARTS = 3,
    KEYS = 4,
    ROWS = 5,
    EVENTS_MAX = 160,
    NODES_MAX = 3,
    GC_STEPS = 20,
    FLIGHTS = 2,
    DOCS = 3
};

#define TEXT_BYTES 8192

static const char *const tables[ROWS] = { "t.root", "t.a", "t.b", "t.c", "t.c" };
static const char *const row_ids[ROWS] = { "", "", "", "1", "2" };

struct event {
    uint64_t stamp;
    unsigned key, row;
    bool deletes;
    unsigned value;
};

/* What the sink keeps for one key. */
struct kept {
    uint64_t version;
    bool there, deleted;
    uint64_t at;
    char text[TEXT_BYTES]; /* document with state */
};

struct world;

struct node {
    struct world *world;
    unsigned id;
    bool owns[PARTS];
    int64_t position[PARTS]; /* of the source port */
    uint32_t epochs[PARTITIONS_MAX], epoch;
    bool knows_all;
    struct pipeline *pipeline;
    struct source_port source;
    struct sink_port sink;
    struct env env;
    struct flying {
        struct sink_batch batch;
        struct sink_item items[DOCS];
        enum { FREE, OUT, LANDED } state;
        struct written {
            unsigned key;
            uint64_t version;
            bool shown;
            char text[TEXT_BYTES];
        } writes[DOCS];
    } flights[FLIGHTS];
    struct asked {
        struct sink_lookup lookup;
        struct lookup_item items[KEYS];
        unsigned keys[KEYS];
        bool out;
        struct arena arena;
    } asked;
};

struct world {
    struct world_rules rules;
    uint64_t random;
    uint64_t now;
    struct event events[EVENTS_MAX];
    unsigned n_events;
    const struct event *log[PARTS][EVENTS_MAX];
    unsigned log_n[PARTS];
    struct kept docs[KEYS], side[KEYS];
    int64_t committed[PARTS];
    uint64_t committed_clock[PARTS];
    uint32_t assignments;
    struct node nodes[NODES_MAX];
    struct plan *plan;
    struct task_partitions *partitions;
};

static uint64_t roll(struct world *world)
{
    uint64_t x = world->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static unsigned below(struct world *world, unsigned n)
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
    unsigned part = below(world, PARTS), n = 0, most = 1 + below(world, 3);
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

/* ---- the sink ---- */

static struct node *node_of_sink(struct sink_port *port)
{
    return (struct node *)((char *)port - offsetof(struct node, sink));
}

static struct sink_batch *sink_begin(struct sink_port *port)
{
    struct node *node = node_of_sink(port);
    for (unsigned i = 0; i < FLIGHTS; i++)
        if (node->flights[i].state == FREE) {
            node->flights[i].batch = (struct sink_batch){ .items = node->flights[i].items };
            return &node->flights[i].batch;
        }
    return NULL;
}

static uint64_t newest_seqno(const struct document *document)
{
    uint64_t newest = 0;
    for (unsigned i = 0; i < document->n_rows; i++)
        if (document->rows[i]->seqno > newest)
            newest = document->rows[i]->seqno;
    return newest - SEQNO_EPOCH;
}

static enum sink_add sink_add(struct sink_port *port, struct sink_batch *batch,
                              const struct document *document)
{
    struct node *node = node_of_sink(port);
    struct flying *flying = (struct flying *)batch;
    struct buf *out = &node->pipeline->scratch;
    if (batch->n == DOCS)
        return SINK_FULL;
    struct written *write = &flying->writes[batch->n++];
    write->key = (unsigned)(document->key.data[1] - '0');
    write->version =
        node->world->rules.version_is_newest ? newest_seqno(document) : document->version;
    write->shown = document_shown(node->world->plan, document);
    buf_reset(out);
    document_render(node->world->plan, document, true, out);
    ASSERT(out->len < TEXT_BYTES && !out->overflow);
    memcpy(write->text, out->data, out->len);
    write->text[out->len] = '\0';
    return SINK_ADDED;
}

static void sink_submit(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    ((struct flying *)batch)->state = OUT;
}

static struct sink_batch *sink_reap(struct sink_port *port)
{
    struct node *node = node_of_sink(port);
    for (unsigned i = 0; i < FLIGHTS; i++)
        if (node->flights[i].state == LANDED)
            return &node->flights[i].batch;
    return NULL;
}

static void sink_recycle(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    ((struct flying *)batch)->state = FREE;
}

/* `cut`: the node died between the two writes of a delete. Returns false for a version conflict. */
static bool sink_write(struct world *world, const struct written *write, bool cut)
{
    struct kept *side = &world->side[write->key], *doc = &world->docs[write->key];
    if (!write->shown && !world->rules.forgets_deleted) {
        if (!side->there || side->version < write->version) {
            side->there = true;
            side->version = write->version;
            strcpy(side->text, write->text);
        }
        if (cut)
            return false;
    }
    if (doc->there && write->version <= doc->version)
        return false;
    *doc = (struct kept){
        .version = write->version, .there = true, .deleted = !write->shown, .at = world->now
    };
    strcpy(doc->text, write->text);
    return true;
}

static struct sink_lookup *lookup_begin(struct sink_port *port)
{
    struct asked *asked = &node_of_sink(port)->asked;
    if (asked->out)
        return NULL;
    asked->lookup = (struct sink_lookup){ .items = asked->items };
    return &asked->lookup;
}
static bool lookup_add(struct sink_port *port, struct sink_lookup *lookup, struct slice key)
{
    struct asked *asked = &node_of_sink(port)->asked;
    if (lookup->n == KEYS)
        return false;
    asked->keys[lookup->n++] = (unsigned)(key.data[1] - '0');
    return true;
}
static void lookup_submit(struct sink_port *port, struct sink_lookup *lookup)
{
    (void)lookup;
    node_of_sink(port)->asked.out = true;
}

static void found(struct node *node, struct lookup_item *item, const struct kept *kept)
{
    struct err err;
    struct document_state *state = &item->states[item->n_states++];
    int parsed = document_parse(node->world->plan, slice_of(kept->text), (struct slice){ NULL, 0 },
                                &node->asked.arena, state, &err);
    if (parsed != 0)
        fprintf(stderr, "# %s: %s\n", err.text, kept->text);
    ASSERT(parsed == 0 && state->has_state);
    item->found = LOOKUP_FOUND;
}

static struct sink_lookup *lookup_reap(struct sink_port *port)
{
    struct node *node = node_of_sink(port);
    struct asked *asked = &node->asked;
    if (!asked->out || below(node->world, 2) == 0)
        return NULL;
    arena_reset(&asked->arena);
    for (unsigned i = 0; i < asked->lookup.n; i++) {
        const struct kept *doc = &node->world->docs[asked->keys[i]],
                          *side = &node->world->side[asked->keys[i]];
        asked->items[i] = (struct lookup_item){ .found = LOOKUP_ABSENT };
        if (doc->there && !doc->deleted) {
            found(node, &asked->items[i], doc);
            asked->items[i].version = doc->version;
        }
        if (side->there)
            found(node, &asked->items[i], side);
    }
    asked->out = false;
    return &asked->lookup;
}
static void lookup_recycle(struct sink_port *port, struct sink_lookup *lookup)
{
    (void)port, (void)lookup;
}
static const struct sink_port_ops sink_ops = {
    .begin = sink_begin,
    .add = sink_add,
    .submit = sink_submit,
    .reap = sink_reap,
    .recycle = sink_recycle,
    .lookup_begin = lookup_begin,
    .lookup_add = lookup_add,
    .lookup_submit = lookup_submit,
    .lookup_reap = lookup_reap,
    .lookup_recycle = lookup_recycle,
};

/* ---- nodes ---- */

static void node_start(struct world *world, struct node *node)
{
    struct arena arena = node->asked.arena;
    *node = (struct node){ .world = world,
                           .id = (unsigned)(node - world->nodes),
                           .source = { &source_ops },
                           .sink = { &sink_ops },
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
    watermark_forget(node->pipeline->watermark, (uint16_t)part);
}

static struct node *owner_of(struct world *world, unsigned part)
{
    for (unsigned i = 0; i < world->rules.nodes; i++)
        if (world->nodes[i].owns[part])
            return &world->nodes[i];
    return NULL;
}

static void node_land(struct world *world, struct node *node)
{
    struct flying *flying = &node->flights[below(world, FLIGHTS)];
    if (flying->state != OUT)
        return;
    for (unsigned i = 0; i < flying->batch.n; i++)
        flying->items[i].verdict =
            sink_write(world, &flying->writes[i], false) ? SINK_WRITTEN : SINK_STALE;
    flying->state = LANDED;
}

/* kill -9: some of what is under way arrives, the rest does not. */
static void node_crash(struct world *world, struct node *node)
{
    bool owned[PARTS];
    memcpy(owned, node->owns, sizeof(owned));
    for (unsigned f = 0; f < FLIGHTS; f++)
        for (unsigned i = 0; node->flights[f].state == OUT && i < node->flights[f].batch.n; i++)
            if (below(world, 2))
                (void)sink_write(world, &node->flights[f].writes[i], below(world, 2));
    node_start(world, node);
    for (unsigned part = 0; part < PARTS; part++)
        if (owned[part])
            node_assign(world, &world->nodes[below(world, world->rules.nodes)], part);
}

/* ---- a history ---- */

static void write_log(struct world *world)
{
    unsigned n = 10 + below(world, 50);
    uint64_t stamp = 1000;
    for (unsigned i = 0; i < n; i++) {
        static const unsigned steps[] = { 0, 1, 1, 5, 30 }, lates[] = { 0, 0, 0, 7, 40 };
        struct event *event = &world->events[world->n_events++];
        stamp += steps[below(world, 5)];
        *event = (struct event){ .stamp = stamp - lates[below(world, 5)],
                                 .key = below(world, KEYS),
                                 .row = below(world, ROWS),
                                 .deletes = below(world, 5) == 0,
                                 .value = i };
        unsigned part = (world->rules.by_key ? event->key : event->key * 7 + event->row) % PARTS;
        world->log[part][world->log_n[part]++] = event;
        if (below(world, 7) == 0) {
            event = &world->events[below(world, world->n_events)];
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
    struct node *node = &world->nodes[below(world, world->rules.nodes)];
    unsigned dice = below(world, 100);
    world->now++;
    if (dice < 60) {
        (void)pipeline_step(node->pipeline, env_now(&node->env));
    } else if (dice < 83) {
        node_land(world, node);
    } else if (dice < 90) {
        unsigned part = below(world, PARTS);
        if (node->owns[part])
            node_commit(world, node, part);
    } else if (faults && dice < 93) {
        unsigned part = below(world, PARTS);
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

/* The oracle, written apart from the store: walk each partition with the clock's rule, last writer
 * wins. */
struct truth {
    uint64_t deleted, cell[2];
    unsigned value[2];
    bool known;
};

static void truth_take(const struct world *world, struct truth *row, const struct event *event,
                       uint64_t seqno)
{
    bool partial = world->rules.images == IMAGES_PARTIAL;
    row->known = true;
    if (event->deletes) {
        if (seqno > row->deleted)
            row->deleted = seqno;
        return;
    }
    for (unsigned c = 0; c < 2; c++)
        if ((!partial || event->value % 2 == c) && seqno > row->cell[c]) {
            row->cell[c] = seqno;
            row->value[c] = event->value * 2 + c;
        }
}

static void truth_of(const struct world *world, struct truth truth[KEYS][ROWS])
{
    memset(truth, 0, sizeof(struct truth) * KEYS * ROWS);
    for (unsigned part = 0; part < PARTS; part++) {
        uint64_t seqno = 0;
        for (unsigned i = 0; i < world->log_n[part]; i++) {
            const struct event *event = world->log[part][i];
            seqno = seqno + 1 > event->stamp ? seqno + 1 : event->stamp;
            truth_take(world, &truth[event->key][event->row], event, seqno);
        }
    }
}

/* A row as the document shows it, "{x:1,y:2}" in JSON; empty where it has nothing to show. */
static bool truth_row(const struct truth *row, char *out, size_t size)
{
    bool shown = false;
    int n = 0;
    out[0] = '\0';
    for (unsigned c = 0; c < 2; c++)
        if (row->cell[c] > row->deleted) {
            n += snprintf(out + n, size - (size_t)n, "%s\"%c\":%u", shown ? "," : "", "xy"[c],
                          row -> value[c]);
            shown = true;
        }
    return shown;
}

static bool has_part(const char *text, const char *format, const char *name, const char *fields)
{
    char part[128];
    (void)snprintf(part, sizeof(part), format, name, fields);
    return strstr(text, part) != NULL;
}

/* Partial images may hold the columns in either order: compare both. */
static bool row_right(const char *text, unsigned row, const struct truth *truth)
{
    static const char *const names[ROWS] = { "", "\"a\":{", "\"b\":{", "", "" };
    char fields[64], other[64];
    if (!truth_row(truth, fields, sizeof(fields)))
        return row == 0 || row > 2 || strstr(text, names[row]) == NULL;
    char *comma = strchr(fields, ',');
    if (comma != NULL)
        (void)snprintf(other, sizeof(other), "%s,%.*s", comma + 1, (int)(comma - fields), fields);
    else
        strcpy(other, fields);
    const char *format = row == 0 ? "%s%s" : row <= 2 ? "%s%s}" : "%s{%s}";
    const char *name = row > 2 ? "" : names[row];
    return has_part(text, format, name, fields) || has_part(text, format, name, other);
}

static bool document_right(const struct world *world, unsigned key, const struct truth rows[ROWS])
{
    const struct kept *doc = &world->docs[key];
    bool exists = doc->there && !doc->deleted, any = false;
    char fields[64];
    for (unsigned row = 0; row < ROWS; row++)
        any = truth_row(&rows[row], fields, sizeof(fields)) || any;
    bool root_gone = rows[0].known && !truth_row(&rows[0], fields, sizeof(fields));
    if (!any || root_gone)
        return !exists;
    if (!exists)
        return false;
    for (unsigned row = 0; row < ROWS; row++)
        if (!row_right(doc->text, row, &rows[row]))
            return false;
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
    struct truth truth[KEYS][ROWS];
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
        node_assign(world, &world->nodes[below(world, rules->nodes)], part);

    unsigned steps = 200 + below(world, 700);
    for (unsigned i = 0; i < steps; i++)
        step(world, true);
    for (unsigned i = 0; i < 20000 && !drained(world); i++)
        step(world, false);

    bool right = drained(world);
    truth_of(world, truth);
    for (unsigned key = 0; key < KEYS; key++)
        right = document_right(world, key, truth[key]) && right;
    free(world);
    return right;
}
