/*
 * check.c: the two ways in which the process ends by its own decision.
 *
 * check_failed() is for our bugs. It formats into its own stack and writes once, because the heap
 * or the log may be what is broken; abort() then leaves a core and makes a supervisor notice.
 * fatal() is for a start-up that cannot go on: it speaks through the log, so that a machine that
 * reads JSON lines gets one, and exits.
 */
#include "dataplane/base/check.h"

#include "dataplane/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *file, int line, const char *condition)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "weir: BUG at %s:%d: %s does not hold\n", file, line,
                       condition);

    if (len >= (int)sizeof(text))
        len = (int)sizeof(text) - 1;
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort(); /* Nobody can be told; the core still shows the place. */
    abort();
}

void fatal(int code, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        snprintf(text, sizeof(text), "%s", format);
    va_end(args);
    log_line(LOG_ALERT, "weir", "%s", text);
    exit(code);
}
