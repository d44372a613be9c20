/* Fuzz target: any bytes as a request. The first byte says what they are: /v1/rank, tensors as
 * JSON, tensors with bytes behind the JSON (which ends at the first 0x1e), or a path below /v2.
 * Every request gets a whole answer; what came before changes none; ranks, scores and the
 * exposure's line are in order; and JSON is judged as jansson judges it. */
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/ranker.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void die(int line) {
    fprintf(stderr, "fuzz_request.c:%d\n", line);
    abort();
}

enum { RANK, TENSORS, BINARY, PATH, KINDS };

static const char yaml[] =
    "models: {main: fuzz/corpus/bundle/served.hn}\n"
    "limits: {depth: 8, candidates: 50}\n"
    "fusion: {home: click^0.5 * price, search: log(order) + age, others: click * order}\n"
    "experiments:\n"
    "  a: {holdout: 0.1, arms: {x: 0.3, y: {share: 0.3, calibration: off}}}\n"
    "  b: {scenarios: [home, cart], arms: {x: 0.5, y: {share: 0.3, fusion: \"if(click > 0.5, "
    "1, 0/0)\"}}}\n"
    "exposures: {dir: %s, features: 0.7, flush_seconds: 3600, queue_bytes: 4096}\n";

typedef struct place { /* a server for the whole run */
    hn_serve_config *config;
    hn_exposure_log *exposures;
    hn_ranker *ranker;
    hn_shelf *shelf;
} place;

static void must(hn_status status, const hn_error *err) {
    if (status == HN_OK) return;
    fprintf(stderr, "fuzz_request: %s (it is run from the project's folder)\n", err->text);
    die(__LINE__);
}

static place here;
static char folder[] = "/tmp/hinet-fuzz-XXXXXX";

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *at) {
    (void)s, (void)kind, (void)at;
    return remove(path);
}

