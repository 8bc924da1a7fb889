/*
 * check.c: see check.h. A sink's state of a document is read as weir reads it back, and its text
 * besides is looked through for the numbers that must be in it, which only this file knows of.
 *
 * A document that a sink has refused for good may lack rows there, until it is written again: what
 * is refused is not looked at.
 */
#include "tests/sim/check.h"

#include "control/drivers.h"
#include "dataplane/base/memory.h"
#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/document.h"
#include "drivers/hbase/rows.h"
#include "tests/sim/broker.h"
#include "tests/sim/letters.h"
#include "tests/sim/search.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX "orders"

enum { COMMITS = 64 };

static struct {
    const struct changelog *log;
    struct plan *plan;
    struct rows *rows;
    struct arena arena;
    struct buf cells;
    int64_t committed[PARTS_MAX]; /* what was checked so far */
    struct broker_commit commits[PARTS_MAX][COMMITS];
    unsigned n_commits[PARTS_MAX]; /* the last COMMITS of them are remembered */
    bool refused[KEYS_MAX];        /* by the table */
    bool again;
    struct table_watch table_watch;
    struct {
        uint64_t version, rows[ROWS];
    } indexed[KEYS_MAX];    /* the greatest version that the index took, and the rows in it */
    bool forgets[KEYS_MAX]; /* at the second reading: tombstones of it may have been purged */
} check;

/* ---- what a sink has ---- */

static unsigned row_of(unsigned key, const struct change *change)
{
    static const char *const names[] = { "t.root", "t.a", "t.b" };
    unsigned item = 0;
    for (unsigned row = 0; row < ROW_ITEMS; row++)
        if (slice_equal(check.plan->tables[change->table].name, slice_of(names[row])))
            return row;
    for (size_t i = 0; i < change->row_id.len; i++)
        item = item * 10 + (unsigned)(change->row_id.data[i] - '0');
    unsigned row = changelog_row(key, item);
    if (row < ROW_ITEMS || row >= ROWS)
        sim_blame("documents", "k%u has item %u", key, item);
    return row;
}

/* A row as a sink has it. With full images all its columns have its number. */
struct sight_row {
    uint64_t seqno; /* the greatest of it; 0: it is not known */
    uint64_t tombstone;
    uint64_t put; /* the greatest of what is shown */
    bool lives;
    struct sight_cell {
        uint64_t seqno;
        struct slice value; /* as JSON; data NULL: it is hidden, or not there */
    } cells[LOG_COLUMNS];
};

struct sight {
    bool refused, there;
    struct slice text; /* search: of the document */
    struct sight_row rows[ROWS];
};

static unsigned column_of(const struct change *change, const struct field *field)
{
    struct slice name = columns_target(check.plan->tables[change->table].columns, field->column);
    const char *at = name.len == 1 ? strchr(CHANGELOG_COLUMNS, name.data[0]) : NULL;
    return at != NULL ? (unsigned)(at - CHANGELOG_COLUMNS) : LOG_COLUMNS;
}

