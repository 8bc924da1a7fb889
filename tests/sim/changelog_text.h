/*
 * changelog_text.h: messages as canal and Debezium write them. Internal to changelog.c.
 */
#ifndef WEIR_SIM_CHANGELOG_TEXT_H
#define WEIR_SIM_CHANGELOG_TEXT_H

#include "dataplane/base/slice.h"
#include "tests/sim/changelog.h"

enum text_op { TEXT_INSERT, TEXT_UPDATE, TEXT_DELETE };

/* What happened to rows of one table: Debezium takes one row. */
struct text_event {
    enum text_op op;
    uint64_t ms;
    uint64_t number; /* 0: the message carries none */
    unsigned n;
    struct log_row rows[MESSAGE_ROWS_MAX];
    bool moved;   /* the one row was the partner's before */
    bool keyless; /* the last row has no key: it is a dead letter */
    bool other;   /* a table that is not mapped */
};

/* Valid until the next call of any of these. */
struct slice text_canal(const struct text_event *event);
struct slice text_debezium(const struct text_event *event);

/* A statement that changes no row. */
struct slice text_ddl(bool debezium, uint64_t ms);

/* A good message of more than EVENT_BYTES_MAX bytes, about a row that is never mentioned again. */
struct slice text_giant(bool debezium, uint64_t ms);

#endif
