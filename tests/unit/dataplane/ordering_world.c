/* ordering_world.c: see ordering_world.h, and ordering_model.h for its parts. */
#include "tests/unit/dataplane/ordering_world.h"

#include "dataplane/base/memory.h"
#include "tests/unit/dataplane/ordering_model.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned world_below(struct world *world, unsigned n)
{
    return model_below(&world->random, n);
}

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

static void source_detach(struct source_port *port, uint16_t partition)
{
    node_of_source(port)->owns[partition] = false;
}

/* Is the record there yet? Where tombstones are purged, nothing that is not committed may be older
 * than the newest record by more than they are kept: the log comes only so fast. */
static bool is_there(const struct world *world, unsigned part, int64_t offset)
{
    if (world->rules.retention_us == 0 || world->rules.reads_late)
        return true;
    for (unsigned i = 0; i < PARTS; i++)
        if (world->committed[i] < (int64_t)world->log_n[i] &&
            world->log_seqno[part][offset] >
                world->log_seqno[i][world->committed[i]] + world->rules.retention_us)
            return false;
    return true;
}

static int source_poll(struct source_port *port, struct record *records, unsigned max,
                       struct err *err)
{
    struct node *node = node_of_source(port);
    struct world *world = node->world;
    unsigned part = world_below(world, PARTS), n = 0, most = 1 + world_below(world, 3);
    (void)err;
    while (node->owns[part] && n < max && n < most &&
           node->position[part] < (int64_t)world->log_n[part] &&
           is_there(world, part, node->position[part])) {
        int64_t offset = node->position[part]++;
        records[n++] = (struct record){
            .kind = RECORD_EVENT,
            .partition = (uint16_t)part,
            .offset = offset,
            .payload = { (const char *)&world->log[part][offset], sizeof(struct message) },
        };
    }
    return (int)n;
}

static const struct source_port_ops source_ops = { .attach = model_source_attach,
                                                   .detach = source_detach,
                                                   .poll = source_poll,
                                                   .release = model_source_release,
                                                   .ended = model_source_ended };

/* ---- nodes ---- */

static void node_start(struct world *world, struct node *node)
{
    node->world = world;
    node->id = (unsigned)(node - world->nodes);
    node->source.ops = &source_ops;
    node->env = (struct model_env){ { &model_env_ops }, &world->random, &world->now, 1000000 };
    node->epoch = 0;
    node->knows_all = false;
    memset(node->owns, 0, sizeof(node->owns));
    memset(node->position, 0, sizeof(node->position));
    memset(node->epochs, 0, sizeof(node->epochs));
    model_port_start(&node->sink, &world->server);
    struct pipeline_options options = {
        .task = "test",
        .plan = world->plan,
        .format = &model_decoder_ops,
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
        .env = &node->env.env,
    };
    options.outlets[0] = (struct outlet_options){
        .name = "sink",
        .port = &node->sink.port,
        .limits = model_limits(),
    };
    node->pipeline = pipeline_open(&options);
    node->sink.scratch = &node->pipeline->scratch;
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
    node->knows_all = false;
    node_commit(world, node, part);
    intake_detach(node->pipeline, (uint16_t)part);
    if (!world->rules.trusts_store)
        node->epochs[part] = ++world->assignments;
    pendings_forget(node->pipeline->pendings, (uint16_t)part, model_env_now(&node->env));
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
    struct flying *flying = &node->sink.flights[world_below(world, FLIGHTS)];
    if (flying->state != OUT)
        return;
    for (unsigned i = 0; i < flying->batch.n; i++)
        if (!still_valid(world, &flying->writes[i]))
            flying->items[i].verdict = SINK_RETRY; /* it timed out and was never applied */
        else
            flying->items[i].verdict =
                model_write(&world->server, &flying->writes[i], false) ? SINK_WRITTEN : SINK_STALE;
    flying->state = LANDED;
}

/* A request whose node was killed: it arrives now, whole or cut between its two writes, later, or
 * never. Late ones are only played on keyed logs; docs/ORDERING.md says what they can do elsewhere.
 */
static void orphan(struct world *world, const struct written *write)
{
    unsigned dice = world_below(world, 3);
    if (dice == 0 && still_valid(world, write))
        (void)model_write(&world->server, write, world_below(world, 2));
    else if (dice == 1 && world->rules.by_key && world->n_late < LATE_MAX)
        world->late[world->n_late++] = *write;
}

