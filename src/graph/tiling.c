/* Cutting a request into tiles. A product computes a few more rows than it is asked for
 * (kernel.h), so that 200 rows as 128 + 72 may cost more than as 80 + 80 + 40; how much each
 * size costs is known once the products are probed. */
#include "graph/ops.h"

/* Numbers that are multiplied for a row beyond products (mixes, activations), and for a tile
 * whatever its rows: the products' matrices are read and packed again. Measured. */
static const double ROW_SHARE = 0.10, TILE_ROWS_SHARE = 0.5;

static double rows_computed(const hn_product *product, int32_t m) {
    return product->padded[m] ? product->padded[m] : 1.5 * m; /* the naive twin is slower */
}

void hn_plan_weigh_tiles(hn_plan *plan) {
    const hn_graph *graph = plan->graph;
    double row = 0;
    for (int32_t i = 0; i < plan->n_row_steps; i++) {
        const int32_t index = plan->row_steps[i];
        if (graph->steps[index].op != HN_OP_LINEAR) continue;
        for (int32_t part = 0; part < 2; part++) {
            const hn_product *product = &plan->products[2 * index + part];
            if (product->n == 0 || (part == 0 && plan->shared[index] != HN_NOT_SHARED)) continue;
            const double size = (double)product->n * product->k * graph->steps[index].count;
            row += size;
            for (int32_t m = 1; m <= HN_TILE_ROWS; m++)
                plan->cost[m] += size * rows_computed(product, m);
        }
    }
    for (int32_t m = 1; m <= HN_TILE_ROWS; m++)
        plan->cost[m] += row * (ROW_SHARE * m + TILE_ROWS_SHARE);
}

int32_t hn_plan_tile(const hn_plan *plan, int32_t rows) {
    if (rows <= 1) return 1;
    int32_t best = HN_TILE_ROWS;
    double least = 0;
    for (int32_t tile = HN_TILE_ROWS; tile > 0; tile -= 4) {
        const int32_t whole = rows / tile, left = rows % tile;
        const double cost = whole * plan->cost[tile] + (left ? plan->cost[left] : 0);
        if (tile < HN_TILE_ROWS && cost >= least) continue;
        least = cost;
        best = tile;
    }
    return best;
}
