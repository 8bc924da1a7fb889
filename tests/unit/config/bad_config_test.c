/* bad_config_test.c: each wrong config gets its errors, at their places, with what is allowed, and
 * no others. */
#include "config_unit.h"

/* A right config. A case replaces one of its lines, so that places are easy to count. */
static const char *const right[] = {
    "tasks:",
    "  one:",
    "    source:",
    "      kafka: { brokers: ['a:1'], topics: [t], group: g }",
    "      format: canal-json",
    "    document:",
    "      key: k",
    "      tables:",
    "        d.a: {}",
    "        d.b: { into: b, many: id }",
    "    sinks:",
    "      s: { sqlite: { path: p, table: t } }",
    "      e: { elasticsearch: { urls: ['http://a'], index: i } }",
};

enum { LINES = sizeof(right) / sizeof(right[0]), ERRORS = 6 };

struct bad {
    unsigned line;              /* which line is replaced; LINES + 1: one is added */
    const char *text;           /* by what */
    const char *errors[ERRORS]; /* what each error begins with, in order */
};

/* The key's own name stands between the place and what was found. */
static const struct bad unknown_keys[] = {
    { 1,
      "nodes: {}\ntasks:",
      { "1:1: nodes: unknown key; allowed: node, tasks; did you mean \"node\"?" } },
    { 14,
      "node: { coers: [0] }",
      { "14:9: node.coers: unknown key; allowed: name, cores, memory, hugepages, state_dir, admin, "
        "admin_group, http; did you mean \"cores\"?" } },
    { 2,
      "  one:\n    format: x\n    hidrate: off",
      { "3:5: tasks.one.format: unknown key; allowed: priority, source, document, sinks, hydrate, "
        "tombstone_retention, dead_letter",
        "4:5: tasks.one.hidrate: unknown key; allowed: priority, source, document, sinks, hydrate, "
        "tombstone_retention, dead_letter; "
        "did you mean \"hydrate\"?" } },
    { 13,
      "      e: { hbas: { table: t } }",
      { "13:7: tasks.one.sinks.e: the key \"elasticsearch\" or \"hbase\" or \"sqlite\" is missing",
        "13:12: tasks.one.sinks.e.hbas: unknown key; allowed: elasticsearch, hbase, sqlite, batch; "
        "did you mean \"hbase\"?" } },
    { 9,
      "        d.a: {}\n        d.a: {}",
      { "10:9: the key \"d.a\" is here twice; allowed: once (the first is in line 9)" } },
};

static const struct bad wrong_values[] = {
    { 14,
      "node: { memory: 1MiB }",
      { "14:17: node.memory: found \"1MiB\"; allowed: a size from 64MiB to 16TiB (B, KiB, MiB, "
        "GiB, TiB)" } },
    { 14,
      "node: { memory: 1.5GiB }",
      { "14:17: node.memory: found \"1.5GiB\"; allowed: a size from 64MiB" } },
    { 14,
      "node: { memory: [1GiB] }",
      { "14:17: node.memory: found a list; allowed: a size from 64MiB" } },
    { 14,
      "node: { admin: off }",
      { "14:16: node.admin: found \"off\"; allowed: a path: there is always an admin socket" } },
    { 14,
      "node: { hugepages: on }",
      { "14:20: node.hugepages: found \"on\"; allowed: auto, require, off" } },
    { 14,
      "node: { cores: [0, 1, 0, x, 1024, -1] }",
      { "14:23: node.cores[2]: found \"0\"; allowed: each number once",
        "14:26: node.cores[3]: found \"x\"; allowed: a whole number from 0 to 1023",
        "14:29: node.cores[4]: found \"1024\"; allowed: a whole number from 0 to 1023",
        "14:35: node.cores[5]: found \"-1\"; allowed: a whole number" } },
    { 14,
      "node: { cores: [] }",
      { "14:16: node.cores: found nothing in it; allowed: 1 to 1024 entries" } },
    { 14, "node: { cores: 2 }", { "14:16: node.cores: found \"2\"; allowed: a list" } },
    { 14, "node: { http: 9464 }", { "14:15: node.http: found \"9464\"; allowed: HOST:PORT" } },
    { 14,
      "node:\n  name:\n  admin: ''",
      { "15:3: node.name: found nothing; allowed: a text",
        "16:10: node.admin: found \"\"; allowed: a text that is not empty" } },
    { 14, "node: 5", { "14:7: node: found \"5\"; allowed: a map" } },
    { 2,
      "  one:\n    priority: hihg",
      { "3:15: tasks.one.priority: found \"hihg\"; allowed: high, normal, low; did you mean "
        "\"high\"?" } },
    { 2, "  o.ne:", { "2:3: tasks.o.ne: found \"o.ne\"; allowed: 1 to 64 of A-Z a-z 0-9 _ -" } },
    { 5,
      "      format: canal",
      { "5:15: tasks.one.source.format: found \"canal\"; allowed: canal-json, debezium-json" } },
    { 5,
      "      format: canal-json\n      max_clock_skew: 10",
      { "6:23: tasks.one.source.max_clock_skew: found \"10\"; allowed: a duration from 1s to "
        "36500d "
        "(us, ms, s, min, h, d)" } },
    { 5,
      "      format: canal-json\n      max_event: 2GiB",
      { "6:18: tasks.one.source.max_event: found \"2GiB\"; allowed: a size from 4KiB to 1GiB" } },
    { 5,
      "      format: ${WEIR_TEST_UNSET}",
      { "5:15: the variable WEIR_TEST_UNSET is not set; allowed: one that is, or "
        "${VAR:default}" } },
    { 13,
      "      off: { elasticsearch: { urls: ['http://a'], index: i } }",
      { "13:7: tasks.one.sinks.off: found \"off\"; allowed: another name" } },
};

