/*
 * fence.h: for how long a node may believe that its partitions are its own. Inline.
 *
 * A process that stands still (SIGSTOP, a paused machine, swapped out) for longer than its session
 * is expelled from its group, and wakes up knowing nothing of it. What it writes then loses by its
 * version, except where a document was deleted and the sink has forgotten that. So the control
 * thread notes again and again when the partitions were known to be ours, and outlets send nothing
 * where that is too long ago.
 *
 *     control: since ──tick──► since ──tick──► since ......................... confirmed ──► since
 *     outlets:  send            send             send │ limit: nothing is sent           │ send
 *
 * One writer, any readers. The time is the one that env_mono_us() tells.
 */
#ifndef WEIR_FENCE_H
#define WEIR_FENCE_H

#include <stdbool.h>
#include <stdint.h>

struct fence {
    uint64_t since_us; /* atomic: the partitions were known to be ours then */
    uint64_t
        limit_us; /* how long that is believed; 0: for ever, nobody takes them. Fixed at start */
};

/* Has it been believed for too long at `now_us`? A NULL fence never closes. */
static inline bool fence_closed(const struct fence *fence, uint64_t now_us)
{
    if (fence == NULL || fence->limit_us == 0)
        return false;
    uint64_t since_us = __atomic_load_n(&fence->since_us, __ATOMIC_ACQUIRE);
    return now_us > since_us && now_us - since_us > fence->limit_us;
}

static inline void fence_move(struct fence *fence, uint64_t since_us)
{
    __atomic_store_n(&fence->since_us, since_us, __ATOMIC_RELEASE);
}

#endif
