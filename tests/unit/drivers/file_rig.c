/* file_rig.c: see file_rig.h. */
#include "tests/unit/drivers/file_rig.h"

#include <poll.h>
#include <stdlib.h>

static struct test_env *env_of(struct env *env)
{
    return (struct test_env *)env;
}

static int test_watch(struct env *env, struct watch *watch)
{
    assert_null(env_of(env)->watched);
    env_of(env)->watched = watch;
    return 0;
}

static void test_unwatch(struct env *env, struct watch *watch)
{
    assert_ptr_equal(env_of(env)->watched, watch);
    env_of(env)->watched = NULL;
}

static unsigned test_wait(struct env *env, uint64_t timeout_us)
{
    struct watch *watch = env_of(env)->watched;
    struct pollfd wait = { .fd = watch ? watch->fd : -1, .events = POLLIN };

    if (poll(&wait, 1, (int)(timeout_us / 1000)) <= 0)
        return 0;
    watch->ready(watch, WATCH_READ);
    return 1;
}

static const struct env_ops test_env_ops = { .watch = test_watch,
                                             .unwatch = test_unwatch,
                                             .wait = test_wait };

static char *copy(struct slice bytes)
{
    char *text;

    if (!bytes.data)
        return NULL;
    text = malloc(bytes.len + 1);
    assert_non_null(text);
    memcpy(text, bytes.data, bytes.len);
    text[bytes.len] = '\0';
    return text;
}

void reader_release(struct reader *reader, unsigned n)
{
    reader->port->ops->release(reader->port, reader->held, n);
    reader->n_held -= n;
    memmove(reader->held, reader->held + n, reader->n_held * sizeof(reader->held[0]));
}

void reader_check_held(struct reader *reader)
{
    for (unsigned i = 0; i < reader->n_held; i++) {
        struct event *event = &reader->events[reader->n - reader->n_held + i];
        struct slice now = reader->held[i].payload;

        assert_true((now.data == NULL) == (event->payload == NULL));
        if (now.data)
            assert_memory_equal(now.data, event->payload, now.len);
    }
}

static void keep(struct reader *reader, const struct record *record)
{
    struct event *event = &reader->events[reader->n++];

    assert_true(reader->n < EVENTS_MAX);
    event->record = *record;
    event->payload = copy(record->payload);
    event->key = copy(record->key);
    event->detail = copy(record->detail);
}

unsigned reader_step(struct reader *reader, unsigned max)
{
    struct record records[256];
    struct err err;
    int n;

    if (reader->n_held > reader->hold)
        reader_release(reader, reader->n_held - reader->hold);
    n = reader->port->ops->poll(reader->port, records, max < 256 ? max : 256, &err);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        keep(reader, &records[i]);
        reader->held[reader->n_held++] = records[i];
    }
    return (unsigned)n;
}

void reader_open(struct reader *reader, const char *const *paths, unsigned n, size_t most)
{
    struct file_options options = { .paths = paths, .n_paths = n, .event_bytes_max = most };
    struct err err = { 0 };

    *reader = (struct reader){ .env.env.ops = &test_env_ops };
    reader->events = calloc(EVENTS_MAX, sizeof(reader->events[0]));
    reader->names = partitions_open();
    reader->source = file_source_open(&options, &err);
    if (!reader->source)
        fail_msg("%s", err.text);
    reader->port = reader->source->ops->port(reader->source, 0, &reader->env.env, reader->names);
}

void reader_to_end(struct reader *reader)
{
    while (!reader->port->ops->ended(reader->port)) {
        if (reader_step(reader, 256) > 0)
            continue;
        reader_check_held(reader);
        if (reader->n_held > 0)
            reader_release(reader, reader->n_held);
        else if (!reader->port->ops->ended(reader->port))
            env_wait(&reader->env.env, 10000000);
    }
}

void reader_close(struct reader *reader)
{
    for (unsigned i = 0; i < reader->n; i++) {
        free(reader->events[i].payload);
        free(reader->events[i].key);
        free(reader->events[i].detail);
    }
    free(reader->events);
    reader->source->ops->close(reader->source);
}

void reader_read_all(struct reader *reader, const char *const *paths, unsigned n, size_t most)
{
    reader_open(reader, paths, n, most);
    reader_to_end(reader);
}

const char *put_file(const char *name, const void *bytes, size_t len)
{
    const char *path = folder_path_of(name);
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return path;
}

const char *put_text(const char *name, const char *text)
{
    return put_file(name, text, strlen(text));
}

struct slice many_lines(unsigned n, unsigned bytes)
{
    size_t room = (size_t)n * (bytes + 32);
    char *text = malloc(room);
    size_t len = 0;
    uint32_t noise = 1;

    for (unsigned i = 0; i < n; i++) {
        len += (size_t)snprintf(text + len, room - len, "{\"n\":%u,\"x\":\"", i);
        for (unsigned j = 0; j < bytes; j++) {
            noise = noise * 1664525 + 1013904223;
            text[len++] = (char)('a' + (noise >> 24) % 26);
        }
        len += (size_t)snprintf(text + len, room - len, "\"}\n");
    }
    return (struct slice){ text, len };
}

void assert_many(const struct reader *reader, unsigned n)
{
    assert_int_equal(reader->n, n);
    for (unsigned i = 0; i < n; i++) {
        char begin[32];
        size_t len = (size_t)snprintf(begin, sizeof(begin), "{\"n\":%u,", i);

        assert_int_equal(reader->events[i].record.offset, i);
        assert_memory_equal(reader->events[i].payload, begin, len);
        assert_int_equal(reader->events[i].payload[reader->events[i].record.payload.len - 1], '}');
    }
}

void assert_place(const struct reader *reader, unsigned i, const char *topic, int32_t number,
                  int64_t offset)
{
    const struct record *record = &reader->events[i].record;

    assert_string_equal(partitions_topic(reader->names, record->partition), topic);
    assert_int_equal(partitions_number(reader->names, record->partition), number);
    assert_int_equal(record->offset, offset);
}
