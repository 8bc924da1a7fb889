/* inspect.h: may an SQLite file be written where the config wants it? Internal to drivers/sqlite.
 */
#ifndef WEIR_SQLITE_INSPECT_H
#define WEIR_SQLITE_INSPECT_H

#include "dataplane/finding.h"

/* Control thread. Opens and creates nothing. */
void sqlite_inspect(const char *path, struct findings *findings);

#endif
