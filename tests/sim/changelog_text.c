/*
 * changelog_text.c: see changelog_text.h. canal writes values as texts and says their types beside
 * them, Debezium writes them as JSON.
 */
#include "tests/sim/changelog_text.h"

#include "dataplane/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
    char bytes[2 * EVENT_BYTES_MAX];
    size_t len;
} text;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text.bytes + text.len, sizeof(text.bytes) - text.len, format, arguments);
    va_end(arguments);
    ASSERT(n >= 0 && (size_t)n < sizeof(text.bytes) - text.len);
    text.len += (size_t)n;
}

static void say_z(unsigned bytes)
{
    ASSERT(bytes < sizeof(text.bytes) - text.len);
    memset(text.bytes + text.len, 'z', bytes);
    text.len += bytes;
}

static struct slice said(void)
{
    return (struct slice){ text.bytes, text.len };
}

static const char *table_of(const struct text_event *event)
{
    static const char *const names[] = { "root", "a", "b" };
    unsigned row = event->rows[0].row;
    return event->other ? "other" : row < ROW_ITEMS ? names[row] : "item";
}

static void say_columns(const struct log_row *row, const char *quote)
{
    for (unsigned c = 0; c < LOG_COLUMNS; c++) {
        if (!(row->has & 1u << c))
            continue;
        say(",\"%c\":", CHANGELOG_COLUMNS[c]);
        if (row->nulls & 1u << c) {
            say("null");
        } else if (c == COLUMN_Z) {
            say("\"");
            say_z(row->bytes);
            say("\"");
        } else {
            say("%s%u%s", quote, row->value + (c == COLUMN_W ? 2 : c), quote);
        }
    }
}

/* `key`: as which document's. */
static void say_image(const struct log_row *row, unsigned key, bool keyless, const char *quote)
{
    say("{");
    if (row->row >= ROW_ITEMS)
        say("\"id\":%s%u%s,", quote, changelog_item(row->key, row->row), quote);
    if (keyless)
        say("\"k\":null");
    else
        say("\"k\":\"k%u\"", key);
    say_columns(row, quote);
    say("}");
}

/* The end of a message. */
static void say_number(const struct text_event *event)
{
    if (event->number > 0)
        say(",\"n\":%llu", (unsigned long long)event->number);
    say("}");
}

static bool is_keyless(const struct text_event *event, unsigned row)
{
    return event->keyless && row == event->n - 1;
}

struct slice text_canal(const struct text_event *event)
{
    static const char *const types[] = { "INSERT", "UPDATE", "DELETE" };
    bool item = event->rows[0].row >= ROW_ITEMS;
    unsigned long long ms = event->ms;
    text.len = 0;
    say("{\"database\":\"t\",\"table\":\"%s\",\"type\":\"%s\",\"isDdl\":false,\"es\":%llu,"
        "\"ts\":%llu,\"pkNames\":[\"%s\"],\"mysqlType\":{%s\"k\":\"varchar(8)\",\"x\":\"int\","
        "\"y\":\"int\",\"z\":\"text\",\"w\":\"bigint unsigned\"},\"data\":[",
        table_of(event), types[event->op], ms, ms, item ? "id" : "k",
        item ? "\"id\":\"int\"," : "");
    for (unsigned i = 0; i < event->n; i++) {
        say(i > 0 ? "," : "");
        say_image(&event->rows[i], event->rows[i].key, is_keyless(event, i), "\"");
    }
    if (event->moved)
        say("],\"old\":[{\"k\":\"k%u\"}]", event->rows[0].key ^ 1);
    else
        say("],\"old\":null");
    say_number(event);
    return said();
}

struct slice text_debezium(const struct text_event *event)
{
    const struct log_row *row = &event->rows[0];
    unsigned long long ms = event->ms;
    ASSERT(event->n == 1);
    text.len = 0;
    say("{\"before\":");
    if (event->op == TEXT_INSERT)
        say("null");
    else
        say_image(row, event->moved ? row->key ^ 1 : row->key, event->keyless, "");
    say(",\"after\":");
    if (event->op == TEXT_DELETE)
        say("null");
    else
        say_image(row, row->key, event->keyless, "");
    say(",\"source\":{\"version\":\"3\",\"db\":\"t\",\"table\":\"%s\",\"ts_ms\":%llu},"
        "\"op\":\"%c\",\"ts_ms\":%llu",
        table_of(event), ms, "cud"[event->op], ms);
    say_number(event);
    return said();
}

struct slice text_ddl(bool debezium, uint64_t ms)
{
    text.len = 0;
    if (debezium)
        say("{\"source\":{\"db\":\"t\",\"table\":\"a\"},\"databaseName\":\"t\",\"ddl\":\"ALTER "
            "TABLE a ADD w INT\",\"tableChanges\":[],\"ts_ms\":%llu}",
            (unsigned long long)ms);
    else
        say("{\"database\":\"t\",\"table\":\"a\",\"type\":\"ALTER\",\"isDdl\":true,\"ts\":%llu,"
            "\"sql\":\"ALTER TABLE a ADD w INT\",\"data\":null,\"old\":null}",
            (unsigned long long)ms);
    return said();
}

struct slice text_giant(bool debezium, uint64_t ms)
{
    struct text_event event = { .op = TEXT_INSERT, .ms = ms, .n = 1 };
    event.rows[0] = (struct log_row){ .has = 1u << COLUMN_Z, .bytes = EVENT_BYTES_MAX + 1 };
    return debezium ? text_debezium(&event) : text_canal(&event);
}
