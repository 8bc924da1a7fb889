/*
 * change.h: one row image with an operation and a seqno: what decoders make, what the store merges.
 */
#ifndef WEIR_CHANGE_H
#define WEIR_CHANGE_H

#include "dataplane/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum change_op { CHANGE_UPSERT, CHANGE_DELETE };

/* One column's value, as the JSON text that the document will hold. Never a raw newline (bulk
 * bodies are newline-delimited) and always valid JSON: decoders see to it. */
struct field {
    uint16_t column; /* columns.h */
    uint64_t
        seqno; /* 0: the change's own. Only states read back with `images: partial` carry others */
    bool changed; /* partial images, rows in the store: some sink may lack the cell as it is now */
    struct slice value; /* data NULL: a cell hidden by its row's tombstone, only its seqno is known
                           (partial) */
};

struct change {
    uint64_t seqno;      /* of the row (ordering.md, R1) */
    uint64_t tombstone;  /* partial images, states read back: the seqno of the row's tombstone, 0 =
                            none */
    uint64_t hash;       /* key_hash(key) */
    struct slice key;    /* unescaped UTF-8, 1..KEY_BYTES_MAX bytes */
    struct slice row_id; /* unescaped; empty for a 1:1 table */
    uint16_t table;      /* index into plan->tables */
    uint16_t partition;  /* slot of the partition (source.h) */
    uint8_t op;          /* enum change_op */
    uint32_t n_fields;
    struct field *fields;  /* empty for a delete */
    int64_t offset;        /* of its event in its partition */
    uint64_t clock_before; /* the partition's clock before its event: what a commit of `offset`
                              carries */
    uint32_t epoch; /* of the assignment that its event was read under (R4); set after decoding */
    uint64_t source_us; /* when the database made it (canal es, Debezium source.ts_ms), 0 = unknown:
                           for latency */
};

/* XXH3-64 of the key: chooses the shard and the bucket. */
uint64_t key_hash(struct slice key);

#endif
