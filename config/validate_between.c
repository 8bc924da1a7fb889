/*
 * validate_between.c: what one task (or sink) means for another.
 *
 * Two writers in one place undo each other's work: document versions order the states of one
 * growing history (rule R7), so two tasks with one index would each erase what the other wrote. The
 * same goes for the side index `<index>-weir`, the side table `<table>_weir`, a family of an HBase
 * table, and dead-letter files. Reading has such places too: standard input can be read once, and
 * two tasks in one consumer group would take each other's partitions.
 *
 *     every place of every task, in the file's order -> compared with those before it
 *                                                    -> at most one error a place
 *
 * Places are compared as far as names can tell: paths are made absolute and cleaned of `//` and
 * `/./` but links are not followed; two URLs of one cluster under different names are not seen.
 */
#include "config/validate.h"

#include "config/bind.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* A task and where it stands. */
struct place {
    const struct config_task *task;
    const struct config_sink *sink; /* NULL: the task's dead letters */
    const struct yaml_node *node;   /* what an error is about */
    char *file;                     /* absolute, of a SQLite or dead-letter file; else NULL */
};

static void path_clean(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0';) {
        if (from[0] == '/' && from[1] == '/')
            from++;
        else if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || from[2] == '\0'))
            from += 2;
        else
            *to++ = *from++;
    }
    *to = '\0';
}

/* The absolute path in heap memory; NULL where there is none to compare. */
static char *path_absolute(const struct config_node *node, const char *path)
{
    char resolved[PATH_MAX], folder[PATH_MAX], *absolute = NULL;
    if (path == NULL || node->state_dir == NULL ||
        config_resolve_path(node, path, resolved, sizeof(resolved)) != 0)
        return NULL;
    bool relative = resolved[0] != '/';
    if (relative && getcwd(folder, sizeof(folder)) == NULL)
        return NULL;
    if (asprintf(&absolute, "%s%s%s", relative ? folder : "", relative ? "/" : "", resolved) < 0)
        return NULL;
    path_clean(absolute);
    return absolute;
}

/* `name` is `other`, or the one is the other's side name. */
static bool names_meet(const char *name, const char *other, const char *side, bool any_case)
{
    if (name == NULL || other == NULL)
        return false;
    size_t a = strlen(name), b = strlen(other), s = strlen(side);
    size_t least = a < b ? a : b;
    const char *longer = a < b ? other : name;
    int (*compare)(const char *, const char *, size_t) = any_case ? strncasecmp : strncmp;
    if (compare(name, other, least) != 0)
        return false;
    return a == b || ((a > b ? a - b : b - a) == s && compare(longer + least, side, s) == 0);
}

static bool strings_meet(const struct config_strings *a, const struct config_strings *b)
{
    for (unsigned i = 0; i < a->n; i++) {
        for (unsigned j = 0; j < b->n; j++) {
            if (strcasecmp(a->items[i], b->items[j]) == 0)
                return true;
        }
    }
    return false;
}

static bool indexes_meet(const struct place *a, const struct place *b)
{
    if (a->sink == NULL || b->sink == NULL || a->sink->kind != CONFIG_SINK_ELASTICSEARCH ||
        b->sink->kind != CONFIG_SINK_ELASTICSEARCH)
        return false;
    const struct config_elasticsearch *x = &a->sink->elasticsearch, *y = &b->sink->elasticsearch;
    return names_meet(x->index, y->index, "-weir", false) && strings_meet(&x->urls, &y->urls);
}

/* The table's name with its namespace. */
static void table_whole(const char *table, char *out, size_t size)
{
    (void)snprintf(out, size, "%s%s", strchr(table, ':') == NULL ? "default:" : "", table);
}

static bool families_meet(const struct place *a, const struct place *b)
{
    char table[300], other[300];
    if (a->sink == NULL || b->sink == NULL || a->sink->kind != CONFIG_SINK_HBASE ||
        b->sink->kind != CONFIG_SINK_HBASE)
        return false;
    const struct config_hbase *x = &a->sink->hbase, *y = &b->sink->hbase;
    if (x->table == NULL || y->table == NULL || x->family == NULL || y->family == NULL ||
        x->znode_parent == NULL || y->znode_parent == NULL)
        return false;
    table_whole(x->table, table, sizeof(table));
    table_whole(y->table, other, sizeof(other));
    bool one_cluster =
        strings_meet(&x->masters, &y->masters) || (strings_meet(&x->zookeeper, &y->zookeeper) &&
                                                   strcmp(x->znode_parent, y->znode_parent) == 0);
    return one_cluster && strcmp(table, other) == 0 && strcmp(x->family, y->family) == 0;
}

/* Two files are one: bad unless both are SQLite files and the tables differ. */
static bool files_meet(const struct place *a, const struct place *b)
{
    if (a->file == NULL || b->file == NULL || strcmp(a->file, b->file) != 0)
        return false;
    if (a->sink == NULL || b->sink == NULL)
        return true;
    return names_meet(a->sink->sqlite.table, b->sink->sqlite.table, "_weir", true);
}

static void places_compare(const struct place *places, unsigned n, struct config_errors *errors)
{
    for (unsigned i = 1; i < n; i++) {
        for (unsigned j = 0; j < i; j++) {
            const struct place *place = &places[i], *other = &places[j];
            if (!indexes_meet(place, other) && !families_meet(place, other) &&
                !files_meet(place, other))
                continue;
            bind_complain_key(
                errors, place->node,
                "writes where the %s%s of task \"%.64s\" (line %u) does; allowed: a place of "
                "its own (\"-weir\" and \"_weir\" names count too)",
                other->sink != NULL ? "sink " : "dead letters",
                other->sink != NULL ? other->sink->name : "", other->task->name,
                other->node->key_line);
            break;
        }
    }
}

