/*
 * threads.c: see threads.h.
 *
 * A shard builds itself on its own thread, pinned already, because its ring belongs to the thread
 * that opened it and because memory comes from the node of the core that touches it first. They are
 * built one by one: drivers open their ports without a lock.
 */
#include "control/threads.h"

#include "control/boot.h"
#include "dataplane/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a shard's thread is told, and tells. */
struct shard_thread {
    pthread_t thread;
    struct node *node;
    unsigned shard;
    struct env *env;
    sem_t built, go;
    int result;
    struct err err;
};

static void pin(const struct node *node, unsigned shard)
{
    unsigned core = node->config->node.cores.items[shard];
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    int error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    if (error != 0)
        log_line(LOG_WARN, "node",
                 "shard %u can't be pinned to core %u: %s: it runs where the kernel puts it", shard,
                 core, strerror(error));
}

static int build(struct shard_thread *thread)
{
    pin(thread->node, thread->shard);
    if (env_linux_open(&thread->env, &thread->err) != 0)
        return -1;
    return boot_shard(thread->node, thread->shard, thread->env, &thread->err);
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        ASSERT(errno == EINTR);
}

static void *shard_main(void *argument)
{
    struct shard_thread *thread = argument;
    thread->result = build(thread);
    sem_post(&thread->built);
    if (thread->result != 0)
        return NULL;
    wait_for(&thread->go);
    shard_run(&thread->node->shards[thread->shard]);
    return NULL;
}

int threads_open(struct node *node, struct err *err)
{
    node->threads = calloc(node->n_shards, sizeof(*node->threads));
    if (node->threads == NULL)
        return err_set(err, EXIT_SOFTWARE, "out of memory for %u shards' threads", node->n_shards);
    for (unsigned s = 0; s < node->n_shards; s++) {
        struct shard_thread *thread = &node->threads[s];
        char name[24];
        thread->node = node;
        thread->shard = s;
        sem_init(&thread->built, 0, 0);
        sem_init(&thread->go, 0, 0);
        int error = pthread_create(&thread->thread, NULL, shard_main, thread);
        if (error != 0)
            return err_set(err, EXIT_SOFTWARE, "a thread for shard %u: %s", s, strerror(error));
        (void)snprintf(name, sizeof(name), "shard-%u", s);
        (void)pthread_setname_np(thread->thread, name);
        wait_for(&thread->built);
        if (thread->result != 0) {
            *err = thread->err;
            return -1;
        }
    }
    return 0;
}

void threads_start(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++)
        sem_post(&node->threads[s].go);
}

void threads_close(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++) {
        __atomic_store_n(&node->shards[s].stop, 1, __ATOMIC_RELEASE);
        env_wake(node->shards[s].env);
        (void)pthread_join(node->threads[s].thread, NULL);
    }
}

void threads_free(struct node *node)
{
    for (unsigned s = 0; s < node->n_shards; s++) {
        env_linux_close(node->threads[s].env);
        sem_destroy(&node->threads[s].built);
        sem_destroy(&node->threads[s].go);
    }
    free(node->threads);
}
