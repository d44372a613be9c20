/* Training and scoring at the size of the paper, on rows made up here: against the peak of
 * the machine's FMA units, one thread against two, small embedding tables against large. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "bench.h"
#include "train/train.h"

enum { BATCH = 4096, SCENARIOS = 6, TASKS = 2, INPUTS = 20, WIDTH = 16 };

/* ---- Synthetic rows of paper size: width 320 from 20 inputs, evenly mixed scenarios -------- */

typedef struct world {
    hn_config *config;
    hn_layout layout;
    hn_input inputs[INPUTS];
    hn_embedding tables[INPUTS];
    char names[INPUTS][16];
    hn_rows rows;
} world;

static const char CONFIG[] = "log: none\n"
                             "split: {by: random, validation: 0.1, test: 0.1}\n"
                             "scenario: {column: s, values: [a, b, c, d, e, f]}\n"
                             "tasks: {click: c, order: o}\n"
                             "features: {x: id}\n"
                             "model: {name: hinet}\n"
                             "train: {batch: 4096, rate: 0.001}\n";

static void make_rows(world *w, uint32_t table_rows) {
    uint16_t *scenario = hn_alloc_zero(BATCH, sizeof *scenario);
    uint32_t *ids = hn_alloc_zero(BATCH * INPUTS, sizeof *ids);
    uint8_t *labels = hn_alloc_zero(BATCH, TASKS);
    uint64_t *ordinal = hn_alloc_zero(BATCH, sizeof *ordinal);
    uint32_t *begin = hn_alloc_zero(1, sizeof *begin);
    if (!scenario || !ids || !labels || !ordinal || !begin) exit(1);
    for (uint64_t r = 0; r < BATCH; r++) {
        scenario[r] = (uint16_t)(r * SCENARIOS / BATCH);
        ordinal[r] = r;
        for (uint64_t i = 0; i < INPUTS; i++)
            ids[r * INPUTS + i] =
                (uint32_t)(hn_random(1, HN_STREAM_TEST, r * INPUTS + i) % table_rows);
        for (uint64_t t = 0; t < TASKS; t++)
            labels[r * TASKS + t] = hn_random(2, HN_STREAM_TEST, r * TASKS + t) % 10 == 0;
    }
    w->rows = (hn_rows){.rows = BATCH,
                        .scenario = scenario,
                        .ids = ids,
                        .labels = labels,
                        .ordinal = ordinal,
                        .list_begin = begin};
}

/* n_tables tables of `rows` rows; the inputs share them in turn. */
static void open_world(world *w, int32_t n_tables, uint32_t rows) {
    hn_error err = {0};
    memset(w, 0, sizeof *w);
    if (hn_config_parse(&w->config, CONFIG, strlen(CONFIG), "bench", ".", NULL, 0, &err) != HN_OK)
        bench_die(&err);
    for (int32_t i = 0; i < INPUTS; i++) {
        snprintf(w->names[i], sizeof w->names[i], "f%d", i);
        w->inputs[i] =
            (hn_input){w->names[i], HN_INPUT_ID,  i < INPUTS / 2 ? HN_SIDE_USER : HN_SIDE_ITEM,
                       i,           i % n_tables, WIDTH,
                       i * WIDTH,   HN_POOL_MEAN};
        w->tables[i] = (hn_embedding){w->names[i], rows, WIDTH};
    }
    w->layout = (hn_layout){.inputs = w->inputs,
                            .n_inputs = INPUTS,
                            .tables = w->tables,
                            .n_tables = n_tables,
                            .ids = INPUTS,
                            .width = INPUTS * WIDTH,
                            .shared_width = INPUTS * WIDTH / 2,
                            .scenarios = SCENARIOS,
                            .tasks = TASKS};
    make_rows(w, rows);
}

static void free_const(const void *memory) {
    void *plain;
    memcpy(&plain, &memory, sizeof plain);
    hn_free(plain);
}

static void close_world(world *w) {
    free_const(w->rows.scenario);
    free_const(w->rows.ids);
    free_const(w->rows.labels);
    free_const(w->rows.ordinal);
    free_const(w->rows.list_begin);
    hn_config_free(w->config);
}

/* ---- Training ------------------------------------------------------------------------------- */

/* Median seconds of a step over about `seconds`, after one to warm up. */
static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double step_seconds(hn_trainer *trainer, const hn_rows *rows, double seconds) {
    enum { MOST = 1000 };
    static double times[MOST];
    hn_error err = {0};
    double loss;
    int32_t n = 0;
    if (hn_trainer_step(&loss, trainer, rows, 1, &err) != HN_OK) bench_die(&err);
    for (const double start = bench_now(); n < MOST && (n < 3 || bench_now() - start < seconds);
         n++) {
        const double t = bench_now();
        if (hn_trainer_step(&loss, trainer, rows, 1, &err) != HN_OK) bench_die(&err);
        times[n] = bench_now() - t;
    }
    qsort(times, (size_t)n, sizeof *times, ascending);
    return times[n / 2];
}

