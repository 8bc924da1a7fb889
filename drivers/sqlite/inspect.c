/*
 * inspect.c: see inspect.h.
 *
 * SQLite keeps its journal beside the file, so the folder must be writable too. A folder that is
 * missing is made at start, below the nearest one that is there. Nothing is opened: even a reader
 * may leave files behind, and a running node may have the file locked.
 */
#include "drivers/sqlite/inspect.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The folder above; "." for a name without one. */
static void cut_last(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash)
        strcpy(path, ".");
    else
        slash[slash == path ? 1 : 0] = '\0';
}

void sqlite_inspect(const char *path, struct findings *findings)
{
    char folder[PATH_MAX];
    bool there = access(path, F_OK) == 0;

    if (there && access(path, R_OK | W_OK) != 0) {
        finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE, "give weir's user the right to write",
                     "the file %s cannot be written: %s", path, strerror(errno));
        return;
    }
    (void)snprintf(folder, sizeof(folder), "%s", path);
    do
        cut_last(folder);
    while (access(folder, F_OK) != 0 && strchr(folder, '/') && strcmp(folder, "/") != 0);
    if (access(folder, W_OK | X_OK) != 0) {
        finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE, "give weir's user the right to write",
                     "the folder %s, for %s, cannot be written: %s", folder, path, strerror(errno));
        return;
    }
    finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL, "the file %s %s", path,
                 there ? "is there and can be written" : "can be created");
}
