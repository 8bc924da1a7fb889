/* progress.h: how far a run is, for people while it runs, and as JSON when it ended. Control
 * thread. */
#ifndef WEIR_CONTROL_PROGRESS_H
#define WEIR_CONTROL_PROGRESS_H

#include "control/node.h"

#include <stdio.h>

/* Called often (ten times a second or more). Where stderr is a terminal: redraws one line twice a
 * second; else a log line every 10 s. `now_us` is monotonic. */
void progress_tick(struct node *node, uint64_t now_us);

/* The last line of --until-end: one JSON object; also takes the terminal's line away. Numbers are
 * of this run, `documents` of the stores. */
void progress_final(FILE *out, struct node *node);

/* What a progress line says; -1 = not known. */
struct progress_numbers {
    uint64_t events, events_per_second, pending, dead_letters;
    int64_t lag, left_seconds;
};

/* "1,234,567 events, 52,000/s, 1,200 behind, 300 pending, 2min left": cut to `size` - 1 bytes. */
void progress_text(const struct progress_numbers *numbers, char *out, size_t size);

#endif
