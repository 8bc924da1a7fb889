/*
 * value_type.c: what events call a type, and the rule that its values follow.
 *
 * Two tables: the first word of canal's `mysqlType` (which is the column's type as the database
 * spells it), and the names of Connect's semantic types. A name that is in neither keeps its values
 * as they are: text, enum, set, dates of canal; numbers, strings, ZonedTimestamp, Enum, EnumSet,
 * Year, plain bytes of Debezium.
 */
#include "dataplane/value.h"

struct type_name {
    const char *name;
    enum value_kind kind;
};

static const struct type_name mysql_types[] = {
    { "tinyint", VALUE_NUMBER },
    { "smallint", VALUE_NUMBER },
    { "mediumint", VALUE_NUMBER },
    { "int", VALUE_NUMBER },
    { "integer", VALUE_NUMBER },
    { "bigint", VALUE_NUMBER },
    { "float", VALUE_NUMBER },
    { "double", VALUE_NUMBER },
    { "real", VALUE_NUMBER },
    { "decimal", VALUE_NUMBER },
    { "dec", VALUE_NUMBER },
    { "fixed", VALUE_NUMBER },
    { "numeric", VALUE_NUMBER },
    { "bit", VALUE_NUMBER },
    { "bool", VALUE_NUMBER },
    { "boolean", VALUE_NUMBER },
    { "year", VALUE_NUMBER },
    { "json", VALUE_JSON },
    { "tinyblob", VALUE_LATIN1 },
    { "blob", VALUE_LATIN1 },
    { "mediumblob", VALUE_LATIN1 },
    { "longblob", VALUE_LATIN1 },
    { "binary", VALUE_LATIN1 },
    { "varbinary", VALUE_LATIN1 },
    { "vector", VALUE_LATIN1 },
    { "geometry", VALUE_LATIN1 },
    { "point", VALUE_LATIN1 },
    { "linestring", VALUE_LATIN1 },
    { "polygon", VALUE_LATIN1 },
    { "multipoint", VALUE_LATIN1 },
    { "multilinestring", VALUE_LATIN1 },
    { "multipolygon", VALUE_LATIN1 },
    { "geometrycollection", VALUE_LATIN1 },
    { "geomcollection", VALUE_LATIN1 },
};

static const struct type_name connect_types[] = {
    { "org.apache.kafka.connect.data.Decimal", VALUE_DECIMAL },
    { "io.debezium.data.VariableScaleDecimal", VALUE_VARIABLE_DECIMAL },
    { "io.debezium.data.Bits", VALUE_BITS },
    { "io.debezium.data.Json", VALUE_JSON },
    { "io.debezium.time.Date", VALUE_DATE },
    { "org.apache.kafka.connect.data.Date", VALUE_DATE },
    { "io.debezium.time.Timestamp", VALUE_TIMESTAMP_MS },
    { "org.apache.kafka.connect.data.Timestamp", VALUE_TIMESTAMP_MS },
    { "io.debezium.time.MicroTimestamp", VALUE_TIMESTAMP_US },
    { "io.debezium.time.NanoTimestamp", VALUE_TIMESTAMP_NS },
    { "io.debezium.time.Time", VALUE_TIME_MS },
    { "org.apache.kafka.connect.data.Time", VALUE_TIME_MS },
    { "io.debezium.time.MicroTime", VALUE_TIME_US },
    { "io.debezium.time.NanoTime", VALUE_TIME_NS },
};

static enum value_kind find(const struct type_name *types, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++)
        if (slice_equal(slice_of(types[i].name), name))
            return types[i].kind;
    return VALUE_AS_IS;
}

struct value_type value_type_mysql(struct slice type)
{
    char word[24]; /* longer than any name */
    size_t n = 0, from = 0;

    while (from < type.len && type.data[from] == ' ')
        from++;
    for (; from + n < type.len && n < sizeof(word); n++) {
        char lower = (char)(type.data[from + n] | 0x20);

        if (lower < 'a' || lower > 'z')
            break;
        word[n] = lower;
    }
    return (struct value_type){
        .kind = (uint8_t)find(mysql_types, sizeof(mysql_types) / sizeof(mysql_types[0]),
                              (struct slice){ word, n }),
    };
}

struct value_type value_type_connect(struct slice name, int64_t scale)
{
    enum value_kind kind =
        find(connect_types, sizeof(connect_types) / sizeof(connect_types[0]), name);

    if (kind != VALUE_DECIMAL)
        return (struct value_type){ .kind = (uint8_t)kind };
    if (scale > VALUE_SCALE_MAX || scale < -VALUE_SCALE_MAX)
        return (struct value_type){ .kind = VALUE_AS_IS };
    return (struct value_type){ .kind = VALUE_DECIMAL, .scale = (int16_t)scale };
}
