/* The options: one table (cli.h), one parser. Options may stand before, between and after
 * the arguments, as --name VALUE or --name=VALUE; "--" ends them; "-" is an argument. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

typedef struct option_row {
    const char *name, *argument, *help;
} option_row;

static const option_row rows[CLI_OPTIONS] = {
#define X(symbol, name, argument, help) {name, argument, help},
    CLI_OPTION_MAP(X)
#undef X
};

const char *cli_option_name(cli_option option) { return rows[option].name; }
const char *cli_option_argument(cli_option option) { return rows[option].argument; }
const char *cli_option_help(cli_option option) { return rows[option].help; }

/* ---- Values -------------------------------------------------------------------------- */

/* A number with at most one of the units, whose n-th is base^(n+1). */
static bool parse_scaled(double *out, const char *text, const char *units, double base) {
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (end == text || errno || !isfinite(number)) return false;
    const char *const unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        number *= pow(base, (double)(unit - units) + 1);
        end++;
    }
    *out = number;
    return *end == '\0' && number >= 0 && number < 0x1p62;
}

/* A whole number from 1 to `most`. */
static hn_status parse_small(int32_t *out, const char *option, const char *text, int32_t most,
                             hn_error *err) {
    double number;
    if (!parse_scaled(&number, text, "", 1) || number < 1 || number > most ||
        number != floor(number))
        return cli_fail(err, HN_USAGE, "%s: found \"%s\"; expected a number from 1 to %d", option,
                        text, (int)most);
    *out = (int32_t)number;
    return HN_OK;
}

static hn_status parse_memory(cli_options *out, const char *text, hn_error *err) {
    const double mebibyte = 1024.0 * 1024;
    double bytes;
    if (!parse_scaled(&bytes, text, "KMGT", 1024) || bytes < mebibyte)
        return cli_fail(err, HN_USAGE,
                        "--memory: found \"%s\"; expected a size of at least 1M, as in 512M or 2G",
                        text);
    out->memory = (int64_t)bytes;
    return HN_OK;
}

static hn_status parse_count(int64_t *out, const char *option, const char *text, hn_error *err) {
    double count;
    if (!parse_scaled(&count, text, "kMG", 1000) || count < 1 || count != floor(count))
        return cli_fail(err, HN_USAGE,
                        "%s: found \"%s\"; expected a whole number, as in 100000 or 1M", option,
                        text);
    *out = (int64_t)count;
    return HN_OK;
}

static hn_status parse_first(cli_options *out, const char *text, hn_error *err) {
    return strcmp(text, "0") == 0 ? HN_OK : parse_count(&out->first, "--first", text, err);
}

static hn_status parse_confidence(cli_options *out, const char *text, hn_error *err) {
    if (!parse_scaled(&out->abtest.confidence, text, "", 1) || out->abtest.confidence < 0.5 ||
        out->abtest.confidence >= 1)
        return cli_fail(err, HN_USAGE,
                        "--confidence: found \"%s\"; expected 0.5 to less than 1, as in 0.95",
                        text);
    return HN_OK;
}

static hn_status parse_tolerance(cli_options *out, const char *text, hn_error *err) {
    double *const tolerance = &out->replay.tolerance;
    if (!parse_scaled(tolerance, text, "", 1) || *tolerance <= 0 || *tolerance > 1)
        return cli_fail(err, HN_USAGE,
                        "--tolerance: found \"%s\"; expected a number above 0, at most 1", text);
    return HN_OK;
}

static hn_status parse_pre_until(cli_options *out, const char *text, hn_error *err) {
    out->abtest.has_pre_until = true;
    return parse_count(&out->abtest.pre_until_ms, "--pre-until", text, err);
}

static hn_status parse_seed(cli_options *out, const char *text, hn_error *err) {
    char *end;
    errno = 0;
    const unsigned long long seed = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno)
        return cli_fail(err, HN_USAGE,
                        "--seed: found \"%s\"; expected a whole number from 0 to 2^64 - 1", text);
    out->seed = seed;
    return HN_OK;
}

static hn_status add_set(cli_options *out, const char *text, hn_error *err) {
    const char *const equals = strchr(text, '=');
    if (!equals || equals == text)
        return cli_fail(err, HN_USAGE,
                        "--set: found \"%s\"; expected KEY=VALUE, as in train.epochs=3", text);
    out->sets[out->n_sets++] = text;
    return HN_OK;
}

bool cli_duration_parse(int64_t *out, const char *text) {
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1},     {"s", 1e3},     {"m", 60e3},
                 {"h", 3600e3}, {"d", 86400e3}, {"w", 7 * 86400e3}};
    char *end;
    errno = 0;
    const double number = strtod(text, &end);
    if (end == text || errno || !(number >= 0)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) != 0 || number * units[i].ms >= 0x1p53) continue;
        *out = (int64_t)(number * units[i].ms);
        return true;
    }
    return false;
}

