/*
 * stream.h: the bytes of one file, decompressed by what its name ends in.
 *
 * One owner thread. A stream is a plain struct that its port uses again for each file; what a
 * codec's library allocates lives from stream_open() to stream_close().
 */
#ifndef WEIR_FILE_STREAM_H
#define WEIR_FILE_STREAM_H

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_IN_BYTES ((size_t)128 << 10) /* compressed bytes read at once */

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_ZSTD, CODEC_LZ4 };

/* What stream_read() returns beside a count. */
#define STREAM_END     0
#define STREAM_AGAIN   (-1)
#define STREAM_DAMAGED (-2)

struct stream {
    int fd;
    enum codec codec;
    bool waits;  /* a pipe or a terminal: read only where poll(2) says that it will not block */
    bool inside; /* between the first and the last byte of a compressed frame */
    bool drain;  /* the codec may hold output back that did not fit */
    char *in;    /* STREAM_IN_BYTES, the caller's */
    size_t in_at, in_len;
    size_t hint;     /* zstd, lz4: how much input completes the next block, 0 = a frame's start */
    void *state;     /* the codec's own */
    uint64_t taken;  /* bytes read from the descriptor */
    char fault[160]; /* not empty: damaged, and how */
};

/* .gz, .zst, .lz4; anything else is CODEC_NONE. */
enum codec stream_codec(const char *path);

/* Starts at the descriptor's position. `in` is kept until stream_close(); the descriptor stays the
 * caller's. 0, or -1 with *err where the codec's library has no memory. */
MUST_CHECK int stream_open(struct stream *stream, int fd, enum codec codec, char *in,
                           struct err *err);

/* Up to `room` (> 0) bytes into `out`: their count, STREAM_END, STREAM_AGAIN (only if
 * stream->waits), or STREAM_DAMAGED with stream->fault: cut short, corrupt, or a read error. What
 * came before the damage was handed out by earlier calls. May block on a disk. */
MUST_CHECK int64_t stream_read(struct stream *stream, char *out, size_t room);

void stream_close(struct stream *stream);

#endif
