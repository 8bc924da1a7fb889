/*
 * zookeeper_fuzz.c: what a ZooKeeper server says (drivers/hbase/zookeeper.h), and what HBase keeps
 * in its znodes.
 *
 * - The read ends, once, whatever comes; the stream in pieces gives what it gives in one.
 * - What it found is looked at as who asks would: the znodes of hbase:meta and of the master.
 */
#include "fuzz_env.h"

#include "drivers/hbase/admin.h"
#include "drivers/hbase/meta.h"
#include "drivers/hbase/zookeeper.h"

#define TIMEOUT_US UINT64_C(60000000)

static struct buf out;
static unsigned done;

void fuzz_setup(void)
{
    buf_open(&out, 1 << 20, "what was read");
}

static void check_target(const struct rpc_target *target)
{
    assert_non_null(memchr(target->host, '\0', sizeof(target->host)));
}

static void on_done(struct zookeeper_get *get)
{
    struct rpc_target target = { .port = 0 };
    struct slice data = fuzz_exact(get->data);

    done++;
    assert_true(get->data.len <= ZOOKEEPER_NODE_BYTES_MAX);
    assert_true(get->result == ZOOKEEPER_FOUND || get->data.len == 0);
    buf_printf(&out, "%u: ", get->result);
    buf_put_slice(&out, get->data);
    buf_put_slice(&out, get->reason);
    if (meta_from_znode(data, &target) == NULL)
        check_target(&target);
    if (admin_read_master_node(data, &target) == 1)
        check_target(&target);
}

static struct slice play(struct slice stream, const struct fuzz_pieces *pieces)
{
    static const char *const servers[] = { "127.0.0.1:2181" };
    struct env *env = fuzz_env(stream, pieces);
    const struct zookeeper_options options = {
        .env = env, .servers = servers, .n_servers = 1, .timeout_us = TIMEOUT_US
    };
    struct zookeeper_get get = { .done = on_done, .path = "/hbase/meta-region-server" };
    struct zookeeper *zookeeper;
    struct err err;

    buf_reset(&out);
    done = 0;
    assert_int_equal(zookeeper_open(&zookeeper, &options, &err), 0);
    zookeeper_start(zookeeper, &get);
    zookeeper_step(zookeeper);
    fuzz_env_run(env);
    fuzz_env_skip(env, 2 * TIMEOUT_US);
    zookeeper_step(zookeeper);
    assert_int_equal(done, 1);
    zookeeper_close(zookeeper);
    assert_int_equal(fuzz_env_open(env), 0);
    return fuzz_exact(buf_slice(&out));
}

void fuzz_input(struct slice input)
{
    struct fuzz_pieces pieces = { .dice = dice_of(input) };
    struct slice whole = play(input, &pieces);

    pieces.most = 1 + dice_throw(&pieces.dice, 20);
    fuzz_same(play(input, &pieces), whole, "the stream in pieces");
}
