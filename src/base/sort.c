/* The sorter: records gather in memory; when half the budget is full they are merge-
 * sorted with the other half and become a run in a temporary file. At the end the runs
 * are merged (merge.c), in several passes where they are many. Stable throughout, so
 * that the result depends on the order of adding but never on the budget. */
#include "base/sort.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/merge.h"

enum { BUDGET_LEAST = 1 << 20, MERGE_BUFFER = 16 << 10, INSERTION_RUN = 12 };

struct hn_sorter {
    hn_merge_how how;
    char *dir;
    size_t budget;
    char *records; /* [held] of at most most_held */
    size_t held, capacity, most_held;
    uint64_t count;
    int fd;           /* the runs; -1 while everything is in memory */
    uint64_t spilled; /* records in the file */
    hn_run_of_records *runs;
    size_t n_runs, runs_capacity;
    hn_merge *merge;
    size_t at; /* next record in memory */
    bool finished;
};

/* ---- In memory ------------------------------------------------------------------- */

static void insertion_sort(char *records, size_t n, const hn_merge_how *how, char *spare) {
    const size_t size = how->record_bytes;
    for (size_t i = 1; i < n; i++) {
        size_t j = i;
        while (j > 0 && how->compare(records + (j - 1) * size, records + i * size) > 0) j--;
        if (j == i) continue;
        memcpy(spare, records + i * size, size);
        memmove(records + (j + 1) * size, records + j * size, (i - j) * size);
        memcpy(records + j * size, spare, size);
    }
}

/* out = the merge of a and b, which lie one behind the other. */
static void merge_two(char *out, const char *a, size_t na, size_t nb, const hn_merge_how *how) {
    const size_t size = how->record_bytes;
    const char *const a_end = a + na * size;
    const char *b = a_end, *const b_end = b + nb * size;
    while (a < a_end && b < b_end) {
        const char **const from = how->compare(a, b) <= 0 ? &a : &b;
        memcpy(out, *from, size);
        *from += size, out += size;
    }
    memcpy(out, a, (size_t)(a_end - a));
    memcpy(out + (a_end - a), b, (size_t)(b_end - b));
}

static void merge_pass(char *to, const char *from, size_t n, size_t width,
                       const hn_merge_how *how) {
    const size_t size = how->record_bytes;
    for (size_t i = 0; i < n; i += 2 * width) {
        const size_t na = n - i < width ? n - i : width;
        const size_t nb = n - i - na < width ? n - i - na : width;
        merge_two(to + i * size, from + i * size, na, nb, how);
    }
}

/* Bottom-up merge sort; afterwards sorter->records is in order. */
static hn_status sort_held(hn_sorter *sorter, hn_error *err) {
    const size_t size = sorter->how.record_bytes, n = sorter->held;
    if (n < 2) return HN_OK;
    char *spare = hn_alloc(n, size);
    if (!spare) return hn_no_memory(err, "sorting");
    for (size_t i = 0; i < n; i += INSERTION_RUN)
        insertion_sort(sorter->records + i * size, n - i < INSERTION_RUN ? n - i : INSERTION_RUN,
                       &sorter->how, spare);
    for (size_t width = INSERTION_RUN; width < n; width *= 2) {
        merge_pass(spare, sorter->records, n, width, &sorter->how);
        char *const sorted = spare;
        spare = sorter->records;
        sorter->records = sorted;
    }
    sorter->capacity = n; /* the two blocks may have changed places */
    hn_free(spare);
    return HN_OK;
}

/* ---- On disk ------------------------------------------------------------------------ */

static hn_status add_run(hn_sorter *sorter, uint64_t begin, uint64_t count, hn_error *err) {
    HN_TRY(hn_grow(&sorter->runs, &sorter->runs_capacity, sorter->n_runs + 1, sizeof *sorter->runs,
                   err));
    sorter->runs[sorter->n_runs++] = (hn_run_of_records){begin, count};
    return HN_OK;
}

