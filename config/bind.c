/*
 * bind.c: from the tree that a file is to the structs that boot reads.
 *
 *     tree node + schema key -> one field, its default, or an error
 *
 * The binder walks the schema, never the input: its recursion is as deep as the schema is
 * (SCHEMA_DEPTH_MAX). A map with known keys (a group) fills one struct; a map with names of the
 * user's fills an array of structs.
 *
 * An error says where, what was found, what is allowed, and the nearest known word. Binding goes on
 * after it, so that one run finds them all; what could not be read stays zero.
 *
 * Not here: what YAML is (yaml_tree.c), what a single text must look like (texts.c), rules between
 * keys and defaults that depend on others (validate.c).
 */
#include "config/bind.h"

#include "config/errors.h"
#include "config/secret.h"
#include "config/texts.h"
#include "config/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

struct bind {
    struct config_chunk **memory;
    struct config_errors *errors;
};

static void bind_group(struct bind *bind, const struct schema_group *group,
                       const struct yaml_node *node, char *base);

static void complain_at(struct config_errors *errors, const struct yaml_node *node, bool at_key,
                        const char *text)
{
    char path[320];
    yaml_tree_path(node, path, sizeof(path));
    errors_add(errors, at_key ? node->key_line : node->line,
               at_key ? node->key_column : node->column, "%s%s%s", path,
               path[0] != '\0' ? ": " : "", text);
}

void bind_complain(struct config_errors *errors, const struct yaml_node *node, const char *format,
                   ...)
{
    char text[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!node->broken)
        complain_at(errors, node, node->nothing, text);
}

void bind_complain_key(struct config_errors *errors, const struct yaml_node *node,
                       const char *format, ...)
{
    char text[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    complain_at(errors, node, true, text);
}

/* "found ..." for a value that is not what it should be. */
static struct quoted found(const struct yaml_node *node)
{
    struct quoted what = { "nothing" };
    if (node->kind == YAML_TREE_MAP)
        snprintf(what.text, sizeof(what.text), "a map");
    else if (node->kind == YAML_TREE_LIST)
        snprintf(what.text, sizeof(what.text), "a list");
    else if (!node->nothing)
        what = errors_quote(node->text, node->len);
    return what;
}

static void refuse(struct bind *bind, const struct yaml_node *node, const char *allowed)
{
    bind_complain(bind->errors, node, "found %s; allowed: %s", found(node).text, allowed);
}

/* "a, b, c" of at most what `out` holds. */
static void names_join(const char *const *names, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 0; names[i] != NULL && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i > 0 ? ", " : "", names[i]);
}

static void refuse_word(struct bind *bind, const struct yaml_node *node, const char *const *allowed)
{
    char names[400];
    names_join(allowed, names, sizeof(names));
    const char *nearest =
        node->kind == YAML_TREE_SCALAR ? errors_nearest(node->text, allowed) : NULL;
    bind_complain(bind->errors, node, "found %s; allowed: %s%s%s%s", found(node).text, names,
                  nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                  nearest != NULL ? "\"?" : "");
}

static bool node_is(const struct yaml_node *node, const char *word)
{
    return node->kind == YAML_TREE_SCALAR && strlen(word) == node->len &&
           strcmp(node->text, word) == 0;
}

/* A scalar with something in it; else an error. */
static bool scalar_is_given(struct bind *bind, const struct yaml_node *node, const char *allowed)
{
    if (node->broken)
        return false;
    if (node->kind == YAML_TREE_SCALAR && !node->nothing && strlen(node->text) == node->len)
        return true;
    refuse(bind, node, allowed);
    return false;
}

/* A checked copy, or NULL after an error. */
static const char *bind_text(struct bind *bind, const struct yaml_node *node, schema_check *check,
                             bool multiline)
{
    if (!scalar_is_given(bind, node, "a text"))
        return NULL;
    const char *allowed = text_check_any((struct slice){ node->text, node->len }, multiline);
    if (allowed == NULL && check != NULL)
        allowed = check(node->text);
    if (allowed != NULL) {
        refuse(bind, node, allowed);
        return NULL;
    }
    return chunk_text(bind->memory, node->text, node->len);
}

