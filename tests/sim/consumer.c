/*
 * consumer.c: see consumer.h: membership, as librdkafka 2.0 plays it, and fetching.
 *
 * - Heartbeats go on while the application is being called back; a rebalance that they tell of
 *   waits until it has answered, a loss too.
 * - Eager: a rebalance takes everything back before the next join. Cooperative: it joins at once,
 *   keeps what it had, gives back what the new deal does not name; then comes an ASSIGN with what
 *   is new, maybe nothing, then it joins again.
 * - An unknown member, an old generation (of a heartbeat or a commit) or a session without an
 *   answer: all is lost, and it joins anew.
 * - Join and sync keep the connection to the coordinator busy until they are answered: commits wait
 *   behind them (consumer_commit.c).
 *
 * A ghost answers its own callbacks, owns what it is dealt, and reads nothing.
 *
 * What this does not do: max.poll.interval.ms as a limit between two polls.
 */
#include "tests/sim/consumer_model.h"

#include <inttypes.h>
#include <stdlib.h>

#define FROZEN_US_MOST 50000
#define AGAIN_US_MOST  100000
#define BUSY_US_MOST   10000
#define IDLE_US_MOST   80000

static void poke(struct consumer *consumer, uint64_t delay_us)
{
    if (consumer->tick.armed && consumer->tick.at_us <= sim_now_us() + delay_us)
        return;
    sim_cancel(&consumer->tick);
    sim_at(&consumer->tick, delay_us);
}

bool consumer_stands_still(const struct consumer *consumer)
{
    return consumer->options.env != NULL && sim_is_frozen(consumer->options.node);
}

static void be(struct consumer *consumer, enum consumer_state state)
{
    consumer->state = state;
    consumer->waiting = consumer->mailed = false;
}

static void call_back(struct consumer *consumer, enum consumer_call call, uint64_t logs)
{
    be(consumer, CONSUMER_CALLING);
    consumer->call = call;
    consumer->call_logs = logs;
    consumer->taken = false;
    if (consumer->options.env != NULL)
        env_wake(consumer->options.env);
}

/* ---- answers of the coordinator, at the instant at which it sends them ---- */

static void joined(struct group_client *client, enum group_code code, int generation)
{
    struct consumer *consumer = (struct consumer *)client;
    if (consumer->state != CONSUMER_JOINING || !consumer_is_alive(consumer))
        return;
    consumer->waiting = false;
    consumer->mailed = true;
    consumer->mail_code = code;
    consumer->mail_generation = generation;
    poke(consumer, broker_latency_us());
}

static void synced(struct group_client *client, enum group_code code, uint64_t logs)
{
    struct consumer *consumer = (struct consumer *)client;
    if (consumer->state != CONSUMER_SYNCING || !consumer_is_alive(consumer))
        return;
    consumer->waiting = false;
    consumer->mailed = true;
    consumer->mail_code = code;
    consumer->mail_logs = logs;
    poke(consumer, broker_latency_us());
}

/* ---- joining ---- */

static void join(struct consumer *consumer)
{
    consumer_commits_serve(consumer);
    be(consumer, CONSUMER_JOINING);
    consumer->waiting = true;
    const struct group_join join = { .self = consumer->self,
                                     .client = &consumer->client,
                                     .topics = consumer->options.topics,
                                     .owned = consumer->owned,
                                     .cooperative = consumer->options.cooperative,
                                     .session_us = consumer->options.session_us,
                                     .rebalance_us = consumer->options.rebalance_us };
    uint64_t id = group_join(consumer->group, &join);
    if (id != 0)
        consumer->self.id = id;
}

/* What it had is somebody else's, or may be soon: the application must give it back. */
static void lose(struct consumer *consumer)
{
    consumer->lost = true;
    if (consumer->state == CONSUMER_CALLING || consumer->state == CONSUMER_ENDED)
        return; /* when it has answered */
    if (consumer->owned != 0) {
        call_back(consumer, CONSUMER_REVOKE, consumer->owned);
        return;
    }
    consumer->lost = false;
    be(consumer, consumer->fenced ? CONSUMER_ENDED : CONSUMER_OUT);
    poke(consumer, sim_between(1, AGAIN_US_MOST));
}

bool consumer_refused(struct consumer *consumer, enum group_code code)
{
    switch (code) {
    case GROUP_UNKNOWN_MEMBER:
        consumer->self.id = 0;
        break;
    case GROUP_FENCED:
        consumer->fenced = true;
        break;
    case GROUP_ILLEGAL_GENERATION:
        break;
    case GROUP_OK:
    case GROUP_REBALANCING:
    case GROUP_NO_ANSWER:
        return false;
    }
    consumer->self.generation = -1;
    lose(consumer);
    return true;
}

