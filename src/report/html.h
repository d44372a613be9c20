/* Writing HTML: text is escaped unless it is a template of ours, numbers are written in one way.
 * A page is put together in an hn_text, whose errors are sticky. */
#ifndef HN_REPORT_HTML_H
#define HN_REPORT_HTML_H

#include "base/report.h"

/* Text as it may stand between tags and in a quoted attribute. Bytes that are not UTF-8 and
 * characters that HTML does not allow become U+FFFD. */
void hn_html_text(hn_text *out, const char *text);

/* Our own markup, as it stands. */
void hn_html_raw(hn_text *out, const char *markup);

/* The template with each '$' replaced by the next text, escaped. HN_HTML(out, "<b>$</b>", name) */
void hn_html_fill(hn_text *out, const char *template, const char *const *texts, int32_t n);
#define HN_HTML(out, template, ...)                                     \
    hn_html_fill((out), (template), (const char *const[]){__VA_ARGS__}, \
                 (int32_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)))

/* A JSON document as the content of a script element: no '<' stands in it. */
void hn_html_json(hn_text *out, const json_t *json);

/* A number as a text; "–" where there is none. */
typedef struct hn_figure {
    char text[40];
} hn_figure;
hn_figure hn_figure_real(double value, int32_t decimals);
hn_figure hn_figure_signed(double value, int32_t decimals); /* +0.0012, −0.0003 */
hn_figure hn_figure_whole(double value);                    /* 85,650 */
hn_figure hn_figure_share(double value);                    /* 0.1234 → 12.3 % */
hn_figure hn_figure_range(double low, double high, int32_t decimals, bool with_sign);

#endif
