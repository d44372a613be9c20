/* The commands: each turns options into one call of the library and prints what comes
 * back. The table at the end is the only list of commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* Prints the report as asked and frees it. */
static hn_status print_report(hn_report *report, const cli_options *options, hn_error *err) {
    const hn_status status =
        cli_print(options->json ? hn_report_json(report) : hn_report_text(report), err);
    hn_report_free(report);
    return status;
}

static hn_status load_config(hn_config **out, const cli_options *options, const char *path,
                             hn_error *err) {
    return hn_config_load(out, path, options->sets, options->n_sets, err);
}

void cli_use_temp(hn_run *run, const cli_options *options) {
    const char *const system = getenv("TMPDIR");
    if (options->temp)
        run->out_dir = options->temp;
    else if (system && system[0])
        run->out_dir = system;
    else
        run->out_dir = access(".", W_OK) == 0 ? "." : "/tmp";
}

/* ---- check, train ------------------------------------------------------------------------ */

static hn_status run_check(const cli_options *options, hn_run *run, hn_error *err) {
    hn_config *config;
    hn_report *report;
    cli_use_temp(run, options);
    hn_status status = load_config(&config, options, options->args[0], err);
    if (status != HN_OK) return status;
    status = hn_check(&report, config, run, err);
    hn_config_free(config);
    return status == HN_OK ? print_report(report, options, err) : status;
}

char *cli_default_out_dir(const char *config_path) {
    const char *const slash = strrchr(config_path, '/'), *const name =
                                                             slash ? slash + 1 : config_path;
    const char *const dot = strrchr(name, '.');
    const int length = (int)(dot && dot != name ? (size_t)(dot - name) : strlen(name));
    char *dir;
    return asprintf(&dir, "runs/%.*s", length, name) < 0 ? NULL : dir;
}

static hn_status run_train(const cli_options *options, hn_run *run, hn_error *err) {
    hn_config *config;
    hn_report *report = NULL;
    hn_status status = load_config(&config, options, options->args[0], err);
    if (status != HN_OK) return status;
    char *const dir = options->out ? NULL : cli_default_out_dir(options->args[0]);
    run->out_dir = options->out ? options->out : dir;
    run->resume = options->resume;
    run->until_epoch = options->until_epoch;
    run->scores = options->scores;
    run->init_bundle = options->init;
    run->tensorboard = options->tensorboard;
    status = run->out_dir ? hn_train(&report, config, run, err)
                          : cli_fail(err, HN_NO_MEMORY, "no memory for a path");
    free(dir);
    hn_config_free(config);
    return status == HN_OK ? print_report(report, options, err) : status;
}

/* ---- eval, predict, info -------------------------------------------------------------------- */

