/*
 * source.c: see source.h: control's half, as drivers/kafka/kafka.c and commit.c have it.
 *
 *     service: the group's callbacks, for up to the time that was given -> answers to commits
 *              -> a pending assignment's next step
 *     commit:  handed over; whoever waits rests until its answer has come, 10 s at most
 *
 * All of it runs on the control thread's fiber and rests in env_wait(). What is allocated here is
 * the node's: it is left alone when the node is killed.
 */
#include "tests/sim/source_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_US_MAX 10000000
#define LOOK_US       500000

void sim_source_waits(const struct sim_source *source)
{
    if (source->events->waiting)
        source->events->waiting(source->events->context);
}

void sim_source_rest(const struct sim_source *source, uint64_t us)
{
    uint64_t until = env_mono_us(source->env) + us, now;
    ASSERT(sim_env_here() == source->env);
    while ((now = env_mono_us(source->env)) < until)
        (void)env_wait(source->env, until - now);
}

/* The answer to a commit that nobody waits for. */
static void report(const struct sim_source *source, uint64_t number, enum group_code code)
{
    if (code == GROUP_OK)
        return;
    sim_trace("kafka: commit %" PRIu64 " was not taken: %s", number, group_code_text(code));
    source->events->uncommitted(source->events->context);
}

static int service(struct source *base, unsigned timeout_ms, struct err *err)
{
    struct sim_source *source = sim_source_of(base);
    uint64_t until = env_mono_us(source->env) + timeout_ms * UINT64_C(1000), now, number;
    enum group_code code;
    ASSERT(sim_env_here() == source->env);
    sim_source_callbacks(source);
    while (!source->pending.any && (now = env_mono_us(source->env)) < until) {
        (void)env_wait(source->env, until - now);
        sim_source_callbacks(source);
    }
    while (consumer_commit_answer(source->consumer, &number, &code))
        report(source, number, code);
    sim_source_waits(source);
    sim_source_assign_step(source, timeout_ms);
    sim_source_waits(source);
    if (!consumer_fenced(source->consumer))
        return 0;
    return err_set(err, EXIT_CONFIG, "kafka: another process took our place in group %s",
                   group_name(source->group));
}

/* ---- commits ---- */

static enum group_code wait_for(struct sim_source *source, uint64_t wanted)
{
    uint64_t until = env_mono_us(source->env) + ANSWER_US_MAX, number;
    enum group_code code;
    while (env_mono_us(source->env) < until) {
        (void)env_wait(source->env, LOOK_US);
        sim_source_waits(source);
        while (consumer_commit_answer(source->consumer, &number, &code)) {
            if (number == wanted)
                return code;
            report(source, number, code);
        }
    }
    return GROUP_NO_ANSWER;
}

static int commit(struct source *base, const struct source_commit *commits, unsigned n, bool wait,
                  struct err *err)
{
    struct sim_source *source = sim_source_of(base);
    struct group_commit list[BROKER_LOGS_MAX];
    ASSERT(n <= BROKER_LOGS_MAX && sim_env_here() == source->env);
    if (n == 0)
        return 0;
    if (source->rejoin_assigns > 0 && env_mono_us(source->env) < source->rejoin_until_us)
        return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: the group is rebalancing");
    if (consumer_lost(source->consumer))
        return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: the session is over");
    for (unsigned i = 0; i < n; i++) {
        const struct broker_log *log =
            broker_find(source->broker, commits[i].topic, commits[i].number);
        ASSERT(log != NULL);
        list[i] = (struct group_commit){ log->index, commits[i].offset, commits[i].clock };
    }
    uint64_t number = consumer_commit(source->consumer, list, n);
    enum group_code code = wait ? wait_for(source, number) : GROUP_OK;
    if (code == GROUP_OK)
        return 0;
    return err_set(err, EXIT_UNAVAILABLE, "kafka: cannot commit: %s", group_code_text(code));
}

/* ---- the rest ---- */

