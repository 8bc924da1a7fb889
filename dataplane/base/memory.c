/*
 * memory.c: the one place that asks the kernel for memory on behalf of the data path.
 *
 * Every reservation is a private anonymous mapping, and none is ever given back, so there is no
 * table of them: a total and the seal are all the state. Pages arrive when they are touched.
 *
 *     memory_reserve()          counted; 2 MiB and more in huge pages, as set up
 *     memory_reserve_virtual()  address space, of which memory_trim() takes pages back;
 *                               counted with what is kept of it
 *
 * Small reservations always use plain pages: tables of a few KiB would cost 2 MiB each.
 *
 * What this does not do: bind to a NUMA node. First touch decides, and a shard touches its memory
 * itself.
 */
#include "dataplane/base/memory.h"

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define MAP_HUGE_2_MIB  (21 << MAP_HUGE_SHIFT)

static enum hugepages hugepages_mode = HUGEPAGES_AUTO;
static atomic_bool sealed;
static atomic_size_t reserved_bytes, buffer_bytes, library_bytes;
static size_t keep_bytes = (size_t)8 << 20;

static size_t round_up(size_t bytes, size_t unit)
{
    ASSERT(bytes <= SIZE_MAX - unit);
    return (bytes + unit - 1) / unit * unit;
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void *map(size_t bytes, int flags)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* Maps one huge page more than wanted and cuts both ends off, so that the rest starts on a huge
 * page. */
static void *map_aligned(size_t bytes)
{
    char *wide = map(bytes + HUGE_PAGE_BYTES, 0);
    size_t head;

    if (wide == MAP_FAILED)
        return MAP_FAILED;
    head = round_up((uintptr_t)wide, HUGE_PAGE_BYTES) - (uintptr_t)wide;
    if (head > 0)
        ASSERT(munmap(wide, head) == 0);
    if (head < HUGE_PAGE_BYTES)
        ASSERT(munmap(wide + head + bytes, HUGE_PAGE_BYTES - head) == 0);
    return wide + head;
}

static void *map_huge(size_t bytes)
{
    void *at;

    if (hugepages_mode == HUGEPAGES_REQUIRE)
        return map(bytes, MAP_HUGETLB | MAP_HUGE_2_MIB);
    at = map_aligned(bytes);
    /* A kernel without transparent huge pages says EINVAL; AUTO means "if there are any", so plain
     * pages do. */
    if (at != MAP_FAILED)
        (void)madvise(at, bytes, MADV_HUGEPAGE);
    return at;
}

static _Noreturn void reserve_failed(size_t bytes, const char *what, int error)
{
    bool huge = hugepages_mode == HUGEPAGES_REQUIRE && bytes >= HUGE_PAGE_BYTES;

    fatal(EXIT_CONFIG, "cannot reserve %zu MiB%s for %s: %s", (bytes + (1 << 20) - 1) >> 20,
          huge ? " of huge pages (see vm.nr_hugepages)" : "", what, strerror(error));
}

void memory_setup(enum hugepages hugepages)
{
    ASSERT(!atomic_load(&sealed));
    hugepages_mode = hugepages;
}

void *memory_reserve(size_t bytes, const char *what)
{
    bool huge = hugepages_mode != HUGEPAGES_OFF && bytes >= HUGE_PAGE_BYTES;
    size_t whole = round_up(bytes > 0 ? bytes : 1, huge ? HUGE_PAGE_BYTES : page_bytes());
    void *at;

    ASSERT(!atomic_load(&sealed));
    at = huge ? map_huge(whole) : map(whole, 0);
    if (at == MAP_FAILED)
        reserve_failed(bytes, what, errno);
    atomic_fetch_add_explicit(&reserved_bytes, whole, memory_order_relaxed);
    return at;
}

void *memory_reserve_virtual(size_t bytes, const char *what)
{
    void *at;

    ASSERT(!atomic_load(&sealed));
    at = map(round_up(bytes > 0 ? bytes : 1, page_bytes()), MAP_NORESERVE);
    if (at == MAP_FAILED)
        reserve_failed(bytes, what, errno);
    atomic_fetch_add_explicit(&buffer_bytes, bytes < keep_bytes ? bytes : keep_bytes,
                              memory_order_relaxed);
    return at;
}

void memory_keep(size_t bytes)
{
    ASSERT(!atomic_load(&sealed));
    keep_bytes = bytes;
}

size_t memory_keep_bytes(void)
{
    return keep_bytes;
}

void memory_count_library(size_t bytes)
{
    ASSERT(!atomic_load(&sealed));
    atomic_fetch_add_explicit(&library_bytes, bytes, memory_order_relaxed);
}

void memory_trim(void *reserved, size_t bytes, size_t keep)
{
    size_t from = round_up(keep, page_bytes());
    size_t to = round_up(bytes, page_bytes());

    /* It fails only on locked pages (mlockall), which are meant to stay; the contents are dead
     * either way. */
    if (from < to)
        (void)madvise((char *)reserved + from, to - from, MADV_DONTNEED);
}

void memory_seal(void)
{
    atomic_store(&sealed, true);
}

void memory_unseal(void)
{
    atomic_store(&sealed, false);
}

size_t memory_reserved_bytes(void)
{
    return atomic_load_explicit(&reserved_bytes, memory_order_relaxed);
}

size_t memory_buffer_bytes(void)
{
    return atomic_load_explicit(&buffer_bytes, memory_order_relaxed);
}

size_t memory_library_bytes(void)
{
    return atomic_load_explicit(&library_bytes, memory_order_relaxed);
}
