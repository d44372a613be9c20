/* What hn_join tells (join.h): the counts of exposures and events, as text and as JSON. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "online/join.h"

/* Of the rows whose window has passed: others are known only where the answer is 1. */
static double rate_of(const hn_join_event_counts *c) {
    const double ones = (double)(c->ones - c->open_ones);
    return ones + (double)c->zeros > 0 ? ones / (ones + (double)c->zeros) : NAN;
}

static json_t *time_or_null(int64_t ms, bool has) { return has ? json_integer(ms) : json_null(); }

/* ---- JSON ---------------------------------------------------------------------------------------
 */

static json_t *event_json(const hn_join_state *join, size_t e) {
    const hn_join_event_counts *const c = &join->counts[e];
    const hn_join_event *const o = &join->options->events[e];
    const double rate = rate_of(c);
#define count(x) (json_int_t)(x)
    json_t *const json = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, "
        "s:b}",
        "task", o->task, "window_ms", count(o->window_ms), "positives", count(c->ones), "zeros",
        count(c->zeros), "immature", count(c->immature), "open_positives", count(c->open_ones),
        "rate", isnan(rate) ? json_null() : json_real(rate), "events", count(c->events), "matched",
        count(c->matched), "duplicates", count(c->duplicates), "early", count(c->early), "late",
        count(c->late), "unknown_request", count(c->unknown_request), "unknown_item",
        count(c->unknown_item), "first_ms", time_or_null(c->first_ms, c->events > 0), "last_ms",
        time_or_null(c->last_ms, c->events > 0), "ends_early", hn_join_ends_early(join, e));
    if (json)
        json_object_set_new(json, "unmatched",
                            json_integer(count(c->unknown_request + c->unknown_item)));
    if (json && c->has_value) json_object_set_new(json, "value", json_real(c->value));
    return json;
}

static json_t *report_json(const hn_join_state *join) {
    json_t *const events = json_array(), *const bad = json_array();
    for (size_t e = 0; e < join->options->n_events; e++)
        json_array_append_new(events, event_json(join, e));
    for (int32_t i = 0; i < join->n_examples; i++)
        json_array_append_new(bad, json_string(join->examples[i]));
    return json_pack("{s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:o, s:o}, s:o, s:I, s:o}",
                     "rows", count(join->n_rows), "open_rows", count(join->open_rows), "now_ms",
                     count(join->now_ms), "exposures", "lines", count(join->lines), "requests",
                     count(join->requests), "items", count(join->items), "duplicate_requests",
                     count(join->duplicate_requests), "duplicate_items",
                     count(join->duplicate_items), "first_ms",
                     time_or_null(join->first_ms, join->lines > 0), "last_ms",
                     time_or_null(join->last_ms, join->lines > 0), "events", events, "bad_lines",
                     count(join->bad), "bad_examples", bad);
}

/* ---- Text
 * ---------------------------------------------------------------------------------------- */

static void show_time(char out[32], int64_t ms) {
    struct tm utc;
    const time_t seconds = (time_t)(ms / 1000);
    if (!gmtime_r(&seconds, &utc) || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
        snprintf(out, 32, "%lld ms", (long long)ms);
}

static void add_counts(hn_text *text, const hn_join_state *join) {
    char first[32], last[32], now[32];
    show_time(first, join->first_ms);
    show_time(last, join->last_ms);
    show_time(now, join->now_ms);
#define n(x) (unsigned long long)(x)
    hn_text_add(text, "%llu rows of %llu requests", n(join->n_rows), n(join->requests));
    if (join->lines > 0) hn_text_add(text, ", shown %s to %s", first, last);
    hn_text_add(text, "\nlogs complete until %s (%s); ", now,
                join->options->has_now ? "as given" : "the latest time in them");
    hn_text_add(text, "%llu rows have an open window%s\n", n(join->open_rows),
                join->options->complete && join->open_rows ? " and are left out" : "");
    if (join->duplicate_requests > 0)
        hn_text_add(text, "%llu exposures of a request that was there before: left out\n",
                    n(join->duplicate_requests));
    if (join->duplicate_items > 0)
        hn_text_add(text, "%llu items shown twice in one request: the second left out\n",
                    n(join->duplicate_items));
}

static void add_labels(hn_text *text, const hn_join_state *join) {
    static const char *const head[] = {"task", "1", "0", "not known", "rate", "value"};
    hn_grid *const grid = hn_grid_create(6);
    for (int i = 0; i < 6; i++) hn_grid_cell(grid, "%s", head[i]);
    for (size_t e = 0; e < join->options->n_events; e++) {
        const hn_join_event_counts *const c = &join->counts[e];
        hn_grid_cell(grid, "%s", join->options->events[e].task);
        hn_grid_cell(grid, "%llu", n(c->ones));
        hn_grid_cell(grid, "%llu", n(c->zeros));
        hn_grid_cell(grid, "%llu", n(c->immature));
        if (isnan(rate_of(c)))
            hn_grid_cell(grid, "-");
        else
            hn_grid_cell(grid, "%.5f", rate_of(c));
        if (c->has_value)
            hn_grid_cell(grid, "%.2f", c->value);
        else
            hn_grid_cell(grid, "-");
    }
    hn_text_add(text, "\n");
    hn_grid_render(grid, text);
}

static void add_events(hn_text *text, const hn_join_state *join) {
    static const char *const head[] = {
        "event", "read", "used", "again", "early", "late", "unknown request", "unknown item"};
    hn_grid *const grid = hn_grid_create(8);
    for (int i = 0; i < 8; i++) hn_grid_cell(grid, "%s", head[i]);
    for (size_t e = 0; e < join->options->n_events; e++) {
        const hn_join_event_counts *const c = &join->counts[e];
        const uint64_t counts[] = {c->events, c->matched,         c->duplicates,  c->early,
                                   c->late,   c->unknown_request, c->unknown_item};
        hn_grid_cell(grid, "%s", join->options->events[e].task);
        for (int i = 0; i < 7; i++) hn_grid_cell(grid, "%llu", n(counts[i]));
    }
    hn_text_add(text, "\n");
    hn_grid_render(grid, text);
}

hn_status hn_join_tell(hn_report **out, const hn_join_state *join, hn_error *err) {
    hn_text text = {0};
    add_counts(&text, join);
    add_labels(&text, join);
    add_events(&text, join);
    if (join->bad > 0) hn_text_add(&text, "\n%llu lines could not be read, as\n", n(join->bad));
    for (int32_t i = 0; i < join->n_examples; i++) hn_text_add(&text, "  %s\n", join->examples[i]);
    return hn_report_create(out, report_json(join), &text, err);
}
