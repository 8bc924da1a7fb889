/*
 * validate.c: what one key means for another, within one task.
 *
 *     document: one root table; `many` needs `into`; no two things under one name
 *     sinks:    how a user proves who he is; certificates in pairs
 *     hydrate:  a sink's name, or `off` where that is provably safe
 *
 * The binder has looked at each key by itself; here the tree gives the places for errors and the
 * structs give the values. A rule is skipped where a value that it needs was an error itself: one
 * mistake, one line.
 */
#include "config/validate.h"

#include "config/bind.h"
#include "config/errors.h"

#include <string.h>

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* The root table, as an index; errors for none and for more than one. */
static void check_root(const struct yaml_node *tables, struct config_document *document,
                       struct config_errors *errors)
{
    const struct yaml_node *root = NULL;
    for (const struct yaml_node *table = tables->first; table != NULL; table = table->next) {
        bool elsewhere = yaml_tree_child(table, "into") != NULL ||
                         yaml_tree_child(table, "many") != NULL || table->broken;
        if (elsewhere || table->index >= document->n_tables)
            continue;
        if (root != NULL) {
            bind_complain_key(
                errors, table,
                "a second root table (one without \"into\"); allowed: one, and %s in line %u "
                "is it",
                errors_quote(root->key, strlen(root->key)).text, root->key_line);
            continue;
        }
        root = table;
        document->root = table->index;
    }
    if (root == NULL && tables->n > 0)
        bind_complain_key(errors, tables,
                          "no root table; needed: exactly one table without \"into\"");
}

static void check_columns(const struct yaml_node *node, const struct config_table *table,
                          struct config_errors *errors)
{
    const struct yaml_node *columns = yaml_tree_child(node, "columns");
    for (unsigned i = 0; i < table->columns.n; i++) {
        const struct config_pair *column = &table->columns.items[i];
        for (unsigned j = 0; j < i; j++) {
            if (!same(column->value, table->columns.items[j].value))
                continue;
            bind_complain(
                errors, yaml_tree_child(columns, column->name),
                "found %s, which the column %s gets too; allowed: each name once",
                errors_quote(column->value, strlen(column->value)).text,
                errors_quote(table->columns.items[j].name, strlen(table->columns.items[j].name))
                    .text);
            break;
        }
    }
}

/* A root column's name may not be that of another table's rows, nor weir's own. */
static void check_root_columns(const struct yaml_node *tables,
                               const struct config_document *document, struct config_errors *errors)
{
    const struct config_table *root = &document->tables[document->root];
    const struct yaml_node *columns =
        yaml_tree_child(yaml_tree_at(tables, document->root), "columns");
    for (unsigned i = 0; root->into == NULL && i < root->columns.n; i++) {
        const struct config_pair *column = &root->columns.items[i];
        const struct yaml_node *node = yaml_tree_child(columns, column->name);
        if (same(column->value, "_weir"))
            bind_complain(errors, node,
                          "found \"_weir\"; allowed: another name (weir keeps its state there)");
        for (unsigned t = 0; t < document->n_tables; t++) {
            if (same(column->value, document->tables[t].into))
                bind_complain(
                    errors, node, "found %s, which table %s goes into; allowed: another name",
                    errors_quote(column->value, strlen(column->value)).text,
                    errors_quote(document->tables[t].name, strlen(document->tables[t].name)).text);
        }
    }
}

static void check_document(const struct yaml_node *node, struct config_document *document,
                           struct config_errors *errors)
{
    const struct yaml_node *tables = yaml_tree_child(node, "tables");
    if (tables == NULL || tables->kind != YAML_TREE_MAP)
        return;
    check_root(tables, document, errors);
    const struct yaml_node *table = tables->first;
    for (unsigned i = 0; i < document->n_tables; i++, table = table->next) {
        const struct config_table *bound = &document->tables[i];
        if (yaml_tree_child(table, "many") != NULL && yaml_tree_child(table, "into") == NULL)
            bind_complain_key(errors, yaml_tree_child(table, "many"),
                              "needs \"into\": the name of the array that the rows go into");
        for (unsigned j = 0; j < i; j++) {
            if (same(bound->into, document->tables[j].into))
                bind_complain(
                    errors, yaml_tree_child(table, "into"),
                    "found %s, which table %s goes into; allowed: each name once",
                    errors_quote(bound->into, strlen(bound->into)).text,
                    errors_quote(document->tables[j].name, strlen(document->tables[j].name)).text);
        }
        check_columns(table, bound, errors);
    }
    if (document->n_tables > 0)
        check_root_columns(tables, document, errors);
}

