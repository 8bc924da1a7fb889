/*
 * node.c: see node.h; and what stands in place of control/threads.c, drivers/kafka/kafka.c and
 * dataplane/base/check.c.
 *
 *     node_begin ─► fiber: config_load, boot_open ─► threads_open: a fiber a shard
 *                          node_serve ... boot_close
 *
 * What a life reserved is never given back (memory.h): a history has few lives.
 */
#include "tests/sim/node.h"

#include "control/boot.h"
#include "control/threads.h"
#include "dataplane/base/log.h"
#include "drivers/kafka/kafka.h"
#include "tests/sim/books.h"
#include "tests/sim/disk.h"
#include "tests/sim/node_memory.h"
#include "tests/sim/source.h"
#include "tests/sim/world.h"

#include <stdarg.h>
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
    bool lives, serves, stopped;
    int code;
    struct sim_event end; /* when it ends by itself: nobody of it runs any more */
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
    struct life *life = &lives[sim_node_here()];
    return sim_source_open(world.broker, &life->node.config->tasks[0].source, life->number, events,
                           err);
}

/* ---- check.c's ---- */

/* Every end has its reason: it was told to stop, its disk or its memory failed, or it was not
 * alone on a log that is not keyed, which it says. */
static void check_code(const struct life *life, int code, const char *text)
{
    bool right = false;
    if (code == EXIT_DONE)
        right = life->stopped;
    else if (code == EXIT_IO)
        right = disk_failed(life->number) || node_memory_failed(life->number);
    else if (code == EXIT_SOFTWARE || code == EXIT_CONFIG)
        right = node_memory_failed(life->number) || strstr(text, "it is not alone") != NULL;
    if (!right || (code != EXIT_DONE && text[0] == '\0'))
        sim_blame("a node ends for a reason", "node %u, code %d: %s", life->number, code, text);
}

static void end_life(struct sim_event *event)
{
    struct life *life = (struct life *)(void *)((char *)event - offsetof(struct life, end));
    sim_kill(life->number);
    life->lives = life->serves = false;
}

/* The process of the life ends with that code: from the control thread. */
static _Noreturn void end_with(struct life *life, int code, const char *text)
{
    sim_trace("node %u ends with %d: %s", life->number, code, text);
    life->code = code;
    life->end.run = end_life;
    sim_at(&life->end, 0);
    for (;;)
        (void)env_wait(sim_env_here(), 1000000);
}

void check_failed(const char *file, int line, const char *condition)
{
    sim_blame("asserted", "%s:%d: %s", file, line, condition);
}

void fatal(int code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (sim_node_here() < 0 || !lives[sim_node_here()].lives)
        sim_blame("a node ends for a reason", "%d: %s", code, text);
    struct life *life = &lives[sim_node_here()];
    check_code(life, code, text);
    end_with(life, code, text);
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
    struct err err;
    node_memory_begin();
    struct config *config = load(life->text);
    config->node.cores.n = world.n_shards;
    config->node.memory_bytes = world.share_bytes * world.n_shards; /* below what a user may set */
    life->node = (struct node){ .config = config, .env = sim_env_here() };
    if (boot_open(&life->node, &err) != 0) {
        check_code(life, (int)err.code, err.text);
        end_with(life, (int)err.code, err.text);
    }
    books_open(life->number, &life->node);
    threads_start(&life->node);
    life->serves = true;
    node_serve(&life->node);
    if (life->node.exit_code == EXIT_DONE && books_rest(&life->node))
        books_check_rest(life->number, &life->node);
    boot_close(&life->node);
    life->code = life->node.exit_code;
    life->serves = false;
    life->lives = false;
    sim_trace("node %u ends with %d", life->number, life->code);
    check_code(life, life->code, life->node.tasks[0].failure.text);
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

const struct node *node_serving(unsigned number)
{
    return lives[number].serves ? &lives[number].node : NULL;
}

void node_stop(unsigned number)
{
    if (!lives[number].serves)
        return;
    sim_trace("node %u is stopped", number);
    lives[number].node.stop = 1;
    lives[number].stopped = true;
}

void node_kill(unsigned number)
{
    sim_trace("node %u is killed", number);
    sim_kill(number);
    sim_cancel(&lives[number].end);
    lives[number].lives = lives[number].serves = false;
    lives[number].code = -1;
}

void node_lose_power(unsigned number)
{
    if (lives[number].lives)
        node_kill(number);
    disk_lose_power(number);
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