static void on_joined(struct consumer *consumer)
{
    consumer->heard_us = sim_now_us();
    if (consumer_refused(consumer, consumer->mail_code))
        return;
    consumer->self.generation = consumer->mail_generation;
    be(consumer, CONSUMER_SYNCING);
    consumer->waiting = true;
    group_sync(consumer->group, &consumer->self, &consumer->client);
}

/* What the deal means for the application. */
static void on_synced(struct consumer *consumer)
{
    uint64_t logs = consumer->mail_logs, owned = consumer->owned;
    consumer->heard_us = sim_now_us();
    consumer->heartbeat_us = consumer->heard_us + consumer->options.heartbeat_us;
    if (consumer_refused(consumer, consumer->mail_code))
        return;
    if (consumer->mail_code != GROUP_OK) {
        be(consumer, CONSUMER_OUT);
        poke(consumer, sim_between(1, AGAIN_US_MOST));
        return;
    }
    consumer->rejoins = consumer->then_add = false;
    if ((owned & ~logs) == 0) {
        call_back(consumer, CONSUMER_ASSIGN, logs & ~owned);
        return;
    }
    consumer->then_add = true;
    consumer->more = logs & ~owned;
    call_back(consumer, CONSUMER_REVOKE, owned & ~logs);
}

/* ---- the application's answers ---- */

enum consumer_call consumer_poll(struct consumer *consumer, uint64_t *logs)
{
    if (consumer->state != CONSUMER_CALLING || consumer->taken)
        return CONSUMER_NOTHING;
    consumer->taken = true;
    *logs = consumer->call_logs;
    return consumer->call;
}

static void assigned(struct consumer *consumer)
{
    consumer->owned |= consumer->call_logs;
    be(consumer, consumer->rejoins ? CONSUMER_OUT : CONSUMER_STEADY);
    consumer->rejoins = false;
    if (consumer->lost)
        lose(consumer);
}

static void revoked(struct consumer *consumer)
{
    bool then_add = consumer->then_add;
    consumer->then_add = false;
    consumer->owned &= ~consumer->call_logs;
    be(consumer, CONSUMER_OUT);
    if (consumer->lost) {
        lose(consumer);
    } else if (then_add) {
        consumer->rejoins = true;
        call_back(consumer, CONSUMER_ASSIGN, consumer->more);
    }
}

void consumer_answer(struct consumer *consumer)
{
    ASSERT(consumer->state == CONSUMER_CALLING && consumer->taken);
    if (consumer->call == CONSUMER_ASSIGN)
        assigned(consumer);
    else
        revoked(consumer);
    poke(consumer, broker_latency_us());
}

/* ---- the thread ---- */

static void rebalance(struct consumer *consumer)
{
    consumer->then_add = false;
    if (consumer->options.cooperative || consumer->owned == 0)
        join(consumer);
    else
        call_back(consumer, CONSUMER_REVOKE, consumer->owned);
}

static void heartbeat(struct consumer *consumer)
{
    if (consumer->self.generation < 0 || sim_now_us() < consumer->heartbeat_us)
        return;
    consumer->heartbeat_us = sim_now_us() + consumer->options.heartbeat_us;
    if (sim_chance(sim_dials()->lose_request))
        return;
    enum group_code code = group_heartbeat(consumer->group, &consumer->self);
    if (consumer_refused(consumer, code))
        return;
    consumer->heard_us = sim_now_us();
    if (code == GROUP_REBALANCING && consumer->state == CONSUMER_STEADY)
        rebalance(consumer);
}

static void speak(struct consumer *consumer)
{
    consumer->reached = true;
    switch (consumer->state) {
    case CONSUMER_OUT:
        join(consumer);
        break;
    case CONSUMER_JOINING:
        if (consumer->mailed)
            on_joined(consumer);
        break;
    case CONSUMER_SYNCING:
        if (consumer->mailed)
            on_synced(consumer);
        break;
    case CONSUMER_CALLING:
    case CONSUMER_STEADY:
        heartbeat(consumer);
        break;
    case CONSUMER_ENDED:
        break;
    }
}

/* The coordinator said nothing for a session: we are no member any more, whatever it thinks. */
static void check_session(struct consumer *consumer)
{
    bool member = consumer->state == CONSUMER_CALLING || consumer->state == CONSUMER_STEADY;
    if (!member || consumer->self.generation < 0 ||
        sim_now_us() - consumer->heard_us <= consumer->options.session_us)
        return;
    sim_trace("kafka: the consumer of node %u heard nothing for a session", consumer->options.node);
    consumer->self.id = 0;
    consumer->self.generation = -1;
    lose(consumer);
}

static void answer_oneself(struct consumer *consumer)
{
    uint64_t logs;
    if (consumer->options.env == NULL && consumer_poll(consumer, &logs) != CONSUMER_NOTHING)
        consumer_answer(consumer);
}

