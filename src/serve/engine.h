/* One engine for each (model version, worker): the memory in which a request's rows are
 * made and scored. Every door of the server goes through it, and so does hn_replay.
 *
 * Use: begin, set what all rows share (row HN_REQUEST_SHARED), rows, set each row's own, fetch
 * from the store, score. */
#ifndef HN_SERVE_ENGINE_H
#define HN_SERVE_ENGINE_H

#include "base/json.h"
#include "data/request.h"
#include "serve/drift.h"
#include "serve/program.h"
#include "serve/store.h"

typedef struct hn_engine {
    const hn_bundle *bundle;
    hn_request *request;
    hn_encoded encoded;
    hn_scratch *scratch;
    hn_real *logits; /* [rows][tasks] */
    double *p;       /* likewise; numbers that hn_real holds */
    size_t logits_capacity, p_capacity;
    int32_t rows, tasks;
    bool calibrated;   /* whether probabilities pass the bundle's calibration; true at first */
    bool encoded_rows; /* hn_request_number_of may be asked */
    hn_drift *drift;   /* NULL: the bundle has no profile */
    double
        *prior; /* [scenarios + 1][tasks] base rates, the last of an unknown one; NULL: not known */
    hn_bindings bindings;          /* of the config's expressions */
    struct hn_engine_store *store; /* NULL: none */
    /* What all rows share, unless they say otherwise. */
    uint16_t scenario;
    bool scenario_given;
    const char *scenario_cell; /* the text of its column; NULL: none was given */
    size_t scenario_cell_bytes;
    int64_t encode_ns; /* of the last score */
    hn_text joined;    /* a list's values */
    hn_arena kept;     /* texts of numbers, until the next begin */
} hn_engine;

hn_status hn_engine_create(hn_engine **out, const hn_bundle *bundle, hn_error *err);
void hn_engine_free(hn_engine *engine);

void hn_engine_begin(hn_engine *engine);
/* Sets a field from a JSON value, or from a cell's text (NULL: absent), which must stay where it
 * is until the next begin. HN_BAD_DATA with a sentence that lacks the path. */
hn_status hn_engine_set(hn_engine *engine, int32_t row, int32_t field, const hn_json_node *value,
                        hn_error *err);
/* A copy of the text that stays until the next begin; NULL: no memory. */
const char *hn_engine_keep(hn_engine *engine, const char *text, size_t n);
hn_status hn_engine_set_text(hn_engine *engine, int32_t row, int32_t field, const char *text,
                             size_t n, hn_error *err);
/* The scenario by its name or a cell's text, of all rows. */
hn_status hn_engine_set_scenario(hn_engine *engine, const char *text, size_t n, hn_error *err);
hn_status hn_engine_rows(hn_engine *engine, int32_t rows, hn_error *err);
/* Scenarios from tables, where none was given; then the store's cells by `deadline_ns`. */
hn_status hn_engine_complete(hn_engine *engine, int64_t deadline_ns, hn_error *err);
/* Encodes and scores the request's rows: engine->p. */
hn_status hn_engine_score(hn_engine *engine, hn_error *err);
/* Base rates instead of scores; false: they are not known. */
bool hn_engine_take_prior(hn_engine *engine);
/* Of a row, once completed. */
uint16_t hn_engine_scenario(const hn_engine *engine, int32_t row);
/* The scenario's name; NULL for an unknown one. */
const char *hn_engine_scenario_name(const hn_engine *engine, uint16_t scenario);
/* The field nearest to a name that is none; NULL: none is near. */
const char *hn_engine_suggest(const hn_engine *engine, const char *name, size_t n);

/* ---- The feature store (engine_store.c) ------------------------------------------------------ */

/* `names`: of the bundle's tables, those read from it; none: all. Tables that the bundle has not
 * are left out. */
hn_status hn_engine_attach_store(hn_engine *engine, hn_store *store, const hn_strings *names,
                                 hn_error *err);
void hn_engine_store_free(struct hn_engine_store *store);
void hn_engine_store_begin(struct hn_engine_store *store);
hn_status hn_engine_store_rows(struct hn_engine_store *store, int32_t rows, hn_error *err);
/* Remembers a cell if it is a table's key. */
hn_status hn_engine_store_note(struct hn_engine_store *store, int32_t row, int32_t field,
                               const char *text, size_t n);
hn_status hn_engine_store_fetch(hn_engine *engine, int64_t deadline_ns, hn_error *err);
/* Columns whose values came too late for some row; whether one of this row's own did. */
int32_t hn_engine_late(const hn_engine *engine);
bool hn_engine_row_late(const hn_engine *engine, int32_t row);
/* What the store gave to the row (or to all) as members "COLUMN":"CELL" of a JSON object;
 * `comma`: whether one goes before them. */
void hn_engine_add_stored(hn_text *out, const hn_engine *engine, int32_t row, bool comma);

#endif
