/*
 * load.c: the way of a config file, from its path to a struct config.
 *
 *     file_read -> yaml_tree_load -> bind_config -> defaults -> validate_config -> the config,
 *     bytes        nodes, places     structs        computed    between keys       or sorted errors
 *
 * Each step adds to the same list of errors and the next one goes on as long as there is something
 * to look at. The tree lives as long as the loading does, the config as long as its owner wants it;
 * each has its own memory.
 *
 * Also here: defaults that the schema cannot hold as text because they come from the machine or
 * from other keys, and the one place that says what a relative path is relative to.
 */
#include "config/config.h"

#include "config/bind.h"
#include "config/chunk.h"
#include "config/errors.h"
#include "config/file_read.h"
#include "config/validate.h"
#include "config/yaml_tree.h"
#include "dataplane/base/err.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void default_name(struct config *config)
{
    char name[HOST_NAME_MAX + 1] = { 0 };
    if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
        strcpy(name, "localhost");
    config->node.name = chunk_text(&config->memory, name, strlen(name));
}

static void default_cores(struct config *config)
{
    cpu_set_t cpus;
    struct config_numbers *cores = &config->node.cores;
    cores->items = chunk_take(&config->memory, CPU_SETSIZE * sizeof(*cores->items));
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) { /* more CPUs than the set can name */
        cores->n = 1;
        return;
    }
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && cpu < CONFIG_CORES_MAX; cpu++) {
        if (CPU_ISSET(cpu, &cpus))
            cores->items[cores->n++] = cpu;
    }
}

static void default_dead_letter(struct config *config, struct config_task *task)
{
    char name[80];
    int len = snprintf(name, sizeof(name), "%.64s.dlq", task->name);
    task->dead_letter.kind = CONFIG_DEAD_LETTER_FILE;
    task->dead_letter.file = chunk_text(&config->memory, name, (size_t)len);
}

/* HBase takes smaller requests better, and more of them side by side. */
static void default_batch(const struct yaml_node *batch, struct config_sink *sink)
{
    if (sink->kind != CONFIG_SINK_HBASE)
        return;
    if (yaml_tree_child(batch, "docs") == NULL)
        sink->batch.docs = 1000;
    if (yaml_tree_child(batch, "bytes") == NULL)
        sink->batch.bytes = 2 << 20;
    if (yaml_tree_child(batch, "in_flight") == NULL)
        sink->batch.in_flight = 4;
}

/* What the machine, or another key, says where the file does not. */
static void defaults_complete(const struct yaml_node *root, struct config *config)
{
    const struct yaml_node *node = yaml_tree_child(root, "node");
    config->node.admin_explicit = yaml_tree_child(node, "admin") != NULL;
    if (yaml_tree_child(node, "name") == NULL)
        default_name(config);
    if (yaml_tree_child(node, "cores") == NULL)
        default_cores(config);
    for (unsigned i = 0; i < config->n_tasks; i++) {
        struct config_task *task = &config->tasks[i];
        const struct yaml_node *at = yaml_tree_at(yaml_tree_child(root, "tasks"), i);
        if (yaml_tree_child(at, "dead_letter") == NULL)
            default_dead_letter(config, task);
        if (yaml_tree_child(at, "hydrate") == NULL && task->n_sinks > 0)
            task->hydrate = task->sinks[0].name;
        const struct yaml_node *sinks = yaml_tree_child(at, "sinks");
        for (unsigned s = 0; s < task->n_sinks; s++)
            default_batch(yaml_tree_child(yaml_tree_at(sinks, s), "batch"), &task->sinks[s]);
    }
}

/* URLs are kept without trailing slashes, so that a path can be put behind them, and compared. */
static void urls_trim(struct config *config)
{
    for (unsigned t = 0; t < config->n_tasks; t++) {
        for (unsigned s = 0; s < config->tasks[t].n_sinks; s++) {
            struct config_strings *urls = &config->tasks[t].sinks[s].elasticsearch.urls;
            for (unsigned u = 0; u < urls->n; u++) {
                size_t len = strlen(urls->items[u]);
                while (len > 0 && urls->items[u][len - 1] == '/')
                    len--;
                urls->items[u] = chunk_text(&config->memory, urls->items[u], len);
            }
        }
    }
}

static void load_tree(const struct yaml_node *root, struct config *config,
                      struct config_errors *errors)
{
    bind_config(root, config, errors);
    defaults_complete(root, config);
    urls_trim(config);
    validate_config(root, config, errors);
}

static struct config *config_new(void)
{
    struct config_chunk *memory = NULL;
    struct config *config = chunk_take(&memory, sizeof(*config));
    config->memory = memory;
    return config;
}

int config_load(const char *path, struct config **out, struct config_errors *errors)
{
    struct config_chunk *scratch = NULL;
    struct yaml_node *root = NULL;
    struct slice bytes;
    char reason[200];
    *out = NULL;
    ASSERT(errors->n == 0 && errors->file == NULL);
    errors->file = strdup(path);
    if (errors->file == NULL)
        fatal(EXIT_SOFTWARE, "config: out of memory");
    struct config *config = config_new();
    if (file_read(&scratch, path, YAML_FILE_BYTES_MAX, &bytes, reason) != 0)
        errors_add(errors, 0, 0, "%s", reason);
    else if (yaml_tree_load(bytes, &scratch, errors, &root) == 0)
        load_tree(root, config, errors);
    chunk_free_all(scratch);
    if (errors->n > 0) {
        config_free(config);
        errors_sort(errors);
        return -1;
    }
    *out = config;
    return 0;
}

void config_free(struct config *config)
{
    if (config != NULL)
        chunk_free_all(config->memory);
}

int config_resolve_path(const struct config_node *node, const char *path, char *out, size_t size)
{
    bool absolute = path[0] == '/';
    int len =
        snprintf(out, size, "%s%s%s", absolute ? "" : node->state_dir, absolute ? "" : "/", path);
    if (len >= 0 && (size_t)len < size)
        return 0;
    if (size > 0)
        out[0] = '\0';
    return -ENAMETOOLONG;
}
