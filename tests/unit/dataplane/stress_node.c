/*
 * stress_node.c: see stress_model.h. A node is what control makes of one process: a shard a core
 * with one pipeline each, joined, and told about partitions by shard_post() while the other shards
 * go on.
 *
 * The log grows while the history is played: a port sees less than its end until the world is calm.
 */
#include "dataplane/base/memory.h"
#include "tests/unit/dataplane/stress_model.h"

/* ---- the source's port of one shard ---- */

static struct core *core_of_source(struct source_port *port)
{
    return (struct core *)((char *)port - offsetof(struct core, source));
}

unsigned shard_of_part(const struct world *world, unsigned part)
{
    return part_number(world, part) % world->rules.shards;
}

static int64_t log_end(const struct world *world, unsigned part)
{
    uint64_t n = world->log[part].n, seen = n * (world->now + 50) / world->steps;
    return (int64_t)(world->calm || seen > n ? n : seen);
}

static void source_detach(struct source_port *port, uint16_t partition)
{
    core_of_source(port)->node->owns[partition] = false;
}

/* Where tombstones are purged, nothing that is not committed may be older than the newest record by
 * more than they are kept: the log comes only so fast. */
static bool is_there(const struct world *world, unsigned part, int64_t offset)
{
    const struct partition_log *log = &world->log[part];
    uint64_t last = log->seqnos[offset][log->messages[offset].n - 1];
    return world->rules.retention_us == 0 ||
           last <= world_oldest(world) + world->rules.retention_us;
}

static void note_newest(struct world *world, unsigned part, int64_t offset)
{
    const struct partition_log *log = &world->log[part];
    uint64_t last = log->seqnos[offset][log->messages[offset].n - 1];
    if (last > world->newest)
        world->newest = last;
}

static int source_poll(struct source_port *port, struct record *records, unsigned max,
                       struct err *err)
{
    struct core *core = core_of_source(port);
    struct node *node = core->node;
    struct world *world = node->world;
    unsigned part = world_below(world, PARTS), n = 0, most = 1 + world_below(world, 4);
    (void)err;
    if (shard_of_part(world, part) != core->id || !node->owns[part])
        return 0;
    int64_t *position = &node->position[part], end = log_end(world, part);
    for (; n < max && n < most && *position < end && is_there(world, part, *position);
         n++, ++*position) {
        note_newest(world, part, *position);
        records[n] = (struct record){
            .kind = RECORD_EVENT,
            .partition = (uint16_t)part,
            .offset = *position,
            .payload = { (const char *)&world->log[part].messages[*position],
                         sizeof(struct message) },
        };
    }
    if (n < max && *position == end && world_below(world, 4) == 0)
        records[n++] = (struct record){ .kind = RECORD_POSITION,
                                        .partition = (uint16_t)part,
                                        .offset = *position };
    return (int)n;
}

static const struct source_port_ops source_ops = { .attach = model_source_attach,
                                                   .detach = source_detach,
                                                   .poll = source_poll,
                                                   .release = model_source_release,
                                                   .ended = model_source_ended };

/* ---- start ---- */

static void core_options(struct core *core, struct pipeline_options *options)
{
    static const char *const names[STRESS_SINKS] = { "sink", "slow" };
    struct node *node = core->node;
    struct world *world = node->world;
    *options = (struct pipeline_options){
        .task = "stress",
        .plan = world->plan,
        .format = &model_decoder_ops,
        .skew_max_us = 600000000,
        .event_bytes_max = 4096,
        .store_bytes = 1 << 20,
        .pending_max = world->rules.pending_max,
        .shard = core->id,
        .n_shards = world->rules.shards,
        .by_key = world->rules.layout != LAYOUT_SPREAD,
        .n_outlets = world->rules.sinks,
        .source = &core->source,
        .letters = &world->letters,
        .partitions = world->partitions,
        .epochs = node->epochs,
        .epoch = &node->epoch,
        .knows_all = &node->knows_all,
        .env = &core->env.env,
    };
    for (unsigned s = 0; s < world->rules.sinks; s++)
        options->outlets[s] = (struct outlet_options){ .name = names[s],
                                                       .port = &core->ports[s].port,
                                                       .limits = model_limits() };
}

static void core_start(struct node *node, unsigned id)
{
    struct world *world = node->world;
    struct core *core = &node->cores[id];
    struct pipeline_options options;
    core->node = node;
    core->id = id;
    core->env = (struct model_env){ { &model_env_ops }, &world->random, &world->now, 100000 };
    core->source.ops = &source_ops;
    for (unsigned s = 0; s < world->rules.sinks; s++)
        model_port_start(&core->ports[s], &world->sinks[s]);
    core_options(core, &options);
    core->pipeline = node->pipelines[id] = pipeline_open(&options);
    for (unsigned s = 0; s < world->rules.sinks; s++)
        core->ports[s].scratch = &core->pipeline->scratch;
    core->shard = (struct shard){ .id = id, .env = &core->env.env, .n_pipelines = 1 };
    core->shard.pipelines[0] = core->pipeline;
}

void node_start(struct world *world, struct node *node)
{
    node->world = world;
    node->epoch = 0;
    memset(node->owns, 0, sizeof(node->owns));
    memset(node->epochs, 0, sizeof(node->epochs));
    for (unsigned s = 0; s < world->rules.shards; s++)
        core_start(node, s);
    for (unsigned s = 0; s < world->rules.shards; s++)
        pipeline_join(node->pipelines[s], node->pipelines);
}

/* ---- writes land ---- */

