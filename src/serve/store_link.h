/* One connection to Redis that never waits longer than it is told. A connection on which
 * anything failed or came late is closed, so that no answer can be taken for another's; the
 * next one is made without waiting, not before a pause that doubles with each failure. */
#ifndef HN_SERVE_STORE_LINK_H
#define HN_SERVE_STORE_LINK_H

#include <hiredis/hiredis.h>

#include "base/error.h"

enum { HN_STORE_ADDRESSES_MAX = 8, HN_STORE_ADDRESS_BYTES = 64 };

/* What a URL means: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or redis+unix:///PATH. */
typedef struct hn_store_target {
    char *path;                   /* of a Unix socket; NULL: TCP */
    char *host, *user, *password; /* NULL: none */
    int32_t port, db;
    char addresses[HN_STORE_ADDRESSES_MAX][HN_STORE_ADDRESS_BYTES]; /* of host, numeric */
    int32_t n_addresses;
} hn_store_target;

/* Looks the host up once, here, for workers must not wait for a name server. */
hn_status hn_store_target_open(hn_store_target *out, const char *url, hn_error *err);
void hn_store_target_close(hn_store_target *target);

typedef struct hn_store_link {
    const hn_store_target *target;
    redisContext *redis; /* NULL: no connection */
    bool connecting, unsent;
    int32_t greetings; /* answers to AUTH and SELECT that come first */
    int32_t address;   /* the next to try */
    int32_t failures;  /* since the last answer */
    int64_t retry_ns, connect_by_ns;
    uint64_t errors, connections; /* so far */
    char why[200];                /* the last failure, for messages */
} hn_store_link;

void hn_store_link_init(hn_store_link *link, const hn_store_target *target);
void hn_store_link_close(hn_store_link *link);
/* Whether commands may be appended. Begins to connect where it may; who begins waits until
 * `limit_ns` (CLOCK_MONOTONIC), who comes while that goes on does not wait at all. */
bool hn_store_link_ready(hn_store_link *link, int64_t limit_ns);
bool hn_store_link_append(hn_store_link *link, int argc, const char **argv, const size_t *bytes);
/* A command formatted by hiredis before. */
bool hn_store_link_append_formatted(hn_store_link *link, const char *command, size_t bytes);
/* Sends what is unsent and gives the next answer, to be freed with freeReplyObject; NULL: none
 * in time, or a failure; the connection is closed then. */
redisReply *hn_store_link_reply(hn_store_link *link, int64_t limit_ns);
/* An answer that is already here, or NULL: never waits, sends what can be sent. */
redisReply *hn_store_link_reply_now(hn_store_link *link);
void hn_store_link_fail(hn_store_link *link, const char *why);
int64_t hn_store_now_ns(void);

#endif
