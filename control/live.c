/*
 * live.c: see live.h.
 *
 *     each task ─┬─ source ── drivers_inspect_source() ──┐
 *                └─ sinks ─── open ─ inspect() ─ close ──┴─► a line a finding, a count of each
 *
 * Drivers find, this prints: it knows no server. A server that does not answer is a finding of its
 * own and keeps nobody from looking at the others. What the config says by itself was checked
 * before; dead letters are not looked at, because a file is made when it is needed.
 *
 * Texts that servers sent are shown with what a terminal would obey taken out.
 */
#include "control/live.h"

#include "control/drivers.h"
#include "control/json_out.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_BYTES_MAX ((size_t)64 << 10)

enum { GUARANTEES = 4 };

struct live {
    struct findings findings; /* first: drivers give it back */
    const char *task, *sink;  /* what is looked at; sink NULL: the source */
    bool json;
    struct buf line;
    unsigned errors, warnings, away, told;
};

/* ---- one finding ---- */

static void put_plain(const char *text)
{
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void print_text(const struct live *live, const char *level, const struct finding *finding)
{
    bool first = true;
    printf("%-6s %s, %s%s: ", level, live->task, live->sink != NULL ? "sink " : "source",
           live->sink != NULL ? live->sink : "");
    put_plain(finding->what);
    for (unsigned number = 1; number <= GUARANTEES; number++) {
        if ((finding->guarantees & 1u << number) == 0)
            continue;
        printf("%s%u", first ? " [endangers guarantee " : ", ", number);
        first = false;
    }
    fputs(first ? "" : "]", stdout);
    if (finding->advice != NULL) {
        fputs(": ", stdout);
        put_plain(finding->advice);
    }
    putchar('\n');
}

static void print_json(struct live *live, const char *level, const struct finding *finding)
{
    struct json_out out = { .buf = &live->line };
    buf_reset(&live->line);
    json_out_open(&out, NULL, '{');
    json_out_text(&out, "level", level);
    json_out_text(&out, "task", live->task);
    json_out_text(&out, "sink", live->sink);
    json_out_text(&out, "what", finding->what);
    json_out_open(&out, "guarantees", '[');
    for (unsigned number = 1; number <= GUARANTEES; number++)
        if ((finding->guarantees & 1u << number) != 0)
            json_out_u64(&out, NULL, number);
    json_out_close(&out, ']');
    json_out_text(&out, "advice", finding->advice);
    json_out_close(&out, '}');
    printf("%s\n  %.*s", live->told > 0 ? "," : "", (int)live->line.len, live->line.data);
}

static void print_finding(struct live *live, const char *level, const struct finding *finding)
{
    if (live->json)
        print_json(live, level, finding);
    else
        print_text(live, level, finding);
    live->told++;
}

static void found(struct findings *findings, const struct finding *finding)
{
    static const char *const levels[] = {
        [FINDING_OK] = "ok", [FINDING_WARN] = "warn", [FINDING_ERROR] = "error"
    };
    struct live *live = (struct live *)(void *)findings;
    live->errors += finding->level == FINDING_ERROR;
    live->warnings += finding->level == FINDING_WARN;
    print_finding(live, levels[finding->level], finding);
}

/* What could not be looked at: the server is away, or the options cannot be used. */
static void not_found(struct live *live, const struct err *err)
{
    bool away = err->code == EXIT_UNAVAILABLE;
    const struct finding finding = {
        .what = err->text,
        .advice = away ? "see that it runs there, or correct its address in the config" : NULL,
    };
    live->away += away;
    live->errors += !away;
    print_finding(live, away ? "away" : "error", &finding);
}

/* ---- a task ---- */

static void look_at_sink(struct live *live, const struct drivers *drivers,
                         const struct config_sink *config)
{
    struct err err;
    char *path = NULL;
    live->sink = config->name;
    struct sink *sink = drivers_sink(drivers, config, &path, &err);
    if (sink == NULL) {
        not_found(live, &err);
    } else {
        if (sink->ops->inspect != NULL && sink->ops->inspect(sink, &live->findings, &err) != 0)
            not_found(live, &err);
        sink->ops->close(sink);
    }
    free(path);
}

static void look_at_task(struct live *live, const struct config *config,
                         const struct config_task *task)
{
    struct err err;
    const struct drivers drivers = {
        .node = &config->node, .task = task, .plan = drivers_plan(task), .looks = true
    };
    live->task = task->name;
    live->sink = NULL;
    live->findings.tombstone_retention_us = task->tombstone_retention_us;
    if (drivers_inspect_source(&drivers, &live->findings, &err) != 0)
        not_found(live, &err);
    for (unsigned i = 0; i < task->n_sinks; i++)
        look_at_sink(live, &drivers, &task->sinks[i]);
}

static void print_end(const struct live *live)
{
    if (live->json)
        printf("\n], \"errors\": %u, \"warnings\": %u, \"away\": %u}\n", live->errors,
               live->warnings, live->away);
    else
        printf("%u %s, %u %s, %u could not be asked\n", live->errors,
               live->errors == 1 ? "error" : "errors", live->warnings,
               live->warnings == 1 ? "warning" : "warnings", live->away);
}

int live_run(const struct config *config, bool json)
{
    struct live live = { .findings = { .found = found }, .json = json };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    (void)sigaction(SIGPIPE, &ignore, NULL); /* TLS connections write without MSG_NOSIGNAL */
    memory_setup(HUGEPAGES_OFF);
    buf_open(&live.line, LINE_BYTES_MAX, "a line of findings");
    fputs(json ? "{\"findings\": [" : "", stdout);
    for (unsigned i = 0; i < config->n_tasks; i++)
        look_at_task(&live, config, &config->tasks[i]);
    print_end(&live);
    if (live.errors > 0)
        return EXIT_CONFIG;
    return live.away > 0 ? EXIT_UNAVAILABLE : EXIT_DONE;
}
