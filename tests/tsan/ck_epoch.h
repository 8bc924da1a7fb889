/*
 * ck_epoch.h: stands before Concurrency Kit's own, where weir is built with ThreadSanitizer (see
 * ck_pr.h).
 *
 * The half of an epoch that gives memory back is in libck, which is not instrumented: that it looks
 * at each reader's record, and gives nothing back that a reader may still see, ThreadSanitizer does
 * not know. Here libck decides as ever, and after it has, the same records are looked at once more
 * by an acquiring load: what a reader did before the end of its section (a releasing store into its
 * record) then happened before what is done to the memory. A reader that looks at a document after
 * its section's end is no part of that, and is reported; so is memory that is given back without
 * ck_epoch_call().
 *
 *   ck_epoch_poll()     what libck finds to be due comes back in a list, then the look, then the
 *                       callbacks, which libck would otherwise call by itself in the midst
 *   ck_epoch_barrier()  is libck's own two halves, with the look between them
 */
#ifndef WEIR_TESTS_TSAN_CK_EPOCH_H
#define WEIR_TESTS_TSAN_CK_EPOCH_H

#include_next <ck_epoch.h>

#include <stddef.h>

static inline void tsan_epoch_look(ck_epoch_record_t *writer)
{
    ck_stack_entry_t *at;

    CK_STACK_FOREACH(&writer->global->records, at)
    {
        char *record = (char *)at - offsetof(struct ck_epoch_record, record_next);

        (void)__atomic_load_n(&((ck_epoch_record_t *)(void *)record)->active, __ATOMIC_ACQUIRE);
    }
}

static inline bool tsan_epoch_poll(ck_epoch_record_t *writer)
{
    ck_stack_t due = CK_STACK_INITIALIZER;
    ck_stack_entry_t *at, *next;
    bool moved = ck_epoch_poll_deferred(writer, &due);

    tsan_epoch_look(writer);
    CK_STACK_FOREACH_SAFE(&due, at, next)
    {
        char *call = (char *)at - offsetof(struct ck_epoch_entry, stack_entry);
        ck_epoch_entry_t *entry = (ck_epoch_entry_t *)(void *)call;

        entry->function(entry);
    }
    return moved;
}

static inline void tsan_epoch_barrier(ck_epoch_record_t *writer)
{
    ck_epoch_synchronize(writer);
    tsan_epoch_look(writer);
    ck_epoch_reclaim(writer);
}

#define ck_epoch_poll(writer)    tsan_epoch_poll(writer)
#define ck_epoch_barrier(writer) tsan_epoch_barrier(writer)

#endif
