/* Finds the row counts for which the library's product gives a row the same bits always:
 * whatever the count, wherever the row stands and however the buffers are aligned. A product
 * is a fixed sequence of operations for its shape, so a row's bits can be learnt by trying:
 * all rows are filled with the same numbers, and must come out the same. What is found is
 * remembered for the whole process. */
#include "kernel/kernel.h"

#include <string.h>

#include "base/memory.h"

static hn_status check_shape(const hn_product *p, hn_error *err) {
    if (p->n >= 1 && p->k >= 0 && p->lda >= p->k && p->ldb >= p->n && p->ldc >= p->n) return HN_OK;
    return hn_fail(err, HN_FAILED,
                   "a product of shape n = %d, k = %d has leading dimensions %lld, %lld, %lld; "
                   "expected n ≥ 1, "
                   "lda ≥ k, ldb ≥ n and ldc ≥ n",
                   p->n, p->k, (long long)p->lda, (long long)p->ldb, (long long)p->ldc);
}

#ifdef HN_DOUBLE

hn_status hn_product_init(hn_product *out, int32_t n, int32_t k, int64_t lda, int64_t ldb,
                          int64_t ldc, hn_error *err) {
    *out = (hn_product){.n = n, .k = k, .lda = lda, .ldb = ldb, .ldc = ldc};
    return check_shape(out, err);
}

#else

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <xxhash.h>

#include "base/rng.h"
#include "kernel/counts.h"

enum {
    MOST_ROWS = HN_TILE_ROWS + HN_TILE_SLACK,
    MOST_COUNTS = 32,
    REFERENCE_ROWS = 64,
    LARGE = 1 << 16,     /* n·k from where fewer counts are tried, to be done in time */
    CACHED_SHAPES = 256, /* beyond, the oldest is forgotten: probing again finds the same */
};

/* The matrices of a trial, aligned and one number off. B is filled once, A and C each time. */
typedef struct matrices {
    float *memory[6];
    float *a[2], *b[2], *c[2];
} matrices;

/* ---- One trial ------------------------------------------------------------------- */

/* Numbers in [-1, 1): the same place, the same number. */
static float number(uint64_t matrix, uint64_t row, uint64_t col) {
    const uint64_t bits = hn_mix64(matrix << 60 ^ row << 32 ^ col);
    return (float)((int32_t)(bits >> 40) - (1 << 23)) * 0x1p-23f;
}

static void fill_b(const hn_product *p, const matrices *x) {
    for (int32_t i = 0; i < p->k; i++) {
        float *row = x->b[0] + i * p->ldb;
        for (int32_t j = 0; j < p->n; j++) row[j] = number(1, (uint64_t)i, (uint64_t)j);
        memcpy(x->b[1] + i * p->ldb, row, (size_t)p->n * sizeof *row);
    }
}

static void fill_equal_rows(float *x, int32_t rows, int32_t cols, int64_t ld, uint64_t matrix,
                            int32_t trial) {
    for (int32_t j = 0; j < cols; j++) x[j] = number(matrix, (uint64_t)trial, (uint64_t)j);
    for (int32_t i = 1; i < rows; i++) memcpy(x + i * ld, x, (size_t)cols * sizeof *x);
}

static bool rows_equal(const float *x, int32_t rows, int32_t cols, int64_t ld) {
    for (int32_t i = 1; i < rows; i++) {
        if (memcmp(x, x + i * ld, (size_t)cols * sizeof *x) != 0) return false;
    }
    return true;
}

/* One product of equal rows, its matrices off their alignment by `shift` numbers; adds what it
 * gives to `found`. false: the library is out of memory. */
