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

/* ---- JSON ---------------------------------------------------------------------------------- */

static void set(json_t *json, const char *name, uint64_t count) {
    json_object_set_new(json, name, json_integer((json_int_t)count));
}

static json_t *event_json(const hn_join_state *join, size_t e) {
    const hn_join_event_counts *const c = &join->counts[e];
    const double rate = rate_of(c);
    json_t *const json = json_object();
    json_object_set_new(json, "task", json_string(join->options->events[e].task));
    set(json, "window_ms", (uint64_t)join->options->events[e].window_ms);
    set(json, "positives", c->ones);
    set(json, "open_positives", c->open_ones);
    set(json, "zeros", c->zeros);
    set(json, "immature", c->immature);
    json_object_set_new(json, "rate", isnan(rate) ? json_null() : json_real(rate));
    if (c->has_value) json_object_set_new(json, "value", json_real(c->value));
    set(json, "events", c->events);
    set(json, "matched", c->matched);
    set(json, "duplicates", c->duplicates);
    set(json, "early", c->early);
    set(json, "late", c->late);
    set(json, "unmatched", c->unknown_request + c->unknown_item);
    set(json, "unknown_request", c->unknown_request);
    set(json, "unknown_item", c->unknown_item);
    json_object_set_new(json, "first_ms", time_or_null(c->first_ms, c->events > 0));
    json_object_set_new(json, "last_ms", time_or_null(c->last_ms, c->events > 0));
    json_object_set_new(json, "ends_early", json_boolean(hn_join_ends_early(join, e)));
    return json;
}

static json_t *exposures_json(const hn_join_state *join) {
    json_t *const json = json_object();
    set(json, "lines", join->lines);
    set(json, "requests", join->requests);
    set(json, "items", join->items);
    set(json, "duplicate_requests", join->duplicate_requests);
    set(json, "duplicate_items", join->duplicate_items);
    set(json, "items_without_id", join->nameless);
    json_object_set_new(json, "first_ms", time_or_null(join->first_ms, join->lines > 0));
    json_object_set_new(json, "last_ms", time_or_null(join->last_ms, join->lines > 0));
    return json;
}

static json_t *report_json(const hn_join_state *join) {
    json_t *const json = json_object(), *const events = json_array(), *const bad = json_array();
    for (size_t e = 0; e < join->options->n_events; e++)
        json_array_append_new(events, event_json(join, e));
    for (int32_t i = 0; i < join->n_examples; i++)
        json_array_append_new(bad, json_string(join->examples[i]));
    set(json, "rows", join->n_rows);
    set(json, "open_rows", join->open_rows);
    set(json, "rows_without_features", join->bare_rows);
    json_object_set_new(json, "now_ms", time_or_null(join->now_ms, join->now_ms >= 0));
    json_object_set_new(json, "exposures", exposures_json(join));
    json_object_set_new(json, "events", events);
    set(json, "bad_lines", join->bad);
    json_object_set_new(json, "bad_examples", bad);
    return json;
}

/* ---- Text ---------------------------------------------------------------------------------- */

static void show_time(char out[32], int64_t ms) {
    struct tm utc;
    const time_t seconds = (time_t)(ms / 1000);
    if (!gmtime_r(&seconds, &utc) || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
        snprintf(out, 32, "%lld ms", (long long)ms);
}

static void add_counts(hn_text *text, const hn_join_state *join) {
    char first[32] = "", last[32] = "", now[32] = "?";
    if (join->lines > 0) show_time(first, join->first_ms);
    if (join->lines > 0) show_time(last, join->last_ms);
    if (join->now_ms >= 0) show_time(now, join->now_ms);
#define n(x) (unsigned long long)(x)
    hn_text_add(text, "%llu rows of %llu requests", n(join->n_rows), n(join->requests));
    if (join->lines > 0) hn_text_add(text, ", shown %s to %s", first, last);
    hn_text_add(text, "\nlogs complete until %s (%s); ", now,
                join->options->has_now ? "as given" : "the latest time in them");
    hn_text_add(text, "%llu rows have an open window%s\n", n(join->open_rows),
                join->options->complete && join->open_rows ? " and are left out" : "");
    if (join->bare_rows > 0)
        hn_text_add(text, "%llu rows were logged without features%s\n", n(join->bare_rows),
                    join->options->with_features ? " and are left out" : "");
    if (join->nameless > 0)
        hn_text_add(text, "%llu items without an id: left out\n", n(join->nameless));
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
