/*
 * schema_sinks.c: every key below a sink's name; schema.c says what a table is.
 *
 *     NAME ─┬─ elasticsearch ── tls
 *           ├─ hbase ── create
 *           ├─ sqlite
 *           └─ batch
 *
 * A batch's defaults are those of Elasticsearch and SQLite; HBase's others are load.c's to set.
 */
#include "config/schema_table.h"
#include "config/texts.h"

_Static_assert(offsetof(struct config_sink, name) == 0, "SCHEMA_MAP puts the name first");

static const char *const compression_choices[] = { "none", "gzip", NULL };

#define PATTERN_SERVER "^.+:[0-9]{1,5}$"

static const struct schema_key tls_keys[] = {
    { .name = "ca",
      .type = SCHEMA_TEXT,
      FIELD(config_tls, ca),
      .fallback_text = "the system's authorities",
      .help = "A file with the certificates of the authorities that are trusted." },
    { .name = "cert",
      .type = SCHEMA_TEXT,
      FIELD(config_tls, cert),
      .fallback_text = "none",
      .help = "A file with this client's certificate; needs `key`." },
    { .name = "key",
      .type = SCHEMA_TEXT,
      FIELD(config_tls, key),
      .fallback_text = "none",
      .help = "A file with the client certificate's private key; needs `cert`." },
    { .name = "verify",
      .type = SCHEMA_BOOL,
      FIELD(config_tls, verify),
      .fallback = "true",
      .help = "Whether the server's certificate and name are checked." },
};

static const struct schema_group tls_group = {
    .help = "TLS of https:// URLs. Paths are relative to the working directory.",
    KEYS(tls_keys),
    .size = sizeof(struct config_tls),
};

static const struct schema_key elasticsearch_keys[] = {
    { .name = "urls",
      .type = SCHEMA_TEXTS,
      FIELD(config_elasticsearch, urls),
      .required = true,
      .items_least = 1,
      .items_most = 32,
      .check = text_check_url,
      .pattern = "^https?://[^?#@]+$",
      .help = "The cluster's nodes; the next one is taken where one fails." },
    { .name = "index",
      .type = SCHEMA_TEXT,
      FIELD(config_elasticsearch, index),
      .required = true,
      .check = text_check_index,
      .pattern = "^[^A-Z\\\\/*?\"<>|,#: _+-][^A-Z\\\\/*?\"<>|,#: ]{0,249}$",
      .help = "The index. The states of deleted documents go to a second one, `<index>-weir`. Both "
              "are created where they are missing." },
    { .name = "username",
      .type = SCHEMA_TEXT,
      FIELD(config_elasticsearch, username),
      .fallback_text = "none",
      .help = "Basic authentication; needs `password`." },
    { .name = "password",
      .type = SCHEMA_SECRET,
      FIELD(config_elasticsearch, password),
      .fallback_text = "none",
      .help = "The user's password." },
    { .name = "api_key",
      .type = SCHEMA_SECRET,
      FIELD(config_elasticsearch, api_key),
      .fallback_text = "none",
      .help = "An API key as Elasticsearch encodes it, instead of a user." },
    { .name = "tls",
      .type = SCHEMA_GROUP,
      FIELD(config_elasticsearch, tls),
      .group = &tls_group,
      .help = "TLS of https:// URLs." },
    { .name = "compression",
      .type = SCHEMA_CHOICE,
      FIELD(config_elasticsearch, compression),
      .choices = compression_choices,
      .fallback = "none",
      .help = "Whether request bodies are compressed: costs CPU here, saves network." },
    { .name = "timeout",
      .type = SCHEMA_DURATION,
      FIELD(config_elasticsearch, timeout_us),
      .least = 100 * MS,
      .most = HOUR,
      .fallback = "30s",
      .help = "How long one request may take before it counts as failed and is repeated." },
};

static const struct schema_group elasticsearch_group = {
    .help =
        "Documents into an index of Elasticsearch 7, 8, 9 or OpenSearch, with external versions.",
    KEYS(elasticsearch_keys),
    .size = sizeof(struct config_elasticsearch),
};

static const struct schema_key hbase_create_keys[] = {
    { .name = "regions",
      .type = SCHEMA_NUMBER,
      FIELD(config_hbase_create, regions),
      .required = true,
      .least = 1,
      .most = 4096,
      .help = "How many regions the table is split into. Row keys are spread evenly over them." },
};

static const struct schema_group hbase_create_group = {
    .help = "How the table is created where it is missing: one family, one version of each cell. "
            "Without this group a missing table is an error.",
    KEYS(hbase_create_keys),
    .size = sizeof(struct config_hbase_create),
};

