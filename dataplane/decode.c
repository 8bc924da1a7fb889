/*
 * decode.c: the decoders by name.
 *
 * A new format adds its ops to decode.h and a line here; nothing else of the data plane knows
 * formats.
 */
#include "dataplane/decode.h"

static const struct decoder_ops *const decoders[] = { &canal_json_ops, &debezium_json_ops };

const struct decoder_ops *decoder_find(const char *format)
{
    for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++)
        if (strcmp(decoders[i]->name, format) == 0)
            return decoders[i];
    return NULL;
}
