/*
 * rpc_fuzz.c: what an HBase server says on a connection (drivers/hbase/rpc.h, wire.h).
 *
 * Three calls are under way, with the ids 1 to 3, and the input is the stream that comes back.
 * - Each call is done once, whatever comes.
 * - The stream in pieces gives every call just what the stream in one gives.
 * - An answer that lacks its last byte is none.
 */
#include "fuzz_env.h"

#include "drivers/hbase/rpc_internal.h"

#define CALLS      3u
#define TIMEOUT_US UINT64_C(60000000)

struct asked {
    struct rpc_call call; /* first */
    unsigned done;
};

static struct buf out;
static struct rpc *rpc;

void fuzz_setup(void)
{
    const struct rpc_options options = { .user = "weir",
                                         .timeout_us = TIMEOUT_US,
                                         .answer_bytes_max = 1 << 16 };
    struct err err;

    buf_open(&out, 16 << 20, "what the calls got");
    assert_int_equal(rpc_open(&rpc, &options, &err), 0);
}

static void put_part(const char *name, struct slice bytes)
{
    buf_printf(&out, " %s(%zu)", name, bytes.len);
    buf_put_slice(&out, bytes);
}

static void on_done(struct rpc_call *call)
{
    struct asked *asked = (struct asked *)call;

    assert_false(call->running);
    asked->done++;
    buf_printf(&out, "\n%u %u%u%u", call->id, call->result, call->do_not_retry, call->overloaded);
    put_part("answer", call->answer);
    put_part("cells", call->answer_cells);
    put_part("exception", call->exception);
    put_part("reason", call->reason);
}

/* What the calls got, in a block that stays until the input's end. */
static struct slice play(struct slice stream, const struct fuzz_pieces *pieces)
{
    const struct rpc_target target = { "127.0.0.1", 16020, RPC_CLIENT };
    struct asked asked[CALLS];
    struct env *env = fuzz_env(stream, pieces);

    memset(asked, 0, sizeof(asked));
    buf_reset(&out);
    rpc->env = env;
    rpc->last_id = 0; /* the ids are the input's to guess */
    rpc->look_us = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        asked[i].call.done = on_done;
        asked[i].call.method = SLICE("Multi");
        asked[i].call.param = SLICE("p");
        rpc_start(rpc, &target, &asked[i].call);
    }
    rpc_step(rpc);
    fuzz_env_run(env);
    fuzz_env_skip(env, 2 * TIMEOUT_US);
    rpc_step(rpc);
    for (unsigned i = 0; i < CALLS; i++)
        assert_int_equal(asked[i].done, 1);
    assert_int_equal(rpc_running(rpc), 0);
    rpc_close(rpc);
    assert_int_equal(fuzz_env_open(env), 0);
    assert_false(out.overflow);
    return fuzz_exact(buf_slice(&out));
}

/* The first answer alone. */
static void check_answer(struct slice stream)
{
    struct fuzz fuzz = { stream };
    size_t len = (size_t)fuzz_u16(&fuzz) << 16;
    struct wire_answer answer;
    struct slice bytes;

    len |= fuzz_u16(&fuzz);
    if (len == 0 || len > fuzz.left.len)
        return;
    bytes = fuzz_exact((struct slice){ fuzz.left.data, len });
    if (!wire_read(bytes, &answer))
        return;
    assert_true(slice_within(answer.result, bytes) && slice_within(answer.cells, bytes));
    assert_true(slice_within(answer.exception, bytes) && slice_within(answer.stack, bytes));
    assert_true(!answer.refused || (answer.result.len == 0 && answer.cells.len == 0));
    if (!answer.refused && answer.result.len + answer.cells.len > 0)
        assert_false(wire_read(fuzz_exact((struct slice){ fuzz.left.data, len - 1 }), &answer));
}

void fuzz_input(struct slice input)
{
    struct fuzz_pieces pieces = { .dice = dice_of(input) };
    struct slice whole = play(input, &pieces);

    pieces.most = 1 + dice_throw(&pieces.dice, 40);
    fuzz_same(play(input, &pieces), whole, "the stream in pieces");
    check_answer(input);
}
