/*
 * value_decimal.c: Connect's decimals, a big-endian two's complement and a scale, as digits.
 *
 *     bytes  2a 3d c7 d9   scale 4     708691929     70869.1929
 *     bytes  ff            scale 2     -1            -0.01
 *     bytes  07            scale -3    7             7000
 *
 * The number is built in limbs of nine decimal digits, least first: each four bytes multiply it by
 * 2^32 and add. That is quadratic, so the length is bounded (VALUE_DECIMAL_BYTES_MAX).
 */
#include "dataplane/value.h"

#define LIMB        1000000000u
#define LIMB_DIGITS 9
#define LIMBS_MAX   (VALUE_DECIMAL_BYTES_MAX * 5 / 2 / LIMB_DIGITS + 2)

struct big {
    uint32_t limbs[LIMBS_MAX];
    unsigned n;
};

/* big = big * 2^bits + word */
static void big_shift_in(struct big *big, unsigned bits, uint32_t word)
{
    uint64_t carry = word;

    for (unsigned i = 0; i < big->n; i++) {
        carry += (uint64_t)big->limbs[i] << bits;
        big->limbs[i] = (uint32_t)(carry % LIMB);
        carry /= LIMB;
    }
    for (; carry > 0; carry /= LIMB) {
        ASSERT(big->n < LIMBS_MAX);
        big->limbs[big->n++] = (uint32_t)(carry % LIMB);
    }
}

/* The magnitude of a two's complement. Of a negative one each byte is inverted and 1 added, which
 * at the end is the same as adding 1 to the number. */
static void big_from_bytes(struct big *big, const unsigned char *bytes, size_t len)
{
    unsigned char flip = bytes[0] & 0x80 ? 0xff : 0;
    size_t at = 0;

    big->n = 0;
    for (; (len - at) % 4 != 0; at++)
        big_shift_in(big, 8, bytes[at] ^ flip);
    for (; at < len; at += 4)
        big_shift_in(big, 32,
                     (uint32_t)(bytes[at] ^ flip) << 24 | (uint32_t)(bytes[at + 1] ^ flip) << 16 |
                         (uint32_t)(bytes[at + 2] ^ flip) << 8 | (uint32_t)(bytes[at + 3] ^ flip));
    if (flip)
        big_shift_in(big, 0, 1);
}

/* The digits, most significant first, at least `width` of them. */
static size_t big_digits(const struct big *big, size_t width, char *out)
{
    char least_first[LIMBS_MAX * LIMB_DIGITS];
    size_t n = 0, zeros, written = 0;

    for (unsigned i = 0; i < big->n; i++)
        for (uint32_t limb = big->limbs[i], d = 0; d < LIMB_DIGITS; d++, limb /= 10)
            least_first[n++] = (char)('0' + limb % 10);
    while (n > 0 && least_first[n - 1] == '0')
        n--;
    zeros = width > n ? width - n : 0;
    memset(out, '0', zeros);
    written = zeros;
    while (n > 0)
        out[written++] = least_first[--n];
    return written;
}

size_t value_decimal_text(const unsigned char *bytes, size_t len, int scale,
                          char out[VALUE_DECIMAL_TEXT_BYTES])
{
    struct big big;
    size_t fraction = scale > 0 ? (size_t)scale : 0, n;
    char *at = out;

    if (len == 0 || len > VALUE_DECIMAL_BYTES_MAX || scale > VALUE_SCALE_MAX ||
        scale < -VALUE_SCALE_MAX)
        return 0;
    big_from_bytes(&big, bytes, len);
    if (bytes[0] & 0x80)
        *at++ = '-';
    n = big_digits(&big, fraction + 1, at);
    if (fraction > 0) {
        memmove(at + n - fraction + 1, at + n - fraction, fraction);
        at[n - fraction] = '.';
        n++;
    } else if (scale < 0 && big.n > 0) {
        memset(at + n, '0', (size_t)-scale);
        n += (size_t)-scale;
    }
    return (size_t)(at - out) + n;
}
