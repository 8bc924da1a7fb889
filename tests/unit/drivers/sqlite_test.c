/* sqlite_test.c: the embedded sink on a real file: versions, deletes, states read back, trouble. */
#include "tests/unit/drivers/sqlite_rig.h"

#include <pthread.h>

/* ---- tables ---- */

/* R3's shortcut rests on it: only who makes both tables says that they are new. */
static void first_prepare_creates_later_ones_do_not(void **state)
{
    struct err err;

    (void)state;
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), 1);
    assert_int_equal(prepare(rig.sink, &err), 0);
    rig.sink->ops->close(rig.sink);
    assert_value("SELECT sql FROM sqlite_master WHERE name = 'orders'",
                 "CREATE TABLE \"orders\" (key TEXT PRIMARY KEY, version INTEGER NOT NULL, "
                 "doc TEXT NOT NULL, state BLOB NOT NULL)");
    assert_value("SELECT sql FROM sqlite_master WHERE name = 'orders_weir'",
                 "CREATE TABLE \"orders_weir\" (key TEXT PRIMARY KEY, version INTEGER NOT NULL, "
                 "state BLOB NOT NULL)");
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), 0);
    rig.sink->ops->close(rig.sink);
    outside("DROP TABLE orders_weir");
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), 0); /* One was there. */
    rig.sink->ops->close(rig.sink);
}

/* What is there and not weir's is left alone, and said. */
static void what_is_not_ours_is_refused(void **state)
{
    static const struct {
        const char *sql;
        enum exit_code code;
        const char *says;
    } cases[] = {
        { "CREATE TABLE orders (id INTEGER PRIMARY KEY, doc TEXT)", EXIT_CONFIG,
          "\"orders\" is there with other columns" },
        { "CREATE TABLE orders (key TEXT PRIMARY KEY, version INTEGER NOT NULL, doc TEXT NOT NULL)",
          EXIT_CONFIG, "other columns" },
        { "CREATE TABLE orders_weir (key TEXT, version INTEGER, state BLOB)", EXIT_CONFIG,
          "\"orders_weir\" is there with other columns" },
        { "CREATE VIEW orders AS SELECT 1 AS key", EXIT_CONFIG, "other columns" },
        { "CREATE TABLE other (a); CREATE INDEX orders ON other (a)", EXIT_CONFIG, "an index" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err err = { 0 };

        outside(cases[i].sql);
        rig.sink = open_sink();
        assert_int_equal(prepare(rig.sink, &err), -1);
        rig.sink->ops->close(rig.sink);
        assert_int_equal(err.code, cases[i].code);
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, rig.path))
            fail_msg("%s", err.text);
        assert_value("SELECT name FROM sqlite_master WHERE name LIKE 'orders%' ORDER BY name DESC",
                     i == 2 ? "orders_weir" : "orders"); /* Nothing was made beside it. */
        assert_int_equal(unlink(rig.path), 0);
    }
}

/* A path that cannot be a database, and a folder that is not there. */
static void file_that_cannot_be_opened_is_an_io_error(void **state)
{
    struct err err = { 0 };
    FILE *file = fopen(rig.path, "w");

    (void)state;
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", file);
    fclose(file);
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), -1);
    rig.sink->ops->close(rig.sink);
    assert_int_equal(err.code, EXIT_IO);
    assert_non_null(strstr(err.text, "not a database"));

    strcat(rig.path, "/missing/orders.db");
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), -1);
    rig.sink->ops->close(rig.sink);
    assert_int_equal(err.code, EXIT_IO);
    assert_non_null(strstr(err.text, rig.path));
}

/* ---- versions ---- */

/* `doc` is what users see, `state` is what weir goes on with. */
static void document_and_state_stand_apart(void **state)
{
    (void)state;
    assert_int_equal(write_one("k1", 5, "\"张三\""), SINK_WRITTEN);
    assert_value("SELECT doc FROM orders WHERE key = 'k1'", "{\"name\":\"张三\"}");
    assert_value("SELECT typeof(doc) || typeof(state) FROM orders", "textblob");
    assert_value("SELECT CAST(state AS TEXT) FROM orders WHERE version = 5",
                 "{\"images\":\"full\",\"rows\":{\"shop.order\":{\"\":1704067200000005}}}");
    assert_value("SELECT 1 FROM orders_weir", NULL);
}

