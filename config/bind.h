/* bind.h: a YAML tree to structs, by the schema. One thread. */
#ifndef WEIR_CONFIG_BIND_H
#define WEIR_CONFIG_BIND_H

#include "config/schema.h"
#include "config/yaml_tree.h"

/*
 * Fills *config (its memory list may already hold something, the rest is zero) from the tree: each
 * key by itself, with defaults where it is left out. Every error is added; what an error is about
 * stays NULL or zero, so a config with errors is only good for finding more of them. Element i of a
 * map is child i of its node, but for maps that are too long, which are cut.
 */
void bind_config(const struct yaml_node *root, struct config *config, struct config_errors *errors);

/* Adds an error about a node's value ("path: text"), unless the node is broken; or about its key
 * (where it is named). */
void bind_complain(struct config_errors *errors, const struct yaml_node *node, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));
void bind_complain_key(struct config_errors *errors, const struct yaml_node *node,
                       const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
