/*
 * pending.c: see pending.h.
 *
 * The ready list of a sink is a queue by age; what failed goes back to its front, so that the
 * oldest offset, which holds the commit, is always tried first. Delayed documents wait in one queue
 * a number of attempts: within one queue the delays are about the same, so looking at its head is
 * enough.
 *
 * Another thread may look at what each sink holds of a document (pendings_look()). Its record may
 * be given to another document meanwhile, so what was copied is only believed if the record was the
 * entity's before and after. Whatever is copied there is written by releasing stores, a record's
 * entity first: who sees a number of the next document sees that it is the next document's.
 *
 * Invariants: state READY <=> in the ready list; FLYING <=> flying != 0; a document that rests for
 * a sink has no hold there; bytes of the ready list are those that the entities had when they were
 * put in (kept in ready_bytes).
 */
#include "dataplane/pending.h"

#include "dataplane/base/memory.h"
#include "dataplane/base/slab.h"

#define DELAY_LEVELS 10

struct pending_list {
    struct pending *head, *tail;
};

struct sink_queue {
    struct pending_list ready;
    struct pending_list delayed[DELAY_LEVELS];
    uint32_t n_ready;
    uint32_t n_behind; /* documents that do not rest */
    uint64_t ready_bytes;
};

struct pendings {
    unsigned n_sinks;
    int hydrate;
    struct watermark *watermark;
    struct pool pool;
    struct sink_queue queues[SINKS_MAX];
};

struct pendings *pendings_open(unsigned n_sinks, int hydrate, uint32_t pending_max,
                               struct watermark *watermark)
{
    ASSERT(n_sinks > 0 && n_sinks <= SINKS_MAX);
    struct pendings *pendings = memory_reserve(sizeof(*pendings), "pending");
    size_t bytes = sizeof(struct pending) + n_sinks * sizeof(struct pending_sink);
    pendings->n_sinks = n_sinks;
    pendings->hydrate = hydrate;
    pendings->watermark = watermark;
    pool_open(&pendings->pool, bytes, pending_max, "pending documents");
    return pendings;
}

bool pendings_room(const struct pendings *pendings)
{
    return pendings->pool.free_count > 0 && watermark_room(pendings->watermark, pendings->n_sinks);
}

uint32_t pendings_count(const struct pendings *pendings)
{
    return pool_taken(&pendings->pool);
}

uint32_t pendings_behind(const struct pendings *pendings, unsigned sink)
{
    return pendings->queues[sink].n_behind;
}

/* ---- lists ---- */

static void list_append(struct pending_list *list, struct pending *pending, unsigned sink)
{
    struct pending_sink *at = &pending->sinks[sink];
    at->prev = list->tail;
    at->next = NULL;
    if (list->tail != NULL)
        list->tail->sinks[sink].next = pending;
    else
        list->head = pending;
    list->tail = pending;
}

static void list_prepend(struct pending_list *list, struct pending *pending, unsigned sink)
{
    struct pending_sink *at = &pending->sinks[sink];
    at->prev = NULL;
    at->next = list->head;
    if (list->head != NULL)
        list->head->sinks[sink].prev = pending;
    else
        list->tail = pending;
    list->head = pending;
}

static void list_remove(struct pending_list *list, struct pending *pending, unsigned sink)
{
    struct pending_sink *at = &pending->sinks[sink];
    if (at->prev != NULL)
        at->prev->sinks[sink].next = at->next;
    else
        list->head = at->next;
    if (at->next != NULL)
        at->next->sinks[sink].prev = at->prev;
    else
        list->tail = at->prev;
    at->prev = at->next = NULL;
}

static void set_state(struct pendings *pendings, unsigned sink, struct pending_sink *at,
                      enum pending_state state)
{
    pendings->queues[sink].n_behind += state != PENDING_REST;
    pendings->queues[sink].n_behind -= at->state != PENDING_REST;
    __atomic_store_n(&at->state, (uint8_t)state, __ATOMIC_RELEASE);
}

static struct pending_list *delay_list(struct sink_queue *queue, const struct pending_sink *at)
{
    return &queue->delayed[at->attempts < DELAY_LEVELS ? at->attempts : DELAY_LEVELS - 1];
}

