/* The pieces that charts are drawn of. Coordinates have one decimal: a tenth of a pixel. */
#include <math.h>
#include <string.h>

#include "report/chart.h"

void hn_svg_begin(hn_text *out, double width, double height, const char *title, bool fixed) {
    hn_text_add(out, "<svg class=\"%s\" viewBox=\"0 0 %.0f %.0f\" ", fixed ? "fixed" : "fluid",
                width, height);
    if (fixed) hn_text_add(out, "width=\"%.0f\" height=\"%.0f\" ", width, height);
    HN_HTML(out, "role=\"img\" aria-label=\"$\">\n", title);
}

void hn_svg_end(hn_text *out) { hn_text_add(out, "</svg>\n"); }

static bool all_finite(const double *numbers, int32_t n) {
    for (int32_t i = 0; i < n; i++)
        if (!isfinite(numbers[i])) return false;
    return true;
}

void hn_svg_line(hn_text *out, const char *class_name, double x1, double y1, double x2, double y2) {
    if (!all_finite((const double[]){x1, y1, x2, y2}, 4)) return;
    hn_text_add(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                class_name, x1, y1, x2, y2);
}

static void end_with_tip(hn_text *out, const char *element, const char *tip) {
    if (!tip) {
        hn_text_add(out, "/>\n");
        return;
    }
    HN_HTML(out, "><title>$</title></", tip);
    hn_text_add(out, "%s>\n", element);
}

void hn_svg_rect(hn_text *out, const char *class_name, double x, double y, double width,
                 double height, const char *tip) {
    if (!all_finite((const double[]){x, y, width, height}, 4)) return;
    hn_text_add(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"",
                class_name, x, y, fmax(width, 0), fmax(height, 0));
    end_with_tip(out, "rect", tip);
}

/* ---- Texts ------------------------------------------------------------------------------- */

static size_t character_end(const char *text, size_t at) {
    at++;
    while (((unsigned char)text[at] & 0xc0) == 0x80) at++;
    return at;
}

int32_t hn_text_characters(const char *text, int32_t most) {
    int32_t n = 0;
    for (size_t at = 0; text[at] && n < most; n++) at = character_end(text, at);
    return n;
}

void hn_svg_label(hn_text *out, const char *class_name, double x, double y, const char *text,
                  int32_t most) {
    size_t cut = 0;
    hn_text_add(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class_name, x, y);
    if (hn_text_characters(text, most + 1) <= most) {
        HN_HTML(out, "$</text>\n", text);
        return;
    }
    for (int32_t i = 0; i < most - 1; i++) cut = character_end(text, cut);
    hn_text part = {0};
    hn_text_bytes(&part, text, cut);
    if (part.failed)
        out->failed = true;
    else
        HN_HTML(out, "$\xe2\x80\xa6<title>$</title></text>\n", part.text, text);
    hn_text_free(&part);
}

/* ---- Marks ------------------------------------------------------------------------------- */

/* Shapes differ, so that colour is not all that tells series apart. */
static const char *const shapes[HN_CHART_STYLES] = {
    "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0",
    "M-3 -3H3V3H-3Z",
    "M0 -4L4 3H-4Z",
    "M0 -4.2L4.2 0L0 4.2L-4.2 0Z",
    "M0 4L4 -3H-4Z",
    "M-1.2 -4H1.2V-1.2H4V1.2H1.2V4H-1.2V1.2H-4V-1.2H-1.2Z",
    "M-4 -1.6H4V1.6H-4Z",
    "M-1.6 -4H1.6V4H-1.6Z",
};

void hn_svg_mark(hn_text *out, int32_t style, double x, double y, const char *tip) {
    if (!isfinite(x) || !isfinite(y)) return;
    hn_text_add(out, "<path class=\"m s%d\" transform=\"translate(%.1f %.1f)\" d=\"%s\"",
                (int)(style % HN_CHART_STYLES), x, y, shapes[style % HN_CHART_STYLES]);
    end_with_tip(out, "path", tip);
}
