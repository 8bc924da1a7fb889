/*
 * locate_fuzz.c: a look for a table's regions (drivers/hbase/locate.h): who serves hbase:meta, and
 * its pages.
 *
 *     input: (u8 kind | u16 length | bytes)...   each call that goes out gets the next one: a page
 *     of cells (the last one, or one with more behind it), an answer to where hbase:meta is, a
 *     failure. What is left unanswered fails.
 *
 * - The look ends. What is known after it are regions in order, each on a server with a name, and
 *   every row key lies in the region that is found for it.
 */
#include "fuzz.h"

#include "tests/unit/drivers/hbase_fake.h"

#define CALLS_MAX 1000u

static struct locate *locate;

void fuzz_setup(void)
{
    fake_bufs_open();
    locate = fake_located();
}

static void answer_page(struct slice cells, bool more)
{
    const struct buf block = { .data = (char *)(uintptr_t)cells.data, .len = cells.len };
    struct buf *answer = fake_buf();

    proto_put_number(answer, 8, more);
    fake_answer(0, answer, &block);
}

static void answer_next(struct fuzz *fuzz)
{
    unsigned kind = fuzz_u8(fuzz);
    struct slice bytes = fuzz_exact(fuzz_bytes(fuzz, fuzz_u16(fuzz)));
    const struct buf buf = { .data = (char *)(uintptr_t)bytes.data, .len = bytes.len };

    if (fuzz->left.len == 0 && bytes.len == 0) {
        fake_fail(0);
        return;
    }
    switch (kind % 4) {
    case 0:
        answer_page(bytes, kind / 4 % 2 == 1);
        break;
    case 1:
        fake_answer(0, &buf, NULL);
        break;
    case 2:
        fake_refuse(0, "org.apache.hadoop.hbase.NotServingRegionException", "meta moved");
        break;
    default:
        fake_fail(0);
        break;
    }
}

static void check_regions(void)
{
    uint32_t n = locate_n_regions(locate);

    assert_true(locate_known(locate) && n > 0);
    for (uint32_t i = 0; i < n; i++) {
        const struct region *region = locate_region(locate, i);

        assert_true(region->server < locate_n_servers(locate));
        assert_non_null(
            memchr(locate_server(locate, region->server)->host, '\0', RPC_HOST_BYTES_MAX));
        assert_true(i == 0 ||
                    slice_compare(locate_region(locate, i - 1)->start, region->start) < 0);
    }
}

static void check_find(struct slice row)
{
    uint32_t at = locate_find(locate, row);

    if (at == LOCATE_NONE)
        return;
    assert_true(at < locate_n_regions(locate));
    const struct region *region = locate_region(locate, at);
    assert_true(slice_compare(region->start, row) <= 0);
    assert_true(region->end.len == 0 || slice_compare(row, region->end) < 0);
}

void fuzz_input(struct slice input)
{
    struct fuzz fuzz = { input };
    unsigned calls = 0;

    fake.now_us += UINT64_C(60000000);
    locate_suspect(locate);
    fake.now_us += UINT64_C(60000000);
    locate_step(locate);
    assert_true(locate_looking(locate));
    while (fake.n > 0) {
        assert_true(calls++ < CALLS_MAX);
        answer_next(&fuzz);
    }
    assert_false(locate_looking(locate));
    check_regions();
    for (unsigned i = 0; i + 2 < input.len && i < 64; i++)
        check_find((struct slice){ input.data + i, 2 });
}