static bool is_config_path(const char *path) {
    const char *const dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static hn_status check_eval_args(const cli_options *options, bool with_config, hn_error *err) {
    if (with_config && options->n_args > 2)
        return cli_fail(err, HN_USAGE,
                        "eval: found a config, \"%s\", and \"%s\" beside it; expected one config, "
                        "or data files only",
                        options->args[1], options->args[2]);
    if (!with_config && options->n_sets > 0)
        return cli_fail(err, HN_USAGE,
                        "eval: --set changes a config, and none is given; see hinet eval --help");
    return HN_OK;
}

static hn_status run_eval(const cli_options *options, hn_run *run, hn_error *err) {
    const bool with_config = options->n_args > 1 && is_config_path(options->args[1]);
    hn_bundle *bundle = NULL;
    hn_config *config = NULL;
    hn_report *report = NULL;
    cli_use_temp(run, options);
    hn_status status = check_eval_args(options, with_config, err);
    if (status == HN_OK) status = hn_bundle_open(&bundle, options->args[0], err);
    if (status == HN_OK && with_config)
        status = load_config(&config, options, options->args[1], err);
    if (status == HN_OK)
        status = hn_evaluate(&report, bundle, config, with_config ? NULL : options->args + 1,
                             with_config ? 0 : options->n_args - 1, run, err);
    hn_config_free(config);
    hn_bundle_close(bundle);
    return status == HN_OK ? print_report(report, options, err) : status;
}

static hn_status run_predict(const cli_options *options, hn_run *run, hn_error *err) {
    hn_bundle *bundle;
    cli_output *const out = malloc(sizeof *out);
    if (!out) return cli_fail(err, HN_NO_MEMORY, "no memory for the output");
    cli_use_temp(run, options);
    hn_status status = hn_bundle_open(&bundle, options->args[0], err);
    if (status == HN_OK) {
        status = cli_output_open(out, options->out, err);
        if (status == HN_OK) {
            const hn_predict_options how = {.calibrated = options->calibrate,
                                            .uncorrected = options->uncorrected,
                                            .flags = options->flags};
            status = hn_predict(bundle, options->args + 1, options->n_args - 1, &how,
                                cli_output_write, out, run, err);
            status = cli_output_close(out, status, err);
        }
        hn_bundle_close(bundle);
    }
    free(out);
    return status;
}

static hn_status run_info(const cli_options *options, hn_run *run, hn_error *err) {
    hn_bundle *bundle;
    hn_report *report;
    (void)run;
    hn_status status;
    if (options->models == (options->n_args > 0))
        return cli_fail(err, HN_USAGE,
                        "info: expected either BUNDLE or --models; see hinet info --help");
    if (options->models) {
        status = hn_models(&report, err);
        return status == HN_OK ? print_report(report, options, err) : status;
    }
    status = hn_bundle_open(&bundle, options->args[0], err);
    if (status != HN_OK) return status;
    status = hn_info(&report, bundle, err);
    hn_bundle_close(bundle);
    return status == HN_OK ? print_report(report, options, err) : status;
}

/* ---- config, simulate, help ---------------------------------------------------------------- */

static hn_status run_config(const cli_options *options, hn_run *run, hn_error *err) {
    hn_config *config;
    hn_report *report;
    (void)run;
    if (options->n_args == 0 && options->n_sets > 0)
        return cli_fail(err, HN_USAGE,
                        "config: --set changes a config, and none is given; see hinet config "
                        "--help");
    if (options->n_args > 0 && options->json)
        return cli_fail(err, HN_USAGE, "config: found --json; a config is printed as YAML");
    if (options->n_args == 0) {
        const hn_status status = hn_config_reference(&report, err);
        return status == HN_OK ? print_report(report, options, err) : status;
    }
    hn_status status = load_config(&config, options, options->args[0], err);
    if (status != HN_OK) return status;
    status = cli_print(hn_config_yaml(config), err);
    hn_config_free(config);
    return status;
}

static hn_status run_live(const cli_options *options, hn_run *run, hn_error *err) {
    const hn_live_options live = {.url = options->serve,
                                  .against = options->against,
                                  .data = options->data,
                                  .rows = options->rows ? options->rows : 1000000,
                                  .requests = options->requests ? options->requests : 1000,
                                  .first = options->first,
                                  .seed = options->seed};
    hn_report *report;
    run->out_dir = options->out ? options->out : "live";
    const hn_status status = hn_simulate_live(&report, &live, run, err);
    return status == HN_OK ? print_report(report, options, err) : status;
}

static hn_status run_simulate(const cli_options *options, hn_run *run, hn_error *err) {
    if (options->serve) return run_live(options, run, err);
    if (options->against || options->requests || options->first || options->data)
        return cli_fail(err, HN_USAGE,
                        "simulate: --against, --requests, --first and --data need --serve");
    const hn_simulate_options simulate = {.rows = options->rows ? options->rows : 1000000,
                                          .seed = options->seed};
    hn_report *report;
    run->out_dir = options->out ? options->out : "demo";
    const hn_status status = hn_simulate(&report, &simulate, run, err);
    return status == HN_OK ? print_report(report, options, err) : status;
}

static const cli_command *find(const char *name) {
    for (size_t k = 0; k < cli_n_commands; k++)
        if (strcmp(cli_commands[k].name, name) == 0) return &cli_commands[k];
    return NULL;
}

static hn_status run_help(const cli_options *options, hn_run *run, hn_error *err) {
    (void)run;
    const cli_command *const command = options->n_args > 0 ? find(options->args[0]) : NULL;
    if (options->n_args > 0 && !command)
        return cli_fail(err, HN_USAGE, "help: \"%s\" is no command; see hinet --help",
                        options->args[0]);
    char *const text = command ? cli_help_command(command) : cli_help_all();
    const hn_status status =
        text ? cli_print(text, err) : cli_fail(err, HN_NO_MEMORY, "no memory for the help");
    free(text);
    return status;
}

/* ---- The table ---------------------------------------------------------------------------- */

#define RUN_BITS (CLI_BIT(THREADS) | CLI_BIT(MEMORY) | CLI_BIT(QUIET) | CLI_BIT(HELP))

const cli_command cli_commands[] = {
    {
        .name = "check",
        .usage = "check CONFIG [OPTIONS]",
        .summary = "read a config and its data, and tell what was understood",
        .description =
            "Reads the config and the data and prints features with their cardinality, missing\n"
            "and unseen rates; rows, positives and rates of each cell and split; and bad rows as\n"
            "file:line:column. Writes nothing.\n",
        .example = "  hinet check demo/config.yaml\n",
        .options = RUN_BITS | CLI_BIT(SET) | CLI_BIT(TEMP) | CLI_BIT(JSON),
        .min_args = 1,
        .max_args = 1,
        .missing = "CONFIG",
        .run = run_check,
    },
    {
        .name = "train",
        .usage = "train CONFIG [OPTIONS]",
        .summary = "train a model and report every cell",
        .description =
            "Prepares the dataset where it is absent or stale, trains, and keeps the best bundle.\n"
            "Writes best.hn, last.hn, history.jsonl and the prepared dataset into --out, which is\n"
            "runs/NAME for a config NAME.yaml. Ctrl-C writes a checkpoint first; --resume goes on\n"
            "from it, and gives the bytes that an undisturbed run gives.\n",
        .example = "  hinet train demo/config.yaml --out demo/run --set train.epochs=3\n",
        .options = RUN_BITS | CLI_BIT(SET) | CLI_BIT(OUT) | CLI_BIT(RESUME) | CLI_BIT(INIT) |
                   CLI_BIT(TENSORBOARD) | CLI_BIT(UNTIL_EPOCH) | CLI_BIT(SCORES) | CLI_BIT(JSON),
        .min_args = 1,
        .max_args = 1,
        .missing = "CONFIG",
        .run = run_train,
    },
    {
        .name = "eval",
        .usage = "eval BUNDLE [FILES | CONFIG] [OPTIONS]",
        .summary = "the metrics of a bundle",
        .description =
            "With data files: every cell's metrics on all their rows, read as the bundle's own\n"
            "config says. With a config (a name ending in .yaml or .yml): on its test split. With\n"
            "neither: the metrics that were stored when the bundle was trained.\n",
        .example = "  hinet eval demo/run/best.hn demo/config.yaml --json\n",
        .options = RUN_BITS | CLI_BIT(SET) | CLI_BIT(TEMP) | CLI_BIT(JSON),
        .min_args = 1,
        .max_args = SIZE_MAX,
        .missing = "BUNDLE",
        .run = run_eval,
    },
    {
        .name = "predict",
        .usage = "predict BUNDLE FILES|- [OPTIONS]",
        .summary = "score the rows of CSV files",
        .description =
            "Reads CSV from files, or from standard input (-), and writes each row back with one\n"
            "more column for each task: p_TASK, the probability (with more underscores at its end\n"
            "where the input has a column of that name). Rows keep their order; memory does not\n"
            "grow with them. Labels, if there are any, are not looked at. Where the log had its\n"
            "negatives sampled (log.sampling), probabilities are corrected for it.\n",
        .example = "  hinet predict demo/run/best.hn today.csv.gz --out scored.csv\n"
                   "  zcat today.csv.gz | hinet predict demo/run/best.hn - | head\n",
        .options = RUN_BITS | CLI_BIT(OUT) | CLI_BIT(TEMP) | CLI_BIT(CALIBRATE) |
                   CLI_BIT(UNCORRECTED) | CLI_BIT(FLAGS),
        .min_args = 2,
        .max_args = SIZE_MAX,
        .missing = "BUNDLE, or FILES (- for standard input),",
        .run = run_predict,
    },
    {
        .name = "info",
        .usage = "info BUNDLE|--models [OPTIONS]",
        .summary = "what is in a bundle; which models there are",
        .description =
            "Prints the model, its sizes, the schema, the metrics and the SAN table: how much "
            "each\n"
            "scenario listens to each other. With --models: every model that can be trained\n"
            "(model.name in the config), and where it is from.\n",
        .example = "  hinet info demo/run/best.hn\n"
                   "  hinet info --models\n",
        .options = CLI_BIT(MODELS) | CLI_BIT(JSON) | CLI_BIT(HELP),
        .max_args = 1,
        .run = run_info,
    },
    {
        .name = "report",
        .usage = "report RUN... [-o report.html] [OPTIONS]",
        .summary = "one page about one or several trainings, to look at",
        .description =
            "Writes one HTML file, for a browser without a network, a phone, or print: data, "
            "learning\n"
            "curves, every cell with intervals, ROC and calibration, which scenario learns from\n"
            "which, which experts are used, what each feature is worth, several runs compared, "
            "and\n"
            "the config. A RUN is a folder that `hinet train` wrote, or a bundle. Without -o the "
            "page\n"
            "goes to standard output; with it, a summary or (--json) the page's data.\n"
            "docs/report.md.\n",
        .example = "  hinet report runs/hinet runs/ple -o report.html\n",
        .options = RUN_BITS | CLI_BIT(OUT) | CLI_BIT(DATA) | CLI_BIT(ROWS) | CLI_BIT(SEED) |
                   CLI_BIT(TEMP) | CLI_BIT(JSON),
        .min_args = 1,
        .max_args = SIZE_MAX,
        .missing = "RUN",
        .run = cli_run_report,
    },
    {
        .name = "experiment",
        .usage = "experiment EXPERIMENT.yaml [OPTIONS]",
        .summary = "compare models, options and data sets over seeds",
        .description = "Runs every model with every seed on every data set of EXPERIMENT.yaml\n"
                       "(docs/experiment.md), each as `hinet train` in a process of its own, "
                       "several at a time,\n"
                       "and prints the table: cells, mean and deviation over seeds, paired "
                       "differences from the\n"
                       "first model with intervals. Everything is in --out [runs/NAME]: "
                       "results.jsonl, table.*\n"
                       "(text, CSV, JSON, Markdown, LaTeX), and a folder a run. What has a result "
                       "is never run\n"
                       "again; killed or stopped, the same command goes on. With --search, options "
                       "are tuned on\n"
                       "validation first, with the same number of trials for every model.\n",
        .example = "  hinet experiment examples/experiments/quick.yaml --jobs 2\n",
        .options = RUN_BITS | CLI_BIT(JOBS) | CLI_BIT(SEARCH) | CLI_BIT(FORMAT) | CLI_BIT(OUT) |
                   CLI_BIT(JSON),
        .min_args = 1,
        .max_args = 1,
        .missing = "EXPERIMENT.yaml",
        .run = cli_run_experiment,
    },
    {
        .name = "serve",
        .usage = "serve SERVE.yaml|BUNDLE.hn [OPTIONS]",
        .summary = "answer ranking requests over HTTP",
        .description =
            "Serves the models of SERVE.yaml (docs/serving-config.md), or one bundle with every\n"
            "default, until SIGTERM or SIGINT; then answers what was accepted and ends. Requests:\n"
            "POST /v1/rank and the Open Inference Protocol under /v2. Logs are JSON lines on\n"
            "standard error. docs/operations.md tells about running it.\n",
        .example = "  hinet serve demo/run/best.hn --listen 127.0.0.1:8080\n",
        .options = CLI_BIT(LISTEN) | CLI_BIT(READY_FILE) | CLI_BIT(ACCESS_LOG) | CLI_BIT(THREADS) |
                   CLI_BIT(HELP),
        .min_args = 1,
        .max_args = 1,
        .missing = "a SERVE.yaml or a bundle",
        .run = cli_run_serve,
    },
    {
        .name = "features",
        .usage = "features push CONFIG TABLE --redis URL [OPTIONS]",
        .summary = "write a table into the feature store",
        .description =
            "Reads a table as the config says and writes its rows into Redis, where a server with\n"
            "a `store` finds them (docs/feature-store.md). Rows that are there already are\n"
            "overwritten; rows that are only there stay, unless an earlier push gave them a time\n"
            "(--expire) that is over. A bad row stops it, with file and line; the rows before it\n"
            "have been written, and it may be run again.\n",
        .example =
            "  hinet features push demo/config.yaml users --redis redis://127.0.0.1:6379\n"
            "  hinet features push demo/config.yaml items --redis redis://db:6379 --expire 2d\n",
        .options = RUN_BITS | CLI_BIT(SET) | CLI_BIT(REDIS) | CLI_BIT(PREFIX) | CLI_BIT(EXPIRE) |
                   CLI_BIT(JSON),
        .min_args = 3,
        .max_args = 3,
        .missing = "push CONFIG TABLE",
        .run = cli_run_features,
    },
    {
        .name = "join",
        .usage = "join EXPOSURES... --event TASK=FILES:WINDOW... [OPTIONS]",
        .summary = "exposure logs and what users did, to a training log",
        .description =
            "Joins exposure logs with clicks, orders and the like (CSV with a header, or JSON "
            "lines:\n"
            "request_id, item, time_ms, value) by request and item, and writes a log for hinet "
            "train\n"
            "and hinet abtest as CSV: to --out, or to standard output with the report on standard\n"
            "error. An outcome is 1, 0, or empty while its window is open. Files may be gzip or "
            "zstd\n"
            "and patterns in quotes; memory does not grow with them. docs/experiments.md.\n",
        .example = "  hinet join 'exposures/*.zst' --event click=clicks.csv:30m \\\n"
                   "    --event order=orders.jsonl:7d --complete --out joined.csv\n",
        .options = CLI_BIT(EVENT) | CLI_BIT(NOW) | CLI_BIT(SKEW) | CLI_BIT(COMPLETE) |
                   CLI_BIT(WITH_FEATURES) | CLI_BIT(COLUMNS) | CLI_BIT(RENAME) |
                   CLI_BIT(BAD_LINES) | CLI_BIT(OUT) | CLI_BIT(TEMP) | CLI_BIT(MEMORY) |
                   CLI_BIT(JSON) | CLI_BIT(QUIET) | CLI_BIT(HELP),
        .min_args = 1,
        .max_args = SIZE_MAX,
        .missing = "EXPOSURES",
        .run = cli_run_join,
    },
    {
        .name = "replay",
        .usage = "replay EXPOSURES... BUNDLE [OPTIONS]",
        .summary = "score an exposure log again and find what differs",
        .description =
            "Scores the exposures that carry features again with a bundle, as the server does, "
            "and\n"
            "compares: the probabilities with those logged, and the features served with what the\n"
            "bundle's tables have. Tells the largest difference, the first feature that differs\n"
            "and the PSI of scores by scenario; the exit code stays 0. docs/experiments.md.\n",
        .example = "  hinet replay 'exposures/*.zst' models/7.hn --model-version 7\n",
        .options = CLI_BIT(TOLERANCE) | CLI_BIT(MODEL) | CLI_BIT(MODEL_VERSION) |
                   CLI_BIT(BAD_LINES) | CLI_BIT(JSON) | CLI_BIT(QUIET) | CLI_BIT(HELP),
        .min_args = 2,
        .max_args = SIZE_MAX,
        .missing = "EXPOSURES, or the BUNDLE after them,",
        .run = cli_run_replay,
    },
    {
        .name = "abtest",
        .usage = "abtest LOG... [OPTIONS]",
        .summary = "compare the arms of an experiment",
        .description = "Reads joined logs (hinet join) and compares the arms of a layer, by "
                       "scenario and over\n"
                       "all: clicks, orders, orders and value per user, with intervals. The user "
                       "is the unit.\n"
                       "A mismatch of the sample ratio stands above everything as a WARNING and in "
                       "the JSON as\n"
                       "sample_ratio.mismatch; the exit code stays 0. docs/experiments.md tells "
                       "the methods.\n",
        .example = "  hinet abtest joined.csv --layer ranking --control base\n",
        .options = CLI_BIT(LAYER) | CLI_BIT(CONTROL) | CLI_BIT(CLICK_TASK) | CLI_BIT(ORDER_TASK) |
                   CLI_BIT(USER_COLUMN) | CLI_BIT(SCENARIO_COLUMN) | CLI_BIT(CONFIDENCE) |
                   CLI_BIT(SHARES) | CLI_BIT(PRE) | CLI_BIT(PRE_UNTIL) | CLI_BIT(JSON) |
                   CLI_BIT(QUIET) | CLI_BIT(HELP),
        .min_args = 1,
        .max_args = SIZE_MAX,
        .missing = "LOG",
        .run = cli_run_abtest,
    },
    {
        .name = "simulate",
        .usage = "simulate [OPTIONS]",
        .summary = "write a simulated platform to try things on",
        .description =
            "Writes a platform of six scenarios with clicks and orders into --out [demo]:\n"
            "impressions (log.csv; several files over 50 million rows), users.csv, items.csv,\n"
            "config.yaml, and truth.json with what only a simulation knows: the Bayes-optimal AUC\n"
            "of every cell on the test days, and how the scenarios are related.\n"
            "With --serve, the same users come to a running server: its ranked items are shown to\n"
            "them, and clicks.csv and orders.csv are written into --out. With --against, every\n"
            "request goes to both servers, and the true gain of the second one's lists is told.\n",
        .example = "  hinet simulate --rows 1M --seed 1 --out demo\n"
                   "  hinet simulate --serve http://127.0.0.1:8080 --data demo --requests 20k "
                   "--out live\n",
        .options = RUN_BITS | CLI_BIT(SERVE) | CLI_BIT(AGAINST) | CLI_BIT(REQUESTS) |
                   CLI_BIT(FIRST) | CLI_BIT(DATA) | CLI_BIT(ROWS) | CLI_BIT(SEED) | CLI_BIT(OUT) |
                   CLI_BIT(JSON),
        .run = run_simulate,
    },
    {
        .name = "config",
        .usage = "config [CONFIG] [OPTIONS]",
        .summary = "every option of a config, or a config with its defaults",
        .description = "Without an argument: every option with type, default, range and meaning, "
                       "as Markdown.\n"
                       "With a config: that config with every default filled in, as YAML.\n",
        .example = "  hinet config demo/config.yaml --set train.rate=0.0005\n",
        .options = CLI_BIT(SET) | CLI_BIT(JSON) | CLI_BIT(HELP),
        .max_args = 1,
        .run = run_config,
    },
    {
        .name = "help",
        .usage = "help [COMMAND]",
        .summary = "tell about a command",
        .description = "Prints the help of the program or of a command.\n",
        .example = "  hinet help train\n",
        .options = CLI_BIT(HELP),
        .max_args = 1,
        .run = run_help,
    },
};
const size_t cli_n_commands = sizeof cli_commands / sizeof *cli_commands;
