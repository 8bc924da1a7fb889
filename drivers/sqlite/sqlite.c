/*
 * The embedded sink: every shard's batches and lookups go to one thread, which owns the one
 * connection.
 *
 *     shard 0  begin, add ─ submit ─┐                          ┌─► done list of port 0, env_wake
 *     shard 1  begin, add ─ submit ─┼─► queue ─► worker ─► file┤
 *     shard 1  lookup_add ─ submit ─┘                          └─► done list of port 1, env_wake
 *
 * SQLite has one writer a file and blocks on the disk; so one thread waits for it and no shard
 * does. A batch is one transaction, a lookup one read transaction. The shards do what costs: they
 * render documents into the batch's buffer, and parse what a lookup brought (reap, which runs in
 * the shard's thread); the worker copies bytes.
 *
 * Invariants:
 *   - A batch or a lookup is its shard's, from submit to the done list the worker's; the mutex
 *     hands it over.
 *   - The queue and the done lists need no memory of their own: they link the jobs.
 *   - Nothing of a batch is acknowledged before its transaction is durable. If that fails, all of
 *     it is to be tried again.
 *
 * Memory: what a batch needs is reserved when the port is made. SQLite keeps a heap of its own.
 * What this does not do: back off, or retry. Who submitted does.
 */
#include "drivers/sqlite/sqlite.h"

#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"
#include "drivers/sqlite/inspect.h"
#include "drivers/sqlite/port.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* ---- the queue ---- */

static void lock(struct sqlite_sink *sink)
{
    int error = pthread_mutex_lock(&sink->lock);

    ASSERT(error == 0);
}

static void unlock(struct sqlite_sink *sink)
{
    int error = pthread_mutex_unlock(&sink->lock);

    ASSERT(error == 0);
}

static void list_push(struct job_list *list, struct job *job)
{
    job->next = NULL;
    if (list->tail)
        list->tail->next = job;
    else
        __atomic_store_n(&list->head, job, __ATOMIC_RELEASE);
    list->tail = job;
}

static struct job *list_pop(struct job_list *list)
{
    struct job *job = list->head;

    if (job) {
        __atomic_store_n(&list->head, job->next, __ATOMIC_RELAXED);
        if (!job->next)
            list->tail = NULL;
    }
    return job;
}

void sqlite_job_submit(struct sqlite_sink *sink, struct job *job)
{
    lock(sink);
    list_push(&sink->queue, job);
    (void)pthread_cond_signal(&sink->work); /* It cannot fail. */
    unlock(sink);
}

struct job *sqlite_job_reap(struct sqlite_sink *sink, struct job_list *done)
{
    struct job *job;

    if (!__atomic_load_n(&done->head, __ATOMIC_ACQUIRE))
        return NULL; /* What a shard sees at most of its steps costs no lock. */
    lock(sink);
    job = list_pop(done);
    unlock(sink);
    return job;
}

/* ---- the worker ---- */

static uint64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* It cannot fail. */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What is said of a transaction that failed. A lock passes; anything else is for people to look at.
 */
static void complain(struct sqlite_sink *sink, const char *doing)
{
    enum log_level level = database_is_busy(sink->database) ? LOG_WARN : LOG_ERROR;
    uint64_t suppressed;

    if (!log_limit_pass(&sink->limit, now_us(), &suppressed))
        return;
    if (suppressed > 0)
        log_line(level, "sqlite", "%llu lines like the next were held back",
                 (unsigned long long)suppressed);
    log_line(level, "sqlite", "%s: %s table %s: %s; trying again", sink->options.path, doing,
             sink->options.table, database_message(sink->database));
}

/* Why a document was refused, kept in the batch behind its documents. */
static void keep_reason(struct sqlite_sink *sink, struct batch *batch, struct sink_item *item)
{
    struct slice words = slice_of(database_message(sink->database));
    size_t at = batch->text.len;

    buf_put_slice(&batch->text, words);
    item->reason = batch->text.overflow ? SLICE("refused by SQLite")
                                        : (struct slice){ batch->text.data + at, words.len };
}

/* False: the transaction is lost. */
static bool write_entry(struct sqlite_sink *sink, struct batch *batch, unsigned at)
{
    const struct entry *entry = &batch->entries[at];
    struct sink_item *item = &batch->base.items[at];

    switch (entry->shown ? database_show(sink->database, entry->key, &entry->row)
                         : database_hide(sink->database, entry->key, &entry->row)) {
    case DATABASE_DONE:
        *item = (struct sink_item){ .verdict = SINK_WRITTEN };
        return true;
    case DATABASE_NOTHING:
        *item = (struct sink_item){ .verdict = SINK_STALE };
        return true;
    case DATABASE_REFUSED:
        *item = (struct sink_item){ .verdict = SINK_DEAD };
        keep_reason(sink, batch, item);
        return true;
    case DATABASE_FAILED:
        return false;
    }
    ASSERT(false); /* A result outside its enum. */
    return false;
}

static void write_batch(struct sqlite_sink *sink, struct batch *batch)
{
    bool good = database_begin(sink->database, true);

    for (unsigned i = 0; i < batch->base.n && good; i++)
        good = write_entry(sink, batch, i);
    if (good && database_commit(sink->database))
        return;
    complain(sink, "cannot write");
    database_rollback(sink->database);
    batch->base.failed_whole = true;
    for (unsigned i = 0; i < batch->base.n; i++)
        batch->base.items[i] = (struct sink_item){ .verdict = SINK_RETRY };
}

