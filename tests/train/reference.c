/* The oracle of the trainer's tests; see reference.h. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { M = FIXTURE_SCENARIOS, T = FIXTURE_TASKS, D = REF_D, H = REF_H, U = REF_U };
enum { BOTTOM_W, BOTTOM_B, TOWER_W, TOWER_B, OUT_W, OUT_B, TABLE };
static const char *const names[REF_DENSE] = {"bottom.w1", "bottom.b1",   "tower.w1",
                                             "tower.b1",  "tower.out.w", "tower.out.b"};
static const size_t counts[REF_DENSE] = {D * H, H, M *H *T *U, M *T *U, M *T *U, M *T};

static const hn_real *find(const hn_plan *plan, const hn_params *params, int32_t part) {
    if (part >= TABLE) return params->tables[part - TABLE].numbers;
    for (int32_t i = 0; i < hn_plan_params(plan); i++) {
        const hn_param_info *const p = hn_plan_param(plan, i);
        if (strcmp(p->name, names[part]) != 0) continue;
        assert_int_equal((size_t)p->batch * (size_t)p->rows * (size_t)p->groups * (size_t)p->cols,
                         counts[part]);
        return params->block + p->offset;
    }
    fail_msg("the model has no tensor %s", names[part]);
    return NULL;
}

void reference_init(reference *ref, const hn_plan *plan, const hn_params *params) {
    *ref = (reference){0};
    assert_int_equal(hn_plan_params(plan), REF_DENSE);
    for (int32_t i = 0; i < REF_PARTS; i++) {
        ref_part *const p = &ref->parts[i];
        if (i >= TABLE) p->width = (size_t)params->tables[i - TABLE].width;
        p->n = i >= TABLE ? (size_t)params->tables[i - TABLE].rows * p->width : counts[i];
        p->w = calloc(p->n, 8), p->g = calloc(p->n, 8), p->m = calloc(p->n, 8),
        p->v = calloc(p->n, 8);
        p->touched = calloc(p->n, 1);
        for (size_t k = 0; k < p->n; k++) p->w[k] = (double)find(plan, params, i)[k];
    }
}

void reference_free(reference *ref) {
    for (int32_t i = 0; i < REF_PARTS; i++) {
        ref_part *const p = &ref->parts[i];
        free(p->w), free(p->g), free(p->m), free(p->v), free(p->touched);
    }
}

double reference_distance(const reference *ref, const hn_plan *plan, const hn_params *params) {
    double most = 0;
    for (int32_t i = 0; i < REF_PARTS; i++)
        for (size_t k = 0; k < ref->parts[i].n; k++)
            most = fmax(most, fabs(ref->parts[i].w[k] - (double)find(plan, params, i)[k]));
    return most;
}

/* ---- Embedding --------------------------------------------------------------------------- */

/* x (or, with dx, its gradient into the tables) of one row. */
static void embed(reference *ref, const hn_rows *rows, int32_t r, double *x, const double *dx) {
    const hn_layout *const layout = fixture_layout();
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *const in = &layout->inputs[i];
        if (in->kind == HN_INPUT_VALUE) {
            if (!dx) x[in->column] = (double)rows->values[r * layout->values + in->slot];
            continue;
        }
        const bool list = in->kind == HN_INPUT_LIST;
        const uint32_t *const at = rows->list_begin + r * layout->lists + in->slot;
        const uint32_t n = list ? at[1] - at[0] : 1;
        const double weight = list && in->pooling == HN_POOL_MEAN && n > 0 ? 1.0 / n : 1;
        ref_part *const p = &ref->parts[TABLE + in->table];
        for (int32_t c = 0; c < in->width && !dx; c++) x[in->column + c] = 0;
        for (uint32_t k = 0; k < n; k++) {
            const size_t id =
                list ? rows->list_ids[at[0] + k] : rows->ids[r * layout->ids + in->slot];
            for (int32_t c = 0; c < in->width; c++) {
                const size_t number = id * p->width + (size_t)c;
                if (dx)
                    p->g[number] += weight * dx[in->column + c];
                else
                    x[in->column + c] += weight * p->w[number];
            }
            if (dx) p->touched[id] = 1;
        }
    }
}

/* ---- One row ----------------------------------------------------------------------------- */

