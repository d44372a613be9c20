/* Exact metrics of every cell of one pass. Rows are kept as small records in two sorters
 * (by prediction for AUC, by user for GAUC), which spill to disk when large; every sum is
 * taken in sorted order, so neither the order of rows nor the budget changes a bit.
 * How cells are shown is in results.c. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/sort.h"
#include "kernel/kernel.h"
#include "train/train.h"

/* One present label. The prediction is the probability as users get it, so that the AUC of
 * a file of predictions is this AUC; the logit is there for the log loss alone. */
typedef struct score {
    uint32_t cell_label; /* cell × 2 + label */
    float weight;
    hn_real p, logit;
} score;

typedef struct user_score {
    uint64_t user;
    uint32_t cell_label;
    float weight;
    hn_real p;
} user_score;

enum { PENDING = 512 };

struct hn_metrics {
    int32_t scenarios, tasks;
    bool gauc;
    hn_sorter *scores, *by_user;
    int32_t pending; /* records not yet given to the sorters */
    score score[PENDING];
    user_score user[PENDING];
};

/* ---- Orders: total on everything that a sum reads ---------------------------------------- */

#define COMPARE(a, b)                              \
    do {                                           \
        if ((a) != (b)) return (a) < (b) ? -1 : 1; \
    } while (0)

static int compare_scores(const void *left, const void *right) {
    const score *const a = left, *const b = right;
    COMPARE(a->cell_label >> 1, b->cell_label >> 1);
    COMPARE(a->p, b->p);
    COMPARE(a->cell_label, b->cell_label);
    COMPARE(a->weight, b->weight);
    COMPARE(a->logit, b->logit);
    return 0;
}

static int compare_user_scores(const void *left, const void *right) {
    const user_score *const a = left, *const b = right;
    COMPARE(a->cell_label >> 1, b->cell_label >> 1);
    COMPARE(a->user, b->user);
    COMPARE(a->p, b->p);
    COMPARE(a->cell_label, b->cell_label);
    COMPARE(a->weight, b->weight);
    return 0;
}

/* ---- Adding ------------------------------------------------------------------------------ */

hn_status hn_metrics_create(hn_metrics **out, int32_t scenarios, int32_t tasks, bool gauc,
                            int64_t budget_bytes, const char *dir, hn_error *err) {
    *out = NULL;
    hn_metrics *const metrics = hn_alloc_zero(1, sizeof *metrics);
    if (!metrics) return hn_no_memory(err, "metrics");
    metrics->scenarios = scenarios;
    metrics->tasks = tasks;
    metrics->gauc = gauc;
    const int64_t share = gauc ? budget_bytes / 2 : budget_bytes;
    hn_status status =
        hn_sorter_create(&metrics->scores, sizeof(score), compare_scores, share, dir, err);
    if (status == HN_OK && gauc)
        status = hn_sorter_create(&metrics->by_user, sizeof(user_score), compare_user_scores, share,
                                  dir, err);
    if (status != HN_OK) {
        hn_metrics_free(metrics);
        return status;
    }
    *out = metrics;
    return HN_OK;
}

void hn_metrics_free(hn_metrics *metrics) {
    if (!metrics) return;
    hn_sorter_free(metrics->scores);
    hn_sorter_free(metrics->by_user);
    hn_free(metrics);
}

static hn_status flush(hn_metrics *metrics, hn_error *err) {
    const size_t n = (size_t)metrics->pending;
    metrics->pending = 0;
    HN_TRY(hn_sorter_add(metrics->scores, metrics->score, n, err));
    return metrics->gauc ? hn_sorter_add(metrics->by_user, metrics->user, n, err) : HN_OK;
}

