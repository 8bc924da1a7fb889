/* file_test.c: the source `file` through its contract: files of every kind in, records out. */
#include "tests/unit/drivers/file_rig.h"

#include "dataplane/base/log.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static char standard[] = "-";

static struct slice gzip_of(struct slice text)
{
    size_t room = compressBound(text.len) + 64;
    z_stream zlib = { 0 };
    char *out = malloc(room);

    assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    zlib.next_in = (Bytef *)(uintptr_t)text.data;
    zlib.avail_in = (uInt)text.len;
    zlib.next_out = (Bytef *)out;
    zlib.avail_out = (uInt)room;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    deflateEnd(&zlib);
    return (struct slice){ out, zlib.total_out };
}

static struct slice zstd_of(struct slice text)
{
    size_t room = ZSTD_compressBound(text.len);
    char *out = malloc(room);
    size_t len = ZSTD_compress(out, room, text.data, text.len, 3);

    assert_false(ZSTD_isError(len));
    return (struct slice){ out, len };
}

static struct slice lz4_of(struct slice text)
{
    size_t room = LZ4F_compressFrameBound(text.len, NULL);
    char *out = malloc(room);
    size_t len = LZ4F_compressFrame(out, room, text.data, text.len, NULL);

    assert_false(LZ4F_isError(len));
    return (struct slice){ out, len };
}

static const struct codec_case {
    const char *name;
    struct slice (*compress)(struct slice text);
} codecs[] = { { "a.gz", gzip_of }, { "a.zst", zstd_of }, { "a.lz4", lz4_of } };

/* Line ends of both kinds, empty lines, and a last line without an end: offsets count what editors
 * count. */
static void plain_lines_are_events_at_their_line_number(void **state)
{
    const char *path = put_text("a.ndjson", "{\"a\":1}\r\n\n{\"a\":2}\n\r\n{\"a\":3}");
    struct reader reader;

    (void)state;
    reader_read_all(&reader, &path, 1, 1 << 20);
    assert_int_equal(reader.n, 3);
    assert_string_equal(reader.events[0].payload, "{\"a\":1}");
    assert_string_equal(reader.events[1].payload, "{\"a\":2}");
    assert_string_equal(reader.events[2].payload, "{\"a\":3}");
    assert_place(&reader, 0, path, 0, 0);
    assert_place(&reader, 1, path, 0, 2);
    assert_place(&reader, 2, path, 0, 4);
    assert_null(reader.events[0].key);
    assert_int_equal(file_source_damaged(reader.source), 0);
    reader_close(&reader);
}

/* What was in Kafka comes out as it was: escapes, a null key, a tombstone, an empty key, headers.
 */
static void kcat_lines_are_the_messages_that_they_were(void **state)
{
    const char *path = put_text(
        "k.ndjson",
        "\n{\"topic\":\"t\\u00e4\",\"partition\":3,\"offset\":17,\"tstype\":\"create\",\"ts\":1700,"
        "\"broker\":1,\"headers\":[\"h\\n\",\"v\\\"\",\"w\",null],\"key\":\"k\\u0000\","
        "\"payload\":\"{\\\"a\\\":\\\"\\\\u00e4\\\"}\"}\n"
        "{\"topic\":\"t\\u00e4\",\"partition\":3,\"offset\":18,\"key\":null,\"payload\":null}\n"
        "{\"topic\":\"u\",\"partition\":0,\"offset\":0,\"ts\":-1,\"key\":\"\",\"payload\":\"\"}\n");
    struct reader reader;
    struct header headers[1];

    (void)state;
    reader_open(&reader, &path, 1, 1 << 20);
    reader.hold = 10;
    assert_int_equal(reader_step(&reader, 256), 3);
    assert_place(&reader, 0, "t\xc3\xa4", 3, 17);
    assert_int_equal(reader.events[0].record.timestamp_ms, 1700);
    assert_int_equal(reader.events[0].record.key.len, 2);
    assert_memory_equal(reader.events[0].key, "k\0", 2);
    assert_string_equal(reader.events[0].payload, "{\"a\":\"\\u00e4\"}");
    assert_int_equal(reader.port->ops->headers(reader.port, &reader.held[0], headers, 1), 2);
    assert_true(slice_equal(headers[0].name, SLICE("h\n")));
    assert_true(slice_equal(headers[0].value, SLICE("v\"")));
    assert_place(&reader, 1, "t\xc3\xa4", 3, 18);
    assert_null(reader.events[1].key);
    assert_null(reader.events[1].payload);
    assert_int_equal(reader.port->ops->headers(reader.port, &reader.held[1], headers, 1), 0);
    assert_place(&reader, 2, "u", 0, 0);
    assert_int_equal(reader.events[2].record.timestamp_ms, -1);
    assert_non_null(reader.events[2].key);
    assert_string_equal(reader.events[2].payload, "");
    reader_to_end(&reader);
    reader_close(&reader);
}

