/* hn_abtest: reads a joined log, checks that the split is what it should be, compares the
 * arms in every scenario and over all, and reports. A mismatch of the sample ratio stands
 * above everything, since no figure below it means anything then. */
#include "online/abtest.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "online/stats.h"

static const double mismatch_p = 0.001, immature_share = 0.05; /* where a warning begins */

typedef struct result {
    int32_t scope, arm; /* scope -1: all scenarios */
    hn_ab_metric metric;
    hn_ab_estimate control_estimate, arm_estimate;
    hn_ab_comparison plain, cuped;
    double holm;
} result;

typedef struct analysis {
    hn_ab_log log;
    const hn_abtest_options *options;
    double confidence;
    int32_t control, arms[HN_AB_ARMS_MAX]; /* arms in the report's order, control first */
    int32_t *scenarios;                    /* in the report's order */
    double counts[HN_AB_ARMS_MAX], expected[HN_AB_ARMS_MAX], ratio_p; /* by arm */
    bool mismatch;
    size_t users, removed;
    hn_ab_row *rows;
    size_t n_rows;
    double (*sums)[HN_AB_SUMS + 1]; /* [scope + 1][arm]: sums, then users */
    result *results;
    size_t n_results;
    double *p, *holm;
} analysis;

/* ---- Arms ----------------------------------------------------------------------------------- */

static int32_t name_at(const hn_ab_names *names, const char *text, size_t n) {
    for (int32_t i = 0; i < names->n; i++)
        if (strncmp(names->names[i], text, n) == 0 && names->names[i][n] == '\0') return i;
    return -1;
}

static hn_status choose_control(analysis *a, hn_error *err) {
    static const char *const usual[] = {"control", "base", "baseline"};
    const hn_ab_names *const arms = &a->log.arms;
    const char *const asked = a->options->control;
    if (arms->n < 2)
        return hn_fail(err, HN_BAD_DATA,
                       "abtest: found %d arm%s in layer %s; expected two at least", (int)arms->n,
                       arms->n == 1 ? "" : "s", a->log.layer ? a->log.layer : "");
    a->control = asked ? name_at(arms, asked, strlen(asked)) : -1;
    for (size_t k = 0; !asked && a->control < 0 && k < sizeof usual / sizeof *usual; k++)
        a->control = name_at(arms, usual[k], strlen(usual[k]));
    if (asked && a->control < 0)
        return hn_fail(err, HN_USAGE,
                       "--control: no user is in an arm \"%s\"; expected one of the "
                       "log's arms, as in %s",
                       asked, arms->names[0]);
    for (int32_t i = 0; !asked && a->control < 0 && i < arms->n; i++) {
        bool first = true;
        for (int32_t j = 0; j < arms->n; j++)
            first = first && strcmp(arms->names[i], arms->names[j]) <= 0;
        if (first) a->control = i;
    }
    return HN_OK;
}

/* Positions of the names in alphabetical order; `front` ≥ 0 comes first. */
static void sort_names(int32_t *out, const hn_ab_names *names, int32_t front) {
    for (int32_t i = 0; i < names->n; i++) {
        int32_t k = i;
        for (; k > 0 && out[k - 1] != front &&
               (i == front || strcmp(names->names[out[k - 1]], names->names[i]) > 0);
             k--)
            out[k] = out[k - 1];
        out[k] = i;
    }
}

/* "ARM=WEIGHT,…" into shares of 1; all alike when NULL. */
static hn_status read_shares(analysis *a, hn_error *err) {
    const hn_ab_names *const arms = &a->log.arms;
    double total = 0;
    for (int32_t i = 0; i < arms->n; i++) a->expected[i] = a->options->shares ? 0 : 1;
    for (const char *at = a->options->shares; at && *at;) {
        const size_t name_n = strcspn(at, "=,");
        char *end = NULL;
        const int32_t arm = name_at(arms, at, name_n);
        const double weight = at[name_n] == '=' ? strtod(at + name_n + 1, &end) : -1;
        if (arm < 0 || !(weight > 0) || !isfinite(weight) || !end || (*end && *end != ','))
            return hn_fail(err, HN_USAGE,
                           "--shares: found \"%s\"; expected ARM=WEIGHT for arms of the log, as in "
                           "%s=0.5,%s=0.5",
                           at, arms->names[0], arms->names[1]);
        a->expected[arm] = weight;
        at = *end ? end + 1 : end;
    }
    for (int32_t i = 0; i < arms->n; i++) {
        if (a->expected[i] <= 0)
            return hn_fail(err, HN_USAGE, "--shares: there is none of arm \"%s\"", arms->names[i]);
        total += a->expected[i];
    }
    for (int32_t i = 0; i < arms->n; i++) a->expected[i] /= total;
    return HN_OK;
}

/* ---- Users --------------------------------------------------------------------------------- */

