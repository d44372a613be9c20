/* The reference of EXPERIMENT.yaml from its tables: docs/experiment-config.md is this text, and a
 * test compares them. */
#include "experiment/config_parts.h"

static const char introduction[] =
    "# EXPERIMENT.yaml\n\n"
    "`hinet experiment EXPERIMENT.yaml` runs every model with every seed on every data set "
    "(docs/experiment.md).\n"
    "Every option is listed with its type, default and meaning; this page is generated from the "
    "tables that\n"
    "the parser itself reads.\n\n"
    "```yaml\n"
    "base: {kuairand: ../kuairand.yaml, movielens: ../movielens.yaml}\n"
    "set: {train.epochs: 4}\n"
    "models:\n"
    "  hinet: {}\n"
    "  ple: {search: {model.task_own: {integer: [1, 3]}}}\n"
    "  mmoe: {set: {model.experts: 8}}\n"
    "  without SAN: {like: hinet, set: {model.san: false}}\n"
    "seeds: 5\n"
    "search:\n"
    "  train.rate: {log: [0.0002, 0.005]}\n"
    "  model.embedding_dropout: [0, 0.5]\n"
    "  model.tower_units: {choice: [[32], [64, 32]]}\n"
    "trials: 8\n"
    "```\n\n"
    "Rules:\n\n"
    "- Unknown keys, wrong types, impossible values and keys that stand twice are errors with "
    "file, line\n"
    "  and column. A key without a value, or with a plain `null` or `~`, is as if it were not "
    "there.\n"
    "- What stands in `set` is YAML and means what `--set` means (docs/config.md); a nested "
    "mapping is the\n"
    "  same as key paths: `{model: {san: false}}` is `{model.san: false}`.\n"
    "- Relative paths are taken from this file's folder.\n";

hn_status hn_experiment_config_reference(hn_report **out, hn_error *err) {
    return hn_section_reference(out, &hn_experiment_root, introduction, err);
}
