/* HTTP by libcurl: one multi handle, an easy handle for each request of a batch, and four
 * connections that are kept between them. */
#include <curl/curl.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "simulate/live.h"

enum { CONNECTIONS = 4, SECONDS_MAX = 20 };

struct hn_live_client {
    CURLM *multi;
    CURL *easy[HN_LIVE_BATCH];
    struct curl_slist *headers;
    char *url;
};

/* curl_global_init is to be called once in a process. */
static void start_curl(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static size_t take_body(char *bytes, size_t size, size_t n, void *user) {
    hn_text *const body = user;
    hn_text_bytes(body, bytes, size * n);
    return body->failed ? 0 : size * n;
}

static hn_status create_handles(hn_live_client *client, hn_error *err) {
    client->multi = curl_multi_init();
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!client->multi || !client->headers) return hn_no_memory(err, "an HTTP client");
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
    for (int i = 0; i < HN_LIVE_BATCH; i++) {
        CURL *const easy = client->easy[i] = curl_easy_init();
        if (!easy) return hn_no_memory(err, "an HTTP client");
        curl_easy_setopt(easy, CURLOPT_URL, client->url);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, client->headers);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)SECONDS_MAX);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)(intptr_t)i);
    }
    return HN_OK;
}

hn_status hn_live_client_create(hn_live_client **out, const char *url, hn_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *out = NULL;
    if (strncmp(url, "http://", 7) != 0)
        return hn_fail(err, HN_USAGE, "simulate: found \"%s\"; expected http://HOST:PORT", url);
    pthread_once(&once, start_curl);
    hn_live_client *const client = hn_alloc_zero(1, sizeof *client);
    if (!client) return hn_no_memory(err, "an HTTP client");
    hn_text path = {0};
    const size_t n = strlen(url);
    hn_text_add(&path, "%.*s/v1/rank", (int)(url[n - 1] == '/' ? n - 1 : n), url);
    client->url = path.failed ? NULL : hn_strdup(path.text);
    hn_text_free(&path);
    const hn_status status =
        client->url ? create_handles(client, err) : hn_no_memory(err, "an HTTP client");
    if (status != HN_OK) {
        hn_live_client_free(client);
        return status;
    }
    *out = client;
    return HN_OK;
}

void hn_live_client_free(hn_live_client *client) {
    if (!client) return;
    for (int i = 0; i < HN_LIVE_BATCH; i++) curl_easy_cleanup(client->easy[i]);
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->headers);
    hn_free(client->url);
    hn_free(client);
}

static void take_results(hn_live_client *client, hn_live_answer *answers) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(client->multi, &left));) {
        if (m->msg != CURLMSG_DONE) continue;
        char *place = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &place);
        hn_live_answer *const answer = &answers[(intptr_t)place];
        if (m->data.result == CURLE_OK)
            curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &answer->status);
        else
            snprintf(answer->reason, sizeof answer->reason, "%s",
                     curl_easy_strerror(m->data.result));
    }
}

static hn_status perform(hn_live_client *client, hn_live_answer *answers, hn_error *err) {
    int running = 1;
    while (running > 0) {
        CURLMcode code = curl_multi_perform(client->multi, &running);
        if (code == CURLM_OK && running > 0)
            code = curl_multi_poll(client->multi, NULL, 0, 1000, NULL);
        if (code != CURLM_OK)
            return hn_fail(err, HN_IO_FAILED, "simulate: %s: %s", client->url,
                           curl_multi_strerror(code));
    }
    take_results(client, answers);
    return HN_OK;
}

hn_status hn_live_client_send(hn_live_client *client, char *const *bodies, int32_t n,
                              hn_live_answer *answers, hn_error *err) {
    for (int32_t i = 0; i < n; i++) {
        answers[i] = (hn_live_answer){0};
        curl_easy_setopt(client->easy[i], CURLOPT_POSTFIELDS, bodies[i]);
        curl_easy_setopt(client->easy[i], CURLOPT_POSTFIELDSIZE, (long)strlen(bodies[i]));
        curl_easy_setopt(client->easy[i], CURLOPT_WRITEDATA, &answers[i].body);
        curl_multi_add_handle(client->multi, client->easy[i]);
    }
    const hn_status status = perform(client, answers, err);
    for (int32_t i = 0; i < n; i++) curl_multi_remove_handle(client->multi, client->easy[i]);
    return status;
}
