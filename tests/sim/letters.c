/*
 * letters.c: the dead letters' file on a modelled disk, in place of drivers/dead_letter/file.c.
 *
 * What was put is in the page cache until a sync; a node that is killed loses nothing of it (the
 * kernel lives), a machine that loses its power is not modelled. What a sync or a write refuses
 * ends the task, as the real one does.
 */
#include "tests/sim/letters.h"

#include "drivers/dead_letter/file.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

static struct letter {
    int32_t partition;
    int64_t offset;
    bool synced;
} letters[20000];
static unsigned n_letters;

struct letter_file {
    struct dead_letters letters;
    struct err failure; /* code 0: none */
};

static int fail(struct letter_file *file, const char *why, struct err *err)
{
    if (file->failure.code == 0)
        (void)err_set(&file->failure, EXIT_IO, "dead letters: %s", why);
    *err = file->failure;
    return -1;
}

static int put(struct dead_letters *base, const struct dead_letter *letter, struct err *err)
{
    struct letter_file *file = (struct letter_file *)base;
    if (file->failure.code != 0 || sim_chance(sim_dials()->disk_full))
        return fail(file, "no space left on device", err);
    ASSERT(n_letters < sizeof(letters) / sizeof(letters[0]));
    letters[n_letters++] = (struct letter){ letter->partition, letter->offset, false };
    sim_trace("dead letter: %s[%d]@%lld: %s", letter->topic, (int)letter->partition,
              (long long)letter->offset, reason_label(letter->reason));
    return 0;
}

static int sync_letters(struct dead_letters *base, struct err *err)
{
    struct letter_file *file = (struct letter_file *)base;
    if (file->failure.code != 0 || sim_chance(sim_dials()->disk_error))
        return fail(file, "input/output error", err);
    for (unsigned i = 0; i < n_letters; i++)
        letters[i].synced = true;
    return 0;
}

static void close_letters(struct dead_letters *base)
{
    free(base);
}

static const struct dead_letters_ops ops = { put, sync_letters, close_letters };

struct dead_letters *dead_letter_file_open(const char *path, const char *task,
                                           size_t event_bytes_max, struct err *err)
{
    struct letter_file *file = calloc(1, sizeof(*file));
    (void)path, (void)task, (void)event_bytes_max, (void)err;
    ASSERT(file != NULL);
    file->letters.ops = &ops;
    return &file->letters;
}

bool letters_have(int32_t partition, int64_t offset)
{
    for (unsigned i = n_letters; i-- > 0;)
        if (letters[i].partition == partition && letters[i].offset == offset && letters[i].synced)
            return true;
    return false;
}
