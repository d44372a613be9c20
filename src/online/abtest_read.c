/* A joined log into sums a user and scenario, in one pass: memory grows with the users,
 * not with the rows. Users are known by a hash of 64 bits; two of ten million share one
 * with a chance of 3 in a million. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/bytes.h"
#include "data/csv.h"
#include "online/abtest.h"

enum { READ_BYTES = 1 << 20, COLUMNS_MAX = 16384, FIELD_BYTES_MAX = 63 };
typedef enum column { USER, SCENARIO, TIME, ARM, CLICK, ORDER, VALUE, COLUMNS } column;

typedef struct reading {
    hn_ab_log *log;
    const hn_abtest_options *options;
    const char *file;
    bool before;         /* all rows are of the time before the experiment */
    int32_t at[COLUMNS]; /* column of the file; -1: absent */
    int32_t columns;
    uint64_t line; /* 1-based, of the row at hand */
    const char *field[COLUMNS];
    size_t field_n[COLUMNS];
    char room[COLUMNS][256]; /* unquoted fields live in the walker's scratch: kept here */
} reading;

/* ---- Names and users ----------------------------------------------------------------------- */

static hn_status name_index(int32_t *out, hn_ab_names *names, const char *text, size_t n,
                            int32_t most, const char *what, hn_error *err) {
    for (*out = 0; *out < names->n; ++*out)
        if (strncmp(names->names[*out], text, n) == 0 && names->names[*out][n] == '\0')
            return HN_OK;
    if (names->n == most)
        return hn_fail(err, HN_BAD_DATA,
                       "abtest: found more than %d %s; expected that many at most", (int)most,
                       what);
    HN_TRY(
        hn_grow(&names->names, &names->capacity, (size_t)names->n + 1, sizeof *names->names, err));
    char *const copy = hn_strndup(text, n);
    if (!copy) return hn_no_memory(err, "a name");
    names->names[names->n++] = copy;
    return HN_OK;
}

static hn_ab_user *find_place(hn_ab_user *users, size_t places, uint64_t key) {
    size_t i = key & (places - 1);
    while (users[i].key && users[i].key != key) i = (i + 1) & (places - 1);
    return &users[i];
}

static hn_status make_room(hn_ab_log *log, hn_error *err) {
    if (4 * (log->n_users + 1) <= 3 * log->places) return HN_OK;
    const size_t places = log->places ? 2 * log->places : 1024;
    hn_ab_user *const users = hn_alloc_zero(places, sizeof *users);
    if (!users) return hn_no_memory(err, "the users of the experiment");
    for (size_t i = 0; i < log->places; i++)
        if (log->users[i].key) *find_place(users, places, log->users[i].key) = log->users[i];
    hn_free(log->users);
    log->users = users;
    log->places = places;
    return HN_OK;
}

/* The user's sums in the scenario; *out NULL where `known` and the user is not. */
static hn_status cell_of(hn_ab_cell **out, hn_ab_user **owner, hn_ab_log *log, uint64_t key,
                         int32_t scenario, bool known, hn_error *err) {
    *out = NULL;
    HN_TRY(make_room(log, err));
    hn_ab_user *const user = find_place(log->users, log->places, key);
    *owner = user;
    if (!user->key) {
        if (known) return HN_OK;
        *user = (hn_ab_user){.key = key, .arm = -1, .first = -1};
        log->n_users++;
    }
    for (int32_t c = user->first; c >= 0; c = log->cells[c].next)
        if (log->cells[c].scenario == scenario) {
            *out = &log->cells[c];
            return HN_OK;
        }
    if (log->n_cells == HN_AB_CELLS_MAX)
        return hn_fail(err, HN_BAD_DATA, "abtest: more than 2^30 pairs of user and scenario");
    HN_TRY(hn_grow(&log->cells, &log->cells_capacity, log->n_cells + 1, sizeof *log->cells, err));
    log->cells[log->n_cells] = (hn_ab_cell){.scenario = scenario, .next = user->first};
    user->first = (int32_t)log->n_cells++;
    *out = &log->cells[user->first];
    return HN_OK;
}

/* ---- Fields ------------------------------------------------------------------------------- */

