/*
 * model_sink.c: see model.h. The server is two arrays by key, documents and side index; a batch is
 * OUT until the world lets it land, a lookup is answered when the dice say so, and with what the
 * server holds at that moment.
 */
#include "tests/unit/dataplane/model.h"

#include <stdio.h>

static struct model_port *model_of(struct sink_port *port)
{
    return (struct model_port *)port;
}

static struct sink_batch *sink_begin(struct sink_port *port)
{
    for (struct flying *flying = model_of(port)->flights;
         flying < model_of(port)->flights + FLIGHTS; flying++)
        if (flying->state == FREE) {
            flying->batch = (struct sink_batch){ .items = flying->items };
            return &flying->batch;
        }
    return NULL;
}

unsigned model_row(struct slice table, struct slice id)
{
    static const char *const names[] = { "t.root", "t.a", "t.b" };
    for (unsigned row = 0; row < 3; row++)
        if (slice_equal(table, slice_of(names[row])))
            return row;
    return slice_equal(id, SLICE("1")) ? 3 : 4;
}

static uint64_t newest_seqno(const struct document *document)
{
    uint64_t newest = 0;
    for (unsigned i = 0; i < document->n_rows; i++)
        if (document->rows[i]->seqno > newest)
            newest = document->rows[i]->seqno;
    return newest - SEQNO_EPOCH;
}

static void fill_seqnos(const struct plan *plan, const struct document *document,
                        struct written *write)
{
    memset(write->seqno, 0, sizeof(write->seqno));
    for (unsigned i = 0; i < document->n_rows; i++) {
        const struct row *row = document->rows[i];
        write->seqno[model_row(plan->tables[row->table].name, row_id(row))] =
            row->seqno > row->tombstone ? row->seqno : row->tombstone;
    }
}

/* What a server that merges is sent: no more than it lacks. */
static void fill_cells(struct model_port *port, const struct document *document,
                       struct written *write)
{
    struct buf *out = port->scratch;
    buf_reset(out);
    (void)rows_write(port->rows, document, SLICE("r"), out);
    ASSERT(out->len <= TEXT_BYTES && !out->overflow);
    if (out->len > 0)
        memcpy(write->text, out->data, out->len);
    write->len = out->len;
}

static enum sink_add sink_add(struct sink_port *port, struct sink_batch *batch,
                              const struct document *document)
{
    const struct model_server *server = model_of(port)->server;
    struct buf *out = model_of(port)->scratch;
    if (batch->n == DOCS)
        return SINK_FULL;
    struct written *write = &((struct flying *)batch)->writes[batch->n++];
    write->key = (unsigned)(document->key.data[1] - '0');
    write->version = server->version_is_newest ? newest_seqno(document) : document->version;
    write->shown = document_shown(server->plan, document);
    fill_seqnos(server->plan, document, write);
    if (server->cells != NULL) {
        fill_cells(model_of(port), document, write);
        return SINK_ADDED;
    }
    buf_reset(out);
    document_render(server->plan, document, true, out);
    ASSERT(out->len < TEXT_BYTES && !out->overflow);
    memcpy(write->text, out->data, out->len);
    write->text[out->len] = '\0';
    return SINK_ADDED;
}

static void sink_submit(struct sink_port *port, struct sink_batch *batch)
{
    struct flying *flying = (struct flying *)batch;
    for (unsigned i = 0; i < batch->n; i++) {
        flying->writes[i].sent_at = *model_of(port)->server->now;
        flying->writes[i].oldest = model_of(port)->server->oldest;
    }
    flying->state = OUT;
}

static struct sink_batch *sink_reap(struct sink_port *port)
{
    for (unsigned i = 0; i < FLIGHTS; i++)
        if (model_of(port)->flights[i].state == LANDED)
            return &model_of(port)->flights[i].batch;
    return NULL;
}

static void sink_recycle(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    ((struct flying *)batch)->state = FREE;
}

/* ---- the server ---- */

static void keep(struct kept *kept, const struct written *write)
{
    kept->version = write->version;
    kept->there = true;
    memcpy(kept->seqno, write->seqno, sizeof(kept->seqno));
    strcpy(kept->text, write->text);
}

/* A row that is there no more was deleted and `purges`. */
static bool goes_back(const struct kept *doc, const struct written *write, bool purges)
{
    for (unsigned row = 0; row < ROWS; row++)
        if (write->seqno[row] < doc->seqno[row] && (!purges || write->seqno[row] != 0))
            return true;
    return false;
}

bool model_write(struct model_server *server, const struct written *write, bool cut)
{
    struct kept *side = &server->side[write->key], *doc = &server->docs[write->key];
    if (server->cells != NULL) {
        cells_apply(server->cells, write->key, (struct slice){ write->text, write->len });
        return true;
    }
    if (!write->shown && !server->forgets_deleted) {
        if (!side->there || side->version < write->version)
            keep(side, write);
        if (cut)
            return false;
    }
    if (doc->there && write->version <= doc->version)
        return false;
    if (doc->there && server->plan->images == IMAGES_FULL &&
        goes_back(doc, write, server->plan->tombstone_retention_us != 0))
        server->went_back++;
    keep(doc, write);
    doc->deleted = !write->shown;
    doc->at = *server->now;
    return true;
}