static struct source_port *open_port(struct source *source, unsigned shard, struct env *env,
                                     struct task_partitions *names)
{
    (void)shard;
    (void)names;
    return sim_port_open(sim_source_of(source), env);
}

static bool marks(struct source *base, const char *topic, int32_t number,
                  struct source_marks *marks)
{
    struct sim_source *source = sim_source_of(base);
    *marks = (struct source_marks){ -1, -1 };
    for (unsigned i = 0; i < source->n_owned; i++) {
        const struct fetch *fetch = source->owned[i];
        if (fetch->number == number && strcmp(fetch->topic, topic) == 0)
            *marks = (struct source_marks){ fetch->low, fetch->high };
    }
    return marks->high >= 0;
}

static bool reached(struct source *base, char *why, size_t why_bytes)
{
    bool any = consumer_reached(sim_source_of(base)->consumer);
    snprintf(why, why_bytes, "%s", any ? "" : "kafka: no answer yet");
    return any;
}

static void close_source(struct source *base)
{
    struct sim_source *source = sim_source_of(base);
    unsigned out = 0;
    sim_source_leave(source);
    consumer_close(source->consumer);
    for (struct sim_port *port = source->ports; port;) {
        out += sim_port_out(port);
        port = sim_port_close(port);
    }
    if (out > 0)
        sim_trace("kafka: %u records were not given back", out);
    free(source->instance);
    free(source);
}

static const struct source_ops sim_ops = {
    .name = "kafka",
    .port = open_port,
    .service = service,
    .commit = commit,
    .marks = marks,
    .reached = reached,
    .close = close_source,
};

/* ---- options ---- */

static const char *option(const struct config_kafka *config, const char *name, const char *unset)
{
    for (unsigned i = 0; i < config->options.n; i++)
        if (strcmp(config->options.items[i].name, name) == 0)
            return config->options.items[i].value;
    return unset;
}

static uint64_t option_us(const struct config_kafka *config, const char *name, const char *unset)
{
    return strtoull(option(config, name, unset), NULL, 10) * 1000;
}

static int keep_options(struct sim_source *source, const struct config_kafka *config,
                        struct err *err)
{
    const char *strategy = option(config, "partition.assignment.strategy",
                                  config->partitioned_by_key ? "range" : "cooperative-sticky");
    for (unsigned i = 0; i < config->topics.n; i++) {
        if (config->topics.items[i][0] == '^')
            return err_set(err, EXIT_CONFIG, "the modelled Kafka knows no expressions: %s",
                           config->topics.items[i]);
        source->topics |= broker_logs_of(source->broker, config->topics.items[i]);
    }
    source->cooperative = strcmp(strategy, "cooperative-sticky") == 0;
    source->start_latest = config->start == CONFIG_START_LATEST;
    source->source.session_us = option_us(config, "session.timeout.ms", "10000");
    source->instance = strdup(option(config, "group.instance.id", ""));
    ASSERT(source->instance != NULL);
    return 0;
}

struct source *sim_source_open(struct broker *broker, const struct config_source *config,
                               unsigned node, const struct source_events *events, struct err *err)
{
    struct sim_source *source = calloc(1, sizeof(*source));
    ASSERT(source != NULL && sim_env_here() != NULL && config->kind == CONFIG_SOURCE_KAFKA);
    source->source.ops = &sim_ops;
    source->events = events;
    source->broker = broker;
    source->env = sim_env_here();
    source->event_bytes_max = config->max_event_bytes;
    if (keep_options(source, &config->kafka, err) != 0) {
        free(source);
        return NULL;
    }
    const struct consumer_options options = {
        .env = source->env,
        .node = node,
        .instance = source->instance,
        .topics = source->topics,
        .cooperative = source->cooperative,
        .session_us = source->source.session_us,
        .heartbeat_us = option_us(&config->kafka, "heartbeat.interval.ms", "1000"),
        .rebalance_us = option_us(&config->kafka, "max.poll.interval.ms", "300000"),
    };
    source->group = group_open(broker, config->kafka.group);
    source->consumer = consumer_open(source->group, &options);
    return &source->source;
}
