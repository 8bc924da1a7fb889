/*
 * client_print.h: the admin server's answers as people read them.
 *
 * Each takes the JSON text of one answer. 0, or -1 where it is not the JSON that it should be (then
 * something may have been printed). One thread, uses the heap.
 */
#ifndef WEIR_CONTROL_CLIENT_PRINT_H
#define WEIR_CONTROL_CLIENT_PRINT_H

#include "dataplane/base/check.h"
#include "dataplane/base/slice.h"

#include <stdio.h>

/* GET /v1/status */
MUST_CHECK int client_print_status(FILE *out, struct slice answer);

/* GET /v1/tasks/T */
MUST_CHECK int client_print_task(FILE *out, struct slice answer);

/* GET /v1/lag */
MUST_CHECK int client_print_lag(FILE *out, struct slice answer);

/* GET /v1/tasks/T/documents/KEY: the document to `out`, what weir knows about it to `notes`. */
MUST_CHECK int client_print_document(FILE *out, FILE *notes, struct slice answer);

#endif
