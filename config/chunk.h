/* chunk.h: allocations of the config that all die together. One thread; heap out of memory is
 * fatal(). */
#ifndef WEIR_CONFIG_CHUNK_H
#define WEIR_CONFIG_CHUNK_H

#include <stddef.h>

/* A list of heap blocks; NULL is the empty list. */
struct config_chunk;

/* Zeroed bytes, aligned for any type; never NULL. They live until chunk_free_all(). */
void *chunk_take(struct config_chunk **list, size_t bytes);

/* A NUL-terminated copy of `len` bytes, same lifetime. */
char *chunk_text(struct config_chunk **list, const char *text, size_t len);

void chunk_free_all(struct config_chunk *list);

#endif
