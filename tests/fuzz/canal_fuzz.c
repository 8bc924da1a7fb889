/* canal_fuzz.c: canal's flat messages, see decoder_fuzz.h. */
#include "decoder_fuzz.h"

void fuzz_setup(void)
{
    decoder_setup();
}

void fuzz_input(struct slice input)
{
    decoder_input(&canal_json_ops, input);
}
