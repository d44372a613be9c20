/* Event files: the checksum's published values, records that read back by a reader written
 * here, and trainings that write them without a byte of theirs changing. TensorBoard itself
 * reads one in tests/python/test_tensorboard.py. */
#include "train/events.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "town.h"

static void the_checksum_is_crc32c(void **state) {
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(hn_crc32c("", 0), 0);
    assert_int_equal(hn_crc32c("123456789", 9), 0xe3069283);
    /* RFC 3720, B.4 */
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(hn_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(hn_crc32c(bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) bytes[i] = i;
    assert_int_equal(hn_crc32c(bytes, 32), 0x46dd794e);
}

/* ---- A reader ---------------------------------------------------------------------------- */

typedef struct event {
    double time;
    uint64_t step;
    char version[20];
    int32_t start; /* 1: a session begins */
    struct {
        char tag[100];
        float value;
    } scalars[60];
    int32_t n;
} event;

typedef struct bytes {
    const uint8_t *at, *end;
} bytes;

static uint64_t varint(bytes *b) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        assert_true(b->at < b->end);
        const uint8_t byte = *b->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    fail_msg("a varint of more than ten bytes");
    return 0;
}

static void copy(void *to, bytes *b, size_t n) {
    assert_true((size_t)(b->end - b->at) >= n);
    memcpy(to, b->at, n);
    b->at += n;
}

static bytes nested(bytes *b) {
    const uint64_t n = varint(b);
    assert_true((uint64_t)(b->end - b->at) >= n);
    const bytes inside = {b->at, b->at + n};
    b->at += n;
    return inside;
}

static void text(char *to, size_t room, bytes b) {
    assert_true((size_t)(b.end - b.at) < room);
    memcpy(to, b.at, (size_t)(b.end - b.at));
    to[b.end - b.at] = 0;
}

static void read_scalar(event *e, bytes b) {
    assert_int_equal(varint(&b), 1 << 3 | 2);
    text(e->scalars[e->n].tag, sizeof e->scalars[e->n].tag, nested(&b));
    assert_int_equal(varint(&b), 2 << 3 | 5);
    copy(&e->scalars[e->n++].value, &b, 4);
    assert_true(b.at == b.end);
}

static void read_field(event *e, bytes *b) {
    switch (varint(b)) {
    case 1 << 3 | 1: copy(&e->time, b, 8); break;
    case 2 << 3: e->step = varint(b); break;
    case 3 << 3 | 2: text(e->version, sizeof e->version, nested(b)); break;
    case 5 << 3 | 2:
        for (bytes s = nested(b); s.at < s.end;) {
            assert_int_equal(varint(&s), 1 << 3 | 2);
            read_scalar(e, nested(&s));
        }
        break;
    case 7 << 3 | 2: {
        bytes s = nested(b);
        assert_int_equal(varint(&s), 1 << 3);
        e->start = (int32_t)varint(&s);
        break;
    }
    default: fail_msg("a field that is not known");
    }
}

static uint32_t unmasked(uint32_t masked) {
    const uint32_t crc = masked - 0xa282ead8u;
    return crc >> 17 | crc << 15;
}

static int32_t read_events(event *out, int32_t room, const char *path) {
    hn_error err = {0};
    char *content;
    size_t n;
    int32_t count = 0;
    assert_ok(hn_file_read(&content, &n, path, &err));
    bytes file = {(const uint8_t *)content, (const uint8_t *)content + n};
    while (file.at < file.end) {
        uint64_t length;
        uint32_t crc;
        const uint8_t *const begin = file.at;
        copy(&length, &file, 8), copy(&crc, &file, 4);
        assert_int_equal(unmasked(crc), hn_crc32c(begin, 8));
        bytes b = {file.at, file.at + length};
        assert_true((uint64_t)(file.end - file.at) >= length + 4);
        file.at += length;
        copy(&crc, &file, 4);
        assert_int_equal(unmasked(crc), hn_crc32c(b.at, length));
        assert_true(count < room);
        out[count] = (event){0};
        while (b.at < b.end) read_field(&out[count], &b);
        count++;
    }
    hn_free(content);
    return count;
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    hn_error err = {0};
    hn_events *events;
    static event e[10];
    char *const dir = hn_path_join(town_dir(), "a/b"), long_tag[90];
    memset(long_tag, 'x', sizeof long_tag);
    long_tag[89] = 0;
    assert_ok(hn_events_open(&events, dir, 300, &err));
    assert_ok(hn_events_write(events, 1, &err)); /* nothing was added */
    hn_events_add(events, "train/loss", 0.25);
    hn_events_add(events, "not a number", NAN);
    hn_events_add(events, "infinite", 1e300);
    hn_events_add(events, "auc/main/click\xc3\xa9", -1.5);
    assert_ok(hn_events_write(events, 300, &err));
    hn_events_add(events, long_tag, 3);
    assert_ok(hn_events_write(events, INT64_C(1) << 40, &err));
    assert_int_equal(read_events(e, 10, hn_events_path(events)), 4);
    assert_non_null(strstr(hn_events_path(events), "a/b/events.out.tfevents."));
    hn_events_close(events);
    hn_events_close(NULL);
    assert_string_equal(e[0].version, "brain.Event:2");
    assert_true(e[0].step == 0 && e[0].time > 1e9 && e[1].time >= e[0].time);
    assert_true(e[1].step == 300 && e[1].start == 1);
    assert_true(e[2].step == 300 && e[2].n == 2);
    assert_string_equal(e[2].scalars[0].tag, "train/loss");
    assert_true(e[2].scalars[0].value == 0.25f && e[2].scalars[1].value == -1.5f);
    assert_string_equal(e[2].scalars[1].tag, "auc/main/click\xc3\xa9");
    assert_true(e[3].step == UINT64_C(1) << 40 && e[3].n == 1);
    assert_string_equal(e[3].scalars[0].tag, long_tag);
    hn_free(dir);
}

/* ---- Of a training ----------------------------------------------------------------------- */

static hn_status train(hn_report **out, const char *dir, const char *board, bool resume,
                       town_watch *watch, hn_error *err) {
    static const char *const sets[] = {"train.weighting=gradnorm", "train.eval_every=9",
                                       "train.decay=linear"};
    hn_config *const config = town_config(sets, 3);
    hn_run run = hn_run_default();
    run.out_dir = dir;
    run.threads = 2;
    run.resume = resume;
    run.tensorboard = board;
    if (watch) {
        run.log = town_on_line;
        run.user = watch;
        run.stop = &watch->stop;
    }
    const hn_status status = hn_train(out, config, &run, err);
    hn_config_free(config);
    return status;
}

/* The paths of a folder's files in the order of their names; free() each. */
static int32_t files_of(char *paths[], const char *dir) {
    struct dirent **entries;
    const int n = scandir(dir, &entries, NULL, alphasort);
    int32_t count = 0;
    assert_true(n >= 2);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') paths[count++] = hn_path_join(dir, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return count;
}

static float scalar(const event *e, const char *tag) {
    for (int32_t i = 0; i < e->n; i++)
        if (strcmp(e->scalars[i].tag, tag) == 0) return e->scalars[i].value;
    return NAN;
}

static void a_training_tells_its_curves(void **state) {
    (void)state;
    static event e[200];
    char *const plain = town_new_run(), *const told = town_new_run(), *const board = town_new_run(),
                *paths[4];
    hn_error err = {0};
    hn_report *report;
    assert_ok(train(&report, plain, NULL, false, NULL, &err));
    hn_report_free(report);
    assert_ok(train(&report, told, board, false, NULL, &err));
    town_same_bundles(plain, told);
    assert_int_equal(files_of(paths, board), 1);
    const int32_t n = read_events(e, 200, paths[0]);
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    const json_t *const epochs = json_object_get(json, "epochs");
    int32_t steps = 0, evaluations = 0, tests = 0;
    for (int32_t i = 2; i < n; i++) {
        if (!isnan(scalar(&e[i], "train/loss"))) {
            assert_int_equal(e[i].step, ++steps);
            const float w = scalar(&e[i], "weight/click") + scalar(&e[i], "weight/like");
            assert_true(fabsf(w - 2) < 1e-5f && scalar(&e[i], "train/rows_per_s") > 0);
            assert_true(scalar(&e[i], "loss/click") > 0 && scalar(&e[i], "train/rate") <= 0.01f);
        } else if (!isnan(scalar(&e[i], "test/auc"))) {
            assert_true((double)scalar(&e[i], "test/auc") ==
                        (double)(float)town_number(json, "test", "mean", "auc"));
            tests++;
        } else {
            const json_t *const record = json_array_get(epochs, (size_t)evaluations++);
            const double auc = town_number(record, "validation", "auc", NULL);
            assert_int_equal(e[i].step, (int64_t)town_number(record, "step", NULL, NULL));
            assert_true(scalar(&e[i], "validation/auc") == (float)auc);
            assert_true(scalar(&e[i], "validation/auc/b/like") > 0);
            assert_true(scalar(&e[i], "validation/log_loss/c/click") > 0);
            assert_true(scalar(&e[i], "validation/gauc") > 0);
        }
    }
    assert_int_equal(evaluations, json_array_size(epochs));
    assert_int_equal(tests, 1);
    assert_int_equal(steps, (int32_t)town_number(json_array_get(epochs, (size_t)evaluations - 1),
                                                 "step", NULL, NULL));
    json_decref(json);
    hn_report_free(report);
    hn_free(paths[0]), hn_free(plain), hn_free(told), hn_free(board);
}

/* The second file begins where the first one must be cut. */
static void a_resumed_training_goes_on_in_a_second_file(void **state) {
    (void)state;
    static event first[200], second[200];
    char *const dir = town_new_run(), *const board = town_new_run(), *paths[4];
    hn_error err = {0};
    hn_report *report;
    town_watch h = {.stop_at = 2};
    assert_fails(HN_INTERRUPTED, "--resume", train(&report, dir, board, false, &h, &err));
    assert_ok(train(&report, dir, board, true, NULL, &err));
    hn_report_free(report);
    assert_int_equal(files_of(paths, board), 2);
    const int32_t a = read_events(first, 200, paths[0]), b = read_events(second, 200, paths[1]);
    assert_true(first[1].start == 1 && first[1].step == 0);
    assert_true(second[1].start == 1 && second[1].step == 19); /* after 18 steps */
    assert_int_equal(first[a - 1].step, 18);
    assert_int_equal(second[2].step, 19);
    assert_true(b > 10);
    free(h.heard);
    hn_free(paths[0]), hn_free(paths[1]), hn_free(dir), hn_free(board);
}

static void a_folder_that_cannot_be_is_named(void **state) {
    (void)state;
    char *const dir = town_new_run(), *const file = hn_path_join(town_dir(), "file");
    hn_error err = {0};
    hn_report *report;
    support_write(file, "x", 1);
    assert_fails(HN_CANNOT_CREATE, "file", train(&report, dir, file, false, NULL, &err));
    assert_null(report);
    hn_free(dir), hn_free(file);
}

static hn_status write_some(void *user, hn_error *err) {
    hn_events *events = NULL;
    HN_TRY(hn_events_open(&events, user, 0, err));
    hn_events_add(events, "a", 1);
    hn_events_add(events, "b", 2);
    const hn_status status = hn_events_write(events, 1, err);
    hn_events_close(events);
    return status;
}

static void faults_leak_nothing(void **state) {
    (void)state;
    char *const dir = town_new_run();
    assert_true(support_fail_each(HN_FAULT_ALLOC, write_some, dir) >= 5);
    assert_true(support_fail_each(HN_FAULT_WRITE, write_some, dir) >= 3);
    hn_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_training_tells_its_curves),
        cmocka_unit_test(a_resumed_training_goes_on_in_a_second_file),
        cmocka_unit_test(a_folder_that_cannot_be_is_named),
        cmocka_unit_test(faults_leak_nothing),
    };
    return cmocka_run_group_tests(tests, town_set_up, town_tear_down);
}
