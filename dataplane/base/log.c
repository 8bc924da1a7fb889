/*
 * log.c: one line a message on stderr.
 *
 *     2026-11-21 12:00:00.123 warn  kafka: broker 127.0.0.1:9092 is gone
 *     {"ts":"2026-11-21T12:00:00.123Z","level":"warn","where":"kafka","message":"broker ..."}
 *
 * A message quotes bytes from outside (a bad value, a server's answer), so what reaches the
 * terminal or the log collector is always well-formed UTF-8 without control characters, C1 and DEL
 * included: anything else is shown as \xNN. That also keeps a message in one line. A line is
 * composed on the stack and written by one write(2), so lines of several threads do not mix, and
 * nothing is locked or allocated. Times are UTC, so that nodes compare.
 *
 * What this does not do: files, rotation, syslog. The supervisor has stderr.
 */
#include "dataplane/base/log.h"

#include "dataplane/base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, TAIL_BYTES = 16 };

static enum log_format log_format;
static enum log_level log_least = LOG_INFO;
static bool log_colours;

/* A line under construction. The last TAIL_BYTES are kept for what must end it. */
struct line {
    char text[LINE_BYTES];
    size_t len;
};

static void line_put(struct line *line, const char *bytes, size_t len, size_t bound)
{
    if (len <= bound - line->len) {
        memcpy(line->text + line->len, bytes, len);
        line->len += len;
    }
}

/* The end of a line, for which there is always room. */
static void line_end(struct line *line, const char *text)
{
    line_put(line, text, strlen(text), LINE_BYTES);
}

/* How many bytes at `text` can be shown as they are: 0, or one whole sequence. */
static unsigned shown_as_is(const char *text, size_t left)
{
    unsigned char c = (unsigned char)text[0];
    unsigned len = utf8_sequence(text, left);

    if (len == UTF8_BAD || len == UTF8_CUT || c < 0x20 || c == 0x7f)
        return 0;
    return c == 0xc2 && (unsigned char)text[1] < 0xa0 ? 0 : len; /* U+0080 to U+009F: C1. */
}

/* Text from anywhere, made harmless; cut with "..." where the line is full. */
static void line_put_text(struct line *line, const char *text)
{
    const size_t bound = LINE_BYTES - TAIL_BYTES;
    size_t left = strlen(text);

    while (left > 0) {
        unsigned len = shown_as_is(text, left), take = len > 0 ? len : 1;
        char piece[8];
        int piece_len = 0;

        if (len == 0)
            piece_len = snprintf(piece, sizeof(piece), "%s\\x%02x",
                                 log_format == LOG_JSON ? "\\" : "", (unsigned char)text[0]);
        else if (log_format == LOG_JSON && (text[0] == '"' || text[0] == '\\'))
            piece_len = snprintf(piece, sizeof(piece), "\\%c", text[0]);
        if ((piece_len > 0 ? (size_t)piece_len : take) > bound - line->len) {
            line_end(line, "...");
            return;
        }
        line_put(line, piece_len > 0 ? piece : text, piece_len > 0 ? (size_t)piece_len : take,
                 bound);
        text += take;
        left -= take;
    }
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG:
        return "debug";
    case LOG_INFO:
        return "info";
    case LOG_NOTICE:
        return "notice";
    case LOG_WARN:
        return "warn";
    case LOG_ERROR:
        return "error";
    case LOG_ALERT:
        return "alert";
    }
    return "?";
}

/* What turns the level's colour on; "" for a level without one. */
static const char *level_colour(enum log_level level)
{
    if (!log_colours || level < LOG_WARN)
        return "";
    return level == LOG_WARN ? "\033[33m" : level == LOG_ERROR ? "\033[31m" : "\033[1;31m";
}

static void line_put_head(struct line *line, enum log_level level, const char *where)
{
    struct timespec now = { 0, 0 };
    struct tm tm;
    char date[16], clock[16], head[160];
    int len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d", &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    if (log_format == LOG_JSON)
        len = snprintf(head, sizeof(head), "{\"ts\":\"%sT%s.%03ldZ\",\"level\":\"%s\",\"where\":\"",
                       date, clock, now.tv_nsec / 1000000, level_name(level));
    else
        len = snprintf(head, sizeof(head), "%s %s.%03ld %s%-5s%s ", date, clock,
                       now.tv_nsec / 1000000, level_colour(level), level_name(level),
                       *level_colour(level) ? "\033[0m" : "");
    line_put(line, head, (size_t)len, LINE_BYTES - TAIL_BYTES);
    line_put_text(line, where);
    line_end(line, log_format == LOG_JSON ? "\",\"message\":\"" : ": ");
}

void log_setup(enum log_format format, enum log_level least)
{
    const char *no_color = getenv("NO_COLOR"); /* A common wish of people: https://no-color.org */

    log_format = format;
    log_least = least;
    log_colours = format == LOG_TEXT && isatty(STDERR_FILENO) && !(no_color && *no_color);
}

void log_line(enum log_level level, const char *where, const char *format, ...)
{
    struct line line = { .len = 0 };
    char message[LINE_BYTES];
    va_list args;
    int error = errno;

    if (level < log_least)
        return;
    va_start(args, format);
    if (vsnprintf(message, sizeof(message), format, args) < 0)
        snprintf(message, sizeof(message), "%s", format);
    va_end(args);
    line_put_head(&line, level, where);
    line_put_text(&line, message);
    line_end(&line, log_format == LOG_JSON ? "\"}\n" : "\n");
    /* A full pipe or a closed stderr: there is nobody left to tell, and the work must go on. */
    while (write(STDERR_FILENO, line.text, line.len) < 0 && errno == EINTR)
        ;
    errno = error;
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_us, uint64_t *suppressed)
{
    *suppressed = 0;
    if (now_us < limit->next_us) {
        limit->suppressed++;
        return false;
    }
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next_us = now_us + 1000000;
    return true;
}
