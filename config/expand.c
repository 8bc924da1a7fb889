/*
 * expand.c: the environment in scalars.
 *
 *     url: "http://${ES_HOST:127.0.0.1}:9200"  ->  http://127.0.0.1:9200, if ES_HOST is not set
 *
 * It works on scalars after YAML was parsed, so a value from the environment can never become
 * structure: a password with a `:` or a `#` in it stays a password. Keys are not expanded.
 * Expansion is not repeated: a value that holds `${` is taken as it is. Two passes, one to measure
 * and one to write, so that memory is bounded before it is taken.
 */
#include "config/expand.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One ${...}: `value` is what stands for it, `next` is where the text goes on. */
struct reference {
    const char *value;
    size_t len;
    const char *next;
};

static bool name_is_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return len > 0 && len < 128;
}

/* `at` stands behind "${". */
static int reference_read(const char *at, const char *end, struct reference *reference,
                          char reason[200])
{
    const char *close = memchr(at, '}', (size_t)(end - at));
    if (close == NULL) {
        snprintf(reason, 200,
                 "${ without its }; allowed: ${VAR}, ${VAR:default}, $${ for a plain ${");
        return -1;
    }
    const char *colon = memchr(at, ':', (size_t)(close - at));
    size_t len = (size_t)((colon == NULL ? close : colon) - at);
    if (!name_is_valid(at, len)) {
        snprintf(reason, 200, "\"%.*s\" is not the name of a variable; allowed: letters, digits, _",
                 len < 60 ? (int)len : 60, at);
        return -1;
    }
    char name[128] = { 0 };
    memcpy(name, at, len);
    const char *value = getenv(name);
    if (value != NULL) {
        *reference = (struct reference){ value, strlen(value), close + 1 };
    } else if (colon != NULL) {
        *reference = (struct reference){ colon + 1, (size_t)(close - colon - 1), close + 1 };
    } else {
        snprintf(reason, 200, "the variable %s is not set; allowed: one that is, or ${VAR:default}",
                 name);
        return -1;
    }
    return 0;
}

/* Writes to `out` where it is not NULL. Gives the length, or -1 with a reason. */
static long expand_pass(const char *text, size_t len, char *out, char reason[200])
{
    const char *at = text, *end = text + len;
    size_t total = 0;
    while (at < end) {
        struct reference piece = { at, 1, at + 1 };
        if (end - at >= 3 && memcmp(at, "$${", 3) == 0)
            piece = (struct reference){ "${", 2, at + 3 };
        else if (end - at >= 2 && memcmp(at, "${", 2) == 0 &&
                 reference_read(at + 2, end, &piece, reason) != 0)
            return -1;
        if (piece.len > EXPAND_BYTES_MAX - total) {
            snprintf(reason, 200, "longer than 1MiB after its variables were put in");
            return -1;
        }
        if (out != NULL)
            memcpy(out + total, piece.value, piece.len);
        total += piece.len;
        at = piece.next;
    }
    return (long)total;
}

int expand_text(struct config_chunk **memory, const char *text, size_t len,
                struct expanded *expanded)
{
    long total = expand_pass(text, len, NULL, expanded->reason);
    if (total < 0)
        return -1;
    char *out = chunk_take(memory, (size_t)total + 1);
    long written = expand_pass(text, len, out, expanded->reason);
    ASSERT(written == total);
    expanded->text = out;
    expanded->len = (size_t)total;
    return 0;
}
