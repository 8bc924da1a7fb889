/*
 * source.h: a source over the modelled Kafka: what drivers/kafka makes of librdkafka, made of
 * consumer.h. It calls control in the same order and with the same facts (assign.c, commit.c and
 * port.c of the driver are its pattern; whoever changes those looks here).
 *
 * Dials: `lose_request` (a question is not answered, a heartbeat is lost), `slow`, `lose_commit`,
 * `rewind` (a partition steps back to one of the last records that it handed out, or to the first).
 */
#ifndef WEIR_SIM_SOURCE_H
#define WEIR_SIM_SOURCE_H

#include "config/config.h"
#include "dataplane/source.h"
#include "tests/sim/broker.h"

/* On the fiber of the node's control thread, which all of source_ops but port() are called on: it
 * joins from here on. `config` is a Kafka source: its topics (names, no expressions), group, start,
 * partitioned_by_key, and of its options session.timeout.ms, heartbeat.interval.ms,
 * max.poll.interval.ms, group.instance.id and partition.assignment.strategy. NULL with *err where a
 * topic is an expression. */
MUST_CHECK struct source *sim_source_open(struct broker *broker, const struct config_source *config,
                                          unsigned node, const struct source_events *events,
                                          struct err *err);

#endif
