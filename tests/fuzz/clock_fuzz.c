/*
 * clock_fuzz.c: the metadata of a commit (`weir1:...`, dataplane/clock.h): what is taken is within
 * bounds and, written and taken again, the same.
 */
#include "fuzz.h"

#include "dataplane/clock.h"

void fuzz_setup(void)
{
}

void fuzz_input(struct slice input)
{
    char text[CLOCK_TEXT_BYTES];
    uint64_t seqno = 0, again = 0;

    if (!clock_from_text(fuzz_exact(input), &seqno))
        return;
    assert_true(seqno >= SEQNO_EPOCH && seqno <= SEQNO_MAX);
    clock_to_text(seqno, text);
    assert_true(clock_from_text(slice_of(text), &again) && again == seqno);
}
