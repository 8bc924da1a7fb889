/* schema_table.h: what the schema's tables are written with. Internal to schema*.c. */
#ifndef WEIR_CONFIG_SCHEMA_TABLE_H
#define WEIR_CONFIG_SCHEMA_TABLE_H

#include "config/schema.h"

#include <stddef.h>

#define FIELD(type, member) .offset = offsetof(struct type, member)
#define KEYS(table)         .keys = (table), .n_keys = sizeof(table) / sizeof((table)[0])

enum { KIB = 1 << 10, MIB = 1 << 20, GIB = 1 << 30 };

#define MS     UINT64_C(1000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* schema_sinks.c: what stands under a sink's name. */
extern const struct schema_group schema_sink;

#endif
