/* generated_test.c: what is generated from the schema table is in the repository as it should be.
 */
#include "config_unit.h"

#include <jansson.h>

static char *file_text(const char *name)
{
    char path[1024];
    char *text = NULL;
    size_t size, got;
    char block[4096];
    snprintf(path, sizeof(path), "%s/%s", WEIR_SOURCE_ROOT, name);
    FILE *in = fopen(path, "r"), *out = open_memstream(&text, &size);
    while (in != NULL && (got = fread(block, 1, sizeof(block), in)) > 0)
        fwrite(block, 1, got, out);
    if (in != NULL)
        fclose(in);
    fclose(out);
    return text;
}

static char *written(void (*write_it)(FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    write_it(out);
    fclose(out);
    return text;
}

static void expect_fresh(const char *name, void (*write_it)(FILE *), const char *what)
{
    char *is = file_text(name), *should = written(write_it);
    bool fresh = strcmp(is, should) == 0;
    if (!fresh)
        print_message("# %s is stale: weir-config-docs %s > %s\n", name, what, name);
    free(is);
    free(should);
    assert_true(fresh);
}

static void the_page_in_docs_is_fresh(void **state)
{
    (void)state;
    expect_fresh("docs/CONFIGURATION.md", config_write_docs, "docs");
}

static void the_json_schema_is_fresh(void **state)
{
    (void)state;
    expect_fresh("config/weir.schema.json", config_write_schema, "schema");
}

/* Editors need JSON, with the two keys of a file in it. */
static void the_json_schema_is_json(void **state)
{
    (void)state;
    char *text = written(config_write_schema);
    json_error_t error;
    json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (schema == NULL)
        print_message("# %d:%d: %s\n", error.line, error.column, error.text);
    assert_non_null(schema);
    json_t *file = json_array_get(json_object_get(schema, "allOf"), 0);
    json_t *keys = json_object_get(file, "properties");
    assert_non_null(json_object_get(keys, "node"));
    assert_non_null(json_object_get(keys, "tasks"));
    assert_int_equal(json_object_size(keys), 2);
    json_decref(schema);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_in_docs_is_fresh),
        cmocka_unit_test(the_json_schema_is_fresh),
        cmocka_unit_test(the_json_schema_is_json),
    };
    return UNIT_RUN(tests);
}
