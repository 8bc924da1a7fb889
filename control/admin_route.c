/*
 * admin_route.c: see admin_route.h.
 *
 *     /livez  /readyz  /metrics                                    anybody
 *     /v1/status                                                   the Unix socket alone:
 *     /v1/lag                                                      documents are people's data
 *     /v1/tasks
 *     /v1/tasks/T
 *     /v1/tasks/T/lag
 *     /v1/tasks/T/documents/KEY
 *
 * Segments are percent-decoded one by one, after the path was cut at its slashes, so a key may hold
 * slashes (%2F) and zero bytes. What stands after /documents/ is the key to the end, so that plain
 * slashes do no harm either.
 *
 * What this does not do: change anything. Whoever wants the node to end sends it a signal.
 */
#include "control/admin_route.h"

#include "control/admin_json.h"
#include "control/metrics.h"
#include "control/view.h"
#include "dataplane/base/json.h"

#define SEGMENTS_MAX  5
#define SEGMENT_BYTES KEY_BYTES_MAX

struct segments {
    unsigned n;
    struct slice items[SEGMENTS_MAX]; /* decoded, in bytes[] */
    char bytes[SEGMENTS_MAX][SEGMENT_BYTES];
};

struct answer {
    const struct node *node;
    struct buf *out;
    uint64_t now_us;
    const char *type;
};

/* ---- errors ---- */

static unsigned refuse(struct answer *answer, unsigned status, const char *error, const char *hint)
{
    buf_reset(answer->out);
    answer->type = "application/json";
    admin_json_error(answer->out, error, hint);
    return status;
}

static unsigned unknown_path(struct answer *answer)
{
    return refuse(answer, 404, "there is nothing at this path",
                  "GET /v1/status, /v1/lag, /v1/tasks, /v1/tasks/T, /v1/tasks/T/lag, "
                  "/v1/tasks/T/documents/KEY, /livez, /readyz, /metrics");
}

