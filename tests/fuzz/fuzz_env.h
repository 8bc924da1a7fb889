/*
 * fuzz_env.h: an env whose one peer is the input: what is sent to it is swallowed, and what it says
 * are the input's bytes, in pieces.
 *
 *     bytes  |....piece....|..piece..|...piece...| the end of the stream
 *                          └ a receive() gives one piece at most, then says that there is no more
 *
 * Time stands still but for fuzz_env_skip(). One connection at a time; the next one that is made
 * hears silence.
 */
#ifndef WEIR_TESTS_FUZZ_ENV_H
#define WEIR_TESTS_FUZZ_ENV_H

#include "fuzz.h"

#include "dataplane/base/env.h"

/* How the peer's bytes come: all at once, or in pieces of one to `most` bytes. */
struct fuzz_pieces {
    size_t most; /* 0: all at once */
    struct dice dice;
};

/* The env, with nothing watched; the bytes must stay. */
struct env *fuzz_env(struct slice bytes, const struct fuzz_pieces *pieces);

/* Lets everything happen that can. */
void fuzz_env_run(struct env *env);

void fuzz_env_skip(struct env *env, uint64_t us);

/* Descriptors that are open or watched; none may be left at the end. */
unsigned fuzz_env_open(const struct env *env);

#endif