static hn_status parse_skew(cli_options *out, const char *text, hn_error *err) {
    if (cli_duration_parse(&out->join.skew_ms, text)) return HN_OK;
    return cli_fail(err, HN_USAGE, "--skew: found \"%s\"; expected a time, as in 5s or 500ms",
                    text);
}

static hn_status parse_expire(cli_options *out, const char *text, hn_error *err) {
    int64_t ms;
    if (!cli_duration_parse(&ms, text) || ms < 1000)
        return cli_fail(err, HN_USAGE,
                        "--expire: found \"%s\"; expected a time of at least 1s, as in 36h or 2d",
                        text);
    out->features.expire_seconds = ms / 1000;
    return HN_OK;
}

static hn_status parse_now(cli_options *out, const char *text, hn_error *err) {
    out->join.has_now = true;
    return parse_count(&out->join.now_ms, "--now", text, err);
}

static hn_status parse_bad_lines(cli_options *out, const char *text, hn_error *err) {
    if (strcmp(text, "0") == 0) return HN_OK;
    return parse_count(&out->join.bad_lines, "--bad-lines", text, err);
}

static hn_status set_option(cli_options *out, cli_option option, const char *value, hn_error *err) {
    switch (option) {
    case CLI_SET: return add_set(out, value, err);
    case CLI_OUT: out->out = value; return HN_OK;
    case CLI_SCORES: out->scores = true; return HN_OK;
    case CLI_SEARCH: out->search = true; return HN_OK;
    case CLI_FORMAT: out->format = value; return HN_OK;
    case CLI_JOBS: return parse_small(&out->jobs, "--jobs", value, 256, err);
    case CLI_UNTIL_EPOCH:
        return parse_small(&out->until_epoch, "--until-epoch", value, 100000, err);
    case CLI_RESUME: out->resume = true; return HN_OK;
    case CLI_INIT: out->init = value; return HN_OK;
    case CLI_TENSORBOARD: out->tensorboard = value; return HN_OK;
    case CLI_ROWS: return parse_count(&out->rows, "--rows", value, err);
    case CLI_SEED: return parse_seed(out, value, err);
    case CLI_THREADS: return parse_small(&out->threads, "--threads", value, 256, err);
    case CLI_MEMORY: return parse_memory(out, value, err);
    case CLI_TEMP: out->temp = value; return HN_OK;
    case CLI_MODELS: out->models = true; return HN_OK;
    case CLI_JSON: out->json = true; return HN_OK;
    case CLI_QUIET: out->quiet = true; return HN_OK;
    case CLI_LISTEN: out->listen = value; return HN_OK;
    case CLI_READY_FILE: out->ready_file = value; return HN_OK;
    case CLI_ACCESS_LOG: out->access_log = true; return HN_OK;
    case CLI_HELP: out->help = true; return HN_OK;
    case CLI_LAYER: out->abtest.layer = value; return HN_OK;
    case CLI_CONTROL: out->abtest.control = value; return HN_OK;
    case CLI_CLICK_TASK: out->abtest.click = value; return HN_OK;
    case CLI_ORDER_TASK: out->abtest.order = value; return HN_OK;
    case CLI_USER_COLUMN: out->abtest.user = value; return HN_OK;
    case CLI_SCENARIO_COLUMN: out->abtest.scenario = value; return HN_OK;
    case CLI_CONFIDENCE: return parse_confidence(out, value, err);
    case CLI_SHARES: out->abtest.shares = value; return HN_OK;
    case CLI_PRE: out->abtest.pre = value; return HN_OK;
    case CLI_PRE_UNTIL: return parse_pre_until(out, value, err);
    case CLI_SERVE: out->serve = value; return HN_OK;
    case CLI_AGAINST: out->against = value; return HN_OK;
    case CLI_REQUESTS: return parse_count(&out->requests, "--requests", value, err);
    case CLI_FIRST: return parse_first(out, value, err);
    case CLI_DATA: out->data = value; return HN_OK;
    case CLI_REDIS: out->redis = value; return HN_OK;
    case CLI_PREFIX: out->features.prefix = value; return HN_OK;
    case CLI_EXPIRE: return parse_expire(out, value, err);
    case CLI_CALIBRATE: out->calibrate = true; return HN_OK;
    case CLI_UNCORRECTED: out->uncorrected = true; return HN_OK;
    case CLI_FLAGS: out->flags = true; return HN_OK;
    case CLI_EVENT: out->events[out->n_events++] = value; return HN_OK;
    case CLI_NOW: return parse_now(out, value, err);
    case CLI_SKEW: return parse_skew(out, value, err);
    case CLI_COMPLETE: out->join.complete = true; return HN_OK;
    case CLI_WITH_FEATURES: out->join.with_features = true; return HN_OK;
    case CLI_COLUMNS: out->columns = value; return HN_OK;
    case CLI_BAD_LINES: return parse_bad_lines(out, value, err);
    case CLI_RENAME: out->renames[out->join.n_renames++] = value; return HN_OK;
    case CLI_TOLERANCE: return parse_tolerance(out, value, err);
    case CLI_MODEL: out->replay.model = value; return HN_OK;
    case CLI_MODEL_VERSION: out->replay.version = value; return HN_OK;
    case CLI_OPTIONS: break;
    }
    return HN_OK;
}

