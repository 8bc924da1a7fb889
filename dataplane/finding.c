/* finding.c: see finding.h. */
#include "dataplane/finding.h"

#include <stdarg.h>
#include <stdio.h>

void finding_tell(struct findings *findings, enum finding_level level, unsigned guarantees,
                  const char *advice, const char *what, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, what);
    (void)vsnprintf(text, sizeof(text), what, arguments);
    va_end(arguments);
    const struct finding finding = { level, guarantees, text, advice };
    findings->found(findings, &finding);
}
