/*
 * sim.c: see sim.h: the scheduler, the envs of the actors, the dials.
 *
 * A turn takes one of those who are due: events whose time has come first, in the order of their
 * times; else a random actor among those that were woken or whose rest is over. An actor's step
 * takes some microseconds of the world's time, so two that wait for each other in a loop come to
 * the end of their patience. Where nobody is due, time jumps to the next event or actor.
 */
#include "tests/sim/sim.h"

#include "tests/sim/fiber.h"
#include "tests/sim/script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACTORS_MAX = 64, NODES_MAX = 8 };

#define STEP_US_MOST 20

struct actor {
    struct env env;
    struct fiber *fiber; /* NULL: ended, or killed */
    unsigned node;
    uint64_t due_us; /* its rest is over */
    bool woken;
};

static struct {
    uint64_t seed, now_us, turns;
    uint64_t dice, chance, own_dice, *thrown; /* the last is one of the others */
    uint64_t moment_us;                       /* when this turn was due */
    bool traces, calm;
    struct dials dials;
    struct actor *actors[ACTORS_MAX]; /* an env outlives its actor: others may ask for it */
    unsigned n_actors;
    struct actor *here;
    struct sim_event *events; /* by time */
    uint64_t frozen_until_us[NODES_MAX];
    int64_t clock_off_us[NODES_MAX];
} sim;

/* ---- random numbers (xoshiro's little sister: splitmix64, Steele et al. 2014) ---- */

