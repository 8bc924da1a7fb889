/* config_unit.h: what the config's tests share: loading a config that is a string. */
#ifndef WEIR_TESTS_CONFIG_UNIT_H
#define WEIR_TESTS_CONFIG_UNIT_H

#include "../unit.h"

#include "config/config.h"

#include <stdlib.h>

/* A file with these bytes; the caller removes and frees its path. */
static inline char *file_with(const void *bytes, size_t len)
{
    char *path = strdup("/tmp/weir-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    return path;
}

static inline int load_bytes(const void *bytes, size_t len, struct config **config,
                             struct config_errors *errors)
{
    char *path = file_with(bytes, len);
    int result = config_load(path, config, errors);
    unlink(path);
    free(path);
    return result;
}

/* The config of a right text; the caller frees it. */
static inline struct config *load_right(const char *text)
{
    struct config *config;
    struct config_errors errors = { 0 };
    if (load_bytes(text, strlen(text), &config, &errors) != 0)
        config_errors_print(stderr, &errors);
    assert_non_null(config);
    config_errors_free(&errors);
    return config;
}

/* The errors of a wrong text, as `line:column: text` lines; the caller frees them. */
static inline char *errors_of_bytes(const void *bytes, size_t len)
{
    struct config *config;
    struct config_errors errors = { 0 };
    char *lines = NULL;
    size_t size;
    assert_int_equal(load_bytes(bytes, len, &config, &errors), -1);
    assert_null(config);
    assert_true(errors.n > 0);
    FILE *out = open_memstream(&lines, &size);
    for (unsigned i = 0; i < errors.n; i++)
        fprintf(out, "%u:%u: %s\n", errors.items[i].line, errors.items[i].column,
                errors.items[i].text);
    fclose(out);
    config_errors_free(&errors);
    return lines;
}

/* What config_print() says. */
static inline char *printed(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    config_print(out, config);
    fclose(out);
    return text;
}

#endif