static hn_status spill(hn_sorter *sorter, hn_error *err) {
    const size_t size = sorter->how.record_bytes;
    HN_TRY(sort_held(sorter, err));
    if (sorter->fd < 0) HN_TRY(hn_temp_open(&sorter->fd, sorter->dir, err));
    HN_TRY(hn_fd_write_at(sorter->fd, sorter->records, sorter->held * size, sorter->spilled * size,
                          sorter->dir, err));
    HN_TRY(add_run(sorter, sorter->spilled, sorter->held, err));
    sorter->spilled += sorter->held;
    sorter->held = 0;
    return HN_OK;
}

/* Merges runs[0…n-1] of the sorter's file into one run of `to`, at record `begin`. */
static hn_status merge_group(const hn_sorter *sorter, int to, uint64_t begin,
                             const hn_run_of_records *runs, size_t n, hn_error *err) {
    const size_t size = sorter->how.record_bytes;
    const size_t room = sorter->budget / 4 / size > 0 ? sorter->budget / 4 / size : 1;
    hn_merge *merge = NULL;
    char *const buffer = hn_alloc(room, size);
    if (!buffer) return hn_no_memory(err, "merging sorted runs");
    hn_status status =
        hn_merge_open(&merge, &sorter->how, sorter->fd, runs, n, sorter->budget / 2, err);
    const void *record = NULL;
    size_t filled = 0;
    while (status == HN_OK) {
        status = hn_merge_next(&record, merge, err);
        if (status == HN_OK && record) memcpy(buffer + filled++ * size, record, size);
        if (status != HN_OK || (record && filled < room)) continue;
        status = hn_fd_write_at(to, buffer, filled * size, begin * size, sorter->dir, err);
        begin += filled, filled = 0;
        if (!record) break;
    }
    hn_merge_close(merge);
    hn_free(buffer);
    return status;
}

/* One pass: every `fan_in` neighbouring runs become one, in a new file. */
static hn_status merge_pass_on_disk(hn_sorter *sorter, size_t fan_in, hn_error *err) {
    int to;
    HN_TRY(hn_temp_open(&to, sorter->dir, err));
    hn_status status = HN_OK;
    size_t merged = 0;
    uint64_t begin = 0;
    for (size_t i = 0; i < sorter->n_runs && status == HN_OK; i += fan_in) {
        const size_t n = sorter->n_runs - i < fan_in ? sorter->n_runs - i : fan_in;
        uint64_t count = 0;
        for (size_t j = 0; j < n; j++) count += sorter->runs[i + j].count;
        status = merge_group(sorter, to, begin, &sorter->runs[i], n, err);
        sorter->runs[merged++] = (hn_run_of_records){begin, count}; /* merged ≤ i: already read */
        begin += count;
    }
    close(status == HN_OK ? sorter->fd : to);
    if (status != HN_OK) return status;
    sorter->fd = to;
    sorter->n_runs = merged;
    return HN_OK;
}

/* How many runs can be merged at once with buffers worth reading into. */
static size_t most_at_once(const hn_sorter *sorter) {
    const size_t least =
        sorter->how.record_bytes > MERGE_BUFFER ? sorter->how.record_bytes : MERGE_BUFFER;
    const size_t n = sorter->budget / 2 / least;
    return n < 2 ? 2 : n;
}

static hn_status finish_on_disk(hn_sorter *sorter, hn_error *err) {
    if (sorter->held > 0) HN_TRY(spill(sorter, err));
    hn_free(sorter->records);
    sorter->records = NULL;
    sorter->capacity = 0;
    const size_t fan_in = most_at_once(sorter);
    while (sorter->n_runs > fan_in) HN_TRY(merge_pass_on_disk(sorter, fan_in, err));
    return HN_OK;
}

/* ---- The interface -------------------------------------------------------------------- */