/* Without an answer: the write was made, or comes much later, or never. */
static void lose(struct world *world, unsigned sink, const struct written *write)
{
    unsigned how = world_below(world, 3);
    if (how == 0) {
        (void)model_write(&world->sinks[sink], write, world_below(world, 2));
    } else if (how == 1 && world->rules.late) {
        struct late *late = &world->late[world_below(world, LATE_MAX)];
        if (!late->used)
            *late = (struct late){ true, sink, *write };
    }
}

static void land_item(struct world *world, unsigned sink, struct flying *flying, unsigned i)
{
    const struct written *write = &flying->writes[i];
    bool faults = !world->calm, fails = faults && world->rules.fails;
    struct sink_item *item = &flying->items[i];
    if (world_outlives(world, write)) {
        item->verdict = SINK_RETRY; /* it timed out and was never applied */
    } else if (flying->batch.failed_whole || (fails && world_below(world, 5) == 0)) {
        lose(world, sink, write);
        item->verdict = SINK_RETRY;
    } else if (faults && world->rules.buries && world_below(world, 25) == 0) {
        *item = (struct sink_item){ .verdict = SINK_DEAD, .reason = SLICE("refused") };
    } else {
        item->verdict = model_write(&world->sinks[sink], write, false) ? SINK_WRITTEN : SINK_STALE;
        if (world->rules.steady) /* nothing is forgotten meanwhile: so it has all now */
            world->buried[sink][write->key] = false;
    }
}

static void land(struct world *world, unsigned sink, struct flying *flying)
{
    if (flying->state != OUT)
        return;
    flying->batch.failed_whole = !world->calm && world->rules.fails && world_below(world, 5) == 0;
    for (unsigned i = 0; i < flying->batch.n; i++)
        land_item(world, sink, flying, i);
    flying->state = LANDED;
}

void node_settle(struct node *node)
{
    for (unsigned c = 0; c < node->world->rules.shards; c++)
        for (unsigned s = 0; s < node->world->rules.sinks; s++)
            for (unsigned f = 0; f < FLIGHTS; f++)
                land(node->world, s, &node->cores[c].ports[s].flights[f]);
}

void node_crash(struct node *node)
{
    struct world *world = node->world;
    for (unsigned c = 0; c < world->rules.shards; c++)
        for (unsigned s = 0; s < world->rules.sinks; s++)
            for (unsigned f = 0; f < FLIGHTS; f++) {
                const struct flying *flying = &node->cores[c].ports[s].flights[f];
                for (unsigned i = 0; flying->state == OUT && i < flying->batch.n; i++)
                    if (world_below(world, 2) && !world_outlives(world, &flying->writes[i]))
                        (void)model_write(&world->sinks[s], &flying->writes[i],
                                          world_below(world, 2));
            }
    node_start(world, node);
}

/* ---- steps and orders ---- */

static void core_step(struct core *core)
{
    (void)shard_step(&core->shard, model_env_now(&core->env));
}

/* The second sink is the slow one: it answers a third as often. */
void node_step(struct node *node)
{
    struct world *world = node->world;
    struct core *core = &node->cores[world_below(world, world->rules.shards)];
    if (world_below(world, 10) < 6) {
        core_step(core);
        return;
    }
    unsigned sink = world_below(world, world->rules.sinks);
    if (sink == 0 || world_below(world, 3) == 0)
        land(world, sink, &core->ports[sink].flights[world_below(world, FLIGHTS)]);
}

void node_evict(struct node *node)
{
    unsigned shard = world_below(node->world, node->world->rules.shards);
    model_evict(node->pipelines[shard], world_below(node->world, KEYS));
}

void node_tell(struct node *node, unsigned shard, const struct shard_command *command)
{
    struct world *world = node->world;
    struct core *core = &node->cores[shard];
    for (unsigned i = world_below(world, 4); i > 0; i--)
        node_step(node);
    shard_post(&core->shard, command);
    while (!shard_obeyed(&core->shard))
        core_step(world_below(world, 2) ? core
                                        : &node->cores[world_below(world, world->rules.shards)]);
}

void node_assign(struct node *node, unsigned part)
{
    struct world *world = node->world;
    const struct partition_log *log = &world->log[part];
    node->epochs[part] = node->epoch = ++world->assignments;
    node->position[part] = log->committed;
    node_tell(node, shard_of_part(world, part),
              &(struct shard_command){ .order = SHARD_ATTACH,
                                       .partition = (uint16_t)part,
                                       .offset = log->committed,
                                       .clock = log->committed_clock,
                                       .handle = node });
    node->owns[part] = true;
}

void node_revoke(struct node *node, unsigned part)
{
    struct world *world = node->world;
    if (world_below(world, 2))
        node_commit(node);
    node_tell(node, shard_of_part(world, part),
              &(struct shard_command){ .order = SHARD_DETACH, .partition = (uint16_t)part });
    node->owns[part] = false;
    node->epochs[part] = node->epoch = ++world->assignments;
    for (unsigned s = 0; s < world->rules.shards; s++)
        node_tell(node, s,
                  &(struct shard_command){ .order = SHARD_FORGET, .partition = (uint16_t)part });
}

bool node_drained(const struct node *node)
{
    for (unsigned s = 0; s < node->world->rules.shards; s++) {
        const struct pipeline *pipeline = node->pipelines[s];
        if (!intake_idle(pipeline) || pendings_count(pipeline->pendings) > 0 || pipeline->failed)
            return false;
    }
    for (unsigned part = 0; part < PARTS; part++)
        if (node->owns[part] && node->position[part] < (int64_t)node->world->log[part].n)
            return false;
    return true;
}
