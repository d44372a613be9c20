/* The live side of the simulated platform: its users' requests to a running server, over
 * HTTP (live_client.c), and what they then do by the hidden truth (live.c). */
#ifndef HN_SIMULATE_LIVE_H
#define HN_SIMULATE_LIVE_H

#include "base/report.h"
#include "simulate/traffic.h"

enum { HN_LIVE_CANDIDATES = 50, HN_LIVE_SHOWN = 10, HN_LIVE_BATCH = 64 };

typedef struct hn_live_answer {
    long status; /* of HTTP; 0: none came */
    hn_text body;
    char reason[128]; /* why none came */
} hn_live_answer;

/* POSTs JSON bodies over a few connections that are kept. */
typedef struct hn_live_client hn_live_client;
hn_status hn_live_client_create(hn_live_client **out, const char *url, hn_error *err);
void hn_live_client_free(hn_live_client *client);
/* Sends n ≤ HN_LIVE_BATCH bodies at once and waits for every answer (or its time limit).
 * A request that gets no answer is no error: its answer says so. */
hn_status hn_live_client_send(hn_live_client *client, char *const *bodies, int32_t n,
                              hn_live_answer *answers, hn_error *err);

#endif
