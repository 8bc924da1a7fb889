/* hbase_rows_rig.c: see hbase_rows_rig.h. */
#include "hbase_rows_rig.h"

#include "dataplane/base/json.h"

#include <stdlib.h>

#define STORE_BYTES   (8u << 20)
#define CANONICAL_MAX 65536

#define SHOWN(buf, at) (int)((buf).len - (at) < 300 ? (buf).len - (at) : 300), (buf).data + (at)

struct buf to_put, to_delete, cells;
static struct buf written;
struct arena arena;

static struct buf row_key, text;

void rig_open(void)
{
    buf_open(&written, 8u << 20, "test");
    buf_open(&to_put, 8u << 20, "test");
    buf_open(&to_delete, 8u << 20, "test");
    buf_open(&cells, 8u << 20, "test");
    buf_open(&row_key, 4096, "test");
    buf_open(&text, 1u << 20, "test");
    arena_open(&arena, 64u << 20, "test");
}

/* ---- worlds ---- */

struct plan *plan_make(enum images images, unsigned n_tables)
{
    static const struct plan_table tables[TABLES] = {
        { .name = { "shop.buyer", 10 }, .into = { "buyer", 5 } },
        { .name = { "shop.order", 10 } },
        { .name = { "shop.item", 9 }, .into = { "items", 5 }, .many = { "id", 2 } },
        { .name = { "s%3A:t\"", 7 }, .into = { "odd", 3 }, .many = { "n", 1 } },
    };
    struct plan *plan = plan_open(SLICE("orders"), SLICE("no"), images, EMIT_ALWAYS);

    for (unsigned i = 0; i < n_tables; i++)
        plan_add_table(plan, &tables[i], NULL, 0);
    return plan;
}

struct world world_of(struct plan *plan)
{
    return (struct world){ .plan = plan,
                           .rows = rows_open(plan, SLICE("d")),
                           .store = store_open(plan, STORE_BYTES) };
}

struct world world_open(enum images images)
{
    return world_of(plan_make(images, TABLES));
}

struct entity *entity_new(struct world *world)
{
    static unsigned n;
    char key[16];
    struct slice slice = { key, (size_t)snprintf(key, sizeof(key), "k%u", n++) };
    struct entity *entity = store_add(world->store, key_hash(slice), slice);

    assert_non_null(entity);
    return entity;
}

uint16_t column(const struct world *world, unsigned table, const char *name)
{
    return columns_intern(world->plan->tables[table].columns, slice_of(name));
}

enum merge_verdict change(struct world *world, struct entity *entity, unsigned table,
                          const char *id, uint64_t seqno, const char *given)
{
    struct field fields[32];
    struct change change = { .seqno = seqno,
                             .key = entity_key(entity),
                             .hash = entity->hash,
                             .row_id = slice_of(id),
                             .table = (uint16_t)table,
                             .op = given != NULL ? CHANGE_UPSERT : CHANGE_DELETE,
                             .fields = fields,
                             .offset = -1 };

    while (given != NULL && *given != '\0') {
        const char *equals = strchr(given, '='), *end = strchr(given, ';');
        char name[64];

        if (end == NULL)
            end = given + strlen(given);
        snprintf(name, sizeof(name), "%.*s", (int)(equals - given), given);
        assert_true(change.n_fields < 32);
        fields[change.n_fields++] =
            (struct field){ .column = column(world, table, name),
                            .value = { equals + 1, (size_t)(end - equals - 1) } };
        given = *end == ';' ? end + 1 : end;
    }
    return store_apply(world->store, entity, &change, 0);
}

/* ---- the model ---- */

void model_reset(struct model *model)
{
    model->n_puts = model->n_deletes = 0;
    model->used = 0;
}

static struct slice model_keep(struct model *model, struct slice bytes)
{
    struct slice kept = { model->bytes + model->used, bytes.len };

    assert_true(bytes.len <= MODEL_BYTES_MAX - model->used);
    if (bytes.len > 0)
        memcpy(model->bytes + model->used, bytes.data, bytes.len);
    model->used += bytes.len;
    return kept;
}

/* Adds a version, or replaces the one of the same timestamp. */
static void model_set(struct model *model, struct model_cell *list, unsigned *n,
                      struct model_cell cell)
{
    for (unsigned i = 0; i < *n; i++)
        if (list[i].timestamp == cell.timestamp && slice_equal(list[i].qualifier, cell.qualifier)) {
            list[i].value = model_keep(model, cell.value);
            return;
        }
    assert_true(*n < MODEL_CELLS_MAX);
    list[(*n)++] = (struct model_cell){ model_keep(model, cell.qualifier),
                                        model_keep(model, cell.value), cell.timestamp };
}

