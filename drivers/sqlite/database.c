/*
 * Two tables, and five statements that keep this true after every commit:
 *
 *     a key is shown            T holds its newest version; T_weir may hold an older one
 *     a key is not shown        T_weir holds its newest version; T has no row of it
 *
 * Writes come in any order, twice, or late (R2, R3). So each looks at the versions of both tables
 * and changes nothing where one is as new as its own: a write of version 7 that comes after the
 * delete of version 9 finds the 9 in T_weir and does not bring the document back. The look and the
 * change are one statement, and a document's statements are in one transaction.
 *
 *     show    insert into T, or replace an older row      unless T_weir is as new
 *     hide    insert into T_weir, or replace an older     unless T is as new;   then delete T's row
 *
 * Nothing here knows what a state means, or who asks: sqlite.c does.
 */
#include "drivers/sqlite/database.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_TIMEOUT_MS 5000
#define CACHE_BYTES     ((size_t)32 << 20) /* a batch of documents from all over must fit */

enum statement { BEGIN_READ, BEGIN_WRITE, COMMIT, SHOW, HIDE, REMOVE, FIND, FIND_SIDE, STATEMENTS };

struct database {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    int code; /* of the last call that was REFUSED or FAILED */
    char message[200];
};

/* In each, %w is the table's name, with its quotes doubled. */
static const char *const statement_texts[STATEMENTS] = {
    [BEGIN_READ] = "BEGIN",
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [SHOW] = "INSERT INTO \"%w\" (key, version, doc, state) SELECT ?1, ?2, ?3, ?4"
             " WHERE NOT EXISTS (SELECT 1 FROM \"%w_weir\" WHERE key = ?1 AND version >= ?2)"
             " ON CONFLICT (key) DO UPDATE SET"
             " version = excluded.version, doc = excluded.doc, state = excluded.state"
             " WHERE excluded.version > version",
    [HIDE] = "INSERT INTO \"%w_weir\" (key, version, state) SELECT ?1, ?2, ?3"
             " WHERE NOT EXISTS (SELECT 1 FROM \"%w\" WHERE key = ?1 AND version >= ?2)"
             " ON CONFLICT (key) DO UPDATE SET version = excluded.version, state = excluded.state"
             " WHERE excluded.version > version",
    [REMOVE] = "DELETE FROM \"%w\" WHERE key = ?1 AND version < ?2",
    [FIND] = "SELECT version, doc, state FROM \"%w\" WHERE key = ?1",
    [FIND_SIDE] = "SELECT version, '', state FROM \"%w_weir\" WHERE key = ?1",
};

/* Remembers what went wrong: the next call would overwrite it. */
static void note(struct database *database, int code)
{
    int error = sqlite3_system_errno(database->handle);
    int primary = code & 0xff;
    bool disk = primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_CANTOPEN;

    database->code = code;
    if (disk && error != 0)
        (void)snprintf(database->message, sizeof(database->message), "%s (%s)",
                       sqlite3_errmsg(database->handle), strerror(error));
    else
        (void)snprintf(database->message, sizeof(database->message), "%s",
                       sqlite3_errmsg(database->handle));
}

const char *database_message(const struct database *database)
{
    return database->message;
}

bool database_is_busy(const struct database *database)
{
    int primary = database->code & 0xff;

    return primary == SQLITE_BUSY || primary == SQLITE_LOCKED;
}

/* ---- documents ---- */

static bool begin_key(sqlite3_stmt *statement, struct slice key)
{
    /* By length: a NUL in a key is a byte like any other. The bytes outlive the call
     * (SQLITE_STATIC). */
    return sqlite3_bind_text64(statement, 1, key.data, key.len, SQLITE_STATIC, SQLITE_UTF8) ==
           SQLITE_OK;
}

