/*
 * letters.c: the lines of the dead letters' files, as somebody reads them who comes later: whole
 * lines of JSON on the platters of all nodes. What else is there (half letters, garbage) is passed
 * over, as long as a letter stands alone in its line.
 */
#include "tests/sim/letters.h"

#include "tests/sim/disk.h"
#include "tests/sim/world.h"

#include <jansson.h>
#include <string.h>

static bool is_letter_of(struct slice line, int32_t partition, int64_t offset)
{
    json_t *letter = json_loadb(line.data, line.len, JSON_ALLOW_NUL, NULL);
    const json_t *number = json_object_get(letter, "partition");
    bool is = json_is_integer(number) && json_integer_value(number) == partition &&
              json_integer_value(json_object_get(letter, "offset")) == offset;
    json_decref(letter);
    return is;
}

/* A line can only be the letter if it names the offset; that is quick to see. */
static bool names(struct slice line, int64_t offset)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "\"offset\":%lld,", (long long)offset);
    return memmem(line.data, line.len, text, (size_t)n) != NULL;
}

static bool has(struct slice file, int32_t partition, int64_t offset)
{
    const char *end;
    while (file.len > 0 && (end = memchr(file.data, '\n', file.len)) != NULL) {
        struct slice line = { file.data, (size_t)(end - file.data) };
        if (names(line, offset) && is_letter_of(line, partition, offset))
            return true;
        file.len -= line.len + 1;
        file.data = end + 1;
    }
    return false;
}

bool letters_have(int32_t partition, int64_t offset)
{
    for (unsigned node = 0; node < world.n_nodes; node++)
        if (has(disk_kept(node), partition, offset))
            return true;
    return false;
}
