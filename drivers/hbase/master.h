/*
 * master.h: a conversation with the cluster's active master, on control's thread: each call is
 * waited for. Internal to drivers/hbase.
 *
 * Everything is reserved by master_open(), which must be called by the thread that calls the rest.
 */
#ifndef WEIR_HBASE_MASTER_H
#define WEIR_HBASE_MASTER_H

#include "drivers/hbase/hbase.h"
#include "drivers/hbase/rpc.h"

enum { MASTER_REASON_BYTES_MAX = 400 };

struct master {
    const struct hbase_options *options;
    struct env *env;
    struct rpc *rpc;
    struct zookeeper *zookeeper;          /* NULL where the options name masters */
    char node_path[300];                  /* of the znode `master` */
    struct rpc_target target;             /* port 0: not known */
    struct buf param;                     /* the next request's parameter: the caller writes it */
    struct buf answer;                    /* the last one's result */
    char exception[200];                  /* MASTER_REFUSED: the class's name without its package */
    char reason[MASTER_REASON_BYTES_MAX]; /* for people: what the server said, or what went wrong */
    bool for_good;                        /* trying again is no use */
};

enum master_result { MASTER_ANSWERED, MASTER_REFUSED, MASTER_AWAY };

/* Start-up. 0, or -1 with *err. After a failure master_close() must be called, too. */
MUST_CHECK int master_open(struct master *master, const struct hbase_options *options,
                           struct err *err);

/* Finds the active master if it is not known, and calls it with master->param, which is empty
 * afterwards. ANSWERED: master->answer. REFUSED: exception, reason, for_good. AWAY: *err has
 * EXIT_UNAVAILABLE (EXIT_CONFIG where it is for good: Kerberos is demanded) and says who was asked;
 * the master is looked for anew the next time. */
MUST_CHECK enum master_result master_call(struct master *master, const char *method,
                                          struct err *err);

/* Waits without calling. */
void master_pause(struct master *master, uint64_t pause_us);

/* Closes what was opened, also where master_open() failed half-way. */
void master_close(struct master *master);

#endif
