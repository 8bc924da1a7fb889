/*
 * stream.c: read(2), and three decompressors behind one loop.
 *
 *     descriptor -> in[128 KiB] -> step_gzip | step_zstd | step_lz4 -> the caller's buffer
 *     descriptor ------------------------------------------(plain)--> the caller's buffer
 *
 * A step takes what it can of the input and makes what fits. Members and frames may follow each
 * other (`cat a.gz b.gz`): `inside` says whether the end of the input would be an end or a cut. A
 * file of no bytes at all holds no frame and is simply empty, whatever its name. Zeros after a gzip
 * member are padding, as gzip(1) has it.
 *
 * A fault never takes back what was decompressed before it: bytes made in the same step are
 * returned first, and the fault by the next call. zstd and lz4 do not say what they made before a
 * fault, so they get one block a step. What this does not do: look at the contents to find the
 * codec, or read `.lz4` files in the legacy format of before 2013.
 */
#include "drivers/file/stream.h"

#include <errno.h>
#include <lz4frame.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define FRAME_START_BYTES 16 /* enough for the header of a frame or most of it */

/* What a step did. */
struct step {
    size_t took, made;
    bool done;         /* a frame ended here */
    const char *fault; /* NULL: none */
};

static bool ends_in(const char *path, const char *suffix)
{
    size_t len = strlen(path), suffix_len = strlen(suffix);

    return len > suffix_len && strcasecmp(path + len - suffix_len, suffix) == 0;
}

enum codec stream_codec(const char *path)
{
    if (ends_in(path, ".gz"))
        return CODEC_GZIP;
    if (ends_in(path, ".zst"))
        return CODEC_ZSTD;
    if (ends_in(path, ".lz4"))
        return CODEC_LZ4;
    return CODEC_NONE;
}

static z_stream *open_gzip(void)
{
    z_stream *zlib = calloc(1, sizeof(*zlib));

    if (zlib && inflateInit2(zlib, 15 + 16) != Z_OK) { /* The widest window, gzip's wrapping. */
        free(zlib);
        zlib = NULL;
    }
    return zlib;
}

static LZ4F_dctx *open_lz4(void)
{
    LZ4F_dctx *lz4 = NULL;

    return LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)) ? NULL : lz4;
}

int stream_open(struct stream *stream, int fd, enum codec codec, char *in, struct err *err)
{
    *stream = (struct stream){ .fd = fd, .codec = codec, .in = in };
    switch (codec) {
    case CODEC_NONE:
        return 0;
    case CODEC_GZIP:
        stream->state = open_gzip();
        break;
    case CODEC_ZSTD:
        stream->state = ZSTD_createDStream();
        break;
    case CODEC_LZ4:
        stream->state = open_lz4();
        break;
    }
    if (!stream->state)
        return err_set(err, EXIT_SOFTWARE, "no memory for a decompressor");
    return 0;
}

void stream_close(struct stream *stream)
{
    switch (stream->codec) {
    case CODEC_NONE:
        break;
    case CODEC_GZIP:
        if (stream->state)
            inflateEnd(stream->state);
        free(stream->state);
        break;
    case CODEC_ZSTD:
        ZSTD_freeDStream(stream->state);
        break;
    case CODEC_LZ4:
        LZ4F_freeDecompressionContext(stream->state);
        break;
    }
    stream->state = NULL;
    stream->codec = CODEC_NONE;
}

static int64_t damaged(struct stream *stream, const char *fault)
{
    if (stream->fault[0] == '\0')
        snprintf(stream->fault, sizeof(stream->fault), "%s", fault);
    return STREAM_DAMAGED;
}

static int64_t read_some(struct stream *stream, char *out, size_t room)
{
    struct pollfd wait = { .fd = stream->fd, .events = POLLIN };
    ssize_t got;

    if (stream->waits && poll(&wait, 1, 0) == 0)
        return STREAM_AGAIN;
    do {
        got = read(stream->fd, out, room);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? STREAM_AGAIN : damaged(stream, strerror(errno));
    stream->taken += (uint64_t)got;
    return got;
}

static struct step step_gzip(struct stream *stream, char *out, size_t room)
{
    z_stream *zlib = stream->state;
    struct step step = { 0 };
    uInt in_len = (uInt)(stream->in_len - stream->in_at);
    uInt out_len = room > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)room;
    int result;

    zlib->next_in = (Bytef *)stream->in + stream->in_at;
    zlib->avail_in = in_len;
    zlib->next_out = (Bytef *)out;
    zlib->avail_out = out_len;
    result = inflate(zlib, Z_NO_FLUSH);
    step.took = in_len - zlib->avail_in;
    step.made = out_len - zlib->avail_out;
    step.done = result == Z_STREAM_END;
    if (step.done)
        inflateReset(zlib);
    else if (result != Z_OK && result != Z_BUF_ERROR)
        step.fault = zlib->msg ? zlib->msg : "corrupt gzip data";
    return step;
}

