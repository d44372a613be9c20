/* The options of features: how columns become model input. */
#include <stddef.h>
#include <string.h>

#include "base/config_options.h"

enum {
    ID = 1u << HN_FEATURE_ID,
    NUMBER = 1u << HN_FEATURE_NUMBER,
    LIST = 1u << HN_FEATURE_LIST,
    RATE = 1u << HN_FEATURE_RATE
};
#define IDS_MAX 4294967290.0 /* ids are 32-bit, and some are reserved */
#define FIELD(name_) .name = #name_, .offset = offsetof(hn_config_feature, name_)

static const char *const kind_names[] = {"id", "number", "list", "rate", NULL};
static const char *const side_names[] = {"user", "context", "item", NULL};
static const char *const pooling_names[] = {"mean", "sum", NULL};
static const char *const scaling_names[] = {"none",         "log1p",   "zscore",
                                            "log1p-zscore", "buckets", NULL};

static const hn_option options[] = {
    {FIELD(kind), .type = &hn_value_enum, .names = kind_names, .flags = HN_OPTION_REQUIRED,
     .meaning = "`id`: a category with an embedding; `number`; `list`: several ids in a cell, "
                "pooled; `rate`: how often a task succeeded for a key"},
    {FIELD(column), .type = &hn_value_column, .kinds = ID | NUMBER | LIST,
     .meaning = "of the log or a table: a name, or `table.column`; absent: the feature's name"},
    {FIELD(side), .type = &hn_value_enum, .names = side_names,
     .companion = offsetof(hn_config_feature, has_side),
     .meaning = "absent: as its table says, or the table that is joined by this column; else "
                "context. A rate has the latest side of its keys"},
    {FIELD(width), .type = &hn_value_int32, .min = 1, .max = 4096, .def = "16",
     .flags = HN_OPTION_DEFAULTABLE | HN_OPTION_NOT_SHARED,
     .meaning = "of the embedding (numbers and rates: with `scaling: buckets`)"},
    {FIELD(share), .type = &hn_value_text, .kinds = ID | LIST, .min = 1, .max = 200,
     .meaning = "the name of an id or list feature whose vocabulary and embedding table this one "
                "uses; width and vocabulary are that one's"},
    {FIELD(min_count), .type = &hn_value_int64, .kinds = ID | LIST, .min = 1, .max = 1e15,
     .def = "1", .flags = HN_OPTION_DEFAULTABLE | HN_OPTION_NOT_SHARED,
     .meaning = "ids that are rarer in the training split count as unseen"},
    {FIELD(max_size), .type = &hn_value_int64, .kinds = ID | LIST, .min = 0, .max = IDS_MAX,
     .def = "0", .flags = HN_OPTION_DEFAULTABLE | HN_OPTION_NOT_SHARED,
     .meaning = "only this many of the most frequent ids are kept; 0: all"},
    {FIELD(hash), .type = &hn_value_int64, .kinds = ID | LIST, .min = 0, .max = IDS_MAX, .def = "0",
     .flags = HN_OPTION_NOT_SHARED,
     .meaning = "above 0: no vocabulary, ids are hashed into this many buckets"},
    {FIELD(integer), .type = &hn_value_int64, .kinds = ID | LIST, .min = 0, .max = IDS_MAX,
     .def = "0", .flags = HN_OPTION_NOT_SHARED,
     .meaning = "above 0: no vocabulary, the cell is an integer from 0 to this less one and is the "
                "id itself; refused for lists, which take a vocabulary or hash"},
    {FIELD(missing), .type = &hn_value_text, .kinds = ID | NUMBER | LIST, .min = 0, .max = 1000,
     .meaning = "the text to read where the cell has no value; absent: an id of its own, a "
                "number's value 0, an empty list"},
    {FIELD(delimiter), .type = &hn_value_delimiter, .kinds = LIST, .def = "|",
     .flags = HN_OPTION_DEFAULTABLE, .meaning = "between the ids of a cell"},
    {FIELD(counts), .type = &hn_value_delimiter, .kinds = NUMBER,
     .meaning =
         "the number is how many values stand in the cell with this between them (the length "
         "of a list); absent: the cell is the number"},
    {FIELD(max_length), .type = &hn_value_int32, .kinds = LIST, .min = 1, .max = 10000, .def = "50",
     .flags = HN_OPTION_DEFAULTABLE, .meaning = "only the first ids of a cell are kept"},
    {FIELD(pooling), .type = &hn_value_enum, .kinds = LIST, .names = pooling_names, .def = "mean",
     .flags = HN_OPTION_DEFAULTABLE, .meaning = "of the ids' embeddings"},
    {.name = "key",
     .offset = offsetof(hn_config_feature, keys),
     .type = &hn_value_columns,
     .kinds = RATE,
     .min = 1,
     .max = 8,
     .flags = HN_OPTION_REQUIRED,
     .meaning = "the columns whose values together are the key: `[user_id, tab]`"},
    {.name = "tasks",
     .offset = offsetof(hn_config_feature, rate_tasks),
     .type = &hn_value_columns,
     .kinds = RATE,
     .min = 1,
     .max = HN_TASKS_MAX,
     .meaning = "a rate for each of these; absent: all tasks"},
    {FIELD(smoothing), .type = &hn_value_real, .kinds = RATE, .min = 0, .max = 1e9, .def = "20",
     .flags = HN_OPTION_ABOVE_MIN | HN_OPTION_DEFAULTABLE,
     .meaning = "k in (Σy + k · base) / (n + k)"},
    {FIELD(count), .type = &hn_value_bool, .kinds = RATE, .def = "true",
     .flags = HN_OPTION_DEFAULTABLE, .meaning = "also n, as log(1 + n)"},
    {.name = "fold",
     .type = &hn_value_fold,
     .kinds = RATE,
     .def = "hash 5",
     .flags = HN_OPTION_DEFAULTABLE,
     .meaning = "training rows do not see the counts of their own fold, for the label would leak: "
                "a column (days), or `hash N` of the row"},
    {.name = "past",
     .type = &hn_value_past,
     .kinds = RATE,
     .meaning =
         "instead of `fold`: training rows see only the counts of earlier values of this column"},
    {FIELD(scaling), .type = &hn_value_enum, .kinds = NUMBER, .names = scaling_names,
     .def = "zscore", .flags = HN_OPTION_DEFAULTABLE,
     .meaning = "fitted on the training split; `buckets`: quantiles with an embedding each"},
    {FIELD(scaling), .type = &hn_value_enum, .kinds = RATE, .names = scaling_names,
     .def = "buckets", .flags = HN_OPTION_DEFAULTABLE,
     .meaning = "as for numbers, fitted on the values that training rows see"},
    {FIELD(buckets), .type = &hn_value_int32, .kinds = NUMBER | RATE, .min = 2, .max = 65535,
     .def = "40", .flags = HN_OPTION_DEFAULTABLE,
     .meaning = "how many quantiles, with `scaling: buckets`"},
};

