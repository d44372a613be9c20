/* hn_replay: exposures that carry features are scored again through the server's own encoding,
 * and what comes out is held against what was logged (replay.h tells the two questions). One
 * thread; the exposures stream through. */
#include "serve/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/show.h"
#include "kernel/kernel.h"
#include "online/join.h"
#include "online/lines.h"

#define DEFAULT_TOLERANCE 1e-6

/* ---- Differences ----------------------------------------------------------------------------- */

static void note(hn_replay_difference *d, double by, double tolerance) {
    d->n++;
    d->sum += by;
    d->differing += by > tolerance;
    if (by > d->max) d->max = by;
}

static void count_bin(uint64_t *bins, double p) {
    const double at = log(p / (1 - p)) / HN_REPLAY_STEP + 0.5 * HN_REPLAY_BINS;
    bins[!(at > 0) ? 0 : at >= HN_REPLAY_BINS ? HN_REPLAY_BINS - 1 : (int)at]++;
}

/* Whether the line's member is this text; one that is absent or no string is "". */
static bool is_text(const hn_json_node *line, const char *key, const char *text) {
    const hn_json_node *const member = hn_json_member(line, key);
    return hn_json_is(member, HN_JSON_STRING) ? hn_json_text_is(member, text) : !text[0];
}

static char *copy_text(const hn_json_node *line, const char *key) {
    const hn_json_node *const member = hn_json_member(line, key);
    return hn_json_is(member, HN_JSON_STRING) ? hn_strndup(member->text, member->n) : hn_strdup("");
}

/* The line's model and version; the last place takes what is too many. */
static hn_status version_of(hn_replay_version **out, hn_replaying *r, const hn_json_node *line,
                            hn_error *err) {
    int32_t i = 0;
    while (i < r->n_versions && (!is_text(line, "model", r->versions[i].model) ||
                                 !is_text(line, "version", r->versions[i].version)))
        i++;
    if (i == HN_REPLAY_VERSIONS) i--;
    *out = &r->versions[i];
    if (i < r->n_versions) return HN_OK;
    **out = (hn_replay_version){.model = copy_text(line, "model"),
                                .version = copy_text(line, "version")};
    r->n_versions++;
    return (*out)->model && (*out)->version ? HN_OK : hn_no_memory(err, "the versions of a log");
}

static double logged(const hn_replaying *r, const hn_replay_line *line, int32_t i, int32_t task) {
    const hn_json_node *const p =
        hn_json_member(hn_json_member(line->items[i], "p"), r->bundle->config->tasks[task].name);
    double value = 0;
    (void)hn_cell_number(&value, p->text, p->n); /* has_scores: it is a number */
    return value;
}

/* The largest difference of a row's probabilities from those logged. */
static double row_difference(const hn_replaying *r, const hn_replay_line *line, int32_t i) {
    double most = 0;
    for (int32_t t = 0; t < r->tasks; t++)
        most = fmax(most, fabs(r->engine->p[i * r->tasks + t] - logged(r, line, i, t)));
    return most;
}

static bool note_row(hn_replaying *r, const hn_replay_line *line, int32_t i,
                     hn_replay_version *version) {
    const uint16_t known = r->engine->encoded.rows.scenario[i];
    const int32_t scenario = known < r->scenarios - 1 ? known : r->scenarios - 1;
    const double most = row_difference(r, line, i);
    for (int32_t t = 0; t < r->tasks; t++) {
        const double was = logged(r, line, i, t), is = r->engine->p[i * r->tasks + t];
        count_bin(hn_replay_bins(r, scenario, t, false), was);
        count_bin(hn_replay_bins(r, scenario, t, true), is);
        note(&r->task[t], fabs(is - was), r->tolerance);
    }
    const bool differs = most > r->tolerance;
    r->rows++, r->rows_of[scenario]++, version->rows++;
    r->differing_rows += differs, version->differing += differs;
    version->max = fmax(version->max, most);
    return differs;
}

/* ---- Scores ---------------------------------------------------------------------------------- */

static void take_uncalibrated(const hn_replaying *r) {
    const hn_rows *const rows = &r->engine->encoded.rows;
    const size_t tasks = (size_t)r->tasks, n = (size_t)rows->rows * tasks;
    for (size_t k = 0; k < n; k++)
        r->engine->p[k] = (double)(hn_real)hn_bundle_probability(
            r->bundle, rows->scenario[k / tasks], (int32_t)(k % tasks),
            (double)r->engine->logits[k], false);
}

static hn_status score(hn_replaying *r, const hn_replay_line *line, int32_t without,
                       hn_error *err) {
    uint64_t unknown = 0;
    HN_TRY(hn_replay_rows(r->engine, line, without, &r->room, &unknown, err));
    HN_TRY(hn_engine_score(r->engine, err));
    if (without == HN_REPLAY_ALL) r->unknown += unknown;
    if (r->uncalibrated) take_uncalibrated(r);
    return HN_OK;
}

