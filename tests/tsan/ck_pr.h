/*
 * ck_pr.h: stands before Concurrency Kit's own, where weir is built with ThreadSanitizer.
 *
 * ThreadSanitizer follows atomic builtins only. Concurrency Kit's loads and stores are assembler,
 * and its order comes from fences, which ThreadSanitizer does not model at all; so it sees plain
 * accesses without order and reports each use of a ring or an epoch. Here what weir uses of ck_pr
 * (by ck_ring's single producer and single consumer, and by ck_epoch's inline half) is said in
 * builtins; the fences' instructions are kept, for the processor needs them as before.
 *
 * None of it promises more than the original does on any processor, or ThreadSanitizer would be
 * blind to an order that is missing:
 *
 *   store   Releases only if a store fence or a stronger one was passed since the thread's last
 *           store; else it is relaxed. Ring and epoch store right after their fence, so what the
 *           fence orders and what the release orders is the same.
 *   load    Acquires. There are three. The consumer's of the ring's tail is followed by a load
 * fence. The producer's of the ring's head is followed by a branch that the stores into the slot
 *           depend on, and every processor keeps loads before stores that depend on them; builtins
 *           have no weaker word for that. Nobody releases to the third, the epoch's number, but
 *           libck itself, which is not instrumented: nothing is acquired there.
 *   swap    Relaxed. It begins a reader's section, and orders that store before the loads that
 *           follow, which is nothing that makes a happens-before: a reader gets that from its own
 *           acquiring loads of what it finds.
 *
 * What is not here stays as it is, unseen: whoever uses more of Concurrency Kit is told of races
 * that are none, and adds it here.
 */
#ifndef WEIR_TESTS_TSAN_CK_PR_H
#define WEIR_TESTS_TSAN_CK_PR_H

#include_next <ck_pr.h>

static __thread int tsan_fenced __attribute__((unused));

static inline void tsan_fence_store(void)
{
    ck_pr_fence_store();
    tsan_fenced = 1;
}

static inline void tsan_fence_release(void)
{
    ck_pr_fence_release();
    tsan_fenced = 1;
}

static inline void tsan_store_uint(unsigned int *at, unsigned int value)
{
    if (tsan_fenced)
        __atomic_store_n(at, value, __ATOMIC_RELEASE);
    else
        __atomic_store_n(at, value, __ATOMIC_RELAXED);
    tsan_fenced = 0;
}

#undef ck_pr_load_uint
#undef ck_pr_store_uint
#define ck_pr_load_uint(at)         __atomic_load_n((at), __ATOMIC_ACQUIRE)
#define ck_pr_store_uint(at, value) tsan_store_uint((at), (value))
#define ck_pr_fas_uint(at, value)   __atomic_exchange_n((at), (value), __ATOMIC_RELAXED)
#define ck_pr_fence_store()         tsan_fence_store()
#define ck_pr_fence_release()       tsan_fence_release()

#endif
