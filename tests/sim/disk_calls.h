/* disk_calls.h: included first where the kernel's calls are to be the modelled disk's (disk.h). */
#ifndef WEIR_SIM_DISK_CALLS_H
#define WEIR_SIM_DISK_CALLS_H

#include "dataplane/dead_letter.h" /* before its members' names mean something else */
#include "tests/sim/disk.h"

#include <fcntl.h>
#include <unistd.h>

#define open(...)            disk_open(__VA_ARGS__)
#define write(fd, bytes, n)  disk_write(fd, bytes, n)
#define pread(fd, to, n, at) disk_pread(fd, to, n, at)
#define fstat(fd, stat)      disk_fstat(fd, stat)
#define fdatasync(fd)        disk_fdatasync(fd)
#define fsync(fd)            disk_fsync(fd)
#define close(fd)            disk_close(fd)

#endif
