/*
 * chunk.c: the memory of a config and of the tree that it is read from.
 *
 * Both are built once, piece by piece, and dropped whole, so pieces are cut from a list of heap
 * blocks and never given back one by one:
 *
 *     list -> [ newest block: used | free ] -> [ block ] -> [ block ] -> NULL
 *
 * A piece that is larger than a block gets a block of its own size. This is cold code: it is not
 * for the event path, which reserves its memory with memory.h.
 */
#include "config/chunk.h"

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, CHUNK_ALIGN = 16 };

struct config_chunk {
    struct config_chunk *next;
    size_t used, size;
    _Alignas(CHUNK_ALIGN) char bytes[];
};

static struct config_chunk *chunk_new(struct config_chunk *next, size_t size)
{
    struct config_chunk *chunk = calloc(1, sizeof(*chunk) + size);
    if (chunk == NULL)
        fatal(EXIT_SOFTWARE, "config: out of memory");
    chunk->next = next;
    chunk->size = size;
    return chunk;
}

void *chunk_take(struct config_chunk **list, size_t bytes)
{
    ASSERT(bytes < SIZE_MAX / 2);
    bytes = (bytes + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
    struct config_chunk *chunk = *list;
    if (chunk == NULL || chunk->size - chunk->used < bytes)
        *list = chunk = chunk_new(chunk, bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES);
    void *taken = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return taken;
}

char *chunk_text(struct config_chunk **list, const char *text, size_t len)
{
    char *copy = chunk_take(list, len + 1);
    memcpy(copy, text, len);
    return copy;
}

void chunk_free_all(struct config_chunk *list)
{
    while (list != NULL) {
        struct config_chunk *next = list->next;
        free(list);
        list = next;
    }
}
