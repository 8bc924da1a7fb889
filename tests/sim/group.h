/*
 * group.h: a consumer group and its coordinator, as a broker keeps it (Kafka's classic protocol).
 *
 *     EMPTY ── join ──► PREPARING ── all have joined, or time is up ──► COMPLETING
 *                          ▲  ▲                                            │ the leader has dealt
 *                          │  └── a join, a leave, a session that ran out ─┤
 *                          └─────────────────────────────────────────── STABLE
 *
 * Each completed PREPARING is a new generation. Answers to join and sync come when the group is so
 * far, by the client's two functions, at the instant at which the broker sends them.
 *
 * Sets of partitions are bits by the index of their log (broker_model.h).
 */
#ifndef WEIR_SIM_GROUP_H
#define WEIR_SIM_GROUP_H

#include "tests/sim/broker_model.h"

enum { GROUP_MEMBERS_MAX = 64 };
enum { GROUP_NODE_NONE = 1000 }; /* a ghost's */

enum group_code {
    GROUP_OK,
    GROUP_REBALANCING,
    GROUP_ILLEGAL_GENERATION,
    GROUP_UNKNOWN_MEMBER,
    GROUP_FENCED,    /* another one with our instance took our place */
    GROUP_NO_ANSWER, /* never the coordinator's: it was not reached */
};
const char *group_code_text(enum group_code code);

/* Who answers go to. Its memory is the model's, until group_forget(). */
struct group_client {
    void (*joined)(struct group_client *client, enum group_code code, int generation);
    void (*synced)(struct group_client *client, enum group_code code, uint64_t logs);
};

/* Who speaks: what a request says of its member. */
struct group_self {
    uint64_t id;          /* 0: none was given yet */
    const char *instance; /* group.instance.id; "": none */
    int generation;       /* -1: of none */
    unsigned node;
};

struct group_join {
    struct group_self self;
    struct group_client *client;
    uint64_t topics; /* all partitions of the topics that it wants */
    uint64_t owned;  /* cooperative: what it has and keeps until it is told otherwise */
    bool cooperative;
    uint64_t session_us, rebalance_us;
};

struct group_commit {
    unsigned log;
    int64_t offset;
    uint64_t clock;
};

/* The group of that name; it is made where there is none yet / NULL where there is none. */
struct group *group_open(struct broker *broker, const char *name);
struct group *group_find(const struct broker *broker, const char *name);
struct group *group_next(const struct group *group);
struct broker *group_broker(const struct group *group);
const char *group_name(const struct group *group);

/* What its members wanted so far, and by which protocol. */
uint64_t group_topics(const struct group *group);
bool group_cooperative(const struct group *group);

/* The id that the member has from now on; 0: it was refused, which the answer says too. */
uint64_t group_join(struct group *group, const struct group_join *join);

void group_sync(struct group *group, const struct group_self *self, struct group_client *client);
enum group_code group_heartbeat(struct group *group, const struct group_self *self);
enum group_code group_commit(struct group *group, const struct group_self *self,
                             const struct group_commit *commits, unsigned n);
void group_leave(struct group *group, const struct group_self *self);

/* The client is answered no more; its member stays. */
void group_forget(struct group *group, const struct group_client *client);

/* All sessions begin anew: another coordinator took over. */
void group_renew(struct group *group);

bool group_committed(const struct group *group, unsigned log, int64_t *offset, uint64_t *clock);
int group_owner(const struct group *group, unsigned log);

/* deal.c: what each member gets. members[] is in the order of their ids. Range: each topic in equal
 * runs of numbers. Cooperative: what is kept stays, what nobody has is given out, and what has to
 * move is withheld until its holder has given it up. */
struct deal_member {
    uint64_t topics, owned;
    uint64_t logs; /* out */
};
void deal_range(const struct broker *broker, struct deal_member *members, unsigned n);
void deal_sticky(const struct broker *broker, struct deal_member *members, unsigned n);

/* A consumer's place for the group's ghost (consumer.c). */
struct consumer **group_ghost(struct group *group);

#endif
