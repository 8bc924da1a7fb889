/* yaml_tree.h: a YAML document as a bounded tree of nodes that know their line and column. One
 * thread. */
#ifndef WEIR_CONFIG_YAML_TREE_H
#define WEIR_CONFIG_YAML_TREE_H

#include "config/chunk.h"
#include "config/config.h"
#include "dataplane/base/slice.h"

enum {
    YAML_DEPTH_MAX = 32,
    YAML_NODES_MAX = 100 * 1000,
    YAML_FILE_BYTES_MAX = 1 << 20,
};

enum yaml_kind { YAML_TREE_SCALAR, YAML_TREE_LIST, YAML_TREE_MAP };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line, column; /* of the value, from 1 */
    const char *key;       /* in a map: no NUL inside, distinct among its siblings; else NULL */
    unsigned key_line, key_column;                  /* of the key; without one, of the value */
    struct yaml_node *parent, *first, *last, *next; /* children in the file's order */
    unsigned n, index;                              /* children; place among the siblings */
    const char *text; /* a scalar's text with its variables put in; NUL-terminated */
    size_t len;       /* and its length: the text may hold NULs */
    bool nothing;     /* a plain empty scalar, `~` or `null` */
    bool broken;      /* an error about its value was added already: no second one is wanted */
};

/*
 * Reads the one document in `bytes`. 0: *root is a tree in `memory`; errors may have been added all
 * the same (duplicate keys, anchors, aliases, tags, variables that are not set), and what they are
 * about is left out or broken. -1: syntax, a bound, no document or a second one: one error more,
 * and no tree.
 */
MUST_CHECK int yaml_tree_load(struct slice bytes, struct config_chunk **memory,
                              struct config_errors *errors, struct yaml_node **root);

/* The child under `key`; NULL where there is none, or `map` is NULL or no map. */
struct yaml_node *yaml_tree_child(const struct yaml_node *map, const char *key);

/* The child at `index`, or NULL likewise. */
struct yaml_node *yaml_tree_at(const struct yaml_node *node, unsigned index);

/* "tasks.orders.source", or "" for the root; list items as "paths[2]". Long names are cut; ends
 * with NUL always. */
void yaml_tree_path(const struct yaml_node *node, char *out, size_t size);

#endif
