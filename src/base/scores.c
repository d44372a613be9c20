/* Writing and reading the file of scores. The writer streams; the reader checks every field's
 * range, so that whoever compares need not. */
#include "base/scores.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/pack.h"

enum { LOGITS_AT = 12, TASKS_MAX = 1024, SCENARIOS_MAX = 1 << 16 };

static size_t record_bytes(int32_t tasks) { return LOGITS_AT + (size_t)tasks * 5 + 2; }

/* ---- Writing ------------------------------------------------------------------------------ */

struct hn_scores_writer {
    hn_packer *packer;
    int32_t tasks;
    size_t stride;
    uint8_t *record;
};

void hn_scores_abandon(hn_scores_writer *writer) {
    if (!writer) return;
    if (writer->packer) hn_packer_abandon(writer->packer);
    hn_free(writer->record);
    hn_free(writer);
}

hn_status hn_scores_create(hn_scores_writer **out, const char *path, int32_t scenarios,
                           int32_t tasks, hn_error *err) {
    *out = NULL;
    hn_scores_writer *const writer = hn_alloc_zero(1, sizeof *writer);
    if (!writer) return hn_no_memory(err, "a file of scores");
    writer->tasks = tasks;
    writer->stride = record_bytes(tasks);
    writer->record = hn_alloc(writer->stride, 1);
    hn_status status = writer->record ? HN_OK : hn_no_memory(err, "a file of scores");
    if (status == HN_OK) status = hn_packer_open(&writer->packer, path, "SCOR", err);
    if (status != HN_OK) {
        hn_scores_abandon(writer);
        return status;
    }
    const uint64_t n = 3, shape[] = {(uint64_t)scenarios, (uint64_t)tasks, writer->stride};
    hn_packer_add(writer->packer, "scores/shape", HN_PACK_U64, 1, &n, shape);
    hn_packer_begin(writer->packer, "scores/rows", HN_PACK_BYTES);
    *out = writer;
    return HN_OK;
}

void hn_scores_add(hn_scores_writer *writer, const hn_rows *rows, const hn_real *logits) {
    const size_t tasks = (size_t)writer->tasks;
    for (size_t r = 0; r < (size_t)rows->rows; r++) {
        uint8_t *at = writer->record;
        const uint64_t user = rows->user ? rows->user[r] : 0;
        const float weight = rows->weights ? rows->weights[r] : 1;
        memcpy(at, &user, sizeof user);
        memcpy(at + sizeof user, &weight, sizeof weight);
        at += LOGITS_AT;
        for (size_t t = 0; t < tasks; t++, at += sizeof(float)) {
            const float logit = (float)logits[r * tasks + t];
            memcpy(at, &logit, sizeof logit);
        }
        memcpy(at, &rows->scenario[r], 2);
        memcpy(at + 2, &rows->labels[r * tasks], tasks);
        hn_packer_append(writer->packer, writer->record, writer->stride);
    }
}

hn_status hn_scores_commit(hn_scores_writer *writer, hn_error *err) {
    hn_packer_end(writer->packer);
    const hn_status status = hn_packer_commit(writer->packer, err);
    writer->packer = NULL;
    hn_scores_abandon(writer);
    return status;
}

/* ---- Reading ------------------------------------------------------------------------------ */

void hn_scores_free(hn_scores *scores) {
    hn_free(scores->user);
    hn_free(scores->scenario);
    hn_free(scores->weight);
    hn_free(scores->logit);
    hn_free(scores->label);
    *scores = (hn_scores){0};
}

static hn_status read_shape(hn_scores *out, hn_pack *pack, hn_error *err) {
    const hn_section *shape;
    uint64_t n[3] = {0};
    HN_TRY(hn_pack_find(&shape, pack, "scores/shape", HN_PACK_U64, err));
    if (shape->n_bytes == sizeof n) memcpy(n, shape->bytes, sizeof n);
    if (n[0] < 1 || n[0] > SCENARIOS_MAX || n[1] < 1 || n[1] > TASKS_MAX ||
        n[2] != record_bytes((int32_t)n[1]))
        return hn_fail(err, HN_BAD_DATA, "%s: its shape is damaged; train again to make it",
                       hn_pack_path(pack));
    out->scenarios = (int32_t)n[0];
    out->tasks = (int32_t)n[1];
    return HN_OK;
}

static bool take_record(hn_scores *out, size_t r, const uint8_t *at) {
    const size_t tasks = (size_t)out->tasks;
    memcpy(&out->user[r], at, 8);
    memcpy(&out->weight[r], at + 8, 4);
    memcpy(&out->logit[r * tasks], at + LOGITS_AT, 4 * tasks);
    memcpy(&out->scenario[r], at + LOGITS_AT + 4 * tasks, 2);
    memcpy(&out->label[r * tasks], at + LOGITS_AT + 4 * tasks + 2, tasks);
    bool fine =
        out->scenario[r] < out->scenarios && isfinite(out->weight[r]) && out->weight[r] >= 0;
    for (size_t t = 0; t < tasks; t++) {
        const uint8_t label = out->label[r * tasks + t];
        fine =
            fine && (label <= 1 || label == HN_LABEL_ABSENT) && isfinite(out->logit[r * tasks + t]);
    }
    return fine;
}

static hn_status read_rows(hn_scores *out, hn_pack *pack, hn_error *err) {
    const hn_section *section;
    const size_t stride = record_bytes(out->tasks), tasks = (size_t)out->tasks;
    HN_TRY(hn_pack_find(&section, pack, "scores/rows", HN_PACK_BYTES, err));
    bool fine = section->n_bytes % stride == 0;
    out->rows = fine ? section->n_bytes / stride : 0;
    out->user = hn_alloc(out->rows + 1, sizeof *out->user);
    out->scenario = hn_alloc(out->rows + 1, sizeof *out->scenario);
    out->weight = hn_alloc(out->rows + 1, sizeof *out->weight);
    out->logit = hn_alloc(out->rows + 1, tasks * sizeof *out->logit);
    out->label = hn_alloc(out->rows + 1, tasks);
    if (!out->user || !out->scenario || !out->weight || !out->logit || !out->label)
        return hn_no_memory(err, "scores");
    for (size_t r = 0; r < out->rows && fine; r++)
        fine = take_record(out, r, (const uint8_t *)section->bytes + r * stride);
    return fine ? HN_OK
                : hn_fail(err, HN_BAD_DATA, "%s: its rows are damaged; train again to make it",
                          hn_pack_path(pack));
}

hn_status hn_scores_load(hn_scores *out, const char *path, hn_error *err) {
    hn_pack *pack;
    *out = (hn_scores){0};
    HN_TRY(hn_pack_open(&pack, path, "SCOR", err));
    hn_status status = read_shape(out, pack, err);
    if (status == HN_OK) status = read_rows(out, pack, err);
    hn_pack_close(pack);
    if (status != HN_OK) hn_scores_free(out);
    return status;
}
