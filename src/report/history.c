/* The history of a training: JSON lines to a list of evaluations. */
#include "report/history.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/report.h"

static json_t *number_or_null(const json_t *value) {
    return json_is_number(value) ? json_real(json_number_value(value)) : json_null();
}

/* A record of an evaluation as the page wants it; NULL on no memory. */
static json_t *evaluation(const json_t *record) {
    const json_t *const mean = json_object_get(record, "validation"), *const cells =
                                                                          json_object_get(record,
                                                                                          "cells");
    json_t *const out = json_pack("{s:I, s:I, s:o, s:o, s:o}", "epoch",
                                  json_integer_value(json_object_get(record, "epoch")), "step",
                                  json_integer_value(json_object_get(record, "step")), "loss",
                                  number_or_null(json_object_get(record, "loss")), "auc",
                                  number_or_null(json_object_get(mean, "auc")), "log_loss",
                                  number_or_null(json_object_get(mean, "log_loss")));
    if (out && json_is_object(cells)) {
        json_t *const copy = json_deep_copy(cells);
        if (copy && json_object_set_new(out, "cells", copy) == 0) return out;
        json_decref(out);
        return NULL;
    }
    return out;
}

static hn_status add(json_t *list, const json_t *record, hn_error *err) {
    json_t *const item = evaluation(record);
    return item && json_array_append_new(list, item) == 0 ? HN_OK
                                                          : hn_no_memory(err, "the history");
}

static bool has_event(const json_t *record, const char *event) {
    const char *const text = json_string_value(json_object_get(record, "event"));
    return text && strcmp(text, event) == 0;
}

typedef struct duration { /* a clock begins anew in every session */
    double before, last;
    bool ended;
} duration;

static void take_time(duration *d, const json_t *record) {
    if (has_event(record, "start") || has_event(record, "resume")) {
        d->before += d->last;
        d->last = 0;
    }
    const json_t *const seconds = json_object_get(record, "seconds");
    if (json_is_number(seconds)) d->last = json_number_value(seconds);
    d->ended |= has_event(record, "end");
}

static hn_status take_lines(json_t *list, duration *d, const char *text, size_t n, const char *path,
                            const hn_run *run, hn_error *err) {
    int64_t line = 0, bad = 0, first_bad = 0;
    for (const char *at = text; at < text + n; line++) {
        const char *const end = memchr(at, '\n', (size_t)(text + n - at));
        const size_t length = (size_t)((end ? end : text + n) - at);
        json_t *const record = json_loadb(at, length, 0, NULL);
        at += length + 1;
        if (!record && bad++ == 0) first_bad = line + 1;
        hn_status status = HN_OK;
        if (record) take_time(d, record);
        if (has_event(record, "evaluation")) status = add(list, record, err);
        json_decref(record);
        if (status != HN_OK) return status;
    }
    if (bad > 0)
        hn_say(run, HN_LOG_WARNING, "%s: %lld lines are no JSON, the first is line %lld: left out",
               path, (long long)bad, (long long)first_bad);
    return HN_OK;
}

hn_status hn_history_read(json_t **out, double *seconds, const char *path, const hn_run *run,
                          hn_error *err) {
    char *text;
    size_t n;
    duration time = {0};
    *out = NULL;
    *seconds = NAN;
    HN_TRY(hn_file_read(&text, &n, path, err));
    json_t *const list = json_array();
    const hn_status status =
        list ? take_lines(list, &time, text, n, path, run, err) : hn_no_memory(err, "the history");
    hn_free(text);
    if (status != HN_OK) {
        json_decref(list);
        return status;
    }
    *out = list;
    if (time.ended) *seconds = time.before + time.last;
    return HN_OK;
}

hn_status hn_history_of_metrics(json_t **out, const json_t *metrics, hn_error *err) {
    json_t *const list = json_array();
    size_t i;
    const json_t *record;
    *out = NULL;
    if (!list) return hn_no_memory(err, "the history");
    json_array_foreach(json_object_get(metrics, "epochs"), i, record) {
        const hn_status status = add(list, record, err);
        if (status == HN_OK) continue;
        json_decref(list);
        return status;
    }
    *out = list;
    return HN_OK;
}
