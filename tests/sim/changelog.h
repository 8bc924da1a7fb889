/*
 * changelog.h: the change log of a small database, as canal or Debezium writes it, and what follows
 * from it.
 *
 * A document has up to seven rows: the root, two that hang on it (a, b), and items of a list: two
 * of its own and two of its partner's, whose key differs in the last bit. An item may move to the
 * partner and back: an update of its key column, which is a delete there and an insert here with
 * one number. Each row has columns x and y, with numbers that are used once, z, that takes room,
 * and w, that comes and goes. The numbers of the rows (R1) are computed here from the log alone,
 * apart from weir's own clock.
 *
 * A row always comes by one partition, as every log must have it (docs/ORDERING.md, Limits); all
 * rows of a document only where the log is keyed.
 */
#ifndef WEIR_SIM_CHANGELOG_H
#define WEIR_SIM_CHANGELOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYS_MAX = 40, ROWS = 7, PARTS_MAX = 6, MESSAGE_ROWS_MAX = 4, LOG_MAX = 4000 };
enum { ROW_ROOT, ROW_A, ROW_B, ROW_ITEMS, ROW_PARTNERS = ROW_ITEMS + 2 };

enum { ROW_BYTES_MOST = 20000, EVENT_BYTES_MAX = 65536 };

enum log_column { COLUMN_X, COLUMN_Y, COLUMN_Z, COLUMN_W, LOG_COLUMNS };

/* What a message says of a row. */
struct log_row {
    unsigned key, row; /* row of the document, less than ROWS */
    bool nothing;      /* it has a number, but no effect: not mapped, without a key, or the one that
                          loses of two with one number */
    bool with_last;    /* it has the number of the one before: the other half of a move */
    bool deletes;
    unsigned has;   /* a bit a column; a full image shows no other */
    unsigned nulls; /* of those, the ones that are NULL: y at most */
    unsigned value; /* x; y is one more, w two */
    unsigned bytes; /* of z */
    uint64_t seqno;
};

struct log_message {
    int64_t offset;
    uint64_t ms;
    bool is_gone;    /* compacted away */
    bool is_bad;     /* it, or a row of it, is a dead letter */
    uint64_t number; /* of all its rows, where messages carry one */
    unsigned n;
    struct log_row rows[MESSAGE_ROWS_MAX];
    uint64_t clock_after;
};

struct changelog {
    unsigned n_keys, n_parts;
    bool keyed;           /* all rows of a document are in one partition */
    bool debezium;        /* its format; else canal's */
    bool numbered;        /* messages carry their number (`seqno: field`), and some are overtaken */
    bool partial;         /* an update's image may lack columns that stay as they are */
    bool comes_and_goes;  /* w is in some images, in others not; y is NULL in some */
    unsigned bytes_most;  /* of a row's column z, which is there for its size alone */
    unsigned retention_s; /* of tombstones, in the log's time; 0: they are kept */
    struct log_part {
        unsigned n;
        struct log_message messages[LOG_MAX];
        uint64_t clock;
    } parts[PARTS_MAX];
    bool lives[KEYS_MAX][ROWS];
    uint64_t numbers[KEYS_MAX][ROWS]; /* the greatest of each row that is in the log */
    struct log_late {
        bool any;
        struct log_message message;
        char text[EVENT_BYTES_MAX];
        size_t bytes;
        uint64_t ms;
    } late; /* a message that others overtake */
    unsigned values;
    uint64_t ms; /* the database's clock */
};

/* An empty one; the rest is the caller's to set. */
struct changelog *changelog_open(unsigned n_keys, unsigned n_parts);

/* The next message, which is appended to the world's broker; or two. */
void changelog_append(struct changelog *log);

/* What is late comes now: the log is not to grow for some time. */
void changelog_finish(struct changelog *log);

/* A night in which nothing is written: longer than tombstones are kept. */
void changelog_sleep(struct changelog *log);

/* Which messages a compaction may take: those whose rows all come again later in their partition,
 * as whole images. Takes some of them from the world's broker too. */
void changelog_compact(struct changelog *log);

/* The partition will be read once more, from that offset on with that clock: clock_after of its
 * messages becomes what that reader's is. The numbers of the rows stay those of the first reading.
 */
void changelog_reread(struct changelog *log, unsigned part, int64_t from, uint64_t clock);

/* What a row is in the end. */
struct log_state {
    uint64_t seqno;     /* of its newest change; 0: there is none */
    uint64_t tombstone; /* of its newest delete; 0: there is none */
    bool lives;
    const struct log_row
        *columns[LOG_COLUMNS]; /* what is shown comes from; NULL: it is not there */
};
struct log_state changelog_state(const struct changelog *log, unsigned key, unsigned row);

/* The newest delete of the row whose number is at least `from` and less than `below`; 0: none. */
uint64_t changelog_deleted(const struct changelog *log, const struct log_row *row, uint64_t below);

/* Where the partition's message with that offset, or the next one, stands; n where none does. */
unsigned changelog_find(const struct log_part *part, int64_t offset);

#define CHANGELOG_TOPIC "shop"
#define CHANGELOG_TABLES \
    "\"key\":\"k\",\"tables\":{\"t.root\":{},\"t.a\":{\"into\":\"a\"},\"t.b\":{\"into\":\"b\"}," \
    "\"t.item\":{\"into\":\"items\",\"many\":\"id\"}}"

/* What a config says of the log: a part of its `source`. */
void changelog_source(const struct changelog *log, char text[300]);

/* "k7" */
void changelog_key(unsigned key, char text[8]);

/* The id of the item that is the document's row; and back. */
unsigned changelog_item(unsigned key, unsigned row);
unsigned changelog_row(unsigned key, unsigned item);

/* A column's name is one letter. */
#define CHANGELOG_COLUMNS "xyzw"

#endif
