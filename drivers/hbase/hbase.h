/*
 * hbase.h: the sink that writes documents into an HBase table (2.4 to 2.6), and reads states back.
 *
 * A document is one row of the table; each of its columns is a cell whose timestamp is its seqno,
 * so the server itself keeps the newest of each (rows.h, docs/ORDERING.md). Cells go by Multi, many
 * actions a region server, each judged on its own; states come back by Multi with gets. One port a
 * shard, with connections of its own on that shard's env. Nothing here sleeps or backs off: items
 * that may work later come back as SINK_RETRY, and who submitted them decides when to try again.
 *
 * Time-outs are looked at in reap() and lookup_reap(): call one of them every 10 ms or so while
 * anything is out.
 */
#ifndef WEIR_HBASE_H
#define WEIR_HBASE_H

#include "dataplane/sink.h"

#define HBASE_SERVERS_MAX       32u
#define HBASE_NAMESPACE_DEFAULT "default" /* of a table that names none */

/* Everything pointed to must outlive the sink. */
struct hbase_options {
    const char *const *zookeeper; /* "host:port" each; either these are given */
    unsigned n_zookeeper;         /* 0..HBASE_SERVERS_MAX */
    const char *const *masters;   /* or these, "host:port" each */
    unsigned n_masters;
    const char *znode_parent; /* "/hbase"; counts with zookeeper only */
    const char *table;        /* "orders", or "namespace:orders" */
    const char *family;       /* all cells are in this one */
    const char *user;         /* the name that simple authentication gives */
    unsigned create_regions;  /* a missing table is created with so many regions; 0: it is not */
    uint64_t timeout_us;      /* of one call */
    struct sink_limits limits;
    const struct plan *plan;
};

/* Start-up only, on the thread that will call the sink's prepare() and inspect(): it opens an env
 * of its own here, which belongs to that thread. NULL with *err (EXIT_CONFIG where the options
 * cannot be used). Closed by its ops' close(), after the last use of its ports. */
struct sink *hbase_sink_open(const struct hbase_options *options, struct err *err);

#endif