static const struct schema_key hbase_keys[] = {
    { .name = "zookeeper",
      .type = SCHEMA_TEXTS,
      FIELD(config_hbase, zookeeper),
      .alternative = true,
      .kind = CONFIG_HBASE_ZOOKEEPER,
      .items_least = 1,
      .items_most = 32,
      .check = text_check_server,
      .pattern = PATTERN_SERVER,
      .help = "The ZooKeeper servers that know the cluster: HOST:PORT, one an item." },
    { .name = "masters",
      .type = SCHEMA_TEXTS,
      FIELD(config_hbase, masters),
      .alternative = true,
      .kind = CONFIG_HBASE_MASTERS,
      .items_least = 1,
      .items_most = 32,
      .check = text_check_server,
      .pattern = PATTERN_SERVER,
      .help = "The masters instead, for clients that do not reach ZooKeeper: HOST:PORT, one an "
              "item, standby masters too." },
    { .name = "znode_parent",
      .type = SCHEMA_TEXT,
      FIELD(config_hbase, znode_parent),
      .check = text_check_znode,
      .pattern = "^(/[A-Za-z0-9._-]+)+$",
      .fallback = "/hbase",
      .help = "With `zookeeper`: where the cluster keeps its nodes, HBase's "
              "zookeeper.znode.parent." },
    { .name = "table",
      .type = SCHEMA_TEXT,
      FIELD(config_hbase, table),
      .required = true,
      .check = text_check_hbase_table,
      .pattern = "^([A-Za-z0-9_]+:)?[A-Za-z0-9_][A-Za-z0-9_.-]*$",
      .help = "The table: TABLE, or NAMESPACE:TABLE." },
    { .name = "family",
      .type = SCHEMA_TEXT,
      FIELD(config_hbase, family),
      .check = text_check_hbase_family,
      .pattern = "^[^.:/\\\\][^:/\\\\]{0,126}$",
      .fallback = "d",
      .help = "The column family that all cells go to. It must keep them for ever: a TTL is "
              "refused." },
    { .name = "create",
      .type = SCHEMA_GROUP,
      FIELD(config_hbase, create),
      .group = &hbase_create_group,
      .fallback_text = "none: a missing table is an error",
      .help = "Create the table where it is missing." },
    { .name = "user",
      .type = SCHEMA_TEXT,
      FIELD(config_hbase, user),
      .check = text_check_column,
      .fallback = "weir",
      .help = "The name that weir gives (simple authentication; Kerberos is not supported)." },
    { .name = "timeout",
      .type = SCHEMA_DURATION,
      FIELD(config_hbase, timeout_us),
      .least = 100 * MS,
      .most = HOUR,
      .fallback = "30s",
      .help = "How long one call may take before it counts as failed and is repeated." },
};

static const struct schema_group hbase_group = {
    .help = "Documents as cells of an HBase table (2.4 to 2.6): a row each, a cell each column, "
            "with the change's seqno as its timestamp. docs/ORDERING.md says which cells.",
    KEYS(hbase_keys),
    .size = sizeof(struct config_hbase),
    .has_alternatives = true,
    .kind = offsetof(struct config_hbase, by),
};

static const struct schema_key sqlite_keys[] = {
    { .name = "path",
      .type = SCHEMA_TEXT,
      FIELD(config_sqlite, path),
      .required = true,
      .help = "The database file. Relative to `node.state_dir`." },
    { .name = "table",
      .type = SCHEMA_TEXT,
      FIELD(config_sqlite, table),
      .required = true,
      .check = text_check_sqlite_name,
      .pattern = "^[A-Za-z_][A-Za-z0-9_]{0,127}$",
      .help = "The table. The states of deleted documents go to a second one, `<table>_weir`. Both "
              "are created where they are missing." },
};

static const struct schema_group sqlite_group = {
    .help = "Documents into a table of an SQLite file.",
    KEYS(sqlite_keys),
    .size = sizeof(struct config_sqlite),
};

static const struct schema_key batch_keys[] = {
    { .name = "docs",
      .type = SCHEMA_NUMBER,
      FIELD(config_batch, docs),
      .least = 1,
      .most = 100 * 1000,
      .fallback = "5000",
      .fallback_text = "with `hbase`: `1000`",
      .help = "A batch closes at this many documents," },
    { .name = "bytes",
      .type = SCHEMA_SIZE,
      FIELD(config_batch, bytes),
      .least = KIB,
      .most = 100 * MIB,
      .fallback = "5MiB",
      .fallback_text = "with `hbase`: `2MiB`",
      .help = "or at this many bytes of request," },
    { .name = "linger",
      .type = SCHEMA_DURATION,
      FIELD(config_batch, linger_us),
      .least = 0,
      .most = 10 * MINUTE,
      .fallback = "50ms",
      .help = "or this long after its first document, whichever comes first." },
    { .name = "in_flight",
      .type = SCHEMA_NUMBER,
      FIELD(config_batch, in_flight),
      .least = 1,
      .most = 16,
      .fallback = "2",
      .fallback_text = "with `hbase`: `4`",
      .help = "How many batches of a shard may be under way to the sink at once." },
};

static const struct schema_group batch_group = {
    .help = "When a batch of documents is sent.",
    KEYS(batch_keys),
    .size = sizeof(struct config_batch),
};

static const struct schema_key sink_keys[] = {
    { .name = "elasticsearch",
      .type = SCHEMA_GROUP,
      FIELD(config_sink, elasticsearch),
      .alternative = true,
      .kind = CONFIG_SINK_ELASTICSEARCH,
      .group = &elasticsearch_group,
      .help = "Write to Elasticsearch or OpenSearch." },
    { .name = "hbase",
      .type = SCHEMA_GROUP,
      FIELD(config_sink, hbase),
      .alternative = true,
      .kind = CONFIG_SINK_HBASE,
      .group = &hbase_group,
      .help = "Write to HBase." },
    { .name = "sqlite",
      .type = SCHEMA_GROUP,
      FIELD(config_sink, sqlite),
      .alternative = true,
      .kind = CONFIG_SINK_SQLITE,
      .group = &sqlite_group,
      .help = "Write to an SQLite file." },
    { .name = "batch",
      .type = SCHEMA_GROUP,
      FIELD(config_sink, batch),
      .group = &batch_group,
      .help = "When a batch of documents is sent." },
};

const struct schema_group schema_sink = {
    .help =
        "A store that the documents are written to. The name is yours: logs, metrics and `hydrate` "
        "use it.",
    KEYS(sink_keys),
    .size = sizeof(struct config_sink),
    .has_alternatives = true,
    .kind = offsetof(struct config_sink, kind),
};
