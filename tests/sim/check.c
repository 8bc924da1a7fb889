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
#include "dataplane/document.h"
#include "drivers/hbase/rows.h"
#include "tests/sim/broker.h"
#include "tests/sim/letters.h"
#include "tests/sim/search.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX "orders"

static struct {
    const struct changelog *log;
    struct plan *plan;
    struct rows *rows;
    struct arena arena;
    struct buf cells;
    int64_t committed[PARTS_MAX]; /* what was checked so far */
    bool refused[KEYS_MAX];       /* by the table */
    bool again;
    struct table_watch table_watch;
    struct {
        uint64_t version, rows[ROWS];
    } indexed[KEYS_MAX]; /* the greatest version that the index took, and the rows in it */
} check;

/* ---- what a sink has ---- */

/* 0 to 4; the item's number is the last digit of its id. */
static unsigned row_of(const struct change *change)
{
    static const char *const names[] = { "t.root", "t.a", "t.b" };
    for (unsigned row = 0; row < 3; row++)
        if (slice_equal(check.plan->tables[change->table].name, slice_of(names[row])))
            return row;
    return (unsigned)(change->row_id.data[change->row_id.len - 1] - '0');
}

struct sight {
    bool refused, there;
    struct slice text; /* search: of the document */
    struct {
        uint64_t seqno; /* 0: not known */
        bool lives;
    } rows[ROWS];
};

static void see_state(struct sight *sight, const struct document_state *state)
{
    for (unsigned i = 0; i < state->n_changes; i++) {
        const struct change *change = &state->changes[i];
        unsigned row = row_of(change);
        if (change->seqno >= sight->rows[row].seqno) {
            sight->rows[row].seqno = change->seqno;
            sight->rows[row].lives = change->op == CHANGE_UPSERT;
        }
    }
}

static void see_text(struct sight *sight, struct slice text)
{
    struct document_state state;
    struct err err;
    if (document_parse(check.plan, text, (struct slice){ NULL, 0 }, &check.arena, &state, &err) !=
        0)
        sim_blame("documents", "a state can't be read: %s: %.*s", err.text, (int)text.len,
                  text.data);
    see_state(sight, &state);
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
            see_text(sight, document.source);
    }
    if (search_find(world.search, INDEX "-weir", slice_of(text), &document) && document.there)
        see_text(sight, document.source);
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
    see_state(sight, &state);
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

static void check_message(unsigned part, const struct log_message *message)
{
    if (message->is_bad) {
        if (!letters_have((int32_t)part, message->offset))
            sim_blame("no loss", "the bad event at %u@%lld was committed without a dead letter",
                      part, (long long)message->offset);
        return;
    }
    for (unsigned store = 0; store < STORES; store++)
        for (unsigned i = 0; i < message->n && has_store(store); i++) {
            const struct log_row *row = &message->rows[i];
            struct sight sight = look(store, row->key);
            if (!sight.refused && sight.rows[row->row].seqno < row->seqno)
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

/* A greater version has all that the ones before it had. (One that is not greater is the side
 * state of a document that was made anew meanwhile.) */
static void check_rows(const struct search_write *write)
{
    unsigned key = key_number(write->key);
    struct sight sight = { .refused = false };
    if (write->deleted || write->version_after < check.indexed[key].version)
        return;
    arena_reset(&check.arena);
    see_text(&sight, write->source);
    for (unsigned row = 0; row < ROWS; row++) {
        if (sight.rows[row].seqno < check.indexed[key].rows[row])
            sim_blame("no row falls", "%s/%.*s row %u: %llu -> %llu", write->index,
                      (int)write->key.len, write->key.data, row,
                      (unsigned long long)check.indexed[key].rows[row],
                      (unsigned long long)sight.rows[row].seqno);
        check.indexed[key].rows[row] = sight.rows[row].seqno;
    }
    check.indexed[key].version = write->version_after;
}

static bool was_refused(const struct search_write *write)
{
    struct search_document document;
    return search_find(world.search, INDEX, write->key, &document) && document.refused_max > 0;
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
    if (check.again && !(write->deleted && !write->there_before) && !was_refused(write))
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

static void changed(struct table_watch *watch, const struct table_change *change)
{
    (void)watch;
    sim_trace("%.*s/%.*s: %s at %llu, seen %llu -> %llu", (int)change->row.len, change->row.data,
              (int)change->qualifier.len, change->qualifier.data,
              change->deletes ? "marker" : "put", (unsigned long long)change->timestamp,
              (unsigned long long)change->before, (unsigned long long)change->after);
    if (is_marker(change->qualifier) && change->after != 0 && change->after < change->highest)
        sim_blame("no version falls", "marker %.*s/%.*s: %llu -> %llu", (int)change->row.len,
                  change->row.data, (int)change->qualifier.len, change->qualifier.data,
                  (unsigned long long)change->highest, (unsigned long long)change->after);
    if (check.again && change->after != change->before && !check.refused[key_of_row(change->row)])
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

static bool shows(struct slice text, unsigned value)
{
    char part[48];
    int n = snprintf(part, sizeof(part), "\"x\":%u,\"y\":%u", value, value + 1);
    const char *at = text.data;
    while (at != NULL && (at = memmem(at, text.len - (size_t)(at - text.data), part, (size_t)n))) {
        if (at[n] < '0' || at[n] > '9')
            return true;
        at += n;
    }
    return false;
}

static void check_row(unsigned store, unsigned key, unsigned row, const struct sight *sight,
                      bool shown)
{
    const struct log_row *newest = changelog_newest(check.log, key, row);
    bool lives = newest != NULL && !newest->deletes;
    uint64_t seqno = newest != NULL ? newest->seqno : 0;
    if (sight->rows[row].seqno != seqno || (seqno != 0 && sight->rows[row].lives != lives))
        sim_blame("documents", "k%u row %u is %s at %llu in %s, and %s at %llu by the log", key,
                  row, sight->rows[row].lives ? "there" : "not there",
                  (unsigned long long)sight->rows[row].seqno, store_names[store],
                  lives ? "there" : "not there", (unsigned long long)seqno);
    if (store == SEARCH && shown && newest != NULL && shows(sight->text, newest->value) != lives)
        sim_blame("documents", "k%u row %u: %.*s", key, row, (int)sight->text.len,
                  sight->text.data);
}

static void check_document(unsigned store, unsigned key)
{
    struct sight sight = look(store, key);
    const struct log_row *root = changelog_newest(check.log, key, 0);
    bool any = false;
    if (sight.refused)
        return;
    for (unsigned row = 0; row < ROWS; row++) {
        const struct log_row *newest = changelog_newest(check.log, key, row);
        any = any || (newest != NULL && !newest->deletes);
    }
    bool shown = any && !(root != NULL && root->deletes);
    if (store == SEARCH && sight.there != shown)
        sim_blame("documents", "k%u is %s in the index, but %s by the log", key,
                  sight.there ? "there" : "not there", shown ? "there" : "not there");
    for (unsigned row = 0; row < ROWS; row++)
        check_row(store, key, row, &sight, shown);
}

void check_documents(void)
{
    for (unsigned store = 0; store < STORES; store++)
        for (unsigned key = 0; key < check.log->n_keys && has_store(store); key++)
            check_document(store, key);
}

void check_again(void)
{
    check.again = true;
    memset(check.committed, 0, sizeof(check.committed));
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