hn_status hn_sorter_create(hn_sorter **out, size_t record_bytes, hn_compare compare,
                           int64_t budget_bytes, const char *dir, hn_error *err) {
    *out = NULL;
    if (record_bytes == 0) return hn_fail(err, HN_FAILED, "sorting: a record has no bytes");
    hn_sorter *const sorter = hn_alloc_zero(1, sizeof *sorter);
    char *const folder = hn_strdup(dir);
    if (!sorter || !folder) {
        hn_free(sorter);
        hn_free(folder);
        return hn_no_memory(err, "sorting");
    }
    sorter->dir = folder;
    sorter->fd = -1;
    sorter->how = (hn_merge_how){record_bytes, compare, folder};
    sorter->budget = budget_bytes > BUDGET_LEAST ? (size_t)budget_bytes : BUDGET_LEAST;
    sorter->most_held = sorter->budget / 2 / record_bytes;
    if (sorter->most_held == 0) sorter->most_held = 1;
    *out = sorter;
    return HN_OK;
}

/* Room for more records, doubling, never beyond most_held. */
static hn_status make_room(hn_sorter *sorter, size_t n, hn_error *err) {
    const size_t need = sorter->held + n;
    if (need <= sorter->capacity) return HN_OK;
    size_t wanted = sorter->capacity * 2 > need ? sorter->capacity * 2 : need;
    if (wanted > sorter->most_held) wanted = sorter->most_held;
    char *const grown = hn_realloc(sorter->records, wanted, sorter->how.record_bytes);
    if (!grown) return hn_no_memory(err, "sorting");
    sorter->records = grown;
    sorter->capacity = wanted;
    return HN_OK;
}

hn_status hn_sorter_add(hn_sorter *sorter, const void *records, size_t n, hn_error *err) {
    const size_t size = sorter->how.record_bytes;
    const char *from = records;
    if (sorter->finished) return hn_fail(err, HN_FAILED, "sorting: records come after the end");
    while (n > 0) {
        if (sorter->held == sorter->most_held) HN_TRY(spill(sorter, err));
        const size_t room = sorter->most_held - sorter->held, taken = n < room ? n : room;
        HN_TRY(make_room(sorter, taken, err));
        memcpy(sorter->records + sorter->held * size, from, taken * size);
        sorter->held += taken, sorter->count += taken;
        from += taken * size, n -= taken;
    }
    return HN_OK;
}

hn_status hn_sorter_finish(hn_sorter *sorter, hn_error *err) {
    if (!sorter->finished) {
        if (sorter->fd < 0)
            HN_TRY(sort_held(sorter, err));
        else
            HN_TRY(finish_on_disk(sorter, err));
        sorter->finished = true;
    }
    sorter->at = 0;
    hn_merge_close(sorter->merge);
    sorter->merge = NULL;
    if (sorter->fd < 0) return HN_OK;
    return hn_merge_open(&sorter->merge, &sorter->how, sorter->fd, sorter->runs, sorter->n_runs,
                         sorter->budget / 2, err);
}

hn_status hn_sorter_next(const void **out, hn_sorter *sorter, hn_error *err) {
    *out = NULL;
    if (!sorter->finished) return hn_fail(err, HN_FAILED, "sorting: read before the end of adding");
    if (sorter->merge) return hn_merge_next(out, sorter->merge, err);
    if (sorter->fd >= 0) return hn_fail(err, HN_FAILED, "sorting: the rewind failed before");
    if (sorter->at < sorter->held) *out = sorter->records + sorter->at++ * sorter->how.record_bytes;
    return HN_OK;
}

uint64_t hn_sorter_count(const hn_sorter *sorter) { return sorter->count; }

void hn_sorter_free(hn_sorter *sorter) {
    if (!sorter) return;
    hn_merge_close(sorter->merge);
    if (sorter->fd >= 0) close(sorter->fd);
    hn_free(sorter->records);
    hn_free(sorter->runs);
    hn_free(sorter->dir);
    hn_free(sorter);
}
