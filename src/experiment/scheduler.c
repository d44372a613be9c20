/* The loop: who has ended, whose turn it is, what may begin. It runs in the caller's thread and
 * looks twenty times a second; all that is to be remembered is on disk when it is looked at. */
#include <stdio.h>
#include <time.h>

#include "experiment/campaign.h"

static const struct timespec PAUSE = {.tv_nsec = 50000000};
static const double SHOW_SECONDS = 1;

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int32_t count(const hn_campaign *c, hn_item_state state) {
    int32_t n = 0;
    for (int32_t i = 0; i < c->n_items; i++) n += c->items[i].state == state;
    return n;
}

/* ---- Ends ---- */

static hn_status reap(hn_campaign *c, hn_error *err) {
    for (int32_t i = 0; i < c->n_items; i++) {
        hn_item *const item = &c->items[i];
        if (item->state == HN_ITEM_RUNNING && hn_child_ended(&item->child))
            HN_TRY(hn_item_end(item, c, err));
    }
    return HN_OK;
}

static void ask_all(hn_campaign *c) {
    if (c->asked) return;
    c->asked = true;
    for (int32_t i = 0; i < c->n_items; i++)
        if (c->items[i].state == HN_ITEM_RUNNING) hn_child_ask(&c->items[i].child);
}

/* ---- Beginnings ---- */

/* As many as there are places and memory for; one always. */
static bool fits(const hn_item *item, const hn_campaign *c) {
    int64_t taken = hn_item_expected(item, c);
    int32_t running = 0;
    for (int32_t i = 0; i < c->n_items; i++) {
        if (c->items[i].state != HN_ITEM_RUNNING) continue;
        const int64_t now = hn_item_expected(&c->items[i], c);
        taken += now > c->items[i].expected_bytes ? now : c->items[i].expected_bytes;
        running++;
    }
    return running == 0 || taken <= c->memory;
}

static hn_status begin(hn_campaign *c, hn_error *err) {
    int32_t running = count(c, HN_ITEM_RUNNING);
    for (int32_t i = 0; i < c->n_items && running < c->jobs; i++) {
        hn_item *const item = &c->items[i];
        if (item->state != HN_ITEM_READY) continue;
        if (!fits(item, c)) return HN_OK; /* those behind it wait, too: none starves */
        hn_item_began how;
        HN_TRY(hn_item_start(&how, item, c, err));
        running += how == HN_START_RUNS;
    }
    return HN_OK;
}

/* ---- The loop ---- */

/* Nothing more will come of it; the trials of a search that is over too. */
static bool is_settled(const hn_item *item, const hn_campaign *c) {
    if (item->trial >= 0) return hn_campaign_study(c, item->base, item->model)->known;
    return item->state == HN_ITEM_DONE || item->state == HN_ITEM_FAILED;
}

int32_t hn_campaign_settled(const hn_campaign *c) {
    int32_t n = 0;
    for (int32_t i = 0; i < c->n_items; i++) n += is_settled(&c->items[i], c);
    return n;
}

void hn_campaign_left(char *out, size_t n, const hn_campaign *c) {
    enum { LEAST = 4 };
    const int32_t now = hn_campaign_settled(c), since = now - c->settled;
    const double seconds = seconds_now() - c->started;
    const double left = since > 0 ? seconds / since * (c->n_items - now) : 0;
    out[0] = '\0';
    if (since < LEAST || now >= c->n_items) return;
    if (left < 90)
        snprintf(out, n, ", about %.0f s left", left);
    else if (left < 5400)
        snprintf(out, n, ", about %.0f min left", left / 60);
    else
        snprintf(out, n, ", about %.1f h left", left / 3600);
}

static void show(const hn_campaign *c, double *shown) {
    const double now = seconds_now();
    if (!c->run->progress || now - *shown < SHOW_SECONDS) return;
    *shown = now;
    const hn_progress progress = {.phase = "experiment",
                                  .done = hn_campaign_settled(c),
                                  .total = c->n_items,
                                  .loss = __builtin_nan(""),
                                  .memory_bytes = hn_memory_own()};
    c->run->progress(c->run->user, &progress);
}

static hn_status turn(hn_campaign *c, hn_error *err) {
    HN_TRY(reap(c, err));
    if (hn_stopped(c->run)) {
        ask_all(c);
        return HN_OK;
    }
    HN_TRY(hn_studies_advance(c, err));
    HN_TRY(begin(c, err));
    return hn_studies_advance(c, err); /* what was known already may have opened more */
}

static bool is_over(const hn_campaign *c) {
    if (count(c, HN_ITEM_RUNNING) > 0) return false;
    if (c->asked) return true;
    if (count(c, HN_ITEM_READY) > 0) return false;
    for (int32_t k = 0; k < c->config->n_bases * c->config->n_models; k++)
        if (!c->studies[k].known) return false;
    return true;
}

/* Nobody is left behind: what runs stops in order before a failure is returned. */
static void wind_down(hn_campaign *c) {
    ask_all(c);
    while (count(c, HN_ITEM_RUNNING) > 0) {
        for (int32_t i = 0; i < c->n_items; i++)
            if (c->items[i].state == HN_ITEM_RUNNING && hn_child_ended(&c->items[i].child))
                c->items[i].state = HN_ITEM_READY;
        nanosleep(&PAUSE, NULL);
    }
}

hn_status hn_campaign_execute(hn_campaign *c, hn_error *err) {
    double shown = 0;
    c->started = seconds_now();
    c->settled = hn_campaign_settled(c);
    do {
        const hn_status status = turn(c, err);
        if (status != HN_OK) {
            wind_down(c);
            return status;
        }
        show(c, &shown);
        if (is_over(c)) break;
        nanosleep(&PAUSE, NULL);
    } while (true);
    if (!c->asked) return HN_OK;
    return hn_fail(err, HN_INTERRUPTED,
                   "stopped by request; %d of %d runs and trials are done, and the same command "
                   "goes on",
                   (int)hn_campaign_settled(c), (int)c->n_items);
}
