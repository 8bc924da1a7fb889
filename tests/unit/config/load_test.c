/* load_test.c: right configs become the structs that they say. */
#include "config_unit.h"

#include <errno.h>
#include <sched.h>

#define SMALLEST \
    "tasks:\n" \
    "  orders:\n" \
    "    source: { file: { paths: [\"-\"] }, format: debezium-json }\n" \
    "    document: { key: id, tables: { d.t: } }\n" \
    "    sinks: { one: { sqlite: { path: p.db, table: t } } }\n"

static void node_defaults_come_from_the_machine(void **state)
{
    (void)state;
    struct config *config = load_right(SMALLEST);
    char host[256] = { 0 };
    cpu_set_t cpus;
    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    assert_string_equal(config->node.name, host);
    assert_int_equal(config->node.cores.n, CPU_COUNT(&cpus));
    for (unsigned i = 0; i < config->node.cores.n; i++)
        assert_true(CPU_ISSET(config->node.cores.items[i], &cpus));
    assert_int_equal(config->node.memory_bytes, 1 << 30);
    assert_int_equal(config->node.hugepages, HUGEPAGES_AUTO);
    assert_string_equal(config->node.state_dir, "/var/lib/weir");
    assert_string_equal(config->node.admin, "/run/weir/admin.sock");
    assert_false(config->node.admin_explicit);
    assert_null(config->node.admin_group);
    assert_null(config->node.http);
    config_free(config);
}

static void task_defaults_are_those_of_the_page(void **state)
{
    (void)state;
    struct config *config = load_right(SMALLEST);
    assert_int_equal(config->n_tasks, 1);
    const struct config_task *task = &config->tasks[0];
    assert_string_equal(task->name, "orders");
    assert_int_equal(task->priority, CONFIG_PRIORITY_NORMAL);
    assert_int_equal(task->source.kind, CONFIG_SOURCE_FILE);
    assert_string_equal(task->source.file.paths.items[0], "-");
    assert_int_equal(task->source.format, CONFIG_FORMAT_DEBEZIUM_JSON);
    assert_int_equal(task->source.images, CONFIG_IMAGES_FULL);
    assert_null(task->source.seqno.field);
    assert_int_equal(task->source.max_clock_skew_us, UINT64_C(600000000));
    assert_int_equal(task->source.max_event_bytes, 128 << 20);
    assert_int_equal(task->document.emit, CONFIG_EMIT_ALWAYS);
    assert_int_equal(task->document.root, 0);
    assert_int_equal(task->hydrate_sink, 0);
    assert_int_equal(task->dead_letter.kind, CONFIG_DEAD_LETTER_FILE);
    assert_string_equal(task->dead_letter.file, "orders.dlq");
    assert_int_equal(task->tombstone_retention_us, UINT64_C(7) * 86400 * 1000000);
    const struct config_batch *batch = &task->sinks[0].batch;
    assert_int_equal(batch->docs, 5000);
    assert_int_equal(batch->bytes, 5 << 20);
    assert_int_equal(batch->linger_us, 50000);
    assert_int_equal(batch->in_flight, 2);
    config_free(config);
}

