/*
 * kcat.c: from a line of `kcat -J` to what was in Kafka.
 *
 * The scanner checks the whole line once; strings without a backslash stay where they are, the
 * others are unescaped into the line's mirror (lines.h). A payload that is no string (kcat with a
 * deserialiser, or a hand-made line) is taken as the JSON text that it is. A member that comes
 * twice, an offset that is no offset, a topic that no topic can be called: the line does not say
 * what was in Kafka, and the caller hands it on as it stands, for the dead letters.
 *
 * What this does not do: look into key or payload.
 */
#include "drivers/file/kcat.h"

#include "dataplane/base/json.h"

enum member {
    MEMBER_TOPIC,
    MEMBER_PARTITION,
    MEMBER_OFFSET,
    MEMBER_TS,
    MEMBER_HEADERS,
    MEMBER_KEY,
    MEMBER_PAYLOAD,
    MEMBER_OTHER,
};

#define SEEN(member) (1u << (member))
#define SEEN_PLACE   (SEEN(MEMBER_TOPIC) | SEEN(MEMBER_PARTITION) | SEEN(MEMBER_OFFSET))
#define SEEN_MESSAGE (SEEN_PLACE | SEEN(MEMBER_PAYLOAD))
#define DIGITS_MAX   18 /* so that no number of that many digits overflows */

static enum member member_of(struct slice name)
{
    static const struct slice names[] = {
        [MEMBER_TOPIC] = { "topic", 5 },     [MEMBER_PARTITION] = { "partition", 9 },
        [MEMBER_OFFSET] = { "offset", 6 },   [MEMBER_TS] = { "ts", 2 },
        [MEMBER_HEADERS] = { "headers", 7 }, [MEMBER_KEY] = { "key", 3 },
        [MEMBER_PAYLOAD] = { "payload", 7 },
    };

    for (unsigned i = 0; i < MEMBER_OTHER; i++)
        if (slice_equal(name, names[i]))
            return (enum member)i;
    return MEMBER_OTHER;
}

/* A count: digits alone, no more than DIGITS_MAX and no more than `most`. */
static bool read_count(const struct json_value *value, int64_t most, int64_t *count)
{
    int64_t sum = 0;

    if (value->type != JSON_NUMBER || value->raw.len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < value->raw.len; i++) {
        char c = value->raw.data[i];

        if (c < '0' || c > '9')
            return false;
        sum = sum * 10 + (c - '0');
    }
    *count = sum;
    return sum <= most;
}

/* The bytes that a value stands for: a string's, nothing for null, else its own text. */
static struct slice read_bytes(const struct json_value *value, ptrdiff_t mirror)
{
    struct slice raw = value->raw;

    if (value->type == JSON_NULL)
        return (struct slice){ NULL, 0 };
    if (value->type != JSON_STRING)
        return raw;
    if (!value->escaped)
        return (struct slice){ raw.data + 1, raw.len - 2 };
    /* The mirror is a reservation of its own: the address is computed as a number, not within one
     * object. */
    char *text = (char *)((uintptr_t)raw.data + (uintptr_t)mirror);

    return (struct slice){ text, json_unescape(raw, text) };
}

static bool topic_ok(struct slice topic)
{
    return topic.len > 0 && topic.len < TOPIC_BYTES_MAX && !memchr(topic.data, '\0', topic.len);
}

/* False where the value is not what that member holds. */
static bool take_member(struct kcat *kcat, enum member member, const struct json_value *value,
                        ptrdiff_t mirror)
{
    int64_t count = -1;

    switch (member) {
    case MEMBER_TOPIC:
        kcat->topic = read_bytes(value, mirror);
        return value->type == JSON_STRING && topic_ok(kcat->topic);
    case MEMBER_PARTITION:
        if (!read_count(value, INT32_MAX, &count))
            return false;
        kcat->number = (int32_t)count;
        return true;
    case MEMBER_OFFSET:
        return read_count(value, INT64_MAX - 1, &kcat->offset);
    case MEMBER_TS:
        if (!read_count(value, INT64_MAX, &kcat->timestamp_ms))
            kcat->timestamp_ms = -1; /* kcat writes -1 where the broker has none. */
        return true;
    case MEMBER_HEADERS:
        if (value->type == JSON_ARRAY)
            kcat->headers = value->raw;
        return value->type == JSON_ARRAY || value->type == JSON_NULL;
    case MEMBER_KEY:
        kcat->key = read_bytes(value, mirror);
        return true;
    case MEMBER_PAYLOAD:
        kcat->payload = read_bytes(value, mirror);
        return true;
    case MEMBER_OTHER:
        return true;
    }
    return false;
}

bool kcat_read(struct slice line, ptrdiff_t mirror, struct kcat *kcat)
{
    struct json json;
    struct json_value value;
    struct slice name;
    unsigned seen = 0, bad = 0;
    bool escaped;

    *kcat = (struct kcat){ .timestamp_ms = -1 };
    json_open(&json, line);
    if (json_enter(&json, JSON_OBJECT)) {
        while (json_member(&json, &name, &escaped, &value)) {
            enum member member = escaped ? MEMBER_OTHER : member_of(name);

            if (member == MEMBER_OTHER)
                continue;
            if ((seen & SEEN(member)) != 0 || !take_member(kcat, member, &value, mirror))
                bad |= SEEN(member);
            seen |= SEEN(member);
        }
    }
    kcat->placed = (seen & SEEN_PLACE) == SEEN_PLACE && (bad & SEEN_PLACE) == 0;
    return json_end(&json) && bad == 0 && (seen & SEEN_MESSAGE) == SEEN_MESSAGE;
}

bool kcat_looks_like(struct slice line)
{
    struct json json;
    struct json_value value;
    struct slice name;
    unsigned seen = 0;
    bool escaped;

    json_open(&json, line);
    if (json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &name, &escaped, &value))
            if (!escaped)
                seen |= SEEN(member_of(name));
    /* A first line that breaks off (or is broken) before its payload: where it was says enough. */
    return (seen & SEEN_PLACE) == SEEN_PLACE &&
           ((seen & SEEN(MEMBER_PAYLOAD)) != 0 || json.error != JSON_OK);
}

unsigned kcat_headers(struct slice raw, ptrdiff_t mirror, struct header *headers, unsigned max)
{
    struct json json;
    struct json_value value;
    unsigned n = 0;

    if (!raw.data)
        return 0;
    json_open_scanned(&json, raw);
    if (!json_enter(&json, JSON_ARRAY))
        return 0;
    while (json_element(&json, &value)) {
        struct header header = { .name = read_bytes(&value, mirror) };

        if (json_element(&json, &value))
            header.value = read_bytes(&value, mirror);
        if (n < max)
            headers[n] = header;
        n++;
    }
    return n;
}