/* What { file: PATH } points to; NULL after an error. */
static const char *bind_secret_file(struct bind *bind, const struct yaml_node *node)
{
    const struct yaml_node *file = yaml_tree_child(node, "file");
    if (file == NULL || node->n != 1) {
        refuse(bind, node, "a text, or { file: PATH }");
        return NULL;
    }
    char reason[200];
    const char *path = bind_text(bind, file, NULL, false);
    const char *secret = path == NULL ? NULL : secret_read(bind->memory, path, reason);
    if (path != NULL && secret == NULL)
        bind_complain(bind->errors, file,
                      "found %s, which %s; allowed: a file with the secret in it", found(file).text,
                      reason);
    return secret;
}

/* A secret's text, as it is or from a file. Its value never gets into an error. */
static const char *bind_secret(struct bind *bind, const struct yaml_node *node, bool multiline)
{
    if (node->broken)
        return NULL;
    const char *secret = "";
    if (node->kind != YAML_TREE_SCALAR)
        secret = bind_secret_file(bind, node);
    else if (!node->nothing && strlen(node->text) == node->len)
        secret = chunk_text(bind->memory, node->text, node->len);
    const char *allowed = secret == NULL ? NULL : text_check_any(slice_of(secret), multiline);
    if (allowed == NULL)
        return secret;
    bind_complain(bind->errors, node,
                  "found a secret that cannot be one; allowed: %s, or { file: PATH }", allowed);
    return NULL;
}

static bool number_in_bounds(struct bind *bind, const struct yaml_node *node,
                             const struct schema_key *key, uint64_t *value)
{
    char allowed[100];
    snprintf(allowed, sizeof(allowed), "a whole number from %" PRIu64 " to %" PRIu64, key->least,
             key->most);
    static const struct unit plain[] = { { "", 1 }, { NULL, 0 } };
    if (!scalar_is_given(bind, node, allowed))
        return false;
    if (units_parse(plain, node->text, value) && *value >= key->least && *value <= key->most)
        return true;
    refuse(bind, node, allowed);
    return false;
}

static void bind_number(struct bind *bind, const struct schema_key *key,
                        const struct yaml_node *node, unsigned *field)
{
    uint64_t value;
    if (number_in_bounds(bind, node, key, &value))
        *field = (unsigned)value;
}

static void bind_unit(struct bind *bind, const struct schema_key *key, const struct yaml_node *node,
                      uint64_t *field)
{
    bool size = key->type == SCHEMA_SIZE;
    const struct unit *units = size ? units_sizes : units_durations;
    char least[32], most[32], allowed[160];
    units_format(units, key->least, least, sizeof(least));
    units_format(units, key->most, most, sizeof(most));
    snprintf(allowed, sizeof(allowed), "a %s from %s to %s (%s)", size ? "size" : "duration", least,
             most, size ? "B, KiB, MiB, GiB, TiB" : "us, ms, s, min, h, d");
    uint64_t value;
    if (!scalar_is_given(bind, node, allowed))
        return;
    if (units_parse(units, node->text, &value) && value >= key->least && value <= key->most)
        *field = value;
    else
        refuse(bind, node, allowed);
}

static void bind_choice(struct bind *bind, const struct schema_key *key,
                        const struct yaml_node *node, char *field)
{
    for (unsigned i = 0; key->choices[i] != NULL; i++) {
        if (node_is(node, key->choices[i])) {
            memcpy(field, &i, sizeof(i));
            return;
        }
    }
    refuse_word(bind, node, key->choices);
}

static void bind_bool(struct bind *bind, const struct yaml_node *node, bool *field)
{
    static const char *const words[] = { "false", "true", NULL };
    bool right = node_is(node, "true");
    if (right || node_is(node, "false"))
        *field = right;
    else
        refuse_word(bind, node, words);
}

/* The number of children that are bound; errors where it is not between the key's bounds. */
static unsigned items_count(struct bind *bind, const struct schema_key *key,
                            const struct yaml_node *node, enum yaml_kind kind)
{
    const char *what =
        kind == YAML_TREE_LIST ? "a list, like [a, b]" : "a map, like { name: value }";
    bool empty_map = kind == YAML_TREE_MAP && node->nothing;
    if (node->kind != kind && !empty_map) {
        refuse(bind, node, what);
        return 0;
    }
    if (node->n < key->items_least)
        bind_complain(bind->errors, node, "found nothing in it; allowed: %u to %u entries",
                      key->items_least, key->items_most);
    if (node->n > key->items_most)
        bind_complain(bind->errors, node, "found %u entries; allowed: at most %u", node->n,
                      key->items_most);
    return node->n < key->items_most ? node->n : key->items_most;
}

