/*
 * progress.c: see progress.h.
 *
 * The line ends with a carriage return instead of a line break, so that the next one, and any log
 * line in between, is written over it. The rate is that of the last interval, evened out a little;
 * time left is what is still to be read over that rate, and unknown where a log has no known end
 * (files) or nothing moves.
 *
 * The state is the process's: there is one node in it, and one stderr.
 */
#include "control/progress.h"

#include "control/json_out.h"
#include "control/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_US UINT64_C(500000)
#define LOG_US    UINT64_C(10000000)

static struct {
    bool started, drawn;
    uint64_t next_us, last_us, last_events, rate;
} progress;

/* ---- the line ---- */

/* 1234567 as 1,234,567. */
static void with_commas(uint64_t number, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, number), at = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

static void duration_text(int64_t seconds, char out[32])
{
    if (seconds >= 3600)
        (void)snprintf(out, 32, "%" PRId64 "h%" PRId64 "min", seconds / 3600, seconds / 60 % 60);
    else if (seconds >= 60)
        (void)snprintf(out, 32, "%" PRId64 "min%" PRId64 "s", seconds / 60, seconds % 60);
    else
        (void)snprintf(out, 32, "%" PRId64 "s", seconds);
}

static void add(char *out, size_t size, const char *before, const char *text, const char *after)
{
    size_t len = strlen(out);

    (void)snprintf(out + len, size - len, "%s%s%s", before, text, after);
}

void progress_text(const struct progress_numbers *numbers, char *out, size_t size)
{
    char text[32];

    ASSERT(size > 0);
    out[0] = '\0';
    with_commas(numbers->events, text);
    add(out, size, "", text, " events");
    with_commas(numbers->events_per_second, text);
    add(out, size, ", ", text, "/s");
    if (numbers->lag >= 0) {
        with_commas((uint64_t)numbers->lag, text);
        add(out, size, ", ", text, " behind");
    }
    with_commas(numbers->pending, text);
    add(out, size, ", ", text, " pending");
    if (numbers->dead_letters > 0) {
        with_commas(numbers->dead_letters, text);
        add(out, size, ", ", text, " dead letters");
    }
    if (numbers->left_seconds >= 0) {
        duration_text(numbers->left_seconds, text);
        add(out, size, ", ", text, " left");
    }
}

/* ---- numbers ---- */

/* What is still to come: with --until-end up to the ends at start, else up to the ends of now. */
static int64_t records_left(const struct node *node, const struct view_lag *lag)
{
    return node->options.until_end ? lag->left : lag->lag;
}

static void sum_up(const struct node *node, struct progress_numbers *numbers, int64_t *left)
{
    *numbers = (struct progress_numbers){ .lag = -1, .left_seconds = -1 };
    *left = node->n_tasks > 0 ? 0 : -1;
    for (unsigned i = 0; i < node->n_tasks; i++) {
        struct view_lag lag = view_lag(&node->tasks[i]);
        struct task_totals totals;
        int64_t task_left = records_left(node, &lag);
        task_totals(&node->tasks[i], &totals);
        numbers->events += totals.events;
        numbers->pending += totals.pending;
        numbers->dead_letters += totals.counters.letters;
        if (lag.lag >= 0)
            numbers->lag = (numbers->lag < 0 ? 0 : numbers->lag) + lag.lag;
        *left = *left < 0 || task_left < 0 ? -1 : *left + task_left;
    }
}

/* The rate since the last look, three parts of it old. */
static void update_rate(uint64_t events, uint64_t now_us)
{
    uint64_t passed_us = now_us - progress.last_us;
    uint64_t now = passed_us > 0 ? (events - progress.last_events) * 1000000 / passed_us : 0;

    progress.rate = progress.rate == 0 || now == 0 ? now : (3 * progress.rate + now) / 4;
    progress.last_events = events;
    progress.last_us = now_us;
}

static void show(const struct progress_numbers *numbers, bool terminal)
{
    char text[200];

    /* A line that wraps could not be redrawn: 79 columns are there on any terminal. */
    progress_text(numbers, text, terminal ? 80 : sizeof(text));
    if (!terminal) {
        log_line(LOG_INFO, "progress", "%s", text);
        return;
    }
    fprintf(stderr, "\r\033[K%s\r", text);
    fflush(stderr);
    progress.drawn = true;
}

