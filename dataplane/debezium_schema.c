/*
 * debezium_schema.c: schemas learned by heart.
 *
 *     {"type":"struct","fields":[
 *        {"type":"struct","field":"before","fields":[ ... ]},
 *        {"type":"struct","field":"after","fields":[
 *           {"type":"bytes", "name":"org.apache.kafka.connect.data.Decimal",
 *            "parameters":{"scale":"4"}, "field":"amount"},
 *           ... ]}, ...]}
 *                                        amount -> VALUE_DECIMAL, scale 4
 *
 * `before` and `after` say the same; both are read, so that either may be missing. The last used
 * schema is looked at first: most messages find theirs there, after one hash of the text.
 *
 * What this does not do: judge a schema. What it cannot make sense of it passes over, and values
 * stay as they are.
 */
#include "dataplane/debezium_schema.h"

#include "dataplane/base/memory.h"
#include "dataplane/columns.h"
#include "dataplane/envelope.h"

#include <xxhash.h>

struct schema {
    uint64_t hash;
    uint64_t used; /* when, by the count of look-ups; 0 = free */
    size_t len;    /* of the text */
    unsigned table;
    char *text;
    struct event_types types;
    struct value_type columns[COLUMNS_MAX];
};

struct debezium_schemas {
    const struct plan *plan;
    struct slice seqno_field;
    uint64_t now, learned;
    struct schema *last;
    struct schema schemas[DEBEZIUM_SCHEMAS_MAX];
};

struct debezium_schemas *debezium_schemas_open(const struct plan *plan, struct slice seqno_field)
{
    struct debezium_schemas *schemas = memory_reserve_virtual(sizeof(*schemas), "schemas");
    char *text =
        memory_reserve_virtual(DEBEZIUM_SCHEMAS_MAX * DEBEZIUM_SCHEMA_BYTES_MAX, "schema texts");

    schemas->plan = plan;
    schemas->seqno_field = seqno_field;
    schemas->last = &schemas->schemas[0];
    for (unsigned i = 0; i < DEBEZIUM_SCHEMAS_MAX; i++)
        schemas->schemas[i].text = text + i * DEBEZIUM_SCHEMA_BYTES_MAX;
    return schemas;
}

uint64_t debezium_schemas_learned(const struct debezium_schemas *schemas)
{
    return schemas->learned;
}

/* The scale of a Decimal: a text in Connect's JSON. */
static int64_t scale_of(const struct json_value *parameters)
{
    static const char *const names[] = { "scale" };
    struct json_value scale;
    struct slice digits;
    int64_t number;

    if (!envelope_is(parameters, JSON_OBJECT) ||
        envelope_members(parameters->raw, names, 1, &scale) >= 0 || !scale.raw.data)
        return INT64_MAX;
    digits = scale.raw;
    if (scale.type == JSON_STRING)
        digits = (struct slice){ digits.data + 1, digits.len - 2 };
    return value_integer(digits, &number) ? number : INT64_MAX;
}

/* One column: {"type":...,"name":...,"parameters":{...},"field":...} */
static void learn_column(struct debezium_schemas *schemas, struct schema *schema,
                         struct slice column)
{
    static const char *const names[] = { "field", "name", "parameters" };
    const struct plan_table *table = &schemas->plan->tables[schema->table];
    char field_text[ENVELOPE_NAME_BYTES_MAX], type_text[ENVELOPE_NAME_BYTES_MAX];
    struct slice field, type_name;
    struct json_value values[3];
    struct value_type type;
    uint16_t id;

    if (envelope_members(column, names, 3, values) >= 0 ||
        !envelope_text(&values[0], field_text, &field) ||
        !envelope_text(&values[1], type_text, &type_name))
        return;
    type = value_type_connect(type_name, scale_of(&values[2]));
    id = columns_intern(table->columns, field);
    if (id < COLUMNS_MAX)
        schema->columns[id] = type;
    if (slice_equal(field, schemas->plan->key))
        schema->types.names[EVENT_KEY] = type;
    if (slice_equal(field, table->many))
        schema->types.names[EVENT_ROW_ID] = type;
    if (slice_equal(field, schemas->seqno_field))
        schema->types.names[EVENT_SEQNO] = type;
}

/* The elements of `fields`, or none. */
static void open_fields(struct json *json, const struct json_value *fields)
{
    bool opened;

    json_open_scanned(json, envelope_is(fields, JSON_ARRAY) ? fields->raw : SLICE("[]"));
    opened = json_enter(json, JSON_ARRAY);
    ASSERT(opened);
}

static void learn_image(struct debezium_schemas *schemas, struct schema *schema, struct slice image)
{
    static const char *const names[] = { "field", "fields" };
    struct json_value values[2], column;
    struct json json;

    if (envelope_members(image, names, 2, values) >= 0 ||
        (!envelope_says(&values[0], "after") && !envelope_says(&values[0], "before")))
        return;
    open_fields(&json, &values[1]);
    while (json_element(&json, &column))
        if (column.type == JSON_OBJECT)
            learn_column(schemas, schema, column.raw);
}

static void learn(struct debezium_schemas *schemas, struct schema *schema, struct slice text)
{
    static const char *const names[] = { "fields" };
    struct json_value fields, image;
    struct json json;

    schemas->learned++;
    memset(schema->columns, 0, sizeof(schema->columns));
    schema->types = (struct event_types){ .columns = schema->columns, .unavailable = true };
    if (envelope_members(text, names, 1, &fields) >= 0)
        return;
    open_fields(&json, &fields);
    while (json_element(&json, &image))
        if (image.type == JSON_OBJECT)
            learn_image(schemas, schema, image.raw);
}

static bool schema_is(const struct schema *schema, uint64_t hash, struct slice text, unsigned table)
{
    return schema->used != 0 && schema->hash == hash && schema->table == table &&
           slice_equal((struct slice){ schema->text, schema->len }, text);
}

/* The kept schema with that text, or the one to give up for it. */
static struct schema *find(struct debezium_schemas *schemas, uint64_t hash, struct slice text,
                           unsigned table)
{
    struct schema *oldest = &schemas->schemas[0];

    if (schema_is(schemas->last, hash, text, table))
        return schemas->last;
    for (unsigned i = 0; i < DEBEZIUM_SCHEMAS_MAX; i++) {
        struct schema *schema = &schemas->schemas[i];

        if (schema_is(schema, hash, text, table))
            return schema;
        if (schema->used < oldest->used)
            oldest = schema;
    }
    return oldest;
}

const struct event_types *debezium_schemas_find(struct debezium_schemas *schemas, struct slice text,
                                                unsigned table)
{
    uint64_t hash = XXH3_64bits(text.data, text.len);
    struct schema *schema = find(schemas, hash, text, table);

    if (!schema_is(schema, hash, text, table)) {
        bool kept = text.len <= DEBEZIUM_SCHEMA_BYTES_MAX;

        schema->hash = hash;
        schema->table = table;
        schema->len = kept ? text.len : 0;
        if (kept)
            memcpy(schema->text, text.data, text.len);
        learn(schemas, schema, text);
    }
    schema->used = ++schemas->now;
    schemas->last = schema;
    return &schema->types;
}
