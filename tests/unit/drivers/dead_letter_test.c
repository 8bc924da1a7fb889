/* dead_letter_test.c: letters in a file: what a line holds, and what happens when it cannot be
 * written. */
#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

#include "dataplane/base/json.h"
#include "dataplane/base/log.h"
#include "drivers/dead_letter/file.h"
#include "drivers/dead_letter/kafka.h"
#include "drivers/dead_letter/letter.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct dead_letter plain = {
    .reason = REASON_JSON,
    .topic = "trade",
    .partition = 3,
    .offset = 17,
    .payload = { "{\"a\":", 5 },
    .wall_us = 1795262400000042,
};

static struct dead_letters *open_file(const char *path, size_t event_bytes_max)
{
    struct err err = { 0 };
    struct dead_letters *letters = dead_letter_file_open(path, "orders", event_bytes_max, &err);

    if (!letters)
        fail_msg("%s", err.text);
    return letters;
}

/* The whole file, in memory that the caller frees. */
static struct slice read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat stat;
    char *bytes;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &stat), 0);
    bytes = malloc((size_t)stat.st_size + 1);
    assert_int_equal(fread(bytes, 1, (size_t)stat.st_size, file), stat.st_size);
    bytes[stat.st_size] = '\0';
    fclose(file);
    return (struct slice){ bytes, (size_t)stat.st_size };
}

/* The member of an object, or a value with raw.data NULL. */
static struct json_value member_of(struct slice object, const char *wanted)
{
    struct json_value value, found = { 0 };
    struct json json;
    struct slice name;
    bool escaped;

    json_open(&json, object);
    assert_true(json_enter(&json, JSON_OBJECT));
    while (json_member(&json, &name, &escaped, &value))
        if (slice_equal(name, slice_of(wanted)))
            found = value;
    assert_true(json_end(&json));
    return found;
}

static unsigned sextet_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, c);

    assert_true(c != '\0' && at);
    return (unsigned)(at - digits);
}

static size_t from_base64(struct slice text, char *out)
{
    size_t len = 0;

    assert_int_equal(text.len % 4, 0);
    for (size_t i = 0; i < text.len; i += 4) {
        unsigned word = 0, pads = 0;

        for (unsigned k = 0; k < 4; k++) {
            pads += text.data[i + k] == '=';
            word = word << 6 | (text.data[i + k] == '=' ? 0 : sextet_of(text.data[i + k]));
        }
        for (unsigned k = 0; k < 3 - pads; k++)
            out[len++] = (char)(word >> (16 - 8 * k));
    }
    return len;
}

/* The bytes that a letter keeps under `name`, in whichever form. */
static struct slice bytes_of(struct slice letter, const char *name, char *out)
{
    struct json_value value = member_of(letter, name);
    char other[64];

    if (value.raw.data && value.type == JSON_STRING)
        return (struct slice){ out, json_unescape(value.raw, out) };
    assert_null(value.raw.data);
    snprintf(other, sizeof(other), "%s_base64", name);
    value = member_of(letter, other);
    assert_int_equal(value.type, JSON_STRING);
    return (struct slice){ out, from_base64((struct slice){ value.raw.data + 1, value.raw.len - 2 },
                                            out) };
}

static void a_letter_says_what_where_and_why(void **state)
{
    const struct header headers[] = { { SLICE("h"), SLICE("1") },
                                      { SLICE("h"), { NULL, 0 } },
                                      { SLICE("b"), SLICE("\xff") } };
    struct dead_letter letter = plain;
    struct buf buf;

    (void)state;
    buf_open(&buf, 1 << 20, "test");
    letter.detail = SLICE("at byte 5");
    letter.key = SLICE("k");
    letter.document_key = SLICE("o-1");
    letter.sink = "search";
    letter.headers = headers;
    letter.n_headers = 3;
    letter_render(&buf, "orders", &letter);
    buf_put_char(&buf, '\0');
    assert_string_equal(
        buf.data,
        "{\"time\":\"2026-11-21T12:00:00.000042Z\",\"task\":\"orders\",\"topic\":\"trade\","
        "\"partition\":3,\"offset\":17,\"reason\":\"bad_json\",\"detail\":\"at byte 5\","
        "\"sink\":\"search\",\"document_key\":\"o-1\",\"key\":\"k\","
        "\"headers\":[{\"name\":\"h\",\"value\":\"1\"},{\"name\":\"h\",\"value\":null},"
        "{\"name\":\"b\",\"value_base64\":\"/w==\"}],\"payload\":\"{\\\"a\\\":\"}");

    letter = plain;
    letter.payload = (struct slice){ NULL, 0 };
    letter_render(&buf, "orders", &letter);
    buf_put_char(&buf, '\0');
    assert_string_equal(
        buf.data,
        "{\"time\":\"2026-11-21T12:00:00.000042Z\",\"task\":\"orders\",\"topic\":\"trade\","
        "\"partition\":3,\"offset\":17,\"reason\":\"bad_json\",\"key\":null,\"payload\":null}");
}