static void count_users(analysis *a) {
    for (size_t i = 0; i < a->log.places; i++) {
        const hn_ab_user *const user = &a->log.users[i];
        if (!user->key || user->arm == -1) continue;
        if (user->arm == -2)
            a->removed++;
        else
            a->users++, a->counts[user->arm]++;
    }
    double chi = 0;
    for (int32_t i = 0; i < a->log.arms.n; i++) {
        const double expected = a->expected[i] * (double)a->users;
        chi += (a->counts[i] - expected) * (a->counts[i] - expected) / expected;
    }
    a->ratio_p = a->users > 0 ? hn_chi_square_above(chi, a->log.arms.n - 1) : NAN;
    a->mismatch = a->ratio_p < mismatch_p;
}

static void add_sums(double *to, const double *from) {
    for (int s = 0; s < HN_AB_SUMS; s++) to[s] += from[s];
}

/* The users of a scope: those with an impression whose outcome is known. */
static void gather(analysis *a, int32_t scope) {
    a->n_rows = 0;
    for (size_t i = 0; i < a->log.places; i++) {
        const hn_ab_user *const user = &a->log.users[i];
        if (!user->key || user->arm < 0) continue;
        hn_ab_row *const row = &a->rows[a->n_rows];
        *row = (hn_ab_row){.arm = user->arm};
        for (int32_t c = user->first; c >= 0; c = a->log.cells[c].next) {
            const hn_ab_cell *const cell = &a->log.cells[c];
            if (scope >= 0 && cell->scenario != scope) continue;
            add_sums(row->now, cell->now);
            add_sums(row->pre, cell->pre);
        }
        a->n_rows += row->now[0] > 0;
    }
}

/* ---- Comparisons --------------------------------------------------------------------------- */

static void analyse_scope(analysis *a, int32_t scope) {
    hn_ab_estimate plain[HN_AB_ARMS_MAX], cuped[HN_AB_ARMS_MAX];
    const int32_t arms = a->log.arms.n;
    gather(a, scope);
    for (size_t i = 0; i < a->n_rows; i++) {
        double *const sums = a->sums[(scope + 1) * arms + a->rows[i].arm];
        add_sums(sums, a->rows[i].now);
        sums[HN_AB_SUMS]++;
    }
    for (int m = 0; m < HN_AB_METRICS; m++) {
        if (m == HN_AB_VALUE && !a->log.has_value) continue;
        hn_ab_estimate_arms(plain, arms, a->rows, a->n_rows, m, false);
        hn_ab_estimate_arms(cuped, arms, a->rows, a->n_rows, m, a->log.has_pre);
        for (int32_t k = 1; k < arms; k++) {
            const int32_t arm = a->arms[k];
            result *const r = &a->results[a->n_results++];
            *r = (result){.scope = scope,
                          .arm = arm,
                          .metric = m,
                          .control_estimate = plain[a->control],
                          .arm_estimate = plain[arm]};
            hn_ab_compare(&r->plain, &plain[a->control], &plain[arm], a->confidence);
            hn_ab_compare(&r->cuped, &cuped[a->control], &cuped[arm], a->confidence);
        }
    }
}

static hn_status correct(analysis *a, hn_error *err) {
    for (size_t i = 0; i < a->n_results; i++) a->p[i] = a->results[i].cuped.p;
    HN_TRY(hn_ab_holm(a->holm, a->p, a->n_results, err));
    for (size_t i = 0; i < a->n_results; i++) a->results[i].holm = a->holm[i];
    return HN_OK;
}

static hn_status make_tables(analysis *a, hn_error *err) {
    const size_t scopes = (size_t)a->log.scenarios.n + 1, arms = (size_t)a->log.arms.n;
    const size_t most = scopes * arms * HN_AB_METRICS;
    a->scenarios = hn_alloc(scopes, sizeof *a->scenarios);
    a->rows = hn_alloc(a->users + 1, sizeof *a->rows);
    a->sums = hn_alloc_zero(scopes * arms, sizeof *a->sums);
    a->results = hn_alloc(most, sizeof *a->results);
    a->p = hn_alloc(most, sizeof *a->p);
    a->holm = hn_alloc(most, sizeof *a->holm);
    if (!a->scenarios || !a->rows || !a->sums || !a->results || !a->p || !a->holm)
        return hn_no_memory(err, "the analysis");
    return HN_OK;
}

