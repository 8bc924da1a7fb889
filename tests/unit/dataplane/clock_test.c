/* clock_test.c: rule R1: numbers that rise whatever the stamps do, and that a commit's metadata
 * carries. */
#include "dataplane/clock.h"

#include "tests/unit/unit.h"

/* Stamps repeat, run back and leap; the numbers rise by at least one each time and follow a stamp
 * that is ahead. */
static void seqnos_rise_whatever_the_stamps_do(void **state)
{
    static const struct {
        uint64_t capture_us, seqno;
    } steps[] = { { 100, 100 }, { 100, 101 }, { 90, 102 }, { 300, 300 }, { 0, 301 }, { 302, 302 } };
    struct clock clock = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        assert_int_equal(clock_next(&clock, steps[i].capture_us), steps[i].seqno);
}

/* A log that is read again from a commit gives the numbers that it gave before. */
static void a_clock_set_back_repeats_its_numbers(void **state)
{
    static const uint64_t stamps[] = { 5, 5, 4, 9, 9, 1 };
    struct clock clock = { 3 }, again;
    uint64_t first[6];

    (void)state;
    for (int i = 0; i < 6; i++)
        first[i] = clock_next(&clock, stamps[i]);
    again.seqno = first[2];
    for (int i = 3; i < 6; i++)
        assert_int_equal(clock_next(&again, stamps[i]), first[i]);
}

static void a_stamp_far_ahead_is_cut(void **state)
{
    static const struct {
        uint64_t capture, wall, skew, after;
        bool cut;
    } cases[] = {
        { 100, 100, 10, 100, false },      { 110, 100, 10, 110, false },
        { 111, 100, 10, 110, true },       { UINT64_MAX, UINT64_MAX - 5, 10, UINT64_MAX, false },
        { UINT64_MAX, 100, 0, 100, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t capture = cases[i].capture;

        assert_int_equal(clock_clamp(&capture, cases[i].wall, cases[i].skew), cases[i].cut);
        assert_int_equal(capture, cases[i].after);
    }
}

static void metadata_carries_the_clock(void **state)
{
    static const uint64_t seqnos[] = { SEQNO_EPOCH, SEQNO_EPOCH + 1, UINT64_C(1795245419098001),
                                       SEQNO_MAX };

    (void)state;
    for (size_t i = 0; i < sizeof(seqnos) / sizeof(seqnos[0]); i++) {
        char text[CLOCK_TEXT_BYTES];
        uint64_t back = 0;

        clock_to_text(seqnos[i], text);
        assert_true(clock_from_text(slice_of(text), &back));
        assert_int_equal(back, seqnos[i]);
    }
}

/* Anyone may write a group's metadata: what is not ours is refused, and *seqno stays. */
static void foreign_metadata_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "weir1:",
        "weir1",
        "weir2:1795245419098001",
        "weir1:-1",
        "weir1:1795245419098001 ",
        "weir1: 1795245419098001",
        "weir1:0",
        "weir1:1704067199999999",
        "weir1:4613390085627387905",
        "weir1:99999999999999999999",
        "weir1:17952454190980x1",
        "WEIR1:1795245419098001",
        "weir1:0000000000000001795245419098001",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint64_t seqno = 7;

        assert_false(clock_from_text(slice_of(texts[i]), &seqno));
        assert_int_equal(seqno, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seqnos_rise_whatever_the_stamps_do),
        cmocka_unit_test(a_clock_set_back_repeats_its_numbers),
        cmocka_unit_test(a_stamp_far_ahead_is_cut),
        cmocka_unit_test(metadata_carries_the_clock),
        cmocka_unit_test(foreign_metadata_is_refused),
    };

    return UNIT_RUN(tests);
}