/* ---- paths ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: a broken escape, or longer than any key. */
static bool decode(const char *from, size_t len, char *bytes, struct slice *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(from[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(from[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n == SEGMENT_BYTES)
            return false;
        bytes[n++] = c;
    }
    *out = (struct slice){ bytes, n };
    return true;
}

/* Cuts at slashes; the last segment takes all that is left. */
static bool cut(const char *path, struct segments *segments)
{
    segments->n = 0;
    if (*path != '/')
        return false;
    while (*path == '/' && segments->n < SEGMENTS_MAX) {
        unsigned n = segments->n++;
        const char *start = ++path;
        size_t len = n + 1 == SEGMENTS_MAX ? strlen(start) : strcspn(start, "/");
        if (!decode(start, len, segments->bytes[n], &segments->items[n]))
            return false;
        path = start + len;
    }
    return *path == '\0';
}

static bool segment_is(const struct segments *segments, unsigned at, const char *word)
{
    return at < segments->n && slice_equal(segments->items[at], slice_of(word));
}

/* ---- answers ---- */

static unsigned answer_ready(struct answer *answer)
{
    char why[700];
    bool ready = view_ready(answer->node, why, sizeof(why));

    answer->type = "text/plain; charset=utf-8";
    if (ready)
        buf_put_literal(answer->out, "ready\n");
    else
        buf_printf(answer->out, "not ready: %s\n", why);
    return ready ? 200 : 503;
}

/* The three that need no path below them; 0: it is none of them. */
static unsigned answer_open(struct answer *answer, const struct segments *segments)
{
    if (segments->n != 1)
        return 0;
    if (segment_is(segments, 0, "readyz"))
        return answer_ready(answer);
    if (segment_is(segments, 0, "livez")) {
        answer->type = "text/plain; charset=utf-8";
        buf_put_literal(answer->out, "alive\n");
        return 200;
    }
    if (segment_is(segments, 0, "metrics")) {
        answer->type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_render(answer->out, answer->node, answer->now_us);
        return 200;
    }
    return 0;
}

static const struct task *find_task(const struct node *node, struct slice name)
{
    for (unsigned i = 0; i < node->n_tasks; i++)
        if (slice_equal(slice_of(node->tasks[i].config->name), name))
            return &node->tasks[i];
    return NULL;
}

static unsigned no_task(struct answer *answer)
{
    char names[400] = "the tasks of this node:";
    size_t len = strlen(names);

    for (unsigned i = 0; i < answer->node->n_tasks; i++) {
        const char *name = answer->node->tasks[i].config->name;
        if (len + strlen(name) + 8 > sizeof(names)) {
            len += (size_t)snprintf(names + len, sizeof(names) - len, " ...");
            break;
        }
        len += (size_t)snprintf(names + len, sizeof(names) - len, " %s", name);
    }
    return refuse(answer, 404, "this node has no such task", names);
}

static unsigned answer_document(struct answer *answer, const struct task *task, struct slice key)
{
    if (key.len == 0)
        return refuse(answer, 400, "the key is empty", "/v1/tasks/T/documents/KEY");
    if (admin_json_document(answer->out, task, key))
        return 200;
    char error[KEY_BYTES_MAX + 64];
    bool shown = utf8_valid(key) && key.len <= KEY_BYTES_MAX;
    (void)snprintf(error, sizeof(error), "this node does not have the key %.*s in memory",
                   shown ? (int)key.len : 1, shown ? key.data : "?");
    return refuse(answer, 404, error,
                  "it holds what changed since it started, and only what came by partitions that "
                  "are its own; ask the sinks for the rest");
}

static unsigned answer_task(struct answer *answer, const struct segments *segments)
{
    const struct task *task = find_task(answer->node, segments->items[2]);

    if (task == NULL)
        return no_task(answer);
    if (segments->n == 3) {
        admin_json_task(answer->out, task);
        return 200;
    }
    if (segments->n == 4 && segment_is(segments, 3, "lag")) {
        admin_json_lag(answer->out, task);
        return 200;
    }
    if (segments->n == 5 && segment_is(segments, 3, "documents"))
        return answer_document(answer, task, segments->items[4]);
    return unknown_path(answer);
}

static unsigned answer_v1(struct answer *answer, const struct segments *segments)
{
    if (segments->n >= 3 && segment_is(segments, 1, "tasks"))
        return answer_task(answer, segments);
    if (segments->n != 2)
        return unknown_path(answer);
    if (segment_is(segments, 1, "status"))
        admin_json_status(answer->out, answer->node, answer->now_us);
    else if (segment_is(segments, 1, "tasks"))
        admin_json_tasks(answer->out, answer->node);
    else if (segment_is(segments, 1, "lag"))
        admin_json_lags(answer->out, answer->node);
    else
        return unknown_path(answer);
    return 200;
}

static unsigned choose(struct answer *answer, const struct admin_request *request)
{
    struct segments segments;

    if (!cut(request->path, &segments))
        return refuse(answer, 400, "the path cannot be read",
                      "percent escapes are %XX, and a key has at most 512 bytes");
    unsigned status = answer_open(answer, &segments);
    if (status != 0)
        return status;
    if (!segment_is(&segments, 0, "v1"))
        return unknown_path(answer);
    if (request->open)
        return refuse(answer, 403, "only health and metrics are served over TCP",
                      "ask the Unix socket that node.admin names");
    return answer_v1(answer, &segments);
}

unsigned admin_route(const struct node *node, const struct admin_request *request, struct buf *out,
                     const char **type, const char **allow)
{
    struct answer answer = {
        .node = node, .out = out, .now_us = request->now_us, .type = "application/json"
    };
    unsigned status;

    *allow = NULL;
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) {
        status = choose(&answer, request);
    } else {
        *allow = "GET, HEAD";
        status = refuse(&answer, 405, "this server only answers questions: GET or HEAD",
                        "SIGTERM to the process drains, commits and ends it; a changed config "
                        "takes effect with a restart");
    }
    if (out->overflow)
        status = refuse(&answer, 500, "the answer is larger than this server's buffer",
                        "ask the sinks for this document");
    *type = answer.type;
    return status;
}
