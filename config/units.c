/*
 * units.c: "5MiB" and "10s" to numbers and back.
 *
 * Only whole numbers and binary sizes: `1.5GiB` and `5MB` are refused, because people differ on
 * what the second one is. A duration always has its unit; a size may be plain bytes. Parsing and
 * formatting are inverse: what is printed with every default filled in reads as the same config.
 */
#include "config/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct unit units_sizes[] = {
    { "", 1 },
    { "B", 1 },
    { "KiB", UINT64_C(1) << 10 },
    { "MiB", UINT64_C(1) << 20 },
    { "GiB", UINT64_C(1) << 30 },
    { "TiB", UINT64_C(1) << 40 },
    { NULL, 0 },
};

const struct unit units_durations[] = {
    { "us", 1 },
    { "ms", 1000 },
    { "s", 1000 * 1000 },
    { "min", UINT64_C(60) * 1000 * 1000 },
    { "h", UINT64_C(3600) * 1000 * 1000 },
    { "d", UINT64_C(86400) * 1000 * 1000 },
    { NULL, 0 },
};

bool units_parse(const struct unit *units, const char *text, uint64_t *value)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return false;
    }
    if (at == text)
        return false;
    for (; units->name != NULL; units++) {
        if (strcmp(at, units->name) == 0)
            return !__builtin_mul_overflow(number, units->factor, value);
    }
    return false;
}

void units_format(const struct unit *units, uint64_t value, char *out, size_t size)
{
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (value % unit->factor == 0 && unit->factor > best->factor && value != 0)
            best = unit;
    }
    snprintf(out, size, "%" PRIu64 "%s", value / best->factor, best->name);
}