static const struct bad sources[] = {
    { 4,
      "      kafka: { brokers: 'a:1', topics: [], driver: native }",
      { "4:7: tasks.one.source.kafka: the key \"group\" is missing",
        "4:25: tasks.one.source.kafka.brokers: found \"a:1\"; allowed: a list, like [a, b]",
        "4:40: tasks.one.source.kafka.topics: found nothing in it; allowed: 1 to 256 entries",
        "4:52: tasks.one.source.kafka.driver: found \"native\"; allowed: librdkafka" } },
    { 4,
      "      kafka: { brokers: ['a:0', 'a,b'], topics: [^(, a/b], group: g, partitioned_by_key: "
      "yes }",
      { "4:26: tasks.one.source.kafka.brokers[0]: found \"a:0\"; allowed: HOST:PORT",
        "4:33: tasks.one.source.kafka.brokers[1]: found \"a,b\"; allowed: HOST:PORT",
        "4:50: tasks.one.source.kafka.topics[0]: found \"^(\"; allowed: a ^regex",
        "4:54: tasks.one.source.kafka.topics[1]: found \"a/b\"; allowed: a topic's name",
        "4:90: tasks.one.source.kafka.partitioned_by_key: found \"yes\"; allowed: false, true" } },
    { 4,
      "      kafka: { brokers: [a], topics: [t], group: g, options: { group.id: x, acks: [1] } }",
      { "4:64: tasks.one.source.kafka.options.group.id: found \"group.id\"; allowed: weir sets "
        "this option "
        "itself: use `group`",
        "4:83: tasks.one.source.kafka.options.acks: found a list; allowed: a text" } },
    { 4,
      "      kafka: { brokers: [a], topics: [t, u], group: g, partitioned_by_key: true,\n"
      "        options: { partition.assignment.strategy: roundrobin } }",
      { "5:51: tasks.one.source.kafka.options.partition.assignment.strategy: found "
        "\"roundrobin\"; allowed: range, because several topics are partitioned by key, and only "
        "range gives their partitions of one number to one node" } },
    { 4,
      "      file: { paths: [a] }\n      kafka: { brokers: [a], topics: [t], group: g }",
      { "5:7: tasks.one.source.kafka: a second alternative; allowed: one of \"kafka\" or "
        "\"file\"" } },
    { 4,
      "      images: full",
      { "3:5: tasks.one.source: the key \"kafka\" or \"file\" is missing; exactly one of them is "
        "needed" } },
    { 4,
      "      file: { paths: [-, b, '-'] }",
      { "4:29: tasks.one.source.file.paths[2]: found \"-\" again; allowed: standard input once" } },
};