/* A line that does not say where its message was goes on as it stands, for the decoder to reject.
 */
static void broken_kcat_lines_are_handed_on_whole(void **state)
{
    static const char *const bad[] = {
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"payload\":\"cut",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":-1,\"payload\":\"x\"}",
        "{\"topic\":\"t\",\"partition\":-1,\"offset\":1,\"payload\":\"x\"}",
        "{\"topic\":\"t\",\"partition\":2147483648,\"offset\":1,\"payload\":\"x\"}",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":99999999999999999999,\"payload\":\"x\"}",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1.5,\"payload\":\"x\"}",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":\"1\",\"payload\":\"x\"}",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"offset\":2,\"payload\":\"x\"}",
        "{\"topic\":\"\",\"partition\":0,\"offset\":1,\"payload\":\"x\"}",
        "{\"topic\":\"a\\u0000b\",\"partition\":0,\"offset\":1,\"payload\":\"x\"}",
        "{\"topic\":7,\"partition\":0,\"offset\":1,\"payload\":\"x\"}",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1}",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"payload\":\"\xff\"}",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"payload\":\"x\"} more",
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"headers\":{},\"payload\":\"x\"}",
        "not JSON at all",
    };
    const char *good = "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"payload\":\"x\"}\n";

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reader reader;
        const char *path;
        char text[512];

        snprintf(text, sizeof(text), "%s%s\n", good, bad[i]);
        path = put_text("bad.ndjson", text);
        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_int_equal(reader.n, 2);
        assert_place(&reader, 1, path, 0, 1);
        assert_string_equal(reader.events[1].payload, bad[i]);
        assert_false(reader.events[1].record.rewind);
        reader_close(&reader);
    }
}

/* The first line that is not empty decides; a plain event may well have a member called topic. */
static void the_first_line_says_which_kind_a_file_is(void **state)
{
    static const struct {
        const char *first;
        bool kcat;
    } cases[] = {
        { "{\"topic\":\"t\",\"partition\":0,\"offset\":5,\"payload\":\"x\"}", true },
        { "{\"payload\":\"x\",\"offset\":5,\"partition\":0,\"topic\":\"t\"}", true },
        { "{\"topic\":\"t\",\"partition\":0,\"offset\":5,\"data\":\"x\"}", false },
        { "{\"topic\":\"t\",\"offset\":5,\"payload\":\"x\"}", false },
        { "[\"topic\",\"partition\",\"offset\",\"payload\"]", false },
        { "{\"x\":{\"topic\":\"t\",\"partition\":0,\"offset\":5,\"payload\":\"x\"}}", false },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = put_text("kind.ndjson", cases[i].first);
        struct reader reader;

        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_int_equal(reader.n, 1);
        assert_place(&reader, 0, cases[i].kcat ? "t" : path, 0, cases[i].kcat ? 5 : 0);
        reader_close(&reader);
    }
}