static void head(reference *ref, int32_t s, int32_t t, const double *h, double scale, double y,
                 double *loss, double *dh) {
    const double *const w = ref->parts[TOWER_W].w + s * H * T * U, *const b =
                                                                       ref->parts[TOWER_B].w +
                                                                       (s * T + t) * U;
    double *const dw = ref->parts[TOWER_W].g + s * H * T * U, *const db = ref->parts[TOWER_B].g +
                                                                          (s * T + t) * U;
    const size_t out = (size_t)(s * T + t);
    double u[U], z = ref->parts[OUT_B].w[out];
    for (int32_t k = 0; k < U; k++) {
        u[k] = b[k];
        for (int32_t j = 0; j < H; j++) u[k] += h[j] * w[j * T * U + t * U + k];
        u[k] = fmax(u[k], 0);
        z += u[k] * ref->parts[OUT_W].w[out * U + (size_t)k];
    }
    *loss += scale * (log1p(exp(-fabs(z))) + fmax(z, 0) - y * z);
    const double dz = scale * (1 / (1 + exp(-z)) - y);
    ref->parts[OUT_B].g[out] += dz;
    for (int32_t k = 0; k < U; k++) {
        ref->parts[OUT_W].g[out * U + (size_t)k] += dz * u[k];
        const double du = u[k] > 0 ? dz * ref->parts[OUT_W].w[out * U + (size_t)k] : 0;
        db[k] += du;
        for (int32_t j = 0; j < H; j++) {
            dw[j * T * U + t * U + k] += du * h[j];
            dh[j] += du * w[j * T * U + t * U + k];
        }
    }
}

static void one_row(reference *ref, const hn_rows *rows, int32_t r, const double *scale,
                    double *loss) {
    double x[D], h[H], dh[H] = {0}, dx[D] = {0};
    embed(ref, rows, r, x, NULL);
    for (int32_t j = 0; j < H; j++) {
        h[j] = ref->parts[BOTTOM_B].w[j];
        for (int32_t i = 0; i < D; i++) h[j] += x[i] * ref->parts[BOTTOM_W].w[i * H + j];
        h[j] = fmax(h[j], 0);
    }
    const int32_t s = rows->scenario[r];
    for (int32_t t = 0; t < T; t++)
        if (rows->labels[r * T + t] != HN_LABEL_ABSENT)
            head(ref, s, t, h, scale[s * T + t] * (double)rows->weights[r], rows->labels[r * T + t],
                 loss, dh);
    for (int32_t j = 0; j < H; j++) {
        if (h[j] <= 0) continue;
        ref->parts[BOTTOM_B].g[j] += dh[j];
        for (int32_t i = 0; i < D; i++) {
            ref->parts[BOTTOM_W].g[i * H + j] += dh[j] * x[i];
            dx[i] += dh[j] * ref->parts[BOTTOM_W].w[i * H + j];
        }
    }
    embed(ref, rows, r, NULL, dx);
}

/* ---- The optimizers ---------------------------------------------------------------------- */

static void move(const hn_config_train *c, ref_part *p, size_t k, double rate, double decay,
                 double step) {
    double g = p->g[k] + (c->decoupled ? 0 : decay * p->w[k]);
    if (c->decoupled) p->w[k] -= rate * decay * p->w[k];
    if (c->optimizer == HN_SGD) p->w[k] -= rate * g;
    if (c->optimizer == HN_ADAGRAD) {
        p->v[k] += g * g;
        p->w[k] -= rate * g / (sqrt(p->v[k]) + c->epsilon);
    }
    if (c->optimizer != HN_ADAM) return;
    p->m[k] = c->beta1 * p->m[k] + (1 - c->beta1) * g;
    p->v[k] = c->beta2 * p->v[k] + (1 - c->beta2) * g * g;
    const double m = p->m[k] / (1 - pow(c->beta1, step)), v = p->v[k] / (1 - pow(c->beta2, step));
    p->w[k] -= rate * m / (sqrt(v) + c->epsilon);
}

static void forget(reference *ref) {
    for (int32_t i = 0; i < REF_PARTS; i++) {
        memset(ref->parts[i].g, 0, ref->parts[i].n * sizeof *ref->parts[i].g);
        memset(ref->parts[i].touched, 0, ref->parts[i].n);
    }
}

static void update(reference *ref, const hn_config_train *c, double rate_scale) {
    for (int32_t i = 0; i < REF_PARTS; i++) {
        ref_part *const p = &ref->parts[i];
        const bool table = p->width > 0;
        const double rate =
            rate_scale * (table && c->embedding_rate > 0 ? c->embedding_rate : c->rate);
        for (size_t k = 0; k < p->n; k++)
            if (!table || p->touched[k / p->width])
                move(c, p, k, rate, table ? c->embedding_decay : c->weight_decay,
                     (double)ref->step);
    }
    forget(ref);
}

/* ---- The weights of the tasks ------------------------------------------------------------ */