static const char everything[] =
    "node:\n"
    "  name: true\n"
    "  cores: [1, 0]\n"
    "  memory: 64MiB\n"
    "  hugepages: off\n"
    "  state_dir: state\n"
    "  admin: /run/weir/admin.sock\n"
    "  admin_group: ops\n"
    "  http: '[::1]:9464'\n"
    "tasks:\n"
    "  7:\n"
    "    priority: low\n"
    "    source:\n"
    "      kafka:\n"
    "        brokers: [a:1, b]\n"
    "        topics: [trade, ^shop\\..*]\n"
    "        group: 12\n"
    "        driver: librdkafka\n"
    "        partitioned_by_key: true\n"
    "        start: latest\n"
    "        commit_interval: 250ms\n"
    "        options: { sasl.password: secret, fetch.min.bytes: 1, ssl.ca.pem: \"a\\nb\" }\n"
    "      format: canal-json\n"
    "      images: partial\n"
    "      seqno: { field: scn }\n"
    "      max_clock_skew: 1h\n"
    "      max_event: 1MiB\n"
    "    document:\n"
    "      key: order_no\n"
    "      emit: on_root\n"
    "      tables:\n"
    "        d.item: { into: items, many: id }\n"
    "        d.order: { columns: { a: x, b: y } }\n"
    "    sinks:\n"
    "      local:\n"
    "        sqlite: { path: /abs/p.db, table: t }\n"
    "      search:\n"
    "        elasticsearch:\n"
    "          urls: [\"http://a:9200/\", \"https://b/x\"]\n"
    "          index: orders\n"
    "          username: u\n"
    "          password: \"p: w\"\n"
    "          tls: { ca: ca.pem, cert: c.pem, key: k.pem, verify: false }\n"
    "          compression: gzip\n"
    "          timeout: 5s\n"
    "        batch: { docs: 1, bytes: 1KiB, linger: 0ms, in_flight: 16 }\n"
    "      detail:\n"
    "        hbase:\n"
    "          zookeeper: ['z-1:2181', 'z-2:2181']\n"
    "          znode_parent: /hbase-2\n"
    "          table: shop:orders\n"
    "          family: cells\n"
    "          create: { regions: 16 }\n"
    "          user: etl\n"
    "          timeout: 10s\n"
    "    hydrate: search\n"
    "    tombstone_retention: 36h\n"
    "    dead_letter: { kafka: { brokers: [a], topic: dead, options: { acks: all } } }\n";

static void check_everything(const struct config *config)
{
    const struct config_task *task = &config->tasks[0];
    const struct config_kafka *kafka = &task->source.kafka;
    assert_string_equal(config->node.name, "true");
    assert_int_equal(config->node.cores.items[0], 1);
    assert_int_equal(config->node.hugepages, HUGEPAGES_OFF);
    assert_true(config->node.admin_explicit);
    assert_string_equal(config->node.admin_group, "ops");
    assert_string_equal(config->node.http, "[::1]:9464");
    assert_string_equal(task->name, "7");
    assert_int_equal(task->priority, CONFIG_PRIORITY_LOW);
    assert_int_equal(task->source.kind, CONFIG_SOURCE_KAFKA);
    assert_int_equal(kafka->brokers.n, 2);
    assert_string_equal(kafka->topics.items[1], "^shop\\..*");
    assert_string_equal(kafka->group, "12");
    assert_true(kafka->partitioned_by_key);
    assert_int_equal(kafka->start, CONFIG_START_LATEST);
    assert_int_equal(kafka->commit_interval_us, 250000);
    assert_int_equal(kafka->options.n, 3);
    assert_string_equal(kafka->options.items[1].name, "fetch.min.bytes");
    assert_string_equal(kafka->options.items[1].value, "1");
    assert_string_equal(kafka->options.items[2].value, "a\nb");
    assert_int_equal(task->source.images, CONFIG_IMAGES_PARTIAL);
    assert_string_equal(task->source.seqno.field, "scn");
}