void model_collect(struct model_server *server, unsigned steps)
{
    if (server->cells != NULL)
        cells_compact(server->cells);
    for (struct kept *doc = server->docs; doc < server->docs + KEYS_MAX; doc++)
        if (doc->there && doc->deleted && *server->now - doc->at > steps)
            doc->there = false;
}

/* ---- lookups ---- */

static struct sink_lookup *lookup_begin(struct sink_port *port)
{
    for (struct asked *asked = model_of(port)->asked; asked < model_of(port)->asked + LOOKUPS;
         asked++)
        if (asked->state == UNUSED) {
            asked->state = FILLING;
            asked->lookup = (struct sink_lookup){ .items = asked->items };
            return &asked->lookup;
        }
    return NULL;
}
static bool lookup_add(struct sink_port *port, struct sink_lookup *lookup, struct slice key)
{
    (void)port;
    if (lookup->n == ASKED)
        return false;
    ((struct asked *)lookup)->keys[lookup->n++] = (unsigned)(key.data[1] - '0');
    return true;
}
static void lookup_submit(struct sink_port *port, struct sink_lookup *lookup)
{
    (void)port;
    ((struct asked *)lookup)->state = SENT;
}

static void found(const struct model_server *server, struct asked *asked, unsigned i,
                  const struct kept *kept)
{
    struct err err;
    struct lookup_item *item = &asked->items[i];
    struct document_state *state = &item->states[item->n_states++];
    int parsed = document_parse(server->plan, slice_of(kept->text), (struct slice){ NULL, 0 },
                                &asked->arena, state, &err);
    if (parsed != 0)
        fprintf(stderr, "# %s: %s\n", err.text, kept->text);
    ASSERT(parsed == 0 && state->has_state);
    if (server->forgets_residual)
        state->residual = 0;
    item->found = LOOKUP_FOUND;
}

static void answer_cells(const struct model_server *server, struct rows *rows, struct asked *asked)
{
    for (unsigned i = 0; i < asked->lookup.n; i++) {
        struct lookup_item *item = &asked->items[i];
        *item = (struct lookup_item){ .found = LOOKUP_ABSENT };
        if (server->fails && model_below(server->random, 6) == 0) {
            item->found = LOOKUP_AGAIN;
        } else if (cells_read(server->cells, asked->keys[i], rows, &asked->arena, &item->states[0],
                              &item->version)) {
            item->found = LOOKUP_FOUND;
            item->n_states = item->states[0].has_state;
        }
    }
}

static void answer(const struct model_server *server, struct rows *rows, struct asked *asked)
{
    arena_reset(&asked->arena);
    if (server->cells != NULL) {
        answer_cells(server, rows, asked);
        return;
    }
    for (unsigned i = 0; i < asked->lookup.n; i++) {
        const struct kept *doc = &server->docs[asked->keys[i]],
                          *side = &server->side[asked->keys[i]];
        asked->items[i] = (struct lookup_item){ .found = LOOKUP_ABSENT };
        if (doc->there && !doc->deleted) {
            found(server, asked, i, doc);
            asked->items[i].version = doc->version;
        }
        if (side->there)
            found(server, asked, i, side);
    }
}

static struct sink_lookup *lookup_reap(struct sink_port *port)
{
    const struct model_server *server = model_of(port)->server;
    struct asked *asked = &model_of(port)->asked[model_below(server->random, LOOKUPS)];
    if (asked->state != SENT || model_below(server->random, 2) == 0)
        return NULL;
    asked->state = ANSWERED;
    asked->lookup.failed_whole = server->fails && model_below(server->random, 6) == 0;
    if (!asked->lookup.failed_whole)
        answer(server, model_of(port)->rows, asked);
    return &asked->lookup;
}
static void lookup_recycle(struct sink_port *port, struct sink_lookup *lookup)
{
    (void)port;
    ((struct asked *)lookup)->state = UNUSED;
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

void model_port_start(struct model_port *port, struct model_server *server)
{
    port->port.ops = &sink_ops;
    port->server = server;
    port->port.deltas = server->cells != NULL;
    if (server->cells != NULL) /* what a process knows of columns ends with it */
        port->rows = rows_open(server->plan, SLICE("d"));
    for (unsigned i = 0; i < FLIGHTS; i++)
        port->flights[i].state = FREE;
    for (struct asked *asked = port->asked; asked < port->asked + LOOKUPS; asked++) {
        asked->state = UNUSED;
        if (asked->arena.base == NULL)
            arena_open(&asked->arena, 1 << 20, "lookups");
    }
}

struct sink_limits model_limits(void)
{
    return (struct sink_limits){
        .docs = DOCS, .in_flight = FLIGHTS, .bytes = 1 << 16, .document_bytes_max = TEXT_BYTES
    };
}
