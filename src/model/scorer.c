/* The scorer: rows in any order to the logits of their own scenarios. Rows that come
 * sorted by scenario run where they lie; others are gathered tile by tile in scenario
 * order. A row's bits don't depend on either (kernel.h), so every door that scores through
 * here agrees. The rule for unknown scenarios lives here and nowhere else. */
#include <string.h>

#include "base/memory.h"
#include "model/model.h"

struct hn_scorer {
    const hn_plan *plan;
    const hn_params *params;
    const hn_layout *layout;
    double *share; /* [M] of the training rows */
};

/* The gathered rows of one tile. */
typedef struct tile {
    uint16_t *scenario;   /* [HN_TILE_ROWS] */
    uint32_t *ids;        /* [HN_TILE_ROWS][ids] */
    float *values;        /* [HN_TILE_ROWS][values] */
    uint32_t *list_begin; /* [HN_TILE_ROWS × lists + 1] */
    uint32_t *list_ids;
    size_t list_capacity;
} tile;

struct hn_scratch {
    hn_session *session;
    tile tile;
    double *sums;    /* [HN_TILE_ROWS][T] of the unknown-scenario rule */
    uint32_t *begin; /* [M + 2] first place of each scenario, unknown last */
    uint32_t *order; /* row numbers by scenario */
    size_t order_capacity;
};

/* ---- Life ----------------------------------------------------------------------------- */

hn_status hn_scorer_create(hn_scorer **out, const hn_plan *plan, const hn_params *params,
                           const uint64_t *scenario_rows, hn_error *err) {
    *out = NULL;
    const hn_layout *layout = hn_plan_layout(plan);
    hn_scorer *scorer = hn_alloc_zero(1, sizeof *scorer);
    double *share = hn_alloc((size_t)layout->scenarios, sizeof *share);
    if (!scorer || !share) {
        hn_free(scorer);
        hn_free(share);
        return hn_no_memory(err, "a scorer");
    }
    double total = 0;
    for (int32_t i = 0; i < layout->scenarios; i++) total += (double)scenario_rows[i];
    /* a model without training rows has no better knowledge than "all alike" */
    for (int32_t i = 0; i < layout->scenarios; i++)
        share[i] = total > 0 ? (double)scenario_rows[i] / total : 1.0 / layout->scenarios;
    *scorer = (hn_scorer){.plan = plan, .params = params, .layout = layout, .share = share};
    *out = scorer;
    return HN_OK;
}

void hn_scorer_free(hn_scorer *scorer) {
    if (!scorer) return;
    hn_free(scorer->share);
    hn_free(scorer);
}

static bool create_tile(tile *out, const hn_layout *layout) {
    const size_t rows = HN_TILE_ROWS;
    out->scenario = hn_alloc(rows, sizeof *out->scenario);
    out->ids = hn_alloc(rows * (size_t)layout->ids + 1, sizeof *out->ids);
    out->values = hn_alloc(rows * (size_t)layout->values + 1, sizeof *out->values);
    out->list_begin = hn_alloc(rows * (size_t)layout->lists + 1, sizeof *out->list_begin);
    return out->scenario && out->ids && out->values && out->list_begin;
}

hn_status hn_scratch_create(hn_scratch **out, const hn_scorer *scorer, hn_error *err) {
    *out = NULL;
    const hn_layout *layout = scorer->layout;
    hn_scratch *scratch = hn_alloc_zero(1, sizeof *scratch);
    if (!scratch) return hn_no_memory(err, "a scorer's memory");
    hn_status status = hn_session_create(&scratch->session, scorer->plan, err);
    if (status == HN_OK) {
        scratch->sums = hn_alloc(HN_TILE_ROWS * (size_t)layout->tasks, sizeof *scratch->sums);
        scratch->begin = hn_alloc((size_t)layout->scenarios + 2, sizeof *scratch->begin);
        if (!create_tile(&scratch->tile, layout) || !scratch->sums || !scratch->begin)
            status = hn_no_memory(err, "a scorer's memory");
    }
    if (status != HN_OK)
        hn_scratch_free(scratch);
    else
        *out = scratch;
    return status;
}

