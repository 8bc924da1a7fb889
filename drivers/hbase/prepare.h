/*
 * prepare.h: what control does with an HBase cluster before the shards run: find the master, look
 * at the table, create it where the options say so. Internal to drivers/hbase.
 *
 * All on one thread, the one that called hbase_prepare_open(); every call is waited for, each at
 * most for the options' time-out.
 */
#ifndef WEIR_HBASE_PREPARE_H
#define WEIR_HBASE_PREPARE_H

#include "drivers/hbase/hbase.h"

struct hbase_prepare;

/* Start-up: reserves all that the other functions need, an env of its own included. The options
 * must outlive it. 0, or -1 with *err: options that cannot be used (EXIT_CONFIG), no env. */
MUST_CHECK int hbase_prepare_open(struct hbase_prepare **prepare,
                                  const struct hbase_options *options, struct err *err);

/* sink_ops.prepare: 1 = the table was created just now, by us; 0 = it was there; -1 with *err. What
 * endangers a guarantee is logged, once. */
MUST_CHECK int hbase_prepare_run(struct hbase_prepare *prepare, struct err *err);

/* sink_ops.inspect. */
MUST_CHECK int hbase_prepare_inspect(struct hbase_prepare *prepare, struct findings *findings,
                                     struct err *err);

/* NULL is fine. */
void hbase_prepare_close(struct hbase_prepare *prepare);

#endif
