/* hn_simulate_live: users of the simulated platform in front of a real server. Each request
 * has 50 candidates; the first 10 of the answer are shown; clicks and orders follow the same
 * hidden truth as the log's. Since the truth is known, so is what every shown list was worth:
 * its expected orders, without the noise of the users' dice. */
#include "simulate/live.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "simulate/simulate.h"

enum { ARMS_MAX = 64, SERVERS = 2 };
static const int64_t first_max = INT64_C(1) << 40;

typedef struct worth { /* expected by the truth, of all lists of an arm in a scenario */
    double requests, clicks, orders, value;
    uint64_t clicked, ordered; /* what the dice made of it */
} worth;

typedef struct pair_worth { /* a scenario's lists of both servers for the same requests */
    double requests, a, b, aa, bb, ab; /* sums of expected orders, squares and products */
    double clicks_a, clicks_b;
} pair_worth;

typedef struct live {
    const hn_live_options *options;
    const hn_run *run;
    hn_truth *truth;
    hn_live_client *clients[SERVERS];
    int32_t servers;
    hn_writer *clicks, *orders;
    hn_sim_request requests[HN_LIVE_BATCH];
    hn_sim_user users[HN_LIVE_BATCH];
    int64_t candidates[HN_LIVE_BATCH][HN_LIVE_CANDIDATES];
    char *bodies[HN_LIVE_BATCH];
    hn_live_answer answers[SERVERS][HN_LIVE_BATCH];
    char *arms[ARMS_MAX];
    int32_t n_arms;
    worth worth[ARMS_MAX][HN_SIM_SCENARIOS];
    pair_worth pairs[HN_SIM_SCENARIOS];
    uint64_t answered, failed, fallbacks;
    char first_failure[256];
} live;

/* ---- Requests -------------------------------------------------------------------------- */

static json_t *id_json(int64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number + 1);
    return json_string(text);
}

static json_t *request_json(const hn_sim_request *request, const int64_t *candidates) {
    char id[40];
    json_t *const recent = json_array(), *const items = json_array();
    for (int k = 0; k < HN_SIM_RECENT; k++)
        json_array_append_new(recent, id_json(request->recent[k]));
    for (int k = 0; k < HN_LIVE_CANDIDATES; k++)
        json_array_append_new(items, json_pack("{s:o}", "id", id_json(candidates[k])));
    snprintf(id, sizeof id, "live-%" PRIx64, request->id);
    return json_pack("{s:s, s:s, s:{s:o, s:o}, s:{s:i}, s:o, s:i}", "request_id", id, "scenario",
                     hn_sim_scenarios[request->scenario].name, "user", "id", id_json(request->user),
                     "recent_categories", recent, "context", "hour",
                     (int)(request->second_of_day / 3600), "candidates", items, "limit",
                     HN_LIVE_SHOWN);
}

static hn_status make_bodies(live *l, int64_t first, int32_t n, hn_error *err) {
    for (int32_t i = 0; i < n; i++) {
        hn_traffic_live(&l->requests[i], &l->users[i], l->candidates[i], HN_LIVE_CANDIDATES,
                        l->truth, (uint64_t)(l->options->first + first + i),
                        (uint64_t)l->options->requests);
        json_t *const json = request_json(&l->requests[i], l->candidates[i]);
        l->bodies[i] = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        if (!l->bodies[i]) return hn_no_memory(err, "a request");
    }
    return HN_OK;
}

/* ---- Answers ----------------------------------------------------------------------------- */

static void note_failure(live *l, const hn_live_answer *answer, const char *what) {
    l->failed++;
    if (l->first_failure[0]) return;
    if (answer->status == 0)
        snprintf(l->first_failure, sizeof l->first_failure, "%s", answer->reason);
    else
        snprintf(l->first_failure, sizeof l->first_failure, "%s %ld: %.160s", what, answer->status,
                 answer->body.text ? answer->body.text : "");
}

