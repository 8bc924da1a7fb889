/*
 * json_schema.c: config/weir.schema.json, for editors.
 *
 * A JSON Schema (2020-12) of what bind.c accepts, from the same table, so that an editor completes
 * keys, shows their help and marks slips while one types. It is no second validator: `${VAR}` is
 * allowed wherever a value is, and rules between keys are left to `weir check`. Its recursion is
 * the schema table's own.
 */
#include "config/config.h"

#include "config/schema.h"

#include <inttypes.h>

static void schema_object(FILE *out, const struct schema_group *group, int indent);

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* A new line, `,` before it but for the first member of an object. */
static void member(FILE *out, const char *name, int indent, bool first)
{
    fprintf(out, "%s\n%*s", first ? "" : ",", indent, "");
    put_string(out, name);
    fputs(": ", out);
}

/* Plain numbers and flags are text where text is wanted. */
static void schema_text(FILE *out, const char *pattern)
{
    fputs("{ \"type\": [\"string\", \"number\", \"boolean\"]", out);
    if (pattern != NULL) {
        char with_variable[400];
        snprintf(with_variable, sizeof(with_variable), "(%s)|\\$\\{", pattern);
        fputs(", \"pattern\": ", out);
        put_string(out, with_variable);
    }
    fputs(" }", out);
}

static void schema_or_variable(FILE *out)
{
    fputs(", { \"type\": \"string\", \"pattern\": \"\\\\$\\\\{\" }] }", out);
}

static void schema_number(FILE *out, const struct schema_key *key)
{
    fprintf(out,
            "{ \"anyOf\": [{ \"type\": \"integer\", \"minimum\": %" PRIu64 ", \"maximum\": %" PRIu64
            " }",
            key->least, key->most);
    schema_or_variable(out);
}

static void schema_choice(FILE *out, const char *const *choices)
{
    fputs("{ \"anyOf\": [{ \"enum\": [", out);
    for (unsigned i = 0; choices[i] != NULL; i++) {
        fputs(i > 0 ? ", " : "", out);
        put_string(out, choices[i]);
    }
    fputs("] }", out);
    schema_or_variable(out);
}

static const char secret_schema[] =
    "{ \"anyOf\": [{ \"type\": [\"string\", \"number\", \"boolean\"] }, { \"type\": \"object\", "
    "\"properties\": { \"file\": { \"type\": \"string\" } }, \"required\": [\"file\"], "
    "\"additionalProperties\": false }] }";

static void schema_items(FILE *out, const struct schema_key *key)
{
    fprintf(out, "{ \"type\": \"array\", \"minItems\": %u, \"maxItems\": %u, \"items\": ",
            key->items_least, key->items_most);
    if (key->type == SCHEMA_NUMBERS)
        schema_number(out, key);
    else
        schema_text(out, key->pattern);
    fputs(" }", out);
}

/* A map with names of the user's. */
static void schema_names(FILE *out, const struct schema_key *key, int indent)
{
    fprintf(out, "{ \"type\": \"object\", \"minProperties\": %u, \"maxProperties\": %u",
            key->items_least, key->items_most);
    if (key->pattern_name != NULL) {
        fputs(", \"propertyNames\": { \"pattern\": ", out);
        put_string(out, key->pattern_name);
        fputs(" }", out);
    }
    fputs(", \"additionalProperties\": ", out);
    if (key->type == SCHEMA_MAP)
        schema_object(out, key->group, indent);
    else
        fputs(key->multiline ? secret_schema
                             : "{ \"type\": [\"string\", \"number\", \"boolean\"] }",
              out);
    fputs(" }", out);
}

