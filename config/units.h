/* units.h: sizes and durations as people write them. Pure functions. */
#ifndef WEIR_CONFIG_UNITS_H
#define WEIR_CONFIG_UNITS_H

#include "dataplane/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Ascending, ended by a NULL name. Sizes are in bytes ("" and "B" are bytes), durations in
 * microseconds. */
extern const struct unit units_sizes[];
extern const struct unit units_durations[];

/* Digits and one of the units, nothing between or after: true and *value; false for anything else,
 * overflow too. */
MUST_CHECK bool units_parse(const struct unit *units, const char *text, uint64_t *value);

/* The shortest text that units_parse() reads as `value`: the largest unit that divides it. `out` of
 * 32 bytes is enough. */
void units_format(const struct unit *units, uint64_t value, char *out, size_t size);

#endif
