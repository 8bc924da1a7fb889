/*
 * search_model.h: what the files of the modelled search cluster share: search.c (the door, indexes,
 * _mget), search_bulk.c (_bulk), search_index.c (documents and their versions). For no one else.
 */
#ifndef WEIR_SIM_SEARCH_MODEL_H
#define WEIR_SIM_SEARCH_MODEL_H

#include "tests/sim/search.h"

#define SEARCH_INDEXES_MAX    16
#define SEARCH_NAME_BYTES_MAX 255
#define SEARCH_ID_BYTES_MAX   512

enum search_state {
    SEARCH_NEVER, /* no write was taken yet */
    SEARCH_THERE,
    SEARCH_GONE,     /* deleted, and the version is remembered */
    SEARCH_FORGOTTEN /* deleted, and any version is taken */
};

/* What is known of a key. */
struct search_entry {
    struct slice key, source; /* its own bytes */
    enum search_state state;
    uint64_t version; /* of the last write */
    uint64_t refused_max, seq_no, deleted_us;
};

/* How `_weir` is mapped. */
enum search_field { SEARCH_UNMAPPED, SEARCH_DISABLED, SEARCH_INDEXED };

struct search_index {
    char name[SEARCH_NAME_BYTES_MAX + 1];
    char gc_deletes[16];
    bool side;
    enum search_field weir;
    uint64_t red_until_us; /* its documents are away until then */
    uint64_t seq_no;
    struct search_entry *entries; /* by key */
    unsigned n, room;
};

struct search {
    struct net_server door; /* first: a door pointer is a pointer to this */
    struct search_index indexes[SEARCH_INDEXES_MAX];
    unsigned n_indexes;
    uint64_t salt; /* of what is refused */
    size_t body_bytes_max;
    void (*seen)(void *context, const struct search_write *write);
    void *seen_context;
    struct search_counts counts;
};

/* One request, taken apart. */
struct search_request {
    struct slice method, index, rest, body; /* PUT /index/rest?... */
};

/* ---- search.c ---- */

/* NULL where there is none of that name. */
struct search_index *search_index_named(struct search *search, struct slice name);

bool search_index_is_red(const struct search_index *index);

/* {"type":...,"reason":...} */
void search_put_error(struct buf *answer, const char *type, const char *reason);

/* The answer of a whole request that is refused. */
void search_refuse(struct buf *answer, unsigned status, const char *type, const char *reason);

/* The member of an object that was scanned; empty where there is none. */
struct slice search_member(struct slice object, const char *wanted);

bool search_is_object(struct slice text);

/* Is it a request of this method for this part of an index? */
bool search_request_is(const struct search_request *request, const char *method, const char *rest);

/* ---- search_admin.c ---- */

/* A new index, as the server's defaults have it; NULL where the name is none or there are too many.
 */
struct search_index *search_index_create(struct search *search, struct slice name);

/* False where it is no request about an index itself. */
bool search_admin(struct search *search, const struct search_request *request, struct buf *answer);

/* ---- search_read.c ---- */

void search_mget(struct search *search, const struct search_request *request, struct buf *answer);

/* ---- search_bulk.c ---- */

/* `done_whole` false: the cluster breaks down at some item, and who stands before it says 502. */
void search_bulk(struct search *search, const struct search_request *request, bool done_whole,
                 struct buf *answer);

/* ---- search_index.c ---- */

struct search_op {
    bool is_delete;
    struct slice index, key, source;
    uint64_t version;
};

enum search_outcome {
    SEARCH_CREATED,
    SEARCH_UPDATED,
    SEARCH_DELETED,
    SEARCH_NOT_FOUND, /* a delete: done, its version is kept */
    SEARCH_CONFLICT   /* nothing is done */
};

/* NULL: nothing was ever known of that key. */
struct search_entry *search_index_find(const struct search_index *index, struct slice key);

/* Does it where the version is newer than what is remembered, and tells what it was like before and
 * is now; of a conflict, what is remembered is version_before. */
enum search_outcome search_index_apply(struct search_index *index, const struct search_op *op,
                                       struct search_write *write);

void search_index_note_refused(struct search_index *index, const struct search_op *op);

/* Forgets what was deleted at that time or earlier; how many. */
unsigned search_index_forget(struct search_index *index, uint64_t until_us);

#endif