static uint64_t newer(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Partial images: each value by its own number. */
static void see_cells(struct sight_row *row, const struct change *change)
{
    row->tombstone =
        newer(row->tombstone, change->op == CHANGE_DELETE ? change->seqno : change->tombstone);
    for (unsigned i = 0; i < change->n_fields; i++) {
        const struct field *field = &change->fields[i];
        uint64_t seqno = field->seqno != 0 ? field->seqno : change->seqno;
        unsigned column = column_of(change, field);
        row->seqno = newer(row->seqno, seqno);
        if (field->value.data != NULL)
            row->put = newer(row->put, seqno);
        if (column < LOG_COLUMNS && seqno >= row->cells[column].seqno)
            row->cells[column] = (struct sight_cell){ seqno, field->value };
    }
    row->seqno = newer(row->seqno, row->tombstone);
    row->lives = row->put > row->tombstone;
    for (unsigned c = 0; c < LOG_COLUMNS; c++)
        if (row->cells[c].seqno < row->tombstone)
            row->cells[c].value.data = NULL;
}

static void see_row(struct sight_row *row, const struct change *change)
{
    if (change->seqno < row->seqno)
        return;
    *row = (struct sight_row){ .seqno = change->seqno, .lives = change->op == CHANGE_UPSERT };
    for (unsigned i = 0; i < change->n_fields; i++) {
        unsigned column = column_of(change, &change->fields[i]);
        if (column < LOG_COLUMNS)
            row->cells[column] = (struct sight_cell){ change->seqno, change->fields[i].value };
    }
}

static void see_state(struct sight *sight, unsigned key, const struct document_state *state)
{
    for (unsigned i = 0; i < state->n_changes; i++) {
        const struct change *change = &state->changes[i];
        (check.log->partial ? see_cells : see_row)(&sight->rows[row_of(key, change)], change);
    }
}

static void see_text(struct sight *sight, unsigned key, struct slice text)
{
    struct document_state state;
    struct err err;
    if (document_parse(check.plan, text, (struct slice){ NULL, 0 }, &check.arena, &state, &err) !=
        0)
        sim_blame("documents", "a state can't be read: %s: %.*s", err.text, (int)text.len,
                  text.data);
    see_state(sight, key, &state);
}

static uint64_t newest_of(const struct sight *sight)
{
    uint64_t newest = 0;
    for (unsigned row = 0; row < ROWS; row++)
        newest = newer(newest, sight->rows[row].seqno);
    return newest;
}

/* Tombstones that are older were purged: they are so old in the log's time. */
static uint64_t horizon_of(const struct sight *sight)
{
    uint64_t newest = newest_of(sight), retention_us = check.log->retention_s * UINT64_C(1000000);
    return retention_us > 0 && newest > retention_us ? newest - retention_us : 0;
}

/* The state in the side index is of the time when the document was deleted last. What the older of
 * the two has behind the newer one's horizon, the newer has too, or has purged. */
static void join(struct sight *sight, const struct sight *side)
{
    bool is_newer = newest_of(side) > newest_of(sight);
    const struct sight *newest = is_newer ? side : sight, *older = is_newer ? sight : side;
    uint64_t horizon = horizon_of(newest);
    for (unsigned row = 0; row < ROWS; row++) {
        bool more = older->rows[row].seqno > newest->rows[row].seqno;
        sight->rows[row] =
            more && older->rows[row].seqno >= horizon ? older->rows[row] : newest->rows[row];
    }
}

static void look_in_search(unsigned key, struct sight *sight)
{
    struct search_document document;
    char text[8];
    changelog_key(key, text);
    if (search_find(world.search, INDEX, slice_of(text), &document)) {
        sight->refused = document.refused_max > 0;
        sight->there = document.there;
        sight->text = document.source;
        if (document.there)
            see_text(sight, key, document.source);
    }
    if (search_find(world.search, INDEX "-weir", slice_of(text), &document) && document.there) {
        struct sight side = { .refused = false };
        see_text(&side, key, document.source);
        join(sight, &side);
    }
}

static void look_in_table(unsigned key, struct sight *sight)
{
    struct document_state state;
    struct err err;
    uint64_t version;
    char text[8], name[32];
    struct buf row = { .data = name, .bound = sizeof(name) };
    changelog_key(key, text);
    rows_key(slice_of(text), &row);
    check.cells.len = 0;
    unsigned n = table_read(world.table, buf_slice(&row), &check.cells);
    sight->refused = check.refused[key];
    if (n == 0)
        return;
    if (rows_read(check.rows, buf_slice(&check.cells), n, &check.arena, &state, &version, &err) !=
        0)
        sim_blame("documents", "cells of %s can't be read: %s", text, err.text);
    see_state(sight, key, &state);
    sight->there = true;
}

enum { SEARCH, TABLE, STORES };
static const char *const store_names[] = { "the index", "the table" };

static struct sight look(unsigned store, unsigned key)
{
    struct sight sight = { .refused = false };
    arena_reset(&check.arena);
    (store == SEARCH ? look_in_search : look_in_table)(key, &sight);
    return sight;
}

static bool has_store(unsigned store)
{
    return store == SEARCH ? world.search != NULL : world.table != NULL;
}

/* ---- commits ---- */

/* A newer delete was there, and is purged: the row may have come anew since. */
static bool was_purged(const struct sight *sight, const struct log_row *row)
{
    return row->row != ROW_ROOT && changelog_deleted(check.log, row, horizon_of(sight)) > 0;
}

/* Has the sink what the change says, or newer? */
static bool has_change(const struct sight *sight, const struct log_row *row)
{
    const struct sight_row *seen = &sight->rows[row->row];
    bool has = seen->seqno >= row->seqno;
    if (check.log->partial && seen->tombstone < row->seqno) {
        has = has && !row->deletes;
        for (unsigned c = 0; c < LOG_COLUMNS; c++)
            has = has && (!(row->has & 1u << c) || seen->cells[c].seqno >= row->seqno);
    }
    return has || was_purged(sight, row);
}

static void check_message(unsigned part, const struct log_message *message)
{
    if (message->is_bad && !letters_have((int32_t)part, message->offset))
        sim_blame("no loss", "the bad event at %u@%lld was committed without a dead letter", part,
                  (long long)message->offset);
    for (unsigned store = 0; store < STORES; store++)
        for (unsigned i = 0; i < message->n && has_store(store); i++) {
            const struct log_row *row = &message->rows[i];
            struct sight sight = look(store, row->key);
            if (!row->nothing && !sight.refused && !has_change(&sight, row))
                sim_blame("no loss",
                          "partition %u is committed past %lld, but k%u row %u at %llu is not in "
                          "%s, which has it at %llu",
                          part, (long long)message->offset, row->key, row->row,
                          (unsigned long long)row->seqno, store_names[store],
                          (unsigned long long)sight.rows[row->row].seqno);
        }
}

static void committed(void *context, const struct broker_commit *commit)
{
    const struct log_part *part = &check.log->parts[commit->partition];
    unsigned at = changelog_find(part, commit->offset);
    uint64_t clock = at > 0 ? part->messages[at - 1].clock_after : SEQNO_EPOCH;
    (void)context;
    sim_trace("node %u commits %u@%lld", commit->node, commit->partition,
              (long long)commit->offset);
    if (commit->clock != clock)
        sim_blame("clock", "the commit of %u@%lld has %llu, the log %llu", commit->partition,
                  (long long)commit->offset, (unsigned long long)commit->clock,
                  (unsigned long long)clock);
    for (unsigned m = changelog_find(part, check.committed[commit->partition]); m < at; m++)
        check_message(commit->partition, &part->messages[m]);
    check.commits[commit->partition][check.n_commits[commit->partition]++ % COMMITS] = *commit;
    if (commit->offset > check.committed[commit->partition])
        check.committed[commit->partition] = commit->offset;
}

/* ---- writes ---- */

static unsigned key_number(struct slice text)
{
    unsigned key = 0;
    for (size_t i = 1; i < text.len; i++)
        key = key * 10 + (unsigned)(text.data[i] - '0');
    ASSERT(key < KEYS_MAX);
    return key;
}

/* "hash8:k7" */
static unsigned key_of_row(struct slice row)
{
    size_t before = sizeof("01234567:") - 1;
    return key_number((struct slice){ row.data + before, row.len - before });
}

/* A greater version has all that the ones before it had, but for tombstones that are purged. (One
 * that is not greater is the side state of a document that was made anew meanwhile.) */
static void check_rows(const struct search_write *write)
{
    unsigned key = key_number(write->key);
    struct sight sight = { .refused = false };
    if (write->deleted || write->version_after < check.indexed[key].version)
        return;
    arena_reset(&check.arena);
    see_text(&sight, key, write->source);
    for (unsigned row = 0; row < ROWS; row++) {
        struct log_row had = { .key = key, .row = row, .seqno = check.indexed[key].rows[row] };
        uint64_t has = sight.rows[row].seqno;
        if (has < had.seqno && !(has == 0 && was_purged(&sight, &had)))
            sim_blame("no row falls", "%s/%.*s row %u: %llu -> %llu", write->index,
                      (int)write->key.len, write->key.data, row, (unsigned long long)had.seqno,
                      (unsigned long long)has);
        check.indexed[key].rows[row] = has;
    }
    check.indexed[key].version = write->version_after;
}

static bool was_refused(const struct search_write *write)
{
    struct search_document document;
    return search_find(world.search, INDEX, write->key, &document) && document.refused_max > 0;
}

/* May the document be written again though nothing of it changed? Where tombstones were purged; and
 * with partial images HBase loses the number of a cell that another writer's tombstone hid unseen,
 * which the log tells again (drivers/hbase/rows.h): the version is greater by its term then. */
static bool may_come_again(const struct search_write *write)
{
    return check.forgets[key_number(write->key)] || was_refused(write) ||
           (check.log->partial && world.table != NULL);
}

static void written(void *context, const struct search_write *write)
{
    (void)context;
    sim_trace("%s/%.*s: version %llu -> %llu%s", write->index, (int)write->key.len, write->key.data,
              (unsigned long long)write->version_before, (unsigned long long)write->version_after,
              write->deleted ? " (deleted)" : "");
    if (write->version_after < write->version_before)
        sim_blame("no version falls", "%s/%.*s: %llu -> %llu", write->index, (int)write->key.len,
                  write->key.data, (unsigned long long)write->version_before,
                  (unsigned long long)write->version_after);
    check_rows(write);
    if (check.again && !(write->deleted && !write->there_before) && !may_come_again(write))
        sim_blame("fixed point", "%s/%.*s is written again, version %llu -> %llu", write->index,
                  (int)write->key.len, write->key.data, (unsigned long long)write->version_before,
                  (unsigned long long)write->version_after);
}

/* `table:` or `table::rowid`: what says which version of a row is there. A column may show an older
 * put again, which came late: readers compare it with the row's marker. */
static bool is_marker(struct slice qualifier)
{
    const char *colon = memchr(qualifier.data, ':', qualifier.len);
    size_t at = colon != NULL ? (size_t)(colon - qualifier.data) + 1 : qualifier.len;
    return qualifier.data[0] != '_' && at <= qualifier.len && colon != NULL &&
           (at == qualifier.len || qualifier.data[at] == ':');
}

/* A tombstone of that number may have been purged, and compacted away. */
static bool is_forgotten(uint64_t seqno)
{
    uint64_t newest = 0, retention_us = check.log->retention_s * UINT64_C(1000000);
    for (unsigned part = 0; part < check.log->n_parts; part++)
        newest = newer(newest, check.log->parts[part].clock);
    return retention_us > 0 && seqno + retention_us < newest;
}

/* With full images a `_weir` cell says something of the row's marker with its number alone; an
 * older one is what nobody reads, and comes and goes as older changes are told again
 * (drivers/hbase/rows.h). */
static bool is_remains(const struct table_change *change)
{
    const struct slice state = SLICE("_weir:");
    struct table_walk walk = { 0 };
    struct table_cell cell;
    if (check.log->partial || change->qualifier.len < state.len ||
        memcmp(change->qualifier.data, state.data, state.len) != 0)
        return false;
    const struct slice marker = { change->qualifier.data + state.len,
                                  change->qualifier.len - state.len };
    table_seek(world.table, &walk, change->row);
    while (table_next(world.table, &walk, &cell) && slice_equal(cell.row, change->row))
        if (slice_equal(cell.qualifier, marker))
            return newer(change->before, change->after) < cell.timestamp;
    return false;
}

static void changed(struct table_watch *watch, const struct table_change *change)
{
    (void)watch;
    sim_trace("%.*s/%.*s: %s at %llu, seen %llu -> %llu", (int)change->row.len, change->row.data,
              (int)change->qualifier.len, change->qualifier.data,
              change->deletes ? "marker" : "put", (unsigned long long)change->timestamp,
              (unsigned long long)change->before, (unsigned long long)change->after);
    if (is_marker(change->qualifier) && change->after != 0 && change->after < change->highest &&
        !is_forgotten(change->highest))
        sim_blame("no version falls", "marker %.*s/%.*s: %llu -> %llu", (int)change->row.len,
                  change->row.data, (int)change->qualifier.len, change->qualifier.data,
                  (unsigned long long)change->highest, (unsigned long long)change->after);
    if (check.again && change->after != change->before && !check.refused[key_of_row(change->row)] &&
        !check.forgets[key_of_row(change->row)] && !is_remains(change))
        sim_blame("fixed point", "cell %.*s/%.*s: %llu -> %llu", (int)change->row.len,
                  change->row.data, (int)change->qualifier.len, change->qualifier.data,
                  (unsigned long long)change->before, (unsigned long long)change->after);
}

static void refused(struct table_watch *watch, struct slice row)
{
    (void)watch;
    check.refused[key_of_row(row)] = true;
}

/* ---- the end ---- */

bool check_drained(const char *group)
{
    for (unsigned part = 0; part < check.log->n_parts; part++) {
        const struct log_part *log = &check.log->parts[part];
        int64_t offset;
        uint64_t clock;
        if (log->n > 0 &&
            (!broker_committed(world.broker, group, CHANGELOG_TOPIC, part, &offset, &clock) ||
             offset <= log->messages[log->n - 1].offset))
            return false;
    }
    return true;
}

void check_tell_undrained(const char *group)
{
    for (unsigned part = 0; part < check.log->n_parts; part++) {
        int64_t offset = -1;
        uint64_t clock;
        (void)broker_committed(world.broker, group, CHANGELOG_TOPIC, part, &offset, &clock);
        fprintf(stderr, "# partition %u: committed %lld of %lld, owner %d\n", part,
                (long long)offset, (long long)broker_high(world.broker, CHANGELOG_TOPIC, part),
                broker_owner(world.broker, group, CHANGELOG_TOPIC, part));
    }
}

/* Is the column, as JSON, what the change says of it? */
static bool says(struct slice value, const struct log_row *change, unsigned column)
{
    char number[16];
    if (change->nulls & 1u << column)
        return slice_equal(value, SLICE("null"));
    if (column == COLUMN_Z)
        return value.len == change->bytes + 2;
    (void)snprintf(number, sizeof(number), "%u", change->value + (column == COLUMN_W ? 2 : column));
    return slice_equal(value, slice_of(number));
}

/* The row of the document that users see, by a reader that is not weir's. */
static const json_t *shown_row(const json_t *document, unsigned key, unsigned row)
{
    static const char *const names[] = { NULL, "a", "b" };
    const json_t *item;
    size_t i;
    if (row < ROW_ITEMS)
        return row == ROW_ROOT ? document : json_object_get(document, names[row]);
    json_array_foreach(json_object_get(document, "items"), i,
                       item) if (json_integer_value(json_object_get(item, "id")) ==
                                 changelog_item(key, row)) return item;
    return NULL;
}

static bool shows(const json_t *row, const struct log_state *state, unsigned column)
{
    const char name[] = { CHANGELOG_COLUMNS[column], '\0' };
    const json_t *value = row != NULL ? json_object_get(row, name) : NULL;
    const struct log_row *change = state->lives ? state->columns[column] : NULL;
    if (value == NULL || change == NULL)
        return value == NULL && change == NULL;
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    bool right = text != NULL && says(slice_of(text), change, column);
    free(text);
    return right;
}

static void check_text(unsigned key, const struct sight *sight)
{
    json_error_t error;
    json_t *document = json_loadb(sight->text.data, sight->text.len, 0, &error);
    if (document == NULL)
        sim_blame("documents", "k%u: %s: %.*s", key, error.text, (int)sight->text.len,
                  sight->text.data);
    for (unsigned row = 0; row < ROWS; row++) {
        struct log_state state = changelog_state(check.log, key, row);
        const json_t *shown = shown_row(document, key, row);
        bool right = row == ROW_ROOT || (shown != NULL) == state.lives;
        for (unsigned c = 0; c < LOG_COLUMNS; c++)
            right = right && shows(shown, &state, c);
        if (!right)
            sim_blame("documents", "k%u row %u: %.*s", key, row, (int)sight->text.len,
                      sight->text.data);
    }
    json_decref(document);
}

static void check_row(unsigned store, unsigned key, unsigned row, const struct sight *sight)
{
    struct log_state state = changelog_state(check.log, key, row);
    const struct sight_row *seen = &sight->rows[row];
    bool purged =
        seen->seqno == 0 && !state.lives && row != ROW_ROOT && state.seqno < horizon_of(sight);
    if (!purged && (seen->seqno != state.seqno || (state.seqno != 0 && seen->lives != state.lives)))
        sim_blame("documents", "k%u row %u is %s at %llu in %s, and %s at %llu by the log", key,
                  row, seen->lives ? "there" : "not there", (unsigned long long)seen->seqno,
                  store_names[store], state.lives ? "there" : "not there",
                  (unsigned long long)state.seqno);
    for (unsigned c = 0; c < LOG_COLUMNS && state.lives; c++) {
        struct slice value = seen->cells[c].value;
        if (state.columns[c] == NULL ? value.data != NULL
                                     : value.data == NULL || !says(value, state.columns[c], c))
            sim_blame("documents", "k%u row %u at %llu has %c=%.*s in %s", key, row,
                      (unsigned long long)state.seqno, CHANGELOG_COLUMNS[c], (int)value.len,
                      value.data, store_names[store]);
    }
}

static void check_document(unsigned store, unsigned key)
{
    struct sight sight = look(store, key);
    struct log_state root = changelog_state(check.log, key, ROW_ROOT);
    bool any = false;
    if (sight.refused)
        return;
    for (unsigned row = 0; row < ROWS; row++)
        any = any || changelog_state(check.log, key, row).lives;
    bool shown = any && (root.lives || root.seqno == 0);
    if (store == SEARCH && sight.there != shown)
        sim_blame("documents", "k%u is %s in the index, but %s by the log", key,
                  sight.there ? "there" : "not there", shown ? "there" : "not there");
    if (store == SEARCH && shown)
        check_text(key, &sight);
    for (unsigned row = 0; row < ROWS; row++)
        check_row(store, key, row, &sight);
}

void check_documents(void)
{
    for (unsigned store = 0; store < STORES; store++)
        for (unsigned key = 0; key < check.log->n_keys && has_store(store); key++)
            check_document(store, key);
}

/* Is there a row whose tombstone may have been purged? */
static bool forgets(unsigned key)
{
    for (unsigned row = 0; row < ROWS; row++) {
        uint64_t tombstone = changelog_state(check.log, key, row).tombstone;
        if (tombstone != 0 && is_forgotten(tombstone))
            return true;
    }
    return false;
}

bool check_commit(unsigned part, int64_t *offset, uint64_t *clock)
{
    unsigned n = check.n_commits[part] < COMMITS ? check.n_commits[part] : COMMITS;
    if (n == 0)
        return false;
    const struct broker_commit *commit = &check.commits[part][sim_below(n)];
    *offset = commit->offset;
    *clock = commit->clock;
    return true;
}

void check_again(const int64_t from[PARTS_MAX])
{
    check.again = true;
    for (unsigned key = 0; key < check.log->n_keys; key++)
        check.forgets[key] = forgets(key);
    memcpy(check.committed, from, sizeof(check.committed));
}

void check_open(const struct changelog *log, const struct config_task *task)
{
    memory_unseal();
    check.log = log;
    check.plan = drivers_plan(task);
    check.rows = rows_open(check.plan, SLICE(TABLE_FAMILY));
    arena_open(&check.arena, 4 << 20, "checks");
    buf_open(&check.cells, 4 << 20, "checks");
    check.table_watch = (struct table_watch){ .changed = changed, .refused = refused };
    if (world.search != NULL)
        search_watch(world.search, written, NULL);
    if (world.table != NULL)
        table_watch(world.table, &check.table_watch);
    broker_on_commit(world.broker, committed, NULL);
}
