/* Fuzz target: any bytes as an exposure log and as events. The first byte chooses the options, the
 * first form feed ends the exposures. What is written must be CSV with as many columns in every row
 * as in the header, and as many rows as were told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/report.h"
#include "data/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static hn_status collect(void *user, const void *bytes, size_t n, hn_error *err) {
    (void)err;
    hn_text_bytes(user, bytes, n);
    return HN_OK;
}

static int memory_file(const uint8_t *bytes, size_t n, char path[64]) {
    const int fd = memfd_create("join", 0);
    if (fd < 0 || (n > 0 && write(fd, bytes, n) != (ssize_t)n)) abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_csv(const hn_text *csv, const hn_report *report) {
    const hn_dialect dialect = {.delimiter = ",", .delimiter_n = 1, .quote = '"'};
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    hn_walker w = {0};
    size_t columns = 0, rows = 0;
    if (!json || !hn_report_text(report)) abort();
    hn_walker_begin(&w, &dialect, csv->text, csv->length);
    while (w.at < w.n) {
        size_t here = 1;
        while (hn_walker_next(&w) == HN_FIELD_MORE) here++;
        if (w.fault != HN_FIELD_FINE || (columns > 0 && here != columns)) abort();
        columns = here;
        rows++;
    }
    if (rows != 1 + (size_t)json_integer_value(json_object_get(json, "rows"))) abort();
    hn_walker_free(&w);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const char *const columns[] = {"price", "age"};
    const uint8_t choice = n > 0 ? bytes[0] : 0;
    const uint8_t *const text = n > 0 ? bytes + 1 : bytes, *const end = bytes + n;
    const uint8_t *const cut = n > 1 ? memchr(text, '\f', (size_t)(end - text)) : NULL;
    char exposures[64], events[64];
    const char *const exposure = exposures, *const event = events;
    const int fds[2] = {
        memory_file(text, (size_t)((cut ? cut : end) - text), exposures),
        memory_file(cut ? cut + 1 : end, cut ? (size_t)(end - cut - 1) : 0, events)};
    const hn_join_event tasks[] = {{"click", &event, 1, 1000}, {"a,b", &event, 1, 86400000}};
    const hn_join_options options = {.events = tasks,
                                     .n_events = 1 + (choice & 1),
                                     .skew_ms = choice & 2 ? 500 : 0,
                                     .complete = (choice & 4) != 0,
                                     .columns = choice & 8 ? columns : NULL,
                                     .n_columns = choice & 8 ? 2 : 0,
                                     .has_now = (choice & 16) != 0,
                                     .now_ms = 1700000000000,
                                     .bad_lines = choice & 32 ? 0 : INT64_MAX};
    hn_run run = hn_run_default();
    run.out_dir = "/tmp";
    hn_text csv = {0};
    hn_error err = {0};
    hn_report *report;
    const hn_status status = hn_join(&report, &exposure, 1, &options, collect, &csv, &run, &err);
    if (status == HN_OK)
        check_csv(&csv, report);
    else if (report || err.text[0] == '\0' || err.status != status)
        abort();
    hn_report_free(report);
    hn_text_free(&csv);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