static void schema_type(FILE *out, const struct schema_key *key, int indent)
{
    static const char *const flags = "{ \"anyOf\": [{ \"type\": \"boolean\" }";
    switch (key->type) {
    case SCHEMA_TEXT:
        schema_text(out, key->pattern);
        return;
    case SCHEMA_SECRET:
        fputs(secret_schema, out);
        return;
    case SCHEMA_BOOL:
        fputs(flags, out);
        schema_or_variable(out);
        return;
    case SCHEMA_NUMBER:
        schema_number(out, key);
        return;
    case SCHEMA_SIZE:
        schema_text(out, "^[0-9]+(B|KiB|MiB|GiB|TiB)?$");
        return;
    case SCHEMA_DURATION:
        schema_text(out, "^[0-9]+(us|ms|s|min|h|d)$");
        return;
    case SCHEMA_CHOICE:
        schema_choice(out, key->choices);
        return;
    case SCHEMA_TEXTS:
    case SCHEMA_NUMBERS:
        schema_items(out, key);
        return;
    case SCHEMA_PAIRS:
    case SCHEMA_MAP:
        schema_names(out, key, indent);
        return;
    case SCHEMA_GROUP:
        schema_object(out, key->group, indent);
        return;
    }
}

/* A key's help and default stand beside what its value must be. */
static void schema_property(FILE *out, const struct schema_key *key, int indent)
{
    fputc('{', out);
    member(out, "description", indent + 2, true);
    put_string(out, key->help);
    if (key->fallback != NULL && key->type == SCHEMA_BOOL) {
        member(out, "default", indent + 2, false);
        fputs(key->fallback, out);
    } else if (key->fallback != NULL || key->or_off) {
        member(out, "default", indent + 2, false);
        if (key->type == SCHEMA_NUMBER)
            fputs(key->fallback, out);
        else
            put_string(out, key->or_off ? "off" : key->fallback);
    }
    member(out, "allOf", indent + 2, false);
    fputc('[', out);
    schema_type(out, key, indent + 2);
    fprintf(out, "]\n%*s}", indent, "");
}

static void schema_required(FILE *out, const struct schema_group *group, int indent)
{
    unsigned n = 0;
    for (unsigned i = 0; i < group->n_keys; i++) {
        if (!group->keys[i].required)
            continue;
        if (n++ == 0)
            member(out, "required", indent, false);
        fputs(n == 1 ? "[" : ", ", out);
        put_string(out, group->keys[i].name);
    }
    fputs(n > 0 ? "]" : "", out);
    if (!group->has_alternatives)
        return;
    member(out, "oneOf", indent, false);
    n = 0;
    for (unsigned i = 0; i < group->n_keys; i++) {
        if (!group->keys[i].alternative)
            continue;
        fputs(n++ == 0 ? "[" : ", ", out);
        fprintf(out, "{ \"required\": [\"%s\"] }", group->keys[i].name);
    }
    fputc(']', out);
}

/* A map with known keys. One that needs nothing may be left empty (`table:`), which is null in
 * YAML. */
static void schema_members(FILE *out, const struct schema_group *group, int indent)
{
    bool needs = group->has_alternatives;
    for (unsigned i = 0; i < group->n_keys; i++)
        needs = needs || group->keys[i].required;
    member(out, "type", indent, true);
    fputs(needs ? "\"object\"" : "[\"object\", \"null\"]", out);
    member(out, "additionalProperties", indent, false);
    fputs("false", out);
    schema_required(out, group, indent);
    member(out, "properties", indent, false);
    fputc('{', out);
    for (unsigned i = 0; i < group->n_keys; i++) {
        member(out, group->keys[i].name, indent + 2, i == 0);
        schema_property(out, &group->keys[i], indent + 2);
    }
    fprintf(out, "\n%*s}", indent, "");
}

static void schema_object(FILE *out, const struct schema_group *group, int indent)
{
    fputc('{', out);
    schema_members(out, group, indent + 2);
    fprintf(out, "\n%*s}", indent, "");
}

void config_write_schema(FILE *out)
{
    fputs("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
          "  \"title\": \"weir config\",\n"
          "  \"$comment\": \"Generated by `weir-config-docs schema` from config/schema.c: edit "
          "that, not this.\",\n"
          "  \"allOf\": [",
          out);
    schema_object(out, &schema_root, 2);
    fputs("]\n}\n", out);
}
