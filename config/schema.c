/*
 * schema.c: every key of a config file, in one table a group.
 *
 *     root ─┬─ node
 *           └─ tasks: NAME ─┬─ source ─┬─ kafka | file
 *                           │          └─ seqno
 *                           ├─ document ── tables: DATABASE.TABLE
 *                           ├─ sinks: NAME ─┬─ elasticsearch ── tls | hbase ── create | sqlite
 *                           │               └─ batch
 *                           └─ dead_letter ── file | kafka
 *
 * One line of a table drives all that is known of a key: how it is read and checked (bind.c), its
 * default, how it is printed (print.c), its row in docs/CONFIGURATION.md (docs.c) and its place in
 * the JSON Schema (json_schema.c). So a new key is one entry here and one field in config.h. Rules
 * between keys are not here: see validate.c.
 *
 * Invariants: the names in `choices` stand in the order of their enum; a SCHEMA_MAP's struct begins
 * with its name; a default is text that the key's own rules accept (a test binds an empty config
 * and looks).
 *
 * What stands under a sink's name is in schema_sinks.c.
 */
#include "config/schema_table.h"
#include "config/texts.h"

#include <string.h>

_Static_assert(offsetof(struct config_task, name) == 0, "SCHEMA_MAP puts the name first");
_Static_assert(offsetof(struct config_table, name) == 0, "SCHEMA_MAP puts the name first");
_Static_assert(sizeof(enum config_format) == sizeof(unsigned), "SCHEMA_CHOICE writes an unsigned");

static const char *const hugepages_choices[] = { "auto", "require", "off", NULL };
static const char *const priority_choices[] = { "high", "normal", "low", NULL };
static const char *const driver_choices[] = { "librdkafka", NULL };
static const char *const start_choices[] = { "earliest", "latest", NULL };
static const char *const format_choices[] = { "canal-json", "debezium-json", NULL };
static const char *const images_choices[] = { "full", "partial", NULL };
static const char *const emit_choices[] = { "always", "on_root", NULL };

#define PATTERN_NAME "^[A-Za-z0-9_-]{1,64}$"

static const struct schema_key node_keys[] = {
    { .name = "name",
      .type = SCHEMA_TEXT,
      FIELD(config_node, name),
      .fallback_text = "the host name",
      .help = "What this node calls itself in logs and answers." },
    { .name = "cores",
      .type = SCHEMA_NUMBERS,
      FIELD(config_node, cores),
      .least = 0,
      .most = CONFIG_CORES_MAX - 1,
      .items_least = 1,
      .items_most = CONFIG_CORES_MAX,
      .fallback_text = "the CPUs that the process may use",
      .help = "The CPUs that shards run on: one shard and one pinned thread each." },
    { .name = "memory",
      .type = SCHEMA_SIZE,
      FIELD(config_node, memory_bytes),
      .least = 64 * MIB,
      .most = UINT64_C(1) << 44,
      .fallback = "1GiB",
      .help = "The store's budget over all shards, reserved at start." },
    { .name = "hugepages",
      .type = SCHEMA_CHOICE,
      FIELD(config_node, hugepages),
      .choices = hugepages_choices,
      .fallback = "auto",
      .help = "Whether memory lies on huge pages: where the kernel has some, or it is an error "
              "without, or never." },
    { .name = "state_dir",
      .type = SCHEMA_TEXT,
      FIELD(config_node, state_dir),
      .fallback = "/var/lib/weir",
      .help = "The folder of dead letters and embedded stores; nothing in it is needed by another "
              "node. Relative to the working directory." },
    { .name = "admin",
      .type = SCHEMA_TEXT,
      FIELD(config_node, admin),
      .check = text_check_socket,
      .fallback = "/run/weir/admin.sock",
      .help = "The Unix socket that commands talk to, with mode 0660. Relative to the working "
              "directory." },
    { .name = "admin_group",
      .type = SCHEMA_TEXT,
      FIELD(config_node, admin_group),
      .check = text_check_column,
      .fallback_text = "none",
      .help = "The group whose members may use the admin socket, besides root and weir's own "
              "user." },
    { .name = "http",
      .type = SCHEMA_TEXT,
      FIELD(config_node, http),
      .or_off = true,
      .check = text_check_listen,
      .pattern = "^(off|.+:[0-9]{1,5})$",
      .help = "HOST:PORT where metrics and health are served over TCP." },
};

static const struct schema_group node_group = {
    .help = "This process: its cores, its memory, its folder and its sockets.",
    KEYS(node_keys),
    .size = sizeof(struct config_node),
};

