/* Logs and joins for tests (joining.h). */
#include "online/joining.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "support.h"

static void note(void *user, hn_log_level level, const char *line) {
    joining *const f = user;
    if (level == HN_LOG_WARNING)
        strncat(f->warnings, line, sizeof f->warnings - strlen(f->warnings) - 1);
}

joining joining_open(void) {
    joining f = {.dir = support_folder(), .run = hn_run_default()};
    for (int i = 0; i < 2; i++)
        snprintf(f.exposures[i], sizeof f.exposures[i], "%s/e%d.jsonl", f.dir, i);
    snprintf(f.clicks, sizeof f.clicks, "%s/clicks.csv", f.dir);
    snprintf(f.orders, sizeof f.orders, "%s/orders.jsonl", f.dir);
    f.run.out_dir = f.dir;
    f.run.log = note;
    return f;
}

void joining_close(joining *f) {
    hn_text_free(&f->csv);
    json_decref(f->report);
    support_remove(f->dir);
    free(f->dir);
}

void joining_put(const char *path, const char *text) { support_write(path, text, strlen(text)); }

hn_status joining_collect(void *user, const void *bytes, size_t n, hn_error *err) {
    hn_text_bytes(user, bytes, n);
    (void)err;
    return ((hn_text *)user)->failed ? HN_NO_MEMORY : HN_OK;
}

hn_status joining_files(joining *f, const char *const *exposures, size_t files, hn_error *err) {
    const char *const clicks = f->clicks, *const orders = f->orders;
    const hn_join_event events[] = {{"click", &clicks, 1, 1000}, {"order", &orders, 1, 5000}};
    f->run.user = f;
    f->options.events = events;
    f->options.n_events = hn_file_exists(orders) ? 2 : 1;
    f->csv.length = 0;
    f->warnings[0] = '\0';
    json_decref(f->report);
    f->report = NULL;
    hn_report *report;
    const hn_status status =
        hn_join(&report, exposures, files, &f->options, joining_collect, &f->csv, &f->run, err);
    if (status != HN_OK) assert_null(report);
    if (status != HN_OK) return status;
    f->report = json_loads(hn_report_json(report), 0, NULL);
    assert_non_null(f->report);
    assert_non_null(strstr(hn_report_text(report), "rows of"));
    hn_report_free(report);
    return HN_OK;
}

hn_status joining_run(joining *f, hn_error *err) {
    const char *const exposures[] = {f->exposures[0]};
    return joining_files(f, exposures, 1, err);
}

int64_t joining_told(const joining *f, int event, const char *name) {
    const json_t *from = f->report;
    if (event >= 0) from = json_array_get(json_object_get(from, "events"), (size_t)event);
    if (!json_object_get(from, name)) from = json_object_get(from, "exposures");
    assert_true(json_is_integer(json_object_get(from, name)));
    return json_integer_value(json_object_get(from, name));
}

void joining_expect(const joining *f, const char *csv, const char *file, int line) {
    _assert_string_equal(f->csv.text, csv, file, line);
}
