/* What no single option can know: that features share what exists, that labels do not
 * leak into the input, that splits leave rows to train on. Also fills the defaults that
 * depend on other sections. */
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"

/* ---- Sources ---- */

static hn_status check_source(hn_config_reader *reader, const hn_node *node,
                              const hn_config_source *source, bool is_log) {
    for (int32_t i = 0; i < source->files.n; i++) {
        const char *file = source->files.items[i];
        if (file[0] == '\0')
            return hn_config_fail_key(reader, node, "files",
                                      "found an empty path; expected a path or a glob");
        if (strcmp(file, "-") == 0 && !(is_log && source->files.n == 1))
            return hn_config_fail_key(
                reader, node, "files",
                "found \"-\" (standard input) %s; expected it alone, for the log only",
                is_log ? "among other files" : "for a table");
    }
    const char quote = source->quote[0];
    if (quote == '\r' || quote == '\n')
        return hn_config_fail_key(reader, node, "quote",
                                  "found a line's end; expected one character or \"\" for none");
    if (quote != '\0' && strcmp(source->delimiter, "auto") != 0 &&
        strchr(source->delimiter, quote) != NULL)
        return hn_config_fail_key(
            reader, node, "delimiter",
            "found the quote character %c in it; expected them to differ (`quote: \"\"` for none)",
            quote);
    return HN_OK;
}

hn_status hn_log_check(hn_config_reader *reader, const hn_node *node, void *object) {
    const hn_config *config = object;
    HN_TRY(check_source(reader, node, &config->log, true));
    if (config->sampling_column != NULL && config->sampling != 1)
        return hn_config_fail_key(
            reader, node, "sampling_column",
            "found `sampling` and `sampling_column` together; expected one of them");
    return HN_OK;
}

hn_status hn_table_check(hn_config_reader *reader, const hn_node *node, void *object) {
    hn_config_table *table = object;
    if (table->log_key == NULL) table->log_key = table->key;
    if (table->source.columns.n > 0 && hn_strings_find(&table->source.columns, table->key) < 0)
        return hn_config_fail_key(reader, node, "key",
                                  "found \"%.80s\", which is not among `columns`", table->key);
    return check_source(reader, node, &table->source, false);
}

/* ---- Split ---- */

static hn_status check_split_column(hn_config_reader *reader, const hn_node *node,
                                    const hn_config_split *split) {
    const hn_predicate *const predicates[] = {&split->validation_if, &split->test_if};
    static const char *const keys[] = {"validation", "test"};
    if (split->validation_if.column == NULL && split->test_if.column == NULL)
        return hn_config_fail_key(reader, node, "validation",
                                  "neither `validation` nor `test` is written; expected "
                                  "comparisons like \"date >= 20220505\"");
    for (int i = 0; i < 2; i++)
        if (split->column != NULL && predicates[i]->column != NULL &&
            strcmp(split->column, predicates[i]->column) != 0)
            return hn_config_fail_key(reader, node, keys[i],
                                      "found a comparison of \"%.80s\"; expected one of `column`, "
                                      "\"%.80s\" (or leave `column` out)",
                                      predicates[i]->column, split->column);
    return HN_OK;
}

hn_status hn_split_check(hn_config_reader *reader, const hn_node *node, void *object) {
    const hn_config_split *split = object;
    if (split->by == HN_SPLIT_COLUMN) return check_split_column(reader, node, split);
    if (split->validation + split->test >= 1)
        return hn_config_fail_key(
            reader, node, "test",
            "found validation + test = %g; expected less than 1, for the rest trains",
            split->validation + split->test);
    return HN_OK;
}

/* ---- Tasks ---- */

static int32_t find_task(const hn_config *config, const char *name) {
    for (int32_t i = 0; i < config->n_tasks; i++)
        if (strcmp(config->tasks[i].name, name) == 0) return i;
    return -1;
}

static const char *const *task_names(const char *names[HN_TASKS_MAX], const hn_config *config) {
    for (int32_t i = 0; i < config->n_tasks; i++) names[i] = config->tasks[i].name;
    return names;
}

/* "log.column" is the log's; a plain name may be the table's that a label names in full. A
 * table's column of the name of a label of the log is another one. */
static bool may_be_same(const char *label, const char *column) {
    const bool of_log = strncmp(column, "log.", 4) == 0, plain = strchr(column, '.') == NULL;
    const char *const dot = strchr(label, '.');
    if (strcmp(label, of_log ? column + 4 : column) == 0) return true;
    return plain && dot != NULL && strcmp(dot + 1, column) == 0;
}

/* The task whose label is made from this column; NULL: none. */
static const hn_config_task *labelled_by(const hn_config *config, const char *column) {
    for (int32_t i = 0; column != NULL && i < config->n_tasks; i++)
        if (may_be_same(config->tasks[i].label.column, column)) return &config->tasks[i];
    return NULL;
}

