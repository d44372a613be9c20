/* What an option is: a row of a section's table (config_options.c, config_feature.c,
 * config_model.c). A row's type reads it from the tree, prints it into the resolved YAML
 * and describes it for errors and the reference. To add an option: a field in config.h
 * and a row here; nothing else. For internal use of src/base/config*.c and
 * src/serve/serve_config*.c, whose tables are of another root (SERVE.yaml). */
#ifndef HN_BASE_CONFIG_OPTIONS_H
#define HN_BASE_CONFIG_OPTIONS_H

#include "base/config.h"
#include "base/config_tree.h"
#include "base/report.h"

typedef struct hn_option hn_option;
typedef struct hn_config_section hn_config_section;

typedef struct hn_key_path { /* where the reader is: "features", "user_id", "width" */
    const struct hn_key_path *up;
    const char *key;
} hn_key_path;

typedef struct hn_config_reader {
    hn_arena *arena;
    hn_error *err;
    const hn_node *defaults; /* the section `defaults`; NULL: none */
    const hn_key_path *path;
} hn_config_reader;

typedef struct hn_value_type {
    bool list; /* a default's text is several values separated by blanks */
    /* Stores the node's meaning in the field(s) of `object`. */
    hn_status (*read)(hn_config_reader *reader, const hn_option *option, hn_node *node,
                      void *object);
    /* Prints what follows "key:", the newline included. `indent` is the key's. */
    void (*print)(hn_text *text, const hn_option *option, const void *object, int indent);
    /* What is expected, in words: "an integer from 1 to 8". */
    void (*describe)(char *buffer, size_t n, const hn_option *option);
} hn_value_type;

typedef enum hn_option_flags {
    HN_OPTION_REQUIRED = 1,
    HN_OPTION_ABOVE_MIN = 2, /* the minimum itself is not allowed */
    HN_OPTION_BELOW_MAX = 4,
    HN_OPTION_DEFAULTABLE = 8,  /* may stand in the section `defaults` */
    HN_OPTION_NOT_SHARED = 16,  /* a feature with `share` takes it from the shared one */
    HN_OPTION_NOT_RESOLVED = 32 /* has no place in the resolved YAML */
} hn_option_flags;

struct hn_option {
    const char *name;
    const hn_value_type *type;
    size_t offset;    /* of the field in the section's object */
    size_t companion; /* of an array's count, or of the flag of an optional enum; 0: none */
    unsigned kinds;   /* bits of the selector's values that have this option; 0: all */
    unsigned flags;
    double min, max;                  /* numbers: range; texts: bytes; lists and maps: entries */
    const char *def;                  /* as YAML text; NULL: none */
    const char *const *names;         /* of an enum, NULL at the end */
    const hn_config_section *section; /* of a nested section or of a map's elements */
    const char *meaning;
};

struct hn_config_section {
    const char *about; /* for the reference */
    const hn_option *options;
    int32_t n;
    size_t size;           /* of the object, for maps */
    const char *selector;  /* the enum option whose value says which kinds of options exist */
    const char *short_key; /* a value instead of a mapping is this option's */
    bool listable;         /* a map of these may be a list of names */
    /* Other short forms: turns the node into a mapping. */
    hn_status (*expand)(const hn_config_reader *reader, hn_node *node);
    /* What no single option can know; also fills defaults that depend on others. */
    hn_status (*check)(hn_config_reader *reader, const hn_node *node, void *object);
};

extern const hn_config_section hn_config_root;     /* of hn_config */
extern const hn_config_section hn_feature_section; /* of hn_config_feature */
extern const hn_config_section hn_model_section;   /* of hn_config_model */
extern const hn_config_section hn_train_section;   /* of hn_config_train */

/* Types: config_value.c (single values), config_list.c (lists), config_read.c
 * (sections and maps), config_custom.c (options with a language of their own). */
