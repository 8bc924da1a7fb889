/* stress_world.c: see stress_world.h, and stress_model.h for its parts. */
#include "tests/unit/dataplane/stress_world.h"

#include "tests/unit/dataplane/stress_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

unsigned world_below(struct world *world, unsigned n)
{
    return model_below(&world->random, n);
}

void world_blame(struct world *world, const char *format, ...)
{
    char text[256];
    va_list arguments;
    world->wrong = true;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "# %s\n", text);
}

/* ---- dead letters ---- */

static int letters_put(struct dead_letters *letters, const struct dead_letter *letter,
                       struct err *err)
{
    struct world *world = (struct world *)((char *)letters - offsetof(struct world, letters));
    if (!world->rules.buries)
        return err_set(err, EXIT_SOFTWARE, "no letter is expected: %s",
                       reason_label(letter->reason));
    unsigned sink = strcmp(letter->sink, "slow") == 0;
    world->buried[sink][letter->document_key.data[1] - '0'] = true;
    return 0;
}
static const struct dead_letters_ops letters_ops = { .put = letters_put };

/* ---- the log ---- */

static unsigned part_of(const struct world *world, const struct event *event)
{
    switch (world->rules.layout) {
    case LAYOUT_SPREAD:
        return (event->key * 7 + event->row) % PARTS;
    case LAYOUT_KEYED:
        return event->key % PARTS;
    case LAYOUT_TOPICS: /* partitions 0 and 1 are the first topic's */
        return (event->row == 0 || event->row == 3 ? 0 : 2) + event->key % 2;
    }
    abort();
}

unsigned part_number(const struct world *world, unsigned part)
{
    return world->rules.layout == LAYOUT_TOPICS ? part % 2 : part;
}

static void append(struct world *world, const struct event *event, bool may_join)
{
    struct partition_log *log = &world->log[part_of(world, event)];
    struct message *last = log->n > 0 ? &log->messages[log->n - 1] : NULL;
    bool near = last != NULL &&
                (world->rules.retention_us == 0 || event->stamp < last->rows[0]->stamp + 30);
    if (may_join && near && last->n < MESSAGE_ROWS && world_below(world, 4) > 0)
        last->rows[last->n++] = event;
    else
        log->messages[log->n++] = (struct message){ .n = 1, .rows = { event } };
}

/* The clock's rule (R1), written apart from clock.c. */
static void number_rows(struct partition_log *log)
{
    uint64_t seqno = SEQNO_EPOCH;
    for (unsigned offset = 0; offset < log->n; offset++) {
        log->clock[offset] = seqno;
        for (unsigned i = 0; i < log->messages[offset].n; i++) {
            uint64_t stamp = SEQNO_EPOCH + log->messages[offset].rows[i]->stamp;
            seqno = stamp > seqno ? stamp : seqno + 1;
            log->seqnos[offset][i] = seqno;
        }
    }
    log->clock[log->n] = seqno;
}

static void write_log(struct world *world)
{
    unsigned n = 10 + world_below(world, 80);
    uint64_t stamp = 1000;
    for (unsigned i = 0; i < n; i++) {
        struct event *event = &world->events[world->n_events++];
        *event = model_event(&world->random, KEYS, &stamp, i);
        append(world, event, world->rules.many);
        if (world_below(world, 7) == 0) /* delivered again */
            append(world, &world->events[world_below(world, world->n_events)], false);
    }
    for (unsigned part = 0; part < PARTS; part++)
        number_rows(&world->log[part]);
}

/* ---- faults ---- */

static struct node *owner_of(struct world *world, unsigned part)
{
    for (unsigned i = 0; i < world->rules.nodes; i++)
        if (world->nodes[i].owns[part])
            return &world->nodes[i];
    return NULL;
}

static struct node *any_node(struct world *world)
{
    return &world->nodes[world_below(world, world->rules.nodes)];
}

/* A partition moves, and with it those of its number. An owner whose document comes by several
 * partitions waits for its requests before it lets go, as control does: what a late one can do
 * there is among the limits in docs/ORDERING.md. */
