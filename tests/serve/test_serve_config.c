/* SERVE.yaml: what is read, every default, short forms, each error with its place, printing as a
 * fixed point, the questions that requests ask, no memory, and that the docs are the reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "online/assign.h"
#include "serve/serve_config.h"
#include "support.h"

static hn_error err;

static hn_serve_config *parse(const char *text) {
    hn_serve_config *c = NULL;
    assert_ok(hn_serve_config_parse(&c, text, strlen(text), "s.yaml", "/srv", &err));
    return c;
}

static void assert_fixed_point(const hn_serve_config *c) {
    hn_text first = {0}, second = {0};
    hn_serve_config_print(&first, c);
    hn_serve_config *const again = parse(first.text);
    hn_serve_config_print(&second, again);
    assert_string_equal(first.text, second.text);
    hn_serve_config_free(again);
    hn_text_free(&first);
    hn_text_free(&second);
}

/* ---- What is read -------------------------------------------------------------------------- */

static void assert_defaults(const hn_serve_config *c) {
    assert_int_equal(c->n_models, 1);
    assert_string_equal(c->models[0].name, "default");
    assert_null(c->models[0].pin);
    assert_string_equal(c->policy.model, "default");
    assert_int_equal(c->policy.n_fusion, 0);
    assert_int_equal(c->policy.calibration, 1);
    assert_int_equal(c->policy.n_fallback, 3);
    for (int8_t k = 0; k < 3; k++) assert_int_equal(c->policy.fallback[k], k);
    assert_string_equal(c->listen, "127.0.0.1:8080");
    assert_null(c->admin_listen);
    assert_null(c->admin_token_file);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->queue, 256);
    assert_true(c->deadline_ms == 100 && c->max_deadline_ms == 10000);
    assert_true(c->header_seconds == 5 && c->body_seconds == 10 && c->drain_seconds == 10);
    assert_int_equal(c->max_header_bytes, 16384);
    assert_int_equal(c->max_body_bytes, 8 << 20);
    assert_int_equal(c->max_depth, 32);
    assert_int_equal(c->max_candidates, 2000);
    assert_int_equal(c->max_connections, 1000);
    assert_true(c->poll_seconds == 5);
    assert_int_equal(c->n_layers, 0);
    assert_null(c->store.url);
    assert_string_equal(c->store.prefix, "hinet");
    assert_true(c->store.timeout_ms == 10 && c->store.cache_seconds == 30);
    assert_int_equal(c->store.cache_entries, 100000);
    assert_null(c->exposures.dir);
    assert_null(c->exposures.user_key);
    assert_true(c->exposures.features == 1 && c->exposures.flush_seconds == 1);
    assert_int_equal(c->exposures.file_bytes, 256 << 20);
    assert_int_equal(c->exposures.queue_bytes, 64 << 20);
}

static void one_path_is_enough(void **state) {
    (void)state;
    hn_serve_config *const c = parse("models: models\n");
    assert_defaults(c);
    assert_string_equal(c->models[0].path, "/srv/models");
    assert_string_equal(c->path, "s.yaml");
    assert_string_equal(c->dir, "/srv");
    assert_fixed_point(c);
    hn_serve_config_free(c);
}

static void a_bundle_is_enough(void **state) {
    (void)state;
    hn_serve_config *c = NULL;
    char here[4096], expected[4200];
    assert_ok(hn_serve_config_of_bundle(&c, "/tmp/\xff odd: name.hn", &err));
    assert_defaults(c);
    assert_string_equal(c->models[0].path, "/tmp/\xff odd: name.hn");
    hn_serve_config_free(c);
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/run/best.hn", here);
    assert_ok(hn_serve_config_of_bundle(&c, "run/best.hn", &err));
    assert_string_equal(c->models[0].path, expected);
    hn_serve_config_free(c);
    assert_fails(HN_BAD_CONFIG, "expected a path", hn_serve_config_of_bundle(&c, "", &err));
    assert_null(c);
}

