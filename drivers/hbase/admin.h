/*
 * admin.h: the messages that weir and an HBase master exchange about a table. Internal to
 * drivers/hbase.
 *
 * Source: HBase 2.6's Master.proto, HBase.proto, Procedure.proto, ZooKeeper.proto and
 * ErrorHandling.proto; each function names its message. Any thread; nothing is allocated. What is
 * read points into the message.
 */
#ifndef WEIR_HBASE_ADMIN_H
#define WEIR_HBASE_ADMIN_H

#include "dataplane/base/arena.h"
#include "drivers/hbase/rpc.h"

struct admin_name {
    struct slice space, table;
};

/* "orders" is default:orders. */
struct admin_name admin_name(const char *table);

/* A table's descriptor, as far as weir's guarantees hang on it. Attributes that are not set are
 * empty: HBase's default. */
struct admin_table {
    bool has_family;
    struct slice durability, read_only;
    struct slice ttl, versions, min_versions, keep_deleted, new_version_behavior; /* the family's */
};

enum admin_state { ADMIN_ENABLED, ADMIN_DISABLED, ADMIN_DISABLING, ADMIN_ENABLING };

enum admin_procedure { ADMIN_PROCEDURE_UNKNOWN, ADMIN_PROCEDURE_RUNS, ADMIN_PROCEDURE_ENDED };

/* ---- requests; the buffer's overflow says whether all had room ---- */

/* GetTableDescriptorsRequest for one table. */
void admin_put_descriptors(struct buf *out, const struct admin_name *name);

/* GetTableStateRequest. */
void admin_put_state(struct buf *out, const struct admin_name *name);

/* CreateTableRequest: one family with one version of each cell, split evenly over the first eight
 * hex digits of the row keys. */
void admin_put_create(struct buf *out, const struct admin_name *name, struct slice family,
                      unsigned regions);

/* GetProcedureResultRequest. */
void admin_put_procedure(struct buf *out, uint64_t procedure);

/* ---- answers; -1: this is no such message ---- */

/* GetTableDescriptorsResponse. 1: it has a table, in *out. 0: it has none. */
MUST_CHECK int admin_read_descriptors(struct slice message, struct slice family,
                                      struct admin_table *out);

/* GetTableStateResponse. 0. */
MUST_CHECK int admin_read_state(struct slice message, enum admin_state *out);

/* CreateTableResponse. 0. */
MUST_CHECK int admin_read_create(struct slice message, uint64_t *procedure);

/* GetProcedureResultResponse. 0; *exception and *reason are empty where it went well. */
MUST_CHECK int admin_read_procedure(struct slice message, enum admin_procedure *out,
                                    struct slice *exception, struct slice *reason);

/* GetActiveMasterResponse. 1: target->host and port are set. 0: no master is active. */
MUST_CHECK int admin_read_active_master(struct slice message, struct rpc_target *target);

/* What the znode `master` holds: ff, a length, that many bytes, "PBUF", ZooKeeper's Master. The
 * same values. */
MUST_CHECK int admin_read_master_node(struct slice data, struct rpc_target *target);

#endif
