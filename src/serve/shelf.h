/* The shelf: the served models. Each name has a current version and, for the fallback, the previous
 * one. A loader thread at idle priority looks at the folders: a version is a file
 * VERSION.hn in the folder (atomically renamed there, so a name without ".hn" is not complete),
 * the newest by the natural order of names ("9" < "10"). It opens the bundle, checks checksums,
 * checks the schema against the config (scenarios, tasks, what expressions need), scores the golden
 * rows (within 1e-4), makes every worker's scratch and warms it up, all off the workers; then swaps
 * a pointer. The old version is freed by the loader when its last request has ended. A bundle that
 * is refused is named with the reason and not tried again until its file changes. */
#ifndef HN_SERVE_SHELF_H
#define HN_SERVE_SHELF_H

#include "bundle/bundle.h"
#include "bundle/calibration.h"
#include "serve/serve_config.h"

typedef struct hn_model_version {
    const char *model, *version; /* names */
    const hn_bundle *bundle;     /* with bundle->calibration, tables bound for encoding */
    void *const *engines;        /* [workers] what `make_engine` made: one worker's own memory */
    int64_t loaded_ms;           /* wall time */
} hn_model_version;

typedef struct hn_shelf hn_shelf;

typedef struct hn_shelf_hooks {
    /* Makes and warms one worker's memory for a version (scratch, request builder …). */
    hn_status (*make_engine)(void *user, void **engine, const hn_model_version *version,
                             int32_t worker, hn_error *err);
    void (*free_engine)(void *user, void *engine);
    /* What else must hold for this version to be served (expressions, scopes); may be NULL. */
    hn_status (*accept)(void *user, const hn_model_version *version, hn_error *err);
    void (*log)(void *user, const char *json_line_fields); /* loaded, refused, freed */
    void *user;
} hn_shelf_hooks;

/* Loads a first version of each model (an error when one has none), then starts the loader. */
hn_status hn_shelf_open(hn_shelf **out, const hn_serve_config *config, int32_t workers,
                        const hn_shelf_hooks *hooks, hn_error *err);
void hn_shelf_close(hn_shelf *models); /* all must have been released */

/* Wait-free for workers. NULL: no such model, or none loaded. Release each. */
const hn_model_version *hn_shelf_acquire(hn_shelf *models, int32_t model, bool previous);
void hn_shelf_release(hn_shelf *models, const hn_model_version *version);
int32_t hn_shelf_find(const hn_shelf *models, const char *name); /* -1: none */

/* Admin: all may be called from any thread; they queue work for the loader and wait for it. */
/* Looks now. HN_BAD_DATA with the reason where the newest is refused, also when one before it is
 * served. */
hn_status hn_shelf_reload(hn_shelf *models, const char *model, hn_error *err);
hn_status hn_shelf_pin(hn_shelf *models, const char *model, const char *version,
                       hn_error *err); /* NULL: unpin */
hn_status hn_shelf_rollback(hn_shelf *models, const char *model,
                            hn_error *err); /* previous becomes current, and is pinned */
hn_status hn_shelf_unload(hn_shelf *models, const char *model, hn_error *err);
json_t *hn_shelf_describe(hn_shelf *models); /* names, versions, loaded, refused with reasons */

typedef struct hn_shelf_counts {
    uint64_t loads, refusals, frees;
} hn_shelf_counts;
void hn_shelf_counts_get(hn_shelf_counts *out, hn_shelf *models);

#endif
