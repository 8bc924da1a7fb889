/*
 * sqlite.h: the embedded sink: documents and their states in two tables of one SQLite file.
 *
 *     CREATE TABLE T (key TEXT PRIMARY KEY, version INTEGER NOT NULL,
 *                     doc TEXT NOT NULL, state BLOB NOT NULL)
 *     CREATE TABLE T_weir (key TEXT PRIMARY KEY, version INTEGER NOT NULL, state BLOB NOT NULL)
 *
 * `doc` is the document's JSON without `_weir`, `state` its `_weir` object. A document that is not
 * shown (deleted, or waiting for its root row) has no row in T; T_weir then holds all of it, JSON
 * with `_weir` inside (R6). A batch is one transaction, and SINK_WRITTEN and SINK_STALE come after
 * it is durable (WAL, synchronous=FULL).
 *
 * prepare() opens or creates the file, never a directory. It fails with EXIT_UNAVAILABLE where
 * another process holds the file locked, EXIT_CONFIG where a table of that name has other columns,
 * else EXIT_IO; each with the path and SQLite's own words. close() finishes what was submitted; the
 * shards' envs must outlive it.
 */
#ifndef WEIR_SQLITE_H
#define WEIR_SQLITE_H

#include "dataplane/sink.h"

/* Everything pointed to must outlive the sink. */
struct sqlite_options {
    const char *path;
    const char *table;
    struct sink_limits limits;
    const struct plan *plan;
};

/* Start-up only: touches no file yet. NULL with *err (EXIT_CONFIG) where the options cannot be
 * used. */
struct sink *sqlite_sink_open(const struct sqlite_options *options, struct err *err);

#endif
