/* References: the columns that the config itself needs (scenario, user, weight, sampling,
 * split, filters, labels), beside those that features read. Each may be a column of the
 * log or of a table, and each cell is judged at once and becomes one 64-bit value, so that
 * no text is kept. The references of a config are numbered, the same way everywhere. */
#ifndef HN_DATA_REFS_H
#define HN_DATA_REFS_H

#include "data/cell.h"

typedef enum hn_ref_kind {
    HN_REF_SCENARIO,  /* index, or HN_SCENARIO_UNKNOWN */
    HN_REF_HASH,      /* hash, HN_HASH_MISSING when absent */
    HN_REF_NUMBER,    /* bits of a double in [0, limit] */
    HN_REF_PREDICATE, /* 0, 1 */
} hn_ref_kind;

/* Values beside those, of numbers and predicates. */
#define HN_REF_ABSENT UINT64_MAX
#define HN_REF_BAD (UINT64_MAX - 1)

enum {
    HN_REF_SCENARIO_AT,
    HN_REF_USER_AT,
    HN_REF_WEIGHT_AT,
    HN_REF_SAMPLING_AT,
    HN_REF_SPLIT_AT,
    HN_REF_VALIDATION_AT,
    HN_REF_TEST_AT,
    HN_REF_FILTER_AT /* filters, then labels */
};

typedef struct hn_ref {
    hn_ref_kind kind;
    const char *column; /* as in the config; NULL: this config has no such reference */
    const char *role;   /* for messages: "the scenario", "the label of task" … */
    const char *detail; /* the task's name, the predicate's text, or "" */
    const hn_predicate *predicate;
} hn_ref;

typedef struct hn_refs {
    hn_ref *items;
    int32_t n, first_label;
    uint64_t *scenario_hash; /* open addressing: hash of a value */
    uint16_t *scenario_index;
    uint32_t scenario_mask;
    hn_arena arena;
} hn_refs;

hn_status hn_refs_create(hn_refs *out, const hn_config *config, hn_error *err);
void hn_refs_free(hn_refs *refs);
/* The value of a cell; `text` NULL: absent. */
uint64_t hn_ref_read(const hn_refs *refs, int32_t ref, const char *text, size_t n);
/* The value where there is no cell at all. */
uint64_t hn_ref_default(const hn_refs *refs, int32_t ref);
/* What a cell of it must be, for the message about a HN_REF_BAD one. */
const char *hn_ref_expected(const hn_refs *refs, int32_t ref);
/* The reference's column when it names table `name`: "name.column", or NULL. */
const char *hn_ref_in_table(const hn_ref *ref, const char *name);

#endif