/* Takes the document out of whatever list it is in. */
static void leave_list(struct pendings *pendings, struct pending *pending, unsigned sink)
{
    struct pending_sink *at = &pending->sinks[sink];
    struct sink_queue *queue = &pendings->queues[sink];
    if (at->state == PENDING_READY) {
        list_remove(&queue->ready, pending, sink);
        queue->n_ready--;
        uint64_t bytes = pending->entity->value_bytes;
        queue->ready_bytes =
            queue->n_ready == 0 || bytes > queue->ready_bytes ? 0 : queue->ready_bytes - bytes;
    } else if (at->state == PENDING_DELAYED) {
        list_remove(delay_list(queue, at), pending, sink);
    }
}

static void make_ready(struct pendings *pendings, struct pending *pending, unsigned sink,
                       bool first, uint64_t now_us)
{
    struct pending_sink *at = &pending->sinks[sink];
    struct sink_queue *queue = &pendings->queues[sink];
    if (first)
        list_prepend(&queue->ready, pending, sink);
    else
        list_append(&queue->ready, pending, sink);
    set_state(pendings, sink, at, PENDING_READY);
    at->since_us = now_us;
    queue->n_ready++;
    queue->ready_bytes += pending->entity->value_bytes;
}

/* ---- looks from other threads ---- */

/* A record that was given back is looked at, too: it is never unmapped, but AddressSanitizer is
 * told that nobody may. */
__attribute__((no_sanitize("address"))) bool
pendings_look(const struct entity *entity, unsigned n_sinks, struct pending_look *look)
{
    const struct pending *pending = __atomic_load_n(&entity->pending, __ATOMIC_ACQUIRE);
    if (pending == NULL || __atomic_load_n(&pending->entity, __ATOMIC_ACQUIRE) != entity)
        return false;
    look->reading_back = false;
    for (unsigned i = 0; i < n_sinks; i++) { /* acquire: the second look comes after them */
        look->acked[i] = __atomic_load_n(&pending->sinks[i].acked, __ATOMIC_ACQUIRE);
        look->state[i] = __atomic_load_n(&pending->sinks[i].state, __ATOMIC_ACQUIRE);
        look->reading_back |=
            __atomic_load_n(&pending->sinks[i].hydrate, __ATOMIC_ACQUIRE) != HYDRATE_NOT;
    }
    return __atomic_load_n(&entity->pending, __ATOMIC_RELAXED) == pending &&
           __atomic_load_n(&pending->entity, __ATOMIC_RELAXED) == entity;
}

/* ---- one document ---- */

/* As new: nothing of it is left from the document that had the record before. */
static void sink_begin(struct pending_sink *at, uint64_t acked)
{
    const size_t own = offsetof(struct pending_sink, attempts);
    memset((char *)at + own, 0, sizeof(*at) - own);
    pending_set_acked(at, acked);
    pending_set_hydrate(at, HYDRATE_NOT);
    __atomic_store_n(&at->state, PENDING_REST, __ATOMIC_RELEASE);
}

struct pending *pendings_take(struct pendings *pendings, struct entity *entity, uint64_t acked)
{
    if (entity->pending != NULL)
        return entity->pending;
    struct pending *pending = pool_take(&pendings->pool);
    ASSERT(pending != NULL); /* the caller asked pendings_room() */
    __atomic_store_n(&pending->entity, entity, __ATOMIC_RELAXED);
    pending->epoch = pending->wanted = pending->waiting_bytes = 0;
    pending->abandoned = false;
    for (unsigned sink = 0; sink < pendings->n_sinks; sink++)
        sink_begin(&pending->sinks[sink], acked);
    __atomic_store_n(&entity->pending, pending, __ATOMIC_RELEASE);
    return pending;
}

/* Is a state still to be read back before this sink may be written? */
static bool unread(const struct pendings *pendings, const struct pending *pending, unsigned sink)
{
    return pending->sinks[sink].hydrate != HYDRATE_NOT ||
           (pendings->hydrate >= 0 && pending->sinks[pendings->hydrate].hydrate != HYDRATE_NOT);
}

