/*
 * purge_rig.h: what the tests of purged tombstones share: documents of two tables, for full and for
 * partial images, and states that are read back as they are in life: rendered, and parsed again.
 */
#ifndef WEIR_TESTS_PURGE_RIG_H
#define WEIR_TESTS_PURGE_RIG_H

#include "tests/unit/unit.h"

#include "dataplane/clock.h"
#include "dataplane/store.h"

#define S(n) (SEQNO_EPOCH + (n))

enum { RETENTION = 100, ROWS = 5, COLUMNS = 2 };

/* Row 0 is the root's, the others are of a `many` table. */
struct event {
    uint64_t seqno; /* after SEQNO_EPOCH */
    unsigned row;
    bool deletes;
    unsigned column; /* partial images: the one that it carries */
    char value;
};

/* By images. */
extern struct plan *plans[2];
extern struct store *stores[2];

/* What parsed() has read. */
extern struct arena arena;

/* A group's set-up: both stores, empty. */
int open_stores(void **state);

unsigned roll(unsigned n);

struct entity *entity_in(struct store *store);
struct entity *entity_new(enum images images);
void drop(enum images images, struct entity *entity);

enum merge_verdict put(enum images images, struct entity *entity, const struct event *event);
void upsert(enum images images, struct entity *entity, unsigned row, uint64_t seqno);
void erase(enum images images, struct entity *entity, unsigned row, uint64_t seqno);

/* What is written of it, or (`purges` false) shown to people. The text's, until the next call. */
const char *rendered(enum images images, const struct entity *entity, bool purges);

/* The text as a state. */
struct document_state parsed(enum images images, const char *json);

/* The sum over its rows. */
uint64_t version_of(enum images images, const struct document_state *state);
void join(enum images images, struct entity *entity, const struct document_state *state);
bool has_row(const struct entity *entity, unsigned row);
bool shows_row(const struct entity *entity, unsigned row);
bool same_rows_alive(const struct entity *a, const struct entity *b);

/* Rows 1 and 2 are deleted; a change more than the retention later leaves the first behind. */
struct entity *two_deleted(enum images images);

#endif
