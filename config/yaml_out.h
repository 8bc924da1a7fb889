/* yaml_out.h: scalars as YAML that reads as the same text again. */
#ifndef WEIR_CONFIG_YAML_OUT_H
#define WEIR_CONFIG_YAML_OUT_H

#include <stdio.h>

/* A value: plain where that is safe, else in double quotes; `${` is escaped as `$${`. */
void yaml_out_text(FILE *out, const char *text);

/* A key: the same, but keys are not expanded, so nothing of `${` is escaped. */
void yaml_out_key(FILE *out, const char *text);

#endif