static void bind_texts(struct bind *bind, const struct schema_key *key,
                       const struct yaml_node *node, struct config_strings *field)
{
    unsigned n = items_count(bind, key, node, YAML_TREE_LIST);
    field->items = chunk_take(bind->memory, n * sizeof(*field->items));
    const struct yaml_node *item = node->first;
    for (unsigned i = 0; i < n; i++, item = item->next) {
        const char *text = bind_text(bind, item, key->check, false);
        if (text != NULL)
            field->items[field->n++] = text;
    }
}

static void bind_numbers(struct bind *bind, const struct schema_key *key,
                         const struct yaml_node *node, struct config_numbers *field)
{
    unsigned n = items_count(bind, key, node, YAML_TREE_LIST);
    field->items = chunk_take(bind->memory, n * sizeof(*field->items));
    const struct yaml_node *item = node->first;
    for (unsigned i = 0; i < n; i++, item = item->next) {
        uint64_t value;
        if (!number_in_bounds(bind, item, key, &value))
            continue;
        for (unsigned j = 0; j < field->n; j++) {
            if (field->items[j] == value) {
                refuse(bind, item, "each number once");
                break;
            }
        }
        field->items[field->n++] = (unsigned)value;
    }
}

/* A name that the user chose (of a task, an option, a column). */
static bool name_is_right(struct bind *bind, const struct schema_key *key,
                          const struct yaml_node *item)
{
    const char *allowed = text_check_any(slice_of(item->key), false);
    if (allowed == NULL && key->check_name != NULL)
        allowed = key->check_name(item->key);
    if (allowed != NULL)
        bind_complain_key(bind->errors, item, "found %s; allowed: %s",
                          errors_quote(item->key, strlen(item->key)).text, allowed);
    return allowed == NULL;
}

static void bind_pairs(struct bind *bind, const struct schema_key *key,
                       const struct yaml_node *node, struct config_pairs *field)
{
    unsigned n = items_count(bind, key, node, YAML_TREE_MAP);
    field->items = chunk_take(bind->memory, n * sizeof(*field->items));
    const struct yaml_node *item = node->first;
    for (unsigned i = 0; i < n; i++, item = item->next) {
        bool secret = key->multiline && schema_option_is_secret(item->key);
        const char *value = !name_is_right(bind, key, item) ? NULL
                            : secret                        ? bind_secret(bind, item, true)
                                     : bind_text(bind, item, key->check, key->multiline);
        if (value != NULL)
            field->items[field->n++] = (struct config_pair){
                .name = chunk_text(bind->memory, item->key, strlen(item->key)), .value = value
            };
    }
}

static void bind_map(struct bind *bind, const struct schema_key *key, const struct yaml_node *node,
                     char *base)
{
    unsigned n = items_count(bind, key, node, YAML_TREE_MAP);
    size_t size = key->group->size;
    char *elements = chunk_take(bind->memory, n * size);
    const struct yaml_node *item = node->first;
    for (unsigned i = 0; i < n; i++, item = item->next) {
        const char *name = chunk_text(bind->memory, item->key, strlen(item->key));
        memcpy(elements + i * size, &name, sizeof(name));
        name_is_right(bind, key, item);
        bind_group(bind, key->group, item, elements + i * size);
    }
    memcpy(base + key->offset, &elements, sizeof(elements));
    memcpy(base + key->count, &n, sizeof(n));
}

static void bind_optional_text(struct bind *bind, const struct schema_key *key,
                               const struct yaml_node *node, const char **field)
{
    if (!key->or_off || !node_is(node, "off"))
        *field = bind_text(bind, node, key->check, false);
}

static void bind_value(struct bind *bind, const struct schema_key *key,
                       const struct yaml_node *node, char *base)
{
    void *field = base + key->offset;
    if (node->broken)
        return;
    switch (key->type) {
    case SCHEMA_TEXT:
        bind_optional_text(bind, key, node, field);
        return;
    case SCHEMA_SECRET:
        *(const char **)field = bind_secret(bind, node, false);
        return;
    case SCHEMA_BOOL:
        bind_bool(bind, node, field);
        return;
    case SCHEMA_NUMBER:
        bind_number(bind, key, node, field);
        return;
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
        bind_unit(bind, key, node, field);
        return;
    case SCHEMA_CHOICE:
        bind_choice(bind, key, node, field);
        return;
    case SCHEMA_TEXTS:
        bind_texts(bind, key, node, field);
        return;
    case SCHEMA_NUMBERS:
        bind_numbers(bind, key, node, field);
        return;
    case SCHEMA_PAIRS:
        bind_pairs(bind, key, node, field);
        return;
    case SCHEMA_GROUP:
        bind_group(bind, key->group, node, field);
        return;
    case SCHEMA_MAP:
        bind_map(bind, key, node, base);
        return;
    }
}

