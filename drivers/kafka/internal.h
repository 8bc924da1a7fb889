/* internal.h: what the parts of the source `kafka` share. */
#ifndef WEIR_KAFKA_INTERNAL_H
#define WEIR_KAFKA_INTERNAL_H

#include "drivers/kafka/kafka.h"

#include "dataplane/base/log.h"

#include <librdkafka/rdkafka.h>
#include <regex.h>
#include <stdatomic.h>

/* A partition that is ours. Control holds it from assign to revoke, a port from attach to detach;
 * who lets go last frees it. */
struct kafka_partition {
    atomic_uint holders;
    char *topic;
    int32_t number;
    rd_kafka_queue_t *queue;      /* its own, not forwarded to the consumer's */
    struct source_partition told; /* what control was told; control thread only */
};

struct kafka_port;

/* An assignment that came and is not answered yet: what must be asked first is asked in steps
 * (assign.c). */
struct kafka_pending {
    rd_kafka_topic_partition_list_t *partitions; /* NULL: none */
    struct source_partition *told;               /* one for each */
    bool committed_known;
    int at;          /* how many have their marks */
    uint64_t ask_us; /* not before this */
};

struct kafka_topic;

struct kafka_source {
    struct source source;
    const struct source_events *events;
    struct kafka_port *ports;
    rd_kafka_t *consumer;
    rd_kafka_queue_t *commits; /* where the answers to commits arrive */
    char **topics;
    regex_t *expressions; /* of the topics that begin with ^; n_topics of room */
    unsigned n_topics;
    char *brokers, *group, *instance; /* instance: group.instance.id, "": none */
    bool start_latest, partitioned_by_key;
    size_t event_bytes_max;
    struct kafka_topic *seen; /* n_seen topics that exist, topics.c */
    unsigned n_seen;
    bool fitted;             /* co-partitioned topics had equally many partitions once, */
    uint64_t apart_until_us; /* and have not any more: until when that is borne, 0: they have */
    struct err refusal;      /* code: the log cannot be read as it is; ends the source */
    bool closing;
    struct kafka_source *next_left; /* of those whose consumer may not be freed */
    /* The members deal out partitions anew without taking all of them back. By the settings:
     * rd_kafka_rebalance_protocol() waits for ever where the member leaves (librdkafka 2.0). */
    bool cooperative;
    bool sticky;              /* they deal by an assignor that keeps a state, */
    bool dealt;               /* and has it, because something (or nothing) was dealt to us once */
    unsigned rejoin_assigns;  /* no commits until so many assignments came, */
    uint64_t rejoin_until_us; /* or until then */
    struct kafka_pending pending;
    struct kafka_partition **owned; /* n_owned of room_owned */
    unsigned n_owned, room_owned;
    uint64_t commit_number; /* of the last commit handed over, */
    uint64_t commit_us;     /* when that was, */
    unsigned commits_out;   /* and how many are not answered */
    struct log_limit limit_commit, limit_retry, limit_topic;
    /* Reachability. The callbacks that set `trouble` run in the control thread, from within its
     * polls. */
    bool trouble, down, reached;
    uint64_t probe_us; /* when to ask again */
    uint64_t quiet_us; /* until when a single broker is not spoken of */
    char why[256];
};

/* conf.c: the consumer's configuration, owned by the caller; NULL with *err. And an option's value
 * in it, "" where it is unset. */
rd_kafka_conf_t *kafka_conf(const struct kafka_options *options, struct err *err);
void kafka_conf_get(const rd_kafka_conf_t *conf, const char *name, char *value, size_t value_bytes);

/* Counts what librdkafka may take by that configuration (memory.h). */
void kafka_conf_count(const rd_kafka_conf_t *conf);

/* topics.c, control thread. How many partitions our topics have in all; what changed since the last
 * time is said. Then: may they be read together? False: not now, or (source->refusal) never. */
unsigned kafka_topics_count(struct kafka_source *source, const struct rd_kafka_metadata *metadata);
bool kafka_topics_fit(struct kafka_source *source);
void kafka_topics_free(struct kafka_source *source);

/* assign.c, control thread. */
void kafka_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t error,
                     rd_kafka_topic_partition_list_t *partitions, void *opaque);
void kafka_assign_step(struct kafka_source *source, unsigned timeout_ms);
void kafka_assign_abandon(struct kafka_source *source);
void kafka_partition_let_go(struct kafka_partition *partition);

/* commit.c, control thread. */
int kafka_commit(struct kafka_source *source, const struct source_commit *commits, unsigned n,
                 bool wait, struct err *err);
void kafka_commit_answers(struct kafka_source *source);

/* port.c */
struct source_port *kafka_port_open(struct kafka_source *source, struct env *env);
/* Control thread, when the shards have ended: records that were not released, and the next of the
 * list. */
unsigned kafka_port_out(const struct kafka_port *port);
struct kafka_port *kafka_port_close(struct kafka_port *port);

uint64_t kafka_now_us(void);

/* The control thread waits for a server, and lives. */
void kafka_waits(const struct kafka_source *source);

#endif
