/* The optimizers' arithmetic on n contiguous numbers. Which numbers, with which rates, and
 * what is touched at all, is decided in train/. */
#include "kernel/clones.h"
#include "kernel/kernel.h"
#include "kernel/math.h"

/* m ← β₁·m + (1-β₁)·g,  v ← β₂·v + (1-β₂)·g²,  w ← w - rate·m / (√v + ε) */
HN_CLONES
void hn_adam_step(const hn_adam *adam, int64_t n, const hn_real *g, hn_real *w, hn_real *m,
                  hn_real *v) {
    const hn_adam p = *adam;
    const hn_real new1 = 1 - p.beta1, new2 = 1 - p.beta2;
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) {
        const hn_real grad = g[i] + p.decay * w[i];
        const hn_real mean = p.beta1 * m[i] + new1 * grad;
        const hn_real square = p.beta2 * v[i] + new2 * (grad * grad);
        m[i] = mean;
        v[i] = square;
        w[i] = (w[i] - p.shrink * w[i]) - p.rate * mean / (math_sqrt(square) + p.epsilon);
    }
}

/* sum ← sum + g²,  w ← w - rate·g / (√sum + ε) */
HN_CLONES
void hn_adagrad_step(hn_real rate, hn_real epsilon, hn_real decay, hn_real shrink, int64_t n,
                     const hn_real *g, hn_real *w, hn_real *sum) {
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) {
        const hn_real grad = g[i] + decay * w[i];
        const hn_real total = sum[i] + grad * grad;
        sum[i] = total;
        w[i] = (w[i] - shrink * w[i]) - rate * grad / (math_sqrt(total) + epsilon);
    }
}

/* w ← w - rate·g */
HN_CLONES
void hn_sgd_step(hn_real rate, hn_real decay, hn_real shrink, int64_t n, const hn_real *g,
                 hn_real *w) {
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) {
        const hn_real grad = g[i] + decay * w[i];
        w[i] = (w[i] - shrink * w[i]) - rate * grad;
    }
}
