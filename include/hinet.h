/* hinet.h: multi-scenario, multi-task ranking with HiNet (arXiv 2303.06095).
 *
 * This is the whole public interface of libhinet; the `hinet` program and the
 * bindings use nothing else.
 *
 * Overview
 *   A *log* holds impressions; each was shown in a *scenario* and has the
 *   outcomes of some *tasks*. A *config* (YAML, docs/config.md) says how to
 *   read it. hn_train() prepares a dataset and trains; it leaves a *bundle*,
 *   one file with the model, its schema, its config and its metrics, which
 *   hn_evaluate(), hn_predict() and hn_info() open.
 *
 * Simplest use
 *   hn_error err = {0};
 *   hn_config *config = NULL;
 *   hn_report *report = NULL;
 *   hn_run run = hn_run_default();
 *   run.out_dir = "runs/first";
 *   if (hn_config_load(&config, "config.yaml", NULL, 0, &err) == HN_OK &&
 *       hn_train(&report, config, &run, &err) == HN_OK)
 *       puts(hn_report_text(report));
 *   else
 *       fprintf(stderr, "%s\n", err.text);
 *   hn_report_free(report);
 *   hn_config_free(config);
 *
 * Rules
 *   Every function that can fail returns an hn_status and, when `err` is not
 *   NULL, writes a sentence there that says what was found, where, what was
 *   expected and how to mend it. On failure outputs are NULL and nothing leaks.
 *   The library never prints, exits or aborts. Objects that are `const` in a
 *   call may be shared by threads; others belong to one thread at a time.
 */
#ifndef HINET_H
#define HINET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HN_API __attribute__((visibility("default")))
#define HN_MUST_USE __attribute__((warn_unused_result))
#else
#define HN_API
#define HN_MUST_USE
#endif

#define HN_VERSION "0.1.0"

/* ---- Status ------------------------------------------------------------ */

/* X(symbol, exit code of the program, what it means) */
#define HN_STATUS_MAP(X)                                                         \
    X(OK, 0, "success")                                                          \
    X(FAILED, 1, "the work could not be finished")                               \
    X(NO_MEMORY, 1, "memory could not be had, or more than the limit is needed") \
    X(NOT_FINITE, 1, "a number became infinite or not a number")                 \
    X(USAGE, 2, "the command line or an argument is wrong")                      \
    X(BAD_DATA, 65, "a log, table, dataset or bundle has wrong content")         \
    X(NO_INPUT, 66, "an input file is absent or cannot be read")                 \
    X(CANNOT_CREATE, 73, "an output file cannot be made")                        \
    X(IO_FAILED, 74, "reading or writing failed")                                \
    X(BAD_CONFIG, 78, "a config has a wrong key, type or value")                 \
    X(INTERRUPTED, 130, "stopped by request")

typedef enum hn_status {
#define X(symbol, exit_code, meaning) HN_##symbol,
    HN_STATUS_MAP(X)
#undef X
} hn_status;

/* The exit code of the program, and the meaning in words, of a status. */
HN_API int hn_status_exit_code(hn_status status);
HN_API const char *hn_status_text(hn_status status);

typedef struct hn_error {
    hn_status status;
    char text[1000]; /* one or more sentences, NUL-terminated, no newline at the end */
} hn_error;

/* ---- Run settings: never part of a bundle, change no byte of a result ---- */

typedef enum hn_log_level { HN_LOG_INFO, HN_LOG_WARNING } hn_log_level;

typedef struct hn_progress {
    const char *phase;  /* "read", "encode", "train", "evaluate", … */
    double done, total; /* rows or bytes; total 0: not known */
    double rows_per_s;
    double loss;          /* NaN where there is none */
    int64_t memory_bytes; /* resident memory of the process, mapped files aside */
    int32_t epoch, epochs;
} hn_progress;