static hn_status bad_field(const reading *r, column c, const char *expected, hn_error *err) {
    return hn_fail(err, HN_BAD_DATA, "%s:%llu: column %d: found \"%.*s\"; expected %s", r->file,
                   (unsigned long long)r->line, (int)r->at[c] + 1,
                   r->field_n[c] < FIELD_BYTES_MAX ? (int)r->field_n[c] : FIELD_BYTES_MAX,
                   r->field[c], expected);
}

static hn_status number_of(double *out, const reading *r, column c, const char *expected,
                           hn_error *err) {
    char text[FIELD_BYTES_MAX + 1], *end;
    *out = 0;
    if (r->at[c] < 0 || r->field_n[c] == 0) return HN_OK;
    if (r->field_n[c] > FIELD_BYTES_MAX) return bad_field(r, c, expected, err);
    memcpy(text, r->field[c], r->field_n[c]);
    text[r->field_n[c]] = '\0';
    *out = strtod(text, &end);
    return *end || !isfinite(*out) ? bad_field(r, c, expected, err) : HN_OK;
}

/* 0, 1, or -1 for an outcome that is not known yet. */
static hn_status label_of(int *out, const reading *r, column c, hn_error *err) {
    *out = -1;
    if (r->field_n[c] == 0) return HN_OK;
    if (r->field_n[c] != 1 || (r->field[c][0] != '0' && r->field[c][0] != '1'))
        return bad_field(r, c, "0, 1 or nothing", err);
    *out = r->field[c][0] == '1';
    return HN_OK;
}

static hn_status take_arm(hn_ab_user *user, const reading *r, hn_error *err) {
    int32_t arm;
    if (!hn_utf8_is(r->field[ARM], r->field_n[ARM])) return bad_field(r, ARM, "UTF-8", err);
    HN_TRY(name_index(&arm, &r->log->arms, r->field[ARM], r->field_n[ARM], HN_AB_ARMS_MAX, "arms",
                      err));
    if (user->arm == -1)
        user->arm = arm;
    else if (user->arm != arm)
        user->arm = -2;
    return HN_OK;
}

static hn_status is_before(bool *out, const reading *r, hn_error *err) {
    double time = 0;
    *out = r->before;
    if (r->before || !r->options->has_pre_until) return HN_OK;
    if (r->field_n[TIME] == 0) return bad_field(r, TIME, "milliseconds since 1970", err);
    HN_TRY(number_of(&time, r, TIME, "milliseconds since 1970", err));
    *out = time < (double)r->options->pre_until_ms;
    return HN_OK;
}

static hn_status take_row(reading *r, hn_error *err) {
    hn_ab_log *const log = r->log;
    bool before;
    int click, order;
    int32_t scenario;
    double value;
    hn_ab_user *user;
    hn_ab_cell *cell;
    HN_TRY(is_before(&before, r, err));
    if (!before && r->field_n[ARM] == 0) return log->rows++, log->without_arm++, HN_OK;
    HN_TRY(label_of(&click, r, CLICK, err));
    HN_TRY(label_of(&order, r, ORDER, err));
    HN_TRY(number_of(&value, r, VALUE, "a number or nothing", err));
    if (!hn_utf8_is(r->field[SCENARIO], r->field_n[SCENARIO]))
        return bad_field(r, SCENARIO, "UTF-8", err);
    HN_TRY(name_index(&scenario, &log->scenarios, r->field[SCENARIO], r->field_n[SCENARIO],
                      HN_AB_SCENARIOS_MAX, "scenarios", err));
    const uint64_t hash = XXH3_64bits(r->field[USER], r->field_n[USER]);
    HN_TRY(cell_of(&cell, &user, log, hash ? hash : 1, scenario, r->before, err));
    *(before ? &log->pre_rows : &log->rows) += 1;
    if (before) log->has_pre = true;
    if (!cell) return HN_OK;
    /* Who was shown anything belongs to the arm, whether its outcome is known yet or not. */
    if (!before) HN_TRY(take_arm(user, r, err));
    if (click < 0 || order < 0) return log->immature += !before, HN_OK;
    double *const sums = before ? cell->pre : cell->now;
    sums[0]++;
    sums[1] += click;
    sums[2] += order;
    sums[3] += order ? value : 0;
    return HN_OK;
}

/* ---- The header ------------------------------------------------------------------------------ */

