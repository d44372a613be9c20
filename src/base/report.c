/* Reports: the text for people and the JSON for programs, made once by a command and
 * then only read. The string builder and the tables are in text.c. */
#include "base/report.h"

#include "base/memory.h"

struct hn_report {
    hn_text text, json;
};

const char *hn_report_text(const hn_report *report) { return report->text.text; }
const char *hn_report_json(const hn_report *report) { return report->json.text; }

void hn_report_free(hn_report *report) {
    if (!report) return;
    hn_text_free(&report->text);
    hn_text_free(&report->json);
    hn_free(report);
}

static int append_json(const char *bytes, size_t n, void *text) {
    hn_text_bytes(text, bytes, n);
    return ((const hn_text *)text)->failed ? -1 : 0;
}

/* 15 digits: 0.1 is written as 0.1, and a float64 metric loses nothing that matters. */
static bool dump(hn_text *out, const json_t *json) {
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY;
    return json && json_dump_callback(json, append_json, out, flags) == 0 && !out->failed;
}

hn_status hn_report_create(hn_report **out, json_t *json, hn_text *text, hn_error *err) {
    *out = NULL;
    hn_report *report = hn_alloc_zero(1, sizeof *report);
    hn_text_bytes(text, "", 0); /* an empty report is "", not NULL */
    const bool made = report && !text->failed && dump(&report->json, json);
    json_decref(json);
    if (!made) {
        hn_report_free(report);
        hn_text_free(text);
        return hn_no_memory(err, "a report");
    }
    report->text = *text;
    *text = (hn_text){0};
    *out = report;
    return HN_OK;
}
