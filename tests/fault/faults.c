/*
 * faults.c: a library that is loaded before all others (LD_PRELOAD) and lets the n-th call fail.
 *
 *     weir, libcurl, SQLite, ... ── send() ──► here ── counted; the n-th: -1 and errno ─┐
 *                                               └── all others ──► libc                │
 *                                                                                      ▼
 *     FAULT_REPORT, a file that is mapped: calls, failed, the places of the first that failed; or,
 *     where none is to fail, the way to each call
 *
 * Told by the environment: FAULT_CALL is one of the kinds below, FAULT_NTH which call of the
 * process fails (1 is the first; 0 or none: nothing fails, all is counted), FAULT_FOR_GOOD=1 that
 * all after it fail too, FAULT_ERRNO with which number. The report is in a mapping of a file, so it
 * outlives the process however that ends.
 *
 *     allocate    malloc, calloc, realloc, posix_memalign, aligned_alloc     of all libraries
 *     map         mmap, of memory as the data path reserves it, and of files
 *     open        open, openat, fopen, socket, socketpair, pipe, accept, eventfd, epoll_create1
 *     read        read, pread, of files
 *     write       write, writev, pwrite, of files but the standard ones
 *     sync        fsync, fdatasync
 *     truncate    ftruncate
 *     rename      rename, renameat, renameat2
 *     thread      pthread_create, thrd_create
 *     connect     connect
 *     send        send, sendto, sendmsg, write, writev, of sockets
 *     receive     recv, recvfrom, recvmsg, read, of sockets
 *     ring        io_uring_queue_init_params
 *     submit      liburing's calls that submit and wait, which then do neither
 *     poll        a poll that is handed to an io_uring, which then completes with EBADF
 *
 * liburing does without libc, so its own functions are taken. What is handed over lies in memory
 * until one of them submits it; a poll that is to fail gets a descriptor there that is none, so it
 * is the kernel that refuses it.
 *
 * What this does not see: what libc calls within itself, but for its allocations (stdio's writes,
 * the resolver's sockets). A call that fails does nothing: half a write that is done and reported
 * as an error is no part of this.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <threads.h>
#include <unistd.h>

#define PLACES       16
#define PLACES_BYTES (8192 - 16)
#define CALLS_MAX    65536
#define WAY_PLACES   5 /* so many callers tell two calls apart */

enum kind {
    ALLOCATE,
    MAP,
    OPEN,
    READ,
    WRITE,
    SYNC,
    TRUNCATE,
    RENAME,
    THREAD,
    CONNECT,
    SEND,
    RECEIVE,
    RING,
    SUBMIT,
    POLL,
    KINDS,
};

static const char *const kind_names[KINDS] = {
    [ALLOCATE] = "allocate", [MAP] = "map",         [OPEN] = "open",         [READ] = "read",
    [WRITE] = "write",       [SYNC] = "sync",       [TRUNCATE] = "truncate", [RENAME] = "rename",
    [THREAD] = "thread",     [CONNECT] = "connect", [SEND] = "send",         [RECEIVE] = "receive",
    [RING] = "ring",         [SUBMIT] = "submit",   [POLL] = "poll",
};

/* The file's bytes: tests/fault/run reads them so. */
struct report {
    _Atomic uint64_t calls, failed;
    char places[PLACES_BYTES]; /* "module+0xoffset\n", innermost first */
    struct way {
        uint32_t caller, callers; /* the innermost, and all of them, each as one number */
    } ways[CALLS_MAX];
};

static enum kind fails = KINDS; /* KINDS: nothing is counted yet */
static uint64_t nth;
static bool for_good;
static int error;
static struct report nowhere;
static struct report *report = &nowhere;

/* libc's own, which need no search: dlsym() itself allocates. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

/* ---- what fails ---- */

/* The callers of the first call that fails. An allocation of these functions' own would count:
 * they were called once at the start, when nothing was counted, and allocate nothing since. */
static void tell_places(void)
{
    void *places[PLACES];
    int n = backtrace(places, PLACES);
    size_t len = 0;

    for (int i = 2; i < n; i++) { /* Without this function and fault(). */
        Dl_info where;
        const char *name;

        if (dladdr(places[i], &where) == 0 || where.dli_fname == NULL)
            continue;
        name = strrchr(where.dli_fname, '/');
        int wrote = snprintf(report->places + len, sizeof(report->places) - len, "%s+0x%zx\n",
                             name != NULL ? name + 1 : where.dli_fname,
                             (size_t)((char *)places[i] - (char *)where.dli_fbase));
        if (wrote < 0 || len + (size_t)wrote >= sizeof(report->places))
            return;
        len += (size_t)wrote;
    }
}

