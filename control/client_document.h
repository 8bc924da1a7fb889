/* client_document.h: a document in an answer, digit by digit as the node sent it. Pure. */
#ifndef WEIR_CONTROL_CLIENT_DOCUMENT_H
#define WEIR_CONTROL_CLIENT_DOCUMENT_H

#include "dataplane/base/check.h"
#include "dataplane/base/slice.h"

#include <stdbool.h>
#include <stdio.h>

/* The members of the answer to GET /v1/tasks/T/documents/KEY as they stand in it; empty: not there.
 * `document` is `null` where there is only a state. */
struct client_document {
    struct slice task, version, reading_back, document, rows, sinks;
};

/* False where the answer is not valid JSON or lacks the document, its rows or its sinks. */
MUST_CHECK bool client_document_cut(struct slice answer, struct client_document *parts);

/* JSON text, known to be valid, with line breaks and indentation. */
void client_document_print(FILE *out, struct slice json);

#endif
