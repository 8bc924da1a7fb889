/*
 * inspect.c: a look at the two indexes, for `weir check --live`: what of their settings endangers a
 * guarantee?
 *
 *     mapping:   `_weir` is indexed, or there is no `_source`    prepare() would refuse it
 *     settings:  index.gc_deletes below the requests' time-out   a late request brings back what
 *                                                                 was deleted (R6)
 *                index.translog.durability: async                acknowledged is not durable
 *                index.blocks                                    nothing can be written
 *
 * All is asked first and told afterwards: where a server fails half-way, the next one is asked from
 * the beginning, and nothing is told twice.
 */
#include "drivers/elasticsearch/prepare.h"

#include "dataplane/base/json.h"
#include "drivers/elasticsearch/ask.h"

#include <inttypes.h>
#include <stdio.h>

#define PATH_BYTES_MAX (ASK_PATH_BYTES_MAX / 2)

#define SETTINGS_QUERY \
    "/_settings/index.gc_deletes,index.translog.durability,index.blocks.*" \
    "?flat_settings=true&include_defaults=true"

struct settings {
    bool there, blocked;
    char gc_deletes[32], durability[32]; /* empty: not told */
};

struct look {
    const struct prepare_names *names;
    struct settings index, side;
    enum weir_field field; /* where the index is there */
};

/* ---- asking ---- */

/* A setting's text without its quotes: what is set, else the default. */
static void take_setting(struct slice index, const char *name, char *out, size_t size)
{
    struct slice value = ask_member(ask_member(index, "settings"), name);

    if (value.len == 0)
        value = ask_member(ask_member(index, "defaults"), name);
    if (value.len < 2 || value.data[0] != '"' || value.len - 2 >= size)
        return;
    memcpy(out, value.data + 1, value.len - 2);
    out[value.len - 2] = '\0';
}

static void take_settings(struct slice index, struct settings *settings)
{
    static const char *const blocks[] = { "index.blocks.write", "index.blocks.read_only",
                                          "index.blocks.read_only_allow_delete" };

    take_setting(index, "index.gc_deletes", settings->gc_deletes, sizeof(settings->gc_deletes));
    take_setting(index, "index.translog.durability", settings->durability,
                 sizeof(settings->durability));
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        char value[8] = "";

        take_setting(index, blocks[i], value, sizeof(value));
        settings->blocked |= strcmp(value, "true") == 0;
    }
}

/* {"orders-v2":{"settings":{...},"defaults":{...}}} */
static bool read_settings(struct slice text, struct settings *settings)
{
    struct json_value value;
    struct slice name;
    struct json json;
    bool escaped;

    json_open(&json, text);
    if (!json_enter(&json, JSON_OBJECT))
        return false;
    while (json_member(&json, &name, &escaped, &value))
        take_settings(value.raw, settings);
    return json_end(&json);
}

static int unreadable(struct ask *ask)
{
    ask->try_next = true;
    return err_set(ask->err, EXIT_UNAVAILABLE, "%s: its answer is no JSON object",
                   ask->servers->server[ask->server].url);
}

static int look_at_settings(struct ask *ask, const char *index, struct settings *settings)
{
    char path[PATH_BYTES_MAX];
    long status;

    *settings = (struct settings){ 0 };
    snprintf(path, sizeof(path), "/%s" SETTINGS_QUERY, index);
    status = ask_request(ask, path, NULL);
    if (status < 0 || status == 404)
        return status < 0 ? -1 : 0;
    if (status != 200)
        return ask_refuse(ask, status, "the index's settings cannot be looked at");
    settings->there = true;
    return read_settings(buf_slice(ask->answer), settings) ? 0 : unreadable(ask);
}

static int look_at_field(struct ask *ask, const char *index, enum weir_field *field)
{
    char path[PATH_BYTES_MAX];
    long status;

    snprintf(path, sizeof(path), "/%s" PREPARE_FIELD_QUERY, index);
    status = ask_request(ask, path, NULL);
    if (status < 0)
        return -1;
    if (status != 200)
        return ask_refuse(ask, status, "the index cannot be looked at");
    *field = prepare_field(buf_slice(ask->answer));
    return *field == FIELD_UNREADABLE ? unreadable(ask) : 0;
}