static hn_status analyse(analysis *a, hn_error *err) {
    HN_TRY(choose_control(a, err));
    HN_TRY(read_shares(a, err));
    count_users(a);
    HN_TRY(make_tables(a, err));
    sort_names(a->arms, &a->log.arms, a->control);
    sort_names(a->scenarios, &a->log.scenarios, -1);
    analyse_scope(a, -1);
    for (int32_t s = 0; s < a->log.scenarios.n; s++) analyse_scope(a, a->scenarios[s]);
    return correct(a, err);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *scope_json(const analysis *a, int32_t scope) {
    return scope < 0 ? json_null() : json_string(a->log.scenarios.names[scope]);
}

static json_t *comparison_json(const hn_ab_comparison *c) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "difference",
                     real(c->difference), "low", real(c->low), "high", real(c->high), "t",
                     real(c->t), "df", real(c->df), "p", real(c->p), "gain", real(c->gain),
                     "gain_low", real(c->gain_low), "gain_high", real(c->gain_high), "mde",
                     real(c->mde), "mde_gain", real(c->mde_gain), "power_5pct", real(c->power));
}

static json_t *results_json(const analysis *a) {
    json_t *const all = json_array();
    for (size_t i = 0; i < a->n_results; i++) {
        const result *const r = &a->results[i];
        json_t *const one = comparison_json(&r->plain);
        json_object_set_new(one, "scenario", scope_json(a, r->scope));
        json_object_set_new(one, "arm", json_string(a->log.arms.names[r->arm]));
        json_object_set_new(one, "metric", json_string(hn_ab_metric_names[r->metric]));
        json_object_set_new(one, "control_value", real(r->control_estimate.value));
        json_object_set_new(one, "arm_value", real(r->arm_estimate.value));
        json_object_set_new(one, "p_holm", real(r->holm));
        if (a->log.has_pre) json_object_set_new(one, "cuped", comparison_json(&r->cuped));
        json_array_append_new(all, one);
    }
    return all;
}

static json_t *arms_json(const analysis *a) {
    json_t *const all = json_array();
    const int32_t arms = a->log.arms.n;
    for (int32_t s = -1; s < a->log.scenarios.n; s++)
        for (int32_t k = 0; k < arms; k++) {
            const int32_t scope = s < 0 ? -1 : a->scenarios[s], arm = a->arms[k];
            const double *const sums = a->sums[(scope + 1) * arms + arm];
            json_array_append_new(all,
                                  json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:o}", "scenario",
                                            scope_json(a, scope), "arm", a->log.arms.names[arm],
                                            "users", (json_int_t)sums[4], "impressions",
                                            (json_int_t)sums[0], "clicks", (json_int_t)sums[1],
                                            "orders", (json_int_t)sums[2], "value", real(sums[3])));
        }
    return all;
}

static json_t *ratio_json(const analysis *a) {
    json_t *const expected = json_object(), *const counts = json_object();
    for (int32_t i = 0; i < a->log.arms.n; i++) {
        json_object_set_new(expected, a->log.arms.names[i], real(a->expected[i]));
        json_object_set_new(counts, a->log.arms.names[i], json_integer((json_int_t)a->counts[i]));
    }
    return json_pack("{s:o, s:b, s:o, s:o}", "p", real(a->ratio_p), "mismatch", (int)a->mismatch,
                     "expected_shares", expected, "users", counts);
}

static double share_immature(const analysis *a) {
    const uint64_t of = a->log.rows - a->log.without_arm;
    return of > 0 ? (double)a->log.immature / (double)of : 0;
}

static json_t *report_json(const analysis *a) {
    return json_pack(
        "{s:o, s:s, s:s, s:f, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:b, s:s, s:o, s:o}",
        "sample_ratio", ratio_json(a), "layer", a->log.layer, "control",
        a->log.arms.names[a->control], "confidence", a->confidence, "rows", (json_int_t)a->log.rows,
        "pre_rows", (json_int_t)a->log.pre_rows, "rows_immature", (json_int_t)a->log.immature,
        "outcomes_missing", (int)(share_immature(a) > immature_share), "rows_without_arm",
        (json_int_t)a->log.without_arm, "users", (json_int_t)a->users, "users_in_several_arms",
        (json_int_t)a->removed, "cuped", (int)a->log.has_pre, "correction",
        "Holm over all comparisons", "arms", arms_json(a), "comparisons", results_json(a));
}

/* ---- Text ----------------------------------------------------------------------------------- */

static void describe_ratio(hn_text *text, const analysis *a) {
    if (a->mismatch)
        hn_text_add(text,
                    "WARNING: SAMPLE RATIO MISMATCH (p = %.2g). The arms do not have the users "
                    "that their shares give; something\nloses or doubles users of one arm. Find it "
                    "before believing anything below.\n",
                    a->ratio_p);
    if (share_immature(a) > immature_share)
        hn_text_add(
            text,
            "WARNING: OUTCOMES NOT KNOWN (of %.0f %% of the rows). While a window is open only "
            "what happened is known, so that every\nrate below is too high. Join again with "
            "--complete, and when most windows have passed.\n",
            100 * share_immature(a));
    hn_text_add(text, "Users:");
    for (int32_t k = 0; k < a->log.arms.n; k++) {
        const int32_t arm = a->arms[k];
        hn_text_add(text, "%s %s %.0f (expected %.0f)", k ? "," : "", a->log.arms.names[arm],
                    a->counts[arm], a->expected[arm] * (double)a->users);
    }
    hn_text_add(text, "; sample ratio p = %.3g.\n", a->ratio_p);
    hn_text_add(text,
                "%zu users seen in several arms were removed; %" PRIu64 " rows without an arm "
                "and %" PRIu64 " whose outcome is not known yet were left out.\n\n",
                a->removed, a->log.without_arm, a->log.immature);
}

