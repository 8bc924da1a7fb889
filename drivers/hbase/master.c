/*
 * master.c: see master.h.
 *
 *     zookeeper: the znode <znode_parent>/master ──┐
 *     masters:   each is asked which one is active ┴─► that one ── call ─► answer
 *
 * The shards' connections never wait; control has nothing else to do at start, so here each call
 * runs this thread's own env until it is done. Every wait ends: the calls below have time-outs of
 * their own, at most CALL_US_MAX, so that a signal is heeded soon.
 *
 * A master that does not answer, or that is no master any more, is forgotten: the next call looks
 * for the active one again. Nothing is repeated here; who calls decides what an error means.
 */
#include "drivers/hbase/master.h"

#include "drivers/hbase/admin.h"
#include "drivers/hbase/zookeeper.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP_US      UINT64_C(10000)
#define CALL_US_MAX  UINT64_C(5000000) /* control serves other tasks, too */
#define ASK_US_MAX   UINT64_C(5000000) /* of one ZooKeeper server */
#define ANSWER_BYTES ((size_t)4 << 20)
#define PARAM_BYTES  ((size_t)256 << 10) /* 4,096 split keys are 41 KiB */

/* One call that is waited for. */
struct waiting {
    struct rpc_call call;
    struct master *master;
    bool done;
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void copy_text(char *out, size_t size, struct slice text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0)
        memcpy(out, text.data, len);
    out[len] = '\0';
}

/* The class's name behind its last dot. */
static struct slice without_package(struct slice name)
{
    for (size_t i = name.len; i > 0; i--)
        if (name.data[i - 1] == '.')
            return (struct slice){ name.data + i, name.len - i };
    return name;
}

static void call_done(struct rpc_call *call)
{
    struct waiting *waiting = call->owner;
    struct master *master = waiting->master;
    waiting->done = true;
    buf_reset(&master->answer);
    if (call->result == RPC_ANSWERED) {
        buf_put_slice(&master->answer, call->answer);
        return;
    }
    copy_text(master->exception, sizeof(master->exception),
              call->result == RPC_REFUSED ? without_package(call->exception) : SLICE(""));
    copy_text(master->reason, sizeof(master->reason), call->reason);
    /* Of a connection too: a cluster that wants Kerberos will want it the next time. */
    master->for_good = call->do_not_retry;
}

static enum rpc_result call_one(struct master *master, const struct rpc_target *target,
                                const char *method)
{
    struct waiting waiting = { .master = master };
    waiting.call = (struct rpc_call){ .done = call_done,
                                      .owner = &waiting,
                                      .method = slice_of(method),
                                      .param = buf_slice(&master->param) };
    rpc_start(master->rpc, target, &waiting.call);
    while (!waiting.done) {
        rpc_step(master->rpc);
        if (!waiting.done)
            (void)env_wait(master->env, STEP_US);
    }
    return waiting.call.result;
}

/* ---- who is the master ---- */

struct reading {
    struct zookeeper_get get;
    struct master *master;
    bool done;
};

static void read_done(struct zookeeper_get *get)
{
    struct reading *reading = get->owner;
    reading->done = true;
    buf_reset(&reading->master->answer);
    if (get->result == ZOOKEEPER_FOUND)
        buf_put_slice(&reading->master->answer, get->data);
    else if (get->result == ZOOKEEPER_FAILED)
        copy_text(reading->master->reason, sizeof(reading->master->reason), get->reason);
}

/* The names of the servers, for an error. */
static const char *join(const char *const *servers, unsigned n, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < n && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i > 0 ? ", " : "", servers[i]);
    return out;
}

static int find_by_zookeeper(struct master *master, struct err *err)
{
    char servers[200];
    struct reading reading = { .master = master };
    reading.get =
        (struct zookeeper_get){ .done = read_done, .owner = &reading, .path = master->node_path };
    zookeeper_start(master->zookeeper, &reading.get);
    while (!reading.done) {
        zookeeper_step(master->zookeeper);
        if (!reading.done)
            (void)env_wait(master->env, STEP_US);
    }
    (void)join(master->options->zookeeper, master->options->n_zookeeper, servers, sizeof(servers));
    if (reading.get.result == ZOOKEEPER_FAILED)
        return err_set(err, EXIT_UNAVAILABLE, "hbase: ZooKeeper (%s) cannot be asked: %.250s",
                       servers, master->reason);
    if (reading.get.result == ZOOKEEPER_ABSENT)
        return err_set(err, EXIT_UNAVAILABLE,
                       "hbase: ZooKeeper (%s) knows no active master: there is no %.200s; is HBase "
                       "running, and is that its zookeeper.znode.parent?",
                       servers, master->node_path);
    if (admin_read_master_node(buf_slice(&master->answer), &master->target) != 1)
        return err_set(err, EXIT_UNAVAILABLE, "hbase: ZooKeeper (%s): %.200s names no server",
                       servers, master->node_path);
    return 0;
}

/* "host:port", "[::1]:port" */
static bool read_address(const char *text, struct rpc_target *target)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return false;
    struct slice host = { text, (size_t)(colon - text) };
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = (struct slice){ host.data + 1, host.len - 2 };
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (host.len == 0 || host.len >= sizeof(target->host) || end == colon + 1 || *end != '\0' ||
        port == 0 || port > UINT16_MAX)
        return false;
    memcpy(target->host, host.data, host.len);
    target->host[host.len] = '\0';
    target->port = (uint16_t)port;
    return true;
}