static const char whole[] =
    "models: {main: models/main, base: {path: /abs/base.hn, pin: '7'}}\n"
    "model: base\n"
    "listen: '[::1]:0'\n"
    "admin: {listen: 127.0.0.1:81, token_file: token}\n"
    "workers: 3\nqueue: 9\ndeadline_ms: 50\nmax_deadline_ms: 60\ndrain_seconds: 0\npoll_seconds: "
    "0.5\n"
    "limits: {candidates: 10, body_bytes: 1e6, header_bytes: 2048, depth: 8, connections: 5,\n"
    "         header_seconds: 1, body_seconds: 2}\n"
    "fusion:\n  home: click^0.8 * order\n  'a b': \"click\"\n  others: order\n"
    "calibration: off\n"
    "fallback: prior\n"
    "experiments:\n"
    "  ranking:\n"
    "    salt: s1\n    scenarios: [home, 'a b']\n    holdout: 0.05\n"
    "    arms:\n"
    "      A: {share: 0.5, model: main, users: [u1, '7']}\n"
    "      B: {share: 0.45, fusion: click, calibration: on, fallback: [], users: u2}\n"
    "  other: {scenarios: list, arms: {x: 0.0001, y: 0}}\n"
    "store: {url: redis://h:1/2, tables: users, prefix: p, timeout_ms: 3, cache_seconds: 0, "
    "cache_entries: 4}\n"
    "exposures: {dir: log, features: 0.25, user_key: 0123456789abcdef, file_bytes: 5000,\n"
    "            queue_bytes: 6000, flush_seconds: 0.1}\n";

static void assert_layers(const hn_serve_config *c) {
    assert_int_equal(c->n_layers, 2);
    const hn_serve_layer *const l = &c->layers[0];
    assert_string_equal(l->name, "ranking");
    assert_string_equal(l->salt, "s1");
    assert_int_equal(l->scenarios.n, 2);
    assert_int_equal(l->holdout, 500);
    assert_int_equal(l->n_arms, 2);
    const hn_serve_arm *const a = &l->arms[0], *const b = &l->arms[1];
    assert_int_equal(a->buckets, 5000);
    assert_string_equal(a->policy.model, "main");
    assert_int_equal(a->policy.n_fusion, 0);
    assert_int_equal(a->policy.calibration, -1);
    assert_int_equal(a->policy.n_fallback, -1);
    assert_int_equal(b->buckets, 4500);
    assert_null(b->policy.model);
    assert_int_equal(b->policy.calibration, 1);
    assert_int_equal(b->policy.n_fallback, 0);
    assert_string_equal(b->policy.fusion[0].text, "click");
    assert_int_equal(l->shares[1], 4500);
    assert_int_equal(l->n_overrides, 3);
    assert_string_equal(c->layers[1].salt, "other");
    assert_int_equal(c->layers[1].arms[0].buckets, 1);
}

