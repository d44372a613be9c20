/* The reference of all options, as Markdown and as JSON, from the same tables that the
 * parser reads. docs/config.md is its text; a test compares them. */
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"

static const char config_introduction[] =
    "# The config\n\n"
    "A config is one YAML file that says how to read a log and what to train on it. Every option "
    "is\n"
    "listed here with its type, default and meaning; this page is generated from the tables that "
    "the\n"
    "parser itself reads (`hinet config` prints it).\n\n"
    "```yaml\n"
    "log: {files: log/*.csv.gz, filter: [\"tab in [1, 0, 4]\"], drop_duplicates: true}\n"
    "tables:\n"
    "  users: {files: users.csv, key: user_id, side: user}\n"
    "  videos: {files: videos.csv, key: video_id, side: item}\n"
    "split: {by: column, validation: \"date >= 20220505\", test: \"date >= 20220507\"}\n"
    "scenario: {column: tab, values: {main: 1, explore: [0, 4]}}\n"
    "tasks: {click: is_click, view: {label: long_view, weight: 0.5}}\n"
    "user: user_id\n"
    "features:\n"
    "  user_id: {kind: id, min_count: 5}\n"
    "  video_id: id\n"
    "  duration: {kind: number, column: duration_ms, scaling: log1p-zscore}\n"
    "  history: {kind: list, column: watch_seq, delimiter: \" \", share: video_id}\n"
    "  user_rate: {kind: rate, key: [user_id, tab], fold: date}\n"
    "model: {name: hinet, experts: 5}\n"
    "train: {rate: 0.0005, batch: 2048, epochs: 12}\n"
    "```\n\n"
    "Rules:\n\n"
    "- Unknown keys, wrong types, impossible values and keys that stand twice are errors with "
    "file, line\n"
    "  and column. A key without a value, or with a plain `null` or `~`, is as if it were not "
    "there.\n"
    "- Texts keep their characters: `01` stays `01`. One value may stand for a list of one.\n"
    "- Anchors, aliases, tags and several documents are refused; so are files over 1 MiB.\n"
    "- `--set key.path=value` puts a value, itself YAML, in place before anything is checked:\n"
    "  `--set train.rate=0.01 --set 'model={name: ple}' --set features.user_id=null`.\n"
    "- A **comparison** is `column`, `column OP value` with OP one of `==` `!=` `<` `<=` `>` `>=`, "
    "or\n"
    "  `column in [value, value]`. Cell and value are compared as numbers when both are; else "
    "`==`, `!=`\n"
    "  and `in` compare texts. `<` and its like compare texts where the value is none; a cell that "
    "is no number\n"
    "  beside a number is a bad row. `''` is the empty cell (of a filter or a split; a label's is "
    "absent). The\n"
    "  texts of `missing` are absent, too, and equal nothing else.\n"
    "  Quote a column or value that holds an operator, a comma or blanks at its ends: `\"a<b\" == "
    "'x, y'`.\n"
    "- Wherever a column of the log may stand (but as a `log_key`), `$file` may too: the base name "
    "of the file a row "
    "came from.\n"
    "- The resolved config, with every option's value, is stored in the bundle. Threads, memory, "
    "output\n"
    "  folder and progress are settings of a run (`--help`) and no options: they change no "
    "result.\n";

typedef struct page {
    hn_text text;
    json_t *options; /* array; NULL after a failed allocation */
} page;

/* Inside a table's cell a bar would end it. */
static void add_cell(hn_text *text, const char *cell) {
    for (; *cell != '\0'; cell++) hn_text_add(text, *cell == '|' ? "\\|" : "%c", *cell);
}

static void default_text(char *buffer, size_t n, const hn_option *option) {
    buffer[0] = '\0';
    if (option->def == NULL) return;
    if (!option->type->list) {
        snprintf(buffer, n, "%s", option->def);
        return;
    }
    size_t used = (size_t)snprintf(buffer, n, "[");
    for (const char *p = option->def; *p != '\0' && used < n; p++)
        used += (size_t)snprintf(buffer + used, n - used, *p == ' ' ? ", " : "%c", *p);
    if (used < n) snprintf(buffer + used, n - used, "]");
}