static bool is_text(const char *field, size_t n, const char *text) {
    return strlen(text) == n && memcmp(field, text, n) == 0;
}

static const column named[] = {USER, SCENARIO, CLICK, ORDER, TIME};

/* What the options call a column. */
static const char *name_of(const hn_abtest_options *o, column c) {
    switch (c) {
    case USER: return o->user ? o->user : "user";
    case SCENARIO: return o->scenario ? o->scenario : "scenario";
    case CLICK: return o->click ? o->click : "click";
    case ORDER: return o->order ? o->order : "order";
    default: return "time_ms";
    }
}

/* A column "arm_LAYER": the layer asked for, or the only one. */
static hn_status take_arm_column(reading *r, const char *field, size_t n, int32_t at,
                                 hn_error *err) {
    const char *const layer = field + 4;
    const size_t layer_n = n - 4;
    if (r->options->layer && !is_text(layer, layer_n, r->options->layer)) return HN_OK;
    if (r->at[ARM] >= 0 && !r->options->layer)
        return hn_fail(err, HN_USAGE,
                       "abtest: %s has several columns arm_…, the second is arm_%.*s; name the "
                       "layer with --layer",
                       r->file, (int)layer_n, layer);
    r->at[ARM] = at;
    if (r->log->layer) return HN_OK;
    r->log->layer = hn_strndup(layer, layer_n);
    return r->log->layer ? HN_OK : hn_no_memory(err, "a name");
}

static bool is_value(const reading *r, const char *field, size_t n) {
    const char *const order = name_of(r->options, ORDER);
    const size_t order_n = strlen(order);
    return n == order_n + 6 && memcmp(field, order, order_n) == 0 &&
           memcmp(field + order_n, "_value", 6) == 0;
}

static hn_status take_head(reading *r, const char *field, size_t n, int32_t at, hn_error *err) {
    for (size_t k = 0; k < sizeof named / sizeof *named; k++)
        if (is_text(field, n, name_of(r->options, named[k]))) return r->at[named[k]] = at, HN_OK;
    if (is_value(r, field, n)) return r->at[VALUE] = at, HN_OK;
    const bool arm = n > 4 && memcmp(field, "arm_", 4) == 0 && !r->before;
    return arm ? take_arm_column(r, field, n, at, err) : HN_OK;
}

static hn_status check_head(const reading *r, hn_error *err) {
    for (size_t k = 0; k < sizeof named / sizeof *named; k++)
        if (r->at[named[k]] < 0 && (named[k] != TIME || r->options->has_pre_until))
            return hn_fail(err, HN_BAD_DATA,
                           "%s:1: there is no column \"%s\"; expected a log as hinet join writes "
                           "it (--user, --scenario, --click and --order name the columns)",
                           r->file, name_of(r->options, named[k]));
    if (!r->before && r->at[ARM] < 0)
        return hn_fail(err, HN_BAD_DATA,
                       "%s:1: there is no column arm_%s; expected one for the layer of the "
                       "experiment",
                       r->file, r->options->layer ? r->options->layer : "LAYER");
    if (r->at[VALUE] >= 0 && !r->before) r->log->has_value = true;
    return HN_OK;
}

/* ---- Rows --------------------------------------------------------------------------------- */

static void keep_field(reading *r, const hn_walker *w, int32_t at) {
    for (int c = 0; c < COLUMNS; c++) {
        if (r->at[c] != at) continue;
        r->field[c] = w->field;
        r->field_n[c] = w->field_n;
        if (w->field == w->text + w->begin) continue;
        r->field_n[c] = w->field_n < sizeof r->room[c] ? w->field_n : sizeof r->room[c];
        memcpy(r->room[c], w->field, r->field_n[c]);
        r->field[c] = r->room[c];
    }
}

