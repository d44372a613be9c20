/* The exposure log: lines come back whole and in order, files turn, a full queue and a broken
 * disk cost lines that are counted, and kill -9 costs what was not flushed. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "online/exposure.h"
#include "online/lines.h"
#include "support.h"

typedef struct seen {
    uint64_t lines, next;
    bool in_order;
} seen;

static hn_status check_line(void *user, const char *line, size_t n, const char *file,
                            uint64_t number, hn_error *err) {
    seen *const s = user;
    (void)file, (void)number, (void)err;
    char expected[64];
    const int length =
        snprintf(expected, sizeof expected, "{\"n\":%llu,\"x\":\"", (unsigned long long)s->next);
    s->in_order &= n > (size_t)length && memcmp(line, expected, (size_t)length) == 0 &&
                   memcmp(line + n - 2, "\"}", 2) == 0;
    s->lines++;
    s->next++;
    return HN_OK;
}

static size_t make_line(char *out, uint64_t number) {
    const int n = snprintf(out, 100, "{\"n\":%llu,\"x\":\"", (unsigned long long)number);
    const size_t more = 200 + number * 7919 % 400;
    for (size_t i = 0; i < more; i++) out[(size_t)n + i] = (char)('a' + (number * 31 + i * i) % 26);
    memcpy(out + (size_t)n + more, "\"}", 2);
    return (size_t)n + more + 2;
}

static seen read_all(const char *dir, bool cut_allowed, size_t *n_files) {
    static const char *const pattern[] = {"exposures-*"};
    hn_paths paths = {0};
    hn_error err = {0};
    seen s = {.in_order = true};
    const hn_status found = hn_paths_glob(&paths, dir, pattern, 1, &err);
    if (found == HN_OK)
        assert_ok(hn_lines_read((const char *const *)paths.paths, paths.n, cut_allowed, check_line,
                                &s, &err));
    if (n_files) *n_files = paths.n;
    hn_paths_free(&paths);
    return s;
}

static hn_exposure_options options_of(const char *dir) {
    return (hn_exposure_options){
        .dir = dir, .file_bytes = 1 << 20, .queue_bytes = 1 << 20, .flush_seconds = 0.02};
}

static void lines_come_back(void **state) {
    (void)state;
    char *const dir = support_folder(), line[1000];
    hn_exposure_log *log;
    hn_error err = {0};
    hn_exposure_options options = options_of(dir);
    options.file_bytes = 20000;
    assert_ok(hn_exposure_log_open(&log, &options, &err));
    uint64_t taken = 0;
    while (taken < 5000) {
        if (hn_exposure_log_offer(log, line, make_line(line, taken)))
            taken++;
        else
            usleep(1000);
    }
    hn_exposure_log_close(log);
    size_t files;
    const seen s = read_all(dir, false, &files);
    assert_int_equal(s.lines, 5000);
    assert_true(s.in_order);
    assert_true(files > 1);
    support_remove(dir);
    free(dir);
}

static void full_queue_drops(void **state) {
    (void)state;
    char *const dir = support_folder(), line[1000];
    hn_exposure_log *log;
    hn_exposure_counts c;
    hn_error err = {0};
    hn_exposure_options options = options_of(dir);
    options.queue_bytes = 5000;
    options.flush_seconds = 100;
    assert_ok(hn_exposure_log_open(&log, &options, &err));
    uint64_t taken = 0, refused = 0;
    for (int i = 0; i < 2000; i++)
        *(hn_exposure_log_offer(log, line, make_line(line, taken)) ? &taken : &refused) += 1;
    hn_exposure_log_counts(&c, log);
    assert_true(refused > 0);
    assert_int_equal(c.dropped, refused);
    assert_true(c.waiting_bytes <= 5000);
    hn_exposure_log_close(log);
    const seen s = read_all(dir, false, NULL);
    assert_int_equal(s.lines, taken);
    assert_true(s.in_order);
    support_remove(dir);
    free(dir);
}

/* The folder goes away and comes back: what was lost meanwhile is counted, the log goes on. */
static void broken_disk_is_survived(void **state) {
    (void)state;
    char *const parent = support_folder(), dir[300], line[1000];
    hn_exposure_log *log;
    hn_exposure_counts c = {0};
    hn_error err = {0};
    snprintf(dir, sizeof dir, "%s/log", parent);
    const hn_exposure_options options = options_of(dir);
    assert_ok(hn_exposure_log_open(&log, &options, &err));
    assert_int_equal(rmdir(dir), 0);
    assert_true(hn_exposure_log_offer(log, line, make_line(line, 7)));
    for (int i = 0; i < 500 && c.failed == 0; i++, usleep(10000)) hn_exposure_log_counts(&c, log);
    assert_int_equal(c.failed, 1);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_true(hn_exposure_log_offer(log, line, make_line(line, 0)));
    hn_exposure_log_close(log);
    const seen s = read_all(dir, false, NULL);
    assert_int_equal(s.lines, 1);
    assert_true(s.in_order);
    support_remove(parent);
    free(parent);
}

