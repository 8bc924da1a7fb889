/*
 * A shard's end of the SQLite sink: documents become texts here, and texts become states again.
 *
 *     batch's text:    key doc state | key doc state | key state | ... | reasons of refusals
 *                      shown         | shown         | not shown |       (the worker's)
 *
 *     lookup's texts:  doc state | side state | doc state | ...   what the worker copied
 *     lookup's arena:  their rows as changes, made in reap
 *
 * A batch takes documents until it has limits.docs of them or limits.bytes; a document that is
 * larger than that travels alone, up to limits.document_bytes_max. The buffers are reservations of
 * address space: they never move, so slices into them stay good, and pages beyond the first few MiB
 * go back when they are emptied.
 *
 * How much a lookup brings is not known before. Where it is more than the buffer takes, the lookup
 * fails as a whole and the next ones take half as many keys; one that succeeds lets the number grow
 * again. A key whose states alone are too large is LOOKUP_BROKEN.
 */
#include "drivers/sqlite/port.h"

#include "dataplane/base/memory.h"

#define LOOKUPS         2
#define LOOKUP_KEYS_MAX 4096u
#define REASON_BYTES    256 /* set aside for a document's reason */
#define ROOM_BYTES      65536

/* A field of 6 bytes of JSON (`"a":1,`) becomes a struct of 32, a row of 24 bytes one of 120. */
#define ARENA_TIMES 8

/* ---- batches ---- */

static struct sink_batch *port_begin(struct sink_port *base)
{
    struct port *port = (struct port *)base;

    for (unsigned i = 0; i < port->sink->options.limits.in_flight; i++) {
        struct batch *batch = &port->batches[i];

        if (batch->job.out)
            continue;
        batch->job.out = true;
        return &batch->base;
    }
    return NULL;
}

/* The least that the document will take: its values. */
static size_t least_bytes(const struct document *document)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < document->n_rows; i++)
        bytes += document->rows[i]->value_bytes;
    return bytes;
}

/* What was appended since the text was `from` long. */
static struct slice tail(const struct buf *text, size_t from)
{
    return (struct slice){ text->data + from, text->len - from };
}

/* Appends the document's texts and points the entry at them. */
static void render(const struct plan *plan, const struct document *document, struct buf *text,
                   struct entry *entry)
{
    size_t at = text->len;

    *entry = (struct entry){
        .shown = document_shown(plan, document),
        .row.version = document->version,
    };
    buf_put_slice(text, document->key);
    entry->key = tail(text, at);
    at = text->len;
    document_render(plan, document, !entry->shown, text);
    if (!entry->shown) {
        entry->row.state = tail(text, at);
        return;
    }
    entry->row.document = tail(text, at);
    at = text->len;
    document_render_state(plan, document, text);
    entry->row.state = tail(text, at);
}

static enum sink_add port_add(struct sink_port *base, struct sink_batch *sink_batch,
                              const struct document *document)
{
    struct port *port = (struct port *)base;
    struct batch *batch = (struct batch *)sink_batch;
    const struct sink_limits *limits = &port->sink->options.limits;
    struct buf *text = &batch->text;
    size_t before = text->len, least = least_bytes(document);

    ASSERT(batch->job.out);
    if (batch->base.n == limits->docs)
        return SINK_FULL;
    if (least > limits->document_bytes_max)
        return SINK_TOO_LARGE;
    if (batch->base.n > 0 && before + least > limits->bytes)
        return SINK_FULL; /* Known without rendering it for nothing. */
    render(port->sink->options.plan, document, text, &batch->entries[batch->base.n]);
    /* The buffer has room for any document that may be, so one that overflows it may not. */
    if (text->overflow || text->len - before - document->key.len > limits->document_bytes_max) {
        buf_rewind(text, before);
        return SINK_TOO_LARGE;
    }
    if (batch->base.n > 0 && text->len > limits->bytes) {
        buf_rewind(text, before);
        return SINK_FULL;
    }
    batch->base.n++;
    batch->base.bytes = text->len;
    return SINK_ADDED;
}

