/*
 * memory.h: all memory that the data path uses, reserved at start and sealed.
 *
 * Nothing on an event's way calls malloc. What a shard needs is reserved here before its first
 * step, printed, and then sealed: a reservation after memory_seal() is our bug and asserts.
 * (Libraries keep their own heaps.)
 */
#ifndef WEIR_BASE_MEMORY_H
#define WEIR_BASE_MEMORY_H

#include <stddef.h>

enum hugepages { HUGEPAGES_AUTO, HUGEPAGES_REQUIRE, HUGEPAGES_OFF };

/* Start-up only. AUTO asks the kernel by madvise; REQUIRE takes MAP_HUGETLB and is fatal where
 * there are none. */
void memory_setup(enum hugepages hugepages);

/* Zeroed, page-aligned bytes that count against the process at once as they are touched. Start-up
 * only; never NULL: too little memory is fatal(), naming `what`. Never given back. */
void *memory_reserve(size_t bytes, const char *what);

/* Address space that costs memory only where it is touched (MAP_NORESERVE): for buffers whose usual
 * size is small and whose bound is large. Same rules. */
void *memory_reserve_virtual(size_t bytes, const char *what);

/* Gives the touched pages of a virtual reservation beyond the first `keep` bytes back to the
 * kernel. Any thread that owns the buffer. */
void memory_trim(void *reserved, size_t bytes, size_t keep);

/* How much of a virtual reservation its owner keeps once it was touched; what a larger event or
 * document needed goes back when it is done with. 8 MiB, unless set; start-up only, before anything
 * is reserved. Any thread may ask. */
void memory_keep(size_t bytes);
size_t memory_keep_bytes(void);

/* Start-up only: a library was told to stay within so many bytes of its own heap. */
void memory_count_library(size_t bytes);

/* From here on a reservation asserts. memory_unseal() is for tests only. */
void memory_seal(void);
void memory_unseal(void);

/* What was reserved with memory_reserve() so far, in bytes. Any thread. */
size_t memory_reserved_bytes(void);

/* What the virtual reservations take with what is kept of them, and what libraries were told. */
size_t memory_buffer_bytes(void);
size_t memory_library_bytes(void);

#endif