void hn_scratch_free(hn_scratch *scratch) {
    if (!scratch) return;
    hn_session_free(scratch->session);
    hn_free(scratch->tile.scenario);
    hn_free(scratch->tile.ids);
    hn_free(scratch->tile.values);
    hn_free(scratch->tile.list_begin);
    hn_free(scratch->tile.list_ids);
    hn_free(scratch->sums);
    hn_free(scratch->begin);
    hn_free(scratch->order);
    hn_free(scratch);
}

/* ---- One tile ---------------------------------------------------------------------------- */

/* The row's own T of the `heads` logits that the plan gives. */
static const hn_real *own_heads(const hn_scorer *scorer, const hn_real *row, int32_t scenario) {
    return hn_plan_all_heads(scorer->plan) ? row + (size_t)scenario * (size_t)scorer->layout->tasks
                                           : row;
}

/* What is known of a tile's rows. */
typedef enum rows_kind {
    ANY,     /* nothing */
    REQUEST, /* they are of one request */
    AGAIN    /* of the request of the tile before, in the same scenario */
} rows_kind;

static hn_status forward(const hn_real **out, const hn_scorer *scorer, hn_scratch *scratch,
                         rows_kind kind, const hn_rows *rows, int32_t first, int32_t n,
                         hn_error *err) {
    *out = kind == ANY ? hn_session_forward(scratch->session, scorer->params, rows, first, n, 0, 0)
                       : hn_session_forward_request(scratch->session, scorer->params, rows, first,
                                                    n, kind == AGAIN);
    return *out ? HN_OK
                : hn_fail(err, HN_NO_MEMORY,
                          "the matrix library found no memory for a tile of %d rows", n);
}

/* Row numbers → the tile's own copy of the rows. */
static hn_status gather(hn_rows *out, tile *own, const hn_layout *layout, const hn_rows *rows,
                        const uint32_t *order, int32_t n, hn_error *err) {
    const size_t ids = (size_t)layout->ids, values = (size_t)layout->values,
                 lists = (size_t)layout->lists;
    size_t used = 0;
    for (int32_t i = 0; i < n; i++) {
        const size_t from = order[i], to = (size_t)i;
        own->scenario[to] = rows->scenario[from];
        if (ids) memcpy(own->ids + to * ids, rows->ids + from * ids, ids * sizeof *own->ids);
        if (values)
            memcpy(own->values + to * values, rows->values + from * values,
                   values * sizeof *own->values);
        if (!lists) continue;
        const uint32_t *begin = rows->list_begin + from * lists;
        const size_t length = begin[lists] - begin[0];
        HN_TRY(hn_grow(&own->list_ids, &own->list_capacity, used + length, sizeof *own->list_ids,
                       err));
        for (size_t l = 0; l < lists; l++)
            own->list_begin[to * lists + l] = (uint32_t)(used + begin[l] - begin[0]);
        if (length)
            memcpy(own->list_ids + used, rows->list_ids + begin[0], length * sizeof *own->list_ids);
        used += length;
    }
    own->list_begin[(size_t)n * lists] = (uint32_t)used;
    *out = (hn_rows){.rows = n,
                     .scenario = own->scenario,
                     .ids = own->ids,
                     .values = own->values,
                     .list_begin = own->list_begin,
                     .list_ids = own->list_ids};
    return HN_OK;
}

static void hand_over(hn_real *logits, const hn_scorer *scorer, const hn_real *from,
                      const uint16_t *scenario, const uint32_t *order, int32_t n) {
    const size_t tasks = (size_t)scorer->layout->tasks, heads = (size_t)hn_plan_heads(scorer->plan);
    for (int32_t i = 0; i < n; i++)
        memcpy(logits + (order ? order[i] : (size_t)i) * tasks,
               own_heads(scorer, from + (size_t)i * heads, scenario[i]), tasks * sizeof *logits);
}

/* The mean, weighted by training rows, of the logits as a member of each known scenario.
 * rows->scenario is the tile's own. */
