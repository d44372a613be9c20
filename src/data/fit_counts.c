/* The plain counts of a fit: rows, labels and positives of each cell and split, and how
 * often and where first each row of a side table is joined. */
#include <string.h>

#include "base/memory.h"
#include "data/fit_parts.h"

void hn_fit_counts_free(hn_fit_counts *counts) {
    hn_free(counts->rows);
    hn_free(counts->labelled);
    hn_free(counts->positives);
    hn_free(counts->without);
    hn_free(counts->unlabelled);
    hn_free(counts->negatives);
    hn_free(counts->negatives_before);
    for (int32_t t = 0; counts->table_rows && t < counts->tables; t++)
        hn_free(counts->table_rows[t]);
    hn_free(counts->table_rows);
    memset(counts, 0, sizeof *counts);
}

static hn_status create_table(hn_fit *fit, int32_t t, hn_error *err) {
    const size_t rows = (size_t)fit->options->tables->items[t].rows + 1;
    fit->counts->table_rows[t] = hn_alloc_zero(rows, HN_SPLITS * sizeof(uint64_t));
    fit->table_first[t] = hn_alloc(rows, sizeof(uint64_t));
    if (!fit->counts->table_rows[t] || !fit->table_first[t])
        return hn_no_memory(err, "counts of a table's rows");
    memset(fit->table_first[t], 0xff, rows * sizeof(uint64_t));
    return HN_OK;
}

hn_status hn_fit_counts_create(hn_fit *fit, hn_error *err) {
    hn_fit_counts *const counts = fit->counts;
    const size_t m = (size_t)fit->schema->layout.scenarios, t = (size_t)fit->schema->layout.tasks;
    *counts = (hn_fit_counts){.scenarios = (int32_t)m, .tasks = (int32_t)t};
    counts->rows = hn_alloc_zero(HN_SPLITS * m, sizeof *counts->rows);
    counts->labelled = hn_alloc_zero(HN_SPLITS * m * t, sizeof *counts->labelled);
    counts->positives = hn_alloc_zero(HN_SPLITS * m * t, sizeof *counts->positives);
    counts->without = hn_alloc_zero(t, sizeof *counts->without);
    counts->unlabelled = hn_alloc_zero(t, sizeof *counts->unlabelled);
    counts->negatives = hn_alloc_zero(m, sizeof *counts->negatives);
    counts->negatives_before = hn_alloc_zero(m, sizeof *counts->negatives_before);
    const int32_t tables = fit->schema->config->n_tables;
    counts->table_rows = hn_alloc_zero((size_t)tables, sizeof *counts->table_rows);
    fit->table_first = hn_alloc_zero((size_t)tables, sizeof *fit->table_first);
    if (!counts->rows || !counts->labelled || !counts->positives || !counts->without ||
        !counts->unlabelled || !counts->negatives || !counts->negatives_before ||
        !counts->table_rows || !fit->table_first)
        return hn_no_memory(err, "counts of cells");
    counts->tables = tables;
    for (int32_t i = 0; i < tables; i++) HN_TRY(create_table(fit, i, err));
    return HN_OK;
}

/* A row's labels against the order of its tasks. */
static void count_order(hn_fit_counts *counts, const int32_t *after, const uint8_t *labels) {
    for (int32_t t = 0; t < counts->tasks; t++) {
        if (after[t] == 0 || labels[after[t] - 1] != 0) continue;
        counts->without[t] += labels[t] == 1;
        counts->unlabelled[t] += labels[t] == HN_LABEL_ABSENT;
    }
}

hn_status hn_fit_add_cells(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                           hn_error *err) {
    (void)part, (void)err;
    hn_fit_counts *const counts = fit->counts;
    const hn_impressions *const rows = block->rows;
    const size_t m = (size_t)counts->scenarios, tasks = (size_t)counts->tasks;
    for (int32_t i = 0; i < rows->rows; i++) {
        if (rows->split[i] >= HN_NO_SPLIT || rows->scenario[i] >= m) continue;
        const size_t cell = rows->split[i] * m + rows->scenario[i];
        const uint8_t *const labels = rows->labels + (size_t)i * tasks;
        bool positive = false;
        counts->rows[cell]++;
        count_order(counts, fit->schema->config->model.after, labels);
        for (size_t t = 0; t < tasks; t++) {
            counts->labelled[cell * tasks + t] += labels[t] != HN_LABEL_ABSENT;
            counts->positives[cell * tasks + t] += labels[t] == 1;
            positive = positive || labels[t] == 1;
        }
        if (rows->sampling && rows->split[i] == HN_TRAIN && !positive) {
            counts->negatives[cell]++; /* training is the first split: a cell is its scenario */
            counts->negatives_before[cell] += 1 / (double)rows->sampling[i];
        }
    }
    return HN_OK;
}

hn_status hn_fit_add_table(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                           hn_error *err) {
    (void)err;
    const hn_impressions *const rows = block->rows;
    const size_t n = (size_t)fit->options->tables->items[part->index].rows + 1;
    uint64_t *const counts = fit->counts->table_rows[part->index],
                    *const first = fit->table_first[part->index];
    for (int32_t i = 0; i < rows->rows; i++) {
        if (rows->split[i] >= HN_NO_SPLIT) continue;
        const int32_t joined =
            rows->table_rows[(size_t)i * (size_t)rows->tables + (size_t)part->index];
        const size_t row = joined == HN_TABLE_ROW_NONE ? n - 1 : (size_t)joined;
        counts[rows->split[i] * n + row]++;
        if (rows->split[i] == HN_TRAIN && first[row] == UINT64_MAX)
            first[row] = block->first_row + (uint64_t)i;
    }
    return HN_OK;
}