static const struct schema_key kafka_keys[] = {
    { .name = "brokers",
      .type = SCHEMA_TEXTS,
      FIELD(config_kafka, brokers),
      .required = true,
      .items_least = 1,
      .items_most = 64,
      .check = text_check_broker,
      .help = "Where the cluster is first asked: HOST:PORT, one an item." },
    { .name = "topics",
      .type = SCHEMA_TEXTS,
      FIELD(config_kafka, topics),
      .required = true,
      .items_least = 1,
      .items_most = 256,
      .check = text_check_subscription,
      .pattern = "^(\\^.{0,254}|[A-Za-z0-9._-]{1,249})$",
      .help = "The topics that are read: exact names, or a ^regex." },
    { .name = "group",
      .type = SCHEMA_TEXT,
      FIELD(config_kafka, group),
      .required = true,
      .check = text_check_column,
      .help = "The consumer group. Offsets are committed under it, with the partition's clock." },
    { .name = "driver",
      .type = SCHEMA_CHOICE,
      FIELD(config_kafka, driver),
      .choices = driver_choices,
      .fallback = "librdkafka",
      .help = "The code that fetches. There is one so far." },
    { .name = "partitioned_by_key",
      .type = SCHEMA_BOOL,
      FIELD(config_kafka, partitioned_by_key),
      .fallback = "false",
      .help = "Say true only if all rows of a document come by one partition (or one partition "
              "number of co-partitioned topics). Only then may several nodes share the log." },
    { .name = "start",
      .type = SCHEMA_CHOICE,
      FIELD(config_kafka, start),
      .choices = start_choices,
      .fallback = "earliest",
      .help = "Where a group that has no commits begins." },
    { .name = "commit_interval",
      .type = SCHEMA_DURATION,
      FIELD(config_kafka, commit_interval_us),
      .least = 100 * MS,
      .most = HOUR,
      .fallback = "5s",
      .help = "The most often that offsets are committed. A crash repeats at most this much work; "
              "it never changes the result." },
    { .name = "options",
      .type = SCHEMA_PAIRS,
      FIELD(config_kafka, options),
      .multiline = true,
      .items_most = 256,
      .check_name = text_check_consumer_option,
      .pattern_name = "^[A-Za-z0-9._-]{1,128}$",
      .help = "Options for librdkafka as they are, like security.protocol or sasl.password. Those "
              "that weir sets itself are refused." },
};

static const struct schema_group kafka_group = {
    .help = "Change events from Kafka. The node is a member of a consumer group.",
    KEYS(kafka_keys),
    .size = sizeof(struct config_kafka),
};

static const struct schema_key file_keys[] = {
    { .name = "paths",
      .type = SCHEMA_TEXTS,
      FIELD(config_file, paths),
      .required = true,
      .items_least = 1,
      .items_most = 1024,
      .help =
          "The files, read in this order; `-` is standard input. Names that end in .gz, .zst or "
          ".lz4 are decompressed. Relative to the working directory." },
};

static const struct schema_group file_group = {
    .help =
        "Change events from files: one event a line, or `kcat -J` lines, whose partition, offset "
        "and key count.",
    KEYS(file_keys),
    .size = sizeof(struct config_file),
};

static const struct schema_key seqno_keys[] = {
    { .name = "field",
      .type = SCHEMA_TEXT,
      FIELD(config_seqno, field),
      .check = text_check_column,
      .fallback_text = "the partition's clock",
      .help = "A field of the event that carries its sequence number." },
};

static const struct schema_group seqno_group = {
    .help = "Where a change's sequence number comes from. Changes of one row are ordered by it.",
    KEYS(seqno_keys),
    .size = sizeof(struct config_seqno),
};

static const struct schema_key source_keys[] = {
    { .name = "kafka",
      .type = SCHEMA_GROUP,
      FIELD(config_source, kafka),
      .alternative = true,
      .kind = CONFIG_SOURCE_KAFKA,
      .group = &kafka_group,
      .help = "Read from Kafka." },
    { .name = "file",
      .type = SCHEMA_GROUP,
      FIELD(config_source, file),
      .alternative = true,
      .kind = CONFIG_SOURCE_FILE,
      .group = &file_group,
      .help = "Read from files or standard input." },
    { .name = "format",
      .type = SCHEMA_CHOICE,
      FIELD(config_source, format),
      .required = true,
      .choices = format_choices,
      .help = "What the events are: canal's flat messages, or Debezium's envelopes with or without "
              "their schema." },
    { .name = "images",
      .type = SCHEMA_CHOICE,
      FIELD(config_source, images),
      .choices = images_choices,
      .fallback = "full",
      .help = "Whether an event has every column of its row (full binlog images), or only some: "
              "partial merges field by field." },
    { .name = "seqno",
      .type = SCHEMA_GROUP,
      FIELD(config_source, seqno),
      .group = &seqno_group,
      .help = "Where a change's sequence number comes from." },
    { .name = "max_clock_skew",
      .type = SCHEMA_DURATION,
      FIELD(config_source, max_clock_skew_us),
      .least = SECOND,
      .most = 36500 * DAY,
      .fallback = "10min",
      .help = "A capture time that is further ahead of this node's clock is clamped, counted and "
              "alerted, so that one wrong clock cannot freeze a row for years." },
    { .name = "max_event",
      .type = SCHEMA_SIZE,
      FIELD(config_source, max_event_bytes),
      .least = 4 * KIB,
      .most = GIB,
      .fallback = "128MiB",
      .help = "The longest line or message that is decoded; a longer one is a dead letter." },
};

