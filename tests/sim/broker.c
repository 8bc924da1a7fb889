/*
 * broker.c: see broker.h: the logs, and what the checks ask.
 *
 * A log is an array of records in the order of their offsets. `low` and `high` say what of it is
 * there for readers: `low` rises by retention alone, `high` is past the last record or past a gap
 * behind it (what a transaction's end or a compaction leaves).
 *
 * What this does not do: truncate a log, add partitions, compact by key.
 */
#include "tests/sim/broker_model.h"

#include "dataplane/clock.h"
#include "tests/sim/consumer.h"
#include "tests/sim/group.h"

#include <inttypes.h>
#include <stdlib.h>

#define GAP_MOST         20
#define LATENCY_US_LEAST 200
#define LATENCY_US_MOST  4000
#define INITIAL_US       3000000 /* group.initial.rebalance.delay.ms, by default */

struct broker *broker_open(void)
{
    struct broker *broker = calloc(1, sizeof(*broker));
    ASSERT(broker != NULL);
    broker->initial_rebalance_us = sim_below(2) ? INITIAL_US : 0;
    return broker;
}

void broker_topic(struct broker *broker, const char *topic, unsigned partitions)
{
    const char *name = strdup(topic);
    ASSERT(name != NULL && broker_logs_of(broker, topic) == 0);
    ASSERT(partitions > 0 && partitions <= BROKER_LOGS_MAX - broker->n_logs);
    for (unsigned i = 0; i < partitions; i++) {
        struct broker_log *log = &broker->logs[broker->n_logs];
        *log =
            (struct broker_log){ .index = broker->n_logs++, .topic = name, .number = (int32_t)i };
    }
}

struct broker_log *broker_find(const struct broker *broker, const char *topic, int32_t number)
{
    for (unsigned i = 0; i < broker->n_logs; i++) {
        const struct broker_log *log = &broker->logs[i];
        if (log->number == number && strcmp(log->topic, topic) == 0)
            return (struct broker_log *)log;
    }
    return NULL;
}

uint64_t broker_logs_of(const struct broker *broker, const char *topic)
{
    uint64_t logs = 0;
    for (unsigned i = 0; i < broker->n_logs; i++)
        if (strcmp(broker->logs[i].topic, topic) == 0)
            logs |= UINT64_C(1) << i;
    return logs;
}

static struct broker_log *the_log(const struct broker *broker, const char *topic,
                                  unsigned partition)
{
    struct broker_log *log = broker_find(broker, topic, (int32_t)partition);
    ASSERT(log != NULL);
    return log;
}

/* ---- records ---- */

static struct slice copy(char **to, struct slice bytes)
{
    if (bytes.data == NULL)
        return (struct slice){ NULL, 0 };
    char *at = *to;
    memcpy(at, bytes.data, bytes.len);
    *to += bytes.len;
    return (struct slice){ at, bytes.len };
}

static struct broker_record *make_record(struct slice key, struct slice payload)
{
    struct broker_record *record = malloc(sizeof(*record) + key.len + payload.len + 1);
    ASSERT(record != NULL);
    char *bytes = (char *)(record + 1);
    record->key = copy(&bytes, key);
    record->payload = copy(&bytes, payload);
    return record;
}

static void skip(struct broker_log *log)
{
    if (sim_chance(sim_dials()->gaps))
        log->high += 1 + sim_below(GAP_MOST);
}

int64_t broker_append(struct broker *broker, const char *topic, unsigned partition,
                      struct slice key, struct slice payload, int64_t timestamp_ms)
{
    struct broker_log *log = the_log(broker, topic, partition);
    struct broker_record *record = make_record(key, payload);
    if (log->n == log->room) {
        log->room = 2 * log->room + 64;
        log->records = realloc(log->records, log->room * sizeof(struct broker_record *));
        ASSERT(log->records != NULL);
    }
    skip(log);
    record->offset = log->high++;
    record->timestamp_ms = timestamp_ms;
    log->records[log->n++] = record;
    skip(log);
    return record->offset;
}