static bool bind_json(sqlite3_stmt *statement, int at, struct slice json, bool text)
{
    int code =
        text ? sqlite3_bind_text64(statement, at, json.data, json.len, SQLITE_STATIC, SQLITE_UTF8)
             : sqlite3_bind_blob64(statement, at, json.data, json.len, SQLITE_STATIC);

    return code == SQLITE_OK;
}

/* A statement ends with its bindings gone, so that no pointer into a batch stays behind. */
static void finish(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement); /* It repeats the code that sqlite3_step() gave. */
    (void)sqlite3_clear_bindings(statement);
}

/* What a write came to. Only where the trouble is the document's own does the transaction go on: as
 * long as there is one (a trigger may have ended it). */
static enum database_result judge(struct database *database, int code)
{
    bool in_transaction = !sqlite3_get_autocommit(database->handle);

    if (code == SQLITE_DONE)
        return sqlite3_changes(database->handle) > 0 ? DATABASE_DONE : DATABASE_NOTHING;
    note(database, code);
    switch (code & 0xff) {
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return in_transaction ? DATABASE_REFUSED : DATABASE_FAILED;
    default:
        return DATABASE_FAILED;
    }
}

static enum database_result run(struct database *database, enum statement which, bool bound)
{
    sqlite3_stmt *statement = database->statements[which];
    int code = bound ? sqlite3_step(statement) : sqlite3_errcode(database->handle);
    enum database_result result = judge(database, code);

    finish(statement);
    return result;
}

enum database_result database_show(struct database *database, struct slice key,
                                   const struct database_row *row)
{
    sqlite3_stmt *statement = database->statements[SHOW];

    ASSERT(row->version <= INT64_MAX);
    return run(database, SHOW,
               begin_key(statement, key) &&
                   sqlite3_bind_int64(statement, 2, (int64_t)row->version) == SQLITE_OK &&
                   bind_json(statement, 3, row->document, true) &&
                   bind_json(statement, 4, row->state, false));
}

enum database_result database_hide(struct database *database, struct slice key,
                                   const struct database_row *row)
{
    sqlite3_stmt *statement = database->statements[HIDE];
    enum database_result hidden, removed;

    ASSERT(row->version <= INT64_MAX);
    hidden = run(database, HIDE,
                 begin_key(statement, key) &&
                     sqlite3_bind_int64(statement, 2, (int64_t)row->version) == SQLITE_OK &&
                     bind_json(statement, 3, row->state, false));
    if (hidden != DATABASE_DONE)
        return hidden;
    statement = database->statements[REMOVE];
    removed = run(database, REMOVE,
                  begin_key(statement, key) &&
                      sqlite3_bind_int64(statement, 2, (int64_t)row->version) == SQLITE_OK);
    /* Half of a document must not be committed, so here even a refusal is the whole transaction's.
     */
    return removed == DATABASE_DONE || removed == DATABASE_NOTHING ? DATABASE_DONE
                                                                   : DATABASE_FAILED;
}

static struct slice column_slice(sqlite3_stmt *statement, int at, bool text)
{
    /* Before its length: text in a database of UTF-16 is converted here. */
    const void *bytes = text ? (const void *)sqlite3_column_text(statement, at)
                             : sqlite3_column_blob(statement, at);

    return (struct slice){ bytes, (size_t)sqlite3_column_bytes(statement, at) };
}

enum database_result database_find(struct database *database, struct slice key, bool side,
                                   struct database_row *row)
{
    sqlite3_stmt *statement = database->statements[side ? FIND_SIDE : FIND];
    int64_t version;
    int code;

    finish(database->statements[FIND]);
    finish(database->statements[FIND_SIDE]);
    code = begin_key(statement, key) ? sqlite3_step(statement) : sqlite3_errcode(database->handle);
    if (code == SQLITE_DONE)
        return DATABASE_NOTHING;
    if (code != SQLITE_ROW) {
        note(database, code);
        return DATABASE_FAILED;
    }
    version = sqlite3_column_int64(statement, 0);
    *row = (struct database_row){
        .version = version < 0 ? 0 : (uint64_t)version,
        .document = column_slice(statement, 1, true),
        .state = column_slice(statement, 2, false),
    };
    return DATABASE_DONE;
}

