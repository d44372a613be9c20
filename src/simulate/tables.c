/* users.csv and items.csv: what the platform knows of its users and items. The hidden
 * tastes are not in them. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "simulate/simulate.h"

static const char *const ages[HN_SIM_AGES] = {"under18", "18-24", "25-34",
                                              "35-44",   "45-54", "55plus"};

static void write_text(hn_writer *writer, const char *text) {
    hn_writer_write(writer, text, strlen(text));
}

static void write_user(hn_writer *writer, const hn_truth *truth, int64_t u) {
    hn_sim_user user;
    char line[160];
    hn_truth_user(&user, truth, u);
    snprintf(line, sizeof line, "%lld,%s,c%d,%d,%d\n", (long long)u + 1, ages[user.age],
             (int)user.city + 1, (int)user.level + 1, (int)user.tenure_days);
    write_text(writer, line);
}

static void write_item(hn_writer *writer, const hn_truth *truth, int64_t v) {
    const hn_sim_item *const item = hn_truth_item(truth, v);
    char line[160];
    snprintf(line, sizeof line, "%lld,%d,%d,b%d,%.2f,%.2f\n", (long long)v + 1, (int)item->shop + 1,
             (int)item->category + 1, (int)item->brand + 1, (double)item->price,
             (double)item->shop_rating);
    write_text(writer, line);
}

typedef void (*write_row)(hn_writer *writer, const hn_truth *truth, int64_t row);

static hn_status write_table(const char *dir, const char *name, const char *header, int64_t rows,
                             write_row write, const hn_truth *truth, const hn_run *run,
                             hn_error *err) {
    const int64_t rows_a_look = 65536;
    hn_writer *writer;
    char *const path = hn_path_join(dir, name);
    if (!path) return hn_no_memory(err, "a path");
    const hn_status status = hn_writer_open(&writer, path, err);
    hn_free(path);
    if (status != HN_OK) return status;
    write_text(writer, header);
    for (int64_t row = 0; row < rows; row++) {
        if (row % rows_a_look == 0 && hn_stopped(run)) {
            hn_writer_abandon(writer);
            return hn_fail(err, HN_INTERRUPTED, "simulate: stopped by request; %s was not written",
                           name);
        }
        write(writer, truth, row);
    }
    return hn_writer_commit(writer, err);
}

hn_status hn_sim_tables_write(const char *dir, const hn_truth *truth, const hn_run *run,
                              hn_error *err) {
    HN_TRY(write_table(dir, "users.csv", "user_id,age,city,level,tenure_days\n",
                       hn_truth_users(truth), write_user, truth, run, err));
    return write_table(dir, "items.csv", "item_id,shop_id,category,brand,price,shop_rating\n",
                       hn_truth_items(truth), write_item, truth, run, err);
}