/* `a` is given without `b`. */
static void check_needs(const struct yaml_node *node, const char *a, const char *b,
                        struct config_errors *errors)
{
    const struct yaml_node *given = yaml_tree_child(node, a);
    if (given != NULL && yaml_tree_child(node, b) == NULL)
        bind_complain_key(errors, given, "needs \"%s\" beside it", b);
}

static void check_elasticsearch(const struct yaml_node *node, struct config_errors *errors)
{
    const struct yaml_node *api_key = yaml_tree_child(node, "api_key");
    check_needs(node, "username", "password", errors);
    check_needs(node, "password", "username", errors);
    if (api_key != NULL && yaml_tree_child(node, "username") != NULL)
        bind_complain_key(errors, api_key, "stands beside \"username\"; allowed: one of the two");
    const struct yaml_node *tls = yaml_tree_child(node, "tls");
    check_needs(tls, "cert", "key", errors);
    check_needs(tls, "key", "cert", errors);
}

/* Why hydration may not be off; NULL where it may. */
static const char *hydrate_off_is_unsafe(const struct config_task *task)
{
    if (task->document.n_tables != 1)
        return "several tables are mapped";
    if (task->document.tables[0].many != NULL)
        return "its table has \"many\"";
    if (task->source.images != CONFIG_IMAGES_FULL)
        return "images are partial";
    return NULL;
}

static void check_hydrate(const struct yaml_node *node, struct config_task *task,
                          struct config_errors *errors)
{
    const struct yaml_node *hydrate = yaml_tree_child(node, "hydrate");
    if (hydrate == NULL || task->hydrate == NULL)
        return;
    if (strcmp(task->hydrate, "off") == 0) {
        const char *reason = hydrate_off_is_unsafe(task);
        task->hydrate_sink = -1;
        if (reason != NULL)
            bind_complain(
                errors, hydrate,
                "found \"off\"; allowed: a sink's name, because %s, and a document that was not "
                "read back could lose what others wrote to it",
                reason);
        return;
    }
    const char *names[CONFIG_SINKS_MAX + 2] = { "off" };
    for (unsigned i = 0; i < task->n_sinks; i++) {
        names[i + 1] = task->sinks[i].name;
        if (same(task->sinks[i].name, task->hydrate)) {
            task->hydrate_sink = (int)i;
            return;
        }
    }
    const char *nearest = errors_nearest(task->hydrate, names);
    bind_complain(errors, hydrate,
                  "found %s; allowed: the name of one of the task's sinks, or off%s%s%s",
                  errors_quote(task->hydrate, strlen(task->hydrate)).text,
                  nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                  nearest != NULL ? "\"?" : "");
}

/* Rows of a document in several topics come by partitions of one number, and only `range` gives
 * those to one member (R7). */
static void check_strategy(const struct yaml_node *source, const struct config_source *config,
                           struct config_errors *errors)
{
    const struct config_kafka *kafka = &config->kafka;
    const struct yaml_node *options = yaml_tree_child(yaml_tree_child(source, "kafka"), "options");
    const struct yaml_node *strategy = yaml_tree_child(options, "partition.assignment.strategy");
    if (strategy == NULL || strategy->kind != YAML_TREE_SCALAR || !kafka->partitioned_by_key ||
        (kafka->topics.n == 1 && kafka->topics.items[0][0] != '^') || same(strategy->text, "range"))
        return;
    bind_complain(errors, strategy,
                  "found %s; allowed: range, because several topics are partitioned by key, and "
                  "only range gives their partitions of one number to one node",
                  errors_quote(strategy->text, strlen(strategy->text)).text);
}

static void check_task(const struct yaml_node *node, struct config_task *task,
                       struct config_errors *errors)
{
    check_document(yaml_tree_child(node, "document"), &task->document, errors);
    const struct yaml_node *sinks = yaml_tree_child(node, "sinks");
    for (unsigned i = 0; i < task->n_sinks; i++)
        check_elasticsearch(yaml_tree_child(yaml_tree_at(sinks, i), "elasticsearch"), errors);
    check_hydrate(node, task, errors);
    check_strategy(yaml_tree_child(node, "source"), &task->source, errors);
}

void validate_config(const struct yaml_node *root, struct config *config,
                     struct config_errors *errors)
{
    const struct yaml_node *tasks = yaml_tree_child(root, "tasks");
    for (unsigned i = 0; i < config->n_tasks; i++)
        check_task(yaml_tree_at(tasks, i), &config->tasks[i], errors);
    validate_between_tasks(root, config, errors);
}
