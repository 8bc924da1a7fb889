/* validate.h: the rules between keys. One thread. */
#ifndef WEIR_CONFIG_VALIDATE_H
#define WEIR_CONFIG_VALIDATE_H

#include "config/config.h"
#include "config/yaml_tree.h"

/*
 * Adds an error for each rule that the config breaks, and sets what follows from several keys
 * (document.root, hydrate_sink). `config` is what bind_config() made of `root`, with its defaults
 * complete; it may have errors already, and what they left out is not complained of again.
 */
void validate_config(const struct yaml_node *root, struct config *config,
                     struct config_errors *errors);

/* The part of it that looks over all tasks: no two of them (or of their sinks) write to the same
 * place, read the same standard input, or take each other's partitions. */
void validate_between_tasks(const struct yaml_node *root, const struct config *config,
                            struct config_errors *errors);

#endif
