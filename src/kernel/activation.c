/* Activation functions and softmax, forward and backward, on rows of a wider matrix. The
 * functions of one number are in kernel/math.h; nothing here knows of graphs. */
#include "kernel/clones.h"
#include "kernel/kernel.h"
#include "kernel/math.h"

hn_real hn_exp(hn_real x) { return math_exp(x); }
hn_real hn_sigmoid(hn_real x) { return math_sigmoid(x); }
hn_real hn_softplus(hn_real x) { return math_softplus(x); }

/* Runs STATEMENT for every column c of every row, with `y` (and the arrays in ADVANCE)
 * pointing to the row. A matrix without gaps is one long row. */
#define FOR_EACH(STATEMENT, ADVANCE)         \
    for (int64_t r = 0; r < rows; r++) {     \
        HN_IVDEP                             \
        for (int64_t c = 0; c < cols; c++) { \
            STATEMENT;                       \
        }                                    \
        ADVANCE;                             \
    }

/* GELU is x·σ(t(x)), t(x) = 2√(2/π)·(x + 0.044715·x³); a sigmoid loses no digits where
 * 1 + tanh would cancel. x³ may overflow: t is then ±∞, and σ 1 or 0. */
static const hn_real GELU_SCALE = (hn_real)1.5957691216057308, GELU_CUBE = (hn_real)0.044715;

static inline hn_real gelu_gate(hn_real x) {
    return math_sigmoid(GELU_SCALE * (x + GELU_CUBE * (x * x * x)));
}

/* d/dx = σ + x·σ·(1 - σ)·t'(x). Far out the last term is 0·∞: there x² is kept from it. */
static inline hn_real gelu_slope(hn_real x) {
    const hn_real s = gelu_gate(x), size = math_abs(x) < 100 ? x : 100;
    return s + x * (s * (1 - s)) * (GELU_SCALE * (1 + 3 * GELU_CUBE * (size * size)));
}

HN_CLONES
void hn_act_forward(hn_act act, int64_t rows, int64_t cols, hn_real *y, int64_t ld) {
    if (ld == cols) {
        cols *= rows;
        rows = 1;
    }
    switch (act) {
    case HN_ACT_NONE: break;
    case HN_ACT_RELU: FOR_EACH(y[c] = y[c] < 0 ? 0 : y[c], y += ld) break; /* NaN stays */
    case HN_ACT_SIGMOID: FOR_EACH(y[c] = math_sigmoid(y[c]), y += ld) break;
    case HN_ACT_TANH: FOR_EACH(y[c] = math_tanh(y[c]), y += ld) break;
    case HN_ACT_SILU: FOR_EACH(y[c] = y[c] * math_sigmoid(y[c]), y += ld) break;
    case HN_ACT_GELU: FOR_EACH(y[c] = y[c] * gelu_gate(y[c]), y += ld) break;
    }
}

/* d silu(x)/dx = σ(x)·(1 + x·(1 - σ(x))) */
static inline hn_real silu_slope(hn_real x) {
    const hn_real s = math_sigmoid(x);
    return s * (1 + x * (1 - s));
}

HN_CLONES
void hn_act_backward(hn_act act, int64_t rows, int64_t cols, const hn_real *y, const hn_real *pre,
                     hn_real *dy, int64_t ld) {
    if (ld == cols) {
        cols *= rows;
        rows = 1;
    }
    switch (act) {
    case HN_ACT_NONE: break;
    case HN_ACT_RELU: FOR_EACH(dy[c] = y[c] > 0 ? dy[c] : 0, (y += ld, dy += ld)) break;
    case HN_ACT_SIGMOID: FOR_EACH(dy[c] = dy[c] * (y[c] * (1 - y[c])), (y += ld, dy += ld)) break;
    case HN_ACT_TANH: FOR_EACH(dy[c] = dy[c] * (1 - y[c] * y[c]), (y += ld, dy += ld)) break;
    case HN_ACT_SILU: FOR_EACH(dy[c] = dy[c] * silu_slope(pre[c]), (pre += ld, dy += ld)) break;
    case HN_ACT_GELU: FOR_EACH(dy[c] = dy[c] * gelu_slope(pre[c]), (pre += ld, dy += ld)) break;
    }
}

/* Subtracting the largest logit keeps e^x in range; it cannot change the result but by
 * rounding. Where the mask leaves nothing, nothing gets weight. */
void hn_softmax(int32_t n, const hn_real *logits, const uint8_t *mask, hn_real *out) {
    hn_real largest = -(hn_real)INFINITY;
    for (int32_t i = 0; i < n; i++) {
        if ((!mask || mask[i]) && logits[i] > largest) largest = logits[i];
    }
    hn_real sum = 0;
    for (int32_t i = 0; i < n; i++) {
        out[i] = !mask || mask[i] ? math_exp(logits[i] - largest) : 0;
        sum += out[i];
    }
    if (sum == 0) return;
    const hn_real scale = 1 / sum;
    for (int32_t i = 0; i < n; i++) out[i] *= scale;
}

void hn_softmax_backward(int32_t n, const hn_real *out, const hn_real *dout, hn_real *dlogits) {
    hn_real mean = 0;
    for (int32_t i = 0; i < n; i++) mean += dout[i] * out[i];
    for (int32_t i = 0; i < n; i++) dlogits[i] += (dout[i] - mean) * out[i];
}