static void everything_is_read(void **state) {
    (void)state;
    hn_serve_config *const c = parse(whole);
    assert_int_equal(c->n_models, 2);
    assert_string_equal(c->models[0].path, "/srv/models/main");
    assert_string_equal(c->models[1].path, "/abs/base.hn");
    assert_string_equal(c->models[1].pin, "7");
    assert_string_equal(c->policy.model, "base");
    assert_string_equal(c->listen, "[::1]:0");
    assert_string_equal(c->admin_listen, "127.0.0.1:81");
    assert_string_equal(c->admin_token_file, "/srv/token");
    assert_true(c->workers == 3 && c->queue == 9 && c->deadline_ms == 50 &&
                c->max_deadline_ms == 60);
    assert_true(c->drain_seconds == 0 && c->poll_seconds == 0.5);
    assert_true(c->max_candidates == 10 && c->max_body_bytes == 1000000 &&
                c->max_header_bytes == 2048);
    assert_true(c->max_depth == 8 && c->max_connections == 5);
    assert_true(c->header_seconds == 1 && c->body_seconds == 2);
    assert_int_equal(c->policy.n_fusion, 3);
    assert_string_equal(c->policy.fusion[0].where, "s.yaml:14:9");
    assert_string_equal(c->policy.fusion[1].where, "s.yaml:15:11");
    assert_string_equal(c->policy.fusion[1].scenario, "a b");
    assert_null(c->policy.fusion[2].scenario);
    assert_int_equal(c->policy.calibration, 0);
    assert_int_equal(c->policy.n_fallback, 1);
    assert_int_equal(c->policy.fallback[0], HN_FALLBACK_PRIOR);
    assert_int_equal(c->policy.fallback[1], -1);
    assert_layers(c);
    assert_string_equal(c->store.url, "redis://h:1/2");
    assert_string_equal(c->store.tables.items[0], "users");
    assert_string_equal(c->exposures.dir, "/srv/log");
    assert_true(c->exposures.features == 0.25 && c->exposures.queue_bytes == 6000);
    assert_fixed_point(c);
    hn_serve_config_free(c);
}

/* ---- Questions of a request ---------------------------------------------------------------- */

static void requests_find_their_arms(void **state) {
    (void)state;
    hn_serve_config *const c = parse(whole);
    const hn_serve_layer *const l = &c->layers[0];
    assert_int_equal(hn_serve_layer_arm(l, "u1", 2), 0);
    assert_int_equal(hn_serve_layer_arm(l, "7 and more", 1), 0);
    assert_int_equal(hn_serve_layer_arm(l, "u2", 2), 1);
    int32_t counts[3] = {0};
    for (int i = 0; i < 10000; i++) {
        char unit[16];
        const size_t n = (size_t)snprintf(unit, sizeof unit, "v%d", i);
        const int32_t arm = hn_serve_layer_arm(l, unit, n);
        counts[arm + 1]++;
        assert_int_equal(arm, hn_assign_arm(hn_assign_bucket("s1", unit, n), l->shares, 2, 500));
    }
    assert_in_range(counts[0], 400, 600);
    assert_in_range(counts[1], 4800, 5200);
    assert_true(hn_serve_layer_has(l, "home") && !hn_serve_layer_has(l, "list"));
    assert_string_equal(hn_serve_policy_fusion(&c->policy, "a b")->text, "click");
    assert_string_equal(hn_serve_policy_fusion(&c->policy, "new")->text, "order");
    assert_string_equal(hn_serve_policy_fusion(&c->policy, "others")->text, "order");
    assert_string_equal(hn_serve_policy_fusion(&l->arms[1].policy, "new")->text, "click");
    assert_null(hn_serve_policy_fusion(&l->arms[0].policy, "home"));
    hn_serve_config_free(c);
    hn_serve_config *const d =
        parse("models: m\nfusion: {home: click}\nexperiments: {e: {arms: {a: 1}}}\n");
    assert_null(hn_serve_policy_fusion(&d->policy, "list"));
    assert_true(hn_serve_layer_has(&d->layers[0], "anything"));
    assert_int_equal(hn_serve_layer_arm(&d->layers[0], "", 0), 0);
    hn_serve_config_free(d);
}

/* ---- Errors -------------------------------------------------------------------------------- */