/* Puts the document, for one sink, where its version says it belongs. */
static void settle_sink(struct pendings *pendings, struct pending *pending, unsigned sink,
                        uint64_t now_us)
{
    struct pending_sink *at = &pending->sinks[sink];
    if (at->state == PENDING_FLYING)
        return;
    if (unread(pendings, pending, sink)) {
        leave_list(pendings, pending, sink);
        set_state(pendings, sink, at, PENDING_WAITING);
        return;
    }
    if (pending->entity->version > at->acked && !(pending->abandoned && at->holds == NULL)) {
        if (at->state == PENDING_REST || at->state == PENDING_WAITING)
            make_ready(pendings, pending, sink, false, now_us);
        return;
    }
    leave_list(pendings, pending, sink);
    set_state(pendings, sink, at, PENDING_REST);
    watermark_release(pendings->watermark, &at->holds);
}

static bool free_if_rested(struct pendings *pendings, struct pending *pending)
{
    for (unsigned sink = 0; sink < pendings->n_sinks; sink++)
        if (pending->sinks[sink].state != PENDING_REST)
            return false;
    if (pending->abandoned)
        pending->entity->epoch = 0;
    __atomic_store_n(&pending->entity->pending, NULL, __ATOMIC_RELEASE);
    pool_give(&pendings->pool, pending);
    return true;
}

bool pendings_settle(struct pendings *pendings, struct pending *pending, uint64_t now_us)
{
    for (unsigned sink = 0; sink < pendings->n_sinks; sink++)
        settle_sink(pendings, pending, sink, now_us);
    return free_if_rested(pendings, pending);
}

void pendings_touch(struct pendings *pendings, struct pending *pending, const struct change *change,
                    uint64_t now_us, bool held)
{
    pending->abandoned = !held;
    if (change->epoch > pending->epoch)
        pending->epoch = change->epoch;
    for (unsigned sink = 0; sink < pendings->n_sinks; sink++) {
        struct pending_sink *at = &pending->sinks[sink];
        bool behind = unread(pendings, pending, sink) || at->state == PENDING_FLYING ||
                      pending->entity->version > at->acked;
        if (behind && held)
            watermark_hold(pendings->watermark, sink, &at->holds, change);
        if (behind && at->source_us == 0)
            at->source_us = change->source_us;
        settle_sink(pendings, pending, sink, now_us);
    }
    (void)free_if_rested(pendings, pending);
}

void pendings_want_state(struct pendings *pendings, unsigned sink, struct pending *pending)
{
    ASSERT(pending->sinks[sink].hydrate == HYDRATE_NOT);
    pending_set_hydrate(&pending->sinks[sink], HYDRATE_QUEUED);
    for (unsigned i = 0; i < pendings->n_sinks; i++)
        if (unread(pendings, pending, i))
            settle_sink(pendings, pending, i, 0);
}

void pendings_stale(struct pendings *pendings, unsigned sink, struct pending *pending)
{
    struct pending_sink *at = &pending->sinks[sink];
    ASSERT(at->state == PENDING_FLYING);
    watermark_move(pendings->watermark, &at->flying_holds, &at->holds);
    at->refused = at->flying;
    at->ask_again = at->hydrate == HYDRATE_ASKED;
    at->flying = 0;
    at->attempts = 0;
    set_state(pendings, sink, at, PENDING_WAITING);
}

void pendings_forget(struct pendings *pendings, uint16_t partition, uint64_t now_us)
{
    for (unsigned sink = 0; sink < pendings->n_sinks; sink++) {
        struct hold *hold;
        while ((hold = watermark_first(pendings->watermark, sink, partition)) != NULL) {
            struct pending *pending =
                pool_at(&pendings->pool, pool_index(&pendings->pool, hold->chain));
            pending->abandoned = true;
            watermark_drop(pendings->watermark, hold);
            settle_sink(pendings, pending, sink, now_us);
            (void)free_if_rested(pendings, pending);
        }
    }
}