typedef struct hn_run {
    int32_t threads;      /* 1…256; 0: one for each core */
    int64_t memory_bytes; /* limit of what the library allocates; 0: 80 % of the machine's */
    const char *out_dir;  /* where files are written; NULL: "." */
    bool resume;          /* go on from out_dir's checkpoint */
    int32_t until_epoch;  /* training stops after so many epochs, as on request; 0: at its end */
    bool scores;          /* also out_dir/test.scores: the logits of every row of the test split */
    const char *init_bundle;  /* warm start from this bundle; NULL: none */
    const char *tensorboard;  /* folder for a TensorBoard event file of a training; NULL: none */
    const volatile int *stop; /* becomes nonzero to ask for an orderly stop; may be NULL */
    void (*log)(void *user, hn_log_level level, const char *line);
    void (*progress)(void *user, const hn_progress *progress);
    void *user; /* given to both callbacks */
} hn_run;

HN_API hn_run hn_run_default(void);

/* ---- Reports: what every command has to say, as text and as JSON ---------- */

typedef struct hn_report hn_report;
HN_API const char *hn_report_text(const hn_report *report);
HN_API const char *hn_report_json(const hn_report *report);
HN_API void hn_report_free(hn_report *report);

/* ---- Config ---------------------------------------------------------------- */

typedef struct hn_config hn_config;

/* Reads a YAML config. `overrides` are "key.path=value" strings (--set) applied
 * before the checks; `n` their number. Paths in it are relative to the file's folder. */
HN_API HN_MUST_USE hn_status hn_config_load(hn_config **out, const char *path,
                                            const char *const *overrides, size_t n, hn_error *err);
/* The config with every default filled in, as YAML. Owned by `config`. */
HN_API const char *hn_config_yaml(const hn_config *config);
HN_API void hn_config_free(hn_config *config);
/* Every option with type, default, range and meaning, as Markdown (docs/config.md
 * is this text). Static. */
HN_API HN_MUST_USE hn_status hn_config_reference(hn_report **out, hn_error *err);

/* ---- The commands ------------------------------------------------------------ */

/* Reads config and data and reports what was understood. Writes nothing. */
HN_API HN_MUST_USE hn_status hn_check(hn_report **out, const hn_config *config, const hn_run *run,
                                      hn_error *err);

/* Prepares the dataset where it is absent or stale, trains, writes
 * out_dir/best.hn and out_dir/last.hn and reports every cell. */
HN_API HN_MUST_USE hn_status hn_train(hn_report **out, const hn_config *config, const hn_run *run,
                                      hn_error *err);

typedef struct hn_bundle hn_bundle;
HN_API HN_MUST_USE hn_status hn_bundle_open(hn_bundle **out, const char *path, hn_error *err);
HN_API void hn_bundle_close(hn_bundle *bundle);
HN_API HN_MUST_USE hn_status hn_info(hn_report **out, const hn_bundle *bundle, hn_error *err);
/* The models that can be trained, with their sources. */
HN_API HN_MUST_USE hn_status hn_models(hn_report **out, hn_error *err);

/* Every cell's metrics of `bundle` on the test split of `config`, or on all rows
 * of `files` (config NULL), read as the bundle's own config says. */
HN_API HN_MUST_USE hn_status hn_evaluate(hn_report **out, const hn_bundle *bundle,
                                         const hn_config *config, const char *const *files,
                                         size_t n_files, const hn_run *run, hn_error *err);

typedef struct hn_predict_options {
    bool calibrated;  /* by the bundle's calibration, where it has one */
    bool uncorrected; /* as the sampled log has it: log.sampling is not corrected for */
    bool flags;       /* one more column: "unknown_scenario" where that is so, else nothing */
} hn_predict_options;
/* Reads CSV from `files` ("-": standard input) and gives each row back through
 * `write` with one more column for each task, in order, streaming. Rows of scenarios that
 * the bundle does not know are counted in a warning. `options` NULL: all false. */
typedef hn_status (*hn_write)(void *user, const void *bytes, size_t n_bytes, hn_error *err);
HN_API HN_MUST_USE hn_status hn_predict(const hn_bundle *bundle, const char *const *files,
                                        size_t n_files, const hn_predict_options *options,
                                        hn_write write, void *user, const hn_run *run,
                                        hn_error *err);

