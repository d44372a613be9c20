/* The shelf (shelf.h): slots of models, the loader's thread, and what the admin surface may
 * ask of it.
 *
 * Why a worker never waits, and never holds what was freed. A slot counts those that are
 * `entering`: a worker adds one, reads the pointer, adds itself to the version's users, and
 * subtracts one. The loader first swaps the pointer, then waits until it has seen `entering` at
 * zero, and only then looks at the users. All are sequentially consistent: a worker that read the
 * old pointer did so between its two changes of `entering`, so when the loader sees zero after the
 * swap, that worker is among the users already, and one that enters later reads the new pointer.
 * Users of a version that no slot names only ever become fewer. */
#include "serve/shelf.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/memory.h"
#include "kernel/kernel.h"
#include "serve/journal.h"
#include "serve/shelf_inside.h"

/* ---- Workers ------------------------------------------------------------------------------- */

const hn_model_version *hn_shelf_acquire(hn_shelf *models, int32_t model, bool previous) {
    if (model < 0 || model >= models->n) return NULL;
    slot *const s = &models->slots[model];
    s->entering++;
    hn_shelf_version *const version = previous ? s->previous : s->current;
    if (version) version->users++;
    s->entering--;
    return version ? &version->view : NULL;
}

void hn_shelf_release(hn_shelf *models, const hn_model_version *version) {
    (void)models;
    if (version) ((hn_shelf_version *)(uintptr_t)version)->users--;
}

int32_t hn_shelf_find(const hn_shelf *models, const char *name) {
    for (int32_t i = 0; i < models->n; i++)
        if (strcmp(models->slots[i].config->name, name) == 0) return i;
    return -1;
}

/* ---- What is said ---------------------------------------------------------------------------- */

static void tell(const hn_shelf *shelf, const char *action, const char *model, const char *version,
                 const char *reason) {
    hn_text fields = {0};
    if (!shelf->hooks.log) return;
    hn_journal_text(&fields, "action", action);
    hn_journal_text(&fields, "model", model);
    if (version) hn_journal_text(&fields, "version", version);
    if (reason) hn_journal_text(&fields, "reason", reason);
    if (!fields.failed) shelf->hooks.log(shelf->hooks.user, fields.text);
    hn_text_free(&fields);
}

/* ---- Freeing --------------------------------------------------------------------------------- */

static void wait_for_entering(const slot *s) {
    while (s->entering != 0) sched_yield();
}

/* Puts a version among those that leave. Its slot names it no more. */
static void leave(hn_shelf *shelf, hn_shelf_version *version) {
    if (!version) return;
    version->next = shelf->leaving;
    shelf->leaving = version;
}

