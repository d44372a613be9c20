/* The language that data and models share: what an encoded row looks like (hn_layout)
 * and a batch of encoded rows (hn_rows). Data makes them, graphs consume them; neither
 * knows the other.
 *
 * The model input x of a row is `width` numbers: the embeddings and values of all
 * inputs in the order of `inputs`. Inputs are ordered by side (user, context, item), so
 * that x = [ user and context: shared_width | item: width - shared_width ]. */
#ifndef HN_BASE_ROWS_H
#define HN_BASE_ROWS_H

#include "base/error.h"

#ifdef HN_DOUBLE
typedef double hn_real;
#define HN_REAL_NAME "float64"
#else
typedef float hn_real;
#define HN_REAL_NAME "float32"
#endif

typedef enum hn_side { HN_SIDE_USER, HN_SIDE_CONTEXT, HN_SIDE_ITEM } hn_side;
typedef enum hn_input_kind { HN_INPUT_ID, HN_INPUT_LIST, HN_INPUT_VALUE } hn_input_kind;
typedef enum hn_pooling { HN_POOL_MEAN, HN_POOL_SUM } hn_pooling;

enum { HN_ID_MISSING = 0, HN_ID_UNSEEN = 1, HN_ID_FIRST = 2 }; /* rows of every embedding table */
enum { HN_LABEL_ABSENT = 255 };
enum { HN_SCENARIO_UNKNOWN = 0xffff };

typedef struct hn_input {
    char *name;
    hn_input_kind kind;
    hn_side side;
    int32_t slot;   /* index among the ids, the lists or the values of a row */
    int32_t table;  /* index into `tables`; -1 for a value */
    int32_t width;  /* columns of x; 1 for a value */
    int32_t column; /* first column in x */
    hn_pooling pooling;
} hn_input;

typedef struct hn_embedding {
    char *name;
    uint32_t rows; /* ids 0…rows-1 */
    int32_t width;
} hn_embedding;

typedef struct hn_layout {
    hn_input *inputs;
    int32_t n_inputs;
    hn_embedding *tables;
    int32_t n_tables;
    int32_t ids, lists, values; /* slots of each kind in a row */
    int32_t width, shared_width;
    int32_t scenarios, tasks; /* M, T */
} hn_layout;

/* Copies deeply; hn_layout_free accepts a zeroed one. */
hn_status hn_layout_copy(hn_layout *out, const hn_layout *layout, hn_error *err);
void hn_layout_free(hn_layout *layout);

/* A view of encoded rows; nothing is owned. Rows given to a session are sorted by
 * scenario (ascending, stable). */
typedef struct hn_rows {
    int32_t rows;
    const uint16_t
        *scenario; /* [rows], 0…M-1 (HN_SCENARIO_UNKNOWN only before a predictor resolves it) */
    const uint32_t *ids; /* [rows][ids] */
    const float *values; /* [rows][values] */
    const uint32_t
        *list_begin; /* [rows × lists + 1] offsets into list_ids: (r, l) → r × lists + l */
    const uint32_t *list_ids;
    const uint8_t *labels; /* [rows][tasks]: 0, 1, HN_LABEL_ABSENT; NULL when scoring */
    const float *weights;  /* [rows]; NULL: all 1 */
    const uint64_t
        *ordinal; /* [rows] number of the row in its log: seeds dropout; NULL when scoring */
    const uint64_t *user; /* [rows] hash of the user, for GAUC; NULL when scoring */
} hn_rows;

#endif
