/* consumer_model.h: what consumer.c and consumer_commit.c share. */
#ifndef WEIR_SIM_CONSUMER_MODEL_H
#define WEIR_SIM_CONSUMER_MODEL_H

#include "tests/sim/consumer.h"

enum consumer_state {
    CONSUMER_OUT,     /* about to join */
    CONSUMER_JOINING, /* the coordinator has our join, or its answer is on its way */
    CONSUMER_SYNCING,
    CONSUMER_CALLING, /* the application is called back, and has not answered */
    CONSUMER_STEADY,
    CONSUMER_ENDED, /* fenced */
};

enum call_state { CALL_SENT, CALL_SERVED, CALL_ANSWERED };

/* A commit under way. */
struct commit_call {
    struct sim_event event; /* it arrives, then its answer does */
    struct consumer *consumer;
    struct commit_call *next; /* in the order in which they were sent */
    enum call_state state;
    bool lost, unanswered;
    uint64_t number;
    enum group_code code;
    struct group_self self; /* as it was when it was sent */
    unsigned n;
    struct group_commit commits[];
};

struct consumer {
    struct group_client client;
    struct sim_event tick, fetch;
    struct group *group;
    struct consumer_options options;
    char *instance;
    struct group_self self;
    enum consumer_state state;
    bool waiting; /* the coordinator has not answered our join or sync yet */
    bool mailed;  /* its answer is here: */
    enum group_code mail_code;
    uint64_t mail_logs;
    int mail_generation;
    uint64_t owned;          /* by the group, as far as we know */
    enum consumer_call call; /* CALLING: what for, */
    uint64_t call_logs;
    bool taken;    /* and does the application know? */
    uint64_t more; /* cooperative: to be added after this REVOKE, */
    bool then_add;
    bool rejoins; /* then after this ASSIGN we join again */
    bool lost, fenced, reached;
    uint64_t heard_us, heartbeat_us; /* the coordinator's last word; when to say the next one */
    struct fetch *fetches[BROKER_LOGS_MAX];
    struct commit_call *calls;
    uint64_t last_number, last_arrival_us;
};

static inline bool consumer_is_alive(const struct consumer *consumer)
{
    return consumer->options.env == NULL || sim_is_alive(consumer->options.env);
}

/* The coordinator does not know us as what we said we are: all is lost. False: that is not it. */
bool consumer_refused(struct consumer *consumer, enum group_code code);

bool consumer_stands_still(const struct consumer *consumer);

/* Whatever was sent on the connection is served before what follows. */
void consumer_commits_serve(struct consumer *consumer);

void consumer_commits_free(struct consumer *consumer);

#endif