/* One row; the first one of a file is its header. */
static hn_status walk_row(reading *r, hn_walker *w, uint64_t first_line, hn_error *err) {
    const bool head = r->columns == 0;
    hn_field_end end;
    int32_t at = 0;
    r->line = first_line + w->line;
    do {
        end = hn_walker_next(w);
        if (w->no_memory) return hn_no_memory(err, "a field");
        if (w->fault != HN_FIELD_FINE)
            return hn_fail(err, HN_BAD_DATA, "%s:%llu: column %d: found a quote out of place",
                           r->file, (unsigned long long)r->line, (int)at + 1);
        if (head && at == COLUMNS_MAX)
            return hn_fail(err, HN_BAD_DATA, "%s:1: more than %d columns", r->file, COLUMNS_MAX);
        if (head)
            HN_TRY(take_head(r, w->field, w->field_n, at, err));
        else
            keep_field(r, w, at);
        at++;
    } while (end == HN_FIELD_MORE);
    if (head) return r->columns = at, check_head(r, err);
    if (at != r->columns)
        return hn_fail(err, HN_BAD_DATA, "%s:%llu: found %d columns; expected %d as in line 1",
                       r->file, (unsigned long long)r->line, (int)at, (int)r->columns);
    return take_row(r, err);
}

static hn_status walk_rows(reading *r, const hn_dialect *dialect, const char *text, size_t n,
                           uint64_t *line, hn_error *err) {
    hn_walker w = {0};
    hn_status status = HN_OK;
    hn_walker_begin(&w, dialect, text, n);
    while (status == HN_OK && w.at < n)
        if (!hn_walker_skip_empty(&w)) status = walk_row(r, &w, *line, err);
    *line += w.line;
    hn_walker_free(&w);
    return status;
}

typedef struct buffer {
    char *text;
    size_t n, capacity;
} buffer;

static hn_status read_stream(reading *r, hn_bytes *bytes, buffer *b, const hn_run *run,
                             hn_error *err) {
    hn_cutter cutter = {.dialect = {.delimiter = ",", .delimiter_n = 1, .quote = '"'},
                        .at_field = true};
    uint64_t line = 1;
    bool last = false;
    while (!last) {
        size_t got;
        if (hn_stopped(run)) return hn_fail(err, HN_INTERRUPTED, "abtest: stopped by request");
        HN_TRY(hn_grow(&b->text, &b->capacity, b->n + READ_BYTES, 1, err));
        HN_TRY(hn_bytes_read(&got, bytes, b->text + b->n, READ_BYTES, err));
        b->n += got;
        last = got < READ_BYTES;
        hn_cutter_advance(&cutter, b->text, b->n, last);
        const size_t whole = last ? b->n : cutter.row;
        if (whole > 0) HN_TRY(walk_rows(r, &cutter.dialect, b->text, whole, &line, err));
        memmove(b->text, b->text + whole, b->n - whole);
        b->n -= whole;
        if (!last) hn_cutter_shift(&cutter, whole);
    }
    if (r->columns == 0)
        return hn_fail(err, HN_BAD_DATA, "%s: the file is empty; expected a header", r->file);
    return HN_OK;
}

static hn_status read_file(hn_ab_log *log, const char *file, const hn_abtest_options *options,
                           bool before, const hn_run *run, hn_error *err) {
    hn_bytes *bytes;
    buffer b = {0};
    HN_TRY(hn_bytes_open(&bytes, file, err));
    reading *const r = hn_alloc_zero(1, sizeof *r);
    hn_status status = HN_NO_MEMORY;
    if (r) {
        *r = (reading){.log = log, .options = options, .file = file, .before = before};
        for (int c = 0; c < COLUMNS; c++) r->at[c] = -1, r->field[c] = "";
        status = read_stream(r, bytes, &b, run, err);
    } else {
        hn_error_no_memory(err, "reading a log");
    }
    hn_free(b.text);
    hn_free(r);
    hn_bytes_close(bytes);
    return status;
}

hn_status hn_ab_log_read(hn_ab_log *log, const char *const *files, size_t n_files,
                         const hn_abtest_options *options, bool before, const hn_run *run,
                         hn_error *err) {
    for (size_t i = 0; i < n_files; i++)
        HN_TRY(read_file(log, files[i], options, before, run, err));
    return HN_OK;
}

static void free_names(hn_ab_names *names) {
    for (int32_t i = 0; i < names->n; i++) hn_free(names->names[i]);
    hn_free(names->names);
}

void hn_ab_log_free(hn_ab_log *log) {
    free_names(&log->arms);
    free_names(&log->scenarios);
    hn_free(log->layer);
    hn_free(log->users);
    hn_free(log->cells);
    *log = (hn_ab_log){0};
}
