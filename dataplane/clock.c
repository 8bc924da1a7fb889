/*
 * clock.c: rule R1, the numbers that order a partition's changes.
 *
 *     capture (us)   100   100    90   300          the stamps may repeat and run backwards,
 *     seqno          100   101   102   300          the numbers never do
 *
 * A number depends on the log and on the number before it alone, so a partition that is read again
 * from a commit gives the same ones. (The clamp is the exception: it looks at this node's wall
 * clock, is counted, and alerts.)
 *
 * The text form is what a commit's metadata holds. It comes back from a broker that anyone may
 * write to, so it is checked like any input: the tag, digits and nothing else, within bounds.
 */
#include "dataplane/clock.h"

#include <inttypes.h>
#include <stdio.h>

#define CLOCK_TAG "weir1:"

uint64_t clock_next(struct clock *clock, uint64_t capture_us)
{
    uint64_t least = clock->seqno + 1;

    ASSERT(clock->seqno < UINT64_MAX);
    clock->seqno = capture_us > least ? capture_us : least;
    return clock->seqno;
}

bool clock_clamp(uint64_t *capture_us, uint64_t wall_us, uint64_t skew_max_us)
{
    uint64_t limit = wall_us > UINT64_MAX - skew_max_us ? UINT64_MAX : wall_us + skew_max_us;

    if (*capture_us <= limit)
        return false;
    *capture_us = limit;
    return true;
}

void clock_to_text(uint64_t seqno, char text[CLOCK_TEXT_BYTES])
{
    int len = snprintf(text, CLOCK_TEXT_BYTES, CLOCK_TAG "%" PRIu64, seqno);

    ASSERT(len > 0 && len < CLOCK_TEXT_BYTES);
}

bool clock_from_text(struct slice text, uint64_t *seqno)
{
    const size_t tag = sizeof(CLOCK_TAG) - 1;
    uint64_t number = 0;

    /* 19 digits hold SEQNO_MAX and cannot overflow. */
    if (text.len <= tag || text.len > tag + 19 || memcmp(text.data, CLOCK_TAG, tag) != 0)
        return false;
    for (size_t i = tag; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (number < SEQNO_EPOCH || number > SEQNO_MAX)
        return false;
    *seqno = number;
    return true;
}
