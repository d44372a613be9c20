/* The admin surface: an address or Unix socket of its own, a token, and what an operator may
 * look at and do. Slow actions (a reload loads and warms a model) run on one thread of its own, so
 * that /ready and /metrics are answered meanwhile. */
#ifndef HN_SERVE_ADMIN_H
#define HN_SERVE_ADMIN_H

#include "serve/front.h"

typedef struct hn_admin hn_admin;
typedef struct hn_admin_options {
    const char *listen, *token_file; /* token_file NULL: a Unix socket, whose mode guards it */
    const hn_serve_config *config;
    hn_front *front;
    hn_shelf *models;
    const hn_run *run;
} hn_admin_options;

hn_status hn_admin_open(hn_admin **out, const hn_admin_options *options, hn_error *err);
int32_t hn_admin_port(const hn_admin *admin);
void hn_admin_close(hn_admin *admin); /* NULL is fine */

/* The token of a file: its first line. Refused when others may read the file. */
hn_status hn_token_read(char **out, const char *path, hn_error *err);
/* Whether an Authorization header bears the token; takes the same time wherever they differ. */
bool hn_token_matches(const char *token, const char *authorization);

/* The served config as JSON, without secrets. NULL without memory. */
json_t *hn_serve_config_json(const hn_serve_config *config);

#endif