static hn_status add_label(hn_metrics *metrics, const hn_rows *rows, int32_t r, int32_t task,
                           hn_real logit, hn_error *err) {
    const uint8_t label = rows->labels[(size_t)r * (size_t)metrics->tasks + (size_t)task];
    if (label == HN_LABEL_ABSENT) return HN_OK;
    const uint32_t cell = (uint32_t)rows->scenario[r] * (uint32_t)metrics->tasks + (uint32_t)task;
    if (!isfinite(logit))
        return hn_fail(err, HN_NOT_FINITE,
                       "evaluation: the logit of scenario %d, task %d is not finite; the model has "
                       "diverged: train with a smaller rate",
                       (int)rows->scenario[r], (int)task);
    const float weight = rows->weights ? rows->weights[r] : 1.0f;
    const uint32_t cell_label = cell * 2 + (label != 0);
    const hn_real p = hn_sigmoid(logit);
    const uint64_t user = rows->user ? rows->user[r] : 0;
    metrics->score[metrics->pending] = (score){cell_label, weight, p, logit};
    metrics->user[metrics->pending] = (user_score){user, cell_label, weight, p};
    return ++metrics->pending == PENDING ? flush(metrics, err) : HN_OK;
}

hn_status hn_metrics_add(hn_metrics *metrics, const hn_rows *rows, const hn_real *logits,
                         hn_error *err) {
    if (!rows->labels) return hn_fail(err, HN_USAGE, "evaluation: the rows have no labels");
    for (int32_t r = 0; r < rows->rows; r++) {
        if (rows->scenario[r] >= metrics->scenarios) continue; /* of no cell */
        const hn_real *const row = logits + (size_t)r * (size_t)metrics->tasks;
        for (int32_t t = 0; t < metrics->tasks; t++)
            HN_TRY(add_label(metrics, rows, r, t, row[t], err));
    }
    return HN_OK;
}

/* ---- AUC of records that come in order of p ---------------------------------------------- */

/* area = Σ over positives of the weight of negatives below, ties half. */
typedef struct ranking {
    double positive, negative, area;
    double tie_p, tie_positive, tie_negative;
} ranking;

static void end_tie(ranking *r) {
    r->area += r->tie_positive * (r->negative + r->tie_negative / 2);
    r->positive += r->tie_positive;
    r->negative += r->tie_negative;
    r->tie_positive = r->tie_negative = 0;
}

static void rank(ranking *r, double p, bool label, double weight) {
    if (p != r->tie_p) end_tie(r);
    r->tie_p = p;
    *(label ? &r->tie_positive : &r->tie_negative) += weight;
}

/* NaN where a class has no weight. */
static double finish_ranking(ranking *r) {
    end_tie(r);
    return r->positive > 0 && r->negative > 0 ? r->area / (r->positive * r->negative) : NAN;
}

/* ---- One cell ---------------------------------------------------------------------------- */

typedef struct cell_sums {
    ranking ranking;
    double loss, predicted; /* Σ w·loss, Σ w·p */
    hn_real first_logit;
} cell_sums;

/* -log of the probability of the label, from the logit: no rounding of p comes in. */
static double log_loss(double logit, bool label) {
    return fmax(logit, 0) - (label ? logit : 0) + log1p(exp(-fabs(logit)));
}

static void add_score(hn_cell_metrics *cell, cell_sums *sums, const score *s) {
    const bool label = s->cell_label & 1;
    const double w = (double)s->weight;
    if (cell->rows == 0) sums->first_logit = s->logit;
    if (s->logit != sums->first_logit) cell->constant = false;
    cell->rows++;
    cell->positives += label;
    cell->weight += w;
    sums->loss += w * log_loss((double)s->logit, label);
    sums->predicted += w * (double)s->p;
    rank(&sums->ranking, (double)s->p, label, w);
}

static void end_cell(hn_cell_metrics *cell, cell_sums *sums) {
    cell->auc = finish_ranking(&sums->ranking);
    if (cell->weight > 0) cell->log_loss = sums->loss / cell->weight;
    if (sums->ranking.positive > 0) cell->calibration = sums->predicted / sums->ranking.positive;
    if (cell->rows < 2) cell->constant = false; /* one row says nothing */
}

