/*
 * config.h: what a config file becomes: plain structs that boot code reads, complete and checked.
 *
 * All of it is start-up code for one thread: it uses the heap, and nothing of it is on an event's
 * way. Every string is NUL-terminated UTF-8 without control characters (values of Kafka options may
 * hold line breaks and tabs), every pointer belongs to the struct config and dies with
 * config_free(). A string that may be left out is NULL when it was; all other fields hold their
 * default. After config_load() returned 0 the rules in the comments below hold: nobody checks them
 * again. The keys, their defaults, limits and help are one table, config/schema.c.
 */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include "dataplane/base/check.h"
#include "dataplane/base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_TASKS_MAX = 64,
    CONFIG_TABLES_MAX = 64,
    CONFIG_SINKS_MAX = 8,
    CONFIG_CORES_MAX = 1024,
    CONFIG_ERRORS_MAX = 1000, /* errors that are kept; more are counted */
};

struct config_strings {
    const char **items;
    unsigned n;
};

struct config_numbers {
    unsigned *items;
    unsigned n;
};

struct config_pair {
    const char *name, *value;
};

/* In the order of the file; names are distinct. */
struct config_pairs {
    struct config_pair *items;
    unsigned n;
};

enum config_priority { CONFIG_PRIORITY_HIGH, CONFIG_PRIORITY_NORMAL, CONFIG_PRIORITY_LOW };
enum config_source_kind { CONFIG_SOURCE_KAFKA, CONFIG_SOURCE_FILE };
enum config_driver { CONFIG_DRIVER_LIBRDKAFKA };
enum config_start { CONFIG_START_EARLIEST, CONFIG_START_LATEST };
enum config_format { CONFIG_FORMAT_CANAL_JSON, CONFIG_FORMAT_DEBEZIUM_JSON };
enum config_images { CONFIG_IMAGES_FULL, CONFIG_IMAGES_PARTIAL };
enum config_emit { CONFIG_EMIT_ALWAYS, CONFIG_EMIT_ON_ROOT };
enum config_sink_kind { CONFIG_SINK_ELASTICSEARCH, CONFIG_SINK_HBASE, CONFIG_SINK_SQLITE };
enum config_hbase_by { CONFIG_HBASE_ZOOKEEPER, CONFIG_HBASE_MASTERS };
enum config_compression { CONFIG_COMPRESSION_NONE, CONFIG_COMPRESSION_GZIP };
enum config_dead_letter_kind { CONFIG_DEAD_LETTER_FILE, CONFIG_DEAD_LETTER_KAFKA };

struct config_node {
    const char *name;
    struct config_numbers
        cores; /* at least one, distinct; whether the CPUs exist is for boot to find out */
    uint64_t memory_bytes; /* over all shards */
    enum hugepages hugepages;
    const char *state_dir;   /* relative to the working directory, like admin */
    const char *admin;       /* at most 107 bytes, so that it fits a socket address */
    bool admin_explicit;     /* the file names `admin` */
    const char *admin_group; /* NULL: none */
    const char *http; /* HOST:PORT with the port in 1..65535, `[::1]:PORT` for IPv6; NULL: off */
};

struct config_kafka {
    struct config_strings brokers;
    struct config_strings topics; /* exact names, or ^regex in librdkafka's syntax */
    const char *group;
    enum config_driver driver;
    bool partitioned_by_key;
    enum config_start start;
    uint64_t commit_interval_us;
    struct config_pairs
        options; /* for librdkafka as they are; those that weir sets itself are refused */
};

struct config_file {
    struct config_strings paths; /* relative to the working directory; "-" is standard input */
};

struct config_seqno {
    const char *field; /* NULL: the partition's clock (R1) */
};

struct config_source {
    enum config_source_kind kind; /* which of the two below is filled in */
    struct config_kafka kafka;
    struct config_file file;
    enum config_format format;
    enum config_images images;
    struct config_seqno seqno;
    uint64_t max_clock_skew_us;
    uint64_t max_event_bytes; /* the longest line or message that is decoded */
};

struct config_table {
    const char *name; /* "db.table" */
    const char *into; /* NULL: the root table (exactly one in a document) */
    const char *many; /* the row-id column of a 1:n table; NULL: 1:1. Never without `into` */
    struct config_pairs
        columns; /* name = source column, value = target; none: every column under its name */
};

struct config_document {
    const char *key;
    enum config_emit emit;
    unsigned n_tables;
    struct config_table *tables; /* in the file's order */
    unsigned root;               /* the index of the root table */
};

struct config_tls {
    const char *ca, *cert, *key; /* paths; NULL: none. cert and key come together */
    bool verify;
};

