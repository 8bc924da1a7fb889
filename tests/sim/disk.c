/*
 * disk.c: see disk.h.
 *
 * Pages are small, so that letters have several: what reaches the platter does so page by page.
 * `now` is what a process reads, `kept` is the platter; `dirty` pages differ, and so do those
 * whose write failed, which the kernel calls clean.
 */
#include "tests/sim/disk.h"

#include "dataplane/base/check.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 8, FILE_FD = 1000, FOLDER_FD = 2000 };

#define PAGE_BYTES ((size_t)BLOCK_BYTES)

static struct disk {
    bool there, named; /* the file; its name is on the platter */
    bool full, failed;
    char *now, *kept;
    bool *dirty, *written; /* a page: `written` once it was on the platter */
    size_t bytes, kept_bytes, room;
} disks[NODES_MAX];

static struct disk *disk_of(int fd)
{
    int node = fd % FILE_FD;
    ASSERT((fd >= FILE_FD && fd < FILE_FD + NODES_MAX) ||
           (fd >= FOLDER_FD && fd < FOLDER_FD + NODES_MAX));
    return &disks[node];
}

static int fail(struct disk *disk, int error)
{
    disk->failed = true;
    errno = error;
    sim_trace("node %d's disk: %s", (int)(disk - disks), strerror(error));
    return -1;
}

static void *grown(void *block, size_t was, size_t bytes)
{
    char *larger = realloc(block, bytes);
    ASSERT(larger != NULL);
    memset(larger + was, 0, bytes - was);
    return larger;
}

static void make_room(struct disk *disk, size_t bytes)
{
    size_t room = disk->room > 0 ? disk->room : 64 * PAGE_BYTES;
    while (room < bytes)
        room *= 2;
    if (room == disk->room)
        return;
    disk->now = grown(disk->now, disk->room, room);
    disk->kept = grown(disk->kept, disk->room, room);
    disk->dirty = grown(disk->dirty, disk->room / PAGE_BYTES, room / PAGE_BYTES);
    disk->written = grown(disk->written, disk->room / PAGE_BYTES, room / PAGE_BYTES);
    disk->room = room;
}

/* ---- the kernel's calls ---- */

int disk_open(const char *path, int flags, ...)
{
    int node = sim_node_here();
    struct disk *disk = &disks[node];
    bool folder = flags & O_DIRECTORY;
    (void)path;
    if (!folder)
        disk->failed = disk->full = false;
    if (sim_chance(sim_dials()->disk_error))
        return fail(disk, EIO);
    if (folder)
        return FOLDER_FD + node;
    ASSERT((flags & O_APPEND) && (flags & O_CREAT));
    if (!disk->there && sim_chance(sim_dials()->disk_full))
        return fail(disk, ENOSPC);
    disk->there = true;
    return FILE_FD + node;
}

/* Some of it may be in the file though the rest does not fit. */
ssize_t disk_write(int fd, const void *bytes, size_t n)
{
    struct disk *disk = disk_of(fd);
    if (!disk->full && sim_chance(sim_dials()->disk_full)) {
        disk->full = true;
        n = sim_below((unsigned)n);
        if (n == 0)
            return fail(disk, ENOSPC);
    } else if (disk->full) {
        return fail(disk, ENOSPC);
    }
    make_room(disk, disk->bytes + n);
    memcpy(disk->now + disk->bytes, bytes, n);
    for (size_t page = disk->bytes / PAGE_BYTES; page * PAGE_BYTES < disk->bytes + n; page++)
        disk->dirty[page] = true;
    disk->bytes += n;
    return (ssize_t)n;
}

ssize_t disk_pread(int fd, void *bytes, size_t n, off_t at)
{
    struct disk *disk = disk_of(fd);
    if (sim_chance(sim_dials()->disk_error))
        return fail(disk, EIO);
    ASSERT(at >= 0 && (size_t)at + n <= disk->bytes);
    memcpy(bytes, disk->now + at, n);
    return (ssize_t)n;
}

