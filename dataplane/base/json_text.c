/*
 * json_text.c: what a JSON string means, whether bytes are text at all, errors in words, and values
 * without the line breaks between their tokens.
 *
 *     "caf\u00e9 \ud83d\ude00"  ──json_unescape()──►  café and one emoji, in UTF-8
 *
 * Everything works on tokens that the scanner has passed, so the grammar is not looked at again;
 * where the promise is broken it asserts, before it would read behind the token. The result is
 * never longer than the token's inside: the shortest escape of a code point, six bytes, gives at
 * most three, and a pair gives four for twelve.
 *
 * What this does not do: normalise, fold case, or judge what a code point is.
 */
#include "dataplane/base/json.h"

#include "dataplane/base/check.h"
#include "dataplane/base/utf8.h"

#include <stdint.h>

const char *json_error_text(enum json_error error)
{
    switch (error) {
    case JSON_OK:
        return "no error";
    case JSON_SYNTAX:
        return "syntax error";
    case JSON_TRUNCATED:
        return "text ends inside a value";
    case JSON_UTF8:
        return "invalid UTF-8";
    case JSON_CONTROL:
        return "raw control character";
    case JSON_DEPTH:
        return "nested too deep";
    }
    return "unknown error";
}

uint32_t json_hex4(const char *at)
{
    uint32_t number = 0;

    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];

        number = number << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return number;
}

static size_t utf8_put(uint32_t point, char *out)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

/* The code point of the \u escape whose digits start at *at, with its low half if it is a pair;
 * moves *at past it. */
static uint32_t unescape_point(const char **at, const char *end)
{
    uint32_t point = json_hex4(*at);

    *at += 4;
    if (point < 0xd800 || point > 0xdfff)
        return point;
    if (point < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low = json_hex4(*at + 2);

        if (low >= 0xdc00 && low <= 0xdfff) {
            *at += 6;
            return 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

static char unescape_char(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* A quote, a backslash or a slash, which mean themselves. */
    }
}

size_t json_unescape(struct slice raw, char *out)
{
    char *to = out;
    const char *at, *end;

    ASSERT(raw.len >= 2 && raw.data[0] == '"' && raw.data[raw.len - 1] == '"');
    at = raw.data + 1;
    end = raw.data + raw.len - 1;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((slash ? slash : end) - at);

        memcpy(to, at, plain);
        to += plain;
        if (!slash)
            break;
        at = slash + 2;
        ASSERT(at <= end && (at[-1] != 'u' || end - at >= 4)); /* The token was scanned. */
        if (at[-1] == 'u')
            to += utf8_put(unescape_point(&at, end), to);
        else
            *to++ = unescape_char(at[-1]);
    }
    return (size_t)(to - out);
}

bool utf8_valid(struct slice text)
{
    size_t at = 0;

    while (at < text.len) {
        uint64_t word;
        unsigned len;

        if (text.len - at >= sizeof(word)) {
            memcpy(&word, text.data + at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(word);
                continue;
            }
        }
        len = utf8_sequence(text.data + at, text.len - at);
        if (len == UTF8_BAD || len == UTF8_CUT)
            return false;
        at += len;
    }
    return true;
}

bool json_has_breaks(struct slice raw)
{
    return memchr(raw.data, '\n', raw.len) != NULL || memchr(raw.data, '\r', raw.len) != NULL;
}

size_t json_join_lines(struct slice raw, char *out)
{
    bool quoted = false;
    char *to = out;

    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];

        if (!quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            continue;
        *to++ = c;
        if (c == '"') {
            quoted = !quoted;
        } else if (c == '\\') { /* Only in a string: what follows it does not end the string. */
            ASSERT(i + 1 < raw.len);
            *to++ = raw.data[++i];
        }
    }
    return (size_t)(to - out);
}
