/* The parts of hn_simulate: the tables, the log, the config beside them. Each writes one
 * or more files of DIR atomically. */
#ifndef HN_SIMULATE_SIMULATE_H
#define HN_SIMULATE_SIMULATE_H

#include "base/pool.h"
#include "base/report.h"
#include "simulate/bayes.h"
#include "simulate/traffic.h"

enum { HN_SIM_CELLS = HN_SIM_SCENARIOS * HN_SIM_TASKS };

typedef struct hn_sim_log {
    int64_t rows, rows_a_file;
    const char *dir;
    const hn_truth *truth;
    /* counted while writing; order-free */
    uint64_t scenario_rows[HN_SIM_SCENARIOS];
    uint64_t cell_positives[HN_SIM_CELLS];
} hn_sim_log;

/* Writes the log file or files; rows of the test days go to `bayes`. */
hn_status hn_sim_log_write(hn_sim_log *log, hn_bayes *bayes, hn_pool *pool, const hn_run *run,
                           hn_error *err);
int64_t hn_sim_log_files(const hn_sim_log *log);
/* The base name of file `i`. */
void hn_sim_log_name(char *out, size_t n, const hn_sim_log *log, int64_t i);

hn_status hn_sim_tables_write(const char *dir, const hn_truth *truth, const hn_run *run,
                              hn_error *err);
/* The hidden truth of a log of `rows` rows, and of the platform in folder `dir` (by its
 * truth.json). */
hn_status hn_sim_truth_of_rows(hn_truth **out, int64_t rows, uint64_t seed, hn_error *err);
hn_status hn_sim_truth_load(hn_truth **out, const char *dir, hn_error *err);
hn_status hn_sim_config_write(const hn_sim_log *log, hn_error *err);

#endif