void progress_tick(struct node *node, uint64_t now_us)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    uint64_t interval_us = terminal ? REDRAW_US : LOG_US;
    struct progress_numbers numbers;
    int64_t left;

    if (!progress.started) {
        progress.started = true;
        progress.last_us = now_us;
        progress.next_us = now_us + interval_us;
    }
    if (now_us < progress.next_us)
        return;
    progress.next_us = now_us + interval_us;
    sum_up(node, &numbers, &left);
    update_rate(numbers.events, now_us);
    numbers.events_per_second = progress.rate;
    if (left >= 0 && progress.rate > 0)
        numbers.left_seconds = left / (int64_t)progress.rate;
    show(&numbers, terminal);
}

/* ---- the end ---- */

static uint64_t mono_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct final {
    struct counters counters;
    uint64_t events, entities, written, sent_bytes, stale, retried, damaged_files;
};

static void add_task(struct final *sum, const struct task *task, const struct task_totals *totals)
{
    sum->damaged_files += task->damaged_files;
    sum->events += totals->events;
    sum->entities += totals->entities;
#define COUNTER(field, metric, labels, help) sum->counters.field += totals->counters.field;
#include "dataplane/counters.def"
#undef COUNTER
    for (unsigned i = 0; i < task->config->n_sinks; i++) {
        sum->written += totals->outlets[i].written;
        sum->sent_bytes += totals->outlets[i].bytes;
        sum->stale += totals->outlets[i].stale;
        sum->retried += totals->outlets[i].retried;
    }
}

static void put_final(struct json_out *out, const struct final *sum)
{
    json_out_u64(out, "events", sum->events);
    json_out_u64(out, "changes", sum->counters.changes_in);
    json_out_u64(out, "documents", sum->entities);
    json_out_u64(out, "documents_written", sum->written);
    json_out_u64(out, "bytes_sent", sum->sent_bytes);
    json_out_u64(out, "lookups", sum->counters.lookups);
    json_out_u64(out, "states_read", sum->counters.lookup_found + sum->counters.lookup_absent);
    json_out_u64(out, "stale", sum->stale);
    json_out_u64(out, "retried", sum->retried);
    json_out_u64(out, "unmapped", sum->counters.changes_unmapped);
    json_out_u64(out, "applied", sum->counters.applied);
    json_out_u64(out, "changes_stale", sum->counters.stale);
    json_out_u64(out, "dead_letters", sum->counters.letters);
    json_out_u64(out, "damaged_files", sum->damaged_files);
}

static void put_final_task(struct json_out *out, const struct task *task)
{
    struct task_totals totals;
    struct final sum = { 0 };

    task_totals(task, &totals);
    add_task(&sum, task, &totals);
    json_out_open(out, task->config->name, '{');
    json_out_text(out, "state", view_state_name(view_state(task)));
    put_final(out, &sum);
    json_out_open(out, "written", '{');
    for (unsigned i = 0; i < task->config->n_sinks; i++)
        json_out_u64(out, task->config->sinks[i].name, totals.outlets[i].written);
    json_out_close(out, '}');
    json_out_close(out, '}');
}

void progress_final(FILE *file, struct node *node)
{
    /* At most 64 tasks of 8 sinks with names of 64 bytes; the heap, for memory is sealed by now. */
    struct buf buf = { .bound = 1 << 20 };
    struct json_out out = { .buf = &buf };
    uint64_t ran_us = mono_us() - node->started_us;
    struct final sum = { 0 };

    buf.data = malloc(buf.bound + 1);
    if (buf.data == NULL)
        fatal(EXIT_SOFTWARE, "out of memory for the summary");
    for (unsigned i = 0; i < node->n_tasks; i++) {
        struct task_totals totals;

        task_totals(&node->tasks[i], &totals);
        add_task(&sum, &node->tasks[i], &totals);
    }
    json_out_open(&out, NULL, '{');
    put_final(&out, &sum);
    json_out_name(&out, "seconds");
    buf_printf(&buf, "%" PRIu64 ".%03" PRIu64, ran_us / 1000000, ran_us / 1000 % 1000);
    json_out_u64(&out, "events_per_second", ran_us > 0 ? sum.events * 1000000 / ran_us : 0);
    json_out_open(&out, "tasks", '{');
    for (unsigned i = 0; i < node->n_tasks; i++)
        put_final_task(&out, &node->tasks[i]);
    json_out_close(&out, '}');
    json_out_close(&out, '}');
    ASSERT(!buf.overflow);
    if (progress.drawn)
        fputs("\r\033[K", stderr);
    fprintf(file, "%.*s\n", (int)buf.len, buf.data);
    fflush(file);
    free(buf.data);
}
