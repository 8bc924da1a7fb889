/* hbase_locate_test.c: where regions are, from scripted masters, ZooKeeper and hbase:meta. */
#include "hbase_fake.h"

#include "drivers/hbase/meta.h"

#define SECOND UINT64_C(1000000)

static struct zookeeper *const some_zookeeper = (struct zookeeper *)(void *)&fake;

/* The region's name that holds a row, or "" where none is known to. */
static void assert_region(const struct locate *locate, const char *row, const char *name)
{
    uint32_t region = locate_find(locate, slice_of(row));
    struct slice found = region == LOCATE_NONE ? SLICE("") : locate_region(locate, region)->name;

    if (!slice_equal(found, slice_of(name)))
        fail_msg("%s is in %.*s instead of %s", row, (int)found.len, found.data, name);
}

/* The next look begins after this much time, and not before. */
static void assert_due_within(struct locate *locate, uint64_t least_us, uint64_t most_us)
{
    fake.now_us += least_us - 1;
    locate_step(locate);
    assert_int_equal(fake.n, 0);
    fake.now_us += most_us - least_us + 1;
    locate_step(locate);
    assert_int_equal(fake.n, 1);
}

/* At start: the first master does not answer, the second one does, hbase:meta has three regions,
 * and rows are found by the bytes of their keys. */
static void regions_are_found_through_the_masters(void **state)
{
    struct locate *locate = fake_locate();

    (void)state;
    assert_false(locate_known(locate));
    locate_step(locate);
    assert_true(locate_looking(locate));
    assert_string_equal(fake.calls[0].target.host, "m1");
    assert_int_equal(fake.calls[0].target.service, RPC_CLIENT_META);
    fake_fail(0);
    assert_string_equal(fake.calls[0].target.host, "m2");
    fake_answer_meta("rs9", 16029);
    assert_string_equal(fake.calls[0].target.host, "rs9");
    assert_int_equal(fake.calls[0].target.port, 16029);
    assert_int_equal(fake.calls[0].target.service, RPC_CLIENT);
    assert_false(locate_known(locate));
    fake_answer_regions(fake_regions, 3);
    assert_true(locate_known(locate));
    assert_false(locate_looking(locate));
    assert_region(locate, "", "orders,,1.a.");
    assert_region(locate, "4ffff", "orders,,1.a.");
    assert_region(locate, "5", "orders,5,1.b.");
    assert_region(locate, "9", "orders,5,1.b.");
    assert_region(locate, "a", "orders,a,1.c.");
    assert_region(locate, "\xff\xff", "orders,a,1.c.");
    assert_int_equal(locate_n_servers(locate), 2);
    assert_string_equal(locate_server(locate, locate_region(locate, 1)->server)->host, "rs2");
    assert_int_equal(locate_region(locate, 0)->server, locate_region(locate, 2)->server);
}

/* With ZooKeeper: the znode is read, with the id before it that HBase writes; then meta is asked.
 */
static void regions_are_found_through_zookeeper(void **state)
{
    const struct locate_options options = { .env = &fake_env,
                                            .zookeeper = some_zookeeper,
                                            .znode_parent = "/hbase",
                                            .table = "shop:orders" };
    struct buf *data = fake_buf();
    struct locate *locate;
    struct err err;

    (void)state;
    memset(&fake, 0, sizeof(fake));
    assert_int_equal(locate_open(&locate, &options, &err), 0);
    locate_suspect(locate);
    locate_step(locate);
    assert_non_null(fake.get);
    assert_string_equal(fake.get->path, "/hbase/meta-region-server");
    buf_put(data, "\xff\0\0\0\x05master", 10);
    buf_put_literal(data, "PBUF");
    size_t server = proto_begin(data, 1);
    proto_put_bytes(data, 1, SLICE("rs7"));
    proto_put_number(data, 2, 16027);
    proto_end(data, server);
    proto_put_number(data, 3, 3);
    fake.get->result = ZOOKEEPER_FOUND;
    fake.get->data = buf_slice(data);
    fake.get->done(fake.get);
    assert_string_equal(fake.calls[0].target.host, "rs7");
    struct slice scan = fake_inner(fake.calls[0].call->param, 2, 0);
    assert_true(slice_equal(fake_inner(scan, 3, 0), SLICE("shop:orders,,")));
    assert_true(slice_equal(fake_inner(scan, 4, 0), SLICE("shop:orders-")));
    fake_answer_regions(fake_regions, 3);
    assert_true(locate_known(locate));
}

