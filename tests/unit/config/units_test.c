/* units_test.c: sizes and durations as people write them. */
#include "../unit.h"

#include "config/units.h"

struct sample {
    const char *text;
    uint64_t value;
    const char *shortest; /* NULL: the text itself */
};

static void check_right(const struct unit *units, const struct sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = 0;
        char text[32];
        assert_true(units_parse(units, samples[i].text, &value));
        assert_int_equal(value, samples[i].value);
        units_format(units, value, text, sizeof(text));
        assert_string_equal(text,
                            samples[i].shortest != NULL ? samples[i].shortest : samples[i].text);
    }
}

/* What config.md promises, and plain bytes; printing gives the shortest text of the same value. */
static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        { "64KiB", 65536, NULL },
        { "5MiB", 5242880, NULL },
        { "4GiB", UINT64_C(4294967296), NULL },
        { "1TiB", UINT64_C(1) << 40, NULL },
        { "1025", 1025, NULL },
        { "2048", 2048, "2KiB" },
        { "12B", 12, "12" },
        { "0", 0, NULL },
        { "18446744073709551615", UINT64_MAX, NULL },
    };
    check_right(units_sizes, samples, sizeof(samples) / sizeof(samples[0]));
}

static void durations_have_units_from_us_to_days(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        { "100us", 100, NULL },
        { "50ms", 50000, NULL },
        { "10s", 10000000, NULL },
        { "15min", UINT64_C(900000000), NULL },
        { "1h", UINT64_C(3600000000), NULL },
        { "7d", UINT64_C(604800000000), NULL },
        { "60s", 60000000, "1min" },
        { "0s", 0, "0us" },
    };
    check_right(units_durations, samples, sizeof(samples) / sizeof(samples[0]));
}

static void what_is_no_whole_number_with_a_known_unit_is_refused(void **state)
{
    (void)state;
    static const char *const sizes[] = {
        "",      "KiB",  "5MB", "1.5GiB", "-1",  "+1",          "0x10",
        "5 MiB", "5mib", " 5",  "5KiBs",  "1e3", "16777216TiB", "18446744073709551616"
    };
    static const char *const durations[] = { "",     "10",  "0",   "10 s",      "1m",
                                             "1.5s", "-1s", "10S", "213503983d" };
    uint64_t value;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_false(units_parse(units_sizes, sizes[i], &value));
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
        assert_false(units_parse(units_durations, durations[i], &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(durations_have_units_from_us_to_days),
        cmocka_unit_test(what_is_no_whole_number_with_a_known_unit_is_refused),
    };
    return UNIT_RUN(tests);
}