/* The earlier task of each; model->after has the same by number. */
static hn_status find_after(hn_config_reader *reader, const hn_node *node, hn_config *config,
                            int32_t task) {
    const char *names[HN_TASKS_MAX], *const name = config->tasks[task].after;
    char hint[300];
    const int32_t found = name != NULL ? find_task(config, name) : -1;
    if (name != NULL && found < 0)
        return hn_config_fail_key(
            reader, node, "after", "found \"%.80s\", which is no task%s", name,
            hn_hint(hint, sizeof hint, name, task_names(names, config), (size_t)config->n_tasks));
    config->model.after[task] = found + 1;
    return HN_OK;
}

/* Whoever goes back from a task as many times as there are tasks goes round in a circle. */
static hn_status check_circle(hn_config_reader *reader, const hn_node *node, hn_config *config,
                              int32_t task) {
    int32_t at = task + 1;
    for (int32_t i = 0; i < config->n_tasks && at > 0; i++) {
        at = config->model.after[at - 1];
        if (at == task + 1)
            return hn_config_fail_key(
                reader, node, "after",
                "found \"%.80s\", which itself comes after \"%.80s\"; expected "
                "an order with a first task",
                config->tasks[task].after, config->tasks[task].name);
    }
    return HN_OK;
}

typedef hn_status (*task_check)(hn_config_reader *reader, const hn_node *node, hn_config *config,
                                int32_t task);

static hn_status check_each_task(hn_config_reader *reader, const hn_node *nodes, hn_config *config,
                                 task_check check) {
    const hn_key_path tasks = {reader->path, "tasks"};
    hn_status status = HN_OK;
    for (int32_t i = 0; status == HN_OK && i < config->n_tasks; i++) {
        const hn_key_path path = {&tasks, config->tasks[i].name};
        reader->path = &path;
        status = check(reader, hn_node_find(nodes, config->tasks[i].name), config, i);
        reader->path = tasks.up;
    }
    return status;
}

static hn_status check_tasks(hn_config_reader *reader, const hn_node *root, hn_config *config) {
    const hn_node *nodes = hn_node_find(root, "tasks");
    HN_TRY(check_each_task(reader, nodes, config, find_after));
    return check_each_task(reader, nodes, config, check_circle);
}

/* ---- Features ---- */

static hn_status leak(hn_config_reader *reader, const hn_node *node, const char *key,
                      const char *column, const hn_config_task *task) {
    return hn_config_fail_key(
        reader, node, key,
        "found the column \"%.80s\", from which the label of task \"%.80s\" is made: the model "
        "would see the answer (a leak); remove it from the features",
        column, task->name);
}

static hn_status check_leaks(hn_config_reader *reader, const hn_node *node,
                             const hn_config_feature *f, const hn_config *config) {
    const hn_config_task *task = labelled_by(config, f->column);
    if (task != NULL) return leak(reader, node, "column", f->column, task);
    for (int32_t i = 0; i < f->keys.n; i++)
        if ((task = labelled_by(config, f->keys.items[i])) != NULL)
            return leak(reader, node, "key", f->keys.items[i], task);
    task = labelled_by(config, f->fold_column);
    if (task == NULL) return HN_OK;
    return leak(reader, node, f->fold_by == HN_FOLD_PAST ? "past" : "fold", f->fold_column, task);
}

static hn_status all_tasks(hn_config_reader *reader, hn_config_feature *f,
                           const hn_config *config) {
    f->rate_tasks.items =
        hn_arena_alloc(reader->arena, (size_t)config->n_tasks, sizeof *f->rate_tasks.items);
    if (f->rate_tasks.items == NULL) return hn_no_memory(reader->err, "the config's features");
    for (int32_t i = 0; i < config->n_tasks; i++) f->rate_tasks.items[i] = config->tasks[i].name;
    f->rate_tasks.n = config->n_tasks;
    return HN_OK;
}

static hn_status check_rate(hn_config_reader *reader, const hn_node *node, hn_config_feature *f,
                            const hn_config *config) {
    if (f->rate_tasks.n == 0) return all_tasks(reader, f, config);
    for (int32_t i = 0; i < f->rate_tasks.n; i++) {
        const char *names[HN_TASKS_MAX], *name = f->rate_tasks.items[i];
        char hint[300];
        if (find_task(config, name) < 0)
            return hn_config_fail_key(reader, node, "tasks", "found \"%.80s\", which is no task%s",
                                      name,
                                      hn_hint(hint, sizeof hint, name, task_names(names, config),
                                              (size_t)config->n_tasks));
    }
    return HN_OK;
}

static const hn_config_feature *find_feature(const hn_config *config, const char *name) {
    for (int32_t i = 0; i < config->n_features; i++)
        if (strcmp(config->features[i].name, name) == 0) return &config->features[i];
    return NULL;
}

static hn_status unknown_feature(hn_config_reader *reader, const hn_node *node, const char *name,
                                 const hn_config *config) {
    char hint[300];
    const char **names = hn_alloc((size_t)config->n_features, sizeof *names);
    if (names == NULL) return hn_no_memory(reader->err, "the features' names");
    for (int32_t i = 0; i < config->n_features; i++) names[i] = config->features[i].name;
    hn_hint(hint, sizeof hint, name, names, (size_t)config->n_features);
    hn_free(names);
    return hn_config_fail_key(reader, node, "share", "found \"%.80s\", which is no feature%s", name,
                              hint);
}