#define M "models: {a: x, b: y}\n"
#define E M "experiments:\n"
static const struct {
    const char *text, *words;
} wrong[] = {
    {"",
     "s.yaml:1:1: models: this key is absent, but it is required; expected a path, or a mapping"},
    {"models: {}", "1:9: models: found 0 entries; expected 1 to 16"},
    {"models: []", "1:9: models: found a list; expected a path, or a mapping"},
    {"models: {a: {pin: 1}}", "models.a.path: this key is absent"},
    {"models: {a: x, a: y}", "1:16: found the key \"a\" a second time"},
    {"models: {a: [x]}", "models.a.path: found a list; expected a path"},
    {"models: ''", "expected a path"},
    {M "modle: a", "2:1: modle: unknown key; did you mean \"model\"?"},
    {M "model: c", "2:8: model: found \"c\"; expected one of `models`"},
    {"models: {main: x}\nmodel: mian", "did you mean \"main\"?"},
    {M "listen: 80", "2:9: listen: found \"80\"; expected HOST:PORT"},
    {M "listen: 'h:70000'", "listen: found"},
    {M "listen: 'h:'", "listen: found"},
    {M "listen: ':80'", "listen: found"},
    {M "listen: '::1:80'", "listen: found"},
    {M "listen: '[::1]80'", "listen: found"},
    {M "listen: '[]:80'", "listen: found"},
    {M "listen: '[::1:80'", "listen: found"},
    {M "listen: 'a b:80'", "listen: found"},
    {M "listen: 'http://h:80'", "listen: found"},
    {M "listen: 'unix:relative'", "listen: found"},
    {M "listen: 'unix:/'", "listen: found"},
    {M "listen: [h:1]", "listen: found a list"},
    {M "admin: 127.0.0.1:1", "2:8: admin.listen: found \"127.0.0.1:1\" without `token_file`"},
    {M "admin: {token_file: x}", "2:21: admin.token_file: there is no admin surface"},
    {M "admin: {lisen: unix:/x}", "admin.lisen: unknown key; did you mean \"listen\"?"},
    {M "workers: -1", "workers: found \"-1\"; expected an integer from 0 to 256"},
    {M "queue: 0", "queue: found"},
    {M "deadline_ms: 0", "deadline_ms: found \"0\"; expected a number above 0"},
    {M "deadline_ms: 100\nmax_deadline_ms: 99",
     "2:14: deadline_ms: found more than `max_deadline_ms`, which is 99"},
    {M "limits: {depth: 2}", "limits.depth: found"},
    {M "limits: 7", "limits: found a single value; expected a mapping"},
    {M "calibration: maybe", "calibration: found \"maybe\"; expected on or off"},
    {M "fallback: [prior, previos]", "2:19: fallback: found \"previos\"; expected previous, prior "
                                     "or order; did you mean \"previous\"?"},
    {M "fallback: [prior, prior]", "2:19: fallback: found \"prior\" twice"},
    {M "fallback: [order, prior]", "2:19: fallback: found \"prior\" after order"},
    {M "fallback: {a: b}", "fallback: found a mapping"},
    {M "fallback: [[prior]]", "fallback: found a list"},
    {M "fusion: click * * order", "s.yaml:2:17: found \"*\" in the expression"},
    {M "fusion: \"click * * order\"", "s.yaml:2:18: found \"*\" in the expression"},
    {M "fusion: {home: 'lg(2)'}", "s.yaml:2:17: found the function \"lg\""},
    {M "fusion: |\n  a *\n  $\n", "s.yaml:4:1: found \"$\""},
    {M "fusion: {}", "fusion: found a mapping; expected an expression"},
    {M "fusion: {home: }", "fusion.home: nothing was written here"},
    {M "fusion: {'': a}", "expected 1 to 200 characters"},
    {M "fusion: [a]", "fusion: found a list; expected an expression"},
    {M "fusion: {home: [a]}", "fusion.home: found a list"},
    {E "  r: {}", "experiments.r.arms: this key is absent"},
    {E "  r: {arms: {}}", "experiments.r.arms: found 0 entries; expected 1 to 32"},
    {E "  r: {arms: {A: {users: u}}}", "experiments.r.arms.A.share: this key is absent"},
    {E "  r: {arms: {A: 1.1}}",
     "experiments.r.arms.A.share: found \"1.1\"; expected a share from 0 to 1"},
    {E "  r: {arms: {A: -0.1}}", "share: found \"-0.1\""},
    {E "  r: {arms: {A: 0.33333}}", "3:17: experiments.r.arms.A.share: found 0.33333, which is no "
                                    "whole number of the 10000 buckets"},
    {E "  r: {arms: {A: 0.5, B: 0.5001}}",
     "3:13: experiments.r.arms: the shares of the arms are 1.0001 in all and the hold-out is 0;"},
    {E "  r: {holdout: 0.1, arms: {A: 0.5, B: 0.4001}}",
     "the shares of the arms are 0.9001 in all and the hold-out is 0.1;"},
    {E "  r: {arms: {A: 0.5, A: 0.5}}", "found the key \"A\" a second time"},
    {E "  r: {arms: {A: {share: 0.5, model: c}}}",
     "3:37: experiments.r.arms.A.model: found \"c\"; expected one of `models`"},
    {E "  r: {arms: {A: {share: 0.5, users: [u, u]}}}",
     "experiments.r.arms.A.users: found \"u\" twice"},
    {E "  r: {arms: {A: {share: 0.5, users: u}, B: {share: 0, users: [v, u]}}}",
     "experiments.r.arms: found the user \"u\" in the arms \"A\" and \"B\""},
    {E "  r: {arms: {A: {share: 0.5, fusion: '1+'}}}", "s.yaml:3:41: found the end"},
    {E "  r: {arms: {A: {share: 0.5, listen: x}}}", "experiments.r.arms.A.listen: unknown key"},
    {E "  r: {salt: s, arms: {A: 1}}\n  q: {salt: s, arms: {A: 1}}",
     "4:6: experiments.q: its salt \"s\" is that of \"r\" too"},
    {E "  r: {salt: q, arms: {A: 1}}\n  q: {arms: {A: 1}}", "experiments.q: its salt"},
    {E "  r: {arms: {A: {share: 1, model: a}}}\n  q: {arms: {A: 0.5, B: {share: 0.5, model: b}}}",
     "experiments.q: its arms change `model`, and so do those of \"r\""},
    {E "  r: {arms: {A: {share: 1, fusion: a}}}\n  q: {scenarios: x, arms: {A: {share: 1, fusion: "
       "b}}}",
     "its arms change `fusion`"},
    {E "  r: {scenarios: [y, x], arms: {A: {share: 1, calibration: on}}}\n  q: {scenarios: [x, z], "
       "arms: {A: {share: 1, calibration: off}}}",
     "its arms change `calibration`"},
    {E "  r: {arms: {A: {share: 1, fallback: order}}}\n  q: {arms: {A: {share: 1, fallback: []}}}",
     "its arms change `fallback`"},
    {E "  r: {scenarios: [x, x], arms: {A: 1}}", "scenarios: found \"x\" twice"},
    {M "store: http://h", "2:8: store.url: found \"http://h…\"; expected redis://"},
    {M "store: redis://", "store.url: found"},
    {M "store: redis+unix:///", "store.url: found"},
    {M "store: {url: redis://h, timeout_ms: 0}", "store.timeout_ms: found"},
    {M "exposures: {dir: d, user_key: hush}",
     "s.yaml:2:31: exposures.user_key: found 4 bytes; expected 16 to 1000"},
    {M "exposures: {dir: d, features: 1.5}", "exposures.features: found"},
    {M "a: b: c", "s.yaml:2:"},
    {"- a", "s.yaml:1:1: found a list; expected a mapping of options"},
};