static const struct bad documents[] = {
    { 9,
      "        d.a: { into: a }",
      { "8:7: tasks.one.document.tables: no root table; needed: exactly one table without "
        "\"into\"" } },
    { 9,
      "        d.a: {}\n        d.c: {}",
      { "10:9: tasks.one.document.tables.d.c: a second root table (one without \"into\"); allowed: "
        "one, and "
        "\"d.a\" in line 9 is it" } },
    { 10,
      "        d.b: { many: id }",
      { "10:16: tasks.one.document.tables.d.b.many: needs \"into\"" } },
    { 10,
      "        d.b: { into: _weir }\n        d.c: { into: _x }\n        d.e: { into: a.b }",
      { "10:22: tasks.one.document.tables.d.b.into: found \"_weir\"; allowed: a field name without "
        "dots",
        "11:22: tasks.one.document.tables.d.c.into: found \"_x\"; allowed: a field name without "
        "dots",
        "12:22: tasks.one.document.tables.d.e.into: found \"a.b\"; allowed: a field name without "
        "dots" } },
    { 10,
      "        d.b: { into: b }\n        d.c: { into: b }",
      { "11:22: tasks.one.document.tables.d.c.into: found \"b\", which table \"d.b\" goes into" } },
    { 10,
      "        d.b: { into: b, columns: { x: y, z: y } }",
      { "10:45: tasks.one.document.tables.d.b.columns.z: found \"y\", which the column \"x\" gets "
        "too" } },
    { 9,
      "        d.a: { columns: { x: b, y: _weir } }",
      { "9:30: tasks.one.document.tables.d.a.columns.x: found \"b\", which table \"d.b\" goes into",
        "9:36: tasks.one.document.tables.d.a.columns.y: found \"_weir\"; allowed: another name" } },
    { 9,
      "        d.a: { columns: {} }",
      { "9:25: tasks.one.document.tables.d.a.columns: found nothing in it; allowed: 1 to 4096 "
        "entries" } },
    { 9,
      "        a: {}",
      { "9:9: tasks.one.document.tables.a: found \"a\"; allowed: DATABASE.TABLE" } },
};