int disk_fstat(int fd, struct stat *stat)
{
    *stat = (struct stat){ .st_mode = S_IFREG | 0640, .st_size = (off_t)disk_of(fd)->bytes };
    return 0;
}

static void write_page(struct disk *disk, size_t page)
{
    size_t at = page * PAGE_BYTES;
    memcpy(disk->kept + at, disk->now + at, PAGE_BYTES);
    disk->written[page] = true;
    disk->dirty[page] = false;
}

/* Writes each dirty page below `bytes` with that chance. */
static void write_pages(struct disk *disk, size_t bytes, unsigned per_mille)
{
    for (size_t page = 0; page * PAGE_BYTES < bytes; page++)
        if (disk->dirty[page] && sim_below(1000) < per_mille)
            write_page(disk, page);
}

static void grow_kept(struct disk *disk, size_t bytes)
{
    disk->kept_bytes = bytes > disk->kept_bytes ? bytes : disk->kept_bytes;
}

int disk_fdatasync(int fd)
{
    struct disk *disk = disk_of(fd);
    bool fails = sim_chance(4 * sim_dials()->disk_error); /* its loss shows seldom */
    write_pages(disk, disk->bytes, fails ? 500 : 1000);
    for (size_t page = 0; page * PAGE_BYTES < disk->bytes; page++)
        disk->dirty[page] = false; /* what failed is clean, too */
    if (!fails || sim_below(2))
        grow_kept(disk, disk->bytes);
    return fails ? fail(disk, EIO) : 0;
}

int disk_fsync(int fd)
{
    struct disk *disk = disk_of(fd);
    ASSERT(fd >= FOLDER_FD);
    if (sim_chance(sim_dials()->disk_error))
        return fail(disk, EIO);
    disk->named = true;
    return 0;
}

int disk_close(int fd)
{
    (void)disk_of(fd);
    return 0;
}

/* ---- what happens to it ---- */

/* Pages that the file's length covers and nobody ever wrote hold whatever was there. */
static void show_garbage(struct disk *disk)
{
    bool zeros = sim_below(2);
    for (size_t page = 0; page * PAGE_BYTES < disk->kept_bytes; page++) {
        if (disk->written[page])
            continue;
        for (size_t i = 0; i < PAGE_BYTES; i++)
            disk->kept[page * PAGE_BYTES + i] = zeros ? '\0' : (char)sim_below(256);
        disk->written[page] = true;
    }
}

static void lose_name(struct disk *disk)
{
    disk->there = false;
    disk->bytes = disk->kept_bytes = 0;
    if (disk->room > 0)
        memset(disk->written, 0, disk->room / PAGE_BYTES);
}

void disk_lose_power(unsigned node)
{
    struct disk *disk = &disks[node];
    size_t bytes = disk->bytes, pages = disk->room / PAGE_BYTES;
    enum { NOTHING, ALL, BEGINNING, SOME, WAYS } way = sim_below(WAYS);
    if (disk->there && !disk->named && sim_below(2))
        lose_name(disk);
    if (!disk->there)
        return;
    if (way == BEGINNING || way == SOME)
        bytes = (size_t)sim_between(disk->kept_bytes, disk->bytes);
    if (way != NOTHING) {
        write_pages(disk, bytes, way == SOME ? 500 : 1000);
        grow_kept(disk, bytes);
    }
    show_garbage(disk);
    sim_trace("node %u's disk kept %zu of %zu bytes, way %d", node, disk->kept_bytes, disk->bytes,
              (int)way);
    disk->bytes = disk->kept_bytes;
    disk->named = true;
    if (pages > 0) {
        memset(disk->dirty, 0, pages * sizeof(*disk->dirty));
        memcpy(disk->now, disk->kept, disk->bytes);
    }
}

bool disk_failed(unsigned node)
{
    return disks[node].failed;
}

struct slice disk_kept(unsigned node)
{
    const struct disk *disk = &disks[node];
    return (struct slice){ disk->kept, disk->there && disk->named ? disk->kept_bytes : 0 };
}
