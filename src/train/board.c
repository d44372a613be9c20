/* The scalars of a training for TensorBoard; see board.h. Tags: train/loss, train/rate,
 * train/rows_per_s, loss/TASK, weight/TASK; validation/auc, /log_loss, /gauc of the mean and with
 * /SCENARIO/TASK of each cell; test/… at the end. */
#include "train/board.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "train/events.h"
#include "train/training.h"

enum { POINTS = 1000 };

struct hn_board {
    hn_events *events;
    const hn_config *config;
    int64_t every; /* steps between points */
    /* since the last point */
    int64_t steps;
    double loss, rows, since;
    double losses[HN_TASKS_MAX];
};

hn_status hn_board_open(hn_board **out, const char *dir, const hn_config *config, int64_t steps,
                        int64_t step, hn_error *err) {
    *out = NULL;
    if (!dir) return HN_OK;
    hn_board *const board = hn_alloc_zero(1, sizeof *board);
    if (!board) return hn_no_memory(err, "the event file");
    board->config = config;
    board->every = steps > POINTS ? (steps + POINTS - 1) / POINTS : 1;
    board->since = hn_seconds();
    const hn_status status = hn_events_open(&board->events, dir, step > 0 ? step + 1 : 0, err);
    if (status != HN_OK) {
        hn_board_close(board);
        return status;
    }
    *out = board;
    return HN_OK;
}

void hn_board_close(hn_board *board) {
    if (!board) return;
    hn_events_close(board->events);
    hn_free(board);
}

static void add_tagged(const hn_board *board, const char *prefix, const char *name, double value) {
    char tag[700];
    snprintf(tag, sizeof tag, "%s/%s", prefix, name);
    hn_events_add(board->events, tag, value);
}

static hn_status write_point(hn_board *board, int64_t step, double rate, const hn_trainer *trainer,
                             hn_error *err) {
    const hn_config *const config = board->config;
    const double n = (double)board->steps, now = hn_seconds();
    hn_events_add(board->events, "train/loss", board->loss / n);
    hn_events_add(board->events, "train/rate", rate);
    hn_events_add(board->events, "train/rows_per_s", board->rows / (now - board->since));
    for (int32_t t = 0; t < config->n_tasks; t++) {
        add_tagged(board, "loss", config->tasks[t].name, board->losses[t] / n);
        if (config->train.weighting != HN_WEIGHTING_FIXED)
            add_tagged(board, "weight", config->tasks[t].name, hn_trainer_task_weight(trainer, t));
        board->losses[t] = 0;
    }
    board->loss = board->rows = 0;
    board->steps = 0;
    board->since = now;
    return hn_events_write(board->events, step, err);
}

hn_status hn_board_step(hn_board *board, int64_t step, double loss, double rate, int32_t rows,
                        const hn_trainer *trainer, hn_error *err) {
    if (!board) return HN_OK;
    board->steps++;
    board->loss += loss;
    board->rows += rows;
    for (int32_t t = 0; t < board->config->n_tasks; t++)
        board->losses[t] += hn_trainer_task_losses(trainer)[t];
    return step % board->every == 0 ? write_point(board, step, rate, trainer, err) : HN_OK;
}

static void add_metrics(const hn_board *board, const char *split, const char *cell,
                        const double *values) {
    static const char *const names[] = {"auc", "gauc", "log_loss"};
    for (int32_t i = 0; i < 3; i++) {
        char tag[100];
        snprintf(tag, sizeof tag, "%.40s/%s", split, names[i]);
        if (cell)
            add_tagged(board, tag, cell, values[i]);
        else
            hn_events_add(board->events, tag, values[i]);
    }
}

hn_status hn_board_evaluation(hn_board *board, int64_t step, const char *split,
                              const hn_cell_metrics *cells, hn_error *err) {
    if (!board) return HN_OK;
    const hn_config *const config = board->config;
    const int32_t tasks = config->n_tasks, n = config->scenario.names.n * tasks;
    add_metrics(board, split, NULL,
                (double[]){hn_metrics_mean_auc(cells, n), hn_metrics_mean_gauc(cells, n),
                           hn_metrics_mean_log_loss(cells, n)});
    for (int32_t c = 0; c < n; c++) {
        char cell[600];
        snprintf(cell, sizeof cell, "%s/%s", config->scenario.names.items[c / tasks],
                 config->tasks[c % tasks].name);
        add_metrics(board, split, cell, (double[]){cells[c].auc, cells[c].gauc, cells[c].log_loss});
    }
    return hn_events_write(board->events, step, err);
}
