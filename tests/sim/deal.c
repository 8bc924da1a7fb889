/*
 * deal.c: who gets which partition: what the leader of a group works out (group.h).
 *
 *     range:   topic by topic, numbers in runs:  0 1 | 2 3 | 4      the first ones get one more
 *     sticky:  floor(all / members) each, what is left over one each
 *              owned, within the quota ─► stays
 *              owned, beyond it        ─► nobody's for this generation
 *              nobody's                ─► to who has least
 *
 * What two members claim both (one of them was expelled and does not know it yet) is nobody's.
 */
#include "tests/sim/group.h"

static unsigned count(uint64_t logs)
{
    return (unsigned)__builtin_popcountll(logs);
}

/* ---- range ---- */

/* The partitions of one topic, `first` and `n` of them in the order of their numbers. */
static uint64_t run_of(uint64_t topic, unsigned first, unsigned n)
{
    uint64_t run = 0;
    for (unsigned place = 0; topic != 0; topic &= topic - 1, place++)
        if (place >= first && place < first + n)
            run |= topic & -topic;
    return run;
}

static void deal_topic(uint64_t topic, struct deal_member *members, unsigned n)
{
    unsigned want = 0, place = 0, first = 0, all = count(topic);
    for (unsigned i = 0; i < n; i++)
        want += (members[i].topics & topic) != 0;
    for (unsigned i = 0; i < n; i++) {
        if ((members[i].topics & topic) == 0)
            continue;
        unsigned share = all / want + (place++ < all % want);
        members[i].logs |= run_of(topic, first, share);
        first += share;
    }
}

void deal_range(const struct broker *broker, struct deal_member *members, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        members[i].logs = 0;
    for (unsigned i = 0; i < broker->n_logs; i++)
        if (broker->logs[i].number == 0)
            deal_topic(broker_logs_of(broker, broker->logs[i].topic), members, n);
}

/* ---- cooperative-sticky ---- */

static void drop_doubles(struct deal_member *members, unsigned n)
{
    uint64_t once = 0, twice = 0;
    for (unsigned i = 0; i < n; i++) {
        members[i].owned &= members[i].topics;
        twice |= once & members[i].owned;
        once |= members[i].owned;
    }
    for (unsigned i = 0; i < n; i++)
        members[i].owned &= ~twice;
}

static struct deal_member *poorest(struct deal_member *members, unsigned n, uint64_t log)
{
    struct deal_member *least = NULL;
    for (unsigned i = 0; i < n; i++)
        if ((members[i].topics & log) != 0 &&
            (least == NULL || count(members[i].logs) < count(least->logs)))
            least = &members[i];
    return least;
}

void deal_sticky(const struct broker *broker, struct deal_member *members, unsigned n)
{
    uint64_t all = 0, owned = 0;
    drop_doubles(members, n);
    for (unsigned i = 0; i < n; i++) {
        all |= members[i].topics;
        owned |= members[i].owned;
    }
    unsigned quota = n > 0 ? count(all) / n : 0, extra = n > 0 ? count(all) % n : 0;
    for (unsigned i = 0; i < n; i++) {
        bool more = count(members[i].owned) > quota && extra > 0;
        extra -= more;
        members[i].logs = run_of(members[i].owned, 0, quota + more);
    }
    for (unsigned i = 0; i < broker->n_logs; i++) {
        uint64_t log = UINT64_C(1) << i;
        struct deal_member *to = (all & log & ~owned) != 0 ? poorest(members, n, log) : NULL;
        if (to != NULL)
            to->logs |= log;
    }
}