static bool is_as_logged(const hn_replaying *r, const hn_replay_line *line) {
    for (int32_t i = 0; i < line->n; i++)
        if (row_difference(r, line, i) > r->tolerance) return false;
    return true;
}

/* A config or an arm may switch the calibration off, and the line does not say so: it does when
 * all its probabilities are those without. */
static hn_status score_as_served(hn_replaying *r, const hn_replay_line *line, hn_error *err) {
    r->uncalibrated = false;
    HN_TRY(score(r, line, HN_REPLAY_ALL, err));
    if (!r->bundle->calibration || is_as_logged(r, line)) return HN_OK;
    take_uncalibrated(r);
    r->uncalibrated = is_as_logged(r, line);
    r->uncalibrated_lines += r->uncalibrated;
    if (r->uncalibrated) return HN_OK;
    const uint64_t unknown = r->unknown;
    const hn_status status = score(r, line, HN_REPLAY_ALL, err);
    r->unknown = unknown; /* counted the first time */
    return status;
}

/* ---- Causes ---------------------------------------------------------------------------------- */

/* The member of an object (or NULL) that is this field. */
static const hn_json_node *value_of(const hn_replaying *r, const hn_json_node *object,
                                    int32_t field) {
    if (!hn_json_is(object, HN_JSON_OBJECT)) return NULL;
    for (HN_JSON_EACH(value, object))
        if (hn_request_field(r->engine->request, value->key, value->key_bytes) == field)
            return value;
    return NULL;
}

/* Scores the line without one logged feature at a time: the one without which row i is as it
 * was logged is what the server had not. */
static hn_status look_into(hn_replaying *r, const hn_replay_line *line, int32_t i, hn_error *err) {
    const hn_json_node *const item = line->items[i];
    r->looked_into++;
    for (int32_t f = 0; f < hn_request_fields(r->engine->request); f++) {
        if (!value_of(r, hn_json_member(line->json, "user_features"), f) &&
            !value_of(r, hn_json_member(line->json, "context"), f) &&
            !value_of(r, hn_json_member(item, "features"), f))
            continue;
        HN_TRY(score(r, line, f, err));
        if (row_difference(r, line, i) <= r->tolerance) {
            r->features[f].causes++;
            return HN_OK;
        }
    }
    r->unexplained++;
    return HN_OK;
}

/* ---- Features beside the tables ------------------------------------------------------------ */

static hn_status note_first(hn_replaying *r, const hn_replay_line *line, int32_t row, int32_t field,
                            double had, hn_error *err) {
    const hn_json_node *const item = row < 0 ? NULL : line->items[row];
    const hn_json_node *value = value_of(r, hn_json_member(item, "features"), field);
    if (!value) value = value_of(r, hn_json_member(line->json, "user_features"), field);
    if (!value) value = value_of(r, hn_json_member(line->json, "context"), field);
    char shown[HN_SHOW_BYTES];
    hn_text text = {0}, was = {0};
    if (value) hn_json_add_node(&was, value);
    hn_text_add(&text, "%s:%llu: request ", line->file, (unsigned long long)line->number);
    hn_json_add_node(&text, hn_json_member(line->json, "request_id"));
    if (item) {
        hn_text_bytes(&text, ", item ", 7);
        hn_json_add_node(&text, hn_json_member(item, "id"));
    }
    hn_text_add(&text, ": %s was served as %s, and the table has ",
                hn_request_field_name(r->engine->request, field),
                was.text ? hn_show(shown, was.text, was.length) : "nothing");
    if (isnan(had))
        hn_text_add(&text, "another value");
    else
        hn_text_add(&text, "%.9g", had);
    const bool failed = text.failed || was.failed;
    hn_text_free(&was);
    r->first = (hn_replay_first){text.text, field};
    return failed ? hn_no_memory(err, "a feature that differs") : HN_OK;
}

/* *differs: a feature of the row is not the table's. */
static hn_status compare_row(bool *differs, hn_replaying *r, const hn_replay_line *line,
                             int32_t row, hn_error *err) {
    for (int32_t f = 0; f < hn_request_fields(r->engine->request); f++) {
        double had;
        hn_replay_feature *const feature = &r->features[f];
        const hn_given given = hn_request_compare(&had, r->engine->request, row, f);
        feature->compared += given == HN_GIVEN_SAME || given == HN_GIVEN_OTHER;
        feature->new_keys += given == HN_GIVEN_NEW;
        if (given != HN_GIVEN_OTHER) continue;
        feature->differing++;
        *differs = true;
        if (!r->first.text) HN_TRY(note_first(r, line, row, f, had, err));
    }
    return HN_OK;
}

