/* The file of scores: what a model gave every row of a split, with what is needed to measure it
 * again without the data: user, scenario, weight and labels. A pack of kind "SCOR":
 *
 *   scores/shape   u64 [3]: scenarios, tasks, bytes of a record
 *   scores/rows    records one behind the other, in the dataset's order of batches, each
 *                  u64 user, f32 weight, f32 logit[tasks], u16 scenario, u8 label[tasks]
 *
 * Training writes it (run.scores), experiments compare two of them row by row. */
#ifndef HN_BASE_SCORES_H
#define HN_BASE_SCORES_H

#include "base/rows.h"

typedef struct hn_scores_writer hn_scores_writer;
hn_status hn_scores_create(hn_scores_writer **out, const char *path, int32_t scenarios,
                           int32_t tasks, hn_error *err);
/* Labelled rows with their logits [rows][tasks]. Errors are sticky: commit tells them. */
void hn_scores_add(hn_scores_writer *writer, const hn_rows *rows, const hn_real *logits);
hn_status hn_scores_commit(hn_scores_writer *writer, hn_error *err); /* and frees */
void hn_scores_abandon(hn_scores_writer *writer);                    /* NULL is fine */

typedef struct hn_scores {
    size_t rows;
    int32_t scenarios, tasks;
    uint64_t *user;     /* [rows] */
    uint16_t *scenario; /* [rows] */
    float *weight;      /* [rows] */
    float *logit;       /* [rows][tasks] */
    uint8_t *label;     /* [rows][tasks]: 0, 1, HN_LABEL_ABSENT */
} hn_scores;
hn_status hn_scores_load(hn_scores *out, const char *path, hn_error *err);
void hn_scores_free(hn_scores *scores); /* a zeroed one is fine */

#endif