static uint64_t next(uint64_t *dice)
{
    uint64_t z = *dice += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

enum { ALL_ELSE = 1000, CHANCE };

static uint64_t dice_of(unsigned concern, uint64_t number)
{
    uint64_t dice = sim.seed * UINT64_C(0xd1342543de82ef95) + concern;
    dice = next(&dice) + number;
    return next(&dice);
}

void sim_throw(unsigned concern, uint64_t number)
{
    sim.own_dice = dice_of(concern, number);
    sim.thrown = &sim.own_dice;
}

uint64_t sim_random(void)
{
    return next(sim.thrown);
}

unsigned sim_below(unsigned n)
{
    ASSERT(n > 0);
    return (unsigned)(((sim_random() >> 32) * n) >> 32);
}

uint64_t sim_between(uint64_t least, uint64_t most)
{
    ASSERT(least <= most);
    return least + sim_random() % (most - least + 1);
}

bool sim_chance_of(const char *dial, unsigned per_mille)
{
    if (per_mille == 0)
        return false;
    const char *dot = strrchr(dial, '.'), *arrow = strrchr(dial, '>');
    dial = arrow != NULL ? arrow + 1 : dot != NULL ? dot + 1 : dial;
    bool likely = ((next(&sim.chance) >> 32) * 1000) >> 32 < per_mille;
    return script_decides(dial, strspn(dial, "abcdefghijklmnopqrstuvwxyz_"), sim.moment_us, likely);
}

/* ---- dials ---- */

const struct dials *sim_dials(void)
{
    return &sim.dials;
}

bool sim_calm(void)
{
    return sim.calm;
}

/* Off on half of the seeds, else up to `most`. */
static unsigned draw(unsigned most)
{
    return sim_below(2) ? 0 : 1 + sim_below(most);
}

static void draw_dials(struct dials *dials)
{
    *dials = (struct dials){
        .lose_request = draw(100),
        .lose_answer = draw(100),
        .slow = draw(100),
        .late_us = sim_between(1000, 5000000),
        .away = draw(100),
        .busy_whole = draw(100),
        .busy_item = draw(100),
        .refuse = draw(10),
        .forget = draw(200),
        .regions = draw(300),
        .evict = draw(500),
        .rebalance = draw(200),
        .lose_commit = draw(200),
        .rewind = draw(20),
        .gaps = draw(100),
        .retain = draw(300),
        .doubled = draw(100),
        .late_event = draw(200),
        .same_time = draw(300),
        .move_key = draw(50),
        .bad_bytes = draw(30),
        .empty_event = draw(30),
        .large_event = draw(10),
        .night = draw(60),
        .kill = draw(30),
        .stop = draw(50),
        .freeze = draw(40),
        .power = draw(30),
        .no_memory = draw(500),
        .stall = draw(2),
        .clock_jump = draw(50),
        .disk_full = draw(5),
        .disk_error = draw(5),
    };
}

/* ---- time ---- */

uint64_t sim_now_us(void)
{
    return sim.now_us;
}

void sim_at(struct sim_event *event, uint64_t delay_us)
{
    ASSERT(!event->armed);
    event->armed = true;
    event->at_us = sim.now_us + delay_us;
    struct sim_event **link = &sim.events;
    while (*link != NULL && (*link)->at_us <= event->at_us)
        link = &(*link)->next;
    event->next = *link;
    *link = event;
}

void sim_again(struct sim_event *event, uint64_t period_us)
{
    uint64_t at_us = event->at_us + period_us;
    sim_at(event, at_us > sim.now_us ? at_us - sim.now_us : 0);
}

void sim_cancel(struct sim_event *event)
{
    if (!event->armed)
        return;
    struct sim_event **link = &sim.events;
    while (*link != event)
        link = &(*link)->next;
    *link = event->next;
    event->armed = false;
}

/* ---- the actors' envs ---- */

static struct actor *actor_of(struct env *env)
{
    return (struct actor *)env; /* env is its first member */
}

static uint64_t env_sim_mono(struct env *env)
{
    (void)env;
    return sim.now_us;
}

static uint64_t env_sim_wall(struct env *env)
{
    return SIM_WALL_US + sim.now_us + (uint64_t)sim.clock_off_us[actor_of(env)->node];
}

static uint64_t env_sim_random(struct env *env)
{
    (void)env;
    return sim_random();
}

static unsigned env_sim_wait(struct env *env, uint64_t timeout_us)
{
    struct actor *actor = actor_of(env);
    ASSERT(sim.here == actor);
    actor->due_us = sim.now_us + timeout_us;
    fiber_rest();
    actor->woken = false;
    return 0;
}

static void env_sim_wake(struct env *env)
{
    actor_of(env)->woken = true;
}

static const struct env_ops env_sim_ops = { .mono_us = env_sim_mono,
                                            .wall_us = env_sim_wall,
                                            .random = env_sim_random,
                                            .wait = env_sim_wait,
                                            .wake = env_sim_wake };

/* ---- actors ---- */

struct env *sim_actor(unsigned node, void (*run)(void *argument), void *argument)
{
    struct actor *actor = calloc(1, sizeof(*actor));
    ASSERT(actor != NULL && node < NODES_MAX);
    unsigned place = 0;
    while (place < sim.n_actors && sim.actors[place]->fiber != NULL)
        place++;
    ASSERT(place < ACTORS_MAX);
    actor->env.ops = &env_sim_ops;
    actor->fiber = fiber_open(run, argument);
    actor->node = node;
    actor->due_us = sim.now_us;
    sim.actors[place] = actor;
    sim.n_actors += place == sim.n_actors;
    return &actor->env;
}

struct env *sim_env_here(void)
{
    return sim.here != NULL ? &sim.here->env : NULL;
}

int sim_node_here(void)
{
    return sim.here != NULL ? (int)sim.here->node : -1;
}

bool sim_is_alive(const struct env *env)
{
    return ((const struct actor *)env)->fiber != NULL;
}

static void end(struct actor *actor)
{
    fiber_free(actor->fiber);
    actor->fiber = NULL;
}

void sim_kill(unsigned node)
{
    ASSERT(sim.here == NULL || sim.here->node != node);
    for (unsigned i = 0; i < sim.n_actors; i++)
        if (sim.actors[i]->fiber != NULL && sim.actors[i]->node == node)
            end(sim.actors[i]);
    sim.frozen_until_us[node] = 0;
}

void sim_freeze(unsigned node, uint64_t for_us)
{
    sim.frozen_until_us[node] = sim.now_us + for_us;
}

bool sim_is_frozen(unsigned node)
{
    return sim.frozen_until_us[node] > sim.now_us;
}

uint64_t sim_frozen_us(const struct env *env)
{
    uint64_t until_us = sim.frozen_until_us[((const struct actor *)env)->node];
    return until_us > sim.now_us ? until_us - sim.now_us : 0;
}

void sim_jump_clock(unsigned node, int64_t by_us)
{
    sim.clock_off_us[node] += by_us;
}

/* ---- the scheduler ---- */

/* When the actor can go on. */
static uint64_t due_us(const struct actor *actor)
{
    uint64_t due = actor->woken ? 0 : actor->due_us, frozen = sim.frozen_until_us[actor->node];
    return due > frozen ? due : frozen;
}

/* A random one of those that are due; NULL: none is, and *next_us is when one will be. */
static struct actor *pick(uint64_t *next_us)
{
    struct actor *picked = NULL;
    unsigned n = 0;
    *next_us = UINT64_MAX;
    for (unsigned i = 0; i < sim.n_actors; i++) {
        struct actor *actor = sim.actors[i];
        if (actor->fiber == NULL)
            continue;
        uint64_t due = due_us(actor);
        if (due > sim.now_us)
            *next_us = due < *next_us ? due : *next_us;
        else if (sim_below(++n) == 0)
            picked = actor;
    }
    return picked;
}

static void go(struct actor *actor)
{
    sim.here = actor;
    bool ended = fiber_go(actor->fiber);
    sim.here = NULL;
    if (ended)
        end(actor);
    sim.now_us += 1 + sim_below(STEP_US_MOST);
    if (!sim.calm && sim_below(100) == 0 && sim_chance(sim.dials.stall))
        actor->due_us = sim.now_us + sim_between(1000, 1000000);
}

static void turn(uint64_t until_us)
{
    uint64_t next_us;
    sim.turns++;
    sim.thrown = &sim.dice;
    sim.moment_us = sim.now_us;
    if (sim.events != NULL && sim.events->at_us <= sim.now_us) {
        struct sim_event *event = sim.events;
        sim.events = event->next;
        event->armed = false;
        sim.moment_us = event->at_us;
        event->run(event);
        return;
    }
    struct actor *actor = pick(&next_us);
    if (actor != NULL) {
        go(actor);
        return;
    }
    if (sim.events != NULL && sim.events->at_us < next_us)
        next_us = sim.events->at_us;
    sim.now_us = next_us < until_us ? next_us : until_us;
}

bool sim_run(bool (*ended)(void), uint64_t until_us)
{
    while (sim.now_us < until_us) {
        turn(until_us);
        if (ended())
            return true;
    }
    return false;
}

/* ---- what happened ---- */

static void tell(FILE *to, const char *format, va_list arguments)
{
    fprintf(to, "%3u.%06u ", (unsigned)(sim.now_us / 1000000), (unsigned)(sim.now_us % 1000000));
    vfprintf(to, format, arguments);
    fputc('\n', to);
}

const char *sim_commit(void)
{
    const char *commit = getenv("SIM_COMMIT");
    return commit != NULL ? commit : "?";
}

void sim_trace(const char *format, ...)
{
    va_list arguments;
    if (!sim.traces)
        return;
    va_start(arguments, format);
    tell(stdout, format, arguments);
    va_end(arguments);
}

_Noreturn void sim_blame(const char *invariant, const char *format, ...)
{
    va_list arguments;
    char what[2000];
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    fflush(stdout);
    fprintf(stderr, "seed %llu, commit %s, turn %llu, %u.%06u s: %s: %s\n",
            (unsigned long long)sim.seed, sim_commit(), (unsigned long long)sim.turns,
            (unsigned)(sim.now_us / 1000000), (unsigned)(sim.now_us % 1000000), invariant, what);
    fflush(stderr);
    _exit(1);
}

void sim_open(uint64_t seed, bool trace)
{
    memset(&sim, 0, sizeof(sim));
    sim.seed = seed;
    sim.dice = dice_of(ALL_ELSE, script.luck);
    sim.chance = dice_of(CHANCE, 0);
    sim.traces = trace;
    sim_throw(SIM_DIALS, 0);
    sim.calm = sim_below(8) == 0;
    if (!sim.calm)
        draw_dials(&sim.dials);
    sim_throw(SIM_WORLD, 0);
}

void sim_be_calm(void)
{
    sim.calm = true;
    sim.dials = (struct dials){ .late_us = 0 };
    sim_trace("---- faults stop ----");
}
