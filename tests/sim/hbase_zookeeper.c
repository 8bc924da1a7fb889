/*
 * hbase_zookeeper.c: drivers/hbase/zookeeper.h over the simulator's network, in the place of
 * zookeeper.c. The ensemble is one door; a request is the znode's path, an answer whether there is
 * one, and its bytes.
 */
#include "drivers/hbase/zookeeper.h"

#include "dataplane/base/memory.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

struct zookeeper {
    struct net_call net; /* first: a net_call pointer is a pointer to this */
    struct env *env;
    uint64_t timeout_us, give_up_us;
    struct zookeeper_get *get; /* NULL: nothing is asked */
};

int zookeeper_open(struct zookeeper **zookeeper_out, const struct zookeeper_options *options,
                   struct err *err)
{
    struct zookeeper *zookeeper = memory_reserve(sizeof(*zookeeper), "ZooKeeper client");

    (void)err;
    *zookeeper = (struct zookeeper){ .env = options->env, .timeout_us = options->timeout_us };
    *zookeeper_out = zookeeper;
    return 0;
}

static void finish(struct zookeeper *zookeeper, enum zookeeper_result result, struct slice data,
                   const char *reason)
{
    struct zookeeper_get *get = zookeeper->get;

    zookeeper->get = NULL;
    get->result = result;
    get->data = data;
    get->reason = slice_of(reason);
    get->done(get);
}

static void answered(struct net_call *net, bool failed, struct slice answer)
{
    struct zookeeper *zookeeper = (struct zookeeper *)(void *)net;

    if (failed || answer.len == 0)
        finish(zookeeper, ZOOKEEPER_FAILED, SLICE(""), "ZooKeeper " TABLE_ZOOKEEPER ": it broke");
    else if (answer.data[0] == 0)
        finish(zookeeper, ZOOKEEPER_ABSENT, SLICE(""), "");
    else
        finish(zookeeper, ZOOKEEPER_FOUND, (struct slice){ answer.data + 1, answer.len - 1 }, "");
}

void zookeeper_start(struct zookeeper *zookeeper, struct zookeeper_get *get)
{
    ASSERT(zookeeper->get == NULL && get->done);
    zookeeper->get = get;
    zookeeper->give_up_us = env_mono_us(zookeeper->env) + zookeeper->timeout_us;
    zookeeper->net = (struct net_call){ .done = answered, .owner = zookeeper };
    net_send(zookeeper->env, table_door(world.table, TABLE_ZK1), &zookeeper->net,
             slice_of(get->path));
}

void zookeeper_step(struct zookeeper *zookeeper)
{
    if (zookeeper->get == NULL || env_mono_us(zookeeper->env) < zookeeper->give_up_us)
        return;
    net_abandon(&zookeeper->net);
    finish(zookeeper, ZOOKEEPER_FAILED, SLICE(""), "ZooKeeper " TABLE_ZOOKEEPER ": no answer");
}

void zookeeper_close(struct zookeeper *zookeeper)
{
    if (zookeeper->get != NULL)
        net_abandon(&zookeeper->net);
    zookeeper->get = NULL;
}
