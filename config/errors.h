/* errors.h: collecting the errors of a config file, and wording them. One thread. */
#ifndef WEIR_CONFIG_ERRORS_H
#define WEIR_CONFIG_ERRORS_H

#include "config/config.h"

/* How one value or key is quoted in an error: cut after 60 bytes, control characters escaped. */
struct quoted {
    char text[320];
};
struct quoted errors_quote(const char *text, size_t len);

/* Adds one error; line 0 means the file as a whole. Past CONFIG_ERRORS_MAX it is only counted. */
void errors_add(struct config_errors *errors, unsigned line, unsigned column, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* Sorts by position: called once, after the last errors_add(). */
void errors_sort(struct config_errors *errors);

/* The one of the NULL-terminated `names` that is nearest to `text` by edit distance, if it is near
 * enough to be a slip of the hand (a third of the letters); else NULL. */
const char *errors_nearest(const char *text, const char *const *names);

#endif