static hn_status score_unknown(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                               rows_kind kind, const hn_rows *rows, const uint32_t *order,
                               hn_error *err) {
    const int32_t tasks = scorer->layout->tasks, heads = hn_plan_heads(scorer->plan),
                  n = rows->rows;
    memset(scratch->sums, 0, (size_t)n * (size_t)tasks * sizeof *scratch->sums);
    for (int32_t j = 0; j < scorer->layout->scenarios; j++) {
        if (scorer->share[j] == 0) continue;
        for (int32_t i = 0; i < n; i++) scratch->tile.scenario[i] = (uint16_t)j;
        const hn_real *found = NULL;
        HN_TRY(forward(&found, scorer, scratch, kind, rows, 0, n, err));
        for (int32_t i = 0; i < n; i++)
            for (int32_t t = 0; t < tasks; t++)
                scratch->sums[i * tasks + t] +=
                    scorer->share[j] *
                    (double)own_heads(scorer, found + (size_t)i * (size_t)heads, j)[t];
    }
    for (int32_t i = 0; i < n; i++)
        for (int32_t t = 0; t < tasks; t++)
            logits[(order ? order[i] : (size_t)i) * (size_t)tasks + (size_t)t] =
                (hn_real)scratch->sums[i * tasks + t];
    return HN_OK;
}

/* ---- All rows ------------------------------------------------------------------------------ */

static hn_status check_rows(bool *sorted, const hn_scorer *scorer, const hn_rows *rows,
                            hn_error *err) {
    *sorted = true;
    for (int32_t r = 0; r < rows->rows; r++) {
        const int32_t scenario = rows->scenario[r];
        if (scenario >= scorer->layout->scenarios && scenario != HN_SCENARIO_UNKNOWN)
            return hn_fail(err, HN_BAD_DATA, "row %d is of scenario %d; the model knows %d", r,
                           scenario, scorer->layout->scenarios);
        if (scenario == HN_SCENARIO_UNKNOWN || (r > 0 && scenario < rows->scenario[r - 1]))
            *sorted = false;
    }
    return HN_OK;
}

static hn_status score_sorted(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                              const hn_rows *rows, hn_error *err) {
    const size_t tasks = (size_t)scorer->layout->tasks;
    for (int32_t first = 0; first < rows->rows; first += HN_TILE_ROWS) {
        const int32_t left = rows->rows - first, n = left < HN_TILE_ROWS ? left : HN_TILE_ROWS;
        const hn_real *found = NULL;
        HN_TRY(forward(&found, scorer, scratch, ANY, rows, first, n, err));
        hand_over(logits + (size_t)first * tasks, scorer, found, rows->scenario + first, NULL, n);
    }
    return HN_OK;
}

/* Counting sort of the row numbers, unknown scenarios last; *known: rows before those. */
static hn_status sort_rows(int32_t *known, hn_scratch *scratch, const hn_rows *rows,
                           int32_t scenarios, hn_error *err) {
    uint32_t *begin = scratch->begin;
    HN_TRY(hn_grow(&scratch->order, &scratch->order_capacity, (size_t)rows->rows,
                   sizeof *scratch->order, err));
    memset(begin, 0, ((size_t)scenarios + 2) * sizeof *begin);
    for (int32_t r = 0; r < rows->rows; r++)
        begin[(rows->scenario[r] == HN_SCENARIO_UNKNOWN ? scenarios : rows->scenario[r]) + 1]++;
    for (int32_t i = 0; i <= scenarios; i++) begin[i + 1] += begin[i];
    *known = (int32_t)begin[scenarios];
    for (int32_t r = 0; r < rows->rows; r++)
        scratch->order[begin[rows->scenario[r] == HN_SCENARIO_UNKNOWN ? scenarios
                                                                      : rows->scenario[r]]++] =
            (uint32_t)r;
    return HN_OK;
}

