/*
 * zookeeper.h: reads one znode, which is all that HBase's clients need of ZooKeeper.
 *
 *     zookeeper_get() ─► connect to one of the servers ─► session ─► getData ─► done() ─► closed
 *
 * Source: ZooKeeper's jute records ConnectRequest, ConnectResponse, RequestHeader (xid, type 4 =
 * getData), ReplyHeader (xid, zxid, err; -101 = no such node); each behind an int32 length,
 * big-endian. A session is opened for each read and closed behind it: reads are rare (start, and
 * when servers move), and a session that is kept would have to be pinged.
 *
 * The shard's thread (or the one that owns the env).
 */
#ifndef WEIR_HBASE_ZOOKEEPER_H
#define WEIR_HBASE_ZOOKEEPER_H

#include "dataplane/base/env.h"

#define ZOOKEEPER_NODE_BYTES_MAX 65536

struct zookeeper;

enum zookeeper_result { ZOOKEEPER_FOUND, ZOOKEEPER_ABSENT, ZOOKEEPER_FAILED };

struct zookeeper_options {
    struct env *env;
    const char *const *servers; /* "host:port", the caller's */
    unsigned n_servers;
    uint64_t timeout_us; /* for one server */
};

/* One read. */
struct zookeeper_get {
    void (*done)(struct zookeeper_get *get); /* from zookeeper_step() or env_wait() */
    void *owner;
    const char *path; /* "/hbase/meta-region-server"; stays until done() */

    enum zookeeper_result result;
    struct slice data;   /* FOUND: until done() returns */
    struct slice reason; /* FAILED: every server was tried; the last one's reason, for people */
};

/* Start-up. 0, or -1 with *err (a server that is no host:port). */
MUST_CHECK int zookeeper_open(struct zookeeper **zookeeper, const struct zookeeper_options *options,
                              struct err *err);

/* Begins the read; one at a time. Tries the servers in turn, from a random one on. */
void zookeeper_start(struct zookeeper *zookeeper, struct zookeeper_get *get);
void zookeeper_step(struct zookeeper *zookeeper); /* time-outs */
void zookeeper_close(struct zookeeper *zookeeper);

#endif
