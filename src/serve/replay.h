/* The parts of hn_replay: an exposure made into rows again (replay_rows.c), what comes of them
 * beside what was logged (replay.c), and what is told (replay_report.c).
 *
 * Two questions are kept apart. Do the same features give the same probabilities? Else the model
 * is another one, or a feature was not what the log says: one at a time is then taken away, which
 * names it. And are the features that were served those of the tables that the model was trained
 * with? */
#ifndef HN_SERVE_REPLAY_H
#define HN_SERVE_REPLAY_H

#include "base/json.h"
#include "serve/engine.h"

enum {
    HN_REPLAY_BINS = 128, /* of logits, HN_REPLAY_STEP wide, around 0 */
    HN_REPLAY_VERSIONS = 64,
    HN_REPLAY_CAUSES = 200, /* rows whose difference is looked into */
    HN_REPLAY_EXAMPLES = 20
};
#define HN_REPLAY_STEP 0.2

/* An exposure; views into its JSON. */
typedef struct hn_replay_line {
    const char *file;
    uint64_t number;
    const hn_json_node *json, *const *items;
    int32_t n; /* items */
} hn_replay_line;

/* Which of the logged features are put into the rows. */
enum { HN_REPLAY_ALL = -1, HN_REPLAY_NO_TABLES = -2 /* else all but this field */ };
/* The request's rows as they were scored. HN_BAD_DATA with a path in the line. */
hn_status hn_replay_rows(hn_engine *engine, const hn_replay_line *line, int32_t without,
                         hn_text *room, uint64_t *unknown, hn_error *err);

typedef struct hn_replay_difference {
    uint64_t n, differing; /* beyond the tolerance */
    double sum, max;
} hn_replay_difference;

typedef struct hn_replay_version {
    char *model, *version;
    uint64_t rows, differing;
    double max;
} hn_replay_version;

typedef struct hn_replay_feature { /* of a field of the request */
    uint64_t compared, differing, new_keys, causes;
} hn_replay_feature;

typedef struct hn_replay_first { /* the first feature that is not the table's */
    char *text;                  /* NULL: there is none */
    int32_t field;
} hn_replay_first;

typedef struct hn_replaying {
    const hn_bundle *bundle;
    const hn_replay_options *options;
    const hn_run *run;
    double tolerance;
    hn_engine *engine;
    bool uncalibrated; /* the line at hand */
    hn_text room;
    hn_json json;               /* the line at hand */
    const hn_json_node **items; /* its */
    size_t items_capacity;
    double *p; /* [rows][tasks] of the line, kept while it is scored otherwise */
    size_t p_capacity;
    int32_t scenarios, tasks;     /* the scenarios with the unknown one */
    uint64_t *bins;               /* [scenarios][tasks][logged, replayed][HN_REPLAY_BINS] */
    uint64_t *rows_of;            /* [scenarios] */
    hn_replay_difference *task;   /* [tasks] */
    hn_replay_difference *tables; /* [tasks] the tables' features beside the logged ones */
    hn_replay_feature *features;  /* [fields] */
    hn_replay_version versions[HN_REPLAY_VERSIONS];
    int32_t n_versions;
    uint64_t lines, other, without_features, fallbacks, bad, scored, rows, differing_rows;
    uint64_t looked_into, unexplained, unknown, uncalibrated_lines;
    hn_replay_first first;
    char *examples[HN_REPLAY_EXAMPLES];
    int32_t n_examples;
} hn_replaying;

static inline uint64_t *hn_replay_bins(const hn_replaying *r, int32_t scenario, int32_t task,
                                       bool replayed) {
    const size_t at = ((size_t)scenario * (size_t)r->tasks + (size_t)task) * 2 + replayed;
    return r->bins + at * HN_REPLAY_BINS;
}
/* Population stability index between tenths of the logged scores; NaN without any. */
double hn_replay_psi(const uint64_t *logged, const uint64_t *replayed);
hn_status hn_replay_tell(hn_report **out, const hn_replaying *r, hn_error *err);

#endif