typedef struct hn_runs_options {
    const char *data; /* rows to measure on: a config (its test split), a prepared dataset, or log
                         files as a pattern; NULL: the test split of each run's own dataset */
    int64_t rows;     /* most rows of the sample for gates and the cost of features; 0: 20000 */
    uint64_t seed;    /* of the sample, the permutations and the bootstrap; INT64_MAX at most */
} hn_runs_options;
/* Writes one self-contained HTML page about trainings through `write`; `runs` are folders that
 * hn_train wrote, or bundles. The report's JSON is what stands in the page as JSON, too. The same
 * inputs give the same bytes. `options` may be NULL. docs/report.md. */
HN_API HN_MUST_USE hn_status hn_runs_report(hn_report **out, const char *const *runs, size_t n_runs,
                                            const hn_runs_options *options, hn_write write,
                                            void *user, const hn_run *run, hn_error *err);

typedef struct hn_serve_options {
    const char *listen;     /* instead of the config's address; NULL: the config's */
    const char *ready_file; /* written when requests are answered:
                               {"port":…,"admin_port":…,"pid":…}; NULL: none */
    bool access_log;        /* a line for each request, at most 100 a second */
} hn_serve_options;
/* Serves the models of a SERVE.yaml (docs/serving-config.md), or one bundle with every
 * default, until run->stop; then drains. run->log gets one JSON object a line, from several
 * threads. `options` may be NULL. docs/operations.md. */
HN_API HN_MUST_USE hn_status hn_serve(const char *path, const hn_serve_options *options,
                                      const hn_run *run, hn_error *err);

/* Writes the rows of one of the config's tables into Redis, for the server's feature store
 * (docs/feature-store.md): url redis://[USER:PASSWORD@]HOST[:PORT][/DB] or redis+unix:///PATH;
 * What was there before is overwritten. `options` may be NULL. */
typedef struct hn_features_options {
    const char *prefix;     /* of the keys; NULL: "hinet" */
    int64_t expire_seconds; /* after which a row that is not pushed again is gone; 0: never */
} hn_features_options;
HN_API HN_MUST_USE hn_status hn_features_push(hn_report **out, const hn_config *config,
                                              const char *table, const char *url,
                                              const hn_features_options *options, const hn_run *run,
                                              hn_error *err);

typedef struct hn_simulate_options {
    int64_t rows; /* impressions, 1000…10^10 */
    uint64_t seed;
} hn_simulate_options;
/* Writes a simulated platform (log, tables, config.yaml) into run->out_dir. */
HN_API HN_MUST_USE hn_status hn_simulate(hn_report **out, const hn_simulate_options *options,
                                         const hn_run *run, hn_error *err);

/* ---- Offline experiments --------------------------------------------------------- */

typedef struct hn_experiment_options {
    const char *program; /* hinet itself, which trains in processes of its own; NULL: this process's
                            file */
    const char *commit;  /* of the sources, noted with each result; NULL: none */
    int32_t jobs;        /* runs at a time; 0: one for each core, by run->threads (0: 1) of each */
    bool search;         /* tune the options of `search` first, on validation */
} hn_experiment_options;
/* Runs an EXPERIMENT.yaml (docs/experiment.md): every model with every seed on every data set,
 * whatever of it has no result yet, in run->out_dir, and reports the table. Stopped at any moment,
 * the same call goes on. A run that fails is told in the table, and is no failure of the call. */
HN_API HN_MUST_USE hn_status hn_experiment(hn_report **out, const char *path,
                                           const hn_experiment_options *options, const hn_run *run,
                                           hn_error *err);

/* ---- Experiments on users ------------------------------------------------------ */

