/* Escaping, templates and numbers of the report's page. What the page says is in page.c. */
#include "report/html.h"

#include <math.h>
#include <string.h>

#include "base/json.h"

/* ---- Escaping ---------------------------------------------------------------------------- */

static const char *escape_of(char c) {
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

static bool is_control(unsigned char c) {
    return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

static const char REPLACEMENT[] = "\xef\xbf\xbd";

/* Bytes of the character at `text`; 0: there is none that HTML may hold. C1 controls and the
 * non-characters at the end of a plane are no text. */
static size_t character_bytes(const char *text) {
    const unsigned char *const c = (const unsigned char *)text;
    size_t n = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    if (n == 0 || !hn_utf8_is(text, n) || is_control(c[0])) return 0;
    if (n == 2 && c[0] == 0xc2 && c[1] < 0xa0) return 0;
    if (n == 3 && c[0] == 0xef && c[1] == 0xbf && c[2] >= 0xbe) return 0;
    return n;
}

void hn_html_text(hn_text *out, const char *text) {
    for (const char *at = text ? text : ""; *at;) {
        const char *const escape = escape_of(*at);
        const size_t n = character_bytes(at);
        if (escape)
            hn_text_bytes(out, escape, strlen(escape));
        else if (n > 0)
            hn_text_bytes(out, at, n);
        else
            hn_text_bytes(out, REPLACEMENT, sizeof REPLACEMENT - 1);
        at += n > 0 ? n : 1;
    }
}

void hn_html_raw(hn_text *out, const char *markup) { hn_text_bytes(out, markup, strlen(markup)); }

void hn_html_fill(hn_text *out, const char *template, const char *const *texts, int32_t n) {
    int32_t next = 0;
    for (const char *at = template; *at;) {
        const size_t plain = strcspn(at, "$");
        hn_text_bytes(out, at, plain);
        at += plain;
        if (*at != '$') continue;
        if (next < n) hn_html_text(out, texts[next++]);
        at++;
    }
}

/* In JSON '<' stands in strings only, where \u003c means the same. */
static int write_json(const char *bytes, size_t n, void *user) {
    hn_text *const out = user;
    const char *const end = bytes + n;
    while (bytes < end) {
        const char *const found = memchr(bytes, '<', (size_t)(end - bytes));
        const char *const stop = found ? found : end;
        hn_text_bytes(out, bytes, (size_t)(stop - bytes));
        if (found) hn_text_bytes(out, "\\u003c", 6);
        bytes = found ? found + 1 : end;
    }
    return out->failed ? -1 : 0;
}

void hn_html_json(hn_text *out, const json_t *json) {
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY;
    if (!json || json_dump_callback(json, write_json, out, flags) != 0) out->failed = true;
}

/* ---- Numbers ----------------------------------------------------------------------------- */

static hn_figure none(void) { return (hn_figure){"\xe2\x80\x93"}; }

static const char MINUS[] = "\xe2\x88\x92";

/* No number of a report is as large as that, and a text of it would not fit. */
static bool can_show(double value) { return isfinite(value) && fabs(value) < 1e15; }

hn_figure hn_figure_real(double value, int32_t decimals) {
    hn_figure out = none();
    char digits[32];
    if (!can_show(value)) return out;
    snprintf(digits, sizeof digits, "%.*f", (int)(decimals < 9 ? decimals : 9), fabs(value));
    const bool zero = strspn(digits, "0.") == strlen(digits);
    snprintf(out.text, sizeof out.text, "%s%s", value < 0 && !zero ? MINUS : "", digits);
    return out;
}

hn_figure hn_figure_signed(double value, int32_t decimals) {
    const hn_figure plain = hn_figure_real(value, decimals);
    hn_figure out = plain;
    if (can_show(value) && value > 0) snprintf(out.text, sizeof out.text, "+%.38s", plain.text);
    return out;
}

hn_figure hn_figure_whole(double value) {
    hn_figure out = none();
    char digits[32];
    if (!can_show(value)) return out;
    const int length = snprintf(digits, sizeof digits, "%.0f", fabs(value));
    size_t n = 0;
    if (value <= -0.5) n = (size_t)snprintf(out.text, sizeof out.text, "%s", MINUS);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) out.text[n++] = ',';
        out.text[n++] = digits[i];
    }
    out.text[n] = '\0';
    return out;
}

hn_figure hn_figure_share(double value) {
    hn_figure out = none();
    if (!can_show(value)) return out;
    const double percent = 100 * value;
    snprintf(out.text, sizeof out.text, "%.*f %%", percent > 0 && percent < 0.1 ? 3 : 1, percent);
    return out;
}

hn_figure hn_figure_range(double low, double high, int32_t decimals, bool with_sign) {
    if (!can_show(low) || !can_show(high)) return none();
    const hn_figure a = with_sign ? hn_figure_signed(low, decimals) : hn_figure_real(low, decimals),
                    b = with_sign ? hn_figure_signed(high, decimals)
                                  : hn_figure_real(high, decimals);
    hn_figure out;
    snprintf(out.text, sizeof out.text, "%.16s to %.16s", a.text, b.text);
    return out;
}
