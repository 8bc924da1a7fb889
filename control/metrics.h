/* metrics.h: a node's counters in Prometheus' text format 0.0.4. */
#ifndef WEIR_CONTROL_METRICS_H
#define WEIR_CONTROL_METRICS_H

#include "control/node.h"

/* Appends all metrics; where the buf is too small it says so itself (overflow). Any thread. */
void metrics_render(struct buf *out, const struct node *node, uint64_t now_us);

#endif
