/*
 * print.c: a config as YAML, every default filled in.
 *
 * The schema is walked beside the struct: each key writes its field as the file would say it. What
 * was left out and has no default (an admin group, a client certificate) is left out again, and of
 * alternatives the chosen one is written, so that the output reads as the same config. Secrets are
 * `***`: the output may be pasted into an issue.
 *
 * Its recursion is the schema's: a bounded few levels, whatever the config holds.
 */
#include "config/config.h"

#include "config/schema.h"
#include "config/units.h"
#include "config/yaml_out.h"

#include <string.h>

#define SECRET_SHOWN "\"***\""

static void print_group(FILE *out, const struct schema_group *group, const char *base, int indent);

static unsigned read_unsigned(const char *field)
{
    unsigned value;
    memcpy(&value, field, sizeof(value));
    return value;
}

/* Whether the key has anything to say: else it is left out. */
static bool key_is_printed(const struct schema_group *group, const struct schema_key *key,
                           const char *base)
{
    const char *field = base + key->offset;
    if (key->alternative && read_unsigned(base + group->kind) != key->kind)
        return false;
    switch (key->type) {
    case SCHEMA_TEXT:
    case SCHEMA_SECRET:
        return key->or_off || *(const char *const *)(const void *)field != NULL;
    case SCHEMA_TEXTS:
        return ((const struct config_strings *)(const void *)field)->n > 0;
    case SCHEMA_NUMBERS:
        return ((const struct config_numbers *)(const void *)field)->n > 0;
    case SCHEMA_PAIRS:
        return ((const struct config_pairs *)(const void *)field)->n > 0;
    case SCHEMA_NUMBER: /* one that was left out, and has no default */
        return read_unsigned(field) >= key->least;
    case SCHEMA_GROUP:
        for (unsigned i = 0; i < key->group->n_keys; i++) {
            if (key_is_printed(key->group, &key->group->keys[i], field))
                return true;
        }
        return false;
    case SCHEMA_BOOL:
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
    case SCHEMA_CHOICE:
    case SCHEMA_MAP:
        return true;
    }
    return true;
}

static void print_unit(FILE *out, const struct unit *units, const void *field)
{
    char text[32];
    uint64_t value;
    memcpy(&value, field, sizeof(value));
    units_format(units, value, text, sizeof(text));
    fputs(text, out);
}

static void print_texts(FILE *out, const struct config_strings *texts)
{
    for (unsigned i = 0; i < texts->n; i++) {
        fputs(i == 0 ? "[" : ", ", out);
        yaml_out_text(out, texts->items[i]);
    }
    fputc(']', out);
}

static void print_numbers(FILE *out, const struct config_numbers *numbers)
{
    for (unsigned i = 0; i < numbers->n; i++)
        fprintf(out, "%s%u", i == 0 ? "[" : ", ", numbers->items[i]);
    fputc(']', out);
}

static void print_pairs(FILE *out, const struct config_pairs *pairs, bool may_be_secret, int indent)
{
    for (unsigned i = 0; i < pairs->n; i++) {
        fprintf(out, "\n%*s", indent, "");
        yaml_out_key(out, pairs->items[i].name);
        fputs(": ", out);
        if (may_be_secret && schema_option_is_secret(pairs->items[i].name))
            fputs(SECRET_SHOWN, out);
        else
            yaml_out_text(out, pairs->items[i].value);
    }
}

static void print_map(FILE *out, const struct schema_key *key, const char *base, int indent)
{
    const char *elements;
    memcpy(&elements, base + key->offset, sizeof(elements));
    unsigned n = read_unsigned(base + key->count);
    for (unsigned i = 0; i < n; i++) {
        const char *element = elements + i * key->group->size;
        fprintf(out, "\n%*s", indent, "");
        yaml_out_key(out, *(const char *const *)(const void *)element);
        fputc(':', out);
        print_group(out, key->group, element, indent + 2);
    }
}

/* Everything behind the key and its colon. */
static void print_value(FILE *out, const struct schema_key *key, const char *base, int indent)
{
    const void *field = base + key->offset;
    bool block = key->type == SCHEMA_PAIRS || key->type == SCHEMA_GROUP || key->type == SCHEMA_MAP;
    if (!block)
        fputc(' ', out);
    switch (key->type) {
    case SCHEMA_TEXT: {
        const char *text = *(const char *const *)field;
        yaml_out_text(out, text != NULL ? text : "off");
        return;
    }
    case SCHEMA_SECRET:
        fputs(SECRET_SHOWN, out);
        return;
    case SCHEMA_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        return;
    case SCHEMA_NUMBER:
        fprintf(out, "%u", read_unsigned(field));
        return;
    case SCHEMA_SIZE:
        print_unit(out, units_sizes, field);
        return;
    case SCHEMA_DURATION:
        print_unit(out, units_durations, field);
        return;
    case SCHEMA_CHOICE:
        fputs(key->choices[read_unsigned(field)], out);
        return;
    case SCHEMA_TEXTS:
        print_texts(out, field);
        return;
    case SCHEMA_NUMBERS:
        print_numbers(out, field);
        return;
    case SCHEMA_PAIRS:
        print_pairs(out, field, key->multiline, indent);
        return;
    case SCHEMA_GROUP:
        print_group(out, key->group, field, indent);
        return;
    case SCHEMA_MAP:
        print_map(out, key, base, indent);
        return;
    }
}

static void print_group(FILE *out, const struct schema_group *group, const char *base, int indent)
{
    unsigned printed = 0;
    for (unsigned i = 0; i < group->n_keys; i++) {
        const struct schema_key *key = &group->keys[i];
        if (!key_is_printed(group, key, base))
            continue;
        printed++;
        fprintf(out, "\n%*s%s:", indent, "", key->name);
        print_value(out, key, base, indent + 2);
    }
    if (printed == 0)
        fputs(" {}", out);
}

void config_print(FILE *out, const struct config *config)
{
    fputs("# every key with its value; secrets are shown as ***", out);
    print_group(out, &schema_root, (const char *)config, 0);
    fputc('\n', out);
}