/* Writes until it is killed; tells through the pipe how many lines were surely flushed. */
static void write_for_ever(const char *dir, int pipe_end) {
    hn_exposure_log *log;
    hn_error err = {0};
    const hn_exposure_options options = options_of(dir);
    char line[1000];
    if (hn_exposure_log_open(&log, &options, &err) != HN_OK) _exit(1);
    for (uint64_t i = 0;; i++) {
        while (!hn_exposure_log_offer(log, line, make_line(line, i))) usleep(100);
        hn_exposure_counts c;
        hn_exposure_log_counts(&c, log);
        if (write(pipe_end, &c.written, sizeof c.written) < 0) _exit(1);
    }
}

static void kill_loses_only_what_was_not_flushed(void **state) {
    (void)state;
    uint64_t flushed_in_all = 0;
    for (int k = 0; k < 12; k++) {
        char *const dir = support_folder();
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) write_for_ever(dir, ends[1]);
        close(ends[1]);
        uint64_t flushed = 0;
        const int records = 2000 + k * 3571 % 9000;
        for (int i = 0; i < records; i++)
            assert_int_equal(read(ends[0], &flushed, sizeof flushed), sizeof flushed);
        kill(child, SIGKILL);
        while (read(ends[0], &flushed, sizeof flushed) == sizeof flushed) {
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(ends[0]);
        const seen cut = read_all(dir, true, NULL); /* as the server left it */
        assert_true(cut.in_order);
        assert_true(cut.lines >= flushed);
        hn_exposure_log *log;
        hn_error err = {0};
        const hn_exposure_options options = options_of(dir);
        assert_ok(hn_exposure_log_open(&log, &options, &err)); /* mends it */
        hn_exposure_log_close(log);
        const seen mended = read_all(dir, false, NULL);
        assert_true(mended.in_order);
        assert_true(mended.lines >= flushed && mended.lines <= cut.lines);
        flushed_in_all += flushed;
        support_remove(dir);
        free(dir);
    }
    assert_true(flushed_in_all > 0);
}

/* A file that a living log writes is left alone by another's mending. */
static void living_files_are_left_alone(void **state) {
    (void)state;
    char *const dir = support_folder(), line[1000];
    hn_exposure_log *first, *second;
    hn_exposure_counts c = {0};
    hn_error err = {0};
    const hn_exposure_options options = options_of(dir);
    assert_ok(hn_exposure_log_open(&first, &options, &err));
    assert_true(hn_exposure_log_offer(first, line, make_line(line, 0)));
    for (int i = 0; i < 500 && c.written == 0; i++, usleep(10000))
        hn_exposure_log_counts(&c, first);
    assert_ok(hn_exposure_log_open(&second, &options, &err));
    assert_true(hn_exposure_log_offer(first, line, make_line(line, 1)));
    hn_exposure_log_close(second);
    hn_exposure_log_close(first);
    size_t files;
    const seen s = read_all(dir, false, &files);
    assert_int_equal(s.lines, 2);
    assert_int_equal(files, 1);
    support_remove(dir);
    free(dir);
}