static bool try_product(const hn_product *p, const matrices *x, bool shift, bool accumulate,
                        int32_t trial, hn_count *found) {
    float *a = x->a[shift], *c = x->c[shift];
    fill_equal_rows(a, found->rows, p->k, p->lda, 2, trial);
    if (accumulate) fill_equal_rows(c, found->rows, p->n, p->ldc, 3, trial);
    if (dnnl_sgemm('N', 'N', found->rows, p->n, p->k, 1.0f, a, p->lda, x->b[shift], p->ldb,
                   accumulate ? 1.0f : 0.0f, c, p->ldc) != dnnl_success) {
        return false;
    }
    found->steady = found->steady && rows_equal(c, found->rows, p->n, p->ldc);
    found->bits = XXH3_64bits_withSeed(c, (size_t)p->n * sizeof *c, found->bits);
    return true;
}

/* Another order of additions shows in one number of three or so, so that a product of few
 * columns needs more trials than one. */
static int32_t trials_for(int32_t n) {
    const int32_t trials = 64 / n;
    return trials < 1 ? 1 : trials > 24 ? 24 : trials;
}

/* C = A·B and C += A·B in all trials, the one aligned and the other not, or the reverse. */
static bool try_count(const hn_product *p, const matrices *x, bool reverse, hn_count *found) {
    found->steady = true;
    found->bits = 0;
    const int32_t trials = trials_for(p->n);
    for (int32_t trial = 0; trial < trials && found->steady; trial++) {
        if (!try_product(p, x, reverse, false, trial, found)) return false;
        if (!try_product(p, x, !reverse, true, trial, found)) return false;
    }
    return true;
}

/* ---- Choosing counts ---------------------------------------------------------------- */

static bool is_large(const hn_product *p) { return (int64_t)p->n * p->k >= LARGE; }

/* The counts to try, ascending, above `from` and up to `to`: closer where few rows are asked
 * for, as in serving. */
static int32_t list_counts(const hn_product *p, int32_t from, int32_t to, hn_count *out) {
    int32_t n = 0;
    for (int32_t rows = from + 4; rows <= to && n < MOST_COUNTS; rows += 4) {
        const int32_t step_large = rows <= 8 ? 4 : rows <= 48 ? 8 : 16;
        const int32_t step_small = rows <= 32 ? 4 : 8;
        if (rows % (is_large(p) ? step_large : step_small) == 0)
            out[n++] = (hn_count){.rows = rows};
    }
    return n;
}

/* Whether the chosen counts give these bits with the other alignment too. */
static bool check_alignment(const hn_product *p, const matrices *x, uint64_t bits, bool *same) {
    *same = true;
    for (int32_t m = 1; m <= HN_TILE_ROWS && *same; m = p->padded[m] + 1) {
        hn_count again = {.rows = p->padded[m]};
        if (is_large(p) && again.rows < HN_TILE_ROWS) continue;
        if (!try_count(p, x, true, &again)) return false;
        *same = again.steady && again.bits == bits;
    }
    return true;
}

/* The bits of the shape stored without gaps: shapes that differ only in that should agree. */
static bool find_reference(const hn_product *p, const matrices *x, hn_count *reference) {
    const hn_product dense = {.n = p->n, .k = p->k, .lda = p->k, .ldb = p->n, .ldc = p->n};
    fill_b(&dense, x);
    *reference = (hn_count){.rows = REFERENCE_ROWS};
    return try_count(&dense, x, false, reference);
}

/* Whether our own product of one row gives the bits that the library's do. */
static bool row_agrees(const hn_product *p, const matrices *x, uint64_t bits) {
    uint64_t found = 0;
    const int32_t trials = trials_for(p->n);
    for (int32_t trial = 0; trial < 2 * trials; trial++) {
        const bool accumulate = trial % 2;
        float *c = x->c[accumulate];
        fill_equal_rows(x->a[0], 1, p->k, p->lda, 2, trial / 2);
        if (accumulate) fill_equal_rows(c, 1, p->n, p->ldc, 3, trial / 2);
        hn_product_row(p->n, p->k, x->a[0], x->b[0], p->ldb, c, accumulate);
        found = XXH3_64bits_withSeed(c, (size_t)p->n * sizeof *c, found);
    }
    return found == bits;
}

/* Fills p->padded, with zeros (the naive product) where nothing will do. false: the library
 * is out of memory. */
