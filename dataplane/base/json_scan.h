/*
 * json_scan.h: how far a string body runs before a byte that needs a look. Internal to base; shown
 * for its tests.
 *
 * Three questions, one loop: STRICT stops at '"', '\\', below 0x20 and at 0x80 and above (a first
 * scan); ESCAPE does not stop at 0x80 and above (writing text that is known to be UTF-8); SKIP
 * stops at '"' and '\\' only (text that was scanned before). The question is a constant at each
 * call, so the compiler makes three loops.
 *
 * The vector form looks at 16 bytes at a time, the portable one at 8. Neither reads at or past
 * `end`.
 */
#ifndef WEIR_BASE_JSON_SCAN_H
#define WEIR_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum json_run { JSON_RUN_STRICT, JSON_RUN_ESCAPE, JSON_RUN_SKIP };

static inline bool json_run_stops(unsigned char c, enum json_run run)
{
    return c == '"' || c == '\\' || (run != JSON_RUN_SKIP && c < 0x20) ||
           (run == JSON_RUN_STRICT && c >= 0x80);
}

static inline const char *json_run_bytes(const char *at, const char *end, enum json_run run)
{
    while (at < end && !json_run_stops((unsigned char)*at, run))
        at++;
    return at;
}

/* The high bit of a byte of the result is set where that byte of the word stops the run. Bytes
 * above the first such one may be wrong (the subtractions borrow), which is why the caller then
 * looks byte by byte. */
static inline uint64_t json_run_word(uint64_t word, enum json_run run)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    uint64_t stops = ((quote - ones) & ~quote) | ((slash - ones) & ~slash);

    if (run != JSON_RUN_SKIP)
        stops |= (word - ones * 0x20) & ~word;
    if (run == JSON_RUN_STRICT)
        stops |= word;
    return stops & highs;
}

static inline const char *json_run_portable(const char *at, const char *end, enum json_run run)
{
    while (end - at >= 8) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        if (json_run_word(word, run) != 0)
            break;
        at += 8;
    }
    return json_run_bytes(at, end, run);
}

#if defined(__SSE2__)
static inline const char *json_run_sse2(const char *at, const char *end, enum json_run run)
{
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1f);

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash));
        unsigned mask;

        if (run != JSON_RUN_SKIP) /* An unsigned c <= 0x1f, which SSE2 has no comparison for. */
            stops = _mm_or_si128(stops, _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
        mask = (unsigned)_mm_movemask_epi8(stops);
        if (run == JSON_RUN_STRICT)
            mask |= (unsigned)_mm_movemask_epi8(bytes);
        if (mask != 0)
            return at + __builtin_ctz(mask);
    }
    return json_run_portable(at, end, run);
}
#endif

static inline const char *json_run(const char *at, const char *end, enum json_run run)
{
#if defined(__SSE2__)
    return json_run_sse2(at, end, run);
#else
    return json_run_portable(at, end, run);
#endif
}

#endif