/* "id, list": the values of the selector that have the option. */
static void kinds_text(char *buffer, size_t n, const hn_config_section *section,
                       const hn_option *option) {
    size_t used = 0;
    buffer[0] = '\0';
    if (option->kinds == 0 || section->selector == NULL) return;
    const char *const *names = hn_section_option(section, section->selector, ~0u)->names;
    for (int i = 0; names[i] != NULL && used < n; i++)
        if ((option->kinds >> i & 1) != 0)
            used +=
                (size_t)snprintf(buffer + used, n - used, "%s%s", used > 0 ? ", " : "", names[i]);
}

static void add_json(page *p, const char *key, const char *type, const char *def, const char *kinds,
                     const hn_option *option) {
    json_t *row = json_pack("{s:s, s:s, s:s*, s:s*, s:b, s:s}", "key", key, "type", type, "default",
                            option->def != NULL ? def : NULL, "of", kinds[0] != '\0' ? kinds : NULL,
                            "required", (option->flags & HN_OPTION_REQUIRED) != 0, "meaning",
                            option->meaning != NULL ? option->meaning : "");
    if (p->options == NULL || row == NULL || json_array_append_new(p->options, row) != 0) {
        json_decref(p->options);
        p->options = NULL;
    }
}

static void add_row(page *p, const char *path, const hn_config_section *section,
                    const hn_option *option) {
    char key[300], type[400], def[200], kinds[100];
    snprintf(key, sizeof key, "%s%s%s", path, path[0] != '\0' ? "." : "", option->name);
    option->type->describe(type, sizeof type, option);
    default_text(def, sizeof def, option);
    kinds_text(kinds, sizeof kinds, section, option);
    add_json(p, key, type, def, kinds, option);
    hn_text_add(&p->text, "| `%s`%s%s%s | %s | ", option->name, kinds[0] != '\0' ? " (" : "", kinds,
                kinds[0] != '\0' ? ")" : "", type);
    if ((option->flags & HN_OPTION_REQUIRED) != 0)
        hn_text_add(&p->text, "required");
    else if (option->def != NULL) {
        hn_text_add(&p->text, "`");
        add_cell(&p->text, def);
        hn_text_add(&p->text, "`");
    }
    hn_text_add(&p->text, " | ");
    add_cell(&p->text, option->meaning != NULL ? option->meaning : "");
    hn_text_add(&p->text, " |\n");
}

static bool is_nested(const hn_option *option) { return option->section != NULL; }
/* Its elements have names. */
static bool is_map(const hn_option *option) { return is_nested(option) && option->companion != 0; }

static void add_table(page *p, const char *path, const hn_config_section *section) {
    bool any = false;
    for (int32_t i = 0; i < section->n; i++) any = any || !is_nested(&section->options[i]);
    if (any)
        hn_text_add(&p->text, "| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (int32_t i = 0; i < section->n; i++)
        if (!is_nested(&section->options[i])) add_row(p, path, section, &section->options[i]);
}

static void add_nested(page *p, const char *path, const hn_option *option);

/* A section's table, then those of the sections in it. */
static void add_section(page *p, const char *path, const hn_config_section *section) {
    add_table(p, path, section);
    for (int32_t i = 0; i < section->n; i++)
        if (is_nested(&section->options[i])) add_nested(p, path, &section->options[i]);
}

/* The recursion is over our own tables, a few levels deep. */
static void add_nested(page *p, const char *path, const hn_option *option) {
    char below[200];
    snprintf(below, sizeof below, "%.80s%s%.80s%s", path, path[0] != '\0' ? "." : "", option->name,
             is_map(option) ? ".NAME" : "");
    hn_text_add(&p->text, "\n## `%s`%s\n\n%s\n\n", below,
                (option->flags & HN_OPTION_REQUIRED) != 0 ? " (required)" : "",
                option->section->about);
    add_section(p, below, option->section);
}

hn_status hn_section_reference(hn_report **out, const hn_config_section *root,
                               const char *introduction, hn_error *err) {
    *out = NULL;
    page p = {.options = json_array()};
    hn_text_add(&p.text, "%s\n## At the top\n\n", introduction);
    add_section(&p, "", root);
    json_t *json = p.options != NULL ? json_pack("{s:o}", "options", p.options) : NULL;
    if (json != NULL) return hn_report_create(out, json, &p.text, err);
    hn_text_free(&p.text);
    return hn_no_memory(err, "the reference of the config");
}

hn_status hn_config_reference(hn_report **out, hn_error *err) {
    return hn_section_reference(out, &hn_config_root, config_introduction, err);
}
