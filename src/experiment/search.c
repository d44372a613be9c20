/* Proposals and halving (search.h): pure functions of what is known. */
#include "experiment/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"
#include "base/rng.h"

/* ---- Rungs ---- */

/* From the last rung backwards: each has 1/halving of the epochs of the next, as long as there
 * are epochs and trials for it. */
void hn_rungs_plan(hn_rungs *out, int32_t trials, int32_t epochs, int32_t halving) {
    *out = (hn_rungs){.n = 1};
    int64_t power = 1;
    while (out->n < HN_RUNGS_MAX && power * halving <= epochs && power * halving <= trials)
        power *= halving, out->n++;
    for (int32_t k = 0; k < out->n; k++) {
        out->epochs[k] = (int32_t)((epochs + power - 1) / power);
        out->trials[k] = k == 0 ? trials : out->trials[k - 1] / halving;
        power /= halving;
    }
}

/* ---- Who goes on ---- */

/* Whether `a` is before `b` at a rung; equal ones by number. */
static bool is_before(const hn_trial *trials, int32_t a, int32_t b, int32_t rung) {
    const double x = trials[a].values[rung], y = trials[b].values[rung];
    return x > y || (x == y && a < b);
}

/* What may yet come to a rung: trials that were admitted and have no value, and places that are
 * not given while someone may still come from the rung before. */
static int32_t missing(const hn_trial *trials, int32_t n, const hn_rungs *rungs, int32_t rung) {
    int32_t known = 0, admitted = 0;
    for (int32_t i = 0; i < n; i++) {
        const hn_trial *const t = &trials[i];
        admitted += t->admitted > rung;
        known += t->admitted > rung && (t->reached > rung || t->failed);
    }
    const int32_t places = rungs->trials[rung] - admitted;
    const bool open = rung > 0 && places > 0 && missing(trials, n, rungs, rung - 1) > 0;
    return admitted - known + (open ? places : 0);
}

/* One that has failed later keeps its place at the rungs that it has reached. */
static int32_t rank_of(const hn_trial *trials, int32_t n, int32_t at, int32_t rung) {
    int32_t before = 0;
    for (int32_t i = 0; i < n; i++)
        before += i != at && trials[i].reached > rung && is_before(trials, i, at, rung);
    return before;
}

bool hn_trials_advance(hn_trial *trials, int32_t n, const hn_rungs *rungs) {
    for (int32_t i = 0; i < n; i++)
        if (trials[i].admitted == 0) trials[i].admitted = 1;
    for (int32_t rung = 0; rung + 1 < rungs->n; rung++) {
        const int32_t absent = missing(trials, n, rungs, rung);
        for (int32_t i = 0; i < n; i++) {
            hn_trial *const t = &trials[i];
            if (t->failed || t->reached <= rung || t->admitted != rung + 1) continue;
            if (rank_of(trials, n, i, rung) + absent < rungs->trials[rung + 1]) t->admitted++;
        }
    }
    return missing(trials, n, rungs, rungs->n - 1) == 0;
}

int32_t hn_trials_best(const hn_trial *trials, int32_t n, const hn_rungs *rungs) {
    for (int32_t rung = rungs->n - 1; rung >= 0; rung--) {
        int32_t best = -1;
        for (int32_t i = 0; i < n; i++)
            if (!trials[i].failed && trials[i].reached > rung &&
                (best < 0 || is_before(trials, i, best, rung)))
                best = i;
        if (best >= 0) return best;
    }
    return -1;
}

/* ---- Proposals ---- */

/* The root above 1 of x^(d+1) = x + 1. */
static double golden(int32_t d) {
    double x = 2;
    for (int step = 0; step < 64; step++) x = pow(1 + x, 1.0 / (d + 1));
    return x;
}

static uint64_t text_hash(const char *text) {
    uint64_t hash = 1469598103934665603u;
    for (; *text != '\0'; text++) hash = (hash ^ (uint8_t)*text) * 1099511628211u;
    return hash;
}

/* [0, 1) of dimension `at` of `n`. */
static double unit(const hn_experiment_range *range, int32_t at, int32_t n, uint64_t seed,
                   int32_t trial) {
    const double shift = hn_random_unit(seed, HN_STREAM_SEARCH, text_hash(range->key));
    const double x = shift + trial * pow(golden(n), -(at + 1));
    return x - floor(x);
}

/* Three digits are enough to tell one learning rate from another, but in a narrow range. */
static void real_value(char out[64], double low, double high, double u, bool log_scale) {
    const double x = log_scale ? low * pow(high / low, u) : low + (high - low) * u;
    const bool narrow = high - low < 0.1 * fmax(fabs(low), fabs(high));
    char text[64];
    double rounded = x;
    snprintf(text, sizeof text, "%.*g", narrow ? 6 : 3, x);
    if (!hn_number_parse(&rounded, text)) rounded = x;
    rounded = fmin(fmax(rounded, low), high);
    hn_number_text(out, rounded);
}

static hn_status propose(char **out, const hn_experiment_range *range, double u, hn_arena *arena,
                         hn_error *err) {
    char number[64] = "";
    const char *value = number;
    hn_text text = {0};
    switch (range->kind) {
    case HN_RANGE_LINEAR:
        real_value(number, range->linear.low, range->linear.high, u, false);
        break;
    case HN_RANGE_LOG: real_value(number, range->log.low, range->log.high, u, true); break;
    case HN_RANGE_INTEGER:
        snprintf(number, sizeof number, "%.0f",
                 floor(range->integer.low + u * (range->integer.high - range->integer.low + 1)));
        break;
    case HN_RANGE_CHOICE: value = range->choice.items[(int32_t)(u * range->choice.n)]; break;
    }
    hn_text_add(&text, "%s=%s", range->key, value);
    *out = text.failed ? NULL : hn_arena_strdup(arena, text.text);
    hn_text_free(&text);
    return *out != NULL ? HN_OK : hn_no_memory(err, "a trial");
}

hn_status hn_search_propose(hn_strings *out, const hn_experiment_range *const *ranges, int32_t n,
                            uint64_t seed, int32_t trial, hn_arena *arena, hn_error *err) {
    *out = (hn_strings){.items = hn_arena_alloc(arena, (size_t)n + 1, sizeof *out->items)};
    if (out->items == NULL) return hn_no_memory(err, "a trial");
    for (; out->n < n; out->n++)
        HN_TRY(propose(&out->items[out->n], ranges[out->n],
                       unit(ranges[out->n], out->n, n, seed, trial), arena, err));
    return HN_OK;
}
