/*
 * broker.h: the modelled Kafka: topics, their logs, and the groups that read them.
 *
 *     broker_append() ──► log of a partition: low ... records, gaps ... high
 *                                  │ prefetch (fetch.h)
 *     group.h: coordinator ◄──── consumer.h: what librdkafka does in its own threads
 *                                  │ callbacks, answers to commits
 *                          source.h: what drivers/kafka makes of it
 *
 * What a coordinator keeps: members with their sessions, generations, commits of members of the
 * present generation alone (and of anybody while the group is empty, if they name no generation).
 * Groups are made by the sources that name them.
 *
 * A record's memory stays until the process ends, also when retention has taken it out of the log:
 * a consumer may have fetched it before.
 *
 * The scheduler's thread; any time.
 */
#ifndef WEIR_SIM_BROKER_H
#define WEIR_SIM_BROKER_H

#include "dataplane/base/slice.h"
#include "tests/sim/sim.h"

enum { BROKER_LOGS_MAX = 64 }; /* partitions of all topics together */

struct broker;

struct broker_record {
    int64_t offset, timestamp_ms;
    struct slice key, payload; /* data NULL: none (a tombstone) */
};

/* An empty cluster. Draws a random number. */
struct broker *broker_open(void);

/* A topic with so many empty partitions. Before any source reads it: partitions are not added. */
void broker_topic(struct broker *broker, const char *topic, unsigned partitions);

/* Copies key and payload to the log's end; the offset that it got. With the dial `gaps` offsets
 * before it or after it hold nothing. */
int64_t broker_append(struct broker *broker, const char *topic, unsigned partition,
                      struct slice key, struct slice payload, int64_t timestamp_ms);

/* The first offset that is still there, and the one after the last (the high watermark). */
int64_t broker_low(const struct broker *broker, const char *topic, unsigned partition);
int64_t broker_high(const struct broker *broker, const char *topic, unsigned partition);

/* The first record at or after the offset, retained or not; NULL: there is none. */
const struct broker_record *broker_record(const struct broker *broker, const char *topic,
                                          unsigned partition, int64_t offset);

/* Retention: drops what every group has committed. A partition without a commit of some group keeps
 * all. */
void broker_retain(struct broker *broker);

/* Compaction: that record is gone, its offset holds nothing. Nobody reads the log meanwhile. */
void broker_compact(struct broker *broker, const char *topic, unsigned partition, int64_t offset);

/* What an administrator does with a group that has no members. */
void broker_set_commit(struct broker *broker, const char *group, const char *topic,
                       unsigned partition, int64_t offset, uint64_t clock);

/* ---- faults that are the caller's to begin and to end ---- */

/* The whole cluster does not answer. Sessions begin anew when it is back. */
void broker_away(struct broker *broker, bool away);

/* A node's network to the cluster is cut: nothing goes either way, and the group expels its members
 * after their session. */
void broker_cut(struct broker *broker, unsigned node, bool cut);

/* A member that reads nothing joins every group, or leaves it, with or without a word (without: its
 * session must run out). It does nothing if there is one already, or none. A group must have been
 * joined by a source once. */
void broker_ghost(struct broker *broker, bool joins);

/* ---- for checks ---- */

/* What the group has stored. False: nothing for this partition. `clock` is SEQNO_EPOCH where the
 * commit carried none. */
bool broker_committed(const struct broker *broker, const char *group, const char *topic,
                      unsigned partition, int64_t *offset, uint64_t *clock);

/* Called for each commit that is stored, at the instant at which it is. `node` is whose it is. */
struct broker_commit {
    const char *group, *topic;
    unsigned partition, node;
    int64_t offset;
    uint64_t clock;
};
void broker_on_commit(struct broker *broker,
                      void (*stored)(void *context, const struct broker_commit *commit),
                      void *context);

/* The node whose member has the partition by the group's last completed rebalance; -1: nobody, or a
 * ghost. What that member believes may differ. */
int broker_owner(const struct broker *broker, const char *group, const char *topic,
                 unsigned partition);

#endif