/* While a region is split there are its parent, daughters, one of which nobody serves yet, and
 * replicas of others: only what serves counts, and the rest is a hole. */
static void only_regions_that_serve_count(void **state)
{
    static const struct fake_region regions[] = {
        { .name = "orders,,1.p.", .end = "", .start = "", .server = "h:1", .id = 1, .split = true },
        { .name = "orders,,2.d.", .start = "", .end = "5", .server = "h:1", .id = 2 },
        { .name = "orders,,2.r.",
          .start = "",
          .end = "5",
          .server = "g:1",
          .id = 2,
          .replica = true },
        { .name = "orders,5,2.e.", .start = "5", .end = "a", .server = NULL, .id = 2 },
        { .name = "orders,a,1.f.", .start = "a", .end = "", .server = "h:1", .id = 1 },
        { .name = "orders,a,3.f.", .start = "a", .end = "c", .server = "h:1", .id = 3 },
        { .name = "orders,c,3.g.", .start = "c", .end = "", .server = "h:2", .id = 3 },
    };
    struct locate *locate = fake_locate();

    (void)state;
    locate_step(locate);
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(regions, sizeof(regions) / sizeof(regions[0]));
    assert_region(locate, "1", "orders,,2.d.");
    assert_region(locate, "6", "");
    assert_region(locate, "b", "orders,a,3.f.");
    assert_region(locate, "d", "orders,c,3.g.");
}

/* A table of 1,002 regions comes in two pages; the second begins behind the first one's last row.
 */
static void pages_are_put_together(void **state)
{
    static char names[META_PAGE_ROWS][24], starts[META_PAGE_ROWS + 1][8];
    struct locate *locate = fake_locate();
    struct buf *cells = fake_buf(), *answer = fake_buf();
    struct fake_region region = { .server = "h:1", .id = 1 };
    const struct fake_region last[] = {
        { .name = "orders,x,1.", .start = "x", .end = "y", .server = "h:1", .id = 1 },
        { .name = "orders,y,1.", .start = "y", .end = "", .server = "h:1", .id = 1 },
    };

    (void)state;
    for (unsigned i = 0; i <= META_PAGE_ROWS; i++)
        snprintf(starts[i], sizeof(starts[i]), i == META_PAGE_ROWS ? "x" : "%04u", i);
    for (unsigned i = 0; i < META_PAGE_ROWS; i++) {
        snprintf(names[i], sizeof(names[i]), "orders,%.7s,1.", starts[i]);
        region.name = names[i];
        region.start = starts[i];
        region.end = starts[i + 1];
        fake_put_region(cells, &region);
    }
    locate_step(locate);
    fake_answer_meta("rs9", 16020);
    fake_answer(0, answer, cells);
    assert_false(locate_known(locate));
    assert_int_equal(fake.n, 1);
    assert_true(slice_equal(fake_inner(fake_inner(fake.calls[0].call->param, 2, 0), 3, 0),
                            SLICE("orders,0999,1.\0")));
    fake_answer_regions(last, 2);
    assert_int_equal(locate_n_regions(locate), META_PAGE_ROWS + 2);
    assert_region(locate, "0500x", "orders,0500,1.");
    assert_region(locate, "z", "orders,y,1.");
}

/* A region moved: one look, however many say so, and not before 100 ms after the last one. */
static void many_doubts_are_one_look(void **state)
{
    struct locate *locate = fake_located();
    struct fake_region moved[3];

    (void)state;
    memcpy(moved, fake_regions, sizeof(moved));
    moved[1].server = "rs3:16020";
    for (unsigned i = 0; i < 100; i++)
        locate_suspect(locate);
    locate_step(locate);
    assert_int_equal(fake.n, 0);
    assert_due_within(locate, 100000, 125000);
    locate_suspect(locate);
    locate_step(locate);
    assert_int_equal(fake.n, 1);
    assert_string_equal(fake.calls[0].target.host, "rs9"); /* meta's place is remembered */
    assert_region(locate, "6", "orders,5,1.b.");
    fake_answer_regions(moved, 3);
    assert_string_equal(locate_server(locate, locate_region(locate, 1)->server)->host, "rs3");
    fake.now_us += 60 * SECOND;
    locate_step(locate);
    assert_int_equal(fake.n, 0); /* nobody doubts it */
}

