/* json_oracle.h: what another reader of JSON says of a text. Apart, as its names are json.h's. */
#ifndef WEIR_TESTS_FUZZ_JSON_ORACLE_H
#define WEIR_TESTS_FUZZ_JSON_ORACLE_H

#include "dataplane/base/slice.h"

/* Does jansson take it as one value? */
bool json_oracle_takes(struct slice text);

#endif