/* The items shown, by number; false when the answer is no list of the request's candidates. */
static bool read_items(int64_t *items, int32_t *n, const json_t *answer,
                       const int64_t *candidates) {
    const json_t *const all = json_object_get(answer, "items");
    if (!json_is_array(all)) return false;
    *n = 0;
    for (size_t k = 0; k < json_array_size(all) && *n < HN_LIVE_SHOWN; k++) {
        const json_t *const id = json_object_get(json_array_get(all, k), "id");
        if (!json_is_string(id)) return false;
        const int64_t item = strtoll(json_string_value(id), NULL, 10) - 1;
        bool known = false;
        for (int c = 0; c < HN_LIVE_CANDIDATES; c++) known = known || candidates[c] == item;
        if (!known) return false;
        items[(*n)++] = item;
    }
    return *n > 0;
}

/* "LAYER=ARM …" of the answer as a number; the last one takes what is too many. */
static hn_status arm_of(int32_t *out, live *l, const json_t *answer, hn_error *err) {
    hn_text name = {0};
    const char *layer;
    json_t *arm;
    json_t *const arms = json_object_get(answer, "arms");
    json_object_foreach(arms, layer, arm) if (json_is_string(arm))
        hn_text_add(&name, "%s%s=%s", name.length ? " " : "", layer, json_string_value(arm));
    if (!name.length) hn_text_add(&name, "-");
    if (name.failed) return hn_no_memory(err, "an arm's name");
    for (*out = 0; *out < l->n_arms && strcmp(l->arms[*out], name.text) != 0;) ++*out;
    if (*out == ARMS_MAX) *out = ARMS_MAX - 1;
    if (*out == l->n_arms) l->arms[l->n_arms++] = hn_strdup(name.text);
    hn_text_free(&name);
    return l->arms[*out] ? HN_OK : hn_no_memory(err, "an arm's name");
}

/* ---- What the users do --------------------------------------------------------------------- */

static void probabilities(double p[HN_SIM_TASKS], const live *l, int32_t i, int64_t item,
                          int32_t position) {
    const hn_sim_request *const request = &l->requests[i];
    const int32_t hour = request->second_of_day / 3600;
    const hn_sim_moment moment = {request->scenario, hour, position};
    hn_truth_probabilities(p, &l->users[i], hn_truth_item(l->truth, item), moment);
}

static void write_event(hn_writer *writer, const live *l, int32_t i, int64_t item,
                        int64_t time_ms) {
    char line[160];
    const double price = (double)hn_truth_item(l->truth, item)->price;
    const int n = snprintf(line, sizeof line, "live-%" PRIx64 ",%" PRId64 ",%" PRId64 ",%.2f\n",
                           l->requests[i].id, item + 1, time_ms, price);
    hn_writer_write(writer, line, (size_t)n);
}

/* The server stamps exposures with its clock, so events get the time now plus what the user
 * took: seconds to a click, minutes to an order. Only that delay is simulated. */
static void act(live *l, int32_t i, const int64_t *items, int32_t n, worth *w) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    w->requests++;
    for (int32_t k = 0; k < n; k++) {
        double p[HN_SIM_TASKS];
        uint8_t did[HN_SIM_TASKS];
        probabilities(p, l, i, items[k], k);
        hn_traffic_outcome(did, p, l->truth, l->requests[i].id, k);
        w->clicks += p[0];
        w->orders += p[1];
        w->value += p[1] * (double)hn_truth_item(l->truth, items[k])->price;
        w->clicked += did[0];
        w->ordered += did[1];
        const int64_t click_ms = now_ms + 1000 + 2000 * k;
        if (did[0] && l->clicks) write_event(l->clicks, l, i, items[k], click_ms);
        if (did[1] && l->orders) write_event(l->orders, l, i, items[k], click_ms + 60000);
    }
}