static void close_place(void) {
    hn_shelf_close(here.shelf);
    hn_ranker_free(here.ranker);
    hn_exposure_log_close(here.exposures);
    hn_serve_config_free(here.config);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void open_place(place *p) {
    char text[2000];
    hn_error err = {0};
    if (!mkdtemp(folder)) die(__LINE__);
    snprintf(text, sizeof text, yaml, folder);
    must(hn_serve_config_parse(&p->config, text, strlen(text), "fuzz.yaml", ".", &err), &err);
    const hn_serve_exposures *const e = &p->config->exposures;
    const hn_exposure_options log = {e->dir, e->file_bytes, e->queue_bytes, e->flush_seconds};
    must(hn_exposure_log_open(&p->exposures, &log, &err), &err);
    const hn_ranker_parts parts = {p->config, NULL, NULL, p->exposures, 2};
    must(hn_ranker_create(&p->ranker, &parts, &err), &err);
    const hn_shelf_hooks hooks = hn_ranker_hooks(p->ranker);
    must(hn_shelf_open(&p->shelf, p->config, 2, &hooks, &err), &err);
    hn_ranker_attach(p->ranker, p->shelf);
    atexit(close_place);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* The mark itself is the first byte of the tensors. */
static void ask(hn_exchange *e, place *p, int32_t worker, int kind, const uint8_t *bytes,
                size_t n) {
    static char path[300];
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const uint8_t *const mark = kind == BINARY && n > 0 ? memchr(bytes, 0x1e, n) : NULL;
    hn_rank_trace told;
    snprintf(path, sizeof path, "/v2/models/main/infer");
    if (kind == PATH)
        snprintf(path, sizeof path, "/v2/%.*s", (int)(n < 280 ? n : 280), (const char *)bytes);
    *e = (hn_exchange){.method = kind == PATH ? "GET" : "POST",
                       .path = kind == RANK ? "/v1/rank" : path,
                       .query = "",
                       .body = bytes,
                       .body_bytes = kind == PATH ? 0 : n,
                       .content_type = "",
                       .authorization = "",
                       .trace = trace,
                       .json_bytes = mark ? mark - bytes : -1,
                       .deadline_ns = INT64_MAX,
                       .worker = worker,
                       .answer_json_bytes = -1};
    (kind == RANK ? hn_rank_handle : hn_oip_handle)(p->ranker, e, &told);
}

/* ---- Judging --------------------------------------------------------------------------------- */

static void check_items(const json_t *items, bool scored) {
    const json_t *item;
    size_t i;
    double last = INFINITY;
    bool ended = false; /* items with a score come first */
    json_array_foreach(items, i, item) {
        const json_t *const score = json_object_get(item, "score"), *p;
        const char *task;
        if (json_integer_value(json_object_get(item, "rank")) != (json_int_t)i + 1) die(__LINE__);
        if (json_is_number(score) && (ended || json_number_value(score) > last)) die(__LINE__);
        if (json_is_number(score)) last = json_number_value(score);
        ended |= !json_is_number(score);
        if (!scored && json_is_number(score)) die(__LINE__);
        json_object_foreach(json_object_get(item, "p"), task,
                            p) if (json_is_number(p) && !(json_number_value(p) >= 0 &&
                                                          json_number_value(p) <= 1)) die(__LINE__);
    }
}

static void check_rank(const json_t *answer, place *p) {
    const char *const fallback = json_string_value(json_object_get(answer, "fallback"));
    const json_t *const items = json_object_get(answer, "items");
    const hn_text *const line = &p->ranker->memory[0].line;
    if (!json_is_array(items)) die(__LINE__);
    check_items(items, !fallback || strcmp(fallback, "order") != 0);
    if (json_array_size(items) == 0) return;
    /* a name that the request's context has twice, by two spellings, stands twice here too */
    json_t *const any = json_loadb(line->text, line->length, JSON_ALLOW_NUL, NULL);
    if (!any || json_array_size(json_object_get(any, "items")) != json_array_size(items))
        die(__LINE__);
    json_decref(any);
}

/* What jansson cannot read is "bad_json", and nothing else is; numbers too large for it are. */
static void check_json(const json_t *answer, const uint8_t *bytes, size_t n) {
    const char *const code =
        json_string_value(json_object_get(json_object_get(answer, "error"), "code"));
    const bool refused = code && strcmp(code, "bad_json") == 0;
    json_error_t error;
    json_t *const json = json_loadb((const char *)bytes, n, JSON_ALLOW_NUL, &error);
    const bool large = !json && (strstr(error.text, "overflow") || strstr(error.text, "too big"));
    const bool deep = !json && strstr(error.text, "depth");
    if (json ? refused : !refused && !large && !deep && !(code && strcmp(code, "too_deep") == 0))
        die(__LINE__);
    json_decref(json);
}

static void check(const hn_exchange *e, place *p, int kind, const uint8_t *bytes, size_t n) {
    static const int32_t statuses[] = {200, 400, 404, 405, 413, 503};
    bool known = false;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        known |= e->status == statuses[i];
    if (!known || e->answer.failed) die(__LINE__);
    const size_t json_bytes =
        e->answer_json_bytes < 0 ? e->answer.length : (size_t)e->answer_json_bytes;
    json_t *const answer =
        json_loadb(e->answer.text, json_bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (!json_is_object(answer)) die(__LINE__);
    const bool told = json_object_get(answer, "error") || json_object_get(answer, "ready");
    if (e->status == 200 ? json_object_get(answer, "error") != NULL : !told) die(__LINE__);
    if (kind == RANK && e->status == 200) check_rank(answer, p);
    if (kind == RANK) check_json(answer, bytes, n);
    json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const uint8_t other[] =
        "{\"scenario\":\"cart\",\"user\":{\"id\":\"u3\",\"age\":7},\"context\":{\"price\":2,"
        "\"tags\":[1]},"
        "\"candidates\":[{\"id\":1,\"item_id\":\"i1\"},{\"tags\":[\"t1\",\"t2\"],\"id\":2}]}";
    if (!here.ranker) open_place(&here);
    if (n == 0) return 0;
    const int kind = bytes[0] % KINDS;
    hn_exchange first, second, between;
    ask(&first, &here, 0, kind, bytes + 1, n - 1);
    check(&first, &here, kind, bytes + 1, n - 1);
    ask(&between, &here, 1, RANK, other, sizeof other - 1);
    if (between.status != 200) die(__LINE__);
    ask(&second, &here, 1, kind, bytes + 1, n - 1);
    if (first.status != second.status || first.answer.length != second.answer.length ||
        memcmp(first.answer.text, second.answer.text, first.answer.length) != 0)
        die(__LINE__);
    hn_text_free(&first.answer);
    hn_text_free(&second.answer);
    hn_text_free(&between.answer);
    return 0;
}
