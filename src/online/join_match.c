/* Exposures meet events (join.h): both sorted by request, so a merge of two streams needs
 * the items of one line at a time. The rules of labels are `judge` and `settle`. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "online/join.h"

typedef struct matching {
    hn_join_state *join;
    hn_join_shown shown; /* the next one of its stream */
    hn_join_happened happened;
    bool has_shown, has_happened;
    hn_join_shown *items; /* of the request at hand, in order of their hash */
    size_t n, capacity;
    hn_join_outcome *outcomes; /* [n][events] */
    size_t outcomes_capacity;
    hn_join_row *row;
} matching;

static hn_status next_shown(matching *m, hn_error *err) {
    const void *record;
    HN_TRY(hn_sorter_next(&record, m->join->shown, err));
    m->has_shown = record != NULL;
    if (record) memcpy(&m->shown, record, sizeof m->shown);
    return HN_OK;
}

static hn_status next_happened(matching *m, hn_error *err) {
    const void *record;
    HN_TRY(hn_sorter_next(&record, m->join->happened, err));
    m->has_happened = record != NULL;
    if (record) memcpy(&m->happened, record, sizeof m->happened);
    return HN_OK;
}

static int compare_requests(const uint64_t a[2], const uint64_t b[2]) {
    if (a[0] != b[0]) return a[0] < b[0] ? -1 : 1;
    return a[1] < b[1] ? -1 : a[1] > b[1];
}

/* ---- The items of a request ----------------------------------------------------------------- */

static hn_status keep_item(matching *m, hn_error *err) {
    hn_join_state *const join = m->join;
    if (m->shown.index < 0) return HN_OK;
    if (m->n > 0 && m->items[m->n - 1].item == m->shown.item) return join->duplicate_items++, HN_OK;
    const size_t events = join->options->n_events;
    HN_TRY(hn_grow(&m->items, &m->capacity, m->n + 1, sizeof *m->items, err));
    HN_TRY(hn_grow(&m->outcomes, &m->outcomes_capacity, (m->n + 1) * events, sizeof *m->outcomes,
                   err));
    m->items[m->n] = m->shown;
    for (size_t e = 0; e < events; e++) m->outcomes[m->n * events + e] = (hn_join_outcome){NAN, -1};
    m->n++;
    return HN_OK;
}

/* All lines of one request; the first line's items stay. */
static hn_status collect(matching *m, uint64_t request[2], hn_error *err) {
    const uint64_t first = m->shown.line;
    uint64_t line = first;
    memcpy(request, m->shown.request, sizeof m->shown.request);
    m->n = 0;
    m->join->requests++;
    while (m->has_shown && compare_requests(m->shown.request, request) == 0) {
        if (m->shown.line != line) m->join->duplicate_requests++;
        line = m->shown.line;
        if (line == first) HN_TRY(keep_item(m, err));
        HN_TRY(next_shown(m, err));
    }
    return HN_OK;
}

/* ---- Their events -------------------------------------------------------------------------- */

/* The first event within [shown - skew, shown + window) makes the label. */
static void judge(hn_join_state *join, hn_join_outcome *outcome, const hn_join_shown *item,
                  const hn_join_happened *event) {
    hn_join_event_counts *const counts = &join->counts[event->event];
    const int64_t after = event->time_ms - item->time_ms;
    if (after < -join->options->skew_ms) {
        counts->early++;
    } else if (after >= join->options->events[event->event].window_ms) {
        counts->late++;
    } else if (outcome->label == 1) {
        counts->duplicates++;
    } else {
        *outcome = (hn_join_outcome){event->value, 1};
        counts->matched++;
        if (!isnan(event->value)) counts->value += event->value;
    }
}

static hn_status take_events(matching *m, const uint64_t request[2], hn_error *err) {
    hn_join_state *const join = m->join;
    size_t i = 0;
    while (m->has_happened && compare_requests(m->happened.request, request) == 0) {
        while (i < m->n && m->items[i].item < m->happened.item) i++;
        if (i < m->n && m->items[i].item == m->happened.item)
            judge(join, &m->outcomes[i * join->options->n_events + (size_t)m->happened.event],
                  &m->items[i], &m->happened);
        else
            join->counts[m->happened.event].unknown_item++;
        HN_TRY(next_happened(m, err));
    }
    return HN_OK;
}

/* An event that never came is a 0 only when its window has passed; one that came is a 1. */
static hn_join_outcome settle(hn_join_event_counts *counts, hn_join_outcome outcome, bool passed) {
    if (outcome.label < 0 && passed) outcome.label = 0;
    counts->immature += outcome.label < 0;
    counts->zeros += outcome.label == 0;
    counts->ones += outcome.label == 1;
    counts->open_ones += outcome.label == 1 && !passed;
    return outcome;
}

static hn_status finish_item(matching *m, size_t i, hn_error *err) {
    hn_join_state *const join = m->join;
    const hn_join_options *const o = join->options;
    const hn_join_shown *const item = &m->items[i];
    const hn_join_outcome *const outcomes = &m->outcomes[i * o->n_events];
    const int64_t age = join->now_ms - item->time_ms;
    bool open = false;
    for (size_t e = 0; e < o->n_events; e++) open |= age < o->events[e].window_ms;
    join->open_rows += open;
    join->bare_rows += (uint64_t)item->bare;
    if ((open && o->complete) || (item->bare && o->with_features)) return HN_OK;
    *m->row = (hn_join_row){item->time_ms,  {item->request[0], item->request[1]},
                            item->shared,   item->own,
                            item->position, item->index};
    for (size_t e = 0; e < o->n_events; e++) {
        const hn_join_outcome settled =
            settle(&join->counts[e], outcomes[e], age >= o->events[e].window_ms);
        memcpy(&m->row->outcomes[e], &settled, sizeof settled);
    }
    join->n_rows++;
    return hn_sorter_add(join->rows, m->row, 1, err);
}

static hn_status match_request(matching *m, hn_error *err) {
    uint64_t request[2];
    HN_TRY(collect(m, request, err));
    HN_TRY(take_events(m, request, err));
    for (size_t i = 0; i < m->n; i++) HN_TRY(finish_item(m, i, err));
    return HN_OK;
}

/* ---- The merge ----------------------------------------------------------------------------- */

static hn_status match_all(matching *m, hn_error *err) {
    HN_TRY(hn_sorter_finish(m->join->shown, err));
    HN_TRY(hn_sorter_finish(m->join->happened, err));
    HN_TRY(next_shown(m, err));
    HN_TRY(next_happened(m, err));
    for (uint64_t step = 0; m->has_shown || m->has_happened; step++) {
        if (step % 4096 == 0 && hn_stopped(m->join->run))
            return hn_fail(err, HN_INTERRUPTED, "join: stopped by request");
        if (m->has_happened &&
            (!m->has_shown || compare_requests(m->happened.request, m->shown.request) < 0)) {
            m->join->counts[m->happened.event].unknown_request++;
            HN_TRY(next_happened(m, err));
        } else {
            HN_TRY(match_request(m, err));
        }
    }
    return hn_sorter_finish(m->join->rows, err);
}

hn_status hn_join_match(hn_join_state *join, hn_error *err) {
    matching m = {.join = join, .row = hn_alloc_zero(1, join->row_bytes)};
    const hn_status status = m.row ? match_all(&m, err) : hn_no_memory(err, "a row");
    hn_free(m.row);
    hn_free(m.items);
    hn_free(m.outcomes);
    return status;
}
