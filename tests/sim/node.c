/*
 * node.c: see node.h; and what stands in place of control/threads.c and drivers/kafka/kafka.c.
 *
 *     node_begin ─► fiber: config_load, boot_open ─► threads_open: a fiber a shard
 *                          node_serve ... boot_close
 *
 * What a life reserved is never given back (memory.h): a history has few lives.
 */
#include "tests/sim/node.h"

#include "control/boot.h"
#include "control/threads.h"
#include "dataplane/base/memory.h"
#include "drivers/kafka/kafka.h"
#include "tests/sim/sim.h"
#include "tests/sim/source.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NODES_MAX = 4 };

static struct life {
    unsigned number;
    const char *text;
    struct env *env;
    struct node node;
    bool lives, serves;
    int code;
} lives[NODES_MAX];

struct shard_thread {
    struct node *node;
    unsigned shard;
    struct env *env;
    bool goes, ended;
};

/* ---- threads ---- */

static void run_shard(void *argument)
{
    struct shard_thread *thread = argument;
    while (!thread->goes)
        (void)env_wait(sim_env_here(), 1000);
    shard_run(&thread->node->shards[thread->shard]);
    thread->ended = true;
}

static unsigned number_of(const struct node *node)
{
    return ((const struct life *)(const void *)((const char *)node - offsetof(struct life, node)))
        ->number;
}

int threads_open(struct node *node, struct err *err)
{
    node->threads = calloc(node->n_shards, sizeof(*node->threads));
    ASSERT(node->threads != NULL);
    for (unsigned s = 0; s < node->n_shards; s++) {
        struct shard_thread *thread = &node->threads[s];
        thread->node = node;
        thread->shard = s;
        thread->env = sim_actor(number_of(node), run_shard, thread);
        if (boot_shard(node, s, thread->env, err) != 0)
            return -1;
    }
    return 0;
}

void threads_start(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++)
        node->threads[s].goes = true;
}

void threads_close(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++) {
        __atomic_store_n(&node->shards[s].stop, 1, __ATOMIC_RELEASE);
        env_wake(node->shards[s].env);
        while (!node->threads[s].ended)
            (void)env_wait(node->env, 1000);
    }
}

void threads_free(struct node *node)
{
    free(node->threads);
}

/* ---- drivers/kafka/kafka.c's ---- */

struct source *kafka_source_open(const struct kafka_options *options,
                                 const struct source_events *events, struct err *err)
{
    (void)options; /* its config says the same */
    struct life *life = lives;
    while (life->env != sim_env_here())
        life++;
    return sim_source_open(world.broker, &life->node.config->tasks[0].source, life->number, events,
                           err);
}

/* ---- lives ---- */

static struct config *load(const char *text)
{
    struct config_errors errors = { 0 };
    struct config *config;
    char path[64];
    int fd = memfd_create("config", 0);
    size_t bytes = strlen(text);
    ASSERT(fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (config_load(path, &config, &errors) != 0)
        sim_blame("the config is right", "%s", errors.n > 0 ? errors.items[0].text : "?");
    (void)close(fd);
    return config;
}

static void live(void *argument)
{
    struct life *life = argument;
    struct config *config = load(life->text);
    struct err err;
    config->node.cores.n = world.n_shards;
    config->node.memory_bytes = world.share_bytes * world.n_shards; /* below what a user may set */
    life->node = (struct node){ .config = config, .env = sim_env_here() };
    memory_unseal();
    if (boot_open(&life->node, &err) != 0)
        sim_blame("a node starts", "%s", err.text);
    threads_start(&life->node);
    life->serves = true;
    node_serve(&life->node);
    boot_close(&life->node);
    life->code = life->node.exit_code;
    life->serves = false;
    life->lives = false;
    sim_trace("node %u ends with %d", life->number, life->code);
}

void node_begin(unsigned number, const char *config)
{
    struct life *life = &lives[number];
    ASSERT(number < NODES_MAX && !life->lives);
    *life = (struct life){ .number = number, .text = config, .lives = true };
    sim_trace("node %u begins", number);
    life->env = sim_actor(number, live, life);
}

bool node_lives(unsigned number)
{
    return lives[number].lives;
}

void node_stop(unsigned number)
{
    if (!lives[number].serves)
        return;
    sim_trace("node %u is stopped", number);
    lives[number].node.stop = 1;
}

void node_kill(unsigned number)
{
    sim_trace("node %u is killed", number);
    sim_kill(number);
    lives[number].lives = lives[number].serves = false;
    lives[number].code = -1;
}

void node_evict(unsigned number, const char *key)
{
    const struct node *node = &lives[number].node;
    struct slice name = slice_of(key);
    if (!lives[number].serves)
        return;
    for (unsigned s = 0; s < node->n_shards; s++) {
        struct store *store = node->tasks[0].pipelines[s]->store;
        struct entity *entity = store_find(store, key_hash(name), name);
        if (entity != NULL && entity->pending == NULL)
            store_drop(store, entity);
    }
}

const struct config_task *node_task(const char *config)
{
    return &load(config)->tasks[0];
}

int node_code(unsigned number)
{
    return lives[number].code;
}
