/*
 * debezium_schema.h: what the schemas that travel with Debezium's events say of the columns.
 *
 * A topic repeats a few schemas with every event. Each is read once, kept with a copy of its text,
 * and recognised by hash, length and bytes; when there are too many, the least recently used one
 * makes room. Bounded, reserved at open. One decoder's, so one thread's.
 */
#ifndef WEIR_DEBEZIUM_SCHEMA_H
#define WEIR_DEBEZIUM_SCHEMA_H

#include "dataplane/event_row.h"

#define DEBEZIUM_SCHEMAS_MAX 64
#define DEBEZIUM_SCHEMA_BYTES_MAX \
    ((size_t)1 << 20) /* a longer one is read with each event, and not kept */

struct debezium_schemas;

/* Start-up only. */
struct debezium_schemas *debezium_schemas_open(const struct plan *plan, struct slice seqno_field);

/* The types that a schema (a scanned object) gives the columns of a mapped table. Never NULL; what
 * the schema does not say is as it is. Valid until the next call. */
const struct event_types *debezium_schemas_find(struct debezium_schemas *schemas,
                                                struct slice schema, unsigned table);

/* How often a schema had to be read: for tests, and for who wonders about speed. */
uint64_t debezium_schemas_learned(const struct debezium_schemas *schemas);

#endif