typedef struct rig {
    world w;
    hn_pool *pool;
    hn_trainer *trainer;
} rig;

static void open_rig(rig *r, int32_t threads, int32_t n_tables, uint32_t rows) {
    hn_error err = {0};
    open_world(&r->w, n_tables, rows);
    if (hn_pool_create(&r->pool, threads, &err) != HN_OK ||
        hn_trainer_create(&r->trainer, &r->w.layout, r->w.config, r->pool, 0, &err) != HN_OK)
        bench_die(&err);
}

static void close_rig(rig *r) {
    hn_trainer_free(r->trainer);
    hn_pool_free(r->pool);
    close_world(&r->w);
}

void bench_train(bench *b) {
    rig one, two;
    open_rig(&one, 1, INPUTS, 10000);
    open_rig(&two, 2, INPUTS, 10000);
    const double flops = 3 * (double)hn_plan_flops(hn_trainer_plan(two.trainer)) * BATCH;
    double best_of_peak = 0, best_speedup = 0, rows = 0, limit = 0;
    for (int32_t round = 0; round < 3;
         round++) { /* the machine drifts: peak, one, two side by side */
        const double before = bench_peak(two.pool),
                     s1 = step_seconds(one.trainer, &one.w.rows, b->seconds),
                     s2 = step_seconds(two.trainer, &two.w.rows, b->seconds),
                     after = bench_peak(two.pool);
        const double p = (before + after) / 2, share = flops / s2 / p;
        if (share > best_of_peak) {
            best_of_peak = share;
            rows = BATCH / s2;
            limit = p;
        }
        if (s1 / s2 > best_speedup) best_speedup = s1 / s2;
    }
    bench_say(b, "peak.2_threads", limit * 1e-9, "GFLOP/s, FMA peak of two cores");
    bench_say(b, "train.flops_a_row", flops / BATCH * 1e-6, "MFLOP, own heads only");
    bench_say(b, "train.rows_per_s", rows, "rows/s, 2 threads, paper size, batch 4096");
    bench_say(b, "train.share_of_peak", best_of_peak, "of the peak (goal 0.70)");
    bench_say(b, "train.speedup", best_speedup, "2 threads / 1 thread (goal 1.85)");
    close_rig(&one);
    close_rig(&two);
}

/* ---- Scoring ------------------------------------------------------------------------------- */

typedef struct scoring {
    hn_scorer *scorer;
    hn_scratch *scratch[2];
    hn_real *logits[2];
    const hn_rows *rows;
    bool failed;
} scoring;

static void score_job(void *user, int64_t item, int32_t worker) {
    scoring *s = user;
    hn_error err;
    (void)item;
    if (hn_score(s->logits[worker], s->scorer, s->scratch[worker], s->rows, &err) != HN_OK)
        s->failed = true;
}

void bench_score(bench *b) {
    rig r;
    hn_error err = {0};
    hn_graph *graph;
    hn_plan *plan;
    scoring s = {0};
    static const uint64_t rows_of[SCENARIOS] = {1, 1, 1, 1, 1, 1};
    open_rig(&r, 2, INPUTS, 10000);
    if (hn_model_record(&graph, &r.w.layout, &r.w.config->model, &err) != HN_OK ||
        hn_plan_create(&plan, graph, HN_MODE_INFER, &err) != HN_OK ||
        hn_scorer_create(&s.scorer, plan, hn_trainer_params(r.trainer), rows_of, &err) != HN_OK)
        bench_die(&err);
    for (int32_t i = 0; i < 2; i++) {
        s.logits[i] = hn_alloc(BATCH * TASKS, sizeof *s.logits[i]);
        if (!s.logits[i] || hn_scratch_create(&s.scratch[i], s.scorer, &err) != HN_OK)
            bench_die(&err);
    }
    s.rows = &r.w.rows;
    double best = 0;
    for (int32_t round = 0; round < 3; round++) {
        const double train = BATCH / step_seconds(r.trainer, &r.w.rows, b->seconds),
                     t = bench_now();
        const int64_t items = 24;
        hn_pool_run(r.pool, items, score_job, &s);
        const double score = (double)items * BATCH / (bench_now() - t);
        if (score / train > best) best = score / train;
    }
    if (s.failed) bench_die(&err);
    bench_say(b, "score.of_training_rate", best, "x training rows/s, 2 threads (goal 2.5)");
    for (int32_t i = 0; i < 2; i++) {
        hn_free(s.logits[i]);
        hn_scratch_free(s.scratch[i]);
    }
    hn_scorer_free(s.scorer);
    hn_plan_free(plan);
    hn_graph_free(graph);
    close_rig(&r);
}

/* ---- A request ---------------------------------------------------------------------------- */

enum { CANDIDATES = 200 };

typedef struct answering {
    hn_graph *graph;
    hn_plan *plan;
    hn_scorer *scorer;
    hn_scratch *scratch;
    hn_real logits[2][CANDIDATES * TASKS]; /* all rows; the user's part once */
} answering;

