/*
 * yaml_out.c: writing scalars.
 *
 * Plain where every YAML reader agrees that it is this text (letters, digits, a few marks, no word
 * that may mean something else in a list of [a, b]), in double quotes otherwise. The texts of a
 * config have no control characters but line breaks and tabs (texts.c), so these two and the quote
 * are all there is to escape.
 */
#include "config/yaml_out.h"

#include <stdbool.h>
#include <string.h>

static bool is_plain(const char *text)
{
    static const char begin[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.";
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.-");
    bool word = strcmp(text, "null") == 0 || strcmp(text, "...") == 0;
    return text[0] != '\0' && strchr(begin, text[0]) != NULL && text[len] == '\0' && !word;
}

static void put_char(FILE *out, char c)
{
    if (c == '\n')
        fputs("\\n", out);
    else if (c == '\t')
        fputs("\\t", out);
    else if (c == '"' || c == '\\')
        fprintf(out, "\\%c", c);
    else
        fputc(c, out);
}

static void put_text(FILE *out, const char *text, bool expanded)
{
    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (expanded && text[0] == '$' && text[1] == '{')
            fputc('$', out);
        put_char(out, *text);
    }
    fputc('"', out);
}

void yaml_out_text(FILE *out, const char *text)
{
    put_text(out, text, true);
}

void yaml_out_key(FILE *out, const char *text)
{
    put_text(out, text, false);
}
