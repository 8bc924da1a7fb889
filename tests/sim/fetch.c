/*
 * fetch.c: see fetch.h.
 *
 *     log:   low ... r r r . . r r r high        (. = gaps, of which nobody hears)
 *                      ▲ at
 *     queue: r r r, and once at each end: END at the high watermark
 *
 * A position below the log's beginning (retention) jumps to it, as auto.offset.reset = earliest
 * has it.
 */
#include "tests/sim/fetch.h"

#include <stdlib.h>

#define ANSWER_MOST 200

struct fetch *fetch_open(const struct broker_log *log)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    ASSERT(fetch != NULL);
    fetch->holders = 1;
    fetch->log = log;
    fetch->topic = strdup(log->topic);
    ASSERT(fetch->topic != NULL);
    fetch->number = log->number;
    fetch->at = fetch->end = fetch->low = fetch->high = -1;
    return fetch;
}

void fetch_hold(struct fetch *fetch)
{
    fetch->holders++;
}

void fetch_let_go(struct fetch *fetch)
{
    ASSERT(fetch->holders > 0);
    if (--fetch->holders > 0)
        return;
    free(fetch->topic);
    free(fetch);
}

void fetch_from(struct fetch *fetch, int64_t offset)
{
    fetch->at = offset;
    fetch->end = -1;
    fetch->first = fetch->n = 0;
}

static void put(struct fetch *fetch, const struct broker_record *record, int64_t offset)
{
    ASSERT(fetch->n < FETCH_QUEUE_MAX);
    fetch->queue[(fetch->first + fetch->n++) % FETCH_QUEUE_MAX] =
        (struct fetched){ record, offset };
}

bool fetch_some(struct fetch *fetch)
{
    const struct broker_log *log = fetch->log;
    /* One place is for the log's end; where it is taken already there is none. */
    unsigned before = fetch->n;
    unsigned room = fetch->n < FETCH_QUEUE_MAX ? FETCH_QUEUE_MAX - 1 - fetch->n : 0;
    unsigned most = sim_below(8) == 0 ? 1 + sim_below(3) : 1 + sim_below(ANSWER_MOST);
    if (fetch->at < 0)
        return false;
    if (fetch->at < log->low)
        fetch->at = log->low;
    fetch->low = log->low;
    fetch->high = log->high;
    if (fetch->at == log->high && fetch->end != log->high && fetch->n < FETCH_QUEUE_MAX) {
        put(fetch, NULL, fetch->at);
        fetch->end = fetch->at;
    }
    unsigned place = broker_place(log, fetch->at);
    for (; place < log->n && most > 0 && room > 0; place++, most--, room--) {
        put(fetch, log->records[place], log->records[place]->offset);
        fetch->at = log->records[place]->offset + 1;
    }
    if (place == log->n)
        fetch->at = log->high; /* past a gap at its end */
    if (fetch->env != NULL && before == 0 && fetch->n > 0)
        env_wake(fetch->env);
    return fetch->n > before;
}

bool fetch_take(struct fetch *fetch, struct fetched *fetched)
{
    if (fetch->n == 0)
        return false;
    *fetched = fetch->queue[fetch->first];
    fetch->first = (fetch->first + 1) % FETCH_QUEUE_MAX;
    fetch->n--;
    return true;
}