static int look_at(struct ask *ask, const void *look_of)
{
    struct look *look = *(struct look *const *)look_of;

    if (look_at_settings(ask, look->names->side_index, &look->side) != 0 ||
        look_at_settings(ask, look->names->index, &look->index) != 0)
        return -1;
    return look->index.there ? look_at_field(ask, look->names->index, &look->field) : 0;
}

/* ---- telling ---- */

/* "90s" in microseconds; false where it is no such text. "-1" is for ever. */
static bool read_time(const char *text, uint64_t *time_us)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = { { "d", UINT64_C(86400000000) },
                  { "h", UINT64_C(3600000000) },
                  { "m", 60000000 },
                  { "s", 1000000 },
                  { "ms", 1000 },
                  { "micros", 1 } };
    uint64_t number;
    int end = 0;

    if (strcmp(text, "-1") == 0) {
        *time_us = UINT64_MAX;
        return true;
    }
    if (text[0] < '0' || text[0] > '9' || sscanf(text, "%9" SCNu64 "%n", &number, &end) != 1)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(text + end, units[i].name) == 0) {
            *time_us = number * units[i].us;
            return true;
        }
    *time_us = 0;
    return number == 0;
}

static void tell_missing(const char *index, struct findings *findings)
{
    finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL,
                 "there is no index %s: weir will create it", index);
}

static void tell_settings(const struct settings *settings, const char *index,
                          struct findings *findings)
{
    if (strcasecmp(settings->durability, "async") == 0)
        finding_tell(findings, FINDING_WARN, GUARANTEE_LOST,
                     "set it to request: what was acknowledged in the last seconds is lost where a "
                     "node of the cluster dies",
                     "the index %s has index.translog.durability: async", index);
    if (settings->blocked)
        finding_tell(findings, FINDING_WARN, GUARANTEE_NONE,
                     "remove the block; until then weir waits, and loses nothing",
                     "the index %s is blocked for writing (index.blocks)", index);
}

/* For so long the index remembers what was deleted; the side index forgets nothing that counts. */
static void tell_gc_deletes(const struct settings *settings, const char *index, uint64_t timeout_us,
                            struct findings *findings)
{
    uint64_t time_us;

    if (!read_time(settings->gc_deletes, &time_us) || time_us >= timeout_us)
        return;
    finding_tell(findings, FINDING_WARN, GUARANTEE_RIGHT | GUARANTEE_FORWARD,
                 "raise it above the sink's `timeout`, 1h for example: a request that arrives "
                 "later than that brings a deleted document back",
                 "the index %s has index.gc_deletes: %s, and a request may take %" PRIu64 " ms",
                 index, settings->gc_deletes, timeout_us / 1000);
}

static void tell_field(enum weir_field field, const char *index, struct findings *findings)
{
    switch (field) {
    case FIELD_GOOD:
        finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL,
                     "the index %s is there, and keeps `_weir` without indexing it", index);
        return;
    case FIELD_MISSING:
        finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL,
                     "the index %s is there: weir will add `_weir` to its mapping", index);
        return;
    case FIELD_INDEXED:
        finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE,
                     "use another index, or reindex into one that weir created: that cannot be "
                     "changed",
                     "the index %s maps `_weir` as a field that is indexed", index);
        return;
    case FIELD_NO_SOURCE:
        finding_tell(findings, FINDING_ERROR, GUARANTEE_RIGHT,
                     "use an index with `_source`: weir reads its states back from there",
                     "the index %s keeps no `_source`", index);
        return;
    case FIELD_UNREADABLE:
        return; /* an error by then */
    }
}

int inspect_run(struct servers *servers, const struct prepare_names *names, struct buf *answer,
                struct findings *findings, struct err *err)
{
    struct look look = { .names = names };
    struct look *found = &look;

    if (ask_run(servers, answer, look_at, &found, err) != 0)
        return -1;
    if (!look.index.there)
        tell_missing(names->index, findings);
    else {
        tell_field(look.field, names->index, findings);
        tell_settings(&look.index, names->index, findings);
        tell_gc_deletes(&look.index, names->index, servers->options->timeout_us, findings);
    }
    if (!look.side.there)
        tell_missing(names->side_index, findings);
    else
        tell_settings(&look.side, names->side_index, findings);
    return 0;
}