/* Copies what was found; false where the lookup's buffer has no room for it. */
static bool copy_found(struct lookup *lookup, struct found *found, const struct database_row *row,
                       bool side)
{
    size_t at = lookup->texts.len;
    char *data = lookup->texts.data + at;

    buf_put_slice(&lookup->texts, row->document);
    buf_put_slice(&lookup->texts, row->state);
    if (lookup->texts.overflow) {
        buf_rewind(&lookup->texts, at);
        return false;
    }
    if (side) {
        found->in_side = true;
        found->side = (struct slice){ data, row->state.len };
        return true;
    }
    found->in_main = true;
    found->row = (struct database_row){
        .version = row->version,
        .document = { data, row->document.len },
        .state = { data + row->document.len, row->state.len },
    };
    return true;
}

/* False: this lookup gives no answer. */
static bool find_key(struct sqlite_sink *sink, struct lookup *lookup, unsigned at)
{
    struct found *found = &lookup->found[at];
    size_t before = lookup->texts.len;
    struct database_row row;

    for (int side = 0; side <= 1; side++)
        switch (database_find(sink->database, lookup->keys[at], side, &row)) {
        case DATABASE_NOTHING:
            break;
        case DATABASE_DONE:
            if (copy_found(lookup, found, &row, side))
                break;
            found->too_large = before == 0; /* Alone in the buffer, and still no room. */
            lookup->overflow = before > 0;
            return found->too_large;
        case DATABASE_REFUSED:
        case DATABASE_FAILED:
            complain(sink, "cannot read");
            return false;
        }
    return true;
}

static void answer_lookup(struct sqlite_sink *sink, struct lookup *lookup)
{
    bool good = database_begin(sink->database, false);

    if (!good)
        complain(sink, "cannot read");
    for (unsigned i = 0; i < lookup->base.n && good; i++)
        good = find_key(sink, lookup, i);
    if (good && !database_commit(sink->database)) {
        complain(sink, "cannot read");
        good = false;
    }
    if (!good)
        database_rollback(sink->database);
    lookup->base.failed_whole = !good;
}

static struct job *next_job(struct sqlite_sink *sink)
{
    struct job *job;

    lock(sink);
    while (!(job = list_pop(&sink->queue)) && !sink->stopping)
        (void)pthread_cond_wait(&sink->work, &sink->lock);
    unlock(sink);
    return job;
}

static void finish_job(struct sqlite_sink *sink, struct job *job)
{
    struct port *port = job->port;

    lock(sink);
    list_push(job->lookup ? &port->lookups_done : &port->batches_done, job);
    unlock(sink);
    env_wake(port->env);
}

/* Ends when it is told to and the queue is empty. */
static void *work(void *argument)
{
    struct sqlite_sink *sink = argument;
    struct job *job;

    while ((job = next_job(sink))) {
        if (job->lookup)
            answer_lookup(sink, job->lookup);
        else
            write_batch(sink, job->batch);
        finish_job(sink, job);
    }
    return NULL;
}

/* ---- the sink ---- */

/* Signals are for the threads that wait for them. */
static int start_worker(struct sqlite_sink *sink)
{
    sigset_t all, before;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* Fails for a wrong argument only. */
    error = pthread_create(&sink->worker, NULL, work, sink);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        (void)pthread_setname_np(sink->worker, "weir-sqlite"); /* Only for `top`. */
    return error;
}

static int sqlite_prepare(struct sink *base, struct err *err)
{
    struct sqlite_sink *sink = (struct sqlite_sink *)base;
    int created, error;

    if (sink->database)
        return 0;
    created = database_open(&sink->database, sink->options.path, sink->options.table, err);
    if (created < 0)
        return -1;
    error = start_worker(sink);
    if (error != 0) {
        database_close(sink->database);
        sink->database = NULL;
        return err_set(err, EXIT_SOFTWARE, "sqlite: %s: no thread: %s", sink->options.path,
                       strerror(error));
    }
    return created;
}

static int inspect(struct sink *base, struct findings *findings, struct err *err)
{
    (void)err; /* A file can always be asked. */
    sqlite_inspect(((struct sqlite_sink *)base)->options.path, findings);
    return 0;
}

static void sqlite_close(struct sink *base)
{
    struct sqlite_sink *sink = (struct sqlite_sink *)base;
    int error;

    if (sink->database) {
        lock(sink);
        sink->stopping = true;
        (void)pthread_cond_signal(&sink->work);
        unlock(sink);
        error = pthread_join(sink->worker, NULL);
        ASSERT(error == 0);
        database_close(sink->database);
    }
    (void)pthread_cond_destroy(&sink->work); /* Nobody is left who could use them. */
    (void)pthread_mutex_destroy(&sink->lock);
    free(sink);
}

static const struct sink_ops sqlite_ops = {
    .name = "sqlite",
    .prepare = sqlite_prepare,
    .inspect = inspect,
    .port = sqlite_port_open,
    .close = sqlite_close,
};

struct sink *sqlite_sink_open(const struct sqlite_options *options, struct err *err)
{
    const struct sink_limits *limits = &options->limits;
    struct sqlite_sink *sink;

    if (options->path[0] == '\0' || options->table[0] == '\0') {
        (void)err_set(err, EXIT_CONFIG, "sqlite: the path or the table's name is empty");
        return NULL;
    }
    if (limits->docs == 0 || limits->in_flight == 0 || limits->document_bytes_max == 0) {
        (void)err_set(err, EXIT_CONFIG, "sqlite: %s: a batch must be able to hold a document",
                      options->path);
        return NULL;
    }
    memory_count_library(database_cache_bytes());
    sink = calloc(1, sizeof(*sink));
    if (!sink) {
        (void)err_set(err, EXIT_SOFTWARE, "sqlite: %s: out of memory", options->path);
        return NULL;
    }
    sink->base.ops = &sqlite_ops;
    sink->options = *options;
    sink->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    sink->work = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    return &sink->base;
}
