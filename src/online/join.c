/* hn_join: the options are checked, exposures and events read, matched and written, one after the
 * other. The parts are told of in join.h. */
#include "online/join.h"

#include <stdio.h>
#include <string.h>

#include "base/config_options.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/budget.h"

hn_status hn_join_bad_line(hn_join_state *join, const hn_error *why, hn_error *err) {
    if (why->status != HN_BAD_DATA || join->bad >= (uint64_t)join->options->bad_lines) {
        if (why->status != HN_BAD_DATA || join->options->bad_lines == 0)
            return hn_fail(err, why->status, "%s", why->text);
        return hn_fail(err, HN_BAD_DATA, "%.800s (and %llu lines before; --bad-lines allows more)",
                       why->text, (unsigned long long)join->bad);
    }
    join->bad++;
    if (join->n_examples == HN_JOIN_EXAMPLES) return HN_OK;
    char *const text = hn_strdup(why->text);
    if (!text) return hn_no_memory(err, "a bad line");
    join->examples[join->n_examples++] = text;
    return HN_OK;
}

/* ---- Options --------------------------------------------------------------------------------- */

static hn_status check_task(const hn_join_options *options, size_t e, hn_error *err) {
    const char *const task = options->events[e].task;
    if (!hn_text_is_name(task))
        return hn_fail(err, HN_USAGE,
                       "join: the %zu. event has no usable name; expected 1 to 200 characters "
                       "without control characters",
                       e + 1);
    for (int c = 0; c < HN_JOIN_FIXED; c++)
        if (strcmp(task, hn_join_fixed[c]) == 0)
            return hn_fail(err, HN_USAGE,
                           "join: an event cannot be called \"%s\": the log has a "
                           "column of this name",
                           task);
    for (size_t i = 0; i < e; i++)
        if (strcmp(task, options->events[i].task) == 0)
            return hn_fail(err, HN_USAGE,
                           "join: the event \"%s\" is given twice; give its files in "
                           "one, with commas between",
                           task);
    return HN_OK;
}

static bool is_renamed(const hn_join_options *o, const char *name) {
    for (size_t i = 0; i < o->n_renames; i++)
        if (strncmp(o->renames[i], name, strlen(name)) == 0 && o->renames[i][strlen(name)] == '=')
            return true;
    return false;
}

static bool is_task_column(const hn_join_options *o, const char *name) {
    for (size_t e = 0; e < o->n_events; e++) {
        const size_t n = strlen(o->events[e].task);
        if (strncmp(name, o->events[e].task, n) == 0 &&
            (name[n] == '\0' || strcmp(name + n, "_value") == 0))
            return true;
    }
    return false;
}

/* OLD=NEW: a new name may not be another's that stays. */
static hn_status check_rename(const hn_join_options *o, size_t i, hn_error *err) {
    const char *const equals = strchr(o->renames[i], '='), *const to = equals ? equals + 1 : "";
    if (!equals || equals == o->renames[i] || !hn_text_is_name(to))
        return hn_fail(err, HN_USAGE,
                       "join: found the renaming \"%.300s\"; expected OLD=NEW, as in user=user_id",
                       o->renames[i]);
    bool taken = is_task_column(o, to);
    for (int c = 0; c < HN_JOIN_FIXED; c++)
        taken = taken || (strcmp(to, hn_join_fixed[c]) == 0 && !is_renamed(o, hn_join_fixed[c]));
    for (size_t k = 0; k < i; k++) {
        const char *const other = strchr(o->renames[k], '=');
        taken = taken || strcmp(other + 1, to) == 0;
        if ((size_t)(other - o->renames[k]) == (size_t)(equals - o->renames[i]) &&
            memcmp(o->renames[k], o->renames[i], (size_t)(equals - o->renames[i])) == 0)
            return hn_fail(err, HN_USAGE, "join: \"%.300s\" renames a column for the second time",
                           o->renames[i]);
    }
    return taken
               ? hn_fail(err, HN_USAGE, "join: \"%.300s\": a column of that name is already there",
                         o->renames[i])
               : HN_OK;
}