static void rebalance(struct world *world)
{
    unsigned part = world_below(world, PARTS), n = world->rules.layout == LAYOUT_TOPICS ? 2 : 1;
    struct node *to = any_node(world);
    for (unsigned i = 0; i < n; i++) {
        unsigned moved = (part + 2 * i) % PARTS;
        struct node *owner = owner_of(world, moved);
        if (owner != NULL)
            node_revoke(owner, moved);
        if (owner != NULL && n > 1)
            node_settle(owner);
    }
    for (unsigned i = 0; i < n; i++)
        node_assign(to, (part + 2 * i) % PARTS);
}

static void crash(struct world *world, struct node *node)
{
    bool owned[PARTS];
    memcpy(owned, node->owns, sizeof(owned));
    node_crash(node);
    struct node *to = any_node(world);
    for (unsigned part = 0; part < PARTS; part++) {
        if (!owned[part])
            continue;
        if (world->rules.layout != LAYOUT_TOPICS && world_below(world, 2))
            to = any_node(world);
        node_assign(to, part);
    }
}

uint64_t world_oldest(const struct world *world)
{
    uint64_t oldest = UINT64_MAX / 2;
    for (const struct partition_log *log = world->log; log < world->log + PARTS; log++)
        if (log->committed < log->n && log->seqnos[log->committed][0] < oldest)
            oldest = log->seqnos[log->committed][0];
    return oldest;
}

bool world_outlives(const struct world *world, const struct written *write)
{
    return world->rules.retention_us != 0 &&
           world->newest > write->oldest + world->rules.retention_us;
}

static void late_arrives(struct world *world)
{
    struct late *late = &world->late[world_below(world, LATE_MAX)];
    if (late->used && !world_outlives(world, &late->write) &&
        world->now - late->write.sent_at < LATE_STEPS)
        (void)model_write(&world->sinks[late->sink], &late->write, world_below(world, 2));
    late->used = false;
}

/* ---- a history ---- */

static void step(struct world *world)
{
    struct node *node = any_node(world);
    unsigned dice = world_below(world, 1000);
    world->now++;
    for (unsigned s = 0; s < world->rules.sinks; s++)
        world->sinks[s].oldest = world_oldest(world);
    if (world->rules.evicts && world_below(world, 8) == 0)
        node_evict(node);
    if (dice < 880)
        node_step(node);
    else if (dice < 930)
        node_commit(node);
    else if (dice < (world->rules.restless ? 962 : 945) && !world->calm && !world->rules.steady)
        rebalance(world);
    else if (dice >= 962 && dice < 972 && !world->calm && world->rules.crashes)
        crash(world, node);
    else if (dice < 985)
        for (unsigned s = 0; s < world->rules.sinks; s++)
            model_collect(&world->sinks[s], GC_STEPS);
    else
        late_arrives(world);
}

static bool drained(struct world *world)
{
    for (unsigned i = 0; i < world->rules.nodes; i++)
        if (!node_drained(&world->nodes[i]))
            return false;
    return true;
}

static void open_world(struct world *world)
{
    world->plan = model_plan(world->rules.images);
    world->plan->tombstone_retention_us = world->rules.retention_us;
    world->rows = rows_open(world->plan, SLICE("d"));
    arena_open(&world->arena, 1 << 20, "looks");
    break_rule(world->rules.breaks);
    world->partitions = partitions_open();
    world->letters.ops = &letters_ops;
    for (unsigned part = 0; part < PARTS; part++) {
        bool second = world->rules.layout == LAYOUT_TOPICS && part >= 2;
        int number = (int)part_number(world, part);
        ASSERT(partitions_slot(world->partitions, second ? "log1" : "log0", number) == part);
        world->log[part].committed_clock = SEQNO_EPOCH;
    }
    for (unsigned s = 0; s < world->rules.sinks; s++)
        world->sinks[s] =
            (struct model_server){ .plan = world->plan,
                                   .cells = (world->rules.merging >> s & 1) != 0 ? &world->cells[s]
                                                                                 : NULL,
                                   .random = &world->random,
                                   .now = &world->now,
                                   .fails = world->rules.fails };
}