static const struct schema_group source_group = {
    .help = "Where change events come from, and what they look like.",
    KEYS(source_keys),
    .size = sizeof(struct config_source),
    .has_alternatives = true,
    .kind = offsetof(struct config_source, kind),
};

static const struct schema_key table_keys[] = {
    { .name = "into",
      .type = SCHEMA_TEXT,
      FIELD(config_table, into),
      .check = text_check_into,
      .pattern = "^[^_.][^.]*$",
      .fallback_text = "none: the root table",
      .help = "The field that the table's row or rows go under. The one table without it is the "
              "root: its columns are the document's own fields." },
    { .name = "many",
      .type = SCHEMA_TEXT,
      FIELD(config_table, many),
      .check = text_check_column,
      .fallback_text = "none: one row a document",
      .help = "For a 1:n table: the column whose value names a row within its document. The rows "
              "become an array, ordered by it." },
    { .name = "columns",
      .type = SCHEMA_PAIRS,
      FIELD(config_table, columns),
      .items_least = 1,
      .items_most = 4096,
      .check = text_check_column,
      .check_name = text_check_column,
      .fallback_text = "every column under its own name",
      .help = "The columns that are kept, each with the name that it gets." },
};

static const struct schema_group table_group = {
    .help = "A table of the database and its place in the document. Tables that are not listed are "
            "counted as unmapped.",
    KEYS(table_keys),
    .size = sizeof(struct config_table),
};

static const struct schema_key document_keys[] = {
    { .name = "key",
      .type = SCHEMA_TEXT,
      FIELD(config_document, key),
      .required = true,
      .check = text_check_column,
      .help = "The column that every mapped table carries and whose value is the document's id." },
    { .name = "emit",
      .type = SCHEMA_CHOICE,
      FIELD(config_document, emit),
      .choices = emit_choices,
      .fallback = "always",
      .help = "Whether a document is written as soon as anything of it is known, or not before its "
              "root row is." },
    { .name = "tables",
      .type = SCHEMA_MAP,
      FIELD(config_document, tables),
      .required = true,
      .count = offsetof(struct config_document, n_tables),
      .group = &table_group,
      .items_least = 1,
      .items_most = CONFIG_TABLES_MAX,
      .check_name = text_check_table,
      .pattern_name = "^[^.]+\\..+$",
      .entry_name = "DATABASE.TABLE",
      .help = "The tables that make up the document; exactly one of them is the root." },
};

static const struct schema_group document_group = {
    .help = "What one document is made of.",
    KEYS(document_keys),
    .size = sizeof(struct config_document),
};

static const struct schema_key dead_kafka_keys[] = {
    { .name = "brokers",
      .type = SCHEMA_TEXTS,
      FIELD(config_dead_letter_kafka, brokers),
      .required = true,
      .items_least = 1,
      .items_most = 64,
      .check = text_check_broker,
      .help = "Where the cluster is first asked: HOST:PORT, one an item." },
    { .name = "topic",
      .type = SCHEMA_TEXT,
      FIELD(config_dead_letter_kafka, topic),
      .required = true,
      .check = text_check_topic,
      .pattern = "^[A-Za-z0-9._-]{1,249}$",
      .help = "The topic that dead letters are produced to." },
    { .name = "options",
      .type = SCHEMA_PAIRS,
      FIELD(config_dead_letter_kafka, options),
      .multiline = true,
      .items_most = 256,
      .check_name = text_check_producer_option,
      .pattern_name = "^[A-Za-z0-9._-]{1,128}$",
      .help = "Options for librdkafka as they are." },
};

static const struct schema_group dead_kafka_group = {
    .help = "Dead letters into a Kafka topic.",
    KEYS(dead_kafka_keys),
    .size = sizeof(struct config_dead_letter_kafka),
};

