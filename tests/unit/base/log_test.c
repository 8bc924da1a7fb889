/* Log lines as they reach stderr, and the limiter. */
#include "tests/unit/unit.h"

#include "dataplane/base/json.h"
#include "dataplane/base/log.h"

#include <errno.h>
#include <stdlib.h>

struct message {
    enum log_format format;
    enum log_level least, level;
    const char *where, *text;
};

static void say(void *argument)
{
    const struct message *message = argument;

    log_setup(message->format, message->least);
    log_line(message->level, message->where, "%s", message->text);
}

static struct ending said(enum log_format format, const char *text)
{
    struct message message = { format, LOG_INFO, LOG_WARN, "kafka", text };

    return ending_of(say, &message);
}

static void text_line_has_time_level_place_and_message(void **state)
{
    /* stderr is a pipe here, so there are no colours. */
    struct ending ending = said(LOG_TEXT, "broker is gone");
    int year, month, day, hour, minute, second, ms, len = 0;

    (void)state;
    assert_int_equal(sscanf(ending.said, "%4d-%2d-%2d %2d:%2d:%2d.%3d%n", &year, &month, &day,
                            &hour, &minute, &second, &ms, &len),
                     7);
    assert_int_equal(len, 23);
    assert_string_equal(ending.said + len, " warn  kafka: broker is gone\n");
}

static void hostile_bytes_are_shown_as_hex(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        { "a\nb\x1b[31m\x7f", "a\\x0ab\\x1b[31m\\x7f" },
        { "\xc3\xa9 \xe4\xbd\xa0", "\xc3\xa9 \xe4\xbd\xa0" },
        { "\xff\xc3", "\\xff\\xc3" },
        { "\xc2\x9b[31m", "\\xc2\\x9b[31m" }, /* C1: a control sequence on some terminals */
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" },
        { "quote \" slash \\", "quote \" slash \\" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ending ending = said(LOG_TEXT, rows[i].text);
        char expected[128];

        snprintf(expected, sizeof(expected), " kafka: %s\n", rows[i].shown);
        assert_string_equal(strstr(ending.said, " kafka: "), expected);
    }
}

/* The member of the logged JSON object, unescaped; the line must be one whole object and a newline.
 */
static void member_of(const struct ending *ending, const char *wanted, char *out)
{
    struct slice line = slice_of(ending->said), name;
    struct json_value value;
    struct json json;
    bool escaped;

    assert_true(line.len > 0 && line.data[line.len - 1] == '\n');
    assert_ptr_equal(memchr(line.data, '\n', line.len), line.data + line.len - 1);
    out[0] = '\0';
    json_open(&json, line);
    assert_true(json_enter(&json, JSON_OBJECT));
    while (json_member(&json, &name, &escaped, &value)) {
        assert_int_equal(value.type, JSON_STRING);
        if (slice_equal(name, slice_of(wanted)))
            out[json_unescape(value.raw, out)] = '\0';
    }
    assert_true(json_end(&json));
}

static void json_line_is_one_object(void **state)
{
    struct ending ending = said(LOG_JSON, "say \"hi\" \\ \n \xff \xc3\xa9");
    char out[4096];

    (void)state;
    member_of(&ending, "level", out);
    assert_string_equal(out, "warn");
    member_of(&ending, "where", out);
    assert_string_equal(out, "kafka");
    member_of(&ending, "message", out);
    assert_string_equal(out, "say \"hi\" \\ \\x0a \\xff \xc3\xa9");
    member_of(&ending, "ts", out);
    assert_int_equal(strlen(out), strlen("2026-11-21T12:00:00.123Z"));
    assert_true(out[10] == 'T' && out[23] == 'Z');
}

static void long_message_is_cut_and_stays_whole(void **state)
{
    /* Each kind of byte at the cut: plain, escaped, a sequence that must not be split. */
    static const char *const units[] = { "x", "\"", "\n", "\xff", "\xf0\x9f\x98\x80" };
    char text[9000], out[8192];

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t shift = 0; shift < 8; shift++) {
            struct ending ending;
            size_t len = shift;

            memset(text, 'y', shift);
            while (len + strlen(units[i]) < sizeof(text))
                len += (size_t)sprintf(text + len, "%s", units[i]);
            ending = said(LOG_JSON, text);
            assert_true(strlen(ending.said) <= 4096);
            member_of(&ending, "message", out);
            assert_true(strlen(out) > 1000);
            ending = said(LOG_TEXT, text);
            assert_true(strlen(ending.said) > 4000 && strlen(ending.said) <= 4096);
            assert_true(utf8_valid(slice_of(ending.said)));
            assert_ptr_equal(strchr(ending.said, '\n'), ending.said + strlen(ending.said) - 1);
        }
    }
}

static void hostile_place_is_escaped_too(void **state)
{
    struct message message = { LOG_JSON, LOG_INFO, LOG_INFO, "a\"\n", "m" };
    struct ending ending = ending_of(say, &message);
    char out[4096];

    (void)state;
    member_of(&ending, "where", out);
    assert_string_equal(out, "a\"\\x0a");
}

static void levels_below_the_least_are_dropped(void **state)
{
    (void)state;
    for (int least = LOG_DEBUG; least <= LOG_ALERT; least++) {
        for (int level = LOG_DEBUG; level <= LOG_ALERT; level++) {
            struct message message = { LOG_TEXT, (enum log_level)least, (enum log_level)level, "w",
                                       "m" };
            struct ending ending = ending_of(say, &message);

            assert_int_equal(ending.said[0] != '\0', level >= least);
        }
    }
}

static void close_and_say(void *argument)
{
    (void)argument;
    close(STDERR_FILENO);
    errno = ENOENT;
    log_line(LOG_WARN, "w", "m");
    _exit(errno == ENOENT ? 0 : 1); /* errno is the caller's, who may be about to print it. */
}

static void log_without_a_reader_harms_nobody(void **state)
{
    (void)state;
    assert_int_equal(ending_of(close_and_say, NULL).status, 0);
}

static void limiter_passes_one_a_second_and_counts_the_rest(void **state)
{
    struct log_limit limit = { 0 };
    uint64_t suppressed = 99;

    (void)state;
    assert_true(log_limit_pass(&limit, 5000000, &suppressed));
    assert_int_equal(suppressed, 0);
    for (uint64_t us = 0; us < 1000; us++)
        assert_false(log_limit_pass(&limit, 5000000 + us, &suppressed));
    assert_false(log_limit_pass(&limit, 5999999, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_limit_pass(&limit, 6000000, &suppressed));
    assert_int_equal(suppressed, 1001);
    assert_true(log_limit_pass(&limit, 7000000, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void zeroed_limiter_passes_at_time_zero(void **state)
{
    struct log_limit limit = { 0 };
    uint64_t suppressed;

    (void)state;
    assert_true(log_limit_pass(&limit, 0, &suppressed));
    assert_false(log_limit_pass(&limit, 0, &suppressed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_line_has_time_level_place_and_message),
        cmocka_unit_test(hostile_bytes_are_shown_as_hex),
        cmocka_unit_test(json_line_is_one_object),
        cmocka_unit_test(long_message_is_cut_and_stays_whole),
        cmocka_unit_test(hostile_place_is_escaped_too),
        cmocka_unit_test(levels_below_the_least_are_dropped),
        cmocka_unit_test(log_without_a_reader_harms_nobody),
        cmocka_unit_test(limiter_passes_one_a_second_and_counts_the_rest),
        cmocka_unit_test(zeroed_limiter_passes_at_time_zero),
    };

    return UNIT_RUN(tests);
}
