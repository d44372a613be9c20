/* The weights of the tasks' losses: homoscedastic uncertainty (Kendall et al., CVPR 2018) and
 * GradNorm (Chen et al., ICML 2018), as docs/tensors.md defines them. */
#include "train/weighting.h"

#include <math.h>

#include "base/memory.h"

enum { NUMBERS = sizeof(hn_task_weight) / sizeof(double) };
static const double SMALLEST = 0.001; /* w_t before the normalisation */

hn_status hn_weighting_create(hn_weighting *out, hn_weighting_kind kind, int32_t tasks,
                              hn_error *err) {
    *out = (hn_weighting){.kind = kind, .tasks = tasks};
    if (kind == HN_WEIGHTING_FIXED) return HN_OK;
    out->of = hn_alloc_zero((size_t)tasks, sizeof *out->of);
    if (!out->of) return hn_no_memory(err, "the weights of the tasks");
    for (int32_t t = 0; t < tasks; t++) out->of[t].value = kind == HN_WEIGHTING_GRADNORM;
    return HN_OK;
}

void hn_weighting_free(hn_weighting *weighting) {
    hn_free(weighting->of);
    *weighting = (hn_weighting){0};
}

double hn_weighting_factor(const hn_weighting *weighting, int32_t t) {
    switch (weighting->kind) {
    case HN_WEIGHTING_FIXED: break;
    case HN_WEIGHTING_UNCERTAINTY: return exp(-weighting->of[t].value);
    case HN_WEIGHTING_GRADNORM: return weighting->of[t].value;
    }
    return 1;
}

double hn_weighting_loss(const hn_weighting *weighting, const double *losses) {
    double loss = 0;
    for (int32_t t = 0; t < weighting->tasks; t++) {
        loss += hn_weighting_factor(weighting, t) * losses[t];
        if (weighting->kind == HN_WEIGHTING_UNCERTAINTY && losses[t] > 0)
            loss += weighting->of[t].value / 2;
    }
    return loss;
}

/* ---- After a step ------------------------------------------------------------------------ */

typedef struct mover { /* Adam of one step */
    double rate, beta1, beta2, epsilon, correct1, correct2;
} mover;

static mover mover_of(const hn_config_train *config, double rate_scale, uint64_t step) {
    const double k = (double)step;
    return (mover){.rate = rate_scale * config->weighting_rate,
                   .beta1 = config->beta1,
                   .beta2 = config->beta2,
                   .epsilon = config->epsilon,
                   .correct1 = 1 - pow(config->beta1, k),
                   .correct2 = 1 - pow(config->beta2, k)};
}

static void move(const mover *by, hn_task_weight *weight, double gradient) {
    weight->m = by->beta1 * weight->m + (1 - by->beta1) * gradient;
    weight->v = by->beta2 * weight->v + (1 - by->beta2) * gradient * gradient;
    weight->value -=
        by->rate * (weight->m / by->correct1) / (sqrt(weight->v / by->correct2) + by->epsilon);
}

/* Sums over the tasks that have labels in the batch. */
typedef struct pace {
    int32_t n;
    double norm, ratio; /* Σ G_t, Σ L_t / L_t(0) */
} pace;

static pace pace_of(hn_weighting *weighting, const double *losses, const double *norms) {
    pace p = {0};
    for (int32_t t = 0; t < weighting->tasks; t++) {
        hn_task_weight *const w = &weighting->of[t];
        if (!(losses[t] > 0)) continue;
        if (w->first == 0) w->first = losses[t];
        p.n++;
        p.norm += w->value * norms[t];
        p.ratio += losses[t] / w->first;
    }
    return p;
}

static void normalise(hn_weighting *weighting) {
    double sum = 0;
    for (int32_t t = 0; t < weighting->tasks; t++) {
        double *const w = &weighting->of[t].value;
        *w = fmax(*w, SMALLEST);
        sum += *w;
    }
    for (int32_t t = 0; t < weighting->tasks; t++) weighting->of[t].value *= weighting->tasks / sum;
}

