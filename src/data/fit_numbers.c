/* The fit of numbers: mean and deviation, or quantile cuts, of the numbers that training
 * rows have; a table's numbers count once for each training row joined to theirs. */
#include <math.h>

#include "data/fit_parts.h"

bool hn_scale_needs_fit(const hn_scale *scale) {
    return scale->how == HN_SCALE_ZSCORE || scale->how == HN_SCALE_LOG1P_ZSCORE ||
           scale->how == HN_SCALE_BUCKETS;
}

hn_status hn_fit_number(hn_tally *tally, hn_moments *moments, const hn_scale *scale, double x,
                        uint64_t weight, hn_error *err) {
    if (isnan(x) || weight == 0) return HN_OK;
    if (scale->how != HN_SCALE_BUCKETS) {
        hn_moments_add(moments, scale->how == HN_SCALE_LOG1P_ZSCORE ? hn_log1p_signed(x) : x,
                       (double)weight);
        return HN_OK;
    }
    uint64_t *counts;
    HN_TRY(hn_tally_at(&counts, tally, hn_number_order(x), 0, 0, err));
    *counts += weight;
    return HN_OK;
}

hn_status hn_fit_scale(hn_scale *scale, hn_tally *tally, const hn_moments *moments, int32_t buckets,
                       hn_error *err) {
    if (scale->how == HN_SCALE_BUCKETS) return hn_scale_fit_cuts(scale, tally, buckets, err);
    scale->mean = hn_moments_mean(moments);
    scale->deviation = hn_moments_deviation(moments);
    if (!isfinite(scale->mean) || !isfinite(scale->deviation))
        scale->mean = scale->deviation = 0; /* beyond float64: constant */
    return HN_OK;
}

static double number_of(const hn_column *column, double x) {
    return isnan(x) ? column->missing_number : x;
}

hn_status hn_fit_add_number(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                            hn_error *err) {
    const hn_column *const column = &fit->schema->columns[part->index];
    const hn_impressions *const rows = block->rows;
    if (column->place > 0) return HN_OK;
    for (int32_t i = 0; i < block->n_training; i++) {
        const size_t row = block->training[i];
        const double x =
            rows->slots[row * (size_t)rows->log_slots + (size_t)column->from.slot].number;
        HN_TRY(hn_fit_number(part->tally, &part->moments, &column->scale, number_of(column, x), 1,
                             err));
    }
    return HN_OK;
}

static hn_status add_table(hn_fit *fit, hn_fit_part *part, const hn_column *column, hn_error *err) {
    const int32_t t = column->from.table;
    const hn_side_table *const table = &fit->options->tables->items[t];
    const uint64_t *const weights = fit->counts->table_rows[t];
    for (uint32_t r = 0; r < table->rows; r++) {
        const double x =
            table->slot[(size_t)r * (size_t)table->slots + (size_t)column->from.slot].number;
        HN_TRY(hn_fit_number(part->tally, &part->moments, &column->scale, number_of(column, x),
                             weights[r], err));
    }
    return hn_fit_number(part->tally, &part->moments, &column->scale, column->missing_number,
                         weights[table->rows], err);
}

hn_status hn_fit_finish_number(hn_fit *fit, hn_fit_part *part, hn_error *err) {
    hn_column *const column = &fit->schema->columns[part->index];
    if (column->place > 0) HN_TRY(add_table(fit, part, column, err));
    return hn_fit_scale(&column->scale, part->tally, &part->moments, column->feature->buckets, err);
}