/* One answer of one server; *list is what it was worth. */
static hn_status take_answer(live *l, int32_t server, int32_t i, worth *list, bool *good,
                             hn_error *err) {
    const hn_live_answer *const answer = &l->answers[server][i];
    int64_t items[HN_LIVE_SHOWN];
    int32_t n, arm;
    *good = false;
    json_t *const json =
        answer->status == 200 && answer->body.text ? json_loads(answer->body.text, 0, NULL) : NULL;
    if (!json || !read_items(items, &n, json, l->candidates[i])) {
        note_failure(l, answer, json ? "an answer without the items asked for," : "status");
        json_decref(json);
        return HN_OK;
    }
    const hn_status status = arm_of(&arm, l, json, err);
    if (status == HN_OK) {
        *good = true;
        l->answered++;
        l->fallbacks += json_is_string(json_object_get(json, "fallback"));
        act(l, i, items, n, list);
        worth *const w = &l->worth[arm][l->requests[i].scenario];
        w->requests++, w->clicks += list->clicks, w->orders += list->orders;
        w->value += list->value, w->clicked += list->clicked, w->ordered += list->ordered;
    }
    json_decref(json);
    return status;
}

static void add_pair(pair_worth *p, const worth *a, const worth *b) {
    p->requests++;
    p->a += a->orders, p->b += b->orders;
    p->aa += a->orders * a->orders, p->bb += b->orders * b->orders, p->ab += a->orders * b->orders;
    p->clicks_a += a->clicks, p->clicks_b += b->clicks;
}

static hn_status take_answers(live *l, int32_t n, hn_error *err) {
    for (int32_t i = 0; i < n; i++) {
        worth list[SERVERS] = {0};
        bool good[SERVERS] = {0};
        for (int32_t s = 0; s < l->servers; s++)
            HN_TRY(take_answer(l, s, i, &list[s], &good[s], err));
        if (good[0] && good[1]) add_pair(&l->pairs[l->requests[i].scenario], &list[0], &list[1]);
    }
    return HN_OK;
}

static void free_batch(live *l) {
    for (int32_t i = 0; i < HN_LIVE_BATCH; i++) {
        free(l->bodies[i]); /* jansson's */
        l->bodies[i] = NULL;
        for (int32_t s = 0; s < SERVERS; s++) hn_text_free(&l->answers[s][i].body);
    }
}

static hn_status run_batch(live *l, int64_t first, int32_t n, hn_error *err) {
    HN_TRY(make_bodies(l, first, n, err));
    for (int32_t s = 0; s < l->servers; s++)
        HN_TRY(hn_live_client_send(l->clients[s], l->bodies, n, l->answers[s], err));
    return take_answers(l, n, err);
}

static hn_status run_all(live *l, hn_error *err) {
    const int64_t requests = l->options->requests;
    for (int64_t first = 0; first < requests; first += HN_LIVE_BATCH) {
        if (hn_stopped(l->run)) return hn_fail(err, HN_INTERRUPTED, "simulate: stopped by request");
        const int64_t left = requests - first;
        const hn_status status =
            run_batch(l, first, left < HN_LIVE_BATCH ? (int32_t)left : HN_LIVE_BATCH, err);
        free_batch(l);
        if (status != HN_OK) return status;
        if (l->answered == 0 && l->failed > 0)
            return hn_fail(err, HN_IO_FAILED,
                           "simulate: %s: none of the first %" PRIu64
                           " requests was answered as it should be; the first: %s",
                           l->options->url, l->failed, l->first_failure);
        if (l->run && l->run->progress) {
            const hn_progress progress = {.phase = "live",
                                          .done = (double)first,
                                          .total = (double)requests,
                                          .loss = NAN,
                                          .memory_bytes = hn_memory_own()};
            l->run->progress(l->run->user, &progress);
        }
    }
    return HN_OK;
}

/* ---- The report ----------------------------------------------------------------------------- */

typedef struct gain {
    double value, error; /* of orders, b over a, and its standard error over requests */
} gain;

static gain gain_of(const pair_worth *p) {
    const double g = p->a > 0 ? p->b / p->a - 1 : NAN, r = 1 + g;
    return (gain){g, sqrt(fmax(p->bb - 2 * r * p->ab + r * r * p->aa, 0)) / p->a};
}

