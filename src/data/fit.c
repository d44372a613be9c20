/* The fit as a whole: which parts there are, the pass over the spool that feeds them, and
 * what is said about a warm start. */
#include "data/fit.h"

#include <string.h>

#include "base/memory.h"
#include "base/report.h"
#include "data/budget.h"
#include "data/fit_parts.h"

/* ---- Parts ----------------------------------------------------------------------- */

static hn_fit_part *add_part(hn_fit *fit, int32_t index,
                             hn_status (*add)(hn_fit *, hn_fit_part *, const hn_fit_block *,
                                              hn_error *),
                             hn_status (*finish)(hn_fit *, hn_fit_part *, hn_error *)) {
    hn_fit_part *const part = &fit->parts[fit->n_parts++];
    *part = (hn_fit_part){.add = add, .finish = finish, .index = index};
    return part;
}

static bool number_needs_fit(const hn_column *column) {
    return column->kind == HN_COLUMN_NUMBER && !column->kept && hn_scale_needs_fit(&column->scale);
}

static int32_t count_tallies(const hn_schema *schema) {
    int32_t n = schema->n_rates;
    for (int32_t i = 0; i < schema->n_roots; i++) n += schema->roots[i].kind == HN_ROOT_VOCABULARY;
    for (int32_t c = 0; c < schema->n_columns; c++)
        n += number_needs_fit(&schema->columns[c]) &&
             schema->columns[c].scale.how == HN_SCALE_BUCKETS;
    return n;
}

/* Half of what is left is shared by the tallies; the least that they keep to must be there. */
static hn_status share_memory(hn_fit *fit, hn_error *err) {
    const int32_t tallies = count_tallies(fit->schema);
    const hn_run *const run = fit->options->run;
    if (tallies == 0) return HN_OK;
    HN_TRY(hn_budget_need(run, (uint64_t)tallies * HN_TALLY_LEAST, "fitting the features", err));
    fit->tally_bytes = hn_budget_left(run) / 2 / tallies;
    return HN_OK;
}

static hn_status
add_tally_part(hn_fit *fit, int32_t index, int32_t counters,
               hn_status (*add)(hn_fit *, hn_fit_part *, const hn_fit_block *, hn_error *),
               hn_status (*finish)(hn_fit *, hn_fit_part *, hn_error *), hn_error *err) {
    hn_fit_part *const part = add_part(fit, index, add, finish);
    return hn_tally_create(&part->tally, counters, fit->tally_bytes, fit->options->dir, err);
}

/* Rates first: they take longest. */
static hn_status make_parts(hn_fit *fit, hn_error *err) {
    const hn_schema *const schema = fit->schema;
    for (int32_t r = 0; r < schema->n_rates; r++)
        HN_TRY(add_tally_part(fit, r, 1 + 2 * schema->rates[r].n_tasks, hn_fit_add_rate,
                              hn_fit_finish_rate, err));
    for (int32_t i = 0; i < schema->n_roots; i++)
        if (schema->roots[i].kind == HN_ROOT_VOCABULARY)
            HN_TRY(add_tally_part(fit, i, 1, hn_fit_add_root, hn_fit_finish_root, err));
    for (int32_t c = 0; c < schema->n_columns; c++) {
        if (!number_needs_fit(&schema->columns[c])) continue;
        if (schema->columns[c].scale.how == HN_SCALE_BUCKETS)
            HN_TRY(add_tally_part(fit, c, 1, hn_fit_add_number, hn_fit_finish_number, err));
        else
            add_part(fit, c, hn_fit_add_number, hn_fit_finish_number);
    }
    add_part(fit, 0, hn_fit_add_cells, NULL);
    for (int32_t t = 0; t < schema->config->n_tables; t++) add_part(fit, t, hn_fit_add_table, NULL);
    return HN_OK;
}

