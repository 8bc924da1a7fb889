/* histogram_test.c: every time lands below its bucket's bound and not below the one before. */
#include "tests/unit/unit.h"

#include "dataplane/base/histogram.h"

static unsigned bucket_of(uint64_t us)
{
    struct histogram histogram = { 0 };
    histogram_add(&histogram, us);
    assert_int_equal(histogram.sum_us, us);
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
        if (histogram.counts[i] > 0)
            return i;
    return UINT32_MAX;
}

static void time_lands_in_the_bucket_that_bounds_it(void **state)
{
    static const uint64_t times[] = { 0, 1, 15, 16, 17, 31, 32, 1000, 65535, 65536, 134217727 };
    (void)state;
    for (unsigned i = 0; i < sizeof(times) / sizeof(*times); i++) {
        unsigned bucket = bucket_of(times[i]);
        assert_true(bucket < HISTOGRAM_BUCKETS && times[i] < histogram_bound_us(bucket));
        assert_true(bucket == 0 || times[i] >= histogram_bound_us(bucket - 1));
    }
}

static void what_is_over_the_last_bound_is_counted_apart(void **state)
{
    (void)state;
    assert_int_equal(bucket_of(histogram_bound_us(HISTOGRAM_BUCKETS - 1)), HISTOGRAM_BUCKETS);
    assert_int_equal(bucket_of(UINT64_MAX), HISTOGRAM_BUCKETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_lands_in_the_bucket_that_bounds_it),
        cmocka_unit_test(what_is_over_the_last_bound_is_counted_apart),
    };
    return UNIT_RUN(tests);
}