/* ---- The command line ------------------------------------------------------------------- */

static bool names_option(const option_row *row, const char *name, size_t length) {
    return strlen(row->name) == length && memcmp(row->name, name, length) == 0;
}

/* The error for an option that the command does not have. */
static hn_status unknown_option(const cli_command *command, const char *word, hn_error *err) {
    const char *names[CLI_OPTIONS];
    char name[64];
    size_t n = 0;
    for (int k = 0; k < CLI_OPTIONS; k++)
        if (command->options & UINT64_C(1) << k) names[n++] = rows[k].name;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
             word + strspn(word, "-"));
    const char *const near = cli_nearest(name, names, n);
    const char *const hint = near ? near : "help";
    return cli_fail(err, HN_USAGE, "%s: unknown option \"%s\"%s--%s%s; see hinet %s --help",
                    command->name, word, near ? "; did you mean " : "; try ", hint, near ? "?" : "",
                    command->name);
}

/* Takes one option at argv[*at]; *at is left at the last word of it. */
static hn_status take_option(cli_options *out, const cli_command *command, int *at, int argc,
                             const char *const *argv, hn_error *err) {
    const char *const word = argv[*at], *const name = strcmp(word, "-h") == 0   ? "help"
                                                      : strcmp(word, "-o") == 0 ? "out"
                                                                                : word + 2;
    const size_t length = strcspn(name, "=");
    for (int k = 0; k < CLI_OPTIONS; k++) {
        const option_row *const row = &rows[k];
        if (!(command->options & UINT64_C(1) << k) || !names_option(row, name, length)) continue;
        const char *value = name[length] == '=' ? name + length + 1 : NULL;
        if (!row->argument && value)
            return cli_fail(err, HN_USAGE, "--%s: found a value, \"%s\"; it takes none", row->name,
                            value);
        if (row->argument && !value) {
            if (*at + 1 >= argc)
                return cli_fail(err, HN_USAGE, "--%s: %s is missing after it", row->name,
                                row->argument);
            value = argv[++*at];
        }
        return set_option(out, (cli_option)k, value ? value : "", err);
    }
    return unknown_option(command, word, err);
}

static hn_status check_args(const cli_options *options, const cli_command *command, hn_error *err) {
    if (options->help) return HN_OK;
    if (options->n_args < command->min_args)
        return cli_fail(err, HN_USAGE, "%s: %s is missing; see hinet %s --help", command->name,
                        command->missing, command->name);
    if (options->n_args > command->max_args)
        return cli_fail(err, HN_USAGE, "%s: \"%s\" is one argument too many; see hinet %s --help",
                        command->name, options->args[command->max_args], command->name);
    return HN_OK;
}

static hn_status take_words(cli_options *out, const cli_command *command, int argc,
                            const char *const *argv, hn_error *err) {
    bool only_args = false;
    for (int at = 0; at < argc; at++) {
        const char *const word = argv[at];
        const bool is_option = !only_args && word[0] == '-' && word[1] != '\0';
        if (is_option && strcmp(word, "--") == 0) {
            only_args = true;
        } else if (!is_option) {
            out->args[out->n_args++] = word;
        } else if (word[1] != '-' && strcmp(word, "-h") != 0 && strcmp(word, "-o") != 0) {
            return unknown_option(command, word, err);
        } else {
            const hn_status status = take_option(out, command, &at, argc, argv, err);
            if (status != HN_OK) return status;
        }
    }
    return check_args(out, command, err);
}

hn_status cli_options_parse(cli_options *out, const cli_command *command, int argc,
                            const char *const *argv, hn_error *err) {
    *out = (cli_options){.seed = 1};
    const size_t words = (size_t)argc + 1;
    out->args = calloc(words, sizeof *out->args);
    out->sets = calloc(words, sizeof *out->sets);
    out->events = calloc(words, sizeof *out->events);
    out->renames = calloc(words, sizeof *out->renames);
    const hn_status status = out->args && out->sets && out->events && out->renames
                                 ? take_words(out, command, argc, argv, err)
                                 : cli_fail(err, HN_NO_MEMORY, "no memory for the command line");
    if (status != HN_OK) cli_options_free(out);
    return status;
}

void cli_options_free(cli_options *options) {
    free(options->args);
    free(options->sets);
    free(options->events);
    free(options->renames);
    *options = (cli_options){0};
}