void model_apply(struct model *model, struct slice put, struct slice delete)
{
    struct cell cell;
    int more;

    while ((more = cell_next(&put, &cell)) == 1) {
        assert_int_equal(cell.type, CELL_PUT);
        model_set(model, model->puts, &model->n_puts,
                  (struct model_cell){ cell.qualifier, cell.value, cell.timestamp });
    }
    assert_int_equal(more, 0);
    while ((more = cell_next(&delete, &cell)) == 1) {
        assert_int_equal(cell.type, CELL_DELETE_COLUMN);
        model_set(model, model->deletes, &model->n_deletes,
                  (struct model_cell){ cell.qualifier, cell.value, cell.timestamp });
    }
    assert_int_equal(more, 0);
}

static bool is_deleted(const struct model *model, const struct model_cell *cell)
{
    for (unsigned i = 0; i < model->n_deletes; i++)
        if (model->deletes[i].timestamp >= cell->timestamp &&
            slice_equal(model->deletes[i].qualifier, cell->qualifier))
            return true;
    return false;
}

static bool is_newest(const struct model *model, const struct model_cell *cell)
{
    for (unsigned i = 0; i < model->n_puts; i++)
        if (model->puts[i].timestamp > cell->timestamp &&
            slice_equal(model->puts[i].qualifier, cell->qualifier))
            return false;
    return true;
}

/* Keeps one version of each cell, as a family with VERSIONS => 1 does. */
void model_compact(struct model *model)
{
    unsigned n = 0;

    for (unsigned i = 0; i < model->n_puts; i++)
        if (!is_deleted(model, &model->puts[i]) && is_newest(model, &model->puts[i]))
            model->puts[n++] = model->puts[i];
    model->n_puts = n;
    model->n_deletes = 0;
}

static int by_qualifier(const void *a, const void *b)
{
    return slice_compare((*(const struct model_cell *const *)a)->qualifier,
                         (*(const struct model_cell *const *)b)->qualifier);
}

unsigned model_cells(const struct model *model, struct buf *out)
{
    static const struct model_cell *shown[MODEL_CELLS_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < model->n_puts; i++)
        if (!is_deleted(model, &model->puts[i]) && is_newest(model, &model->puts[i]))
            shown[n++] = &model->puts[i];
    qsort(shown, n, sizeof(shown[0]), by_qualifier);
    for (unsigned i = 0; i < n; i++)
        cell_put(out, &(struct cell){ SLICE("r"), SLICE("d"), shown[i]->qualifier, shown[i]->value,
                                      shown[i]->timestamp, CELL_PUT });
    return n;
}

void model_put(struct model *model, const char *qualifier, const char *value, uint64_t timestamp)
{
    model_set(model, model->puts, &model->n_puts,
              (struct model_cell){ slice_of(qualifier), slice_of(value), timestamp });
}

void model_delete(struct model *model, const char *qualifier, uint64_t timestamp)
{
    model_set(model, model->deletes, &model->n_deletes,
              (struct model_cell){ slice_of(qualifier), SLICE(""), timestamp });
}

struct slice model_shows(const struct model *model, const char *qualifier, uint64_t *timestamp)
{
    for (unsigned i = 0; i < model->n_puts; i++) {
        const struct model_cell *cell = &model->puts[i];

        if (!slice_equal(cell->qualifier, slice_of(qualifier)) || is_deleted(model, cell) ||
            !is_newest(model, cell))
            continue;
        *timestamp = cell->timestamp;
        return cell->value;
    }
    return (struct slice){ NULL, 0 };
}

/* ---- there ---- */

/* What was written, told apart: `n` cells. */
static void part(unsigned n)
{
    struct slice left = buf_slice(&written);
    struct cell cell;

    buf_reset(&to_put);
    buf_reset(&to_delete);
    for (; n > 0; n--) {
        assert_int_equal(cell_next(&left, &cell), 1);
        cell_put(cell.type == CELL_PUT ? &to_put : &to_delete, &cell);
    }
    assert_int_equal(left.len, 0);
}

unsigned write_document(struct world *world, struct entity *entity, bool purge)
{
    struct document document = store_document(entity);
    unsigned n;

    document.sink = 1;
    if (purge)
        document.purge_before = document_horizon(world->plan, &document);
    buf_reset(&written);
    buf_reset(&row_key);
    rows_key(document.key, &row_key);
    store_fly(entity, 1);
    n = rows_write(world->rows, &document, buf_slice(&row_key), &written);
    assert_false(written.overflow);
    part(n);
    return n;
}

void land(struct model *model, struct entity *entity)
{
    model_apply(model, buf_slice(&to_put), buf_slice(&to_delete));
    store_landed(entity, 1, true);
}

void flush(struct world *world, struct entity *entity, struct model *model)
{
    (void)write_document(world, entity, false);
    land(model, entity);
}