/* hbase:meta moved too: the look fails, what is known stays, and the next one asks a master again.
 */
static void failed_look_leaves_what_is_known(void **state)
{
    struct locate *locate = fake_located();

    (void)state;
    fake.now_us += SECOND;
    locate_suspect(locate);
    locate_step(locate);
    fake_refuse(0, "NotServingRegionException", "hbase:meta,,1 is not online");
    assert_true(locate_known(locate));
    assert_false(locate_looking(locate));
    assert_region(locate, "6", "orders,5,1.b.");
    assert_int_equal(locate_looks(locate), 2);
    fake.now_us += SECOND;
    locate_step(locate); /* nobody has to doubt it again */
    fake_answer_meta("rs8", 16020);
    assert_string_equal(fake.calls[0].target.host, "rs8");
    fake_answer_regions(fake_regions, 2);
    assert_region(locate, "b", "");
}

/* Nobody answers for long: looks are further and further apart, up to five seconds; when all is
 * well for some time, the next doubt is looked into at once. */
static void looks_that_fail_are_further_and_further_apart(void **state)
{
    static const uint64_t delays_us[] = { 125000,  250000,  500000,  1000000,
                                          2000000, 4000000, 5000000, 5000000 };
    struct locate *locate = fake_locate();

    (void)state;
    locate_step(locate);
    for (unsigned i = 0; i < sizeof(delays_us) / sizeof(delays_us[0]); i++) {
        fake.random = i % 2 == 0 ? 0 : delays_us[i] / 5;
        fake_fail(0);
        fake_fail(0);
        assert_int_equal(fake.n, 0);
        assert_due_within(locate, delays_us[i] * 4 / 5, delays_us[i]);
    }
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(fake_regions, 3);
    fake.now_us += 60 * SECOND;
    locate_suspect(locate);
    locate_step(locate);
    fake_answer_regions(fake_regions, 3);
    locate_suspect(locate);
    assert_due_within(locate, 100000, 125000);
}

/* What is no answer of hbase:meta, or no table, is not taken. */
static void broken_answers_are_not_taken(void **state)
{
    static const struct fake_region early = {
        .name = "orders,4,1.b.", .start = "", .end = "", .server = "h:1", .id = 1
    };

    (void)state;
    for (unsigned how = 0; how < 7; how++) {
        struct locate *locate = fake_locate();
        struct buf *cells = fake_buf(), *answer = fake_buf();
        locate_step(locate);
        fake_answer_meta("rs9", 16020);
        fake_put_region(cells, &fake_regions[1]);
        if (how == 0)
            buf_rewind(cells, cells->len - 3); /* cut short */
        else if (how == 1)
            fake_put_cell(cells, "orders,6,1.b.", "regioninfo", SLICE("JUNK"));
        else if (how == 2)
            fake_put_cell(cells, "orders,6,1.b.", "regioninfo", SLICE("PBUF\xff"));
        else if (how == 3)
            fake_put_cell(cells, "orders,6,1.b.", "server", SLICE("nowhere"));
        else if (how == 4)
            fake_put_cell(cells, "orders,6,1.b.", "server", SLICE("h:70000"));
        else if (how == 5)
            fake_put_region(cells, &early); /* out of order */
        else
            buf_reset(cells); /* no such table */
        fake_answer(0, answer, cells);
        assert_false(locate_known(locate));
        assert_false(locate_looking(locate));
        assert_int_equal(locate_looks(locate), 1);
    }
}

