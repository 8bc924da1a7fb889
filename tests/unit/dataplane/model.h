/*
 * model.h: what the modelled worlds share: a log of row changes, a sink's server with its ports,
 * and the truth that follows from the log. For ordering_*.c and stress_*.c.
 *
 *     model_log.c     the random numbers, events, their decoder, the plan, an env
 *     model_sink.c    a server with external versions and a side index, and the ports to it
 *     model_cells.c   a server that merges instead
 *     model_truth.c   what a document must be in the end, from the log alone
 *
 * All is of one thread, and the caller's. A history is its seed: no time, no address enters it.
 */
#ifndef WEIR_TESTS_MODEL_H
#define WEIR_TESTS_MODEL_H

#include "dataplane/pipeline.h"
#include "tests/unit/dataplane/model_cells.h"

enum { KEYS_MAX = 5, ROWS = 5, MESSAGE_ROWS = 8, FLIGHTS = 2, DOCS = 3, LOOKUPS = 2, ASKED = 2 };

#define TEXT_BYTES 8192

/* ---- the log ---- */

/* One row change. Rows 0..4 are the root, two `one` tables, and two rows of a `many` table. */
struct event {
    uint64_t stamp;
    unsigned key, row;
    bool deletes;
    unsigned value;
};

/* One record of the log: a record's payload is this struct, not a text. */
struct message {
    unsigned n;
    const struct event *rows[MESSAGE_ROWS];
};

/* Seeded numbers: any, and one below n. */
uint64_t model_roll(uint64_t *random);
unsigned model_below(uint64_t *random, unsigned n);

/* The next event of a log: *stamp goes on, and the event is sometimes late behind it. */
struct event model_event(uint64_t *random, unsigned keys, uint64_t *stamp, unsigned value);

/* The document that the rows make, and the decoder of messages. */
struct plan *model_plan(enum images images);
extern const struct decoder_ops model_decoder_ops;

/* What source ports have in common: these have nothing to do. */
void model_source_attach(struct source_port *port, uint16_t partition, void *handle);
void model_source_release(struct source_port *port, struct record *records, unsigned n);
bool model_source_ended(struct source_port *port);

/* Drops the document from the store, if it is there and nothing of it is pending: as eviction may
 * at any time. */
void model_evict(struct pipeline *pipeline, unsigned key);

/* An env whose time is the number of steps played. */
struct model_env {
    struct env env;
    uint64_t *random;
    const uint64_t *now;
    uint64_t step_us;
};
extern const struct env_ops model_env_ops;
uint64_t model_env_now(const struct model_env *env);

/* ---- the sink ---- */

/* What the server keeps for one key. */
struct kept {
    uint64_t version;
    bool there, deleted;
    uint64_t at;
    uint64_t seqno[ROWS];  /* of each row's newest change, 0: none */
    char text[TEXT_BYTES]; /* document with state */
};

/* A write on its way. */
struct written {
    unsigned key;
    uint64_t version, sent_at;
    bool shown;
    uint64_t seqno[ROWS];
    size_t len;      /* of the text, where it is cells */
    uint64_t oldest; /* the server's, when it was sent */
    char text[TEXT_BYTES];
};

struct model_server {
    const struct plan *plan;
    struct model_cells *cells; /* it merges, and this is what it keeps; else NULL */
    uint64_t *random;
    const uint64_t *now;
    bool version_is_newest; /* a broken rule: see ordering_world.h */
    bool forgets_deleted;   /* a broken rule: no side index */
    bool forgets_residual;  /* a broken rule: states come back without it */
    bool fails;             /* lookups come back without an answer */
    uint64_t oldest;        /* seqno that is not committed: the world's to tell */
    struct kept docs[KEYS_MAX], side[KEYS_MAX];
    unsigned went_back; /* writes that took a newer row away (full images) */
};

/* One shard's end of a sink. The world lets batches land: OUT to LANDED, with verdicts. */
struct model_port {
    struct sink_port port;
    struct model_server *server;
    struct buf *scratch; /* to render into: its pipeline's */
    struct rows *rows;   /* of a server that merges */
    struct flying {
        struct sink_batch batch;
        struct sink_item items[DOCS];
        enum { FREE, OUT, LANDED } state;
        struct written writes[DOCS];
    } flights[FLIGHTS];
    struct asked {
        struct sink_lookup lookup;
        struct lookup_item items[ASKED];
        unsigned keys[ASKED];
        enum { UNUSED, FILLING, SENT, ANSWERED } state;
        struct arena arena;
    } asked[LOOKUPS];
};

/* Makes the port new; reserves its arenas the first time. Set `scratch` before the first step. */
void model_port_start(struct model_port *port, struct model_server *server);

/* The limits that fit a model_port. */
struct sink_limits model_limits(void);

/* A write arrives at the server. `cut`: the writer died between the two writes of a delete.
 * Returns false for a version conflict. */
bool model_write(struct model_server *server, const struct written *write, bool cut);

/* The server forgets documents that were deleted more than `steps` ago. */
void model_collect(struct model_server *server, unsigned steps);

/* ---- the truth ---- */

/* One row: its newest delete, and for each column its newest value. Zeroed: never seen. */
struct truth {
    uint64_t deleted, cell[2];
    unsigned value[2];
    bool known;
};

/* The last writer of a cell wins, in any order of taking. */
void truth_take(struct truth *row, const struct event *event, uint64_t seqno, enum images images);

/* True if what the server keeps is the document that the rows make. */
bool truth_holds(const struct truth rows[ROWS], const struct kept *doc);

/* The same of a state that a server which merges gives back: every value and every seqno.
 * `forgets`: tombstones may be gone. */
bool truth_holds_state(const struct truth rows[ROWS], const struct plan *plan,
                       const struct document_state *state, bool forgets);

/* Which row of ROWS that is. */
unsigned model_row(struct slice table, struct slice id);

#endif
