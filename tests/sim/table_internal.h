/*
 * table_internal.h: what table*.c share: the modelled cluster's state. The scheduler's thread.
 */
#ifndef WEIR_SIM_TABLE_INTERNAL_H
#define WEIR_SIM_TABLE_INTERNAL_H

#include "drivers/hbase/proto.h"
#include "tests/sim/table.h"

#define SPLITS_MAX 256u /* of a table that is created */

/* ---- cells ---- */

/* All that there is under one row key and qualifier. A put that a marker hides can never be seen,
 * so the newest put and the newest marker are all. */
struct kept_cell {
    struct slice qualifier, value; /* on the heap */
    uint64_t put, deleted;
    uint64_t highest;         /* timestamp that ever came, compactions or not */
    bool has_put, has_marker; /* a put is visible if it is there: a marker takes it away */
};

struct kept_row {
    struct slice key;
    struct kept_cell *cells; /* by qualifier */
    size_t n, room;
};

/* ---- regions ---- */

struct kept_region {
    struct slice name, start, end; /* on the heap; an empty end: the last one */
    uint64_t id;
    unsigned server;  /* who has it, or opens it */
    unsigned from;    /* who had it before; the same where it never moved */
    uint64_t open_us; /* from when on it is served */
    bool fresh;       /* until then hbase:meta knows no server of it */
    bool split;       /* it is no more, but hbase:meta still lists it */
};

/* An exception that answers; no class: none. */
struct refusal {
    const char *class;
    char text[400];
};

struct door {
    struct net_server server; /* first: a server pointer is a pointer to this */
    struct table *table;
    unsigned number;
};

struct table {
    struct door doors[TABLE_DOORS];
    struct kept_row **rows; /* by key */
    size_t n_rows, rows_room;
    struct kept_region *regions; /* by start key, then id: the order of hbase:meta */
    unsigned n_regions, regions_room;
    uint64_t last_id;
    unsigned meta_server;
    bool exists;
    uint64_t enabled_us; /* a table that is created is not served before */
    uint64_t salt;       /* which documents are refused */
    struct table_watch *watches;
    struct buf result, cells; /* of the answer that is being made */
};

/* A call as it came. */
struct table_call {
    unsigned server;
    uint32_t id;
    struct slice method, param, cells;
};

/* ---- table.c ---- */

extern const char *const table_hosts[TABLE_DOORS];
#define TABLE_PORT  16020
#define MASTER_PORT 16000
#define START_CODE  (SIM_WALL_US / 1000)

/* On the heap; never NULL. */
void *table_heap(size_t bytes);
struct slice table_copy(struct slice bytes);

/* ServerName { host_name = 1, port = 2, start_code = 3 } */
void table_put_server(struct buf *out, uint32_t field, unsigned door);

/* NameBytesPair { name = 1, value = 2 } */
void table_put_exception(struct buf *out, uint32_t field, const struct refusal *refusal);

void table_refuse(struct refusal *refusal, const char *class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Bytes that may be anything, for a trace: the last of a few buffers. */
const char *table_shown(struct slice bytes);

/* ---- table_cells.c ---- */

/* Does one row's cells, all of them. */
void cells_apply(struct table *table, unsigned server, struct slice cells);

/* Forgets markers of rows in [start, end); how many. */
unsigned cells_compact(struct table *table, struct slice start, struct slice end);

/* ---- table_regions.c ---- */

/* Regions that start at each of these keys, the first of which is empty. */
void regions_create(struct table *table, const struct slice *starts, unsigned n);

/* The region of that name, if that server serves it now; else NULL and why not. */
const struct kept_region *regions_serve(struct table *table, unsigned server, struct slice name,
                                        struct refusal *refusal);

bool region_holds(const struct kept_region *region, struct slice row);

/* Answers a Scan of hbase:meta into result and cells. */
void regions_scan(struct table *table, const struct table_call *call, struct refusal *refusal);

/* ---- table_multi.c ---- */

/* Answers a Multi into result and cells. False: the server died in the middle of it. */
bool multi_serve(struct table *table, const struct table_call *call);

/* ---- table_master.c ---- */

/* Answers what is asked of masters (and of region servers, where hbase:meta is) into result. */
void master_serve(struct table *table, const struct table_call *call, struct refusal *refusal);

/* Answers what hbase_zookeeper.c asks: a path. Found: a 1 and the znode's bytes; else a 0. */
void zookeeper_serve(struct table *table, struct slice path, struct buf *answer);

#endif