/* What the features that differ do to the scores: the same rows with the tables' own. */
static hn_status score_tables(hn_replaying *r, const hn_replay_line *line, hn_error *err) {
    const size_t n = (size_t)line->n * (size_t)r->tasks;
    HN_TRY(hn_grow(&r->p, &r->p_capacity, n, sizeof *r->p, err));
    memcpy(r->p, r->engine->p, n * sizeof *r->p);
    HN_TRY(score(r, line, HN_REPLAY_NO_TABLES, err));
    for (size_t k = 0; k < n; k++)
        note(&r->tables[k % (size_t)r->tasks], fabs(r->p[k] - r->engine->p[k]), r->tolerance);
    return HN_OK;
}

/* ---- A line -------------------------------------------------------------------------------- */

static bool has_features(const hn_replay_line *line) {
    if (hn_json_is(hn_json_member(line->json, "user_features"), HN_JSON_OBJECT) ||
        hn_json_is(hn_json_member(line->json, "context"), HN_JSON_OBJECT))
        return true;
    for (int32_t i = 0; i < line->n; i++)
        if (hn_json_is(hn_json_member(line->items[i], "features"), HN_JSON_OBJECT)) return true;
    return false;
}

static bool has_scores(const hn_replaying *r, const hn_replay_line *line) {
    for (int32_t i = 0; i < line->n; i++) {
        const hn_json_node *const p = hn_json_member(line->items[i], "p");
        for (int32_t t = 0; t < r->tasks; t++)
            if (!hn_json_is(hn_json_member(p, r->bundle->config->tasks[t].name), HN_JSON_NUMBER))
                return false;
    }
    return true;
}

static bool is_asked_for(const hn_replaying *r, const hn_json_node *line) {
    const hn_replay_options *const o = r->options;
    return (!o->model || is_text(line, "model", o->model)) &&
           (!o->version || is_text(line, "version", o->version));
}

/* Whether the line can be scored again; else it is counted. */
static bool is_wanted(hn_replaying *r, const hn_replay_line *line) {
    const hn_json_node *const fallback = hn_json_member(line->json, "fallback");
    uint64_t *left_out = NULL;
    if (!is_asked_for(r, line->json))
        left_out = &r->other;
    else if (!has_features(line))
        left_out = &r->without_features;
    else if ((fallback && fallback->kind != HN_JSON_NULL) || !has_scores(r, line))
        left_out = &r->fallbacks;
    if (left_out) ++*left_out;
    return !left_out && line->n > 0;
}

static hn_status compare_line(hn_replaying *r, const hn_replay_line *line, hn_error *err) {
    bool differs = false;
    HN_TRY(compare_row(&differs, r, line, HN_REQUEST_SHARED, err));
    for (int32_t i = 0; i < line->n; i++) HN_TRY(compare_row(&differs, r, line, i, err));
    if (differs) return score_tables(r, line, err);
    for (int32_t k = 0; k < line->n * r->tasks; k++)
        note(&r->tables[k % r->tasks], 0, r->tolerance);
    return HN_OK;
}

static hn_status score_line(hn_replaying *r, const hn_replay_line *line, hn_error *err) {
    hn_replay_version *version;
    int32_t first = -1;
    HN_TRY(score_as_served(r, line, err));
    HN_TRY(version_of(&version, r, line->json, err));
    r->scored++;
    for (int32_t i = 0; i < line->n; i++)
        if (note_row(r, line, i, version) && first < 0) first = i;
    HN_TRY(compare_line(r, line, err));
    /* one row of a line is enough: what is shared is the same for the others */
    return first >= 0 && r->looked_into < HN_REPLAY_CAUSES ? look_into(r, line, first, err) : HN_OK;
}

static hn_status bad(const hn_replay_line *line, const char *what, const char *expected,
                     hn_error *err) {
    return hn_fail(err, HN_BAD_DATA, "%s:%llu:1: %s: expected %s", line->file,
                   (unsigned long long)line->number, what, expected);
}

static hn_status take_parsed(hn_replaying *r, hn_replay_line *line, hn_error *err) {
    const hn_json_node *const items = hn_json_member(line->json, "items");
    if (!hn_json_is(line->json, HN_JSON_OBJECT))
        return bad(line, "the line", "an exposure, an object", err);
    if (!hn_json_is(items, HN_JSON_LIST)) return bad(line, "items", "a list", err);
    if (items->n > INT32_MAX / HN_TASKS_MAX) return bad(line, "items", "fewer", err);
    HN_TRY(hn_grow(&r->items, &r->items_capacity, (size_t)items->n + 1, sizeof *r->items, err));
    line->items = r->items;
    for (HN_JSON_EACH(item, items)) {
        if (item->kind != HN_JSON_OBJECT) return bad(line, "items", "objects in the list", err);
        r->items[line->n++] = item;
    }
    return is_wanted(r, line) ? score_line(r, line, err) : HN_OK;
}

