/*
 * errors.c: the errors of one config file, kept until all of it was read.
 *
 * A person who fixes a config wants all of its errors at once, in the file's order, each with its
 * place and the nearest right word. So nothing here prints or stops: errors are added as they are
 * found (by the reader, the binder and the rules between keys, in that order), sorted once, and
 * printed by whoever asked for the config.
 *
 * What an error quotes comes from the file, so it is cut and escaped here; a terminal never sees
 * its control bytes. The number of errors is bounded too: a hostile file of a megabyte can hold a
 * hundred thousand.
 */
#include "config/errors.h"

#include "dataplane/base/err.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTE_BYTES = 60, WORD_BYTES = 64, TEXT_BYTES = 1400, ESCAPE_BYTES = 4 };

/* Writes the byte, or its escape where a terminal or a line would suffer from it; how many bytes
 * that takes. */
static size_t put_escaped(char *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[ESCAPE_BYTES] = { '\\', 'x', digits[c >> 4], digits[c & 15] };
    bool control = c < 0x20 || c == 0x7F;
    memcpy(out, control ? escape : (const char *)&c, control ? ESCAPE_BYTES : 1);
    return control ? ESCAPE_BYTES : 1;
}

struct quoted errors_quote(const char *text, size_t len)
{
    struct quoted quoted;
    size_t keep = len, at = 0;
    if (keep > QUOTE_BYTES) {
        keep = QUOTE_BYTES;
        while (keep > QUOTE_BYTES - 4 && ((unsigned char)text[keep] & 0xC0) == 0x80)
            keep--; /* a character is not cut in half */
    }
    quoted.text[at++] = '"';
    for (size_t i = 0; i < keep; i++)
        at += put_escaped(quoted.text + at, (unsigned char)text[i]);
    snprintf(quoted.text + at, sizeof(quoted.text) - at, "%s\"", keep < len ? "..." : "");
    return quoted;
}

/* One line, whatever it names: keys and paths are not all quoted. */
static char *one_line(const char *text)
{
    char *line = malloc(strlen(text) * ESCAPE_BYTES + 1);
    size_t len = 0;
    if (line == NULL)
        fatal(EXIT_SOFTWARE, "config: out of memory");
    for (; *text != '\0'; text++)
        len += put_escaped(line + len, (unsigned char)*text);
    line[len] = '\0';
    return line;
}

void errors_add(struct config_errors *errors, unsigned line, unsigned column, const char *format,
                ...)
{
    if (errors->n >= CONFIG_ERRORS_MAX) {
        errors->omitted++;
        return;
    }
    if ((errors->n & (errors->n + 1)) == 0) { /* room grows at 0, 1, 3, 7, ... */
        struct config_error *more =
            realloc(errors->items, (2 * (size_t)errors->n + 2) * sizeof(*errors->items));
        if (more == NULL)
            fatal(EXIT_SOFTWARE, "config: out of memory");
        errors->items = more;
    }
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    errors->items[errors->n++] = (struct config_error){ line, column, one_line(text) };
}

static int errors_order(const void *left, const void *right)
{
    const struct config_error *a = left, *b = right;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return strcmp(a->text, b->text);
}

void errors_sort(struct config_errors *errors)
{
    if (errors->n > 1)
        qsort(errors->items, errors->n, sizeof(*errors->items), errors_order);
}

void config_errors_print(FILE *out, const struct config_errors *errors)
{
    for (unsigned i = 0; i < errors->n; i++) {
        const struct config_error *error = &errors->items[i];
        if (error->line == 0)
            fprintf(out, "%s: %s\n", errors->file, error->text);
        else
            fprintf(out, "%s:%u:%u: %s\n", errors->file, error->line, error->column, error->text);
    }
    if (errors->omitted > 0)
        fprintf(out, "%s: and %u more errors\n", errors->file, errors->omitted);
}

void config_errors_free(struct config_errors *errors)
{
    for (unsigned i = 0; i < errors->n; i++)
        free(errors->items[i].text);
    free(errors->items);
    free(errors->file);
    *errors = (struct config_errors){ 0 };
}

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance of two words of at most WORD_BYTES bytes, a row at a time. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned row[WORD_BYTES + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *errors_nearest(const char *text, const char *const *names)
{
    size_t len = strlen(text);
    if (len > WORD_BYTES)
        return NULL;
    const char *nearest = NULL;
    unsigned least = (unsigned)len / 3 + 2; /* exclusive */
    for (; *names != NULL; names++) {
        size_t name_len = strlen(*names);
        if (name_len > WORD_BYTES)
            continue;
        unsigned distance = edit_distance(text, len, *names, name_len);
        if (distance < least && distance < name_len) {
            least = distance;
            nearest = *names;
        }
    }
    return nearest;
}
