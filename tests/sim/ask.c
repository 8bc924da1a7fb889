/*
 * ask.c: drivers/elasticsearch/ask.h over the simulated network: linked in the place of the one
 * that speaks HTTP. The control fiber rests while it waits.
 *
 *     ask_run ─► server 1 ─ at() ─ it cannot be used ─► server 2 ─ at() ─ ... ─► what at() says
 *
 * All servers of the options are doors of one cluster, but each is asked anew, and may be luckier.
 * What this does not do: time-outs of its own (net_ask() comes back by itself).
 */
#include "drivers/elasticsearch/ask.h"

#include "dataplane/base/json.h"
#include "drivers/elasticsearch/answer.h"
#include "tests/sim/search.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

int ask_refuse(struct ask *ask, long status, const char *doing)
{
    struct answer_error error = answer_error(buf_slice(ask->answer));
    bool ours = status >= 400 && status <= 499 && status != 401 && status != 403 && status != 408 &&
                status != 429;
    char text[ANSWER_REASON_BYTES_MAX + 64];
    struct buf reason = { .data = text, .bound = sizeof(text) };

    ask->try_next = !ours;
    answer_error_text(&error, "no reason given", &reason);
    return err_set(ask->err, ours ? EXIT_CONFIG : EXIT_UNAVAILABLE, "%s: %s: %ld: %.*s",
                   ask->servers->server[ask->server].url, doing, status,
                   (int)(reason.len < 350 ? reason.len : 350), text);
}

static int unavailable(struct ask *ask)
{
    ask->try_next = true;
    return err_set(ask->err, EXIT_UNAVAILABLE, "%s: there is no answer",
                   ask->servers->server[ask->server].url);
}

long ask_request(struct ask *ask, const char *path, const char *body)
{
    size_t bytes = strlen(path) + (body != NULL ? strlen(body) : 0) + 16;
    char *text = malloc(bytes), *answer = NULL, *end = NULL;
    int len, got;
    long status;

    ASSERT(text != NULL && world.search != NULL && sim_env_here() != NULL);
    buf_reset(ask->answer);
    len = snprintf(text, bytes, "%s %s\n%s", body != NULL ? "PUT" : "GET", path,
                   body != NULL ? body : "");
    ASSERT(len > 0 && (size_t)len < bytes);
    got = net_ask(sim_env_here(), search_door(world.search), (struct slice){ text, (size_t)len },
                  &answer, &bytes);
    free(text);
    if (got != 0)
        return unavailable(ask);
    status = strtol(answer, &end, 10); /* It stops at the line's end. */
    ASSERT(status >= 100 && status <= 599 && *end == '\n');
    buf_put(ask->answer, end + 1, bytes - (size_t)(end + 1 - answer));
    free(answer);
    return ask->answer->overflow ? unavailable(ask) : status;
}

struct slice ask_member(struct slice object, const char *name)
{
    struct slice found = { NULL, 0 }, member;
    struct json_value value;
    struct json json;
    bool escaped;

    json_open_scanned(&json, object);
    if (object.len > 0 && *object.data == '{' && json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &member, &escaped, &value))
            if (slice_equal(member, slice_of(name)))
                found = value.raw;
    return found;
}

int ask_run(struct servers *servers, struct buf *answer,
            int (*at)(struct ask *ask, const void *context), const void *context, struct err *err)
{
    struct ask ask = { .servers = servers, .answer = answer, .err = err };
    int got = -1;

    for (unsigned i = 0; i < servers->n; i++) {
        ask.server = i;
        ask.try_next = false;
        got = at(&ask, context);
        if (got >= 0 || !ask.try_next)
            break;
    }
    return got;
}