static void port_submit(struct sink_port *base, struct sink_batch *sink_batch)
{
    struct batch *batch = (struct batch *)sink_batch;

    ASSERT(batch->job.out);
    sqlite_job_submit(((struct port *)base)->sink, &batch->job);
}

static struct sink_batch *port_reap(struct sink_port *base)
{
    struct port *port = (struct port *)base;
    struct job *job = sqlite_job_reap(port->sink, &port->batches_done);

    return job ? &job->batch->base : NULL;
}

static void port_recycle(struct sink_port *base, struct sink_batch *sink_batch)
{
    struct batch *batch = (struct batch *)sink_batch;

    (void)base;
    ASSERT(batch->job.out);
    batch->base.n = 0;
    batch->base.bytes = 0;
    batch->base.failed_whole = false;
    buf_reset(&batch->text);
    batch->job.out = false;
}

/* ---- lookups ---- */

static struct sink_lookup *port_lookup_begin(struct sink_port *base)
{
    struct port *port = (struct port *)base;

    for (unsigned i = 0; i < LOOKUPS; i++) {
        struct lookup *lookup = &port->lookups[i];

        if (lookup->job.out)
            continue;
        lookup->job.out = true;
        return &lookup->base;
    }
    return NULL;
}

static bool port_lookup_add(struct sink_port *base, struct sink_lookup *sink_lookup,
                            struct slice key)
{
    struct lookup *lookup = (struct lookup *)sink_lookup;

    ASSERT(lookup->job.out);
    if (lookup->base.n >= ((struct port *)base)->keys)
        return false;
    lookup->found[lookup->base.n] = (struct found){ .in_main = false };
    lookup->keys[lookup->base.n++] = key;
    return true;
}

static void port_lookup_submit(struct sink_port *base, struct sink_lookup *sink_lookup)
{
    struct lookup *lookup = (struct lookup *)sink_lookup;

    ASSERT(lookup->job.out);
    sqlite_job_submit(((struct port *)base)->sink, &lookup->job);
}

static void break_item(struct lookup *lookup, struct lookup_item *item, const char *why)
{
    struct slice kept = arena_copy(&lookup->arena, slice_of(why));

    *item = (struct lookup_item){
        .found = LOOKUP_BROKEN,
        .reason = kept.data ? kept : SLICE("its state cannot be read back"),
    };
}

/* Adds the state that the texts hold, if weir wrote them; false with *err. */
static bool parse_state(const struct plan *plan, struct lookup *lookup, struct lookup_item *item,
                        const struct database_row *row, struct err *err)
{
    struct document_state *state = &item->states[item->n_states];

    if (document_parse(plan, row->document, row->state, &lookup->arena, state, err) < 0)
        return false;
    item->n_states += state->has_state;
    return true;
}

static void parse_item(const struct plan *plan, struct lookup *lookup, unsigned at)
{
    const struct found *found = &lookup->found[at];
    const struct database_row side = { .document = found->side };
    struct lookup_item *item = &lookup->base.items[at];
    struct err err = { .text = "" };

    *item = (struct lookup_item){
        .found = found->in_main || found->in_side ? LOOKUP_FOUND : LOOKUP_ABSENT,
        .version = found->in_main ? found->row.version : 0,
    };
    if (found->too_large)
        break_item(lookup, item, "its state is larger than a document may be");
    else if (found->in_main && !parse_state(plan, lookup, item, &found->row, &err))
        break_item(lookup, item, err.text);
    else if (found->in_side && !parse_state(plan, lookup, item, &side, &err))
        break_item(lookup, item, err.text);
}

static struct sink_lookup *port_lookup_reap(struct sink_port *base)
{
    struct port *port = (struct port *)base;
    struct job *job = sqlite_job_reap(port->sink, &port->lookups_done);
    struct lookup *lookup = job ? job->lookup : NULL;

