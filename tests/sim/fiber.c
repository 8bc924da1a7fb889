/*
 * fiber.c: see fiber.h. makecontext(3) begins a stack, swapcontext(3) switches; ASan is told of
 * each switch, for it must know which stack is in use. A stack is 256 KiB, with a page before it
 * that nobody may touch. Stacks are used again: a history kills many.
 */
#include "tests/sim/fiber.h"

#include "dataplane/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES ((size_t)256 << 10)
#define GUARD_BYTES ((size_t)4096)

struct fiber {
    ucontext_t context;
    char *stack;
    void (*run)(void *argument);
    void *argument;
    bool ended;
    void *fake_stack; /* ASan's */
    struct fiber *next_free;
};

static struct fiber *running, *free_fibers;
static ucontext_t scheduler;

#ifdef HAS_ASAN
static const void *scheduler_stack;
static size_t scheduler_bytes;
#endif

static void arrive(struct fiber *fiber)
{
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &scheduler_stack, &scheduler_bytes);
#else
    (void)fiber;
#endif
}

static void leave(struct fiber *fiber, bool for_good)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(for_good ? NULL : &fiber->fake_stack, scheduler_stack,
                                   scheduler_bytes);
#else
    (void)for_good;
#endif
    (void)swapcontext(&fiber->context, &scheduler);
}

static void begin(void)
{
    struct fiber *fiber = running;
    arrive(fiber);
    fiber->run(fiber->argument);
    fiber->ended = true;
    leave(fiber, true);
}

/* getcontext() may return twice, says its declaration: so in a function without variables. */
static void prepare(struct fiber *fiber)
{
    ASSERT(getcontext(&fiber->context) == 0);
    fiber->context.uc_stack.ss_sp = fiber->stack + GUARD_BYTES;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, begin, 0);
}

struct fiber *fiber_open(void (*run)(void *argument), void *argument)
{
    struct fiber *fiber = free_fibers;
    if (fiber != NULL) {
        free_fibers = fiber->next_free;
    } else {
        fiber = calloc(1, sizeof(*fiber));
        ASSERT(fiber != NULL);
        fiber->stack = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT(fiber->stack != MAP_FAILED && mprotect(fiber->stack, GUARD_BYTES, PROT_NONE) == 0);
    }
    fiber->run = run;
    fiber->argument = argument;
    fiber->ended = false;
    fiber->fake_stack = NULL;
    prepare(fiber);
    return fiber;
}

int fiber_go(struct fiber *fiber)
{
    ASSERT(running == NULL && !fiber->ended);
    running = fiber;
#ifdef HAS_ASAN
    void *fake_stack;
    __sanitizer_start_switch_fiber(&fake_stack, fiber->stack + GUARD_BYTES, STACK_BYTES);
#endif
    (void)swapcontext(&scheduler, &fiber->context);
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
    running = NULL;
    return fiber->ended;
}

void fiber_rest(void)
{
    struct fiber *fiber = running;
    ASSERT(fiber != NULL);
    leave(fiber, false);
    arrive(fiber);
}

void fiber_free(struct fiber *fiber)
{
    ASSERT(fiber != running);
#ifdef HAS_ASAN
    __asan_unpoison_memory_region(fiber->stack + GUARD_BYTES, STACK_BYTES);
#endif
    fiber->next_free = free_fibers;
    free_fibers = fiber;
}
