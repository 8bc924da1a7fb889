/*
 * sim.h: the simulated world: its one thread, its clock, its random numbers, and what goes wrong.
 *
 *     actors (fibers): each node's control thread and shards, running weir's own code.
 *                      They come to rest in env_wait() and nowhere else.
 *     events:          what servers and the network do at a time.
 *
 * The scheduler takes whoever is due, in seeded order; where nobody is, time jumps to the next who
 * will be. So a history is its seed and nothing else: no real time, no address, no hash of one
 * enters it. One process plays one history.
 */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include "dataplane/base/check.h"
#include "dataplane/base/env.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- random numbers ---- */

uint64_t sim_random(void);
unsigned sim_below(unsigned n);                      /* 0 .. n - 1 */
uint64_t sim_between(uint64_t least, uint64_t most); /* both included */

/* Does it go wrong? `dial` is written as sim_dials()->NAME: under this name the fault stands in a
 * script (script.h), which may say otherwise than chance does. Never for 0. */
#define sim_chance(dial) sim_chance_of(#dial, dial)
bool sim_chance_of(const char *dial, unsigned per_mille);

/* What a history consists of, each with dice of its own: what one takes from them does not change
 * what another gets, and so a history without some of its faults keeps most of its story. */
enum sim_concern {
    SIM_DIALS,
    SIM_WORLD,
    SIM_GROWTH,  /* by its number */
    SIM_MESSAGE, /* by its number */
    SIM_SERVERS, /* what befalls them, by the tick */
    SIM_AGAIN,   /* the second reading */
    SIM_NODES = 100,
};

/* Until the next turn all numbers come from the dice of that concern and number alone. */
void sim_throw(unsigned concern, uint64_t number);

/* ---- faults ---- */

/* How often each thing goes wrong, drawn from the seed. Each is 0 on some seeds. After the faults
 * have stopped all of them are 0 (sim_calm()). Per mille, unless they say otherwise. */
struct dials {
    /* the network, for each request */
    unsigned lose_request; /* it never arrives, the caller is told so after a while */
    unsigned lose_answer;  /* it is done, and the caller told that it failed */
    unsigned slow;         /* it takes up to late_us */
    uint64_t late_us;
    /* servers */
    unsigned away;       /* a second in which a server begins to be away for some time */
    unsigned busy_whole; /* 503, RegionTooBusy for the whole request */
    unsigned busy_item;  /* 429 for an item; RegionTooBusy for an action */
    unsigned refuse;     /* a document that the server refuses for good */
    unsigned forget;     /* a second in which deleted documents are forgotten, cells compacted */
    unsigned regions;    /* a second in which a region splits, merges or moves */
    /* Kafka */
    unsigned evict; /* a tenth of a second in which a resting document is dropped from a store */
    unsigned rebalance;   /* a second in which a member that does nothing joins, or leaves again */
    unsigned lose_commit; /* a commit that fails, stored or not */
    unsigned rewind;      /* a poll that hands out again what was handed out already */
    unsigned gaps;        /* offsets that hold no message */
    unsigned retain;      /* a second in which the log forgets what is committed */
    /* the log */
    unsigned doubled, late_event, same_time, move_key, bad_bytes, empty_event, large_event;
    unsigned night; /* a step in which the log begins to rest until tombstones are old */
    /* nodes */
    unsigned kill, stop, freeze; /* a second in which that happens to a node */
    unsigned power;              /* likewise, and its machine loses its power */
    unsigned no_memory;          /* a start in which one allocation fails */
    unsigned stall;              /* an actor's step that takes up to a second */
    unsigned clock_jump;         /* a second in which a node's wall clock jumps */
    /* a node's disk: a call that fails */
    unsigned disk_full, disk_error;
};
const struct dials *sim_dials(void);

/* Faults have stopped: everything must drain now. */
bool sim_calm(void);

/* ---- time ---- */

#define SIM_WALL_US UINT64_C(1767225600000000) /* 2026-01-01: the servers' wall clock at time 0 */

uint64_t sim_now_us(void);

/* Something that happens at a time, outside all actors. The memory is its owner's; an event is
 * armed once at a time and may be armed again in its own run(). */
struct sim_event {
    void (*run)(struct sim_event *event);
    uint64_t at_us;
    struct sim_event *next;
    bool armed;
};
void sim_at(struct sim_event *event, uint64_t delay_us);
void sim_cancel(struct sim_event *event);
void sim_again(struct sim_event *event,
               uint64_t period_us); /* in its run(): after when it was due */

/* ---- actors ---- */

/* A fiber with an env of its own; it runs from the next turn of the scheduler on. `node` is the
 * number of its node: the actors of a node are frozen and killed together. */
struct env *sim_actor(unsigned node, void (*run)(void *argument), void *argument);

/* The env of the actor that runs now; NULL: none does (an event). */
struct env *sim_env_here(void);

/* The number of the node whose actor runs now; -1: none does. */
int sim_node_here(void);

/* Which life of the node the env's actor belongs to still goes on? False once it was killed: then
 * nobody may touch its memory any more, answers to it are dropped. */
bool sim_is_alive(const struct env *env);

void sim_kill(unsigned node);                    /* its actors never run again */
void sim_freeze(unsigned node, uint64_t for_us); /* SIGSTOP, SIGCONT; its heartbeats stop too */
bool sim_is_frozen(unsigned node);
uint64_t sim_frozen_us(const struct env *env); /* for how long its node still is; 0: it is not */
void sim_jump_clock(unsigned node, int64_t by_us); /* its wall clock, from now on */

/* Runs the world until `ended` says so or time has come to `until_us`; true if it ended. */
bool sim_run(bool (*ended)(void), uint64_t until_us);

/* ---- what happened ---- */

/* What is played, as tests/sim/run says it in the environment; "?": it was not said. */
const char *sim_commit(void);

/* With --trace: one line on stdout with the time. */
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An invariant is broken: says which, with seed and time, and ends the process with 1. */
_Noreturn void sim_blame(const char *invariant, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Start: the seed decides everything. One of eight has no faults at all. */
void sim_open(uint64_t seed, bool trace);
void sim_be_calm(void);

#endif
