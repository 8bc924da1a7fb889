/* letters.h: what is durable of the dead letters of all nodes. */
#ifndef WEIR_SIM_LETTERS_H
#define WEIR_SIM_LETTERS_H

#include <stdbool.h>
#include <stdint.h>

/* Is there a letter of the event at that place, whole and on a platter? */
bool letters_have(int32_t partition, int64_t offset);

#endif
