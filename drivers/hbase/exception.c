/*
 * exception.c: HBase's exceptions by name, and what each asks of a client.
 *
 *     org.apache.hadoop.hbase.RegionTooBusyException      ─► BUSY
 *     └─ packages moved between versions: only the last part counts
 *
 * The lists hold what the server throws at a Multi, Get or Scan, in 2.4 to 2.6. A name that is in
 * none of them is RETRY: nothing is dropped because a server learnt a new word. Names are those of
 * the class itself, so what derives from a class in a list and is not listed is RETRY too, which
 * matters for DoNotRetryIOException: most of its children (access, quotas, names that do not exist)
 * are for an operator to mend, and only the bare class is said of a cell that is too large.
 *
 * What this does not do: know which of many actions is to blame (put.c finds out).
 *
 * Source: HBase's org.apache.hadoop.hbase.exceptions, RSRpcServices.doBatchOp, HRegion.batchMutate.
 */
#include "drivers/hbase/exception.h"

#include "drivers/hbase/proto.h"

static const struct {
    const char *name;
    enum exception exception;
} names[] = {
    { "NotServingRegionException", EXCEPTION_RELOCATE },
    { "RegionMovedException", EXCEPTION_RELOCATE },
    { "RegionOpeningException", EXCEPTION_RELOCATE },
    { "RegionInRecoveryException", EXCEPTION_RELOCATE },
    { "UnknownRegionException", EXCEPTION_RELOCATE },
    { "WrongRegionException", EXCEPTION_RELOCATE },
    { "RegionServerStoppedException", EXCEPTION_RELOCATE },
    { "RegionServerAbortedException", EXCEPTION_RELOCATE },
    { "ServerNotRunningYetException", EXCEPTION_RELOCATE },
    { "RegionTooBusyException", EXCEPTION_BUSY },
    { "CallQueueTooBigException", EXCEPTION_BUSY },
    { "CallDroppedException", EXCEPTION_BUSY },
    { "CallTimeoutException", EXCEPTION_BUSY },
    { "TimeoutIOException", EXCEPTION_BUSY },
    { "RpcThrottlingException", EXCEPTION_BUSY },
    { "ThrottlingException", EXCEPTION_BUSY },
    { "MultiActionResultTooLarge", EXCEPTION_BUSY },
    { "RetryImmediatelyException", EXCEPTION_BUSY },
    { "RequestTooBigException", EXCEPTION_TOO_BIG },
    { "DoNotRetryIOException", EXCEPTION_DEAD },
    { "IllegalArgumentException", EXCEPTION_DEAD },
};

static struct slice last_part(struct slice class)
{
    for (size_t i = class.len; i > 0; i--)
        if (class.data[i - 1] == '.' || class.data[i - 1] == '$')
            return (struct slice){ class.data + i, class.len - i };
    return class;
}

static struct slice first_line(struct slice text)
{
    const char *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;
    return end != NULL ? (struct slice){ text.data, (size_t)(end - text.data) } : text;
}

/* The message's first line, without the class that begins a stack trace. */
static struct slice message(struct slice class, struct slice text)
{
    struct slice line = first_line(text);

    if (class.len > 0 && line.len >= class.len && memcmp(line.data, class.data, class.len) == 0) {
        line.data += class.len;
        line.len -= class.len;
        while (line.len > 0 && (line.data[0] == ':' || line.data[0] == ' ')) {
            line.data++;
            line.len--;
        }
    }
    return line;
}

static bool has(struct slice line, const char *words)
{
    return line.data != NULL && memmem(line.data, line.len, words, strlen(words)) != NULL;
}

enum exception exception_judge(struct slice class, struct slice text)
{
    struct slice name = last_part(class), line = message(class, text);

    /* The one sanity check that is about where a row was sent, not about what was sent. */
    if (slice_equal(name, SLICE("FailedSanityCheckException")))
        return has(line, "out of range") && has(line, "row") ? EXCEPTION_RELOCATE : EXCEPTION_RETRY;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!slice_equal(name, slice_of(names[i].name)))
            continue;
        /* A table that is read-only has this bare class too, and will not stay so; and so has an
         * action that was not run at all, without a word. */
        if (names[i].exception == EXCEPTION_DEAD && (has(line, "read only") || line.len == 0))
            return EXCEPTION_RETRY;
        return names[i].exception;
    }
    return EXCEPTION_RETRY;
}

/* Whole characters of UTF-8 only. */
static struct slice cut(struct slice text, size_t bytes_max)
{
    if (text.len <= bytes_max)
        return text;
    text.len = bytes_max;
    while (text.len > 0 && ((unsigned char)text.data[text.len] & 0xc0) == 0x80)
        text.len--;
    return text;
}

void exception_line(struct slice class, struct slice text, struct buf *out)
{
    struct slice name = cut(last_part(class), 100), line = message(class, text);

    buf_put_slice(out, name.len > 0 ? name : SLICE("an exception without a name"));
    if (line.len == 0)
        return;
    buf_put_literal(out, ": ");
    buf_put_slice(out, cut(line, EXCEPTION_LINE_BYTES_MAX - 102));
}

bool exception_read(struct slice message, struct slice *class, struct slice *text)
{
    struct proto proto;
    struct proto_field field;

    *class = *text = (struct slice){ NULL, 0 };
    proto_open(&proto, message);
    while (proto_next(&proto, &field)) {
        if (field.number == 1 && field.type == PROTO_BYTES)
            *class = field.bytes;
        else if (field.number == 2 && field.type == PROTO_BYTES)
            *text = field.bytes;
    }
    return !proto.broken;
}
