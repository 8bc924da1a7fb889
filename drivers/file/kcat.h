/*
 * kcat.h: one line of `kcat -J`: a Kafka message as a JSON object.
 *
 *     {"topic":"t","partition":0,"offset":7,"tstype":"create","ts":1700000000000,"broker":1,
 *      "headers":["name","value",...],"key":"k","payload":"..."}
 *
 * Any thread; nothing is allocated.
 */
#ifndef WEIR_FILE_KCAT_H
#define WEIR_FILE_KCAT_H

#include "dataplane/source.h"

struct kcat {
    struct slice topic;        /* these lie in the line, or in its mirror where they had escapes */
    struct slice key, payload; /* data NULL: null */
    struct slice headers;      /* the array as it stands in the line; data NULL: none */
    int32_t number;
    int64_t offset;
    int64_t timestamp_ms; /* -1: none */
    bool placed;          /* topic, number and offset are there and make sense */
};

/* Reads one line. What has escapes is unescaped to its own address + `mirror`. True iff the line is
 * whole and can be handed out; where false, kcat->placed may still say where the message was. */
MUST_CHECK bool kcat_read(struct slice line, ptrdiff_t mirror, struct kcat *kcat);

/* True iff this first line (or its beginning, where it was too long) says that the file is kcat's.
 */
MUST_CHECK bool kcat_looks_like(struct slice line);

/* Fills up to `max` headers out of kcat->headers; returns how many there are. */
unsigned kcat_headers(struct slice raw, ptrdiff_t mirror, struct header *headers, unsigned max);

#endif