/* Who serves hbase:meta, in bytes that are it, and in bytes that are not. */
static void broken_registry_answers_are_told(void **state)
{
    static const struct {
        struct slice bytes;
        bool znode, good;
    } cases[] = {
        { SLICE("PBUF\x0a\x05\x0a\x01h\x10\x01"), true, true },
        { SLICE("\xff\0\0\0\0PBUF\x0a\x05\x0a\x01h\x10\x01\x18\x03"), true, true },
        { SLICE("\xff\0\0\0\0PBUF\x0a\x05\x0a\x01h\x10\x01\x18\x02"), true, false }, /* opening */
        { SLICE("\xff\xff\xff\xff\xffPBUF\x0a\x05\x0a\x01h\x10\x01"), true, false },
        { SLICE("\xff\0"), true, false },
        { SLICE(""), true, false },
        { SLICE("PBUF"), true, false },
        { SLICE("PBUF\x0a\x02\x10\x01"), true, false },            /* no host */
        { SLICE("PBUF\x0a\x03\x0a\x01h"), true, false },           /* no port */
        { SLICE("PBUF\x0a\x06\x0a\x02h\0\x10\x01"), true, false }, /* a host that ends early */
        { SLICE("\x0a\x0b\x0a\x02\x08\x01\x12\x05\x0a\x01h\x10\x01"), false, true },
        { SLICE("\x0a\x0d\x0a\x04\x08\x01\x38\x01\x12\x05\x0a\x01h\x10\x01"), false, false },
        { SLICE("\x0a\x04\x0a\x02\x08\x01"), false, false }, /* nobody has it */
        { SLICE(""), false, false },
        { SLICE("\x0a\x7f"), false, false },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rpc_target target = { .port = 0 };
        const char *problem = cases[i].znode ? meta_from_znode(cases[i].bytes, &target)
                                             : meta_from_registry(cases[i].bytes, &target);
        if ((problem == NULL) != cases[i].good)
            fail_msg("case %u: %s", i, problem != NULL ? problem : "taken");
        if (cases[i].good)
            assert_true(strcmp(target.host, "h") == 0 && target.port == 1);
    }
}

/* A request is held back until something is known; then only for a moment while that is renewed. */
static void requests_are_held_until_something_is_known(void **state)
{
    struct locate *locate = fake_locate();
    struct locate_wait wait, later;

    (void)state;
    locate_wait_begin(locate, &wait);
    locate_step(locate);
    assert_int_equal(locate_wait_ends(locate, &wait), LOCATE_WAIT);
    fake_fail(0);
    assert_int_equal(locate_wait_ends(locate, &wait), LOCATE_WAIT);
    fake_fail(0); /* a whole look for nothing */
    assert_int_equal(locate_wait_ends(locate, &wait), LOCATE_GIVE_UP);
    locate_wait_begin(locate, &later);
    fake.now_us += SECOND;
    locate_step(locate);
    assert_int_equal(locate_wait_ends(locate, &later), LOCATE_WAIT);
    fake.now_us += 9 * SECOND; /* the time is out */
    assert_int_equal(locate_wait_ends(locate, &later), LOCATE_GIVE_UP);
    fake_answer_meta("rs9", 16020);
    fake_answer_regions(fake_regions, 3);
    locate_wait_begin(locate, &wait);
    assert_int_equal(locate_wait_ends(locate, &wait), LOCATE_GO);
    locate_suspect(locate);
    fake.now_us += 10 * SECOND;
    locate_step(locate);
    locate_wait_begin(locate, &wait);
    assert_int_equal(locate_wait_ends(locate, &wait), LOCATE_WAIT);
    fake.now_us += SECOND / 5;
    assert_int_equal(locate_wait_ends(locate, &wait), LOCATE_GO);
}

/* A server that sends the same page again and again, with more behind it: the look ends. */
static void endless_pages_are_not_taken(void **state)
{
    const struct fake_region gone = { .name = "orders,,1.a.", .start = "", .end = "", .id = 1 };
    struct locate *locate = fake_locate();

    (void)state;
    locate_step(locate);
    fake_answer_meta("rs9", 16020);
    while (locate_looking(locate)) {
        struct buf *cells = fake_buf(), *answer = fake_buf();

        assert_true(fake.started < 5 * LOCATE_REGIONS_MAX);
        fake_put_region(cells, &gone);
        proto_put_number(answer, 8, true);
        fake_answer(0, answer, cells);
    }
    assert_false(locate_known(locate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_are_found_through_the_masters),
        cmocka_unit_test(regions_are_found_through_zookeeper),
        cmocka_unit_test(only_regions_that_serve_count),
        cmocka_unit_test(pages_are_put_together),
        cmocka_unit_test(many_doubts_are_one_look),
        cmocka_unit_test(failed_look_leaves_what_is_known),
        cmocka_unit_test(looks_that_fail_are_further_and_further_apart),
        cmocka_unit_test(broken_answers_are_not_taken),
        cmocka_unit_test(endless_pages_are_not_taken),
        cmocka_unit_test(broken_registry_answers_are_told),
        cmocka_unit_test(requests_are_held_until_something_is_known),
    };

    return UNIT_RUN(tests);
}
