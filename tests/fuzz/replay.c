/*
 * replay.c: in libFuzzer's place where there is none: plays the inputs that were found before.
 *
 *     json_replay tests/fuzz/found/json        each *.input of the folder; no folder: no inputs
 *
 * Prints TAP. An input that still fails aborts, as under libFuzzer; its name was printed before.
 */
#include "fuzz.h"

#include "dataplane/base/err.h"

#include <glob.h>
#include <limits.h>

#define INPUT_BYTES_MAX (1u << 20)

static void play(const char *path)
{
    static char bytes[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    struct slice input = { .data = bytes };

    assert_non_null(file);
    input.len = fread(bytes, 1, sizeof(bytes), file);
    assert_true(feof(file) && !ferror(file));
    fclose(file);
    input = fuzz_exact(input);
    LLVMFuzzerTestOneInput((const uint8_t *)input.data, input.len);
}

int main(int argc, char **argv)
{
    char pattern[PATH_MAX];
    glob_t found;
    int status;

    if (argc != 2 || strlen(argv[1]) + sizeof("/*.input") > sizeof(pattern)) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return EXIT_USAGE;
    }
    snprintf(pattern, sizeof(pattern), "%s/*.input", argv[1]);
    status = glob(pattern, 0, NULL, &found);
    assert_true(status == 0 || status == GLOB_NOMATCH);
    LLVMFuzzerInitialize(&argc, &argv);
    printf("1..%zu\n", found.gl_pathc + 1);
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    printf("ok 1 - nothing\n");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        printf("# %s\n", found.gl_pathv[i]);
        fflush(stdout);
        play(found.gl_pathv[i]);
        printf("ok %zu - %s\n", i + 2, strrchr(found.gl_pathv[i], '/') + 1);
    }
    globfree(&found);
    return 0;
}