/* R2: equal and older versions are stale, which is a success. */
static void only_a_greater_version_replaces(void **state)
{
    (void)state;
    assert_int_equal(write_one("k", 5, "5"), SINK_WRITTEN);
    assert_int_equal(write_one("k", 5, "55"), SINK_STALE);
    assert_int_equal(write_one("k", 4, "4"), SINK_STALE);
    assert_value("SELECT doc FROM orders", "{\"name\":5}");
    assert_int_equal(write_one("k", 6, "6"), SINK_WRITTEN);
    assert_value("SELECT version || doc FROM orders", "6{\"name\":6}");
}

/* R6: the document goes, its state stays, all of it, where the next one looks for it. */
static void deleted_document_leaves_its_state(void **state)
{
    (void)state;
    assert_int_equal(write_one("k", 5, "5"), SINK_WRITTEN);
    rig.made.document =
        (struct document){ .key = SLICE("k"), .rows = rig.made.rows, .partition = 3 };
    put_row(ORDER, "", S(9), NULL);
    put_row(ITEM, "7", S(2), "\"x\"");
    assert_int_equal(verdict_of(&rig.made.document), SINK_WRITTEN);
    assert_value("SELECT 1 FROM orders", NULL);
    assert_value("SELECT CAST(state AS TEXT) FROM orders_weir WHERE key = 'k' AND version = 11",
                 "{\"items\":[{\"sku\":\"x\"}],\"_weir\":{\"images\":\"full\",\"p\":3,\"rows\":{"
                 "\"shop.order\":{\"\":-1704067200000009},"
                 "\"shop.item\":{\"7\":1704067200000002}}}}");
}

/* A write that was under way when its document was deleted lands late, and a delete may be late
 * too. */
static void late_writes_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(write_one("k", 9, NULL), SINK_WRITTEN);
    assert_int_equal(write_one("k", 7, "7"), SINK_STALE);
    assert_int_equal(write_one("k", 9, "9"), SINK_STALE);
    assert_int_equal(write_one("k", 8, NULL), SINK_STALE);
    assert_value("SELECT 1 FROM orders", NULL);
    assert_int_equal(write_one("k", 12, "12"), SINK_WRITTEN); /* It comes back. */
    assert_int_equal(write_one("k", 11, NULL), SINK_STALE);
    assert_value("SELECT doc FROM orders", "{\"name\":12}");
    assert_value("SELECT version FROM orders_weir", "9");
    assert_int_equal(write_one("k", 13, NULL), SINK_WRITTEN);
    assert_value("SELECT 1 FROM orders", NULL);
    assert_value("SELECT version FROM orders_weir", "13");
}

/* A key is bytes: quotes, a NUL, a prefix of another key are nothing special. */
static void keys_are_any_bytes(void **state)
{
    static const struct slice keys[] = { { "a", 1 },    { "a\0", 2 },  { "a\0b", 3 },
                                         { "it's", 4 }, { "\"\"", 2 }, { "张三", 6 } };
    struct sink_lookup *lookup;
    unsigned n = sizeof(keys) / sizeof(*keys);
    char number[16];

    (void)state;
    for (unsigned i = 0; i < n; i++) {
        snprintf(number, sizeof(number), "%u", i);
        assert_int_equal(verdict_of(document(keys[i], 5 + i, number)), SINK_WRITTEN);
    }
    assert_value("SELECT count(*) FROM orders", "6");
    lookup = look_up(keys, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(lookup->items[i].found, LOOKUP_FOUND);
        assert_int_equal(lookup->items[i].version, 5 + i);
    }
    rig.port->ops->lookup_recycle(rig.port, lookup);
}

/* ---- batches ---- */