static bool probe(hn_product *p, const matrices *x) {
    hn_count reference, counts[2 * MOST_COUNTS];
    if (!find_reference(p, x, &reference)) return false;
    fill_b(p, x);
    bool found = false;
    uint64_t bits = 0;
    int32_t n = 0;
    for (int32_t most = 0; most < MOST_ROWS && !found;) {
        const int32_t from = most;
        most = from == 0 ? HN_TILE_ROWS : MOST_ROWS; /* more than a tile only where that fails */
        const int32_t more = list_counts(p, from, most, counts + n);
        for (int32_t i = n; i < n + more; i++) {
            if (!try_count(p, x, false, &counts[i])) return false;
        }
        n += more;
        found = hn_counts_choose(counts, n, reference.bits, p->padded, &bits);
    }
    if (found && !check_alignment(p, x, bits, &found)) return false;
    if (!found) memset(p->padded, 0, sizeof p->padded);
    p->row = found && row_agrees(p, x, bits);
    return true;
}

/* ---- Memory ------------------------------------------------------------------------- */

static float *matrix_alloc(int64_t rows, int64_t cols, int64_t ld) {
    int64_t numbers;
    if (__builtin_mul_overflow(rows - 1, ld, &numbers) ||
        __builtin_add_overflow(numbers, cols + 1, &numbers)) {
        return NULL;
    }
    return hn_alloc((size_t)numbers, sizeof(float));
}

static void matrices_free(matrices *x) {
    for (int32_t i = 0; i < 6; i++) hn_free(x->memory[i]);
}

static bool matrices_alloc(matrices *x, const hn_product *p) {
    *x = (matrices){0};
    for (int32_t shift = 0; shift < 2; shift++) {
        float **memory = x->memory + 3 * shift;
        memory[0] = matrix_alloc(MOST_ROWS, p->k, p->lda);
        memory[1] = matrix_alloc(p->k, p->n, p->ldb);
        memory[2] = matrix_alloc(MOST_ROWS, p->n, p->ldc);
        if (!memory[0] || !memory[1] || !memory[2]) {
            matrices_free(x);
            return false;
        }
        x->a[shift] = memory[0] + shift;
        x->b[shift] = memory[1] + shift;
        x->c[shift] = memory[2] + shift;
    }
    return true;
}

static hn_status probe_now(hn_product *p, hn_error *err) {
    matrices x;
    if (!matrices_alloc(&x, p)) return hn_no_memory(err, "trying a matrix product");
    const int32_t saved = hn_kernel_enter();
    const bool done = probe(p, &x);
    hn_kernel_leave(saved);
    matrices_free(&x);
    return done ? HN_OK : hn_no_memory(err, "oneDNN, trying a matrix product");
}

/* ---- What is known ------------------------------------------------------------------ */

static struct {
    pthread_mutex_t lock; /* held while probing, so that no shape is probed twice at once */
    hn_product shapes[CACHED_SHAPES];
    int64_t added;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool recall(hn_product *p) {
    const int64_t n = known.added < CACHED_SHAPES ? known.added : CACHED_SHAPES;
    for (int64_t i = 0; i < n; i++) {
        const hn_product *q = &known.shapes[i];
        if (q->n == p->n && q->k == p->k && q->lda == p->lda && q->ldb == p->ldb &&
            q->ldc == p->ldc) {
            *p = *q;
            return true;
        }
    }
    return false;
}

hn_status hn_product_init(hn_product *out, int32_t n, int32_t k, int64_t lda, int64_t ldb,
                          int64_t ldc, hn_error *err) {
    *out = (hn_product){.n = n, .k = k, .lda = lda, .ldb = ldb, .ldc = ldc};
    HN_TRY(check_shape(out, err));
    if (k == 0) return HN_OK; /* an empty sum, left to the naive product */
    pthread_mutex_lock(&known.lock);
    hn_status status = HN_OK;
    if (!recall(out)) {
        status = probe_now(out, err);
        if (status == HN_OK) known.shapes[known.added++ % CACHED_SHAPES] = *out;
    }
    pthread_mutex_unlock(&known.lock);
    return status;
}

#endif
