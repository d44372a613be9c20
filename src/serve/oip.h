/* The parts of /v2, the Open Inference Protocol: paths and metadata (oip.c), a request's tensors
 * into rows (oip_inputs.c), rows into its tensors (oip_outputs.c). */
#ifndef HN_SERVE_OIP_H
#define HN_SERVE_OIP_H

#include "serve/ranker.h"

/* X(name, bytes of a value; 0: each has its length before it) */
#define HN_OIP_TYPE_MAP(X) \
    X(BOOL, 1)             \
    X(INT8, 1)             \
    X(INT16, 2)            \
    X(INT32, 4)            \
    X(INT64, 8)            \
    X(UINT8, 1)            \
    X(UINT16, 2)           \
    X(UINT32, 4)           \
    X(UINT64, 8)           \
    X(FP32, 4)             \
    X(FP64, 8)             \
    X(BYTES, 0)
typedef enum hn_oip_type {
#define X(name, bytes) HN_OIP_##name,
    HN_OIP_TYPE_MAP(X)
#undef X
        HN_OIP_TYPES
} hn_oip_type;

typedef struct hn_inference {
    hn_ranker *ranker;
    hn_rank_memory *memory;
    hn_exchange *exchange;
    const hn_model_version *version;
    hn_engine *engine;
    const hn_json_node *body;
    const uint8_t *binary; /* what follows the JSON and is not taken yet */
    size_t binary_bytes;
    hn_choice choice; /* the config's policy: a tensor has no user */
    int32_t rows;
} hn_inference;

/* {"error":…}; gives false. */
bool hn_oip_refuse(hn_exchange *exchange, int32_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The rows, completed; false: answered. */
bool hn_oip_rows(hn_inference *f);
/* The outputs that the request names are there; before scoring. False: answered. */
bool hn_oip_check_outputs(const hn_inference *f);
void hn_oip_answer(hn_inference *f);
/* One output for each task and, where the config's expressions have a meaning in this model, the
 * score; their names. */
int32_t hn_oip_outputs(const hn_inference *f);
void hn_oip_output_name(hn_text *out, const hn_inference *f, int32_t output);

#ifdef HN_DOUBLE
#define HN_OIP_OUTPUT "FP64"
#else
#define HN_OIP_OUTPUT "FP32"
#endif

#endif