static hn_status create_parts(hn_fit *fit, hn_error *err) {
    const hn_schema *const schema = fit->schema;
    const size_t most = (size_t)schema->n_rates + (size_t)schema->n_roots +
                        (size_t)schema->n_columns + 1 + (size_t)schema->config->n_tables;
    fit->parts = hn_alloc_zero(most, sizeof *fit->parts);
    if (!fit->parts) return hn_no_memory(err, "the fit");
    HN_TRY(hn_fit_counts_create(fit, err));
    HN_TRY(share_memory(fit, err));
    return make_parts(fit, err);
}

static void free_fit(hn_fit *fit) {
    for (int32_t i = 0; fit->parts && i < fit->n_parts; i++) hn_tally_free(fit->parts[i].tally);
    hn_free(fit->parts);
    for (int32_t t = 0; fit->table_first && t < fit->counts->tables; t++)
        hn_free(fit->table_first[t]);
    hn_free(fit->table_first);
}

/* ---- The pass ------------------------------------------------------------------------------ */

typedef struct fit_window {
    hn_fit *fit;
    hn_pass *pass;
    hn_fit_block *blocks; /* [pass->most] */
    uint32_t **training;  /* [pass->most] */
    size_t *capacity;
    hn_status *status;
    hn_error *errors;
} fit_window;

static void find_training(void *user, int64_t item, int32_t worker) {
    (void)worker;
    fit_window *const w = user;
    const hn_spool_buffer *const read = &w->pass->blocks[item];
    const size_t rows = (size_t)read->block.rows;
    w->status[item] = hn_grow(&w->training[item], &w->capacity[item], rows, sizeof **w->training,
                              &w->errors[item]);
    if (w->status[item] != HN_OK) return;
    int32_t n = 0;
    for (size_t i = 0; i < rows; i++)
        if (read->block.split[i] == HN_TRAIN) w->training[item][n++] = (uint32_t)i;
    w->blocks[item] = (hn_fit_block){&read->block, read->first_row, w->training[item], n};
}

static void feed_part(void *user, int64_t item, int32_t worker) {
    (void)worker;
    const fit_window *const w = user;
    hn_fit_part *const part = &w->fit->parts[item];
    for (int32_t b = 0; b < w->pass->n && part->status == HN_OK; b++)
        part->status = part->add(w->fit, part, &w->blocks[b], &part->error);
}

static void finish_part(void *user, int64_t item, int32_t worker) {
    (void)worker;
    hn_fit *const fit = user;
    hn_fit_part *const part = &fit->parts[item];
    if (part->finish) part->status = part->finish(fit, part, &part->error);
    hn_tally_free(part->tally);
    part->tally = NULL;
}

/* The first failure in the order of parts. */
static hn_status check_parts(const hn_fit *fit, hn_error *err) {
    for (int32_t i = 0; i < fit->n_parts; i++)
        if (fit->parts[i].status != HN_OK)
            return hn_fail(err, fit->parts[i].status, "%s", fit->parts[i].error.text);
    return HN_OK;
}

static hn_status feed_window(fit_window *w, hn_error *err) {
    hn_pool_run(w->pass->pool, w->pass->n, find_training, w);
    for (int32_t i = 0; i < w->pass->n; i++)
        if (w->status[i] != HN_OK) return hn_fail(err, w->status[i], "%s", w->errors[i].text);
    hn_pool_run(w->pass->pool, w->fit->n_parts, feed_part, w);
    return check_parts(w->fit, err);
}

static hn_status feed_all(fit_window *w, hn_error *err) {
    const size_t n = (size_t)w->pass->most;
    w->blocks = hn_alloc_zero(n, sizeof *w->blocks);
    w->training = hn_alloc_zero(n, sizeof *w->training);
    w->capacity = hn_alloc_zero(n, sizeof *w->capacity);
    w->status = hn_alloc_zero(n, sizeof *w->status);
    w->errors = hn_alloc_zero(n, sizeof *w->errors);
    if (!w->blocks || !w->training || !w->capacity || !w->status || !w->errors)
        return hn_no_memory(err, "the fit");
    for (;;) {
        HN_TRY(hn_pass_next(w->pass, err));
        if (w->pass->n == 0) return HN_OK;
        HN_TRY(feed_window(w, err));
    }
}