/* ---- transactions ---- */

static bool run_alone(struct database *database, enum statement which)
{
    int code = sqlite3_step(database->statements[which]);

    if (code != SQLITE_DONE)
        note(database, code);
    finish(database->statements[which]);
    return code == SQLITE_DONE;
}

bool database_begin(struct database *database, bool write)
{
    return run_alone(database, write ? BEGIN_WRITE : BEGIN_READ);
}

bool database_commit(struct database *database)
{
    finish(database->statements[FIND]); /* A read that is open would keep its snapshot. */
    finish(database->statements[FIND_SIDE]);
    return run_alone(database, COMMIT);
}

void database_rollback(struct database *database)
{
    finish(database->statements[FIND]);
    finish(database->statements[FIND_SIDE]);
    if (sqlite3_get_autocommit(database->handle))
        return; /* SQLite has done so itself. */
    if (sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        note(database,
             sqlite3_errcode(database->handle)); /* The next begin will fail, and say so. */
}

/* ---- opening ---- */

#define MAIN_COLUMNS \
    "key TEXT PRIMARY KEY, version INTEGER NOT NULL, doc TEXT NOT NULL, state BLOB NOT NULL"
#define SIDE_COLUMNS "key TEXT PRIMARY KEY, version INTEGER NOT NULL, state BLOB NOT NULL"

static int fail_open(struct database *database, const char *path, int code, struct err *err)
{
    enum exit_code exit_code = EXIT_IO;

    note(database, code);
    if (database_is_busy(database))
        exit_code = EXIT_UNAVAILABLE;
    else if ((code & 0xff) ==
             SQLITE_ERROR) /* The statement's fault: its only variable is the table's name. */
        exit_code = EXIT_CONFIG;
    return err_set(err, exit_code, "sqlite: %s: %s", path, database->message);
}

/* Runs a text in which %w stands for the table's name (twice at most). */
static int execute(struct database *database, const char *format, const char *table)
{
    char *text = sqlite3_mprintf(format, table, table);
    int code = text ? sqlite3_exec(database->handle, text, NULL, NULL, NULL) : SQLITE_NOMEM;

    sqlite3_free(text);
    return code;
}

/* The columns of a table or view as CREATE TABLE would have them, from sqlite3_malloc(); *columns
 * is NULL where there is none of that name. */
static int describe(struct database *database, const char *table, char **columns)
{
    static const char text[] =
        "SELECT group_concat(name || ' ' || upper(type) || iif(\"notnull\", ' NOT NULL', '') ||"
        " iif(pk, ' PRIMARY KEY', ''), ', ') FROM pragma_table_info(?1)";
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(database->handle, text, -1, &statement, NULL);

    *columns = NULL;
    if (code != SQLITE_OK)
        return code;
    code = sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        *columns = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
        code = *columns ? SQLITE_ROW : SQLITE_NOMEM;
    }
    (void)sqlite3_finalize(statement); /* It repeats the code. */
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

/* 1: made; 0: it was there, as it should be; -1 with *err. */
static int make_table(struct database *database, const char *path, const char *table,
                      const char *wanted, struct err *err)
{
    char *columns, *create;
    int code = describe(database, table, &columns);
    bool there = columns != NULL, same = there && strcmp(columns, wanted) == 0;

    if (code != SQLITE_OK)
        return fail_open(database, path, code, err);
    if (there && !same)
        (void)err_set(err, EXIT_CONFIG,
                      "sqlite: %s: the table \"%s\" is there with other columns than weir's: it has"
                      " (%s), not (%s)",
                      path, table, columns, wanted);
    sqlite3_free(columns);
    if (there)
        return same ? 0 : -1;
    create = sqlite3_mprintf("CREATE TABLE \"%w\" (%s)", table, wanted);
    code = create ? sqlite3_exec(database->handle, create, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(create);
    return code == SQLITE_OK ? 1 : fail_open(database, path, code, err);
}

/* Both tables, or none of them. */
static int make_tables(struct database *database, const char *path, const char *table,
                       struct err *err)
{
    char *side = sqlite3_mprintf("%s_weir", table);
    int code = side ? execute(database, "BEGIN IMMEDIATE", "") : SQLITE_NOMEM;
    int made_main, made_side;

    if (code != SQLITE_OK) {
        sqlite3_free(side);
        return fail_open(database, path, code, err);
    }
    made_main = make_table(database, path, table, MAIN_COLUMNS, err);
    made_side = made_main < 0 ? -1 : make_table(database, path, side, SIDE_COLUMNS, err);
    sqlite3_free(side);
    if (made_side < 0)
        return -1; /* Closing rolls back. */
    code = execute(database, "COMMIT", "");
    return code == SQLITE_OK ? made_main && made_side : fail_open(database, path, code, err);
}

/* SQLite answers with the mode that it could set. */
static int keep_mode(void *is_wal, int n, char **values, char **names)
{
    (void)names;
    *(bool *)is_wal = n == 1 && values[0] && strcmp(values[0], "wal") == 0;
    return 0;
}

size_t database_cache_bytes(void)
{
    return CACHE_BYTES;
}

static int set_cache(struct database *database)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "PRAGMA cache_size = -%zu", CACHE_BYTES >> 10);
    return execute(database, text, "");
}

