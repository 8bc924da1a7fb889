/*
 * node_memory.c: see node_memory.h.
 *
 *     memory_reserve(), memory_reserve_virtual() ─┐
 *     malloc, calloc, realloc, strdup, strndup ───┴─► the n-th of a life fails, before its seal
 *                                                     after it: blamed on whoever calls
 *
 * Libraries call libc themselves: theirs are not counted (tests/fault breaks them). What a life
 * took is never given back; a history has few of them.
 */
#include "tests/sim/node_memory.h"

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"
#include "dataplane/base/memory.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { NODES_MAX = 8 };

#define CALLS_AT_FIRST 300 /* about what a start takes; later: what the last one took */
#define PAGE_BYTES     ((size_t)4096)

static struct node_memory {
    struct env *control; /* its present life's; NULL: none yet */
    bool sealed, failed;
    unsigned n_calls, fails_at;
} memories[NODES_MAX];

static unsigned usual_calls = CALLS_AT_FIRST;
static size_t reserved_bytes, buffer_bytes, library_bytes, keep_bytes = (size_t)8 << 20;

void node_memory_begin(void)
{
    struct node_memory *memory = &memories[sim_node_here()];
    *memory = (struct node_memory){ .control = sim_env_here() };
    if (sim_chance(sim_dials()->no_memory))
        memory->fails_at = 1 + sim_below(usual_calls);
}

bool node_memory_failed(unsigned node)
{
    return memories[node].failed;
}

/* Is there no memory for this call of our code? */
static bool refused(const char *what)
{
    int node = sim_node_here();
    struct node_memory *memory = &memories[node < 0 ? 0 : node];
    if (node < 0 || memory->sealed || ++memory->n_calls != memory->fails_at)
        return false;
    sim_trace("node %d gets no memory: %s, call %u", node, what, memory->n_calls);
    memory->failed = true;
    errno = ENOMEM;
    return true;
}

/* ---- memory.h ---- */

static void *reserve(size_t bytes, const char *what, int flags)
{
    int node = sim_node_here();
    void *at;
    if (node >= 0 && memories[node].sealed)
        sim_blame("no allocation after start", "node %d reserves %zu bytes for %s", node, bytes,
                  what);
    if (refused(what))
        fatal(EXIT_CONFIG, "cannot reserve %zu bytes for %s: %s", bytes, what, strerror(errno));
    bytes = (bytes + PAGE_BYTES) / PAGE_BYTES * PAGE_BYTES;
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    ASSERT(at != MAP_FAILED);
    return at;
}

void *memory_reserve(size_t bytes, const char *what)
{
    reserved_bytes += bytes;
    return reserve(bytes, what, 0);
}

void *memory_reserve_virtual(size_t bytes, const char *what)
{
    buffer_bytes += bytes < keep_bytes ? bytes : keep_bytes;
    return reserve(bytes, what, MAP_NORESERVE);
}

void memory_trim(void *reserved, size_t bytes, size_t keep)
{
    size_t from = (keep + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (from < bytes)
        (void)madvise((char *)reserved + from, bytes - from, MADV_DONTNEED);
}

void memory_setup(enum hugepages hugepages)
{
    (void)hugepages;
}

void memory_keep(size_t bytes)
{
    keep_bytes = bytes;
}

size_t memory_keep_bytes(void)
{
    return keep_bytes;
}

void memory_count_library(size_t bytes)
{
    library_bytes += bytes;
}

void memory_seal(void)
{
    struct node_memory *memory = &memories[sim_node_here()];
    memory->sealed = true;
    usual_calls = memory->n_calls;
}

void memory_unseal(void)
{
}

size_t memory_reserved_bytes(void)
{
    return reserved_bytes;
}

size_t memory_buffer_bytes(void)
{
    return buffer_bytes;
}

size_t memory_library_bytes(void)
{
    return library_bytes;
}

/* ---- libc's, as our code calls them ---- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);

static bool may_not(const char *what)
{
    int node = sim_node_here();
    if (node >= 0 && memories[node].sealed && sim_env_here() != memories[node].control)
        sim_blame("no allocation after start", "a shard of node %d calls %s", node, what);
    return refused(what);
}

void *__wrap_malloc(size_t bytes)
{
    return may_not("malloc") ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    return may_not("calloc") ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *block, size_t bytes)
{
    return may_not("realloc") ? NULL : __real_realloc(block, bytes);
}

char *__wrap_strdup(const char *text)
{
    return may_not("strdup") ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t bytes)
{
    return may_not("strndup") ? NULL : __real_strndup(text, bytes);
}
