/* broker_model.h: what the parts of the modelled Kafka share. */
#ifndef WEIR_SIM_BROKER_MODEL_H
#define WEIR_SIM_BROKER_MODEL_H

#include "tests/sim/broker.h"

/* A partition's log. Sets of logs are bits: 1 << index. */
struct broker_log {
    unsigned index;
    const char *topic;
    int32_t number;
    int64_t low, high;
    struct broker_record **records; /* n of room, by offset; those below `low` stay here too */
    unsigned n, room;
};

struct group;

struct broker {
    struct broker_log logs[BROKER_LOGS_MAX];
    unsigned n_logs;
    struct group *groups; /* a list */
    bool away;
    uint64_t cut;                  /* nodes */
    uint64_t initial_rebalance_us; /* how long an empty group waits for more members */
    void (*stored)(void *context, const struct broker_commit *commit);
    void *context;
};

/* NULL: there is no such partition. */
struct broker_log *broker_find(const struct broker *broker, const char *topic, int32_t number);

/* All partitions of a topic; 0: there is none. */
uint64_t broker_logs_of(const struct broker *broker, const char *topic);

/* The place of the first record at or after the offset; log->n: there is none. */
unsigned broker_place(const struct broker_log *log, int64_t offset);

/* How long a request or an answer is on its way. */
uint64_t broker_latency_us(void);

/* Can the node speak with the cluster now? */
bool broker_reaches(const struct broker *broker, unsigned node);

#endif