static hn_status finish_scores(hn_cell_metrics *out, hn_sorter *scores, hn_error *err) {
    HN_TRY(hn_sorter_finish(scores, err));
    cell_sums sums = {0};
    int64_t cell = -1;
    for (;;) {
        const void *record;
        HN_TRY(hn_sorter_next(&record, scores, err));
        const score *const s = record;
        const int64_t next = s ? (int64_t)(s->cell_label >> 1) : -1;
        if (next != cell && cell >= 0) end_cell(&out[cell], &sums);
        if (!s) return HN_OK;
        if (next != cell) sums = (cell_sums){0};
        cell = next;
        add_score(&out[cell], &sums, s);
    }
}

/* ---- GAUC -------------------------------------------------------------------------------- */

typedef struct gauc_sums {
    double area, weight; /* Σ over users of w·AUC, Σ w; w: the user's weight in the cell */
} gauc_sums;

static void end_user(gauc_sums *sums, ranking *user) {
    const double auc = finish_ranking(user);
    if (isnan(auc)) return; /* one class only */
    const double weight = user->positive + user->negative;
    sums->area += weight * auc;
    sums->weight += weight;
}

static hn_status finish_users(hn_cell_metrics *out, hn_sorter *by_user, hn_error *err) {
    HN_TRY(hn_sorter_finish(by_user, err));
    gauc_sums sums = {0};
    ranking user = {0};
    user_score last = {0};
    for (bool any = false;; any = true) {
        const void *record;
        HN_TRY(hn_sorter_next(&record, by_user, err));
        const user_score *const s = record;
        const bool new_cell = !s || s->cell_label >> 1 != last.cell_label >> 1;
        const bool new_user = new_cell || s->user != last.user;
        if (any && new_user) end_user(&sums, &user);
        if (any && new_cell && sums.weight > 0)
            out[last.cell_label >> 1].gauc = sums.area / sums.weight;
        if (!s) return HN_OK;
        if (new_user) user = (ranking){0};
        if (new_cell) sums = (gauc_sums){0};
        rank(&user, (double)s->p, s->cell_label & 1, (double)s->weight);
        last = *s;
    }
}

hn_status hn_metrics_finish(hn_cell_metrics *out, hn_metrics *metrics, hn_error *err) {
    const int32_t n = metrics->scenarios * metrics->tasks;
    for (int32_t i = 0; i < n; i++)
        out[i] = (hn_cell_metrics){
            .auc = NAN, .gauc = NAN, .log_loss = NAN, .calibration = NAN, .constant = true};
    HN_TRY(flush(metrics, err));
    HN_TRY(finish_scores(out, metrics->scores, err));
    for (int32_t i = 0; i < n; i++)
        if (out[i].rows == 0) out[i].constant = false;
    return metrics->gauc ? finish_users(out, metrics->by_user, err) : HN_OK;
}

/* ---- Means ------------------------------------------------------------------------------- */

static double mean_of(const hn_cell_metrics *cells, int32_t n, size_t offset) {
    double sum = 0;
    int32_t defined = 0;
    for (int32_t i = 0; i < n; i++) {
        double value;
        memcpy(&value, (const char *)&cells[i] + offset, sizeof value);
        if (isnan(value)) continue;
        sum += value;
        defined++;
    }
    return defined > 0 ? sum / defined : NAN;
}

double hn_metrics_mean_auc(const hn_cell_metrics *cells, int32_t n) {
    return mean_of(cells, n, offsetof(hn_cell_metrics, auc));
}

double hn_metrics_mean_gauc(const hn_cell_metrics *cells, int32_t n) {
    return mean_of(cells, n, offsetof(hn_cell_metrics, gauc));
}

double hn_metrics_mean_log_loss(const hn_cell_metrics *cells, int32_t n) {
    return mean_of(cells, n, offsetof(hn_cell_metrics, log_loss));
}
