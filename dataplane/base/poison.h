/*
 * poison.h: tells AddressSanitizer which bytes of our own reservations may not be touched now.
 *
 * The slab and the arenas hand out parts of one large mapping, so the sanitizer alone would not see
 * a use after give or a write past the end. In a build without it both are nothing.
 */
#ifndef WEIR_BASE_POISON_H
#define WEIR_BASE_POISON_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#endif

#ifdef WEIR_ASAN

#include <sanitizer/asan_interface.h>

static inline void poison(const void *from, size_t bytes)
{
    ASAN_POISON_MEMORY_REGION(from, bytes);
}

static inline void unpoison(const void *from, size_t bytes)
{
    ASAN_UNPOISON_MEMORY_REGION(from, bytes);
}

#else

static inline void poison(const void *from, size_t bytes)
{
    (void)from;
    (void)bytes;
}

static inline void unpoison(const void *from, size_t bytes)
{
    (void)from;
    (void)bytes;
}

#endif

#endif