typedef struct hn_abtest_options {
    const char *layer;           /* of the column arm_LAYER; NULL: the only one */
    const char *control;         /* the arm to compare with; NULL: control, base, baseline, or the
                                    first by name */
    const char *click, *order;   /* tasks; NULL: "click", "order" */
    const char *user, *scenario; /* columns, where join renamed them; NULL: "user", "scenario" */
    const char *shares;          /* "ARM=WEIGHT,…" as configured; NULL: equal ones */
    const char *pre;             /* a joined log of the time before, for CUPED; NULL: none */
    bool has_pre_until;
    int64_t pre_until_ms; /* rows with a lower time_ms are of the time before */
    double confidence;    /* of the intervals; 0: 0.95 */
} hn_abtest_options;
/* Compares the arms of an experiment, by scenario and over all, from joined logs (columns
 * user, scenario, time_ms, arm_LAYER, the tasks, ORDER_value): rates by the delta method and
 * means a user by Welch's t, with the user as the unit. A mismatch of the sample ratio is no
 * failure: it is logged as a warning, stands first in the text, and in the JSON as
 * sample_ratio.mismatch. Memory grows with users, not rows. */
HN_API HN_MUST_USE hn_status hn_abtest(hn_report **out, const char *const *files, size_t n_files,
                                       const hn_abtest_options *options, const hn_run *run,
                                       hn_error *err);

typedef struct hn_join_event {
    const char *task;         /* the outcome's column */
    const char *const *files; /* or patterns; CSV with a header, or JSON lines */
    size_t n_files;
    int64_t window_ms; /* what happens this long after the exposure no more counts; ≥ 1 */
} hn_join_event;
typedef struct hn_join_options {
    const hn_join_event *events;
    size_t n_events; /* 1…32 */
    bool has_now;
    int64_t now_ms;     /* until when the logs are complete; else the latest time in them */
    int64_t skew_ms;    /* so much before its exposure may an event be, where clocks differ */
    bool complete;      /* only rows whose windows have all passed */
    bool with_features; /* only rows that were logged with features, which may be a sample */
    const char *const *columns; /* the features wanted; NULL: all that are found */
    size_t n_columns;
    int64_t bad_lines;          /* more than this many is an error */
    const char *const *renames; /* "OLD=NEW": a column's name in the log that is written */
    size_t n_renames;
} hn_join_options;
/* Joins exposure logs (files or patterns) with what the users did, by request and item, to a
 * training log: CSV through `write`, a row for each item shown, in order of time. An outcome
 * is 1, 0, or nothing while its window is open. Memory does not grow with the logs: what
 * does not fit goes to run->out_dir for the time being. docs/experiments.md, "Join". */
HN_API HN_MUST_USE hn_status hn_join(hn_report **out, const char *const *exposures,
                                     size_t n_exposures, const hn_join_options *options,
                                     hn_write write, void *user, const hn_run *run, hn_error *err);

typedef struct hn_replay_options {
    double tolerance;            /* a probability differs when it is further off; 0: 1e-6 */
    const char *model, *version; /* only exposures of these; NULL: all */
    int64_t bad_lines;           /* more than this many is an error */
} hn_replay_options;
/* Scores exposures that carry features (files or patterns) again with `bundle` and compares:
 * every task's probability with the one logged, and every feature served with what the
 * bundle's tables have for its key. Names the first feature that differs, and tells the
 * PSI of scores by scenario. A difference is no failure. `options` may be NULL.
 * docs/experiments.md, "Replay". */
HN_API HN_MUST_USE hn_status hn_replay(hn_report **out, const hn_bundle *bundle,
                                       const char *const *files, size_t n_files,
                                       const hn_replay_options *options, const hn_run *run,
                                       hn_error *err);

typedef struct hn_live_options {
    const char *url;     /* of a hinet server, http://HOST:PORT */
    const char *against; /* a second server, for the true gain of its lists; NULL: none */
    const char *data; /* folder of the simulated platform (truth.json); NULL: that of rows, seed */
    int64_t rows, requests;
    int64_t first; /* number of the first request, 0 to 2^40: others than an earlier run's */
    uint64_t seed;
} hn_live_options;
/* Sends requests of simulated users to a running server, shows them the ranked items, and
 * writes what they do into run->out_dir: clicks.csv and orders.csv. */
HN_API HN_MUST_USE hn_status hn_simulate_live(hn_report **out, const hn_live_options *options,
                                              const hn_run *run, hn_error *err);

#ifdef __cplusplus
}
#endif
#endif
