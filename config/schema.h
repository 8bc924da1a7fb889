/*
 * schema.h: the one table of every key: what bind.c reads, print.c writes, docs.c explains.
 *
 * A group is a map with known keys and fills one struct; a key says where in that struct its value
 * goes.
 */
#ifndef WEIR_CONFIG_SCHEMA_H
#define WEIR_CONFIG_SCHEMA_H

#include "config/config.h"

/* The C type of the field is in the comment. */
enum schema_type {
    SCHEMA_TEXT,     /* const char * */
    SCHEMA_SECRET,   /* const char *; may be { file: PATH } */
    SCHEMA_BOOL,     /* bool */
    SCHEMA_NUMBER,   /* unsigned */
    SCHEMA_SIZE,     /* uint64_t, bytes */
    SCHEMA_DURATION, /* uint64_t, microseconds */
    SCHEMA_CHOICE,   /* an enum whose values number `choices` */
    SCHEMA_TEXTS,    /* struct config_strings */
    SCHEMA_NUMBERS,  /* struct config_numbers; least and most bound each number */
    SCHEMA_PAIRS,    /* struct config_pairs */
    SCHEMA_GROUP,    /* the struct of `group` */
    SCHEMA_MAP,      /* an array of that struct, whose first member is its `const char *name` */
};

struct schema_group;

/* What is allowed, as words for people; NULL where `text` is right. */
typedef const char *schema_check(const char *text);

struct schema_key {
    const char *name;
    enum schema_type type;
    bool required;
    bool alternative;     /* exactly one of the group's alternatives is given; */
    unsigned kind;        /* this is what the group's kind field says then */
    bool or_off;          /* TEXT: `off` means NULL, and is the default */
    bool multiline;       /* PAIRS: values may hold line breaks and tabs */
    size_t offset;        /* of the field in the group's struct */
    size_t count;         /* MAP: of the `unsigned` that counts the elements */
    const char *fallback; /* the default as the file would say it; NULL: none, or a computed one, */
    const char *fallback_text; /* which this describes; beside a default: where it is another */
    uint64_t least, most;      /* NUMBER(S), SIZE, DURATION: the value */
    unsigned items_least, items_most; /* TEXTS, NUMBERS, PAIRS, MAP: how many */
    const char *const *choices;       /* CHOICE: NULL-terminated */
    schema_check *check;      /* TEXT, SECRET, each of TEXTS, each value of PAIRS; may be NULL */
    schema_check *check_name; /* each name of PAIRS and MAP; may be NULL */
    const char *pattern;      /* what JSON Schema says for `check`, anchored; may be NULL */
    const char *pattern_name; /* and for `check_name` */
    const char *entry_name;   /* MAP: what docs call the name, in capitals */
    const struct schema_group *group;
    const char *help; /* one sentence or two, without a line break or a `|` */
};

struct schema_group {
    const char *help;
    const struct schema_key *keys;
    unsigned n_keys;
    size_t size;           /* of the struct */
    bool has_alternatives; /* then `kind` is the offset of the enum that says which */
    size_t kind;
};

/* The whole file; its struct is struct config. */
extern const struct schema_group schema_root;

enum { SCHEMA_DEPTH_MAX = 8 }; /* of groups within groups, maps counted */

/* Whether a librdkafka option carries a secret: it is printed as *** then, and may be { file: PATH
 * }. */
bool schema_option_is_secret(const char *name);

/* The group's key of that name, or NULL. */
const struct schema_key *schema_find(const struct schema_group *group, const char *name);

#endif
