/* log.h: one line a message, to stderr, for people or (JSON) for machines. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN, LOG_ERROR, LOG_ALERT };

enum log_format { LOG_TEXT, LOG_JSON };

/* Start-up only. Colours are used in LOG_TEXT where stderr is a terminal (and $NO_COLOR is not
 * set). Lines below `least` are dropped. Before this is called: LOG_TEXT without colours, LOG_INFO
 * and above. */
void log_setup(enum log_format format, enum log_level least);

/*
 * Writes one line, whole (a single write(2)), cut at 4 KiB. Control characters and bytes that are
 * not UTF-8 are shown as \xNN, so `where` and the message may quote anything. The time is UTC.
 * Keeps errno. Any thread. `where` names the part that speaks: "kafka", "elasticsearch", "config",
 * or a task's name.
 */
void log_line(enum log_level level, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * For what may happen a million times: at most one line a second passes; the next one says how many
 * were held back. One limiter belongs to one call site and one thread; zero-initialised is ready.
 * `now_us` is any monotonic clock. True: write the line, and say in it that *suppressed like it
 * were held back if that is not zero.
 */
struct log_limit {
    uint64_t next_us;
    uint64_t suppressed;
};
bool log_limit_pass(struct log_limit *limit, uint64_t now_us, uint64_t *suppressed);

#endif
