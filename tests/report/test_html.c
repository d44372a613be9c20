/* Escaping, templates and numbers of the report's page. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "support.h"

#define LOST "\xef\xbf\xbd"

static void text_is_escaped(void **state) {
    (void)state;
    static const struct {
        const char *text, *html;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"},
        {"a & b", "a &amp; b"},
        {"&amp;", "&amp;amp;"},
        {"\"quoted\"", "&quot;quoted&quot;"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82"},
        {"tab\tline\n", "tab\tline\n"},
        {"\x01\x1f\x7f\r", LOST LOST LOST LOST},
        {"\xc2\x85", LOST LOST}, /* a C1 control */
        {"a\xff"
         "b",
         "a" LOST "b"},                   /* no UTF-8 */
        {"\xc3", LOST},                   /* cut short */
        {"\xed\xa0\x80", LOST LOST LOST}, /* half a surrogate pair */
        {"\xc0\xaf", LOST LOST},          /* an overlong slash */
        {"\xef\xbf\xbf", LOST LOST LOST}, /* no character */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_text out = {0};
        hn_html_text(&out, cases[i].text);
        hn_text_bytes(&out, "", 0);
        assert_string_equal(out.text, cases[i].html);
        hn_text_free(&out);
    }
    hn_text out = {0};
    hn_html_text(&out, NULL);
    assert_int_equal(out.length, 0);
    hn_text_free(&out);
}

static void templates_are_filled_once(void **state) {
    (void)state;
    hn_text out = {0};
    HN_HTML(&out, "<a href=\"$\">$</a>", "\"><b>", "$ & $");
    assert_string_equal(out.text, "<a href=\"&quot;&gt;&lt;b&gt;\">$ &amp; $</a>");
    hn_text_free(&out);
    out = (hn_text){0};
    HN_HTML(&out, "$$$", "a"); /* one text for three places */
    assert_string_equal(out.text, "a");
    hn_text_free(&out);
}

static void json_has_no_tag_in_it(void **state) {
    (void)state;
    hn_text out = {0};
    json_t *const json = json_pack("{s:s, s:[f, i, n]}", "</script><!--", "a<b>&\"", "n", 0.25, 3);
    hn_html_json(&out, json);
    assert_false(out.failed);
    assert_null(strchr(out.text, '<'));
    json_t *const again = json_loads(out.text, 0, NULL);
    assert_true(json_equal(json, again));
    json_decref(json);
    json_decref(again);
    hn_text_free(&out);
    hn_html_json(&out, NULL);
    assert_true(out.failed);
    hn_text_free(&out);
}

#define MINUS "\xe2\x88\x92"
#define NONE "\xe2\x80\x93"

static void numbers_are_written_in_one_way(void **state) {
    (void)state;
    assert_string_equal(hn_figure_real(0.78945, 4).text, "0.7894");
    assert_string_equal(hn_figure_real(-0.5, 2).text, MINUS "0.50");
    assert_string_equal(hn_figure_real(-0.00001, 4).text, "0.0000"); /* no minus zero */
    assert_string_equal(hn_figure_real(NAN, 4).text, NONE);
    assert_string_equal(hn_figure_real(INFINITY, 4).text, NONE);
    assert_string_equal(hn_figure_real(1e300, 4).text, NONE);
    assert_string_equal(hn_figure_signed(0.0012, 4).text, "+0.0012");
    assert_string_equal(hn_figure_signed(-0.0012, 4).text, MINUS "0.0012");
    assert_string_equal(hn_figure_signed(0, 4).text, "0.0000");
    assert_string_equal(hn_figure_whole(0).text, "0");
    assert_string_equal(hn_figure_whole(999).text, "999");
    assert_string_equal(hn_figure_whole(1000).text, "1,000");
    assert_string_equal(hn_figure_whole(-1234567).text, MINUS "1,234,567");
    assert_string_equal(hn_figure_whole(999999999999999.0).text, "999,999,999,999,999");
    assert_string_equal(hn_figure_whole(NAN).text, NONE);
    assert_string_equal(hn_figure_share(0.1234).text, "12.3 %");
    assert_string_equal(hn_figure_share(0).text, "0.0 %");
    assert_string_equal(hn_figure_share(0.00018).text, "0.018 %");
    assert_string_equal(hn_figure_share(NAN).text, NONE);
    assert_string_equal(hn_figure_range(0.1, 0.2, 2, false).text, "0.10 to 0.20");
    assert_string_equal(hn_figure_range(-0.1, 0.2, 2, true).text, MINUS "0.10 to +0.20");
    assert_string_equal(hn_figure_range(NAN, 0.2, 2, true).text, NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(templates_are_filled_once),
        cmocka_unit_test(json_has_no_tag_in_it),
        cmocka_unit_test(numbers_are_written_in_one_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
