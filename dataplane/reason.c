/*
 * reason.c: the words for the reasons, from the one list that also makes the enum (reason.def).
 *
 * Labels go into metrics and dead letters and are part of the contract; texts are for people.
 */
#include "dataplane/dead_letter.h"

#include "dataplane/base/check.h"

static const struct {
    const char *label, *text;
} reasons[REASON_COUNT] = {
#define REASON(name, label_, text_) [REASON_##name] = { label_, text_ },
#include "dataplane/reason.def"
#undef REASON
};

const char *reason_label(enum reason reason)
{
    ASSERT((unsigned)reason < REASON_COUNT);
    return reasons[reason].label;
}

const char *reason_text(enum reason reason)
{
    ASSERT((unsigned)reason < REASON_COUNT);
    return reasons[reason].text;
}
