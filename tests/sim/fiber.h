/*
 * fiber.h: stacks that take turns in one thread. They switch where they say so and nowhere else.
 */
#ifndef WEIR_SIM_FIBER_H
#define WEIR_SIM_FIBER_H

struct fiber;

/* A stack that will begin with run(argument) when it is first switched to. When run() returns the
 * fiber has ended, and must not be switched to any more. */
struct fiber *fiber_open(void (*run)(void *argument), void *argument);

/* From the scheduler: goes on with the fiber until it rests or ends. True: it has ended. */
int fiber_go(struct fiber *fiber);

/* From within a fiber: back to the scheduler. */
void fiber_rest(void);

/* Its stack is free for another one. Not of the fiber that runs. */
void fiber_free(struct fiber *fiber);

#endif