static void late_arrives(struct world *world)
{
    if (world->n_late == 0 || world_below(world, 4) != 0)
        return;
    unsigned which = world_below(world, world->n_late);
    if (still_valid(world, &world->late[which]))
        (void)model_write(&world->server, &world->late[which], world_below(world, 3) == 0);
    world->late[which] = world->late[--world->n_late];
}

/* kill -9: some of what is under way arrives, the rest does not. */
static void node_crash(struct world *world, struct node *node)
{
    bool owned[PARTS];
    memcpy(owned, node->owns, sizeof(owned));
    for (unsigned f = 0; f < FLIGHTS; f++)
        for (unsigned i = 0;
             node->sink.flights[f].state == OUT && i < node->sink.flights[f].batch.n; i++)
            orphan(world, &node->sink.flights[f].writes[i]);
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
        struct event *event = &world->events[world->n_events++];
        *event = model_event(&world->random, KEYS, &stamp, i);
        unsigned part = (world->rules.by_key ? event->key : event->key * 7 + event->row) % PARTS;
        world->log[part][world->log_n[part]++] = (struct message){ 1, { event } };
        if (world_below(world, 7) == 0) {
            event = &world->events[world_below(world, world->n_events)];
            part = (world->rules.by_key ? event->key : event->key * 7 + event->row) % PARTS;
            world->log[part][world->log_n[part]++] =
                (struct message){ 1, { event } }; /* delivered again */
        }
    }
}

/* The clock's rule, written apart from clock.c. */
static void number_log(struct world *world)
{
    for (unsigned part = 0; part < PARTS; part++) {
        uint64_t seqno = 0;
        for (unsigned i = 0; i < world->log_n[part]; i++) {
            uint64_t stamp = world->log[part][i].rows[0]->stamp;
            seqno = seqno + 1 > stamp ? seqno + 1 : stamp;
            world->log_seqno[part][i] = seqno;
        }
    }
}

/* What an eviction leaves is a store that is not whole; where that rule is broken, nobody knows. */
bool __real_store_is_whole(const struct store *store);
bool __wrap_store_is_whole(const struct store *store);
static bool eviction_is_hidden;
bool __wrap_store_is_whole(const struct store *store)
{
    return eviction_is_hidden || __real_store_is_whole(store);
}

static void step(struct world *world, bool faults)
{
    struct node *node = &world->nodes[world_below(world, world->rules.nodes)];
    unsigned dice = world_below(world, 100);
    world->now++;
    late_arrives(world);
    if (world->rules.evicts && world_below(world, 4) == 0)
        model_evict(node->pipeline, world_below(world, KEYS));
    if (dice < 60) {
        (void)pipeline_step(node->pipeline, model_env_now(&node->env));
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
        model_collect(&world->server, GC_STEPS);
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
    world->plan = model_plan(world->rules.images);
    world->plan->tombstone_retention_us = world->rules.retention_us;
    world->server = (struct model_server){ .plan = world->plan,
                                           .random = &world->random,
                                           .now = &world->now,
                                           .version_is_newest = world->rules.version_is_newest,
                                           .forgets_deleted = world->rules.forgets_deleted,
                                           .forgets_residual = world->rules.forgets_residual };
    world->partitions = partitions_open();
    for (int part = 0; part < PARTS; part++)
        ASSERT(partitions_slot(world->partitions, "log", part) == part);
}

/* True if every document that the sink keeps is what the log says. */
static bool documents_right(const struct world *world)
{
    struct truth truth[KEYS][ROWS] = { 0 };
    bool right = true;
    for (unsigned part = 0; part < PARTS; part++)
        for (unsigned i = 0; i < world->log_n[part]; i++) {
            const struct event *event = world->log[part][i].rows[0];
            truth_take(&truth[event->key][event->row], event, world->log_seqno[part][i],
                       world->rules.images);
        }
    for (unsigned key = 0; key < KEYS; key++)
        right = truth_holds(truth[key], &world->server.docs[key]) && right;
    return right;
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
    number_log(world);
    for (unsigned i = 0; i < rules->nodes; i++)
        node_start(world, &world->nodes[i]);
    for (unsigned i = 0; i < rules->nodes; i++)
        world->nodes[i].knows_all = rules->begins_empty;
    eviction_is_hidden = rules->trusts_absence;
    for (unsigned part = 0; part < PARTS; part++)
        node_assign(world, &world->nodes[world_below(world, rules->nodes)], part);

    unsigned steps = 200 + world_below(world, 700);
    for (unsigned i = 0; i < steps; i++)
        step(world, true);
    for (unsigned i = 0; i < 20000 && !drained(world); i++)
        step(world, false);

    bool right = documents_right(world) && drained(world);
    free(world);
    return right;
}
