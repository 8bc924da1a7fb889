/*
 * meta.h: what is asked of hbase:meta, and what its answers say. Internal to drivers/hbase. Any
 * thread; no input or output here.
 */
#ifndef WEIR_HBASE_META_H
#define WEIR_HBASE_META_H

#include "drivers/hbase/rpc.h"

#define META_PAGE_ROWS 1000u

/* "host:port", "[::1]:port". False: it is none; the target's service stays as it is. */
MUST_CHECK bool meta_target(struct slice host_port, struct rpc_target *target);

/* Who serves hbase:meta: from the znode "meta-region-server", and from an answer to
 * GetMetaRegionLocations. NULL, or why not, for people. */
MUST_CHECK const char *meta_from_znode(struct slice data, struct rpc_target *target);
MUST_CHECK const char *meta_from_registry(struct slice answer, struct rpc_target *target);

/* Appends a ScanRequest for one page of the table's regions, those behind `after` (a region's name;
 * empty: from the first one). */
void meta_put_scan(struct slice table, struct slice after, struct buf *out);

struct meta_region {
    struct slice name, start, end; /* these point into the cells */
    struct rpc_target target;
    uint64_t id;
    bool serves; /* false: a parent of a split, a replica, or nobody has it; only `name` is set */
};

/* Steps through a page: 1 = a region, 0 = the end, -1 = these are no regions. */
MUST_CHECK int meta_next(struct slice *cells, struct meta_region *region);

/* Does the ScanResponse say that there are more? */
MUST_CHECK bool meta_has_more(struct slice answer);

#endif
