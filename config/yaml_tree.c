/*
 * yaml_tree.c: libyaml's events to a tree with places.
 *
 *     bytes -> libyaml (syntax) -> events -> this file -> tree -> bind.c (meaning)
 *
 * A config needs a small part of YAML: maps, lists, scalars. The rest is refused with a clear
 * error, because it makes a file mean something else than it looks like: anchors and aliases (and
 * with them the documents that grow a thousandfold), tags, several documents, keys that are not
 * plain text, the same key twice.
 *
 * Invariants: depth, nodes and bytes are bounded, so a hostile file ends early with an error;
 * nothing recurses; a node's siblings have distinct keys. Scalars are all text here: which of them
 * should be a number, a size or one of a few words is the schema's to say, so `name: true` can be a
 * name.
 *
 * What is only wrong in itself (an alias, a variable that is not set) marks its node broken and
 * reading goes on, so that the file's other errors are found too. Only what leaves no tree to go on
 * with ends it.
 */
#include "config/yaml_tree.h"

#include "config/errors.h"
#include "config/expand.h"
#include "dataplane/base/err.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { EXPANDED_BYTES_MAX = 4 << 20 }; /* all scalars of a file together */

struct reader {
    yaml_parser_t parser;
    struct slice bytes;
    struct config_chunk **memory;
    struct config_errors *errors;
    struct yaml_node *root, *open; /* `open`: the map or list that events belong to now */
    unsigned depth, nodes;
    size_t expanded;
    const char *key; /* of the value that comes next in a map; NULL: a key comes next */
    yaml_mark_t key_mark;
};

static unsigned mark_line(yaml_mark_t mark)
{
    return (unsigned)mark.line + 1;
}

static unsigned mark_column(yaml_mark_t mark)
{
    return (unsigned)mark.column + 1;
}

#define COMPLAIN(reader, mark, ...) \
    errors_add((reader)->errors, mark_line(mark), mark_column(mark), __VA_ARGS__)