static pair_worth all_pairs(const live *l) {
    pair_worth all = {0};
    for (int i = 0; i < HN_SIM_SCENARIOS; i++) {
        const pair_worth *const p = &l->pairs[i];
        all.requests += p->requests, all.a += p->a, all.b += p->b;
        all.aa += p->aa, all.bb += p->bb, all.ab += p->ab;
        all.clicks_a += p->clicks_a, all.clicks_b += p->clicks_b;
    }
    return all;
}

static json_t *real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *pair_json(const pair_worth *p, const char *scenario) {
    const gain g = gain_of(p);
    return json_pack("{s:s?, s:I, s:f, s:f, s:o, s:o, s:o}", "scenario", scenario, "requests",
                     (json_int_t)p->requests, "orders", p->a, "orders_against", p->b, "order_gain",
                     real(g.value), "order_gain_error", real(g.error), "click_gain",
                     real(p->clicks_a > 0 ? p->clicks_b / p->clicks_a - 1 : NAN));
}

static json_t *report_json(const live *l) {
    json_t *const arms = json_array(), *const gains = json_array();
    for (int32_t a = 0; a < l->n_arms; a++)
        for (int i = 0; i < HN_SIM_SCENARIOS; i++) {
            const worth *const w = &l->worth[a][i];
            if (w->requests > 0)
                json_array_append_new(
                    arms,
                    json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:I, s:I}", "arms", l->arms[a],
                              "scenario", hn_sim_scenarios[i].name, "requests",
                              (json_int_t)w->requests, "expected_clicks", w->clicks,
                              "expected_orders", w->orders, "expected_value", w->value, "clicks",
                              (json_int_t)w->clicked, "orders", (json_int_t)w->ordered));
        }
    const pair_worth all = all_pairs(l);
    if (l->servers > 1) json_array_append_new(gains, pair_json(&all, NULL));
    for (int i = 0; l->servers > 1 && i < HN_SIM_SCENARIOS; i++)
        json_array_append_new(gains, pair_json(&l->pairs[i], hn_sim_scenarios[i].name));
    return json_pack("{s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "requests",
                     (json_int_t)l->options->requests, "answered", (json_int_t)l->answered,
                     "failed", (json_int_t)l->failed, "fallbacks", (json_int_t)l->fallbacks,
                     "first_failure", l->first_failure, "arms", arms, "true_gain", gains);
}

static void describe_arms(hn_text *text, const live *l) {
    static const char *const head[] = {"arm",      "scenario", "requests", "clicks",
                                       "expected", "orders",   "expected"};
    hn_grid *const grid = hn_grid_create(sizeof head / sizeof *head);
    for (size_t h = 0; h < sizeof head / sizeof *head; h++) hn_grid_cell(grid, "%s", head[h]);
    for (int32_t a = 0; a < l->n_arms; a++)
        for (int i = 0; i < HN_SIM_SCENARIOS; i++) {
            const worth *const w = &l->worth[a][i];
            if (w->requests <= 0) continue;
            hn_grid_cell(grid, "%s", l->arms[a]);
            hn_grid_cell(grid, "%s", hn_sim_scenarios[i].name);
            hn_grid_cell(grid, "%.0f", w->requests);
            hn_grid_cell(grid, "%" PRIu64, w->clicked);
            hn_grid_cell(grid, "%.1f", w->clicks);
            hn_grid_cell(grid, "%" PRIu64, w->ordered);
            hn_grid_cell(grid, "%.1f", w->orders);
        }
    hn_grid_render(grid, text);
}

static void describe_gains(hn_text *text, const live *l) {
    hn_grid *const grid = hn_grid_create(4);
    hn_grid_cell(grid, "scenario");
    hn_grid_cell(grid, "requests");
    hn_grid_cell(grid, "true order gain");
    hn_grid_cell(grid, "standard error");
    const pair_worth all = all_pairs(l);
    for (int i = -1; i < HN_SIM_SCENARIOS; i++) {
        const pair_worth *const p = i < 0 ? &all : &l->pairs[i];
        const gain g = gain_of(p);
        hn_grid_cell(grid, "%s", i < 0 ? "(all)" : hn_sim_scenarios[i].name);
        hn_grid_cell(grid, "%.0f", p->requests);
        hn_grid_cell(grid, "%+.2f %%", 100 * g.value);
        hn_grid_cell(grid, "%.2f %%", 100 * g.error);
    }
    hn_grid_render(grid, text);
}

