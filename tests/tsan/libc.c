/*
 * libc.c: threads of glibc that ThreadSanitizer does not know, by those that it does.
 *
 *     librdkafka ── thrd_create, mtx_*, cnd_* ──► pthread_create, pthread_mutex_*, pthread_cond_*
 *     drivers    ── getaddrinfo_a ─────────────► a thread that asks getaddrinfo
 *
 * clang 14's ThreadSanitizer follows the pthread calls of all libraries, but not the C11 ones nor
 * the helper threads that glibc starts within itself: such a thread crashes at its first malloc,
 * and an order that such a lock makes is not seen. A program's own functions stand before glibc's
 * of the same name, also for the libraries that it uses, so each program of a build with
 * ThreadSanitizer has these.
 *
 * Each does what glibc's does, by the same means: a C11 mutex is a pthread mutex there, and of its
 * size.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mutex fits");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition fits");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "a thread is a thread");

static int result_of(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

/* ---- C11 threads ---- */

struct start {
    thrd_start_t function;
    void *argument;
};

static void *run(void *start_of)
{
    struct start start = *(struct start *)start_of;

    free(start_of);
    return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    struct start *start = malloc(sizeof(*start));
    int error;

    if (start == NULL)
        return thrd_nomem;
    *start = (struct start){ function, argument };
    error = pthread_create(thread, NULL, run, start);
    if (error != 0)
        free(start);
    return result_of(error);
}

int thrd_join(thrd_t thread, int *result)
{
    void *returned = NULL;
    int error = pthread_join(thread, &returned);

    if (error == 0 && result != NULL)
        *result = (int)(intptr_t)returned;
    return result_of(error);
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    int error;

    pthread_mutexattr_init(&attributes);
    if ((type & mtx_recursive) != 0)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result_of(error);
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int cnd_init(cnd_t *condition)
{
    return result_of(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

int cnd_signal(cnd_t *condition)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result_of(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return result_of(
        pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}

/* ---- names ---- */

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

static void *resolve(void *request_of)
{
    struct gaicb *request = request_of;
    struct addrinfo *found = NULL;
    int error = getaddrinfo(request->ar_name, request->ar_service, request->ar_request, &found);

    pthread_mutex_lock(&names_lock);
    request->ar_result = found;
    request->__return = error;
    pthread_mutex_unlock(&names_lock);
    return NULL;
}

int getaddrinfo_a(int mode, struct gaicb *requests[], int n, struct sigevent *event)
{
    pthread_t thread;

    if (mode != GAI_NOWAIT || n != 1 || event != NULL)
        abort(); /* nobody asks so */
    requests[0]->__return = EAI_INPROGRESS;
    if (pthread_create(&thread, NULL, resolve, requests[0]) != 0)
        return EAI_AGAIN;
    pthread_detach(thread);
    return 0;
}

int gai_error(struct gaicb *request)
{
    int error;

    pthread_mutex_lock(&names_lock);
    error = request->__return;
    pthread_mutex_unlock(&names_lock);
    return error;
}

/* Too late, always: the thread is at it. */
int gai_cancel(struct gaicb *request)
{
    return gai_error(request) == EAI_INPROGRESS ? EAI_NOTCANCELED : EAI_ALLDONE;
}
