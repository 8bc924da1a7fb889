/*
 * generate: canal events by the million, the same for the same seed.
 *
 *     generate --events N --orders M [--partitions P] [--only K] [--seed S] [--topic T]
 *              [--lines plain|keyed|kcat]
 *
 * Orders over the four shop tables, about 650 bytes an event, as canal's flat messages: updates
 * with full images, and now and then a deleted item. An event's order says its partition; --only K
 * prints that partition alone.
 *
 *     plain   the event                       for the file source
 *     keyed   ORDER \x01 event                for kcat -P -K
 *     kcat    {"topic":..,"payload":".."}     as kcat -J prints it
 *
 * It knows no database: an event's values depend on the seed and its number only. Capture times
 * rise by 100 us an event, in whole milliseconds, from the first of January 2026.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum lines { LINES_PLAIN, LINES_KEYED, LINES_KCAT };

struct options {
    uint64_t events, orders, partitions, seed;
    int64_t only;
    const char *topic;
    enum lines lines;
};

struct event {
    uint64_t number, order, dice, capture_ms;
    bool delete;
    char text[2048];
    size_t length;
};

static const uint64_t first_order = UINT64_C(202601010000000000);
static const uint64_t first_ms = UINT64_C(1767225600000);
static const char *const words[] = { "plain", "\u6025",     "leave at door",
                                     "it's",  "\U0001F600", "\u8bf7\u5c3d\u5feb\u53d1\u8d27" };

/* splitmix64: every number from its index, so that any event can be made alone. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static unsigned pick(const struct event *event, unsigned salt, unsigned below)
{
    return (unsigned)(mix(event->dice + salt) % below);
}

static __attribute__((format(printf, 2, 3))) void put(struct event *event, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(event->text + event->length, sizeof(event->text) - event->length, format,
                      arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof(event->text) - event->length)
        abort();
    event->length += (size_t)n;
}

/* What canal says around the rows; `types` and `codes` are the members of mysqlType and sqlType. */
static void put_rest(struct event *event, const char *table, const char *key, const char *types,
                     const char *codes)
{
    const char *old = event->delete ? "null" : "[{\"update_time\":\"2026-01-01 00:00:00.000\"}]";
    put(event, "],\"database\":\"shop\",\"es\":%" PRIu64 "000,\"gtid\":\"\",\"id\":%" PRIu64,
        event->capture_ms / 1000, event->number);
    put(event, ",\"isDdl\":false,\"mysqlType\":{%s},\"old\":%s,\"pkNames\":[\"%s\"]", types, old,
        key);
    put(event,
        ",\"sql\":\"\",\"sqlType\":{%s},\"table\":\"%s\",\"ts\":%" PRIu64 ",\"type\":\"%s\"}",
        codes, table, event->capture_ms, event->delete ? "DELETE" : "UPDATE");
}

static void put_order(struct event *event)
{
    put(event, "\"tenant_id\":\"%u\",\"order_status\":\"%u\",\"total_amount\":\"%u.%04u\"",
        pick(event, 1, 9), pick(event, 2, 6), pick(event, 3, 100000), pick(event, 4, 10000));
    put(event,
        ",\"remark\":\"%s\",\"update_time\":\"2026-01-01 00:00:00.%03u\",\"version\":\"%u\"}",
        words[pick(event, 5, 6)], pick(event, 6, 1000), pick(event, 7, 100));
    put_rest(event, "tc_order", "order_no",
             "\"order_no\":\"BIGINT unsigned\",\"tenant_id\":\"INT\",\"order_status\":\"TINYINT\","
             "\"total_amount\":\"DECIMAL(18,4)\",\"remark\":\"VARCHAR(500)\","
             "\"update_time\":\"DATETIME(3)\",\"version\":\"INT\"",
             "\"order_no\":-5,\"tenant_id\":4,\"order_status\":-6,\"total_amount\":3,\"remark\":12,"
             "\"update_time\":93,\"version\":4");
}

static void put_buyer(struct event *event)
{
    put(event, "\"buyer_id\":\"%u\",\"buyer_name\":\"%s\",\"mobile\":\"138%08u\"",
        pick(event, 1, 1000000), words[pick(event, 2, 6)], pick(event, 3, 100000000));
    put(event, ",\"address\":null,\"update_time\":\"2026-01-01 00:00:00.%03u\"}",
        pick(event, 4, 1000));
    put_rest(
        event, "tc_order_buyer", "order_no",
        "\"order_no\":\"BIGINT unsigned\",\"buyer_id\":\"BIGINT\",\"buyer_name\":\"VARCHAR(64)\","
        "\"mobile\":\"VARCHAR(32)\",\"address\":\"VARCHAR(255)\",\"update_time\":\"DATETIME(3)\"",
        "\"order_no\":-5,\"buyer_id\":-5,\"buyer_name\":12,\"mobile\":12,\"address\":12,"
        "\"update_time\":93");
}

static void put_item(struct event *event)
{
    unsigned which = pick(event, 1, 3);
    put(event, "\"id\":\"%" PRIu64 "\",\"sku_id\":\"%u\",\"sku_name\":\"sku %s\"",
        event->order * 4 + which, pick(event, 2, 10000), words[pick(event, 3, 6)]);
    put(event, ",\"quantity\":\"%u\",\"price\":\"%u.%02u\"", pick(event, 4, 9) + 1,
        pick(event, 5, 1000), pick(event, 6, 100));
    put(event, ",\"update_time\":\"2026-01-01 00:00:00.%03u\"}", pick(event, 7, 1000));
    event->delete = pick(event, 8, 16) == 0;
    put_rest(event, "tc_order_item", "id",
             "\"order_no\":\"BIGINT unsigned\",\"id\":\"BIGINT\",\"sku_id\":\"BIGINT\","
             "\"sku_name\":\"VARCHAR(200)\",\"quantity\":\"INT\",\"price\":\"DECIMAL(12,2)\","
             "\"update_time\":\"DATETIME(3)\"",
             "\"order_no\":-5,\"id\":-5,\"sku_id\":-5,\"sku_name\":12,\"quantity\":4,\"price\":3,"
             "\"update_time\":93");
}

