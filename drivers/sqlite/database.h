/*
 * database.h: one connection to one SQLite file: its two tables, and what is done to a document in
 * them.
 *
 * One thread at a time. The connection is opened by one and may then be handed to another. All
 * functions may block on the disk, and up to 5 s on another process that holds the file locked.
 */
#ifndef WEIR_SQLITE_DATABASE_H
#define WEIR_SQLITE_DATABASE_H

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"
#include "dataplane/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct database;

enum database_result {
    DATABASE_DONE,    /* something was written, or found */
    DATABASE_NOTHING, /* nothing was: as new a version is there; or there is no such row */
    DATABASE_REFUSED, /* this document can never be taken; the transaction goes on without it */
    DATABASE_FAILED,  /* the transaction must be rolled back; it may work later */
};

struct database_row {
    uint64_t version;
    struct slice document; /* JSON without `_weir`; not used where the document is not shown */
    struct slice
        state; /* the `_weir` object; where it is not shown: the whole JSON, `_weir` inside */
};

/* Opens the file and makes the tables that are missing. 1: both were; 0: at least one was there. -1
 * with *err: see sqlite.h; *database is NULL then. */
MUST_CHECK int database_open(struct database **database, const char *path, const char *table,
                             struct err *err);
void database_close(struct database *database); /* NULL is fine */

/* What SQLite's cache of pages may take of the heap. */
size_t database_cache_bytes(void);

/* True, or FAILED. `write` takes the lock for writing at once. After a commit that failed, roll
 * back. */
MUST_CHECK bool database_begin(struct database *database, bool write);
MUST_CHECK bool database_commit(struct database *database);
void database_rollback(struct database *database);

/* Writes a document that is shown, if neither table holds this version or a newer one. */
MUST_CHECK enum database_result database_show(struct database *database, struct slice key,
                                              const struct database_row *row);

/* The same for one that is not shown: its state goes to the side table, its row goes away. */
MUST_CHECK enum database_result database_hide(struct database *database, struct slice key,
                                              const struct database_row *row);

/* Looks a key up in the table, or in the side table. What *row points to is good until the next
 * find. */
MUST_CHECK enum database_result database_find(struct database *database, struct slice key,
                                              bool side, struct database_row *row);

/* SQLite's own words on the last call that was REFUSED or FAILED, good until the next call; and
 * whether it was another process's lock. */
const char *database_message(const struct database *database);
bool database_is_busy(const struct database *database);

#endif
