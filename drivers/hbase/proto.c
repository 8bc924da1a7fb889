/*
 * proto.c: protocol buffers on the wire: what is read and written is (number, type, value), flat.
 *
 *     tag varint = number << 3 | type | value: varint, 4 or 8 bytes, or varint length and bytes
 *
 * A reader takes what comes: unknown fields are the caller's to pass over, and everything that does
 * not fit the message makes it broken for good. Groups (types 3 and 4) are long dead, and HBase has
 * none; a message that holds one counts as broken rather than being walked.
 *
 * A writer leaves one byte for a nested message's length, because nearly all have less than 128
 * bytes; a longer one's content is moved when its end is known.
 *
 * What this does not do: schemas, defaults, zigzag numbers, packed lists.
 */
#include "drivers/hbase/proto.h"

#define FIELD_NUMBER_MAX ((UINT32_C(1) << 29) - 1)
#define VARINT_BYTES_MAX 10

bool proto_varint(const char **at, const char *end, uint64_t *number)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_BYTES_MAX && i < (size_t)(end - *at); i++) {
        unsigned char byte = (unsigned char)(*at)[i];

        if (i == VARINT_BYTES_MAX - 1 && byte > 1) /* The tenth byte has room for one bit. */
            return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *at += i + 1;
            *number = value;
            return true;
        }
    }
    return false;
}

void proto_open(struct proto *proto, struct slice message)
{
    const char *at = message.len > 0 ? message.data : "";

    *proto = (struct proto){ .at = at, .end = at + message.len };
}

/* The next `bytes` bytes as a little-endian number. */
static bool fixed(struct proto *proto, unsigned bytes, uint64_t *number)
{
    *number = 0;
    if ((size_t)(proto->end - proto->at) < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        *number |= (uint64_t)(unsigned char)proto->at[i] << (8 * i);
    proto->at += bytes;
    return true;
}

static bool field_value(struct proto *proto, struct proto_field *field)
{
    uint64_t len;

    switch (field->type) {
    case PROTO_VARINT:
        return proto_varint(&proto->at, proto->end, &field->value);
    case PROTO_FIXED64:
        return fixed(proto, 8, &field->value);
    case PROTO_FIXED32:
        return fixed(proto, 4, &field->value);
    case PROTO_BYTES:
        if (!proto_varint(&proto->at, proto->end, &len) || len > (size_t)(proto->end - proto->at))
            return false;
        field->bytes = (struct slice){ proto->at, (size_t)len };
        proto->at += len;
        return true;
    }
    return false; /* a type that the wire has room for and the format has not */
}

bool proto_next(struct proto *proto, struct proto_field *field)
{
    uint64_t tag;

    *field = (struct proto_field){ 0 };
    if (proto->broken || proto->at == proto->end)
        return false;
    if (!proto_varint(&proto->at, proto->end, &tag) || tag >> 3 == 0 ||
        tag >> 3 > FIELD_NUMBER_MAX) {
        proto->broken = true;
        return false;
    }
    field->number = (uint32_t)(tag >> 3);
    field->type = (enum proto_type)(tag & 7);
    proto->broken = !field_value(proto, field);
    return !proto->broken;
}

/* Returns how many bytes it took. */
static unsigned encode(char to[VARINT_BYTES_MAX], uint64_t number)
{
    unsigned len = 0;

    for (; number >= 0x80; number >>= 7)
        to[len++] = (char)(number | 0x80);
    to[len++] = (char)number;
    return len;
}

void proto_put_varint(struct buf *out, uint64_t number)
{
    char bytes[VARINT_BYTES_MAX];

    buf_put(out, bytes, encode(bytes, number));
}

static void put_tag(struct buf *out, uint32_t field, enum proto_type type)
{
    DASSERT(field > 0 && field <= FIELD_NUMBER_MAX);
    proto_put_varint(out, (uint64_t)field << 3 | type);
}

void proto_put_number(struct buf *out, uint32_t field, uint64_t number)
{
    put_tag(out, field, PROTO_VARINT);
    proto_put_varint(out, number);
}

void proto_put_bytes(struct buf *out, uint32_t field, struct slice bytes)
{
    put_tag(out, field, PROTO_BYTES);
    proto_put_varint(out, bytes.len);
    buf_put_slice(out, bytes);
}

size_t proto_begin(struct buf *out, uint32_t field)
{
    put_tag(out, field, PROTO_BYTES);
    buf_put_char(out, 0);
    return out->len;
}

void proto_end(struct buf *out, size_t begun)
{
    char bytes[VARINT_BYTES_MAX];
    size_t content;
    unsigned len;

    if (out->overflow) /* Something in between was dropped; the whole is of no use. */
        return;
    ASSERT(begun > 0 && begun <= out->len);
    content = out->len - begun;
    len = encode(bytes, content);
    if (len > 1) {
        buf_put(out, bytes, len - 1); /* room; what is in it comes from the move */
        if (out->overflow)
            return;
        memmove(out->data + begun + len - 1, out->data + begun, content);
    }
    memcpy(out->data + begun - 1, bytes, len);
}