static const struct bad sinks[] = {
    { 12,
      "      s: { sqlite: { path: p, table: 1t } }",
      { "12:38: tasks.one.sinks.s.sqlite.table: found \"1t\"; allowed: 1 to 128 of A-Z" } },
    { 12,
      "      s: { sqlite: { path: p, table: t }, batch: { docs: 0, in_flight: 17, linger: 11min } "
      "}",
      { "12:58: tasks.one.sinks.s.batch.docs: found \"0\"; allowed: a whole number from 1 to "
        "100000",
        "12:72: tasks.one.sinks.s.batch.in_flight: found \"17\"; allowed: a whole number from 1 to "
        "16",
        "12:84: tasks.one.sinks.s.batch.linger: found \"11min\"; allowed: a duration from 0us to "
        "10min" } },
    { 13,
      "      e: { elasticsearch: { urls: ['a:9200'], index: Orders } }",
      { "13:36: tasks.one.sinks.e.elasticsearch.urls[0]: found \"a:9200\"; allowed: http://HOST",
        "13:54: tasks.one.sinks.e.elasticsearch.index: found \"Orders\"; allowed: Elasticsearch's "
        "rules" } },
    { 13,
      "      e: { elasticsearch: { urls: ['http://a'], index: i, username: u, api_key: k } }",
      { "13:59: tasks.one.sinks.e.elasticsearch.username: needs \"password\" beside it",
        "13:72: tasks.one.sinks.e.elasticsearch.api_key: stands beside \"username\"; allowed: one "
        "of the two" } },
    { 13,
      "      e: { elasticsearch: { urls: ['http://a'], index: i, password: p, tls: { cert: c } } }",
      { "13:59: tasks.one.sinks.e.elasticsearch.password: needs \"username\" beside it",
        "13:79: tasks.one.sinks.e.elasticsearch.tls.cert: needs \"key\" beside it" } },
    { 13,
      "      e: { elasticsearch: { urls: ['http://a'], index: i, api_key: { file: /nonexistent } } "
      "}",
      { "13:76: tasks.one.sinks.e.elasticsearch.api_key.file: found \"/nonexistent\", which cannot "
        "be opened: No "
        "such file or directory; allowed: a file with the secret in it" } },
    { 13,
      "      e: { elasticsearch: { urls: ['http://a'], index: i, api_key: \"sec\\nret\" } }",
      { "13:68: tasks.one.sinks.e.elasticsearch.api_key: found a secret that cannot be one; "
        "allowed: text "
        "without control characters" } },
    { 13,
      "      h: { hbase: { zookeeper: ['a:2181'], masters: ['a:16000'], table: t } }",
      { "13:44: tasks.one.sinks.h.hbase.masters: a second alternative; allowed: one of "
        "\"zookeeper\" or \"masters\"" } },
    { 13,
      "      h: { hbase: { table: 'a:b:c', family: 'd:', create: {} } }",
      { "13:12: tasks.one.sinks.h.hbase: the key \"zookeeper\" or \"masters\" is missing; exactly "
        "one of them is needed",
        "13:28: tasks.one.sinks.h.hbase.table: found \"a:b:c\"; allowed: TABLE or NAMESPACE:TABLE",
        "13:45: tasks.one.sinks.h.hbase.family: found \"d:\"; allowed: a family's name",
        "13:51: tasks.one.sinks.h.hbase.create: the key \"regions\" is missing" } },
    { 13,
      "      h: { hbase: { zookeeper: [a], znode_parent: hbase, table: t, create: { regions: 0 } } "
      "}",
      { "13:33: tasks.one.sinks.h.hbase.zookeeper[0]: found \"a\"; allowed: HOST:PORT",
        "13:51: tasks.one.sinks.h.hbase.znode_parent: found \"hbase\"; allowed: a znode's path",
        "13:87: tasks.one.sinks.h.hbase.create.regions: found \"0\"; allowed: a whole number from "
        "1 to 4096" } },
    { 14,
      "    tombstone_retention: 0s",
      { "14:26: tasks.one.tombstone_retention: found \"0s\"; allowed: a duration from 1s to "
        "36500d" } },
    { 14,
      "    hydrate: off",
      { "14:14: tasks.one.hydrate: found \"off\"; allowed: a sink's name, because several tables "
        "are mapped" } },
    { 14,
      "    hydrate: of",
      { "14:14: tasks.one.hydrate: found \"of\"; allowed: the name of one of the task's sinks, or "
        "off; did you "
        "mean \"off\"?" } },
    { 14,
      "    dead_letter: {}",
      { "14:5: tasks.one.dead_letter: the key \"file\" or \"kafka\" is missing; exactly one" } },
    { 14,
      "    dead_letter: { file: d, kafka: { brokers: [a], topic: d } }",
      { "14:29: tasks.one.dead_letter.kafka: a second alternative; allowed: one of \"file\" or "
        "\"kafka\"" } },
};

#define SECOND(key_source, key_sinks, rest) \
    "  two:\n    source: { " key_source ", format: canal-json }\n" \
    "    document: { key: k, tables: { d.a: {} } }\n    sinks: { " key_sinks " }\n" rest

/* Two tasks: what they write, and what they read, must not meet. Line 14 is `two`. */
static const struct bad pairs[] = {
    { 14,
      SECOND("file: { paths: [f] }", "x: { sqlite: { path: ./p, table: T } }", ""),
      { "17:19: tasks.two.sinks.x.sqlite: writes where the sink s of task \"one\" (line 12) "
        "does" } },
    { 14,
      SECOND("file: { paths: [f] }", "x: { sqlite: { path: /var/lib//weir/p, table: t_weir } }",
             ""),
      { "17:19: tasks.two.sinks.x.sqlite: writes where the sink s of task \"one\" (line 12) "
        "does" } },
    { 14,
      SECOND("file: { paths: [f] }", "x: { elasticsearch: { urls: ['http://A/'], index: i-weir } }",
             ""),
      { "17:19: tasks.two.sinks.x.elasticsearch: writes where the sink e of task \"one\" (line 13) "
        "does" } },
    { 14,
      SECOND("file: { paths: [f] }", "x: { sqlite: { path: q, table: t } }",
             "    dead_letter: { file: one.dlq }"),
      { "18:5: tasks.two.dead_letter: writes where the dead letters of task \"one\"" } },
    { 14,
      SECOND("file: { paths: [f] }", "x: { sqlite: { path: two.dlq, table: t } }", ""),
      { "14:3: tasks.two: writes where the sink x of task \"two\"" } },
    { 14,
      SECOND("kafka: { brokers: ['a:1'], topics: [u], group: g }",
             "x: { sqlite: { path: q, table: t } }", ""),
      { "15:62: tasks.two.source.kafka.group: found the group of task \"one\"; allowed: a group of "
        "its own" } },
    { 14,
      SECOND("file: { paths: [f] }", "x: { sqlite: { path: q, table: t } }",
             "    dead_letter: { kafka: { brokers: ['a:1'], topic: t } }"),
      { "18:54: tasks.two.dead_letter.kafka.topic: found a topic that task \"one\" reads" } },
};