unsigned broker_place(const struct broker_log *log, int64_t offset)
{
    unsigned from = 0, to = log->n;
    while (from < to) {
        unsigned middle = from + (to - from) / 2;
        if (log->records[middle]->offset < offset)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

const struct broker_record *broker_record(const struct broker *broker, const char *topic,
                                          unsigned partition, int64_t offset)
{
    const struct broker_log *log = the_log(broker, topic, partition);
    unsigned place = broker_place(log, offset);
    return place < log->n ? log->records[place] : NULL;
}

int64_t broker_low(const struct broker *broker, const char *topic, unsigned partition)
{
    return the_log(broker, topic, partition)->low;
}

int64_t broker_high(const struct broker *broker, const char *topic, unsigned partition)
{
    return the_log(broker, topic, partition)->high;
}

/* What every group has committed; the log's low end where some group has nothing. */
static int64_t committed_by_all(const struct broker *broker, const struct broker_log *log)
{
    int64_t least = broker->groups != NULL ? log->high : log->low;
    for (const struct group *group = broker->groups; group != NULL; group = group_next(group)) {
        int64_t offset;
        uint64_t clock;
        if (!group_committed(group, log->index, &offset, &clock))
            return log->low;
        least = offset < least ? offset : least;
    }
    return least;
}

void broker_retain(struct broker *broker)
{
    for (unsigned i = 0; i < broker->n_logs; i++) {
        struct broker_log *log = &broker->logs[i];
        int64_t low = committed_by_all(broker, log);
        if (low <= log->low)
            continue;
        sim_trace("kafka: %s [%d] begins at %" PRId64 " now", log->topic, (int)log->number, low);
        log->low = low;
    }
}

void broker_compact(struct broker *broker, const char *topic, unsigned partition, int64_t offset)
{
    struct broker_log *log = the_log(broker, topic, partition);
    unsigned place = broker_place(log, offset);
    ASSERT(place < log->n && log->records[place]->offset == offset);
    log->n--;
    memmove(&log->records[place], &log->records[place + 1],
            (log->n - place) * sizeof(struct broker_record *));
}

void broker_set_commit(struct broker *broker, const char *group, const char *topic,
                       unsigned partition, int64_t offset, uint64_t clock)
{
    const struct group_self nobody = { .instance = "", .generation = -1, .node = GROUP_NODE_NONE };
    const struct group_commit commit = { the_log(broker, topic, partition)->index, offset, clock };
    enum group_code code = group_commit(group_open(broker, group), &nobody, &commit, 1);
    ASSERT(code == GROUP_OK);
}

/* ---- the way to it ---- */

uint64_t broker_latency_us(void)
{
    if (sim_chance(sim_dials()->slow))
        return sim_between(LATENCY_US_LEAST, LATENCY_US_LEAST + sim_dials()->late_us);
    return sim_between(LATENCY_US_LEAST, LATENCY_US_MOST);
}

bool broker_reaches(const struct broker *broker, unsigned node)
{
    return !broker->away && (node >= 64 || (broker->cut >> node & 1) == 0);
}

void broker_away(struct broker *broker, bool away)
{
    if (broker->away == away)
        return;
    sim_trace("kafka: %s", away ? "away" : "there again");
    broker->away = away;
    for (struct group *group = broker->groups; !away && group != NULL; group = group_next(group))
        group_renew(group);
}

void broker_cut(struct broker *broker, unsigned node, bool cut)
{
    uint64_t bit = UINT64_C(1) << node;
    ASSERT(node < 64);
    if (((broker->cut & bit) != 0) != cut)
        sim_trace("kafka: %s node %u", cut ? "cut off from" : "reaches again", node);
    broker->cut = cut ? broker->cut | bit : broker->cut & ~bit;
}

void broker_ghost(struct broker *broker, bool joins)
{
    for (struct group *group = broker->groups; group != NULL; group = group_next(group))
        consumer_ghost(group, joins);
}

/* ---- checks ---- */

bool broker_committed(const struct broker *broker, const char *group, const char *topic,
                      unsigned partition, int64_t *offset, uint64_t *clock)
{
    const struct group *found = group_find(broker, group);
    return found != NULL &&
           group_committed(found, the_log(broker, topic, partition)->index, offset, clock);
}

void broker_on_commit(struct broker *broker,
                      void (*stored)(void *context, const struct broker_commit *commit),
                      void *context)
{
    broker->stored = stored;
    broker->context = context;
}

int broker_owner(const struct broker *broker, const char *group, const char *topic,
                 unsigned partition)
{
    const struct group *found = group_find(broker, group);
    return found != NULL ? group_owner(found, the_log(broker, topic, partition)->index) : -1;
}
