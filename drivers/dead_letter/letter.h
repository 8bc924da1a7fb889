/*
 * letter.h: a dead letter as one JSON object, the same in a file's line and in a Kafka message.
 *
 *     {"time":"2026-11-21T13:00:00.000000Z","task":"orders","topic":"trade","partition":0,
 *      "offset":7,"reason":"bad_json","detail":"...","sink":"search","document_key":"...",
 *      "key":"...","headers":[{"name":"...","value":"..."}],"payload":"..."}
 *
 * Bytes that are valid UTF-8 are a JSON string; any others stand in base64 under the same name with
 * "_base64" put to it ("payload_base64"). Either way the original bytes can be had back exactly.
 * `key` and `payload` are always there, null where the message had none; `detail`, `sink`,
 * `document_key` and `headers` only where there are any.
 *
 * What is too large for the buffer even so (a message over `max_event` has its bytes cut before it
 * comes here; but a key, headers, or a document that a sink refused may be of any size) is cut, and
 * says so: "cut":true, and payload_bytes tells how many there were. One such letter must not stop
 * all others.
 */
#ifndef WEIR_DEAD_LETTER_LETTER_H
#define WEIR_DEAD_LETTER_LETTER_H

#include "dataplane/base/arena.h"
#include "dataplane/dead_letter.h"

/* How large a buffer must be for letters of payloads up to this: in base64 they grow by a third. */
#define LETTER_BYTES(payload_bytes_max) (2 * (size_t)(payload_bytes_max) + ((size_t)4 << 20))

/* The least that a letter's buffer may have. */
#define LETTER_BYTES_LEAST ((size_t)64 << 10)

/* Renders into the empty buffer, without a newline. A text that would not fit as a string (one of
 * control characters grows sixfold) is tried again in base64, then cut. */
void letter_render(struct buf *buf, const char *task, const struct dead_letter *letter);

#endif
