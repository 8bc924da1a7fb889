/*
 * drivers.h: what the config says of a task, as the plan and the drivers take it.
 *
 * Drivers do not know the config; here, and nowhere else, its structs become theirs. Control
 * thread, start-up only. What is opened points into the config, which must outlive it.
 */
#ifndef WEIR_CONTROL_DRIVERS_H
#define WEIR_CONTROL_DRIVERS_H

#include "config/config.h"
#include "dataplane/dead_letter.h"
#include "dataplane/plan.h"
#include "dataplane/sink.h"
#include "dataplane/source.h"

struct drivers {
    const struct config_node *node;
    const struct config_task *task;
    const struct plan *plan; /* for sinks */
    bool looks;              /* only a look is meant: no folder is made */
};

struct plan *drivers_plan(const struct config_task *task);

/* NULL becomes the empty slice. */
struct slice drivers_text(const char *text);

struct sink_limits drivers_limits(const struct config_sink *sink);

/* NULL with *err. *path is the caller's to free when the sink is closed; NULL where the sink has
 * none. */
struct sink *drivers_sink(const struct drivers *drivers, const struct config_sink *config,
                          char **path, struct err *err);

/* NULL with *err. *events must live as long as the source. */
struct source *drivers_source(const struct drivers *drivers, const struct source_events *events,
                              struct err *err);

/* Looks at where the task reads from, without opening it as a source: a group is not joined. 0, or
 * -1 with *err (EXIT_UNAVAILABLE: nobody answers). */
MUST_CHECK int drivers_inspect_source(const struct drivers *drivers, struct findings *findings,
                                      struct err *err);

/* NULL with *err. */
struct dead_letters *drivers_letters(const struct drivers *drivers, struct err *err);

#endif