extern const hn_value_type hn_value_bool, hn_value_int32, hn_value_int64, hn_value_uint64,
    hn_value_real, hn_value_text, hn_value_column, hn_value_enum, hn_value_texts, hn_value_columns,
    hn_value_units, hn_value_predicate, hn_value_predicates, hn_value_section, hn_value_map,
    hn_value_defaults, hn_value_delimiter, hn_value_fold, hn_value_past, hn_value_scenarios,
    hn_value_others;

/* ---- Reading ---- */

/* A config file's text, hn_free it. Reads no more than a config may have (and one byte). */
hn_status hn_config_text_read(char **out, size_t *n, const char *path, hn_error *err);

/* "place: path: sentence" with HN_BAD_CONFIG. */
hn_status hn_config_fail(const hn_config_reader *reader, hn_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for the option `key` below the current path, placed at its value in `node`
 * if it stands there, else at `node`. */
hn_status hn_config_fail_key(const hn_config_reader *reader, const hn_node *node, const char *key,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "found …; expected <the type's description>". */
hn_status hn_config_mismatch(const hn_config_reader *reader, const hn_option *option,
                             const hn_node *node);
const char *hn_path_text(char *buffer, size_t n, const hn_key_path *path);
/* ", did you mean "…"?" or nothing. */
const char *hn_hint(char *buffer, size_t n, const char *word, const char *const *names,
                    size_t n_names);

hn_status hn_section_read(hn_config_reader *reader, const hn_config_section *section, hn_node *node,
                          void *object);
/* Turns a short form into the mapping it stands for. */
hn_status hn_section_expand(const hn_config_reader *reader, const hn_config_section *section,
                            hn_node *node);
hn_status hn_map_expand(const hn_config_reader *reader, const hn_config_section *section,
                        hn_node *node);
const hn_option *hn_section_option(const hn_config_section *section, const char *name,
                                   unsigned kinds);
unsigned hn_section_kinds(const hn_config_section *section, const void *object);
const char *hn_section_kind_name(const hn_config_section *section, const void *object);

/* Applies "key.path=value" to the tree. */
hn_status hn_config_override(hn_config_reader *reader, hn_node *root, const char *text);
/* What concerns several sections; the root's check. */
hn_status hn_config_check(hn_config_reader *reader, const hn_node *root, void *config);
/* After reading one feature, scenario, source … */
hn_status hn_feature_check(hn_config_reader *reader, const hn_node *node, void *feature);
hn_status hn_log_check(hn_config_reader *reader, const hn_node *node, void *config);
hn_status hn_table_check(hn_config_reader *reader, const hn_node *node, void *table);
hn_status hn_split_check(hn_config_reader *reader, const hn_node *node, void *split);
hn_status hn_scenario_check(hn_config_reader *reader, const hn_node *node, void *scenario);
hn_status hn_model_check(hn_config_reader *reader, const hn_node *node, void *model);
hn_status hn_train_check(hn_config_reader *reader, const hn_node *node, void *train);

/* ---- Numbers and texts ---- */

/* A finite decimal number that is the whole text, whatever the locale. */
bool hn_number_parse(double *out, const char *text);
/* The shortest text that reads back the same. */
void hn_number_text(char buffer[32], double value);
/* A YAML scalar, quoted when it must be. */
void hn_yaml_scalar(hn_text *text, const char *value);
bool hn_text_is_name(const char *text); /* 1…200 bytes without control characters */
int32_t hn_strings_find(const hn_strings *strings, const char *text); /* -1: none */
/* An item that stands there twice, or NULL. HN_NO_MEMORY possible. */
hn_status hn_strings_duplicate(const char **out, const hn_strings *strings,
                               hn_config_reader *reader);

/* ---- Printing ---- */

void hn_section_print(hn_text *text, const hn_config_section *section, const void *object,
                      int indent);
/* The reference of all options below `root`, after the introduction. */
hn_status hn_section_reference(hn_report **out, const hn_config_section *root,
                               const char *introduction, hn_error *err);

#endif