/* The same events read again, in one file or by naming it twice, step back to where they were. */
static void a_log_that_steps_back_says_rewind(void **state)
{
    const char *line0 = "{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"payload\":\"x\"}\n";
    const char *line1 = "{\"topic\":\"t\",\"partition\":0,\"offset\":9,\"payload\":\"x\"}\n";
    const char *line2 = "{\"topic\":\"t\",\"partition\":1,\"offset\":7,\"payload\":\"x\"}\n";
    const bool rewinds[] = { false, true, false, false, true, true, false, false, true, false };
    char text[1024];
    struct reader reader;
    const char *paths[2];

    (void)state;
    snprintf(text, sizeof(text), "%s%s%s%s%s", line0, line0, line1, line2, line0);
    paths[0] = paths[1] = put_text("twice.ndjson", text);
    reader_read_all(&reader, paths, 2, 1 << 20);
    assert_int_equal(reader.n, 10);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(reader.events[i].record.rewind, rewinds[i]);
    assert_true(reader.events[5].record.rewind);
    assert_true(reader.events[6].record.rewind);
    assert_false(reader.events[7].record.rewind);
    reader_close(&reader);

    paths[0] = paths[1] = put_text("plain.ndjson", "{\"a\":1}\n{\"a\":2}\n");
    reader_read_all(&reader, paths, 2, 1 << 20);
    assert_int_equal(reader.n, 4);
    assert_false(reader.events[1].record.rewind);
    assert_true(reader.events[2].record.rewind);
    assert_false(reader.events[3].record.rewind);
    reader_close(&reader);
}

/* Lines of every length around a chunk's end: none is cut, none is lost, none is doubled. */
static void lines_around_chunk_borders_come_whole(void **state)
{
    const unsigned chunk = 256 << 10;

    (void)state;
    for (int off = -3; off <= 3; off++) {
        size_t first = (size_t)((int)chunk + off), len = 2 * first + 12;
        char *text = malloc(len);
        struct reader reader;
        const char *path;

        memset(text, 'a', first);
        text[first] = '\n';
        memset(text + first + 1, 'b', 9);
        text[first + 10] = '\n';
        memset(text + first + 11, 'c', first);
        text[len - 1] = '\n';
        path = put_file("border.txt", text, len);
        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_int_equal(reader.n, 3);
        assert_int_equal(reader.events[0].record.payload.len, first);
        assert_int_equal(reader.events[1].record.payload.len, 9);
        assert_int_equal(reader.events[2].record.payload.len, first);
        assert_int_equal(strspn(reader.events[2].payload, "c"), first);
        reader_close(&reader);
        free(text);
    }
}

/* A shard that holds many records of many chunks finds them unchanged, and reading goes on after a
 * release. */
static void held_records_stay_as_they_came(void **state)
{
    struct slice text = many_lines(40000, 90);
    const char *path = put_file("many.ndjson", text.data, text.len);
    struct reader reader;

    (void)state;
    reader_open(&reader, &path, 1, 1 << 20);
    reader.hold = 2500;
    reader_to_end(&reader);
    assert_many(&reader, 40000);
    reader_close(&reader);

    /* Nothing is given back at all: poll() must say 0, not overwrite. */
    reader_open(&reader, &path, 1, 1 << 20);
    reader.hold = HELD_MAX;
    while (reader.n_held <= HELD_MAX - 256 && reader_step(&reader, 256) > 0)
        ;
    reader_check_held(&reader);
    reader.hold = 0;
    reader_to_end(&reader);
    assert_many(&reader, 40000);
    reader_close(&reader);
    free((void *)(uintptr_t)text.data);
}

/* Long lines fill the rotation: poll() gives nothing until some are released, and then the rest. */
static void a_full_rotation_waits_for_a_release(void **state)
{
    struct slice text = many_lines(20, 300000);
    const char *path = put_file("long.ndjson", text.data, text.len);
    struct reader reader;

    (void)state;
    reader_open(&reader, &path, 1, 1 << 20);
    reader.hold = HELD_MAX;
    while (reader_step(&reader, 256) > 0)
        ;
    assert_true(reader.n > 1 && reader.n < 20);
    assert_false(reader.port->ops->ended(reader.port));
    reader_check_held(&reader);
    reader.hold = 0;
    reader_to_end(&reader);
    assert_many(&reader, 20);
    reader_close(&reader);
    free((void *)(uintptr_t)text.data);
}

