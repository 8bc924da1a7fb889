/* folder.h: folders on the disk, at start. */
#ifndef WEIR_BASE_FOLDER_H
#define WEIR_BASE_FOLDER_H

#include "dataplane/base/check.h"

#include <sys/types.h>

/* Makes those of the folders above `path` that are missing, with `mode` (less the umask). Any
 * thread; 0, or -errno with `failed` (of `size` bytes) the folder that could not be made. */
MUST_CHECK int folder_make_above(const char *path, mode_t mode, char *failed, size_t size);

#endif
