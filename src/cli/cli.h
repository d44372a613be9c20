/* The hinet program: a command table and an option table from which parsing, dispatch
 * and help follow. It knows the library by hinet.h alone. Data goes to standard output;
 * progress, logs and errors to standard error. Read main.c, then commands.c. */
#ifndef HN_CLI_CLI_H
#define HN_CLI_CLI_H

#include "hinet.h"

/* ---- Options (options.c) ----------------------------------------------------------- */

/* X(symbol, name, argument or NULL, help) */
#define CLI_OPTION_MAP(X)                                                                       \
    X(SET, "set", "KEY=VALUE",                                                                  \
      "override an option of the config, as in train.epochs=3;"                                 \
      " may be given several times")                                                            \
    X(OUT, "out", "PATH", "where to write")                                                     \
    X(RESUME, "resume", NULL, "go on from the checkpoint in --out")                             \
    X(UNTIL_EPOCH, "until-epoch", "N",                                                          \
      "stop after so many epochs, with a checkpoint, to go on later")                           \
    X(SCORES, "scores", NULL,                                                                   \
      "also write test.scores: what the model gives each row of the test split")                \
    X(JOBS, "jobs", "N", "runs at a time [one for each core, by --threads]")                    \
    X(SEARCH, "search", NULL, "tune the options of the experiment's `search` first")            \
    X(FORMAT, "format", "NAME", "the table as text, csv, json, markdown or latex [text]")       \
    X(TENSORBOARD, "tensorboard", "DIR", "also write an event file for TensorBoard into it")    \
    X(INIT, "init", "BUNDLE", "warm start from this bundle")                                    \
    X(ROWS, "rows", "N",                                                                        \
      "impressions, 1000 to 1e10 [1M]; of a report, the most rows of its sample [20k];"         \
      " k, M and G are thousands, millions and thousand millions")                              \
    X(SEED, "seed", "N", "seed of the randomness [1]")                                          \
    X(THREADS, "threads", "N", "threads, 1 to 256 [one for each core]; changes no result")      \
    X(MEMORY, "memory", "SIZE", "limit of memory, as in 512M or 2G [80 % of the machine's]")    \
    X(TEMP, "temp", "DIR",                                                                      \
      "where what does not fit in memory is put for the time being"                             \
      " [$TMPDIR or this folder]")                                                              \
    X(MODELS, "models", NULL, "the models that can be trained")                                 \
    X(JSON, "json", NULL, "the report as JSON")                                                 \
    X(QUIET, "quiet", NULL, "no progress and no messages but warnings and errors")              \
    X(LAYER, "layer", "NAME", "the layer of the experiment [the only one in the log]")          \
    X(CONTROL, "control", "ARM",                                                                \
      "the arm to compare with [control, base, baseline, or the first by name]")                \
    X(CLICK_TASK, "click", "TASK", "the task that counts as a click [click]")                   \
    X(ORDER_TASK, "order", "TASK", "the task that counts as an order [order]")                  \
    X(USER_COLUMN, "user", "COLUMN", "the column of the user [user]")                           \
    X(SCENARIO_COLUMN, "scenario", "COLUMN", "the column of the scenario [scenario]")           \
    X(CONFIDENCE, "confidence", "C", "of the intervals, 0.5 to less than 1 [0.95]")             \
    X(SHARES, "shares", "ARM=W,...", "what share of the users each arm should have [equal]")    \
    X(PRE, "pre", "FILE", "a joined log of the time before, for CUPED")                         \
    X(PRE_UNTIL, "pre-until", "MS",                                                             \
      "rows before this time (milliseconds since 1970) are the time before")                    \
    X(SERVE, "serve", "URL", "send live requests to this server instead, http://HOST:PORT")     \
    X(AGAINST, "against", "URL",                                                                \
      "and to this one: the true gain of its lists over the first one's")                       \
    X(REQUESTS, "requests", "N", "live requests [1000]")                                        \
    X(FIRST, "first", "N", "number of the first live request: go on after an earlier run [0]")  \
    X(DATA, "data", "PATH",                                                                     \
      "the simulated platform whose users come [that of --rows]; of a report, the rows to"      \
      " measure on: a config (its test split), log files (a pattern in quotes), or a prepared"  \
      " dataset [the test split of each run's own]")                                            \
    X(LISTEN, "listen", "ADDRESS",                                                              \
      "HOST:PORT or unix:/path instead of the config's; port 0 is any free one")                \
    X(READY_FILE, "ready-file", "PATH",                                                         \
      "written when requests are answered: the ports and the process, as JSON")                 \
    X(ACCESS_LOG, "access-log", NULL, "a log line for each request, at most 100 a second")      \
    X(REDIS, "redis", "URL",                                                                    \
      "the store: redis://[USER:PASSWORD@]HOST[:PORT][/DB] or redis+unix:///PATH")              \
    X(PREFIX, "prefix", "TEXT", "of the store's keys [hinet]")                                  \
    X(EXPIRE, "expire", "TIME",                                                                 \
      "after which a row that is not pushed again is gone, as in 2d [never]")                   \
    X(CALIBRATE, "calibrate", NULL,                                                             \
      "probabilities by the bundle's calibration, as a server gives them")                      \
    X(UNCORRECTED, "uncorrected", NULL, "no correction for the log's sampling of negatives")    \
    X(FLAGS, "flags", NULL, "one more column, flags: unknown_scenario, or nothing")             \
    X(EVENT, "event", "TASK=FILES:WINDOW",                                                      \
      "what users did, as in click=clicks.csv:30m; several files with commas; a window in"      \
      " s, m, h, d or w; may be given several times")                                           \
    X(NOW, "now", "MS",                                                                         \
      "until when the logs are complete, in milliseconds since 1970 [the latest time in them]") \
    X(SKEW, "skew", "TIME", "so long before its exposure may an event be, as in 5s [0s]")       \
    X(COMPLETE, "complete", NULL, "only rows whose windows have all passed")                    \
    X(WITH_FEATURES, "with-features", NULL,                                                     \
      "only rows that were logged with their features, which may be a sample")                  \
    X(COLUMNS, "columns", "NAMES", "the features wanted, with commas between [all found]")      \
    X(BAD_LINES, "bad-lines", "N", "skip up to this many lines that cannot be read [0]")        \
    X(RENAME, "rename", "OLD=NEW",                                                              \
      "another name for a column, as in user=user_id; may be given several times")              \
    X(TOLERANCE, "tolerance", "D", "how far off a probability may be [1e-6]")                   \
    X(MODEL, "model", "NAME", "only exposures of this model")                                   \
    X(MODEL_VERSION, "model-version", "V", "only exposures of this version of the model")       \
    X(HELP, "help", NULL, "this text")

