/* Labels that contradict the order of tasks are counted in the data card, and `check` says so. */
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "data/dataset.h"
#include "support.h"

/* click, order: 3 in order; 2 orders without a click; 1 without either label of order; 1 with
 * no label of click, which says nothing. */
static const char LOG[] = "u,click,order,like\n"
                          "a,1,1,1\nb,1,0,0\nc,0,0,1\nd,0,1,0\ne,0,1,1\nf,0,,0\ng,,1,\n";

static hn_report *check(const char *folder, const char *tasks) {
    hn_error err = {0};
    hn_config *config;
    hn_report *report;
    char text[500];
    const int n =
        snprintf(text, sizeof text, "log: log.csv\ntasks: %s\nfeatures: {u: id}\n", tasks);
    assert_ok(hn_config_parse(&config, text, (size_t)n, "c.yaml", folder, NULL, 0, &err));
    assert_ok(hn_check(&report, config, NULL, &err));
    hn_config_free(config);
    return report;
}

static void contradictions_are_counted(void **state) {
    (void)state;
    char *const folder = support_folder();
    char path[300];
    snprintf(path, sizeof path, "%s/log.csv", folder);
    support_write(path, LOG, sizeof LOG - 1);
    hn_report *report = check(folder, "{click: click, order: {label: order, after: click}, like: "
                                      "{label: like, after: order}}");
    const char *const words[] = {"order comes after click, but 2 rows have it without",
                                 "its label is empty in 1 rows without click",
                                 "like comes after order, but 1 rows have it without"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strstr(hn_report_text(report), words[i]))
            fail_msg("no \"%s\" in\n%s", words[i], hn_report_text(report));
    hn_report_free(report);
    report = check(folder, "{click: click, order: order, like: like}");
    assert_null(strstr(hn_report_text(report), "comes after"));
    hn_report_free(report);
    report = check(folder, "{click: click, either: {label: click, after: click}}");
    assert_null(strstr(hn_report_text(report), "comes after"));
    hn_report_free(report);
    support_remove(folder);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(contradictions_are_counted)};
    return cmocka_run_group_tests_name("data/order", tests, NULL, NULL);
}
