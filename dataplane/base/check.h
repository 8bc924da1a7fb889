/* check.h: what may never happen (ASSERT), what is odd but survivable (COUNT_IF), what ends the
 * start-up (fatal). */
#ifndef WEIR_BASE_CHECK_H
#define WEIR_BASE_CHECK_H

#include <stdint.h>

/* Our bug. On in release too: a wrong copy is worse than a stopped node. Prints where, then aborts.
 * Any thread. */
#define ASSERT(condition) \
    do { \
        if (__builtin_expect(!(condition), 0)) \
            check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

/* Costly checks, in debug builds only (meson: b_ndebug=false and -Ddasserts=true). */
#ifdef WEIR_DASSERTS
#define DASSERT(condition) ASSERT(condition)
#else
#define DASSERT(condition) ((void)0)
#endif

/* Counts what should not happen and can be lived with; the value is the condition's. */
#define COUNT_IF(condition, counter) (__builtin_expect(!!(condition), 0) ? ((counter) += 1, 1) : 0)

_Noreturn void check_failed(const char *file, int line, const char *condition);

/* Start-up only: one line to stderr, then exit(code). */
_Noreturn void fatal(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