static void check_everything_behind_the_source(const struct config_task *task)
{
    assert_int_equal(task->document.emit, CONFIG_EMIT_ON_ROOT);
    assert_int_equal(task->document.n_tables, 2);
    assert_int_equal(task->document.root, 1);
    assert_string_equal(task->document.tables[0].many, "id");
    assert_string_equal(task->document.tables[1].columns.items[1].name, "b");
    assert_string_equal(task->document.tables[1].columns.items[1].value, "y");
    assert_int_equal(task->n_sinks, 3);
    const struct config_elasticsearch *es = &task->sinks[1].elasticsearch;
    assert_int_equal(task->sinks[1].kind, CONFIG_SINK_ELASTICSEARCH);
    assert_string_equal(es->urls.items[0], "http://a:9200");
    assert_string_equal(es->urls.items[1], "https://b/x");
    assert_string_equal(es->password, "p: w");
    assert_string_equal(es->tls.key, "k.pem");
    assert_false(es->tls.verify);
    assert_int_equal(es->compression, CONFIG_COMPRESSION_GZIP);
    assert_int_equal(es->timeout_us, 5000000);
    assert_int_equal(task->sinks[1].batch.linger_us, 0);
    assert_int_equal(task->sinks[1].batch.in_flight, 16);
    const struct config_hbase *hbase = &task->sinks[2].hbase;
    assert_int_equal(hbase->by, CONFIG_HBASE_ZOOKEEPER);
    assert_string_equal(hbase->zookeeper.items[1], "z-2:2181");
    assert_string_equal(hbase->znode_parent, "/hbase-2");
    assert_string_equal(hbase->table, "shop:orders");
    assert_string_equal(hbase->family, "cells");
    assert_int_equal(hbase->create.regions, 16);
    assert_string_equal(hbase->user, "etl");
    assert_int_equal(hbase->timeout_us, 10000000);
    assert_int_equal(task->hydrate_sink, 1);
    assert_int_equal(task->tombstone_retention_us, UINT64_C(36) * 3600 * 1000000);
    assert_int_equal(task->dead_letter.kind, CONFIG_DEAD_LETTER_KAFKA);
    assert_string_equal(task->dead_letter.kafka.topic, "dead");
    assert_string_equal(task->dead_letter.kafka.options.items[0].value, "all");
}

/* Every key, each with something else than its default; plain words and numbers are text where text
 * is wanted. */
static void every_key_reaches_its_field(void **state)
{
    (void)state;
    struct config *config = load_right(everything);
    check_everything(config);
    check_everything_behind_the_source(&config->tasks[0]);
    config_free(config);
}

/* Printing fills in every default and reads as the same config, whose print is the same again. */
static void what_is_printed_reads_as_the_same_config(void **state)
{
    (void)state;
    struct config *config = load_right(everything);
    char *first = printed(config);
    config_free(config);
    config = load_right(first);
    char *second = printed(config);
    assert_string_equal(first, second);
    assert_null(strstr(first, "p: w"));
    assert_null(strstr(first, "secret\""));
    assert_string_equal(config->tasks[0].sinks[1].elasticsearch.password, "***");
    assert_string_equal(config->tasks[0].source.kafka.options.items[0].value, "***");
    check_everything(config);
    config_free(config);
    free(first);
    free(second);
}

static void hydration_may_be_off_for_one_table_with_full_images(void **state)
{
    (void)state;
    struct config *config = load_right(SMALLEST "    hydrate: off\n");
    assert_int_equal(config->tasks[0].hydrate_sink, -1);
    char *text = printed(config);
    assert_non_null(strstr(text, "hydrate: off\n"));
    free(text);
    config_free(config);
}

/* HBase's batches are smaller and more of them are under way; what the file says stays. */
static void an_hbase_sink_has_defaults_of_its_own(void **state)
{
    (void)state;
    struct config *config = load_right(
        "tasks:\n"
        "  t:\n"
        "    source: { file: { paths: [a] }, format: canal-json }\n"
        "    document: { key: k, tables: { d.t: {} } }\n"
        "    sinks:\n"
        "      a: { hbase: { zookeeper: ['z:2181'], table: orders } }\n"
        "      b: { hbase: { masters: ['m:16000'], table: n:o, create: { regions: 8 } },\n"
        "           batch: { docs: 7 } }\n");
    const struct config_sink *sinks = config->tasks[0].sinks;
    assert_int_equal(sinks[0].kind, CONFIG_SINK_HBASE);
    assert_int_equal(sinks[0].hbase.by, CONFIG_HBASE_ZOOKEEPER);
    assert_string_equal(sinks[0].hbase.zookeeper.items[0], "z:2181");
    assert_string_equal(sinks[0].hbase.znode_parent, "/hbase");
    assert_string_equal(sinks[0].hbase.family, "d");
    assert_string_equal(sinks[0].hbase.user, "weir");
    assert_int_equal(sinks[0].hbase.timeout_us, 30000000);
    assert_int_equal(sinks[0].hbase.create.regions, 0);
    assert_int_equal(sinks[0].batch.docs, 1000);
    assert_int_equal(sinks[0].batch.bytes, 2 << 20);
    assert_int_equal(sinks[0].batch.linger_us, 50000);
    assert_int_equal(sinks[0].batch.in_flight, 4);
    assert_int_equal(sinks[1].hbase.by, CONFIG_HBASE_MASTERS);
    assert_int_equal(sinks[1].hbase.create.regions, 8);
    assert_int_equal(sinks[1].batch.docs, 7);
    assert_int_equal(sinks[1].batch.in_flight, 4);
    assert_int_equal(config->tasks[0].hydrate_sink, 0);
    char *first = printed(config);
    config_free(config);
    config = load_right(first);
    char *second = printed(config);
    assert_string_equal(first, second);
    assert_int_equal(config->tasks[0].sinks[0].hbase.create.regions, 0);
    assert_int_equal(config->tasks[0].sinks[1].hbase.create.regions, 8);
    config_free(config);
    free(first);
    free(second);
}