static void add_number(hn_grid *grid, double x) {
    if (isfinite(x))
        hn_grid_cell(grid, "%.4g", x);
    else
        hn_grid_cell(grid, "-");
}

static void add_percent(hn_grid *grid, double x) {
    if (isfinite(x))
        hn_grid_cell(grid, "%+.2f %%", 100 * x);
    else
        hn_grid_cell(grid, "-");
}

static void describe_results(hn_text *text, const analysis *a) {
    static const char *const head[] = {"scenario", "arm", "metric", "control",  "value",     "gain",
                                       "from",     "to",  "p",      "p (Holm)", "detectable"};
    hn_grid *const grid = hn_grid_create(sizeof head / sizeof *head);
    for (size_t h = 0; h < sizeof head / sizeof *head; h++) hn_grid_cell(grid, "%s", head[h]);
    for (size_t i = 0; i < a->n_results; i++) {
        const result *const r = &a->results[i];
        const hn_ab_comparison *const c = &r->cuped;
        hn_grid_cell(grid, "%s", r->scope < 0 ? "(all)" : a->log.scenarios.names[r->scope]);
        hn_grid_cell(grid, "%s", a->log.arms.names[r->arm]);
        hn_grid_cell(grid, "%s", hn_ab_metric_names[r->metric]);
        add_number(grid, r->control_estimate.value);
        add_number(grid, r->arm_estimate.value);
        add_percent(grid, c->gain);
        add_percent(grid, c->gain_low);
        add_percent(grid, c->gain_high);
        add_number(grid, c->p);
        add_number(grid, r->holm);
        add_percent(grid, c->mde_gain);
    }
    hn_grid_render(grid, text);
}

static void describe(hn_text *text, const analysis *a) {
    describe_ratio(text, a);
    hn_text_add(text,
                "Layer %s against %s; gains with intervals of %g %%%s; p (Holm) is corrected "
                "for all rows, the intervals are not.\n\"detectable\": the gain found with a power "
                "of 80 %%.\n\n",
                a->log.layer, a->log.arms.names[a->control], 100 * a->confidence,
                a->log.has_pre ? ", CUPED by the time before" : "");
    describe_results(text, a);
}

/* ---- The command ----------------------------------------------------------------------------- */

static void free_analysis(analysis *a) {
    hn_ab_log_free(&a->log);
    hn_free(a->scenarios);
    hn_free(a->rows);
    hn_free(a->sums);
    hn_free(a->results);
    hn_free(a->p);
    hn_free(a->holm);
    hn_free(a);
}

static hn_status read_and_analyse(analysis *a, const char *const *files, size_t n_files,
                                  const hn_run *run, hn_error *err) {
    const hn_abtest_options *const options = a->options;
    HN_TRY(hn_ab_log_read(&a->log, files, n_files, options, false, run, err));
    if (options->pre) HN_TRY(hn_ab_log_read(&a->log, &options->pre, 1, options, true, run, err));
    return analyse(a, err);
}

hn_status hn_abtest(hn_report **out, const char *const *files, size_t n_files,
                    const hn_abtest_options *options, const hn_run *run, hn_error *err) {
    *out = NULL;
    const double confidence = options->confidence > 0 ? options->confidence : 0.95;
    if (!(confidence >= 0.5 && confidence < 1))
        return hn_fail(err, HN_USAGE, "--confidence: found %g; expected 0.5 to less than 1",
                       options->confidence);
    analysis *const a = hn_alloc_zero(1, sizeof *a);
    if (!a) return hn_no_memory(err, "the analysis");
    a->options = options;
    a->confidence = confidence;
    hn_status status = read_and_analyse(a, files, n_files, run, err);
    if (status == HN_OK) {
        hn_text text = {0};
        describe(&text, a);
        if (a->mismatch) hn_say(run, HN_LOG_WARNING, "sample ratio mismatch, p = %.2g", a->ratio_p);
        if (share_immature(a) > immature_share)
            hn_say(run, HN_LOG_WARNING, "the outcomes of %.0f %% of the rows are not known yet",
                   100 * share_immature(a));
        status = hn_report_create(out, report_json(a), &text, err);
    }
    free_analysis(a);
    return status;
}