/* Whatever the bytes are, one line holds them, and they can be had back from it exactly. */
static void original_bytes_can_be_had_back(void **state)
{
    static const struct slice cases[] = {
        { "", 0 },
        { "{\"a\":\"b\\u0000\"}", 14 },
        { "nul \0 tab \t bell \a del \x7f quote \" slash \\ newline \n", 49 },
        { "h\xc3\xa4 \xf0\x9f\x90\x9f \xe2\x80\xa8", 11 },
        { "\xff", 1 },
        { "\xc3", 1 },
        { "ab\xed\xa0\x80", 5 },
        { "\0\0", 2 },
        { "abc\xf5", 4 },
    };
    char out[256];

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = folder_path_of("bytes.dlq");
        struct dead_letters *letters = open_file(path, 1 << 20);
        struct dead_letter letter = plain;
        struct slice file;
        struct err err;

        letter.payload = letter.key = cases[i];
        assert_int_equal(letters->ops->put(letters, &letter, &err), 0);
        assert_int_equal(letters->ops->sync(letters, &err), 0);
        letters->ops->close(letters);
        file = read_file(path);
        assert_int_equal(file.data[file.len - 1], '\n');
        assert_ptr_equal(memchr(file.data, '\n', file.len), file.data + file.len - 1);
        assert_true(slice_equal(bytes_of(file, "payload", out), cases[i]));
        assert_true(slice_equal(bytes_of(file, "key", out), cases[i]));
        free((void *)(uintptr_t)file.data);
        assert_int_equal(unlink(path), 0);
    }
}

/* As text it would grow sixfold and not fit: the same bytes in base64 do. */
static void a_letter_of_control_characters_still_fits(void **state)
{
    const size_t len = 3 << 20;
    char *bytes = calloc(1, len), *out = malloc(2 * len);
    struct dead_letter letter = plain;
    struct buf buf;

    (void)state;
    buf_open(&buf, LETTER_BYTES(len), "test");
    letter.payload = (struct slice){ bytes, len };
    letter_render(&buf, "orders", &letter);
    assert_non_null(member_of(buf_slice(&buf), "payload_base64").raw.data);
    assert_true(slice_equal(bytes_of(buf_slice(&buf), "payload", out), letter.payload));
    free(bytes);
    free(out);
}

/* A key, headers, the sink's words, a document of any size: what has no room is cut, and the letter
 * says so. It is one line of JSON all the same, in the least buffer that there may be. */
static void a_letter_that_is_too_large_is_cut(void **state)
{
    const size_t len = 5 << 20, bounds[] = { LETTER_BYTES_LEAST, 1 << 20, LETTER_BYTES(4096) };
    char *bytes = calloc(1, len), *out = malloc(2 * len);
    const struct slice large = { bytes, len }, part = { bytes, 100000 };
    struct header headers[40];

    (void)state;
    for (unsigned i = 0; i < 40; i++)
        headers[i] = (struct header){ part, part };
    for (unsigned i = 0; i < 3 * 16; i++) {
        struct dead_letter letter = plain;
        struct slice kept;
        struct buf buf;

        letter.payload = i & 1 ? large : SLICE("{\"a\":1}");
        letter.key = i & 2 ? part : SLICE("k");
        letter.detail = i & 4 ? part : SLICE("words");
        letter.headers = headers;
        letter.n_headers = i & 8 ? 40 : 0;
        buf_open(&buf, bounds[i / 16], "test");
        letter_render(&buf, "orders", &letter);
        assert_false(buf.overflow);
        assert_null(memchr(buf.data, '\n', buf.len));
        kept = bytes_of(buf_slice(&buf), "payload", out);
        assert_memory_equal(kept.data, letter.payload.data, kept.len);
        if (member_of(buf_slice(&buf), "cut").raw.data == NULL)
            assert_int_equal(kept.len, letter.payload.len);
        else
            assert_true(kept.len == letter.payload.len || kept.len >= bounds[i / 16] * 3 / 8);
        if (i % 16 == 0)
            assert_null(member_of(buf_slice(&buf), "cut").raw.data);
    }
    free(bytes);
    free(out);
}

