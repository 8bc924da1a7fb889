/*
 * proto.h: protocol buffers on the wire, as much of them as HBase's messages need: fields of a
 * message one after the other, and a writer.
 *
 * Source: protobuf.dev, "Encoding"; the messages are those of HBase's hbase-protocol-shaded
 * (ours are named where they are written and read). Any thread; nothing is allocated, nothing
 * recurses: who wants what is in a nested message opens it as a message of its own.
 */
#ifndef WEIR_HBASE_PROTO_H
#define WEIR_HBASE_PROTO_H

#include "dataplane/base/arena.h"

#include <stdbool.h>

enum proto_type { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

struct proto {
    const char *at, *end;
    bool broken; /* what was read is no message: cut short, a bad tag, a group */
};

struct proto_field {
    uint32_t number;
    enum proto_type type;
    uint64_t value;     /* VARINT, FIXED32, FIXED64 */
    struct slice bytes; /* BYTES: within the message */
};

void proto_open(struct proto *proto, struct slice message);

/* The next field; false at the end, or where proto->broken was set. */
MUST_CHECK bool proto_next(struct proto *proto, struct proto_field *field);

/* A varint from the bytes at *at, which moves behind it. False: cut short, or over 64 bits. */
MUST_CHECK bool proto_varint(const char **at, const char *end, uint64_t *number);

/* ---- writing; the buffer's overflow says whether all had room ---- */

void proto_put_varint(struct buf *out, uint64_t number);
void proto_put_number(struct buf *out, uint32_t field, uint64_t number);
void proto_put_bytes(struct buf *out, uint32_t field, struct slice bytes);

/* A nested message: what is put between begin and end is its content. Its length is written when
 * it is known (the content moves by a byte or more where it has 128 bytes or more). */
size_t proto_begin(struct buf *out, uint32_t field);
void proto_end(struct buf *out, size_t begun);

#endif
