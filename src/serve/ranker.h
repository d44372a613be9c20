/* The inside of the ranker, shared by its doors: /v1/rank (rank.c: the course of a request;
 * rank_rows.c: its rows; rank_answer.c: the answer; rank_log.c: the exposure) and /v2 (oip.c). */
#ifndef HN_SERVE_RANKER_H
#define HN_SERVE_RANKER_H

#include "serve/choice.h"
#include "serve/engine.h"
#include "serve/rank.h"

/* The name of a member and what it meant in the candidate before: candidates look alike. */
typedef struct hn_rank_name {
    const char *key;
    uint32_t key_bytes;
    int32_t field;
} hn_rank_name;

/* One worker's, whatever the model; kept from request to request. */
typedef struct hn_rank_memory {
    hn_json json;
    hn_text line;     /* the exposure */
    hn_text scenario; /* its name, which outlives the version that has it */
    hn_text request_id;
    double *score;  /* [rows] NaN: none */
    int32_t *order; /* [rows] */
    size_t score_capacity, order_capacity;
    hn_rank_name *names; /* by place in a candidate */
    int32_t *stamps;     /* [fields] the last object that had it */
    size_t n_names, names_capacity, stamps_capacity;
    struct hn_rank_part { /* of the answer: "score":…,"p":{…} of an item shown */
        size_t begin, end;
    } * parts;
    size_t parts_capacity;
    const hn_json_node **candidates; /* [rows] */
    size_t candidates_capacity;
} hn_rank_memory;

struct hn_ranker {
    hn_ranker_parts parts;
    hn_programs programs;
    hn_rank_memory *memory; /* [workers] */
};

/* A /v1/rank request on its way. */
typedef struct hn_ranking {
    hn_ranker *ranker;
    hn_rank_memory *memory;
    hn_exchange *exchange;
    hn_rank_trace *trace;
    /* The request. */
    const hn_json_node *request_id, *scenario, *user, *context, *candidates, *user_id;
    int32_t n, limit;
    /* How it is answered. */
    hn_choice choice;
    const hn_model_version *version; /* NULL: none is loaded */
    hn_engine *engine;               /* of the version */
    const char *scenario_name;       /* NULL: unknown */
    bool known_scenario;
    bool lenient;         /* what this model cannot read is left out */
    bool scored;          /* engine->p and memory->score are there */
    int32_t unscored;     /* of the rows */
    const char *fallback; /* NULL: the model itself */
} hn_ranking;

/* Whether the members are as they should be; else the answer says what is not. */
bool hn_rank_read(hn_ranking *r, const hn_json_node *body);
/* The rows for r->engine; false: answered. */
bool hn_rank_rows(hn_ranking *r);
/* Scores into `score` by the expressions of the rows' scenarios; the number of rows with one. */
int32_t hn_rank_fuse(double *score, const hn_engine *engine, const hn_ranker *ranker,
                     const hn_choice *choice);
/* A copy in the worker's memory; NULL for NULL, and where there is no memory. */
const char *hn_rank_keep_scenario(hn_rank_memory *memory, const char *name);
void hn_rank_answer(hn_ranking *r);
void hn_rank_add_id(hn_text *out, const hn_ranking *r);
/* The members that an answer and its exposure share, from "arms" to "fallback". */
void hn_rank_add_head(hn_text *out, const hn_ranking *r);
/* A line of the exposure log; `shown` items of the answer. */
void hn_rank_log(hn_ranking *r, int32_t shown);
hn_status hn_rank_reserve(hn_rank_memory *memory, int32_t rows, hn_error *err);

#endif