/* A line over the bound: its beginning, where the whole of it lies, and the lines after it as ever.
 */
static void an_oversized_line_leaves_its_beginning_and_its_place(void **state)
{
    static const size_t lengths[] = { 100001, 165535, 165536, 165537, 500000, 3000000 };

    (void)state;
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t len = lengths[i];
        char *text = malloc(len + 64), detail[256];
        struct reader reader;
        const char *path;

        memcpy(text, "{\"n\":0}\n", 8);
        memset(text + 8, 'x', len);
        memcpy(text + 8 + len, "\n{\"n\":2}\n", 9);
        path = put_file("over.ndjson", text, len + 17);
        reader_read_all(&reader, &path, 1, 100000);
        assert_int_equal(reader.n, 3);
        assert_int_equal(reader.events[1].record.kind, RECORD_OVERSIZED);
        assert_place(&reader, 1, path, 0, 1);
        assert_int_equal(reader.events[1].record.payload.len, 64 << 10);
        snprintf(detail, sizeof(detail), "line 2 of %s: bytes 8..%zu", path, len + 8);
        assert_string_equal(reader.events[1].detail, detail);
        assert_int_equal(reader.events[2].record.kind, RECORD_EVENT);
        assert_string_equal(reader.events[2].payload, "{\"n\":2}");
        assert_place(&reader, 2, path, 0, 2);
        reader_close(&reader);
        free(text);
    }
}

/* The place of a message stands before its payload: it is said even where the payload is too long.
 */
static void an_oversized_kcat_line_keeps_its_offset(void **state)
{
    const char *begin = "{\"topic\":\"t\",\"partition\":4,\"offset\":8,\"key\":null,\"payload\":\"";
    size_t len = 200000;
    char *text = malloc(len);
    struct reader reader;
    const char *path;

    (void)state;
    memset(text, 'x', len);
    memcpy(text, begin, strlen(begin));
    memcpy(text + len - 3, "\"}\n", 3);
    path = put_file("over.ndjson", text, len);
    reader_read_all(&reader, &path, 1, 100000);
    assert_int_equal(reader.n, 1);
    assert_int_equal(reader.events[0].record.kind, RECORD_OVERSIZED);
    assert_place(&reader, 0, "t", 4, 8);
    reader_close(&reader);
    free(text);
}

/* Each codec, one frame and two after each other: the same lines. */
static void compressed_files_are_read_by_their_suffix(void **state)
{
    struct slice text = many_lines(6000, 150);
    size_t half =
        (size_t)((char *)memchr(text.data + text.len / 2, '\n', text.len / 2) - text.data) -
        5; /* in the middle of a line */

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct slice whole = codecs[i].compress(text);
        struct slice a = codecs[i].compress((struct slice){ text.data, half });
        struct slice b = codecs[i].compress((struct slice){ text.data + half, text.len - half });
        char *two = malloc(a.len + b.len);
        const char *path = put_file(codecs[i].name, whole.data, whole.len);
        uint64_t done, total;
        struct reader reader;

        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_many(&reader, 6000);
        assert_true(file_source_progress(reader.source, &done, &total));
        assert_int_equal(total, whole.len);
        assert_int_equal(done, total);
        reader_close(&reader);

        memcpy(two, a.data, a.len);
        memcpy(two + a.len, b.data, b.len);
        path = put_file(codecs[i].name, two, a.len + b.len);
        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_many(&reader, 6000);
        assert_int_equal(file_source_damaged(reader.source), 0);
        reader_close(&reader);
        free(two);
        free((void *)(uintptr_t)whole.data);
        free((void *)(uintptr_t)a.data);
        free((void *)(uintptr_t)b.data);
    }
    free((void *)(uintptr_t)text.data);
}

