/* debezium_fuzz.c: Debezium's messages, with a schema and without, see decoder_fuzz.h. */
#include "decoder_fuzz.h"

void fuzz_setup(void)
{
    decoder_setup();
}

void fuzz_input(struct slice input)
{
    decoder_input(&debezium_json_ops, input);
}
