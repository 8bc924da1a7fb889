/*
 * model_log.c: see model.h. The decoder hands out a message's rows as they are, frame after frame,
 * so that a message can end in another frame than it began in.
 */
#include "tests/unit/dataplane/model.h"

#include "dataplane/base/memory.h"

#include <stdio.h>

static const char *const tables[ROWS] = { "root", "a", "b", "c", "c" };
static const char *const row_ids[ROWS] = { "", "", "", "1", "2" };

uint64_t model_roll(uint64_t *random)
{
    uint64_t x = *random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

unsigned model_below(uint64_t *random, unsigned n)
{
    return (unsigned)(model_roll(random) % n);
}

/* One roll a line: the order in which an initializer's rolls are made is the compiler's. */
struct event model_event(uint64_t *random, unsigned keys, uint64_t *stamp, unsigned value)
{
    static const unsigned steps[] = { 0, 1, 1, 5, 30 }, lates[] = { 0, 0, 0, 7, 40 };
    struct event event = { .value = value };
    *stamp += steps[model_below(random, 5)];
    event.stamp = *stamp - lates[model_below(random, 5)];
    event.key = model_below(random, keys);
    event.row = model_below(random, ROWS);
    event.deletes = model_below(random, 5) == 0;
    return event;
}

struct plan *model_plan(enum images images)
{
    const struct plan_table mapped[] = {
        { .name = SLICE("t.root") },
        { .name = SLICE("t.a"), .into = SLICE("a") },
        { .name = SLICE("t.b"), .into = SLICE("b") },
        { .name = SLICE("t.c"), .into = SLICE("c"), .many = SLICE("id") },
    };
    struct plan *plan = plan_open(SLICE("test"), SLICE("key"), images, EMIT_ALWAYS);
    for (unsigned i = 0; i < sizeof(mapped) / sizeof(mapped[0]); i++)
        plan_add_table(plan, &mapped[i], NULL, 0);
    return plan;
}

/* ---- decoder ---- */

struct model_decoder {
    struct decoder decoder;
    const struct plan *plan;
    unsigned at; /* the message's next row */
    uint64_t clock_before;
};

static struct decoder *decoder_open(const struct decoder_options *options)
{
    struct model_decoder *decoder = memory_reserve(sizeof(*decoder), "decoder");
    decoder->decoder.ops = &model_decoder_ops;
    decoder->plan = options->plan;
    return &decoder->decoder;
}

static void decoder_begin(struct decoder *decoder, struct decode_job *job)
{
    struct model_decoder *model = (struct model_decoder *)decoder;
    model->at = 0;
    model->clock_before = job->clock->seqno;
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

static void fill_change(const struct model_decoder *model, struct decode_job *job,
                        struct frame *frame, struct change *change)
{
    const struct message *message = (const void *)job->record->payload.data;
    const struct event *event = message->rows[model->at];
    *change = (struct change){
        .seqno = clock_next(job->clock, SEQNO_EPOCH + event->stamp),
        .clock_before = model->clock_before,
        .key = arena_text(&frame->arena, "k%u", event->key),
        .row_id = slice_of(row_ids[event->row]),
        .table = (uint16_t)plan_find(model->plan, SLICE("t"), slice_of(tables[event->row])),
        .partition = job->record->partition,
        .offset = job->record->offset,
        .op = event->deletes ? CHANGE_DELETE : CHANGE_UPSERT,
    };
    change->hash = key_hash(change->key);
    if (!event->deletes)
        fill_fields(model->plan, event, frame, change);
}

static bool decoder_rows(struct decoder *decoder, struct decode_job *job, struct frame *frame)
{
    struct model_decoder *model = (struct model_decoder *)decoder;
    const struct message *message = (const void *)job->record->payload.data;
    for (; model->at < message->n; model->at++) {
        struct change *change = frame_slot(frame);
        if (change == NULL)
            return false;
        fill_change(model, job, frame, change);
        job->rows++;
        frame->n++;
    }
    return true;
}

const struct decoder_ops model_decoder_ops = {
    .name = "model", .open = decoder_open, .begin = decoder_begin, .rows = decoder_rows
};

/* ---- source and env: as little as the pipeline needs ---- */

void model_source_attach(struct source_port *port, uint16_t partition, void *handle)
{
    (void)port, (void)partition, (void)handle;
}
void model_source_release(struct source_port *port, struct record *records, unsigned n)
{
    (void)port, (void)records, (void)n;
}
bool model_source_ended(struct source_port *port)
{
    (void)port;
    return false;
}

void model_evict(struct pipeline *pipeline, unsigned key)
{
    char text[] = { 'k', (char)('0' + key) };
    struct slice name = { text, sizeof(text) };
    struct entity *entity = store_find(pipeline->store, key_hash(name), name);
    if (entity != NULL && entity->pending == NULL)
        store_drop(pipeline->store, entity);
}

uint64_t model_env_now(const struct model_env *env)
{
    return 1000000 + *env->now * env->step_us;
}
static uint64_t env_mono(struct env *env)
{
    return model_env_now((const struct model_env *)env);
}
static uint64_t env_wall(struct env *env)
{
    return SEQNO_EPOCH + UINT64_C(1000000000) + env_mono(env);
}
static uint64_t env_roll(struct env *env)
{
    return model_roll(((struct model_env *)env)->random);
}
static void env_nothing(struct env *env)
{
    (void)env;
}
const struct env_ops model_env_ops = {
    .mono_us = env_mono, .wall_us = env_wall, .random = env_roll, .wake = env_nothing
};
