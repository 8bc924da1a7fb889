/*
 * stress_commit.c: see stress_model.h. A commit promises that everything before its offset is in
 * every sink, and carries the clock there; here the promise is compared with the sinks' arrays and
 * with the log.
 *
 * Partial images in a sink with versions are compared at the end only: a row's newest seqno says
 * nothing of its columns.
 */
#include "tests/unit/dataplane/stress_model.h"

/* Could the row's tombstone have been purged, so that nothing tells of the event any more? */
static bool may_be_purged(const struct world *world, const struct event *event, uint64_t seqno)
{
    if (world->rules.retention_us == 0 || event->row == 0)
        return false;
    for (unsigned part = 0; part < PARTS; part++)
        for (unsigned offset = 0; offset < world->log[part].n; offset++)
            for (unsigned i = 0; i < world->log[part].messages[offset].n; i++) {
                const struct event *other = world->log[part].messages[offset].rows[i];
                if (other->key == event->key && other->row == event->row && other->deletes &&
                    world->log[part].seqnos[offset][i] >= seqno)
                    return true;
            }
    return false;
}

/* Of partial images the event's own column counts, or a tombstone that hides it. */
static bool in_cells(struct world *world, unsigned sink, const struct event *event, uint64_t seqno)
{
    struct document_state state = world_state(world, sink, event->key);
    for (unsigned i = 0; i < state.n_changes; i++) {
        const struct change *change = &state.changes[i];
        struct plan_table *table = &world->plan->tables[change->table];
        if (model_row(table->name, change->row_id) != event->row)
            continue;
        if (world->rules.images == IMAGES_FULL)
            return change->seqno >= seqno;
        for (uint32_t f = 0; f < change->n_fields && !event->deletes; f++) {
            uint16_t x = columns_intern(table->columns, SLICE("x"));
            if ((change->fields[f].column != x) == event->value % 2 &&
                (change->fields[f].seqno != 0 ? change->fields[f].seqno : change->seqno) >= seqno)
                return true;
        }
        return change->tombstone >= seqno;
    }
    return false;
}

static bool in_sink(const struct model_server *sink, const struct event *event, uint64_t seqno)
{
    const struct kept *doc = &sink->docs[event->key], *side = &sink->side[event->key];
    return (doc->there && doc->seqno[event->row] >= seqno) ||
           (side->there && side->seqno[event->row] >= seqno);
}

static void check_message(struct world *world, unsigned part, int64_t offset)
{
    const struct message *message = &world->log[part].messages[offset];
    for (unsigned i = 0; i < message->n; i++)
        for (unsigned s = 0; s < world->rules.sinks; s++) {
            const struct event *event = message->rows[i];
            uint64_t seqno = world->log[part].seqnos[offset][i];
            bool merges = world->sinks[s].cells != NULL;
            if (world->buried[s][event->key] ||
                (!merges && world->rules.images == IMAGES_PARTIAL) ||
                may_be_purged(world, event, seqno))
                continue;
            if (merges ? !in_cells(world, s, event, seqno)
                       : !in_sink(&world->sinks[s], event, seqno))
                world_blame(world, "committed part %u past %lld: key %u row %u is not in sink %u",
                            part, (long long)offset, event->key, event->row, s);
        }
}

static void commit(struct world *world, unsigned part, const struct shard_mark *mark)
{
    struct partition_log *log = &world->log[part];
    if (mark->clock != log->clock[mark->offset])
        world_blame(world, "part %u offset %lld: the clock is %lld off", part,
                    (long long)mark->offset, (long long)(mark->clock - log->clock[mark->offset]));
    for (int64_t offset = 0; offset < mark->offset; offset++)
        check_message(world, part, offset);
    log->committed = mark->offset;
    log->committed_clock = mark->clock;
}

void node_commit(struct node *node)
{
    struct world *world = node->world;
    struct shard_mark positions[CORES_MAX][PARTS] = { 0 }, lows[CORES_MAX][PARTS] = { 0 };
    for (unsigned s = 0; s < world->rules.shards; s++)
        node_tell(node, s,
                  &(struct shard_command){
                      .order = SHARD_POSITIONS, .marks = positions[s], .n_marks = PARTS });
    for (unsigned s = 0; s < world->rules.shards; s++)
        node_tell(
            node, s,
            &(struct shard_command){ .order = SHARD_LOWS, .marks = lows[s], .n_marks = PARTS });
    for (unsigned part = 0; part < PARTS; part++) {
        struct shard_mark least = positions[shard_of_part(world, part)][part];
        for (unsigned s = 0; s < world->rules.shards; s++)
            if (lows[s][part].known && lows[s][part].offset < least.offset)
                least = lows[s][part];
        if (node->owns[part] && least.known && least.offset > world->log[part].committed)
            commit(world, part, &least);
    }
}