struct config_elasticsearch {
    struct config_strings urls; /* http:// or https://, no user info, no trailing slash, no query */
    const char *index;          /* the side index is "<index>-weir" */
    const char *username, *password; /* both or none; a secret */
    const char *api_key;             /* a secret; never together with username */
    struct config_tls tls;
    enum config_compression compression;
    uint64_t timeout_us;
};

struct config_hbase_create {
    unsigned regions; /* 0: a missing table is an error */
};

struct config_hbase {
    enum config_hbase_by by; /* which of the two lists below is filled in; HOST:PORT each */
    struct config_strings zookeeper;
    struct config_strings masters;
    const char *znode_parent; /* begins with a slash, and ends without one */
    const char *table;        /* TABLE or NAMESPACE:TABLE */
    const char *family;
    struct config_hbase_create create;
    const char *user;
    uint64_t timeout_us;
};

struct config_sqlite {
    const char *path; /* for config_resolve_path() */
    const char *table;
};

struct config_batch {
    unsigned docs;
    uint64_t bytes;
    uint64_t linger_us;
    unsigned in_flight;
};

struct config_sink {
    const char *name;
    enum config_sink_kind kind; /* which of the three below is filled in */
    struct config_elasticsearch elasticsearch;
    struct config_hbase hbase;
    struct config_sqlite sqlite;
    struct config_batch batch;
};

struct config_dead_letter_kafka {
    struct config_strings brokers;
    const char *topic;
    struct config_pairs options;
};

struct config_dead_letter {
    enum config_dead_letter_kind kind; /* which of the two below is filled in */
    const char *file;                  /* for config_resolve_path() */
    struct config_dead_letter_kafka kafka;
};

struct config_task {
    const char *name; /* [A-Za-z0-9_-]{1,64} */
    enum config_priority priority;
    struct config_source source;
    struct config_document document;
    unsigned n_sinks;
    struct config_sink *sinks; /* in the file's order */
    const char *hydrate;       /* a sink's name, or "off" */
    int hydrate_sink;          /* the same as an index into sinks; -1: off */
    uint64_t tombstone_retention_us;
    struct config_dead_letter dead_letter;
};

struct config_chunk;

struct config {
    struct config_node node;
    unsigned n_tasks;
    struct config_task *tasks;   /* in the file's order */
    struct config_chunk *memory; /* what everything above lies in */
};

struct config_error {
    unsigned line, column; /* from 1; 0: the error is the file's, not a place's */
    char *text;
};

/* In the order of the file. Start with a zeroed struct, end with config_errors_free(). */
struct config_errors {
    char *file;
    struct config_error *items;
    unsigned n;
    unsigned omitted; /* how many more there were beyond CONFIG_ERRORS_MAX */
};

/*
 * Reads, parses and checks one file of at most 1 MiB. 0: *config is the caller's, to be freed with
 * config_free(). -1: *config is NULL and *errors has every error of the file, at least one (only a
 * YAML syntax error ends the search). Reads the environment, the CPU affinity, the host name and
 * the files that secrets point to. *errors must be zeroed or freed before; free it after either
 * return.
 */
MUST_CHECK int config_load(const char *path, struct config **config, struct config_errors *errors);

/* NULL is allowed. */
void config_free(struct config *config);

/* `file:line:column: text`, one line an error. */
void config_errors_print(FILE *out, const struct config_errors *errors);
void config_errors_free(struct config_errors *errors);

/*
 * Where a sqlite or dead-letter path really is: an absolute one stays, a relative one is below
 * node.state_dir. 0, or -ENAMETOOLONG where `size` bytes (with the NUL) are too few; then `out` is
 * empty.
 */
MUST_CHECK int config_resolve_path(const struct config_node *node, const char *path, char *out,
                                   size_t size);

/*
 * The names that the file uses for an enum's values; for log lines, metrics and status answers.
 * Static strings.
 */
const char *config_priority_name(enum config_priority priority);
const char *config_format_name(enum config_format format);
const char *config_images_name(enum config_images images);

/*
 * The config as YAML with every default filled in, keys in the order of the schema. Secrets are
 * `***`; but for them (and for admin_explicit, which becomes true) config_load() makes the same
 * config of it. Errors of `out` are the caller's to look for (ferror).
 */
void config_print(FILE *out, const struct config *config);

/* docs/CONFIGURATION.md and config/weir.schema.json (JSON Schema 2020-12), from the schema table.
 * Same rule for `out`. */
void config_write_docs(FILE *out);
void config_write_schema(FILE *out);

#endif
