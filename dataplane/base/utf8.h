/* utf8.h: one UTF-8 sequence (RFC 3629, section 4). Internal to base; utf8_valid() in json.h is the
 * public door. */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#define UTF8_BAD 0u /* no text can make this a sequence */
#define UTF8_CUT 9u /* well-formed so far, but the text ends inside */

static inline bool utf8_continues(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The least and greatest second byte keep out overlong forms, surrogates, and what is above
 * U+10FFFF. */
static inline bool utf8_second(unsigned char lead, unsigned char second)
{
    unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned greatest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

    return second >= least && second <= greatest;
}

/* The length (1 to 4) of the sequence at `text`, of which `left` > 0 bytes are there; or UTF8_BAD,
 * UTF8_CUT. */
static inline unsigned utf8_sequence(const char *text, size_t left)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (len == 1)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return UTF8_BAD;
    if (left < 2)
        return UTF8_CUT;
    if (!utf8_second(at[0], at[1]))
        return UTF8_BAD;
    for (unsigned i = 2; i < len; i++) {
        if (i == left)
            return UTF8_CUT;
        if (!utf8_continues(at[i]))
            return UTF8_BAD;
    }
    return len;
}

#endif