static void errors_name_their_place(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        hn_serve_config *c = NULL;
        assert_fails(
            HN_BAD_CONFIG, wrong[k].words,
            hn_serve_config_parse(&c, wrong[k].text, strlen(wrong[k].text), "s.yaml", "", &err));
        assert_null(strstr(err.text, "hush")); /* a secret */
        assert_null(c);
    }
}

static void what_is_not_wrong(void **state) {
    (void)state;
    static const char *const fine[] = {
        M "listen: unix:/run/x.sock\nadmin: unix:/run/a.sock",
        M "listen: localhost:0\nadmin: ~\nexperiments: {}\nstore: ~\nexposures: null",
        M "fallback: []",
        E "  r: {salt: s, scenarios: x, arms: {A: {share: 1, model: a}}}\n"
          "  q: {salt: s, scenarios: y, arms: {A: {share: 1, model: b}}}",
        E "  r: {arms: {A: 1}}\n  q: {arms: {A: {share: 1, model: b}}}",
        E "  r: {holdout: 1, arms: {A: {share: 0, users: me}}}",
        E "  r: ~",
        M "store: redis://user:secret@h:1",
        M "calibration: true",
    };
    for (size_t k = 0; k < sizeof fine / sizeof *fine; k++) {
        hn_serve_config *const c = parse(fine[k]);
        assert_fixed_point(c);
        hn_serve_config_free(c);
    }
}