/* Each document of a batch has its own verdict, in the order of add(). */
static void items_are_judged_on_their_own(void **state)
{
    struct sink_batch *batch;

    (void)state;
    outside("CREATE TRIGGER no BEFORE INSERT ON orders WHEN NEW.key = 'bad'"
            " BEGIN SELECT RAISE(ABORT, 'bad is not wanted'); END");
    assert_int_equal(write_one("old", 5, "5"), SINK_WRITTEN);
    batch = rig.port->ops->begin(rig.port);
    assert_int_equal(add_one(batch, "old", 3, "3"), SINK_ADDED);
    assert_int_equal(add_one(batch, "bad", 3, "3"), SINK_ADDED);
    assert_int_equal(add_one(batch, "new", 3, "3"), SINK_ADDED);
    assert_int_equal(add_one(batch, "gone", 3, NULL), SINK_ADDED);
    assert_true(batch->bytes > 0);
    rig.port->ops->submit(rig.port, batch);
    reaped(rig.port, 0);
    assert_false(batch->failed_whole);
    assert_int_equal(batch->items[0].verdict, SINK_STALE);
    assert_int_equal(batch->items[1].verdict, SINK_DEAD);
    assert_true(slice_equal(batch->items[1].reason, SLICE("bad is not wanted")));
    assert_int_equal(batch->items[2].verdict, SINK_WRITTEN);
    assert_int_equal(batch->items[3].verdict, SINK_WRITTEN);
    rig.port->ops->recycle(rig.port, batch);
    assert_value("SELECT group_concat(key) FROM (SELECT key FROM orders ORDER BY key)", "new,old");
}

/* By documents, by bytes; a large document travels alone; one that no batch can hold is told. */
static void batches_close_by_documents_and_bytes(void **state)
{
    static char value[256 * 1024];
    struct sink_batch *batch;

    (void)state;
    rig_reopen(&(struct sink_limits){
        .docs = 3, .in_flight = 1, .bytes = 1000, .document_bytes_max = 100000 });
    batch = rig.port->ops->begin(rig.port);
    assert_null(rig.port->ops->begin(rig.port)); /* in_flight: 1 */
    for (int i = 0; i < 3; i++)
        assert_int_equal(add_one(batch, "k", 1, "1"), SINK_ADDED);
    assert_int_equal(add_one(batch, "k", 1, "1"), SINK_FULL);
    rig.port->ops->recycle(rig.port, batch);

    memset(value, '1', sizeof(value) - 1);
    batch = rig.port->ops->begin(rig.port);
    value[90000] = '\0';
    assert_int_equal(add_one(batch, "k", 1, value), SINK_ADDED);
    assert_int_equal(add_one(batch, "k", 1, "1"), SINK_FULL);
    rig.port->ops->recycle(rig.port, batch);

    batch = rig.port->ops->begin(rig.port);
    assert_int_equal(add_one(batch, "k", 1, "1"), SINK_ADDED);
    value[900] = '\0'; /* Too much only with its names and its state. */
    assert_int_equal(add_one(batch, "k", 1, value), SINK_FULL);
    assert_int_equal(batch->n, 1);
    rig.port->ops->submit(rig.port, batch);
    assert_int_equal(reaped(rig.port, 0)->items[0].verdict, SINK_WRITTEN);
    rig.port->ops->recycle(rig.port, batch);

    batch = rig.port->ops->begin(rig.port); /* Empty, and still too small for these. */
    memset(value, '1', sizeof(value) - 1);
    for (size_t len = 99990; len <= 260000; len += 80005) {
        value[len] = '\0';
        assert_int_equal(add_one(batch, "k", 1, value), SINK_TOO_LARGE);
        value[len] = '1';
    }
    assert_int_equal(add_one(batch, "k", 1, "1"), SINK_ADDED);
    rig.port->ops->recycle(rig.port, batch);
    assert_value("SELECT doc FROM orders", "{\"name\":1}");
}