static void check_places(const struct yaml_node *root, const struct config *config,
                         struct config_errors *errors)
{
    struct place places[CONFIG_TASKS_MAX * (CONFIG_SINKS_MAX + 1)];
    unsigned n = 0;
    for (unsigned t = 0; t < config->n_tasks; t++) {
        const struct config_task *task = &config->tasks[t];
        const struct yaml_node *node = yaml_tree_at(yaml_tree_child(root, "tasks"), t);
        for (unsigned s = 0; s < task->n_sinks; s++) {
            const struct config_sink *sink = &task->sinks[s];
            bool sqlite = sink->kind == CONFIG_SINK_SQLITE;
            const struct yaml_node *at = yaml_tree_at(yaml_tree_child(node, "sinks"), s);
            static const char *const kinds[] = { [CONFIG_SINK_ELASTICSEARCH] = "elasticsearch",
                                                 [CONFIG_SINK_HBASE] = "hbase",
                                                 [CONFIG_SINK_SQLITE] = "sqlite" };
            const struct yaml_node *inner = yaml_tree_child(at, kinds[sink->kind]);
            places[n++] =
                (struct place){ task, sink, inner != NULL ? inner : at,
                                sqlite ? path_absolute(&config->node, sink->sqlite.path) : NULL };
        }
        const struct yaml_node *dead = yaml_tree_child(node, "dead_letter");
        bool file = task->dead_letter.kind == CONFIG_DEAD_LETTER_FILE;
        places[n++] =
            (struct place){ task, NULL, dead != NULL ? dead : node,
                            file ? path_absolute(&config->node, task->dead_letter.file) : NULL };
    }
    places_compare(places, n, errors);
    while (n-- > 0)
        free(places[n].file);
}

static bool is_kafka(const struct config_task *task)
{
    return task->source.kind == CONFIG_SOURCE_KAFKA;
}

static void check_groups(const struct yaml_node *tasks, const struct config *config,
                         struct config_errors *errors)
{
    for (unsigned i = 1; i < config->n_tasks; i++) {
        const struct config_task *task = &config->tasks[i];
        for (unsigned j = 0; is_kafka(task) && j < i; j++) {
            const struct config_task *other = &config->tasks[j];
            if (!is_kafka(other) || task->source.kafka.group == NULL ||
                other->source.kafka.group == NULL ||
                strcmp(task->source.kafka.group, other->source.kafka.group) != 0 ||
                !strings_meet(&task->source.kafka.brokers, &other->source.kafka.brokers))
                continue;
            const struct yaml_node *node = yaml_tree_child(yaml_tree_at(tasks, i), "source");
            bind_complain(
                errors, yaml_tree_child(yaml_tree_child(node, "kafka"), "group"),
                "found the group of task \"%.64s\"; allowed: a group of its own (they would take "
                "each other's partitions)",
                other->name);
            break;
        }
    }
}

/* A dead letter in a topic that weir reads would be read, and be a dead letter again. */
static void check_dead_letter_loops(const struct yaml_node *tasks, const struct config *config,
                                    struct config_errors *errors)
{
    for (unsigned i = 0; i < config->n_tasks; i++) {
        const struct config_dead_letter *dead = &config->tasks[i].dead_letter;
        if (dead->kind != CONFIG_DEAD_LETTER_KAFKA || dead->kafka.topic == NULL)
            continue;
        const struct config_strings topic = { (const char *[]){ dead->kafka.topic }, 1 };
        for (unsigned j = 0; j < config->n_tasks; j++) {
            const struct config_kafka *kafka = &config->tasks[j].source.kafka;
            if (!is_kafka(&config->tasks[j]) || !strings_meet(&topic, &kafka->topics) ||
                !strings_meet(&dead->kafka.brokers, &kafka->brokers))
                continue;
            const struct yaml_node *node = yaml_tree_child(yaml_tree_at(tasks, i), "dead_letter");
            bind_complain(errors, yaml_tree_child(yaml_tree_child(node, "kafka"), "topic"),
                          "found a topic that task \"%.64s\" reads; allowed: another one",
                          config->tasks[j].name);
            break;
        }
    }
}

static void check_standard_input(const struct yaml_node *tasks, const struct config *config,
                                 struct config_errors *errors)
{
    unsigned readers = 0;
    for (unsigned i = 0; i < config->n_tasks; i++) {
        const struct yaml_node *source = yaml_tree_child(yaml_tree_at(tasks, i), "source");
        const struct yaml_node *paths = yaml_tree_child(yaml_tree_child(source, "file"), "paths");
        const struct yaml_node *path = paths != NULL ? paths->first : NULL;
        for (; path != NULL; path = path->next) {
            if (path->kind == YAML_TREE_SCALAR && strcmp(path->text, "-") == 0 && ++readers > 1)
                bind_complain(errors, path, "found \"-\" again; allowed: standard input once");
        }
    }
}

void validate_between_tasks(const struct yaml_node *root, const struct config *config,
                            struct config_errors *errors)
{
    const struct yaml_node *tasks = yaml_tree_child(root, "tasks");
    check_places(root, config, errors);
    check_groups(tasks, config, errors);
    check_dead_letter_loops(tasks, config, errors);
    check_standard_input(tasks, config, errors);
}
