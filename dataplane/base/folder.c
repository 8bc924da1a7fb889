/* folder.c: see folder.h. */
#include "dataplane/base/folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int folder_make_above(const char *path, mode_t mode, char *failed, size_t size)
{
    size_t len = strlen(path);

    if (len >= size)
        return -ENAMETOOLONG;
    memcpy(failed, path, len + 1);
    for (char *slash = len > 0 ? strchr(failed + 1, '/') : NULL; slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(failed, mode) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}