/* Callers that are the same give the same numbers, within one process. */
static void tell_way(uint64_t call)
{
    void *places[2 + WAY_PLACES];
    int n = backtrace(places, 2 + WAY_PLACES);
    uint64_t sum = UINT64_C(0xcbf29ce484222325); /* FNV-1a, on whole addresses */
    struct way way = { 0 };

    if (call > CALLS_MAX)
        return;
    for (int i = 2; i < n; i++) {
        sum = (sum ^ (uintptr_t)places[i]) * UINT64_C(0x100000001b3);
        way.callers = (uint32_t)(sum ^ sum >> 32);
        if (i == 2)
            way.caller = way.callers;
    }
    report->ways[call - 1] = way;
}

/* Counts a call. True: it is to fail, and errno says how. */
static __attribute__((noinline)) bool fault(enum kind kind)
{
    uint64_t call;

    if (kind != fails)
        return false;
    call = atomic_fetch_add(&report->calls, 1) + 1;
    if (nth == 0)
        tell_way(call);
    if (nth == 0 || call < nth || (call > nth && !for_good))
        return false;
    if (atomic_fetch_add(&report->failed, 1) == 0)
        tell_places();
    errno = error;
    return true;
}

static bool is_socket(int fd)
{
    struct stat stat;
    int before = errno;
    bool is = fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode);

    errno = before;
    return is;
}

static bool is_file(int fd)
{
    struct stat stat;
    int before = errno;
    bool is = fd > STDERR_FILENO && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);

    errno = before;
    return is;
}

static bool fault_of(int fd, enum kind of_file, enum kind of_socket)
{
    if (fails == of_file)
        return is_file(fd) && fault(of_file);
    return fails == of_socket && is_socket(fd) && fault(of_socket);
}

/* ---- the start ---- */

static void refuse(const char *why)
{
    (void)!write(STDERR_FILENO, why, strlen(why));
    _exit(125);
}

static struct report *map_report(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *bytes = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof(struct report)) == 0)
        bytes = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        refuse("faults: FAULT_REPORT cannot be written\n");
    (void)close(fd);
    return bytes;
}

