/* kafka_test.c: what of the source `kafka` needs no broker: options, and a server that is not
 * there. */
#include "tests/unit/unit.h"

#include "dataplane/base/log.h"
#include "drivers/kafka/kafka.h"

/* Nothing ever listens on the port 1 of this machine. */
static const char *const nowhere[] = { "127.0.0.1:1" };
static const char *const topics[] = { "trade", "^refund-[0-9]+$" };

static void never_assigned(void *context, struct source_partition *partitions, unsigned n,
                           unsigned total)
{
    (void)context;
    (void)partitions;
    (void)n;
    (void)total;
    fail_msg("nobody can have assigned anything");
}

static void never_revoked(void *context, struct source_partition *partitions, unsigned n, bool lost)
{
    (void)context;
    (void)partitions;
    (void)n;
    (void)lost;
    fail_msg("nobody can have revoked anything");
}

static void never_uncommitted(void *context)
{
    (void)context;
    fail_msg("nothing can have been committed");
}

static const struct source_events events = { NULL, never_assigned, never_revoked, never_uncommitted,
                                             NULL };

static struct kafka_options options_with(const struct kafka_setting *setting)
{
    return (struct kafka_options){
        .brokers = nowhere,
        .n_brokers = 1,
        .topics = topics,
        .n_topics = 2,
        .group = "weir",
        .options = setting,
        .n_options = 1,
        .event_bytes_max = 100 << 20,
    };
}

static struct source *open_with(struct kafka_setting setting, struct err *err)
{
    struct kafka_options options = options_with(&setting);

    return kafka_source_open(&options, &events, err);
}

/* What the ordering rules stand on cannot be changed by a config; a wrong name or value is said as
 * it is. */
static void options_that_cannot_be_are_config_errors(void **state)
{
    static const struct {
        struct kafka_setting setting;
        const char *says;
    } cases[] = {
        { { "enable.auto.commit", "true" }, "weir's own" },
        { { "enable.auto.offset.store", "true" }, "weir's own" },
        { { "enable.partition.eof", "false" }, "weir's own" },
        { { "auto.offset.reset", "latest" }, "weir's own" },
        { { "group.id", "other" }, "weir's own" },
        { { "bootstrap.servers", "other:9092" }, "weir's own" },
        { { "metadata.broker.list", "other:9092" }, "weir's own" },
        { { "no.such.option", "1" }, "No such configuration property" },
        { { "session.timeout.ms", "soon" }, "session.timeout.ms" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { 0 };

        assert_null(open_with(cases[i].setting, &err));
        assert_int_equal(err.code, EXIT_CONFIG);
        assert_non_null(strstr(err.text, cases[i].setting.name));
        assert_non_null(strstr(err.text, cases[i].says));
    }
}

/* Partitions of one number must come to one member where rows of a document lie in several topics:
 * only `range` does that. One topic may be dealt out in any way. */
static void a_strategy_that_parts_topics_is_refused_where_rows_lie_in_several(void **state)
{
    static const struct {
        const char *strategy;
        unsigned first, n; /* of topics[] */
        bool by_key, taken;
    } cases[] = {
        { "range", 0, 2, true, true },
        { "roundrobin", 0, 2, true, false },
        { "cooperative-sticky", 0, 2, true, false },
        { "range,roundrobin", 0, 2, true, false },
        { "roundrobin", 1, 1, true, false }, /* a regular expression may name several */
        { "roundrobin", 0, 1, true, true },
        { "cooperative-sticky", 0, 1, true, true },
        { "roundrobin", 0, 2, false, true },
        { "no-such-strategy", 0, 1, true, false },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kafka_setting setting = { "partition.assignment.strategy", cases[i].strategy };
        struct kafka_options options = options_with(&setting);
        struct err err = { 0 };

        options.topics = topics + cases[i].first;
        options.n_topics = cases[i].n;
        options.partitioned_by_key = cases[i].by_key;
        struct source *source = kafka_source_open(&options, &events, &err);

        if (source)
            source->ops->close(source);
        if ((source != NULL) != cases[i].taken)
            fail_msg("case %u: %s", i, err.text);
        if (!source)
            assert_int_equal(err.code, EXIT_CONFIG);
    }
}

/* Control must know for how long a silent member keeps its partitions: half of that is the fence.
 */
static void the_session_is_known_to_control(void **state)
{
    struct err err = { 0 };
    struct source *source = open_with((struct kafka_setting){ "session.timeout.ms", "6000" }, &err);

    (void)state;
    assert_non_null(source);
    assert_int_equal(source->session_us, 6000000);
    source->ops->close(source);
}

static void a_broken_expression_is_a_config_error(void **state)
{
    const char *const broken[] = { "^refund-[0-9" };
    struct kafka_options options = {
        .brokers = nowhere, .n_brokers = 1, .topics = broken, .n_topics = 1, .group = "weir"
    };
    struct err err;

    (void)state;
    assert_null(kafka_source_open(&options, &events, &err));
    assert_int_equal(err.code, EXIT_CONFIG);
    assert_non_null(strstr(err.text, broken[0]));
}

/* No broker: the source opens, says what it cannot reach and why, goes on trying, and can be
 * closed. */
static void a_broker_that_is_not_there_is_said_and_tried_again(void **state)
{
    struct err err = { 0 };
    struct source *source = open_with((struct kafka_setting){ "fetch.min.bytes", "1" }, &err);
    struct source_marks marks;
    char why[400] = "";

    (void)state;
    assert_non_null(source);
    assert_false(source->ops->reached(source, why, sizeof(why)));
    assert_non_null(strstr(why, "127.0.0.1:1"));
    while (!strstr(why, "refused")) { /* Ends: the kernel refuses the connection. */
        assert_int_equal(source->ops->service(source, 10, &err), 0);
        assert_false(source->ops->reached(source, why, sizeof(why)));
    }
    assert_false(source->ops->marks(source, "trade", 0, &marks));
    assert_int_equal(marks.high, -1);
    source->ops->close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_cannot_be_are_config_errors),
        cmocka_unit_test(a_strategy_that_parts_topics_is_refused_where_rows_lie_in_several),
        cmocka_unit_test(the_session_is_known_to_control),
        cmocka_unit_test(a_broken_expression_is_a_config_error),
        cmocka_unit_test(a_broker_that_is_not_there_is_said_and_tried_again),
    };

    log_setup(LOG_TEXT, LOG_ALERT);
    return UNIT_RUN(tests);
}
