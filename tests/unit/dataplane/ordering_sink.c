/*
 * ordering_sink.c: see ordering_model.h. The sink's server is two arrays by key, documents and side
 * index; a batch is OUT until the world lets it land, a lookup is answered when the dice say so.
 */
#include "tests/unit/dataplane/ordering_model.h"

#include <stdio.h>

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
    struct flying *flying = (struct flying *)batch;
    for (unsigned i = 0; i < batch->n; i++)
        flying->writes[i].sent_at = node_of_sink(port)->world->now;
    flying->state = OUT;
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

bool model_sink_write(struct world *world, const struct written *write, bool cut)
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
    if (!asked->out || world_below(node->world, 2) == 0)
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
const struct sink_port_ops model_sink_ops = {
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
