/*
 * changelog.h: the change log of a small database, as canal writes it, and what follows from it.
 *
 * Five kinds of rows make a document: the root, two that hang on it (a, b) and two items of a list.
 * Each has two columns, x and y, with numbers that are used once, and one, z, that takes room. The
 * numbers of the rows (R1) are computed here from the log alone, apart from weir's own clock.
 */
#ifndef WEIR_SIM_CHANGELOG_H
#define WEIR_SIM_CHANGELOG_H

#include <stdbool.h>
#include <stdint.h>

enum { KEYS_MAX = 40, ROWS = 5, PARTS_MAX = 6, MESSAGE_ROWS_MAX = 4, LOG_MAX = 3000 };

struct log_row {
    unsigned key, row; /* of ROWS: 0 the root, 1 a, 2 b, 3 and 4 items */
    bool deletes;
    unsigned value; /* x; y is one more */
    unsigned bytes; /* of z; 0: it is not there */
    uint64_t seqno;
};

struct log_message {
    int64_t offset;
    bool is_bad; /* it is no event: a dead letter */
    unsigned n;
    struct log_row rows[MESSAGE_ROWS_MAX];
    uint64_t clock_after;
};

struct changelog {
    unsigned n_keys, n_parts;
    bool keyed;          /* all rows of a document are in one partition */
    unsigned bytes_most; /* of a row's column z, which is there for its size alone */
    struct log_part {
        unsigned n;
        struct log_message messages[LOG_MAX];
        uint64_t clock;
    } parts[PARTS_MAX];
    bool lives[KEYS_MAX][ROWS];
    unsigned values;
    uint64_t ms; /* the database's clock */
};

enum { ROW_BYTES_MOST = 20000 };

/* An empty one; the rest is the caller's to set. */
struct changelog *changelog_open(unsigned n_keys, unsigned n_parts);

/* The next message, which is appended to the world's broker. */
void changelog_append(struct changelog *log);

/* The newest of a row over all partitions; NULL: there is none. */
const struct log_row *changelog_newest(const struct changelog *log, unsigned key, unsigned row);

/* Where the partition's message with that offset, or the next one, stands; n where none does. */
unsigned changelog_find(const struct log_part *part, int64_t offset);

#define CHANGELOG_TOPIC "shop"
#define CHANGELOG_TABLES \
    "\"key\":\"k\",\"tables\":{\"t.root\":{},\"t.a\":{\"into\":\"a\"},\"t.b\":{\"into\":\"b\"}," \
    "\"t.item\":{\"into\":\"items\",\"many\":\"id\"}}"

/* "k7" */
void changelog_key(unsigned key, char text[8]);

#endif
