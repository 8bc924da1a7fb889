/*
 * partition.h: the partitions of a task: a name for each slot.
 *
 * A slot is given once and never reused for another partition while the process runs, so that a
 * hold or a dead letter can always say where it came from. Append-only; readers need no lock.
 */
#ifndef WEIR_PARTITION_H
#define WEIR_PARTITION_H

#include "dataplane/base/check.h"

#include <stdint.h>

#define PARTITIONS_MAX  4096
#define PARTITION_NONE  0xffff
#define TOPIC_BYTES_MAX 1024 /* Kafka's limit is 249; the file source names paths here */

struct task_partitions;

/* Start-up only. */
struct task_partitions *partitions_open(void);

/* The slot of (topic, number), given now if it is new; PARTITION_NONE when all are taken. Any
 * thread. */
MUST_CHECK uint16_t partitions_slot(struct task_partitions *partitions, const char *topic,
                                    int32_t number);

/* How many slots were given; their names. The texts live as long as the process. Any thread. */
unsigned partitions_count(const struct task_partitions *partitions);
const char *partitions_topic(const struct task_partitions *partitions, uint16_t slot);
int32_t partitions_number(const struct task_partitions *partitions, uint16_t slot);

#endif