#define ONE_HBASE(from, table) \
    "  three:\n    source: { file: { paths: [f] }, format: canal-json }\n" \
    "    document: { key: k, tables: { d.a: {} } }\n" \
    "    sinks: { x: { hbase: { " from ", table: " table " } } }\n"

/* A family of an HBase table has one writer: its namespace may be said or not, and any server of
 * the cluster may be named. Another family is another place, and so is another cluster. */
static const struct bad families[] = {
    { 14,
      SECOND("file: { paths: [g] }", "x: { hbase: { zookeeper: ['A:1', 'b:1'], table: t } }", "")
          ONE_HBASE("zookeeper: ['c:1', 'a:1'], family: d", "default:t"),
      { "21:19: tasks.three.sinks.x.hbase: writes where the sink x of task \"two\" (line 17) "
        "does" } },
    { 14,
      SECOND("file: { paths: [g] }", "x: { hbase: { masters: ['a:1'], table: n:t, family: f } }",
             "") ONE_HBASE("masters: ['a:1'], family: f", "n:t"),
      { "21:19: tasks.three.sinks.x.hbase: writes where the sink x of task \"two\" (line 17) "
        "does" } },
};

static const char *const families_apart[] = {
    SECOND("file: { paths: [g] }", "x: { hbase: { masters: ['a:1'], table: t } }", "")
        ONE_HBASE("masters: ['a:1'], family: e", "t"),
    SECOND("file: { paths: [g] }", "x: { hbase: { masters: ['a:1'], table: t } }", "")
        ONE_HBASE("masters: ['b:1']", "t"),
    SECOND("file: { paths: [g] }", "x: { hbase: { zookeeper: ['a:1'], table: t } }", "")
        ONE_HBASE("zookeeper: ['a:1'], znode_parent: /other", "t"),
    SECOND("file: { paths: [g] }", "x: { hbase: { zookeeper: ['a:1'], table: n:t } }", "")
        ONE_HBASE("zookeeper: ['a:1']", "t"),
};

/* One file, everything wrong at once: all of it is said, in the file's order. */
static const struct bad several[] = {
    { 1,
      "node: { memroy: 1GiB, cores: [x] }\ntasks:",
      { "1:9: node.memroy: unknown key; allowed: name,", "1:31: node.cores[0]: found \"x\"" } },
    { 7,
      "      emit: never\n      bogus: 1",
      { "6:5: tasks.one.document: the key \"key\" is missing",
        "7:13: tasks.one.document.emit: found \"never\"",
        "8:7: tasks.one.document.bogus: unknown key" } },
    { 13,
      "    hydrate: nobody\n    priority: [high]\n    priority: low",
      { "13:14: tasks.one.hydrate: found \"nobody\"", "14:15: tasks.one.priority: found a list",
        "15:5: the key \"priority\" is here twice" } },
    { 14, "node: { memory: 1, ", { "15:1: YAML: did not find expected node content" } },
};

static char *text_of(const struct bad *bad)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (unsigned line = 1; line <= LINES + 1; line++) {
        if (line == bad->line)
            fprintf(out, "%s\n", bad->text);
        else if (line <= LINES)
            fprintf(out, "%s\n", right[line - 1]);
    }
    fclose(out);
    return text;
}

static void check_bad(const struct bad *bad)
{
    char *text = text_of(bad), *errors = errors_of_bytes(text, strlen(text));
    char *at = errors;
    bool as_wanted = true;
    for (unsigned i = 0; i < ERRORS && bad->errors[i] != NULL && as_wanted; i++) {
        as_wanted = strncmp(at, bad->errors[i], strlen(bad->errors[i])) == 0;
        if (as_wanted)
            at = strchr(at, '\n') + 1;
    }
    if (!as_wanted || *at != '\0')
        print_message("# %s\n# got:\n%s", bad->text, errors);
    assert_true(as_wanted);
    assert_string_equal(at, ""); /* and no error more */
    free(errors);
    free(text);
}

