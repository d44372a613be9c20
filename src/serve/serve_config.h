/* SERVE.yaml as plain data. Options are rows of the tables in serve_config_options.c, read with
 * the machinery of base/config_options.h, so that errors, defaults and docs/serving-config.md
 * follow. Owned by the config's arena, immutable once loaded. */
#ifndef HN_SERVE_SERVE_CONFIG_H
#define HN_SERVE_SERVE_CONFIG_H

#include "base/config.h"
#include "base/report.h"

enum { HN_LAYERS_MAX = 16, HN_ARMS_MAX = 32, HN_MODELS_MAX = 16 };

typedef struct hn_serve_model {
    char *name;
    char *path; /* a bundle, or a folder of versions (shelf.h); absolute */
    char *pin;  /* of a folder: serve this version only; NULL: the newest complete one */
} hn_serve_model;

typedef struct hn_serve_expression { /* of one scenario, or of all others (scenario NULL) */
    char *scenario;
    char *text;
    char *where; /* "serve.yaml:12:9" of the text's first character, for messages */
} hn_serve_expression;

typedef enum hn_fallback { HN_FALLBACK_PREVIOUS, HN_FALLBACK_PRIOR, HN_FALLBACK_ORDER } hn_fallback;

typedef struct hn_serve_policy { /* how an answer is made; the config has one, arms may change parts
                                    of it */
    char *model; /* NULL: the config's (in an arm); in the config: the first model */
    hn_serve_expression
        *fusion; /* n 0: the config's; the config's default: the product of the tasks */
    int32_t n_fusion;
    int8_t calibration; /* 1: on where the bundle has one (the default); 0: off; -1: the config's
                           (in an arm) */
    int8_t fallback[3]; /* hn_fallback in order, -1 at the end */
    int8_t n_fallback;  /* -1: the config's (in an arm); default previous, prior, order */
} hn_serve_policy;

typedef struct hn_serve_arm {
    char *name;
    int32_t buckets;  /* share of 10,000 */
    hn_strings users; /* overrides: these units always get this arm */
    hn_serve_policy policy;
} hn_serve_arm;

typedef struct hn_serve_override { /* a unit that always gets this arm */
    const char *user;
    int32_t arm;
} hn_serve_override;

typedef struct hn_serve_layer { /* one experiment; layers are independent by their salts */
    char *name, *salt;          /* salt default: name */
    hn_strings scenarios;       /* scope; empty: all */
    int32_t holdout;    /* buckets of 10,000 that get no arm: the last ones, the policy as it is */
    hn_serve_arm *arms; /* in order; what is left over after all shares gets no arm */
    int32_t n_arms;
    int32_t *shares;              /* [n_arms] their buckets, for hn_assign_arm */
    hn_serve_override *overrides; /* of all arms, sorted by user */
    int32_t n_overrides;
} hn_serve_layer;

typedef struct hn_serve_store { /* Redis; url NULL: none */
    char *url;                  /* redis://HOST:PORT[/DB], redis+unix:///path */
    char *prefix;               /* default "hinet" (store.h has the layout) */
    hn_strings tables;          /* of the bundle's tables, those read from it */
    double timeout_ms;          /* of all reads of one request */
    double cache_seconds;       /* lifetime of the local cache; 0: none */
    int64_t cache_entries;
} hn_serve_store;

typedef struct hn_serve_exposures { /* dir NULL: no log */
    char *dir;
    double features;                 /* rate of requests whose features are logged, 0…1 */
    char *user_key;                  /* users are logged as a keyed hash (hex); NULL: as they are */
    int64_t file_bytes, queue_bytes; /* rotation; bound of what waits to be written */
    double flush_seconds;
} hn_serve_exposures;

typedef struct hn_serve_config {
    hn_arena arena;
    char *path, *dir;       /* dir is absolute; relative paths of the file are taken from it and are
                               absolute here */
    char *listen;           /* "127.0.0.1:8080"; port 0: any */
    char *admin_listen;     /* "127.0.0.1:8081" or "unix:/path"; NULL: no admin surface */
    char *admin_token_file; /* required with a TCP admin surface */
    int32_t workers;        /* 0: one for each core */
    int32_t queue;          /* requests that may wait */
    double deadline_ms;     /* a request without a header; header X-Deadline-Ms is capped to
                               max_deadline_ms */
    double max_deadline_ms;
    double header_seconds, body_seconds, drain_seconds;
    int64_t max_header_bytes, max_body_bytes;
    int32_t max_depth, max_candidates, max_connections;
    double poll_seconds; /* between looks at the folders of models */
    hn_serve_model *models;
    int32_t n_models;
    hn_serve_policy policy;
    hn_serve_layer *layers;
    int32_t n_layers;
    hn_serve_store store;
    hn_serve_exposures exposures;
} hn_serve_config;

/* The arm of a unit in a layer: its override, else that of its bucket; -1: none (hold-out, or
 * left over). Whether the layer concerns the request's scenario is hn_serve_layer_has. */
int32_t hn_serve_layer_arm(const hn_serve_layer *layer, const char *unit, size_t unit_bytes);
bool hn_serve_layer_has(const hn_serve_layer *layer, const char *scenario);
/* The expression for a scenario; NULL: the policy has none for it. */
const hn_serve_expression *hn_serve_policy_fusion(const hn_serve_policy *policy,
                                                  const char *scenario);

hn_status hn_serve_config_load(hn_serve_config **out, const char *path, hn_error *err);
/* `hinet serve BUNDLE`: every default, one model "default". */
hn_status hn_serve_config_of_bundle(hn_serve_config **out, const char *bundle_path, hn_error *err);
hn_status hn_serve_config_parse(hn_serve_config **out, const char *text, size_t n, const char *name,
                                const char *dir, hn_error *err);
void hn_serve_config_free(hn_serve_config *config); /* NULL is fine */
/* Every option with type, default and meaning: docs/serving-config.md is its text. */
hn_status hn_serve_config_reference(hn_report **out, hn_error *err);
/* A parsed config with every default, as YAML that reads back the same; secrets too. */
void hn_serve_config_print(hn_text *out, const hn_serve_config *config);

#endif