typedef enum cli_option {
#define X(symbol, name, argument, help) CLI_##symbol,
    CLI_OPTION_MAP(X)
#undef X
        CLI_OPTIONS
} cli_option;

#define CLI_BIT(symbol) (UINT64_C(1) << CLI_##symbol)

typedef struct cli_options {
    const char **args; /* the positional ones */
    size_t n_args;
    const char **sets; /* KEY=VALUE */
    size_t n_sets;
    const char *listen, *ready_file;
    bool access_log;
    const char *out, *tensorboard, *init, *temp;
    int64_t rows, memory; /* 0: not given */
    uint64_t seed;
    int32_t threads; /* 0: not given */
    bool resume, json, quiet, help, calibrate, uncorrected, flags, scores, search, models;
    int32_t jobs, until_epoch; /* 0: not given */
    const char *format;
    hn_abtest_options abtest;
    const char *serve, *against, *data;
    int64_t requests, first; /* 0: not given */
    const char *redis;
    hn_features_options features;
    const char **events; /* TASK=FILES:WINDOW */
    size_t n_events;
    const char *columns;
    const char **renames;     /* OLD=NEW */
    hn_join_options join;     /* all but the events and columns */
    hn_replay_options replay; /* all but the bad lines, which are join's */
} cli_options;

