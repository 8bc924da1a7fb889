/*
 * finding.h: what a look at a real server brought: one line a finding, for `weir check --live` and
 * for the log at start.
 *
 * Drivers find, control shows: a driver says what it saw, which of the four guarantees
 * (docs/ORDERING.md) that endangers, and what to do; it does not know who listens. Control thread.
 */
#ifndef WEIR_FINDING_H
#define WEIR_FINDING_H

#include <stdint.h>

enum finding_level {
    FINDING_OK,    /* as it should be, or will be made at start */
    FINDING_WARN,  /* weir runs, and something may be lost or come back */
    FINDING_ERROR, /* weir refuses to run with it, or it cannot work */
};

/* Guarantees as bits; NONE where it is only a matter of operation. */
enum finding_guarantee {
    GUARANTEE_NONE = 0,
    GUARANTEE_RIGHT = 1 << 1,    /* 1: each row ends as its newest image */
    GUARANTEE_FORWARD = 1 << 2,  /* 2: never an older version after a newer one */
    GUARANTEE_LOST = 1 << 3,     /* 3: nothing acknowledged is lost */
    GUARANTEE_ISOLATED = 1 << 4, /* 4: one bad thing delays nothing but itself */
};

struct finding {
    enum finding_level level;
    unsigned guarantees; /* bits of enum finding_guarantee */
    const char *what;    /* one line */
    const char *advice;  /* one line; NULL: nothing is to be done */
};

struct findings {
    /* Called once a finding; the texts are good until it returns. */
    void (*found)(struct findings *findings, const struct finding *finding);
    uint64_t tombstone_retention_us; /* of the task that is looked at */
};

/* Tells one finding. `what` is cut at 1 KiB. */
void finding_tell(struct findings *findings, enum finding_level level, unsigned guarantees,
                  const char *advice, const char *what, ...) __attribute__((format(printf, 5, 6)));

#endif
