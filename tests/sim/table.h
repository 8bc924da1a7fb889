/*
 * table.h: HBase as the simulator plays it: a cluster with one table on two region servers.
 *
 *     rpc_start() (hbase_rpc.c) ───────────► door of rs1, rs2: Multi, Scan of hbase:meta
 *                                          ► door of the master: what prepare.c asks
 *     zookeeper_start() (hbase_zookeeper.c) ► door of ZooKeeper: two znodes
 *
 * What goes over the doors are HBase's own bytes, so the whole driver runs but for its sockets
 * (rpc*.c, zookeeper.c, resolve.c). What is kept are cells, as HBase keeps them: of each the newest
 * put, and delete markers until a compaction (docs/ORDERING.md, HBase).
 *
 * Dials: busy_whole, busy_item, refuse, and lose_answer (a server dies within a call). `forget` and
 * `regions` are the caller's: table_compact(), table_rearrange().
 *
 * The scheduler's thread, outside all nodes. Nothing is ever freed but what cells no longer need.
 */
#ifndef WEIR_SIM_TABLE_H
#define WEIR_SIM_TABLE_H

#include "tests/sim/net.h"

/* What a task's config has to say: one of the two addresses, and the znode's parent with the
 * first. */
#define TABLE_NAME      "orders"
#define TABLE_FAMILY    "d"
#define TABLE_ZOOKEEPER "zk1:2181"
#define TABLE_ZNODE     "/hbase"
#define TABLE_MASTER    "hm1:16000"

enum { TABLE_RS1, TABLE_RS2, TABLE_HM1, TABLE_ZK1, TABLE_DOORS };

struct table;

/* A table with so many regions; 0: there is none until a client creates it. */
struct table *table_open(unsigned regions);

/* The servers' doors, TABLE_RS1 to TABLE_ZK1. The caller may set `away` at any time: what a region
 * server has stays, and its regions stay its own unless table_rearrange() moves them. */
struct net_server *table_door(struct table *table, unsigned door);

/* Whose door that address is; NULL: nobody's. */
struct net_server *table_find(struct table *table, const char *host, uint16_t port);

/* A major compaction of one region: delete markers, and what they hide, are gone. */
void table_compact(struct table *table);

/* The balancer: a region splits, two merge, one moves, or hbase:meta does. The regions concerned
 * are nowhere for up to two seconds. Regions of a server that is away go to the other one; none
 * goes to one that is away. */
void table_rearrange(struct table *table);

unsigned table_n_regions(const struct table *table);

/* ---- what a reader sees ---- */

struct table_cell {
    struct slice row, qualifier, value;
    uint64_t timestamp;
};

/* Steps through the visible cells, by row and qualifier; starts zero-initialised, or where
 * table_seek() set it. False: the end. Cells are good until a server is asked something. */
struct table_walk {
    size_t row, cell;
};
bool table_next(const struct table *table, struct table_walk *walk, struct table_cell *cell);

/* The next cell will be the row's first, or that of what is behind it. */
void table_seek(const struct table *table, struct table_walk *walk, struct slice row);

/* Appends a row's visible cells as a server sends them (for rows_read()); how many. */
unsigned table_read(const struct table *table, struct slice row, struct buf *out);

/* ---- what happens ---- */

/* One cell that was written. */
struct table_change {
    struct slice row, qualifier, value; /* value: of what came; a marker has none */
    bool deletes;                       /* a delete marker came, not a put */
    uint64_t timestamp;                 /* of what came */
    uint64_t before, after;             /* of what is visible of this cell; 0: nothing is */
    uint64_t highest; /* of all puts and markers that ever came for it, this one included. A put
                         that shows below it came late, after a compaction: that may happen to
                         columns, never to the marker of a row */
};

/* Both are called while a server serves; they must not ask one. NULL: not wanted. Whoever asked
 * last is told first. */
struct table_watch {
    void (*changed)(struct table_watch *watch, const struct table_change *change);
    void (*refused)(struct table_watch *watch, struct slice row); /* alone; each time anew */
    struct table_watch *next;                                     /* the table's */
};
void table_watch(struct table *table, struct table_watch *watch);

#endif