static void put_pay(struct event *event)
{
    put(event, "\"pay_no\":\"P%016" PRIx64 "\",\"pay_channel\":\"%s\"", mix(event->dice + 1),
        pick(event, 2, 2) ? "wx" : "ali");
    put(event, ",\"pay_status\":\"%u\",\"pay_amount\":\"%u.%04u\",\"pay_time\":null",
        pick(event, 3, 4), pick(event, 4, 100000), pick(event, 5, 10000));
    put(event, ",\"update_time\":\"2026-01-01 00:00:00.%03u\"}", pick(event, 6, 1000));
    put_rest(
        event, "tc_order_pay", "order_no",
        "\"order_no\":\"BIGINT "
        "unsigned\",\"pay_no\":\"VARCHAR(64)\",\"pay_channel\":\"VARCHAR(16)\","
        "\"pay_status\":\"TINYINT\",\"pay_amount\":\"DECIMAL(18,4)\",\"pay_time\":\"DATETIME\","
        "\"update_time\":\"DATETIME(3)\"",
        "\"order_no\":-5,\"pay_no\":12,\"pay_channel\":12,\"pay_status\":-6,\"pay_amount\":3,"
        "\"pay_time\":93,\"update_time\":93");
}

static void event_make(struct event *event)
{
    unsigned table = pick(event, 0, 100);
    event->length = 0;
    event->delete = false;
    put(event, "{\"data\":[{\"order_no\":\"%" PRIu64 "\",", first_order + event->order);
    if (table < 40)
        put_order(event);
    else if (table < 75)
        put_item(event);
    else if (table < 90)
        put_pay(event);
    else
        put_buyer(event);
}

/* As the inside of a JSON string. The events hold no control characters. */
static void print_escaped(const struct event *event)
{
    for (size_t i = 0; i < event->length; i++) {
        if (event->text[i] == '"' || event->text[i] == '\\')
            putchar_unlocked('\\');
        putchar_unlocked(event->text[i]);
    }
}

static void event_print(const struct options *options, const struct event *event,
                        uint64_t partition, uint64_t offset)
{
    switch (options->lines) {
    case LINES_KEYED:
        printf("%" PRIu64 "\x01", first_order + event->order);
        break;
    case LINES_KCAT:
        printf("{\"topic\":\"%s\",\"partition\":%" PRIu64 ",\"offset\":%" PRIu64
               ",\"key\":\"%" PRIu64 "\",\"payload\":\"",
               options->topic, partition, offset, first_order + event->order);
        print_escaped(event);
        puts("\"}");
        return;
    case LINES_PLAIN:
        break;
    }
    fwrite(event->text, 1, event->length, stdout);
    putchar_unlocked('\n');
}

static int generate(const struct options *options)
{
    uint64_t *offsets = calloc(options->partitions, sizeof(*offsets));
    if (offsets == NULL)
        return 1;
    static struct event event;
    for (uint64_t i = 0; i < options->events; i++) {
        event.number = i;
        event.dice = mix(options->seed ^ mix(i));
        event.order = mix(event.dice + 1000) % options->orders;
        event.capture_ms = first_ms + i / 10;
        uint64_t partition = event.order % options->partitions;
        uint64_t offset = offsets[partition]++;
        if (options->only >= 0 && (uint64_t)options->only != partition)
            continue;
        event_make(&event);
        event_print(options, &event, partition, offset);
    }
    free(offsets);
    return fflush(stdout) != 0 || ferror(stdout);
}

static uint64_t number(const char *text, uint64_t least)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < least) {
        fprintf(stderr, "generate: %s is not a number of at least %" PRIu64 "\n", text, least);
        exit(64);
    }
    return value;
}

static enum lines lines_named(const char *name)
{
    static const char *const names[] = { "plain", "keyed", "kcat" };
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum lines)i;
    fprintf(stderr, "generate: --lines is plain, keyed or kcat\n");
    exit(64);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        { "events", required_argument, NULL, 'e' },     { "orders", required_argument, NULL, 'o' },
        { "partitions", required_argument, NULL, 'p' }, { "only", required_argument, NULL, 'k' },
        { "seed", required_argument, NULL, 's' },       { "topic", required_argument, NULL, 't' },
        { "lines", required_argument, NULL, 'l' },      { NULL, 0, NULL, 0 },
    };
    struct options options = { .events = 1000000,
                               .orders = 200000,
                               .partitions = 4,
                               .seed = 1,
                               .only = -1,
                               .topic = "trade",
                               .lines = LINES_PLAIN };
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (name == 'e')
            options.events = number(optarg, 0);
        else if (name == 'o')
            options.orders = number(optarg, 1);
        else if (name == 'p')
            options.partitions = number(optarg, 1);
        else if (name == 'k')
            options.only = (int64_t)number(optarg, 0);
        else if (name == 's')
            options.seed = number(optarg, 0);
        else if (name == 't')
            options.topic = optarg;
        else if (name == 'l')
            options.lines = lines_named(optarg);
        else
            return 64;
    }
    return generate(&options);
}