static hn_status check_options(const hn_join_options *o, hn_error *err) {
    if (o->n_events < 1 || o->n_events > HN_JOIN_EVENTS_MAX)
        return hn_fail(err, HN_USAGE, "join: found %zu events; expected 1 to %d", o->n_events,
                       HN_JOIN_EVENTS_MAX);
    for (size_t e = 0; e < o->n_events; e++) {
        HN_TRY(check_task(o, e, err));
        if (o->events[e].window_ms < 1 || o->events[e].window_ms >= HN_JOIN_TIME_MAX)
            return hn_fail(err, HN_USAGE,
                           "join: event \"%s\": found a window of %lld ms; expected "
                           "1 at least",
                           o->events[e].task, (long long)o->events[e].window_ms);
    }
    for (size_t i = 0; i < o->n_renames; i++) HN_TRY(check_rename(o, i, err));
    if (o->skew_ms < 0 || o->skew_ms >= HN_JOIN_TIME_MAX || o->bad_lines < 0 ||
        (o->has_now && (o->now_ms < 0 || o->now_ms >= HN_JOIN_TIME_MAX)))
        return hn_fail(err, HN_USAGE, "join: a time or a limit is negative or too large");
    return HN_OK;
}

/* ---- Sorting ------------------------------------------------------------------------------- */

#define ORDER(x, y) \
    if ((x) != (y)) return (x) < (y) ? -1 : 1

static int compare_shown(const void *a, const void *b) {
    const hn_join_shown *const x = a, *const y = b;
    ORDER(x->request[0], y->request[0]);
    ORDER(x->request[1], y->request[1]);
    ORDER(x->time_ms, y->time_ms);
    ORDER(x->line, y->line);
    ORDER(x->item, y->item);
    ORDER(x->index, y->index);
    return 0;
}

static int compare_happened(const void *a, const void *b) {
    const hn_join_happened *const x = a, *const y = b;
    ORDER(x->request[0], y->request[0]);
    ORDER(x->request[1], y->request[1]);
    ORDER(x->item, y->item);
    ORDER(x->event, y->event);
    ORDER(x->time_ms, y->time_ms);
    ORDER(x->sequence, y->sequence);
    return 0;
}

static int compare_rows(const void *a, const void *b) {
    const hn_join_row *const x = a, *const y = b;
    ORDER(x->time_ms, y->time_ms);
    ORDER(x->request[0], y->request[0]);
    ORDER(x->request[1], y->request[1]);
    ORDER(x->position, y->position);
    ORDER(x->index, y->index);
    return 0;
}

static hn_status open_parts(hn_join_state *join, hn_error *err) {
    const hn_join_options *const o = join->options;
    const char *const dir = join->run && join->run->out_dir ? join->run->out_dir : ".";
    const int64_t budget = hn_budget_left(join->run) / 4;
    join->row_bytes = sizeof(hn_join_row) + o->n_events * sizeof(hn_join_outcome);
    HN_TRY(hn_join_columns_init(&join->columns, o->columns, o->n_columns, err));
    HN_TRY(hn_join_spool_open(&join->spool, dir, err));
    HN_TRY(hn_sorter_create(&join->shown, sizeof(hn_join_shown), compare_shown, budget, dir, err));
    HN_TRY(hn_sorter_create(&join->happened, sizeof(hn_join_happened), compare_happened, budget,
                            dir, err));
    return hn_sorter_create(&join->rows, join->row_bytes, compare_rows, budget, dir, err);
}

/* ---- The whole ----------------------------------------------------------------------------- */

static void tell_phase(const hn_join_state *join, const char *phase, double done) {
    if (!join->run || !join->run->progress) return;
    const hn_progress progress = {.phase = phase,
                                  .done = done,
                                  .total = (double)join->options->n_events + 3,
                                  .memory_bytes = hn_memory_own()};
    join->run->progress(join->run->user, &progress);
}