/* The disk refuses: nothing of the batch counts, and later all of it works. */
static void full_disk_is_to_be_tried_again(void **state)
{
    static char value[200000];
    struct rlimit before, small = { 4096, RLIM_INFINITY };

    (void)state;
    assert_int_equal(write_one("k", 5, "5"), SINK_WRITTEN);
    memset(value, '1', sizeof(value) - 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(write_one("k", 6, value), SINK_RETRY);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_value("SELECT version FROM orders", "5");
    assert_int_equal(write_one("k", 6, value), SINK_WRITTEN);
    assert_value("SELECT version FROM orders", "6");
}

/* Another process holds the file: wait, then ask to have it again; nothing is lost. */
static void locked_file_is_to_be_tried_again(void **state)
{
    sqlite3 *handle = connect_outside();

    (void)state;
    assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(write_one("k", 6, "6"), SINK_RETRY);
    assert_int_equal(sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    assert_int_equal(write_one("k", 6, "6"), SINK_WRITTEN);
}

/* A delete is two changes: where the second fails, the first is taken back, and both work later. */
static void half_a_delete_is_taken_back(void **state)
{
    (void)state;
    outside("CREATE TRIGGER stay BEFORE DELETE ON orders BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(write_one("k", 5, "5"), SINK_WRITTEN);
    assert_int_equal(write_one("k", 9, NULL), SINK_RETRY);
    assert_value("SELECT 1 FROM orders_weir", NULL);
    outside("DROP TRIGGER stay");
    assert_int_equal(write_one("k", 9, NULL), SINK_WRITTEN);
    assert_value("SELECT 1 FROM orders", NULL);
}

/* What was submitted is written, even if nobody waits for it. */
static void close_finishes_what_was_submitted(void **state)
{
    struct err err;

    (void)state;
    for (unsigned i = 0; i < rig.limits.in_flight; i++) {
        struct sink_batch *batch = rig.port->ops->begin(rig.port);
        char key[32];

        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(add_one(batch, key, 1, "1"), SINK_ADDED);
        rig.port->ops->submit(rig.port, batch);
    }
    rig.sink->ops->close(rig.sink);
    assert_value("SELECT count(*) FROM orders", "2");
    rig.sink = open_sink();
    assert_int_equal(prepare(rig.sink, &err), 0);
}

/* ---- lookups ---- */

static void assert_row_again(const struct document_state *state, unsigned at)
{
    static _Alignas(8) char block[1024];
    struct row *row = (struct row *)(void *)block;

    assert_true(at < state->n_changes && row_bytes(&state->changes[at]) <= sizeof(block));
    row_write(&state->changes[at], rig.plan->images, row);
    assert_int_equal(row->bytes, rig.made.rows[at]->bytes);
    assert_memory_equal(row, rig.made.rows[at], row->bytes);
}

/* R3: what is read back is what was written, from either table or from both. */
static void lookup_gives_states_back(void **state)
{
    static const struct slice keys[] = {
        { "shown", 5 }, { "gone", 4 }, { "both", 4 }, { "no", 2 }
    };
    struct sink_lookup *lookup;

    (void)state;
    assert_int_equal(write_one("both", 9, NULL), SINK_WRITTEN);
    for (unsigned i = 0; i < 3; i++) {
        rig.made.document = (struct document){
            .key = keys[i], .rows = rig.made.rows, .residual = 4, .version = 4, .partition = 2
        };
        put_row(ORDER, "", S(20), i == 1 ? NULL : "\"a\\\"b\"");
        put_row(ITEM, "9", S(6), "[1,{}]");
        put_row(ITEM, "10", S(8), NULL);
        assert_int_equal(verdict_of(&rig.made.document), SINK_WRITTEN);
        lookup = look_up(keys, 4);
        assert_false(lookup->failed_whole);
        assert_int_equal(lookup->items[i].found, LOOKUP_FOUND);
        assert_int_equal(lookup->items[i].n_states, i == 2 ? 2 : 1);
        assert_int_equal(lookup->items[i].version, i == 1 ? 0 : 38);
        assert_int_equal(lookup->items[i].states[0].residual, 4);
        assert_int_equal(lookup->items[i].states[0].partition, 2);
        assert_int_equal(lookup->items[i].states[0].n_changes, 3);
        for (unsigned row = 0; row < 3; row++)
            assert_row_again(&lookup->items[i].states[0], row);
        assert_int_equal(lookup->items[3].found, LOOKUP_ABSENT);
        rig.port->ops->lookup_recycle(rig.port, lookup);
    }
}

/* Rows that weir did not write, or that somebody damaged. */
static void foreign_and_broken_states_are_told(void **state)
{
    static const struct slice keys[] = { { "foreign", 7 }, { "broken", 6 }, { "side", 4 } };
    struct sink_lookup *lookup;

    (void)state;
    outside("INSERT INTO orders VALUES ('foreign', 3, '{\"a\":1}', x'');"
            "INSERT INTO orders VALUES ('broken', 3, '{\"a\":1}', '{');"
            "INSERT INTO orders_weir VALUES ('side', 3, '{\"a\":1')");
    lookup = look_up(keys, 3);
    assert_int_equal(lookup->items[0].found, LOOKUP_FOUND);
    assert_int_equal(lookup->items[0].n_states, 0);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(lookup->items[i].found, LOOKUP_BROKEN);
        assert_true(lookup->items[i].reason.len > 0);
    }
    rig.port->ops->lookup_recycle(rig.port, lookup);
}

/* More was found than the buffer takes: the lookup fails, smaller ones bring everything in the end.
 */
static void large_answers_come_in_smaller_lookups(void **state)
{
    static char value[3800];
    struct slice keys[60];
    char texts[60][16];
    unsigned found = 0, failed = 0;

    (void)state;
    rig_reopen(&(struct sink_limits){
        .docs = 60, .in_flight = 1, .bytes = 4096, .document_bytes_max = 4096 });
    memset(value, '1', sizeof(value) - 1);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(texts[i], sizeof(texts[i]), "k%u", i);
        keys[i] = slice_of(texts[i]);
        assert_int_equal(verdict_of(document(keys[i], 1, value)), SINK_WRITTEN);
    }
    while (found < 60) {
        struct sink_lookup *lookup = rig.port->ops->lookup_begin(rig.port);
        unsigned n = 0;

        while (found + n < 60 && rig.port->ops->lookup_add(rig.port, lookup, keys[found + n]))
            n++;
        assert_true(n > 0);
        rig.port->ops->lookup_submit(rig.port, lookup);
        lookup_reaped();
        failed += lookup->failed_whole;
        for (unsigned i = 0; i < n && !lookup->failed_whole; i++, found++)
            assert_int_equal(lookup->items[i].found, LOOKUP_FOUND);
        rig.port->ops->lookup_recycle(rig.port, lookup);
    }
    assert_true(failed > 0);
    outside("UPDATE orders SET doc = doc || hex(zeroblob(100000)) WHERE key = 'k7'");
    struct sink_lookup *lookup = look_up(&keys[7], 1);
    assert_int_equal(lookup->items[0].found, LOOKUP_BROKEN);
    rig.port->ops->lookup_recycle(rig.port, lookup);
}

/* ---- shards ---- */

#define ROUNDS 40

struct shard {
    struct sink_port *port;
    unsigned number;
    _Alignas(8) char block[256];
    uint16_t column;
    unsigned written, stale;
};

/* Each round writes a key of its own, one that all shards write, and reads a key back. */
static void *run_shard(void *argument)
{
    struct shard *shard = argument;
    struct sink_port *own = shard->port;
    struct row *row = (struct row *)(void *)shard->block;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct field field = { .column = shard->column, .value = SLICE("1") };
        struct change change = { .seqno = S(1 + i), .n_fields = 1, .fields = &field };
        struct sink_batch *batch = own->ops->begin(own);
        struct sink_lookup *lookup;
        char key[32];

        row_write(&change, IMAGES_FULL, row);
        snprintf(key, sizeof(key), "%u-%u", shard->number, i);
        for (int both = 0; both < 2; both++) {
            struct document one = { .key = both ? SLICE("all") : slice_of(key),
                                    .version = 1 + i,
                                    .n_rows = 1,
                                    .rows = &row,
                                    .partition = -1 };

            if (own->ops->add(own, batch, &one) != SINK_ADDED)
                return NULL;
        }
        own->ops->submit(own, batch);
        reaped(own, shard->number);
        for (int both = 0; both < 2; both++) {
            shard->written += batch->items[both].verdict == SINK_WRITTEN;
            shard->stale += batch->items[both].verdict == SINK_STALE;
        }
        own->ops->recycle(own, batch);
        lookup = own->ops->lookup_begin(own);
        if (!own->ops->lookup_add(own, lookup, slice_of(key)))
            return NULL;
        own->ops->lookup_submit(own, lookup);
        while (!own->ops->lookup_reap(own))
            sem_wait(&rig.wakers[shard->number].woken);
        shard->written += lookup->items[0].n_states == 1;
        own->ops->lookup_recycle(own, lookup);
    }
    return NULL;
}

