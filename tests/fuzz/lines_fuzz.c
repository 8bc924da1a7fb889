/*
 * lines_fuzz.c: a file's bytes become lines (drivers/file/stream.h, lines.h).
 *
 * The input's first byte is the codec. A plain file is written by operations (so many bytes of a
 * kind, an end of a line), because its lines are to be longer than a chunk and than the bound. A
 * compressed one is the input itself: what a damaged or hostile file holds.
 *
 * - The lines are those that a plain search for newlines finds, each where it lies in the file;
 *   lines that are held stay as they were while others are read.
 * - What a compressed file gives does not depend on how much is asked for at a time; of a damaged
 *   one, where the bytes end before the damage may.
 */
#include "fuzz.h"

#include "drivers/file/lines.h"

#include <sys/mman.h>
#include <xxhash.h>

#define CONTENT_BYTES_MAX ((size_t)2 << 20)
#define LINE_BYTES_MAX    ((size_t)300 << 10)
#define HELD_MAX          4096u

struct held {
    struct line line;
    uint64_t hash;
};

static struct lines lines;
static struct held held[HELD_MAX];
static unsigned n_held;
static char *content, *unpacked;
static char in[STREAM_IN_BYTES];
static int file;

void fuzz_setup(void)
{
    lines_open(&lines, LINE_BYTES_MAX);
    content = memory_reserve_virtual(CONTENT_BYTES_MAX, "a file");
    unpacked = memory_reserve_virtual(2 * CONTENT_BYTES_MAX, "a file twice");
    file = memfd_create("file", MFD_CLOEXEC);
    assert_true(file >= 0);
}

static void open_stream(struct stream *stream, enum codec codec, struct slice bytes)
{
    struct err err;

    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, bytes.data, bytes.len, 0), (ssize_t)bytes.len);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    assert_int_equal(stream_open(stream, file, codec, in, &err), 0);
}

/* ---- plain files ---- */

static size_t write_content(struct fuzz *fuzz)
{
    static const char kinds[] = "a\r\n{x";
    size_t len = 0;

    while (fuzz->left.len > 0) {
        unsigned what = fuzz_u8(fuzz);
        size_t n = what < 224 ? 1 + what / 8 : (size_t)fuzz_u16(fuzz) << (what / 8 % 4);

        if (n > CONTENT_BYTES_MAX - len)
            break;
        memset(content + len, kinds[what % 5], n);
        len += n;
        if (what % 8 > 4 && len < CONTENT_BYTES_MAX)
            content[len++] = '\n';
    }
    return len;
}

static uint64_t hash_of(struct slice bytes)
{
    return XXH3_64bits(bytes.data, bytes.len);
}

static void release(unsigned i)
{
    assert_true(hash_of(held[i].line.bytes) == held[i].hash);
    lines_release(held[i].line.chunk);
    held[i] = held[--n_held];
}

static void hold(const struct line *line)
{
    if (n_held == HELD_MAX)
        release(0);
    lines_hold(line);
    held[n_held++] = (struct held){ *line, hash_of(line->bytes) };
}

/* The next line that is not empty, by a plain search; false: none. */
static bool wanted_line(struct slice text, size_t *at, int64_t *number, struct slice *line)
{
    while (*at < text.len) {
        const char *from = text.data + *at, *end = memchr(from, '\n', text.len - *at);
        size_t len = end != NULL ? (size_t)(end - from) : text.len - *at;

        *at += len + (end != NULL);
        (*number)++;
        /* Over the bound the end is not kept, and so the return before it not seen. */
        if (len > 0 && from[len - 1] == '\r' && len <= LINE_BYTES_MAX)
            len--;
        *line = (struct slice){ from, len };
        if (len > 0)
            return true;
    }
    return false;
}

static void check_line(const struct line *line, enum lines_verdict verdict, struct slice wanted,
                       struct slice text)
{
    assert_int_equal(line->from, wanted.data - text.data);
    if (verdict == LINES_LINE) {
        assert_int_equal(line->to - line->from, wanted.len);
        assert_true(slice_equal(line->bytes, wanted));
        return;
    }
    assert_int_equal(verdict, LINES_OVERSIZED);
    assert_true(wanted.len > LINE_BYTES_MAX);
    assert_int_equal(line->bytes.len, LINES_KEPT_BYTES);
    assert_memory_equal(line->bytes.data, wanted.data, LINES_KEPT_BYTES);
}

static void check_lines(struct slice text, struct dice *dice)
{
    int64_t number = -1;
    size_t at = 0;

    for (;;) {
        enum lines_verdict verdict;
        struct slice wanted;
        struct line line;

        verdict = lines_next(&lines, &line);
        if (verdict == LINES_FULL) {
            assert_true(n_held > 0);
            release((unsigned)dice_throw(dice, n_held));
            continue;
        }
        if (!wanted_line(text, &at, &number, &wanted)) {
            assert_int_equal(verdict, LINES_END);
            return;
        }
        assert_true(verdict == LINES_LINE || verdict == LINES_OVERSIZED);
        check_line(&line, verdict, wanted, text);
        assert_int_equal(line.number, number);
        if (dice_throw(dice, 3) > 0)
            hold(&line);
        while (n_held > 0 && dice_throw(dice, 4) == 0)
            release((unsigned)dice_throw(dice, n_held));
    }
}

static void plain(struct fuzz *fuzz, struct dice *dice)
{
    struct slice text = { content, write_content(fuzz) };
    struct stream stream;

    open_stream(&stream, CODEC_NONE, text);
    lines_begin(&lines, &stream);
    check_lines(text, dice);
    stream_close(&stream);
    while (n_held > 0)
        release(0);
}

/* ---- compressed files ---- */

/* What the stream gives, up to a bound; *ended is how it ended, CONTENT_BYTES_MAX: not yet. */
static struct slice unpack(enum codec codec, struct slice bytes, struct dice *dice, char *to,
                           int64_t *ended)
{
    struct stream stream;
    size_t len = 0;
    int64_t got = 1;

    open_stream(&stream, codec, bytes);
    while (got > 0 && len < CONTENT_BYTES_MAX) {
        size_t room = CONTENT_BYTES_MAX - len;

        if (dice != NULL && room > 100)
            room = 1 + dice_throw(dice, 100);
        got = stream_read(&stream, to + len, room);
        assert_true(got <= (int64_t)room && got != STREAM_AGAIN);
        len += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(got == STREAM_DAMAGED, stream.fault[0] != '\0');
    *ended = got > 0 ? (int64_t)CONTENT_BYTES_MAX : got;
    stream_close(&stream);
    return (struct slice){ to, len };
}

static void compressed(enum codec codec, struct slice bytes, struct dice *dice)
{
    int64_t ended, ended_again;
    struct slice whole = unpack(codec, bytes, NULL, unpacked, &ended), again;

    if (whole.len > 20000) /* A bomb; a hundred bytes at a time it would take all day. */
        return;
    again = unpack(codec, bytes, dice, unpacked + CONTENT_BYTES_MAX, &ended_again);
    assert_int_equal(ended, ended_again);
    if (ended == STREAM_DAMAGED) {
        size_t both = whole.len < again.len ? whole.len : again.len;

        whole.len = again.len = both;
    }
    fuzz_same(again, whole, "the file a few bytes at a time");
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };
    struct dice dice = dice_of(input);
    enum codec codec = (enum codec)(fuzz_u8(&fuzz) % 4);

    if (codec == CODEC_NONE)
        plain(&fuzz, &dice);
    else
        compressed(codec, fuzz.left, &dice);
}