static void tick(struct sim_event *event)
{
    struct consumer *consumer =
        (struct consumer *)((char *)event - offsetof(struct consumer, tick));
    if (!consumer_is_alive(consumer))
        return;
    if (consumer_stands_still(consumer)) {
        poke(consumer, sim_between(1, FROZEN_US_MOST));
        return;
    }
    check_session(consumer);
    if (consumer_reaches(consumer))
        speak(consumer);
    answer_oneself(consumer);
    bool steady = consumer->state == CONSUMER_STEADY || consumer->state == CONSUMER_CALLING;
    poke(consumer, steady ? consumer->options.heartbeat_us : sim_between(1, AGAIN_US_MOST));
}

/* ---- fetching ---- */

static void fetch_all(struct sim_event *event)
{
    struct consumer *consumer =
        (struct consumer *)((char *)event - offsetof(struct consumer, fetch));
    bool speaks, any = false, some = false;
    if (!consumer_is_alive(consumer))
        return;
    speaks = !consumer_stands_still(consumer) && consumer_reaches(consumer);
    for (unsigned i = 0; i < BROKER_LOGS_MAX; i++) {
        any |= consumer->fetches[i] != NULL;
        if (consumer->fetches[i] != NULL && speaks && !sim_chance(sim_dials()->lose_answer))
            some |= fetch_some(consumer->fetches[i]);
    }
    if (any)
        sim_at(event, sim_between(1, some ? BUSY_US_MOST : IDLE_US_MOST));
}

void consumer_fetch(struct consumer *consumer, struct fetch *fetch, int64_t offset)
{
    ASSERT(consumer->fetches[fetch->log->index] == NULL);
    consumer->fetches[fetch->log->index] = fetch;
    fetch_from(fetch, offset);
    if (!consumer->fetch.armed)
        sim_at(&consumer->fetch, broker_latency_us());
}

void consumer_fetch_end(struct consumer *consumer, const struct fetch *fetch)
{
    if (consumer->fetches[fetch->log->index] == fetch)
        consumer->fetches[fetch->log->index] = NULL;
}

/* ---- beginning and end ---- */

bool consumer_lost(const struct consumer *consumer)
{
    return consumer->lost;
}

bool consumer_fenced(const struct consumer *consumer)
{
    return consumer->fenced;
}

bool consumer_reached(const struct consumer *consumer)
{
    return consumer->reached;
}

bool consumer_reaches(const struct consumer *consumer)
{
    return broker_reaches(group_broker(consumer->group), consumer->options.node);
}

struct consumer *consumer_open(struct group *group, const struct consumer_options *options)
{
    struct consumer *consumer = calloc(1, sizeof(*consumer));
    ASSERT(consumer != NULL);
    consumer->client = (struct group_client){ joined, synced };
    consumer->tick.run = tick;
    consumer->fetch.run = fetch_all;
    consumer->group = group;
    consumer->options = *options;
    consumer->instance = strdup(options->instance);
    ASSERT(consumer->instance != NULL);
    consumer->self = (struct group_self){ .instance = consumer->instance,
                                          .generation = -1,
                                          .node = options->node };
    poke(consumer, broker_latency_us());
    return consumer;
}

/* Its process is gone: nothing of it moves any more. */
static void end(struct consumer *consumer)
{
    sim_cancel(&consumer->tick);
    sim_cancel(&consumer->fetch);
    group_forget(consumer->group, &consumer->client);
    consumer_commits_free(consumer);
    free(consumer->instance);
    free(consumer);
}

void consumer_close(struct consumer *consumer)
{
    bool says = consumer->instance[0] == '\0' && consumer_reaches(consumer) &&
                !sim_chance(sim_dials()->lose_request);
    if (consumer_reaches(consumer))
        consumer_commits_serve(consumer);
    if (says)
        group_leave(consumer->group, &consumer->self);
    end(consumer);
}

void consumer_ghost(struct group *group, bool joins)
{
    struct consumer **ghost = group_ghost(group);
    uint64_t topics = group_topics(group);
    const struct consumer_options options = { .node = GROUP_NODE_NONE,
                                              .instance = "",
                                              .topics = topics,
                                              .cooperative = group_cooperative(group),
                                              .session_us = 10000000,
                                              .heartbeat_us = 1000000,
                                              .rebalance_us = 300000000 };
    if (joins == (*ghost != NULL) || (joins && topics == 0))
        return;
    if (joins) {
        *ghost = consumer_open(group, &options);
        return;
    }
    sim_trace("kafka: %s: the ghost goes", group_name(group));
    if (sim_below(2))
        consumer_close(*ghost);
    else
        end(*ghost);
    *ghost = NULL;
}