/* Shards work side by side: each gets its own answers, and of each version of one key one write
 * wins. */
static void shards_do_not_disturb_each_other(void **state)
{
    static struct shard shards[4];
    pthread_t threads[4];
    unsigned written = 0, stale = 0;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        shards[i] = (struct shard){ .port = i ? open_port(i) : rig.port,
                                    .number = i,
                                    .column = columns_intern(rig.plan->tables[ORDER].columns,
                                                             SLICE("name")) };
        assert_int_equal(pthread_create(&threads[i], NULL, run_shard, &shards[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        written += shards[i].written;
        stale += shards[i].stale;
    }
    assert_int_equal(written + stale, 4 * ROUNDS * 3);
    assert_true(written >= 4 * ROUNDS * 2 + 1 && written <= 4 * ROUNDS * 2 + ROUNDS);
    assert_value("SELECT count(*) FROM orders", "161");
    assert_value("SELECT version FROM orders WHERE key = 'all'", "40");
}

/* A limit of nothing, a name of nothing: said before anything is opened. */
static void unusable_options_are_refused(void **state)
{
    struct sqlite_options options = { .path = rig.path, .table = "orders", .limits = rig.limits };
    struct err err = { 0 };

    (void)state;
    options.table = "";
    assert_null(sqlite_sink_open(&options, &err));
    assert_int_equal(err.code, EXIT_CONFIG);
    options.table = "orders";
    options.limits.docs = 0;
    assert_null(sqlite_sink_open(&options, &err));
    assert_int_equal(err.code, EXIT_CONFIG);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, rig_folder, folder_remove)
#define WITH_SINK(test)   cmocka_unit_test_setup_teardown(test, rig_start, rig_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(first_prepare_creates_later_ones_do_not),
        WITH_FOLDER(what_is_not_ours_is_refused),
        WITH_FOLDER(file_that_cannot_be_opened_is_an_io_error),
        WITH_FOLDER(unusable_options_are_refused),
        WITH_SINK(document_and_state_stand_apart),
        WITH_SINK(only_a_greater_version_replaces),
        WITH_SINK(deleted_document_leaves_its_state),
        WITH_SINK(late_writes_change_nothing),
        WITH_SINK(keys_are_any_bytes),
        WITH_SINK(items_are_judged_on_their_own),
        WITH_SINK(batches_close_by_documents_and_bytes),
        WITH_SINK(full_disk_is_to_be_tried_again),
        WITH_SINK(locked_file_is_to_be_tried_again),
        WITH_SINK(half_a_delete_is_taken_back),
        WITH_SINK(close_finishes_what_was_submitted),
        WITH_SINK(lookup_gives_states_back),
        WITH_SINK(foreign_and_broken_states_are_told),
        WITH_SINK(large_answers_come_in_smaller_lookups),
        WITH_SINK(shards_do_not_disturb_each_other),
    };

    rig_plan();
    return UNIT_RUN(tests);
}
