/* Reading a run's folder. Its report is the last thing that a training prints: when it parses,
 * the training is done, whoever saw it end. */
#include "experiment/outcome.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

void hn_outcome_free(hn_outcome *outcome) {
    json_decref(outcome->report);
    *outcome = (hn_outcome){0};
}

/* The text of a file of the folder, or NULL when it is not there. */
static hn_status read_text(char **out, size_t *n, const char *dir, const char *name,
                           hn_error *err) {
    char *const path = hn_path_join(dir, name);
    *out = NULL;
    *n = 0;
    if (!path) return hn_no_memory(err, "a path");
    const hn_status status = hn_file_exists(path) ? hn_file_read(out, n, path, err) : HN_OK;
    hn_free(path);
    return status;
}

static hn_status read_report(hn_outcome *out, const char *dir, hn_error *err) {
    char *text;
    size_t n;
    HN_TRY(read_text(&text, &n, dir, "report.json", err));
    if (text) out->report = json_loadb(text, n, 0, NULL);
    hn_free(text);
    if (json_is_object(json_object_get(out->report, "model"))) return HN_OK;
    json_decref(out->report);
    out->report = NULL;
    return HN_OK;
}

/* One event of the history. `session`: seconds of the sessions before; `last`: of this one. */
static void take_event(hn_outcome *out, const json_t *event, int64_t until, double *session,
                       double *last) {
    const char *const what = json_string_value(json_object_get(event, "event"));
    if (!what) return;
    if (strcmp(what, "start") == 0 || strcmp(what, "resume") == 0) {
        *session += *last;
        *last = 0;
    }
    const json_t *const seconds = json_object_get(event, "seconds");
    if (json_is_number(seconds)) *last = json_number_value(seconds);
    const int64_t epoch = json_integer_value(json_object_get(event, "epoch"));
    if (strcmp(what, "evaluation") != 0 || (until > 0 && epoch > until)) return;
    out->epochs = epoch;
    const json_t *const metric = json_object_get(event, "metric");
    if (json_is_number(metric) && !(json_number_value(metric) <= out->metric))
        out->metric = json_number_value(metric);
}

static hn_status read_history(hn_outcome *out, const char *dir, int64_t until, hn_error *err) {
    char *text;
    size_t n;
    double session = 0, last = 0;
    HN_TRY(read_text(&text, &n, dir, "history.jsonl", err));
    for (size_t at = 0; at < n;) {
        const size_t length = strcspn(text + at, "\n");
        json_t *const event = json_loadb(text + at, length, 0, NULL);
        if (event) take_event(out, event, until, &session, &last);
        json_decref(event);
        at += length + 1;
    }
    out->seconds = session + last;
    hn_free(text);
    return HN_OK;
}

hn_status hn_outcome_read(hn_outcome *out, const char *dir, int64_t until, hn_error *err) {
    *out = (hn_outcome){.metric = NAN};
    hn_status status = read_report(out, dir, err);
    if (status == HN_OK) status = read_history(out, dir, until, err);
    out->ended = out->report != NULL;
    if (status != HN_OK) hn_outcome_free(out);
    return status;
}

void hn_outcome_last_words(char *out, size_t n, const char *dir) {
    char *text;
    size_t bytes;
    out[0] = '\0';
    if (read_text(&text, &bytes, dir, "log.txt", NULL) != HN_OK || !text) return;
    while (bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == '\r')) text[--bytes] = '\0';
    const char *const newline = strrchr(text, '\n');
    const char *line = newline ? newline + 1 : text;
    if (strncmp(line, "hinet: ", 7) == 0) line += 7;
    const size_t length = strlen(line);
    const size_t kept = length < n - 1 ? length : n - 1;
    memcpy(out, line, kept);
    out[kept] = '\0';
    hn_utf8_mend(out);
    hn_free(text);
}