/* A crash cut the last letter: it keeps its line, and the next one gets its own. */
static void a_letter_cut_off_by_a_crash_is_ended(void **state)
{
    const char *path = folder_path_of("cut.dlq");
    struct dead_letters *letters;
    FILE *cut = fopen(path, "wb");
    struct slice file;
    struct err err;

    (void)state;
    assert_non_null(cut);
    fputs("{\"whole\":1}\n{\"time\":\"20", cut);
    fclose(cut);
    for (unsigned i = 0; i < 2; i++) {
        letters = open_file(path, 1 << 20);
        assert_int_equal(letters->ops->put(letters, &plain, &err), 0);
        letters->ops->close(letters);
    }
    file = read_file(path);
    assert_memory_equal(file.data, "{\"whole\":1}\n{\"time\":\"20\n{\"time\":\"2026-", 38);
    assert_non_null(strstr(file.data, "}\n{\"time\":\"2026-"));
    assert_null(strstr(file.data, "\n\n"));
    free((void *)(uintptr_t)file.data);
}

/* A sync failed, and the last block never reached the disk, whatever can be read of it: a letter
 * that begins the next block has its line there, too. */
static void a_letter_does_not_rest_on_the_block_before_it(void **state)
{
    enum { BYTES = 1024 };
    const char *path = folder_path_of("blocks.dlq");
    FILE *before = fopen(path, "wb");
    struct slice file;
    struct err err;

    (void)state;
    assert_non_null(before);
    for (unsigned i = 1; i <= BYTES; i++)
        fputc(i % 64 == 0 ? '\n' : ' ', before);
    fclose(before);
    for (unsigned i = 0; i < 2; i++) {
        struct dead_letters *letters = open_file(path, 1 << 20);

        if (i == 1)
            assert_int_equal(letters->ops->put(letters, &plain, &err), 0);
        letters->ops->close(letters);
    }
    file = read_file(path);
    assert_memory_equal(file.data + BYTES - 1, "\n\n{\"time\":", 10);
    free((void *)(uintptr_t)file.data);
}

/* The disk is full: that put fails, and so does everything after it, with words that name the file.
 */
static void a_full_disk_stops_all_later_letters(void **state)
{
    struct dead_letters *letters = open_file("/dev/full", 1 << 20);
    struct err err;

    (void)state;
    assert_int_equal(letters->ops->sync(letters, &err), 0);
    for (unsigned i = 0; i < 2; i++) {
        memset(&err, 0, sizeof(err));
        assert_int_equal(letters->ops->put(letters, &plain, &err), -1);
        assert_int_equal(err.code, EXIT_IO);
        assert_non_null(strstr(err.text, "/dev/full: No space left on device"));
    }
    assert_int_equal(letters->ops->sync(letters, &err), -1);
    letters->ops->close(letters);
}

/* A limit on the file's size cuts a letter short: that is a failure too, and the next start ends
 * the line. */