static void open_answering(answering *a, const rig *r) {
    hn_error err = {0};
    static const uint64_t rows_of[SCENARIOS] = {1, 1, 1, 1, 1, 1};
    if (hn_model_record(&a->graph, &r->w.layout, &r->w.config->model, &err) != HN_OK ||
        hn_plan_create(&a->plan, a->graph, HN_MODE_INFER, &err) != HN_OK ||
        hn_scorer_create(&a->scorer, a->plan, hn_trainer_params(r->trainer), rows_of, &err) !=
            HN_OK ||
        hn_scratch_create(&a->scratch, a->scorer, &err) != HN_OK)
        bench_die(&err);
}

static void close_answering(answering *a) {
    hn_scratch_free(a->scratch);
    hn_scorer_free(a->scorer);
    hn_plan_free(a->plan);
    hn_graph_free(a->graph);
}

/* One user in one scenario: the first half of the inputs is the first row's. */
static void make_request(hn_rows *out, const world *w) {
    static uint32_t ids[CANDIDATES * INPUTS];
    memcpy(ids, w->rows.ids, sizeof ids);
    for (int32_t r = 1; r < CANDIDATES; r++)
        memcpy(ids + r * INPUTS, ids, INPUTS / 2 * sizeof *ids);
    *out = w->rows;
    out->rows = CANDIDATES;
    out->ids = ids;
}

static double request_seconds(answering *a, const hn_rows *rows, bool once) {
    hn_error err = {0};
    const double t = bench_now();
    const hn_status status = once
                                 ? hn_score_request(a->logits[1], a->scorer, a->scratch, rows, &err)
                                 : hn_score(a->logits[0], a->scorer, a->scratch, rows, &err);
    if (status != HN_OK) bench_die(&err);
    return bench_now() - t;
}

/* The two ways by turns, the peak among them, so that all see the same machine. */
void bench_request(bench *b) {
    enum { MOST = 4000, BLOCK = 25 };
    static double times[2][MOST];
    rig r;
    answering a;
    hn_rows rows;
    double peak = 0;
    int32_t n = 0;
    open_rig(&r, 1, INPUTS, 10000);
    open_answering(&a, &r);
    make_request(&rows, &r.w);
    for (const double start = bench_now();
         n + BLOCK <= MOST && (n < BLOCK || bench_now() - start < 2 * b->seconds);) {
        for (int32_t i = 0; i < BLOCK; i++, n++)
            for (int32_t way = 0; way < 2; way++) times[way][n] = request_seconds(&a, &rows, way);
        const double now = hn_kernel_peak(0.05);
        if (now > peak) peak = now;
    }
    if (memcmp(a.logits[0], a.logits[1], sizeof a.logits[0]) != 0) {
        hn_error err;
        hn_fail(&err, HN_FAILED, "the two ways of scoring a request differ");
        bench_die(&err);
    }
    const double all = (double)hn_plan_flops(a.plan), shared = (double)hn_plan_shared_flops(a.plan);
    for (int32_t way = 0; way < 2; way++) qsort(times[way], (size_t)n, sizeof **times, ascending);
    bench_say(b, "request.peak", peak * 1e-9, "GFLOP/s, FMA peak of one core");
    bench_say(b, "request.all_ms", times[0][0] * 1e3, "ms, 200 candidates, all rows, fastest");
    bench_say(b, "request.all_median_ms", times[0][n / 2] * 1e3, "ms, median");
    bench_say(b, "request.all_limit_ms", all * CANDIDATES / peak * 1e3, "ms at the peak");
    bench_say(b, "request.once_ms", times[1][0] * 1e3, "ms, the user's part once, fastest");
    bench_say(b, "request.once_median_ms", times[1][n / 2] * 1e3, "ms, median");
    bench_say(b, "request.once_limit_ms", ((all - shared) * CANDIDATES + shared) / peak * 1e3,
              "ms at the peak");
    close_answering(&a);
    close_rig(&r);
}

/* ---- Large tables -------------------------------------------------------------------------- */

void bench_table(bench *b) {
    enum { SMALL = 10000, LARGE = 10000000 };
    rig small, large;
    open_rig(&small, 2, 1, SMALL);
    const double floor = (double)hn_memory_held();
    open_rig(&large, 2, 1, LARGE);
    const double held = (double)hn_memory_held() - floor,
                 needed = 3.0 * (LARGE - SMALL) * WIDTH * sizeof(hn_real);
    double best = INFINITY;
    for (int32_t round = 0; round < 3; round++) {
        const double s = step_seconds(small.trainer, &small.w.rows, b->seconds),
                     l = step_seconds(large.trainer, &large.w.rows, b->seconds);
        if (l / s < best) best = l / s;
    }
    bench_say(b, "table.step_10M_of_10k", best, "step time, 10 M rows / 10 k rows (goal 1.5)");
    bench_say(b, "table.memory", held / needed,
              "held beyond the small one / (table + moments) (goal 1.1)");
    close_rig(&small);
    close_rig(&large);
}