static hn_status run_pass(hn_fit *fit, const hn_spool *spool, hn_error *err) {
    hn_pass pass;
    HN_TRY(hn_pass_open(&pass, spool, fit->options->pool, fit->options->run, "fit", 0, err));
    fit_window w = {.fit = fit, .pass = &pass};
    const hn_status status = feed_all(&w, err);
    for (int32_t i = 0; w.training && i < pass.most; i++) hn_free(w.training[i]);
    hn_free(w.blocks);
    hn_free(w.training);
    hn_free(w.capacity);
    hn_free(w.status);
    hn_free(w.errors);
    hn_pass_close(&pass);
    return status;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static hn_status find_old_values(hn_schema *schema, hn_pack *init, hn_error *err) {
    HN_TRY(hn_schema_inherit(schema, init, err));
    for (int32_t i = 0; i < schema->n_roots; i++) {
        hn_root *const root = &schema->roots[i];
        if (root->kind == HN_ROOT_VOCABULARY)
            HN_TRY(hn_schema_old_hashes(&root->old, &root->n_old, init, root->feature->name, err));
    }
    return HN_OK;
}

static void tell_news(const hn_schema *schema, const hn_fit_options *options) {
    if (!options->init) return;
    int32_t kept = 0;
    for (int32_t i = 0; i < schema->n_roots; i++) {
        const hn_root *const root = &schema->roots[i];
        if (root->kind == HN_ROOT_VOCABULARY)
            hn_say(options->run, HN_LOG_INFO, "features.%s: %u new values, %u in all%s",
                   root->feature->name, root->fresh, root->vocabulary.size,
                   root->n_old ? "" : " (the feature is new)");
    }
    for (int32_t c = 0; c < schema->n_columns; c++) kept += schema->columns[c].kept;
    if (kept > 0)
        hn_say(options->run, HN_LOG_INFO,
               "%d scales and buckets of numbers are those of %s; rates are fitted anew", kept,
               hn_pack_path(options->init));
}

/* The old values are the pack's memory, which may be closed once the fit is done. */
static void forget_old_values(hn_schema *schema) {
    for (int32_t i = 0; i < schema->n_roots; i++) schema->roots[i].old = NULL;
}

/* One rate for each scenario, as serving needs it: the config's, or that of the column as
 * the harmonic mean over negatives (kept rows / rows there were). */
static void set_sampling(hn_schema *schema, const hn_fit_counts *counts) {
    for (int32_t m = 0; m < counts->scenarios; m++)
        schema->sampling[m] = counts->negatives[m] > 0
                                  ? counts->negatives[m] / counts->negatives_before[m]
                                  : schema->config->sampling;
}

static hn_status fit_all(hn_fit *fit, const hn_spool *spool, hn_error *err) {
    hn_schema *const schema = fit->schema;
    HN_TRY(find_old_values(schema, fit->options->init, err));
    HN_TRY(create_parts(fit, err));
    HN_TRY(run_pass(fit, spool, err));
    hn_pool_run(fit->options->pool, fit->n_parts, finish_part, fit);
    HN_TRY(check_parts(fit, err));
    memcpy(schema->scenario_rows, fit->counts->rows,
           (size_t)fit->counts->scenarios * sizeof(uint64_t));
    set_sampling(schema, fit->counts);
    hn_schema_complete(schema);
    tell_news(schema, fit->options);
    return HN_OK;
}

hn_status hn_schema_fit(hn_fit_counts *counts, hn_schema *schema, const hn_spool *spool,
                        const hn_fit_options *options, hn_error *err) {
    hn_fit fit = {.schema = schema, .options = options, .counts = counts};
    memset(counts, 0, sizeof *counts);
    const hn_status status = fit_all(&fit, spool, err);
    free_fit(&fit);
    forget_old_values(schema);
    if (status != HN_OK) hn_fit_counts_free(counts);
    return status;
}