/* The first lines come as they are, the unfinished one as an event of its own, and the file after
 * it is read. */
static void a_truncated_file_gives_what_it_has_and_counts(void **state)
{
    struct slice text = many_lines(6000, 150);
    char after[128];

    (void)state;
    snprintf(after, sizeof(after), "%s", put_text("after.ndjson", "{\"last\":1}\n"));
    for (unsigned i = 0; i < 3; i++) {
        struct slice whole = codecs[i].compress(text);

        for (size_t cut = 1; cut < whole.len; cut += whole.len / 7) {
            const char *paths[] = { put_file(codecs[i].name, whole.data, cut), after };
            struct reader reader;

            reader_read_all(&reader, paths, 2, 1 << 20);
            assert_int_equal(file_source_damaged(reader.source), 1);
            assert_true(reader.n >= 1);
            for (unsigned k = 0; k + 2 < reader.n; k++)
                assert_int_equal(reader.events[k].record.offset, k);
            assert_string_equal(reader.events[reader.n - 1].payload, "{\"last\":1}");
            if (cut > whole.len / 2) /* No less than what lies before the cut, a block aside. */
                assert_true(reader.n > 1000);
            reader_close(&reader);
        }
        free((void *)(uintptr_t)whole.data);
    }
    free((void *)(uintptr_t)text.data);
}

/* Bytes turned over in the middle, and rubbish after the end: counted, never a crash. */
static void a_corrupt_file_is_counted(void **state)
{
    struct slice text = many_lines(6000, 150);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct slice whole = codecs[i].compress(text);
        char *bad = malloc(whole.len + 16);
        struct reader reader;
        const char *path;

        memcpy(bad, whole.data, whole.len);
        memset(bad + whole.len / 2, 0xa5, 64);
        path = put_file(codecs[i].name, bad, whole.len);
        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_true(reader.n >= 1);
        if (i != 1 && i != 2) /* gzip carries a checksum always, the other two only where asked. */
            assert_int_equal(file_source_damaged(reader.source), 1);
        reader_close(&reader);

        memcpy(bad, whole.data, whole.len);
        memcpy(bad + whole.len, "rubbish rubbish", 16);
        path = put_file(codecs[i].name, bad, whole.len + 16);
        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_many(&reader, 6000);
        assert_int_equal(file_source_damaged(reader.source), 1);
        reader_close(&reader);
        free(bad);
        free((void *)(uintptr_t)whole.data);
    }
    free((void *)(uintptr_t)text.data);
}

static void an_empty_file_has_no_events(void **state)
{
    static const char *const names[] = { "e.ndjson", "e.gz", "e.zst", "e.lz4" };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        const char *path = put_text(names[i], "");
        struct reader reader;

        reader_read_all(&reader, &path, 1, 1 << 20);
        assert_int_equal(reader.n, 0);
        assert_int_equal(file_source_damaged(reader.source), 0);
        reader_close(&reader);
    }
}

/* All that is wrong is said at once, and before anything runs. */
static void files_that_cannot_be_opened_are_all_named(void **state)
{
    char missing[128], other[128];
    struct err err;

    (void)state;
    snprintf(missing, sizeof(missing), "%s", folder_path_of("missing.ndjson"));
    snprintf(other, sizeof(other), "%s", folder_path_of("other.gz"));
    const char *paths[] = { missing, put_text("here.ndjson", "{}\n"), other, folder_path() };
    struct file_options options = { .paths = paths, .n_paths = 4, .event_bytes_max = 1 << 20 };

    assert_null(file_source_open(&options, &err));
    assert_int_equal(err.code, EXIT_IO);
    assert_non_null(strstr(err.text, missing));
    assert_non_null(strstr(err.text, other));
    assert_non_null(strstr(err.text, "directory"));
    assert_null(strstr(err.text, "here.ndjson"));
}