/* L_t and its gradient's norm at bottom.w1, by a pass over the rows for this task alone. */
static void look_at_task(reference *ref, const hn_rows *rows, int32_t t, const double *scale,
                         double *loss, double *norm) {
    double own[M * T] = {0};
    for (int32_t i = 0; i < M; i++) own[i * T + t] = scale[i * T + t];
    *loss = *norm = 0;
    for (int32_t r = 0; r < rows->rows; r++) one_row(ref, rows, r, own, loss);
    for (size_t k = 0; k < ref->parts[BOTTOM_W].n; k++)
        *norm += ref->parts[BOTTOM_W].g[k] * ref->parts[BOTTOM_W].g[k];
    *norm = sqrt(*norm);
    forget(ref);
}

static double factor(const reference *ref, const hn_config_train *c, int32_t t) {
    if (c->weighting == HN_WEIGHTING_FIXED) return 1;
    return c->weighting == HN_WEIGHTING_GRADNORM ? ref->weight[t] : exp(-ref->weight[t]);
}

static double gradnorm_gradient(const reference *ref, const hn_config_train *c, int32_t t,
                                const double *loss, const double *norm) {
    double n = 0, mean = 0, pace = 0;
    for (int32_t k = 0; k < T; k++)
        if (loss[k] > 0) {
            n++;
            mean += ref->weight[k] * norm[k];
            pace += loss[k] / ref->first[k];
        }
    const double target = mean / n * pow(loss[t] / ref->first[t] / (pace / n), c->gradnorm_alpha);
    const double far = ref->weight[t] * norm[t] - target;
    return n < 2 ? NAN : norm[t] * (far > 0 ? 1 : far < 0 ? -1 : 0);
}

static void move_weights(reference *ref, const hn_config_train *c, double rate_scale,
                         const double *loss, const double *norm) {
    double gradient[T], sum = 0;
    for (int32_t t = 0; t < T; t++)
        if (loss[t] > 0 && ref->first[t] == 0) ref->first[t] = loss[t];
    for (int32_t t = 0; t < T; t++)
        gradient[t] = c->weighting == HN_WEIGHTING_GRADNORM
                          ? gradnorm_gradient(ref, c, t, loss, norm)
                          : 0.5 - exp(-ref->weight[t]) * loss[t];
    for (int32_t t = 0; t < T; t++) {
        if (c->weighting == HN_WEIGHTING_FIXED || !(loss[t] > 0) || isnan(gradient[t])) continue;
        ref->m[t] = c->beta1 * ref->m[t] + (1 - c->beta1) * gradient[t];
        ref->v[t] = c->beta2 * ref->v[t] + (1 - c->beta2) * gradient[t] * gradient[t];
        const double m = ref->m[t] / (1 - pow(c->beta1, (double)ref->step)),
                     v = ref->v[t] / (1 - pow(c->beta2, (double)ref->step));
        ref->weight[t] -= rate_scale * c->weighting_rate * m / (sqrt(v) + c->epsilon);
    }
    if (c->weighting != HN_WEIGHTING_GRADNORM || isnan(gradient[0]) || isnan(gradient[1])) return;
    for (int32_t t = 0; t < T; t++) sum += ref->weight[t] = fmax(ref->weight[t], 0.001);
    for (int32_t t = 0; t < T; t++) ref->weight[t] *= T / sum;
}

double reference_step(reference *ref, const hn_rows *rows, const hn_config *config,
                      double rate_scale) {
    double weight[M * T] = {0}, scale[M * T] = {0}, total = 0, loss = 0;
    for (int32_t r = 0; r < rows->rows; r++)
        for (int32_t t = 0; t < T; t++)
            if (rows->labels[r * T + t] != HN_LABEL_ABSENT) {
                weight[rows->scenario[r] * T + t] += (double)rows->weights[r];
                total += (double)rows->weights[r];
            }
    for (int32_t c = 0; c < M * T; c++) {
        const double over = config->train.reduce == HN_REDUCE_ROWS ? total : weight[c];
        scale[c] = over > 0 ? config->tasks[c % T].weight / over : 0;
    }
    double task[T], norm[T], ignored = 0;
    for (int32_t t = 0; t < T; t++) {
        if (ref->step == 0) ref->weight[t] = config->train.weighting == HN_WEIGHTING_GRADNORM;
        look_at_task(ref, rows, t, scale, &task[t], &norm[t]);
        loss += factor(ref, &config->train, t) * task[t];
        if (config->train.weighting == HN_WEIGHTING_UNCERTAINTY && task[t] > 0)
            loss += ref->weight[t] / 2;
    }
    for (int32_t c = 0; c < M * T; c++) scale[c] *= factor(ref, &config->train, c % T);
    for (int32_t r = 0; r < rows->rows; r++) one_row(ref, rows, r, scale, &ignored);
    ref->step++;
    update(ref, &config->train, rate_scale);
    move_weights(ref, &config->train, rate_scale, task, norm);
    return loss;
}
