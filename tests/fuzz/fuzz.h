/*
 * fuzz.h: what every fuzz target shares: bytes that are read as numbers, dice, and memory that is
 * taken back between two inputs.
 *
 *     int fuzz_setup(void)                  once; reserves what all inputs share
 *     void fuzz_input(struct slice input)   each input; what it reserves is taken back after it
 *
 * Checks are CMocka's (unit.h), so that the rigs of the unit tests serve here too; one that does
 * not hold aborts, and libFuzzer keeps the input. Where a target needs choices that are no part of
 * the text (where to cut it, how large a frame is) it throws dice whose seed is the input's hash:
 * the same input makes the same choices, and inputs stay what they are, plain texts.
 */
#ifndef WEIR_TESTS_FUZZ_H
#define WEIR_TESTS_FUZZ_H

#include "tests/unit/unit.h"

#include "dataplane/base/arena.h"
#include "dataplane/base/memory.h"
#include "dataplane/base/slice.h"

#include <stdlib.h>

/* The target's own. */
void fuzz_setup(void);
void fuzz_input(struct slice input);

/* What libFuzzer calls, or replay.c in its place. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- an input as numbers: zeros behind its end ---- */

struct fuzz {
    struct slice left;
};

static inline unsigned fuzz_u8(struct fuzz *fuzz)
{
    if (fuzz->left.len == 0)
        return 0;
    fuzz->left.len--;
    return (unsigned char)*fuzz->left.data++;
}

static inline unsigned fuzz_u16(struct fuzz *fuzz)
{
    unsigned high = fuzz_u8(fuzz);

    return high << 8 | fuzz_u8(fuzz);
}

static inline uint64_t fuzz_u64(struct fuzz *fuzz)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++)
        number = number << 8 | fuzz_u8(fuzz);
    return number;
}

/* Up to `len` bytes of what is left. */
static inline struct slice fuzz_bytes(struct fuzz *fuzz, size_t len)
{
    struct slice bytes = { fuzz->left.data, len < fuzz->left.len ? len : fuzz->left.len };

    fuzz->left.data += bytes.len;
    fuzz->left.len -= bytes.len;
    return bytes;
}

/* ---- dice ---- */

struct dice {
    uint64_t seed;
};

struct dice dice_of(struct slice input);

/* 0 .. n - 1 (n > 0). */
uint64_t dice_throw(struct dice *dice, uint64_t n);

/* ---- bytes ---- */

/* A block of exactly these bytes, so that a read past the end is seen. Taken back after the input.
 */
struct slice fuzz_exact(struct slice bytes);

/* A text that a finding shows: both texts must be the same. */
void fuzz_same(struct slice got, struct slice wanted, const char *what);

static inline bool slice_within(struct slice inner, struct slice outer)
{
    return inner.len == 0 || (inner.data >= outer.data && inner.len <= outer.len &&
                              inner.data + inner.len <= outer.data + outer.len);
}

#endif