const char *listed(struct slice block)
{
    struct cell cell;
    int more;

    buf_reset(&text);
    while ((more = cell_next(&block, &cell)) == 1) {
        assert_true(slice_equal(cell.row, buf_slice(&row_key)));
        assert_true(slice_equal(cell.family, SLICE("d")));
        if (text.len > 0)
            buf_put_char(&text, ' ');
        if (cell.type != CELL_PUT)
            buf_put_char(&text, '-');
        buf_put_slice(&text, cell.qualifier);
        if (cell.type == CELL_PUT)
            buf_put_char(&text, '=');
        buf_put_slice(&text, cell.value);
        buf_printf(&text, "@%lld", (long long)(cell.timestamp - SEQNO_EPOCH));
    }
    assert_int_equal(more, 0);
    buf_put_char(&text, '\0');
    return text.data;
}

/* ---- and back ---- */

int read_back(struct world *world, const struct model *model, struct document_state *state,
              uint64_t *version, struct err *err)
{
    buf_reset(&cells);
    arena_reset(&arena);
    unsigned n = model_cells(model, &cells);
    return rows_read(world->rows, buf_slice(&cells), n, &arena, state, version, err);
}

struct entity *entity_read(struct world *world, const struct model *model)
{
    struct entity *entity = entity_new(world);
    struct document_state state;
    struct err err = { 0 };
    uint64_t version;
    unsigned late = 0;

    if (read_back(world, model, &state, &version, &err) < 0)
        fail_msg("%s", err.text);
    assert_false(state.other_images);
    assert_int_equal(store_join(world->store, entity, &state, 1, &late), MERGE_UPDATE);
    assert_int_equal(entity->version, version);
    return entity;
}

static int by_column(const void *a, const void *b)
{
    return (int)((const struct field *)a)->column - (int)((const struct field *)b)->column;
}

static bool has(struct slice bytes, const char *part)
{
    return memmem(bytes.data, bytes.len, part, strlen(part)) != NULL;
}

/* A value with its escapes made the canonical ones; half of a surrogate pair has none but its own.
 */
static void put_canonical(struct slice value, struct buf *out)
{
    static char unescaped[CANONICAL_MAX];
    struct slice means = { unescaped, 0 };

    if (value.data == NULL) {
        buf_put_literal(out, "hidden");
        return;
    }
    assert_true(value.len <= sizeof(unescaped));
    if (value.data[0] == '"')
        means.len = json_unescape(value, unescaped);
    if (value.data[0] != '"' || (has(means, "\xef\xbf\xbd") && !has(value, "\xef\xbf\xbd")))
        buf_put_slice(out, value);
    else
        buf_put_json_string(out, means);
}

/* A row as a text that is the same for rows that mean the same. */
static void canonical(const struct row *row, enum images images, bool hidden, struct buf *out)
{
    static struct field fields[COLUMNS_MAX];
    struct row_cursor cursor;
    unsigned n = 0;

    buf_printf(out, "%u:%.*s %llu %s", row->table, (int)row_id(row).len, row_id(row).data,
               (unsigned long long)row->tombstone, row_alive(row) ? "alive" : "dead");
    if (images == IMAGES_FULL)
        buf_printf(out, " @%llu", (unsigned long long)row->seqno);
    row_fields(row, &cursor);
    while (row_next(&cursor, &fields[n]))
        n += hidden || fields[n].value.data != NULL;
    qsort(fields, n, sizeof(fields[0]), by_column);
    for (unsigned i = 0; i < n; i++) {
        struct slice value = fields[i].value;

        buf_printf(out, "\n  %u@%llu ", fields[i].column, (unsigned long long)fields[i].seqno);
        put_canonical(value, out);
    }
    buf_put_char(out, '\n');
}

static void canonical_all(const struct entity *entity, enum images images, bool hidden,
                          struct buf *out)
{
    buf_reset(out);
    for (uint32_t i = 0; entity->rows != NULL && i < entity->rows->n; i++)
        canonical(entity->rows->rows[i], images, hidden, out);
    if (hidden)
        buf_printf(out, "residual %llu version %llu", (unsigned long long)entity->residual,
                   (unsigned long long)entity->version);
    assert_false(out->overflow);
}

static void compare(const struct entity *a, const struct entity *b, enum images images, bool hidden)
{
    static struct buf one, other;

    if (one.data == NULL) {
        buf_open(&one, 8u << 20, "test");
        buf_open(&other, 8u << 20, "test");
    }
    canonical_all(a, images, hidden, &one);
    canonical_all(b, images, hidden, &other);
    size_t at = 0;
    while (at < one.len && at < other.len && one.data[at] == other.data[at])
        at++;
    if (at == one.len && at == other.len)
        return;
    at = at > 200 ? at - 200 : 0;
    fail_msg("\n...%.*s...\n, wanted\n...%.*s...", SHOWN(one, at), SHOWN(other, at));
}

void assert_same(const struct entity *a, const struct entity *b, enum images images)
{
    compare(a, b, images, true);
}

void assert_shows_same(const struct entity *a, const struct entity *b, enum images images)
{
    compare(a, b, images, false);
}
