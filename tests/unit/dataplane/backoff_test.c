/*
 * backoff_test.c: how long a pipeline leaves a sink alone that took nothing or gave no answer.
 *
 * The sink is a script: each reap gives requests that were under way together and failed as a
 * whole, without documents, because only the waiting is looked at.
 */
#include "tests/unit/unit.h"

#include "dataplane/pipeline.h"

#define NOW_US   UINT64_C(1000000000)
#define FIRST_US UINT64_C(50000) /* of the first attempt, by a die that always shows 0 */

static uint64_t zero(struct env *env)
{
    (void)env;
    return 0;
}

static const struct env_ops env_ops = { .random = zero, .mono_us = zero, .wall_us = zero };
static struct env env = { &env_ops };

/* The requests that the next reaps give. */
static struct sink_batch batches[FLIGHTS_MAX];
static struct sink_lookup lookups[LOOKUPS_MAX];
static unsigned n_left;

static struct sink_batch *reap(struct sink_port *port)
{
    (void)port;
    return n_left > 0 ? &batches[--n_left] : NULL;
}

static void recycle(struct sink_port *port, struct sink_batch *batch)
{
    (void)port;
    (void)batch;
}

static struct sink_lookup *lookup_reap(struct sink_port *port)
{
    (void)port;
    return n_left > 0 ? &lookups[--n_left] : NULL;
}

static void lookup_recycle(struct sink_port *port, struct sink_lookup *lookup)
{
    (void)port;
    (void)lookup;
}

static const struct sink_port_ops port_ops = {
    .reap = reap, .recycle = recycle, .lookup_reap = lookup_reap, .lookup_recycle = lookup_recycle
};
static struct sink_port port = { .ops = &port_ops };
static struct pipeline pipeline;

static void open_pipeline(void)
{
    memset(&pipeline, 0, sizeof(pipeline));
    pipeline.options.env = &env;
    pipeline.options.task = "orders";
    pipeline.options.n_outlets = 1;
    pipeline.outlets[0].name = "out";
    pipeline.outlets[0].port = &port;
    pipeline.outlets[0].limits.in_flight = FLIGHTS_MAX;
}

static void fail_batches(unsigned n, uint64_t now_us)
{
    struct outlet *outlet = &pipeline.outlets[0];

    for (unsigned i = 0; i < n; i++) {
        batches[i].failed_whole = true;
        outlet->flights[i].batch = &batches[i];
    }
    outlet->n_flying = n_left = n;
    assert_int_equal(outlet_reap(&pipeline, 0, now_us), 0);
    assert_int_equal(outlet->n_flying, 0);
}

/* A server that goes away fails all that is under way to it: that is one attempt, or a short outage
 * would be waited out for as long as one of many attempts. */
static void batches_that_fail_together_are_one_attempt(void **state)
{
    const struct outlet *outlet = &pipeline.outlets[0];

    (void)state;
    open_pipeline();
    fail_batches(4, NOW_US);
    assert_int_equal(outlet->attempts, 1);
    assert_int_equal(outlet->resume_us, NOW_US + FIRST_US);
    assert_int_equal(outlet->counters.failures, 4);
    /* One that comes back late was sent before, too. */
    fail_batches(1, NOW_US + FIRST_US - 1);
    assert_int_equal(outlet->resume_us, NOW_US + FIRST_US);
    /* The next attempt waits twice as long. */
    fail_batches(4, NOW_US + FIRST_US);
    assert_int_equal(outlet->attempts, 2);
    assert_int_equal(outlet->resume_us, NOW_US + FIRST_US + 2 * FIRST_US);
}

static void fail_lookups(unsigned n, uint64_t now_us)
{
    struct hydrator *hydrator = &pipeline.hydrator;

    for (unsigned i = 0; i < n; i++) {
        lookups[i].failed_whole = true;
        hydrator->asked[i].lookup = &lookups[i];
    }
    hydrator->queues[0].n_asked = n_left = n;
    (void)hydrator_step(&pipeline, now_us);
    assert_int_equal(hydrator->queues[0].n_asked, 0);
}

/* The same for states that are read back. */
static void lookups_that_fail_together_are_one_attempt(void **state)
{
    const struct hydrator *hydrator = &pipeline.hydrator;

    (void)state;
    open_pipeline();
    fail_lookups(LOOKUPS_MAX, NOW_US);
    assert_int_equal(hydrator->queues[0].attempts, 1);
    assert_int_equal(hydrator->queues[0].retry_us, NOW_US + FIRST_US);
    fail_lookups(LOOKUPS_MAX, NOW_US + FIRST_US);
    assert_int_equal(hydrator->queues[0].attempts, 2);
    assert_int_equal(hydrator->queues[0].retry_us, NOW_US + FIRST_US + 2 * FIRST_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_that_fail_together_are_one_attempt),
        cmocka_unit_test(lookups_that_fail_together_are_one_attempt),
    };

    return UNIT_RUN(tests);
}