/* A bad line is counted, or, beyond the limit, the failure. */
static hn_status forgive(hn_replaying *r, const hn_error *why, hn_error *err) {
    if (why->status != HN_BAD_DATA) return hn_fail(err, why->status, "%s", why->text);
    if (++r->bad > (uint64_t)(r->options->bad_lines > 0 ? r->options->bad_lines : 0))
        return hn_fail(err, HN_BAD_DATA, "%s (%lld bad lines are allowed)", why->text,
                       (long long)r->options->bad_lines);
    if (r->n_examples == HN_REPLAY_EXAMPLES) return HN_OK;
    char *const text = hn_strdup(why->text);
    if (!text) return hn_no_memory(err, "a bad line");
    r->examples[r->n_examples++] = text;
    return HN_OK;
}

static hn_status take_line(void *user, const char *text, size_t n, const char *file,
                           uint64_t number, hn_error *err) {
    hn_replaying *const r = user;
    hn_replay_line line = {.file = file, .number = number};
    hn_error why = {0};
    if (hn_stopped(r->run)) return hn_fail(err, HN_INTERRUPTED, "replay: stopped by request");
    r->lines++;
    hn_status status = hn_join_json_read(&r->json, file, number, text, n, &why);
    line.json = r->json.nodes;
    if (status == HN_OK) status = take_parsed(r, &line, &why);
    return status == HN_OK ? HN_OK : forgive(r, &why, err);
}

/* ---- The whole ----------------------------------------------------------------------------- */

static hn_status prepare(hn_replaying *r, hn_error *err) {
    r->tolerance = r->options->tolerance > 0 ? r->options->tolerance : DEFAULT_TOLERANCE;
    r->scenarios = hn_plan_layout(r->bundle->plan)->scenarios + 1;
    HN_TRY(hn_engine_create(&r->engine, r->bundle, err));
    r->tasks = r->engine->tasks;
    const size_t tasks = (size_t)r->tasks, scenarios = (size_t)r->scenarios;
    r->bins = hn_alloc_zero(scenarios * tasks, 2 * HN_REPLAY_BINS * sizeof *r->bins);
    r->rows_of = hn_alloc_zero(scenarios, sizeof *r->rows_of);
    r->task = hn_alloc_zero(tasks, sizeof *r->task);
    r->tables = hn_alloc_zero(tasks, sizeof *r->tables);
    r->features =
        hn_alloc_zero((size_t)hn_request_fields(r->engine->request) + 1, sizeof *r->features);
    return r->bins && r->rows_of && r->task && r->tables && r->features
               ? HN_OK
               : hn_no_memory(err, "the comparison");
}

static hn_status read_all(hn_replaying *r, const char *const *files, size_t n, hn_error *err) {
    hn_paths paths = {0};
    HN_TRY(hn_paths_glob(&paths, ".", files, n, err));
    hn_status status = HN_OK;
    for (size_t i = 0; i < paths.n && status == HN_OK; i++) {
        const char *const path = paths.paths[i];
        const size_t length = strlen(path);
        /* what a server writes, or was killed over, ends anywhere */
        const bool part = length >= 5 && strcmp(path + length - 5, ".part") == 0;
        status = hn_lines_read(&path, 1, part, take_line, r, err);
    }
    hn_paths_free(&paths);
    return status;
}

static void free_all(hn_replaying *r) {
    for (int32_t i = 0; i < r->n_versions; i++) {
        hn_free(r->versions[i].model);
        hn_free(r->versions[i].version);
    }
    for (int32_t i = 0; i < r->n_examples; i++) hn_free(r->examples[i]);
    hn_free(r->first.text);
    hn_free(r->bins);
    hn_free(r->rows_of);
    hn_free(r->task);
    hn_free(r->tables);
    hn_free(r->features);
    hn_free(r->p);
    hn_text_free(&r->room);
    hn_json_free(&r->json);
    hn_free(r->items);
    hn_engine_free(r->engine);
}

hn_status hn_replay(hn_report **out, const hn_bundle *bundle, const char *const *files,
                    size_t n_files, const hn_replay_options *options, const hn_run *run,
                    hn_error *err) {
    static const hn_replay_options defaults = {0};
    hn_replaying r = {.bundle = bundle, .options = options ? options : &defaults, .run = run};
    *out = NULL;
    const int32_t saved = hn_kernel_enter();
    hn_status status = prepare(&r, err);
    if (status == HN_OK) status = read_all(&r, files, n_files, err);
    if (status == HN_OK) status = hn_replay_tell(out, &r, err);
    hn_kernel_leave(saved);
    free_all(&r);
    return status;
}
