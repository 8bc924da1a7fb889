/*
 * secret.c: `password: { file: /run/secrets/es }`.
 *
 * Secrets in files stay out of the config, of its history and of the process's environment. Editors
 * and `echo` end a file with a line break that is not part of the secret, so one is cut. The value
 * never appears in an error, and what is read is not printed by config_print().
 */
#include "config/secret.h"

#include "config/file_read.h"

#include <stdio.h>

const char *secret_read(struct config_chunk **memory, const char *path, char reason[200])
{
    struct slice bytes;
    if (file_read(memory, path, SECRET_BYTES_MAX, &bytes, reason) != 0)
        return NULL;
    if (bytes.len > 0 && bytes.data[bytes.len - 1] == '\n') {
        bytes.len--;
        if (bytes.len > 0 && bytes.data[bytes.len - 1] == '\r')
            bytes.len--;
    }
    if (bytes.len == 0) {
        snprintf(reason, 200, "is empty");
        return NULL;
    }
    if (memchr(bytes.data, '\0', bytes.len) != NULL) {
        snprintf(reason, 200, "holds a NUL byte");
        return NULL;
    }
    return chunk_text(memory, bytes.data, bytes.len);
}