/* ---- Files, memory, docs ------------------------------------------------------------------- */

static void files_are_read(void **state) {
    (void)state;
    hn_serve_config *c = NULL;
    char *const folder = support_folder();
    char path[4096], expected[4200];
    snprintf(path, sizeof path, "%s/serve.yaml", folder);
    snprintf(expected, sizeof expected, "%s/m", folder);
    support_write(path, "models: m\n", 10);
    assert_ok(hn_serve_config_load(&c, path, &err));
    assert_string_equal(c->models[0].path, expected);
    assert_string_equal(c->dir, folder);
    hn_serve_config_free(c);
    snprintf(path, sizeof path, "%s/none.yaml", folder);
    assert_fails(HN_NO_INPUT, "none.yaml: the config cannot be opened",
                 hn_serve_config_load(&c, path, &err));
    assert_null(c);
    support_remove(folder);
    free(folder);
    hn_serve_config_free(NULL);
}

static hn_status load_whole(void *user, hn_error *e) {
    hn_serve_config *c = NULL;
    (void)user;
    const hn_status status = hn_serve_config_parse(&c, whole, strlen(whole), "s.yaml", "srv", e);
    hn_serve_config_free(c);
    return status;
}

static hn_status make_reference(void *user, hn_error *e) {
    (void)user;
    hn_report *report = NULL;
    const hn_status status = hn_serve_config_reference(&report, e);
    hn_report_free(report);
    return status;
}

static void no_memory(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, load_whole, NULL) >= 3);
    assert_true(support_fail_each(HN_FAULT_ALLOC, make_reference, NULL) >= 3);
}

static void docs_are_the_reference(void **state) {
    (void)state;
    static const char path[] = HN_SOURCE_DIR "/docs/serving-config.md";
    hn_report *report = NULL;
    char *docs = NULL;
    size_t n = 0;
    assert_ok(hn_serve_config_reference(&report, &err));
    assert_non_null(strstr(hn_report_json(report), "\"experiments.NAME.arms.NAME.share\""));
    if (getenv("HN_UPDATE_DOCS") != NULL)
        support_write(path, hn_report_text(report), strlen(hn_report_text(report)));
    assert_ok(hn_file_read(&docs, &n, path, &err));
    const bool same = strcmp(docs, hn_report_text(report)) == 0;
    hn_report_free(report);
    if (!same)
        fail_msg("docs/serving-config.md is not what the tables say: run this test with "
                 "HN_UPDATE_DOCS=1 and look at the difference");
    /* Its example is right. */
    char *const begin = strstr(docs, "```yaml\n"), *const end = strstr(begin + 8, "```");
    *end = '\0';
    hn_serve_config *const c = parse(begin + 8);
    assert_int_equal(c->n_layers, 2);
    assert_fixed_point(c);
    hn_serve_config_free(c);
    hn_free(docs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_path_is_enough),      cmocka_unit_test(a_bundle_is_enough),
        cmocka_unit_test(everything_is_read),      cmocka_unit_test(requests_find_their_arms),
        cmocka_unit_test(errors_name_their_place), cmocka_unit_test(what_is_not_wrong),
        cmocka_unit_test(files_are_read),          cmocka_unit_test(no_memory),
        cmocka_unit_test(docs_are_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