static hn_status score_gathered(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                                const hn_rows *rows, const uint32_t *order, int32_t n, bool known,
                                hn_error *err) {
    hn_rows gathered;
    HN_TRY(gather(&gathered, &scratch->tile, scorer->layout, rows, order, n, err));
    if (!known) return score_unknown(logits, scorer, scratch, ANY, &gathered, order, err);
    const hn_real *found = NULL;
    HN_TRY(forward(&found, scorer, scratch, ANY, &gathered, 0, n, err));
    hand_over(logits, scorer, found, gathered.scenario, order, n);
    return HN_OK;
}

static hn_status score(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                       const hn_rows *rows, hn_error *err) {
    bool sorted = true;
    HN_TRY(check_rows(&sorted, scorer, rows, err));
    if (sorted) return score_sorted(logits, scorer, scratch, rows, err);
    int32_t known = 0;
    HN_TRY(sort_rows(&known, scratch, rows, scorer->layout->scenarios, err));
    for (int32_t first = 0; first < rows->rows;) {
        const int32_t left = (first < known ? known : rows->rows) - first,
                      n = left < HN_TILE_ROWS ? left : HN_TILE_ROWS;
        HN_TRY(score_gathered(logits, scorer, scratch, rows, scratch->order + first, n,
                              first < known, err));
        first += n;
    }
    return HN_OK;
}

/* A product cut up by OpenMP would have other bits: the caller may be any thread. */
hn_status hn_score(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                   const hn_rows *rows, hn_error *err) {
    const int32_t saved = hn_kernel_enter();
    const hn_status status = score(logits, scorer, scratch, rows, err);
    hn_kernel_leave(saved);
    return status;
}

/* ---- One request ----------------------------------------------------------------------------- */

static bool one_scenario(const hn_rows *rows) {
    for (int32_t r = 1; r < rows->rows; r++)
        if (rows->scenario[r] != rows->scenario[0]) return false;
    return true;
}

/* Rows first … first + n - 1 with the tile's own scenarios. */
static hn_rows part_of(const hn_rows *rows, const hn_layout *layout, const tile *own, int32_t first,
                       int32_t n) {
    const size_t from = (size_t)first;
    hn_rows part = {.rows = n, .scenario = own->scenario, .list_ids = rows->list_ids};
    part.ids = rows->ids ? rows->ids + from * (size_t)layout->ids : NULL;
    part.values = rows->values ? rows->values + from * (size_t)layout->values : NULL;
    part.list_begin = rows->list_begin ? rows->list_begin + from * (size_t)layout->lists : NULL;
    return part;
}

static hn_status score_request_tile(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                                    const hn_rows *rows, int32_t first, int32_t n, hn_error *err) {
    hn_real *to = logits + (size_t)first * (size_t)scorer->layout->tasks;
    if (rows->scenario[first] == HN_SCENARIO_UNKNOWN) {
        const hn_rows part = part_of(rows, scorer->layout, &scratch->tile, first, n);
        return score_unknown(to, scorer, scratch, REQUEST, &part, NULL, err);
    }
    const hn_real *found = NULL;
    HN_TRY(forward(&found, scorer, scratch, first ? AGAIN : REQUEST, rows, first, n, err));
    hand_over(to, scorer, found, rows->scenario + first, NULL, n);
    return HN_OK;
}

static hn_status score_request(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                               const hn_rows *rows, hn_error *err) {
    bool sorted = true;
    HN_TRY(check_rows(&sorted, scorer, rows, err));
    if (!one_scenario(rows)) return score(logits, scorer, scratch, rows, err);
    const int32_t most = hn_plan_tile(scorer->plan, rows->rows);
    for (int32_t first = 0; first < rows->rows; first += most) {
        const int32_t left = rows->rows - first, n = left < most ? left : most;
        HN_TRY(score_request_tile(logits, scorer, scratch, rows, first, n, err));
    }
    return HN_OK;
}

hn_status hn_score_request(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                           const hn_rows *rows, hn_error *err) {
    const int32_t saved = hn_kernel_enter();
    const hn_status status = score_request(logits, scorer, scratch, rows, err);
    hn_kernel_leave(saved);
    return status;
}
