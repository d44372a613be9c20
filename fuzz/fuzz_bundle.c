/* Fuzz target: any bytes as a bundle, as they are and with their checksums mended. What
 * opens must tell about itself, encode made-up impressions, known and unknown, and score
 * them without touching memory that is not its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "bundle/bundle.h"
#include "pack_mend.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { ROWS = 9, LIST = 3 };

typedef struct made_up { /* impressions of random hashes, numbers and table rows */
    hn_slot *slots;
    int32_t *table_rows;
    uint64_t lists[LIST], user[ROWS], ordinal[ROWS];
    uint16_t scenario[ROWS];
    uint8_t *labels, split[ROWS];
    float weights[ROWS];
} made_up;

static hn_slot slot_of(hn_source_kind kind, uint64_t r) {
    static const double numbers[] = {0, -1e300, 1e300, 0.5, -3, 17};
    if (kind == HN_SOURCE_HASH) return (hn_slot){.hash = r % 5 ? hn_mix64(r) : HN_HASH_MISSING};
    if (kind == HN_SOURCE_NUMBER) return (hn_slot){.number = numbers[r % 6]};
    return (hn_slot){
        .list = {(uint32_t)(r % LIST), (uint32_t)((r / LIST) % (LIST + 1 - r % LIST))}};
}

static void fill(made_up *made, const hn_bundle *bundle, const hn_sources *sources, int32_t tasks) {
    const int32_t scenarios = hn_schema_layout(bundle->schema)->scenarios;
    for (uint64_t r = 0; r < ROWS; r++) {
        made->scenario[r] = r % 4 == 3 ? HN_SCENARIO_UNKNOWN : (uint16_t)(r % (uint64_t)scenarios);
        made->weights[r] = 1;
        for (int32_t i = 0; i < sources->n; i++)
            if (sources->items[i].table < 0)
                made->slots[r * (uint64_t)sources->log_slots + (uint64_t)sources->items[i].slot] =
                    slot_of(sources->items[i].kind, r * 31 + (uint64_t)i);
        for (int32_t t = 0; t < sources->tables; t++) {
            const uint32_t rows = bundle->tables->items[t].rows;
            made->table_rows[r * (uint64_t)sources->tables + (uint64_t)t] =
                rows && r % 3 ? (int32_t)(hn_mix64(r) % rows) : HN_TABLE_ROW_NONE;
        }
    }
    memset(made->labels, HN_LABEL_ABSENT, ROWS * (size_t)tasks);
    for (uint64_t i = 0; i < LIST; i++) made->lists[i] = hn_mix64(i);
}

static void score(const hn_bundle *bundle, const hn_rows *rows, int32_t tasks) {
    hn_scratch *scratch = NULL;
    hn_real *logits = calloc(ROWS * (size_t)tasks, sizeof *logits);
    if (logits && hn_scratch_create(&scratch, bundle->scorer, NULL) == HN_OK &&
        hn_score(logits, bundle->scorer, scratch, rows, NULL) != HN_OK)
        fputs("a sound bundle does not score\n", stderr);
    hn_scratch_free(scratch);
    free(logits);
}

/* Any logit of any cell becomes a probability, or NaN where it is none. */
static void probabilities(const hn_bundle *bundle) {
    const hn_layout *const layout = hn_schema_layout(bundle->schema);
    static const double logits[] = {-1e30, -2.5, 0, 0.75, 1e30};
    for (int32_t s = -1; s < layout->scenarios; s++)
        for (int32_t t = 0; t < layout->tasks; t++)
            for (size_t i = 0; i < sizeof logits / sizeof *logits; i++) {
                const double p = hn_bundle_probability(bundle, s < 0 ? HN_SCENARIO_UNKNOWN : s, t,
                                                       logits[i], true);
                if (p < 0 || p > 1) abort();
            }
}

static void use(const hn_bundle *bundle) {
    probabilities(bundle);
    const hn_sources *sources = hn_schema_sources(bundle->schema);
    const int32_t tasks = hn_schema_layout(bundle->schema)->tasks;
    hn_encoded encoded = {0};
    made_up made = {.slots = calloc(ROWS * (size_t)sources->log_slots + 1, sizeof *made.slots),
                    .table_rows =
                        calloc(ROWS * (size_t)sources->tables + 1, sizeof *made.table_rows),
                    .labels = calloc(ROWS * (size_t)tasks, 1)};
    if (made.slots && made.table_rows && made.labels && sources->tables <= bundle->tables->n) {
        fill(&made, bundle, sources, tasks);
        const hn_impressions block = {.rows = ROWS,
                                      .log_slots = sources->log_slots,
                                      .tables = sources->tables,
                                      .tasks = tasks,
                                      .slots = made.slots,
                                      .table_rows = made.table_rows,
                                      .lists = made.lists,
                                      .n_lists = LIST,
                                      .scenario = made.scenario,
                                      .labels = made.labels,
                                      .weights = made.weights,
                                      .user = made.user,
                                      .split = made.split,
                                      .ordinal = made.ordinal};
        if (hn_schema_encode(&encoded, bundle->schema, bundle->tables, &block, false, NULL) ==
            HN_OK)
            score(bundle, &encoded.rows, tasks);
    }
    hn_encoded_free(&encoded);
    free(made.slots);
    free(made.table_rows);
    free(made.labels);
}

static void try_bytes(const uint8_t *bytes, size_t n) {
    const int fd = memfd_create("bundle", 0);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n) abort();
    hn_bundle *bundle = NULL;
    hn_report *report = NULL;
    hn_error err = {0};
    const hn_status status = hn_bundle_open(&bundle, path, &err);
    if (status != HN_OK &&
        (bundle || !err.text[0] || (status != HN_BAD_DATA && status != HN_NO_MEMORY)))
        abort();
    if (bundle) {
        if (hn_info(&report, bundle, &err) == HN_OK && !hn_report_json(report)) abort();
        use(bundle);
    }
    hn_report_free(report);
    hn_bundle_close(bundle);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    try_bytes(bytes, n);
    uint8_t *mended = malloc(n + 1);
    if (!mended) return 0;
    memcpy(mended, bytes, n);
    mend_pack(mended, n);
    try_bytes(mended, n);
    free(mended);
    return 0;
}
