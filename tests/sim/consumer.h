/*
 * consumer.h: one consumer as librdkafka plays it: what it does in threads of its own, whatever the
 * application does meanwhile.
 *
 *     JOINING ─► SYNCING ─► ASSIGN for the application ─► STEADY: heartbeats, fetches
 *        ▲                                                  │ rebalance, or all is lost
 *        └──── REVOKE for the application, where needed ◄───┘
 *
 * It lives while its process lives, and stands still while that is frozen. Its memory is the
 * model's, so answers that come for a dead process fall into it and nowhere else.
 *
 * Calls below come from the actor that the consumer belongs to, but for consumer_ghost().
 */
#ifndef WEIR_SIM_CONSUMER_H
#define WEIR_SIM_CONSUMER_H

#include "tests/sim/fetch.h"
#include "tests/sim/group.h"

struct consumer;

struct consumer_options {
    struct env *env; /* woken when there is something for the application; NULL: a ghost */
    unsigned node;
    const char *instance; /* copied */
    uint64_t topics;      /* all partitions of the topics */
    bool cooperative;
    uint64_t session_us, heartbeat_us, rebalance_us;
};

/* Joins by itself from now on. */
struct consumer *consumer_open(struct group *group, const struct consumer_options *options);

enum consumer_call { CONSUMER_NOTHING, CONSUMER_ASSIGN, CONSUMER_REVOKE };

/* What the application is called back for, if anything. It says consumer_answer() to it once; until
 * then nothing else comes. */
enum consumer_call consumer_poll(struct consumer *consumer, uint64_t *logs);
void consumer_answer(struct consumer *consumer);

/* Are the partitions somebody else's already (for the REVOKE that is at hand)? */
bool consumer_lost(const struct consumer *consumer);
bool consumer_fenced(const struct consumer *consumer);

/* Did a broker answer ever; does it answer now? */
bool consumer_reached(const struct consumer *consumer);
bool consumer_reaches(const struct consumer *consumer);

/* Fetches it from `offset` on; no more. */
void consumer_fetch(struct consumer *consumer, struct fetch *fetch, int64_t offset);
void consumer_fetch_end(struct consumer *consumer, const struct fetch *fetch);

/* consumer_commit.c. Hands a commit over; its number, from 1 on. And the next answer that has come.
 * False: none. */
uint64_t consumer_commit(struct consumer *consumer, const struct group_commit *commits, unsigned n);
bool consumer_commit_answer(struct consumer *consumer, uint64_t *number, enum group_code *code);

/* Leaves the group (a static member: without a word) and frees everything. */
void consumer_close(struct consumer *consumer);

/* See broker_ghost(). */
void consumer_ghost(struct group *group, bool joins);

#endif
