/*
 * run.c: `weir run`: the control thread's loop, from boot to the last commit.
 *
 * Signals: the first SIGTERM or SIGINT drains, commits and ends with 0; a second one stops at once
 * (what was not committed is read again next time). SIGPIPE is ignored. SIGHUP is ignored with a
 * line: a changed config takes effect with a restart.
 */
#include "control/admin.h"
#include "control/boot.h"
#include "control/progress.h"
#include "control/task.h"
#include "control/threads.h"

#include <signal.h>
#include <stdlib.h>

#define TICK_MS  20
#define DRAIN_US 30000000

static struct node *running; /* what a signal ends */
static volatile sig_atomic_t hangups;

static void on_end(int signal)
{
    (void)signal;
    (void)__atomic_add_fetch(&running->stop, 1, __ATOMIC_RELAXED);
}

static void on_hangup(int signal)
{
    (void)signal;
    hangups++;
}

static void catch_signals(struct node *node)
{
    running = node;
    struct sigaction end = { .sa_handler = on_end }, hangup = { .sa_handler = on_hangup };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    (void)sigaction(SIGTERM, &end, NULL);
    (void)sigaction(SIGINT, &end, NULL);
    (void)sigaction(SIGHUP, &hangup, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

/* Is there a task left that can go on? */
static bool any_alive(const struct node *node)
{
    for (unsigned i = 0; i < node->n_tasks; i++)
        if (task_state(&node->tasks[i]) != TASK_FAILED && task_state(&node->tasks[i]) != TASK_ENDED)
            return true;
    return false;
}

/* With --until-end a task that is through is drained and ended by itself; the others go on. */
static void end_if_done(struct task *task)
{
    if (task->node->options.until_end && task_done(task))
        (void)task_drain(task, DRAIN_US);
}

static bool stops(const struct node *node)
{
    return __atomic_load_n(&node->stop, __ATOMIC_RELAXED) > 0;
}

static void loop(struct node *node)
{
    unsigned share_ms = TICK_MS / node->n_tasks > 0 ? TICK_MS / node->n_tasks : 1;
    while (!stops(node) && any_alive(node)) {
        for (unsigned i = 0; i < node->n_tasks && !stops(node); i++) {
            task_tick(&node->tasks[i], share_ms);
            end_if_done(&node->tasks[i]);
        }
        progress_tick(node, node_now_us(node));
        if (hangups > 0) {
            hangups = 0;
            log_line(LOG_NOTICE, "node",
                     "SIGHUP: the config is read at start only; restart to change it");
        }
    }
    if (stops(node))
        log_line(LOG_NOTICE, "node",
                 "ending: writing and committing what was read (a second signal stops at once)");
}

static void drain_all(struct node *node)
{
    for (unsigned i = 0; i < node->n_tasks; i++) {
        struct task *task = &node->tasks[i];
        enum task_state state = task_state(task);
        if (state == TASK_FAILED || state == TASK_ENDED)
            continue;
        if (state == TASK_STARTING)
            continue; /* it has read nothing */
        if (!task_drain(task, DRAIN_US) && task_state(task) != TASK_FAILED)
            log_line(LOG_WARN, task->config->name,
                     "not all that was read could be written; it is read again next time");
    }
}

static int exit_code_of(const struct node *node)
{
    for (unsigned i = 0; i < node->n_tasks; i++) {
        const struct task *task = &node->tasks[i];
        if (task_state(task) == TASK_FAILED)
            return task->failure.code;
    }
    return EXIT_DONE;
}

void node_serve(struct node *node)
{
    loop(node);
    drain_all(node);
    for (unsigned i = 0; i < node->n_tasks; i++)
        task_close_source(&node->tasks[i]);
    node->exit_code = exit_code_of(node);
}

int node_run(const struct config *config, const struct node_options *options)
{
    struct node node = { .config = config, .options = *options };
    struct err err;
    catch_signals(&node);
    if (env_linux_open(&node.env, &err) != 0 || boot_open(&node, &err) != 0 ||
        admin_open(&node, &err) != 0) {
        log_line(LOG_ERROR, "node", "%s", err.text);
        exit(err.code); /* threads and libraries are half started: the process is the unit that ends
                         */
    }
    threads_start(&node);
    node_serve(&node);
    admin_close(&node);
    boot_close(&node);
    if (options->until_end)
        progress_final(stdout, &node);
    boot_free(&node);
    env_linux_close(node.env);
    return node.exit_code;
}
