/* sqlite_rig.c: see sqlite_rig.h. */
#include "tests/unit/drivers/sqlite_rig.h"

struct sqlite_rig rig;

static void wake(struct env *env)
{
    sem_post(&((struct waker *)env)->woken);
}

static const struct env_ops waker_ops = { .wake = wake };

/* ---- documents ---- */

void put_row(unsigned table, const char *id, uint64_t seqno, const char *value)
{
    static const char *const names[] = { "name", "sku" };
    struct field field = { .value = value ? slice_of(value) : SLICE("") };
    struct change change = { .seqno = seqno, .row_id = slice_of(id), .table = (uint16_t)table };
    unsigned n = rig.made.document.n_rows++;

    if (value) {
        field.column = columns_intern(rig.plan->tables[table].columns, slice_of(names[table]));
        change.fields = &field;
        change.n_fields = 1;
    } else {
        change.op = CHANGE_DELETE;
    }
    rig.made.rows[n] = (struct row *)(void *)rig.made.blocks[n];
    assert_true(row_bytes(&change) <= sizeof(rig.made.blocks[n]));
    row_write(&change, rig.plan->images, rig.made.rows[n]);
    rig.made.document.version += row_term(rig.made.rows[n], rig.plan->images);
}

const struct document *document(struct slice key, uint64_t version, const char *value)
{
    rig.made.document = (struct document){ .key = key, .rows = rig.made.rows, .partition = -1 };
    put_row(ORDER, "", S(version), value);
    return &rig.made.document;
}

/* ---- the sink ---- */

struct sink *open_sink(void)
{
    const struct sqlite_options options = {
        .path = rig.path, .table = "orders", .limits = rig.limits, .plan = rig.plan
    };
    struct err err;
    struct sink *opened = sqlite_sink_open(&options, &err);

    assert_non_null(opened);
    return opened;
}

int prepare(struct sink *opened, struct err *err)
{
    return opened->ops->prepare(opened, err);
}

struct sink_port *open_port(unsigned shard)
{
    struct err err;
    struct sink_port *opened;

    rig.wakers[shard].env.ops = &waker_ops;
    assert_int_equal(sem_init(&rig.wakers[shard].woken, 0, 0), 0);
    opened = rig.sink->ops->port(rig.sink, shard, &rig.wakers[shard].env, &err);
    assert_non_null(opened);
    return opened;
}

struct sink_batch *reaped(struct sink_port *from, unsigned shard)
{
    struct sink_batch *batch;

    while (!(batch = from->ops->reap(from)))
        sem_wait(&rig.wakers[shard].woken);
    return batch;
}

struct sink_lookup *lookup_reaped(void)
{
    struct sink_lookup *lookup;

    while (!(lookup = rig.port->ops->lookup_reap(rig.port)))
        sem_wait(&rig.wakers[0].woken);
    return lookup;
}

enum sink_verdict verdict_of(const struct document *one)
{
    struct sink_batch *batch = rig.port->ops->begin(rig.port);
    enum sink_verdict verdict;

    assert_non_null(batch);
    assert_int_equal(rig.port->ops->add(rig.port, batch, one), SINK_ADDED);
    rig.port->ops->submit(rig.port, batch);
    assert_ptr_equal(reaped(rig.port, 0), batch);
    assert_int_equal(batch->n, 1);
    assert_int_equal(batch->failed_whole, batch->items[0].verdict == SINK_RETRY);
    verdict = batch->items[0].verdict;
    rig.port->ops->recycle(rig.port, batch);
    return verdict;
}

enum sink_add add_one(struct sink_batch *batch, const char *key, uint64_t version,
                      const char *value)
{
    return rig.port->ops->add(rig.port, batch, document(slice_of(key), version, value));
}

enum sink_verdict write_one(const char *key, uint64_t version, const char *value)
{
    return verdict_of(document(slice_of(key), version, value));
}

struct sink_lookup *look_up(const struct slice *keys, unsigned n)
{
    struct sink_lookup *lookup = rig.port->ops->lookup_begin(rig.port);

    assert_non_null(lookup);
    for (unsigned i = 0; i < n; i++)
        assert_true(rig.port->ops->lookup_add(rig.port, lookup, keys[i]));
    rig.port->ops->lookup_submit(rig.port, lookup);
    assert_ptr_equal(lookup_reaped(), lookup);
    return lookup;
}

/* ---- a look from outside ---- */

sqlite3 *connect_outside(void)
{
    sqlite3 *handle;

    assert_int_equal(sqlite3_open(rig.path, &handle), SQLITE_OK);
    return handle;
}

void outside(const char *sql)
{
    sqlite3 *handle = connect_outside();
    char *message = NULL;

    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(handle);
}

void assert_value(const char *sql, const char *wanted)
{
    sqlite3 *handle = connect_outside();
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    if (wanted) {
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(statement, 0), wanted);
    } else {
        assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    }
    sqlite3_finalize(statement);
    sqlite3_close(handle);
}

/* ---- setups ---- */

void rig_plan(void)
{
    rig.plan = plan_open(SLICE("orders"), SLICE("order_no"), IMAGES_FULL, EMIT_ALWAYS);
    plan_add_table(rig.plan, &(struct plan_table){ .name = SLICE("shop.order") }, NULL, 0);
    plan_add_table(rig.plan,
                   &(struct plan_table){
                       .name = SLICE("shop.item"), .into = SLICE("items"), .many = SLICE("id") },
                   NULL, 0);
}

int rig_folder(void **state)
{
    if (folder_make(state) != 0)
        return -1;
    snprintf(rig.path, sizeof(rig.path), "%s", folder_path_of("orders.db"));
    rig.limits = (struct sink_limits){
        .docs = 100, .in_flight = 2, .bytes = 1 << 20, .document_bytes_max = 1 << 20
    };
    return 0;
}

int rig_start(void **state)
{
    struct err err;

    assert_int_equal(rig_folder(state), 0);
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), 1);
    rig.port = open_port(0);
    return 0;
}

void rig_reopen(const struct sink_limits *limits)
{
    struct err err;

    rig.sink->ops->close(rig.sink);
    rig.limits = *limits;
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), 0);
    rig.port = open_port(0);
}

int rig_stop(void **state)
{
    rig.sink->ops->close(rig.sink);
    return folder_remove(state);
}
