/* The fit of rate features: counts by (key, fold) of the training rows, from them totals
 * and what training rows see, and the scales of the values that training rows see. */
#include "data/fit_parts.h"

static void add_row(uint64_t *counts, const hn_rate *rate, const uint8_t *labels) {
    counts[0]++;
    for (int32_t i = 0; i < rate->n_tasks; i++) {
        const uint8_t label = labels[rate->tasks[i]];
        counts[1 + 2 * i] += label != HN_LABEL_ABSENT;
        counts[2 + 2 * i] += label == 1;
    }
}

hn_status hn_fit_add_rate(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                          hn_error *err) {
    const hn_rate *const rate = &fit->schema->rates[part->index];
    const hn_impressions *const rows = block->rows;
    for (int32_t i = 0; i < block->n_training; i++) {
        const uint32_t row = block->training[i];
        const uint64_t key = hn_encode_rate_key(rate, fit->options->tables, rows, row);
        const uint64_t fold = hn_encode_rate_fold(rate, fit->options->tables, rows, row);
        uint64_t *counts;
        HN_TRY(hn_tally_at(&counts, part->tally, key, fold, 0, err));
        add_row(counts, rate, rows->labels + (size_t)row * (size_t)rows->tasks);
    }
    return HN_OK;
}

static void find_base(hn_rate *rate) {
    for (int32_t i = 0; i < rate->n_tasks; i++) {
        uint64_t labelled = 0, positives = 0;
        for (uint64_t k = 0; k < rate->totals.n; k++) {
            const uint32_t *const counts = rate->totals.counts + k * (uint64_t)rate->totals.width;
            labelled += counts[1 + 2 * i];
            positives += counts[2 + 2 * i];
        }
        rate->base[i] = labelled ? (double)positives / (double)labelled : 0;
    }
}

/* The values that the training rows of one column see: those of each (key, fold), as often
 * as it has rows. The tally's order is that of the folds' table. */
static hn_status walk_seen(hn_tally *values, hn_moments *moments, const hn_schema *schema,
                           const hn_column *column, hn_tally *pairs, hn_error *err) {
    const hn_rate *const rate = &schema->rates[column->rate];
    HN_TRY(hn_tally_finish(pairs, true, err));
    for (uint64_t at = 0;; at++) {
        const hn_tally_entry *entry;
        HN_TRY(hn_tally_next(&entry, pairs, err));
        if (!entry) return HN_OK;
        const uint32_t *const others = rate->folds.others + at * (uint64_t)rate->totals.width;
        const double x = hn_encode_rate_number(schema, column, others);
        HN_TRY(hn_fit_number(values, moments, &column->scale, x, entry->counts[0], err));
    }
}

static hn_status fit_column(hn_fit *fit, hn_column *column, hn_tally *pairs, hn_error *err) {
    hn_tally *values;
    hn_moments moments = {0};
    HN_TRY(hn_tally_create(&values, 1, fit->tally_bytes / 4, fit->options->dir, err));
    hn_status status = walk_seen(values, &moments, fit->schema, column, pairs, err);
    if (status == HN_OK)
        status = hn_fit_scale(&column->scale, values, &moments, column->feature->buckets, err);
    hn_tally_free(values);
    return status;
}

hn_status hn_fit_finish_rate(hn_fit *fit, hn_fit_part *part, hn_error *err) {
    hn_schema *const schema = fit->schema;
    hn_rate *const rate = &schema->rates[part->index];
    const hn_rate_fit_options options = {.name = rate->feature->name,
                                         .width = 1 + 2 * rate->n_tasks,
                                         .past = rate->feature->fold_by == HN_FOLD_PAST,
                                         .dir = fit->options->dir,
                                         .run = fit->options->run};
    HN_TRY(hn_rate_fit(&rate->totals, &rate->folds, part->tally, &options, err));
    find_base(rate);
    for (int32_t c = 0; c < schema->n_columns; c++) {
        hn_column *const column = &schema->columns[c];
        if (column->rate != part->index || column->kept || !hn_scale_needs_fit(&column->scale))
            continue;
        HN_TRY(fit_column(fit, column, part->tally, err));
    }
    return HN_OK;
}