static void move_gradnorm(hn_weighting *weighting, const mover *by, double alpha,
                          const double *losses, const double *norms) {
    const pace p = pace_of(weighting, losses, norms);
    if (p.n < 2) return;
    for (int32_t t = 0; t < weighting->tasks; t++) {
        hn_task_weight *const w = &weighting->of[t];
        if (!(losses[t] > 0)) continue;
        const double ratio = losses[t] / w->first / (p.ratio / p.n);
        const double far = w->value * norms[t] - p.norm / p.n * pow(ratio, alpha);
        move(by, w, far > 0 ? norms[t] : far < 0 ? -norms[t] : 0);
    }
    normalise(weighting);
}

static void move_uncertainty(hn_weighting *weighting, const mover *by, const double *losses) {
    for (int32_t t = 0; t < weighting->tasks; t++)
        if (losses[t] > 0)
            move(by, &weighting->of[t], 0.5 - exp(-weighting->of[t].value) * losses[t]);
}

void hn_weighting_update(hn_weighting *weighting, const hn_config_train *config, double rate_scale,
                         uint64_t step, const double *losses, const double *norms) {
    const mover by = mover_of(config, rate_scale, step);
    switch (weighting->kind) {
    case HN_WEIGHTING_FIXED: return;
    case HN_WEIGHTING_UNCERTAINTY: move_uncertainty(weighting, &by, losses); return;
    case HN_WEIGHTING_GRADNORM:
        if (norms) move_gradnorm(weighting, &by, config->gradnorm_alpha, losses, norms);
        return;
    }
}

/* ---- In a pack --------------------------------------------------------------------------- */

static const char *section_of(const hn_weighting *weighting) {
    return weighting->kind == HN_WEIGHTING_UNCERTAINTY ? "state/uncertainty" : "state/gradnorm";
}

void hn_weighting_save(const hn_weighting *weighting, hn_packer *packer) {
    const uint64_t dim[2] = {(uint64_t)weighting->tasks, NUMBERS};
    if (weighting->of)
        hn_packer_add(packer, section_of(weighting), HN_PACK_F64, 2, dim, weighting->of);
}

static bool possible(const hn_weighting *weighting, const hn_task_weight *w) {
    const bool finite =
        isfinite(w->value) && isfinite(w->m) && isfinite(w->v) && isfinite(w->first);
    return finite && w->v >= 0 && w->first >= 0 &&
           (weighting->kind == HN_WEIGHTING_UNCERTAINTY || w->value > 0);
}

static hn_status take(hn_weighting *weighting, const hn_section *section, const hn_pack *pack,
                      hn_error *err) {
    const hn_task_weight *const found = section->bytes;
    for (int32_t t = 0; t < weighting->tasks; t++)
        if (!possible(weighting, &found[t]))
            return hn_fail(err, HN_BAD_DATA, "%s: section \"%s\" has a weight that cannot be",
                           hn_pack_path(pack), section->name);
    for (int32_t t = 0; t < weighting->tasks; t++) weighting->of[t] = found[t];
    return HN_OK;
}

hn_status hn_weighting_load(hn_weighting *weighting, hn_pack *pack, hn_error *err) {
    const hn_section *section;
    if (!weighting->of) return HN_OK;
    HN_TRY(hn_pack_find(&section, pack, section_of(weighting), HN_PACK_F64, err));
    const size_t bytes = (size_t)weighting->tasks * sizeof *weighting->of;
    if (section->n_bytes != bytes)
        return hn_fail(err, HN_BAD_DATA, "%s: section \"%s\" has %llu bytes; expected %zu",
                       hn_pack_path(pack), section->name, (unsigned long long)section->n_bytes,
                       bytes);
    return take(weighting, section, pack, err);
}

hn_status hn_weighting_warm(hn_weighting *weighting, hn_pack *pack, bool *found, hn_error *err) {
    *found = weighting->of && hn_pack_has(pack, section_of(weighting));
    return *found ? hn_weighting_load(weighting, pack, err) : HN_OK;
}
