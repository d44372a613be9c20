/* Matrix products: oneDNN's sgemm, called with row counts that give a row the same bits
 * always (kernel/probe.c finds them), or the naive product (kernel/naive.c). Single-threaded:
 * the caller is a worker of the pool or has called hn_kernel_enter. */
#include "kernel/kernel.h"

#ifndef HN_DOUBLE
#include <oneapi/dnnl/dnnl.h>
#endif

/* OpenMP's own header belongs to one compiler; these two are the same in all runtimes. */
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);

int32_t hn_kernel_enter(void) {
    const int32_t saved = omp_get_max_threads();
    omp_set_num_threads(1);
    return saved;
}

void hn_kernel_leave(int32_t saved) { omp_set_num_threads(saved); }

static void run_naive(const hn_product *p, int32_t m, const hn_real *a, const hn_real *b,
                      hn_real *c, bool accumulate) {
    hn_product_naive(m, p->n, p->k, a, p->lda, 1, b, p->ldb, 1, c, p->ldc, accumulate);
}

#ifdef HN_DOUBLE

bool hn_product_run(const hn_product *product, int32_t m, const hn_real *a, const hn_real *b,
                    hn_real *c, bool accumulate) {
    run_naive(product, m, a, b, c, accumulate);
    return true;
}

bool hn_product_dx(int64_t m, int64_t k, int64_t n, const hn_real *a, int64_t lda, const hn_real *b,
                   int64_t ldb, hn_real *c, int64_t ldc, bool accumulate) {
    hn_product_naive(m, k, n, a, lda, 1, b, 1, ldb, c, ldc, accumulate);
    return true;
}

bool hn_product_dw(int64_t m, int64_t k, int64_t n, const hn_real *a, int64_t lda, const hn_real *b,
                   int64_t ldb, hn_real *c, int64_t ldc, bool accumulate) {
    hn_product_naive(k, n, m, a, 1, lda, b, ldb, 1, c, ldc, accumulate);
    return true;
}

#else

bool hn_product_run(const hn_product *product, int32_t m, const hn_real *a, const hn_real *b,
                    hn_real *c, bool accumulate) {
    if (m <= 0) return true;
    const int32_t rows = product->padded[m];
    if (m == 1 && product->row) {
        hn_product_row(product->n, product->k, a, b, product->ldb, c, accumulate);
        return true;
    }
    if (rows == 0) {
        run_naive(product, m, a, b, c, accumulate);
        return true;
    }
    return dnnl_sgemm('N', 'N', rows, product->n, product->k, 1.0f, a, product->lda, b,
                      product->ldb, accumulate ? 1.0f : 0.0f, c, product->ldc) == dnnl_success;
}

/* The library's answer to an empty sum is not documented, so that case is ours. */
bool hn_product_dx(int64_t m, int64_t k, int64_t n, const hn_real *a, int64_t lda, const hn_real *b,
                   int64_t ldb, hn_real *c, int64_t ldc, bool accumulate) {
    if (m <= 0 || k <= 0) return true;
    if (n <= 0) {
        hn_product_naive(m, k, 0, a, lda, 1, b, 1, ldb, c, ldc, accumulate);
        return true;
    }
    return dnnl_sgemm('N', 'T', m, k, n, 1.0f, a, lda, b, ldb, accumulate ? 1.0f : 0.0f, c, ldc) ==
           dnnl_success;
}

bool hn_product_dw(int64_t m, int64_t k, int64_t n, const hn_real *a, int64_t lda, const hn_real *b,
                   int64_t ldb, hn_real *c, int64_t ldc, bool accumulate) {
    if (k <= 0 || n <= 0) return true;
    if (m <= 0) {
        hn_product_naive(k, n, 0, a, 1, lda, b, ldb, 1, c, ldc, accumulate);
        return true;
    }
    return dnnl_sgemm('T', 'N', k, n, m, 1.0f, a, lda, b, ldb, accumulate ? 1.0f : 0.0f, c, ldc) ==
           dnnl_success;
}

#endif