    if (!lookup)
        return NULL;
    if (lookup->overflow)
        port->keys = lookup->base.n > 1 ? lookup->base.n / 2 : 1;
    if (lookup->base.failed_whole)
        return &lookup->base;
    if (port->keys < port->keys_max)
        port->keys++;
    for (unsigned i = 0; i < lookup->base.n; i++)
        parse_item(port->sink->options.plan, lookup, i);
    return &lookup->base;
}

static void port_lookup_recycle(struct sink_port *base, struct sink_lookup *sink_lookup)
{
    struct lookup *lookup = (struct lookup *)sink_lookup;

    (void)base;
    ASSERT(lookup->job.out);
    lookup->base.n = 0;
    lookup->base.failed_whole = false;
    lookup->overflow = false;
    buf_reset(&lookup->texts);
    arena_reset(&lookup->arena);
    lookup->job.out = false;
}

/* ---- start-up ---- */

static const struct sink_port_ops port_ops = {
    .begin = port_begin,
    .add = port_add,
    .submit = port_submit,
    .reap = port_reap,
    .recycle = port_recycle,
    .lookup_begin = port_lookup_begin,
    .lookup_add = port_lookup_add,
    .lookup_submit = port_lookup_submit,
    .lookup_reap = port_lookup_reap,
    .lookup_recycle = port_lookup_recycle,
};

static void open_batch(struct port *port, struct batch *batch)
{
    const struct sink_limits *limits = &port->sink->options.limits;
    size_t reasons = (size_t)limits->docs * REASON_BYTES;

    batch->job = (struct job){ .port = port, .batch = batch };
    batch->base.items = memory_reserve(limits->docs * sizeof(struct sink_item), "sqlite batch");
    batch->entries = memory_reserve(limits->docs * sizeof(struct entry), "sqlite batch");
    buf_open(&batch->text, limits->bytes + limits->document_bytes_max + reasons + ROOM_BYTES,
             "sqlite batch text");
}

/* Room for one key's states at least: document and state together are at most document_bytes_max,
 * in each table. */
static void open_lookup(struct port *port, struct lookup *lookup)
{
    const struct sink_limits *limits = &port->sink->options.limits;
    size_t bytes = limits->bytes + 2 * limits->document_bytes_max + ROOM_BYTES;

    lookup->job = (struct job){ .port = port, .lookup = lookup };
    lookup->base.items =
        memory_reserve(port->keys_max * sizeof(struct lookup_item), "sqlite lookup");
    lookup->keys = memory_reserve(port->keys_max * sizeof(struct slice), "sqlite lookup");
    lookup->found = memory_reserve(port->keys_max * sizeof(struct found), "sqlite lookup");
    buf_open(&lookup->texts, bytes, "sqlite lookup texts");
    arena_open(&lookup->arena, ARENA_TIMES * bytes, "sqlite lookup states");
}

struct sink_port *sqlite_port_open(struct sink *base, unsigned shard, struct env *env,
                                   struct err *err)
{
    struct sqlite_sink *sink = (struct sqlite_sink *)base;
    const struct sink_limits *limits = &sink->options.limits;
    struct port *port = memory_reserve(sizeof(*port), "sqlite port");

    (void)shard;
    (void)err; /* Too little memory is fatal, and nothing else can go wrong. */
    port->base.ops = &port_ops;
    port->sink = sink;
    port->env = env;
    port->keys_max = limits->docs < LOOKUP_KEYS_MAX ? limits->docs : LOOKUP_KEYS_MAX;
    port->keys = port->keys_max;
    port->batches = memory_reserve(limits->in_flight * sizeof(struct batch), "sqlite batches");
    for (unsigned i = 0; i < limits->in_flight; i++)
        open_batch(port, &port->batches[i]);
    port->lookups = memory_reserve(LOOKUPS * sizeof(struct lookup), "sqlite lookups");
    for (unsigned i = 0; i < LOOKUPS; i++)
        open_lookup(port, &port->lookups[i]);
    return &port->base;
}