const hn_config_section hn_feature_section = {
    .about = "How columns become model input. A kind alone is a short form: `user_id: id`.",
    .options = options,
    .n = sizeof options / sizeof *options,
    .size = sizeof(hn_config_feature),
    .selector = "kind",
    .short_key = "kind",
    .check = hn_feature_check};

/* A feature with hash buckets or integers has no vocabulary to limit. */
static hn_status check_vocabulary(hn_config_reader *reader, const hn_node *node,
                                  hn_config_feature *f) {
    if (f->hash > 0 && f->integer > 0)
        return hn_config_fail_key(reader, node, "integer",
                                  "found `hash` and `integer` together; expected one of them");
    if (f->hash == 0 && f->integer == 0) return HN_OK;
    static const char *const limits[] = {"min_count", "max_size"};
    const bool limited[] = {f->min_count > 1, f->max_size > 0};
    for (int i = 0; i < 2; i++)
        if (limited[i] && !hn_node_is_null(hn_node_find(node, limits[i])))
            return hn_config_fail_key(reader, node, limits[i],
                                      "there is no vocabulary with `%s`; remove one of the two",
                                      f->hash > 0 ? "hash" : "integer");
    f->min_count = 1; /* from `defaults` */
    f->max_size = 0;
    return HN_OK;
}

static hn_status check_missing(hn_config_reader *reader, const hn_node *node,
                               const hn_config_feature *f) {
    double value;
    if (f->missing == NULL) return HN_OK;
    const bool number = hn_number_parse(&value, f->missing);
    if (f->kind == HN_FEATURE_NUMBER && !number)
        return hn_config_fail_key(reader, node, "missing",
                                  "found \"%.80s\"; expected a number, as the feature is one",
                                  f->missing);
    if (f->kind == HN_FEATURE_ID && f->integer > 0 &&
        !(number && value >= 0 && value < (double)f->integer && value == (double)(int64_t)value))
        return hn_config_fail_key(reader, node, "missing",
                                  "found \"%.80s\"; expected an integer from 0 to %lld", f->missing,
                                  (long long)f->integer - 1);
    return HN_OK;
}

static hn_status check_folds(hn_config_reader *reader, const hn_node *node) {
    if (!hn_node_is_null(hn_node_find(node, "fold")) &&
        !hn_node_is_null(hn_node_find(node, "past")))
        return hn_config_fail_key(reader, node, "past",
                                  "found `fold` and `past` together; expected one of them");
    return HN_OK;
}

/* Columns that are not of the column type: names that stand for columns, keys, folds. */
static hn_status check_column(hn_config_reader *reader, const hn_node *node, const char *key,
                              const char *column) {
    if (column == NULL || column[0] != '$' || strcmp(column, "$file") == 0) return HN_OK;
    return hn_config_fail_key(
        reader, node, key, "found the column \"%.80s\"; the only one that begins with $ is $file",
        column);
}

static hn_status check_columns(hn_config_reader *reader, const hn_node *node,
                               const hn_config_feature *f) {
    HN_TRY(check_column(reader, node, "column", f->column));
    for (int32_t i = 0; i < f->keys.n; i++)
        HN_TRY(check_column(reader, node, "key", f->keys.items[i]));
    return check_column(reader, node, f->fold_by == HN_FOLD_PAST ? "past" : "fold", f->fold_column);
}

hn_status hn_feature_check(hn_config_reader *reader, const hn_node *node, void *feature) {
    hn_config_feature *f = feature;
    if (f->column == NULL && f->kind != HN_FEATURE_RATE) f->column = f->name;
    HN_TRY(check_columns(reader, node, f));
    if (f->kind == HN_FEATURE_RATE) return check_folds(reader, node);
    HN_TRY(check_missing(reader, node, f));
    return f->kind == HN_FEATURE_NUMBER ? HN_OK : check_vocabulary(reader, node, f);
}