/* Frees those whose last request has ended. */
static void sweep(hn_shelf *shelf) {
    for (hn_shelf_version **at = &shelf->leaving; *at;) {
        hn_shelf_version *const version = *at;
        if (version->users != 0) {
            at = &version->next;
            continue;
        }
        *at = version->next;
        shelf->frees++;
        tell(shelf, "freed", version->view.model, version->view.version, NULL);
        hn_shelf_version_free(version, &shelf->hooks);
    }
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void refusal_free(refusal *r) {
    hn_free(r->version);
    hn_free(r->reason);
}

static const refusal *find_refusal(const slot *s, const hn_shelf_file *file) {
    for (size_t i = 0; i < s->n_refused; i++)
        if (strcmp(s->refused[i].version, file->version) == 0 &&
            hn_file_mark_same(&s->refused[i].mark, &file->mark))
            return &s->refused[i];
    return NULL;
}

enum { REFUSALS_KEPT = 64 };

/* The oldest makes room. Without memory it is only told, and will be tried again. */
static void refuse(hn_shelf *shelf, slot *s, const hn_shelf_file *file, const hn_error *why) {
    shelf->refusals++;
    tell(shelf, "refused", s->config->name, file->version, why->text);
    if (why->status == HN_NO_MEMORY) return; /* another time there may be */
    pthread_mutex_lock(&shelf->lock);
    refusal made = {hn_strdup(file->version), hn_strdup(why->text), file->mark};
    if (s->n_refused == REFUSALS_KEPT) {
        refusal_free(&s->refused[0]);
        memmove(s->refused, s->refused + 1, --s->n_refused * sizeof *s->refused);
    }
    if (made.version && made.reason &&
        hn_grow(&s->refused, &s->refused_capacity, s->n_refused + 1, sizeof made, NULL) == HN_OK)
        s->refused[s->n_refused++] = made;
    else
        refusal_free(&made);
    pthread_mutex_unlock(&shelf->lock);
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* The new one becomes current, the current one previous, and the one before leaves. */
static void put(hn_shelf *shelf, slot *s, hn_shelf_version *version) {
    hn_shelf_version *const current = s->current, *const before = s->previous;
    s->previous = current;
    s->current = version;
    wait_for_entering(s);
    leave(shelf, before);
    shelf->loads++;
    tell(shelf, "loaded", version->view.model, version->view.version, NULL);
}

static bool is_served(const hn_shelf_version *version, const hn_shelf_file *file) {
    return version && strcmp(version->file.version, file->version) == 0 &&
           hn_file_mark_same(&version->file.mark, &file->mark);
}

/* Loads `file` unless it is what is served; a refusal is remembered. */
static hn_status load(hn_shelf *shelf, slot *s, hn_shelf_file *file, hn_error *err) {
    hn_shelf_version *version;
    const hn_status status =
        hn_shelf_version_load(&version, file, s->config->name, shelf->workers, &shelf->hooks, err);
    if (status == HN_OK)
        put(shelf, s, version);
    else
        refuse(shelf, s, file, err);
    return status;
}

static hn_status nothing_found(const slot *s, hn_error *err) {
    struct stat found;
    if (s->pin && stat(s->config->path, &found) == 0 && S_ISREG(found.st_mode))
        return hn_fail(err, HN_NO_INPUT, "%s: there is no version \"%s\"; it is one file",
                       s->config->path, s->pin);
    if (s->pin)
        return hn_fail(err, HN_NO_INPUT, "%s: there is no version \"%s\"; expected %s.hn in it",
                       s->config->path, s->pin, s->pin);
    return hn_fail(err, HN_NO_INPUT, "%s: there is no version in it; expected a file VERSION.hn",
                   s->config->path);
}

/* The pinned version, or the newest that is not refused. Nothing new: HN_OK, and `passed_over`
 * says why a newer one is not it. */
static hn_status look_among(hn_shelf *shelf, slot *s, hn_shelf_files *files, hn_error *passed_over,
                            hn_error *err) {
    hn_status status = nothing_found(s, err);
    for (size_t i = 0; i < files->n; i++) {
        hn_shelf_file *const file = &files->items[i];
        if (s->pin && strcmp(s->pin, file->version) != 0) continue;
        if (is_served(s->current, file)) return HN_OK;
        const refusal *const known = find_refusal(s, file);
        if (known)
            status = hn_fail(err, HN_BAD_DATA, "%s", known->reason);
        else if ((status = load(shelf, s, file, err)) == HN_OK)
            return HN_OK;
        if (!passed_over->text[0])
            (void)hn_fail(passed_over, status, "version \"%s\" is refused: %s", file->version,
                          err->text);
    }
    return status;
}

static hn_status look(hn_shelf *shelf, slot *s, hn_error *passed_over, hn_error *err) {
    hn_shelf_files files;
    *passed_over = (hn_error){0};
    HN_TRY(hn_shelf_files_find(&files, s->config->path, err));
    const hn_status status = look_among(shelf, s, &files, passed_over, err);
    hn_shelf_files_free(&files);
    return status;
}

/* ---- Orders ---------------------------------------------------------------------------------- */

static void set_unloaded(hn_shelf *shelf, slot *s, bool unloaded) {
    pthread_mutex_lock(&shelf->lock);
    s->unloaded = unloaded;
    pthread_mutex_unlock(&shelf->lock);
}

static hn_status set_pin(hn_shelf *shelf, slot *s, const char *version, hn_error *err) {
    char *const pin = version ? hn_strdup(version) : NULL;
    if (version && !pin) return hn_no_memory(err, "a pin");
    pthread_mutex_lock(&shelf->lock);
    hn_free(s->pin);
    s->pin = pin;
    pthread_mutex_unlock(&shelf->lock);
    return HN_OK;
}

/* A pin that cannot be loaded leaves things as they were. */
static hn_status pin(hn_shelf *shelf, slot *s, const char *version, hn_error *err) {
    hn_error passed_over;
    char *const before = s->pin ? hn_strdup(s->pin) : NULL;
    if (s->pin && !before) return hn_no_memory(err, "a pin");
    hn_status status = set_pin(shelf, s, version, err);
    if (status == HN_OK) status = look(shelf, s, &passed_over, err);
    if (status == HN_OK)
        set_unloaded(shelf, s, false);
    else
        (void)set_pin(shelf, s, before, NULL);
    hn_free(before);
    return status;
}

static hn_status roll_back(hn_shelf *shelf, slot *s, hn_error *err) {
    hn_shelf_version *const current = s->current, *const previous = s->previous;
    if (!previous)
        return hn_fail(err, HN_FAILED, "model \"%s\" has no previous version to go back to",
                       s->config->name);
    HN_TRY(set_pin(shelf, s, previous->view.version, err));
    s->current = previous;
    s->previous = current;
    tell(shelf, "rolled back", s->config->name, previous->view.version, NULL);
    return HN_OK;
}

static void unload(hn_shelf *shelf, slot *s) {
    hn_shelf_version *const current = s->current, *const previous = s->previous;
    s->current = NULL;
    s->previous = NULL;
    set_unloaded(shelf, s, true);
    wait_for_entering(s);
    leave(shelf, current);
    leave(shelf, previous);
    tell(shelf, "unloaded", s->config->name, NULL, NULL);
}

/* Who asks for a reload has put a version there, and wants to know that it is not served. */
static hn_status reload(hn_shelf *shelf, slot *s, hn_error *err) {
    hn_error passed_over;
    HN_TRY(look(shelf, s, &passed_over, err));
    set_unloaded(shelf, s, false);
    if (!passed_over.text[0]) return HN_OK;
    const hn_shelf_version *const current = s->current; /* only this thread changes it */
    return hn_fail(err, HN_BAD_DATA, "%s; \"%s\" is served", passed_over.text,
                   current->view.version);
}

static hn_status carry_out(hn_shelf *shelf, order *o) {
    switch (o->kind) {
    case ORDER_PIN: return pin(shelf, o->slot, o->version, &o->err);
    case ORDER_ROLLBACK: return roll_back(shelf, o->slot, &o->err);
    case ORDER_UNLOAD: unload(shelf, o->slot); return HN_OK;
    case ORDER_RELOAD: break;
    }
    return reload(shelf, o->slot, &o->err);
}

static hn_status ask(hn_shelf *shelf, order_kind kind, const char *model, const char *version,
                     hn_error *err) {
    const int32_t at = hn_shelf_find(shelf, model);
    if (at < 0) return hn_fail(err, HN_NO_INPUT, "there is no model \"%s\"", model);
    order o = {.kind = kind, .slot = &shelf->slots[at], .version = version};
    pthread_mutex_lock(&shelf->lock);
    order **last = &shelf->orders;
    while (*last) last = &(*last)->next;
    *last = &o;
    pthread_cond_signal(&shelf->wake);
    while (!o.done) pthread_cond_wait(&shelf->done, &shelf->lock);
    pthread_mutex_unlock(&shelf->lock);
    return o.status == HN_OK ? HN_OK : hn_fail(err, o.status, "%s", o.err.text);
}

hn_status hn_shelf_reload(hn_shelf *models, const char *model, hn_error *err) {
    return ask(models, ORDER_RELOAD, model, NULL, err);
}
hn_status hn_shelf_pin(hn_shelf *models, const char *model, const char *version, hn_error *err) {
    return ask(models, ORDER_PIN, model, version, err);
}
hn_status hn_shelf_rollback(hn_shelf *models, const char *model, hn_error *err) {
    return ask(models, ORDER_ROLLBACK, model, NULL, err);
}
hn_status hn_shelf_unload(hn_shelf *models, const char *model, hn_error *err) {
    return ask(models, ORDER_UNLOAD, model, NULL, err);
}

/* ---- The loader ------------------------------------------------------------------------------ */

static void finish_order(hn_shelf *shelf, order *o, hn_status status) {
    pthread_mutex_lock(&shelf->lock);
    o->status = status;
    o->done = true;
    pthread_cond_broadcast(&shelf->done);
    pthread_mutex_unlock(&shelf->lock);
}

/* The next order, or NULL when it is time to look by itself; false: the shelf closes. */
static bool wait_for_order(order **out, hn_shelf *shelf, const struct timespec *until) {
    int waited = 0;
    pthread_mutex_lock(&shelf->lock);
    while (!shelf->closing && !shelf->orders && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&shelf->wake, &shelf->lock, until);
    *out = shelf->orders;
    if (*out) shelf->orders = (*out)->next;
    const bool go_on = *out || !shelf->closing;
    pthread_mutex_unlock(&shelf->lock);
    return go_on;
}

static struct timespec after(double seconds) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t ns = (int64_t)(seconds * 1e9) + t.tv_nsec;
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

static void look_at_all(hn_shelf *shelf) {
    for (int32_t i = 0; i < shelf->n; i++) {
        hn_error err = {0}, passed_over;
        slot *const s = &shelf->slots[i];
        if (!s->unloaded) (void)look(shelf, s, &passed_over, &err); /* told where it was refused */
    }
}

static double seconds_until(const struct timespec *t) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(t->tv_sec - now.tv_sec) + 1e-9 * (double)(t->tv_nsec - now.tv_nsec);
}

static void *run_loader(void *user) {
    enum { SWEEP_MS = 20 };
    hn_shelf *const shelf = user;
    const struct sched_param idle = {0};
    (void)pthread_setschedparam(pthread_self(), SCHED_IDLE,
                                &idle); /* where it may not: as others */
    (void)hn_kernel_enter();
    struct timespec next_look = after(shelf->poll_seconds);
    for (order *o;;) {
        const double left = seconds_until(&next_look);
        const struct timespec until =
            shelf->leaving && left > SWEEP_MS * 1e-3 ? after(SWEEP_MS * 1e-3) : next_look;
        if (!wait_for_order(&o, shelf, &until)) return NULL;
        if (o) finish_order(shelf, o, carry_out(shelf, o));
        sweep(shelf);
        if (o || seconds_until(&next_look) > 0) continue;
        look_at_all(shelf);
        next_look = after(shelf->poll_seconds);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static hn_status open_slots(hn_shelf *shelf, const hn_serve_config *config, hn_error *err) {
    const int32_t saved = hn_kernel_enter();
    hn_status status = HN_OK;
    hn_error passed_over;
    for (int32_t i = 0; i < shelf->n && status == HN_OK; i++) {
        slot *const s = &shelf->slots[i];
        s->config = &config->models[i];
        if (s->config->pin) status = set_pin(shelf, s, s->config->pin, err);
        if (status == HN_OK) status = look(shelf, s, &passed_over, err);
    }
    hn_kernel_leave(saved);
    return status;
}

static hn_status start_loader(hn_shelf *shelf, hn_error *err) {
    const int failed = pthread_create(&shelf->loader, NULL, run_loader, shelf);
    if (failed)
        return hn_fail(err, HN_FAILED, "the loader's thread cannot be made: %s", strerror(failed));
    shelf->started = true;
    return HN_OK;
}

static void init_locks(hn_shelf *shelf) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&shelf->lock, NULL);
    pthread_cond_init(&shelf->wake, &monotonic);
    pthread_cond_init(&shelf->done, NULL);
    pthread_condattr_destroy(&monotonic);
}

hn_status hn_shelf_open(hn_shelf **out, const hn_serve_config *config, int32_t workers,
                        const hn_shelf_hooks *hooks, hn_error *err) {
    *out = NULL;
    hn_shelf *const shelf = hn_alloc_zero(1, sizeof *shelf);
    if (!shelf) return hn_no_memory(err, "the models");
    init_locks(shelf);
    shelf->hooks = *hooks;
    shelf->workers = workers;
    shelf->poll_seconds = config->poll_seconds > 0 ? config->poll_seconds : 1;
    shelf->slots = hn_alloc_zero((size_t)config->n_models + 1, sizeof *shelf->slots);
    if (shelf->slots) shelf->n = config->n_models;
    hn_status status =
        shelf->slots ? open_slots(shelf, config, err) : hn_no_memory(err, "the models");
    if (status == HN_OK) status = start_loader(shelf, err);
    if (status != HN_OK)
        hn_shelf_close(shelf);
    else
        *out = shelf;
    return status;
}

static void stop_loader(hn_shelf *shelf) {
    if (!shelf->started) return;
    pthread_mutex_lock(&shelf->lock);
    shelf->closing = true;
    pthread_cond_signal(&shelf->wake);
    pthread_mutex_unlock(&shelf->lock);
    pthread_join(shelf->loader, NULL);
}

static void close_slot(hn_shelf *shelf, slot *s) {
    leave(shelf, s->current);
    leave(shelf, s->previous);
    hn_free(s->pin);
    for (size_t i = 0; i < s->n_refused; i++) refusal_free(&s->refused[i]);
    hn_free(s->refused);
}

void hn_shelf_close(hn_shelf *models) {
    if (!models) return;
    stop_loader(models);
    for (int32_t i = 0; i < models->n && models->slots; i++) close_slot(models, &models->slots[i]);
    sweep(models);
    hn_free(models->slots);
    pthread_cond_destroy(&models->wake);
    pthread_cond_destroy(&models->done);
    pthread_mutex_destroy(&models->lock);
    hn_free(models);
}

void hn_shelf_counts_get(hn_shelf_counts *out, hn_shelf *models) {
    *out = (hn_shelf_counts){models->loads, models->refusals, models->frees};
}