/* Bytes that are no text have no mark, only an offset. */
static yaml_mark_t mark_of_offset(struct slice bytes, size_t offset)
{
    yaml_mark_t mark = { .index = offset };
    for (size_t i = 0; i < offset && i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((c & 0xC0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

static int syntax_error(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    if (parser->error == YAML_MEMORY_ERROR)
        fatal(EXIT_SOFTWARE, "config: out of memory"); /* The file may be as good as any. */
    if (parser->error == YAML_READER_ERROR) {
        yaml_mark_t mark = mark_of_offset(reader->bytes, parser->problem_offset);
        COMPLAIN(reader, mark, "YAML: %s (byte 0x%02x); allowed: UTF-8 text", problem,
                 (unsigned)parser->problem_value & 0xFFu);
    } else {
        COMPLAIN(reader, parser->problem_mark, "YAML: %s%s%s", problem,
                 parser->context != NULL ? " " : "",
                 parser->context != NULL ? parser->context : "");
    }
    return -1;
}

/* Hangs a new node below the open one; -1 where a bound is reached. */
static int node_add(struct reader *reader, enum yaml_kind kind, yaml_mark_t mark,
                    struct yaml_node **added)
{
    if (++reader->nodes > YAML_NODES_MAX) {
        COMPLAIN(reader, mark, "more than %d values; allowed: at most that many", YAML_NODES_MAX);
        return -1;
    }
    struct yaml_node *node = chunk_take(reader->memory, sizeof(*node));
    yaml_mark_t key_mark = reader->key != NULL ? reader->key_mark : mark;
    *node = (struct yaml_node){ .kind = kind,
                                .line = mark_line(mark),
                                .column = mark_column(mark),
                                .key = reader->key,
                                .key_line = mark_line(key_mark),
                                .key_column = mark_column(key_mark),
                                .parent = reader->open };
    reader->key = NULL;
    struct yaml_node *parent = reader->open;
    if (parent == NULL) {
        reader->root = node;
    } else {
        node->index = parent->n++;
        *(parent->last == NULL ? &parent->first : &parent->last->next) = node;
        parent->last = node;
    }
    *added = node;
    return 0;
}

static int node_open(struct reader *reader, enum yaml_kind kind, yaml_mark_t mark)
{
    if (++reader->depth > YAML_DEPTH_MAX) {
        COMPLAIN(reader, mark, "nested deeper than %d levels; allowed: at most that many",
                 YAML_DEPTH_MAX);
        return -1;
    }
    struct yaml_node *node;
    if (node_add(reader, kind, mark, &node) != 0)
        return -1;
    reader->open = node;
    return 0;
}

static int order_by_key(const void *left, const void *right)
{
    const struct yaml_node *a = *(struct yaml_node *const *)left,
                           *b = *(struct yaml_node *const *)right;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* Takes the children out that are not `kept`, and numbers the others anew. */
static void children_drop_duplicates(struct yaml_node *map)
{
    struct yaml_node *child = map->first;
    map->first = map->last = NULL;
    map->n = 0;
    while (child != NULL) {
        struct yaml_node *next = child->next;
        if (child->parent != NULL) {
            child->index = map->n++;
            *(map->last == NULL ? &map->first : &map->last->next) = child;
            map->last = child;
            child->next = NULL;
        }
        child = next;
    }
}

/* The first of several equal keys stays, the others are errors. Sorted, because a map may have a
 * hundred thousand. */
static void map_check_duplicates(struct reader *reader, struct yaml_node *map)
{
    if (map->n < 2)
        return;
    struct yaml_node **sorted = chunk_take(reader->memory, map->n * sizeof(struct yaml_node *));
    for (struct yaml_node *child = map->first; child != NULL; child = child->next)
        sorted[child->index] = child;
    qsort(sorted, map->n, sizeof(struct yaml_node *), order_by_key);
    struct yaml_node *first = sorted[0];
    bool dropped = false;
    for (unsigned i = 1; i < map->n; i++) {
        if (strcmp(sorted[i]->key, first->key) != 0) {
            first = sorted[i];
            continue;
        }
        errors_add(reader->errors, sorted[i]->key_line, sorted[i]->key_column,
                   "the key %s is here twice; allowed: once (the first is in line %u)",
                   errors_quote(first->key, strlen(first->key)).text, first->key_line);
        sorted[i]->parent = NULL;
        dropped = true;
    }
    if (dropped)
        children_drop_duplicates(map);
}

static void node_close(struct reader *reader)
{
    struct yaml_node *node = reader->open;
    reader->depth--;
    reader->open = node->parent;
    if (node->kind == YAML_TREE_MAP)
        map_check_duplicates(reader, node);
}

static int key_set(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(text, '\0', len) != NULL) {
        COMPLAIN(reader, event->start_mark, "a NUL byte in a key");
        return -1;
    }
    reader->key = chunk_text(reader->memory, text, len);
    reader->key_mark = event->start_mark;
    return 0;
}

static void scalar_expand(struct reader *reader, struct yaml_node *node)
{
    struct expanded expanded = { 0 };
    if (expand_text(reader->memory, node->text, node->len, &expanded) != 0) {
        errors_add(reader->errors, node->line, node->column, "%s", expanded.reason);
        node->broken = true;
        return;
    }
    node->text = expanded.text;
    node->len = expanded.len;
}

static int scalar_add(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct yaml_node *node;
    if (node_add(reader, YAML_TREE_SCALAR, event->start_mark, &node) != 0)
        return -1;
    node->text = chunk_text(reader->memory, text, len);
    node->len = len;
    node->nothing = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                    (len == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
    if (memmem(text, len, "${", 2) != NULL)
        scalar_expand(reader, node);
    reader->expanded += node->len;
    if (reader->expanded > EXPANDED_BYTES_MAX) {
        COMPLAIN(reader, event->start_mark,
                 "the file is longer than 4MiB after its variables were put in");
        return -1;
    }
    return 0;
}

static int alias_add(struct reader *reader, const yaml_event_t *event)
{
    struct yaml_node *node;
    COMPLAIN(reader, event->start_mark, "an alias (*); allowed: the value itself, written out");
    if (node_add(reader, YAML_TREE_SCALAR, event->start_mark, &node) != 0)
        return -1;
    node->text = "";
    node->broken = true;
    return 0;
}

static void refuse_anchor_and_tag(struct reader *reader, const yaml_event_t *event,
                                  const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        COMPLAIN(reader, event->start_mark, "an anchor (&); allowed: the value without it");
    if (tag != NULL)
        COMPLAIN(reader, event->start_mark, "a tag (!); allowed: the value without it");
}

/* A value begins: in a map that waits for a key it can only be a scalar. */
static bool value_is_misplaced(struct reader *reader, const yaml_event_t *event)
{
    bool key_wanted =
        reader->open != NULL && reader->open->kind == YAML_TREE_MAP && reader->key == NULL;
    if (key_wanted && event->type != YAML_SCALAR_EVENT) {
        COMPLAIN(reader, event->start_mark, "a key that is no text; allowed: a name");
        return true;
    }
    return false;
}

static int event_scalar(struct reader *reader, const yaml_event_t *event)
{
    refuse_anchor_and_tag(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (reader->open != NULL && reader->open->kind == YAML_TREE_MAP && reader->key == NULL)
        return key_set(reader, event);
    return scalar_add(reader, event);
}

/* 1: the stream has ended; 0: go on; -1: an error was added. */
static int event_take(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_STREAM_END_EVENT:
        return 1;
    case YAML_DOCUMENT_START_EVENT:
        if (reader->root == NULL)
            return 0;
        COMPLAIN(reader, event->start_mark, "a second document (---); allowed: one");
        return -1;
    case YAML_SCALAR_EVENT:
        return event_scalar(reader, event);
    case YAML_ALIAS_EVENT:
        return value_is_misplaced(reader, event) ? -1 : alias_add(reader, event);
    case YAML_MAPPING_START_EVENT:
        refuse_anchor_and_tag(reader, event, event->data.mapping_start.anchor,
                              event->data.mapping_start.tag);
        return value_is_misplaced(reader, event)
                   ? -1
                   : node_open(reader, YAML_TREE_MAP, event->start_mark);
    case YAML_SEQUENCE_START_EVENT:
        refuse_anchor_and_tag(reader, event, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag);
        return value_is_misplaced(reader, event)
                   ? -1
                   : node_open(reader, YAML_TREE_LIST, event->start_mark);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        node_close(reader);
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

static int read_events(struct reader *reader)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event))
            return syntax_error(reader);
        int taken = event_take(reader, &event);
        yaml_event_delete(&event);
        if (taken != 0)
            return taken < 0 ? -1 : 0;
    }
}

int yaml_tree_load(struct slice bytes, struct config_chunk **memory, struct config_errors *errors,
                   struct yaml_node **root)
{
    struct reader reader = { .bytes = bytes, .memory = memory, .errors = errors };
    *root = NULL;
    if (bytes.len > YAML_FILE_BYTES_MAX) {
        errors_add(errors, 0, 0, "the file is larger than 1MiB; allowed: at most that");
        return -1;
    }
    if (!yaml_parser_initialize(&reader.parser))
        fatal(EXIT_SOFTWARE, "config: out of memory");
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes.data, bytes.len);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    int result = read_events(&reader);
    yaml_parser_delete(&reader.parser);
    if (result == 0 && reader.root == NULL) {
        errors_add(errors, 1, 1,
                   "the file is empty; needed: the key \"tasks\" with at least one task");
        result = -1;
    }
    if (result == 0)
        *root = reader.root;
    return result;
}

struct yaml_node *yaml_tree_child(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_TREE_MAP)
        return NULL;
    struct yaml_node *child = map->first;
    while (child != NULL && strcmp(child->key, key) != 0)
        child = child->next;
    return child;
}

struct yaml_node *yaml_tree_at(const struct yaml_node *node, unsigned index)
{
    struct yaml_node *child = node == NULL ? NULL : node->first;
    while (child != NULL && child->index != index)
        child = child->next;
    return child;
}

void yaml_tree_path(const struct yaml_node *node, char *out, size_t size)
{
    const struct yaml_node *up[YAML_DEPTH_MAX + 1];
    unsigned n = 0;
    for (; node != NULL && node->parent != NULL && n <= YAML_DEPTH_MAX; node = node->parent)
        up[n++] = node;
    size_t at = 0;
    out[0] = '\0';
    while (n-- > 0 && at < size) {
        const char *key = up[n]->key;
        int wrote = key == NULL ? snprintf(out + at, size - at, "[%u]", up[n]->index)
                                : snprintf(out + at, size - at, "%s%.64s", at > 0 ? "." : "", key);
        at += (size_t)wrote;
    }
}
