/*
 * check.h: what must hold, at each commit, at each write, and at the end. Ends the process where
 * something does not (sim_blame()).
 *
 * The invariants, by the names that a failing history is told with:
 *
 *     no loss            what is committed is in every sink, or a durable dead letter
 *     clock              a commit carries the log's number at its offset (R1)
 *     no version falls   of a document in the index, of a row's marker in the table
 *     no row falls       a greater version of a document has every row as new as it was
 *     drained            after the faults everything is read, written and committed
 *     documents          and is what the log says, in every sink
 *     fixed point        reading the log once more, whole or from any commit, changes nothing
 */
#ifndef WEIR_SIM_CHECK_H
#define WEIR_SIM_CHECK_H

#include "config/config.h"
#include "tests/sim/changelog.h"

#include <stdbool.h>

/* From now on commits and writes are watched. `task` is the nodes', for what a document is. */
void check_open(const struct changelog *log, const struct config_task *task);

/* The group has committed the whole log. */
bool check_drained(const char *group);

/* Every sink has what the log says. */
void check_documents(void);

/* One of the commits of a partition that were seen so far; false: there were none. */
bool check_commit(unsigned part, int64_t *offset, uint64_t *clock);

/* From now on another group reads the log once more, from these offsets on, and no write may change
 * anything that a reader sees; but for documents that were refused once. */
void check_again(const int64_t from[PARTS_MAX]);

/* Why check_drained() is false, for the one who asks. */
void check_tell_undrained(const char *group);

#endif