static void check_all(const struct bad *bad, size_t n)
{
    unsetenv("WEIR_TEST_UNSET");
    for (size_t i = 0; i < n; i++)
        check_bad(&bad[i]);
}

#define CHECK_ALL(table) check_all((table), sizeof(table) / sizeof((table)[0]))

static void the_config_without_a_mistake_is_right(void **state)
{
    (void)state;
    const struct bad none = { 0 };
    char *text = text_of(&none);
    config_free(load_right(text));
    free(text);
}

static void unknown_keys_name_the_nearest_known_one(void **state)
{
    (void)state;
    CHECK_ALL(unknown_keys);
}

static void wrong_values_say_what_is_allowed(void **state)
{
    (void)state;
    CHECK_ALL(wrong_values);
}

static void sources_are_checked(void **state)
{
    (void)state;
    CHECK_ALL(sources);
}

static void documents_have_one_root_and_distinct_names(void **state)
{
    (void)state;
    CHECK_ALL(documents);
}

static void sinks_hydration_and_dead_letters_are_checked(void **state)
{
    (void)state;
    CHECK_ALL(sinks);
}

static void two_tasks_must_not_meet(void **state)
{
    (void)state;
    CHECK_ALL(pairs);
}

static void two_sinks_must_not_write_one_hbase_family(void **state)
{
    (void)state;
    CHECK_ALL(families);
    for (size_t i = 0; i < sizeof(families_apart) / sizeof(families_apart[0]); i++) {
        char *text = text_of(&(const struct bad){ LINES + 1, families_apart[i], { NULL } });
        config_free(load_right(text));
        free(text);
    }
}

static void every_error_of_a_file_is_reported_in_order(void **state)
{
    (void)state;
    CHECK_ALL(several);
}

/* Off is as wrong with one table of many rows, and with partial images. */
static void hydration_off_explains_each_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "    source: { file: { paths: [a] }, format: canal-json, images: partial }\n",
          "images are partial" },
        { "    source: { file: { paths: [a] }, format: canal-json }\n", NULL },
    };
    for (size_t i = 0; i < 2; i++) {
        char text[600];
        snprintf(text, sizeof(text),
                 "tasks:\n  t:\n%s    document: { key: k, tables: { d.t: {} } }\n"
                 "    sinks: { s: { sqlite: { path: p, table: t } } }\n    hydrate: off\n",
                 cases[i][0]);
        if (cases[i][1] == NULL) {
            config_free(load_right(text));
            continue;
        }
        char *errors = errors_of_bytes(text, strlen(text));
        assert_non_null(strstr(errors, cases[i][1]));
        free(errors);
    }
}

static void too_many_tasks_are_refused(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("tasks:\n", out);
    for (unsigned i = 0; i <= CONFIG_TASKS_MAX; i++)
        fprintf(out,
                "  t%u:\n    source: { file: { paths: [a] }, format: canal-json }\n"
                "    document: { key: k, tables: { d.t: {} } }\n"
                "    sinks: { s: { sqlite: { path: p, table: t%u } } }\n",
                i, i);
    fclose(out);
    char *errors = errors_of_bytes(text, size);
    assert_string_equal(errors, "2:3: tasks: found 65 entries; allowed: at most 64\n");
    free(errors);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_config_without_a_mistake_is_right),
        cmocka_unit_test(unknown_keys_name_the_nearest_known_one),
        cmocka_unit_test(wrong_values_say_what_is_allowed),
        cmocka_unit_test(sources_are_checked),
        cmocka_unit_test(documents_have_one_root_and_distinct_names),
        cmocka_unit_test(sinks_hydration_and_dead_letters_are_checked),
        cmocka_unit_test(two_tasks_must_not_meet),
        cmocka_unit_test(two_sinks_must_not_write_one_hbase_family),
        cmocka_unit_test(every_error_of_a_file_is_reported_in_order),
        cmocka_unit_test(hydration_off_explains_each_reason),
        cmocka_unit_test(too_many_tasks_are_refused),
    };
    return UNIT_RUN(tests);
}
