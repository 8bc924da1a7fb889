/*
 * source_assign.c: what happens when the group deals out its partitions, step by step as in
 * drivers/kafka/assign.c.
 *
 *     ASSIGN -> pending -> committed? -> marks of each? -> how many in all?
 *                       -> events.assigned -> fetched from explicit offsets, the group is answered
 *     REVOKE -> a pending one is dropped -> events.revoking -> fetched no more, answered
 *
 * Questions take time, and are in vain now and then; the control thread rests meanwhile.
 *
 * What this does not do: refuse topics that have not equally many partitions.
 */
#include "tests/sim/source_model.h"

#include "dataplane/clock.h"

#include <inttypes.h>

#define ASK_US_MAX    2000000
#define REJOIN_US_MAX 30000000

/* ---- questions ---- */

/* One question to a broker. False: no answer. */
static bool ask(const struct sim_source *source)
{
    bool lost = sim_chance(sim_dials()->lose_request) || !consumer_reaches(source->consumer);
    sim_source_rest(source, lost ? sim_between(1, ASK_US_MAX) : broker_latency_us());
    return !lost && consumer_reaches(source->consumer);
}

static bool ask_committed(struct sim_source *source)
{
    struct sim_pending *pending = &source->pending;
    if (!ask(source))
        return false;
    for (unsigned i = 0; i < pending->n; i++) {
        struct source_partition *told = &pending->told[i];
        const struct fetch *fetch = told->handle;
        told->offset = -1;
        told->clock = SEQNO_EPOCH;
        if (!group_committed(source->group, fetch->log->index, &told->offset, &told->clock)) {
            told->offset = -1;
            told->clock = SEQNO_EPOCH;
        }
    }
    pending->committed_known = true;
    return true;
}

static bool ask_marks(struct sim_source *source)
{
    struct source_partition *told = &source->pending.told[source->pending.at];
    if (!ask(source))
        return false;
    const struct broker_log *log = ((const struct fetch *)told->handle)->log;
    told->end_offset = log->high;
    if (told->offset < 0) {
        told->offset = source->start_latest ? log->high : log->low;
        told->fresh = true;
    } else if (told->offset < log->low || told->offset > log->high) {
        told->offset = log->low;
        told->fresh = true;
    }
    return true;
}

/* ---- assignments ---- */

static void drop_pending(struct sim_source *source)
{
    for (unsigned i = 0; i < source->pending.n; i++)
        fetch_let_go(source->pending.told[i].handle);
    source->pending = (struct sim_pending){ 0 };
}

static void hold_assignment(struct sim_source *source, uint64_t logs)
{
    struct sim_pending *pending = &source->pending;
    drop_pending(source);
    pending->any = true;
    for (unsigned i = 0; i < source->broker->n_logs; i++) {
        if ((logs >> i & 1) == 0)
            continue;
        struct fetch *fetch = fetch_open(&source->broker->logs[i]);
        pending->told[pending->n++] = (struct source_partition){ .topic = fetch->topic,
                                                                 .number = fetch->number,
                                                                 .handle = fetch };
    }
}

/* Everything is known: control is told, and the group is answered. */
static void finish_assignment(struct sim_source *source)
{
    struct sim_pending *pending = &source->pending;
    unsigned before = source->n_owned;
    ASSERT(before + pending->n <= BROKER_LOGS_MAX);
    for (unsigned i = 0; i < pending->n; i++) {
        struct fetch *fetch = pending->told[i].handle;
        source->owned[source->n_owned++] = fetch;
        fetch->told = pending->told[i];
        sim_trace("kafka: node reads %s [%d] from %" PRId64 "%s, clock %" PRIu64, fetch->topic,
                  (int)fetch->number, fetch->told.offset, fetch->told.fresh ? " (fresh)" : "",
                  fetch->told.clock);
    }
    source->events->assigned(source->events->context, pending->told, pending->n,
                             (unsigned)__builtin_popcountll(source->topics));
    for (unsigned i = 0; i < pending->n; i++) {
        struct fetch *fetch = source->owned[before + i];
        fetch->told = pending->told[i]; /* with its slot */
        consumer_fetch(source->consumer, fetch, fetch->told.offset);
    }
    *pending = (struct sim_pending){ 0 };
    consumer_answer(source->consumer);
}

void sim_source_assign_step(struct sim_source *source, unsigned timeout_ms)
{
    struct sim_pending *pending = &source->pending;
    uint64_t until = env_mono_us(source->env) + timeout_ms * UINT64_C(1000);
    if (!pending->any || (!pending->committed_known && !ask_committed(source)))
        return;
    while (pending->at < pending->n) {
        sim_source_waits(source);
        if (!ask_marks(source))
            return;
        pending->at++;
        if (env_mono_us(source->env) > until)
            return;
    }
    sim_source_waits(source);
    if (ask(source))
        finish_assignment(source);
}

/* ---- revocations ---- */

/* Takes the partitions out of those we own. Returns how many that were. */
static unsigned disown(struct sim_source *source, uint64_t logs, struct fetch **gone,
                       struct source_partition *told)
{
    unsigned n = 0, kept = 0;
    for (unsigned i = 0; i < source->n_owned; i++) {
        struct fetch *fetch = source->owned[i];
        if ((logs >> fetch->log->index & 1) != 0) {
            told[n] = fetch->told;
            gone[n++] = fetch;
        } else {
            source->owned[kept++] = fetch;
        }
    }
    source->n_owned = kept;
    return n;
}

static void revoke(struct sim_source *source, uint64_t logs)
{
    struct fetch *gone[BROKER_LOGS_MAX];
    struct source_partition told[BROKER_LOGS_MAX];
    bool lost = consumer_lost(source->consumer) || consumer_fenced(source->consumer);
    source->rejoin_assigns = 0; /* What control commits while it drains is of a valid generation. */
    unsigned n = disown(source, logs, gone, told);
    if (n > 0)
        source->events->revoking(source->events->context, told, n, lost);
    if (source->cooperative && !lost) { /* The rest of this generation, and the next one. */
        source->rejoin_assigns = 2;
        source->rejoin_until_us = env_mono_us(source->env) + REJOIN_US_MAX;
    }
    for (unsigned i = 0; i < n; i++) {
        consumer_fetch_end(source->consumer, gone[i]);
        fetch_let_go(gone[i]);
    }
}

void sim_source_callbacks(struct sim_source *source)
{
    uint64_t logs;
    enum consumer_call call;
    while ((call = consumer_poll(source->consumer, &logs)) != CONSUMER_NOTHING) {
        drop_pending(source);
        if (call == CONSUMER_REVOKE) {
            revoke(source, logs);
            consumer_answer(source->consumer);
            continue;
        }
        source->rejoin_assigns -= source->rejoin_assigns > 0;
        if (source->closing)
            consumer_answer(source->consumer);
        else
            hold_assignment(source, logs);
    }
}

void sim_source_leave(struct sim_source *source)
{
    source->closing = true;
    if (source->pending.any)
        consumer_answer(source->consumer);
    drop_pending(source);
    sim_source_callbacks(source);
    revoke(source, UINT64_MAX);
}
