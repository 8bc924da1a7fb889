/*
 * locate.h: where the table's regions are, as one shard knows it. Internal to drivers/hbase.
 *
 *     locate_find(row key) ─► region ─► locate_server() ─► whom to ask
 *
 * The shard's thread.
 */
#ifndef WEIR_HBASE_LOCATE_H
#define WEIR_HBASE_LOCATE_H

#include "drivers/hbase/rpc.h"
#include "drivers/hbase/zookeeper.h"

#define LOCATE_REGIONS_MAX    65536u
#define LOCATE_SERVERS_MAX    1024u
#define LOCATE_NAME_BYTES_MAX 4096u /* of a region's name; its keys are shorter */
#define LOCATE_NONE           UINT32_MAX

struct locate;

/* Everything pointed to must outlive it. */
struct locate_options {
    struct env *env;
    struct rpc *rpc;
    struct zookeeper *zookeeper; /* NULL: the masters are asked where hbase:meta is */
    const char *znode_parent;    /* with zookeeper only */
    const char *const *masters;  /* "host:port" each */
    unsigned n_masters;
    const char *table;   /* "orders", or "namespace:orders" */
    uint64_t timeout_us; /* how long a request is held back */
};

/* Start-up. The first look begins when a request waits for it, because the table may have to be
 * created first. 0, or -1 with *err. */
MUST_CHECK int locate_open(struct locate **locate, const struct locate_options *options,
                           struct err *err);

struct region {
    struct slice name, start, end; /* end is empty for the last one */
    uint32_t server;
};

/* Are the regions known, be it as they were some time ago? */
bool locate_known(const struct locate *locate);

/* Is a look under way? And how many have ended, whatever their result. */
bool locate_looking(const struct locate *locate);
uint64_t locate_looks(const struct locate *locate);

/* The region that holds the row, by its index, or LOCATE_NONE: nothing is known of one (a region
 * that is being split, merged or moved can be missing for a while; locate_suspect() then). Indexes,
 * and what is got by them, are good until the next env_wait(), rpc_step() or zookeeper_step(). */
uint32_t locate_find(const struct locate *locate, struct slice row_key);
const struct region *locate_region(const struct locate *locate, uint32_t region);
const struct rpc_target *locate_server(const struct locate *locate, uint32_t server);
uint32_t locate_n_regions(const struct locate *locate);
uint32_t locate_n_servers(const struct locate *locate);

/* A call failed in a way that says: what we know is old. A look begins soon: at once if the last
 * one is long ago, otherwise with a growing delay (100 ms to 5 s). What is known stays until then.
 */
void locate_suspect(struct locate *locate);

/* Begins a look that is due. Often. */
void locate_step(struct locate *locate);

/* Holding a request back while there is nothing, or nothing good, to route it by. */
struct locate_wait {
    uint64_t since_us, looks;
};
enum locate_go {
    LOCATE_GO,      /* route it by what is known */
    LOCATE_WAIT,    /* look again after the next step */
    LOCATE_GIVE_UP, /* nothing is known, and a whole look or the time was for nothing */
};
void locate_wait_begin(struct locate *locate, struct locate_wait *wait);
MUST_CHECK enum locate_go locate_wait_ends(const struct locate *locate,
                                           const struct locate_wait *wait);

#endif
