/* config.yaml beside the simulated data: a HiNet small enough for a laptop, with features
 * of every kind. It is the config that the README explains. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "simulate/simulate.h"

static const char before_files[] =
    "# A HiNet for the simulated platform. Every option: hinet config\n"
    "log:\n"
    "  files: [";

static const char after_files[] =
    "]\n"
    "tables:\n"
    "  users: {files: [users.csv], key: user_id, side: user}\n"
    "  items: {files: [items.csv], key: item_id, side: item}\n"
    "\n"
    "split: {by: column, validation: \"date >= 20240112\", test: \"date >= 20240113\"}\n"
    "scenario:\n"
    "  column: scenario\n"
    "  values: [home, search, deals, video, local, gifts]\n"
    "tasks:\n"
    "  click: click\n"
    "  order: order # over all impressions: an impression without a click has no order\n"
    "user: user_id\n"
    "\n"
    "features:\n"
    "  user_id: {kind: id, width: 16}\n"
    "  age: {kind: id, width: 8}\n"
    "  city: {kind: id, width: 8}\n"
    "  level: {kind: id, width: 8}\n"
    "  recent_categories: {kind: list, share: category, max_length: 6, side: user}\n"
    "  scenario: {kind: id, width: 8}\n"
    "  hour: {kind: id, width: 4}\n"
    "  item_id: {kind: id, width: 16}\n"
    "  shop_id: {kind: id, width: 8}\n"
    "  category: {kind: id, width: 16}\n"
    "  brand: {kind: id, width: 8}\n"
    "  price: {kind: number, scaling: log1p-zscore}\n"
    "  shop_rating: {kind: number, scaling: zscore}\n"
    "  position: {kind: id, width: 4, side: item, missing: \"0\"} # served without one: the first\n"
    "  user_rate: {kind: rate, key: [user_id], fold: hash 5, width: 8}\n"
    "  item_rate: {kind: rate, key: [item_id, scenario], fold: hash 5, width: 8}\n"
    "\n"
    "model:\n"
    "  name: hinet\n"
    "  experts: 3\n"
    "  expert_units: [64, 32]\n"
    "  task_shared: 1\n"
    "  task_own: 1\n"
    "  task_units: [32]\n"
    "  tower_units: [32]\n"
    "  embedding_dropout: 0.1\n"
    "train: {rate: 0.002, batch: 2048, epochs: 4, patience: 1, seed: 1}\n";

hn_status hn_sim_config_write(const hn_sim_log *log, hn_error *err) {
    hn_writer *writer;
    char *const path = hn_path_join(log->dir, "config.yaml");
    if (!path) return hn_no_memory(err, "a path");
    const hn_status status = hn_writer_open(&writer, path, err);
    hn_free(path);
    if (status != HN_OK) return status;
    hn_writer_write(writer, before_files, sizeof before_files - 1);
    for (int64_t i = 0; i < hn_sim_log_files(log); i++) {
        char name[32];
        hn_sim_log_name(name, sizeof name, log, i);
        if (i > 0) hn_writer_write(writer, ", ", 2);
        hn_writer_write(writer, name, strlen(name));
    }
    hn_writer_write(writer, after_files, sizeof after_files - 1);
    return hn_writer_commit(writer, err);
}
