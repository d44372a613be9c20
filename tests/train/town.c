/* The small platform of the training tests; see town.h. */
#include "town.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"

enum { ITEMS = 40 };

/* ---- A small platform -------------------------------------------------------------------- */

static const char CONFIG[] =
    "log: {files: log.csv}\n"
    "split: {by: hash, column: row, validation: 0.2, test: 0.2}\n"
    "scenario: {column: tab, values: [a, b, c]}\n"
    "tasks: {click: click, like: {label: like, weight: 0.5}}\n"
    "user: user_id\n"
    "features:\n"
    "  user_id: {kind: id, width: 4}\n"
    "  item_id: {kind: id, width: 4}\n"
    "  price: number\n"
    "  tags: {kind: list, width: 3, delimiter: '|'}\n"
    "model: {name: hinet, experts: 2, expert_units: [8, 6], scenario_width: 4, task_units: [6],\n"
    "        task_shared: 1, task_own: 1, tower_units: [4], embedding_dropout: 0.1}\n"
    "train: {batch: 128, epochs: 4, rate: 0.01, embedding_rate: 0.02, block_rows: 64, window: 4, "
    "patience: 0, shards: 2}\n";

typedef struct world {
    char *dir;
    int32_t runs;
} world;
static world w;

const char *town_dir(void) { return w.dir; }

void town_write_log(const char *name, int32_t first, int32_t n, int32_t users) {
    char *path = hn_path_join(w.dir, name);
    FILE *const file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "row,tab,user_id,item_id,price,tags,click,like\n");
    for (int32_t r = first; r < first + n; r++) {
        const uint64_t c = (uint64_t)r * 16;
        const uint64_t user = hn_random(1, HN_STREAM_TEST, c) % (uint64_t)users,
                       item = hn_random(1, HN_STREAM_TEST, c + 1) % ITEMS;
        const char tab = "aaaabbc"[hn_random(1, HN_STREAM_TEST, c + 2) % 7];
        const double taste = sin((double)user * 1.7) + cos((double)item * 2.3) +
                             (tab == 'c' ? sin((double)item) : 0);
        const int click = hn_random_unit(1, HN_STREAM_TEST, c + 3) < 1 / (1 + exp(-2 * taste));
        const int like = click && hn_random_unit(1, HN_STREAM_TEST, c + 4) < 0.4;
        fprintf(file, "%d,%c,u%d,i%d,%.2f,t%d|t%d,%d,", (int)r, tab, (int)user, (int)item,
                (double)item / 7, (int)(item % 5), (int)(user % 3), click);
        if (r % 13 == 0)
            fprintf(file, "\n"); /* an absent label */
        else
            fprintf(file, "%d\n", like);
    }
    assert_int_equal(fclose(file), 0);
    hn_free(path);
}

int town_set_up(void **state) {
    (void)state;
    w.dir = support_folder();
    town_write_log("log.csv", 0, TOWN_ROWS, TOWN_USERS);
    return 0;
}

int town_tear_down(void **state) {
    (void)state;
    support_remove(w.dir);
    free(w.dir);
    return 0;
}

/* ---- Running ----------------------------------------------------------------------------- */

void town_on_line(void *user, hn_log_level level, const char *line) {
    town_watch *const h = user;
    (void)level;
    const size_t n = strlen(line);
    h->heard = realloc(h->heard, h->n + n + 2);
    memcpy(h->heard + h->n, line, n);
    h->n += n;
    h->heard[h->n++] = '\n';
    h->heard[h->n] = 0;
    if (strncmp(line, "epoch", 5) != 0) return;
    h->lines++;
    if (h->lines == h->kill_at) kill(getpid(), SIGKILL);
    if (h->lines == h->stop_at) h->stop = 1;
}

hn_config *town_config(const char *const *sets, size_t n) {
    hn_error err = {0};
    hn_config *config;
    assert_ok(
        hn_config_parse(&config, CONFIG, strlen(CONFIG), "config.yaml", w.dir, sets, n, &err));
    return config;
}

char *town_new_run(void) {
    char name[32];
    snprintf(name, sizeof name, "run%d", (int)w.runs++);
    return hn_path_join(w.dir, name);
}

hn_status town_train(hn_report **out, const char *dir, const town_options *o, hn_error *err) {
    size_t n = 0;
    while (n < 6 && o->sets[n]) n++;
    hn_config *const config = town_config(o->sets, n);
    hn_run run = hn_run_default();
    run.out_dir = dir;
    run.threads = o->threads ? o->threads : 1;
    run.memory_bytes = o->memory;
    run.resume = o->resume;
    run.init_bundle = o->init;
    if (o->watch) {
        run.log = town_on_line;
        run.user = o->watch;
        run.stop = &o->watch->stop;
    }
    const hn_status status = hn_train(out, config, &run, err);
    hn_config_free(config);
    return status;
}

json_t *town_train_ok(const char *dir, const town_options *o) {
    hn_error err = {0};
    hn_report *report;
    assert_ok(town_train(&report, dir, o, &err));
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    assert_non_null(json);
    hn_report_free(report);
    return json;
}

bool town_has_file(const char *dir, const char *name) {
    char *const path = hn_path_join(dir, name);
    const bool has = hn_file_exists(path);
    hn_free(path);
    return has;
}

static void assert_same_file(const char *a, const char *b, const char *name) {
    hn_error err = {0};
    char *bytes[2], *paths[2] = {hn_path_join(a, name), hn_path_join(b, name)};
    size_t n[2];
    for (int i = 0; i < 2; i++) assert_ok(hn_file_read(&bytes[i], &n[i], paths[i], &err));
    if (n[0] != n[1] || memcmp(bytes[0], bytes[1], n[0]) != 0)
        fail_msg("%s and %s differ", paths[0], paths[1]);
    for (int i = 0; i < 2; i++) hn_free(bytes[i]), hn_free(paths[i]);
}

void town_same_bundles(const char *a, const char *b) {
    assert_same_file(a, b, "best.hn");
    assert_same_file(a, b, "last.hn");
}

double town_number(const json_t *json, const char *a, const char *b, const char *c) {
    const json_t *at = json_object_get(json, a);
    if (b) at = json_object_get(at, b);
    if (c) at = json_object_get(at, c);
    assert_true(json_is_number(at));
    return json_number_value(at);
}
