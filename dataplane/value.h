/*
 * value.h: a database value as an event carries it, made into the document's JSON text.
 *
 * What a value becomes is the contract with users (docs/CONFIGURATION.md). What needs no conversion
 * stays a slice of the event; what does is written into the arena. A value that is not what its
 * type promises is never an error: it stays as the event has it.
 */
#ifndef WEIR_VALUE_H
#define WEIR_VALUE_H

#include "dataplane/base/arena.h"
#include "dataplane/base/json.h"

#include <stdint.h>

/* The document adds levels of its own around a value, and must still be readable when it comes
 * back. */
#define VALUE_DEPTH_MAX 120

/* Longer decimals stay base64 text: MySQL's have 65 digits, and the conversion's cost grows with
 * the square. */
#define VALUE_DECIMAL_BYTES_MAX 1024
#define VALUE_SCALE_MAX         1024

enum value_kind {
    VALUE_AS_IS,
    /* canal: text, and mysqlType says what it was */
    VALUE_NUMBER, /* digits */
    VALUE_JSON,   /* JSON in a text; Debezium's Json too */
    VALUE_LATIN1, /* bytes, each one code point */
    /* Debezium and Kafka Connect: semantic types */
    VALUE_DECIMAL,          /* base64 of a big-endian two's complement; the scale is the type's */
    VALUE_VARIABLE_DECIMAL, /* {"scale": ..., "value": base64} */
    VALUE_BITS,             /* base64 of little-endian bytes */
    VALUE_DATE,             /* days since 1970 */
    VALUE_TIMESTAMP_MS,     /* since 1970 */
    VALUE_TIMESTAMP_US,
    VALUE_TIMESTAMP_NS,
    VALUE_TIME_MS, /* since midnight; negative and over 24 h too */
    VALUE_TIME_US,
    VALUE_TIME_NS,
};

struct value_type {
    uint8_t kind;  /* enum value_kind */
    int16_t scale; /* VALUE_DECIMAL: -VALUE_SCALE_MAX..VALUE_SCALE_MAX */
};

enum value_result {
    VALUE_OK,
    VALUE_NO_ROOM,  /* the arena is full */
    VALUE_TOO_DEEP, /* an array or object nested deeper than VALUE_DEPTH_MAX */
};

/* The type that canal's `mysqlType` text names ("BIGINT unsigned", any case). */
struct value_type value_type_mysql(struct slice type);

/* The type behind a Connect schema's `name` ("io.debezium.time.Date"); `scale` counts for decimals
 * alone. */
struct value_type value_type_connect(struct slice name, int64_t scale);

/* *text becomes valid JSON without a raw newline: a slice of value->raw or of the arena. The value
 * must have been scanned. Any thread that owns the arena. */
MUST_CHECK enum value_result value_text(struct value_type type, const struct json_value *value,
                                        struct arena *arena, struct slice *text);

/* Is it Debezium's mark for "this column is not in the image" (as text, or its base64)? */
bool value_unavailable(const struct json_value *value);

/* A whole number in decimal digits with an optional minus, nothing else; false where it is not one
 * or does not fit. */
MUST_CHECK bool value_integer(struct slice digits, int64_t *number);

/* Internal to value*.c: 0 < bytes written to `out`, 0 where the value is not what the type
 * promises. */
#define VALUE_TIME_TEXT_BYTES    64
#define VALUE_DECIMAL_TEXT_BYTES (VALUE_DECIMAL_BYTES_MAX * 5 / 2 + VALUE_SCALE_MAX + 16)
size_t value_time_text(enum value_kind kind, int64_t number, char out[VALUE_TIME_TEXT_BYTES]);
size_t value_decimal_text(const unsigned char *bytes, size_t len, int scale,
                          char out[VALUE_DECIMAL_TEXT_BYTES]);

#endif
