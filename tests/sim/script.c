/*
 * script.c: see script.h. A dial is found by its name, and its faults stand in the order of the
 * words, which is that of their times; the next one waits until its moment has come. It comes late
 * where the dial is not asked at that moment any more, and does not come where it is never asked
 * again.
 */
#include "tests/sim/script.h"

#include "dataplane/base/check.h"
#include "tests/sim/changelog.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 24, DIALS_MAX = 64, MESSAGES_MAX = LOG_MAX * PARTS_MAX };

struct fault {
    struct fault *next; /* of its dial */
    uint64_t at_us;
    unsigned nth;
};

struct dial {
    char name[NAME_MOST];
    uint64_t asked_us; /* when it was asked last */
    unsigned n_asked;  /* so often at that moment */
    struct fault *first, **last;
};

struct script script;

static struct dial dials[DIALS_MAX];
static unsigned n_dials;
static bool kept[MESSAGES_MAX], keeps_some;

static struct dial *dial_of(const char *name, size_t len)
{
    for (unsigned i = 0; i < n_dials; i++)
        if (strncmp(dials[i].name, name, len) == 0 && dials[i].name[len] == '\0')
            return &dials[i];
    ASSERT(n_dials < DIALS_MAX && len < NAME_MOST);
    struct dial *dial = &dials[n_dials++];
    memcpy(dial->name, name, len);
    dial->last = &dial->first;
    return dial;
}

/* ---- the words ---- */

static bool take_us(const char *text, char **end, uint64_t *us)
{
    double seconds = strtod(text, end);
    *us = (uint64_t)(seconds * 1e6 + 0.5);
    return *end != text && seconds >= 0 && seconds < 1e6;
}

static bool take_number(const char *text, char **end, uint64_t *number)
{
    *number = strtoull(text, end, 10);
    return *end != text;
}

/* 3,17-19 */
static bool take_messages(const char *text)
{
    char *end;
    uint64_t first, last;
    keeps_some = true;
    while (*text != '\0') {
        if (!take_number(text, &end, &first))
            return false;
        last = first;
        if (*end == '-' && !take_number(end + 1, &end, &last))
            return false;
        if (last >= MESSAGES_MAX || (*end != ',' && *end != '\0'))
            return false;
        for (uint64_t number = first; number <= last; number++)
            kept[number] = true;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

static bool take_fault(const char *word, size_t len)
{
    struct fault *fault = calloc(1, sizeof(*fault));
    char *end;
    uint64_t nth = 0;
    ASSERT(fault != NULL);
    if (len == 0 || len >= NAME_MOST || !take_us(word + len + 1, &end, &fault->at_us) ||
        (*end == '#' && !take_number(end + 1, &end, &nth)) || *end != '\0') {
        free(fault);
        return false;
    }
    fault->nth = (unsigned)nth;
    struct dial *dial = dial_of(word, len);
    *dial->last = fault;
    dial->last = &fault->next;
    return true;
}

bool script_take(const char *word)
{
    const char *value = strpbrk(word, "=@");
    size_t len = value != NULL ? (size_t)(value - word) : 0;
    char *end = NULL;
    uint64_t number;
    script.given = true;
    if (value == NULL)
        return false;
    if (*value == '@')
        return take_fault(word, len);
    value++;
    if (strncmp(word, "messages=", len + 1) == 0)
        return take_messages(value);
    if (strncmp(word, "until=", len + 1) == 0)
        return take_us(value, &end, &script.until_us) && *end == '\0';
    if (!take_number(value, &end, &number) || *end != '\0')
        return false;
    if (strncmp(word, "nodes=", len + 1) == 0)
        script.nodes = (unsigned)number;
    else if (strncmp(word, "shards=", len + 1) == 0)
        script.shards = (unsigned)number;
    else if (strncmp(word, "luck=", len + 1) == 0)
        script.luck = number;
    else
        return false;
    return true;
}

/* ---- what happens ---- */

bool script_keeps(unsigned message)
{
    ASSERT(message < MESSAGES_MAX);
    bool keeps = !keeps_some || kept[message];
    if (keeps && script.tells)
        printf("messages=%u\n", message);
    return keeps;
}

static bool is_due(const struct dial *dial)
{
    const struct fault *fault = dial->first;
    return fault != NULL && (dial->asked_us > fault->at_us ||
                             (dial->asked_us == fault->at_us && dial->n_asked > fault->nth));
}

static void tell(const struct dial *dial)
{
    char nth[16] = "";
    if (dial->n_asked > 1)
        (void)snprintf(nth, sizeof(nth), "#%u", dial->n_asked - 1);
    if (script.tells)
        printf("%s@%.6f%s\n", dial->name, (double)dial->asked_us / 1e6, nth);
    sim_trace("fault %s@%.6f%s", dial->name, (double)dial->asked_us / 1e6, nth);
}

bool script_decides(const char *name, size_t len, uint64_t at_us, bool likely)
{
    struct dial *dial = dial_of(name, len);
    ASSERT(at_us >= dial->asked_us);
    dial->n_asked = at_us > dial->asked_us ? 1 : dial->n_asked + 1;
    dial->asked_us = at_us;
    if (script.given && (likely = is_due(dial)))
        dial->first = dial->first->next;
    if (likely)
        tell(dial);
    return likely;
}