/* A default is read as if it stood in the file. */
static void bind_default(struct bind *bind, const struct schema_key *key, char *base)
{
    if (key->fallback != NULL) {
        struct yaml_node node = { .kind = YAML_TREE_SCALAR,
                                  .text = key->fallback,
                                  .len = strlen(key->fallback) };
        unsigned before = bind->errors->n + bind->errors->omitted;
        bind_value(bind, key, &node, base);
        ASSERT(bind->errors->n + bind->errors->omitted == before);
    } else if (key->type == SCHEMA_GROUP) {
        bind_group(bind, key->group, NULL, base + key->offset);
    }
}

static void refuse_unknown_keys(struct bind *bind, const struct schema_group *group,
                                const struct yaml_node *node)
{
    const char *names[32];
    ASSERT(group->n_keys < sizeof(names) / sizeof(names[0]));
    for (unsigned i = 0; i < group->n_keys; i++)
        names[i] = group->keys[i].name;
    names[group->n_keys] = NULL;
    char allowed[400];
    names_join(names, allowed, sizeof(allowed));
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (schema_find(group, child->key) != NULL)
            continue;
        const char *nearest = errors_nearest(child->key, names);
        bind_complain_key(bind->errors, child, "unknown key; allowed: %s%s%s%s", allowed,
                          nearest != NULL ? "; did you mean \"" : "",
                          nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    }
}

/* "a" or "b": the group's alternatives. */
static void alternatives_join(const struct schema_group *group, char *out, size_t size)
{
    size_t at = 0;
    for (unsigned i = 0; i < group->n_keys && at < size; i++) {
        if (group->keys[i].alternative)
            at += (size_t)snprintf(out + at, size - at, "%s\"%s\"", at > 0 ? " or " : "",
                                   group->keys[i].name);
    }
}

/* Exactly one of the alternatives is given; the group's kind says which. */
static void bind_kind(struct bind *bind, const struct schema_group *group,
                      const struct yaml_node *node, char *base)
{
    char names[200];
    unsigned given = 0;
    alternatives_join(group, names, sizeof(names));
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        const struct schema_key *key = schema_find(group, child->key);
        if (key == NULL || !key->alternative)
            continue;
        if (given++ == 0)
            memcpy(base + group->kind, &key->kind, sizeof(key->kind));
        else
            bind_complain_key(bind->errors, child, "a second alternative; allowed: one of %s",
                              names);
    }
    if (given == 0)
        bind_complain_key(bind->errors, node,
                          "the key %s is missing; exactly one of them is needed", names);
}

static void complain_missing(struct bind *bind, const struct schema_key *key,
                             const struct yaml_node *node)
{
    char allowed[200];
    if (key->choices != NULL)
        names_join(key->choices, allowed, sizeof(allowed));
    bind_complain_key(bind->errors, node, "the key \"%s\" is missing%s%s", key->name,
                      key->choices != NULL ? "; allowed: " : "",
                      key->choices != NULL ? allowed : "");
}

/* `node` is NULL where the group was left out: then it is all defaults, and its parent says what is
 * missing. */
static void bind_group(struct bind *bind, const struct schema_group *group,
                       const struct yaml_node *node, char *base)
{
    if (node != NULL && node->broken)
        return;
    bool given = node != NULL && (node->kind == YAML_TREE_MAP || node->nothing);
    if (node != NULL && !given)
        refuse(bind, node, "a map, like { key: value }");
    if (given) {
        refuse_unknown_keys(bind, group, node);
        if (group->has_alternatives)
            bind_kind(bind, group, node, base);
    }
    for (unsigned i = 0; i < group->n_keys; i++) {
        const struct schema_key *key = &group->keys[i];
        const struct yaml_node *child = given ? yaml_tree_child(node, key->name) : NULL;
        if (child != NULL)
            bind_value(bind, key, child, base);
        else if (given && key->required)
            complain_missing(bind, key, node);
        if (child == NULL)
            bind_default(bind, key, base);
    }
}

void bind_config(const struct yaml_node *root, struct config *config, struct config_errors *errors)
{
    struct bind bind = { &config->memory, errors };
    bind_group(&bind, &schema_root, root, (char *)config);
}
