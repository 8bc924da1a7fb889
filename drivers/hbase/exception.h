/*
 * exception.h: what to do about an exception that HBase answers with. Internal to drivers/hbase.
 * Any thread.
 */
#ifndef WEIR_HBASE_EXCEPTION_H
#define WEIR_HBASE_EXCEPTION_H

#include "dataplane/base/arena.h"

enum exception {
    EXCEPTION_RELOCATE, /* the region is not there (any more, yet): look it up, then try again */
    EXCEPTION_BUSY,     /* the server cannot keep up: try again later */
    EXCEPTION_RETRY,    /* somebody can mend it: try again later, and say so in the log */
    EXCEPTION_TOO_BIG,  /* the request's bytes are too many: try with less of it */
    EXCEPTION_DEAD, /* about what was written itself: never again. Of a region's actions the server
                       judges all together: it says so of all where one is to blame */
};

#define EXCEPTION_LINE_BYTES_MAX 400

/* `class`: the full name; `text`: its message, a stack trace may follow. */
enum exception exception_judge(struct slice class, struct slice text);

/* NameBytesPair { name = 1, value = 2 }: the class and the message of an exception within an
 * answer. False: it is no such message. */
bool exception_read(struct slice message, struct slice *class, struct slice *text);

/* Appends one line for people, "RegionTooBusyException: above its memstore limit": at most
 * EXCEPTION_LINE_BYTES_MAX bytes. */
void exception_line(struct slice class, struct slice text, struct buf *out);

#endif