typedef struct cli_command {
    const char *name, *usage, *summary;
    const char *description; /* whole lines */
    const char *example;     /* whole lines */
    uint64_t options;        /* CLI_BITs */
    size_t min_args, max_args;
    const char *missing; /* what to give when an argument is missing */
    hn_status (*run)(const cli_options *options, hn_run *run, hn_error *err);
} cli_command;

extern const cli_command cli_commands[];
hn_status cli_run_serve(const cli_options *options, hn_run *run, hn_error *err);
extern const size_t cli_n_commands;

/* Parses what follows the command's name. The arrays are freed by cli_options_free;
 * strings are the caller's. */
HN_MUST_USE hn_status cli_options_parse(cli_options *out, const cli_command *command, int argc,
                                        const char *const *argv, hn_error *err);
void cli_options_free(cli_options *options);
/* "30m", "7d", … to milliseconds; false: it is no such text. */
bool cli_duration_parse(int64_t *out, const char *text);
const char *cli_option_name(cli_option option);
const char *cli_option_argument(cli_option option);
const char *cli_option_help(cli_option option);

/* ---- Help (help.c), for standard output ---------------------------------------------- */

/* Both give the whole text, to be freed; NULL without memory. */
char *cli_help_all(void);
char *cli_help_command(const cli_command *command);
/* The name nearest to `word`, or NULL: for "did you mean". */
const char *cli_nearest(const char *word, const char *const *names, size_t n);

/* ---- Output (output.c) ----------------------------------------------------------------- */

/* Standard output, or a file that takes its name only when it is whole. */
typedef struct cli_output {
    int fd;
    const char *name; /* for messages */
    const char *path; /* NULL: standard output */
    char *temporary;
    bool closed_pipe; /* the reader went away: no error, but nothing more to do */
    size_t n;
    char buffer[1 << 16];
} cli_output;
HN_MUST_USE hn_status cli_output_open(cli_output *out, const char *path, hn_error *err);
/* An hn_write; `output` is a cli_output. */
hn_status cli_output_write(void *output, const void *bytes, size_t n, hn_error *err);
/* Flushes and closes; with a status other than HN_OK the file is not put in place.
 * Gives that status, or what failed here. */
HN_MUST_USE hn_status cli_output_close(cli_output *output, hn_status status, hn_error *err);
/* Writes a text to standard output at once. */
HN_MUST_USE hn_status cli_print(const char *text, hn_error *err);

/* Writes the sentence and gives the status back. */
hn_status cli_fail(hn_error *err, hn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Progress (progress.c), on standard error -------------------------------------------- */

typedef struct cli_progress {
    bool quiet, terminal;
    bool shown;     /* a bar stands on the terminal's last line */
    double last;    /* when something was last shown, in seconds */
    char phase[32]; /* of which this was */
} cli_progress;
void cli_progress_start(cli_progress *progress, bool quiet);
void cli_progress_show(void *progress, const hn_progress *now);
void cli_progress_log(void *progress, hn_log_level level, const char *line);
/* Takes the bar away. */
void cli_progress_end(cli_progress *progress);

/* ---- Commands with files of their own (cmd_*.c) ------------------------------------------- */

hn_status cli_run_experiment(const cli_options *options, hn_run *run, hn_error *err);
hn_status cli_run_abtest(const cli_options *options, hn_run *run, hn_error *err);
hn_status cli_run_replay(const cli_options *options, hn_run *run, hn_error *err);
hn_status cli_run_join(const cli_options *options, hn_run *run, hn_error *err);
/* "runs/NAME" for a config "…/NAME.yaml"; to be freed. NULL: no memory. */
char *cli_default_out_dir(const char *config_path);
/* Where a command that leaves no files may spill (commands.c). */
void cli_use_temp(hn_run *run, const cli_options *options);
hn_status cli_run_features(const cli_options *options, hn_run *run, hn_error *err);
hn_status cli_run_report(const cli_options *options, hn_run *run, hn_error *err);

#endif
