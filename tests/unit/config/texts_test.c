/* texts_test.c: what single texts must look like, and which word is nearest to a wrong one. */
#include "../unit.h"

#include "config/errors.h"
#include "config/texts.h"

typedef const char *check_function(const char *text);

struct table {
    check_function *check;
    const char *right[12], *wrong[20];
};

#define LONG_64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct table tables[] = {
    { text_check_name,
      { "a", "A-z_09", LONG_64, "off" },
      { "", "a b", "a.b", LONG_64 "x", "\xc3\xa4" } },
    { text_check_sink_name, { "search" }, { "off", "" } },
    { text_check_listen,
      { "127.0.0.1:9464", "localhost:1", "[::1]:65535", "host-1.example:80" },
      { "9464", "host", "host:", ":80", "host:0", "host:65536", "host:80x", "[::1", "[]:80",
        "a b:80", "host:080808" } },
    { text_check_broker,
      { "kafka", "kafka:9092", "[fe80::1]:9092" },
      { "", "a:1,b:2", "SSL://a:1", "a:b", "a:1:2" } },
    { text_check_server,
      { "zk-1:2181", "127.0.0.1:16000", "[fe80::1]:2181" },
      { "", "zk-1", "a:1,b:2", "a:0", "a:2181/hbase" } },
    { text_check_topic, { "trade", "a.b_c-D9" }, { "", ".", "..", "a b", "^a", "a/b" } },
    { text_check_subscription, { "trade", "^shop\\..*", "^(a|b)$" }, { "^(", "^[a", "a*", "" } },
    { text_check_consumer_option,
      { "security.protocol", "sasl.password", "fetch.min.bytes", "partition.assignment.strategy" },
      { "group.id", "bootstrap.servers", "metadata.broker.list", "enable.auto.commit",
        "enable.auto.offset.store", "auto.offset.reset", "enable.partition.eof", "Group.Id", "a b",
        ""
        "$" } },
    { text_check_producer_option, { "group.id", "acks" }, { "bootstrap.servers", "a=b" } },
    { text_check_url,
      { "http://127.0.0.1:9200", "https://es.example", "http://[::1]:9200/path/x", "https://a:1/" },
      { "127.0.0.1:9200", "ftp://a", "http://", "http://u:p@a", "http://a:0", "http://a?x=1",
        "http://a#x", "http://a/b c", "HTTP://a" } },
    { text_check_index,
      { "orders", "a", "orders-2026.11", "9_a", "\xe8\xae\xa2\xe5\x8d\x95" },
      { "", "Orders", "-a", "_a", "+a", ".", "..", "a b", "a/b", "a\\b", "a*", "a?", "a\"", "a<",
        "a>", "a|", "a,b", "a#b", "a:b" } },
    { text_check_sqlite_name,
      { "orders", "_a9" },
      { "9a", "a-b", "a.b", "", "sqlite_x", "SQLite_x" } },
    { text_check_hbase_table,
      { "orders", "shop:orders", "a.b-c_9", "9", "hbase", LONG_64 LONG_64 LONG_64 },
      { "", ":orders", "shop:", "a:b:c", ".a", "-a", "shop:-a", "a b", "a/b", "hbase:meta",
        "sh-op:a", "\xc3\xa4", LONG_64 LONG_64 LONG_64 LONG_64 } },
    { text_check_hbase_family,
      { "d", "a b", "_", "a.b", LONG_64 },
      { ".a", "a:b", "a/b", "a\\b", "recovered.edits", LONG_64 LONG_64 } },
    { text_check_znode,
      { "/hbase", "/hbase-secure", "/a/b_c.d" },
      { "", "/", "hbase", "/hbase/", "//hbase", "/a b" } },
    { text_check_table, { "db.t", "db.t.x" }, { "t", ".t", "db.", "", "." } },
    { text_check_into, { "buyer", "a_b" }, { "_weir", "_x", "a.b" } },
};

static void each_check_tells_right_from_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const char *const *text = tables[i].right; *text != NULL; text++) {
            if (tables[i].check(*text) != NULL)
                fail_msg("table %zu: \"%s\" is right", i, *text);
        }
        for (const char *const *text = tables[i].wrong; *text != NULL; text++) {
            if (tables[i].check(*text) == NULL)
                fail_msg("table %zu: \"%s\" is wrong", i, *text);
        }
    }
}

/* No control bytes, no broken UTF-8, and nothing that YAML would fold as a line break when it is
 * printed. */
static void texts_are_utf8_without_controls(void **state)
{
    (void)state;
    static const char *const right[] = { "a", "\xc3\xa4", "\xe4\xb8\xad", "\xf0\x9f\x98\x80",
                                         "a b" };
    static const char *const wrong[] = { "",
                                         "\x01",
                                         "a\nb",
                                         "\x7f",
                                         "\xc2\x85",
                                         "\xe2\x80\xa8",
                                         "\xef\xbb\xbf",
                                         "\xff",
                                         "\xc0\x80",
                                         "\xc3",
                                         "\xed\xa0\x80",
                                         "\xe0\x80\x80",
                                         "\xf4\x90\x80\x80" };
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        assert_null(text_check_any(slice_of(right[i]), false));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_non_null(text_check_any(slice_of(wrong[i]), false));
    assert_null(text_check_any(SLICE("-----BEGIN\n\tx"), true));
    assert_non_null(text_check_any(SLICE("a\0b"), true));
}

static void the_nearest_word_is_a_slip_of_the_hand_away(void **state)
{
    (void)state;
    static const char *const names[] = { "cores", "memory", "hugepages", "state_dir", NULL };
    assert_string_equal(errors_nearest("coers", names), "cores");
    assert_string_equal(errors_nearest("core", names), "cores");
    assert_string_equal(errors_nearest("memroy", names), "memory");
    assert_string_equal(errors_nearest("huge_pages", names), "hugepages");
    assert_string_equal(errors_nearest("statedir", names), "state_dir");
    assert_null(errors_nearest("zookeeper", names));
    assert_null(errors_nearest("", names));
    assert_null(errors_nearest(LONG_64 LONG_64, names));
}

/* What an error quotes is cut at a character and never brings a control byte to a terminal. */
static void quoted_text_is_cut_and_escaped(void **state)
{
    (void)state;
    assert_string_equal(errors_quote("a\x1b[31m\n", 7).text, "\"a\\x1b[31m\\x0a\"");
    assert_string_equal(errors_quote("", 0).text, "\"\"");
    char text[100];
    memset(text, 'x', sizeof(text));
    memcpy(text + 59, "\xe4\xb8\xad", 3);
    assert_string_equal(errors_quote(text, sizeof(text)).text,
                        "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_check_tells_right_from_wrong),
        cmocka_unit_test(texts_are_utf8_without_controls),
        cmocka_unit_test(the_nearest_word_is_a_slip_of_the_hand_away),
        cmocka_unit_test(quoted_text_is_cut_and_escaped),
    };
    return UNIT_RUN(tests);
}