/* As a server leaves it that was killed between giving a file its name and taking the old one. */
static void both_names_become_one(void **state) {
    (void)state;
    char *const dir = support_folder();
    char folder[500], name[600], half[600], line[1000];
    snprintf(folder, sizeof folder, "%s/e[1]", dir); /* no pattern, but a folder's name */
    hn_error err = {0};
    hn_exposure_log *log;
    hn_exposure_options options = options_of(folder);
    assert_ok(hn_exposure_log_open(&log, &options, &err));
    assert_true(hn_exposure_log_offer(log, line, make_line(line, 0)));
    hn_exposure_log_close(log);
    hn_exposure_log_open(&log, &options, &err);
    DIR *const entries = opendir(folder);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (strstr(entry->d_name, ".zst"))
            snprintf(name, sizeof name, "%s/%.80s", folder, entry->d_name);
    closedir(entries);
    hn_exposure_log_close(log);
    snprintf(half, sizeof half, "%.590s.part", name);
    assert_int_equal(link(name, half), 0);
    assert_ok(hn_exposure_log_open(&log, &options, &err));
    hn_exposure_log_close(log);
    assert_int_equal(access(half, F_OK), -1);
    assert_int_equal(access(name, F_OK), 0);
    support_remove(dir);
    free(dir);
}

static hn_status open_once(void *user, hn_error *err) {
    const hn_exposure_options options = options_of(user);
    hn_exposure_log *log;
    const hn_status status = hn_exposure_log_open(&log, &options, err);
    if (status == HN_OK) hn_exposure_log_close(log);
    return status;
}

static void memory_may_fail(void **state) {
    (void)state;
    char *const dir = support_folder();
    assert_true(support_fail_each(HN_FAULT_ALLOC, open_once, dir) > 4);
    support_remove(dir);
    free(dir);
}

/* ---- Several servers ----------------------------------------------------------------------- */

enum { SERVERS = 4, LIVES = 25, LINES_A_LIFE = 3 };

static void live_and_die(const char *dir) {
    const hn_exposure_options options = options_of(dir);
    hn_error err = {0};
    for (int life = 0; life < LIVES; life++) {
        hn_exposure_log *log;
        if (hn_exposure_log_open(&log, &options, &err) != HN_OK) _exit(1);
        for (int i = 0; i < LINES_A_LIFE; i++)
            if (!hn_exposure_log_offer(log, "{}", 2)) _exit(2);
        hn_exposure_log_close(log);
    }
    _exit(0);
}

static hn_status count_line(void *user, const char *line, size_t n, const char *file,
                            uint64_t number, hn_error *err) {
    (void)file, (void)number, (void)err;
    *(int *)user += n == 2 && memcmp(line, "{}", 2) == 0;
    return HN_OK;
}

/* Each that starts looks for files of dead ones among those that the others just begin. */
static void servers_share_a_folder(void **state) {
    (void)state;
    static const char *const all[] = {"exposures-*.zst"};
    static const char *const parts[] = {"*.part"};
    char *const dir = support_folder();
    hn_error err = {0};
    hn_paths paths = {0};
    pid_t children[SERVERS];
    int lines = 0;
    for (int i = 0; i < SERVERS; i++) {
        children[i] = fork();
        if (children[i] == 0) live_and_die(dir);
    }
    for (int i = 0; i < SERVERS; i++) {
        int how;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    assert_int_equal(hn_paths_glob(&paths, dir, parts, 1, NULL), HN_NO_INPUT);
    assert_ok(hn_paths_glob(&paths, dir, all, 1, &err));
    assert_ok(
        hn_lines_read((const char *const *)paths.paths, paths.n, false, count_line, &lines, &err));
    assert_int_equal(lines, SERVERS * LIVES * LINES_A_LIFE);
    hn_paths_free(&paths);
    support_remove(dir);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_back),
        cmocka_unit_test(full_queue_drops),
        cmocka_unit_test(broken_disk_is_survived),
        cmocka_unit_test(kill_loses_only_what_was_not_flushed),
        cmocka_unit_test(living_files_are_left_alone),
        cmocka_unit_test(both_names_become_one),
        cmocka_unit_test(servers_share_a_folder),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