static hn_status read_exposures(hn_join_state *join, const char *const *patterns, size_t n,
                                hn_error *err) {
    hn_paths paths;
    HN_TRY(hn_paths_glob(&paths, ".", patterns, n, err));
    const hn_status status =
        hn_join_read_exposures(join, (const char *const *)paths.paths, paths.n, err);
    hn_paths_free(&paths);
    return status;
}

static hn_status read_all(hn_join_state *join, const char *const *exposures, size_t n,
                          hn_error *err) {
    tell_phase(join, "exposures", 0);
    HN_TRY(read_exposures(join, exposures, n, err));
    int64_t last = join->last_ms;
    for (size_t e = 0; e < join->options->n_events; e++) {
        tell_phase(join, "events", (double)e + 1);
        HN_TRY(hn_join_read_events(join, (int32_t)e, err));
        if (join->counts[e].last_ms > last) last = join->counts[e].last_ms;
    }
    join->now_ms = join->options->has_now ? join->options->now_ms : last;
    return HN_OK;
}

bool hn_join_ends_early(const hn_join_state *join, size_t event) {
    enum { EVENTS_LEAST = 20, EXPECTED_MOST = 50 };
    const hn_join_event_counts *const c = &join->counts[event];
    if (c->events < EVENTS_LEAST || c->last_ms <= c->first_ms) return false;
    const double gap = (double)join->now_ms - (double)c->last_ms;
    return gap * (double)c->events / (double)(c->last_ms - c->first_ms) > EXPECTED_MOST;
}

/* What is likely a mistake though no line is wrong. */
static void warn(const hn_join_state *join) {
    for (size_t e = 0; e < join->options->n_events; e++) {
        const hn_join_event_counts *const c = &join->counts[e];
        const char *const task = join->options->events[e].task;
        if (c->events > 0 && c->matched == 0)
            hn_say(join->run, HN_LOG_WARNING,
                   "join: not one of %llu events \"%s\" fits an exposure; are request_id, item and "
                   "time_ms (milliseconds) those of the exposures?",
                   (unsigned long long)c->events, task);
        if (hn_join_ends_early(join, e))
            hn_say(
                join->run, HN_LOG_WARNING,
                "join: the events \"%s\" end %.0f minutes before the end of the logs, too long for "
                "their rate: labels may be 0 that are not known; --now %lld is when they end",
                task, (double)(join->now_ms - c->last_ms) / 60000, (long long)c->last_ms);
    }
}

static hn_status join_all(hn_join_state *join, const char *const *exposures, size_t n,
                          hn_write write, void *user, hn_error *err) {
    HN_TRY(check_options(join->options, err));
    HN_TRY(open_parts(join, err));
    HN_TRY(read_all(join, exposures, n, err));
    tell_phase(join, "match", (double)join->options->n_events + 1);
    HN_TRY(hn_join_match(join, err));
    tell_phase(join, "write", (double)join->options->n_events + 2);
    HN_TRY(hn_join_write(join, write, user, err));
    warn(join);
    return HN_OK;
}

static void free_parts(hn_join_state *join) {
    for (int32_t i = 0; i < join->n_examples; i++) hn_free(join->examples[i]);
    hn_sorter_free(join->shown);
    hn_sorter_free(join->happened);
    hn_sorter_free(join->rows);
    hn_join_spool_free(join->spool);
    hn_join_columns_free(&join->columns);
    hn_free(join);
}

hn_status hn_join(hn_report **out, const char *const *exposures, size_t n_exposures,
                  const hn_join_options *options, hn_write write, void *user, const hn_run *run,
                  hn_error *err) {
    *out = NULL;
    hn_join_state *const join = hn_alloc_zero(1, sizeof *join);
    if (!join) return hn_no_memory(err, "the join");
    join->options = options;
    join->run = run;
    join->first_ms = INT64_MAX;
    join->last_ms = -1;
    for (int e = 0; e < HN_JOIN_EVENTS_MAX; e++)
        join->counts[e] = (hn_join_event_counts){.first_ms = INT64_MAX, .last_ms = -1};
    hn_status status = join_all(join, exposures, n_exposures, write, user, err);
    if (status == HN_OK) status = hn_join_tell(out, join, err);
    free_parts(join);
    return status;
}