static void describe(hn_text *text, const live *l) {
    hn_text_add(text, "%" PRIu64 " answers, %" PRIu64 " failed, %" PRIu64 " by a fallback.\n\n",
                l->answered, l->failed, l->fallbacks);
    describe_arms(text, l);
    if (l->servers < 2) return;
    hn_text_add(text, "\nThe true gain of %s over %s, from the same requests to both:\n\n",
                l->options->against, l->options->url);
    describe_gains(text, l);
}

/* ---- The command --------------------------------------------------------------------------- */

static hn_status open_log(hn_writer **out, const char *dir, const char *name, hn_error *err) {
    static const char header[] = "request_id,item,time_ms,value\n";
    char *const path = hn_path_join(dir, name);
    if (!path) return hn_no_memory(err, "a path");
    const hn_status status = hn_writer_open(out, path, err);
    hn_free(path);
    if (status == HN_OK) hn_writer_write(*out, header, sizeof header - 1);
    return status;
}

static hn_status open_all(live *l, hn_error *err) {
    const hn_live_options *const o = l->options;
    const char *const dir = l->run && l->run->out_dir ? l->run->out_dir : ".";
    if (o->requests < 1)
        return hn_fail(err, HN_USAGE, "simulate: found %" PRId64 " requests; expected 1 at least",
                       o->requests);
    if (o->first < 0 || o->first > first_max)
        return hn_fail(err, HN_USAGE,
                       "simulate: found a first request of %" PRId64 "; expected 0 to %" PRId64,
                       o->first, first_max);
    HN_TRY(hn_live_client_create(&l->clients[l->servers++], o->url, err));
    HN_TRY(o->data ? hn_sim_truth_load(&l->truth, o->data, err)
                   : hn_sim_truth_of_rows(&l->truth, o->rows, o->seed, err));
    if (hn_truth_items(l->truth) < HN_LIVE_CANDIDATES)
        return hn_fail(err, HN_BAD_DATA, "simulate: the platform has fewer than %d items",
                       HN_LIVE_CANDIDATES);
    /* With a second server the lists are compared; nobody is shown them. */
    if (o->against) return hn_live_client_create(&l->clients[l->servers++], o->against, err);
    HN_TRY(hn_dir_make(dir, err));
    HN_TRY(open_log(&l->clicks, dir, "clicks.csv", err));
    return open_log(&l->orders, dir, "orders.csv", err);
}

static hn_status commit(hn_writer **writer, hn_error *err) {
    hn_writer *const taken = *writer;
    *writer = NULL;
    return taken ? hn_writer_commit(taken, err) : HN_OK;
}

static hn_status finish(hn_report **out, live *l, hn_error *err) {
    hn_text text = {0};
    HN_TRY(commit(&l->clicks, err));
    HN_TRY(commit(&l->orders, err));
    describe(&text, l);
    return hn_report_create(out, report_json(l), &text, err);
}

static void free_live(live *l) {
    free_batch(l);
    hn_writer_abandon(l->clicks);
    hn_writer_abandon(l->orders);
    for (int s = 0; s < SERVERS; s++) hn_live_client_free(l->clients[s]);
    for (int32_t a = 0; a < l->n_arms; a++) hn_free(l->arms[a]);
    hn_truth_free(l->truth);
    hn_free(l);
}

hn_status hn_simulate_live(hn_report **out, const hn_live_options *options, const hn_run *run,
                           hn_error *err) {
    *out = NULL;
    live *const l = hn_alloc_zero(1, sizeof *l);
    if (!l) return hn_no_memory(err, "the live simulation");
    l->options = options;
    l->run = run;
    hn_status status = open_all(l, err);
    if (status == HN_OK) status = run_all(l, err);
    if (status == HN_OK) status = finish(out, l, err);
    free_live(l);
    return status;
}