/* A secret in a file loses one line break at its end, and no more. */
static void secrets_are_read_from_files(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "hunter2\n", "hunter2" },
                                            { "hunter2", "hunter2" },
                                            { "a b\r\n", "a b" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *path = file_with(cases[i][0], strlen(cases[i][0]));
        char text[600];
        snprintf(text, sizeof(text),
                 "tasks:\n"
                 "  t:\n"
                 "    source: { file: { paths: [a] }, format: canal-json }\n"
                 "    document: { key: k, tables: { d.t: {} } }\n"
                 "    sinks: { s: { elasticsearch: { urls: ['http://a'], index: i, api_key: { "
                 "file: %s } } } }\n",
                 path);
        struct config *config = load_right(text);
        assert_string_equal(config->tasks[0].sinks[0].elasticsearch.api_key, cases[i][1]);
        config_free(config);
        unlink(path);
        free(path);
    }
}

static void relative_paths_are_below_the_state_folder(void **state)
{
    (void)state;
    const struct config_node node = { .state_dir = "/var/lib/weir" };
    char out[32];
    assert_int_equal(config_resolve_path(&node, "orders.db", out, sizeof(out)), 0);
    assert_string_equal(out, "/var/lib/weir/orders.db");
    assert_int_equal(config_resolve_path(&node, "/data/orders.db", out, sizeof(out)), 0);
    assert_string_equal(out, "/data/orders.db");
    assert_int_equal(config_resolve_path(&node, "0123456789/0123456789", out, sizeof(out)),
                     -ENAMETOOLONG);
    assert_string_equal(out, "");
}

static void every_sample_is_right(void **state)
{
    (void)state;
    static const char *const samples[] = { "quickstart", "kafka-elasticsearch",
                                           "debezium-elasticsearch", "kafka-elasticsearch-hbase" };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        char path[1024];
        struct config *config;
        struct config_errors errors = { 0 };
        snprintf(path, sizeof(path), "%s/config/samples/%s.yaml", WEIR_SOURCE_ROOT, samples[i]);
        if (config_load(path, &config, &errors) != 0)
            config_errors_print(stderr, &errors);
        assert_non_null(config);
        assert_int_equal(config->tasks[0].document.n_tables, 4);
        char *first = printed(config);
        config_free(config);
        config = load_right(first);
        char *second = printed(config);
        assert_string_equal(first, second);
        free(first);
        free(second);
        config_free(config);
        config_errors_free(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_defaults_come_from_the_machine),
        cmocka_unit_test(task_defaults_are_those_of_the_page),
        cmocka_unit_test(every_key_reaches_its_field),
        cmocka_unit_test(what_is_printed_reads_as_the_same_config),
        cmocka_unit_test(hydration_may_be_off_for_one_table_with_full_images),
        cmocka_unit_test(an_hbase_sink_has_defaults_of_its_own),
        cmocka_unit_test(secrets_are_read_from_files),
        cmocka_unit_test(relative_paths_are_below_the_state_folder),
        cmocka_unit_test(every_sample_is_right),
    };
    return UNIT_RUN(tests);
}
