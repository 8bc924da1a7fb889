/*
 * file_rig.h: what the tests of the source `file` share: files to read, and a reader of them.
 *
 * A `reader` opens the source over files and reads to the end, keeping copies of what came. It may
 * hold records back before it releases them, as a shard does.
 */
#ifndef WEIR_TESTS_FILE_RIG_H
#define WEIR_TESTS_FILE_RIG_H

#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

#include "drivers/file/file.h"

#define EVENTS_MAX 200000
#define HELD_MAX   3000

/* A record as it came, copied while it was valid. */
struct event {
    struct record record;
    char *payload, *key, *detail;
};

/* An env of clocks alone, with at most one watch, which wait() polls. */
struct test_env {
    struct env env;
    struct watch *watched;
};

struct reader {
    struct test_env env;
    struct task_partitions *names;
    struct source *source;
    struct source_port *port;
    struct record held[HELD_MAX];
    unsigned n_held, hold;
    struct event *events;
    unsigned n;
};

/* Opens the source over `n` paths; `most` is event_bytes_max. */
void reader_open(struct reader *reader, const char *const *paths, unsigned n, size_t most);

/* One poll() of up to `max`; what is held beyond reader->hold goes back first. How many came. */
unsigned reader_step(struct reader *reader, unsigned max);

/* Gives back the oldest `n` that are held. */
void reader_release(struct reader *reader, unsigned n);

/* What is held must still say what it said when it came. */
void reader_check_held(struct reader *reader);

/* Polls, waits and releases until the source has ended. */
void reader_to_end(struct reader *reader);

/* Opens and reads to the end. */
void reader_read_all(struct reader *reader, const char *const *paths, unsigned n, size_t most);
void reader_close(struct reader *reader);

/* Writes a file in the test's folder; its path lives as folder_path_of() says. */
const char *put_file(const char *name, const void *bytes, size_t len);
const char *put_text(const char *name, const char *text);

/* `n` lines that do not compress too well, each naming its number; the caller frees them. */
struct slice many_lines(unsigned n, unsigned bytes);

/* The reader must have got many_lines(n, ...), each at its line number. */
void assert_many(const struct reader *reader, unsigned n);

/* Event i must lie there. */
void assert_place(const struct reader *reader, unsigned i, const char *topic, int32_t number,
                  int64_t offset);

#endif