static uint64_t number(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static __attribute__((constructor)) void faults_open(void)
{
    const char *path = getenv("FAULT_REPORT"), *call = getenv("FAULT_CALL");
    void *places[PLACES];
    unsigned kind = 0;

    if (path == NULL || call == NULL)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* tests/fault/run may be killed */
    report = map_report(path);
    nth = number("FAULT_NTH");
    for_good = number("FAULT_FOR_GOOD") != 0;
    error = (int)number("FAULT_ERRNO");
    (void)backtrace(places, PLACES); /* It loads a library the first time. */
    while (kind < KINDS && strcmp(kind_names[kind], call) != 0)
        kind++;
    if (kind == KINDS)
        refuse("faults: there is no such FAULT_CALL\n");
    fails = (enum kind)kind;
}

/* ---- memory ---- */

void *malloc(size_t bytes)
{
    return fault(ALLOCATE) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    return fault(ALLOCATE) ? NULL : __libc_calloc(n, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return fault(ALLOCATE) ? NULL : __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return fault(ALLOCATE) ? NULL : __libc_memalign(alignment, bytes);
}

int posix_memalign(void **at, size_t alignment, size_t bytes)
{
    void *got = fault(ALLOCATE) ? NULL : __libc_memalign(alignment, bytes);

    if (got == NULL)
        return ENOMEM;
    *at = got;
    return 0;
}

/* ---- the other calls: each asks first, and then does what libc's does ---- */

/* libc's function of this name. Looked for at each call: that is slow, and enough for a test. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (fault(MAP))
        return MAP_FAILED;
    return NEXT(mmap)(at, bytes, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
    if (fault(MAP))
        return MAP_FAILED;
    return NEXT(mmap64)(at, bytes, protection, flags, fd, offset);
}

static mode_t mode_of(int flags, va_list more)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
}

#define OPEN_MODE(flags, mode) \
    do { \
        va_list more; \
        va_start(more, flags); \
        mode = mode_of(flags, more); \
        va_end(more); \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode;

    OPEN_MODE(flags, mode);
    return fault(OPEN) ? -1 : NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode;

    OPEN_MODE(flags, mode);
    return fault(OPEN) ? -1 : NEXT(open64)(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    mode_t mode;

    OPEN_MODE(flags, mode);
    return fault(OPEN) ? -1 : NEXT(openat)(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    mode_t mode;

    OPEN_MODE(flags, mode);
    return fault(OPEN) ? -1 : NEXT(openat64)(folder, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return fault(OPEN) ? NULL : NEXT(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return fault(OPEN) ? NULL : NEXT(fopen64)(path, mode);
}

int socket(int domain, int type, int protocol)
{
    return fault(OPEN) ? -1 : NEXT(socket)(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    return fault(OPEN) ? -1 : NEXT(socketpair)(domain, type, protocol, fds);
}

int pipe(int fds[2])
{
    return fault(OPEN) ? -1 : NEXT(pipe)(fds);
}

int accept(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return fault(OPEN) ? -1 : NEXT(accept)(fd, address, bytes);
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
    return fault(OPEN) ? -1 : NEXT(accept4)(fd, address, bytes, flags);
}

int eventfd(unsigned count, int flags)
{
    return fault(OPEN) ? -1 : NEXT(eventfd)(count, flags);
}

int epoll_create1(int flags)
{
    return fault(OPEN) ? -1 : NEXT(epoll_create1)(flags);
}

ssize_t read(int fd, void *to, size_t room)
{
    return fault_of(fd, READ, RECEIVE) ? -1 : NEXT(read)(fd, to, room);
}

ssize_t pread(int fd, void *to, size_t room, off_t at)
{
    return fault_of(fd, READ, KINDS) ? -1 : NEXT(pread)(fd, to, room, at);
}

ssize_t pread64(int fd, void *to, size_t room, off64_t at)
{
    return fault_of(fd, READ, KINDS) ? -1 : NEXT(pread64)(fd, to, room, at);
}

ssize_t write(int fd, const void *from, size_t bytes)
{
    return fault_of(fd, WRITE, SEND) ? -1 : NEXT(write)(fd, from, bytes);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    return fault_of(fd, WRITE, SEND) ? -1 : NEXT(writev)(fd, parts, n);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at)
{
    return fault_of(fd, WRITE, KINDS) ? -1 : NEXT(pwrite)(fd, from, bytes, at);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at)
{
    return fault_of(fd, WRITE, KINDS) ? -1 : NEXT(pwrite64)(fd, from, bytes, at);
}

int fsync(int fd)
{
    return fault(SYNC) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return fault(SYNC) ? -1 : NEXT(fdatasync)(fd);
}

int ftruncate(int fd, off_t bytes)
{
    return fault(TRUNCATE) ? -1 : NEXT(ftruncate)(fd, bytes);
}

int ftruncate64(int fd, off64_t bytes)
{
    return fault(TRUNCATE) ? -1 : NEXT(ftruncate64)(fd, bytes);
}

int rename(const char *from, const char *to)
{
    return fault(RENAME) ? -1 : NEXT(rename)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return fault(RENAME) ? -1 : NEXT(renameat)(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return fault(RENAME) ? -1 : NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}

/* It returns its error. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *context)
{
    return fault(THREAD) ? error : NEXT(pthread_create)(thread, attributes, run, context);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *context)
{
    return fault(THREAD) ? thrd_nomem : NEXT(thrd_create)(thread, run, context);
}

/* ---- sockets ---- */

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
    return fault(CONNECT) ? -1 : NEXT(connect)(fd, address, bytes);
}

ssize_t send(int fd, const void *from, size_t bytes, int flags)
{
    return fault(SEND) ? -1 : NEXT(send)(fd, from, bytes, flags);
}

ssize_t sendto(int fd, const void *from, size_t bytes, int flags, const struct sockaddr *address,
               socklen_t address_bytes)
{
    return fault(SEND) ? -1 : NEXT(sendto)(fd, from, bytes, flags, address, address_bytes);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return fault(SEND) ? -1 : NEXT(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *to, size_t room, int flags)
{
    return fault(RECEIVE) ? -1 : NEXT(recv)(fd, to, room, flags);
}

ssize_t recvfrom(int fd, void *to, size_t room, int flags, struct sockaddr *address,
                 socklen_t *address_bytes)
{
    return fault(RECEIVE) ? -1 : NEXT(recvfrom)(fd, to, room, flags, address, address_bytes);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return fault(RECEIVE) ? -1 : NEXT(recvmsg)(fd, message, flags);
}

/* ---- io_uring: these return their errors ---- */

/* Spoils polls that are about to be submitted. */
static void fault_polls(struct io_uring *ring)
{
    struct io_uring_sq *queue = &ring->sq;

    if (fails != POLL)
        return;
    for (unsigned at = queue->sqe_head; at != queue->sqe_tail; at++) {
        struct io_uring_sqe *request = &queue->sqes[at & queue->ring_mask];

        if (request->opcode == IORING_OP_POLL_ADD && fault(POLL))
            request->fd = -1;
    }
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                               struct io_uring_params *params)
{
    return fault(RING) ? -error : NEXT(io_uring_queue_init_params)(entries, ring, params);
}

int io_uring_submit_and_get_events(struct io_uring *ring)
{
    fault_polls(ring);
    return fault(SUBMIT) ? -error : NEXT(io_uring_submit_and_get_events)(ring);
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **completion,
                                     unsigned n, struct __kernel_timespec *timeout,
                                     sigset_t *signals)
{
    fault_polls(ring);
    return fault(SUBMIT)
               ? -error
               : NEXT(io_uring_submit_and_wait_timeout)(ring, completion, n, timeout, signals);
}
