/* json_oracle.c: see json_oracle.h. */
#include "json_oracle.h"

#include <jansson.h>

bool json_oracle_takes(struct slice text)
{
    json_t *value = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool taken = value != NULL;

    json_decref(value);
    return taken;
}
