/* source_model.h: what the two halves of the modelled source share. */
#ifndef WEIR_SIM_SOURCE_MODEL_H
#define WEIR_SIM_SOURCE_MODEL_H

#include "tests/sim/consumer.h"
#include "tests/sim/source.h"

struct sim_port;

/* An assignment that came and is not answered yet. */
struct sim_pending {
    bool any, committed_known;
    unsigned n, at; /* `at` have their marks */
    struct source_partition told[BROKER_LOGS_MAX];
};

struct sim_source {
    struct source source;
    const struct source_events *events;
    struct broker *broker;
    struct group *group;
    struct consumer *consumer;
    struct env *env;
    struct sim_port *ports;
    uint64_t topics;
    bool start_latest, cooperative, closing;
    char *instance;
    size_t event_bytes_max;
    unsigned rejoin_assigns;
    uint64_t rejoin_until_us;
    struct sim_pending pending;
    struct fetch *owned[BROKER_LOGS_MAX];
    unsigned n_owned;
};

static inline struct sim_source *sim_source_of(struct source *source)
{
    return (struct sim_source *)source;
}

/* The control thread waits for a server, and lives. */
void sim_source_waits(const struct sim_source *source);

/* Waits, whatever wakes it. */
void sim_source_rest(const struct sim_source *source, uint64_t us);

/* source_assign.c: what the group says, the next step of an assignment, the end of all. */
void sim_source_callbacks(struct sim_source *source);
void sim_source_assign_step(struct sim_source *source, unsigned timeout_ms);
void sim_source_leave(struct sim_source *source);

/* source_port.c. Ports stay when the source is closed, as the driver's do. */
struct source_port *sim_port_open(struct sim_source *source, struct env *env);
unsigned sim_port_out(const struct sim_port *port);
struct sim_port *sim_port_close(struct sim_port *port);

#endif