static int find_by_masters(struct master *master, struct err *err)
{
    char tried[450] = "";
    size_t at = 0;
    for (unsigned i = 0; i < master->options->n_masters; i++) {
        const char *why = master->reason;
        struct rpc_target target = { .service = RPC_CLIENT_META };
        bool known = read_address(master->options->masters[i], &target);
        ASSERT(known); /* master_open() looked at it */
        if (call_one(master, &target, "GetActiveMaster") == RPC_ANSWERED) {
            int found = admin_read_active_master(buf_slice(&master->answer), &master->target);
            if (found == 1)
                return 0;
            why = found == 0 ? "knows no active master" : "its answer cannot be read";
        }
        if (at < sizeof(tried))
            at += (size_t)snprintf(tried + at, sizeof(tried) - at, "%s%s (%.120s)",
                                   i > 0 ? ", " : "", master->options->masters[i], why);
    }
    return err_set(err, master->for_good ? EXIT_CONFIG : EXIT_UNAVAILABLE,
                   "hbase: no master can be found: tried %s", tried);
}

static int find(struct master *master, struct err *err)
{
    struct buf param = master->param; /* what the caller wrote waits for its call */
    int found;
    master->param = (struct buf){ .data = param.data };
    master->target.port = 0;
    if (master->zookeeper != NULL)
        found = find_by_zookeeper(master, err);
    else
        found = find_by_masters(master, err);
    master->param = param;
    master->target.service = RPC_MASTER;
    return found;
}

/* ---- calls ---- */

/* A server that is no active master, or not yet. */
static bool is_no_master(const char *exception)
{
    static const char *const names[] = { "MasterNotRunningException", "PleaseHoldException",
                                         "ServerNotRunningYetException", "MasterStoppedException" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(exception, names[i]) == 0)
            return true;
    return false;
}

enum master_result master_call(struct master *master, const char *method, struct err *err)
{
    ASSERT(!master->param.overflow);
    if (master->target.port == 0 && find(master, err) != 0) {
        buf_reset(&master->param);
        return MASTER_AWAY;
    }
    struct rpc_target target = master->target;
    enum rpc_result result = call_one(master, &target, method);
    buf_reset(&master->param);
    if (result == RPC_ANSWERED)
        return MASTER_ANSWERED;
    if (result == RPC_REFUSED && !is_no_master(master->exception))
        return MASTER_REFUSED;
    master->target.port = 0;
    (void)err_set(err, master->for_good ? EXIT_CONFIG : EXIT_UNAVAILABLE,
                  "hbase: the master %s:%u: %s%s%.300s", target.host, target.port,
                  result == RPC_REFUSED ? master->exception : "", result == RPC_REFUSED ? ": " : "",
                  master->reason);
    return MASTER_AWAY;
}

void master_pause(struct master *master, uint64_t pause_us)
{
    uint64_t until_us = env_mono_us(master->env) + pause_us;
    for (uint64_t now_us; (now_us = env_mono_us(master->env)) < until_us;)
        (void)env_wait(master->env, least(until_us - now_us, STEP_US));
}

/* ---- start and end ---- */

static int check_masters(const struct hbase_options *options, struct err *err)
{
    struct rpc_target target;
    for (unsigned i = 0; i < options->n_masters; i++)
        if (!read_address(options->masters[i], &target))
            return err_set(err, EXIT_CONFIG, "hbase: the master %.200s is no HOST:PORT",
                           options->masters[i]);
    return 0;
}

static int open_zookeeper(struct master *master, struct err *err)
{
    const struct hbase_options *options = master->options;
    const struct zookeeper_options asking = { .env = master->env,
                                              .servers = options->zookeeper,
                                              .n_servers = options->n_zookeeper,
                                              .timeout_us =
                                                  least(options->timeout_us, ASK_US_MAX) };
    int len =
        snprintf(master->node_path, sizeof(master->node_path), "%s/master", options->znode_parent);
    if (len < 0 || (size_t)len >= sizeof(master->node_path))
        return err_set(err, EXIT_CONFIG, "hbase: znode_parent is too long");
    return zookeeper_open(&master->zookeeper, &asking, err);
}

int master_open(struct master *master, const struct hbase_options *options, struct err *err)
{
    *master = (struct master){ .options = options };
    if (check_masters(options, err) != 0 || env_linux_open(&master->env, err) != 0)
        return -1;
    const struct rpc_options calling = { .env = master->env,
                                         .user = options->user,
                                         .timeout_us = least(options->timeout_us, CALL_US_MAX),
                                         .answer_bytes_max = ANSWER_BYTES };
    if (rpc_open(&master->rpc, &calling, err) != 0)
        return -1;
    buf_open(&master->param, PARAM_BYTES, "HBase requests at start");
    buf_open(&master->answer, ANSWER_BYTES, "HBase answers at start");
    return options->n_zookeeper > 0 ? open_zookeeper(master, err) : 0;
}

void master_close(struct master *master)
{
    if (master->zookeeper != NULL)
        zookeeper_close(master->zookeeper);
    if (master->rpc != NULL)
        rpc_close(master->rpc);
    if (master->env != NULL)
        env_linux_close(master->env);
    *master = (struct master){ .options = master->options };
}