void pendings_bury(struct pendings *pendings, struct pending *pending)
{
    for (unsigned sink = 0; sink < pendings->n_sinks; sink++) {
        struct pending_sink *at = &pending->sinks[sink];
        ASSERT(at->state != PENDING_FLYING && at->hydrate == HYDRATE_NOT);
        leave_list(pendings, pending, sink);
        set_state(pendings, sink, at, PENDING_REST);
        watermark_release(pendings->watermark, &at->holds);
    }
    (void)free_if_rested(pendings, pending);
}

/* ---- a sink's queue ---- */

struct pending *pendings_ready(const struct pendings *pendings, unsigned sink)
{
    return pendings->queues[sink].ready.head;
}

struct pending_load pendings_load(const struct pendings *pendings, unsigned sink)
{
    const struct sink_queue *queue = &pendings->queues[sink];
    const struct pending *oldest = queue->ready.head;
    return (struct pending_load){ .ready = queue->n_ready,
                                  .bytes = queue->ready_bytes,
                                  .since_us = oldest != NULL ? oldest->sinks[sink].since_us : 0 };
}

uint64_t pendings_fly(struct pendings *pendings, unsigned sink, struct pending *pending,
                      uint64_t now_us)
{
    struct pending_sink *at = &pending->sinks[sink];
    ASSERT(at->state == PENDING_READY && at->flying_holds == NULL &&
           !unread(pendings, pending, sink));
    leave_list(pendings, pending, sink);
    uint64_t waited_us = now_us > at->since_us ? now_us - at->since_us : 0;
    set_state(pendings, sink, at, PENDING_FLYING);
    at->since_us = now_us;
    at->flying_source_us = at->source_us;
    at->source_us = 0;
    at->flying = pending->entity->version;
    watermark_move(pendings->watermark, &at->holds, &at->flying_holds);
    return waited_us;
}

void pendings_landed(struct pendings *pendings, unsigned sink, struct pending *pending,
                     uint64_t now_us)
{
    struct pending_sink *at = &pending->sinks[sink];
    ASSERT(at->state == PENDING_FLYING);
    if (at->flying > at->acked)
        pending_set_acked(at, at->flying);
    at->flying = 0;
    at->attempts = 0;
    set_state(pendings, sink, at, PENDING_REST);
    watermark_release(pendings->watermark, &at->flying_holds);
    settle_sink(pendings, pending, sink, now_us);
    (void)free_if_rested(pendings, pending);
}

void pendings_retry(struct pendings *pendings, unsigned sink, struct pending *pending,
                    uint64_t now_us, uint64_t delay_us)
{
    struct pending_sink *at = &pending->sinks[sink];
    ASSERT(at->state == PENDING_FLYING);
    watermark_move(pendings->watermark, &at->flying_holds, &at->holds);
    at->flying = 0;
    if (at->flying_source_us != 0)
        at->source_us = at->flying_source_us;
    if (unread(pendings, pending, sink)) {
        set_state(pendings, sink, at, PENDING_WAITING);
    } else if (pending->abandoned && at->holds == NULL) {
        set_state(pendings, sink, at, PENDING_REST);
        (void)free_if_rested(pendings, pending);
    } else if (delay_us == 0) {
        make_ready(pendings, pending, sink, true, now_us);
    } else {
        if (at->attempts < UINT8_MAX)
            at->attempts++;
        set_state(pendings, sink, at, PENDING_DELAYED);
        at->since_us = now_us + delay_us;
        list_append(delay_list(&pendings->queues[sink], at), pending, sink);
    }
}

uint64_t pendings_wake(struct pendings *pendings, unsigned sink, uint64_t now_us)
{
    struct sink_queue *queue = &pendings->queues[sink];
    uint64_t next_us = 0;
    for (unsigned level = 0; level < DELAY_LEVELS; level++) {
        struct pending *pending;
        while ((pending = queue->delayed[level].head) != NULL &&
               pending->sinks[sink].since_us <= now_us) {
            leave_list(pendings, pending, sink);
            make_ready(pendings, pending, sink, true, now_us);
        }
        if (pending != NULL && (next_us == 0 || pending->sinks[sink].since_us < next_us))
            next_us = pending->sinks[sink].since_us;
    }
    return next_us;
}