/* A pipe is read as its bytes come: poll() never waits, and the end is the writer's. */
static void standard_input_is_read_as_it_comes(void **state)
{
    const char *path = standard;
    struct reader reader;
    int saved = dup(STDIN_FILENO), ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    reader_open(&reader, &path, 1, 1 << 20);
    assert_int_equal(reader_step(&reader, 256), 0);
    assert_false(reader.port->ops->ended(reader.port));
    assert_int_equal(reader_step(&reader, 256), 0);

    assert_int_equal(write(ends[1], "{\"topic\":\"t\",\"partition\":1,", 27), 27);
    assert_int_equal(env_wait(&reader.env.env, 10000000), 1);
    assert_int_equal(reader_step(&reader, 256), 0); /* half a line */
    assert_int_equal(write(ends[1], "\"offset\":2,\"payload\":\"x\"}\n", 26), 26);
    assert_int_equal(env_wait(&reader.env.env, 10000000), 1);
    assert_int_equal(reader_step(&reader, 256), 1);
    assert_place(&reader, 0, "t", 1, 2);
    assert_int_equal(reader_step(&reader, 256), 0);
    close(ends[1]);
    reader_to_end(&reader);
    assert_int_equal(reader.n, 1);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    close(saved);
    reader_close(&reader);
}

/* Two shards share plain files; what must stay in order stays with the first. */
static void plain_files_are_shared_and_kcat_files_are_not(void **state)
{
    const char *kcat = "{\"topic\":\"t\",\"partition\":0,\"offset\":%d,\"payload\":\"x\"}\n";
    char names[5][128], text[128];
    const char *paths[5];
    struct reader reader;
    struct source_port *second;
    struct record records[8];
    struct err err;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), kcat, (int)i);
        snprintf(names[i], sizeof(names[i]), "%s",
                 put_text((const char *[]){ "0", "1", "2", "3", "4" }[i],
                          i % 2 == 0 ? text : "{\"a\":1}\n"));
        paths[i] = names[i];
    }
    reader_open(&reader, paths, 5, 1 << 20);
    second = reader.source->ops->port(reader.source, 1, &reader.env.env, reader.names);
    assert_int_equal(second->ops->poll(second, records, 1, &err), 1);
    assert_string_equal(partitions_topic(reader.names, records[0].partition), paths[1]);
    second->ops->release(second, records, 1);
    reader_to_end(&reader); /* Its own three, then the plain one that nobody has taken. */
    assert_int_equal(reader.n, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_place(&reader, i, "t", 0, 2 * (int)i);
    assert_place(&reader, 3, paths[3], 0, 0);
    assert_int_equal(second->ops->poll(second, records, 8, &err), 0);
    assert_true(second->ops->ended(second));
    reader_close(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_are_events_at_their_line_number),
        cmocka_unit_test(kcat_lines_are_the_messages_that_they_were),
        cmocka_unit_test(broken_kcat_lines_are_handed_on_whole),
        cmocka_unit_test(the_first_line_says_which_kind_a_file_is),
        cmocka_unit_test(a_log_that_steps_back_says_rewind),
        cmocka_unit_test(lines_around_chunk_borders_come_whole),
        cmocka_unit_test(held_records_stay_as_they_came),
        cmocka_unit_test(a_full_rotation_waits_for_a_release),
        cmocka_unit_test(an_oversized_line_leaves_its_beginning_and_its_place),
        cmocka_unit_test(an_oversized_kcat_line_keeps_its_offset),
        cmocka_unit_test(compressed_files_are_read_by_their_suffix),
        cmocka_unit_test(a_truncated_file_gives_what_it_has_and_counts),
        cmocka_unit_test(a_corrupt_file_is_counted),
        cmocka_unit_test(an_empty_file_has_no_events),
        cmocka_unit_test(files_that_cannot_be_opened_are_all_named),
        cmocka_unit_test(standard_input_is_read_as_it_comes),
        cmocka_unit_test(plain_files_are_shared_and_kcat_files_are_not),
    };

    log_setup(LOG_TEXT, LOG_ALERT);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
