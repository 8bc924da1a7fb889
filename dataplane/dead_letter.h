/*
 * dead_letter.h: the contract of where rejected events and documents go, and the reasons.
 */
#ifndef WEIR_DEAD_LETTER_H
#define WEIR_DEAD_LETTER_H

#include "dataplane/source.h"

enum reason {
#define REASON(name, label, text) REASON_##name,
#include "dataplane/reason.def"
#undef REASON
    REASON_COUNT
};

const char *reason_label(enum reason reason); /* "bad_json" */
const char *reason_text(enum reason reason);

struct dead_letter {
    enum reason reason;
    struct slice detail; /* what exactly: a position, a column, the sink's own words */
    const char *topic;
    int32_t partition;
    int64_t offset;
    struct slice key;          /* of the message; data NULL: none */
    struct slice payload;      /* the original bytes, or the document that a sink refused */
    struct slice document_key; /* of a refused document, else empty */
    const char *sink;          /* that refused it, else NULL */
    unsigned n_headers;
    const struct header *headers;
    uint64_t wall_us;
};

struct dead_letters;

struct dead_letters_ops {
    /* Any shard's thread, one at a time each. 0 when the letter was handed over, and a later sync()
     * that returns 0 makes it durable; -1 with *err: it cannot be kept, the task must stop rather
     * than drop it. */
    int (*put)(struct dead_letters *letters, const struct dead_letter *letter, struct err *err);

    /* Control thread, before each commit: everything put so far is durable. 0, or -1 with *err. */
    int (*sync)(struct dead_letters *letters, struct err *err);

    void (*close)(struct dead_letters *letters); /* control thread, after the shards ended */
};

struct dead_letters {
    const struct dead_letters_ops *ops;
};

#endif