/* Durable at commit; checkpoints come after several batches' pages, not after each. */
static int set_up(struct database *database, const char *path, struct err *err)
{
    bool is_wal = false;
    int code = sqlite3_extended_result_codes(database->handle, 1);

    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS);
    if (code == SQLITE_OK)
        code =
            sqlite3_exec(database->handle, "PRAGMA journal_mode = WAL", keep_mode, &is_wal, NULL);
    if (code == SQLITE_OK)
        code = execute(database, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8192", "");
    if (code == SQLITE_OK)
        code = set_cache(database);
    if (code != SQLITE_OK)
        return fail_open(database, path, code, err);
    return is_wal
               ? 0
               : err_set(err, EXIT_IO, "sqlite: %s: a write-ahead log is not possible there", path);
}

static int prepare_statements(struct database *database, const char *path, const char *table,
                              struct err *err)
{
    for (int i = 0; i < STATEMENTS; i++) {
        char *text = sqlite3_mprintf(statement_texts[i], table, table);
        int code = text ? sqlite3_prepare_v3(database->handle, text, -1, SQLITE_PREPARE_PERSISTENT,
                                             &database->statements[i], NULL)
                        : SQLITE_NOMEM;

        sqlite3_free(text);
        if (code != SQLITE_OK)
            return fail_open(database, path, code, err);
    }
    return 0;
}

int database_open(struct database **database, const char *path, const char *table, struct err *err)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    struct database *opened = calloc(1, sizeof(*opened));
    int code, created = -1;

    *database = NULL;
    if (!opened)
        return err_set(err, EXIT_SOFTWARE, "sqlite: %s: out of memory", path);
    code = sqlite3_open_v2(path, &opened->handle, flags, NULL);
    if (code != SQLITE_OK)
        (void)fail_open(opened, path, code, err);
    else if (set_up(opened, path, err) == 0)
        created = make_tables(opened, path, table, err);
    if (created < 0 || prepare_statements(opened, path, table, err) < 0) {
        database_close(opened);
        return -1;
    }
    *database = opened;
    return created;
}

void database_close(struct database *database)
{
    if (!database)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(database->statements[i]); /* It repeats an old code. */
    (void)sqlite3_close(database->handle);               /* Nothing is left open: it cannot fail. */
    free(database);
}