static void a_short_write_is_a_failure(void **state)
{
    const char *path = folder_path_of("short.dlq");
    struct dead_letters *letters = open_file(path, 1 << 20);
    const struct rlimit small = { 100, RLIM_INFINITY };
    struct rlimit before;
    struct slice file;
    struct err err;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(letters->ops->put(letters, &plain, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(letters->ops->put(letters, &plain, &err), -1);
    assert_int_equal(letters->ops->sync(letters, &err), -1);
    letters->ops->close(letters);

    letters = open_file(path, 1 << 20);
    assert_int_equal(letters->ops->put(letters, &plain, &err), 0);
    letters->ops->close(letters);
    file = read_file(path);
    assert_int_equal(file.data[100], '\n');
    assert_int_equal(file.data[101], '{');
    free((void *)(uintptr_t)file.data);
}

static void missing_folders_are_made(void **state)
{
    const char *path = folder_path_of("a/b//c.dlq");
    struct dead_letters *letters = open_file(path, 1 << 20);
    struct stat stat;
    struct err err;

    (void)state;
    letters->ops->close(letters);
    assert_int_equal(lstat(path, &stat), 0);
    assert_int_equal(stat.st_mode & 07777 & ~0640u, 0);
    path = folder_path_of("a/b/c.dlq/d");
    assert_null(dead_letter_file_open(path, "orders", 1 << 20, &err));
    assert_int_equal(err.code, EXIT_IO);
    assert_non_null(strstr(err.text, path));
}

#define THREADS 4
#define LETTERS 500

struct writer {
    struct dead_letters *letters;
    int number;
    int failures;
};

static void *put_many(void *argument)
{
    struct writer *writer = argument;
    struct dead_letter letter = plain;
    char payload[3000];
    struct err err;

    memset(payload, 'a' + writer->number, sizeof(payload));
    letter.payload = (struct slice){ payload, sizeof(payload) };
    letter.partition = writer->number;
    for (letter.offset = 0; letter.offset < LETTERS; letter.offset++)
        writer->failures += writer->letters->ops->put(writer->letters, &letter, &err) != 0;
    return NULL;
}

/* Shards put at the same time: each letter is whole, and each shard's are in its order. */
static void shards_put_at_the_same_time(void **state)
{
    const char *path = folder_path_of("many.dlq");
    struct dead_letters *letters = open_file(path, 1 << 20);
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    int64_t next[THREADS] = { 0 };
    struct slice file, rest;
    struct err err;

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){ letters, i, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(letters->ops->sync(letters, &err), 0);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].failures, 0);
    }
    letters->ops->close(letters);
    rest = file = read_file(path);
    while (rest.len > 0) {
        const char *end = memchr(rest.data, '\n', rest.len);
        struct slice line = { rest.data, (size_t)(end - rest.data) };
        long number = strtol(member_of(line, "partition").raw.data, NULL, 10);
        struct slice payload = member_of(line, "payload").raw;

        assert_in_range(number, 0, THREADS - 1);
        assert_int_equal(strtol(member_of(line, "offset").raw.data, NULL, 10), next[number]++);
        assert_int_equal(payload.len, 3002);
        assert_int_equal(payload.data[1], 'a' + number);
        rest = (struct slice){ end + 1, rest.len - line.len - 1 };
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], LETTERS);
    free((void *)(uintptr_t)file.data);
}

/* An option that librdkafka does not know is said at the start, with its name. */
static void a_wrong_kafka_option_is_a_config_error(void **state)
{
    const struct dead_letter_setting wrong = { "no.such.option", "1" };
    struct dead_letter_kafka_options options = {
        .brokers = "127.0.0.1:1", .topic = "dead", .options = &wrong, .n_options = 1
    };
    struct err err;

    (void)state;
    assert_null(dead_letter_kafka_open(&options, "orders", &err));
    assert_int_equal(err.code, EXIT_CONFIG);
    assert_non_null(strstr(err.text, "no.such.option"));
}

/* Nothing was put: that is durable, broker or not. A letter that is too late is a failure for good.
 */
static void a_kafka_letter_that_is_too_late_stops_all_later_ones(void **state)
{
    const struct dead_letter_setting soon = { "message.timeout.ms", "1" };
    struct dead_letter_kafka_options options = {
        .brokers = "127.0.0.1:1", .topic = "dead", .options = &soon, .n_options = 1
    };
    struct err err;
    struct dead_letters *letters;

    (void)state;
    letters = dead_letter_kafka_open(&options, "orders", &err);
    assert_non_null(letters);
    assert_int_equal(letters->ops->sync(letters, &err), 0);
    assert_int_equal(letters->ops->put(letters, &plain, &err), 0);
    assert_int_equal(letters->ops->sync(letters, &err), -1);
    assert_int_equal(err.code, EXIT_IO);
    assert_non_null(strstr(err.text, "topic dead"));
    assert_int_equal(letters->ops->put(letters, &plain, &err), -1);
    letters->ops->close(letters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_says_what_where_and_why),
        cmocka_unit_test(original_bytes_can_be_had_back),
        cmocka_unit_test(a_letter_of_control_characters_still_fits),
        cmocka_unit_test(a_letter_that_is_too_large_is_cut),
        cmocka_unit_test(a_letter_cut_off_by_a_crash_is_ended),
        cmocka_unit_test(a_letter_does_not_rest_on_the_block_before_it),
        cmocka_unit_test(a_full_disk_stops_all_later_letters),
        cmocka_unit_test(a_short_write_is_a_failure),
        cmocka_unit_test(missing_folders_are_made),
        cmocka_unit_test(shards_put_at_the_same_time),
        cmocka_unit_test(a_wrong_kafka_option_is_a_config_error),
        cmocka_unit_test(a_kafka_letter_that_is_too_late_stops_all_later_ones),
    };

    log_setup(LOG_TEXT, LOG_ALERT);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
