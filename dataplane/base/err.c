/*
 * err.c: the text and exit code of an error on a cold path.
 *
 * The text is cut where struct err ends; a message for people need not be longer. Nothing here
 * writes anywhere: who gets a struct err decides whether it is logged, shown or swallowed by a
 * retry.
 */
#include "dataplane/base/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, enum exit_code code, const char *format, ...)
{
    va_list args;

    if (!err)
        return -1;
    err->code = code;
    va_start(args, format);
    if (vsnprintf(err->text, sizeof(err->text), format, args) < 0)
        snprintf(err->text, sizeof(err->text), "%s", format);
    va_end(args);
    return -1;
}