static void play(struct world *world)
{
    world->steps = 500 + world_below(world, 3000);
    for (unsigned i = 0; i < world->rules.nodes; i++)
        node_start(world, &world->nodes[i]);
    struct node *to[] = { any_node(world), any_node(world) };
    for (unsigned part = 0; part < PARTS; part++)
        node_assign(to[part % 2], part);
    for (unsigned i = 0; i < world->steps; i++)
        step(world);
    world->calm = true;
    for (unsigned s = 0; s < world->rules.sinks; s++)
        world->sinks[s].fails = false;
    for (unsigned i = 0; i < 60000 && !drained(world); i++)
        step(world);
}

/* All is drained, so what is committed now is the end, and no offset is held any more. */
static void check_end(struct world *world)
{
    if (!drained(world)) {
        world_blame(world, "not drained");
        return;
    }
    for (unsigned i = 0; i < 2 * world->rules.nodes; i++)
        node_commit(&world->nodes[i % world->rules.nodes]);
    for (unsigned part = 0; part < PARTS; part++)
        if (world->log[part].committed != (int64_t)world->log[part].n)
            world_blame(world, "part %u is committed up to %lld of %u", part,
                        (long long)world->log[part].committed, world->log[part].n);
    for (unsigned i = 0; i < world->rules.nodes; i++)
        for (unsigned s = 0; s < world->rules.shards; s++)
            if (watermark_count(world->nodes[i].pipelines[s]->watermark) > 0)
                world_blame(world, "node %u shard %u still holds offsets", i, s);
}

static void truth_of(const struct world *world, struct truth truth[KEYS][ROWS])
{
    for (unsigned part = 0; part < PARTS; part++)
        for (unsigned offset = 0; offset < world->log[part].n; offset++) {
            const struct message *message = &world->log[part].messages[offset];
            for (unsigned i = 0; i < message->n; i++)
                truth_take(&truth[message->rows[i]->key][message->rows[i]->row], message->rows[i],
                           world->log[part].seqnos[offset][i], world->rules.images);
        }
}

struct document_state world_state(struct world *world, unsigned sink, unsigned key)
{
    struct document_state state;
    uint64_t version;
    arena_reset(&world->arena);
    if (!cells_read(&world->cells[sink], key, world->rows, &world->arena, &state, &version))
        state = (struct document_state){ .partition = -1 };
    return state;
}

static bool document_right(struct world *world, unsigned sink, unsigned key,
                           const struct truth truth[ROWS])
{
    if (world->sinks[sink].cells == NULL)
        return truth_holds(truth, &world->sinks[sink].docs[key]);
    struct document_state state = world_state(world, sink, key);
    return truth_holds_state(truth, world->plan, &state, world->rules.retention_us != 0);
}

static void check_documents(struct world *world)
{
    struct truth truth[KEYS][ROWS] = { 0 };
    truth_of(world, truth);
    for (unsigned s = 0; s < world->rules.sinks; s++) {
        for (unsigned key = 0; key < KEYS; key++)
            if (!world->buried[s][key] && !document_right(world, s, key, truth[key]))
                world_blame(world, "sink %u key %u is not what the log says", s, key);
        if (world->cells[s].went_back > 0)
            world_blame(world, "sink %u: %u cells went back", s, world->cells[s].went_back);
        if (world->sinks[s].went_back > 0)
            world_blame(world, "sink %u: %u writes took newer rows away", s,
                        world->sinks[s].went_back);
    }
}

bool stress_ends_right(uint64_t seed, const struct stress_rules *rules)
{
    struct world *world = calloc(1, sizeof(*world));
    ASSERT(world != NULL && rules->nodes <= NODES_MAX && rules->shards <= CORES_MAX &&
           rules->sinks <= STRESS_SINKS);
    world->rules = *rules;
    world->random = seed * 7919 + 1;
    open_world(world);
    write_log(world);
    play(world);
    check_end(world);
    check_documents(world);
    bool right = !world->wrong;
    free(world);
    return right;
}
