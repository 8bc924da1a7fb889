/*
 * sqlite_rig.h: what the tests of the sink `sqlite` share: documents to write, the sink and its
 * ports, and a look at the file from outside.
 *
 * One rig at a time: `rig` is the one that rig_start() opened.
 */
#ifndef WEIR_TESTS_SQLITE_RIG_H
#define WEIR_TESTS_SQLITE_RIG_H

#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "drivers/sqlite/sqlite.h"

#include <semaphore.h>
#include <sqlite3.h>

#define S(n) (SEQNO_EPOCH + (n))

/* The tables of rig.plan: the root `shop.order`, and `shop.item` in the array `items`. */
enum { ORDER, ITEM };

/* An env of which the sink may only use wake(). */
struct waker {
    struct env env;
    sem_t woken;
};

/* A document with its rows: the root, and up to three items. */
struct made {
    struct document document;
    struct row *rows[4];
    _Alignas(8) char blocks[4][256 * 1024];
};

struct sqlite_rig {
    char path[128]; /* of the database */
    struct plan *plan;
    struct sink_limits limits; /* of the sink that open_sink() opens */
    struct sink *sink;
    struct sink_port *port; /* shard 0's */
    struct waker wakers[4]; /* by shard */
    struct made made;       /* the document that is being put together */
};

extern struct sqlite_rig rig;

/* Makes rig.plan; once, before the tests. */
void rig_plan(void);

/* Setups: a folder with a path in it and usual limits; and that with a sink which is prepared and
 * has one port. The folder alone is undone by folder_remove(). */
int rig_folder(void **state);
int rig_start(void **state);
int rig_stop(void **state);

/* The same file with other limits. */
void rig_reopen(const struct sink_limits *limits);

/* Opens the sink or a port of rig.sink. The caller keeps it where it belongs. */
struct sink *open_sink(void);
int prepare(struct sink *opened, struct err *err);
struct sink_port *open_port(unsigned shard);

/* Appends a row to rig.made, with a value in its one column, or NULL: deleted. */
void put_row(unsigned table, const char *id, uint64_t seqno, const char *value);

/* A document of one root row; `value` NULL: it is deleted. In rig.made, until the next one. */
const struct document *document(struct slice key, uint64_t version, const char *value);

/* Adds such a document to a batch of rig.port. */
enum sink_add add_one(struct sink_batch *batch, const char *key, uint64_t version,
                      const char *value);

/* Wait for what was submitted. */
struct sink_batch *reaped(struct sink_port *from, unsigned shard);
struct sink_lookup *lookup_reaped(void);

/* Write one document in a batch of its own. */
enum sink_verdict verdict_of(const struct document *one);
enum sink_verdict write_one(const char *key, uint64_t version, const char *value);

/* Looks keys up; the caller recycles the answer. */
struct sink_lookup *look_up(const struct slice *keys, unsigned n);

/* A connection of another program; the caller closes it. */
sqlite3 *connect_outside(void);
void outside(const char *sql);

/* The first column of the first row must be this text; NULL: there must be no row. */
void assert_value(const char *sql, const char *wanted);

#endif
