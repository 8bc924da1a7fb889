/*
 * check.c: see check.h.
 *
 * The config layer finds the errors; this prints them and says what the config would do, in one
 * line, so that a person sees at once whether it is the config that was meant. No server is asked,
 * unless it is live.c's turn.
 */
#include "control/check.h"

#include "control/live.h"
#include "dataplane/base/err.h"

struct config *check_load(const char *path)
{
    struct config_errors errors = { 0 };
    struct config *config;

    if (config_load(path, &config, &errors) != 0)
        config_errors_print(stderr, &errors);
    config_errors_free(&errors);
    return config;
}

static void print_good(const char *path, const struct config *config)
{
    unsigned tables = 0, sinks = 0;

    for (unsigned i = 0; i < config->n_tasks; i++) {
        tables += config->tasks[i].document.n_tables;
        sinks += config->tasks[i].n_sinks;
    }
    printf("%s is good: %u %s, %u %s, %u %s\n", path, config->n_tasks,
           config->n_tasks == 1 ? "task" : "tasks", tables, tables == 1 ? "table" : "tables", sinks,
           sinks == 1 ? "sink" : "sinks");
}

int check_run(const char *path, const struct check_options *options)
{
    struct config *config = check_load(path);
    int code = EXIT_DONE;

    if (config == NULL)
        return EXIT_CONFIG;
    if (options->print)
        config_print(stdout, config);
    else if (options->live)
        code = live_run(config, options->json);
    else
        print_good(path, config);
    config_free(config);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("weir: standard output");
        return EXIT_IO;
    }
    return code;
}