static const struct schema_key dead_letter_keys[] = {
    { .name = "file",
      .type = SCHEMA_TEXT,
      FIELD(config_dead_letter, file),
      .alternative = true,
      .kind = CONFIG_DEAD_LETTER_FILE,
      .fallback_text = "`<task name>.dlq`",
      .help = "The file that dead letters are appended to. Relative to `node.state_dir`." },
    { .name = "kafka",
      .type = SCHEMA_GROUP,
      FIELD(config_dead_letter, kafka),
      .alternative = true,
      .kind = CONFIG_DEAD_LETTER_KAFKA,
      .group = &dead_kafka_group,
      .help = "Produce them to Kafka instead." },
};

static const struct schema_group dead_letter_group = {
    .help = "Where events and documents go that can never be written, with the reason and the "
            "original bytes. Left out, it is the file.",
    KEYS(dead_letter_keys),
    .size = sizeof(struct config_dead_letter),
    .has_alternatives = true,
    .kind = offsetof(struct config_dead_letter, kind),
};

static const struct schema_key task_keys[] = {
    { .name = "priority",
      .type = SCHEMA_CHOICE,
      FIELD(config_task, priority),
      .choices = priority_choices,
      .fallback = "normal",
      .help = "Recorded and shown only: shards do not schedule by it yet." },
    { .name = "source",
      .type = SCHEMA_GROUP,
      FIELD(config_task, source),
      .required = true,
      .group = &source_group,
      .help = "Where change events come from." },
    { .name = "document",
      .type = SCHEMA_GROUP,
      FIELD(config_task, document),
      .required = true,
      .group = &document_group,
      .help = "What one document is made of." },
    { .name = "sinks",
      .type = SCHEMA_MAP,
      FIELD(config_task, sinks),
      .required = true,
      .count = offsetof(struct config_task, n_sinks),
      .group = &schema_sink,
      .items_least = 1,
      .items_most = CONFIG_SINKS_MAX,
      .check_name = text_check_sink_name,
      .pattern_name = PATTERN_NAME,
      .entry_name = "SINK",
      .help = "The stores that the documents are written to." },
    { .name = "hydrate",
      .type = SCHEMA_TEXT,
      FIELD(config_task, hydrate),
      .fallback_text = "the first sink",
      .help = "The sink that the state of a document is read back from before it is first written. "
              "The other sinks are asked too, each before it is written itself. `off` is allowed "
              "where nothing can be missing: exactly one table, without `many`, and "
              "full images." },
    { .name = "tombstone_retention",
      .type = SCHEMA_DURATION,
      FIELD(config_task, tombstone_retention_us),
      .least = SECOND,
      .most = 36500 * DAY,
      .fallback = "7d",
      .help = "How long a deleted row is remembered, in the log's time. Longer than any event can "
              "come late: at least what the log keeps, or reading it again from its start can "
              "bring deleted rows back." },
    { .name = "dead_letter",
      .type = SCHEMA_GROUP,
      FIELD(config_task, dead_letter),
      .group = &dead_letter_group,
      .help = "Where events and documents go that can never be written." },
};

static const struct schema_group task_group = {
    .help = "One log in, one kind of document out, into one or more sinks.",
    KEYS(task_keys),
    .size = sizeof(struct config_task),
};

static const struct schema_key root_keys[] = {
    { .name = "node",
      .type = SCHEMA_GROUP,
      FIELD(config, node),
      .group = &node_group,
      .help = "This process." },
    { .name = "tasks",
      .type = SCHEMA_MAP,
      FIELD(config, tasks),
      .required = true,
      .count = offsetof(struct config, n_tasks),
      .group = &task_group,
      .items_least = 1,
      .items_most = CONFIG_TASKS_MAX,
      .check_name = text_check_name,
      .pattern_name = PATTERN_NAME,
      .entry_name = "TASK",
      .help = "What this node does; the names are yours." },
};

const struct schema_group schema_root = {
    .help = "The whole file.",
    KEYS(root_keys),
    .size = sizeof(struct config),
};

const struct schema_key *schema_find(const struct schema_group *group, const char *name)
{
    for (unsigned i = 0; i < group->n_keys; i++) {
        if (strcmp(group->keys[i].name, name) == 0)
            return &group->keys[i];
    }
    return NULL;
}

bool schema_option_is_secret(const char *name)
{
    static const char *const marks[] = { "password", "secret", "jaas", "key.pem",
                                         "oauthbearer.config" };
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (strcasestr(name, marks[i]) != NULL)
            return true;
    }
    return false;
}

const char *config_priority_name(enum config_priority priority)
{
    return priority_choices[priority];
}

const char *config_format_name(enum config_format format)
{
    return format_choices[format];
}

const char *config_images_name(enum config_images images)
{
    return images_choices[images];
}
