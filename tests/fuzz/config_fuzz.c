/*
 * config_fuzz.c: a config file (config/config.h).
 *
 * - It is a config, or it has errors: sorted, each with a text, and at most as many as are kept.
 * - A config that is printed and loaded again is the same config, printed.
 */
#include "fuzz.h"

#include "config/config.h"

#include <fcntl.h>
#include <sys/mman.h>

static int file = -1;
static char path[64];

void fuzz_setup(void)
{
    file = memfd_create("config", MFD_CLOEXEC);
    assert_true(file >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    setenv("SET", "orders", 1);
    unsetenv("NOT_SET");
}

static struct config *load(struct slice text, struct config_errors *errors)
{
    struct config *config = NULL;
    int result;

    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, text.data, text.len, 0), (ssize_t)text.len);
    result = config_load(path, &config, errors);
    assert_int_equal(result == 0, config != NULL);
    assert_int_equal(result != 0, errors->n > 0);
    return config;
}

/* The caller frees it. */
static struct slice printed(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    config_print(out, config);
    assert_int_equal(fclose(out), 0);
    return (struct slice){ text, len };
}

static void check_errors(const struct config_errors *errors)
{
    for (unsigned i = 0; i < errors->n; i++) {
        const struct config_error *error = &errors->items[i];

        assert_true(error->text != NULL && error->text[0] != '\0');
        assert_null(strchr(error->text, '\n'));
        assert_true(i == 0 || errors->items[i - 1].line <= error->line);
    }
}

static void check_printed(const struct config *config)
{
    struct config_errors errors = { 0 };
    struct slice text = printed(config), text_again;
    struct config *again = load(text, &errors);

    if (again == NULL) {
        config_errors_print(stderr, &errors);
        fuzz_same((struct slice){ NULL, 0 }, text, "a config that was printed is refused");
    }
    text_again = printed(again);
    fuzz_same(text_again, text, "a config printed, loaded and printed again");
    free((void *)(uintptr_t)text.data);
    free((void *)(uintptr_t)text_again.data);
    config_errors_free(&errors);
    config_free(again);
}

void fuzz_input(struct slice input)
{
    struct config_errors errors = { 0 };
    struct config *config = load(input, &errors);

    check_errors(&errors);
    if (config != NULL)
        check_printed(config);
    config_errors_free(&errors);
    config_free(config);
}