/* What a sharing feature must leave to the shared one. */
static hn_status check_not_written(hn_config_reader *reader, const hn_node *node,
                                   const char *shared) {
    for (int32_t i = 0; i < hn_feature_section.n; i++) {
        const hn_option *option = &hn_feature_section.options[i];
        if ((option->flags & HN_OPTION_NOT_SHARED) != 0 &&
            !hn_node_is_null(hn_node_find(node, option->name)))
            return hn_config_fail_key(
                reader, node, option->name,
                "this is \"%.80s\"'s to say, whose table is shared; remove it here", shared);
    }
    return HN_OK;
}

static hn_status check_share(hn_config_reader *reader, const hn_node *node, hn_config_feature *f,
                             const hn_config *config) {
    if (f->share == NULL) return HN_OK;
    const hn_config_feature *shared = find_feature(config, f->share);
    if (shared == NULL) return unknown_feature(reader, node, f->share, config);
    if (shared == f || shared->share != NULL)
        return hn_config_fail_key(
            reader, node, "share",
            "found \"%.80s\", which %s; expected a feature with a table of its own", f->share,
            shared == f ? "is this feature itself" : "shares another's table: name that one");
    if (shared->kind != HN_FEATURE_ID && shared->kind != HN_FEATURE_LIST)
        return hn_config_fail_key(
            reader, node, "share",
            "found \"%.80s\", which has no ids; expected a feature of kind id or list", f->share);
    HN_TRY(check_not_written(reader, node, f->share));
    f->width = shared->width;
    f->min_count = shared->min_count;
    f->max_size = shared->max_size;
    f->hash = shared->hash;
    f->integer = shared->integer;
    return HN_OK;
}

static hn_status check_feature(hn_config_reader *reader, const hn_node *node, hn_config_feature *f,
                               const hn_config *config) {
    HN_TRY(check_leaks(reader, node, f, config));
    HN_TRY(check_share(reader, node, f, config));
    return f->kind == HN_FEATURE_RATE ? check_rate(reader, node, f, config) : HN_OK;
}

static hn_status check_features(hn_config_reader *reader, const hn_node *root, hn_config *config) {
    const hn_key_path features = {reader->path, "features"};
    const hn_node *nodes = hn_node_find(root, "features");
    hn_status status = HN_OK;
    for (int32_t i = 0; status == HN_OK && i < config->n_features; i++) {
        hn_config_feature *f = &config->features[i];
        const hn_key_path path = {&features, f->name};
        reader->path = &path;
        status = check_feature(reader, hn_node_find(nodes, f->name), f, config);
        reader->path = features.up;
    }
    return status;
}

/* ---- The metric to stop on ---- */

static bool names_cell(const hn_config *config, const char *metric) {
    for (int32_t i = 0; i < config->scenario.names.n; i++) {
        const char *name = config->scenario.names.items[i];
        const size_t n = strlen(name);
        if (strncmp(metric, name, n) == 0 && metric[n] == '/' &&
            find_task(config, metric + n + 1) >= 0)
            return true;
    }
    return false;
}

static hn_status check_metric(hn_config_reader *reader, const hn_node *root,
                              const hn_config *config) {
    const hn_key_path path = {reader->path, "train"};
    hn_config_reader below = *reader;
    below.path = &path;
    if (strcmp(config->train.metric, "auc") == 0 || names_cell(config, config->train.metric))
        return HN_OK;
    const hn_node *train = hn_node_find(root, "train");
    return hn_config_fail_key(
        &below, train != NULL ? train : root, "metric",
        "found \"%.80s\"; expected auc, or SCENARIO/TASK like \"%.80s/%.80s\"",
        config->train.metric, config->scenario.names.items[0], config->tasks[0].name);
}

/* ---- Scenarios that are sampled ---- */

static hn_status check_sampling(hn_config_reader *reader, const hn_node *root,
                                const hn_config *config) {
    const hn_key_path train = {reader->path, "train"}, path = {&train, "sampling"};
    hn_config_reader below = *reader;
    below.path = &path;
    const hn_strings *const names = &config->scenario.names;
    for (int32_t i = 0; i < config->train.n_sampling; i++) {
        const char *const name = config->train.sampling[i].name;
        char hint[300];
        if (hn_strings_find(names, name) >= 0) continue;
        const hn_node *const node = hn_node_find(hn_node_find(root, "train"), "sampling");
        return hn_config_fail_key(
            &below, node != NULL ? node : root, name, "found \"%.80s\", which is no scenario%s",
            name,
            hn_hint(hint, sizeof hint, name, (const char *const *)names->items, (size_t)names->n));
    }
    return HN_OK;
}

hn_status hn_config_check(hn_config_reader *reader, const hn_node *root, void *object) {
    hn_config *config = object;
    HN_TRY(check_tasks(reader, root, config));
    HN_TRY(check_features(reader, root, config));
    HN_TRY(check_sampling(reader, root, config));
    return check_metric(reader, root, config);
}
