/*
 * shard.c: see shard.h.
 *
 * Control's commands come through a mailbox of one: it posts, wakes the shard, and waits for
 * `obeyed`. Commands are rare (assignments, a commit round each second or so), so a queue would
 * only hide who waits for whom.
 *
 * What a commit may cover is asked in two rounds: first what each shard has read to the end
 * (POSITIONS), then what is still held anywhere (LOWS). In this order: a record counts as read to
 * the end only after every shard has merged its changes, and so has made its holds, which the
 * second round then sees. The other way round a hold made in between would be missed, and an offset
 * committed whose document is nowhere durable.
 */
#include "dataplane/shard.h"

#define WAIT_US_MAX \
    10000 /* libraries behind the ports have time-outs of their own to look after \
           */

static void tell_positions(const struct pipeline *pipeline, const struct shard_command *command)
{
    for (unsigned slot = 0; slot < command->n_marks; slot++) {
        const struct reading *reading = &pipeline->intake.readings[slot];
        /* Known until it is forgotten, not only while attached: a drain looks at it after DETACH.
         */
        command->marks[slot] = (struct shard_mark){ .known = reading->epoch != 0,
                                                    .offset = reading->done_offset,
                                                    .clock = reading->done_clock,
                                                    .read_offset = reading->read_offset };
    }
}

static void tell_lows(const struct pipeline *pipeline, const struct shard_command *command)
{
    for (unsigned slot = 0; slot < command->n_marks; slot++) {
        struct shard_mark mark = { 0 };
        mark.known = watermark_low(pipeline->watermark, (uint16_t)slot, &mark.offset, &mark.clock);
        command->marks[slot] = mark;
    }
}

static void forget(struct pipeline *pipeline, uint16_t partition)
{
    size_t place = pipeline->sweep_place;
    while (pipeline->sweep_partition !=
           PARTITION_NONE) /* one sweep at a time: end the one under way */
        if (store_sweep(pipeline->store, pipeline->sweep_partition, &place))
            pipeline->sweep_partition = PARTITION_NONE;
    pendings_forget(pipeline->pendings, partition, env_mono_us(pipeline->options.env));
    pipeline->sweep_partition = partition;
    pipeline->sweep_place = 0;
}

static void obey(struct shard *shard)
{
    uint32_t posted = __atomic_load_n(&shard->posted, __ATOMIC_ACQUIRE);
    if (posted == shard->obeyed)
        return;
    const struct shard_command *command = &shard->command;
    struct pipeline *pipeline = shard->pipelines[command->task];
    switch (command->order) {
    case SHARD_ATTACH:
        intake_attach(pipeline, command->partition, command->offset, command->clock,
                      command->handle);
        break;
    case SHARD_DETACH:
        intake_detach(pipeline, command->partition);
        break;
    case SHARD_FORGET:
        forget(pipeline, command->partition);
        break;
    case SHARD_POSITIONS:
        tell_positions(pipeline, command);
        break;
    case SHARD_LOWS:
        tell_lows(pipeline, command);
        break;
    case SHARD_FLUSH:
        pipeline->flushing = command->flag;
        break;
    case SHARD_PAUSE:
        pipeline->paused = command->flag;
        break;
    }
    __atomic_store_n(&shard->obeyed, posted, __ATOMIC_RELEASE);
}

void shard_post(struct shard *shard, const struct shard_command *command)
{
    ASSERT(shard_obeyed(shard) && command->task < shard->n_pipelines);
    shard->command = *command;
    __atomic_store_n(&shard->posted, shard->posted + 1, __ATOMIC_RELEASE);
    env_wake(shard->env);
}

bool shard_obeyed(const struct shard *shard)
{
    return __atomic_load_n(&shard->obeyed, __ATOMIC_ACQUIRE) == shard->posted;
}

unsigned shard_step(struct shard *shard, uint64_t now_us)
{
    unsigned done = 0;
    obey(shard);
    for (unsigned task = 0; task < shard->n_pipelines; task++)
        done += pipeline_step(shard->pipelines[task], now_us);
    return done;
}

/* How long the shard may sleep if nobody wakes it. */
static uint64_t wait_us(const struct shard *shard, uint64_t now_us)
{
    uint64_t wait = WAIT_US_MAX;
    for (unsigned task = 0; task < shard->n_pipelines; task++) {
        uint64_t due_us = pipeline_due_us(shard->pipelines[task]);
        if (due_us == 0)
            continue;
        uint64_t left = due_us > now_us ? due_us - now_us : 0;
        if (left < wait)
            wait = left;
    }
    return wait;
}

void shard_run(struct shard *shard)
{
    while (!__atomic_load_n(&shard->stop, __ATOMIC_ACQUIRE)) {
        uint64_t now_us = env_mono_us(shard->env);
        unsigned done = shard_step(shard, now_us);
        counter_add(&shard->steps, 1);
        counter_add(&shard->idle_steps, done == 0);
        uint64_t after_us = env_mono_us(shard->env);
        counter_add(&shard->busy_us, after_us - now_us);
        (void)env_wait(shard->env, done > 0 ? 0 : wait_us(shard, after_us));
    }
}