/* No more than the next block of what is there, as the last step foretold it. */
static size_t block_bytes(const struct stream *stream)
{
    size_t there = stream->in_len - stream->in_at;
    size_t wanted = stream->hint > 0 ? stream->hint : FRAME_START_BYTES;

    return there < wanted ? there : wanted;
}

static struct step step_zstd(struct stream *stream, char *out, size_t room)
{
    ZSTD_inBuffer in = { stream->in + stream->in_at, block_bytes(stream), 0 };
    ZSTD_outBuffer made = { out, room, 0 };
    size_t result = ZSTD_decompressStream(stream->state, &made, &in);
    struct step step = { .took = in.pos, .made = made.pos, .done = result == 0 };

    if (ZSTD_isError(result))
        step.fault = ZSTD_getErrorName(result);
    else
        stream->hint = result;
    return step;
}

static struct step step_lz4(struct stream *stream, char *out, size_t room)
{
    size_t took = block_bytes(stream), made = room;
    size_t result =
        LZ4F_decompress(stream->state, out, &made, stream->in + stream->in_at, &took, NULL);
    struct step step = { .took = took, .made = made, .done = result == 0 };

    if (LZ4F_isError(result)) {
        step.took = step.made = 0; /* The library does not say what they are then. */
        step.fault = LZ4F_getErrorName(result);
    } else {
        stream->hint = result;
    }
    return step;
}

static struct step step_codec(struct stream *stream, char *out, size_t room)
{
    switch (stream->codec) {
    case CODEC_GZIP:
        return step_gzip(stream, out, room);
    case CODEC_ZSTD:
        return step_zstd(stream, out, room);
    case CODEC_LZ4:
        return step_lz4(stream, out, room);
    case CODEC_NONE:
        break;
    }
    ASSERT(stream->codec != CODEC_NONE);
    return (struct step){ 0 };
}

/* Zeros between and after gzip members are padding (tapes, `truncate -s`). */
static void skip_padding(struct stream *stream)
{
    if (stream->codec != CODEC_GZIP || stream->inside || stream->taken == stream->in_len)
        return;
    while (stream->in_at < stream->in_len && stream->in[stream->in_at] == '\0')
        stream->in_at++;
}

/* More input where there is none: > 0, or what stream_read() is to return. */
static int64_t refill(struct stream *stream)
{
    int64_t got = read_some(stream, stream->in, STREAM_IN_BYTES);

    if (got == 0 && stream->inside)
        return damaged(stream, "it is cut short: its compressed data has no end");
    if (got > 0) {
        stream->in_at = 0;
        stream->in_len = (size_t)got;
        skip_padding(stream);
    }
    return got;
}

int64_t stream_read(struct stream *stream, char *out, size_t room)
{
    ASSERT(room > 0);
    if (stream->fault[0] != '\0')
        return STREAM_DAMAGED;
    if (stream->codec == CODEC_NONE)
        return read_some(stream, out, room);
    for (;;) {
        struct step step;

        if (stream->in_at == stream->in_len && !stream->drain) {
            int64_t got = refill(stream);

            if (got <= 0)
                return got;
            continue;
        }
        step = step_codec(stream, out, room);
        stream->in_at += step.took;
        stream->inside = !step.done && (stream->inside || step.took > 0);
        stream->drain = stream->inside && step.made == room;
        if (step.done)
            skip_padding(stream);
        if (!step.fault && step.took + step.made == 0 && stream->in_at < stream->in_len)
            step.fault = "its compressed data makes no progress";
        if (step.fault)
            (void)damaged(stream, step.fault);
        if (step.made > 0)
            return (int64_t)step.made;
        if (step.fault)
            return STREAM_DAMAGED;
    }
}
